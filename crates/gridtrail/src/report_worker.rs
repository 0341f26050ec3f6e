//! Reports by a schedule, as commands: looked at (`gridtrail report schedule`), made (`gridtrail report worker`), and told of (`gridtrail report history`).

mod shown;

pub(crate) use shown::{history, schedule};

use crate::args::{AnyFormat, ListFormat, WorkerArgs};
use crate::exit::Failure;
use crate::metrics::{self, Metrics};
use crate::opening::{open_existing, open_to_serve};
use crate::output::count_of;
use crate::report_jobs::{journal_of, print, read_schedule, tell, work};
use crate::rights::{Feed, keep_rights};
use crate::running::{asked_to_stop, end, wait_for_detached};
use crate::serve::{other_than, role_matrix};
use gridtrail_access::{Admission, Doors};
use gridtrail_access_log::AccessLog;
use gridtrail_report_jobs::{JobError, Outcome, Step, Waiting, Worker};
use gridtrail_runtime::Clock;
use std::pin::{Pin, pin};
use std::time::Duration;
use tokio_util::task::AbortOnDropHandle;

/// Memory for parts of runs that are kept.
const CACHE_MIB: u64 = 64;

/// `gridtrail report worker`.
pub(crate) async fn worker(args: &WorkerArgs, format: AnyFormat) -> Result<(), Failure> {
    let format = format.of_list()?;
    let metrics = metrics::address(&args.metrics)?;
    let roles = role_matrix(args.job_type_roles.as_deref())?;
    let schedule = read_schedule(&args.schedule, &roles, "--schedule")?;
    let lake = open_to_serve(&args.lake, CACHE_MIB, args.read_only).await?;
    let calls = match &args.access_log_lake {
        Some(address) => other_than(&lake, open_existing(address).await?)?,
        None => lake.clone(),
    };
    let _metrics = metrics.map(Metrics::show).transpose()?;
    let stop = asked_to_stop()?;
    let sharing = lake.sharing().await?;
    // Nobody is let in by a token: what a schedule declares is what counts.
    let admission = Admission::new(Doors { gatekeeper: None, sessions: None }, sharing.current());
    let feed = Feed::new(lake.clone(), Duration::from_secs(args.access_lapse.seconds().into()));
    feed.judge(&admission);
    let following = AbortOnDropHandle::new(tokio::spawn(keep_rights(feed, sharing, admission.clone())));
    let (log, recording) =
        AccessLog::open(calls.access_log().await, Clock::system(), "report worker").await?;
    let limits = args.takes.limits(log);
    let worker = Worker::new(&schedule, (lake.clone(), admission), journal_of(&calls)?, limits);
    tracing::info!(schedule = %args.schedule.display(), lake = args.lake, jobs = schedule.jobs().count(), "making reports");
    let done = match args.once {
        true => once(worker, pin!(stop)).await,
        false => {
            work(worker, &schedule, stop).await;
            Ok(Vec::new())
        }
    };
    end(following).await;
    if let Err(error) = recording.close().await {
        tracing::warn!(%error, "the record of reports could not be ended: its chain stays open");
    }
    wait_for_detached(&lake).await;
    wait_for_detached(&calls).await;
    match args.once {
        true => print(&done?, format),
        false => done.map(drop),
    }
}

/// Has a worker make what is due now.
async fn once(
    mut worker: Worker,
    mut stop: Pin<&mut impl Future<Output = ()>>,
) -> Result<Vec<Outcome>, Failure> {
    let (mut ended, mut errors) = (Vec::new(), Vec::new());
    let open = loop {
        let step = tokio::select! {
            () = &mut stop => {
                worker.release().await;
                let told = format!("{} made; run it again for the rest", count_of(ended.len(), "report"));
                return Err(Failure::Stopped { told });
            }
            step = worker.step() => step,
        };
        tell(&step);
        match step {
            Step::Ended(outcome) => ended.push(outcome),
            // Nothing can be told without the journal.
            Step::Failed { key: None, error } => return Err(error.into()),
            Step::Failed { key: Some(_), error } => errors.push(error),
            Step::Idle { open, .. } => break open,
        }
    };
    let failed = open.iter().filter(|(_, why)| matches!(why, Waiting::Retry { .. })).count();
    let stale = open.iter().filter(|(_, why)| matches!(why, Waiting::Data { .. })).count();
    match open.len() {
        0 => Ok(ended),
        open => {
            print(&ended, ListFormat::Table)?;
            Err(Failure::ReportsOpen {
                open,
                failed,
                stale,
                kinds: errors.iter().map(JobError::kind).collect(),
            })
        }
    }
}
