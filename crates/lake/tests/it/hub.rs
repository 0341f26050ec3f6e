//! The last Commands through a Communications Hub: the right five of a region, by the Devices behind the hub at the time, and nothing that tells
//! whose they are.

use crate::it::compaction::settle;
use crate::it::world::*;
use gridtrail_access::{Access, Bearer, DevKey, JobTypeRole, OrgId};
use gridtrail_inventory::{
    DeviceDetails, Effective, FactOrigin, InventoryEvent, InventoryFact, InventoryStatement, StatedFact,
};
use gridtrail_lake::{
    Batch, Cost, Hub, HubCommand, HubFound, KeyQuery, LAST_COMMANDS, Lake, LakeError, LakeSettings, Snapshot,
    View,
};
use gridtrail_model::*;
use gridtrail_runtime::Clock;
use gridtrail_synth::{ExpectedTrail, Settings, World};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

const HOUR_MS: i64 = 3_600_000;

/// A caller of a role, who sees the rows of no User on record.
fn stranger(role: u8) -> Access {
    let claims = Bearer {
        subject: "stranger".to_owned(),
        party: "nobody".parse().unwrap(),
        org_id: OrgId::All,
        user_ids: [UserId::from_bytes([9; 8])].into(),
        roles: JobTypeRole::new(role).into_iter().collect(),
        valid_from: at(0),
        expires_at: at(HOUR_MS),
    };
    DevKey::generate().unwrap().access(&claims).unwrap()
}

async fn hub_of(snapshot: &Snapshot, hub: DeviceId, at: Timestamp) -> Hub {
    match snapshot.hub(&stranger(1), hub, at).await.unwrap() {
        HubFound::Hub(hub) => *hub,
        other => panic!("{hub}: {other:?}"),
    }
}

async fn last(snapshot: &Snapshot, hub: DeviceId, at: Timestamp) -> (Vec<HubCommand>, Cost) {
    let hub = hub_of(snapshot, hub, at).await;
    snapshot.last_commands(&stranger(1), &hub).await.unwrap()
}

fn told(n: usize, (from, until): (Timestamp, Option<Timestamp>), fact: InventoryFact) -> InventoryEvent {
    let effective = Effective::new(from, until).unwrap();
    InventoryEvent {
        recorded_at: from,
        id: format!("hub-{n}").parse().unwrap(),
        origin: FactOrigin::Inventory,
        told: InventoryStatement::Fact(StatedFact { effective, corrects: None, fact }),
    }
}

fn is_a_hub(n: usize, hub: u8) -> InventoryEvent {
    let details = DeviceDetails { device_type: Some(DeviceType::Chf), ..DeviceDetails::default() };
    told(n, (at(-HOUR_MS), None), InventoryFact::Device { device: device(hub), details })
}

fn behind(n: usize, span: (i64, Option<i64>), of: u8, with: u8) -> InventoryEvent {
    let fact = InventoryFact::Association { device: device(of), with: device(with), associated: true };
    told(n, (at(span.0), span.1.map(at)), fact)
}

/// A Command that was issued a while after its request was received, and answered.
fn command(user: u8, target: u8, counter: u64, received_at: i64) -> Vec<Event> {
    let id = request_id(user, target, counter);
    let sent = Body::StatusChanged(StatusChanged {
        state: State::SentToDevice,
        at: at(received_at + 300),
        code: None,
        cause: None,
    });
    let answered = at(received_at + 5_000);
    let of = |body| event(id, at(received_at), body);
    vec![received(id, at(received_at)), of(sent), of(answer(id, answered))]
}

async fn lake_of(inventory: Vec<InventoryEvent>, events: Vec<Event>) -> Lake {
    let (lake, mut writer) = memory().await;
    let batch = Batch { inventory, sources: vec![source("inventory", 0, 1)], ..Batch::default() };
    writer.commit(batch).await.unwrap();
    commit(&mut writer, "events", events).await;
    lake
}

fn second_of(millis: i64) -> i64 {
    at(millis).millis() / 1_000
}

fn seconds(told: &[HubCommand]) -> Vec<i64> {
    told.iter().map(|told| told.at.millis() / 1_000).collect()
}

