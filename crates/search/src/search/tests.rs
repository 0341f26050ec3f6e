//! Searches over a lake that is made up: rows by hand, and a clock of its own.

mod laws;
mod pages;
mod rights;
mod tokens;

use super::*;
use crate::AsOf;
use crate::SearchErrorKind;
use crate::fake::{FakeLake, Fault};
use crate::limits::{DEVICES_MAX, METER_POINTS_OF_UPRN_MAX, PAGE_TOKEN_LIFE_MS, PAGE_WEIGHT_MAX};
use crate::query::SearchKey;
use gridtrail_access::{Bearer, DevKey, JobTypeRole, OrgId};
use gridtrail_inventory::{
    Effective, FactOrigin, FieldChange, InventoryEvent, InventoryFact, InventoryStatement, Registration,
    StatedFact,
};
use gridtrail_model::{
    Anchor, CommandVariant, Fragment, HistoryEntry, Leg, Mpxn, RequestId, ServiceReferenceVariant, State,
    Subject, TrailKey, UserId,
};
use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::LazyLock;

static KEY: LazyLock<DevKey> = LazyLock::new(|| DevKey::generate().unwrap());

const MPXNS: [&str; 2] = ["1217290354420", "000123"];
const UPRNS: [&str; 2] = ["100012345", "100012346"];
const VARIANTS: [Option<&str>; 5] = [Some("4.8.1"), Some("4.17"), Some("4.8"), Some("11.2"), None];

fn start() -> Timestamp {
    "2026-03-01T00:00:00Z".parse().unwrap()
}

fn device(number: u8) -> DeviceId {
    DeviceId::from_bytes([0x90, 0xB3, 0xD5, 0x1F, 0x30, 0, 0, number])
}

fn user(number: u8) -> UserId {
    UserId::from_bytes([0x88, 0x73, 0x84, 0x57, 0, 0, 0, number])
}

fn users(numbers: &[u8]) -> BTreeSet<UserId> {
    numbers.iter().copied().map(user).collect()
}

fn access_with(subject: &str, user_ids: &[u8], role: u8, now: Timestamp) -> Access {
    let claims = Bearer {
        subject: subject.into(),
        party: "Avon".parse().unwrap(),
        org_id: OrgId::All,
        user_ids: users(user_ids),
        roles: BTreeSet::from([JobTypeRole::new(role).unwrap()]),
        valid_from: now,
        expires_at: now.plus_millis(12 * 3_600_000),
    };
    KEY.access(&claims).unwrap()
}

fn access(subject: &str, user_ids: &[u8]) -> Access {
    access_with(subject, user_ids, 1, start())
}

/// One small row; few values, so that rows tie on everything but their key.
#[derive(Debug, Clone, Copy)]
struct Seed {
    device: u8,
    user: u8,
    second: u8,
    counter: u8,
    variant: usize,
    mpxn: Option<usize>,
}

impl Seed {
    fn placement(self) -> Timestamp {
        start().plus_millis(i64::from(self.second) * 1000)
    }

    fn variant(self) -> Option<ServiceReferenceVariant> {
        VARIANTS[self.variant].map(|text| text.parse().unwrap())
    }

    fn fragment(self) -> Fragment {
        let request_id = RequestId {
            originator: user(self.user),
            target: device(self.device),
            counter: self.counter.into(),
        };
        let command_variant = CommandVariant::new(1).unwrap();
        let subject = Subject::Leg(Leg { request_id, command_variant });
        let key = TrailKey { user: user(self.user), subject };
        let mut fragment = Fragment::new(key, self.placement());
        fragment.device.add(device(self.device));
        fragment.received.add(self.placement());
        fragment.variant.add_some(self.variant());
        fragment.mpxn.add_some(self.mpxn.map(|mpxn| MPXNS[mpxn].parse().unwrap()));
        fragment
    }
}

