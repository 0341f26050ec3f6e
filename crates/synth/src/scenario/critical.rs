//! Top-ups, critical commands in two legs, and commands that a Device holds until their time.

use super::journey::{Ends, Outcome, journey, refused_at_once};
use super::reads::carry_out;
use crate::household::Meter;
use crate::plot::{DAY_MS, HOUR_MS, MINUTE_MS, Order, Pace, Plot, SECOND_MS, Target};
use crate::script::{RowNumber, Shows, Why, code, report, srv};
use gridtrail_model::{DeviceId, Mode, ResponseContent, ResponseId, State, Timestamp};

/// Either meter of the household, with the pace of its fuel: a gas meter wakes every half hour.
fn either_meter(plot: &mut Plot<'_>) -> (Meter, Pace) {
    let gas = plot.household.gas.filter(|_| plot.chance.per_mille(430));
    let median_ms = if gas.is_some() { 12 * MINUTE_MS } else { 8 * SECOND_MS };
    (gas.unwrap_or(plot.household.electricity), Pace { median_ms, spread: 3 })
}

/// A prepayment top-up (2.2): command variant 1, or 3 or 2 where the customer may have to key it in.
pub(super) fn top_up(plot: &mut Plot<'_>) {
    let (meter, pace) = either_meter(plot);
    let command_variant = match plot.chance.below(100) {
        0..=6 => 3,
        7..=8 => 2,
        _ => 1,
    };
    let order = Order {
        sender: meter.supplier,
        target: Target::device(meter.device_id, Some(meter.mpxn)),
        variant: srv("2.2"),
        command_variant,
        execution_at: None,
        mode: Mode::OnDemand,
    };
    let at = plot.opening();
    let row = plot.request(&order, at);
    carry_out(plot, row, command_variant, pace, Ends::PLAIN);
}

/// The transform leg of a critical request. Gives the order and the time at which the User sends the Signed
/// Pre-Command, unless it ended here.
pub(super) fn transform(plot: &mut Plot<'_>, order: &Order) -> Option<(RowNumber, Timestamp)> {
    let at = plot.opening();
    let row = plot.request(&Order { command_variant: 4, ..*order }, at);
    if refused_at_once(plot, row) {
        return None;
    }
    let delay = plot.chance.long_tailed(700, 4);
    let done = Shows::Success(State::PreCommandReturned);
    plot.responds(row, delay, code("I0"), ResponseContent::PreCommand, done);
    if plot.chance.per_mille(200) {
        let waiting = State::AwaitingSignedPreCommand;
        plot.enters_showing(row, 40, waiting, Why::Unsaid, Shows::Success(waiting));
    }
    // Some Users never sign.
    if plot.chance.per_mille(15) {
        return None;
    }
    let signing = plot.chance.long_tailed(4 * SECOND_MS, 5) + 50;
    Some((row, plot.script.row(row).now.plus_millis(signing)))
}

/// The leg of the Signed Pre-Command: the RequestID of the transform leg (domain trap 1).
pub(super) fn signed(
    plot: &mut Plot<'_>,
    order: &Order,
    transform: RowNumber,
    at: Timestamp,
) -> Option<RowNumber> {
    let request_id = plot.request_id(transform)?;
    Some(plot.leg(order, request_id, at))
}

/// A critical command at once, in two legs.
pub(super) fn two_legs(plot: &mut Plot<'_>) {
    // Those that both suppliers may send, then those of electricity alone.
    const EITHER: [&str; 8] = ["1.5", "2.3", "2.5", "6.8", "6.11", "7.3", "6.17", "7.2"];
    const ELECTRICITY: [&str; 5] = ["7.1", "7.5", "7.6", "6.25", "7.8"];
    let (meter, pace) = either_meter(plot);
    let is_gas = meter != plot.household.electricity;
    let variant = if is_gas || plot.chance.per_mille(700) {
        plot.chance.pick(&EITHER)
    } else {
        plot.chance.pick(&ELECTRICITY)
    };
    let command_variant = match plot.chance.below(100) {
        0..=3 => 7,
        4..=5 => 6,
        _ => 5,
    };
    let order = Order {
        sender: meter.supplier,
        target: Target::device(meter.device_id, Some(meter.mpxn)),
        variant: srv(variant),
        command_variant,
        execution_at: None,
        mode: Mode::OnDemand,
    };
    let Some((transformed, at)) = transform(plot, &order) else { return };
    let Some(row) = signed(plot, &order, transformed, at) else { return };
    // `carry_out` tells the local variants apart by 1; a Signed Pre-Command's plain variant is 5.
    let local = if command_variant == 5 { 1 } else { command_variant };
    carry_out(plot, row, local, pace, Ends::PLAIN);
}

