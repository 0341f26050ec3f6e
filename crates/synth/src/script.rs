//! Scripts: what happens in one transaction, and what the audit trail must show of it.
//!
//! A scenario writes both at once: each step is a fact that becomes an event, and says in the same breath what
//! its row shows from then on. The truth is read from what the steps say, never from the model's fold, so the
//! two can be held against each other.

use crate::truth::ExpectedTrail;
use gridtrail_model::{
    AlertCode, Cause, CspRegion, DeviceId, Instruction, Mode, Mpxn, RequestId, ResponseCode, ResponseContent,
    ResponseId, ServiceReferenceVariant, Simplified, State, Subject, Timestamp, TrailKey,
};

/// A row of the script, by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowNumber(pub(crate) usize);

/// What else a row's messages name, such as the second meter of a firmware update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Besides {
    pub(crate) device: Option<DeviceId>,
    pub(crate) mpxn: Option<Mpxn>,
}

/// One row of the audit trail: what every event of it says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) key: TrailKey,
    /// "Service Request Received Date/Time"; for an alert or a run, its own time.
    pub(crate) received_at: Timestamp,
    pub(crate) device_id: Option<DeviceId>,
    pub(crate) mpxn: Option<Mpxn>,
    pub(crate) besides: Besides,
    pub(crate) csp_region: Option<CspRegion>,
    pub(crate) variant: Option<ServiceReferenceVariant>,
    pub(crate) mode: Mode,
    /// Whether the events say the mode, rather than leave it to be derived.
    pub(crate) mode_stated: bool,
    pub(crate) preceding_request_id: Option<RequestId>,
    pub(crate) gbcs_originator_counter: Option<u64>,
    pub(crate) execution_at: Option<Timestamp>,
    /// When the last step of the row happened.
    pub(crate) now: Timestamp,
}

/// Why a state was entered.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Why {
    Unsaid,
    Text(&'static str),
    Quarantine { reference: u64 },
}

impl Why {
    pub(crate) fn cause(self) -> Option<Cause> {
        match self {
            Self::Unsaid => None,
            Self::Text(text) => text.parse().ok(),
            Self::Quarantine { reference } => format!("quarantine event {reference}").parse().ok(),
        }
    }
}

/// What becomes of another row by an alert.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effect {
    pub(crate) row: RowNumber,
    pub(crate) request_id: RequestId,
    pub(crate) state: State,
    pub(crate) why: Why,
    pub(crate) shows: Shows,
}

/// What happens.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fact {
    Received,
    Enters { state: State, code: Option<ResponseCode>, why: Why },
    Sends { code: ResponseCode, response_id: Option<ResponseId>, content: ResponseContent },
    Alerts { at: Timestamp, sent_at: Option<Timestamp>, throttle_count: Option<u32>, effect: Option<Effect> },
}

/// What a row shows from a step on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shows {
    /// The current status as it was before: the step decides nothing.
    Same,
    /// This current status, still in progress.
    Progress(State),
    /// This current status, done.
    Success(State),
    /// This current status, failed.
    Failure(State),
}

/// One step, which becomes one event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) row: RowNumber,
    pub(crate) at: Timestamp,
    /// When the DCC recorded it: some facts are reported to it a little later.
    pub(crate) recorded_at: Timestamp,
    pub(crate) fact: Fact,
    pub(crate) shows: Shows,
    /// Whether "Service Response Sent Date/Time" is now the time of this step.
    pub(crate) answers: bool,
    /// How many new entries the Status Change History has.
    pub(crate) entries: u32,
}

/// Everything that happens in one transaction, in order of time within each row.
#[derive(Debug, Default)]
pub(crate) struct Script {
    pub(crate) rows: Vec<Row>,
    pub(crate) steps: Vec<Step>,
}

impl Script {
    pub(crate) fn clear(&mut self) {
        self.rows.clear();
        self.steps.clear();
    }

    pub(crate) fn add_row(&mut self, row: Row) -> RowNumber {
        self.rows.push(row);
        RowNumber(self.rows.len() - 1)
    }

    pub(crate) fn row(&self, number: RowNumber) -> &Row {
        &self.rows[number.0]
    }

    /// Lets time pass in a row: at least a millisecond, so that no two of its steps are at one time.
    pub(crate) fn wait(&mut self, number: RowNumber, delay_ms: i64) -> Timestamp {
        let row = &mut self.rows[number.0];
        row.now = row.now.plus_millis(delay_ms.max(1));
        row.now
    }

    /// Adds a step at the row's present time.
    pub(crate) fn step(&mut self, row: RowNumber, fact: Fact, shows: Shows) -> &mut Step {
        let at = self.row(row).now;
        self.steps.push(Step { row, at, recorded_at: at, fact, shows, answers: false, entries: 1 });
        let last = self.steps.len() - 1;
        &mut self.steps[last]
    }

