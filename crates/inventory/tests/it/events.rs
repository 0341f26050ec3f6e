//! Lives of Devices and meter points, told step by step.

use crate::it::at;
use gridtrail_inventory::{
    DeviceDetails, Effective, FactOrigin, FieldChange, InventoryEvent, InventoryFact, InventoryFragment,
    InventoryStatement, Registration, StatedFact, Withdrawal,
};
use gridtrail_model::{CspRegion, DeviceId, DeviceType, Mpxn, Named, SmiStatus, Timestamp, UserId};

const METER: DeviceId = DeviceId::from_bytes([1; 8]);
const HUB: DeviceId = DeviceId::from_bytes([2; 8]);
const AVON: UserId = UserId::from_bytes([7; 8]);
const BRENT: UserId = UserId::from_bytes([8; 8]);

fn mpxn() -> Mpxn {
    "1312345678111".parse().unwrap()
}

struct Tell {
    id: &'static str,
    from: i64,
    until: Option<i64>,
    recorded: i64,
    corrects: Option<&'static str>,
    origin: FactOrigin,
}

const fn tell(id: &'static str, from: i64, recorded: i64) -> Tell {
    Tell { id, from, until: None, recorded, corrects: None, origin: FactOrigin::Inventory }
}

impl Tell {
    fn that(self, fact: InventoryFact) -> InventoryEvent {
        let effective = Effective::new(at(self.from), self.until.map(at)).unwrap();
        let corrects = self.corrects.map(|id| id.parse().unwrap());
        let told = InventoryStatement::Fact(StatedFact { effective, corrects, fact });
        let id = self.id.parse().unwrap();
        InventoryEvent { recorded_at: at(self.recorded), id, origin: self.origin, told }
    }
}

fn withdrawn(id: &str, of: &str, about: Named, recorded: i64) -> InventoryEvent {
    let told = InventoryStatement::Withdrawal(Withdrawal::new(of.parse().unwrap(), vec![about]).unwrap());
    InventoryEvent { recorded_at: at(recorded), id: id.parse().unwrap(), origin: FactOrigin::Inventory, told }
}

fn fragment(about: Named, events: impl IntoIterator<Item = InventoryEvent>) -> InventoryFragment {
    let mut fragment = InventoryFragment::new(about);
    events.into_iter().for_each(|event| assert!(fragment.add(event)));
    fragment
}

fn status(status: SmiStatus) -> InventoryFact {
    InventoryFact::SmiStatus { device: METER, status: Some(status) }
}

/// The history as texts: status, since when and until when, in hours.
fn history(fragment: &InventoryFragment, recorded: i64) -> Vec<(SmiStatus, i64, Option<i64>)> {
    let hours = |time: Timestamp| (time.millis() - at(0).millis()) / 3_600_000;
    let statuses = fragment.known_at(at(recorded)).smi_statuses();
    let of = |period: &gridtrail_inventory::Period<SmiStatus>| {
        (period.value, hours(period.from), period.until.map(hours))
    };
    statuses.periods().iter().map(of).collect()
}

#[test]
fn a_status_that_comes_late_takes_its_place_in_the_history() {
    use SmiStatus::{Commissioned, Pending, Whitelisted};
    let of = fragment(
        Named::Device(METER),
        [
            tell("a", 0, 0).that(status(Pending)),
            tell("c", 10, 10).that(status(Commissioned)),
            tell("b", 5, 20).that(status(Whitelisted)),
            tell("again", 12, 12).that(status(Commissioned)),
        ],
    );
    assert_eq!(history(&of, 9), [(Pending, 0, None)]);
    assert_eq!(history(&of, 15), [(Pending, 0, Some(10)), (Commissioned, 10, None)]);
    assert_eq!(
        history(&of, 20),
        [(Pending, 0, Some(5)), (Whitelisted, 5, Some(10)), (Commissioned, 10, None)]
    );
}

#[test]
fn a_correction_stands_in_the_place_of_what_it_corrects_from_when_it_is_known() {
    use SmiStatus::{Commissioned, Suspended};
    let of = fragment(
        Named::Device(METER),
        [
            tell("a", 5, 5).that(status(Suspended)),
            Tell { corrects: Some("a"), ..tell("b", 3, 9) }.that(status(Commissioned)),
            withdrawn("c", "b", Named::Device(METER), 15),
        ],
    );
    assert_eq!(history(&of, 8), [(Suspended, 5, None)]);
    assert_eq!(history(&of, 9), [(Commissioned, 3, None)]);
    assert_eq!(history(&of, 15), [], "what was corrected does not come back");
}

