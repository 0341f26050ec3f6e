//! Columns that are read straight from runs say what rows do that are merged, decoded and joined.

use crate::it::compaction::{FLUSH, HOUR, over};
use crate::it::world::*;
use arrow::array::{Array, ArrayRef, AsArray as _};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use gridtrail_access::Access;
use gridtrail_lake::{CompactionSettings, Condition, Is, Lake, ScanQuery, TrailField, View};
use gridtrail_model::*;
use gridtrail_runtime::Clock;
use gridtrail_synth::{Settings, World};
use object_store::memory::InMemory;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use tokio::runtime::Runtime;

/// The end of February 2026, where one month's runs end and another's begin.
const MARCH: i64 = 1_772_323_200_000 - 1_770_000_000_000;

/// Rows as texts, in an order of their own.
type Texts = Vec<Vec<Option<String>>>;

fn texts(arrays: &[ArrayRef], rows: usize) -> Texts {
    let options = FormatOptions::default();
    let columns: Vec<_> =
        arrays.iter().map(|array| (array, ArrayFormatter::try_new(array, &options).unwrap())).collect();
    let text = |row| {
        move |(array, of): &(&ArrayRef, ArrayFormatter<'_>)| {
            (!array.is_null(row)).then(|| of.value(row).to_string())
        }
    };
    (0..rows).map(|row| columns.iter().map(text(row)).collect()).collect()
}

/// What columns say.
async fn by_columns(
    lake: &Lake,
    who: &Access,
    query: &ScanQuery,
    fields: &[TrailField],
    parts: u32,
) -> Texts {
    let mut found = Vec::new();
    let parts = NonZeroU32::new(parts).unwrap();
    for part in lake.snapshot().scan(who, query.clone(), parts).await.unwrap() {
        let mut columns = part.columns(fields);
        while let Some(batch) = columns.next().await.unwrap() {
            for (array, field) in batch.arrays.iter().zip(fields) {
                assert_eq!((array.len(), array.data_type()), (batch.rows, &field.kind()), "{field:?}");
                assert!(field.is_nullable() || array.null_count() == 0, "{field:?}");
            }
            found.extend(texts(&batch.arrays, batch.rows));
        }
    }
    found.sort();
    found
}

/// What rows say.
async fn by_rows(lake: &Lake, who: &Access, query: &ScanQuery, fields: &[TrailField]) -> Texts {
    let mut found = Vec::new();
    for part in lake.snapshot().scan(who, query.clone(), NonZeroU32::MIN).await.unwrap() {
        let mut rows = part.rows();
        while let Some(batch) = rows.next().await.unwrap() {
            let trails: Vec<Trail> = batch
                .iter()
                .map(|row| (Trail::from(&row.fragment), row.fragment.key.user))
                .map(
                    |(trail, user)| {
                        if who.user_ids().contains(&user) { trail } else { trail.into_meter_read() }
                    },
                )
                .collect();
            let arrays: Vec<ArrayRef> =
                fields.iter().map(|field| field.of_trails(&trails).unwrap()).collect();
            found.extend(texts(&arrays, trails.len()));
        }
    }
    found.sort();
    found
}

/// Rows by columns of which all that conditions ask for is true.
fn that_meet(rows: Texts, fields: &[TrailField], conditions: &[Condition]) -> Texts {
    let meets = |row: &Vec<Option<String>>, condition: &Condition| {
        let at = fields.iter().position(|field| *field == condition.field).unwrap();
        match (&condition.is, &row[at]) {
            (Is::OneOf(texts), Some(text)) => texts.contains(text),
            (Is::OneOf(_), None) => false,
            (Is::Present, text) => text.is_some(),
            (Is::Absent, text) => text.is_none(),
        }
    };
    rows.into_iter().filter(|row| conditions.iter().all(|condition| meets(row, condition))).collect()
}

async fn compact(lake: &Lake) {
    let full = CompactionSettings { full: true, ..CompactionSettings::default() };
    lake.maintenance().await.unwrap().compact(&full).await.unwrap();
}

/// A few days around the end of a month, with late, doubled and bare answers, and batches that disagree on when requests were received.
fn region(seed: u64) -> World {
    let settings = Settings {
        premises: 25,
        users: 6,
        days: 5,
        start: at(MARCH - 3 * 24 * HOUR),
        bare_responses_ppm: 200_000,
        other_receipts_ppm: 150_000,
        ..Settings::default().with_disorder()
    };
    World::seeded(seed, settings).unwrap()
}

