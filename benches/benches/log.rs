//! What a commit and a new version cost, however long the log is and however many files there are, and what a list of a million
//! files takes.
//!
//! Reference in the same process: the same, with a log of a hundred entries, or with a thousand files. The entries are written as a commit writes
//! them, one run and the one that it makes superfluous each, straight into the log: a hundred thousand commits would take
//! longer than what is measured.

#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a bench's entry points are macros; it stops when it cannot go on"
)]

use gridtrail_benches::events;
use gridtrail_lake::{Batch, Lake, LakeSettings};
use gridtrail_model::{Fold, Fragment};
use gridtrail_runtime::Clock;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Lengths of the log.
const LENGTHS: [u64; 4] = [100, 1_000, 10_000, 100_000];
/// Live files while it grows.
const LIVE: u64 = 50;
/// Refreshes that are timed at each length.
const TIMED: u64 = 200;
/// Files whose list is weighed, in so many entries.
const FILES: u64 = 1_000_000;
const FILES_AN_ENTRY: u64 = 125_000;
/// Months and buckets over which they are spread: 40 million trails a month in buckets of a million, three runs each.
const MONTHS: u64 = 13;
const BUCKETS: u64 = 128;

/// Files of the main table at which a commit and a new version are compared, three in each month and bucket.
const LISTS: [u64; 2] = [1_000, 100_000];
/// Commits, and new versions, of which the mean is told: together fewer than lie between two checkpoints.
const COUNTED: u64 = 40;
/// Rows of a commit: little beside what is measured.
const ROWS: usize = 4;

/// A lake of one commit, and its log, to which entries are added behind its back.
struct Grown {
    store: Arc<dyn ObjectStore>,
    lake: Lake,
    log: Path,
    info: Value,
    add: Value,
    version: u64,
}

impl Grown {
    async fn new() -> Self {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let settings = LakeSettings { store: Some(Arc::clone(&store)), ..LakeSettings::at("memory:///b") };
        let lake = Lake::open(settings, Clock::system()).await.expect("opens");
        let mut fold = Fold::default();
        for event in events(1_000, 1) {
            fold.add(event).expect("the generator's events fold");
        }
        fold.take_unplaced();
        let mut writer = lake.writer().await.expect("writes");
        let batch = Batch { fragments: fold.into_fragments(), ..Batch::default() };
        let version = writer.commit(batch).await.expect("commits");
        lake.refresh().await.expect("refreshes");
        let log = Path::from("b/trails/_delta_log");
        let entry = store.get(&log.clone().join(format!("{version:020}.json"))).await.expect("is there");
        let entry = entry.bytes().await.expect("is read");
        let lines = entry.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let lines: Vec<Value> = lines.map(|line| serde_json::from_slice(line).expect("is JSON")).collect();
        let line =
            |name: &str| lines.iter().find(|line| line.get(name).is_some()).cloned().expect("is there");
        let mut info = line("commitInfo");
        // What it says of the state that it leads to is true of one entry alone.
        info["commitInfo"].as_object_mut().expect("is an object").remove("gridtrailState");
        Self { store, lake, log, info, add: line("add"), version }
    }

    /// A run that a commit adds.
    fn run(&self, number: u64, month: u64, bucket: Option<(u64, u64)>) -> Value {
        let mut add = self.add.clone();
        let run = &mut add["add"];
        let month = format!("2026-{:02}", month + 1);
        run["path"] = json!(format!("month={month}/l0-01995e2e-7c3a-7d52-a1e4-{number:012}.parquet"));
        run["partitionValues"]["month"] = json!(month);
        if let Some((number, of)) = bucket {
            let tag = run["tags"]["gridtrail"].as_str().expect("is a text");
            let mut tag: Value = serde_json::from_str(tag).expect("is JSON");
            tag["bucket"] = json!({ "number": number, "of": of });
            run["tags"]["gridtrail"] = json!(tag.to_string());
        }
        add
    }

    async fn append(&mut self, lines: impl IntoIterator<Item = Value>) {
        self.version += 1;
        let lines = std::iter::once(self.info.clone()).chain(lines);
        let entry: Vec<String> = lines.map(|line| line.to_string()).collect();
        let path = self.log.clone().join(format!("{:020}.json", self.version));
        self.store.put(&path, PutPayload::from(entry.join("\n"))).await.expect("is written");
    }

    /// A commit as an ingest makes it, and what compaction takes away.
    async fn commit(&mut self) {
        let number = self.version + 1;
        let added = self.run(number, 0, None);
        let taken = number.checked_sub(LIVE).map(|before| {
            let path = self.run(before, 0, None)["add"]["path"].clone();
            json!({ "remove": { "path": path, "dataChange": false, "deletionTimestamp": 1_770_000_000_000_u64 } })
        });
        self.append([added].into_iter().chain(taken)).await;
    }

    async fn refresh(&self) -> Duration {
        let began = Instant::now();
        self.lake.refresh().await.expect("refreshes");
        began.elapsed()
    }
}

