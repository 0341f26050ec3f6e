//! What a statement may take.

use crate::it::world::*;
use gridtrail_lake::Lake;
use gridtrail_model::Event;
use gridtrail_sql::{SecuredSession, SqlErrorKind, SqlLimits};
use std::num::NonZeroU32;
use std::time::Duration;

async fn five_hundred_rows() -> Lake {
    let events: Vec<Event> =
        (0..500).map(|n| received(1, u8::try_from(n % 50).unwrap(), n, "4.8.1", 1)).collect();
    lake_of(&events, 500).await
}

fn within(lake: &Lake, limits: SqlLimits) -> SecuredSession {
    SecuredSession::new(&lake.snapshot(), &access(&[1]), clock(), limits).unwrap()
}

/// What needs more memory than there is fails, by name, whatever needs it; the session goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_needs_too_much_memory_fails() {
    let lake = five_hundred_rows().await;
    let session = within(&lake, SqlLimits { memory_bytes: 16 << 20, ..SqlLimits::default() });
    let pairs =
        "(SELECT a.request_id AS one, b.request_id AS other FROM audit_trails a CROSS JOIN audit_trails b)";
    for statement in [
        format!("SELECT * FROM {pairs} ORDER BY one, other"),
        format!("SELECT one, other, count(*) FROM {pairs} GROUP BY one, other"),
        format!("SELECT array_agg(one || other) FROM {pairs}"),
        format!("SELECT one, row_number() OVER (PARTITION BY other ORDER BY one) FROM {pairs}"),
    ] {
        let error = rows(&session, &statement).await.expect_err(&statement);
        assert_eq!(error.kind(), SqlErrorKind::TooMuch, "{statement}: {error}");
    }
    assert_eq!(value(&session, "SELECT count(*) FROM audit_trails").await, "500");
}

/// Reading itself counts.
#[tokio::test(flavor = "multi_thread")]
async fn a_scan_takes_of_the_memory_of_its_session() {
    let lake = five_hundred_rows().await;
    let session = within(&lake, SqlLimits { memory_bytes: 100_000, ..SqlLimits::default() });
    let error = rows(&session, "SELECT count(*) FROM audit_trails").await.unwrap_err();
    assert_eq!(error.kind(), SqlErrorKind::TooMuch, "{error}");
}

/// What lies within a day of a month's end is held until the next month was read, and counts as all that is held does.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_carried_over_a_months_end_take_of_the_memory() {
    // One part, which holds all of them at once.
    let limits = || SqlLimits { memory_bytes: 12 << 20, parts: NonZeroU32::MIN, ..SqlLimits::default() };
    // Minutes before March, and days before.
    for (begins, fails) in [(2_323_000_000, true), (2_000_000_000, false)] {
        let events: Vec<Event> = (0..12_000)
            .map(|n| received(1, u8::try_from(n % 200).unwrap(), begins + n, "4.8.1", 1))
            .collect();
        let lake = lake_of(&events, 12_000).await;
        let counted = rows(&within(&lake, limits()), "SELECT count(*) FROM meter_reads").await;
        match counted {
            Ok(rows) => assert!(!fails && rows == [["12000"]], "{rows:?}"),
            Err(error) => assert!(fails && error.kind() == SqlErrorKind::TooMuch, "{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_takes_too_long_is_ended() {
    let lake = five_hundred_rows().await;
    let session = within(&lake, SqlLimits { time: Duration::ZERO, ..SqlLimits::default() });
    let error = rows(&session, "SELECT count(*) FROM audit_trails a, audit_trails b, audit_trails c")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), SqlErrorKind::TooMuch, "{error}");
}

/// A text that doubles twenty-eight times would be larger than any memory. It fails before it is made, whatever doubles it, and whether the engine
/// works it out while it plans or later.
#[tokio::test(flavor = "multi_thread")]
async fn texts_that_double_fail_before_they_are_made() {
    let lake = five_hundred_rows().await;
    let session = within(&lake, SqlLimits { memory_bytes: 64 << 20, ..SqlLimits::default() });
    for (from, doubled) in [
        ("SELECT request_id AS a FROM audit_trails", "a || a || a || a"),
        ("SELECT request_id AS a FROM audit_trails", "concat(a, a, a, a)"),
        ("SELECT request_id AS a FROM audit_trails", "concat_ws(a, '', '', '', '', '')"),
        ("SELECT request_id AS a FROM audit_trails", "replace(a, '0', a)"),
        ("SELECT request_id AS a FROM audit_trails", "regexp_replace(a, '0', a, 'g')"),
        ("SELECT request_id AS a FROM audit_trails", "array_to_string([a, a, a], a)"),
        ("SELECT string_agg(request_id, ',') AS a FROM audit_trails", "a || a || a || a"),
        ("SELECT 'a literal' AS a", "a || a || a || a"),
    ] {
        let mut nested = from.to_owned();
        for _ in 0..14 {
            nested = format!("SELECT {doubled} AS a FROM ({nested})");
        }
        let statement = format!("SELECT max(character_length(a)) FROM ({nested})");
        let error = rows(&session, &statement).await.expect_err(doubled);
        assert_eq!(error.kind(), SqlErrorKind::TooMuch, "{doubled}: {error}");
    }
    // What is of the size of what people ask for is answered, as it was.
    let some = "SELECT max(character_length(request_id || '-' || replace(device_id, '-', ':') || NULL)) FROM audit_trails";
    assert_eq!(value(&session, some).await, "");
    let some = "SELECT max(request_id || '-' || replace(device_id, '-', ':')) FROM audit_trails WHERE device_id = '00-DB-00-00-00-00-00-01'";
    assert!(value(&session, some).await.ends_with("-00:DB:00:00:00:00:00:01"));
    assert_eq!(value(&session, "SELECT 1 || 'a' || TRUE").await, "1atrue");
}

/// What makes many rows of few, and gives none of them, stops for the clock as well.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_gives_no_row_is_ended_at_its_time() {
    let lake = lake_of(&[received(1, 1, 1, "4.8.1", 1)], 1).await;
    let session = within(&lake, SqlLimits { time: Duration::from_millis(1_500), ..SqlLimits::default() });
    let endless = "WITH t AS (SELECT unnest(make_array(1,2,3,4,5,6,7,8,9,10)) AS n), h AS (SELECT a.n FROM t a, t b), \
                   m AS (SELECT a.n FROM h a, h b, h c) SELECT max(a.n + b.n) FROM m a, m b";
    let error = rows(&session, endless).await.unwrap_err();
    assert_eq!(error.kind(), SqlErrorKind::TooMuch, "{error}");
}

/// Two levels that say the same are two levels, also where nothing names the one below.
#[tokio::test(flavor = "multi_thread")]
async fn equal_levels_of_a_statement_are_each_carried_out() {
    let lake = lake_of(&[received(1, 1, 1, "4.8.1", 1)], 1).await;
    let session = within(&lake, SqlLimits::default());
    let mut nested = "SELECT 1 AS a".to_owned();
    for levels in 1..6 {
        nested = format!("SELECT a + a AS a FROM ({nested})");
        assert_eq!(value(&session, &nested).await, (1 << levels).to_string());
    }
}