/// When what of a region is committed is compacted.
#[derive(Debug, Clone, Copy)]
enum Compacted {
    Never,
    /// And more is committed then.
    HalfWay,
    /// After each batch, as it is due: buckets keep several runs, and rows of one key lie in two.
    AsItIsDue,
    AtTheEnd,
}

/// A lake of a region, in some batches.
async fn lake_of(world: &World, batches: usize, compacted: Compacted) -> Lake {
    let clock = Clock::manual(at(1_000_000));
    let lake = over(Arc::new(InMemory::new()), clock.clone()).await.unwrap();
    let mut writer = lake.writer().await.unwrap();
    let events: Vec<Event> = world.events().collect();
    for (number, events) in events.chunks(events.len() / batches + 1).enumerate() {
        commit(&mut writer, &number.to_string(), events.iter().cloned()).await;
        if matches!(compacted, Compacted::HalfWay) && number == batches / 2 {
            compact(&lake).await;
        }
        if matches!(compacted, Compacted::AsItIsDue) {
            clock.advance(FLUSH);
            lake.maintenance().await.unwrap().compact(&CompactionSettings::default()).await.unwrap();
        }
    }
    if matches!(compacted, Compacted::AtTheEnd) {
        lake.maintenance().await.unwrap().sweep().await.unwrap();
        compact(&lake).await;
    }
    lake
}

fn access_of(users: impl IntoIterator<Item = UserId>) -> Access {
    let claims = gridtrail_access::Bearer {
        subject: "tester".to_owned(),
        party: "region".parse().unwrap(),
        org_id: gridtrail_access::OrgId::All,
        user_ids: users.into_iter().collect(),
        roles: gridtrail_access::JobTypeRole::new(1).into_iter().collect(),
        valid_from: at(0),
        expires_at: at(3_600_000),
    };
    gridtrail_access::DevKey::generate().unwrap().access(&claims).unwrap()
}

/// Conditions on fields that scans make use of, with texts that rows have and one that none has.
fn conditions(rows: &Texts, fields: &[TrailField], picks: &[(prop::sample::Index, u8)]) -> Vec<Condition> {
    let mut values: BTreeMap<usize, BTreeSet<&String>> = BTreeMap::new();
    for row in rows {
        for (at, text) in row.iter().enumerate().filter(|(at, _)| Condition::is_of_use(fields[*at])) {
            values.entry(at).or_default().extend(text);
        }
    }
    let values: Vec<(usize, Vec<&String>)> =
        values.into_iter().map(|(at, texts)| (at, texts.into_iter().collect())).collect();
    let condition = |(pick, kind): &(prop::sample::Index, u8)| {
        let (at, texts) = pick.get(&values);
        let some = texts.iter().skip(usize::from(*kind) % 5).step_by(3).take(2).map(ToString::to_string);
        let is = match kind % 4 {
            0 if fields[*at] != TrailField::RequestId => Is::Present,
            1 if fields[*at] != TrailField::RequestId => Is::Absent,
            2 => Is::OneOf(["none".to_owned()].into()),
            _ => Is::OneOf(some.chain(["none".to_owned()]).collect()),
        };
        Condition { field: fields[*at], is }
    };
    if values.is_empty() { Vec::new() } else { picks.iter().map(condition).collect() }
}

/// Cases by default: each fills a lake.
fn cases() -> u32 {
    std::env::var_os("PROPTEST_CASES").map_or(6, |value| value.to_str().and_then(|v| v.parse().ok()).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn columns_say_what_rows_do(
        seed: u64,
        batches in 1usize..6,
        compacted in prop::sample::select(vec![Compacted::Never, Compacted::HalfWay, Compacted::AsItIsDue, Compacted::AtTheEnd]),
        of_users in prop::collection::vec(1usize..4, 3),
        ranges in prop::collection::vec((0i64..120, 0i64..60), 3),
        picks in prop::collection::vec(prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3), 3),
        wanted in prop::collection::vec(prop::sample::subsequence(TrailField::ALL.to_vec(), 1..9), 3),
        parts in prop::collection::vec(1u32..5, 3),
    ) {
        let runtime = Runtime::new().unwrap();
        let world = region(seed);
        let lake = runtime.block_on(lake_of(&world, batches, compacted));
        for (n, (from, hours)) in ranges.into_iter().enumerate() {
            let who = access_of(world.users().iter().step_by(of_users[n]).map(|user| user.id));
            let start = world.settings().start.plus_millis(from * HOUR);
            let view = if n == 2 { View::MeterReads } else { View::Audit };
            let mut query = ScanQuery::all(view);
            if n > 0 {
                query.from = Some(start);
                query.to = Some(start.plus_millis(hours * HOUR));
            }
            let all = TrailField::ALL;
            let expected = runtime.block_on(by_rows(&lake, &who, &query, all));
            let found = runtime.block_on(by_columns(&lake, &who, &query, all, parts[n]));
            prop_assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                prop_assert_eq!(found, expected);
            }
            let conditions = conditions(&expected, all, &picks[n]);
            let fields: Vec<TrailField> =
                wanted[n].iter().copied().chain(conditions.iter().map(|condition| condition.field)).collect();
            let rows = that_meet(runtime.block_on(by_rows(&lake, &who, &query, &fields)), &fields, &conditions);
            query.conditions = conditions.clone();
            let found = runtime.block_on(by_columns(&lake, &who, &query, &fields, parts[n]));
            prop_assert_eq!(that_meet(found, &fields, &conditions), rows, "{:?}", conditions);
        }
    }
}

