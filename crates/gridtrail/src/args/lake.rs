//! Arguments of the subcommands that keep a lake in order, and those by which other commands do so beside their work.

use super::value::{LapseTime, LifeTime, setting};
use clap::builder::RangedI64ValueParser;
use clap::{ArgGroup, Args, Subcommand};
use gridtrail_access::Party;
use gridtrail_export::CopiedTable;
use gridtrail_lake::{BUCKETS_MAX, Month};
use gridtrail_model::{DeviceId, Mpxn, Timestamp, UserId};
use std::path::PathBuf;

/// The subcommands of `gridtrail lake`.
#[derive(Debug, Subcommand)]
pub enum LakeCommand {
    /// Make an empty lake: only needed to choose its number of buckets before the first row.
    Create(CreateArgs),
    /// Compact a lake, as `gridtrail compact` does.
    Compact(CompactArgs),
    /// Keep an open copy of a lake, which any engine can read: one row a trail, in plain columns. For operators.
    Export(Box<ExportArgs>),
    /// Say what a lake holds, and what is due.
    Status(StatusArgs),
    /// Make a lake that an older build wrote one of this build's format.
    Upgrade(UpgradeArgs),
    /// Say or set for how long records are kept, and let go what is older.
    Retain(RetainArgs),
    /// Keep rows however old they become, and see what is kept.
    #[command(subcommand)]
    Hold(HoldCommand),
    /// Delete files and log entries that no version needs any more.
    Vacuum(VacuumArgs),
    /// Sort the rows of every month into another number of buckets.
    Rebucket(RebucketArgs),
    /// Look at every file of a lake: whether it is as it was written, and what searches rely on.
    Verify(VerifyArgs),
    /// Replace damaged runs by their rows, taken anew from the sources that they came from.
    Repair(RepairArgs),
}

/// The lake.
#[derive(Debug, Clone, Args)]
pub struct WhichLake {
    /// The lake: a folder, or a URL such as s3://bucket/path.
    #[arg(long, env = "GRIDTRAIL_LAKE", value_name = "URL|PATH", default_value = "data/lake")]
    pub lake: String,
}

/// Arguments of `gridtrail lake create`.
#[derive(Debug, Args)]
#[command(after_help = "\
Commands that write make a lake where there is none, with 16 buckets a month. A bucket of a month is meant to hold about a million \
rows; `gridtrail lake rebucket` changes their number later.

Example:
  gridtrail lake create --buckets 64 --lake s3://audit/lake")]
pub struct CreateArgs {
    /// Which lake.
    #[command(flatten)]
    pub of: WhichLake,
    /// How many buckets a month is to have: 16 unless given.
    #[arg(long, value_parser = buckets())]
    pub buckets: Option<u32>,
}

fn buckets() -> RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=i64::from(BUCKETS_MAX))
}

/// Arguments of `gridtrail lake export`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("whose").args(["all_parties", "party"]).required(true))]
#[command(after_help = "\
The copy is a Delta table for each of --tables, in folders of these names. Called again, it writes what changed since; killed at any moment, it \
goes on from there. Searches and ingest go on meanwhile, and so may readers of the copy. Whoever can read the copy sees all that is in it: \
nothing there knows who asks. Who keeps it stays on record in its log.

Examples:
  gridtrail lake export --to data/open --all-parties --who j.smith --lake data/lake
  gridtrail lake export --to s3://analysts/open --all-parties --who j.smith --follow --every 5m \\
      --lake s3://audit/lake
  gridtrail lake export --to data/supplier-1 --party supplier-1 --tables audit_trails --who j.smith")]
pub struct ExportArgs {
    /// Which lake.
    #[command(flatten)]
    pub of: WhichLake,
    /// Where the copy lies, or is to lie: a folder, or a URL such as s3://bucket/path; not within the lake.
    #[arg(long, value_name = "URL|PATH")]
    pub to: String,
    /// Which tables, separated by commas.
    #[arg(long, value_name = "TABLES", value_delimiter = ',', default_values_t = CopiedTable::ALL)]
    pub tables: Vec<CopiedTable>,
    /// All rows, whosever they are.
    #[arg(long)]
    pub all_parties: bool,
    /// Only what this Party may see, by its rights at the time. A copy is begun for one that has a User ID.
    #[arg(long, value_name = "PARTY")]
    pub party: Option<Party>,
    /// Who keeps the copy.
    #[arg(long, env = "GRIDTRAIL_WHO", value_name = "NAME", value_parser = said)]
    pub who: String,
    /// Go on until told to stop.
    #[arg(long)]
    pub follow: bool,
    /// With --follow, how long to wait from one version of the copy to the next, at least: what comes in one go is written once.
    #[arg(long, value_name = "DURATION", default_value = "60s", requires = "follow")]
    pub every: LifeTime,
    /// With --party, how long the topics of events of access may stand still before what Parties granted each other counts no longer.
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "24h",
        requires = "party",
        conflicts_with = "all_parties"
    )]
    pub access_lapse: LapseTime,
}

