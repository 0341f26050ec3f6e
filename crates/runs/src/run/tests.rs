//! A table that is made up for it, of two columns, is compacted by levels and buckets: nothing in that is of any domain.

use crate::definition::Definition;
use crate::delta::commit::Changes;
use crate::delta::location::Location;
use crate::delta::table::Table;
use crate::error::RunsError;
use crate::limits::{FLUSH_AGE_MS, FOLD_RUNS, IDLE_MONTH_MS, MERGED_RUNS};
use crate::pages::cache::RunCache;
use crate::run::bucket::level_0_path;
use crate::run::compact::{CompactionSettings, LevelRule, carry_out};
use crate::run::index::{Run, RunIndex};
use crate::run::keyed::{ByKey, KeyedRun};
use crate::run::merge::{Kept, MergeKey, MergeRule, Scan};
use crate::run::plan::{Kind, plan};
use crate::run::writer::RunWriter;
use arrow::array::{AsArray, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit, TimestampMillisecondType};
use parquet::file::properties::WriterProperties;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::convert::Infallible;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, LazyLock};

const BUCKETS: u32 = 4;

static COLUMNS: LazyLock<SchemaRef> = LazyLock::new(|| {
    let time = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new("place", DataType::Utf8, false),
        Field::new("seen_at", time, false),
    ]))
});

static PLACES: Definition = Definition {
    name: "places",
    schema: &COLUMNS,
    by_month: false,
    format: 1,
    needs: &[],
    keys: &[],
    layout: || WriterProperties::builder().set_dictionary_enabled(false).build(),
    note: None,
    made_with: Vec::new,
};

/// Of each place, the newest time stays.
#[derive(Debug, Clone, Copy)]
struct Newest;

impl MergeRule for Newest {
    type Row = Infallible;

    fn keys(&self, batch: &RecordBatch, _: &str) -> Result<Vec<MergeKey>, RunsError> {
        let key = |place: Option<&str>| {
            let mut bytes = [0; 16];
            bytes[..7].copy_from_slice(place.unwrap().as_bytes());
            MergeKey(Some(u128::from_be_bytes(bytes)), 0)
        };
        Ok(batch.column(0).as_string::<i32>().iter().map(key).collect())
    }

    fn merge(&self, rows: &[RecordBatch], _: &str) -> Result<Vec<Kept<Infallible>>, RunsError> {
        let newest = (0..rows.len()).max_by_key(|row| seen(&rows[*row], 0));
        Ok(newest.map(Kept::Same).into_iter().collect())
    }

    fn encode(&self, _: &[Infallible]) -> Result<RecordBatch, RunsError> {
        Err(RunsError::Internal("no row is made"))
    }
}

fn seen(batch: &RecordBatch, row: usize) -> i64 {
    batch.column(1).as_primitive::<TimestampMillisecondType>().value(row)
}

/// The table, what it must hold, and what became of it.
struct World {
    table: Table,
    cache: RunCache,
    index: RunIndex<KeyedRun>,
    newest: BTreeMap<String, i64>,
    kinds: BTreeSet<&'static str>,
    now_ms: i64,
}

const RULE: ByKey<Newest> = ByKey { rule: Newest, time: Some(1) };

impl World {
    async fn new() -> Self {
        let location = Location::parse("memory:///made-up", &HashMap::new()).unwrap();
        let table = Table::open_or_create(&location, &PLACES, true).await.unwrap();
        let cache = RunCache::new(&location, 1 << 20);
        let (index, newest, kinds) = (RunIndex::default(), BTreeMap::new(), BTreeSet::new());
        Self { table, cache, index, newest, kinds, now_ms: 0 }
    }

