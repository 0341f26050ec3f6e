//! `gridtrail bench topic`: how fast a topic becomes queryable, beside a consumer that only counts.

use crate::args::BenchTopicArgs;
use crate::exit::Failure;
use crate::opening::open_lake;
use crate::output;
use gridtrail_ingest::{IngestError, Observer, Outcome, TopicSettings, follow_topics};
use gridtrail_kafka::{KafkaSettings, count};
use gridtrail_lake::Lake;
use gridtrail_runtime::Clock;
use serde::Serialize;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// The figures. The fields are an interface: programs read them as JSON.
#[derive(Debug, Serialize)]
struct Figures {
    records: u64,
    bytes: u64,
    /// Records by the time until the last was counted.
    null_records_per_second: f64,
    /// Records by the time until the last was committed and queryable.
    records_per_second: f64,
    /// The one by the other.
    ratio: f64,
    commits: u64,
    rows: u64,
    runs: u64,
    lake_bytes: u64,
    /// The most memory that this process has had, where the system tells.
    peak_mib: Option<u64>,
}

pub(crate) async fn run(args: &BenchTopicArgs) -> Result<(), Failure> {
    if args.lake.exists() {
        let reason = format!("{} is there already", args.lake.display());
        return Err(Failure::Argument { argument: "--lake", reason });
    }
    let kafka = KafkaSettings {
        bootstrap: args.kafka.clone(),
        // A group of its own: what another one reads is not taken away from it.
        group: format!("gridtrail-bench-{}", Clock::system().now().millis()),
        topics: vec![args.topic.clone()],
        properties: args.kafka_settings.clone(),
    };
    let counting = kafka.clone();
    let counted = tokio::task::spawn_blocking(move || count(&counting))
        .await
        .map_err(|_| Failure::Process("counting panicked"))?
        .map_err(IngestError::Kafka)?;
    let lake = open_lake(&args.lake.to_string_lossy()).await?;
    let seen = Arc::new(UntilCommitted { wanted: counted.records, ..UntilCommitted::default() });
    let all = Arc::clone(&seen);
    let began = Instant::now();
    let followed =
        follow_topics(&lake, TopicSettings::of(kafka), seen, async move { all.whole.notified().await })
            .await?;
    let figures = figures(&lake, &counted, began.elapsed(), followed.commits);
    output::write_json(&mut io::stdout().lock(), &figures)
}

fn figures(lake: &Lake, counted: &gridtrail_kafka::Counted, took: Duration, commits: u64) -> Figures {
    let null = counted.records as f64 / counted.took.as_secs_f64();
    let rate = counted.records as f64 / took.as_secs_f64();
    let counts = lake.counts();
    Figures {
        records: counted.records,
        bytes: counted.bytes,
        null_records_per_second: null,
        records_per_second: rate,
        ratio: rate / null,
        commits,
        rows: counts.fragments,
        runs: counts.runs,
        lake_bytes: counts.bytes,
        peak_mib: peak_mib(),
    }
}

/// Ends the reading when so many records are committed.
#[derive(Default)]
struct UntilCommitted {
    wanted: u64,
    committed: AtomicU64,
    whole: Notify,
}

impl Observer for UntilCommitted {
    fn committed(&self, outcome: Outcome) {
        let more = outcome.stored + outcome.parked + outcome.dead_lettered;
        if self.committed.fetch_add(more, Ordering::Relaxed) + more >= self.wanted {
            self.whole.notify_one();
        }
    }
}

fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? / 1024)
}
