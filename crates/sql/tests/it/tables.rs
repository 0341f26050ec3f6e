//! The tables beside those of trails: who has them, and what of others they tell.

use crate::it::world::*;
use gridtrail_access::{Access, Bearer, DevKey, JobTypeRole, OrgId};
use gridtrail_access_log::AccessLog;
use gridtrail_freshness::{Levels, Outward, Watch};
use gridtrail_lake::{Batch, DeadLetter, Extent, Lake, SourceEvidence, Writer};
use gridtrail_sql::{Freshened, Recording, SecuredSession, SqlErrorKind, SqlLimits};
use std::sync::Arc;

fn access_as(subject: &str, party: &str) -> Access {
    let claims = Bearer {
        subject: subject.to_owned(),
        party: party.parse().unwrap(),
        org_id: OrgId::All,
        user_ids: [user(1)].into(),
        roles: JobTypeRole::new(1).into_iter().collect(),
        valid_from: at(0),
        expires_at: at(3_600_000),
    };
    DevKey::generate().unwrap().access(&claims).unwrap()
}

fn over(lake: &Lake, who: &Access) -> SecuredSession {
    session(lake, who).with_past_of(lake).with_calls_of(lake)
}

/// Each person's calls are their own: neither a colleague's, nor those of somebody of another Party who is called the same.
#[tokio::test(flavor = "multi_thread")]
async fn the_access_log_has_the_callers_own_calls() {
    let lake = lake_of(&[received(1, 1, 1, "6.15.1", 1)], 1).await;
    let (log, committing) = AccessLog::open(lake.access_log().await, clock(), "test").await.unwrap();
    let callers = [access_as("ann", "one"), access_as("bob", "one"), access_as("ann", "two")];
    for (number, who) in callers.iter().enumerate() {
        let recording = Recording { log: log.clone(), call: "sql", peer: None };
        let session = over(&lake, who).recorded(recording);
        for _ in 0..=number {
            let found = rows(&session, &format!("SELECT {number} AS of_{number} FROM audit_trails")).await;
            assert_eq!(found.unwrap().len(), 1);
        }
    }
    committing.close().await.unwrap();
    for (number, who) in callers.iter().enumerate() {
        let session = over(&lake, who);
        let texts = rows(&session, "SELECT detail FROM access_log").await.unwrap();
        assert_eq!(texts, vec![vec![format!("SELECT ? AS of_{number} FROM audit_trails")]; number + 1]);
        for attempt in [
            "SELECT count(*) FROM access_log WHERE detail NOT LIKE '%of_NUMBER %'",
            "SELECT count(*) FROM access_log WHERE call <> 'sql'",
            "SELECT max(rows) - 1 FROM access_log",
            "SELECT count(*) - count(CASE WHEN detail LIKE '%of_NUMBER %' THEN 1 ELSE 1 / 0 END) FROM access_log",
        ] {
            assert_eq!(
                value(&session, &attempt.replace("NUMBER", &number.to_string())).await,
                "0",
                "{attempt}"
            );
        }
        for told in ["seq", "chain", "hash", "subject", "party"] {
            let asked = rows(&session, &format!("SELECT {told} FROM access_log")).await;
            assert_eq!(asked.unwrap_err().kind(), SqlErrorKind::Statement, "{told}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn freshness_is_what_the_service_tells() {
    let lake = lake_of(&[received(1, 1, 1, "6.15.1", 1), received(2, 9, 2, "6.15.1", 1)], 1).await;
    let watch = Arc::new(Watch::new(lake.clone(), Levels::default()));
    let session = session(&lake, &access(&[1]));
    assert!(rows(&session, "SELECT * FROM freshness").await.is_err(), "nobody told");
    let freshened = Freshened { freshness: watch.clone(), outward: Arc::new(Outward::default()) };
    let session = session.with_freshness(freshened);
    assert_eq!(
        value(&session, "SELECT count(*) FROM freshness").await,
        "0",
        "the lake was not looked at yet"
    );
    watch.refresh().await.unwrap();
    let found =
        rows(&session, "SELECT source, records, commits, dead_lettered, level FROM freshness").await.unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0][2], "2", "{found:?}");
}

fn letter(reason: &str) -> DeadLetter {
    DeadLetter {
        source: "file:x".to_owned(),
        source_name: "x".to_owned(),
        position: 7,
        reason: reason.to_owned(),
        raw: b"a secret"[..].into(),
        extent: Extent::Whole,
        key: None,
        headers: Vec::new(),
        read_at: at(0),
    }
}

/// A record that could not be read, as a commit has it.
async fn put_aside(writer: &mut Writer, reason: &str) {
    let dead_lettered_at = std::iter::once(7).collect();
    let source = SourceEvidence { to: 9, dead_lettered: 1, dead_lettered_at, ..source_of("x") };
    let dead_letters = vec![letter(reason)];
    writer.commit(Batch { dead_letters, sources: vec![source], ..Batch::default() }).await.unwrap();
}

/// What operators have is not there for any User, of whatever role; and operators have nobody's rows.
#[tokio::test(flavor = "multi_thread")]
async fn operators_tables_are_for_operators() {
    let (lake, mut writer) = a_lake().await;
    commit(&mut writer, "a", [received(1, 1, 1, "6.15.1", 1)]).await;
    put_aside(&mut writer, "it is no record").await;
    let operator = SecuredSession::of_operator(&lake, clock(), SqlLimits::default()).unwrap();
    let names: Vec<_> = operator.tables().iter().map(|table| table.name).collect();
    assert_eq!(names, ["commits", "dead_letters"]);
    let letters = "SELECT source_name, position, reason, CAST(raw AS VARCHAR) FROM dead_letters";
    assert_eq!(rows(&operator, letters).await.unwrap(), [["x", "7", "it is no record", "a secret"]]);
    let read = "SELECT kind, source_name, is_whole FROM commits WHERE source_name = 'a'";
    assert_eq!(rows(&operator, read).await.unwrap(), [["ingest", "a", "true"]]);
    for table in ["audit_trails", "meter_reads", "access_log", "freshness", "audit_trails_at('0')"] {
        assert!(rows(&operator, &format!("SELECT * FROM {table}")).await.is_err(), "{table}");
    }
    for role in 1..=11 {
        let session = over(&lake, &access_of([user(1)], role));
        for table in ["commits", "dead_letters"] {
            let denied = rows(&session, &format!("SELECT * FROM {table}")).await.unwrap_err().to_string();
            let absent = rows(&session, "SELECT * FROM other_table").await.unwrap_err().to_string();
            assert_eq!(denied.replace(table, "other_table"), absent, "role {role}");
            let listed = rows(&session, "SELECT table_name FROM information_schema.tables").await.unwrap();
            assert!(!listed.concat().contains(&table.to_owned()), "role {role}");
        }
    }
}

/// Each column of each table is of the type that its schema says, has a comment, and can be left out.
#[tokio::test(flavor = "multi_thread")]
async fn every_column_can_be_asked_for_by_itself() {
    let (lake, mut writer) = a_lake().await;
    commit(&mut writer, "a", [received(1, 1, 1, "4.8.1", 1)]).await;
    put_aside(&mut writer, "x").await;
    tell(&lake, "schedules", scheduled(1, 1, 34)).await;
    let watch = Arc::new(Watch::new(lake.clone(), Levels::default()));
    watch.refresh().await.unwrap();
    let freshened = Freshened { freshness: watch, outward: Arc::new(Outward::default()) };
    let user = over(&lake, &access(&[1])).with_freshness(freshened);
    let operator = SecuredSession::of_operator(&lake, clock(), SqlLimits::default()).unwrap();
    for session in [&user, &operator] {
        for table in session.tables() {
            let name = table.name;
            let all = rows(session, &format!("SELECT * FROM {name}")).await.unwrap();
            let is_empty = ["access_log"].contains(&name);
            assert_eq!(all.is_empty(), is_empty, "{name}");
            assert_eq!(value(session, &format!("SELECT count(*) FROM {name}")).await, all.len().to_string());
            for (number, (field, comment)) in table.schema.fields().iter().zip(&table.comments).enumerate() {
                let of_one =
                    rows(session, &format!("SELECT \"{}\" FROM {name}", field.name())).await.unwrap();
                let of_all: Vec<Vec<String>> = all.iter().map(|row| vec![row[number].clone()]).collect();
                if name != "freshness" {
                    assert_eq!(of_one, of_all, "{name}.{}", field.name());
                }
                assert!(!comment.is_empty(), "{name}.{}", field.name());
            }
        }
    }
}

/// Schedules are shown to whoever is shown the requests that they came of: to the User, to those to whom it granted its records, to nobody else; in the
/// roles that may see audit trails.
#[tokio::test(flavor = "multi_thread")]
async fn schedules_are_shown_as_their_requests_are() {
    let requests = [received(1, 1, 34, "5.1", 8), received(2, 2, 35, "5.1", 8), received(3, 3, 36, "5.1", 8)];
    let lake = lake_of(&requests, 1).await;
    tell(&lake, "schedules", (1..=3).flat_map(|u| scheduled(u, u, 33 + u64::from(u)))).await;
    for users in [&[1][..], &[1, 3], &[4]] {
        for role in 1..=11 {
            let session = session(&lake, &access_of(users.iter().map(|n| user(*n)), role));
            let of = |statement: &'static str| rows(&session, statement);
            let requests = of("SELECT user_id, request_id FROM audit_trails WHERE service_reference_variant = '5.1' ORDER BY 1").await;
            let schedules = of("SELECT user_id, created_request_id FROM schedules ORDER BY 1").await;
            match (requests, schedules) {
                (Ok(requests), Ok(schedules)) => {
                    let users_of =
                        |rows: &[Vec<String>]| rows.iter().map(|row| row[0].clone()).collect::<Vec<_>>();
                    assert_eq!(users_of(&requests), users_of(&schedules), "{users:?} in role {role}");
                    assert_eq!(schedules.len(), users.iter().filter(|n| **n < 4).count());
                }
                (Err(_), Err(_)) => {}
                (requests, schedules) => panic!("{users:?} in role {role}: {requests:?}, {schedules:?}"),
            }
        }
    }
}

/// What a schedule is, and when it is due: after the moment of the statement.
#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_is_shown_with_what_it_is_and_when_it_is_due() {
    let (lake, _) = a_lake().await;
    tell(&lake, "schedules", scheduled(1, 7, 34)).await;
    let statement = "SELECT dsp_schedule_id, device_id, service_reference_variant, frequency, start_date, end_date, \
        execution_start_time, start_date_offset, created_request_id, removal_reason, next_due_at, arrow_typeof(start_date) FROM schedules";
    // It is ten to three of the second of February 2026, a Monday, as its first day was.
    let found = rows(&session(&lake, &access(&[1])), statement).await.unwrap();
    let expected = [
        "34",
        "00-DB-00-00-00-00-00-07",
        "4.8.1",
        "Weekly",
        "2026-01-05",
        "2026-12-28",
        "02:30:00Z",
        "",
        "90-B3-00-00-00-00-00-01:00-DB-00-00-00-00-00-00:34",
        "",
        "2026-02-09T02:30:00Z",
        "Date32",
    ];
    assert_eq!(found, [expected]);
    let later = session(&lake, &access(&[1])).with_due_after("2026-12-21T02:30:00Z".parse().unwrap());
    assert_eq!(value(&later, "SELECT next_due_at FROM schedules").await, "2026-12-28T02:30:00Z");
    let over = session(&lake, &access(&[1])).with_due_after("2026-12-28T02:30:00Z".parse().unwrap());
    assert_eq!(value(&over, "SELECT count(next_due_at) FROM schedules").await, "0");
    assert_eq!(value(&over, "SELECT count(*) FROM schedules WHERE end_date >= DATE '2026-12-28'").await, "1");
}

