//! Time tells a caller nothing of what they may not see: what others have costs what costs that is not there.
//!
//! The cost is counted: footers, pages, requests to the store. `GRIDTRAIL_TOLD_APART` says how many Devices an attacker tries to tell
//! apart by the time alone, half of them of others; then it is held that they do no better than by chance.

use super::*;
use crate::query::SearchKey;
use gridtrail_access::{Bearer, DevKey, JobTypeRole, OrgId};
use gridtrail_inventory::{
    Effective, FactOrigin, FieldChange, InventoryEvent, InventoryFact, InventoryStatement, Registration,
    StatedFact,
};
use gridtrail_lake::{Batch, CompactionSettings, Lake, LakeSettings, StoreUse};
use gridtrail_model::{
    Anchor, Body, CommandVariant, Correlation, Event, Fold, Leg, Mpxn, RequestId, RequestReceived,
    ResponseContent, ResponseId, ResponseSent, Subject, TrailKey, Uprn, UserId,
};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::throttle::{ThrottleConfig, ThrottledStore};
use std::collections::HashMap;
use std::time::{Duration, Instant};

const DAY_MS: i64 = 24 * 3_600_000;
/// Devices of each kind on an everyday run: many enough that each bucket holds some.
const EACH: usize = 64;
/// Those of them that are asked for, each of a lake that is opened anew.
const ASKED: usize = 32;
/// Premises beside those: so many that no page of the inventory has rows of the meter points and of the UPRNs that are asked for. Which of
/// them share a page is a matter of their numbers, and nobody's secret.
const BESIDE: u64 = 2_048;
/// How often each is searched for by who goes by the time.
const ROUNDS: usize = 41;

/// What a caller may know of a Device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Of others; nothing of it is open.
    Hidden,
    /// Only named beside a hidden one, by rows of others.
    Beside,
    /// Of others; its rows are meter reads.
    Open,
    /// The caller's own.
    Own,
    /// No event names it.
    Absent,
}

