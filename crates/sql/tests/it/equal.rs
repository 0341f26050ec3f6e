//! A table has the rows that the searches have, each once, and what a region's script says of them.

use crate::it::world::*;
use gridtrail_access::{Access, Admission, Bearer, DevKey, JobTypeRole, OrgId, Sharing};
use gridtrail_lake::{KeyQuery, Lake, View};
use gridtrail_model::*;
use gridtrail_sql::{SecuredSession, SqlLimits};
use gridtrail_synth::{ExpectedTrail, Settings, World};
use std::collections::BTreeSet;
use std::fmt::Display;
use std::num::NonZeroU32;
use std::sync::Arc;

const COLUMNS: &str = "user_id, device_id, request_id, response_id, service_reference_variant, mpxn, \
     CAST(service_request_received_at AS BIGINT), CAST(service_response_sent_at AS BIGINT), simplified_transaction_status, \
     current_status, response_code, mode_of_operation, command_variant, gbcs_transaction_sequence_number, \
     cardinality(status_change_history), anomaly_detection_flag";

fn shown(value: Option<impl Display>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

fn millis(at: Option<Timestamp>) -> String {
    shown(at.map(Timestamp::millis))
}

fn row_of_truth(truth: &ExpectedTrail) -> Vec<String> {
    vec![
        truth.key.user.to_string(),
        shown(truth.device_id),
        shown(truth.request_id),
        shown(truth.response_id),
        shown(truth.variant),
        shown(truth.mpxn),
        millis(Some(truth.received_at)),
        millis(truth.sent_at),
        truth.simplified.to_string(),
        truth.current_status.to_string(),
        shown(truth.response_code),
        truth.mode.to_string(),
        shown(truth.command_variant.map(CommandVariant::number)),
        shown(truth.gbcs_transaction_sequence_number),
        truth.history_entries.to_string(),
        truth.anomaly_detection_flag.to_string(),
    ]
}

fn row_of_trail(trail: &Trail) -> Vec<String> {
    vec![
        trail.user_id.to_string(),
        shown(trail.device_id),
        shown(trail.request_id),
        shown(trail.response_id),
        shown(trail.variant),
        shown(trail.mpxn),
        millis(trail.received_at),
        millis(trail.sent_at),
        trail.simplified.to_string(),
        trail.current_status.to_string(),
        shown(trail.response_code),
        trail.mode.to_string(),
        shown(trail.command_variant.map(CommandVariant::number)),
        shown(trail.gbcs_transaction_sequence_number),
        trail.history.len().to_string(),
        trail.anomaly_detection_flag.to_string(),
    ]
}

async fn sorted(lake: &Lake, who: &Access, parts: u32, statement: &str) -> Vec<Vec<String>> {
    let limits = SqlLimits { parts: NonZeroU32::new(parts).unwrap(), ..SqlLimits::default() };
    let session = SecuredSession::new(&lake.snapshot(), who, clock(), limits).unwrap();
    let mut rows = rows(&session, statement).await.unwrap();
    rows.sort();
    rows
}

/// A region with late, doubled and bare answers, and batches that disagree on when requests were received.
fn region(seed: u64) -> World {
    let settings = Settings {
        premises: 40,
        users: 6,
        days: 3,
        start: at(0).day_start(),
        bare_responses_ppm: 300_000,
        other_receipts_ppm: 200_000,
        ..Settings::default().with_disorder()
    };
    World::seeded(seed, settings).unwrap()
}

/// An answer that says neither when its request was received nor which Device that was for is joined to it by a sweep, in searches as here. Until
/// then each row is there, once, by what its request says.
#[tokio::test(flavor = "multi_thread")]
async fn audit_trails_has_every_row_of_its_users_once() {
    let world = region(11);
    let events: Vec<Event> = world.events().collect();
    let lake = lake_of(&events, events.len() / 9 + 1).await;
    let truth: Vec<ExpectedTrail> = world.truth().collect();
    let users: BTreeSet<UserId> = truth.iter().map(|row| row.key.user).collect();
    let some: BTreeSet<UserId> = users.iter().copied().take(2).collect();
    let one: BTreeSet<UserId> = users.iter().copied().skip(2).take(1).collect();
    let by_request = |rows: &[Vec<String>]| -> Vec<Vec<String>> {
        let mut of_request: Vec<_> =
            rows.iter().map(|row| [0, 2, 4, 6].map(|column| row[column].clone()).to_vec()).collect();
        of_request.sort();
        of_request
    };
    for done in ["nothing", "sweep", "compaction"] {
        match done {
            "sweep" => drop(lake.maintenance().await.unwrap().sweep().await.unwrap()),
            "compaction" => compact(&lake).await,
            _ => {}
        }
        for (ids, parts) in [(&some, 1), (&some, 3), (&one, 2)] {
            let who = access_of(ids.iter().copied(), 1);
            let of_caller = truth.iter().filter(|row| ids.contains(&row.key.user));
            let mut expected: Vec<_> = of_caller.map(row_of_truth).collect();
            expected.sort();
            assert!(expected.len() > 20, "{}", expected.len());
            let found = sorted(&lake, &who, parts, &format!("SELECT {COLUMNS} FROM audit_trails")).await;
            assert_eq!(by_request(&found), by_request(&expected), "after {done}, parts: {parts}");
            let wrong: Vec<_> = found.iter().zip(&expected).filter(|(found, row)| found != row).collect();
            let is_whole = done == "nothing" || wrong.is_empty();
            assert!(is_whole, "after {done}, parts: {parts}: {:#?}", wrong.first());
        }
    }
}

/// What a search by each Device of the region shows, of both services.
#[tokio::test(flavor = "multi_thread")]
async fn tables_have_the_rows_of_the_searches_of_every_device() {
    let world = region(12);
    let events: Vec<Event> = world.events().collect();
    let lake = lake_of(&events, events.len() / 5 + 1).await;
    let truth: Vec<ExpectedTrail> = world.truth().collect();
    let users: BTreeSet<UserId> = truth.iter().map(|row| row.key.user).take(1).collect();
    let devices: BTreeSet<DeviceId> = truth.iter().filter_map(|row| row.device_id).collect();
    let who = access_of(users, 1);
    let snapshot = lake.snapshot();
    for (view, table) in [(View::Audit, "audit_trails"), (View::MeterReads, "meter_reads")] {
        let mut expected = Vec::new();
        for device in &devices {
            let found = snapshot.lookup(&who, &KeyQuery::all(*device, view, 100_000)).await.unwrap();
            expected.extend(found.iter().map(|found| row_of_trail(&Trail::from(&found.fragment))));
        }
        expected.sort();
        let by_device = format!("SELECT {COLUMNS} FROM {table} WHERE device_id IS NOT NULL");
        assert_eq!(sorted(&lake, &who, 2, &by_device).await, expected, "{table}");
        // And each Device by itself, looked up.
        let device = devices.iter().nth(3).unwrap();
        let of_device: Vec<_> = expected.iter().filter(|row| row[1] == device.to_string()).cloned().collect();
        let one = format!("SELECT {COLUMNS} FROM {table} WHERE device_id = '{device}'");
        assert_eq!(sorted(&lake, &who, 2, &one).await, of_device, "{table} of {device}");
    }
}

/// Times narrow a scan, and never cut a row whose parts lie on both sides of an edge.
#[tokio::test(flavor = "multi_thread")]
async fn a_time_range_has_the_rows_of_the_table_within_it() {
    let world = region(13);
    let events: Vec<Event> = world.events().collect();
    let lake = lake_of(&events, events.len() / 5 + 1).await;
    let who = access_of(world.users().iter().map(|user| user.id), 1);
    let all = sorted(&lake, &who, 2, &format!("SELECT {COLUMNS} FROM audit_trails")).await;
    let start = world.settings().start;
    for (from, to) in [(3_600_000, 50_000_000), (86_400_000, 90_000_000), (0, 1_000)] {
        let (from, to) = (start.plus_millis(from), start.plus_millis(to));
        let within = |row: &&Vec<String>| {
            row[6].parse::<i64>().is_ok_and(|at| (from.millis()..to.millis()).contains(&at))
        };
        let expected: Vec<_> = all.iter().filter(within).cloned().collect();
        let range = format!(
            "SELECT {COLUMNS} FROM audit_trails WHERE service_request_received_at >= TIMESTAMPTZ '{from}' \
             AND service_request_received_at < TIMESTAMPTZ '{to}'"
        );
        assert_eq!(sorted(&lake, &who, 3, &range).await, expected, "{from} to {to}");
    }
}

/// What one Party granted another counts as its own does, and what was not granted is not there.
#[tokio::test(flavor = "multi_thread")]
async fn granted_user_ids_are_seen_as_own_ones() {
    let world = region(14);
    let events: Vec<Event> = world.events().collect();
    let lake = lake_of(&events, events.len()).await;
    lake.maintenance().await.unwrap().sweep().await.unwrap();
    let mut sharing = Sharing::default();
    world.access_events(None).into_iter().for_each(|record| sharing.take(record.event));
    let key = DevKey::generate().unwrap();
    let sharing = Arc::new(sharing);
    let admission = Admission::new(key.gatekeeper().unwrap(), Arc::clone(&sharing));
    let now = clock().now();
    let truth: Vec<ExpectedTrail> = world.truth().collect();
    let mut granted = 0;
    for user in world.users() {
        let Some(party) = world.party_of(user.id) else { continue };
        let own = sharing.owned_by(&party, now);
        let claims = Bearer {
            subject: "tester".to_owned(),
            party,
            org_id: OrgId::All,
            user_ids: world.users().iter().map(|user| user.id).collect(),
            roles: JobTypeRole::new(1).into_iter().collect(),
            valid_from: now,
            expires_at: now.plus_millis(3_600_000),
        };
        let who = admission.admit(&key.mint(&claims).unwrap(), now).await.unwrap();
        let ids = who.user_ids();
        let mut expected: Vec<_> =
            truth.iter().filter(|row| ids.contains(&row.key.user)).map(row_of_truth).collect();
        expected.sort();
        let found = sorted(&lake, &who, 2, &format!("SELECT {COLUMNS} FROM audit_trails")).await;
        assert_eq!(found, expected, "{}", user.id);
        granted += ids.iter().filter(|id| !own.contains(id)).count();
    }
    assert!(granted > 0, "nobody was granted anything");
}

/// Whether another's row is a meter read is decided by all that is known of it, wherever that lies.
#[tokio::test(flavor = "multi_thread")]
async fn a_disputed_meter_read_is_its_users_alone() {
    let (lake, mut writer) = a_lake().await;
    let (open, disputed) = (received(2, 1, 1, "4.8.1", 1), received(2, 1, 2, "4.8.1", 1));
    let mut elsewhere = received(2, 1, 2, "6.15.1", 1);
    elsewhere.correlation.device_id = Some(device(7));
    commit(&mut writer, "a", [open, disputed]).await;
    let count = "SELECT count(*) FROM meter_reads";
    let (stranger, sender) = (access(&[1]), access(&[2]));
    assert_eq!(value(&session(&lake, &stranger), count).await, "2");
    let before = session(&lake, &stranger);
    commit(&mut writer, "b", [elsewhere]).await;
    assert_eq!(value(&session(&lake, &stranger), count).await, "1");
    assert_eq!(value(&before, count).await, "1", "what is known by now decides, also of an older snapshot");
    assert_eq!(
        value(&session(&lake, &sender), "SELECT count(*) FROM audit_trails WHERE device_id IS NOT NULL")
            .await,
        "3"
    );
}

/// Of another's meter read a row says what its service says, and no more.
#[tokio::test(flavor = "multi_thread")]
async fn anothers_meter_read_tells_no_cause() {
    let world = region(15);
    let events: Vec<Event> = world.events().collect();
    let lake = lake_of(&events, events.len()).await;
    let who = access_of([user(200)], 1);
    let session = session(&lake, &who);
    assert_ne!(value(&session, "SELECT count(*) FROM meter_reads").await, "0");
    let causes = "SELECT count(*) FROM (SELECT unnest(status_change_history) AS entry FROM meter_reads) \
         WHERE entry['cause'] IS NOT NULL";
    assert_eq!(value(&session, causes).await, "0");
    assert_eq!(value(&session, "SELECT count(*) FROM audit_trails").await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_gives_so_many_rows() {
    let events: Vec<Event> = (0..50).map(|n| received(1, 1, n, "4.8.1", 1)).collect();
    let lake = lake_of(&events, 20).await;
    let session = session(&lake, &access(&[1]));
    for limit in [0usize, 1, 7, 49, 50, 60] {
        let found =
            rows(&session, &format!("SELECT request_id FROM audit_trails LIMIT {limit}")).await.unwrap();
        assert_eq!(found.len(), limit.min(50));
    }
}
