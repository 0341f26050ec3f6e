//! Communications Hubs over the wire: what arrives, who is refused, what is on record of it, and that no answer tells who sent a Command.

use crate::it::errors::assert_error;
use crate::it::fixture::{ANN, BOB, World, bearer_of, now, time, with_header};
use gridtrail_inventory::{
    DeviceDetails, Effective, FactOrigin, FieldChange, HubFields, InventoryEvent, InventoryFact,
    InventoryStatement, Registration, StatedFact,
};
use gridtrail_lake::{Batch, Lake, LakeSettings, SourceEvidence};
use gridtrail_model::{
    Body, Correlation, DeviceId, DeviceType, Event, Fold, Mode, RequestReceived, ResponseContent, ResponseId,
    ResponseSent, State, StatusChanged, Timestamp, UserId,
};
use gridtrail_proto::query::v1::hub_service_client::HubServiceClient;
use gridtrail_proto::query::v1::{GetHubRequest, GetHubResponse, HubFieldState};
use gridtrail_runtime::Clock;
use gridtrail_server::DeviceLink;
use prost::Message as _;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

const HUB: &str = "00-DB-12-34-56-78-90-C0";
const ESME: &str = "00-DB-12-34-56-78-90-A0";
const MPAN: &str = "1217290354420";

fn device(text: &str) -> DeviceId {
    text.parse().unwrap()
}

fn told(n: usize, fact: InventoryFact) -> InventoryEvent {
    let since = time("2026-02-01T00:00:00Z");
    InventoryEvent {
        recorded_at: since,
        id: format!("i{n}").parse().unwrap(),
        origin: FactOrigin::Inventory,
        told: InventoryStatement::Fact(StatedFact {
            effective: Effective::since(since),
            corrects: None,
            fact,
        }),
    }
}

/// A hub with a meter, whose Responsible Supplier is Ann.
fn inventory() -> Vec<InventoryEvent> {
    let of_type = |id: &str, device_type| InventoryFact::Device {
        device: device(id),
        details: DeviceDetails { device_type: Some(device_type), ..DeviceDetails::default() },
    };
    let data = Registration {
        responsible_supplier: FieldChange::Value(ANN.parse::<UserId>().unwrap()),
        ..Registration::default()
    };
    let fields = HubFields {
        aerial_installed: Some(false),
        network_status: "Deactivated".parse().ok(),
        deactivated_at: Some(time("2026-02-28T12:00:00Z")),
        ..HubFields::default()
    };
    let facts = [
        of_type(HUB, DeviceType::Chf),
        of_type(ESME, DeviceType::Esme),
        InventoryFact::Association { device: device(ESME), with: device(HUB), associated: true },
        InventoryFact::Installation { device: device(ESME), mpxn: MPAN.parse().unwrap(), installed: true },
        InventoryFact::Registration { mpxn: MPAN.parse().unwrap(), data },
        InventoryFact::Hub { hub: device(HUB), fields },
    ];
    facts.into_iter().enumerate().map(|(n, fact)| told(n, fact)).collect()
}

/// A Command of a User that was issued and, where it says so, answered.
fn command(user: &str, counter: u64, received: Timestamp, is_answered: bool) -> Vec<Event> {
    let id = format!("{user}:{ESME}:{counter}");
    let correlation = Correlation {
        request_id: Some(id.parse().unwrap()),
        request_received_at: Some(received),
        command_variant: Some("1".parse().unwrap()),
        device_id: Some(device(ESME)),
        variant: Some("6.2.4".parse().unwrap()),
        mode: Some(Mode::OnDemand),
        ..Correlation::of_user(user.parse::<UserId>().unwrap())
    };
    let issued = received.plus_millis(1_250);
    let sent = StatusChanged { state: State::SentToDevice, at: issued, code: None, cause: None };
    let answer = ResponseSent {
        response_id: Some(ResponseId::mirror_of(&id.parse().unwrap())),
        code: "I0".parse().unwrap(),
        at: received.plus_millis(9_000),
        content: ResponseContent::ServiceResponse,
    };
    let bodies = [
        Some(Body::RequestReceived(RequestReceived::default())),
        Some(Body::StatusChanged(sent)),
        is_answered.then_some(Body::ResponseSent(answer)),
    ];
    let event = |body| Event {
        id: format!("e{counter}").parse().unwrap(),
        recorded_at: received,
        correlation: correlation.clone(),
        body,
    };
    bodies.into_iter().flatten().map(event).collect()
}