/// Something that the inventory is told, since a second and until another.
#[derive(Debug, Clone, Copy)]
struct Told {
    what: What,
    from: i64,
    until: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// A Device is at a meter point.
    At(u8, usize),
    /// It is Associated with another.
    With(u8, u8),
    /// A meter point has a UPRN.
    Uprn(usize, usize),
}

impl What {
    /// Whether one ends what the other says: a meter point has one UPRN.
    fn is_of_the_field_of(self, other: Self) -> bool {
        match (self, other) {
            (Self::Uprn(one, _), Self::Uprn(other, _)) => one == other,
            _ => self == other,
        }
    }
}

fn second(number: i64) -> Timestamp {
    start().plus_millis(number * 1000)
}

/// The events that say so, of which each was recorded behind the one before it.
fn events_of(told: &[Told]) -> Vec<InventoryEvent> {
    let mpxn = |number: usize| MPXNS[number].parse().unwrap();
    let event = |(number, told): (usize, &Told)| {
        let fact = match told.what {
            What::At(at, point) => {
                InventoryFact::Installation { device: device(at), mpxn: mpxn(point), installed: true }
            }
            What::With(one, other) => {
                InventoryFact::Association { device: device(one), with: device(other), associated: true }
            }
            What::Uprn(point, uprn) => {
                let uprn = FieldChange::Value(UPRNS[uprn].parse().unwrap());
                let data = Registration { uprn, ..Registration::default() };
                InventoryFact::Registration { mpxn: mpxn(point), data }
            }
        };
        let effective = Effective::new(second(told.from), told.until.map(second)).unwrap();
        InventoryEvent {
            recorded_at: start().plus_millis(i64::try_from(number).unwrap()),
            id: format!("told-{number}-{}", told.from).parse().unwrap(),
            origin: FactOrigin::Inventory,
            told: InventoryStatement::Fact(StatedFact { effective, corrects: None, fact }),
        }
    };
    told.iter().enumerate().map(event).collect()
}

const ROW: Seed = Seed { device: 1, user: 1, second: 0, counter: 0, variant: 0, mpxn: None };

fn rows_of(seeds: &[Seed]) -> Vec<Fragment> {
    seeds.iter().map(|seed| seed.fragment()).collect()
}

/// A search over a fake lake with a clock of its own.
struct Bench {
    lake: FakeLake,
    clock: Clock,
    search: Search,
}

fn bench(seeds: &[Seed]) -> Bench {
    let lake = FakeLake::default();
    lake.commit(rows_of(seeds), Some(start()));
    let clock = Clock::manual(start());
    let search = Search::new(lake.clone(), clock.clone(), PageKey::random().unwrap());
    Bench { lake, clock, search }
}

fn ten_rows() -> Vec<Seed> {
    (0..10).map(|counter| Seed { counter, second: counter / 3, ..ROW }).collect()
}

fn by_device(number: u8) -> Query {
    Query::of(SearchKey::Device(device(number)))
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    futures::executor::block_on(future)
}

fn violation(result: Result<Page, SearchError>) -> (&'static str, String) {
    match result {
        Err(SearchError::Invalid(violations)) if violations.len() == 1 => {
            (violations[0].field, violations[0].rule.clone())
        }
        other => panic!("expected one violation, got {other:?}"),
    }
}

fn first_page(bench: &Bench, who: &Access, query: &Query) -> (Page, Query) {
    let page = block_on(bench.search.audit_trails(who, query)).unwrap();
    let next = Query { page_token: page.next_page_token.clone(), ..query.clone() };
    (page, next)
}

/// A row that was tried again and again.
fn with_history(entries: usize) -> Fragment {
    history_of(ROW, entries)
}

fn history_of(seed: Seed, entries: usize) -> Fragment {
    let mut fragment = seed.fragment();
    for number in 0..entries {
        let at = start().plus_millis(i64::try_from(number).unwrap());
        assert!(fragment.record(HistoryEntry::new(State::Retrying, at)));
    }
    fragment
}
