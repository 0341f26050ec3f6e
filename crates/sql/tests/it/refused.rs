//! What a session does not do, whoever asks.

use crate::it::world::*;
use gridtrail_sql::{STACK_BYTES, STATEMENT_BYTES_MAX, SecuredSession, SqlError, SqlErrorKind, SqlLimits};

/// Statements that are refused, each for being what it is.
const REFUSED: &[&str] = &[
    "CREATE TABLE t AS SELECT * FROM audit_trails",
    "CREATE VIEW v AS SELECT * FROM audit_trails",
    "CREATE TABLE t (a INT)",
    "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
    "CREATE SCHEMA s",
    "CREATE DATABASE d",
    "CREATE FUNCTION f() RETURNS INT RETURN 1",
    "DROP TABLE audit_trails",
    "DROP SCHEMA public",
    "ALTER TABLE audit_trails ADD COLUMN a INT",
    "INSERT INTO audit_trails SELECT * FROM audit_trails",
    "UPDATE audit_trails SET mpxn = ''",
    "DELETE FROM audit_trails",
    "TRUNCATE TABLE audit_trails",
    "COPY audit_trails TO '/tmp/out.csv'",
    "COPY (SELECT * FROM audit_trails) TO '/tmp/out.csv' STORED AS CSV",
    "SET datafusion.catalog.information_schema = false",
    "SET datafusion.execution.target_partitions = 1000",
    "RESET datafusion.execution.target_partitions",
    "SHOW ALL",
    "SHOW datafusion.execution.target_partitions",
    "SHOW FUNCTIONS",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "DEALLOCATE p",
    "BEGIN",
    "COMMIT",
    "USE gridtrail",
    "DESCRIBE audit_trails",
    "EXPLAIN ANALYZE SELECT 1",
    "EXPLAIN VERBOSE SELECT 1",
    "EXPLAIN EXPLAIN SELECT 1",
    "EXPLAIN COPY audit_trails TO '/tmp/out.csv'",
    "EXPLAIN INSERT INTO audit_trails SELECT * FROM audit_trails",
    "SELECT 1; SELECT 2",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM \"file:///etc/passwd\"",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM generate_series(1, 1000000000)",
    "SELECT * FROM range(1, 10)",
    "SELECT repeat('x', 1000000000)",
    "SELECT lpad('x', 1000000000, 'y')",
    "SELECT generate_series(1, 1000000000)",
    "SELECT random()",
    "SELECT uuid()",
    "SELECT version()",
    "SELECT input_file_name()",
    "SELECT @@version",
    "SELECT $1",
    "SELECT * FROM information_schema.df_settings",
    "SELECT * FROM information_schema.routines",
    "SELECT * FROM information_schema.views",
    "SELECT * FROM other.public.audit_trails",
    "SELECT * FROM gridtrail.private.audit_trails",
    "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT * FROM t",
    "SELECT (SELECT random())",
    "SELECT 1 WHERE EXISTS (SELECT 1 FROM information_schema.df_settings)",
    "INSERT INTO audit_trails VALUES (1)",
    "MERGE INTO audit_trails USING meter_reads ON TRUE WHEN MATCHED THEN DELETE",
    "",
    ";",
    "nonsense",
];

#[tokio::test(flavor = "multi_thread")]
async fn statements_beyond_questions_are_refused() {
    let lake = lake_of(&[received(1, 1, 1, "4.8.1", 1)], 1).await;
    let session = session(&lake, &access(&[1]));
    for statement in REFUSED {
        let refused = rows(&session, statement).await;
        let error = refused.expect_err(statement);
        assert_eq!(error.kind(), SqlErrorKind::Statement, "{statement}: {error}");
    }
    // And a session that refused goes on answering.
    assert_eq!(value(&session, "SELECT count(*) FROM audit_trails").await, "1");
}

/// Nested without end, a statement is an error and not the end of the process.
#[tokio::test(flavor = "multi_thread")]
async fn deep_statements_are_errors() {
    let lake = lake_of(&[received(1, 1, 1, "4.8.1", 1)], 1).await;
    let session = session(&lake, &access(&[1]));
    let brackets = format!("SELECT {}1{}", "(".repeat(5_000), ")".repeat(5_000));
    let selects = format!("SELECT * FROM {}audit_trails{}", "(SELECT * FROM ".repeat(500), ")".repeat(500));
    let long = format!("SELECT '{}'", "x".repeat(100_000));
    for statement in [brackets, selects, long] {
        assert_eq!(rows(&session, &statement).await.unwrap_err().kind(), SqlErrorKind::Statement);
    }
    // A long chain of conditions is deep as a tree, and answered.
    let chain =
        format!("SELECT count(*) FROM audit_trails WHERE {}", vec!["mpxn <> 'x'"; 1_000].join(" AND "));
    assert_eq!(value(&session, &chain).await, "1");
}

