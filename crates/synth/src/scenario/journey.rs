//! The journey of a command to its Device and back, and all that may go wrong on the way.

use crate::plot::{HOUR_MS, MINUTE_MS, Pace, Plot};
use crate::script::{RowNumber, Shows, Why, alert_code, code};
use gridtrail_model::{ResponseCode, ResponseContent, State};

/// What came of a journey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The Device answered with success.
    Answered,
    /// It failed, for now or for good.
    Failed,
    /// Nothing was heard.
    Unanswered,
}

/// What a success and a failure of the Device look like for this request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    /// What the row shows once `I0` went to the User.
    pub(super) success: Shows,
    /// The variant's own failure code, where it has one.
    pub(super) own_failure: Option<ResponseCode>,
}

impl Ends {
    pub(super) const PLAIN: Self = Self { success: Shows::Success(State::ResponseSent), own_failure: None };
}

/// Refused at once by validation or authorisation: 12 in 1,000. Says whether it was.
pub(super) fn refused_at_once(plot: &mut Plot<'_>, row: RowNumber) -> bool {
    if !plot.chance.per_mille(12) {
        return false;
    }
    const REFUSALS: [(&str, State); 9] = [
        ("E1", State::RejectedAuthorisation),
        ("E2", State::RejectedAuthorisation),
        ("E4", State::RejectedAuthorisation),
        ("E5", State::RejectedValidation),
        ("E11", State::RejectedValidation),
        ("E12", State::RejectedValidation),
        ("E19", State::RejectedValidation),
        ("E48", State::RejectedValidation),
        ("E65", State::RejectedValidation),
    ];
    let (refusal, state) = plot.chance.pick(&REFUSALS);
    plot.refused(row, code(refusal), state);
    true
}

/// From the DCC to the Device and back to the User. Of 1,000: 943 are answered (15 of them after retries), 8
/// get a failure of the variant's own, 14 cannot be delivered, 25 get no answer in time (some a late one), and
/// 10 are never heard of again.
pub(super) fn journey(plot: &mut Plot<'_>, row: RowNumber, pace: Pace, ends: Ends) -> Outcome {
    plot.sent_onward(row);
    match plot.chance.below(1_000) {
        0..=13 => undeliverable(plot, row),
        14..=38 => no_answer_in_time(plot, row, ends),
        39..=48 => Outcome::Unanswered,
        49..=56 => {
            let failure = ends.own_failure.unwrap_or(code("E20"));
            let shown = if ends.own_failure.is_some() { State::ResponseSent } else { State::FailedDelivery };
            plot.answered(row, pace, failure, Shows::Failure(shown));
            Outcome::Failed
        }
        roll => {
            if roll < 72 {
                retries(plot, row);
            }
            plot.answered(row, pace, code("I0"), ends.success);
            Outcome::Answered
        }
    }
}

fn retries(plot: &mut Plot<'_>, row: RowNumber) {
    for _ in 0..plot.chance.between(1, 3) {
        let delay = plot.chance.long_tailed(2 * MINUTE_MS, 4);
        plot.enters(row, delay, State::Retrying);
        let delay = plot.chance.between(1_500, 9_000);
        plot.reported(row, delay, State::SentToDevice, Shows::Progress(State::SentToDevice));
    }
}

/// `E20`, and half the time a DCC Alert about the failed command as well.
fn undeliverable(plot: &mut Plot<'_>, row: RowNumber) -> Outcome {
    if plot.chance.per_mille(300) {
        retries(plot, row);
    }
    let delay = plot.chance.long_tailed(5 * MINUTE_MS, 4);
    let failed = Shows::Failure(State::FailedDelivery);
    if plot.chance.per_mille(500) {
        let told = (State::FailedDelivery, Why::Text("command failure"), failed);
        plot.alerts_of(row, delay, alert_code("N12"), told);
    }
    let delay = plot.chance.between(1_500, 4_000);
    plot.responds(row, delay, code("E20"), ResponseContent::ServiceResponse, failed);
    Outcome::Failed
}

/// The DCC gives up. The User hears by `E21`, by an alert alone, or by both; and two in five times the Device
/// answers in the end, which turns the row round.
fn no_answer_in_time(plot: &mut Plot<'_>, row: RowNumber, ends: Ends) -> Outcome {
    let failed = Shows::Failure(State::NoResponse);
    let told = (State::NoResponse, Why::Text("no response received"), failed);
    let patience = plot.chance.between(100 * MINUTE_MS, 140 * MINUTE_MS);
    match plot.chance.below(3) {
        0 => plot.alerts_of(row, patience, alert_code("N13"), told),
        1 => {
            plot.enters_showing(row, patience, State::NoResponse, Why::Unsaid, failed);
            plot.responds(row, 800, code("E21"), ResponseContent::ServiceResponse, failed);
        }
        _ => {
            plot.responds(row, patience, code("E21"), ResponseContent::ServiceResponse, failed);
            plot.alerts_of(row, 1_200, alert_code("N13"), told);
        }
    }
    if plot.chance.per_mille(400) {
        let delay = plot.chance.long_tailed(2 * HOUR_MS, 4);
        // That the answer has come decides nothing until it goes to the User.
        plot.reported(row, delay, State::ResponseReceived, Shows::Same);
        plot.responds(row, 900, code("I0"), ResponseContent::ServiceResponse, ends.success);
        return Outcome::Answered;
    }
    Outcome::Failed
}
