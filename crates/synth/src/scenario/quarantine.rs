//! Anomaly detection: requests held in quarantine, then released, deleted, or left until they are archived and
//! purged (Smart Energy Code Appendix AA).

use super::journey::{Ends, journey};
use crate::plot::{DAY_MS, HOUR_MS, MINUTE_MS, Order, Pace, Plot, SECOND_MS, Target};
use crate::script::{RowNumber, Shows, Why, alert_code, srv};
use gridtrail_model::{Mode, State};

/// A request over a threshold. The User learns by a DCC Alert; the request's own record sometimes says nothing
/// of the quarantine, so that the alert is all there is.
pub(super) fn quarantine(plot: &mut Plot<'_>) {
    let meter = plot.household.electricity;
    let order = Order {
        sender: meter.supplier,
        target: Target::device(meter.device_id, Some(meter.mpxn)),
        variant: srv(plot.chance.pick(&["2.2", "4.8.1", "3.1", "4.6.1"])),
        command_variant: 1,
        execution_at: None,
        mode: Mode::OnDemand,
    };
    let at = plot.opening();
    let row = plot.request(&order, at);
    let held = Shows::Progress(State::Quarantined);
    if plot.chance.per_mille(600) {
        plot.enters_showing(row, 120, State::Quarantined, Why::Text("user threshold breached"), held);
    }
    let why = Why::Quarantine { reference: 10_000_000_000 + plot.number };
    let delay = plot.chance.between(200, 3_000);
    plot.alerts_of(row, delay, alert_code("N36"), (State::Quarantined, why, held));
    match plot.chance.below(100) {
        0..=54 => release(plot, row),
        55..=79 => {
            let delay = plot.chance.between(10 * MINUTE_MS, 90 * HOUR_MS);
            plot.enters_showing(row, delay, State::Deleted, Why::Unsaid, Shows::Failure(State::Deleted));
        }
        _ => {
            let archived = Shows::Failure(State::Archived);
            plot.enters_showing(row, 120 * HOUR_MS, State::Archived, Why::Unsaid, archived);
            let purged = Shows::Failure(State::Purged);
            plot.enters_showing(row, 30 * DAY_MS, State::Purged, Why::Unsaid, purged);
        }
    }
}

fn release(plot: &mut Plot<'_>, row: RowNumber) {
    let delay = plot.chance.between(10 * MINUTE_MS, 48 * HOUR_MS);
    plot.enters(row, delay, State::Released);
    plot.acknowledged(row);
    journey(plot, row, Pace { median_ms: 12 * SECOND_MS, spread: 4 }, Ends::PLAIN);
}
