//! `gridtrail serve`: the query service over one lake, until it is asked to stop.

use crate::args::{Format, ReportTakes, ServeArgs, ServeReportArgs, ServeSqlArgs, ServerTlsArgs};
use crate::exit::Failure;
use crate::freshness::levels_of;
use crate::housekeeping::{Housekeeping, maintain};
use crate::log_in::LoginPlan;
use crate::metrics::{self, Metrics};
use crate::opening::{open_existing, open_to_serve};
use crate::output;
use crate::report_jobs::{JobsPlan, read_schedule};
use crate::rights::{Feed, keep_rights};
use crate::running::{asked_to_stop, end, listen, wait_for_detached};
use crate::watching::keep_fresh;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gridtrail_access::{AccessError, Admission, Doors, Gatekeeper, OperatorGate, RoleMatrix};
use gridtrail_access_log::{AccessLog, Committing};
use gridtrail_flight::{FlightSql, Freshened, Served, Spill, SqlLimits};
use gridtrail_freshness::{Levels, Outward, Watch};
use gridtrail_lake::Lake;
use gridtrail_port::{FileLimit, Port};
use gridtrail_reports::{Catalogue, ReportError};
use gridtrail_runtime::Clock;
use gridtrail_search::{HubSearch, HubTables, InventorySearch, PageKey, Search};
use gridtrail_server::{
    CallRecord, Console, DeviceLink, Limits, OperatorParts, Parts, ReportParts, SqlParts, serve, terms,
};
use gridtrail_sql::STACK_BYTES;
use gridtrail_tls::{ClientCheck, Tls, TlsFiles};
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::task::AbortOnDropHandle;

/// How often new versions of the lake are looked for: it adds at most so much to the age of an answer.
const REFRESH_EVERY: Duration = Duration::from_millis(500);

/// How long statements may take to end when the server does: they look up from their work every few milliseconds.
const STATEMENTS_END: Duration = Duration::from_secs(5);

pub(crate) async fn run(args: &ServeArgs, format: Format) -> Result<(), Failure> {
    let metrics_at = metrics::address(&args.metrics)?;
    let roles = role_matrix(args.job_type_roles.as_deref())?;
    let gatekeeper = args.public_key.as_deref().map(|path| gatekeeper(args, path, &roles)).transpose()?;
    let operators = args.operators.operators.as_deref();
    let operators = operators.map(|path| operator_gate(path, args.public_key.as_deref())).transpose()?;
    let report_jobs = report_jobs_of(args, &roles)?;
    let tls = tls_of(&args.tls, args.listen)?;
    let page_key = page_key(args.page_key.as_deref())?;
    let levels = levels_of(&args.levels)?;
    let housekeeping = (!args.no_maintenance && !args.read_only).then(|| Housekeeping {
        every: Duration::from_secs(args.maintain_every.seconds().into()),
        compaction: args.compaction.settings(),
    });
    let pages_tls =
        args.login.saml_listen.map(|address| pages_tls(&args.tls, address)).transpose()?.flatten();
    let (files, whence) = (FileLimit::raised(), args.port.whence());
    let ports = if args.login.saml_listen.is_some() { 2 } else { 1 };
    let pages_terms = args.port.terms(files, ports, gridtrail_session::terms);
    let login =
        LoginPlan::read(args.login.clone(), (roles, args.console), (pages_tls, pages_terms, whence.clone()))
            .await?;
    let lake = open_to_serve(&args.lake, args.cache_memory, args.read_only).await?;
    lake.check_windows().await?;
    let calls = match &args.access_log_lake {
        Some(address) => other_than(&lake, open_existing(address).await?)?,
        None => lake.clone(),
    };
    let terms = args.port.terms(files, ports, terms);
    let port = Port { listener: listen(args.listen).await?, tls, terms, whence };
    let metrics = metrics_at.map(Metrics::show).transpose()?;
    // Before the address is told: who reads it may ask for the end at once.
    let stop = asked_to_stop()?;
    let server = url_of(&port)?;
    let pages = login.as_ref().and_then(LoginPlan::port).map(url_of).transpose()?;
    let address = args.lake.clone();
    let serving = Box::new(move || {
        let line = match format {
            Format::Table => {
                [Some(&server), pages.as_ref()].into_iter().flatten().map(|url| format!("{url}\n")).collect()
            }
            Format::Json => format!("{}\n", serde_json::json!({ "server": server, "logins": pages })),
        };
        tracing::info!(%server, lake = address, "serving");
        output::write(&mut io::stdout().lock(), line.as_bytes())
    });
    if args.console && !gridtrail_console::is_built() {
        tracing::warn!(
            "this build has no console: scripts/console builds its pages, with Node, before cargo does"
        );
    }
    let tells_cost = args.tell_cost;
    let shows_type_2 = args.show_type_2;
    let limits = args.callers.limits();
    let spill = spill_into("--sql-spill", args.sql.sql_spill.as_deref(), args.sql.sql_spill_limit)?;
    let (sql, reports) = (sql_terms(&args.sql, spill.clone()), report_terms(&args.reports, spill));
    let hub_tables = args.hub_tables.into();
    let communicate_with = args.communicate_with.clone();
    let access_lapse = Duration::from_secs(args.access_lapse.seconds().into());
    let hosted = Hosted {
        lake,
        calls,
        port,
        gatekeeper,
        operators,
        login,
        has_console: args.console,
        page_key,
        housekeeping,
        levels,
        access_lapse,
        metrics,
        limits,
        sql,
        reports,
        report_jobs,
        hub_tables,
        communicate_with,
        shows_type_2,
        tells_cost,
        serving,
    };
    host(hosted, stop).await?;
    tracing::info!("stopped");
    Ok(())
}

