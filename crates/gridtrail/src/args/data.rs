//! Arguments of the subcommands that make and take in events: `demo`, `generate`, `ingest`.

use super::freshness::{LevelArgs, MetricsArgs};
use super::lake::CompactionArgs;
use super::value::{LifeTime, setting};
use clap::{Args, ValueEnum};
use gridtrail_access::Party;
use gridtrail_ingest::{ACCESS_EVENTS, KINDS, RecordKind, SERVICE_EVENTS};
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
  gridtrail generate --out data/messages --events 1000 --encoding duis
  gridtrail generate --lake data/lake --trails 10000000 --days 90")]
pub struct GenerateArgs {
    /// The folder to write to: created when absent, refused when it holds anything.
    #[arg(long, value_name = "DIR", required_unless_present = "lake")]
    pub out: Option<PathBuf>,
    /// Instead of files, a lake that the events go straight into: a folder, or a URL such as s3://bucket/path.
    #[arg(long, value_name = "URL|PATH", conflicts_with_all = ["out", "encoding"])]
    pub lake: Option<String>,
    /// About how many events, before duplicates.
    #[arg(long, default_value_t = 1_000_000)]
    pub events: u64,
    /// About how many trails, instead of how many events.
    #[arg(long, conflicts_with = "events", value_parser = clap::value_parser!(u64).range(1..))]
    pub trails: Option<u64>,
    /// How many premises, 1 to 50,000,000. Left out: as many as plausibly give these events.
    #[arg(long)]
    pub premises: Option<u32>,
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
    /// Give every User ID to one Party of this name, for benches that look at every row. Left out: to many Parties, some of
    /// which share.
    #[arg(long, value_name = "NAME")]
    pub one_party: Option<Party>,
    /// Deliver some events twice, late or out of order, some answers without a receipt time, and some with another than their request's.
    #[arg(long)]
    pub disorder: bool,
    /// Also make the inventory of the region: its Devices and meter points, and what became of them in the years before and in these days.
    #[arg(long)]
    pub inventory: bool,
    /// Also make the thresholds of its Users, and what became of the communications that anomaly detection quarantined in these days.
    #[arg(long)]
    pub anomaly: bool,
    /// Also make the DSP schedules of the region, which DUIS messages would tell: those that its Users had on its Devices, and those that they created
    /// in these days.
    #[arg(long, requires = "lake")]
    pub schedules: bool,
    /// Also make new firmware for meters of some households: requests and alerts beside the others, and what the inventory is told of it.
    #[arg(long, requires = "inventory")]
    pub firmware: bool,
    /// Also write the trails that a search must find, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    pub truth: Option<PathBuf>,
    /// Also write what must be known of thresholds and quarantined communications, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    pub anomaly_truth: Option<PathBuf>,
    /// Also write the schedules that must be known, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    pub schedules_truth: Option<PathBuf>,
    /// Also write the firmware versions that must be known, and the distributions that failed, one JSON object a line.
    #[arg(long, value_name = "FILE", requires = "firmware")]
    pub firmware_truth: Option<PathBuf>,
    /// Also write the Device IDs of the region's smart meters, one a line, for `gridtrail bench search`.
    #[arg(long, value_name = "FILE")]
    pub meters: Option<PathBuf>,
    /// Also write what some of the region's premises may be searched by, one JSON object a line: of all, or of 100,000 spread evenly over them. For
    /// `gridtrail bench search --keys` and `gridtrail bench inventory`.
    #[arg(long, value_name = "FILE")]
    pub keys: Option<PathBuf>,
}

/// What is said of `--topic`: which names say what a topic holds.
fn topics_help() -> String {
    let marked = KINDS
        .iter()
        .filter_map(|kind| Some(format!("with `{}` in its name, of {}", kind.topic_mark?, kind.name)));
    format!(
        "A topic of {}, or, {}; may be repeated",
        KINDS[0].name,
        marked.collect::<Vec<_>>().join(", or, ")
    )
}

