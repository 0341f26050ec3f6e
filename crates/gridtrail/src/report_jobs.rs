//! Reports by a schedule, made: by `gridtrail report worker`, and beside the calls of `gridtrail serve --report-schedule`.

mod telling;

pub(crate) use telling::{is_data, print, tell};

use crate::args::{ReportTakes, ServeReportArgs};
use crate::exit::Failure;
use crate::opening::store_options;
use gridtrail_access::{Admission, RoleMatrix};
use gridtrail_access_log::AccessLog;
use gridtrail_lake::Lake;
use gridtrail_report_jobs::{FOLDER, Journal, Known, MakingLimits, Schedule, Step, Worker};
use gridtrail_reports::{Catalogue, ReportError};
use gridtrail_runtime::Clock;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long a worker sleeps at most: the clock of its machine may be set meanwhile.
const SLEEP_MAX: Duration = Duration::from_secs(30);
/// How soon a worker that cannot read its journal tries again.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// How long the end of a server waits for a worker to give up its lease.
const END_MAX: Duration = Duration::from_secs(5);

/// Reads a schedule from a file.
pub(crate) fn read_schedule(
    path: &Path,
    roles: &RoleMatrix,
    argument: &'static str,
) -> Result<Schedule, Failure> {
    let reports = Catalogue::built_in().map_err(ReportError::from)?;
    let (text, options) = (crate::text::read(path)?, store_options());
    let known = Known { reports: &reports, roles, store_options: &options };
    Schedule::parse(&text, known)
        .map_err(|error| Failure::Argument { argument, reason: format!("{}: {error}", path.display()) })
}

/// The journal of reports beside the tables of a lake.
pub(crate) fn journal_of(lake: &Lake) -> Result<Journal, Failure> {
    let (store, folder) = lake.beside(FOLDER)?;
    Ok(Journal::new(store, folder))
}

impl ReportTakes {
    /// In a server, what any report may take.
    pub(crate) const fn of(reports: &ServeReportArgs) -> Self {
        Self { report_memory: reports.report_memory, report_parts: reports.report_parts }
    }

    pub(crate) fn limits(&self, log: AccessLog) -> MakingLimits {
        let memory_bytes = usize::try_from(self.report_memory).unwrap_or(usize::MAX).saturating_mul(1 << 20);
        MakingLimits { memory_bytes, parts: self.report_parts, log: Some(log) }
    }
}

/// Has a worker make what is due, for as long as it is not asked to stop.
pub(crate) async fn work(mut worker: Worker, schedule: &Schedule, stop: impl Future<Output = ()>) {
    let mut stop = pin!(stop);
    let clock = Clock::system();
    let jobs: Vec<String> = schedule.jobs().map(|job| job.name().to_owned()).collect();
    loop {
        let step = tokio::select! {
            () = &mut stop => break,
            step = worker.step() => step,
        };
        tell(&step);
        telling::tell_late(&jobs, &worker.open());
        let pause = match step {
            Step::Ended(_) | Step::Failed { key: Some(_), .. } => continue,
            Step::Failed { key: None, .. } => AGAIN_AFTER,
            Step::Idle { until, .. } => until.map_or(SLEEP_MAX, |until| {
                let millis = u64::try_from(until.millis() - clock.now().millis()).unwrap_or_default();
                Duration::from_millis(millis.max(1)).min(SLEEP_MAX)
            }),
        };
        tokio::select! {
            () = &mut stop => break,
            () = tokio::time::sleep(pause) => {}
        }
    }
    worker.release().await;
}

/// A schedule that a server carries out beside its calls.
pub(crate) struct JobsPlan {
    pub(crate) schedule: Schedule,
    pub(crate) takes: ReportTakes,
}

/// A worker on threads of its own, so that reports hold up no call.
pub(crate) struct Jobs {
    stop: oneshot::Sender<()>,
    working: JoinHandle<()>,
    threads: tokio::runtime::Runtime,
}

impl JobsPlan {
    /// Starts the worker. `lakes` are that which is served and that which takes the record of calls.
    pub(crate) fn start(
        self,
        [lake, calls]: [&Lake; 2],
        admission: &Admission,
        log: &AccessLog,
    ) -> Result<Jobs, Failure> {
        let threads = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("reports")
            .enable_all()
            .build()
            .map_err(|_| Failure::Process("the system gives no threads"))?;
        let limits = self.takes.limits(log.clone());
        let worker =
            Worker::new(&self.schedule, (lake.clone(), admission.clone()), journal_of(calls)?, limits);
        let (stop, stopped) = oneshot::channel();
        // A sender that is gone means the end as well.
        let schedule = self.schedule;
        let working = threads.spawn(async move {
            let until_stopped = async {
                let _ = stopped.await;
            };
            work(worker, &schedule, until_stopped).await;
        });
        Ok(Jobs { stop, working, threads })
    }
}

impl Jobs {
    /// Ends the worker: a report that it was making is another's at once.
    pub(crate) async fn end(self) {
        let _ = self.stop.send(());
        if tokio::time::timeout(END_MAX, self.working).await.is_err() {
            tracing::warn!("a report that was being made could not be given up; its lease lapses in time");
        }
        // It waits for threads, which is not for one of ours to do.
        let _ = tokio::task::spawn_blocking(|| self.threads.shutdown_timeout(END_MAX)).await;
    }
}
