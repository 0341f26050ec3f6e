use super::*;
use crate::fake::{Failure, MemoryLog};
use crate::limits::{BEHIND_AFTER, REFUSALS_EACH};
use crate::{Audit, Findings, Grounds, Row, RowKind, Witnesses};
use gridtrail_model::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

fn now() -> Timestamp {
    "2026-03-01T09:30:00Z".parse().unwrap()
}

fn entry(subject: &str) -> Entry {
    let mut entry = Entry::of("AuditTrailService.Search", now());
    entry.outcome = "OK".into();
    entry.subject = Some(subject.to_owned());
    entry
}

fn refused(peer: &str) -> Entry {
    let mut entry = Entry::of("AuditTrailService.Search", now());
    (entry.outcome, entry.reason) = ("UNAUTHENTICATED".into(), Some("NO_IDENTITY".into()));
    entry.peer = Some(peer.to_owned());
    entry
}

async fn open(store: &MemoryLog) -> (AccessLog, Committing) {
    AccessLog::open(store.clone(), Clock::manual(now()), "test").await.unwrap()
}

fn audit(store: &MemoryLog) -> Findings {
    let (rows, mut witnesses) = (store.rows(), Witnesses::default());
    rows.iter().for_each(|row| witnesses.take(row));
    let (counted, gone) = (store.counted(), BTreeMap::new());
    let grounds = Grounds { now: now().plus_millis(86_400_000), kept_from: Timestamp::MIN, counted, gone };
    let mut audit = Audit::new(witnesses, grounds);
    rows.iter().for_each(|row| audit.take(row));
    audit.end()
}