/// A Device that was behind one hub and then behind another: a Command went through that which it was behind.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_counts_for_the_hub_that_its_device_was_behind_then() {
    let swap = 100_000;
    let inventory =
        vec![is_a_hub(0, 1), is_a_hub(1, 2), behind(2, (0, Some(swap)), 3, 1), behind(3, (swap, None), 3, 2)];
    let events = [10_000, swap - 1, swap, 200_000].into_iter().zip(0..);
    let events = events.flat_map(|(received_at, n)| command(1, 3, n, received_at));
    // One to a hub itself, and one to a Device that was never behind any.
    let events = events.chain(command(2, 2, 10, 50_000)).chain(command(2, 7, 11, 60_000)).collect();
    let lake = lake_of(inventory, events).await;
    let snapshot = lake.snapshot();
    let of = async |hub| seconds(&last(&snapshot, device(hub), at(HOUR_MS)).await.0);
    assert_eq!(of(1).await, [second_of(swap + 299), second_of(10_300)]);
    assert_eq!(of(2).await, [second_of(200_300), second_of(swap + 300), second_of(50_300)]);
}

/// A gas meter is Associated with the Gas Proxy Function, and that with the hub: as long as both are.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_behind_the_gas_proxy_function_is_behind_the_hub() {
    let inventory = vec![
        is_a_hub(0, 1),
        behind(1, (0, Some(100_000)), 2, 1),
        behind(2, (50_000, None), 3, 2),
        // Also by itself, at times that overlap: each Command counts once.
        behind(3, (60_000, Some(80_000)), 3, 1),
    ];
    let times = [10_000, 70_000, 90_000, 120_000];
    let events = times.into_iter().zip(0..).flat_map(|(received_at, n)| command(1, 3, n, received_at));
    let lake = lake_of(inventory, events.chain(command(1, 2, 10, 20_000)).collect()).await;
    let (told, _) = last(&lake.snapshot(), device(1), at(HOUR_MS)).await;
    assert_eq!(seconds(&told), [second_of(90_300), second_of(70_300), second_of(20_300)]);
}

/// Both legs of a critical command share one RequestID.
#[tokio::test(flavor = "multi_thread")]
async fn the_legs_of_a_command_count_once() {
    let mut events = Vec::new();
    for (counter, received_at) in (0..3).zip([10_000, 20_000, 30_000]) {
        for (leg, later) in [(4, 0), (5, 3_000)] {
            for mut event in command(1, 3, counter, received_at + later) {
                event.correlation.command_variant = CommandVariant::new(leg);
                events.push(event);
            }
        }
    }
    // One whose Signed Pre-Command never came.
    for mut event in command(1, 3, 9, 40_000) {
        event.correlation.command_variant = CommandVariant::new(4);
        events.push(event);
    }
    let lake = lake_of(vec![is_a_hub(0, 1), behind(1, (0, None), 3, 1)], events).await;
    let (told, _) = last(&lake.snapshot(), device(1), at(HOUR_MS)).await;
    assert_eq!(seconds(&told), [second_of(33_300), second_of(23_300), second_of(13_300)]);
}

