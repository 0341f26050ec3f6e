//! Arguments of `gridtrail report schedule`, `worker` and `history`.

use super::freshness::MetricsArgs;
use super::value::LapseTime;
use clap::Args;
use std::num::NonZeroU32;
use std::path::PathBuf;

/// Arguments of `gridtrail report schedule`.
#[derive(Debug, Args)]
pub struct ScheduleArgs {
    /// The schedule, in TOML: docs/reports.md says what stands in it.
    #[arg(value_name = "FILE")]
    pub schedule: PathBuf,
    /// How many periods of each job are shown.
    #[arg(long, value_name = "PERIODS", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub next: u32,
    /// A file that calls Job Type Roles otherwise.
    #[arg(long, env = "GRIDTRAIL_JOB_TYPE_ROLES", value_name = "FILE")]
    pub job_type_roles: Option<PathBuf>,
}

/// Arguments of `gridtrail report worker`.
#[derive(Debug, Args)]
pub struct WorkerArgs {
    /// The schedule, in TOML: docs/reports.md says what stands in it. Workers that share it read the same.
    #[arg(long, value_name = "FILE")]
    pub schedule: PathBuf,
    /// Make what is due now, and end: for a scheduler of your own. What failed, waits for the lake or is another worker's is left to the next time.
    #[arg(long)]
    pub once: bool,
    /// The lake: a folder, or s3://bucket/prefix.
    #[arg(long, env = "GRIDTRAIL_LAKE", value_name = "PATH", default_value = "data/lake")]
    pub lake: String,
    /// A file that calls Job Type Roles otherwise.
    #[arg(long, env = "GRIDTRAIL_JOB_TYPE_ROLES", value_name = "FILE")]
    pub job_type_roles: Option<PathBuf>,
    /// How long the topics of events of access may stand still before what Parties granted each other counts no longer.
    #[arg(long, value_name = "DURATION", default_value = "24h")]
    pub access_lapse: LapseTime,
    /// Write nothing to the lake. Reports are recorded, and what became of them is kept, in the lake of --access-log-lake.
    #[arg(long, requires = "access_log_lake")]
    pub read_only: bool,
    /// With --read-only, the lake that takes the record of reports and what became of them: another one, made by `gridtrail lake create`.
    #[arg(long, value_name = "URL|PATH", requires = "read_only")]
    pub access_log_lake: Option<String>,
    /// What a report may take.
    #[command(flatten)]
    pub takes: ReportTakes,
    /// Whether and where metrics are shown.
    #[command(flatten)]
    pub metrics: MetricsArgs,
}

/// What a report that is made by a schedule may take.
#[derive(Debug, Clone, Args)]
pub struct ReportTakes {
    /// Memory that the statement of a scheduled report may take, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(16..=1_048_576))]
    pub report_memory: u32,
    /// Parts of a table that a scheduled report reads at the same time.
    #[arg(long, value_name = "PARTS", default_value = "2")]
    pub report_parts: NonZeroU32,
}

/// Arguments of `gridtrail report history`.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Only of this job.
    #[arg(long, value_name = "NAME")]
    pub job: Option<String>,
    /// The lake that the workers write to: a folder, or s3://bucket/prefix.
    #[arg(long, env = "GRIDTRAIL_LAKE", value_name = "PATH", default_value = "data/lake")]
    pub lake: String,
}
