//! What a User tries to learn of rows that are not theirs. Each attempt is made on a lake with such rows and on one without: the answers, or the
//! errors, are the same to the letter.
//!
//! The hidden rows are poison: many of the expressions fail on every one of them, and on none of the caller's.

use crate::it::world::*;
use gridtrail_access::Access;
use gridtrail_lake::Lake;
use gridtrail_model::Event;
use gridtrail_sql::SqlError;

/// Attempts, by name. `h` stands for a Device of hidden rows alone.
const ATTEMPTS: &[(&str, &str)] = &[
    ("count", "SELECT count(*) FROM audit_trails"),
    ("count of a column", "SELECT count(response_code) FROM audit_trails"),
    ("count of distinct values", "SELECT count(DISTINCT user_id) FROM audit_trails"),
    ("approximate count", "SELECT approx_distinct(device_id) FROM audit_trails"),
    (
        "minimum and maximum",
        "SELECT min(service_request_received_at), max(service_request_received_at) FROM audit_trails",
    ),
    ("minimum of a text", "SELECT min(user_id), max(device_id) FROM audit_trails"),
    ("sum", "SELECT sum(gbcs_transaction_sequence_number) FROM audit_trails"),
    ("mean and deviation", "SELECT avg(command_variant), stddev(command_variant) FROM audit_trails"),
    ("median", "SELECT median(gbcs_transaction_sequence_number) FROM audit_trails"),
    ("groups", "SELECT user_id, count(*) FROM audit_trails GROUP BY user_id ORDER BY 1"),
    (
        "grouping sets",
        "SELECT user_id, device_id, count(*) FROM audit_trails GROUP BY CUBE(user_id, device_id) ORDER BY 1, 2",
    ),
    ("having", "SELECT device_id FROM audit_trails GROUP BY device_id HAVING count(*) > 3 ORDER BY 1"),
    ("aggregated list", "SELECT array_agg(DISTINCT device_id ORDER BY device_id) FROM audit_trails"),
    ("aggregated text", "SELECT string_agg(request_id, ',' ORDER BY request_id) FROM audit_trails"),
    ("first value", "SELECT first_value(user_id ORDER BY user_id DESC) FROM audit_trails"),
    ("filtered aggregate", "SELECT count(*) FILTER (WHERE response_code IS NOT NULL) FROM audit_trails"),
    ("boolean aggregate", "SELECT bool_or(response_code = 'I0') FROM audit_trails"),
    ("by another's User ID", "SELECT * FROM audit_trails WHERE user_id = '90-B3-00-00-00-00-00-02'"),
    (
        "by another's Device",
        "SELECT request_id FROM audit_trails WHERE device_id = '00-DB-00-00-00-00-00-09'",
    ),
    (
        "by several Devices",
        "SELECT request_id FROM audit_trails WHERE device_id IN ('00-DB-00-00-00-00-00-09', '00-DB-00-00-00-00-00-08')",
    ),
    (
        "by a Device or anything",
        "SELECT count(*) FROM audit_trails WHERE device_id = '00-DB-00-00-00-00-00-09' OR 1 = 1",
    ),
    (
        "by not being one's own",
        "SELECT count(*) FROM audit_trails WHERE user_id <> '90-B3-00-00-00-00-00-01'",
    ),
    ("by an empty condition", "SELECT count(*) FROM audit_trails WHERE TRUE"),
    (
        "by a range of times",
        "SELECT count(*) FROM audit_trails WHERE service_request_received_at > TIMESTAMPTZ '2026-01-01T00:00:00Z'",
    ),
    ("existence", "SELECT EXISTS (SELECT 1 FROM audit_trails WHERE device_id = '00-DB-00-00-00-00-00-09')"),
    ("cast that fails", "SELECT CAST(response_code AS INT) FROM audit_trails ORDER BY request_id"),
    ("cast in a condition", "SELECT request_id FROM audit_trails WHERE CAST(response_code AS INT) > 0"),
    ("cast of a Device", "SELECT count(TRY_CAST(device_id AS INT)) FROM audit_trails"),
    ("cast to a time", "SELECT CAST(response_code AS TIMESTAMP) FROM audit_trails"),
    ("cast within an aggregate", "SELECT max(CAST(response_code AS INT)) FROM audit_trails"),
    (
        "cast in the order",
        "SELECT request_id FROM audit_trails ORDER BY CAST(response_code AS INT), request_id",
    ),
    (
        "cast in a join",
        "SELECT count(*) FROM audit_trails a JOIN audit_trails b ON CAST(a.response_code AS INT) = CAST(b.response_code AS INT)",
    ),
    ("attempted cast", "SELECT count(TRY_CAST(response_code AS INT)) FROM audit_trails"),
    ("division by zero", "SELECT 1 / (command_variant - 4) FROM audit_trails ORDER BY request_id"),
    (
        "division in a condition",
        "SELECT request_id FROM audit_trails WHERE 1 / (command_variant - 4) < 0 ORDER BY 1",
    ),
    (
        "division beside an own row",
        "SELECT request_id FROM audit_trails WHERE user_id <> 'x' AND 1 / (command_variant - 4) < 0 ORDER BY 1",
    ),
    (
        "division behind CASE",
        "SELECT sum(CASE WHEN device_id = '00-DB-00-00-00-00-00-09' THEN 1 / (command_variant - 4) ELSE 0 END) FROM audit_trails",
    ),
    ("division behind COALESCE", "SELECT sum(coalesce(NULL, 1 / (command_variant - 4))) FROM audit_trails"),
    ("remainder", "SELECT 7 % (command_variant - 4) FROM audit_trails ORDER BY request_id"),
    ("overflow", "SELECT CAST(gbcs_transaction_sequence_number AS SMALLINT) FROM audit_trails ORDER BY 1"),
    ("root of a negative", "SELECT sqrt(3 - command_variant) FROM audit_trails ORDER BY request_id"),
    ("regular expression", "SELECT request_id FROM audit_trails WHERE device_id ~ '09$' ORDER BY 1"),
    (
        "regular expression that fails",
        "SELECT count(*) FROM audit_trails WHERE regexp_like('x', response_code || '(')",
    ),
    (
        "regular expression of a value",
        "SELECT count(*) FROM audit_trails WHERE regexp_like('x', coalesce(response_code, 'y') || '[')",
    ),
    ("pattern", "SELECT request_id FROM audit_trails WHERE request_id LIKE '%:00-DB-00-00-00-00-00-09:%'"),
    ("pattern without case", "SELECT count(*) FROM audit_trails WHERE request_id ILIKE '%-09:%'"),
    ("similar to", "SELECT count(*) FROM audit_trails WHERE response_code SIMILAR TO 'I.*'"),
    ("substring", "SELECT DISTINCT substr(device_id, 20, 4) FROM audit_trails ORDER BY 1"),
    ("self join", "SELECT count(*) FROM audit_trails a JOIN audit_trails b ON a.device_id = b.device_id"),
    (
        "outer join from values",
        "SELECT v.d, count(t.request_id) FROM (VALUES ('00-DB-00-00-00-00-00-09')) v(d) LEFT JOIN audit_trails t ON t.device_id = v.d GROUP BY v.d",
    ),
    ("cross join", "SELECT count(*) FROM audit_trails, audit_trails b"),
    (
        "anti join",
        "SELECT v.d FROM (VALUES ('00-DB-00-00-00-00-00-09')) v(d) WHERE NOT EXISTS (SELECT 1 FROM audit_trails t WHERE t.device_id = v.d)",
    ),
    (
        "semi join",
        "SELECT v.d FROM (VALUES ('00-DB-00-00-00-00-00-09')) v(d) WHERE v.d IN (SELECT device_id FROM audit_trails)",
    ),
    (
        "join of both tables",
        "SELECT count(*) FROM audit_trails a FULL JOIN meter_reads m ON a.request_id = m.request_id",
    ),
    (
        "correlated subquery",
        "SELECT request_id, (SELECT count(*) FROM audit_trails b WHERE b.device_id = a.device_id) FROM audit_trails a ORDER BY 1",
    ),
    (
        "scalar subquery of many rows",
        "SELECT (SELECT request_id FROM audit_trails WHERE response_code = 'I0')",
    ),
    ("union", "SELECT device_id FROM audit_trails UNION SELECT device_id FROM meter_reads ORDER BY 1"),
    ("except", "SELECT device_id FROM meter_reads EXCEPT SELECT device_id FROM audit_trails ORDER BY 1"),
    ("intersect", "SELECT device_id FROM audit_trails INTERSECT SELECT '00-DB-00-00-00-00-00-09'"),
    ("common table expression", "WITH t AS (SELECT * FROM audit_trails) SELECT count(*) FROM t"),
    (
        "table in the name of another",
        "WITH audit_trails AS (SELECT * FROM meter_reads) SELECT count(*) FROM audit_trails",
    ),
    (
        "row numbers",
        "SELECT request_id, row_number() OVER (ORDER BY request_id) FROM audit_trails ORDER BY 1",
    ),
    (
        "ranks",
        "SELECT request_id, percent_rank() OVER (ORDER BY service_request_received_at) FROM audit_trails ORDER BY 1",
    ),
    (
        "neighbours",
        "SELECT request_id, lag(request_id) OVER (ORDER BY service_request_received_at), lead(device_id) OVER (ORDER BY service_request_received_at) FROM audit_trails ORDER BY 1",
    ),
    ("running count", "SELECT request_id, count(*) OVER () FROM audit_trails ORDER BY 1"),
    ("window over all", "SELECT max(user_id) OVER () FROM audit_trails LIMIT 1"),
    ("tiles", "SELECT request_id, ntile(4) OVER (ORDER BY request_id) FROM audit_trails ORDER BY 1"),
    ("offset", "SELECT request_id FROM audit_trails ORDER BY request_id OFFSET 3"),
    ("limit", "SELECT count(*) FROM (SELECT 1 FROM audit_trails LIMIT 1000)"),
    (
        "order",
        "SELECT request_id FROM audit_trails ORDER BY service_request_received_at DESC, request_id LIMIT 3",
    ),
    ("unnested history", "SELECT count(*) FROM (SELECT unnest(status_change_history) FROM audit_trails)"),
    (
        "causes",
        "SELECT count(*) FROM (SELECT unnest(status_change_history) AS e FROM audit_trails) WHERE e['cause'] IS NOT NULL",
    ),
    ("lengths of histories", "SELECT max(cardinality(status_change_history)) FROM audit_trails"),
    ("disputes", "SELECT sum(cardinality(disputes)) FROM audit_trails"),
    ("freshness of rows", "SELECT max(last_recorded_at) FROM audit_trails"),
    ("dictionary of a column", "SELECT DISTINCT response_code FROM audit_trails ORDER BY 1"),
    ("type of a column", "SELECT DISTINCT arrow_typeof(response_code) FROM audit_trails"),
    ("meter reads", "SELECT count(*), min(device_id), max(user_id) FROM meter_reads"),
    ("meter reads of another", "SELECT count(*) FROM meter_reads WHERE user_id = '90-B3-00-00-00-00-00-02'"),
    ("meter reads by Device", "SELECT count(*) FROM meter_reads WHERE device_id = '00-DB-00-00-00-00-00-09'"),
    ("meter reads cast", "SELECT count(CAST(response_code AS INT)) FROM meter_reads"),
    ("meter reads divided", "SELECT sum(1 / (command_variant - 4)) FROM meter_reads"),
    ("schedules", "SELECT * FROM schedules ORDER BY user_id, dsp_schedule_id"),
    (
        "count of schedules",
        "SELECT count(*), min(device_id), max(user_id), max(last_recorded_at) FROM schedules",
    ),
    ("schedules of another", "SELECT count(*) FROM schedules WHERE user_id = '90-B3-00-00-00-00-00-02'"),
    ("schedules by Device", "SELECT count(*) FROM schedules WHERE device_id = '00-DB-00-00-00-00-00-09'"),
    ("schedules divided", "SELECT sum(1 / (dsp_schedule_id - 100007)) FROM schedules"),
    (
        "schedules joined",
        "SELECT count(*) FROM schedules s FULL JOIN audit_trails a ON a.device_id = s.device_id",
    ),
    ("plan of schedules", "EXPLAIN SELECT count(*) FROM schedules"),
    ("columns of schedules", "SHOW COLUMNS FROM schedules"),
    ("plan", "EXPLAIN SELECT count(*) FROM audit_trails"),
    ("plan of a minimum", "EXPLAIN SELECT min(device_id) FROM audit_trails"),
    ("plan by Device", "EXPLAIN SELECT * FROM audit_trails WHERE device_id = '00-DB-00-00-00-00-00-09'"),
    (
        "plan of a join",
        "EXPLAIN SELECT 1 FROM audit_trails a JOIN meter_reads b ON a.device_id = b.device_id",
    ),
    ("measured plan", "EXPLAIN ANALYZE SELECT count(*) FROM audit_trails"),
    ("talkative plan", "EXPLAIN VERBOSE SELECT count(*) FROM audit_trails"),
    ("tables", "SHOW TABLES"),
    ("columns", "SHOW COLUMNS FROM audit_trails"),
    ("information of tables", "SELECT * FROM information_schema.tables ORDER BY 1, 2, 3"),
    (
        "information of columns",
        "SELECT * FROM information_schema.columns ORDER BY table_name, ordinal_position",
    ),
    ("settings", "SELECT * FROM information_schema.df_settings"),
    ("column that is not there", "SELECT hidden FROM audit_trails"),
    ("table that is not there", "SELECT * FROM trails"),
];