/// A server over a lake of the hub, and of Commands of these Users, an hour after the other.
async fn world_of(address: &str, senders: &[&str]) -> World<Lake> {
    let clock = Clock::manual(now());
    let lake = Lake::open(LakeSettings::at(address), clock.clone()).await.unwrap();
    let mut fold = Fold::default();
    for (n, sender) in (0..).zip(senders) {
        let received = time("2026-03-01T00:00:00.500Z").plus_millis(n * 3_600_000);
        for event in command(sender, n.unsigned_abs(), received, n % 2 == 0) {
            fold.add(event).unwrap();
        }
    }
    let source = SourceEvidence {
        source: "file:0".into(),
        name: "0.jsonl".into(),
        first: true,
        to: 1,
        finished: true,
        recorded_max_ms: Some(now().millis()),
        ..SourceEvidence::default()
    };
    let batch = Batch {
        fragments: fold.into_fragments(),
        inventory: inventory(),
        sources: vec![source],
        ..Batch::default()
    };
    lake.writer().await.unwrap().commit(batch).await.unwrap();
    World::over(lake, clock, None).await
}

async fn client(world: &World<Lake>) -> HubServiceClient<Channel> {
    HubServiceClient::new(world.channel().await)
}

fn of_hub(id: &str) -> GetHubRequest {
    GetHubRequest { device_id: id.into() }
}

async fn get(world: &World<Lake>, request: Request<GetHubRequest>) -> Result<GetHubResponse, Status> {
    client(world).await.get(request).await.map(tonic::Response::into_inner)
}

#[tokio::test(flavor = "multi_thread")]
async fn both_tables_arrive_whole_for_who_is_related_to_the_hub() {
    let world = world_of("memory:///hub-whole", &[ANN, BOB, BOB, ANN, BOB, ANN, ANN]).await;
    let answer = get(&world, world.by(ANN, of_hub("00db1234567890c0"))).await.unwrap();
    assert_eq!((answer.device_id.as_str(), answer.may_communicate, answer.tables_open), (HUB, true, true));
    assert_eq!(answer.communicate_with, format!("https://adaptor.example/ask?hub={HUB}"));
    let told: Vec<(i64, i32, &str)> = answer
        .last_commands
        .iter()
        .map(|told| {
            let at = told.at.unwrap();
            (at.seconds, at.nanos, told.success_status.as_str())
        })
        .collect();
    let second = |hour: i64| time("2026-03-01T00:00:01Z").plus_millis(hour * 3_600_000).millis() / 1_000;
    let (done, open) = ("Success", "In Progress");
    let expected = [(6, done), (5, open), (4, done), (3, open), (2, done)];
    assert_eq!(told, expected.map(|(hour, status)| (second(hour), 0, status)));

    let csp = answer.csp.unwrap();
    let shown =
        |field: Option<gridtrail_proto::query::v1::HubField>| field.map(|field| (field.state(), field.text));
    use HubFieldState::{OnDevice, Provided, Unknown};
    assert_eq!(shown(csp.aerial_installed), Some((Provided, "No".into())));
    assert_eq!(shown(csp.network_status), Some((Provided, "Deactivated".into())));
    assert_eq!(csp.deactivation.as_ref().unwrap().at.unwrap().seconds, 1_772_280_000);
    assert_eq!(shown(csp.deactivation), Some((Provided, "2026-02-28T12:00:00.000Z".into())));
    assert_eq!(shown(csp.han_status), Some((OnDevice, "Requires device communication".into())));
    assert_eq!(shown(csp.last_tamper), Some((OnDevice, "Requires device communication".into())));
    assert_eq!(shown(csp.last_outage), Some((Unknown, String::new())));
    assert_eq!(answer.complete_up_to.unwrap().seconds, now().millis() / 1_000);
    assert!(answer.snapshot_version.contains("inventory="), "{}", answer.snapshot_version);
}

#[test]
fn a_link_to_what_communicates_with_devices_is_an_address_with_a_place_for_the_device() {
    let is_link = |text: &str| text.parse::<DeviceLink>().is_ok();
    assert!(is_link("https://adaptor.example/ask?hub={device}"));
    assert!(is_link("http://127.0.0.1:8080/hubs/{device}/diagnostics"));
    for wrong in [
        "https://adaptor.example/ask",
        "https://{device}.example/",
        "javascript:alert(1)//{device}",
        "//adaptor.example/{device}",
        "/ask/{device}",
        "https:///{device}",
        "ftp://adaptor.example/{device}",
        "https://adaptor.example/a b/{device}",
        "",
    ] {
        assert!(!is_link(wrong), "{wrong}");
    }
}