    /// What the audit trail must show of this transaction if nothing after `end` was recorded: one trail for
    /// every row that anything was recorded of.
    pub(crate) fn truth(&self, end: Timestamp, into: &mut Vec<ExpectedTrail>) {
        for number in (0..self.rows.len()).map(RowNumber) {
            let mut trail = expected_of(self.row(number));
            for step in self.steps.iter().filter(|step| step.recorded_at < end) {
                if step.row == number {
                    trail.take(step);
                }
                if let Fact::Alerts { at, effect: Some(effect), .. } = &step.fact
                    && effect.row == number
                {
                    trail.take_effect(effect, *at, step.recorded_at);
                }
            }
            if trail.history_entries > 0 {
                into.push(trail);
            }
        }
    }
}

fn expected_of(row: &Row) -> ExpectedTrail {
    ExpectedTrail {
        key: row.key,
        device_id: row.device_id,
        request_id: row.key.request_id(),
        response_id: None,
        command_variant: row.key.command_variant(),
        variant: row.variant,
        mpxn: row.mpxn,
        concerned_device: row.besides.device,
        concerned_mpxn: row.besides.mpxn,
        csp_region: row.csp_region,
        mode: row.mode,
        preceding_request_id: row.preceding_request_id,
        gbcs_transaction_sequence_number: row.gbcs_originator_counter,
        received_at: row.received_at,
        sent_at: None,
        simplified: Simplified::InProgress,
        current_status: State::Received,
        response_code: None,
        anomaly_detection_flag: false,
        history_entries: 0,
        execution_at: row.execution_at,
        // The identifier of a schedule is known by the result of a run alone.
        schedule_id: None,
        alert_code: match row.key.subject {
            Subject::Alert { code, .. } => Some(code),
            _ => None,
        },
        recorded_at_max: Timestamp::MIN,
    }
}

impl ExpectedTrail {
    fn take(&mut self, step: &Step) {
        self.recorded_at_max = self.recorded_at_max.max(step.recorded_at);
        self.history_entries += step.entries;
        self.show(step.shows);
        match step.fact {
            Fact::Received => {}
            Fact::Enters { state, code, .. } => {
                self.response_code = code.or(self.response_code);
                self.anomaly_detection_flag |= state == State::Quarantined;
            }
            Fact::Sends { code, response_id, content } => {
                self.response_code = Some(code);
                // The reports of a Device on its instructions do not replace the answer's own identifier.
                self.response_id = self.response_id.or(response_id);
                if let ResponseContent::ScheduledRead { schedule_id } = content {
                    self.schedule_id = Some(schedule_id);
                }
            }
            Fact::Alerts { sent_at, .. } => {
                self.sent_at = sent_at.or(self.sent_at);
                if let Subject::Alert { response_id, .. } = self.key.subject {
                    self.response_id = Some(response_id);
                }
            }
        }
        if step.answers {
            self.sent_at = Some(step.at);
        }
    }

    fn take_effect(&mut self, effect: &Effect, at: Timestamp, recorded_at: Timestamp) {
        debug_assert!(at < recorded_at, "an alert is recorded when it is sent");
        self.recorded_at_max = self.recorded_at_max.max(recorded_at);
        self.history_entries += 1;
        self.anomaly_detection_flag |= effect.state == State::Quarantined;
        self.show(effect.shows);
    }

    fn show(&mut self, shows: Shows) {
        (self.current_status, self.simplified) = match shows {
            Shows::Same => return,
            Shows::Progress(state) => (state, Simplified::InProgress),
            Shows::Success(state) => (state, Simplified::Success),
            Shows::Failure(state) => (state, Simplified::Failure),
        };
    }
}

/// A literal Service Reference Variant of the scenarios.
pub(crate) fn srv(text: &'static str) -> ServiceReferenceVariant {
    // Called with literals of this crate alone; the tests write every scenario.
    text.parse().expect("a well-formed Service Reference Variant")
}

/// A literal response code of the scenarios.
pub(crate) fn code(text: &'static str) -> ResponseCode {
    // Called with literals of this crate alone; the tests write every scenario.
    text.parse().expect("a well-formed response code")
}

/// A literal alert code of the scenarios.
pub(crate) fn alert_code(text: &'static str) -> AlertCode {
    // Called with literals of this crate alone; the tests write every scenario.
    text.parse().expect("a well-formed alert code")
}

/// The report on one instruction.
pub(crate) fn report(carried_out: bool, number: u16, total: u16) -> ResponseContent {
    ResponseContent::FutureDatedAlert { carried_out, instruction: Instruction { number, total } }
}
