//! What a statement may take.

use crate::it::world::*;
use gridtrail_lake::Lake;
use gridtrail_model::Event;
use gridtrail_sql::{SecuredSession, SqlError, SqlErrorKind, SqlLimits};
use std::num::NonZeroU32;
use std::time::Duration;

pub(crate) async fn five_hundred_rows() -> Lake {
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

/// Of schedules as many are held at a time as there is memory for: with little of it they come in parts, with less the statement is refused.
#[tokio::test(flavor = "multi_thread")]
async fn schedules_take_of_the_memory_of_their_session() {
    const SCHEDULES: u64 = 4_000;
    let lake = lake_of(&[received(1, 1, 1, "4.8.1", 1)], 1).await;
    tell(&lake, "schedules", (1..=SCHEDULES).flat_map(|number| scheduled(1, 1, number))).await;
    let asked = "SELECT count(*), count(DISTINCT dsp_schedule_id), count(created_at), count(frequency) FROM schedules";
    // All of them at once would take five megabytes.
    for (memory_bytes, fits) in [(1 << 30, true), (6 << 20, true), (1 << 20, false), (1, false)] {
        let session = within(&lake, SqlLimits { memory_bytes, ..SqlLimits::default() });
        match rows(&session, asked).await {
            Ok(rows) => assert!(fits && rows == [vec![SCHEDULES.to_string(); 4]], "{memory_bytes}: {rows:?}"),
            Err(error) => assert!(!fits && matches!(error, SqlError::Memory(_)), "{memory_bytes}: {error}"),
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

/// A text that doubles twelve times is larger than what the expressions of a session may make. It fails before it is made, whatever doubles it, and
/// whether the engine works it out while it plans or later.
#[tokio::test(flavor = "multi_thread")]
async fn texts_that_double_fail_before_they_are_made() {
    let lake = five_hundred_rows().await;
    let session = within(&lake, SqlLimits { memory_bytes: 64 << 20, ..SqlLimits::default() });
    let literal = format!("SELECT '{}' AS a", "a literal".repeat(100));
    for (from, doubled) in [
        ("SELECT request_id AS a FROM audit_trails", "a || a || a || a"),
        ("SELECT request_id AS a FROM audit_trails", "concat(a, a, a, a)"),
        ("SELECT request_id AS a FROM audit_trails", "concat_ws(a, '', '', '', '', '')"),
        ("SELECT request_id AS a FROM audit_trails", "replace(a, '0', a)"),
        ("SELECT request_id AS a FROM audit_trails", "regexp_replace(a, '0', a, 'g')"),
        ("SELECT request_id AS a FROM audit_trails", "array_to_string([a, a, a], a)"),
        ("SELECT string_agg(request_id, ',') AS a FROM audit_trails", "a || a || a || a"),
        (literal.as_str(), "a || a || a || a"),
    ] {
        let mut nested = from.to_owned();
        for _ in 0..6 {
            nested = format!("SELECT {doubled} AS a FROM ({nested})");
        }
        let statement = format!("SELECT max(character_length(a)) FROM ({nested})");
        let error = rows(&session, &statement).await.expect_err(doubled);
        assert!(matches!(error, SqlError::Memory(_)), "{doubled}: {error}");
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

/// Levels of WITH that each name the one below twice, and selects that each double what the one below gives.
fn levels(levels: usize) -> [String; 4] {
    let mut unions = "WITH a0 AS (SELECT 1 AS x)".to_owned();
    let mut named = "WITH a0 AS (SELECT 1 AS x)".to_owned();
    let mut nested = "SELECT 1 AS x".to_owned();
    for level in 1..=levels {
        let below = level - 1;
        unions += &format!(", a{level} AS (SELECT x FROM a{below} UNION ALL SELECT x + 1 FROM a{below})");
        named += &format!(", a{level} AS (SELECT x + x AS x FROM a{below})");
        nested = format!("SELECT x + x AS x FROM ({nested}) AS n{level}");
    }
    [
        format!("{unions} SELECT count(*) FROM a{levels}"),
        format!("{named} SELECT x FROM a{levels} WHERE x > 1"),
        format!("SELECT count(*) FROM ({nested}) AS n WHERE x > 1"),
        format!(
            "SELECT count(*) FROM audit_trails WHERE EXISTS (SELECT 1 FROM ({nested}) AS n WHERE n.x > 1)"
        ),
    ]
}

/// What doubles level by level is answered while it is of the size of what people ask, and refused where it would be larger: before anything is made
/// of it, for at a few levels more it would be larger than any memory.
#[tokio::test(flavor = "multi_thread")]
async fn statements_that_double_are_refused_before_they_are_made() {
    let lake = lake_of(&[received(1, 1, 1, "4.8.1", 1)], 1).await;
    let session = within(&lake, SqlLimits::default());
    for (statement, answer) in levels(8).iter().zip(["256", "256", "1", "1"]) {
        assert_eq!(value(&session, statement).await, answer, "{statement}");
    }
    for statement in levels(18) {
        for statement in [format!("EXPLAIN {statement}"), statement] {
            let error = rows(&session, &statement).await.expect_err(&statement);
            assert!(matches!(error, SqlError::TooManyParts { .. }), "{statement}: {error}");
            assert_eq!(error.kind(), SqlErrorKind::TooMuch);
        }
    }
    assert_eq!(value(&session, "SELECT count(*) FROM audit_trails").await, "1");
}

/// Also where a name stands for what is repeated, so that no one expression of the statement is deep; and a condition goes into each branch of a union.
#[tokio::test(flavor = "multi_thread")]
async fn what_doubles_when_it_is_written_otherwise_is_refused() {
    let lake = lake_of(&[received(1, 1, 1, "4.8.1", 1)], 1).await;
    let session = within(&lake, SqlLimits::default());
    let named = |levels: usize| {
        let below = |level: usize| format!("SELECT (x BETWEEN false AND true) AS x FROM n{level}");
        let names: String = (1..=levels).map(|n| format!(", n{n} AS ({})", below(n - 1))).collect();
        format!(
            "WITH n0 AS (SELECT device_id > 'a' AS x FROM audit_trails){names} SELECT count(*) FROM n{levels} WHERE x"
        )
    };
    let branches = |terms: usize| {
        let condition = (0..terms).map(|n| format!("x <> {n}")).collect::<Vec<_>>().join(" AND ");
        let [unions, ..] = levels(6);
        format!("{unions} WHERE {condition}")
    };
    for small in [named(3), branches(3)] {
        assert!(rows(&session, &small).await.is_ok(), "{small}");
    }
    for large in [named(40), branches(600)] {
        let error = rows(&session, &large).await.expect_err(&large);
        assert!(matches!(error, SqlError::TooManyParts { .. }), "{error}");
    }
}

/// Forty thousand rows with themselves, of which no pair fits, or all do and one is asked for: the joins are ended at the time, or when nobody waits
/// any more, though they give no row by then. Without that, each would take minutes.
#[tokio::test(flavor = "multi_thread")]
async fn joins_that_give_no_rows_are_ended() {
    let lake = lake_of(&[received(1, 1, 1, "4.8.1", 1)], 1).await;
    let numbers = (0..200).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
    let of = |rows: &str| {
        format!(
            "WITH t AS (SELECT unnest(make_array({numbers})) AS x), \
             l AS (SELECT a.x * 200 + b.x AS l, 1 AS k FROM t a, t b) SELECT count(*) FROM l q {rows}"
        )
    };
    let short = within(&lake, SqlLimits { time: Duration::from_secs(2), ..SqlLimits::default() });
    let long = within(&lake, SqlLimits::default());
    for statement in [
        of("JOIN l p ON q.l + p.l < 0"),
        of("JOIN l p ON q.k = p.k AND q.l + p.l < 0"),
        of("WHERE q.k IN (SELECT p.k FROM l p)"),
        of("WHERE q.k NOT IN (SELECT p.k FROM l p)"),
        of("WHERE EXISTS (SELECT 1 FROM l p WHERE q.k = p.k AND q.l + p.l < 0)"),
    ] {
        let error = rows(&short, &statement).await.unwrap_err();
        assert!(matches!(error, SqlError::Time { .. }), "{error}");
        let mut answer = long.query(&statement).await.unwrap();
        let begun = tokio::time::timeout(Duration::from_millis(100), answer.next()).await;
        assert!(begun.is_err(), "{begun:?}");
    }
}