/// What the caller may see, and what they may not: of User 2, under Devices of theirs and of the caller, each poison.
fn events() -> (Vec<Event>, Vec<Event>) {
    let own = (1..=5).map(|n| received(1, u8::try_from(n).unwrap() % 3 + 1, n, "6.15.1", 1)).collect();
    let mut hidden = Vec::new();
    for counter in 0..24u64 {
        let number = u8::try_from(counter % 3).unwrap();
        let request = received(2, [9, 1, 8][usize::from(number)], 100_000 + counter, "6.15.1", 4);
        hidden.push(answered(&request, "I0"));
        hidden.push(request);
    }
    (own, hidden)
}

async fn told(lake: &Lake, who: &Access, statement: &str) -> Result<Vec<Vec<String>>, String> {
    let session = session(lake, who);
    rows(&session, statement).await.map_err(|error: SqlError| format!("{:?}: {error}", error.kind()))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_attempt_tells_of_hidden_rows() {
    let (own, hidden) = events();
    let without = lake_of(&own, 2).await;
    let all: Vec<Event> = own.iter().chain(&hidden).cloned().collect();
    let with = lake_of(&all, 7).await;
    // One has an identifier that the caller has, too.
    let numbers = [34, 100_007, 100_008];
    for (lake, users) in [(&without, &[1][..]), (&with, &[1, 2])] {
        for u in users {
            let count = if *u == 1 { 1 } else { 3 };
            let told = numbers.into_iter().take(count).flat_map(|number| scheduled(*u, 7 + *u, number));
            tell(lake, &format!("schedules-{u}"), told).await;
        }
    }
    let (caller, everybody) = (access(&[1]), access(&[1, 2]));
    let (mut differ, mut fail) = (0, 0);
    for compacted in [false, true] {
        if compacted {
            compact(&with).await;
        }
        for (name, statement) in ATTEMPTS {
            let expected = told(&without, &caller, statement).await;
            assert_eq!(told(&with, &caller, statement).await, expected, "{name}, compacted: {compacted}");
            let seen = told(&with, &everybody, statement).await;
            differ += u32::from(seen != expected);
            fail += u32::from(seen.is_err() && expected.is_ok());
        }
    }
    // The attempts are worth something: whoever sees the rows gets other answers, and meets the poison.
    assert!(differ > 110 && fail > 20, "{differ} other answers, {fail} failures");
}

/// Attempts have names of their own, and there are as many as were promised.
#[test]
fn attempts_are_many_and_each_is_named() {
    let names: std::collections::BTreeSet<_> = ATTEMPTS.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), ATTEMPTS.len());
    assert!(ATTEMPTS.len() >= 80, "{}", ATTEMPTS.len());
}

/// The plan that is told has no number of rows, no file and no node below the filter.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_tells_no_statistics() {
    let (own, hidden) = events();
    let all: Vec<Event> = own.into_iter().chain(hidden).collect();
    let lake = lake_of(&all, 7).await;
    let plan = told(&lake, &access(&[1]), "EXPLAIN SELECT count(*), min(device_id) FROM audit_trails").await;
    let plan = plan.unwrap().concat().join("\n");
    assert!(plan.contains("TableScan: audit_trails"), "{plan}");
    for word in ["statistics", "rows=", "parquet", "memory:", "Exec"] {
        assert!(!plan.contains(word), "{word}: {plan}");
    }
}
