// What browsers ask and tell the pages under /saml/: how people log in here, and that a session is to end.

import { Code, ConnectError } from "@connectrpc/connect";
import { type Trouble, troubleOf } from "./api.ts";

/** How people log in at this server. */
export interface Logins {
  /** Entity IDs. */
  identityProviders: string[];
  sessionIdleSeconds: number;
}

/** Where there are no logins by Identity Providers, a token is asked for. */
export type WaysIn = Logins | "by-token";

export async function readWaysIn(): Promise<WaysIn> {
  const answer = await fetch("/saml/providers", { headers: { accept: "application/json" } });
  if (answer.status === 404) {
    return "by-token";
  }
  if (!answer.ok) {
    throw new ConnectError("Many people log in at the moment, or logins do not work: try again.", Code.Unavailable);
  }
  return (await answer.json()) as Logins;
}

/** Ends the session of this browser. `undefined`: it has ended, now or before; a trouble: it may go on. */
export async function endSession(): Promise<Trouble | undefined> {
  try {
    const answer = await fetch("/saml/logout", { method: "POST" });
    // Nobody is logged in any more.
    if (answer.ok || answer.status === 401) {
      return undefined;
    }
    throw new ConnectError(`The server did not end your session (HTTP code ${answer.status}): log out again.`, Code.Unavailable);
  } catch (error) {
    const trouble = troubleOf(error) ?? troubleOf(new ConnectError("Logging out was broken off: log out again.", Code.Unavailable));
    return trouble && { ...trouble, title: "You are still logged in" };
  }
}