fn subjects(rows: &[Row]) -> Vec<&str> {
    rows.iter().filter_map(|row| row.entry.subject.as_deref()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_second_is_one_commit_and_the_end_says_how_many_rows_there_were() {
    let store = MemoryLog::default();
    let (log, committing) = open(&store).await;
    assert_eq!(store.commits(), 1, "the start is on record before the first call");
    for subject in ["a", "b", "c"] {
        log.note(entry(subject)).unwrap();
    }
    assert_eq!(store.commits(), 1, "nobody waited");
    log.write(entry("d")).await.unwrap();
    assert_eq!((store.commits(), subjects(&store.rows())), (2, vec!["a", "b", "c", "d"]));
    // Seconds in which nothing is noted cost nothing.
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(store.commits(), 2);
    let held = log.slot().unwrap();
    log.note(entry("e")).unwrap();
    let closing = tokio::spawn(committing.close());
    tokio::task::yield_now().await;
    held.note(entry("f"));
    closing.await.unwrap().unwrap();
    let rows = store.rows();
    assert_eq!(subjects(&rows), ["a", "b", "c", "d", "e", "f"]);
    let last = rows.last().unwrap();
    assert_eq!((last.kind, last.entry.detail.as_deref()), (RowKind::End, Some(r#"{"rows":7}"#)));
    let found = audit(&store);
    assert_eq!((found.faults, found.open), (vec![], vec![]));
    assert!(matches!(log.note(entry("g")), Err(LogError::Closed)));
    assert!(matches!(log.write(entry("g")).await, Err(LogError::Closed)));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_and_answers_that_are_lost_neither_lose_nor_double_a_row() {
    let store = MemoryLog::default();
    let (log, committing) = open(&store).await;
    let all = [Failure::Refused, Failure::AnswerLost];
    let mut names = Vec::new();
    for round in 0..20 {
        let faults = (0..round % 4).map(|n| Some(all[(round / 4 + n) % 2]));
        store.fail(faults.chain([None]));
        let name = round.to_string();
        log.note(entry(&name)).unwrap();
        log.write(entry(&name)).await.unwrap();
        names.extend([name.clone(), name]);
    }
    store.fail([Some(Failure::AnswerLost), Some(Failure::AnswerLost), None]);
    committing.close().await.unwrap();
    assert_eq!(subjects(&store.rows()), names);
    let found = audit(&store);
    assert_eq!((found.faults, found.open), (vec![], vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_refuses_for_a_minute_has_calls_refused_until_it_does_not() {
    let store = MemoryLog::default();
    let (log, committing) = open(&store).await;
    store.refuse(true);
    log.note(entry("before")).unwrap();
    assert!(matches!(log.write(entry("waits")).await, Err(LogError::TooSlow)));
    tokio::time::sleep(BEHIND_AFTER + Duration::from_secs(10)).await;
    assert!(matches!(log.slot(), Err(LogError::Behind)));
    store.refuse(false);
    tokio::time::sleep(Duration::from_secs(10)).await;
    log.write(entry("after")).await.unwrap();
    // What was said to be too slow was noted all the same.
    assert_eq!(subjects(&store.rows()), ["before", "waits", "after"]);
    committing.close().await.unwrap();
    assert_eq!(audit(&store).faults, []);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_noted_is_not_answered() {
    let store = MemoryLog::default();
    let (log, committing) = open(&store).await;
    store.refuse(true);
    let mut noted = 0;
    while log.note(entry("x")).is_ok() {
        noted += 1;
        assert!(noted <= QUEUE, "the queue has an end");
    }
    assert!(matches!(log.slot(), Err(LogError::Full)));
    assert!(matches!(log.write(entry("y")).await, Err(LogError::Full)));
    log.refuse(refused("10.0.0.1"));
    store.refuse(false);
    committing.close().await.unwrap();
    let rows = store.rows();
    assert_eq!(subjects(&rows).len(), noted);
    assert_eq!(rows.iter().filter(|row| row.entry.outcome == "UNAUTHENTICATED").count(), 1, "and is counted");
    assert_eq!(audit(&store).faults, []);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_bad_tokens_is_counted_and_takes_no_room_from_others() {
    let store = MemoryLog::default();
    let (log, committing) = open(&store).await;
    const FLOOD: u64 = 100_000;
    for n in 0..FLOOD {
        log.refuse(refused(&format!("10.0.0.{}", n % 7)));
    }
    let mut other = refused("10.0.0.9");
    other.reason = Some("BUSY".into());
    log.refuse(other.clone());
    log.write(entry("served")).await.unwrap();
    log.refuse(other);
    committing.close().await.unwrap();
    let rows = store.rows();
    let refused: Vec<&Entry> =
        rows.iter().map(|row| &row.entry).filter(|entry| entry.outcome == "UNAUTHENTICATED").collect();
    assert_eq!(refused.iter().map(|entry| entry.times).sum::<u64>(), FLOOD + 2, "each is counted");
    assert_eq!(refused.len(), REFUSALS_EACH as usize + 3, "in few rows");
    let many: Vec<_> = refused.iter().filter(|entry| entry.times > 1).collect();
    assert!(many.len() == 1 && many[0].peer.is_none(), "of several addresses none is named: {many:?}");
    assert_eq!(audit(&store).faults, []);
}

#[tokio::test(start_paused = true)]
async fn a_chain_that_is_cut_off_is_open_and_the_next_one_has_seen_it() {
    let store = MemoryLog::default();
    let (log, committing) = open(&store).await;
    log.write(entry("a")).await.unwrap();
    log.note(entry("lost")).unwrap();
    drop(committing);
    tokio::task::yield_now().await;
    assert!(log.note(entry("b")).is_err(), "nothing is taken that nobody writes down");
    let (_log, next) = open(&store).await;
    next.close().await.unwrap();
    let found = audit(&store);
    assert_eq!((found.faults, found.open.len()), (vec![], 1));
    let started = store.rows().into_iter().filter(|row| row.kind == RowKind::Start).nth(1).unwrap();
    let started: Started = serde_json::from_str(&started.entry.detail.unwrap()).unwrap();
    assert_eq!(started.heads.iter().map(|head| head.seq).collect::<Vec<_>>(), [1]);
}