/// The lake that calls are recorded in, which must be another than that which is served.
pub(crate) fn other_than(served: &Lake, calls: Lake) -> Result<Lake, Failure> {
    if calls.address() == served.address() {
        let reason = "it is the lake that is served, to which nothing is to be written".to_owned();
        return Err(Failure::Argument { argument: "--access-log-lake", reason });
    }
    Ok(calls)
}

/// Checks tokens of the issuer whose key lies at a path.
fn gatekeeper(args: &ServeArgs, path: &Path, roles: &Arc<RoleMatrix>) -> Result<Gatekeeper, Failure> {
    let pem = crate::text::read(path)?;
    Gatekeeper::new(&pem, &args.issuer, &args.audience, Arc::clone(roles))
        .map_err(|error| Failure::Argument { argument: "--public-key", reason: error.to_string() })
}

/// What lets operators in: those whose tokens the key in a file checks, which is another than that of the tokens of Users.
fn operator_gate(operators: &Path, of_users: Option<&Path>) -> Result<OperatorGate, Failure> {
    let wrong = |reason: String| Failure::Argument { argument: "--operators", reason };
    let pem = crate::text::read(operators)?;
    if let Some(path) = of_users
        && crate::text::read(path)?.trim() == pem.trim()
    {
        return Err(wrong("it is the key of --public-key: give operators a key of their own".to_owned()));
    }
    OperatorGate::new(&pem).map_err(|error| wrong(error.to_string()))
}

/// The URL by which clients reach a port.
pub(crate) fn url_of(port: &Port) -> Result<String, Failure> {
    let address = port
        .listener
        .local_addr()
        .map_err(|_| Failure::Process("the system does not tell the server's address"))?;
    Ok(format!("{}://{address}", if port.tls.is_some() { "https" } else { "http" }))
}

/// How a server's connections are encrypted.
fn tls_of(args: &ServerTlsArgs, listen: SocketAddr) -> Result<Option<Arc<Tls>>, Failure> {
    let (Some(certificate), Some(key)) = (args.tls_certificate.clone(), args.tls_key.clone()) else {
        // Tokens and rows would be read by whoever is on the way.
        if listen.ip().is_loopback() {
            return Ok(None);
        }
        let reason = format!("{listen} is no loopback address: name a certificate with --tls-certificate");
        return Err(Failure::Argument { argument: "--plain-text", reason });
    };
    let clients = args
        .client_anchors
        .clone()
        .map(|anchors| ClientCheck { anchors, revoked: args.client_revoked.clone() });
    Ok(Some(Arc::new(Tls::open(TlsFiles { certificate, key, clients })?)))
}

/// How the pages of logins are encrypted: as the service is, but browsers show no certificate.
fn pages_tls(args: &ServerTlsArgs, listen: SocketAddr) -> Result<Option<Arc<Tls>>, Failure> {
    let without = ServerTlsArgs { client_anchors: None, client_revoked: None, ..args.clone() };
    tls_of(&without, listen)
}

