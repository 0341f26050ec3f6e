//! Inventory events from files, and what DUIS messages say of the inventory: exactly once, bad ones put aside, and found in the lake.

use crate::it::{at, ingest, lake, user};
use gridtrail_access::{Access, Bearer, DevKey, JobTypeRole, OrgId};
use gridtrail_codec::{Receipt, capture, encode_inventory_frame, encode_inventory_json};
use gridtrail_ingest::{FileSettings, Maker, Mended, ingest_made_inventory, replay_letters};
use gridtrail_inventory::{
    Effective, FactOrigin, InventoryEvent, InventoryFact, InventoryFragment, InventoryStatement, StatedFact,
};
use gridtrail_lake::{Evidence, Lake};
use gridtrail_model::{DeviceId, Named, SmiStatus};
use std::fs;

const METER: &str = "88-73-84-57-00-2F-96-1E";

fn meter() -> DeviceId {
    METER.parse().unwrap()
}

fn event(number: i64, status: SmiStatus) -> InventoryEvent {
    let fact = InventoryFact::SmiStatus { device: meter(), status: Some(status) };
    let effective = Effective::since(at(number));
    InventoryEvent {
        recorded_at: at(number),
        id: format!("i{number}").parse().unwrap(),
        origin: FactOrigin::Inventory,
        told: InventoryStatement::Fact(StatedFact { effective, corrects: None, fact }),
    }
}

fn life() -> Vec<InventoryEvent> {
    let statuses = [SmiStatus::Pending, SmiStatus::Whitelisted, SmiStatus::Commissioned];
    (0..).zip(statuses).map(|(number, status)| event(number, status)).collect()
}

fn lines(events: &[InventoryEvent]) -> String {
    events.iter().map(|event| encode_inventory_json(event) + "\n").collect()
}

pub(crate) async fn known(lake: &Lake) -> InventoryFragment {
    let claims = Bearer {
        subject: "tester".to_owned(),
        party: "region".parse().unwrap(),
        org_id: OrgId::All,
        user_ids: [user()].into(),
        roles: JobTypeRole::new(1).into_iter().collect(),
        valid_from: at(0),
        expires_at: at(3_600_000),
    };
    let who: Access = DevKey::generate().unwrap().access(&claims).unwrap();
    lake.snapshot().inventory(&who, &[Named::Device(meter())]).await.unwrap().0.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_inventory_events_are_taken_in_once_with_evidence() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake().await;
    let mut frames = Vec::new();
    life()[1..].iter().for_each(|event| encode_inventory_frame(event, &mut frames));
    fs::write(folder.path().join("a.inventory.jsonl"), lines(&life()[..2])).unwrap();
    fs::write(folder.path().join("b.inventory.binpb"), frames).unwrap();
    let first = ingest(&lake, folder.path(), &FileSettings::default()).await.unwrap();
    assert_eq!((first.files, first.outcome.stored, first.outcome.dead_lettered), (2, 4, 0));
    assert_eq!(known(&lake).await.events(), life(), "what was told twice is known once");
    let again = ingest(&lake, folder.path(), &FileSettings::default()).await.unwrap();
    assert_eq!((again.files, again.known_files, again.commits), (0, 2, 0));
    let mut told = Vec::new();
    lake.evidence(|commit| told.extend(commit.sources)).await.unwrap();
    let stored = told.iter().map(|evidence| match evidence {
        Evidence::Whole(evidence) => (evidence.records, evidence.stored),
        other => panic!("{other:?}"),
    });
    let (records, stored) = stored.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    assert_eq!((records, stored), (4, 4), "every record is in the evidence of the main table");
    assert_eq!(lake.counts().fragments, 0, "and none of them is a trail");
}

/// A letter says what is wrong with its record and repeats no address; mended, it is read after all.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_inventory_event_is_put_aside_and_can_be_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake().await;
    let bad = format!(
        "{{\"eventId\":\"r\",\"recordedAt\":\"2026-03-01T09:30:00Z\",\"effectiveFrom\":\"2026-03-01T09:30:00Z\",\
          \"registration\":{{\"mpxn\":\"1312345678111\",\"firstLine\":\"{}\",\"postcode\":\"Nowhere 1\"}}}}\n",
        "1 Secret Street"
    );
    fs::write(folder.path().join("a.inventory.jsonl"), lines(&life()[..1]) + &bad + &lines(&life()[1..2]))
        .unwrap();
    let summary = ingest(&lake, folder.path(), &FileSettings::default()).await.unwrap();
    assert_eq!((summary.outcome.stored, summary.outcome.dead_lettered), (2, 1));
    let letters = lake.dead_letters().await.unwrap().rest().await.unwrap();
    let reason = &letters[0].reason;
    assert!(!reason.is_empty() && !reason.contains("Secret") && !reason.contains("Nowhere"), "{reason}");
    assert_eq!(letters[0].raw, bad.trim_end().as_bytes());
    let mended = Mended { value: Some(lines(&life()[2..]).trim().to_owned().into()), ..Mended::default() };
    let replayed = replay_letters(&lake, &letters, &mended, false).await.unwrap();
    assert_eq!((replayed.outcome.stored, replayed.unreadable), (1, Vec::new()));
    assert_eq!(known(&lake).await.events(), life());
}

