//! A served world of three rows, and its callers.

use gridtrail_access::{
    AccessEvent, Admission, Assignment, Bearer, DevKey, Doors, JobTypeRole, OperatorGate, OperatorKey, OrgId,
    Party, SessionGate, Sharing,
};
use gridtrail_access_log::fake::MemoryLog;
use gridtrail_access_log::{AccessLog, Committing, Entry, RowKind};
use gridtrail_flight::{FlightSql, Freshened, Served, SqlLimits};
use gridtrail_freshness::{Freshness, Inputs, Ledger, Levels, Report};
use gridtrail_lake::{
    Batch, DeadLetter, Extent, Lake, LakeSettings, Partition, SourceEvidence, Stream, Waiting,
};
use gridtrail_model::{
    Alert, Body, Correlation, CspRegion, DeviceId, Event, Fold, Fragment, HistoryEntry, Mode,
    RequestReceived, ResponseContent, ResponseSent, State, StatusChanged, Timestamp, UserId, UserRole,
};
use gridtrail_port::{Port, Whence};
use gridtrail_proto::query::v1::audit_trail_service_client::AuditTrailServiceClient;
use gridtrail_proto::query::v1::freshness_service_client::FreshnessServiceClient;
use gridtrail_proto::query::v1::inventory_service_client::InventoryServiceClient;
use gridtrail_proto::query::v1::meter_read_service_client::MeterReadServiceClient;
use gridtrail_proto::query::v1::session_service_client::SessionServiceClient;
use gridtrail_proto::query::v1::{SearchRequest, search_request::Key};
use gridtrail_reports::Catalogue;
use gridtrail_runtime::Clock;
use gridtrail_search::fake::FakeLake;
use gridtrail_search::{
    HubSearch, HubStore, HubTables, InventorySearch, InventoryStore, PageKey, Search, Store,
};
use gridtrail_server::{
    CallRecord, Console, Limits, LoginParts, OperatorParts, Parts, ReportParts, ServeError, SqlParts, serve,
    terms,
};
use gridtrail_session::{Endpoint, Landing};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::Request;
use tonic::transport::Channel;

pub(crate) const ANN: &str = "90-B3-D5-1F-30-01-00-00";
pub(crate) const BOB: &str = "88-73-84-57-00-2F-96-1E";
pub(crate) const METER: &str = "00-DB-12-34-56-78-90-A0";
pub(crate) const MPAN: &str = "1217290354420";

pub(crate) fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn now() -> Timestamp {
    time("2026-03-02T00:00:00Z")
}

/// The freshness of a topic of one partition, which a test sets.
#[derive(Debug, Clone)]
pub(crate) struct FakeFreshness(Arc<Mutex<Option<Timestamp>>>);

impl FakeFreshness {
    /// Up to when the partition is complete; `None`: nothing is known yet.
    pub(crate) fn set(&self, complete_up_to: Option<Timestamp>) {
        *self.0.lock().unwrap() = complete_up_to;
    }
}

const HOUR_MS: i64 = 3_600_000;

impl Freshness for FakeFreshness {
    fn report(&self, days: i64) -> Option<Report> {
        let complete_up_to = *self.0.lock().unwrap();
        let stream = Stream { cluster: "c".into(), topic: "events".into(), id: "one".into(), partitions: 1 };
        complete_up_to?;
        Some(Ledger::new(Levels::default()).report(&Inputs {
            now: now(),
            partitions: &[Partition { stream, partition: 0, position: Some(7), complete_up_to }],
            waiting: Waiting { rows: 2, oldest: Some(now().plus_millis(-days * HOUR_MS)), before_limit: 0 },
            version: "trails=1",
            confirmed: now(),
            days,
            stopped: None,
        }))
    }
}

/// Up to when the rows of a world are complete.
fn complete_up_to() -> Timestamp {
    time("2026-03-01T23:59:00Z")
}

/// A lake in memory with the rows of a world, each in a run of its own.
async fn filled_lake(clock: Clock) -> Lake {
    let lake = Lake::open(LakeSettings::at("memory:///served"), clock).await.unwrap();
    let mut writer = lake.writer().await.unwrap();
    for (number, row) in rows().into_iter().enumerate() {
        let source = SourceEvidence {
            source: format!("file:{number}"),
            name: format!("{number}.jsonl"),
            first: true,
            to: 1,
            records: 1,
            stored: 1,
            recorded_max_ms: Some(complete_up_to().millis()),
            finished: true,
            ..SourceEvidence::default()
        };
        let batch = Batch { fragments: vec![row], sources: vec![source], ..Batch::default() };
        writer.commit(batch).await.unwrap();
    }
    lake
}