/// The matrix of Job Type Roles, with the names that a file gives some of them.
pub(crate) fn role_matrix(path: Option<&Path>) -> Result<Arc<RoleMatrix>, Failure> {
    let built_in = RoleMatrix::built_in().map_err(AccessError::from)?;
    let Some(path) = path else { return Ok(Arc::new(built_in)) };
    let text = crate::text::read(path)?;
    let renamed = built_in.renamed(&text).map_err(|error| Failure::Argument {
        argument: "--job-type-roles",
        reason: format!("{}: {error}", path.display()),
    })?;
    Ok(Arc::new(renamed))
}

/// The schedule of reports, where there is one.
fn report_jobs_of(args: &ServeArgs, roles: &RoleMatrix) -> Result<Option<JobsPlan>, Failure> {
    let Some(path) = &args.report_schedule else { return Ok(None) };
    let schedule = read_schedule(path, roles, "--report-schedule")?;
    Ok(Some(JobsPlan { schedule, takes: ReportTakes::of(&args.reports) }))
}

/// The key that servers share, or one of this process alone.
fn page_key(path: Option<&Path>) -> Result<PageKey, Failure> {
    let Some(path) = path else { return Ok(PageKey::random()?) };
    let text = crate::text::key(path)?;
    let wrong = || Failure::Argument {
        argument: "--page-key",
        reason: format!(
            "{} does not hold 32 bytes in base64; `(umask 077; openssl rand -base64 32 > FILE)` makes them",
            path.display()
        ),
    };
    let bytes = STANDARD.decode(text.trim()).map_err(|_| wrong())?;
    let key = <[u8; 32]>::try_from(bytes).map_err(|_| wrong())?;
    Ok(PageKey::from_bytes(&key)?)
}

/// How a server answers SQL.
pub(crate) struct SqlTerms {
    at_once: NonZeroU32,
    at_once_each: NonZeroU32,
    limits: SqlLimits,
}

/// Where statements put what does not fit into their memory.
pub(crate) fn spill_into(
    argument: &'static str,
    folder: Option<&Path>,
    mib: u32,
) -> Result<Option<Spill>, Failure> {
    let Some(folder) = folder else { return Ok(None) };
    let spill = Spill::into_folder(folder.to_owned(), u64::from(mib) << 20);
    let reason = |error: io::Error| format!("no file can be made in {}: {error}", folder.display());
    spill.map(Some).map_err(|error| Failure::Argument { argument, reason: reason(error) })
}

/// As a server's arguments say; `None`: it answers none.
pub(crate) fn sql_terms(args: &ServeSqlArgs, spill: Option<Spill>) -> Option<SqlTerms> {
    let at_once = NonZeroU32::new(args.sql_statements)?;
    let limits = SqlLimits {
        spill,
        memory_bytes: usize::try_from(args.sql_memory).unwrap_or(usize::MAX).saturating_mul(1 << 20),
        parts: args.sql_parts,
        time: Duration::from_secs(args.sql_time.seconds().into()),
    };
    Some(SqlTerms { at_once, at_once_each: args.sql_statements_each.min(at_once), limits })
}

impl SqlTerms {
    fn over(
        self,
        served: Served,
        clock: &Clock,
        key: &PageKey,
        threads: &SqlThreads,
    ) -> Result<SqlParts, Failure> {
        let Self { at_once, at_once_each, limits } = self;
        let flight = FlightSql::new(served, clock.clone(), key.clone(), limits);
        Ok(SqlParts { flight, at_once, at_once_each, threads: threads.handle()? })
    }
}

/// How a server makes reports.
pub(crate) struct ReportTerms {
    at_once: NonZeroU32,
    at_once_each: NonZeroU32,
    limits: SqlLimits,
}

/// As a server's arguments say; `None`: it makes none.
pub(crate) fn report_terms(args: &ServeReportArgs, spill: Option<Spill>) -> Option<ReportTerms> {
    let limits = SqlLimits {
        spill,
        memory_bytes: usize::try_from(args.report_memory).unwrap_or(usize::MAX).saturating_mul(1 << 20),
        parts: args.report_parts,
        time: Duration::from_secs(args.report_time.seconds().into()),
    };
    let at_once = NonZeroU32::new(args.report_runs)?;
    Some(ReportTerms { at_once, at_once_each: args.report_runs_each.min(at_once), limits })
}

