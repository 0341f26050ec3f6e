//! Sequences: a request that starts when the one named by `PrecedingServiceRequestID` is done.

use super::journey::{Ends, Outcome, journey};
use crate::plot::{Order, Pace, Plot, SECOND_MS, Target};
use crate::script::{Shows, Why, srv};
use gridtrail_model::{Mode, State};

/// Two requests to one meter, sent together; the second waits for the first, and is cancelled when that fails.
pub(super) fn sequence(plot: &mut Plot<'_>) {
    let meter = plot.household.electricity;
    let order = Order {
        sender: meter.supplier,
        target: Target::device(meter.device_id, Some(meter.mpxn)),
        variant: srv(plot.chance.pick(&["6.20.1", "3.4", "3.2"])),
        command_variant: 1,
        execution_at: None,
        mode: Mode::OnDemand,
    };
    let pace = Pace { median_ms: 10 * SECOND_MS, spread: 4 };
    let at = plot.opening();
    let first = plot.request(&order, at);
    plot.acknowledged(first);
    let second_order = Order { variant: srv("3.1"), ..order };
    let at = at.plus_millis(plot.chance.between(20, 500));
    let second = plot.request(&second_order, at);
    plot.script.rows[second.0].preceding_request_id = plot.request_id(first);
    plot.acknowledged(second);
    plot.enters(second, 30, State::WaitingPreceding);
    let outcome = journey(plot, first, pace, Ends::PLAIN);
    let ended = plot.script.row(first).now.millis() - plot.script.row(second).now.millis();
    plot.script.wait(second, ended);
    match outcome {
        Outcome::Answered => {
            journey(plot, second, pace, Ends::PLAIN);
        }
        Outcome::Failed => {
            let why = Why::Text("the preceding request failed");
            plot.enters_showing(second, 50, State::Cancelled, why, Shows::Failure(State::Cancelled));
        }
        Outcome::Unanswered => {}
    }
}
