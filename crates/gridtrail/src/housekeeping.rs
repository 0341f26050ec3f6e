//! Keeping a lake in order: from within `serve` and `ingest`, and as `gridtrail compact`.

use crate::args::{CompactArgs, CompactionArgs, Format, RebucketArgs};
use crate::exit::Failure;
use crate::opening::open_existing;
use crate::output::{self, count};
use crate::running::{asked_to_stop, wait_for_detached};
use gridtrail_lake::{
    Compacted, CompactionSettings, Expired, Lake, LakeCounts, LakeError, LakeErrorKind, MonthRetained, Swept,
};
use serde::Serialize;
use std::io;
use std::pin::pin;
use std::time::{Duration, Instant};

/// Tries to keep the lake in order while other processes do the same.
const KEEP_ATTEMPTS: u32 = 5;
/// How often it is looked for what compaction is due. With a commit a second, a look-up never meets more than a handful of
/// runs that are newer than the last look.
const COMPACT_EVERY: Duration = Duration::from_secs(2);

/// How often what is too old goes. Whoever runs for less long leaves that to others, or to `gridtrail lake retain --now`.
const TIDY_EVERY: Duration = Duration::from_secs(60 * 60);

/// What keeping a lake in order came to.
pub(crate) struct HousekeepingOutcome {
    pub(crate) joined: u64,
    pub(crate) waiting: u64,
    pub(crate) evidence_commits: u64,
}

/// Joins what waited for its request, and copies evidence out of the log before the log is cleaned up.
///
/// Several processes may do this at once; the one that another overtook looks again at what is left.
pub(crate) async fn keep_house(lake: &Lake) -> Result<HousekeepingOutcome, Failure> {
    for _ in 1..KEEP_ATTEMPTS {
        match keep_house_once(lake).await {
            Err(error) if error.kind() == LakeErrorKind::PositionMoved => {}
            done => return Ok(done?),
        }
    }
    Ok(keep_house_once(lake).await?)
}

async fn keep_house_once(lake: &Lake) -> Result<HousekeepingOutcome, LakeError> {
    let mut maintenance = lake.maintenance().await?;
    let Swept { joined, waiting } = maintenance.sweep().await?;
    Ok(HousekeepingOutcome { joined, waiting, evidence_commits: maintenance.copy_evidence().await? })
}

/// How a process keeps a lake in order beside its own work.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Housekeeping {
    /// How often what waits is joined, and evidence is copied.
    pub(crate) every: Duration,
    /// What compaction may use.
    pub(crate) compaction: CompactionSettings,
}

/// Keeps a lake in order, for ever.
pub(crate) async fn maintain(lake: Lake, how: Housekeeping) {
    let keeping = async {
        loop {
            tokio::time::sleep(how.every).await;
            match keep_house(&lake).await {
                Ok(swept) if swept.joined > 0 => {
                    tracing::info!(swept.joined, swept.waiting, "joined parked fragments")
                }
                Ok(_) => {}
                // Whoever watches the lake has said so once.
                Err(_) if lake.stopped().is_some() => {}
                Err(error) => tracing::warn!(error = error.report(), "the lake could not be maintained"),
            }
        }
    };
    tokio::join!(keeping, compact_for_ever(&lake, &how.compaction), tidy_for_ever(&lake, &how.compaction));
}

/// Lets go what is too old, and deletes what nothing needs any more.
async fn tidy_for_ever(lake: &Lake, settings: &CompactionSettings) {
    loop {
        tokio::time::sleep(TIDY_EVERY).await;
        if let Err(error) = tidy(lake, settings).await
            && lake.stopped().is_none()
        {
            let error = Failure::from(error).report();
            tracing::warn!(error, "what is too old could not be let go");
        }
    }
}

async fn tidy(lake: &Lake, settings: &CompactionSettings) -> Result<(), LakeError> {
    let mut maintenance = lake.maintenance().await?;
    let retained = maintenance.retain(settings, false).await?;
    for (table, rows) in retained.rows {
        tracing::info!(table, rows, "let go rows that are older than they must be kept");
    }
    for MonthRetained { month, expired } in retained.months {
        let Expired { rows_dropped, rows_kept, .. } = expired;
        tracing::info!(%month, rows_dropped, rows_kept, "let go what is older than it must be kept");
    }
    for table in maintenance.vacuum(false).await?.iter().filter(|table| table.files > 0) {
        tracing::info!(table = table.name, table.files, table.bytes, "deleted files that no version needs");
    }
    Ok(())
}

async fn compact_for_ever(lake: &Lake, settings: &CompactionSettings) {
    loop {
        match compact(lake, settings).await {
            Ok(done) if done.jobs > 0 || done.rows_united > 0 => tracing::debug!(?done, "compacted"),
            Ok(_) => {}
            Err(_) if lake.stopped().is_some() => {}
            Err(error) => {
                let error = Failure::from(error).report();
                tracing::warn!(error, "the lake could not be compacted");
            }
        }
        tokio::time::sleep(COMPACT_EVERY).await;
    }
}

async fn compact(lake: &Lake, settings: &CompactionSettings) -> Result<Compacted, LakeError> {
    lake.maintenance().await?.compact(settings).await
}

