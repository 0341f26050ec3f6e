//! What premises of a region may be searched by, once all of its inventory events are known.

use gridtrail_model::{DeviceId, DeviceType, Mpxn, Postcode, Uprn};
use gridtrail_synth::{ExpectedState, World};
use serde::{Deserialize, Serialize};

/// Of how many premises at most.
const PREMISES_MOST: u32 = 100_000;

/// One premises' keys. What it does not have is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PremisesKeys {
    /// A meter that is installed there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) device_id: Option<String>,
    /// The meter point at which it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mpxn: Option<String>,
    /// The UPRN of that meter point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) uprn: Option<String>,
    /// The postcode of that meter point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) postcode: Option<String>,
    /// The Communications Hub.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hub: Option<String>,
}

/// The keys of premises, a line each.
pub(super) fn lines(world: &World) -> impl Iterator<Item = String> + '_ {
    let premises = world.settings().premises;
    let step = premises.div_ceil(PREMISES_MOST).max(1);
    // Of fields that are texts alone a JSON object can be written whatever they hold.
    (0..premises)
        .step_by(usize::try_from(step).unwrap_or(usize::MAX))
        .filter_map(|number| serde_json::to_string(&of(world, number)).ok())
}

fn of(world: &World, number: u32) -> PremisesKeys {
    let truth = world.inventory_of(number).truth;
    let now = || truth.iter().filter(|fact| fact.until.is_none()).map(|fact| fact.what);
    let installed: Option<(DeviceId, Mpxn)> = now().find_map(|what| match what {
        ExpectedState::Installed(device, mpxn) => Some((device, mpxn)),
        _ => None,
    });
    let uprn: Option<Uprn> = now().find_map(|what| match what {
        ExpectedState::Uprn(mpxn, uprn) if installed.is_some_and(|(_, at)| at == mpxn) => Some(uprn),
        _ => None,
    });
    let postcode: Option<Postcode> = now().find_map(|what| match what {
        ExpectedState::Postcode(mpxn, postcode) if installed.is_some_and(|(_, at)| at == mpxn) => {
            Some(postcode)
        }
        _ => None,
    });
    let hub: Option<DeviceId> = now().find_map(|what| match what {
        ExpectedState::Type(device, DeviceType::Chf) => Some(device),
        _ => None,
    });
    PremisesKeys {
        device_id: installed.map(|(device, _)| device.to_string()),
        mpxn: installed.map(|(_, mpxn)| mpxn.to_string()),
        uprn: uprn.map(|uprn| uprn.to_string()),
        postcode: postcode.map(|postcode| postcode.to_string()),
        hub: hub.map(|hub| hub.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gridtrail_model::Timestamp;
    use gridtrail_synth::{InventoryState, Settings};

    /// By each key of a line a search finds the meter of that line, once all events are known.
    #[test]
    fn the_keys_of_a_premises_lead_to_its_meter() {
        let world = World::seeded(7, Settings { premises: 60, ..Settings::default() }).unwrap();
        let facts = (0..60).flat_map(|number| world.inventory_of(number).truth);
        let truth = InventoryState::of(facts, Timestamp::MAX);
        let all: Vec<PremisesKeys> = lines(&world).map(|line| serde_json::from_str(&line).unwrap()).collect();
        assert_eq!(all.len(), 60);
        let mut with_uprn = 0;
        for keys in all {
            let (device, mpxn) =
                (keys.device_id.unwrap().parse().unwrap(), keys.mpxn.unwrap().parse().unwrap());
            assert!(truth.installed[&mpxn].contains(&device));
            assert!(truth.postcodes[&keys.postcode.unwrap().parse().unwrap()].contains(&mpxn));
            assert_eq!(truth.types[&keys.hub.unwrap().parse().unwrap()], DeviceType::Chf);
            if let Some(uprn) = keys.uprn {
                assert!(truth.uprns[&uprn.parse().unwrap()].contains(&mpxn));
                with_uprn += 1;
            }
        }
        assert!(with_uprn > 40, "{with_uprn}");
    }
}
