//! Metrics for Prometheus: what a report says, in numbers. `docs/freshness.md` lists them.
//!
//! Labels are clusters, topics and partitions, and no more. What is not known is NaN, which no threshold meets: alerts go
//! by the level, where it counts as the worst. Counters start with the lake, not with the process.

use crate::args::MetricsArgs;
use crate::exit::Failure;
use bytes::Bytes;
use gridtrail_freshness::{Delay, Report, SourceKey, SourceReport};
use gridtrail_lake::{HitsAndMisses, SnapshotVersion, StoreUse};
use gridtrail_port::{Port, Terms, Whence};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use metrics::{Label, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

const COMPLETE_UP_TO: &str = "gridtrail_freshness_complete_up_to_timestamp_seconds";
const LAG: &str = "gridtrail_freshness_lag_seconds";
const LEVEL: &str = "gridtrail_freshness_level";
const TIME_TO_BREACH: &str = "gridtrail_freshness_time_to_breach_seconds";
const DELAY: &str = "gridtrail_freshness_receipt_to_queryable_worst_seconds";
const LETTERS_OPEN: &str = "gridtrail_freshness_dead_letters_open";
const LETTERS_AGE: &str = "gridtrail_freshness_dead_letters_oldest_age_seconds";
const WAITING: &str = "gridtrail_freshness_waiting_rows";
const WAITING_LATE: &str = "gridtrail_freshness_waiting_late_rows";
const WAITING_AGE: &str = "gridtrail_freshness_waiting_oldest_age_seconds";
const BROKEN: &str = "gridtrail_freshness_broken_evidence";
const STOPPED: &str = "gridtrail_snapshot_stopped";
const RECORDS: &str = "gridtrail_ingest_records_total";
const COMMITS: &str = "gridtrail_ingest_commits_total";
const PARKED: &str = "gridtrail_ingest_parked_total";
const LETTERS: &str = "gridtrail_ingest_dead_letters_total";
const KAFKA_LAG: &str = "gridtrail_kafka_lag_records";
const CACHE: &str = "gridtrail_lake_cache_requests_total";
const STORE_REQUESTS: &str = "gridtrail_lake_store_requests_total";
const STORE_BYTES: &str = "gridtrail_lake_store_bytes_total";
const LOOKUPS: &str = "gridtrail_lake_lookups_total";
const LOOKUP_RUNS: &str = "gridtrail_lake_lookup_runs_total";
const LOOKUP_PAGES: &str = "gridtrail_lake_lookup_pages_total";
const LEVEL_0_RUNS: &str = "gridtrail_lake_level_0_runs";
const BUCKET_RUNS: &str = "gridtrail_lake_bucket_runs";
const RIGHTS_LAPSED: &str = "gridtrail_access_granted_rights_lapsed";
const SUSPENSIONS: &str = "gridtrail_access_suspensions";
const REPORTS_ENDED: &str = "gridtrail_report_jobs_ended_total";
const REPORTS_FAILED: &str = "gridtrail_report_jobs_failed_attempts_total";
const REPORTS_LATE: &str = "gridtrail_report_jobs_late_seconds";
const VERSION: &str = "gridtrail_snapshot_version";
const VERSION_AGE: &str = "gridtrail_snapshot_age_seconds";

/// Upper bounds of the histogram, in seconds: from a healthy second to the duty's day, the levels' defaults among them.
const DELAY_BOUNDS: [f64; 14] = [
    1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1_800.0, 3_600.0, 14_400.0, 43_200.0, 72_000.0, 86_400.0,
    172_800.0,
];

/// Where metrics are to be shown, if they are. Errors: where others could read them, and that was not asked for.
pub(crate) fn address(args: &MetricsArgs) -> Result<Option<SocketAddr>, Failure> {
    match args.metrics {
        Some(address) if !address.ip().is_loopback() && !args.metrics_open => {
            let reason = format!(
                "{address} is no loopback address, and no token protects metrics: add --metrics-open"
            );
            Err(Failure::Argument { argument: "--metrics", reason })
        }
        address => Ok(address),
    }
}

/// Whether what Parties granted each other counts no longer.
pub(crate) fn rights_lapsed(lapsed: bool) {
    gauge!(RIGHTS_LAPSED).set(if lapsed { 1.0 } else { 0.0 });
}

/// How many events of access suspend pairs, or may have ended some that nobody can name.
pub(crate) fn suspensions(count: usize) {
    gauge!(SUSPENSIONS).set(count as f64);
}

/// That a scheduled report ended: published, skipped or withdrawn.
pub(crate) fn report_ended(job: &str, state: &'static str) {
    counter!(REPORTS_ENDED, "job" => job.to_owned(), "state" => state).increment(1);
}

/// That an attempt to make a scheduled report failed.
pub(crate) fn report_failed(job: &str) {
    counter!(REPORTS_FAILED, "job" => job.to_owned()).increment(1);
}

/// For how long the oldest report of a job has been due, in milliseconds.
pub(crate) fn reports_late(job: &str, late_ms: i64) {
    gauge!(REPORTS_LATE, "job" => job.to_owned()).set(seconds(late_ms));
}

/// On which terms metrics are shown: to a few who scrape, and not at the cost of who calls.
const TERMS: Terms = Terms {
    connections: 16,
    by_address: 16,
    streams: 4,
    head_bytes: 16 * 1024,
    idle: Duration::from_secs(120),
    age: Duration::from_secs(60 * 60),
    drain: Duration::ZERO,
};

/// How often what was measured of late is taken into the histograms.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Shows metrics to whoever asks, without end.
async fn show(port: Port, handle: PrometheusHandle) {
    let shown = handle.clone();
    let service = service_fn(move |_: Request<Incoming>| {
        let mut answer = Response::new(Full::new(Bytes::from(shown.render())));
        let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        answer.headers_mut().insert(CONTENT_TYPE, kind);
        std::future::ready(Ok::<_, Infallible>(answer))
    });
    let upkeep = async {
        loop {
            tokio::time::sleep(UPKEEP_EVERY).await;
            handle.run_upkeep();
        }
    };
    tokio::select! {
        _ = port.serve(service, std::future::pending()) => {}
        () = upkeep => {}
    }
}

/// The metrics of this process, shown until this is dropped.
#[derive(Debug)]
pub(crate) struct Metrics {
    partitions: BTreeSet<(SourceKey, i32)>,
    _showing: AbortOnDropHandle<()>,
}

impl Metrics {
    /// Begins to show metrics over HTTP. Once a process.
    pub(crate) fn show(address: SocketAddr) -> Result<Self, Failure> {
        let failed = |reason: String| Failure::Metrics { address, reason };
        let builder =
            PrometheusBuilder::new().set_buckets_for_metric(Matcher::Full(DELAY.to_owned()), &DELAY_BOUNDS);
        let recorder = builder.map_err(|error| failed(error.to_string()))?.build_recorder();
        let listener = listen(address).map_err(|error| failed(error.to_string()))?;
        let port = Port { listener, tls: None, terms: TERMS, whence: Whence::Connection };
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|error| failed(error.to_string()))?;
        describe();
        tracing::info!(%address, "showing metrics");
        let showing = tokio::spawn(show(port, handle));
        Ok(Self { partitions: BTreeSet::new(), _showing: AbortOnDropHandle::new(showing) })
    }

    /// How long records took until they could be found.
    pub(crate) fn delays(&mut self, delays: &[Delay]) {
        for delay in delays {
            histogram!(DELAY, labels_of(&delay.source)).record(seconds(delay.worst_ms));
        }
    }

    /// What look-ups asked of the caches and of the object store since this process opened the lake.
    pub(crate) fn store_use(&self, used: &StoreUse) {
        for (cache, HitsAndMisses { hits, misses }) in [("footers", used.footers), ("pages", used.pages)] {
            counter!(CACHE, "cache" => cache, "result" => "hit").absolute(hits);
            counter!(CACHE, "cache" => cache, "result" => "miss").absolute(misses);
        }
        counter!(STORE_REQUESTS).absolute(used.gets);
        counter!(STORE_BYTES).absolute(used.bytes);
        counter!(LOOKUPS).absolute(used.lookups);
        counter!(LOOKUP_RUNS).absolute(used.runs_touched);
        counter!(LOOKUP_PAGES).absolute(used.pages_read);
    }

    /// How far compaction is behind: the most runs that any month, or any bucket of one, has.
    pub(crate) fn runs(&self, (level_0, bucket): (usize, usize)) {
        gauge!(LEVEL_0_RUNS).set(level_0 as f64);
        gauge!(BUCKET_RUNS).set(bucket as f64);
    }

    /// What a report says.
    pub(crate) fn publish(&mut self, report: &Report) {
        let now_ms = report.at.millis();
        let mut partitions = BTreeSet::new();
        for source in &report.sources {
            publish_source(source, now_ms);
            for partition in &source.partitions {
                let of = || partition_labels(&source.source, partition.partition);
                let complete = partition.complete_up_to.map(|at| at.millis());
                gauge!(COMPLETE_UP_TO, of()).set(known(complete));
                gauge!(LAG, of()).set(known(partition.lag_ms));
                gauge!(KAFKA_LAG, of()).set(partition.behind.map_or(f64::NAN, |behind| behind as f64));
                partitions.insert((source.source.clone(), partition.partition));
            }
        }
        // A topic that is followed no longer has no lag, rather than its last.
        for (source, partition) in self.partitions.difference(&partitions) {
            for name in [COMPLETE_UP_TO, LAG, KAFKA_LAG] {
                gauge!(name, partition_labels(source, *partition)).set(f64::NAN);
            }
            gauge!(LEVEL, labels_of(source)).set(f64::NAN);
            gauge!(TIME_TO_BREACH, labels_of(source)).set(f64::NAN);
        }
        for source in &report.sources {
            gauge!(LEVEL, labels_of(&source.source)).set(source.level.number());
        }
        self.partitions = partitions;
        let age = |since: Option<i64>| since.map_or(0.0, |since| seconds((now_ms - since).max(0)));
        gauge!(WAITING).set(report.waiting.rows as f64);
        gauge!(WAITING_LATE).set(report.waiting.late as f64);
        gauge!(WAITING_AGE).set(age(report.waiting.oldest.map(|at| at.millis())));
        gauge!(BROKEN).set(report.broken_evidence as f64);
        gauge!(STOPPED).set(if report.stopped.is_some() { 1.0 } else { 0.0 });
        let version = report.version.parse::<SnapshotVersion>();
        gauge!(VERSION).set(version.map_or(f64::NAN, |version| version.trails() as f64));
        gauge!(VERSION_AGE).set(seconds(report.confirmed_ago_ms));
    }
}