/// What is said of records that are no events of Service Requests.
fn publish_help() -> String {
    let plain = KINDS.iter().filter(|kind| !kind.is_folded()).filter_map(|kind| {
        let mark = kind.file_mark?;
        Some(format!("{} (.{mark}.binpb, .{mark}.jsonl)", kind.name))
    });
    let plain = plain.collect::<Vec<_>>().join(", ");
    format!(
        "\
The key of a record is the Device ID of its event. What is kept as it comes has no key, and goes to the topic of its kind: {plain}.

--create-topic makes the topics where they are not there, with as many replicas as the cluster gives topics. They take messages \
of 16 MiB (max.message.bytes) and keep the time at which a record was appended (message.timestamp.type=LogAppendTime), by \
which freshness is told while there is a backlog.

Examples:
  gridtrail publish data/day --kafka 127.0.0.1:9092 --create-topic --partitions 6
  gridtrail publish data/day --kafka 127.0.0.1:9092 --rate 20000 --live"
    )
}

/// Where Kafka is, and how it is read.
#[derive(Debug, Args)]
pub struct TopicArgs {
    /// Brokers to start from, separated by commas.
    #[arg(long, value_name = "HOST:PORT", conflicts_with_all = ["dir", "recorded_at"])]
    #[arg(help_heading = "Kafka")]
    pub kafka: Option<String>,
    /// The topics.
    #[arg(long = "topic", value_name = "TOPIC", default_values_t = RecordKind::topics(), help_heading = "Kafka")]
    #[arg(help = topics_help())]
    pub topics: Vec<String>,
    /// The consumer group, in which several ingesters share the partitions.
    #[arg(long, default_value = "gridtrail", help_heading = "Kafka")]
    pub group: String,
    /// A file of further client settings, one `name=value` a line, such as security.protocol and sasl.password; the
    /// names are librdkafka's.
    #[arg(long, value_name = "FILE", help_heading = "Kafka")]
    pub kafka_config: Option<PathBuf>,
    /// A further client setting; may be repeated. Secrets belong in a file.
    #[arg(long = "kafka-set", value_name = "NAME=VALUE", value_parser = setting, help_heading = "Kafka")]
    pub kafka_settings: Vec<(String, String)>,
    /// Stop once everything that the topics held at the start is in the lake; fail when one of them is not there.
    #[arg(long, help_heading = "Kafka")]
    pub once: bool,
    /// With --once, how long no broker may answer, or a transaction that hides records be undecided, before it fails.
    #[arg(long, value_name = "DURATION", default_value = "30s", requires = "once", help_heading = "Kafka")]
    pub once_patience: LifeTime,
    /// How old records get before they are committed, in milliseconds: less makes them queryable sooner, and more
    /// runs for searches to go through.
    #[arg(long, value_name = "MS", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(10..=600_000))]
    #[arg(help_heading = "Kafka")]
    pub commit_every: u64,
    /// How often what waits for its request is joined, and evidence is copied out of the log.
    #[arg(long, value_name = "DURATION", default_value = "60s", help_heading = "Kafka")]
    pub maintain_every: LifeTime,
    /// Leave the maintenance of the lake to other processes.
    #[arg(long, conflicts_with = "maintain_every", help_heading = "Kafka")]
    pub no_maintenance: bool,
    /// What compaction may use.
    #[command(flatten)]
    pub compaction: CompactionArgs,
    /// Where the levels of freshness begin.
    #[command(flatten)]
    pub levels: LevelArgs,
    /// Whether and where metrics are shown.
    #[command(flatten)]
    pub metrics: MetricsArgs,
}

impl TopicArgs {
    /// The settings of a file such as `--kafka-config` names. Empty lines and lines that begin with `#` are passed over.
    pub fn settings_of(text: &str) -> Result<Vec<(String, String)>, String> {
        let lines = (1..).zip(text.lines()).map(|(number, line)| (number, line.trim()));
        lines
            .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
            // The line itself is not repeated: it may hold a secret.
            .map(|(number, line)| setting(line).map_err(|why| format!("line {number}: {why}")))
            .collect()
    }
}