/// A file of three records that could not be read.
fn dead_letters() -> Batch {
    let letter = |position: i64| DeadLetter {
        source: "file:bad".into(),
        source_name: "bad.jsonl".into(),
        position,
        reason: if position == 2 { "no JSON" } else { "command_variant is missing" }.into(),
        raw: format!("<bad record {position}>").into(),
        extent: Extent::Whole,
        key: Some("k".into()),
        headers: vec![("h".into(), "v".into())],
        read_at: now(),
    };
    let source = SourceEvidence {
        source: "file:bad".into(),
        name: "bad.jsonl".into(),
        first: true,
        to: 3,
        records: 3,
        dead_lettered: 3,
        dead_lettered_at: (0..3).collect(),
        finished: true,
        ..SourceEvidence::default()
    };
    Batch { dead_letters: (0..3).map(letter).collect(), sources: vec![source], ..Batch::default() }
}

/// Each User ID is that of a Party of its own.
pub(crate) fn party_of(user: &str) -> Party {
    format!("Party {user}").parse().unwrap()
}

/// The claims of somebody who works for a User's Party, with these User IDs and roles.
pub(crate) fn bearer_of(user: &str, user_ids: &[&str], roles: &[u8]) -> Bearer {
    Bearer {
        subject: format!("someone at {user}"),
        party: party_of(user),
        org_id: OrgId::All,
        user_ids: user_ids.iter().map(|id| id.parse().unwrap()).collect(),
        roles: roles.iter().map(|role| JobTypeRole::new(*role).unwrap()).collect(),
        valid_from: now(),
        expires_at: now().plus_millis(12 * 3_600_000),
    }
}

/// Who shares with whom at first: nobody with anybody.
fn sharing() -> Sharing {
    let mut sharing = Sharing::default();
    for user in [ANN, BOB] {
        let to = Some(Assignment { party: party_of(user), role: UserRole::IS, descriptor: None });
        sharing.take(AccessEvent::Assigned { user_id: user.parse().unwrap(), to, from: Timestamp::MIN });
    }
    sharing
}

/// What not every server answers.
#[derive(Default)]
struct Optional {
    login: Option<(LoginParts, SessionGate)>,
    sql: Option<SqlParts>,
    reports: Option<ReportParts>,
    calls: Option<CallRecord>,
    operators: Option<OperatorParts>,
}

/// A server on a free port, over a lake that obeys the test or over a real one.
pub(crate) struct World<L = FakeLake> {
    pub(crate) lake: L,
    pub(crate) freshness: FakeFreshness,
    pub(crate) admission: Admission,
    pub(crate) clock: Clock,
    pub(crate) address: SocketAddr,
    pub(crate) record: MemoryLog,
    committing: Committing,
    key: DevKey,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), ServeError>>,
}

impl World {
    /// One whose callers bring tokens.
    pub(crate) async fn serve() -> Self {
        Self::with(Clock::manual(now()), None).await
    }

    /// One where a caller may have so many calls under way.
    pub(crate) async fn serve_at_once(at_once: NonZeroU32) -> Self {
        let limits = gridtrail_server::CallerLimits { at_once, calls_a_minute: None, rows_a_minute: None };
        let limits = Limits { person: limits, program: limits };
        Self::limited(Self::filled(), Clock::manual(now()), None, limits).await
    }

    /// One where people also log in.
    pub(crate) async fn serve_with(login: (LoginParts, SessionGate), clock: Clock) -> Self {
        Self::with(clock, Some(login)).await
    }

    /// One of other rows.
    pub(crate) async fn serve_rows(rows: Vec<Fragment>) -> Self {
        let lake = FakeLake::default();
        lake.commit(rows, Some(complete_up_to()));
        Self::over(lake, Clock::manual(now()), None).await
    }

    async fn with(clock: Clock, login: Option<(LoginParts, SessionGate)>) -> Self {
        Self::over(Self::filled(), clock, login).await
    }

    fn filled() -> FakeLake {
        let lake = FakeLake::default();
        lake.commit(rows(), Some(complete_up_to()));
        lake
    }
}