/// The longest chains that a statement has room for are deep as trees: on a thread of the stack that sessions ask for they are answered or refused.
#[test]
fn chains_as_long_as_a_statement_end_no_process() {
    let carried_out = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let lake = lake_of(&[received(1, 1, 1, "4.8.1", 1)], 1).await;
            let session = session(&lake, &access(&[1]));
            let chain = |of: &str, by: &str| {
                let times = (STATEMENT_BYTES_MAX - 100) / (of.len() + by.len());
                format!("SELECT count(*) FROM audit_trails WHERE {}", vec![of; times].join(by))
            };
            for statement in [chain("true", " AND "), chain("1", "+") + " > 1", chain("mpxn=''", " OR ")] {
                let outcome = rows(&session, &statement).await;
                assert!(
                    matches!(outcome, Ok(_) | Err(SqlError::TooManyParts { .. })),
                    "{}: {outcome:?}",
                    &statement[..60]
                );
            }
        });
    };
    std::thread::Builder::new().stack_size(STACK_BYTES).spawn(carried_out).unwrap().join().unwrap();
}

/// A table that the roles do not allow is as unknown as one that is not there: to a statement, to a plan and to what tells of tables.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_the_roles_do_not_allow_is_not_there() {
    let lake = lake_of(&[received(1, 1, 1, "4.8.1", 1)], 1).await;
    // The last column of the matrix has no service audit trails.
    let who = access_of([user(1)], 11);
    let session = session(&lake, &who);
    for table in ["audit_trails", "public.audit_trails", "gridtrail.public.audit_trails"] {
        let unknown = table.replace("audit_trails", "other_table");
        for form in [
            "SELECT * FROM TABLE",
            "SELECT count(*) FROM TABLE",
            "EXPLAIN SELECT 1 FROM TABLE",
            "SHOW COLUMNS FROM TABLE",
        ] {
            let told = |name: &str| form.replace("TABLE", name);
            let denied = rows(&session, &told(table)).await.unwrap_err().to_string();
            let absent = rows(&session, &told(&unknown)).await.unwrap_err().to_string();
            assert_eq!(denied.replace("audit_trails", "other_table"), absent);
        }
    }
    for listing in
        ["SHOW TABLES", "SELECT * FROM information_schema.tables", "SELECT * FROM information_schema.columns"]
    {
        let listed = rows(&session, listing).await.unwrap();
        assert!(!listed.concat().iter().any(|text| text == "audit_trails"), "{listing}: {listed:?}");
    }
}

/// Each role has the tables of its components, and those alone.
#[tokio::test(flavor = "multi_thread")]
async fn tables_follow_the_role_matrix() {
    use gridtrail_access::Component;
    let lake = lake_of(&[received(1, 1, 1, "4.8.1", 1)], 1).await;
    for role in 1..=11 {
        let who = access_of([user(1)], role);
        let session = session(&lake, &who).with_calls_of(&lake).with_inventory(false);
        let of = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1";
        let tables = [
            ("access_log", None),
            ("audit_trails", Some(Component::ServiceAudit)),
            ("inventory_devices", Some(Component::Inventory)),
            ("inventory_history", Some(Component::Inventory)),
            ("meter_reads", Some(Component::MeterReads)),
            ("schedules", Some(Component::ServiceAudit)),
        ];
        let is_open = |component: &Option<Component>| component.is_none_or(|one| who.permits(one));
        let open = tables.iter().filter(|(_, component)| is_open(component));
        let expected: Vec<String> = open.map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(rows(&session, of).await.unwrap().concat(), expected, "role {role}");
    }
}

/// An access that is over asks nothing more, not even in a session that it made.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_with_its_access() {
    let lake = lake_of(&[received(1, 1, 1, "4.8.1", 1)], 1).await;
    let (clock, who) = (clock(), access(&[1]));
    let session = SecuredSession::new(&lake.snapshot(), &who, clock.clone(), SqlLimits::default()).unwrap();
    let mut begun = session.query("SELECT * FROM audit_trails").await.unwrap();
    clock.advance(3_600_000);
    assert_eq!(session.query("SELECT 1").await.unwrap_err().kind(), SqlErrorKind::Denied);
    assert_eq!(begun.next().await.unwrap_err().kind(), SqlErrorKind::Denied);
    let again = SecuredSession::new(&lake.snapshot(), &who, clock, SqlLimits::default());
    assert_eq!(again.unwrap_err().kind(), SqlErrorKind::Denied);
    assert!(
        SecuredSession::new(
            &lake.snapshot(),
            &access_of([user(1)], 0),
            crate::it::world::clock(),
            SqlLimits::default()
        )
        .is_err()
    );
}