fn publish_source(source: &SourceReport, now_ms: i64) {
    let of = || labels_of(&source.source);
    if source.source == SourceKey::Files {
        gauge!(COMPLETE_UP_TO, of()).set(known(source.complete_up_to.map(|at| at.millis())));
        gauge!(LAG, of()).set(known(source.lag_ms));
    }
    gauge!(TIME_TO_BREACH, of()).set(source.time_to_breach_ms.map_or(f64::INFINITY, seconds));
    gauge!(LETTERS_OPEN, of()).set(source.open_letters as f64);
    let age = source.open_letters_since.map_or(0, |since| (now_ms - since.millis()).max(0));
    gauge!(LETTERS_AGE, of()).set(seconds(age));
    counter!(RECORDS, of()).absolute(source.records);
    counter!(COMMITS, of()).absolute(source.commits);
    counter!(PARKED, of()).absolute(source.parked);
    counter!(LETTERS, of()).absolute(source.dead_lettered);
}

fn labels_of(source: &SourceKey) -> Vec<Label> {
    vec![Label::new("cluster", source.cluster().to_owned()), Label::new("topic", source.name().to_owned())]
}

fn partition_labels(source: &SourceKey, partition: i32) -> Vec<Label> {
    let mut labels = labels_of(source);
    labels.push(Label::new("partition", partition.to_string()));
    labels
}

