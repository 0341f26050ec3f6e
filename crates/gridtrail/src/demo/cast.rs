//! Who searches for what in the demo: two Users, a smart meter that both have sent requests to, and a premises whose meter was exchanged.

use gridtrail_model::{DeviceId, Timestamp, Uprn, UserId};
use gridtrail_synth::{ExpectedState, Household, World};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

/// A meter with rows of two Users, of which the first has meter reads and other rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cast {
    pub(super) device: DeviceId,
    pub(super) first: UserId,
    pub(super) second: UserId,
    /// Rows of the first and of the second User, of any kind.
    pub(super) rows: [u64; 2],
    /// Meter reads of all Users.
    pub(super) meter_reads: u64,
}

#[derive(Debug, Default, Clone, Copy)]
struct Share {
    reads: u64,
    others: u64,
}

/// The meter that shows most, by the truth of the generated day.
pub(super) fn cast(world: &World) -> Option<Cast> {
    let mut shares: HashMap<DeviceId, BTreeMap<UserId, Share>> = HashMap::new();
    for trail in world.truth() {
        let Some(device) = trail.device_id else { continue };
        let share = shares.entry(device).or_default().entry(trail.key.user).or_default();
        if trail.variant.is_some_and(|variant| variant.is_meter_read()) {
            share.reads += 1;
        } else {
            share.others += 1;
        }
    }
    let all = shares.iter().filter_map(|(device, users)| of_device(*device, users));
    // Tables that fit a screen, in which every point shows: rows of both, and meter reads of several.
    all.filter(|cast| cast.rows[0] + cast.rows[1] <= 8).max_by_key(|cast| {
        let Cast { rows: [first, second], meter_reads, device, .. } = *cast;
        (second.min(2), meter_reads.min(3), first.min(4), std::cmp::Reverse(device))
    })
}

fn of_device(device: DeviceId, users: &BTreeMap<UserId, Share>) -> Option<Cast> {
    let rows = |share: &Share| share.reads + share.others;
    let (first, a) =
        users.iter().filter(|(_, s)| s.reads > 0 && s.others > 0).max_by_key(|(_, s)| rows(s))?;
    let (second, b) = users.iter().filter(|(user, _)| *user != first).max_by_key(|(_, s)| rows(s))?;
    let meter_reads = users.values().map(|share| share.reads).sum();
    Some(Cast { device, first: *first, second: *second, rows: [rows(a), rows(b)], meter_reads })
}

/// A premises whose electricity meter was exchanged in the day, and its supplier, who has rows of both meters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exchanged {
    pub(super) uprn: Uprn,
    pub(super) user: UserId,
    pub(super) at: Timestamp,
    pub(super) former: DeviceId,
    pub(super) present: DeviceId,
    /// The Communications Hub Function.
    pub(super) hub: DeviceId,
    /// Rows of the User on the former meter and on the present one.
    pub(super) rows: [u64; 2],
}

/// The exchange of which a supplier has most to see, with a UPRN that no other premises shares.
pub(super) fn exchanged(world: &World) -> Option<Exchanged> {
    let start = world.settings().start;
    // The premises of each such meter, whether it is the former or the present one, and when it served.
    let mut meters: HashMap<DeviceId, (u32, usize, Range<Timestamp>)> = HashMap::new();
    for now in world.households() {
        let then = world.household_at(now.number, start);
        if then.electricity.device_id != now.electricity.device_id && then.hub == now.hub {
            let Some(at) = came(world, &now) else { continue };
            meters.insert(then.electricity.device_id, (now.number, 0, Timestamp::MIN..at));
            meters.insert(now.electricity.device_id, (now.number, 1, at..Timestamp::MAX));
        }
    }
    let mut rows: BTreeMap<(u32, UserId), [u64; 2]> = BTreeMap::new();
    for trail in world.truth() {
        let meter = trail.device_id.and_then(|device| meters.get(&device));
        if let Some((number, which, _)) = meter.filter(|(.., served)| served.contains(&trail.received_at)) {
            rows.entry((*number, trail.key.user)).or_default()[*which] += 1;
        }
    }
    let of = |((number, user), rows): (&(u32, UserId), &[u64; 2])| of_premises(world, *number, *user, *rows);
    // Tables that fit a screen.
    let few =
        rows.iter().filter(|(_, [former, present])| *former > 0 && *present > 0 && former + present <= 8);
    few.filter_map(of).max_by_key(|found| (found.rows[0].min(found.rows[1]), std::cmp::Reverse(found.uprn)))
}

fn of_premises(world: &World, number: u32, user: UserId, rows: [u64; 2]) -> Option<Exchanged> {
    let household =
        Some(world.household(number)).filter(|household| household.electricity.supplier.id == user)?;
    let truth = world.inventory_of(number).truth;
    let present = household.electricity.device_id;
    let uprns: BTreeSet<Uprn> = truth.iter().filter_map(|fact| uprn_of(fact.what)).collect();
    // Flats share one: their neighbours are in the same answer.
    let shared = |uprn: &Uprn| {
        let near = number.saturating_sub(8)..(number + 9).min(world.settings().premises);
        let mut others =
            near.filter(|other| *other != number).flat_map(|other| world.inventory_of(other).truth);
        others.any(|fact| uprn_of(fact.what) == Some(*uprn))
    };
    let uprn = uprns.into_iter().next().filter(|uprn| !shared(uprn))?;
    let at = came(world, &household)?;
    let former = world.household_at(number, world.settings().start).electricity.device_id;
    Some(Exchanged { uprn, user, at, former, present, hub: household.hub, rows })
}

/// When the present meter of a premises came.
fn came(world: &World, household: &Household) -> Option<Timestamp> {
    let installed = ExpectedState::Installed(household.electricity.device_id, household.electricity.mpxn);
    world
        .inventory_of(household.number)
        .truth
        .iter()
        .find(|fact| fact.what == installed)
        .map(|fact| fact.from)
}

fn uprn_of(what: ExpectedState) -> Option<Uprn> {
    match what {
        ExpectedState::Uprn(_, uprn) => Some(uprn),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gridtrail_synth::Settings;

    #[test]
    fn a_small_region_has_a_meter_to_show() {
        let world = World::seeded(7, Settings::for_events(60_000, 1)).unwrap();
        let cast = cast(&world).unwrap();
        assert!(cast.rows[0] >= 2 && cast.rows[1] >= 1 && cast.meter_reads >= 1, "{cast:?}");
        assert_ne!(cast.first, cast.second);
        let of_first = world.truth().filter(|t| t.device_id == Some(cast.device) && t.key.user == cast.first);
        assert_eq!(of_first.count() as u64, cast.rows[0]);
    }

    #[test]
    fn a_small_region_has_an_exchange_to_show() {
        let world = World::seeded(7, Settings::for_events(60_000, 1)).unwrap();
        let found = exchanged(&world).unwrap();
        assert_ne!(found.former, found.present);
        assert!(world.settings().start <= found.at && found.at < world.settings().end());
        for (meter, rows) in [(found.former, found.rows[0]), (found.present, found.rows[1])] {
            let served = |at: Timestamp| (meter == found.present) == (at >= found.at);
            let of_user = world.truth().filter(|t| t.device_id == Some(meter) && t.key.user == found.user);
            let of_user = of_user.filter(|t| served(t.received_at));
            assert_eq!(of_user.count() as u64, rows);
            assert!(rows > 0);
        }
    }
}
