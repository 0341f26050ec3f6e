// The console: its frame, its pages, and who may see them.

import "./style.css";
import { render } from "preact";
import { ErrorBoundary, LocationProvider, Route, Router, useLocation } from "preact-iso";
import { useEffect, useRef, useState } from "preact/hooks";
import { linksFor } from "./links.ts";
import { isOwn } from "./model/address.ts";
import { seconds } from "./model/time.ts";
import { type Session, SessionProvider, useSession } from "./session.tsx";
import { Heading, Time, TroubleNote } from "./components/basics.tsx";
import { Shell } from "./components/shell.tsx";
import { AuditPage, MeterReadsPage } from "./pages/trails.tsx";
import { CallsPage } from "./pages/calls.tsx";
import { DevicePage } from "./pages/device.tsx";
import { FreshnessPage } from "./pages/freshness.tsx";
import { HomePage } from "./pages/home.tsx";
import { HubPage } from "./pages/hub.tsx";
import { InventoryPage } from "./pages/inventory.tsx";
import { GOING_TO, LogInPage } from "./pages/log-in.tsx";
import { isOfOperators, OperatorPages } from "./pages/operators.tsx";
import { FirstLogInPage, isAsked } from "./pages/personal-details.tsx";
import { ProfilePage } from "./pages/profile.tsx";
import { ReportPage, ReportsPage } from "./pages/reports.tsx";

function NoSuchPage() {
  return (
    <>
      <Heading>There is no such page</Heading>
      <p>
        The address is mistyped, or of another version. <a href="/">Begin at the first page</a>.
      </p>
    </>
  );
}

function Pages() {
  return (
    <ErrorBoundary>
      <Router>
        <Route path="/" component={HomePage} />
        <Route path="/audit" component={AuditPage} />
        <Route path="/meter-reads" component={MeterReadsPage} />
        <Route path="/inventory" component={InventoryPage} />
        <Route path="/devices/:id" component={DevicePage} />
        <Route path="/hub" component={HubPage} />
        <Route path="/freshness" component={FreshnessPage} />
        <Route path="/reports" component={ReportsPage} />
        <Route path="/reports/:name" component={ReportPage} />
        <Route path="/calls" component={CallsPage} />
        <Route path="/profile" component={ProfilePage} />
        <Route default component={NoSuchPage} />
      </Router>
    </ErrorBoundary>
  );
}

/** Operators' pages are apart from those of Users: nothing of a User's session goes on there. */
function Console() {
  const { path } = useLocation();
  if (isOfOperators(path)) {
    return <OperatorPages />;
  }
  return (
    <SessionProvider>
      <Frame />
    </SessionProvider>
  );
}

function Frame() {
  const session = useSession();
  const { path } = useLocation();
  useSlash();
  const { who } = session;
  const isFirst = who.state === "in" && isAsked(who.profile);
  const side = who.state === "in" && (
    <div class="who">
      <span>{who.profile.party}</span>
      <button type="button" onClick={() => void session.logOut()}>
        Log out
      </button>
    </div>
  );
  const links = who.state === "in" && !isFirst ? linksFor(who.profile) : undefined;
  return (
    <>
      <Shell name="Self-Service Interface" home="/" links={links} path={path} isAt={isFirst ? "the first log-in" : path} side={side}>
        {who.state === "unknown" && <p class="progress">Looking who you are …</p>}
        {who.state === "out" && <LogInPage who={who} />}
        {who.state === "in" && (
          <>
            <LogOutTrouble session={session} />
            <Confirmation session={session} />
            {isFirst ? <FirstLogInPage /> : <Pages />}
          </>
        )}
      </Shell>
      <EndsSoon session={session} />
    </>
  );
}

/** Whoever goes away in the belief that nobody is logged in must hear that somebody is. */
function LogOutTrouble({ session }: { session: Session }) {
  const { troubleOfLogOut } = session;
  return troubleOfLogOut ? <TroubleNote trouble={troubleOfLogOut} again={() => void session.logOut()} /> : null;
}

/** What a login is confirmed with, and the way back to where somebody was going. */
function Confirmation({ session }: { session: Session }) {
  const { route } = useLocation();
  const [isShown, setIsShown] = useState(() => sessionStorage.getItem(GOING_TO) !== null);
  useEffect(() => {
    const to = sessionStorage.getItem(GOING_TO);
    sessionStorage.removeItem(GOING_TO);
    if (isOwn(to) && to !== location.pathname + location.search) {
      route(to, true);
    }
  }, [route]);
  if (!isShown || session.who.state !== "in") {
    return null;
  }
  return (
    <p class="note done" role="status">
      You are logged in for {session.who.profile.party}, until <Time at={session.who.profile.expiresAt} />.{" "}
      <button type="button" onClick={() => setIsShown(false)}>
        Hide
      </button>
    </p>
  );
}

/** A minute before an unused session ends. */
function EndsSoon({ session }: { session: Session }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const isSoon = session.endsIn !== undefined;
  useEffect(() => {
    if (isSoon) {
      dialog.current?.showModal();
    } else {
      dialog.current?.close();
    }
  }, [isSoon]);
  return (
    <dialog ref={dialog} aria-labelledby="ends-soon" onCancel={(event) => (event.preventDefault(), void session.goOn())}>
      <h2 id="ends-soon">Are you still there?</h2>
      <p>Nobody has used this session for a while. It ends in {seconds((session.endsIn ?? 0) / 1000)}. What you searched for stays in the address.</p>
      <LogOutTrouble session={session} />
      <button type="button" class="primary" onClick={() => void session.goOn()}>
        Go on
      </button>{" "}
      <button type="button" onClick={() => void session.logOut()}>
        Log out
      </button>
    </dialog>
  );
}

/** `/` leads to the search box, as long as nobody types. */
function useSlash() {
  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      const isTyping = event.target instanceof Element && event.target.closest("input, textarea, select") !== null;
      const box = document.querySelector<HTMLInputElement>(".search-box");
      if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey && box) {
        event.preventDefault();
        box.focus();
        box.select();
      }
    };
    addEventListener("keydown", listen);
    return () => removeEventListener("keydown", listen);
  }, []);
}

const root = document.getElementById("console");
if (root) {
  render(
    <LocationProvider>
      <Console />
    </LocationProvider>,
    root,
  );
}
