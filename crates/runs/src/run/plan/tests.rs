//! The plan, on runs that exist in name only: how many runs a look-up meets, and how often a row is written.

use super::*;
use crate::delta::checksum::Written;
use crate::delta::log::TableFile;
use crate::limits::MERGED_RUNS;
use crate::run::keyed::{KeyedRun, KeyedSummary};
use crate::run::list::Listed as _;
use crate::run::writer::Summary as _;
use deltalake_core::Path;

const BUCKETS: u32 = 16;
const NOW: i64 = 1_770_000_000_000;

/// A month's runs, by the rows that they hold.
#[derive(Default)]
struct Sim {
    runs: Vec<Arc<KeyedRun>>,
    next: u64,
    now_ms: i64,
    /// Runs of level 0 that a job may merge.
    merged: usize,
    written: u64,
    level_0_max: usize,
    level_1_max: usize,
}

impl Sim {
    fn new() -> Self {
        Self { now_ms: NOW, merged: MERGED_RUNS, ..Self::default() }
    }

    fn add(&mut self, rows: u64, bucket: Option<Bucket>) {
        self.next += 1;
        let summary = KeyedSummary::new(None, None, bucket, None);
        let written = Written { size: rows * 33, xxh64: 0, tail: None };
        let file = summary.file(self.next.to_string(), written).unwrap();
        let file = TableFile {
            path: file.path,
            size: written.size,
            month: Some("2026-03".to_owned()),
            written_ms: self.now_ms,
            tag: Some(file.tag.replace("\"rows\":0", &format!("\"rows\":{rows}"))),
            xxh64: None,
            tail: None,
        };
        self.runs.push(Arc::new(KeyedRun::listed(&Arc::new(file), Path::from("x")).unwrap()));
        self.written += rows;
    }

    fn jobs(&self) -> Vec<Job<KeyedRun>> {
        plan(self.runs.iter(), (BUCKETS, self.merged), self.now_ms, |_| None)
    }

    /// Compacts until nothing is due.
    fn settle(&mut self) {
        for _ in 0..1_000 {
            let jobs = self.jobs();
            if jobs.is_empty() {
                return;
            }
            let mut taken = std::collections::HashSet::new();
            for job in jobs {
                assert!(
                    job.inputs.iter().all(|run| taken.insert(run.file().path.clone())),
                    "two jobs, one run"
                );
                assert!(job.inputs.len() > 1 || matches!(job.kind, Kind::Flush { .. }), "{job:?}");
                assert!(job.inputs.len() <= self.merged, "a merge of {} runs", job.inputs.len());
                self.runs.retain(|run| job.inputs.iter().all(|input| input.file().path != run.file().path));
                let rows = job.rows();
                match job.kind {
                    Kind::Flush { buckets } => {
                        for number in 0..buckets {
                            self.add(rows / u64::from(buckets), Some(Bucket { number, of: buckets }));
                        }
                    }
                    Kind::Fold(bucket) => self.add(rows, Some(bucket)),
                    Kind::Gather => self.add(rows, None),
                }
                self.count();
            }
        }
        panic!("compaction never ends");
    }

    fn count(&mut self) {
        let level_0 = self.runs.iter().filter(|run| run.facts().bucket.is_none()).count();
        self.level_0_max = self.level_0_max.max(level_0);
        for number in 0..BUCKETS {
            let of = |run: &&Arc<KeyedRun>| run.facts().bucket.is_some_and(|bucket| bucket.number == number);
            self.level_1_max = self.level_1_max.max(self.runs.iter().filter(of).count());
        }
    }
}

