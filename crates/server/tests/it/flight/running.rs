//! Statements that run: how they are cancelled, bounded, and ended.

use super::*;
use crate::it::fixture::bearer_of;
use arrow_flight::{CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_cancelled_while_it_runs_and_before_it_begins() {
    let world = world().await;
    let (mut ann, mut other) = (of(&world, ANN).await, Raw::new(&world, ANN).await);
    for columns in ["max(a.n + b.n)", "a.n, b.n"] {
        let info = ann.execute(endless(columns), None).await.unwrap();
        let mut rows = ann.do_get(ticket_of(&info)).await.unwrap();
        let cancel = CancelFlightInfoRequest { info: Some(info.clone()) }.encode_to_vec();
        let results = other.act("CancelFlightInfo", cancel).await.unwrap();
        let result = CancelFlightInfoResult::decode(results[0].as_slice()).unwrap();
        assert_eq!(result.status(), CancelStatus::Cancelled);
        let ended = loop {
            match rows.try_next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it is no end in good order"),
                Err(error) => break told(error),
            }
        };
        assert_eq!(ended, (Code::Cancelled, "STATEMENT_CANCELLED".into()));
        let again = ann.do_get(ticket_of(&info)).await.unwrap_err();
        assert_eq!(told(again).0, Code::Cancelled);
    }
    assert_eq!(ends_of(world).await, ["CANCELLED STATEMENT_CANCELLED", "CANCELLED STATEMENT_CANCELLED"]);
}

/// How the access log has the statements that had begun and were ended, and why.
async fn ends_of(world: World<Lake>) -> Vec<String> {
    let entries = world.recorded().await.into_iter();
    let ended = entries.filter(|entry| entry.outcome != "OK" && entry.rows.is_some());
    ended.map(|entry| format!("{} {}", entry.outcome, entry.reason.unwrap_or_default())).collect()
}

/// The place of a statement is free again when nobody waits for its rows any more.
#[tokio::test(flavor = "multi_thread")]
async fn statements_at_once_are_bounded_and_a_stream_that_is_dropped_ends() {
    let world = world().await;
    let (mut ann, mut bob) = (of(&world, ANN).await, of(&world, BOB).await);
    let mut running = Vec::new();
    for client in [&mut ann, &mut bob] {
        let info = client.execute(endless("a.n, b.n"), None).await.unwrap();
        let mut rows = client.do_get(ticket_of(&info)).await.unwrap();
        rows.try_next().await.unwrap().unwrap();
        running.push(rows);
    }
    // Also what only says what its rows will be: it is planned.
    let refused = ann.execute(COUNT.to_owned(), None).await.unwrap_err();
    assert_eq!(told(refused), (Code::ResourceExhausted, "LIMIT_REACHED".into()));
    let refused = ann.prepare(COUNT.to_owned(), None).await.err().unwrap();
    assert_eq!(told(refused), (Code::ResourceExhausted, "LIMIT_REACHED".into()));
    let refused = Raw::new(&world, ANN).await.schema(statement(COUNT)).await.unwrap_err();
    assert_eq!((refused.code(), reason_of(&refused).as_str()), (Code::ResourceExhausted, "LIMIT_REACHED"));
    let mut third =
        client(&world, &world.mint(&bearer_of("third", &["88-73-84-57-00-2F-96-1F"], &[1]))).await;
    let refused = query(&mut third, "SELECT 1").await.unwrap_err();
    assert_eq!(told(refused), (Code::Unavailable, "BUSY".into()));
    // Metadata are there all the same.
    assert!(!tables(&mut third, CommandGetTables::default()).await.is_empty());
    drop(running);
    while query(&mut ann, COUNT).await.is_err() {
        tokio::task::yield_now().await;
    }
    let entries = world.recorded().await;
    let cancelled: Vec<_> = entries.iter().filter(|entry| entry.outcome == "CANCELLED").collect();
    assert_eq!(cancelled.len(), 2, "{entries:#?}");
    assert!(cancelled.iter().all(|entry| entry.rows.is_some_and(|rows| rows > 0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_ends_at_its_time_also_while_nobody_reads() {
    let world =
        World::serve_sql(SqlLimits { time: Duration::from_millis(300), ..SqlLimits::default() }).await;
    let mut ann = of(&world, ANN).await;
    let slow = query(&mut ann, &endless("max(a.n + b.n)")).await.unwrap_err();
    assert_eq!(told(slow), (Code::DeadlineExceeded, "TOO_SLOW".into()));
    let info = ann.execute(endless("a.n, b.n"), None).await.unwrap();
    let mut unread = ann.do_get(ticket_of(&info)).await.unwrap();
    // Its place is free again, though nobody has read it to its end.
    while query(&mut ann, "SELECT 1").await.is_err() {
        tokio::task::yield_now().await;
    }
    let ended = loop {
        match unread.try_next().await {
            Ok(rows) => assert!(rows.is_some(), "it is no end in good order"),
            Err(error) => break told(error),
        }
    };
    assert_eq!(ended.0, Code::DeadlineExceeded);
    let ends = ends_of(world).await;
    assert!(ends.len() > 1 && ends.iter().all(|end| end == "DEADLINE_EXCEEDED TOO_SLOW"), "{ends:?}");
}

/// What was granted is rescinded while rows stream: the stream ends, though its reader takes its time.
#[tokio::test(flavor = "multi_thread")]
async fn rights_that_are_lost_end_a_stream() {
    let world = world().await;
    world.admission.replace(world_of("granted"));
    let mut bob = client(&world, &both(&world)).await;
    assert_eq!(one(&mut bob, COUNT).await, "3");
    let info = bob.execute(endless("a.n, b.n"), None).await.unwrap();
    let mut rows = bob.do_get(ticket_of(&info)).await.unwrap();
    rows.try_next().await.unwrap().unwrap();
    world.admission.replace(world_of("rescinded"));
    let ended = loop {
        match rows.try_next().await {
            Ok(rows) => assert!(rows.is_some(), "it is no end in good order"),
            Err(error) => break told(error),
        }
    };
    assert_eq!(ended, (Code::Aborted, "RIGHTS_CHANGED".into()));
    assert_eq!(one(&mut bob, COUNT).await, "1");
    assert_eq!(ends_of(world).await, ["ABORTED RIGHTS_CHANGED"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ends_ends_the_stream() {
    let world = world().await;
    let mut ann = of(&world, ANN).await;
    let info = ann.execute(endless("a.n, b.n"), None).await.unwrap();
    let mut rows = ann.do_get(ticket_of(&info)).await.unwrap();
    rows.try_next().await.unwrap().unwrap();
    world.clock.advance(12 * 3_600_000);
    let ended = loop {
        match rows.try_next().await {
            Ok(rows) => assert!(rows.is_some(), "it is no end in good order"),
            Err(error) => break told(error),
        }
    };
    assert_eq!(ended, (Code::Unauthenticated, "NO_IDENTITY".into()));
    assert_eq!(ends_of(world).await, ["UNAUTHENTICATED NO_IDENTITY"]);
}
