//! Prepared statements, tables as they were, the access log, and rights that are lost.

use crate::it::world::*;
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::DataType;
use gridtrail_access::{Access, Admission, Bearer, DevKey, JobTypeRole, OrgId, Sharing};
use gridtrail_access_log::{AccessLog, Committing, Entry, RowKind};
use gridtrail_lake::Lake;
use gridtrail_model::Event;
use gridtrail_runtime::Clock;
use gridtrail_sql::{Recording, Rights, SecuredSession, SqlErrorKind, SqlLimits};
use std::sync::Arc;
use std::time::Duration;

fn values(columns: Vec<ArrayRef>) -> RecordBatch {
    let named = columns.into_iter().enumerate().map(|(number, column)| (format!("${}", number + 1), column));
    RecordBatch::try_from_iter_with_nullable(named.map(|(name, column)| (name, column, true))).unwrap()
}

fn text(value: &str) -> ArrayRef {
    Arc::new(StringArray::from(vec![value]))
}

async fn fifty() -> Lake {
    let events: Vec<Event> =
        (0..50).map(|n| received(1, u8::try_from(n % 5).unwrap(), n, "4.8.1", 1)).collect();
    lake_of(&events, 20).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_statement_says_its_types_and_takes_values() {
    let lake = fifty().await;
    let session = session(&lake, &access(&[1]));
    let statement = "SELECT request_id, $3 AS mine FROM audit_trails \
         WHERE device_id = $1 AND gbcs_transaction_sequence_number >= $2 ORDER BY 1";
    let prepared = session.prepare(statement).await.unwrap();
    let kinds = |schema: &arrow::datatypes::Schema| -> Vec<DataType> {
        schema.fields().iter().map(|field| field.data_type().clone()).collect()
    };
    assert_eq!(kinds(&prepared.parameters()), [DataType::Utf8, DataType::UInt64, DataType::Utf8]);
    assert_eq!(kinds(&prepared.schema().unwrap()), [DataType::Utf8, DataType::Utf8]);
    for (device_number, least, expected) in [(3, 0, 10), (3, 20, 6), (9, 0, 0)] {
        let given = values(vec![
            text(&device(device_number).to_string()),
            Arc::new(Int64Array::from(vec![least])),
            text("x"),
        ]);
        let answer = prepared.execute(Some(&given)).await.unwrap();
        assert_eq!(kinds(&answer.schema()), kinds(&prepared.schema().unwrap()));
        let batches = answer.all().await.unwrap();
        assert_eq!(
            batches.iter().map(RecordBatch::num_rows).sum::<usize>(),
            expected,
            "{device_number}, {least}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn question_marks_are_parameters_in_their_order() {
    let lake = fifty().await;
    let session = session(&lake, &access(&[1]));
    let given = values(vec![text("a'--"), text("b?")]);
    let answer = session.execute("SELECT ? || '?' || ? AS both", &given).await.unwrap();
    let batches = answer.all().await.unwrap();
    assert_eq!(batches[0].column(0).as_ref(), text("a'--?b?").as_ref());
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_do_not_fit_are_refused() {
    let lake = fifty().await;
    let session = session(&lake, &access(&[1]));
    let count = "SELECT count(*) FROM audit_trails WHERE gbcs_transaction_sequence_number = $1";
    let two =
        RecordBatch::try_from_iter([("$1", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef)]).unwrap();
    for wrong in [
        session.query(count).await.err(),
        session.execute(count, &values(vec![text("x")])).await.err(),
        session.execute(count, &values(vec![text("1"), text("2")])).await.err(),
        session.execute(count, &two).await.err(),
        session.execute("SELECT $2", &values(vec![text("1")])).await.err(),
        session.execute("SELECT $name", &values(vec![text("1")])).await.err(),
        session.execute("SELECT $0", &values(vec![text("1")])).await.err(),
        session.execute("SELECT $1, ?", &values(vec![text("1"), text("2")])).await.err(),
        session.execute("SELECT 1", &values(vec![text("1")])).await.err(),
        session.execute("SELECT * FROM $1", &values(vec![text("audit_trails")])).await.err(),
        session.execute("SELECT * FROM audit_trails_at($1)", &values(vec![text("1")])).await.err(),
    ] {
        let error = wrong.expect("it is refused");
        assert_eq!(error.kind(), SqlErrorKind::Statement, "{error}");
    }
    let fits = session.execute(count, &values(vec![text("7")])).await.unwrap().all().await.unwrap();
    assert_eq!(fits[0].num_rows(), 1);
}

/// Values are values, whatever they look like, and conditions with them lead to no row that is hidden.
#[tokio::test(flavor = "multi_thread")]
async fn values_reach_no_hidden_row() {
    let lake = lake_of(&[received(1, 1, 1, "6.15.1", 1), received(2, 9, 2, "6.15.1", 4)], 1).await;
    let session = session(&lake, &access(&[1]));
    for (statement, value) in [
        ("SELECT * FROM audit_trails WHERE device_id = $1", device(9).to_string()),
        ("SELECT * FROM audit_trails WHERE user_id = $1", user(2).to_string()),
        ("SELECT * FROM audit_trails WHERE device_id = $1", "' OR 1 = 1 --".to_owned()),
        (
            "SELECT * FROM audit_trails WHERE 1 / (command_variant - 4) < 0 AND device_id = $1",
            device(9).to_string(),
        ),
    ] {
        let answer = session.execute(statement, &values(vec![text(&value)])).await.unwrap();
        assert!(
            answer.all().await.unwrap().iter().all(|batch| batch.num_rows() == 0),
            "{statement}: {value}"
        );
    }
}

/// Of the tables, and of the columns, each has its comment, and those of tables that the roles do not allow are not told.
#[tokio::test(flavor = "multi_thread")]
async fn tables_are_told_with_their_comments() {
    let lake = fifty().await;
    let told = session(&lake, &access(&[1])).tables();
    assert_eq!(
        told.iter().map(|table| table.name).collect::<Vec<_>>(),
        ["audit_trails", "meter_reads", "schedules"]
    );
    for table in told {
        assert!(!table.comment.is_empty());
        assert_eq!(table.comments.len(), table.schema.fields().len());
        for (field, comment) in table.schema.fields().iter().zip(&table.comments) {
            assert!(!comment.is_empty(), "{}.{}", table.name, field.name());
        }
    }
    let fewer = session(&lake, &access_of([user(1)], 11)).tables();
    assert!(!fewer.iter().any(|table| table.name == "audit_trails"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_as_it_was_has_the_rows_of_then() {
    // Tables are made by the time of the system.
    let clock = Clock::manual(Clock::system().now());
    clock.advance(60_000);
    let (lake, mut writer) = a_lake_by(clock).await;
    let who = access(&[1]);
    commit(&mut writer, "a", [received(1, 1, 1, "6.15.1", 1), received(2, 9, 1, "6.15.1", 4)]).await;
    let first = lake.snapshot().version().trails();
    lake.clock().advance(60_000);
    let between = lake.clock().now();
    lake.clock().advance(60_000);
    commit(&mut writer, "b", [received(1, 1, 2, "6.15.1", 1)]).await;
    let session = session(&lake, &who).with_past_of(&lake);
    let count = |table: &str| format!("SELECT count(*) FROM {table}");
    assert_eq!(value(&session, &count("audit_trails")).await, "2");
    assert_eq!(value(&session, &count(&format!("audit_trails_at('{first}')"))).await, "1");
    assert_eq!(value(&session, &count(&format!("audit_trails_at({first})"))).await, "1");
    assert_eq!(value(&session, &count(&format!("audit_trails_at('{between}')"))).await, "1");
    let both = format!(
        "SELECT request_id FROM audit_trails EXCEPT SELECT audit_trails_at.request_id FROM audit_trails_at('{between}')"
    );
    assert_eq!(rows(&session, &both).await.unwrap().len(), 1);
    // What is looked back to is nobody else's to see, either.
    let others =
        format!("SELECT count(*) FROM audit_trails_at('{between}') WHERE device_id = '{}'", device(9));
    assert_eq!(value(&session, &others).await, "0");
    let listing =
        format!("SELECT t.table_name FROM information_schema.tables t, audit_trails_at('{between}')");
    let listed = rows(&session, &listing).await.unwrap();
    assert!(!listed.concat().iter().any(|name| name.contains("_at")), "it is not listed");
    for wrong in ["'2020-01-01'", "'999'", "'yesterday'", "now()", ""] {
        let error = rows(&session, &count(&format!("audit_trails_at({wrong})"))).await.unwrap_err();
        assert_eq!(error.kind(), SqlErrorKind::Statement, "{wrong}: {error}");
    }
}

/// A table of the past is as unknown as that of the present to whom the roles do not allow it.
#[tokio::test(flavor = "multi_thread")]
async fn a_past_table_that_the_roles_do_not_allow_is_not_there() {
    let lake = fifty().await;
    let session = session(&lake, &access_of([user(1)], 11)).with_past_of(&lake);
    let denied = rows(&session, "SELECT * FROM audit_trails_at('1')").await.unwrap_err().to_string();
    let absent = rows(&session, "SELECT * FROM other_table_at('1')").await.unwrap_err().to_string();
    assert_eq!(denied.replace("audit_trails", "other_table"), absent);
}

async fn log_of(lake: &Lake) -> (AccessLog, Committing) {
    AccessLog::open(lake.access_log().await, lake.clock().clone(), "test").await.unwrap()
}

async fn recorded(lake: &Lake, committing: Committing) -> Vec<Entry> {
    committing.close().await.unwrap();
    let mut reader = lake.read_access_log(None, None).await.unwrap();
    let mut entries = Vec::new();
    while let Some(rows) = reader.next().await.unwrap() {
        entries.extend(rows.into_iter().filter(|row| row.kind == RowKind::Call).map(|row| row.entry));
    }
    entries
}

#[tokio::test(flavor = "multi_thread")]
async fn every_statement_is_on_record_once() {
    let events =
        [received(1, 1, 1, "6.15.1", 1), received(2, 9, 2, "4.8.1", 4), received(2, 9, 3, "6.15.1", 4)];
    let lake = lake_of(&events, 3).await;
    let (log, committing) = log_of(&lake).await;
    let session = session(&lake, &access(&[1])).recorded(Recording { log, call: "sql", peer: None });
    let by_device = format!("SELECT request_id, 'secret' FROM meter_reads WHERE device_id = '{}'", device(9));
    rows(&session, &by_device).await.unwrap();
    rows(&session, "SELECT count(*) FROM audit_trails").await.unwrap();
    rows(&session, "SELECT secret FROM audit_trails").await.unwrap_err();
    rows(&session, "secret is no statement").await.unwrap_err();
    rows(&session, "SELECT 1 / (command_variant - 1) FROM audit_trails").await.unwrap_err();
    let prepared = session.prepare("SELECT count(*) FROM audit_trails WHERE mpxn = ?").await.unwrap();
    drop(prepared);
    drop(session.query("SELECT * FROM audit_trails").await.unwrap());
    let session = session.begun_within(Duration::ZERO);
    rows(&session, "SELECT * FROM audit_trails").await.unwrap_err();
    drop(session);
    let entries = recorded(&lake, committing).await;
    let told: Vec<_> = entries
        .iter()
        .map(|entry| (entry.outcome.as_ref(), entry.reason.as_deref(), entry.rows, entry.rows_of_others))
        .collect();
    assert_eq!(
        told,
        [
            ("OK", None, Some(1), Some(1)),
            ("OK", None, Some(1), Some(0)),
            ("INVALID_ARGUMENT", Some("INVALID_STATEMENT"), None, None),
            ("INVALID_ARGUMENT", Some("INVALID_STATEMENT"), None, None),
            ("INVALID_ARGUMENT", Some("EXPRESSION_FAILED"), Some(0), Some(0)),
            ("OK", None, None, None),
            ("CANCELLED", None, Some(0), Some(0)),
            ("DEADLINE_EXCEEDED", Some("TOO_SLOW"), None, None),
        ]
    );
    let [first, .., malformed, _, prepared, _, _] = entries.as_slice() else { panic!("{entries:?}") };
    assert_eq!(first.detail.as_deref(), Some("SELECT request_id, ? FROM meter_reads WHERE device_id = ?"));
    assert_eq!(
        (first.key_kind.as_deref(), first.key.clone()),
        (Some("device_id"), Some(device(9).to_string()))
    );
    assert_eq!((first.subject.as_deref(), first.party.as_deref()), (Some("tester"), Some("region")));
    assert_eq!(malformed.detail, None, "what could not be read is not recorded");
    assert_eq!(prepared.detail.as_deref(), Some("SELECT COUNT(*) FROM audit_trails WHERE mpxn = $1"));
    let texts = format!("{entries:?}");
    assert!(!texts.contains("'secret'"), "{texts}");
}

/// Nobody asks for its rows until its time is over, and then it is dropped: that is no caller who went.
#[tokio::test]
async fn a_statement_that_is_dropped_beyond_its_time_was_too_slow() {
    let lake = lake_of(&[received(1, 1, 1, "6.15.1", 1)], 1).await;
    let (log, committing) = log_of(&lake).await;
    let session = session(&lake, &access(&[1])).recorded(Recording { log, call: "sql", peer: None });
    let answer = session.query("SELECT * FROM audit_trails").await.unwrap();
    tokio::time::pause();
    tokio::time::advance(SqlLimits::default().time).await;
    drop((answer, session));
    tokio::time::resume();
    let entries = recorded(&lake, committing).await;
    let [entry] = entries.as_slice() else { panic!("{entries:?}") };
    assert_eq!((entry.outcome.as_ref(), entry.reason.as_deref()), ("DEADLINE_EXCEEDED", Some("TOO_SLOW")));
}

fn admission(users: &[u8]) -> (Admission, String, Sharing) {
    let key = DevKey::generate().unwrap();
    let bearer = Bearer {
        subject: "tester".to_owned(),
        party: "region".parse().unwrap(),
        org_id: OrgId::All,
        user_ids: users.iter().map(|n| user(*n)).collect(),
        roles: JobTypeRole::new(1).into_iter().collect(),
        valid_from: at(0),
        expires_at: at(3_600_000),
    };
    let sharing = Sharing::of_one(&bearer.party, &bearer.user_ids);
    let token = key.mint(&bearer).unwrap();
    (Admission::new(key.gatekeeper().unwrap(), Arc::new(sharing.clone())), token, sharing)
}

fn followed(lake: &Lake, who: &Access, admission: &Admission, token: &str) -> SecuredSession {
    let session = SecuredSession::new(&lake.snapshot(), who, clock(), SqlLimits::default()).unwrap();
    session.with_rights(Rights::new(admission.clone(), token))
}

/// Rights that are lost end a statement that runs, whether it is waited for or not; another state of sharing that takes nothing away does not.
#[tokio::test(flavor = "multi_thread")]
async fn rights_that_are_lost_end_a_statement() {
    let lake = fifty().await;
    let (admission, token, sharing) = admission(&[1, 2]);
    let who = admission.admit(&token, clock().now()).await.unwrap();
    let session = followed(&lake, &who, &admission, &token);
    let mut kept = session.query("SELECT * FROM audit_trails").await.unwrap();
    admission.replace(Arc::new(sharing));
    assert!(kept.next().await.unwrap().is_some(), "nothing was taken away");
    // Hours of work, of which no row is ready when the rights go.
    let (a, pairs) = ("audit_trails", "max(a.request_id || b.request_id || c.request_id || d.request_id)");
    let endless = format!("SELECT {pairs} FROM {a} a, {a} b, {a} c, {a} d, {a} e, {a} f");
    let mut lost = session.query(&endless).await.unwrap();
    let party = "region".parse().unwrap();
    let ended = tokio::join!(lost.next(), async {
        admission.replace(Arc::new(Sharing::of_one(&party, &[user(2)].into())));
    });
    assert_eq!(ended.0.unwrap_err().kind(), SqlErrorKind::Changed);
    assert!(lost.next().await.unwrap().is_none(), "it is over");
    assert_eq!(
        kept.next().await.unwrap_err().kind(),
        SqlErrorKind::Changed,
        "also one that nobody waited for"
    );
}