fn mixed(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// Anywhere among the others: of which kind a Device is does not show in its ID.
fn device(kind: Kind, number: usize) -> DeviceId {
    let at = mixed(((kind as u64) << 32) + number as u64);
    DeviceId::from_bytes((0x00DB_0000_0000_0000 + at % (1 << 40)).to_be_bytes())
}

fn mpxn(kind: Kind, number: usize) -> Mpxn {
    let at = mixed(((kind as u64) << 40) + number as u64);
    (1_000_000_000_000 + at % 1_000_000_000_000).to_string().parse().unwrap()
}

fn hub(kind: Kind, number: usize) -> DeviceId {
    let at = mixed((1 << 60) + ((kind as u64) << 48) + number as u64);
    DeviceId::from_bytes((0x00DB_0000_0000_0000 + at % (1 << 40)).to_be_bytes())
}

fn uprn(kind: Kind, number: usize) -> Uprn {
    Uprn::from_number(BESIDE + 1 + mixed(((kind as u64) << 56) + number as u64) % 900_000_000_000).unwrap()
}

/// Of the premises beside: meter points behind the others, and UPRNs before them.
fn beside(number: u64) -> (Mpxn, Uprn) {
    ((9_000_000_000_000 + number).to_string().parse().unwrap(), Uprn::from_number(1 + number).unwrap())
}

fn registered(mpxn: Mpxn, uprn: Uprn) -> InventoryEvent {
    let data = Registration { uprn: FieldChange::Value(uprn), ..Registration::default() };
    fact(InventoryFact::Registration { mpxn, data })
}

/// Something of the inventory that is so since before all rows.
fn fact(fact: InventoryFact) -> InventoryEvent {
    let since = base().plus_millis(-100 * DAY_MS);
    InventoryEvent {
        recorded_at: since,
        id: format!(
            "{:016x}",
            mixed(format!("{fact:?}").bytes().fold(7, |hash, byte| mixed(hash ^ u64::from(byte))))
        )
        .parse()
        .unwrap(),
        origin: FactOrigin::Inventory,
        told: InventoryStatement::Fact(StatedFact {
            effective: Effective::since(since),
            corrects: None,
            fact,
        }),
    }
}

fn user(number: u64) -> UserId {
    UserId::from_bytes((0x90B3_0000_0000_0000 + number).to_be_bytes())
}

/// Noon, later than the clocks of those who run this: a table's first version has the time of the system.
fn base() -> Timestamp {
    "2101-03-15T12:00:00Z".parse().unwrap()
}

fn request(kind: Kind, number: usize, counter: u64) -> RequestId {
    let originator = if kind == Kind::Own { user(0) } else { user(1 + number as u64 % 3) };
    RequestId { originator, target: device(kind, number), counter }
}

/// A request of a day; to hidden Devices, on one of them, only an answer that waits for its request.
fn event(kind: Kind, number: usize, day: i64) -> Event {
    let id = request(kind, number, day.unsigned_abs());
    let received = base().plus_millis(day * DAY_MS + number as i64);
    let is_waiting = kind == Kind::Hidden && day == 3;
    let correlation = Correlation {
        request_id: Some(id),
        request_received_at: (!is_waiting).then_some(received),
        command_variant: CommandVariant::new(1).filter(|_| !is_waiting),
        device_id: Some(id.target),
        mpxn: Some(mpxn(kind, number)),
        variant: if kind == Kind::Hidden { "6.15.1" } else { "4.8.1" }.parse().ok(),
        concerned_devices: Vec::from_iter((kind == Kind::Hidden).then(|| device(Kind::Beside, number))),
        ..Correlation::of_user(id.originator)
    };
    let answered = ResponseSent {
        response_id: Some(ResponseId::mirror_of(&id)),
        code: "I0".parse().unwrap(),
        at: received,
        content: ResponseContent::ServiceResponse,
    };
    let body = match is_waiting {
        true => Body::ResponseSent(answered),
        false => Body::RequestReceived(RequestReceived::default()),
    };
    let id = format!("{kind:?}-{number}-{day}").parse().unwrap();
    Event { id, recorded_at: received, correlation, body }
}

/// A lake of two months, of each kind so many Devices: most of it compacted, with runs of two commits beside that.
struct World {
    store: Arc<dyn ObjectStore>,
    clock: Clock,
    key: DevKey,
}

impl World {
    async fn of(each: usize) -> Self {
        Self::in_buckets(each, None).await
    }

    /// The same, in so many buckets; `None`: as a lake is made.
    async fn in_buckets(each: usize, buckets: Option<u32>) -> Self {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let world = Self {
            store,
            clock: Clock::manual(base().plus_millis(90 * DAY_MS)),
            key: DevKey::generate().unwrap(),
        };
        let lake = world.lake(Duration::ZERO).await;
        if let Some(buckets) = buckets {
            let mut maintenance = lake.maintenance().await.unwrap();
            maintenance.rebucket(buckets, &CompactionSettings::default()).await.unwrap();
        }
        let mut writer = lake.writer().await.unwrap();
        for day in [0, 1, 20, 21, 2, 3] {
            let (mut placed, mut waiting) = (Fold::default(), Fold::default());
            for kind in [Kind::Hidden, Kind::Open, Kind::Own] {
                for event in (0..each).map(|number| event(kind, number, day)) {
                    let is_waiting = event.correlation.request_received_at.is_none();
                    if is_waiting { &mut waiting } else { &mut placed }.add(event).unwrap();
                }
            }
            let (fragments, parked) = (placed.into_fragments(), waiting.take_unplaced());
            assert_eq!(parked.is_empty(), day != 3);
            writer.commit(Batch { fragments, parked, ..Batch::default() }).await.unwrap();
            if day == 21 {
                let full = CompactionSettings { full: true, ..CompactionSettings::default() };
                lake.maintenance().await.unwrap().compact(&full).await.unwrap();
            }
        }
        world
    }

    /// The same, and an inventory that has each Device, of whatever kind, at its meter point, Associated with a hub, and each meter point
    /// at a UPRN of its own: as anybody may know.
    async fn with_inventory(each: usize, buckets: Option<u32>) -> Self {
        let world = Self::in_buckets(each, buckets).await;
        let mut told: Vec<InventoryEvent> =
            (0..BESIDE).map(beside).map(|(mpxn, uprn)| registered(mpxn, uprn)).collect();
        for kind in [Kind::Hidden, Kind::Open, Kind::Absent] {
            for number in 0..each {
                let (device, mpxn, hub) = (device(kind, number), mpxn(kind, number), hub(kind, number));
                told.extend([
                    registered(mpxn, uprn(kind, number)),
                    fact(InventoryFact::Installation { device, mpxn, installed: true }),
                    fact(InventoryFact::Association { device, with: hub, associated: true }),
                ]);
            }
        }
        let lake = world.lake(Duration::ZERO).await;
        let batch = Batch { inventory: told, ..Batch::default() };
        lake.writer().await.unwrap().commit(batch).await.unwrap();
        world
    }

    /// The lake, opened anew: nothing of it is in memory. Each request to the store takes so long.
    async fn lake(&self, wait: Duration) -> Lake {
        let mut store = Arc::clone(&self.store);
        if !wait.is_zero() {
            let config = ThrottleConfig { wait_get_per_call: wait, ..ThrottleConfig::default() };
            store = Arc::new(ThrottledStore::new(store, config));
        }
        let settings = LakeSettings { store: Some(store), ..LakeSettings::at("memory:///time") };
        Lake::open(settings, self.clock.clone()).await.unwrap()
    }

    fn search(&self, lake: &Lake) -> Search {
        Search::new(lake.clone(), self.clock.clone(), PageKey::random().unwrap())
    }

    /// Somebody with one User ID of their own.
    fn caller(&self) -> Access {
        let claims = Bearer {
            subject: "eve".to_owned(),
            party: "region".parse().unwrap(),
            org_id: OrgId::All,
            user_ids: std::iter::once(user(0)).collect(),
            roles: JobTypeRole::new(1).into_iter().collect(),
            valid_from: self.clock.now(),
            expires_at: self.clock.now().plus_millis(DAY_MS),
        };
        self.key.access(&claims).unwrap()
    }
}

/// A question of an attacker's.
#[derive(Debug, Clone)]
enum Ask {
    Search(View, Query),
    Get(View, TrailRef),
}

impl Ask {
    /// Every way to ask for a Device: all of it, a narrow part, a page, and a row whose reference is made up.
    fn all_of_device(view: View, kind: Kind, number: usize) -> Vec<Self> {
        let id = request(kind, number, 1);
        let all = Query::of(SearchKey::Device(id.target));
        let narrow = |day: i64| Query {
            from: Some(base().plus_millis(day * DAY_MS)),
            to: Some(base().plus_millis(day * DAY_MS + 60_000)),
            ..all.clone()
        };
        let row = |originator| {
            let leg = Leg {
                request_id: RequestId { originator, ..id },
                command_variant: CommandVariant::new(1).unwrap(),
            };
            let key = TrailKey { user: originator, subject: Subject::Leg(leg) };
            let placement = base().plus_millis(DAY_MS + number as i64);
            TrailRef::new(Anchor::Device(id.target), Some(id.target), RowPosition { placement, key })
        };
        vec![
            Self::Search(view, narrow(1)),
            Self::Search(view, narrow(20)),
            Self::Search(view, Query { page_size: Some(1), ..all.clone() }),
            Self::Search(view, all),
            Self::Get(view, row(id.originator)),
            Self::Get(view, row(user(0))),
        ]
    }

    fn of_mpxn(view: View, kind: Kind, number: usize) -> Self {
        Self::Search(view, Query::of(SearchKey::Mpxn(mpxn(kind, number))))
    }

    fn of_uprn(view: View, kind: Kind, number: usize) -> Self {
        Self::Search(view, Query::of(SearchKey::Uprn(uprn(kind, number))))
    }

    /// Asks, and sees nothing.
    async fn by(&self, search: &Search, who: &Access) {
        match self {
            Self::Search(View::Audit, query) => {
                assert_eq!(search.audit_trails(who, query).await.unwrap().rows, []);
            }
            Self::Search(View::MeterReads, query) => {
                assert_eq!(search.meter_reads(who, query).await.unwrap().rows, []);
            }
            Self::Get(View::Audit, reference) => {
                search.audit_trail(who, &(*reference).into()).await.unwrap_err();
            }
            Self::Get(View::MeterReads, reference) => {
                search.meter_read(who, &(*reference).into()).await.unwrap_err();
            }
        }
    }
}

/// What questions took between two looks at the counters: footers and pages, of each those in memory and those not, requests to the
/// store, runs of which pages were read, and those pages.
type Spent = [u64; 7];

fn spent(before: StoreUse, after: StoreUse) -> Spent {
    let of = |used: StoreUse| {
        let StoreUse { gets, footers, pages, runs_touched, pages_read, .. } = used;
        [footers.hits, footers.misses, pages.hits, pages.misses, gets, runs_touched, pages_read]
    };
    let (before, after) = (of(before), of(after));
    std::array::from_fn(|at| after[at] - before[at])
}

/// What one question costs, of a lake of which nothing is in memory, and of one that answered it before.
async fn costs(world: &World, ask: &Ask) -> [Spent; 2] {
    let lake = world.lake(Duration::ZERO).await;
    let (search, who) = (world.search(&lake), world.caller());
    let mut costs = [[0; 7]; 2];
    for cost in &mut costs {
        let before = lake.store_use();
        ask.by(&search, &who).await;
        *cost = spent(before, lake.store_use());
    }
    costs
}

/// Holds that what is of others costs what costs that is not there. Filters let through what is not there once in a thousand times,
/// and as rarely for the ones as for the others.
fn cost_alike(hidden: &[[Spent; 2]], absent: &[[Spent; 2]], what: &str) {
    let commonest = |costs: &[[Spent; 2]]| {
        let mut counts: HashMap<[Spent; 2], usize> = HashMap::new();
        costs.iter().for_each(|cost| *counts.entry(*cost).or_default() += 1);
        counts.into_iter().max_by_key(|(_, count)| *count).unwrap()
    };
    let ((of_hidden, hidden_count), (of_absent, absent_count)) = (commonest(hidden), commonest(absent));
    assert_eq!(of_hidden, of_absent, "{what}: footers, pages, requests, runs, pages read");
    let rest = [hidden.len() - hidden_count, absent.len() - absent_count];
    assert!(rest.iter().all(|rest| rest * 20 <= hidden.len()), "{what}: {rest:?} cost something else");
}

async fn all_costs(world: &World, asks: impl Iterator<Item = Ask>) -> Vec<[Spent; 2]> {
    let mut all = Vec::new();
    for ask in asks {
        all.push(costs(world, &ask).await);
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_device_costs_what_an_absent_one_does() {
    let world = World::of(EACH).await;
    for (view, kinds) in [
        (View::Audit, &[Kind::Hidden, Kind::Beside, Kind::Open][..]),
        (View::MeterReads, &[Kind::Hidden, Kind::Beside]),
    ] {
        for way in 0..Ask::all_of_device(view, Kind::Absent, 0).len() {
            let asks = |kind| (0..ASKED).map(move |n| Ask::all_of_device(view, kind, n).swap_remove(way));
            let absent = all_costs(&world, asks(Kind::Absent)).await;
            assert!(absent.iter().all(|[cold, _]| cold[1] > 0), "footers are read: {absent:?}");
            for kind in kinds {
                let hidden = all_costs(&world, asks(*kind)).await;
                cost_alike(&hidden, &absent, &format!("{view:?} {kind:?} {way}"));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_meter_point_costs_what_an_absent_one_does() {
    let world = World::of(EACH).await;
    for (view, kinds) in [(View::Audit, &[Kind::Hidden, Kind::Open][..]), (View::MeterReads, &[Kind::Hidden])]
    {
        let asks = |kind| (0..ASKED).map(move |number| Ask::of_mpxn(view, kind, number));
        let absent = all_costs(&world, asks(Kind::Absent)).await;
        assert!(absent.iter().all(|[cold, _]| cold[3] > 0), "pages of pairs are read: {absent:?}");
        for kind in kinds {
            let hidden = all_costs(&world, asks(*kind)).await;
            cost_alike(&hidden, &absent, &format!("{view:?} {kind:?}"));
        }
    }
}

/// The same of one that the inventory knows, as it knows of the absent one; and of its UPRN.
#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_meter_point_of_the_inventory_costs_what_an_absent_one_does() {
    // In one bucket, since two keys of a premises in one of several would share a footer, whoever's they are.
    let world = World::with_inventory(EACH, Some(1)).await;
    for (way, ask) in [("MPxN", Ask::of_mpxn as fn(View, Kind, usize) -> Ask), ("UPRN", Ask::of_uprn)] {
        for (view, kinds) in
            [(View::Audit, &[Kind::Hidden, Kind::Open][..]), (View::MeterReads, &[Kind::Hidden])]
        {
            let asks = |kind| (0..ASKED).map(move |number| ask(view, kind, number));
            let absent = all_costs(&world, asks(Kind::Absent)).await;
            assert!(
                absent.iter().all(|[cold, _]| cold[3] > 9),
                "pages of the inventory are read: {absent:?}"
            );
            for kind in kinds {
                let hidden = all_costs(&world, asks(*kind)).await;
                cost_alike(&hidden, &absent, &format!("{way} {view:?} {kind:?}"));
            }
        }
    }
}

/// What is looked for in vain shows nothing, and takes nothing from what is there.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_the_callers_own_is_found_beside_what_is_hidden() {
    let world = World::of(EACH).await;
    let lake = world.lake(Duration::ZERO).await;
    let (search, who) = (world.search(&lake), world.caller());
    for number in 0..EACH {
        for key in [SearchKey::Device(device(Kind::Own, number)), SearchKey::Mpxn(mpxn(Kind::Own, number))] {
            let query = Query::of(key);
            assert_eq!(search.audit_trails(&who, &query).await.unwrap().rows.len(), 6);
            assert_eq!(search.meter_reads(&who, &query).await.unwrap().rows.len(), 6);
        }
        let open = Query::of(SearchKey::Mpxn(mpxn(Kind::Open, number)));
        assert_eq!(search.meter_reads(&who, &open).await.unwrap().rows.len(), 6);
    }
}

/// How many of so many the attacker tells right, who learns a limit from one half of them and goes by it with the other.
fn told_right(hidden: &[Duration], absent: &[Duration]) -> (usize, usize) {
    let every_other = |times: &[Duration], first: usize| -> Vec<Duration> {
        times.iter().skip(first).step_by(2).copied().collect()
    };
    let [known_hidden, known_absent] = [hidden, absent].map(|times| every_other(times, 0));
    let [new_hidden, new_absent] = [hidden, absent].map(|times| every_other(times, 1));
    let right = |limit: Duration, above: bool, hidden: &[Duration], absent: &[Duration]| {
        let told = |times: &[Duration], is_hidden| {
            times.iter().filter(|time| ((**time > limit) == above) == is_hidden).count()
        };
        told(hidden, true) + told(absent, false)
    };
    let limits = known_hidden.iter().chain(&known_absent).flat_map(|limit| [(*limit, true), (*limit, false)]);
    let (limit, above) = limits
        .max_by_key(|(limit, above)| right(*limit, *above, &known_hidden, &known_absent))
        .unwrap_or_default();
    (right(limit, above, &new_hidden, &new_absent), new_hidden.len() + new_absent.len())
}

/// The times that answers take, each the median of some rounds through all in another order.
async fn times(world: &World, asks: &[Ask], rounds: usize, cold: Option<Duration>) -> Vec<Duration> {
    let who = world.caller();
    let kept = world.lake(Duration::ZERO).await;
    let mut times = vec![Vec::with_capacity(rounds); asks.len()];
    // The first round only warms up.
    for round in 0..=rounds {
        let mut order: Vec<usize> = (0..asks.len()).collect();
        order.sort_by_key(|at| mixed((round * asks.len() + at) as u64));
        for at in order {
            let lake = match cold {
                Some(wait) => world.lake(wait).await,
                None => kept.clone(),
            };
            let search = world.search(&lake);
            let start = Instant::now();
            asks[at].by(&search, &who).await;
            if round > 0 || rounds == 0 {
                times[at].push(start.elapsed());
            }
        }
    }
    let median = |mut times: Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2]
    };
    times.into_iter().map(median).collect()
}

/// The attacker asks for Devices and meter points of which half are of others, and goes by the time alone.
#[tokio::test(flavor = "multi_thread")]
async fn an_attacker_tells_nothing_apart_by_time() {
    let asked = std::env::var_os("GRIDTRAIL_TOLD_APART");
    let each =
        asked.as_ref().map_or(8, |count| count.to_str().and_then(|n| n.parse().ok()).unwrap_or(200) / 2);
    let (world, known) = (World::of(each.max(EACH)).await, World::with_inventory(each.max(EACH), None).await);
    let device = |view, kind, number| Ask::all_of_device(view, kind, number).swap_remove(0);
    let mut figures = Vec::new();
    for (name, world, view, ask) in [
        ("Devices, narrow", &world, View::Audit, device as fn(View, Kind, usize) -> Ask),
        ("Devices, narrow, meter reads", &world, View::MeterReads, device),
        ("meter points", &world, View::Audit, Ask::of_mpxn),
        ("meter points, meter reads", &world, View::MeterReads, Ask::of_mpxn),
        ("meter points of the inventory", &known, View::Audit, Ask::of_mpxn),
        ("UPRNs, meter reads", &known, View::MeterReads, Ask::of_uprn),
    ] {
        let asks: Vec<Ask> = [Kind::Hidden, Kind::Absent]
            .iter()
            .flat_map(|kind| (0..each).map(|number| ask(view, *kind, number)))
            .collect();
        for (state, rounds, wait) in [("warm", ROUNDS, None), ("cold", 1, Some(Duration::from_millis(2)))] {
            let times = times(world, &asks, if asked.is_some() { rounds } else { 1 }, wait).await;
            let (right, of) = told_right(&times[..each], &times[each..]);
            figures.push(format!("{name}, {state}: {right} of {of}"));
            // Three standard deviations of a coin that is tossed as often.
            let chance = of as f64 / 2.0 + 3.0 * (of as f64 / 4.0).sqrt();
            assert!(asked.is_none() || right as f64 <= chance, "told apart by time: {figures:?}");
        }
    }
    println!("told right by time alone: {}", figures.join("; "));
    // It does tell apart what does differ.
    let (fast, slow) = (Duration::from_micros(516), Duration::from_micros(551));
    assert_eq!(told_right(&[slow; 40], &[fast; 40]), (40, 40));
}
