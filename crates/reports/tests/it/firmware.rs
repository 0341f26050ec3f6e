//! The Firmware Activations Report holds what plain loops over a region's trails and versions come to.

use crate::it::truth::*;
use gridtrail_model::*;
use gridtrail_synth::{ExpectedTrail, ExpectedVersion};
use std::collections::BTreeMap;

const DAY_MS: i64 = 86_400_000;

/// What is known of firmware in a region.
struct Firmware {
    versions: BTreeMap<DeviceId, Vec<ExpectedVersion>>,
    /// When the DCC told that a distribution had failed.
    undistributed: BTreeMap<RequestId, Timestamp>,
    /// When each activation is to take effect, by its Device.
    activations: BTreeMap<DeviceId, Vec<Timestamp>>,
}

fn is_of(row: &ExpectedTrail, variant: &str) -> bool {
    text_of(row.variant).as_deref() == Some(variant)
}

/// Whether a row is an activation that the Device is to carry out.
fn activates(row: &ExpectedTrail) -> bool {
    is_of(row, "11.3") && row.command_variant != CommandVariant::new(4)
}

fn starts_at(row: &ExpectedTrail) -> Timestamp {
    row.execution_at.unwrap_or(row.received_at)
}

impl Firmware {
    fn of(asked: &Asked<'_>, rows: &[ExpectedTrail]) -> Self {
        let mut all = Self {
            versions: BTreeMap::new(),
            undistributed: asked.world.firmware().filter_map(|story| story.undistributed).collect(),
            activations: BTreeMap::new(),
        };
        for version in asked.world.firmware_versions() {
            all.versions.entry(version.device).or_default().push(version);
        }
        for row in rows.iter().filter(|row| activates(row)) {
            if let Some(device) = row.device_id {
                all.activations.entry(device).or_default().push(starts_at(row));
            }
        }
        all
    }

    /// The version before, and the one after with its first instant.
    fn around(&self, row: &ExpectedTrail) -> (Option<&'static str>, Option<ExpectedVersion>) {
        let named = row.device_id.filter(|_| is_of(row, "11.3") || row.concerned_device.is_none());
        let versions = named.and_then(|device| self.versions.get(&device)).map_or(&[][..], Vec::as_slice);
        let is_in_force = |one: &&ExpectedVersion| {
            one.from <= row.received_at && one.until.is_none_or(|until| row.received_at < until)
        };
        let before = versions.iter().find(is_in_force).map(|one| one.version);
        let start = starts_at(row);
        let later = named.filter(|_| activates(row)).and_then(|device| self.activations.get(&device));
        let next = later.and_then(|all| all.iter().filter(|at| **at > start).min());
        let until = next.copied().unwrap_or(Timestamp::MAX).min(start.plus_millis(31 * DAY_MS));
        let is_after =
            |one: &&ExpectedVersion| (start..until).contains(&one.from) && Some(one.version) != before;
        let may_follow = row.command_variant != CommandVariant::new(4);
        (before, versions.iter().filter(|_| may_follow).find(is_after).copied())
    }
}

/// Zero differences. Returns how many rows there are, how many of them have a version after, and how many distributions failed.
pub(crate) async fn firmware_activations(asked: &Asked<'_>) -> [usize; 3] {
    let (rows, span) = (asked.rows(), asked.period.span());
    let firmware = Firmware::of(asked, &rows);
    let is_firmware = |row: &&ExpectedTrail| is_of(row, "11.1") || is_of(row, "11.3");
    let mut requests: Vec<&ExpectedTrail> =
        rows.iter().filter(is_firmware).filter(|row| is_within(row.received_at, span)).collect();
    requests.sort_by_key(|row| {
        let leg = last(row.command_variant.map(CommandVariant::number));
        (row.received_at, row.key.user.to_string(), last(text_of(row.request_id)), leg)
    });
    let verified = |request: &ExpectedTrail| {
        let of_device = rows.iter().filter(|row| {
            matches!(text_of(row.alert_code).as_deref(), Some("8F72" | "8F1C"))
                && (row.key.user, row.device_id) == (request.key.user, request.device_id)
                && row.received_at <= request.received_at
        });
        of_device.max_by_key(|row| (row.received_at, text_of(row.alert_code))).copied()
    };
    let row = |request: &&ExpectedTrail| {
        let is_activation = is_of(request, "11.3");
        let verified = verified(request).filter(|_| is_activation);
        let undistributed = request.request_id.and_then(|id| firmware.undistributed.get(&id));
        let (before, after) = firmware.around(request);
        vec![
            if is_activation { "Activation" } else { "Distribution" }.to_owned(),
            request.key.user.to_string(),
            shown(request.request_id),
            shown(request.command_variant),
            shown(request.device_id),
            shown(request.mpxn),
            usize::from(request.concerned_device.is_some()).to_string(),
            time(Some(request.received_at)),
            time(request.execution_at),
            shown(undistributed.map(|_| "N18")),
            time(undistributed.copied()),
            shown(verified.and_then(|row| row.alert_code)),
            time(verified.map(|row| row.received_at)),
            shown(before),
            shown(after.map(|one| one.version)),
            time(after.map(|one| one.from)),
            time(request.sent_at),
            shown(request.response_code),
            request.simplified.to_string(),
            request.current_status.to_string(),
        ]
    };
    let expected: Vec<Vec<String>> = requests.iter().map(row).collect();
    let with = |column: usize| expected.iter().filter(|row| !row[column].is_empty()).count();
    let (undistributed, followed) = (with(9), with(14));
    let found = asked.check("firmware-activations", &asked.period.given(), expected).await;
    [found, followed, undistributed]
}