/// The form opens for whoever's role allows it; the tables do not, nor is there a link.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_related_sees_no_tables() {
    let world = world_of("memory:///hub-strict", &[BOB, BOB]).await;
    let answer = get(&world, world.by(BOB, of_hub(HUB))).await.unwrap();
    let expected = GetHubResponse {
        device_id: HUB.into(),
        complete_up_to: answer.complete_up_to,
        snapshot_version: answer.snapshot_version.clone(),
        ..GetHubResponse::default()
    };
    assert_eq!(answer, expected, "though Bob sent the Commands");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_answered_says_why_and_all_is_on_record() {
    let world = world_of("memory:///hub-errors", &[ANN, ANN]).await;
    let refused = |result: Result<GetHubResponse, Status>| result.unwrap_err();
    let wrong = refused(get(&world, world.by(ANN, of_hub("not a hub"))).await);
    assert_error(&wrong, Code::InvalidArgument, "INVALID_REQUEST", "400");
    assert!(wrong.message().contains("device_id"), "{}", wrong.message());
    let texts = [ESME, "00-DB-12-34-56-78-90-FF"].map(|id| (id, world.by(ANN, of_hub(id))));
    let mut messages = Vec::new();
    for (_, request) in texts {
        let none = refused(get(&world, request).await);
        assert_error(&none, Code::NotFound, "HUB_NOT_FOUND", "404");
        messages.push(none.message().to_owned());
    }
    assert_eq!(messages[0], messages[1], "a Device that is no hub and one that is not there");
    let denied = with_header(of_hub(HUB), &format!("Bearer {}", world.mint(&bearer_of(ANN, &[ANN], &[3]))));
    assert_error(&refused(get(&world, denied).await), Code::PermissionDenied, "ROLE_MISSING", "403");
    let bare = refused(get(&world, Request::new(of_hub(HUB))).await);
    assert_error(&bare, Code::Unauthenticated, "NO_IDENTITY", "401");
    get(&world, world.by(ANN, of_hub(HUB))).await.unwrap();
    get(&world, world.by(BOB, of_hub(HUB))).await.unwrap();

    let entries = world.recorded().await;
    assert!(entries.iter().all(|entry| entry.call == "HubService.Get"), "{entries:#?}");
    let of: Vec<_> =
        entries.iter().map(|entry| (entry.outcome.as_ref(), entry.key.as_deref(), entry.rows)).collect();
    let expected = [
        ("INVALID_ARGUMENT", None, None),
        ("NOT_FOUND", Some(ESME), None),
        ("NOT_FOUND", Some("00-DB-12-34-56-78-90-FF"), None),
        ("PERMISSION_DENIED", Some(HUB), None),
        ("UNAUTHENTICATED", None, None),
        ("OK", Some(HUB), Some(2)),
        ("OK", Some(HUB), Some(0)),
    ];
    assert_eq!(of, expected);
}

/// Two worlds that differ only in who sent a Command answer byte for byte the same, whoever asks and however often.
#[tokio::test(flavor = "multi_thread")]
async fn two_worlds_that_differ_in_who_sent_a_command_give_byte_equal_answers() {
    let bytes = async |address: &str, senders: &[&str]| {
        let world = world_of(address, senders).await;
        let mut all = Vec::new();
        for user in [ANN, BOB, ANN] {
            all.push(get(&world, world.by(user, of_hub(HUB))).await.unwrap().encode_to_vec());
        }
        all
    };
    let worlds = [
        bytes("memory:///hub-a", &[ANN, ANN, ANN, ANN, ANN, ANN, ANN]).await,
        bytes("memory:///hub-b", &[BOB, BOB, BOB, BOB, BOB, BOB, BOB]).await,
        bytes("memory:///hub-c", &[ANN, BOB, ANN, BOB, BOB, ANN, BOB]).await,
    ];
    assert!(worlds[0][0].len() > worlds[0][1].len(), "Ann sees the tables");
    assert_eq!(worlds[0], worlds[1]);
    assert_eq!(worlds[0], worlds[2]);
}