async fn refreshing() {
    let mut grown = Grown::new().await;
    let mut reference = None;
    for length in LENGTHS {
        while grown.version < length - TIMED.min(length / 2) {
            grown.commit().await;
            // As a server does that follows it.
            if grown.version.is_multiple_of(1_000) {
                grown.refresh().await;
            }
        }
        grown.refresh().await;
        let mut times = Vec::new();
        while grown.version < length {
            grown.commit().await;
            times.push(grown.refresh().await);
        }
        times.sort_unstable();
        let median = times[times.len() / 2].as_secs_f64() * 1e6;
        let first = *reference.get_or_insert(median);
        println!(
            "refresh/one_new_version/{length:<7} time: {median:.0} µs, {:.2} of that at {}",
            median / first,
            LENGTHS[0]
        );
    }
}

/// CPU time of all threads of this process, microseconds.
fn cpu_micros() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux tells").filter_map(Result::ok);
    let nanos = tasks.filter_map(|task| {
        let told = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        told.split(' ').next()?.parse::<f64>().ok()
    });
    nanos.sum::<f64>() / 1e3
}

/// CPU time of a commit, of one that makes a checkpoint, and of a new version in a server, in a lake of so many files.
async fn cost_of_list(files: u64) -> [f64; 3] {
    let mut grown = Grown::new().await;
    let buckets = files.div_ceil(3 * MONTHS);
    let runs: Vec<Value> =
        (0..files).map(|n| grown.run(n, n % MONTHS, Some((n / MONTHS % buckets, buckets)))).collect();
    for part in runs.chunks(10_000) {
        grown.append(part.iter().cloned()).await;
    }
    drop(runs);
    grown.refresh().await;
    let mut fold = Fold::default();
    for event in events(1_000, 1) {
        fold.add(event).expect("the generator's events fold");
    }
    fold.take_unplaced();
    let fragments: Vec<Fragment> = fold.into_fragments().into_iter().take(ROWS).collect();
    let batch = || Batch { fragments: fragments.clone(), ..Batch::default() };
    let mut writer = grown.lake.writer().await.expect("writes");
    // The first commit of a process makes what later ones have.
    grown.version = writer.commit(batch()).await.expect("commits");
    let began = cpu_micros();
    for _ in 0..COUNTED {
        grown.version = writer.commit(batch()).await.expect("commits");
    }
    let commit = (cpu_micros() - began) / COUNTED as f64;
    let mut version = 0.0;
    for _ in 0..COUNTED {
        grown.append([grown.run(files + grown.version, 0, None)]).await;
        let began = cpu_micros();
        grown.refresh().await;
        version += cpu_micros() - began;
    }
    while !(grown.version + 1).is_multiple_of(100) {
        grown.append([grown.run(files + grown.version, 0, None)]).await;
    }
    writer.refresh().await.expect("refreshes");
    let began = cpu_micros();
    writer.commit(batch()).await.expect("commits");
    [commit, version / COUNTED as f64, cpu_micros() - began]
}

async fn lists() {
    let [few, many] = LISTS;
    let costs = cost_of_list(few).await.into_iter().zip(cost_of_list(many).await);
    let names = ["commit", "one_new_version", "commit_with_checkpoint"];
    for (name, (at_few, at_many)) in names.into_iter().zip(costs) {
        println!(
            "list/{name:<23} CPU time: {at_few:.0} µs at {few} files, {at_many:.0} µs at {many}, {:.2} of that",
            at_many / at_few
        );
    }
}

/// Memory of this process, MiB.
fn resident() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux tells");
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok()).expect("is a number");
    pages * 4_096.0 / f64::from(1 << 20)
}

async fn weighing() {
    let mut grown = Grown::new().await;
    let before = resident();
    let mut number = 0;
    let mut took = Duration::ZERO;
    while number < FILES {
        let end = number + FILES_AN_ENTRY;
        let runs: Vec<Value> =
            (number..end).map(|n| grown.run(n, n % MONTHS, Some((n / MONTHS % BUCKETS, BUCKETS)))).collect();
        grown.append(runs).await;
        took += grown.refresh().await;
        // The entry itself is the store's memory.
        let path = grown.log.clone().join(format!("{:020}.json", grown.version));
        grown.store.delete(&path).await.expect("is there");
        number = end;
    }
    println!(
        "files/list/{FILES} time: {:.2} µs a file to take in, {:.0} MiB in memory",
        took.as_secs_f64() * 1e6 / FILES as f64,
        resident() - before
    );
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        // Of a thread that ended, nobody knows any more what CPU time it took.
        .thread_keep_alive(Duration::from_secs(3_600))
        .build();
    let runtime = runtime.expect("a runtime starts");
    // `cargo bench --bench log -- lists` runs one of them.
    let only = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let wanted = |step: &str| only.as_ref().is_none_or(|only| step.contains(only));
    if wanted("lists") {
        runtime.block_on(lists());
    }
    if wanted("refreshing") {
        runtime.block_on(refreshing());
    }
    if wanted("weighing") {
        runtime.block_on(weighing());
    }
}