/// The inventory has the Devices that a search by each shows, with the same status and history, and no other.
#[tokio::test(flavor = "multi_thread")]
async fn the_inventory_is_what_its_searches_show() {
    use gridtrail_model::DeviceId;
    use gridtrail_search::{InventoryKeys, InventoryQuery, InventorySearch, PageKey};
    use gridtrail_synth::{ExpectedState, Settings, World};
    use std::collections::BTreeSet;
    let settings =
        Settings { premises: 30, users: 6, days: 2, start: at(0).day_start(), ..Settings::default() };
    let world = World::seeded(21, settings).unwrap();
    let facts = (0..30).flat_map(|number| world.inventory_of(number).truth);
    let devices = facts.filter_map(|fact| match fact.what {
        ExpectedState::Type(device, _) | ExpectedState::Status(device, _) => Some(device),
        _ => None,
    });
    let devices: BTreeSet<DeviceId> = devices.collect();
    let (lake, mut writer) = a_lake().await;
    let events: Vec<_> = world.inventory_events().collect();
    for (number, some) in events.chunks(events.len() / 3 + 1).enumerate() {
        let sources = vec![source_of(&format!("inventory-{number}"))];
        writer.commit(Batch { inventory: some.to_vec(), sources, ..Batch::default() }).await.unwrap();
    }
    let who = access(&[1]);
    let search = InventorySearch::new(lake.clone(), clock(), PageKey::random().unwrap(), false);
    for compacted in [false, true] {
        if compacted {
            compact(&lake).await;
        }
        let session = session(&lake, &who).with_inventory(false);
        let (mut expected, mut periods) = (Vec::new(), Vec::new());
        for device in &devices {
            let keys = InventoryKeys { device: Some(*device), ..InventoryKeys::default() };
            let query = InventoryQuery { keys, include_not_commissioned: true, ..InventoryQuery::default() };
            for found in search.devices(&who, &query).await.unwrap().devices {
                let of = found.device;
                let text = |value: Option<String>| value.unwrap_or_default();
                expected.push(vec![
                    of.device.to_string(),
                    text(of.details.device_type.map(|one| one.to_string())),
                    text(of.smi_status.map(|one| one.to_string())),
                    of.premises.len().to_string(),
                    of.associated.len().to_string(),
                ]);
                periods.push(vec![
                    of.device.to_string(),
                    (of.smi_statuses.len() + of.regions.len() + of.firmware_versions.len()).to_string(),
                ]);
            }
        }
        assert!(expected.len() > 60, "{}", expected.len());
        assert!(expected.iter().any(|row| row[1] == "IHD"), "there are Type 2 Devices");
        let found = "SELECT device_id, device_type, smi_status, cardinality(premises), cardinality(associated_device_ids) \
             FROM inventory_devices ORDER BY device_id";
        assert_eq!(rows(&session, found).await.unwrap(), expected, "compacted: {compacted}");
        let history = "SELECT d.device_id, count(h.field) FROM inventory_devices d \
             LEFT JOIN inventory_history h ON d.device_id = h.device_id GROUP BY 1 ORDER BY 1";
        assert_eq!(rows(&session, history).await.unwrap(), periods, "compacted: {compacted}");
        let one = crate::it::world::session(&lake, &who)
            .with_inventory(false)
            .with_history_of(devices.iter().take(1).copied().collect());
        let found = "SELECT count(DISTINCT device_id) FROM inventory_history";
        assert_eq!(
            value(&one, found).await,
            "1",
            "the history of one Device is read, where one is asked for"
        );
        // What a Type 2 Device's status is, and that there are Consumer Access Devices, is not to be learned.
        for hidden in [
            "SELECT count(*) FROM inventory_devices WHERE device_type = 'CAD'",
            "SELECT count(smi_status) FROM inventory_devices WHERE device_type = 'IHD'",
            "SELECT count(*) FROM inventory_history h JOIN inventory_devices d USING (device_id) \
             WHERE h.field = 'SMI Status' AND d.device_type = 'IHD'",
            "SELECT count(*) FROM inventory_history WHERE device_id NOT IN (SELECT device_id FROM inventory_devices)",
        ] {
            assert_eq!(value(&session, hidden).await, "0", "{hidden}");
        }
    }
    // No supplier, network operator or agent is a column of it.
    for table in session(&lake, &who).with_inventory(false).tables() {
        for field in table.schema.fields() {
            assert!(
                !["supplier", "network", "agent"].iter().any(|word| field.name().contains(word)),
                "{field}"
            );
        }
    }
}
