//! `gridtrail ingest`: event files into a lake, with progress on a terminal and one line of summary.

use crate::args::{Format, IngestArgs};
use crate::exit::Failure;
use crate::follow;
use crate::housekeeping::keep_house;
use crate::output;
use gridtrail_ingest::{FileSettings, Progress, ingest_files};
use gridtrail_lake::{Lake, LakeSettings};
use gridtrail_runtime::Clock;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

pub(crate) async fn run(args: &IngestArgs, format: Format) -> Result<(), Failure> {
    if args.dir.is_some() && args.topics.metrics.metrics.is_some() {
        let reason =
            "files are taken in once; metrics are shown with --kafka, and by gridtrail serve".to_owned();
        return Err(Failure::Argument { argument: "--metrics", reason });
    }
    let lake = open_lake(&args.lake).await?;
    let Some(dir) = &args.dir else { return follow::run(lake, args, format).await };
    let mut settings = FileSettings { recorded_at: args.recorded_at, ..FileSettings::default() };
    settings.batch_rows = args.batch_rows.unwrap_or(settings.batch_rows);
    let report = ingest(&lake, dir, &settings).await?;
    let mut out = io::stdout().lock();
    match format {
        Format::Table => output::write(&mut out, format!("{}\n", report.line()).as_bytes()),
        Format::Json => output::write_json(&mut out, &report),
    }
}

/// Opens a lake, made where there is none; settings of an object store come from the environment, as its own tools have
/// it.
pub(crate) async fn open_lake(address: &str) -> Result<Lake, Failure> {
    open_with(LakeSettings::at(address)).await
}

/// Opens a lake to search in, with so much of its runs kept in memory.
pub(crate) async fn open_to_serve(address: &str, cache_mib: u64) -> Result<Lake, Failure> {
    open_with(LakeSettings { cache_bytes: cache_mib << 20, ..LakeSettings::at(address) }).await
}

/// Opens a lake that must be there: a wrong address must not leave a lake behind.
pub(crate) async fn open_existing(address: &str) -> Result<Lake, Failure> {
    open_with(LakeSettings { create: false, ..LakeSettings::at(address) }).await
}

async fn open_with(mut settings: LakeSettings) -> Result<Lake, Failure> {
    settings.store_options = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with("AWS_"))
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .collect();
    Ok(Lake::open(settings, Clock::system()).await?)
}

/// Takes in the files under a path, then keeps house: joins what waited, and copies the evidence.
pub(crate) async fn ingest(
    lake: &Lake,
    path: &Path,
    settings: &FileSettings,
) -> Result<IngestReport, Failure> {
    let start = Instant::now();
    let bar = Arc::new(Bar::new());
    let summary = ingest_files(lake, path, settings, Arc::<Bar>::clone(&bar)).await?;
    bar.0.finish_and_clear();
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
            return format!(
                "nothing new: all {} files are in the lake already{}",
                self.known_files,
                self.passed_over_line()
            );
        }
        let mut line = format!(
            "{} records of {} files in {:.1} s ({:.0} records/s): {} stored, {} parked, {} dead letters; \
             {} commits, {} rows in {} runs",
            self.records,
            self.files,
            self.seconds,
            self.records_per_second,
            self.stored,
            self.parked,
            self.dead_lettered,
            self.commits,
            self.lake.trails_rows,
            self.lake.trails_runs,
        );
        if self.known_files > 0 {
            line.push_str(&format!("; {} files were known", self.known_files));
        }
        if self.joined + self.waiting > 0 {
            line.push_str(&format!("; {} joined, {} wait for their request", self.joined, self.waiting));
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

/// Progress on a terminal; nothing where standard error is not one.
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Self {
        let target = if io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(None, target);
        // The template is a constant; were it wrong, the default style would do.
        if let Ok(style) =
            ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {msg} eta {eta}")
        {
            bar.set_style(style);
        }
        Self(bar)
    }
}

impl Progress for Bar {
    fn start(&self, bytes: u64) {
        self.0.set_length(bytes);
        self.0.set_position(0);
    }

    fn advance(&self, bytes: u64, _events: u64) {
        self.0.inc(bytes);
    }
}
