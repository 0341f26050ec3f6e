// The pages for operators: by a token of their own, apart from the pages of Users. What they show is nobody's row.

import { Route, Router, useLocation } from "preact-iso";
import { useCallback, useId, useState } from "preact/hooks";
import { EndedContext } from "../answer.ts";
import { type Trouble, troubleOf } from "../api.ts";
import { Heading, TroubleNote } from "../components/basics.tsx";
import { Shell } from "../components/shell.tsx";
import { operators, useOperatorToken } from "../operate.ts";
import { DeadLettersPage } from "./operators/dead-letters.tsx";
import { LakePage } from "./operators/lake.tsx";
import { ReconciliationPage } from "./operators/reconciliation.tsx";

const LINKS = [
  { path: "/operators/lake", name: "Lake", what: "What the lake holds, what is due, and how fresh it is by source." },
  { path: "/operators/dead-letters", name: "Dead letters", what: "Records that could not be read, and why." },
  { path: "/operators/reconciliation", name: "Reconciliation", what: "What became of every position of every source." },
];

export const isOfOperators = (path: string): boolean => path === "/operators" || path.startsWith("/operators/");

export function OperatorPages() {
  const { path } = useLocation();
  const [isIn, setIsIn] = useState(false);
  const [hasEnded, setHasEnded] = useState(false);
  const leave = useCallback((ended: boolean) => {
    useOperatorToken(undefined);
    setIsIn(false);
    setHasEnded(ended);
  }, []);
  const ended = useCallback(() => leave(true), [leave]);
  const side = isIn && (
    <div class="who">
      <button type="button" onClick={() => leave(false)}>
        Forget the token
      </button>
    </div>
  );
  return (
    <EndedContext.Provider value={ended}>
      <Shell name="Operators" home="/operators" links={isIn ? LINKS : undefined} path={path} isAt={`${path} ${isIn}`} side={side}>
        {isIn ? (
          <Router>
            <Route path="/operators" component={OverviewPage} />
            <Route path="/operators/lake" component={LakePage} />
            <Route path="/operators/dead-letters" component={DeadLettersPage} />
            <Route path="/operators/reconciliation" component={ReconciliationPage} />
            <Route default component={OverviewPage} />
          </Router>
        ) : (
          <TokenPage hasEnded={hasEnded} letIn={() => setIsIn(true)} />
        )}
      </Shell>
    </EndedContext.Provider>
  );
}

function OverviewPage() {
  return (
    <>
      <Heading>Operators</Heading>
      <ul class="cards">
        {LINKS.map(({ path, name, what }) => (
          <li key={path}>
            <a href={path}>{name}</a>
            <p>{what}</p>
          </li>
        ))}
      </ul>
    </>
  );
}

function TokenPage({ hasEnded, letIn }: { hasEnded: boolean; letIn: () => void }) {
  const id = useId();
  const [token, setToken] = useState("");
  const [trouble, setTrouble] = useState<Trouble>();
  const [isWaiting, setIsWaiting] = useState(false);
  const enter = async () => {
    setIsWaiting(true);
    useOperatorToken(token.trim());
    try {
      await operators.getFreshness({ days: 1 });
      letIn();
    } catch (error) {
      useOperatorToken(undefined);
      setTrouble(troubleOf(error));
      setIsWaiting(false);
    }
  };
  return (
    <>
      <Heading>Operators</Heading>
      {hasEnded && (
        <p class="note" role="status">
          Your token has ended. Enter another one to go on where you were.
        </p>
      )}
      <form
        class="search"
        onSubmit={(event) => {
          event.preventDefault();
          void enter();
        }}
      >
        <p class="note">
          These pages are for whoever runs this service. They take an operator’s token, which “gridtrail operator token” mints, and forget it when they are closed or loaded anew. A
          User’s log-in counts for nothing here.
        </p>
        <div class="field">
          <label for={id}>Operator’s token</label>
          <textarea id={id} rows={4} autocomplete="off" spellcheck={false} value={token} onInput={(event) => setToken(event.currentTarget.value)} />
        </div>
        {trouble && <TroubleNote trouble={trouble} />}
        <button type="submit" class="primary" disabled={isWaiting || token.trim() === ""}>
          Go on
        </button>
      </form>
    </>
  );
}