#[test]
fn messages_fill_what_no_event_says_and_override_none() {
    use SmiStatus::{Commissioned, Pending, Suspended};
    let message = |id, from| Tell { origin: FactOrigin::Duis, ..tell(id, from, from) };
    let of = fragment(
        Named::Device(METER),
        [
            message("m1", 1).that(status(Pending)),
            message("m2", 8).that(status(Suspended)),
            tell("e", 5, 20).that(status(Commissioned)),
            withdrawn("w", "e", Named::Device(METER), 30),
        ],
    );
    assert_eq!(history(&of, 10), [(Pending, 1, Some(8)), (Suspended, 8, None)]);
    assert_eq!(history(&of, 20), [(Pending, 1, Some(5)), (Commissioned, 5, None)]);
    assert_eq!(history(&of, 30), history(&of, 10), "a withdrawn event says nothing");
}

#[test]
fn a_meter_exchange_and_a_supplier_who_left() {
    let old = METER;
    let new = DeviceId::from_bytes([3; 8]);
    let there = |device, installed| InventoryFact::Installation { device, mpxn: mpxn(), installed };
    let supplier = |user: FieldChange<UserId>| InventoryFact::Registration {
        mpxn: mpxn(),
        data: Registration { responsible_supplier: user, ..Registration::default() },
    };
    let of = fragment(
        Named::Mpxn(mpxn()),
        [
            tell("i1", 0, 0).that(there(old, true)),
            tell("r1", 10, 10).that(there(old, false)),
            tell("i2", 11, 11).that(there(new, true)),
            tell("s1", 0, 0).that(supplier(FieldChange::Value(AVON))),
            Tell { until: Some(20), ..tell("s2", 10, 10) }.that(supplier(FieldChange::Value(BRENT))),
            tell("s3", 30, 30).that(supplier(FieldChange::Value(AVON))),
            tell("s4", 40, 40).that(supplier(FieldChange::Cleared)),
        ],
    );
    let view = of.known();
    let state = |hour| view.meter_point_at(at(hour)).unwrap();
    assert_eq!([9, 10, 11].map(|hour| state(hour).devices), [vec![old], vec![], vec![new]]);
    let supplier = |hour| state(hour).registration.responsible_supplier.value().copied();
    assert_eq!([9, 10, 19].map(supplier), [Some(AVON), Some(BRENT), Some(BRENT)]);
    assert_eq!(supplier(20), None, "whom another followed does not come back when that one ends");
    assert_eq!([30, 40].map(supplier), [Some(AVON), None]);
    let periods = view.devices();
    assert_eq!(periods[&old].periods()[0].until, Some(at(10)));
    assert_eq!((periods[&new].periods()[0].from, periods[&new].periods()[0].until), (at(11), None));
    assert!(view.device_at(at(9)).is_none());
}

#[test]
fn associations_have_a_direction_and_a_region_a_history() {
    let associated = |device, with| InventoryFact::Association { device, with, associated: true };
    let region = |region| InventoryFact::Region { hub: HUB, region };
    let of = fragment(
        Named::Device(HUB),
        [
            tell("a", 0, 0).that(associated(METER, HUB)),
            tell("b", 5, 5).that(associated(HUB, METER)),
            tell("n", 0, 0).that(region(CspRegion::North)),
            tell("s", 7, 7).that(region(CspRegion::South)),
        ],
    );
    let view = of.known();
    let state = |hour| view.device_at(at(hour)).unwrap();
    assert_eq!((state(0).associated, state(0).associated_with), (vec![METER], vec![]));
    assert_eq!((state(5).associated, state(5).associated_with), (vec![METER], vec![METER]));
    let regions: Vec<_> = view.regions().periods().iter().map(|period| period.value).collect();
    assert_eq!(regions, [CspRegion::North, CspRegion::South]);
    assert_eq!(state(6).region, Some(CspRegion::North));
}

#[test]
fn a_type_2_device_shows_no_status_and_a_removed_one_is_not_in_the_inventory() {
    let details = |device_type| DeviceDetails { device_type: Some(device_type), ..DeviceDetails::default() };
    let of = fragment(
        Named::Device(METER),
        [
            tell("s", 0, 0).that(status(SmiStatus::Commissioned)),
            tell("t", 5, 5).that(InventoryFact::Device { device: METER, details: details(DeviceType::Ihd) }),
            tell("r", 9, 9).that(InventoryFact::DeviceRemoved { device: METER }),
        ],
    );
    let view = of.known();
    let state = |hour| view.device_at(at(hour)).unwrap();
    assert_eq!(state(4).smi_status_shown(), Some(SmiStatus::Commissioned));
    assert_eq!((state(5).smi_status, state(5).smi_status_shown()), (Some(SmiStatus::Commissioned), None));
    assert_eq!([-1, 0, 5, 9].map(|hour| state(hour).in_inventory), [false, true, true, false]);
}