/// A command that the Device accepts, holds until its time, and reports on instruction by instruction.
pub(super) fn held_by_device(plot: &mut Plot<'_>) {
    const EITHER: [&str; 5] = ["1.1.1", "1.2.1", "1.6", "2.1", "11.3"];
    const ELECTRICITY: [&str; 3] = ["6.4.1", "6.14.2", "1.1.2"];
    let (meter, pace) = either_meter(plot);
    let is_gas = meter != plot.household.electricity;
    let (variant, command_variant) = match plot.chance.below(100) {
        // Change of supplier is not critical, yet reported on by the Device.
        0..=19 => ("6.23", 1),
        20..=39 if !is_gas => (plot.chance.pick(&ELECTRICITY), 5),
        _ => (plot.chance.pick(&EITHER), 5),
    };
    let opening = plot.opening();
    let execution_at = opening.plus_millis(plot.chance.between(6 * HOUR_MS, 4 * DAY_MS));
    let order = Order {
        sender: meter.supplier,
        target: Target::device(meter.device_id, Some(meter.mpxn)),
        variant: srv(variant),
        command_variant,
        execution_at: Some(execution_at),
        mode: Mode::FutureDate,
    };
    let row = if command_variant == 5 {
        // The transform leg of a future-dated command carries the time too: its mode is the same.
        let Some((transformed, at)) = transform(plot, &order) else { return };
        signed(plot, &order, transformed, at)
    } else {
        Some(plot.request(&order, opening))
    };
    let Some(row) = row else { return };
    if refused_at_once(plot, row) {
        return;
    }
    plot.acknowledged(row);
    let ends = Ends { success: Shows::Progress(State::HeldByDevice), own_failure: None };
    if journey(plot, row, pace, ends) == Outcome::Answered {
        reports(plot, row, execution_at, meter.device_id, variant == "6.23");
    }
}

/// What the Device reports once the time has come: one alert for each instruction, in no particular order. Any
/// failure fails the whole; success needs all. Sometimes nothing comes, and the DCC says so (`E30`) or not.
pub(super) fn reports(
    plot: &mut Plot<'_>,
    row: RowNumber,
    execution_at: Timestamp,
    device_id: DeviceId,
    unnumbered: bool,
) {
    let now = plot.script.row(row).now;
    let until = (execution_at.millis() - now.millis()).max(1);
    plot.script.wait(row, until);
    let total = plot.chance.pick(&[1_u16, 2, 2, 3, 4]);
    let roll = plot.chance.below(1_000);
    if roll < 25 {
        if roll < 15 {
            let delay = plot.chance.between(HOUR_MS, 2 * HOUR_MS);
            let timed_out = Shows::Failure(State::TimedOut);
            plot.responds(row, delay, code("E30"), ResponseContent::ServiceResponse, timed_out);
        }
        return;
    }
    let failing = if roll < 75 { plot.chance.between(1, total.into()) } else { 0 };
    let silent = (75..100).contains(&roll) && total > 1;
    let first = plot.chance.between(1, total.into());
    let mut failed = false;
    for turn in 0..i64::from(total) {
        if silent && turn + 1 == i64::from(total) {
            return;
        }
        let number = (first + turn - 1) % i64::from(total) + 1;
        failed |= number == failing;
        let shows = match (failed, turn + 1 == i64::from(total)) {
            (true, _) => Shows::Failure(State::InstructionFailed),
            (false, true) => Shows::Success(State::InstructionDone),
            (false, false) => Shows::Progress(State::InstructionDone),
        };
        let content = report(number != failing, u16::try_from(number).unwrap_or(1), total);
        let own_id = ResponseId {
            first: device_id,
            second: DeviceId::from_bytes(plot.script.row(row).key.user.to_bytes()),
            // The Device counts for itself, from far below its Users' counters.
            counter: plot.start.counter / 1_000 + turn.unsigned_abs(),
        };
        let delay = plot.chance.between(700, 20 * SECOND_MS);
        let response_id = (!unnumbered).then_some(own_id);
        plot.responds_as(row, delay, (code("I0"), response_id, content), shows);
    }
}
