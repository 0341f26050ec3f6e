//! Alerts of Devices and of the DCC. One alert to two Users is two events and two rows.

use crate::plot::{Plot, SECOND_MS};
use crate::script::{Fact, RowNumber, Shows, alert_code};
use crate::users::{ACCESS_CONTROL_BROKER, User};
use gridtrail_model::{DeviceId, Mode, Mpxn, ResponseId, State};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Electricity,
    Hub,
    Proxy,
}

/// Who is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Recipients {
    Supplier,
    Distributor,
    Both,
}

/// Weight, code, source and who is told.
const DEVICE_ALERTS: [(u64, &str, Source, Recipients); 13] = [
    (200, "8F0A", Source::Electricity, Recipients::Supplier),
    (120, "8F36", Source::Electricity, Recipients::Both),
    (70, "8F35", Source::Electricity, Recipients::Both),
    (100, "8002", Source::Electricity, Recipients::Distributor),
    (90, "8086", Source::Electricity, Recipients::Distributor),
    (80, "8F12", Source::Hub, Recipients::Supplier),
    (60, "8071", Source::Proxy, Recipients::Supplier),
    (80, "810D", Source::Electricity, Recipients::Supplier),
    (70, "810E", Source::Electricity, Recipients::Supplier),
    (50, "81A0", Source::Electricity, Recipients::Supplier),
    (40, "8F72", Source::Electricity, Recipients::Supplier),
    (20, "8F57", Source::Electricity, Recipients::Both),
    (20, "8F1E", Source::Electricity, Recipients::Supplier),
];

/// A Device Alert: once, or a throttled sequence of several.
pub(super) fn from_device(plot: &mut Plot<'_>) {
    let place = plot.chance.weighted(DEVICE_ALERTS.iter().map(|alert| alert.0));
    let (_, text, source, told) = DEVICE_ALERTS[place];
    let household = plot.household;
    let (device_id, mpxn) = match source {
        Source::Electricity => (household.electricity.device_id, Some(household.electricity.mpxn)),
        Source::Hub => (household.hub, None),
        Source::Proxy => (household.gas_proxy, household.gas.map(|gas| gas.mpxn)),
    };
    // The DCC knows a billing log that the meter pushes by its own calendar from one that an alarm pushed.
    let by_calendar = text == "8F0A" && plot.chance.per_mille(600);
    let mode = if by_calendar { Mode::MeterScheduled } else { Mode::DeviceAlert };
    let throttled = !by_calendar && plot.chance.per_mille(120);
    let alerts = if throttled { plot.chance.between(2, 9) } else { 1 };
    let at = plot.opening();
    let counter = plot.take_counter();
    for user in recipients(told, household.electricity.supplier, household.distributor) {
        let response_id =
            ResponseId { first: device_id, second: DeviceId::from_bytes(user.id.to_bytes()), counter };
        for turn in 0..alerts {
            let at = at.plus_millis(turn * 7 * SECOND_MS);
            let sequence = throttled.then(|| u32::try_from(turn + 1).unwrap_or(1));
            let alert = (response_id, alert_code(text), sequence);
            let row = plot.alert_row(user.id, alert, (Some(device_id), mpxn), mode, at);
            sent(plot, row, throttled);
        }
    }
}

fn recipients(told: Recipients, supplier: User, distributor: User) -> impl Iterator<Item = User> {
    let supplier = (told != Recipients::Distributor).then_some(supplier);
    let distributor = (told != Recipients::Supplier).then_some(distributor);
    supplier.into_iter().chain(distributor)
}

/// One event when the alert is sent, or one when it comes and one when it is sent.
fn sent(plot: &mut Plot<'_>, row: RowNumber, throttled: bool) {
    let throttle_count = throttled.then(|| u32::try_from(plot.chance.between(2, 40)).unwrap_or(2));
    let twice = plot.chance.per_mille(250);
    if twice {
        let at = plot.script.row(row).received_at;
        let fact = Fact::Alerts { at, sent_at: None, throttle_count, effect: None };
        plot.script.step(row, fact, Shows::Success(State::AlertReceived));
    }
    let sending = plot.chance.long_tailed(600, 4);
    let step = plot.alert_step(row, sending, throttle_count, None);
    if twice {
        // The second event repeats that the alert came.
        step.entries = 1;
    }
}

/// Weight, code and who is told.
const DCC_ALERTS: [(u64, &str, Recipients); 9] = [
    (400, "AD1", Recipients::Both),
    (150, "N1", Recipients::Supplier),
    (120, "N16", Recipients::Both),
    (80, "N24", Recipients::Supplier),
    (70, "N4", Recipients::Supplier),
    (60, "N27", Recipients::Both),
    (60, "N49", Recipients::Supplier),
    (40, "N8", Recipients::Both),
    (20, "N999", Recipients::Supplier),
];

/// A DCC Alert that is about no request.
pub(super) fn from_dcc(plot: &mut Plot<'_>) {
    let place = plot.chance.weighted(DCC_ALERTS.iter().map(|alert| alert.0));
    let (_, text, told) = DCC_ALERTS[place];
    let household = plot.household;
    let about: (Option<DeviceId>, Option<Mpxn>) = match text {
        "AD1" => (Some(household.hub), None),
        // A difference of DUIS versions is about a User, not a Device.
        "N999" => (None, None),
        _ => (Some(household.electricity.device_id), Some(household.electricity.mpxn)),
    };
    let at = plot.opening();
    let counter = plot.take_counter();
    for user in recipients(told, household.electricity.supplier, household.distributor) {
        let response_id = ResponseId {
            first: ACCESS_CONTROL_BROKER,
            second: DeviceId::from_bytes(user.id.to_bytes()),
            counter,
        };
        let alert = (response_id, alert_code(text), None);
        let row = plot.alert_row(user.id, alert, about, Mode::DccAlert, at);
        sent(plot, row, false);
    }
}
