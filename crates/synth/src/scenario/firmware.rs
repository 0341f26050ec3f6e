//! New firmware for a meter: distributed, verified by the Device, and activated; and what goes wrong on the way.

use super::critical::{reports, signed, transform};
use super::journey::{Ends, Outcome, journey, refused_at_once};
use crate::household::Meter;
use crate::plot::{DAY_MS, HOUR_MS, MINUTE_MS, Order, Pace, Plot, SECOND_MS, Target};
use crate::script::{RowNumber, Shows, Why, alert_code, code, srv};
use gridtrail_model::{DeviceId, Mode, ResponseContent, ResponseId, State, Timestamp};

/// How codec and DCC Alert say that the firmware did not get there.
const UNDISTRIBUTED: &str = "firmware was not distributed to 1 of its Devices: N18";

/// Tells of one meter. Returns when it runs the new version, as the DCC learns it; `None`: it never does.
pub(crate) fn roll_out(plot: &mut Plot<'_>, meter: Meter) -> Option<Timestamp> {
    let distributed = distribution(plot, meter)?;
    let verified = verification(plot, meter, distributed)?;
    let delay = plot.chance.between(HOUR_MS, DAY_MS);
    let mut at = verified.plus_millis(delay);
    // What failed is tried once more.
    for _ in 0..2 {
        match activation(plot, meter, at) {
            Activation::Done(at) => return Some(at),
            Activation::Failed(failed) => {
                let delay = plot.chance.between(HOUR_MS, DAY_MS);
                at = failed.plus_millis(delay);
            }
            Activation::Over => return None,
        }
    }
    None
}

/// The 11.1 of one Device. Returns when the DCC had accepted it; `None`: a DCC Alert says that the Device did not get it.
fn distribution(plot: &mut Plot<'_>, meter: Meter) -> Option<Timestamp> {
    let target = Target { addressed: None, ..Target::device(meter.device_id, Some(meter.mpxn)) };
    let order = Order {
        sender: meter.supplier,
        target,
        variant: srv("11.1"),
        command_variant: 8,
        execution_at: None,
        mode: Mode::DccOnly,
    };
    let at = plot.opening();
    let row = plot.request(&order, at);
    let delay = plot.chance.long_tailed(900, 4);
    let done = Shows::Success(State::CompletedDccOnly);
    plot.responds_as(row, delay, (code("I99"), None, ResponseContent::Acknowledgement), done);
    let accepted = plot.script.row(row).now;
    if plot.chance.per_mille(150) {
        let delay = plot.chance.between(HOUR_MS, 20 * HOUR_MS);
        let told = (State::AlertReceived, Why::Text(UNDISTRIBUTED), Shows::Same);
        plot.alerts_of(row, delay, alert_code("N18"), told);
        return None;
    }
    Some(accepted)
}

/// What the Device says of the image. Returns when it was as it was sent.
fn verification(plot: &mut Plot<'_>, meter: Meter, distributed: Timestamp) -> Option<Timestamp> {
    let is_whole = plot.chance.per_mille(880);
    let delay = plot.chance.between(HOUR_MS, 12 * HOUR_MS);
    let at = distributed.plus_millis(delay);
    let response_id = ResponseId {
        first: meter.device_id,
        second: DeviceId::from_bytes(meter.supplier.id.to_bytes()),
        counter: plot.take_counter(),
    };
    let alert = (response_id, alert_code(if is_whole { "8F72" } else { "8F1C" }), None);
    let about = (Some(meter.device_id), Some(meter.mpxn));
    let row = plot.alert_row(meter.supplier.id, alert, about, Mode::DeviceAlert, at);
    let sending = plot.chance.between(500, 5 * SECOND_MS);
    plot.alert_step(row, sending, None, None);
    is_whole.then_some(at)
}

/// What came of an activation.
enum Activation {
    /// The Device runs the new version, since then.
    Done(Timestamp),
    /// It failed, by then.
    Failed(Timestamp),
    /// Nobody knows, or nobody went on with it.
    Over,
}

/// An 11.3 in its two legs, at once or, one in three, future-dated.
fn activation(plot: &mut Plot<'_>, meter: Meter, at: Timestamp) -> Activation {
    plot.goes_on_at(at);
    let execution_at = plot
        .chance
        .per_mille(330)
        .then(|| plot.chance.between(2 * HOUR_MS, DAY_MS))
        .map(|ahead| at.plus_millis(ahead));
    let order = Order {
        sender: meter.supplier,
        target: Target::device(meter.device_id, Some(meter.mpxn)),
        variant: srv("11.3"),
        command_variant: 5,
        execution_at,
        mode: if execution_at.is_some() { Mode::FutureDate } else { Mode::OnDemand },
    };
    let Some((transformed, at)) = transform(plot, &order) else { return Activation::Over };
    let Some(row) = signed(plot, &order, transformed, at) else { return Activation::Over };
    if refused_at_once(plot, row) {
        return Activation::Failed(plot.script.row(row).now);
    }
    plot.acknowledged(row);
    let pace = Pace { median_ms: MINUTE_MS, spread: 3 };
    match execution_at {
        Some(execution_at) => held(plot, (row, pace), execution_at, meter),
        None => {
            let outcome = journey(plot, row, pace, Ends::PLAIN);
            let ended = plot.script.row(row).now;
            match outcome {
                Outcome::Answered => Activation::Done(ended),
                Outcome::Failed => Activation::Failed(ended),
                // Some did it, and nobody heard.
                Outcome::Unanswered if plot.chance.per_mille(500) => {
                    Activation::Done(ended.plus_millis(HOUR_MS))
                }
                Outcome::Unanswered => Activation::Over,
            }
        }
    }
}

/// The Device holds it until its time, and reports then.
fn held(
    plot: &mut Plot<'_>,
    (row, pace): (RowNumber, Pace),
    execution_at: Timestamp,
    meter: Meter,
) -> Activation {
    let ends = Ends { success: Shows::Progress(State::HeldByDevice), own_failure: None };
    if journey(plot, row, pace, ends) != Outcome::Answered {
        return Activation::Failed(plot.script.row(row).now.max(execution_at));
    }
    reports(plot, row, execution_at, meter.device_id, false);
    let ended = plot.script.row(row).now;
    let last = plot.script.steps.iter().rfind(|step| step.row == row).map(|step| step.shows);
    match last {
        Some(Shows::Success(_)) => Activation::Done(ended),
        Some(Shows::Failure(_)) => Activation::Failed(ended),
        _ => Activation::Over,
    }
}