impl World<Lake> {
    /// One over a real lake, which needs a runtime of several threads. It cannot be asked for what was at an instant: its tables
    /// are made at the machine's time, and the clock stands before that.
    pub(crate) async fn serve_lake() -> Self {
        let clock = Clock::manual(now());
        let lake = filled_lake(clock.clone()).await;
        let calls = CallRecord { lake: lake.clone(), key: PageKey::random().unwrap() };
        Self::answering(
            lake,
            clock,
            Optional { calls: Some(calls), ..Optional::default() },
            Limits::default(),
        )
        .await
    }

    /// One over a real lake with three dead letters, that answers all that a server can: SQL and reports, own calls, and operators with this
    /// key.
    pub(crate) async fn serve_operators() -> (Self, OperatorKey) {
        let clock = Clock::manual(now());
        let lake = filled_lake(clock.clone()).await;
        lake.writer().await.unwrap().commit(dead_letters()).await.unwrap();
        let freshness = FakeFreshness(Arc::new(Mutex::new(Some(now()))));
        let freshness = Freshened { freshness: Arc::new(freshness), outward: Arc::default() };
        let (served, calls) = (lake.clone(), lake.clone());
        let served = Served { lake: served, calls, freshness, shows_type_2: false };
        let (limits, key) = (SqlLimits::default(), OperatorKey::generate().unwrap());
        let page_key = PageKey::random().unwrap();
        let flight = FlightSql::new(served, clock.clone(), page_key.clone(), limits.clone());
        let (at_once, at_once_each) = (NonZeroU32::new(2).unwrap(), NonZeroU32::MIN);
        let optional = Optional {
            login: None,
            sql: Some(SqlParts { flight, at_once, at_once_each, threads: Handle::current() }),
            reports: Some(ReportParts {
                reports: Catalogue::shared().unwrap(),
                lake: lake.clone(),
                limits,
                at_once,
                at_once_each,
                threads: Handle::current(),
            }),
            calls: Some(CallRecord { lake: lake.clone(), key: page_key }),
            operators: Some(OperatorParts {
                gate: OperatorGate::new(&key.to_public_pem()).unwrap(),
                lake: lake.clone(),
            }),
        };
        (Self::answering(lake, clock, optional, Limits::default()).await, key)
    }

    /// One over a real lake that answers SQL, two statements at once and one of each caller, within these limits.
    pub(crate) async fn serve_sql(sql: SqlLimits) -> Self {
        let clock = Clock::manual(now());
        let lake = filled_lake(clock.clone()).await;
        let freshness = FakeFreshness(Arc::new(Mutex::new(Some(now()))));
        let freshness = Freshened { freshness: Arc::new(freshness), outward: Arc::default() };
        let (served, calls) = (lake.clone(), lake.clone());
        let served = Served { lake: served, calls, freshness, shows_type_2: false };
        let flight = FlightSql::new(served, clock.clone(), PageKey::random().unwrap(), sql);
        let at_once = NonZeroU32::new(2).unwrap();
        let parts = SqlParts { flight, at_once, at_once_each: NonZeroU32::MIN, threads: Handle::current() };
        Self::answering(lake, clock, Optional { sql: Some(parts), ..Optional::default() }, Limits::default())
            .await
    }

    /// One over a real lake that makes reports, two at once and one of each caller, within these limits.
    pub(crate) async fn serve_reports(limits: SqlLimits, callers: Limits) -> Self {
        let clock = Clock::manual(now());
        let lake = filled_lake(clock.clone()).await;
        let parts = ReportParts {
            reports: Catalogue::shared().unwrap(),
            lake: lake.clone(),
            limits,
            at_once: NonZeroU32::new(2).unwrap(),
            at_once_each: NonZeroU32::MIN,
            threads: Handle::current(),
        };
        Self::answering(lake, clock, Optional { reports: Some(parts), ..Optional::default() }, callers).await
    }
}

impl<L: Store + HubStore + InventoryStore + Clone> World<L> {
    pub(crate) async fn over(lake: L, clock: Clock, login: Option<(LoginParts, SessionGate)>) -> Self {
        Self::limited(lake, clock, login, Limits::default()).await
    }

    async fn limited(
        lake: L,
        clock: Clock,
        login: Option<(LoginParts, SessionGate)>,
        limits: Limits,
    ) -> Self {
        Self::answering(lake, clock, Optional { login, ..Optional::default() }, limits).await
    }