    /// Commits a run of level 0 with some places, all seen now.
    async fn see(&mut self, numbers: impl Iterator<Item = u32>) {
        let places: Vec<String> = numbers.map(|number| format!("P{number:06}")).collect();
        let times = TimestampMillisecondArray::from(vec![self.now_ms; places.len()]).with_timezone("UTC");
        let names = StringArray::from(places.clone());
        let batch = RecordBatch::try_new(Arc::clone(&COLUMNS), vec![Arc::new(names), Arc::new(times)]);
        let summary = RULE.summary(None, None, Some(self.now_ms));
        let mut writer = RunWriter::new(&self.table, level_0_path(None), summary).unwrap();
        writer.write(&batch.unwrap()).await.unwrap();
        let add = vec![writer.finish().await.unwrap()];
        self.table.commit(&Changes { add, now_ms: self.now_ms, ..Changes::default() }).await.unwrap();
        self.newest.extend(places.into_iter().map(|place| (place, self.now_ms)));
    }

    /// Compacts until nothing is due.
    async fn settle(&mut self) {
        let (settings, wanted) = (CompactionSettings::default(), AtomicBool::new(false));
        loop {
            self.index.apply(&self.table.take_changes(), &self.table).unwrap();
            let jobs =
                plan(self.index.iter(), (BUCKETS, MERGED_RUNS), self.now_ms, |id| self.table.position(id));
            if jobs.is_empty() {
                return;
            }
            for job in jobs {
                self.kinds.insert(match job.kind {
                    Kind::Fold(_) => "fold",
                    Kind::Flush { .. } => "flush",
                    Kind::Gather => "gather",
                });
                let of = (&self.cache, &self.table);
                let made = carry_out(&RULE, of, &job, &settings, &wanted).await.unwrap();
                let committed = self.table.commit_unless_moved(&job.changes(made.files, self.now_ms)).await;
                assert!(committed.unwrap().is_some(), "nobody else moves a position");
            }
        }
    }

    /// The newest time of a place, and how many runs were read for it: those that the index, their buckets and their bounds leave.
    async fn look_up(&self, place: &str) -> (Option<i64>, usize) {
        let (mut found, mut read) = (None, 0);
        for run in self.index.of_key(place, None, None).filter(|run| run.may_have(place.as_bytes())) {
            read += 1;
            let open = self.cache.open_to_rewrite(&self.table, run.file()).await.unwrap();
            let mut scan = Scan::new(self.cache.clone(), open);
            while let Some(batch) = scan.next().await.unwrap() {
                let names = batch.column(0).as_string::<i32>();
                let here = (0..batch.num_rows()).filter(|row| names.value(*row) == place);
                found = here.map(|row| seen(&batch, row)).chain(found).max();
            }
        }
        (found, read)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_any_key_is_compacted_by_levels_and_buckets() {
    let mut world = World::new().await;
    for round in 0..6 {
        for commit in 0..5 {
            world.now_ms += 1_000;
            world.see((round * 50..round * 50 + 200).filter(|number| number % 5 == commit)).await;
            world.settle().await;
        }
        assert!(world.index.iter().filter(|run| run.facts().bucket.is_none()).count() <= 2, "gathered");
        world.now_ms += FLUSH_AGE_MS;
        world.settle().await;
        assert!(world.index.iter().all(|run| run.facts().bucket.is_some()), "flushed by age");
        for (place, newest) in world.newest.iter().step_by(17) {
            let (found, read) = world.look_up(place).await;
            assert_eq!(found, Some(*newest), "{place}");
            assert!((1..=FOLD_RUNS).contains(&read), "{place}: {read}");
        }
    }
    assert_eq!(world.kinds, BTreeSet::from(["flush", "fold", "gather"]));
    world.now_ms += IDLE_MONTH_MS;
    world.settle().await;
    assert_eq!((world.index.runs(), world.index.rows()), (BUCKETS.into(), world.newest.len() as u64));
    for (place, newest) in &world.newest {
        assert_eq!(world.look_up(place).await, (Some(*newest), 1), "{place}");
    }
    // Behind the bounds of whatever its bucket is, no run is read.
    assert_eq!(world.look_up("Q000000").await, (None, 0));
    let times = world.index.iter().map(|run| run.facts().times_ms.0).min();
    assert_eq!(times, world.newest.values().min().copied());
    assert!(
        world
            .index
            .iter()
            .all(|run| run.facts().since_ms == Some(1_000) && run.overlaps(None, Some(world.now_ms)))
    );
}