/// An answer that waits for its request is joined to it here as it is in searches.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_waited_counts() {
    let (lake, mut writer) = memory().await;
    let inventory = vec![is_a_hub(0, 1), behind(1, (0, None), 3, 1)];
    let batch = Batch { inventory, sources: vec![source("inventory", 0, 1)], ..Batch::default() };
    writer.commit(batch).await.unwrap();
    let id = request_id(1, 3, 7);
    commit(&mut writer, "answers", [bare_answer(id, at(5_000))]).await;
    assert_eq!(last(&lake.snapshot(), device(1), at(HOUR_MS)).await.0, []);
    let requests: Vec<Event> = command(1, 3, 7, 0).into_iter().take(2).collect();
    commit(&mut writer, "requests", requests).await;
    let (told, _) = last(&lake.snapshot(), device(1), at(HOUR_MS)).await;
    assert_eq!(told, [HubCommand { at: at(0), status: Simplified::Success }]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_looks_at_a_hub_whose_roles_do_not_allow_it() {
    let lake = lake_of(vec![is_a_hub(0, 1), behind(1, (0, None), 3, 1)], command(1, 3, 1, 0)).await;
    let (snapshot, now) = (lake.snapshot(), at(HOUR_MS));
    let hub = hub_of(&snapshot, device(1), now).await;
    for role in 1..=11 {
        let (who, may) = (stranger(role), [1, 2, 4, 5, 7, 8, 11].contains(&role));
        let refused = |error: LakeError| assert!(matches!(error, LakeError::NotPermitted { .. }), "{error}");
        let (found, told) =
            (snapshot.hub(&who, device(1), now).await, snapshot.last_commands(&who, &hub).await);
        assert_eq!((found.is_ok(), told.is_ok()), (may, may), "role {role}");
        found.map(drop).err().into_iter().chain(told.map(drop).err()).for_each(refused);
    }
}

/// From the newest month back: where that has five, older months are not read.
#[tokio::test(flavor = "multi_thread")]
async fn the_newest_five_of_many_months_are_found_in_few_pages() {
    const MONTH_MS: i64 = 31 * 24 * HOUR_MS;
    let inventory = vec![is_a_hub(0, 1), behind(1, (-40 * MONTH_MS, None), 3, 1)];
    let (lake, mut writer) = memory().await;
    let batch = Batch { inventory, sources: vec![source("inventory", 0, 1)], ..Batch::default() };
    writer.commit(batch).await.unwrap();
    let mut expected = Vec::new();
    for month in 0..12 {
        let first = -month * MONTH_MS;
        // Three in some months, none in others, and a hundred alerts in each: no alert is a Command.
        let some = if month % 4 == 1 { 3 } else { 0 };
        let numbers = 0..some;
        let mut events: Vec<Event> = Vec::new();
        for n in numbers.map(|n: i64| first + n * 10_000) {
            events.extend(command(1, 3, n.unsigned_abs(), n));
            expected.push(second_of(n + 300));
        }
        events.extend((0..100).map(|n| {
            let mut alert = bare_answer(request_id(1, 3, 0), at(first + n));
            alert.correlation = Correlation { device_id: Some(device(3)), ..Correlation::of_user(user(1)) };
            alert.body = Body::DeviceAlert(Alert {
                response_id: ResponseId {
                    first: device(3),
                    second: DeviceId::from_bytes(user(1).to_bytes()),
                    counter: (first + n).unsigned_abs(),
                },
                code: "8F36".parse().unwrap(),
                at: at(first + n),
                sent_at: None,
                throttle_sequence: None,
                throttle_count: None,
                affects: None,
            });
            alert
        }));
        commit(&mut writer, &format!("month {month}"), events).await;
    }
    expected.sort_unstable_by_key(|second| std::cmp::Reverse(*second));
    expected.truncate(LAST_COMMANDS);
    let (told, cost) = last(&lake.snapshot(), device(1), at(HOUR_MS)).await;
    assert_eq!(seconds(&told), expected);
    // Months 0 to 6: those of the first three rounds. The other five are not touched.
    assert!(cost.runs <= 2 * 7 + 2, "{cost:?}");
}

/// Who sent each of some Commands, to which Device, and when.
type Sent = (u8, i64);

/// What two lakes that differ in nothing but who sent each Command answer, and what that took.
async fn answer_of(commands: &[Sent], senders: &[u8]) -> (Vec<HubCommand>, u64, u64) {
    let inventory =
        vec![is_a_hub(0, 1), behind(1, (-HOUR_MS, None), 2, 1), behind(2, (-HOUR_MS, None), 3, 2)];
    let mut events = Vec::new();
    for (n, ((target, received_at), sender)) in commands.iter().zip(senders).enumerate() {
        let mut all = command(*sender, *target, n as u64, *received_at);
        // Some are answered, and some are not.
        all.truncate(1 + n % 3);
        events.extend(all);
    }
    let lake = lake_of(inventory, events).await;
    let (told, cost) = last(&lake.snapshot(), device(1), at(HOUR_MS)).await;
    (told, cost.runs, cost.pages)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Few times, so that many lie at one: which of those are told must not depend on whose they are.
    #[test]
    fn two_lakes_that_differ_in_who_sent_a_command_give_one_answer(
        commands in prop::collection::vec((1..4u8, prop::sample::select(vec![0i64, 700, 5_000, 90_000])), 1..16),
        one in prop::collection::vec(1..9u8, 16),
        other in prop::collection::vec(1..9u8, 16),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (one, other) =
            runtime.block_on(async { (answer_of(&commands, &one).await, answer_of(&commands, &other).await) });
        prop_assert!(one.0.len() <= LAST_COMMANDS);
        prop_assert_eq!(one, other);
    }
}

/// What must be told of a row, as far as its truth says; `None`: no Command came of it.
fn expected_of(trail: &ExpectedTrail) -> Option<Simplified> {
    use State::*;
    let is_sent = match trail.key.subject {
        Subject::Leg(leg) => [1, 3, 5, 7].contains(&leg.command_variant.number()),
        Subject::ScheduledRun(_) => true,
        Subject::Alert { .. } | Subject::Unjoined(_) => false,
    };
    if !is_sent {
        return None;
    }
    match trail.current_status {
        Received
        | RejectedValidation
        | RejectedAuthorisation
        | WaitingPreceding
        | StoredFutureDated
        | Quarantined
        | Deleted
        | Archived
        | Purged
        | Cancelled => None,
        // A region's Devices time out only with what they hold.
        HeldByDevice | InstructionDone | InstructionFailed | TimedOut => Some(Simplified::Success),
        _ => Some(trail.simplified),
    }
}

/// When each row of a Device was issued, as an ordinary look-up of all Users has it.
async fn issued(snapshot: &Snapshot, everybody: &Access, device: DeviceId) -> HashMap<TrailKey, Timestamp> {
    let query = KeyQuery::all(device, View::Audit, 1_000_000);
    let found = snapshot.lookup(everybody, &query).await.unwrap();
    let of = |found: &gridtrail_lake::Found| {
        let trail = Trail::from(&found.fragment);
        let sent = trail.history.iter().rev().find(|entry| entry.state == State::SentToDevice);
        (found.fragment.key, sent.map_or(found.placement, |entry| entry.at))
    };
    found.iter().map(of).collect()
}

fn everybody(world: &World) -> Access {
    let claims = Bearer {
        subject: "everybody".to_owned(),
        party: "region".parse().unwrap(),
        org_id: OrgId::All,
        user_ids: world.users().iter().map(|user| user.id).collect(),
        roles: JobTypeRole::new(1).into_iter().collect(),
        valid_from: at(0),
        expires_at: at(HOUR_MS),
    };
    DevKey::generate().unwrap().access(&claims).unwrap()
}

/// The five of every hub of a region against its truth; returns how many hubs had five.
async fn check(lake: &Lake, world: &World, truth: &BTreeMap<DeviceId, Vec<ExpectedTrail>>) -> usize {
    let (snapshot, everybody) = (lake.snapshot(), everybody(world));
    // Long after the run: whatever was told late is known.
    let now = world.settings().start.plus_millis(100 * 24 * HOUR_MS);
    let mut whole = 0;
    for household in world.households() {
        let mut expected = Vec::new();
        for device in household.devices() {
            let of = issued(&snapshot, &everybody, device).await;
            for trail in truth.get(&device).into_iter().flatten() {
                let Some(status) = expected_of(trail) else { continue };
                let at = of[&trail.key];
                let at = at.plus_millis(-at.millis().rem_euclid(1_000));
                expected.push((trail.received_at, HubCommand { at, status }));
            }
        }
        expected.sort_unstable_by_key(|one| std::cmp::Reverse(*one));
        expected.truncate(LAST_COMMANDS);
        let mut expected: Vec<HubCommand> = expected.into_iter().map(|(_, told)| told).collect();
        expected.sort_unstable_by_key(|one| std::cmp::Reverse(*one));
        let (told, _) = last(&snapshot, household.hub, now).await;
        assert_eq!(told, expected, "household {}", household.number);
        whole += usize::from(told.len() == LAST_COMMANDS);
    }
    whole
}

#[tokio::test(flavor = "multi_thread")]
async fn the_five_of_every_hub_of_a_region_are_those_of_its_truth() {
    let world = World::seeded(11, Settings::for_events(12_000, 6)).unwrap();
    let mut truth: BTreeMap<DeviceId, Vec<ExpectedTrail>> = BTreeMap::new();
    for trail in world.truth() {
        if let Some(device) = trail.device_id {
            truth.entry(device).or_default().push(trail);
        }
    }
    let (store, clock) = (Arc::new(InMemory::new()), Clock::manual(at(1_000_000)));
    let store: Arc<dyn ObjectStore> = store;
    let settings = LakeSettings { store: Some(store), ..LakeSettings::at("memory:///hubs") };
    let lake = Lake::open(settings, clock.clone()).await.unwrap();
    let mut writer = lake.writer().await.unwrap();
    let inventory: Vec<InventoryEvent> = world.inventory_events().collect();
    let swapped: BTreeSet<DeviceId> = inventory.iter().filter_map(former_hub).collect();
    let batch = Batch { inventory, sources: vec![source("inventory", 0, 1)], ..Batch::default() };
    writer.commit(batch).await.unwrap();
    let events: Vec<Event> = world.events().collect();
    for (n, events) in events.chunks(4_000).enumerate() {
        commit(&mut writer, &format!("events {n}"), events.to_vec()).await;
    }
    let whole = check(&lake, &world, &truth).await;
    assert!(whole > 50, "{whole} hubs had five Commands");
    settle(&lake, &clock).await;
    assert_eq!(check(&lake, &world, &truth).await, whole, "compacted");
    // No Command of the run went through a hub that was swapped before it.
    assert!(!swapped.is_empty());
    let now = world.settings().start.plus_millis(100 * 24 * HOUR_MS);
    for hub in swapped {
        assert_eq!(last(&lake.snapshot(), hub, now).await.0, [], "{hub}");
    }
}

/// A hub that was deactivated.
fn former_hub(event: &InventoryEvent) -> Option<DeviceId> {
    let InventoryStatement::Fact(stated) = &event.told else { return None };
    match &stated.fact {
        InventoryFact::Hub { hub, fields } if fields.deactivated_at.is_some() => Some(*hub),
        _ => None,
    }
}