    async fn answering(
        lake: L,
        clock: Clock,
        Optional { login, sql, reports, calls, operators }: Optional,
        limits: Limits,
    ) -> Self {
        let (login, sessions) = login.unzip();
        let console = login.as_ref().map(console_of);
        let freshness = FakeFreshness(Arc::new(Mutex::new(Some(now()))));
        let key = DevKey::generate().unwrap();
        let doors = Doors { gatekeeper: Some(key.gatekeeper().unwrap()), sessions };
        let admission = Admission::new(doors, Arc::new(sharing()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let record = MemoryLog::default();
        let terms = terms(64, 64);
        let (log, committing) = AccessLog::open(record.clone(), clock.clone(), "test").await.unwrap();
        let parts = Parts {
            port: Port { listener, tls: None, terms, whence: Whence::Connection },
            search: Search::new(lake.clone(), clock.clone(), PageKey::random().unwrap()),
            hubs: HubSearch::new(lake.clone(), clock.clone(), HubTables::default()),
            inventory: InventorySearch::new(lake.clone(), clock.clone(), PageKey::random().unwrap(), false),
            sql,
            reports,
            freshness: Arc::new(freshness.clone()),
            outward: Arc::default(),
            admission: admission.clone(),
            login,
            log,
            calls,
            operators,
            communicate_with: Some("https://adaptor.example/ask?hub={device}".parse().unwrap()),
            clock: clock.clone(),
            limits,
            console,
            tells_cost: false,
        };
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(serve(parts, async {
            let _ = stopped.await;
        }));
        Self { lake, freshness, admission, clock, address, record, committing, key, stop, served }
    }

    pub(crate) async fn channel(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.address)).unwrap().connect().await.unwrap()
    }

    pub(crate) async fn audit_trails(&self) -> AuditTrailServiceClient<Channel> {
        AuditTrailServiceClient::new(self.channel().await)
    }

    pub(crate) async fn freshness(&self) -> FreshnessServiceClient<Channel> {
        FreshnessServiceClient::new(self.channel().await)
    }

    pub(crate) async fn sessions(&self) -> SessionServiceClient<Channel> {
        SessionServiceClient::new(self.channel().await)
    }

    pub(crate) async fn inventory(&self) -> InventoryServiceClient<Channel> {
        InventoryServiceClient::new(self.channel().await)
    }

    pub(crate) async fn meter_reads(&self) -> MeterReadServiceClient<Channel> {
        MeterReadServiceClient::new(self.channel().await)
    }

    pub(crate) fn token(&self, user: &str, role: u8) -> String {
        self.token_of(user, &[user], role)
    }

    /// A token of somebody who works for a User's Party, with these User IDs.
    pub(crate) fn token_of(&self, user: &str, user_ids: &[&str], role: u8) -> String {
        self.mint(&bearer_of(user, user_ids, &[role]))
    }

    /// A token with these claims.
    pub(crate) fn mint(&self, claims: &Bearer) -> String {
        self.key.mint(claims).unwrap()
    }

    /// A request of a User with a role that may search.
    pub(crate) fn by<T>(&self, user: &str, message: T) -> Request<T> {
        with_header(message, &format!("Bearer {}", self.token(user, 1)))
    }

    /// Stops, and gives what is on record of all calls.
    pub(crate) async fn recorded(self) -> Vec<Entry> {
        self.stop.send(()).unwrap();
        self.served.await.unwrap().unwrap();
        self.committing.close().await.unwrap();
        let rows = self.record.rows().into_iter();
        rows.filter(|row| row.kind == RowKind::Call).map(|row| row.entry).collect()
    }

    pub(crate) async fn stop(self) -> Result<(), ServeError> {
        self.stop.send(()).unwrap();
        self.served.await.unwrap()
    }
}

/// The pages of a server where people log in.
fn console_of(login: &LoginParts) -> Console {
    let landing = Landing::new(&login.logins.settings().service_provider, "/").unwrap();
    Console { logins: Some(Arc::new(Endpoint::of_console(Arc::clone(&login.logins), landing))) }
}

pub(crate) fn with_header<T>(message: T, authorization: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", authorization.parse().unwrap());
    request
}

pub(crate) fn of_meter() -> SearchRequest {
    SearchRequest { key: Some(Key::DeviceId(METER.into())), ..SearchRequest::default() }
}

fn event(id: &str, at: &str, correlation: &Correlation, body: Body) -> Event {
    Event { id: id.parse().unwrap(), recorded_at: time(at), correlation: correlation.clone(), body }
}