/// Arguments of `gridtrail publish`.
#[derive(Debug, Args)]
#[command(after_help = publish_help())]
pub struct PublishArgs {
    /// The folder of event files: .binpb, .jsonl, .ndjson or .json, compressed (.gz, .zst) or not.
    pub dir: PathBuf,
    /// Brokers to start from, separated by commas.
    #[arg(long, value_name = "HOST:PORT")]
    pub kafka: String,
    /// The topic.
    #[arg(long, value_name = "TOPIC", default_value = SERVICE_EVENTS.topic)]
    pub topic: String,
    /// The topic of the events of access.
    #[arg(long, value_name = "TOPIC", default_value = ACCESS_EVENTS.topic)]
    pub access_topic: String,
    /// A file of further client settings, one `name=value` a line; the names are librdkafka's.
    #[arg(long, value_name = "FILE")]
    pub kafka_config: Option<PathBuf>,
    /// Make the topics first, where they are not there.
    #[arg(long)]
    pub create_topic: bool,
    /// How many partitions each of them gets: at least as many as processes are to share the ingest. More can be added later.
    #[arg(long, value_name = "N", default_value_t = 6, requires = "create_topic")]
    #[arg(value_parser = clap::value_parser!(i32).range(1..=10_000))]
    pub partitions: i32,
    /// Events a second, at most; left out: as fast as the brokers take them.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub rate: Option<u64>,
    /// Have each event say that the DCC recorded it when it was sent, so that its way into a search can be timed.
    #[arg(long)]
    pub live: bool,
}

impl PublishArgs {
    /// The topic that records of a kind go to.
    pub fn topic_of(&self, kind: &'static RecordKind) -> &str {
        let named = [(&SERVICE_EVENTS, &self.topic), (&ACCESS_EVENTS, &self.access_topic)];
        named.into_iter().find(|(of, _)| *of == kind).map_or(kind.topic, |(_, topic)| topic)
    }
}

/// Arguments of `gridtrail ingest`.
#[derive(Debug, Args)]
#[command(after_help = "\
Files are told by their names: .xml (a DUIS message, or a capture of many), .binpb, and .jsonl, .ndjson or .json (one event a \
line); .access before the ending says that they hold events of access: who shares with whom. Each may be compressed (.gz, .zst). \
Files of other names are passed over, and counted. Running it again takes in only what is new: it may be killed at any time.

With --kafka it follows topics instead, until it is told to stop by SIGINT or SIGTERM, or with --once until what the \
topics held at its start is in the lake. Positions are kept in the lake, never in the consumer group.

A DUIS message does not say when the DCC received it. That time comes from a file beside it (message.xml.receipt.json), with \
--recorded-at for those that have none. A message whose file cannot be read becomes a dead letter, whatever --recorded-at says.

Examples:
  gridtrail ingest data/day --lake data/lake
  gridtrail ingest samples --lake s3://audit/lake --recorded-at 2026-03-01T09:30:00Z
  gridtrail ingest --kafka broker-1:9092,broker-2:9092 --lake s3://audit/lake")]
pub struct IngestArgs {
    /// The folder of event files, or one file.
    #[arg(required_unless_present = "kafka")]
    pub dir: Option<PathBuf>,
    /// Where Kafka is.
    #[command(flatten)]
    pub topics: TopicArgs,
    /// The lake: a folder, or a URL such as s3://bucket/path. Created when absent.
    #[arg(long, env = "GRIDTRAIL_LAKE", value_name = "URL|PATH", default_value = "data/lake")]
    pub lake: String,
    /// The receipt time of DUIS messages that have no file of their own that says it, UTC.
    #[arg(long, value_name = "TIME")]
    pub recorded_at: Option<Timestamp>,
    /// Rows that close a batch: fewer make more commits, which tests of interruption want.
    #[arg(long, hide = true)]
    pub batch_rows: Option<usize>,
}
