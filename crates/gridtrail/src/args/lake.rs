//! Arguments of the subcommands that keep a lake in order, and those by which other commands do so beside their work.

use super::value::LifeTime;
use clap::{Args, Subcommand};

/// The subcommands of `gridtrail lake`.
#[derive(Debug, Subcommand)]
pub enum LakeCommand {
    /// Make fewer and larger runs, as `gridtrail compact` does.
    Compact(CompactArgs),
    /// Look at every file of a lake: whether it is as it was written, and what searches rely on.
    Verify(VerifyArgs),
}

/// The lake.
#[derive(Debug, Clone, Args)]
pub struct WhichLake {
    /// The lake: a folder, or a URL such as s3://bucket/path.
    #[arg(long, env = "GRIDTRAIL_LAKE", value_name = "URL|PATH", default_value = "data/lake")]
    pub lake: String,
}

/// Arguments of `gridtrail lake verify`.
#[derive(Debug, Args)]
#[command(after_help = "\
Reads every file: whether it is there, has its size and its checksum, and holds rows in order, where look-ups find them. It
changes nothing, and the lake may be written to meanwhile. When anything is damaged, it says what, and ends with exit code 8.

Examples:
  gridtrail lake verify --lake data/lake
  gridtrail lake verify --lake s3://audit/lake --quick --format json")]
pub struct VerifyArgs {
    /// Which lake.
    #[command(flatten)]
    pub of: WhichLake,
    /// Look at files only, and not at their rows: existence, size and checksum.
    #[arg(long, conflicts_with = "sample")]
    pub quick: bool,
    /// Devices of which all fragments are merged in several orders.
    #[arg(long, value_name = "DEVICES", default_value_t = 1_000)]
    pub sample: usize,
    /// Files that are read at the same time.
    #[arg(long, default_value_t = 2)]
    pub jobs: usize,
}

/// What compaction may use.
#[derive(Debug, Clone, Args)]
pub struct CompactionArgs {
    /// Memory of compaction, in MiB, about.
    #[arg(long, value_name = "MIB", default_value_t = 512, value_parser = clap::value_parser!(u64).range(64..=1_048_576))]
    #[arg(help_heading = "Compaction")]
    pub compaction_memory: u64,
    /// Rows that compaction reads a second, at most; left out: as many as it can.
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Compaction")]
    pub compaction_rate: Option<u64>,
    /// Compactions at the same time.
    #[arg(long, value_name = "JOBS", default_value_t = 2, help_heading = "Compaction")]
    pub compaction_jobs: usize,
}

/// Arguments of `gridtrail compact`.
#[derive(Debug, Args)]
#[command(after_help = "\
Makes fewer and larger runs of many small ones, so that a search touches few. It may be killed at any time, and any number
of processes may do it at once. `serve` and `ingest --kafka` do it beside their work unless told --no-maintenance.

Examples:
  gridtrail compact --lake data/lake
  gridtrail compact --follow --lake s3://audit/lake --compaction-memory 2048")]
pub struct CompactArgs {
    /// The lake: a folder, or a URL such as s3://bucket/path.
    #[arg(long, env = "GRIDTRAIL_LAKE", value_name = "URL|PATH", default_value = "data/lake")]
    pub lake: String,
    /// Compact all that can be, not only what is due: afterwards a month has one run in each bucket.
    #[arg(long, conflicts_with = "follow")]
    pub full: bool,
    /// Go on until told to stop, and do all other maintenance, too.
    #[arg(long)]
    pub follow: bool,
    /// With --follow, how often what waits for its request is joined, and evidence is copied out of the log.
    #[arg(long, value_name = "DURATION", default_value = "60s", requires = "follow")]
    pub maintain_every: LifeTime,
    /// What it may use.
    #[command(flatten)]
    pub compaction: CompactionArgs,
}
