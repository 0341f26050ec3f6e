// Logging in: UC_Login_001. By an Identity Provider that is enrolled; where this server has none, by a token.

import { useEffect, useId, useState } from "preact/hooks";
import type { Trouble } from "../api.ts";
import type { Logins } from "../logins.ts";
import { useSession, type Who } from "../session.tsx";
import { Heading, TroubleNote } from "../components/basics.tsx";

const LAST_PROVIDER = "gridtrail.identity-provider";
/** Where somebody was going, while they are at their Identity Provider. It is a search that they made themselves, in this tab. */
export const GOING_TO = "gridtrail.going-to";

export function LogInPage({ who }: { who: Who & { state: "out" } }) {
  // Whoever is here did not come back from there logged in; the address of this page is where they go now.
  useEffect(() => sessionStorage.removeItem(GOING_TO), []);
  const { waysIn, trouble } = who;
  return (
    <>
      <Heading>Log in</Heading>
      {who.hasEnded && (
        <p class="note" role="status">
          Your session has ended. Log in again to go on where you were: the address of the page is kept.
        </p>
      )}
      {trouble && <TroubleNote trouble={trouble} again={() => location.reload()} />}
      {waysIn === "by-token" && <ByToken />}
      {typeof waysIn === "object" && <ByIdentityProvider logins={waysIn} />}
      {waysIn === undefined && !trouble && (
        <button type="button" class="primary" onClick={() => location.reload()}>
          Log in
        </button>
      )}
    </>
  );
}

function ByIdentityProvider({ logins }: { logins: Logins }) {
  const id = useId();
  const { identityProviders } = logins;
  const last = localStorage.getItem(LAST_PROVIDER);
  const [chosen, setChosen] = useState(identityProviders.find((provider) => provider === last) ?? identityProviders[0] ?? "");
  if (identityProviders.length === 0) {
    return <p class="note">No Identity Provider is enrolled at this server: whoever runs it enrols one with “gridtrail idp add”.</p>;
  }
  const leave = () => {
    localStorage.setItem(LAST_PROVIDER, chosen);
    sessionStorage.setItem(GOING_TO, location.pathname + location.search);
  };
  return (
    <form class="search" method="get" action="/saml/login" onSubmit={leave}>
      <div class="field">
        <label for={id}>Your organisation’s Identity Provider</label>
        <select id={id} name="idp" value={chosen} onInput={(event) => setChosen(event.currentTarget.value)}>
          {identityProviders.map((provider) => (
            <option key={provider} value={provider}>
              {provider}
            </option>
          ))}
        </select>
        <div class="hint">It asks for your credentials and brings you back.</div>
      </div>
      <button type="submit" class="primary">
        Continue
      </button>
    </form>
  );
}

function ByToken() {
  const { logInWith } = useSession();
  const id = useId();
  const [token, setToken] = useState("");
  const [trouble, setTrouble] = useState<Trouble>();
  const [isWaiting, setIsWaiting] = useState(false);
  return (
    <form
      class="search"
      onSubmit={(event) => {
        event.preventDefault();
        setIsWaiting(true);
        void logInWith(token.trim()).then((refused) => {
          setIsWaiting(false);
          setTrouble(refused);
        });
      }}
    >
      <p class="note">This server has no log-in by Identity Providers. It takes a token of the issuer that it trusts; this page forgets it when it is closed or loaded anew.</p>
      <div class="field">
        <label for={id}>Token</label>
        <textarea id={id} rows={4} autocomplete="off" spellcheck={false} value={token} onInput={(event) => setToken(event.currentTarget.value)} />
      </div>
      {trouble && <TroubleNote trouble={trouble} />}
      <button type="submit" class="primary" disabled={isWaiting || token.trim() === ""}>
        Log in
      </button>
    </form>
  );
}
