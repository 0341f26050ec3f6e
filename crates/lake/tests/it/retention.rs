//! What is too old goes, and nothing else: by the latest message of a row, not against a hold, whoever fails or does the same.

use crate::it::compaction::{FLUSH, HOUR, QUIET, add, compact, faulty, fill, over, rows, some_of, step};
use crate::it::world::*;
use futures::{StreamExt, stream};
use gridtrail_faults::Fault;
use gridtrail_lake::{
    Batch, CompactionSettings, Evidence, HoldScope, Lake, LakeError, LakeErrorKind, Month, Retained,
};
use gridtrail_model::*;
use gridtrail_runtime::Clock;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

const DAY: i64 = 24 * HOUR;

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn set(clock: &Clock, text: &str) {
    clock.advance(time(text).millis() - clock.now().millis());
}

async fn retain(lake: &Lake) -> Result<Retained, LakeError> {
    lake.maintenance().await?.retain(&CompactionSettings::default(), false).await
}

/// What a person says in a hold.
async fn hold(lake: &Lake, scope: HoldScope) -> String {
    lake.place_hold(scope, "tester", "a case").await.unwrap().hold.id
}

/// An answer four months late, at the smallest setting: the floor counts from the latest message of the row.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_four_months_late_is_found_for_three_months_from_then() {
    let clock = Clock::manual(time("2026-02-03"));
    let lake = over(Arc::new(InMemory::new()), clock.clone()).await.unwrap();
    lake.set_retention_months(3).await.unwrap();
    let (answered, silent) = (request_id(1, 1, 1), request_id(1, 1, 2));
    let asked = time("2026-02-02T10:00:00Z");
    let mut writer = lake.writer().await.unwrap();
    commit(&mut writer, "a", [received(answered, asked), received(silent, asked.plus_millis(1))]).await;
    clock.advance(FLUSH);
    compact(&lake).await.unwrap();
    set(&clock, "2026-06-05T12:00:00Z");
    commit(&mut writer, "b", [bare_answer(answered, time("2026-06-05T11:59:00Z"))]).await;
    let found = async || -> Vec<u64> {
        let found = find(&lake, &[1], &query(1)).await;
        found.iter().map(|row| row.fragment.key.request_id().unwrap().counter).collect()
    };
    for (now, wanted) in [
        ("2026-06-05T12:00:00Z", vec![1]),
        ("2026-07-20", vec![1]),
        // Three months to the day.
        ("2026-09-05T23:59:59Z", vec![1]),
        ("2026-09-06", vec![]),
    ] {
        set(&clock, now);
        // Where it lies makes no difference.
        compact(&lake).await.unwrap();
        retain(&lake).await.unwrap();
        assert_eq!(found().await, wanted, "{now}");
    }
    assert_eq!(lake.counts().runs, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_goes_with_its_evidence_and_a_late_event_is_a_row_of_its_own() {
    let clock = Clock::manual(time("2026-02-28"));
    let lake = over(Arc::new(InMemory::new()), clock.clone()).await.unwrap();
    let id = request_id(1, 1, 1);
    let mut writer = lake.writer().await.unwrap();
    commit(&mut writer, "a", [received(id, at(0)), received(request_id(1, 2, 2), at(5))]).await;
    set(&clock, "2027-03-31T23:59:59Z");
    assert_eq!(retain(&lake).await.unwrap(), Retained::default(), "thirteen months are not over");
    set(&clock, "2027-04-01");
    let mut maintenance = lake.maintenance().await.unwrap();
    let would = maintenance.retain(&CompactionSettings::default(), true).await.unwrap();
    assert_eq!(find(&lake, &[1], &query(1)).await.len(), 1, "a dry run changes nothing");
    let went = retain(&lake).await.unwrap();
    assert_eq!(went, would);
    let expired = went.months[0].expired;
    assert_eq!((went.months[0].month.to_string().as_str(), went.months.len()), ("2026-02", 1));
    assert_eq!((expired.files, expired.rows_dropped, expired.rows_kept), (1, 2, 0));
    assert!(find(&lake, &[1], &query(1)).await.is_empty());
    assert_eq!(retain(&lake).await.unwrap(), Retained::default(), "and that was all");
    // What it took is in the evidence, in the log and once it is copied.
    for _ in 0..2 {
        let mut seen = Vec::new();
        lake.evidence(|commit| {
            for evidence in &commit.sources {
                let Evidence::Whole(evidence) = evidence else { panic!("{evidence:?}") };
                seen.extend(
                    evidence.expired.map(|expired| (commit.kind.clone(), evidence.name.clone(), expired)),
                );
            }
        })
        .await
        .unwrap();
        assert_eq!(seen, [("retention".to_owned(), "2026-02".to_owned(), expired)]);
        lake.maintenance().await.unwrap().copy_evidence().await.unwrap();
    }
    // The answer comes all the same.
    let mut late = event(id, at(0), answer(id, at(9_000)));
    late.recorded_at = clock.now();
    commit(&mut writer, "b", [late]).await;
    retain(&lake).await.unwrap();
    assert_eq!(find(&lake, &[1], &query(1)).await.len(), 1, "and stays for three months");
    set(&clock, "2027-07-02");
    retain(&lake).await.unwrap();
    assert!(find(&lake, &[1], &query(1)).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn less_than_three_months_is_refused() {
    let (lake, _) = memory().await;
    assert_eq!(lake.retention_months().await, 13);
    let error = lake.set_retention_months(2).await.unwrap_err();
    assert_eq!(error.kind(), LakeErrorKind::Settings);
    assert!(error.to_string().contains("H8.16"), "{error}");
    lake.set_retention_months(24).await.unwrap();
    assert_eq!(lake.retention_months().await, 24);
    // Other properties are as they were.
    lake.check_windows().await.unwrap();
}

/// Requests of February and March 2026, some of them answered half a year later; in October, with a hold on one Device.
async fn october(store: &Arc<InMemory>) -> (Lake, Clock, BTreeMap<TrailKey, Fragment>) {
    let clock = Clock::manual(at(1_000_000));
    let lake = over(store.clone(), clock.clone()).await.unwrap();
    lake.set_retention_months(3).await.unwrap();
    fill(&lake, &clock, 0).await;
    clock.advance(FLUSH);
    compact(&lake).await.unwrap();
    // Few buckets, so that there are few files to fail at.
    let settings = CompactionSettings::default();
    lake.maintenance().await.unwrap().rebucket(3, &settings).await.unwrap();
    let late = [7u64, 13, 20].map(|counter| {
        let mut answer = step(1, (counter % 6) as u8, counter, true);
        answer.recorded_at = time("2026-09-20");
        answer
    });
    add(&lake, 5, late).await;
    add(&lake, 6, [step(2, 0, 3, false), step(2, 3, 4, false)]).await;
    hold(&lake, HoldScope { device: Some(device(3)), ..HoldScope::default() }).await;
    set(&clock, "2026-10-15");
    let mut wanted = rows(&lake).await;
    let floor = time("2026-07-15");
    let before = wanted.len();
    wanted.retain(|_, row| row.recorded_at_max >= floor || row.device.value() == Some(&device(3)));
    assert!(wanted.len() > 5 && wanted.len() < before, "{} of {before}", wanted.len());
    (lake, clock, wanted)
}

/// Every operation of a retention fails in every way. What it leaves is a month as it was or as it is to be.
#[tokio::test(flavor = "multi_thread")]
async fn every_operation_of_a_retention_may_fail_in_every_way() {
    let store = Arc::new(InMemory::new());
    let (lake, clock, wanted) = october(&store).await;
    let before = rows(&lake).await;
    let filled = store.fork();
    let (_, counted, faults) = faulty(&filled);
    retain(&over(counted, clock.clone()).await.unwrap()).await.unwrap();
    let operations = faults.operations();
    let all = some_of(&Fault::ALL, operations, 6);
    let cases: usize = stream::iter(all)
        .map(|(operation, fault)| {
            let (inner, store, faults) = faulty(&filled);
            let (clock, wanted, before) = (clock.clone(), wanted.clone(), before.clone());
            async move {
                faults.at(operation, fault);
                if let Ok(lake) = over(store, clock.clone()).await {
                    // It says so, or it is no matter.
                    let _ = retain(&lake).await;
                }
                let Some(what) = faults.last() else { return 0 };
                let lake = over(inner, clock.clone()).await.unwrap();
                let found = rows(&lake).await;
                assert!(wanted.iter().all(|(key, row)| found.get(key) == Some(row)), "{what}: a row went");
                assert!(found.iter().all(|(key, row)| before.get(key) == Some(row)), "{what}: a row changed");
                for file in lake.named_files().await.unwrap() {
                    assert_eq!(file.found, Some(file.size), "{what}: {}", file.path);
                }
                retain(&lake).await.unwrap();
                assert_eq!(rows(&lake).await, wanted, "{what}, and once more");
                1
            }
        })
        .buffer_unordered(4)
        .fold(0, |sum, case| async move { sum + case })
        .await;
    println!("{operations} operations, {cases} faults: no row went that must stay");
    assert!(cases > 100, "{cases}");
}

/// Two processes retain, a third compacts, a fourth takes in events of the very months.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn retention_races_with_itself_with_compaction_and_with_ingest() {
    let mut overtaken = 0;
    for round in 0..12u64 {
        let store = Arc::new(InMemory::new());
        let (ingest, clock, mut wanted) = october(&store).await;
        let store: Arc<dyn ObjectStore> = store;
        let mut tasks = Vec::new();
        for _ in 0..2 {
            let lake = over(Arc::clone(&store), clock.clone()).await.unwrap();
            tasks.push(tokio::spawn(async move { retain(&lake).await.unwrap().overtaken }));
        }
        let compacting = over(Arc::clone(&store), clock.clone()).await.unwrap();
        let settings = CompactionSettings { full: round % 2 == 0, ..CompactionSettings::default() };
        tasks.push(tokio::spawn(async move {
            compacting.maintenance().await.unwrap().compact(&settings).await.unwrap().overtaken
        }));
        // Late events of rows that stay, so that what must be there afterwards does not depend on who was first.
        let late = [7u64, 13].map(|counter| {
            let mut event = step(1, (counter % 6) as u8, counter, true);
            event.recorded_at = time("2026-10-01");
            event
        });
        for (key, row) in fold(late.clone()).into_fragments().into_iter().map(|row| (row.key, row)) {
            wanted.entry(key).and_modify(|known| known.merge(row.clone())).or_insert(row);
        }
        add(&ingest, 7, late).await;
        for task in tasks {
            overtaken += task.await.unwrap();
        }
        let lake = over(store, clock.clone()).await.unwrap();
        retain(&lake).await.unwrap();
        assert_eq!(rows(&lake).await, wanted, "round {round}");
        assert!(lake.verify(&gridtrail_lake::VerifySettings::default()).await.unwrap().is_clean());
    }
    println!("{overtaken} commits were overtaken");
}

/// Held rows survive retention, compaction and retention again; once released they go.
#[tokio::test(flavor = "multi_thread")]
async fn a_hold_keeps_what_it_names_until_it_is_released() {
    let device_hold = HoldScope { device: Some(device(3)), ..HoldScope::default() };
    let user_hold = HoldScope { user: Some(user(2)), ..HoldScope::default() };
    let march = Some("2026-03".parse::<Month>().unwrap());
    let month_hold = HoldScope { from: march, to: march, ..HoldScope::default() };
    let both = HoldScope { user: Some(user(1)), ..device_hold.clone() };
    let mpxn_hold = HoldScope { mpxn: Some("1217290354420".parse().unwrap()), ..HoldScope::default() };
    let held = |scope: &HoldScope, row: &Fragment| {
        let month = Month::of(row.placement().unwrap());
        scope.device.is_none_or(|device| row.device.value() == Some(&device))
            && scope.user.is_none_or(|user| row.key.user == user)
            && scope.from.is_none_or(|from| from <= month)
            && scope.to.is_none_or(|to| month <= to)
    };
    for scope in [device_hold, user_hold, month_hold, both, mpxn_hold] {
        let store = Arc::new(InMemory::new());
        let clock = Clock::manual(at(1_000_000));
        let lake = over(store.clone(), clock.clone()).await.unwrap();
        fill(&lake, &clock, 0).await;
        add(&lake, 5, [step(2, 0, 3, false), step(2, 3, 4, false), step(2, 3, 35, false)]).await;
        let before = rows(&lake).await;
        let wanted: BTreeMap<_, _> =
            before.clone().into_iter().filter(|(_, row)| held(&scope, row)).collect();
        assert!(!wanted.is_empty(), "{scope:?}");
        let id = hold(&lake, scope.clone()).await;
        set(&clock, "2028-01-15");
        let went = retain(&lake).await.unwrap();
        let held_rows: u64 = went.months.iter().map(|month| month.expired.rows_held).sum();
        assert_eq!(rows(&lake).await, wanted, "{scope:?}");
        // A month of which all is held loses nothing, and is not among those that did.
        if wanted.len() < before.len() && scope.from.is_none() {
            assert!(held_rows > 0, "{went:?}");
        }
        let runs = lake.counts().runs;
        assert_eq!(retain(&lake).await.unwrap(), Retained::default(), "nothing more to do");
        assert_eq!(lake.counts().runs, runs);
        clock.advance(QUIET);
        compact(&lake).await.unwrap();
        retain(&lake).await.unwrap();
        assert_eq!(rows(&lake).await, wanted, "{scope:?}, compacted");
        let released = lake.release_hold(&id, "other", "closed").await.unwrap();
        assert_eq!(released.released.unwrap().who, "other");
        retain(&lake).await.unwrap();
        assert_eq!(rows(&lake).await, BTreeMap::new(), "{scope:?}, released");
        let history = lake.holds().await.unwrap();
        assert_eq!(
            (history.len(), &history[0].scope, &history[0].placed.who),
            (1, &scope, &"tester".to_owned())
        );
        assert!(history[0].released.is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_on_nothing_and_a_release_of_none_are_refused() {
    let (lake, _) = memory().await;
    let (from, to) = (Some("2026-03".parse().unwrap()), Some("2026-02".parse().unwrap()));
    for scope in [HoldScope::default(), HoldScope { from, to, ..HoldScope::default() }] {
        let error = lake.place_hold(scope, "a", "b").await.unwrap_err();
        assert_eq!(error.kind(), LakeErrorKind::Settings, "{error}");
    }
    assert!(matches!(lake.release_hold("x", "a", "b").await, Err(LakeError::NoHold { .. })));
    assert_eq!(lake.holds().await.unwrap(), []);
}

/// A hold that is placed while its month goes: either the rows are there, or whoever placed it is told that they went.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hold_and_a_drop_at_once_never_miss_each_other() {
    let filled = Arc::new(InMemory::new());
    let clock = Clock::manual(at(1_000_000));
    let lake = over(filled.clone(), clock.clone()).await.unwrap();
    fill(&lake, &clock, 0).await;
    let wanted: BTreeMap<_, _> =
        rows(&lake).await.into_iter().filter(|(_, row)| row.device.value() == Some(&device(3))).collect();
    set(&clock, "2028-01-15");
    let (mut kept, mut told, mut late) = (0, 0, 0);
    for round in 0..40u32 {
        let store: Arc<dyn ObjectStore> = Arc::new(filled.fork());
        let holding = over(Arc::clone(&store), clock.clone()).await.unwrap();
        let dropping = over(Arc::clone(&store), clock.clone()).await.unwrap();
        let dropped = tokio::spawn(async move { retain(&dropping).await.map(drop) });
        for _ in 0..round {
            tokio::task::yield_now().await;
        }
        let scope = HoldScope { device: Some(device(3)), ..HoldScope::default() };
        let placed = holding.place_hold(scope, "tester", "a case").await.unwrap();
        dropped.await.unwrap().unwrap();
        let lake = over(store, clock.clone()).await.unwrap();
        let mut went = Vec::new();
        lake.evidence(|commit| {
            if commit.kind == "retention" {
                for evidence in &commit.sources {
                    let Evidence::Whole(evidence) = evidence else { panic!("{evidence:?}") };
                    went.push((commit.version, evidence.name.clone(), evidence.expired.unwrap().rows_kept));
                }
            }
        })
        .await
        .unwrap();
        let found = rows(&lake).await;
        for month in ["2026-02", "2026-03"] {
            let in_month = |row: &Fragment| row.placement().unwrap().month() == month;
            if wanted.values().filter(|row| in_month(row)).all(|row| found.contains_key(&row.key)) {
                kept += 1;
                continue;
            }
            let drop = went.iter().find(|(_, name, kept)| name == month && *kept == 0).unwrap();
            if drop.0 <= placed.asked_at {
                late += 1;
            } else {
                let names: Vec<_> = placed.dropped_meanwhile.iter().map(ToString::to_string).collect();
                assert!(
                    names.contains(&month.to_owned()),
                    "round {round}: nobody was told of {went:?}: {placed:?}"
                );
                told += 1;
            }
        }
    }
    println!("{kept} months kept, {told} times told, {late} months were gone before");
    assert!(kept + told + late == 80, "{kept} {told} {late}");
}

/// Settled dead letters go with their time; open ones, and those that were never named, do not make a proof fail.
#[tokio::test(flavor = "multi_thread")]
async fn settled_dead_letters_and_forgotten_answers_go() {
    let clock = Clock::manual(at(1_000_000));
    let lake = over(Arc::new(InMemory::new()), clock.clone()).await.unwrap();
    let mut writer = lake.writer().await.unwrap();
    for (n, name) in [(0, "settled"), (1, "open")] {
        let mut evidence = source(name, 0, 2);
        evidence.dead_lettered_at = std::iter::once(1).collect();
        (evidence.dead_lettered, evidence.records) = (1, 1);
        let mut waiting = fold([bare_answer(request_id(1, 1, 900 + n), at(10))]);
        let batch = Batch {
            parked: waiting.take_unplaced(),
            dead_letters: vec![letter(&format!("file:{name}"), 1, b"x")],
            sources: vec![evidence],
            ..Batch::default()
        };
        writer.commit(batch).await.unwrap();
    }
    let mut dismissal = gridtrail_lake::SourceEvidence::of_letters("file:settled", "settled");
    dismissal.dismissed_at = std::iter::once(1).collect();
    let kind = gridtrail_lake::CommitKind::Dismissal;
    writer.commit(Batch { sources: vec![dismissal], kind, ..Batch::default() }).await.unwrap();
    set(&clock, "2028-01-15");
    let went = retain(&lake).await.unwrap();
    assert_eq!((went.rows_of("dead_letters"), went.rows_of("parked")), (1, 2), "{went:?}");
    let left = lake.dead_letters().await.unwrap().rest().await.unwrap();
    assert_eq!(left.iter().map(|letter| letter.source.as_str()).collect::<Vec<_>>(), ["file:open"]);
    let fates = lake.letter_fates().await.unwrap();
    assert!(fates.expired("file:settled").contains(1) && fates.expired("file:open").is_empty());
    assert_eq!(retain(&lake).await.unwrap(), Retained::default());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]
    /// Any rows of any ages, wherever they lie: those go, and only those, whose month is due, whose latest message is older
    /// than three months, and which no hold names.
    #[test]
    fn what_goes_is_what_must(
        batches in prop::collection::vec(
            (prop::collection::vec((1u8..3, 0u8..6, 0u64..60, any::<bool>(), 0i64..400), 1..10), 0u8..4),
            1..8,
        ),
        now_days in 60i64..500,
        months in 3u32..6,
        held in prop::option::of(0u8..6),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async move {
            let clock = Clock::manual(at(1_000_000));
            let lake = over(Arc::new(InMemory::new()), clock.clone()).await.unwrap();
            lake.set_retention_months(months).await.unwrap();
            for (n, (events, then)) in (0..).zip(batches) {
                let events = events.iter().map(|(user, device, counter, answered, recorded)| {
                    let mut event = step(*user, *device, *counter, *answered);
                    event.recorded_at = at(recorded * DAY);
                    event
                });
                add(&lake, n, events).await;
                clock.advance([0, 0, FLUSH, QUIET][usize::from(then)]);
                if then > 0 {
                    compact(&lake).await.unwrap();
                }
            }
            if let Some(n) = held {
                hold(&lake, HoldScope { device: Some(device(n)), ..HoldScope::default() }).await;
            }
            clock.advance(now_days * DAY);
            let mut wanted = rows(&lake).await;
            let now = clock.now();
            let (floor, first) = (now.day_start().months_ago(3), Month::of(now).minus(months));
            wanted.retain(|_, row| {
                Month::of(row.placement().unwrap()) >= first
                    || row.recorded_at_max >= floor
                    || held.is_some_and(|n| row.device.value() == Some(&device(n)))
            });
            let before = rows(&lake).await.len();
            let went = retain(&lake).await.unwrap();
            assert_eq!(rows(&lake).await, wanted);
            let kept_or_more: u64 = went.months.iter().map(|month| month.expired.rows_dropped).sum();
            assert!(kept_or_more >= (before - wanted.len()) as u64);
            assert_eq!(retain(&lake).await.unwrap(), Retained::default());
            assert!(lake.verify(&gridtrail_lake::VerifySettings::default()).await.unwrap().is_clean());
        });
    }
}
