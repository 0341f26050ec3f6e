//! Arguments of the subcommands that make and take in events: `demo`, `generate`, `ingest`.

use clap::{Args, ValueEnum};
use gridtrail_model::Timestamp;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Arguments of `gridtrail demo`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gridtrail demo
  gridtrail demo --serve --events 100000")]
pub struct DemoArgs {
    /// Leave the server up after the searches, until Ctrl-C.
    #[arg(long)]
    pub serve: bool,
    /// How many events to generate.
    #[arg(long, default_value_t = 1_000_000)]
    pub events: u64,
    /// The seed of the generated day: the same seed gives the same events.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// The folder of Smart DCC's sample messages. Without it the demo says so and goes on with generated ones.
    #[arg(long, env = "DUIS_SAMPLES", value_name = "DIR", default_value = "../shared/samples")]
    pub duis_samples: PathBuf,
    /// Where the demo keeps its files; what an earlier demo left there is deleted first. Left out: a temporary
    /// folder, deleted at the end.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// The address that the server listens on. Port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
}

/// How events are written to files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Encoding {
    /// Protobuf, each event preceded by its length.
    Binpb,
    /// One JSON object a line (proto3 JSON).
    Jsonl,
    /// DUIS XML, as the DCC sees it on the wire, in capture envelopes. What the DCC tells nobody, such as most changes
    /// of status, has no such form and is left out, and so are requests of kinds that gridtrail cannot write.
    Duis,
}

/// Arguments of `gridtrail generate`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gridtrail generate --out data/day --events 1000000
  gridtrail generate --out data/quarter --events 100000 --days 90 --truth data/truth.jsonl
  gridtrail generate --out data/messages --events 1000 --encoding duis")]
pub struct GenerateArgs {
    /// The folder to write to: created when absent, refused when it holds anything.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// About how many events, before duplicates.
    #[arg(long, default_value_t = 1_000_000)]
    pub events: u64,
    /// The seed: the same seed and settings give the same bytes.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// How events are written.
    #[arg(long, value_enum, default_value_t = Encoding::Binpb)]
    pub encoding: Encoding,
    /// The first day, UTC.
    #[arg(long, value_name = "DATE", default_value = "2026-03-01")]
    pub start: Timestamp,
    /// How many days.
    #[arg(long, default_value_t = 1)]
    pub days: u32,
    /// Deliver some events twice, late or out of order.
    #[arg(long)]
    pub disorder: bool,
    /// Also write the trails that a search must find, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    pub truth: Option<PathBuf>,
    /// Also write the Device IDs of the region's smart meters, one a line, for `gridtrail bench search`.
    #[arg(long, value_name = "FILE")]
    pub meters: Option<PathBuf>,
}

/// Arguments of `gridtrail ingest`.
#[derive(Debug, Args)]
#[command(after_help = "\
Files are told by their names: .xml (one DUIS message), .jsonl, .binpb. Running it again takes in only what is
new: it may be killed at any time.

A DUIS message does not say when the DCC received it. That time comes from a file beside it, with --recorded-at for
those that have none.

Examples:
  gridtrail ingest data/day --lake data/lake
  gridtrail ingest samples --lake s3://audit/lake --recorded-at 2026-03-01T09:30:00Z")]
pub struct IngestArgs {
    /// The folder of event files.
    pub dir: PathBuf,
    /// The lake: a folder, or a URL such as s3://bucket/path. Created when absent.
    #[arg(long, env = "GRIDTRAIL_LAKE", value_name = "URL|PATH", default_value = "data/lake")]
    pub lake: String,
    /// The receipt time of DUIS messages that come without one, UTC.
    #[arg(long, value_name = "TIME")]
    pub recorded_at: Option<Timestamp>,
    /// Rows that close a batch: fewer make more commits, which tests of interruption want.
    #[arg(long, hide = true)]
    pub batch_rows: Option<usize>,
}