impl ReportTerms {
    fn over(self, lake: &Lake, threads: &SqlThreads) -> Result<ReportParts, Failure> {
        let Self { at_once, at_once_each, limits } = self;
        let reports = Catalogue::shared().map_err(ReportError::from)?;
        Ok(ReportParts {
            reports,
            lake: lake.clone(),
            limits,
            at_once,
            at_once_each,
            threads: threads.handle()?,
        })
    }
}

/// The threads of statements, those of reports among them.
struct SqlThreads(Option<tokio::runtime::Runtime>);

impl SqlThreads {
    fn start() -> Result<Self, Failure> {
        let mut threads = tokio::runtime::Builder::new_multi_thread();
        let runtime = threads.thread_name("sql").thread_stack_size(STACK_BYTES).enable_all().build();
        Ok(Self(Some(runtime.map_err(|_| Failure::Process("the system gives no threads"))?)))
    }

    fn handle(&self) -> Result<tokio::runtime::Handle, Failure> {
        let runtime = self.0.as_ref().ok_or(Failure::Process("the threads of statements have ended"))?;
        Ok(runtime.handle().clone())
    }

    /// Ends what is left of statements, for which no call waits any more, so that each has its record.
    async fn end(mut self) {
        if let Some(runtime) = self.0.take() {
            // It waits for threads, which is not for one of ours to do.
            let _ = tokio::task::spawn_blocking(|| runtime.shutdown_timeout(STATEMENTS_END)).await;
        }
    }
}

impl Drop for SqlThreads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// What a server answers from, and how.
pub(crate) struct Hosted {
    pub(crate) lake: Lake,
    /// The lake whose access log takes the record of calls: the same, unless nothing may be written to that.
    pub(crate) calls: Lake,
    /// Where calls come in.
    pub(crate) port: Port,
    /// Checks tokens that stand for themselves; `None`: none are accepted.
    pub(crate) gatekeeper: Option<Gatekeeper>,
    /// Lets operators in; `None`: nobody is one here.
    pub(crate) operators: Option<OperatorGate>,
    /// Logs people in; `None`: nobody logs in.
    pub(crate) login: Option<LoginPlan>,
    /// Whether the pages of the console are served, too.
    pub(crate) has_console: bool,
    pub(crate) page_key: PageKey,
    /// How the lake is kept in order; `None` leaves that to other processes.
    pub(crate) housekeeping: Option<Housekeeping>,
    /// Where the levels of freshness begin.
    pub(crate) levels: Levels,
    /// How long the topics of events of access may stand still before what was granted lapses.
    pub(crate) access_lapse: Duration,
    /// What to show of it.
    pub(crate) metrics: Option<Metrics>,
    /// What each caller may ask for.
    pub(crate) limits: Limits,
    /// How SQL is answered; `None`: it is not.
    pub(crate) sql: Option<SqlTerms>,
    /// How reports are made; `None`: they are not.
    pub(crate) reports: Option<ReportTerms>,
    /// The reports that are made beside the calls; `None`: none are.
    pub(crate) report_jobs: Option<JobsPlan>,
    /// To whom both tables of a Communications Hub are open.
    pub(crate) hub_tables: HubTables,
    /// Where a person asks for a communication with a Device.
    pub(crate) communicate_with: Option<DeviceLink>,
    /// Whether the inventory shows every Type 2 Device.
    pub(crate) shows_type_2: bool,
    /// Whether answers say what they cost.
    pub(crate) tells_cost: bool,
    /// Called once calls are answered: all that can fail before has not.
    pub(crate) serving: Box<dyn FnOnce() -> Result<(), Failure> + Send>,
}

