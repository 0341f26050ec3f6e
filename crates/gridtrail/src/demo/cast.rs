//! Who searches for what in the demo: two Users, and a smart meter that both have sent requests to.

use gridtrail_model::{DeviceId, UserId};
use gridtrail_synth::World;
use std::collections::{BTreeMap, HashMap};

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
}