/// Arguments of `gridtrail lake status`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  gridtrail lake status --lake data/lake --format json")]
pub struct StatusArgs {
    /// Which lake.
    #[command(flatten)]
    pub of: WhichLake,
}

/// Arguments of `gridtrail lake upgrade`.
#[derive(Debug, Args)]
#[command(after_help = "\
This build reads and writes lakes of every format that was ever released, so nothing has to be upgraded at once. An upgrade writes anew \
the files that lack what this build writes into them, one commit a file, and then has each table say that it is of the new format. \
Searches and ingest go on meanwhile; where it is killed, call it again. Builds that do not know the new format refuse the lake \
from then on: upgrade when none of them is to come back. `gridtrail lake status` says of what format each table is.

Examples:
  gridtrail lake upgrade --dry-run --lake data/lake
  gridtrail lake upgrade --lake s3://audit/lake")]
pub struct UpgradeArgs {
    /// Which lake.
    #[command(flatten)]
    pub of: WhichLake,
    /// Only say what would be done.
    #[arg(long)]
    pub dry_run: bool,
}

/// Arguments of `gridtrail lake retain`.
#[derive(Debug, Args)]
#[command(after_help = "\
A month goes when all of it is further back than so many calendar months (UTC). A row stays in any case while its latest message \
is younger than three months, and while a legal hold names it. Processes that maintain a lake do this every hour.

Examples:
  gridtrail lake retain --lake data/lake
  gridtrail lake retain --months 24 --lake data/lake
  gridtrail lake retain --now --dry-run --lake data/lake")]
pub struct RetainArgs {
    /// Which lake.
    #[command(flatten)]
    pub of: WhichLake,
    /// Keep records for so many calendar months from now on: 3 or more.
    #[arg(long, value_name = "MONTHS")]
    pub months: Option<u32>,
    /// Keep the access log for so many calendar months from now on: 3 or more.
    #[arg(long, value_name = "MONTHS")]
    pub access_log_months: Option<u32>,
    /// Let go now what is older.
    #[arg(long)]
    pub now: bool,
    /// With --now, only say what would go.
    #[arg(long, requires = "now")]
    pub dry_run: bool,
    /// What it may use.
    #[command(flatten)]
    pub compaction: CompactionArgs,
}

/// The subcommands of `gridtrail lake hold`.
#[derive(Debug, Subcommand)]
pub enum HoldCommand {
    /// Place a hold.
    Add(AddHoldArgs),
    /// List the holds that are in force, or with --all every one that ever was.
    List(ListHoldsArgs),
    /// Release a hold: what it kept goes as everything does.
    Release(ReleaseHoldArgs),
}

/// Arguments of `gridtrail lake hold add`.
#[derive(Debug, Args)]
#[command(after_help = "\
A hold keeps the rows that are of all that it names.

Examples:
  gridtrail lake hold add --device 88-73-84-57-00-2F-96-1E --who j.smith --reason \"case 1234\"
  gridtrail lake hold add --mpxn 1217290354420 --from 2025-11 --to 2026-02 --who j.smith \\
      --reason \"case 1234\"")]
pub struct AddHoldArgs {
    /// Which lake.
    #[command(flatten)]
    pub of: WhichLake,
    /// Rows of this Device.
    #[arg(long, value_name = "EUI-64")]
    pub device: Option<DeviceId>,
    /// Rows of this meter point, and of every Device that was seen with it.
    #[arg(long)]
    pub mpxn: Option<Mpxn>,
    /// Rows of this User.
    #[arg(long, value_name = "EUI-64")]
    pub user_id: Option<UserId>,
    /// Rows of requests received in this month or later.
    #[arg(long, value_name = "MONTH")]
    pub from: Option<Month>,
    /// Rows of requests received in this month or earlier.
    #[arg(long, value_name = "MONTH")]
    pub to: Option<Month>,
    /// Who places it, and why.
    #[command(flatten)]
    pub because: BecauseArgs,
}