/// A part that counts leaves tails and others' rows alone: conditions leave out what they can, not only what they must.
#[tokio::test(flavor = "multi_thread")]
async fn conditions_leave_rows_out_below() {
    let world = region(3);
    let lake = lake_of(&world, 3, Compacted::AtTheEnd).await;
    let who = access_of(world.users().iter().map(|user| user.id));
    let all = ScanQuery::all(View::Audit);
    let fields = [TrailField::Simplified, TrailField::Variant, TrailField::RequestId];
    let whole = by_columns(&lake, &who, &all, &fields, 1).await;
    for (at, field) in fields.iter().enumerate() {
        let text = whole.iter().find_map(|row| row[at].clone()).unwrap();
        let is = Is::OneOf([text.clone()].into());
        let narrow = ScanQuery { conditions: vec![Condition { field: *field, is }], ..all.clone() };
        let found = by_columns(&lake, &who, &narrow, &fields, 1).await;
        let meant = whole.iter().filter(|row| row[at].as_ref() == Some(&text)).count();
        assert!(
            meant <= found.len() && found.len() < whole.len(),
            "{field:?}: {meant}, {} of {}",
            found.len(),
            whole.len()
        );
    }
}

/// Who may see every row gets columns of all of them, also where they are read straight.
#[tokio::test(flavor = "multi_thread")]
async fn an_access_to_every_row_has_columns_of_all() {
    let world = region(5);
    let lake = lake_of(&world, 3, Compacted::AtTheEnd).await;
    let who = Access::of_operator("an operator", Clock::system().now()).unwrap();
    let (query, fields) = (ScanQuery::all(View::Audit), [TrailField::UserId, TrailField::RequestId]);
    let expected = by_rows(&lake, &who, &query, &fields).await;
    assert!(!expected.is_empty());
    assert_eq!(by_columns(&lake, &who, &query, &fields, 2).await, expected);
}

/// Rows of others are in no column, and no word of theirs in a dictionary.
#[tokio::test(flavor = "multi_thread")]
async fn dictionaries_have_the_words_of_their_rows_alone() {
    let world = region(4);
    let lake = lake_of(&world, 2, Compacted::AtTheEnd).await;
    let who = access_of(world.users().iter().map(|user| user.id).take(1));
    let fields: Vec<TrailField> =
        TrailField::ALL.iter().copied().filter(|field| field.kind() == TrailField::UserId.kind()).collect();
    let mut rows = 0;
    for part in lake.snapshot().scan(&who, ScanQuery::all(View::Audit), NonZeroU32::MIN).await.unwrap() {
        let mut columns = part.columns(fields.as_slice());
        while let Some(batch) = columns.next().await.unwrap() {
            rows += batch.rows;
            for array in &batch.arrays {
                let dictionary = array.as_any_dictionary_opt().unwrap();
                if dictionary.values().is_empty() {
                    assert_eq!(array.null_count(), batch.rows);
                    continue;
                }
                let keys = dictionary.normalized_keys().into_iter().enumerate();
                let used: BTreeSet<usize> =
                    keys.filter(|(row, _)| array.is_valid(*row)).map(|(_, key)| key).collect();
                assert_eq!(used.len(), dictionary.values().len());
                assert!(dictionary.values().len() <= batch.rows);
            }
        }
    }
    assert!(rows > 0);
}