fn request(user: &str, counter: u64, variant: &str, received: &str) -> Correlation {
    Correlation {
        request_id: Some(format!("{user}:{METER}:{counter}").parse().unwrap()),
        request_received_at: Some(time(received)),
        command_variant: Some("1".parse().unwrap()),
        device_id: Some(METER.parse::<DeviceId>().unwrap()),
        mpxn: Some(MPAN.parse().unwrap()),
        csp_region: Some(CspRegion::FourGNorth),
        variant: Some(variant.parse().unwrap()),
        mode: Some(Mode::OnDemand),
        ..Correlation::of_user(user.parse::<UserId>().unwrap())
    }
}

fn received() -> Body {
    Body::RequestReceived(RequestReceived::default())
}

/// A read of Ann's that was received and tried again so many times, each for a reason of the longest that there are.
pub(crate) fn tried_again(counter: u64, times: usize) -> Fragment {
    let read = request(ANN, counter, "4.8.1", "2026-03-01T12:00:00Z");
    let mut fold = Fold::default();
    fold.add(event("1", "2026-03-01T12:00:00Z", &read, received())).unwrap();
    let mut row = fold.into_fragments().remove(0);
    for number in 0..times {
        let at = time("2026-03-01T12:00:01Z").plus_millis(i64::try_from(number).unwrap());
        let cause = Some(format!("no answer from the Communications Hub {number:0>82}").parse().unwrap());
        row.record(HistoryEntry { cause, ..HistoryEntry::new(State::Retrying, at) });
    }
    row
}

/// A read of Ann's that succeeded after a stay in quarantine, her newer one still under way, and Bob's update.
fn rows() -> Vec<Fragment> {
    let mut done = request(ANN, 1, "4.8.1", "2026-03-01T09:30:00.250Z");
    done.gbcs_originator_counter = Some(7);
    done.preceding_request_id = Some(format!("{ANN}:{METER}:0").parse().unwrap());
    let quarantined = Body::StatusChanged(StatusChanged {
        state: State::Quarantined,
        at: time("2026-03-01T09:30:01Z"),
        code: None,
        cause: Some("threshold 3".parse().unwrap()),
    });
    let answered = Body::ResponseSent(ResponseSent {
        response_id: Some(format!("{METER}:{ANN}:1").parse().unwrap()),
        code: "I0".parse().unwrap(),
        at: time("2026-03-01T09:31:02.003Z"),
        content: ResponseContent::ServiceResponse,
    });
    let open = request(ANN, 2, "4.8.1", "2026-03-01T10:00:00Z");
    let bobs = request(BOB, 3, "6.8", "2026-03-01T11:00:00Z");
    let mut fold = Fold::default();
    for event in [
        event("1", "2026-03-01T09:30:00.250Z", &done, received()),
        event("2", "2026-03-01T09:30:01Z", &done, quarantined),
        event("3", "2026-03-01T09:31:02.003Z", &done, answered),
        event("4", "2026-03-01T10:00:00Z", &open, received()),
        event("5", "2026-03-01T11:00:00Z", &bobs, received()),
    ] {
        fold.add(event).unwrap();
    }
    fold.into_fragments()
}

/// Ann's read that succeeded.
pub(crate) fn done_row() -> Fragment {
    let is_done =
        |row: &Fragment| row.variant_shown().is_some_and(|v| v.is_meter_read()) && row.history().len() == 3;
    rows().into_iter().find(is_done).unwrap()
}

/// An alert to Ann whose event claims a variant; `stored`: the claim is in the fragment, too, where the fold never puts it.
pub(crate) fn alert_that_claims(variant: &str, counter: u64, stored: bool) -> Fragment {
    let alert = Alert {
        response_id: format!("{METER}:{ANN}:{counter}").parse().unwrap(),
        code: "8F36".parse().unwrap(),
        at: time("2026-03-01T12:00:00Z"),
        sent_at: None,
        throttle_sequence: None,
        throttle_count: None,
        affects: None,
    };
    let mut fold = Fold::default();
    let of = request(ANN, counter, variant, "2026-03-01T12:00:00Z");
    fold.add(event("alert", "2026-03-01T12:00:00Z", &of, Body::DeviceAlert(alert))).unwrap();
    let mut fragment = fold.into_fragments().remove(0);
    if stored {
        fragment.variant.add(variant.parse().unwrap());
    }
    fragment
}
