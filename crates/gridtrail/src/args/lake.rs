//! Arguments of the subcommands that keep a lake in order, and those by which other commands do so beside their work.

use super::value::LifeTime;
use clap::Args;

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