/// A DCC Alert that the meter was suspended, and one that it was restored.
fn alert(counter: u64, change: &str) -> String {
    format!(
        "<sr:Response xmlns:sr='http://www.dccinterface.co.uk/ServiceUserGateway' schemaVersion='5.4'><sr:Header>\
         <sr:ResponseID>90-B3-D5-1F-30-00-00-02:90-B3-D5-1F-30-02-00-00:{counter}</sr:ResponseID>\
         <sr:ResponseCode>I0</sr:ResponseCode><sr:ResponseDateTime>2026-01-05T06:07:00.000Z</sr:ResponseDateTime>\
         </sr:Header><sr:Body><sr:DCCAlertMessage><sr:DCCAlertCode>N16</sr:DCCAlertCode><sr:DCCAlert>\
         <sr:DeviceStatusChangeEvent><sr:DeviceID>{METER}</sr:DeviceID><sr:DeviceStatusChange><sr:{change}/>\
         </sr:DeviceStatusChange></sr:DeviceStatusChangeEvent></sr:DCCAlert></sr:DCCAlertMessage></sr:Body></sr:Response>"
    )
}

fn statuses(fragment: &InventoryFragment) -> Vec<Option<SmiStatus>> {
    let of = |event: &InventoryEvent| match &event.told {
        InventoryStatement::Fact(StatedFact { fact: InventoryFact::SmiStatus { status, .. }, .. }) => *status,
        other => panic!("{other:?}"),
    };
    assert!(fragment.events().iter().all(|event| event.origin == FactOrigin::Duis));
    fragment.events().iter().map(of).collect()
}

/// What a message says of the inventory comes with its own event, and no record is counted for it: from a capture, from a file of its own, and from a
/// letter that was replayed.
#[tokio::test(flavor = "multi_thread")]
async fn duis_messages_tell_their_facts_with_their_events() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake().await;
    let mut written = capture::Writer::new(Vec::new()).unwrap();
    let receipt = |n: i64| Receipt { recorded_at: at(n), event_id: format!("m{n}").parse().ok() };
    written.message(&receipt(1), &alert(1, "DeviceSuspended")).unwrap();
    fs::write(folder.path().join("a.xml"), written.finish().unwrap()).unwrap();
    fs::write(folder.path().join("b.xml"), alert(2, "DeviceRestored")).unwrap();
    let summary = ingest(&lake, folder.path(), &FileSettings::default()).await.unwrap();
    assert_eq!((summary.outcome.stored, summary.outcome.dead_lettered), (1, 1), "b has no receipt");
    assert_eq!(statuses(&known(&lake).await), [Some(SmiStatus::Suspended)]);
    let letters = lake.dead_letters().await.unwrap().rest().await.unwrap();
    let mended = Mended { recorded_at: Some(at(2)), ..Mended::default() };
    let replayed = replay_letters(&lake, &letters, &mended, false).await.unwrap();
    assert_eq!((replayed.outcome.stored, replayed.unreadable), (1, Vec::new()));
    assert_eq!(statuses(&known(&lake).await), [Some(SmiStatus::Suspended), None]);
    fs::write(folder.path().join("c.xml"), alert(3, "DeviceSuspended")).unwrap();
    fs::write(folder.path().join("c.xml.receipt.json"), receipt(3).to_sidecar()).unwrap();
    let more = ingest(&lake, folder.path(), &FileSettings::default()).await.unwrap();
    assert_eq!((more.outcome.stored, more.outcome.dead_lettered), (1, 0));
    assert_eq!(statuses(&known(&lake).await).len(), 3);
}