pub(crate) async fn run(args: &CompactArgs, format: Format) -> Result<(), Failure> {
    let settings = CompactionSettings { full: args.full, ..args.compaction.settings() };
    let asked = asked_to_stop()?;
    let mut asked = pin!(asked);
    let lake = tokio::select! {
        () = &mut asked => return Ok(()),
        lake = opened(args) => lake?,
    };
    if args.follow {
        let every = Duration::from_secs(args.maintain_every.seconds().into());
        tracing::info!(lake = args.lake, "compacting");
        tokio::select! {
            () = &mut asked => {}
            () = maintain(lake.clone(), Housekeeping { every, compaction: settings }) => {}
        }
        wait_for_detached(&lake).await;
        return Ok(());
    }
    let began = Instant::now();
    let done = tokio::select! {
        () = asked => return Err(stopped("what was compacted stays so; run it again for the rest")),
        done = compact(&lake, &settings) => done?,
    };
    print(&lake, &done, began.elapsed(), format).await
}

/// The lake. Started beside an ingest that makes it, whoever follows it may be there first, and waits.
async fn opened(args: &CompactArgs) -> Result<Lake, Failure> {
    let mut told = false;
    loop {
        match open_existing(&args.lake).await {
            Err(failure @ Failure::Lake(LakeError::NoLake { .. })) if args.follow => {
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(error = failure.report(), "waiting for the lake");
                }
                tokio::time::sleep(COMPACT_EVERY).await;
            }
            opened => return opened,
        }
    }
}

/// `gridtrail lake rebucket`.
pub(crate) async fn rebucket(args: &RebucketArgs, format: Format) -> Result<(), Failure> {
    let lake = open_existing(&args.of.lake).await?;
    let asked = asked_to_stop()?;
    let began = Instant::now();
    let settings = args.compaction.settings();
    let mut maintenance = lake.maintenance().await?;
    let done = tokio::select! {
        () = asked => return Err(stopped("months that were sorted anew stay so; run it again for the rest")),
        done = maintenance.rebucket(args.buckets, &settings) => done?,
    };
    print(&lake, &done, began.elapsed(), format).await
}

/// A job that a signal ends.
fn stopped(told: &str) -> Failure {
    Failure::Stopped { told: told.to_owned() }
}

async fn print(lake: &Lake, done: &Compacted, took: Duration, format: Format) -> Result<(), Failure> {
    lake.refresh().await?;
    let report = CompactReport::of(done, &lake.counts(), took);
    let mut out = io::stdout().lock();
    match format {
        Format::Table => output::write(&mut out, format!("{}\n", report.line()).as_bytes())?,
        Format::Json => output::write_json(&mut out, &report)?,
    }
    // Each was named when it was found.
    match lake.damaged_files().len() as u64 {
        0 => Ok(()),
        files => Err(Failure::DamagedFiles { files }),
    }
}

/// What a compaction did. The fields are an interface: programs read them as JSON.
#[derive(Debug, Serialize)]
struct CompactReport {
    /// Jobs that were done.
    jobs: u64,
    /// Jobs that another process had done meanwhile.
    overtaken: u64,
    /// Jobs that found a file damaged, and left it where it is.
    refused: u64,
    rows_read: u64,
    rows_written: u64,
    bytes_read: u64,
    bytes_written: u64,
    /// Rows of which a fragment was moved to the time of the others.
    rows_united: u64,
    /// Runs that the lake has now, rows in them, and bytes of each row.
    runs: u64,
    lake_rows: u64,
    bytes_per_row: f64,
    seconds: f64,
    /// Rows read by that time.
    rows_per_second: f64,
}

impl CompactReport {
    fn of(done: &Compacted, lake: &LakeCounts, took: Duration) -> Self {
        let seconds = took.as_secs_f64();
        Self {
            jobs: done.jobs,
            overtaken: done.overtaken,
            refused: done.refused,
            rows_read: done.rows_in,
            rows_written: done.rows_out,
            bytes_read: done.bytes_in,
            bytes_written: done.bytes_out,
            rows_united: done.rows_united,
            runs: lake.runs,
            lake_rows: lake.fragments,
            // To a tenth: more would be noise.
            bytes_per_row: (lake.bytes as f64 / lake.fragments.max(1) as f64 * 10.0).round() / 10.0,
            seconds,
            rows_per_second: done.rows_in as f64 / seconds,
        }
    }

    fn line(&self) -> String {
        let united = match self.rows_united {
            0 => String::new(),
            rows => format!("{} of several times put at one; ", count(rows, "row")),
        };
        if self.jobs == 0 && self.rows_united == 0 {
            return format!("nothing to compact: {}", count(self.runs, "run"));
        }
        format!(
            "{} in {:.1} s: {} read ({:.0} rows/s), {} written; {united}{} now",
            count(self.jobs, "job"),
            self.seconds,
            count(self.rows_read, "row"),
            self.rows_per_second,
            self.rows_written,
            count(self.runs, "run")
        )
    }
}

impl CompactionArgs {
    /// What compaction may use.
    pub(crate) fn settings(&self) -> CompactionSettings {
        CompactionSettings {
            memory_bytes: self.compaction_memory << 20,
            rows_per_second: self.compaction_rate,
            jobs: self.compaction_jobs,
            full: false,
        }
    }
}
