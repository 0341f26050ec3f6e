// Who is logged in, and until when. The server ends a session that nobody used for its time; the page says so a minute before.

import { createContext, type ComponentChildren } from "preact";
import { useLocation } from "preact-iso";
import { useCallback, useContext, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { EndedContext } from "./answer.ts";
import { onAnswer, sessions, troubleOf, type Trouble, useToken } from "./api.ts";
import type { PersonalDetails, ProfileResponse } from "./gen/gridtrail/query/v1/session_pb.ts";
import { endSession, readWaysIn, type WaysIn } from "./logins.ts";

/** `waysIn`: `undefined` as long as the server did not say. */
export type Who =
  | { state: "unknown" }
  | { state: "out"; waysIn: WaysIn | undefined; hasEnded: boolean; trouble?: Trouble }
  | { state: "in"; profile: ProfileResponse; waysIn: WaysIn | undefined };

export interface Session {
  who: Who;
  /** Milliseconds until the session ends by itself, once there are few. */
  endsIn: number | undefined;
  goOn(): Promise<void>;
  logInWith(token: string): Promise<Trouble | undefined>;
  logOut(): Promise<void>;
  /** To be called with what somebody entered about themselves, once it is on record. */
  entered(details: PersonalDetails | undefined): void;
  /** Why somebody who logged out is still logged in. */
  troubleOfLogOut: Trouble | undefined;
  /** To be called where a call says that nobody is logged in. */
  ended(): void;
}

const Context = createContext<Session | undefined>(undefined);

export function useSession(): Session {
  const session = useContext(Context);
  if (!session) {
    throw new Error("there is no session around this");
  }
  return session;
}

/** The profile of whoever is logged in; pages below are shown to nobody else. */
export function useProfile(): ProfileResponse {
  const { who } = useSession();
  if (who.state !== "in") {
    throw new Error("nobody is logged in");
  }
  return who.profile;
}

/** Where all tabs of a browser note when the session was last used: a time and nothing else. */
const LAST_USE = "gridtrail.last-use";
/** The server counts from the half minute in which a session was last used. */
const SPAN_MS = 30_000;
const WARNED_MS = 60_000;
/** Whoever types and asks for nothing is there all the same: so often the server hears of it. */
const TOLD_EVERY_MS = 4 * 60_000;

/** Whoever is logged in waits for no list of Identity Providers; it is asked for again until it is there. */
const ASKED_EVERY_MS = 10_000;

export function SessionProvider({ children }: { children: ComponentChildren }) {
  const { route } = useLocation();
  const [who, setWho] = useState<Who>({ state: "unknown" });
  const [endsIn, setEndsIn] = useState<number>();
  const [troubleOfLogOut, setTroubleOfLogOut] = useState<Trouble>();
  const waysIn = useRef<WaysIn | undefined>(undefined);
  const isByToken = useRef(false);

  const ask = useCallback(async (): Promise<Trouble | undefined> => {
    try {
      const profile = await sessions.profile({});
      setWho({ state: "in", profile, waysIn: waysIn.current });
      return undefined;
    } catch (error) {
      return troubleOf(error);
    }
  }, []);

  const learn = useCallback(async (): Promise<Trouble | undefined> => {
    try {
      const found = await readWaysIn();
      waysIn.current = found;
      setWho((before) => (before.state === "unknown" ? before : { ...before, waysIn: found }));
      return undefined;
    } catch (error) {
      return troubleOf(error);
    }
  }, []);

  const leave = useCallback((hasEnded: boolean, trouble?: Trouble) => {
    useToken(undefined);
    isByToken.current = false;
    setEndsIn(undefined);
    setTroubleOfLogOut(undefined);
    setWho({ state: "out", waysIn: waysIn.current, hasEnded, ...(trouble ? { trouble } : {}) });
  }, []);

  const begin = useCallback(async () => {
    const trouble = await ask();
    const unread = await learn();
    if (trouble) {
      leave(false, trouble.isLoggedOut ? unread : trouble);
    }
  }, [ask, learn, leave]);

  useEffect(() => void begin(), [begin]);

  const ended = useCallback(() => leave(true), [leave]);
  const isIn = who.state === "in";
  const isUnread = isIn && who.waysIn === undefined;
  useEffect(() => {
    if (!isUnread) {
      return undefined;
    }
    const asking = setInterval(() => void learn(), ASKED_EVERY_MS);
    return () => clearInterval(asking);
  }, [isUnread, learn]);
  useIdleWatch(isIn && typeof who.waysIn === "object" ? who.waysIn.sessionIdleSeconds : undefined, setEndsIn, ended, ask);
  useEnd(isIn ? Number(who.profile.expiresAt?.seconds ?? 0) * 1000 : undefined, ended);

  const session = useMemo<Session>(
    () => ({
      who,
      endsIn,
      ended,
      async goOn() {
        setTroubleOfLogOut(undefined);
        if ((await ask())?.isLoggedOut) {
          leave(true);
        }
      },
      async logInWith(token) {
        useToken(token);
        const trouble = await ask();
        isByToken.current = !trouble;
        if (trouble) {
          useToken(undefined);
        }
        return trouble;
      },
      async logOut() {
        const trouble = isByToken.current ? undefined : await endSession();
        if (trouble) {
          setTroubleOfLogOut(trouble);
          return;
        }
        leave(false);
        // Whoever logs in next in this tab is not led to what was searched for.
        route("/", true);
      },
      entered(details) {
        setWho((before) => (before.state === "in" && details ? { ...before, profile: { ...before.profile, details } } : before));
      },
      troubleOfLogOut,
    }),
    [who, endsIn, ended, ask, leave, route, troubleOfLogOut],
  );
  return (
    <Context.Provider value={session}>
      <EndedContext.Provider value={ended}>{children}</EndedContext.Provider>
    </Context.Provider>
  );
}

/** Counts down what is left of an unused session, and tells the server of a person who is there. */
function useIdleWatch(
  idleSeconds: number | undefined,
  setEndsIn: (left: number | undefined) => void,
  ended: () => void,
  ask: () => Promise<Trouble | undefined>,
) {
  useEffect(() => {
    if (idleSeconds === undefined) {
      return undefined;
    }
    const used = () => localStorage.setItem(LAST_USE, String(Date.now()));
    const lastUse = () => Number(localStorage.getItem(LAST_USE) ?? 0);
    used();
    onAnswer(used);
    let isWarned = false;
    let isTelling = false;
    const active = () => {
      if (!isWarned && !isTelling && Date.now() - lastUse() > Math.min(TOLD_EVERY_MS, idleSeconds * 250)) {
        isTelling = true;
        void ask().finally(() => (isTelling = false));
      }
    };
    const look = () => {
      const left = lastUse() + idleSeconds * 1000 - SPAN_MS - Date.now();
      isWarned = left <= WARNED_MS;
      if (left <= 0) {
        ended();
      } else {
        setEndsIn(isWarned ? left : undefined);
      }
    };
    const ticking = setInterval(look, 1000);
    addEventListener("keydown", active);
    addEventListener("pointerdown", active);
    return () => {
      clearInterval(ticking);
      removeEventListener("keydown", active);
      removeEventListener("pointerdown", active);
      onAnswer(() => {});
    };
  }, [idleSeconds, setEndsIn, ended, ask]);
}

/** Ends with the session or the token, used or not. */
function useEnd(at: number | undefined, ended: () => void) {
  useEffect(() => {
    if (!at) {
      return undefined;
    }
    const waiting = setInterval(() => Date.now() >= at && ended(), 1000);
    return () => clearInterval(waiting);
  }, [at, ended]);
}