/// Files of three inventory events, an alert, a request and its outcome in two of them, and an alert without a receipt, which is put aside.
pub(crate) fn write_sources(folder: &std::path::Path) {
    fs::write(folder.join("a.inventory.jsonl"), lines(&life())).unwrap();
    let messages = [alert(1, "DeviceSuspended"), update(1, "Recovery"), answer(1, "I0")];
    for (n, message) in (1..).zip(messages) {
        let mut written = capture::Writer::new(Vec::new()).unwrap();
        let receipt = Receipt { recorded_at: at(n), event_id: format!("m{n}").parse().ok() };
        written.message(&receipt, &message).unwrap();
        fs::write(folder.join(format!("{n}.xml")), written.finish().unwrap()).unwrap();
    }
    fs::write(folder.join("aside.xml"), alert(9, "DeviceRestored")).unwrap();
}

const DCC: &str = "90-B3-D5-1F-30-00-00-02";

/// A request to update the inventory (8.4): the meter gets a status.
fn update(counter: u64, status: &str) -> String {
    format!(
        "<sr:Request xmlns:sr='http://www.dccinterface.co.uk/ServiceUserGateway' schemaVersion='5.4'><sr:Header>\
         <sr:RequestID>{user}:{DCC}:{counter}</sr:RequestID><sr:CommandVariant>8</sr:CommandVariant>\
         <sr:ServiceReference>8.4</sr:ServiceReference><sr:ServiceReferenceVariant>8.4</sr:ServiceReferenceVariant>\
         </sr:Header><sr:Body><sr:UpdateInventory><sr:DeviceID>{METER}</sr:DeviceID>\
         <sr:UpdateDeviceStatusExceptCH>{status}</sr:UpdateDeviceStatusExceptCH></sr:UpdateInventory></sr:Body></sr:Request>",
        user = user()
    )
}

fn answer(counter: u64, code: &str) -> String {
    format!(
        "<sr:Response xmlns:sr='http://www.dccinterface.co.uk/ServiceUserGateway' schemaVersion='5.4'><sr:Header>\
         <sr:RequestID>{user}:{DCC}:{counter}</sr:RequestID><sr:ResponseCode>{code}</sr:ResponseCode>\
         <sr:ResponseDateTime>2026-01-05T06:07:0{counter}.000Z</sr:ResponseDateTime></sr:Header><sr:Body><sr:ResponseMessage>\
         <sr:ServiceReference>8.4</sr:ServiceReference><sr:ServiceReferenceVariant>8.4</sr:ServiceReferenceVariant>\
         </sr:ResponseMessage></sr:Body></sr:Response>",
        user = user()
    )
}

/// Whichever comes first, and in whatever batches: a request alone is no fact, its failure gives none, and its success does.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_request_asks_for_is_known_once_its_outcome_says_so() {
    let messages = [
        update(1, "InstalledNotCommissioned"),
        answer(1, "I0"),
        answer(2, "I0"),
        update(2, "Suspended"),
        update(3, "Decommissioned"),
        answer(3, "E080401"),
    ];
    // What is known after each message.
    let expected = [0, 1, 1, 2, 2, 2];
    let lake = lake().await;
    for (n, (message, known_then)) in (1..).zip(messages.iter().zip(expected)) {
        let folder = tempfile::tempdir().unwrap();
        let mut written = capture::Writer::new(Vec::new()).unwrap();
        let receipt = Receipt { recorded_at: at(n), event_id: format!("m{n}").parse().ok() };
        written.message(&receipt, message).unwrap();
        fs::write(folder.path().join("a.xml"), written.finish().unwrap()).unwrap();
        let summary = ingest(&lake, folder.path(), &FileSettings::default()).await.unwrap();
        assert_eq!((summary.outcome.stored + summary.outcome.parked, summary.outcome.dead_lettered), (1, 0));
        assert_eq!(statuses(&known(&lake).await).len(), known_then, "after message {n}");
    }
    let known = known(&lake).await;
    assert_eq!(
        statuses(&known),
        [Some(SmiStatus::InstalledNotCommissioned), Some(SmiStatus::Suspended)],
        "in the order in which they were recorded"
    );
    assert_eq!(known.events()[1].recorded_at, at(4), "known when both messages were there");
}

#[tokio::test(flavor = "multi_thread")]
async fn inventory_events_that_are_made_land_once() {
    let lake = lake().await;
    let maker = Maker { id: "7".to_owned(), name: "a test".to_owned() };
    for commits in [1, 0] {
        let summary = ingest_made_inventory(&lake, &maker, life().into_iter()).await.unwrap();
        assert_eq!((summary.outcome.stored, summary.commits), (3 * commits, commits));
        assert_eq!(known(&lake).await.events(), life());
    }
}
