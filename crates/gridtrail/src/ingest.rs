//! `gridtrail ingest`: event files into a lake, with progress on a terminal and one line of summary.

use crate::args::{Format, IngestArgs};
use crate::exit::Failure;
use crate::follow;
use crate::housekeeping::keep_house;
use crate::opening::open_to_ingest;
use crate::output::{self, count};
use crate::progress::FileProgress;
use crate::running::asked_to_stop;
use gridtrail_ingest::{FileSettings, ingest_files};
use gridtrail_lake::Lake;
use serde::Serialize;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

pub(crate) async fn run(args: &IngestArgs, format: Format) -> Result<(), Failure> {
    if args.dir.is_some() && args.topics.metrics.metrics.is_some() {
        let reason =
            "files are taken in once; metrics are shown with --kafka, and by gridtrail serve".to_owned();
        return Err(Failure::Argument { argument: "--metrics", reason });
    }
    let lake = open_to_ingest(&args.lake, args.dir.as_deref()).await?;
    let Some(dir) = &args.dir else { return follow::run(lake, args, format).await };
    let mut settings = FileSettings { recorded_at: args.recorded_at, ..FileSettings::default() };
    settings.batch_rows = args.batch_rows.unwrap_or(settings.batch_rows);
    let progress = Arc::new(FileProgress::new());
    // Boxed, as below: the future of an ingest is large.
    let work = Box::pin(ingest_with(&lake, dir, &settings, &progress));
    let report = until_asked_to_stop(work, &progress).await?;
    let mut out = io::stdout().lock();
    match format {
        Format::Table => output::write(&mut out, format!("{}\n", report.line()).as_bytes())?,
        Format::Json => output::write_json(&mut out, &report)?,
    }
    drop(out);
    if progress.was_cut() {
        let told = "what was read until then is in the lake; run it again to go on from there".to_owned();
        return Err(Failure::Stopped { told });
    }
    let files = progress.nothing_read_of();
    for file in &files {
        tracing::warn!(file, "no record of this file could be read; is it what its name says?");
    }
    if files.is_empty() { Ok(()) } else { Err(Failure::NothingRead { files }) }
}

/// Lets an ingest end in good order when a signal asks for it: what was read is committed. A second signal ends it at once.
async fn until_asked_to_stop(
    work: impl Future<Output = Result<IngestReport, Failure>>,
    progress: &FileProgress,
) -> Result<IngestReport, Failure> {
    let asked = asked_to_stop()?;
    let mut work = pin!(work);
    tokio::select! {
        done = &mut work => return done,
        () = asked => progress.stop(),
    }
    tracing::warn!("stopping once what was read is committed; a second signal stops at once");
    let again = asked_to_stop()?;
    tokio::select! {
        done = &mut work => done,
        () = again => {
            let told = "at once; what was committed is in the lake, and another run goes on from there".to_owned();
            Err(Failure::Stopped { told })
        }
    }
}

/// Takes in the files under a path, then keeps house: joins what waited, and copies the evidence.
pub(crate) async fn ingest(
    lake: &Lake,
    path: &Path,
    settings: &FileSettings,
) -> Result<IngestReport, Failure> {
    let progress = Arc::new(FileProgress::new());
    Box::pin(ingest_with(lake, path, settings, &progress)).await
}

async fn ingest_with(
    lake: &Lake,
    path: &Path,
    settings: &FileSettings,
    progress: &Arc<FileProgress>,
) -> Result<IngestReport, Failure> {
    let start = Instant::now();
    let summary = ingest_files(lake, path, settings, Arc::<FileProgress>::clone(progress)).await;
    progress.finish();
    let summary = summary?;
    let swept = keep_house(lake).await?;
    lake.refresh().await?;
    let seconds = start.elapsed().as_secs_f64();
    let counts = lake.counts();
    let outcome = summary.outcome;
    let records = outcome.stored + outcome.parked + outcome.dead_lettered;
    Ok(IngestReport {
        files: summary.files,
        known_files: summary.known_files,
        passed_over: summary.passed_over.len() as u64,
        passed_over_names: names_of(&summary.passed_over),
        bytes: summary.bytes,
        records,
        stored: outcome.stored,
        parked: outcome.parked,
        dead_lettered: outcome.dead_lettered,
        commits: summary.commits,
        joined: swept.joined,
        waiting: swept.waiting,
        evidence_commits: swept.evidence_commits,
        seconds,
        records_per_second: records as f64 / seconds,
        lake: LakeReport {
            trails_rows: counts.fragments,
            trails_runs: counts.runs,
            trails_bytes: counts.bytes,
            parked_rows: counts.parked,
        },
    })
}