fn known(millis: Option<i64>) -> f64 {
    millis.map_or(f64::NAN, seconds)
}

fn seconds(millis: i64) -> f64 {
    millis as f64 / 1_000.0
}

fn describe() {
    describe_gauge!(COMPLETE_UP_TO, "What the partition held before this time can be found. NaN: not known.");
    describe_gauge!(LAG, "How long ago that is. NaN: not known.");
    describe_gauge!(LEVEL, "0 fresh, 1 warn, 2 critical, 3 breach or not known.");
    describe_gauge!(
        TIME_TO_BREACH,
        "Until the lag breaches at the trend of the last half hour. +Inf: it does not grow."
    );
    describe_histogram!(
        DELAY,
        "From receipt until this process could find it, of the slowest record of a commit."
    );
    describe_gauge!(LETTERS_OPEN, "Records that could not be read and were neither replayed nor dismissed.");
    describe_gauge!(LETTERS_AGE, "The age of the oldest of those.");
    describe_gauge!(WAITING, "Answers whose request is not on record; each is a row of its own.");
    describe_gauge!(WAITING_LATE, "Those older than the level warn.");
    describe_gauge!(WAITING_AGE, "The age of the oldest.");
    describe_gauge!(
        RIGHTS_LAPSED,
        "1 while what Parties granted each other counts no longer, since the topics of events of access stand still."
    );
    describe_gauge!(SUSPENSIONS, "Events of access that suspend pairs until an operator settles them.");
    describe_counter!(
        REPORTS_ENDED,
        "Scheduled reports that this process brought to their end, by how they ended."
    );
    describe_counter!(REPORTS_FAILED, "Attempts of this process to make a scheduled report that failed.");
    describe_gauge!(REPORTS_LATE, "For how long the oldest scheduled report that is not there has been due.");
    describe_gauge!(BROKEN, "Pieces of evidence that were changed since they were written.");
    describe_gauge!(
        STOPPED,
        "1 while a log entry that is not gridtrail's, or damaged, keeps answers at an older version."
    );
    describe_counter!(RECORDS, "Records read, since the lake began.");
    describe_counter!(COMMITS, "Commits that read of the source, since the lake began.");
    describe_counter!(PARKED, "Records that waited for their request when they came, since the lake began.");
    describe_counter!(LETTERS, "Records that could not be read when they came, since the lake began.");
    describe_gauge!(KAFKA_LAG, "Offsets not read yet, as of the last commit.");
    describe_counter!(CACHE, "What was looked for in a cache of the lake, and whether it was there.");
    describe_counter!(STORE_REQUESTS, "Requests to the object store for parts of runs.");
    describe_counter!(STORE_BYTES, "Bytes that they returned.");
    describe_counter!(LOOKUPS, "Look-ups of a Device.");
    describe_counter!(LOOKUP_RUNS, "Runs of which look-ups read pages.");
    describe_counter!(LOOKUP_PAGES, "Data pages that look-ups read, of all columns.");
    describe_gauge!(LEVEL_0_RUNS, "The most runs of level 0 that a month has: compaction keeps to 32.");
    describe_gauge!(BUCKET_RUNS, "The most runs that a bucket of a month has: compaction keeps to 3.");
    describe_gauge!(VERSION, "The version of the main table that searches are answered at.");
    describe_gauge!(VERSION_AGE, "Since it was last made sure that there is no newer one.");
}
