use super::world::*;
use crate::copy::Plan;
use crate::{CopiedTable, Copy, ExportError, Location};
use gridtrail_faults::{Fault, FaultStore};
use gridtrail_model::Event;
use gridtrail_runtime::Clock;
use object_store::memory::InMemory;
use std::sync::Arc;

fn batch(number: u64) -> Vec<Event> {
    let mut events: Vec<Event> = (0..20)
        .map(|n| received(request_id(1, 1, number * 20 + n), at((number * 20 + n).cast_signed() * 60_000)))
        .collect();
    if let Some(before) = number.checked_sub(1) {
        // Half of the batch before is answered, and something waits.
        events.extend((0..10).map(|n| {
            let n = before * 20 + n;
            answered(request_id(1, 1, n), at(n.cast_signed() * 60_000))
        }));
        events.push(bare_answer(request_id(1, 1, 10_000 + number), at(0)));
    }
    events
}

/// Whatever request to the store of a copy fails, in whatever way, and whoever is gone then: who comes next finds the copy at one version or the
/// other, and brings it up. Every request of a bring-up and of a gathering is made to fail once.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_was_cut_short_has_no_row_twice_and_none_missing() {
    let (lake, mut writer) = lake("lake", None, Clock::manual(at(HOUR))).await;
    let faults = [Fault::Before, Fault::AnswerLost, Fault::Repeated, Fault::Conflict, Fault::DiskFull];
    let (store, failing) = FaultStore::new(Arc::new(InMemory::new()));
    let place = Location { store: Arc::new(store), ..somewhere() };
    let (mut operation, mut failed, mut number) = (0, 0, 0);
    let (who, purpose) = operator();
    loop {
        commit(&mut writer, &number.to_string(), batch(number)).await;
        lake.refresh().await.unwrap();
        failing.none();
        let mut copy = Copy::open(&lake, &place, CopiedTable::AuditTrails).await.unwrap();
        let before = (copy.is_of(), copied_rows(&copy).await);
        failing.at(operation, faults[usize::try_from(operation).unwrap() % faults.len()]);
        let done = copy.bring_up_to(&lake, (&who, &purpose), &lake.snapshot()).await;
        let gathered = if done.is_ok() { copy.gather(&lake).await.map(drop) } else { Ok(()) };
        let is_past = failing.operations() <= operation;
        failing.none();
        // Somebody else, who knows nothing of what was begun.
        drop(copy);
        Copy::wait_for_detached(&place).await;
        let mut copy = Copy::open(&lake, &place, CopiedTable::AuditTrails).await.unwrap();
        if copy.is_of() == before.0 {
            assert_eq!(copied_rows(&copy).await, before.1, "operation {operation}: the version before");
        } else {
            assert_equal(&copy, &lake, &format!("operation {operation}: the new version")).await;
        }
        bring_up(&mut copy, &lake).await;
        assert_equal(&copy, &lake, &format!("operation {operation}: brought up")).await;
        failed += u32::from(done.is_err() || gathered.is_err());
        if is_past {
            break;
        }
        (operation, number) = (operation + 1, number + 1);
    }
    assert!(operation > 5 && failed > 2, "{failed} failures of {operation}");
}

/// Dropped at any moment, a bring-up has happened or has not.
#[tokio::test(flavor = "multi_thread")]
async fn a_bring_up_that_is_dropped_has_happened_or_has_not() {
    let (lake, mut writer) = lake("lake", None, Clock::manual(at(HOUR))).await;
    let place = somewhere();
    let (who, purpose) = operator();
    for number in 0..40 {
        commit(&mut writer, &number.to_string(), batch(number)).await;
        lake.refresh().await.unwrap();
        let mut copy = Copy::open(&lake, &place, CopiedTable::AuditTrails).await.unwrap();
        {
            let snapshot = lake.snapshot();
            let mut work = Box::pin(copy.bring_up_to(&lake, (&who, &purpose), &snapshot));
            // A little further each time.
            for _ in 0..number {
                if futures::poll!(work.as_mut()).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        Copy::wait_for_detached(&place).await;
        let mut copy = Copy::open(&lake, &place, CopiedTable::AuditTrails).await.unwrap();
        bring_up(&mut copy, &lake).await;
        assert_equal(&copy, &lake, &format!("dropped after {number} polls")).await;
    }
}

/// Of two processes that keep one copy, one is told that the other was first; the rows are there once.
#[tokio::test(flavor = "multi_thread")]
async fn two_who_keep_one_copy_do_no_harm() {
    let (lake, mut writer) = lake("lake", None, Clock::manual(at(HOUR))).await;
    let place = somewhere();
    let (who, purpose) = operator();
    commit(&mut writer, "a", batch(0)).await;
    lake.refresh().await.unwrap();
    let mut one = Copy::open(&lake, &place, CopiedTable::AuditTrails).await.unwrap();
    let mut other = Copy::open(&lake, &place, CopiedTable::AuditTrails).await.unwrap();
    bring_up(&mut one, &lake).await;
    for number in 1..6 {
        commit(&mut writer, &number.to_string(), batch(number)).await;
        lake.refresh().await.unwrap();
        let snapshot = lake.snapshot();
        let (first, second) = tokio::join!(
            one.bring_up_to(&lake, (&who, &purpose), &snapshot),
            other.bring_up_to(&lake, (&who, &purpose), &snapshot)
        );
        assert!(first.is_ok() || second.is_ok(), "{first:?} {second:?}");
        bring_up(&mut one, &lake).await;
        assert_equal(&one, &lake, &format!("by two, batch {number}")).await;
    }
}

/// What takes files away that another process gathered meanwhile gives way.
#[tokio::test]
async fn who_gathers_and_who_brings_up_give_way_to_each_other() {
    let (lake, mut writer) = lake("lake", None, Clock::manual(at(HOUR))).await;
    let place = somewhere();
    let (_, purpose) = operator();
    let mut one = Copy::open(&lake, &place, CopiedTable::AuditTrails).await.unwrap();
    // Behind many rows, some files of ten rows each: what a month has is scanned where much of it changed.
    let new = |number: u64| match number {
        0 => 0..5_000,
        _ => 5_000 + number * 10..5_010 + number * 10,
    };
    let asked = |n: u64| received(request_id(1, 1, n), at(n.cast_signed() * 60_000));
    for number in 0..8 {
        commit(&mut writer, &number.to_string(), new(number).map(asked)).await;
        bring_up(&mut one, &lake).await;
    }
    let mut plan = Plan::default();
    one.files().unwrap().iter().for_each(|file| plan.take_away(file));
    let mut other = Copy::open(&lake, &place, CopiedTable::AuditTrails).await.unwrap();
    let gathered = other.gather(&lake).await.unwrap();
    assert!(gathered.files >= 4, "{gathered:?}");
    let snapshot = lake.snapshot();
    let behind = one.commit(&lake, plan, (snapshot.version(), &purpose), Vec::new()).await;
    assert!(matches!(behind, Err(ExportError::Overtaken { .. })), "{behind:?}");
    bring_up(&mut one, &lake).await;
    assert_equal(&one, &lake, "after another gathered").await;
}