/// Names of files that were passed over that are told of.
const NAMES_TOLD: usize = 5;

fn names_of(paths: &[PathBuf]) -> Vec<String> {
    paths.iter().take(NAMES_TOLD).map(|path| output::printable(&path.display().to_string())).collect()
}

/// What an ingest did. The fields are an interface: programs read them as JSON.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct IngestReport {
    /// Files read.
    pub(crate) files: u64,
    /// Files that were in the lake already.
    pub(crate) known_files: u64,
    /// Files that were not read, since their names tell of nothing that is, and receipt sidecars of no message.
    pub(crate) passed_over: u64,
    /// The first of them.
    pub(crate) passed_over_names: Vec<String>,
    /// Bytes read, unpacked.
    pub(crate) bytes: u64,
    /// Records read.
    pub(crate) records: u64,
    /// Records that went into trails.
    pub(crate) stored: u64,
    /// Records that wait for their request.
    pub(crate) parked: u64,
    /// Records that could not be read.
    pub(crate) dead_lettered: u64,
    /// Commits made.
    pub(crate) commits: u64,
    /// Parked fragments that found their row afterwards.
    pub(crate) joined: u64,
    /// Parked fragments that still wait, from this ingest or an earlier one.
    pub(crate) waiting: u64,
    /// Commits whose evidence was copied into the `commits` table.
    pub(crate) evidence_commits: u64,
    /// How long it took, housekeeping included.
    pub(crate) seconds: f64,
    /// Records by that time.
    pub(crate) records_per_second: f64,
    /// What the lake holds now.
    pub(crate) lake: LakeReport,
}

/// What a lake holds.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct LakeReport {
    /// Rows of the `trails` table: at least one a trail.
    pub(crate) trails_rows: u64,
    /// Runs of the `trails` table.
    pub(crate) trails_runs: u64,
    /// Bytes of those runs.
    pub(crate) trails_bytes: u64,
    /// Rows of the `parked` table.
    pub(crate) parked_rows: u64,
}

impl IngestReport {
    /// The whole on one line.
    pub(crate) fn line(&self) -> String {
        if self.files == 0 {
            let known = match self.known_files {
                1 => "nothing new: the one file is in the lake already".to_owned(),
                known => format!("nothing new: all {known} files are in the lake already"),
            };
            return known + &self.passed_over_line();
        }
        let mut line = format!(
            "{} of {} in {:.1} s ({:.0} records/s): {} stored, {} parked, {}; {}, {} in {}",
            count(self.records, "record"),
            count(self.files, "file"),
            self.seconds,
            self.records_per_second,
            self.stored,
            self.parked,
            count(self.dead_lettered, "dead letter"),
            count(self.commits, "commit"),
            count(self.lake.trails_rows, "row"),
            count(self.lake.trails_runs, "run"),
        );
        match self.known_files {
            0 => {}
            1 => line.push_str("; 1 file was known"),
            known => line.push_str(&format!("; {known} files were known")),
        }
        if self.joined + self.waiting > 0 {
            line.push_str(&format!("; {} joined, {} waiting for their request", self.joined, self.waiting));
        }
        line + &self.passed_over_line()
    }

    fn passed_over_line(&self) -> String {
        if self.passed_over == 0 {
            return String::new();
        }
        let more = if self.passed_over > self.passed_over_names.len() as u64 { ", ..." } else { "" };
        let names = self.passed_over_names.join(", ");
        format!("; {} passed over for their names: {names}{more}", self.passed_over)
    }
}