/// Who changes a hold, and why: both stay on record.
#[derive(Debug, Args)]
pub struct BecauseArgs {
    /// Who is doing this.
    #[arg(long, env = "GRIDTRAIL_WHO", value_name = "NAME", value_parser = said)]
    pub who: String,
    /// Why.
    #[arg(long, value_name = "TEXT", value_parser = said)]
    pub reason: String,
}

/// A text that says something.
fn said(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    if text.is_empty() { Err("it stays on record, so it must say something") } else { Ok(text.to_owned()) }
}

/// Arguments of `gridtrail lake hold list`.
#[derive(Debug, Args)]
pub struct ListHoldsArgs {
    /// Which lake.
    #[command(flatten)]
    pub of: WhichLake,
    /// Also those that were released.
    #[arg(long)]
    pub all: bool,
}

/// Arguments of `gridtrail lake hold release`.
#[derive(Debug, Args)]
pub struct ReleaseHoldArgs {
    /// Which lake.
    #[command(flatten)]
    pub of: WhichLake,
    /// The hold's id, as `list` shows it.
    pub id: String,
    /// Who releases it, and why.
    #[command(flatten)]
    pub because: BecauseArgs,
}

/// Arguments of `gridtrail lake vacuum`.
#[derive(Debug, Args)]
#[command(after_help = "\
Deletes files that were taken away longer ago than removed files are kept (49 hours unless the tables say otherwise), files that no \
version ever named and that are older than that, and log entries that are older than the log is kept (48 hours). Processes \
that maintain a lake do this every hour.

Example:
  gridtrail lake vacuum --dry-run --lake data/lake")]
pub struct VacuumArgs {
    /// Which lake.
    #[command(flatten)]
    pub of: WhichLake,
    /// Only say what would go.
    #[arg(long)]
    pub dry_run: bool,
}

/// Arguments of `gridtrail lake rebucket`.
#[derive(Debug, Args)]
#[command(after_help = "\
A bucket of a month is meant to hold about a million rows. Searches go on meanwhile; where it is killed, call it again.

Example:
  gridtrail lake rebucket --buckets 64 --lake s3://audit/lake")]
pub struct RebucketArgs {
    /// Which lake.
    #[command(flatten)]
    pub of: WhichLake,
    /// How many buckets a month, and the inventory, is to have. Doubling and halving need the least memory.
    #[arg(long, value_parser = buckets())]
    pub buckets: u32,
    /// What it may use.
    #[command(flatten)]
    pub compaction: CompactionArgs,
}

/// Arguments of `gridtrail lake verify`.
#[derive(Debug, Args)]
#[command(after_help = "\
Reads every file: whether it is there, has its size and its checksum, and holds rows in order, where look-ups find them. It \
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

/// Arguments of `gridtrail lake repair`.
#[derive(Debug, Args)]
#[command(after_help = "\
Looks for damaged runs as `verify --quick` does. The evidence says which files and offsets may have gone into each: those are read again, \
files where they were and under --from, topics from --kafka, and the rows that belong there take the place of the run, in one commit. A \
run of which something cannot be read again stays as it is, with exit code 8, unless --accept-loss is given: a copy of the store may have it.

Examples:
  gridtrail lake repair --lake data/lake --dry-run
  gridtrail lake repair --lake data/lake --from /archive/events --kafka 127.0.0.1:9092")]
pub struct RepairArgs {
    /// Which lake.
    #[command(flatten)]
    pub of: WhichLake,
    /// A file or folder in which event files are looked for by their content; may be repeated.
    #[arg(long, value_name = "PATH")]
    pub from: Vec<PathBuf>,
    /// Brokers from which topics are read again, separated by commas.
    #[arg(long, value_name = "HOST:PORT")]
    pub kafka: Option<String>,
    /// A file of further client settings, one `name=value` a line; the names are librdkafka's.
    #[arg(long, value_name = "FILE", requires = "kafka")]
    pub kafka_config: Option<PathBuf>,
    /// A further client setting; may be repeated. Secrets belong in a file.
    #[arg(long = "kafka-set", value_name = "NAME=VALUE", value_parser = setting, requires = "kafka")]
    pub kafka_settings: Vec<(String, String)>,
    /// The receipt time with which plain DUIS files without one were taken in.
    #[arg(long, value_name = "TIME")]
    pub recorded_at: Option<Timestamp>,
    /// Only say what could be replaced.
    #[arg(long)]
    pub dry_run: bool,
    /// Replace a run though not all that may have gone into it can be read again.
    #[arg(long, conflicts_with = "dry_run")]
    pub accept_loss: bool,
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
Makes fewer and larger runs of many small ones, so that a search touches few. It may be killed at any time, and any number \
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