/// A month of a commit a second, at three sizes of commit: the runs stay bounded, and a row is written a bounded number of
/// times.
#[test]
fn runs_stay_few_and_rows_are_written_a_few_times() {
    for (rows, seconds, written_max) in [(10, 86_400, 12.0), (1_000, 86_400, 25.0), (30_000, 1_800, 12.0)] {
        let mut sim = Sim::new();
        for _ in 0..seconds {
            sim.now_ms += 1_000;
            sim.add(rows, None);
            sim.count();
            sim.settle();
        }
        let times = sim.written as f64 / (rows * seconds) as f64;
        println!(
            "{rows} rows a commit, {seconds} commits: written {times:.1} times, at most {} runs in level 0 and {} in a \
             bucket",
            sim.level_0_max, sim.level_1_max
        );
        assert!(sim.level_0_max <= 32, "{}", sim.level_0_max);
        assert!(sim.level_1_max <= FOLD_RUNS, "{}", sim.level_1_max);
        assert!(times <= written_max, "{times}");
    }
}

/// What a load of files leaves behind, of which nothing was compacted meanwhile: no job holds more runs than there is memory for, and a row is written the
/// fewer times the more memory there is.
#[test]
fn a_load_of_files_is_compacted_few_runs_at_a_time() {
    let (runs, rows) = (3_500, 100_000);
    for (merged, most) in [(MERGED_RUNS, 4.0), (4_096, 2.0)] {
        let mut sim = Sim { merged, ..Sim::new() };
        for _ in 0..runs {
            sim.add(rows, None);
        }
        sim.settle();
        let times = sim.written as f64 / (runs * rows) as f64;
        assert!(times <= most, "{merged} runs at once: each row was written {times:.1} times");
        assert!(sim.runs.iter().all(|run| run.facts().bucket.is_some()), "level 0 is flushed");
    }
}

#[test]
fn a_quiet_month_ends_as_one_run_a_bucket() {
    let mut sim = Sim::new();
    for _ in 0..40 {
        sim.add(50_000, None);
        sim.settle();
    }
    sim.now_ms += FLUSH_AGE_MS;
    sim.settle();
    assert!(sim.runs.iter().all(|run| run.facts().bucket.is_some()), "level 0 is flushed by its age");
    sim.now_ms += IDLE_MONTH_MS;
    sim.settle();
    assert_eq!(sim.runs.len(), BUCKETS as usize);
    assert!(sim.jobs().is_empty(), "and then it is left alone");
}

/// Late events into an old month do not write it anew each time.
#[test]
fn late_events_do_not_rewrite_a_month() {
    let mut sim = Sim::new();
    for number in 0..BUCKETS {
        sim.add(1_000_000, Some(Bucket { number, of: BUCKETS }));
    }
    let before = sim.written;
    for _ in 0..100 {
        sim.add(100, None);
        sim.now_ms += FLUSH_AGE_MS;
        sim.settle();
    }
    let times = (sim.written - before) as f64 / 4_000_000.0;
    println!("100 late commits: the month was written {times:.2} times over");
    assert!(times < 2.0, "{times}");
}

/// What lies in another number of buckets is sorted into the new one, under the guards of all its buckets; level 0 and what is right stay.
#[test]
fn another_number_of_buckets_takes_the_runs_of_all_others() {
    let mut sim = Sim::new();
    let bucket = |number, of| Some(Bucket { number, of });
    for bucket in [None, bucket(0, 16), bucket(3, 16), bucket(3, 16), bucket(1, 4), bucket(5, 24)] {
        sim.add(10, bucket);
    }
    let jobs = into_buckets(sim.runs.iter(), 24, |_| Some(7));
    let [job] = &jobs[..] else { panic!("{jobs:?}") };
    assert_eq!(job.kind, Kind::Flush { buckets: 24 });
    let moves = job.changes(Vec::new(), NOW).moves;
    let moves: Vec<_> = moves.iter().map(|one| (one.app_id.as_str(), one.from, one.to)).collect();
    let fences = ["2026-03/0-16", "2026-03/1-4", "2026-03/3-16"].map(|fence| (fence, Some(7), 8));
    assert_eq!(moves, fences, "each once, in order");
    assert_eq!(job.inputs.len(), 4);
    assert!(into_buckets(sim.runs[5..].iter(), 24, |_| None).is_empty());
}