/// Serves a lake, always at its newest version, until `stop` completes and open calls are done.
pub(crate) async fn host(hosted: Hosted, stop: impl Future<Output = ()> + Send) -> Result<(), Failure> {
    let Hosted {
        lake,
        calls,
        port,
        gatekeeper,
        operators,
        login,
        has_console,
        page_key,
        housekeeping,
        levels,
        access_lapse,
        metrics,
        limits,
        sql,
        reports,
        report_jobs,
        hub_tables,
        communicate_with,
        shows_type_2,
        tells_cost,
        serving,
    } = hosted;
    let clock = Clock::system();
    let search = Search::new(lake.clone(), clock.clone(), page_key.clone());
    let hubs = HubSearch::new(lake.clone(), clock.clone(), hub_tables);
    let freshness = Arc::new(Watch::new(lake.clone(), levels));
    let outward = Arc::<Outward>::default();
    let freshened = Freshened { freshness: Arc::clone(&freshness) as _, outward: Arc::clone(&outward) };
    let served = Served { lake: lake.clone(), calls: calls.clone(), freshness: freshened, shows_type_2 };
    let sql_threads = SqlThreads::start()?;
    let sql = sql.map(|terms| terms.over(served, &clock, &page_key, &sql_threads)).transpose()?;
    let reports = reports.map(|terms| terms.over(&lake, &sql_threads)).transpose()?;
    let operators = operators.map(|gate| OperatorParts { gate, lake: lake.clone() });
    let record = CallRecord { lake: calls.clone(), key: page_key.clone() };
    let inventory = InventorySearch::new(lake.clone(), clock.clone(), page_key, shows_type_2);
    let sharing = lake.sharing().await?;
    let by = port.listener.local_addr().map(|address| address.to_string()).unwrap_or_default();
    let (log, recording) = AccessLog::open(calls.access_log().await, clock.clone(), &by).await?;
    let login = login.map(|plan| plan.over(&lake, &log)).transpose()?;
    let doors = Doors { gatekeeper, sessions: login.as_ref().map(|login| login.gate.clone()) };
    let admission = Admission::new(doors, sharing.current());
    let feed = Feed::new(lake.clone(), access_lapse);
    let following = AbortOnDropHandle::new(tokio::spawn(keep_rights(feed, sharing, admission.clone())));
    let jobs = report_jobs.map(|plan| plan.start([&lake, &calls], &admission, &log)).transpose()?;
    // Tasks of their own: reading a long log must not hold up calls. They end with this function.
    let maintaining =
        housekeeping.map(|how| AbortOnDropHandle::new(tokio::spawn(maintain(lake.clone(), how))));
    let watching = keep_fresh(lake.clone(), Arc::clone(&freshness), REFRESH_EVERY, metrics);
    let refreshing = AbortOnDropHandle::new(tokio::spawn(watching));
    let console =
        has_console.then(|| Console { logins: login.as_ref().and_then(|login| login.console.clone()) });
    let (login, login_tasks) = match login {
        Some(host) => (Some(host.parts.clone()), Some(host.start())),
        None => (None, None),
    };
    let parts = Parts {
        port,
        search,
        hubs,
        inventory,
        sql,
        reports,
        freshness,
        outward,
        admission,
        login,
        console,
        log,
        calls: Some(record),
        operators,
        communicate_with,
        clock,
        limits,
        tells_cost,
    };
    let served = match serving() {
        Ok(()) => serve(parts, stop).await.map_err(Failure::from),
        Err(failure) => Err(failure),
    };
    if let Some(tasks) = login_tasks {
        tasks.end().await;
    }
    sql_threads.end().await;
    if let Some(jobs) = jobs {
        jobs.end().await;
    }
    let tasks = maintaining.into_iter().chain([refreshing, following]);
    end_beside(tasks, recording, [&lake, &calls]).await;
    served
}

/// Ends what goes on beside the calls, of which none is under way any more.
async fn end_beside(
    tasks: impl Iterator<Item = AbortOnDropHandle<()>>,
    recording: Committing,
    lakes: [&Lake; 2],
) {
    for task in tasks {
        end(task).await;
    }
    // What is left of the record, and its end.
    if let Err(error) = recording.close().await {
        tracing::warn!(%error, "the record of calls could not be ended: its chain stays open");
    }
    for lake in lakes {
        wait_for_detached(lake).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gridtrail_access::{DevKey, OperatorKey};

    #[test]
    fn operators_have_a_key_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let key = OperatorKey::generate().unwrap();
        let own = write("own.pem", &key.to_public_pem());
        let same = write("same.pem", &format!("{}\n", key.to_public_pem()));
        let users = write("users.pem", &DevKey::generate().unwrap().to_public_pem());
        assert!(operator_gate(&own, None).is_ok());
        assert!(operator_gate(&own, Some(&users)).is_ok());
        assert!(matches!(
            operator_gate(&own, Some(&same)),
            Err(Failure::Argument { argument: "--operators", .. })
        ));
        // The private half has no business at a server.
        let private = write("private.pem", &key.to_pem());
        assert!(matches!(
            operator_gate(&private, None),
            Err(Failure::Argument { argument: "--operators", .. })
        ));
    }
}
