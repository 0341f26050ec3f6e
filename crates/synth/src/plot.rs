//! The hand that writes a script: a household, chance, and the moves that all scenarios share.

use crate::chance::Chance;
use crate::household::Household;
use crate::profile::Start;
use crate::script::{Besides, Effect, Fact, Row, RowNumber, Script, Shows, Step, Why, code};
use crate::users::{ACCESS_CONTROL_BROKER, User, Users};
use gridtrail_model::{
    AlertCode, CommandVariant, DeviceId, Leg, Mode, Mpxn, RequestId, ResponseCode, ResponseContent,
    ResponseId, ServiceReferenceVariant, State, Subject, Timestamp, TrailKey,
};

pub(crate) const SECOND_MS: i64 = 1_000;
pub(crate) const MINUTE_MS: i64 = 60 * SECOND_MS;
pub(crate) const HOUR_MS: i64 = 60 * MINUTE_MS;
pub(crate) const DAY_MS: i64 = 24 * HOUR_MS;

/// Writes the script of one transaction.
pub(crate) struct Plot<'a> {
    pub(crate) users: &'a Users,
    pub(crate) chance: Chance,
    pub(crate) household: Household,
    pub(crate) start: Start,
    pub(crate) number: u64,
    pub(crate) script: &'a mut Script,
    counters_used: u64,
}

/// What a request is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    /// The Device in the RequestID; `None` for a non-device request, which targets the DCC.
    pub(crate) addressed: Option<DeviceId>,
    /// "Device ID": the addressed one, or the one that a non-device request names in its body.
    pub(crate) device_id: Option<DeviceId>,
    pub(crate) mpxn: Option<Mpxn>,
    pub(crate) besides: Besides,
}

impl Target {
    pub(crate) fn device(device_id: DeviceId, mpxn: Option<Mpxn>) -> Self {
        Self { addressed: Some(device_id), device_id: Some(device_id), mpxn, besides: Besides::default() }
    }
}

/// A request to be written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order {
    pub(crate) sender: User,
    pub(crate) target: Target,
    pub(crate) variant: ServiceReferenceVariant,
    pub(crate) command_variant: u8,
    pub(crate) execution_at: Option<Timestamp>,
    pub(crate) mode: Mode,
}

/// How long a Device takes to answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) median_ms: i64,
    /// See [`Chance::long_tailed`].
    pub(crate) spread: i64,
}

impl<'a> Plot<'a> {
    pub(crate) fn new(
        users: &'a Users,
        chance: Chance,
        household: Household,
        (number, start): (u64, Start),
        script: &'a mut Script,
    ) -> Self {
        Self { users, chance, household, start, number, script, counters_used: 0 }
    }

    /// A counter that no other request or DCC Alert of the region has.
    pub(crate) fn take_counter(&mut self) -> u64 {
        debug_assert!(self.counters_used < crate::profile::COUNTERS_PER_TRANSACTION);
        self.counters_used += 1;
        self.start.counter + self.counters_used - 1
    }

    /// Goes on at a time as another transaction would, with counters of its own.
    pub(crate) fn goes_on_at(&mut self, at: Timestamp) {
        self.start.at_ms = at.millis();
        self.start.counter += crate::profile::COUNTERS_PER_TRANSACTION;
        self.counters_used = 0;
    }

    /// When the transaction starts: a message is received a little after it was numbered.
    pub(crate) fn opening(&mut self) -> Timestamp {
        let at_ms = self.start.at_ms + self.chance.between(30, 900);
        Timestamp::MIN.plus_millis(at_ms - Timestamp::MIN.millis())
    }

    /// A new request, received at `at`.
    pub(crate) fn request(&mut self, order: &Order, at: Timestamp) -> RowNumber {
        let request_id = RequestId {
            originator: order.sender.id,
            target: order.target.addressed.unwrap_or(ACCESS_CONTROL_BROKER),
            counter: order.sender.counter_origin + self.take_counter(),
        };
        self.leg(order, request_id, at)
    }

    /// A leg of a request, received at `at`.
    pub(crate) fn leg(&mut self, order: &Order, request_id: RequestId, at: Timestamp) -> RowNumber {
        // Every number used by the scenarios is 1 to 8.
        let command_variant = CommandVariant::new(order.command_variant).unwrap_or(CommandVariant::DCC_ONLY);
        let gbcs_originator_counter = order
            .target
            .addressed
            .map(|_| if by_broker(order.variant) { self.broker_counter() } else { request_id.counter });
        let row = self.script.add_row(Row {
            key: TrailKey {
                user: order.sender.id,
                subject: Subject::Leg(Leg { request_id, command_variant }),
            },
            received_at: at,
            device_id: order.target.device_id,
            mpxn: order.target.mpxn,
            besides: order.target.besides,
            csp_region: order.target.device_id.map(|_| self.household.region),
            variant: Some(order.variant),
            mode: order.mode,
            mode_stated: !self.number.is_multiple_of(4),
            preceding_request_id: None,
            gbcs_originator_counter,
            execution_at: order.execution_at,
            now: at,
        });
        self.script.step(row, Fact::Received, Shows::Progress(State::Received));
        row
    }

    /// The counter of commands that the DCC's broker sends in its own name (domain trap 1a).
    pub(crate) fn broker_counter(&self) -> u64 {
        1_000 + self.number
    }

    pub(crate) fn request_id(&self, row: RowNumber) -> Option<RequestId> {
        self.script.row(row).key.request_id()
    }

    /// The row enters a state of progress after about so long.
    pub(crate) fn enters(&mut self, row: RowNumber, delay_ms: i64, state: State) {
        self.enters_showing(row, delay_ms, state, Why::Unsaid, Shows::Progress(state));
    }

    /// The row enters a state after exactly so long.
    pub(crate) fn enters_showing(
        &mut self,
        row: RowNumber,
        delay_ms: i64,
        state: State,
        why: Why,
        shows: Shows,
    ) {
        self.script.wait(row, delay_ms);
        self.script.step(row, Fact::Enters { state, code: None, why }, shows);
    }

    /// A state that the Communications Service Provider reports a little later than it was entered.
    pub(crate) fn reported(&mut self, row: RowNumber, delay_ms: i64, state: State, shows: Shows) {
        let lag = self.chance.between(0, 400);
        self.script.wait(row, delay_ms);
        let step = self.script.step(row, Fact::Enters { state, code: None, why: Why::Unsaid }, shows);
        step.recorded_at = step.at.plus_millis(lag);
    }

    /// An acknowledgement: the request was accepted.
    pub(crate) fn acknowledged(&mut self, row: RowNumber) {
        let delay = self.chance.between(40, 900);
        self.script.wait(row, delay);
        let fact =
            Fact::Sends { code: code("I99"), response_id: None, content: ResponseContent::Acknowledgement };
        self.script.step(row, fact, Shows::Progress(State::Acknowledged));
    }

    /// A synchronous refusal.
    pub(crate) fn refused(&mut self, row: RowNumber, code: ResponseCode, state: State) {
        let delay = self.chance.between(40, 900);
        self.script.wait(row, delay);
        let fact = Fact::Sends { code, response_id: None, content: ResponseContent::Acknowledgement };
        self.script.step(row, fact, Shows::Failure(state)).answers = true;
    }

    /// A response with the identifier that belongs to the request: the two halves swapped.
    pub(crate) fn responds(
        &mut self,
        row: RowNumber,
        delay_ms: i64,
        code: ResponseCode,
        content: ResponseContent,
        shows: Shows,
    ) {
        let unswapped = self.script.row(row).variant.is_some_and(keeps_order);
        let response_id = self.request_id(row).map(|id| {
            let mirror = ResponseId::mirror_of(&id);
            if unswapped {
                ResponseId { first: mirror.second, second: mirror.first, ..mirror }
            } else {
                mirror
            }
        });
        self.responds_as(row, delay_ms, (code, response_id, content), shows);
    }

    /// A response with an identifier of its own.
    pub(crate) fn responds_as(
        &mut self,
        row: RowNumber,
        delay_ms: i64,
        (code, response_id, content): (ResponseCode, Option<ResponseId>, ResponseContent),
        shows: Shows,
    ) {
        self.script.wait(row, delay_ms);
        self.script.step(row, Fact::Sends { code, response_id, content }, shows).answers = true;
    }

    /// On its way to the Device.
    pub(crate) fn sent_onward(&mut self, row: RowNumber) {
        let to_csp = self.chance.long_tailed(350, 4);
        self.reported(row, to_csp, State::SentToCsp, Shows::Progress(State::SentToCsp));
        let to_device = self.chance.long_tailed(2_500, 4);
        self.reported(row, to_device, State::SentToDevice, Shows::Progress(State::SentToDevice));
    }

    /// The Device answers, and the answer goes to the User.
    pub(crate) fn answered(&mut self, row: RowNumber, pace: Pace, code: ResponseCode, shows: Shows) {
        let delay = self.chance.long_tailed(pace.median_ms, pace.spread);
        self.reported(row, delay, State::ResponseReceived, Shows::Progress(State::ResponseReceived));
        let delay = self.chance.between(400, 1_500);
        self.responds(row, delay, code, ResponseContent::ServiceResponse, shows);
    }

    /// A DCC Alert about a request: a row of its own, and a change of the request's row. It tells the User of
    /// the request.
    pub(crate) fn alerts_of(
        &mut self,
        row: RowNumber,
        delay_ms: i64,
        alert: AlertCode,
        (state, why, shows): (State, Why, Shows),
    ) {
        let Some(request_id) = self.request_id(row) else { return };
        let at = self.script.wait(row, delay_ms);
        // Recorded after the lag of any report before it, so that what is recorded by an instant is what
        // happened by then.
        let sending = self.chance.between(500, 1_500);
        self.script.wait(row, sending);
        let about = *self.script.row(row);
        let id = ResponseId {
            first: ACCESS_CONTROL_BROKER,
            second: DeviceId::from_bytes(about.key.user.to_bytes()),
            counter: self.take_counter(),
        };
        let own = self.alert_row(
            about.key.user,
            (id, alert, None),
            (about.device_id, about.mpxn),
            Mode::DccAlert,
            at,
        );
        let effect = Some(Effect { row, request_id, state, why, shows });
        self.alert_step(own, sending, None, effect);
    }

    /// The row of an alert that was received or generated at `at`.
    pub(crate) fn alert_row(
        &mut self,
        user: gridtrail_model::UserId,
        (response_id, code, throttle_sequence): (ResponseId, AlertCode, Option<u32>),
        (device_id, mpxn): (Option<DeviceId>, Option<Mpxn>),
        mode: Mode,
        at: Timestamp,
    ) -> RowNumber {
        self.script.add_row(Row {
            key: TrailKey { user, subject: Subject::Alert { response_id, code, throttle_sequence } },
            received_at: at,
            device_id,
            mpxn,
            besides: Besides::default(),
            csp_region: device_id.map(|_| self.household.region),
            variant: None,
            mode,
            // Nothing else tells a push by the meter's calendar from a Device Alert, so it is always said.
            mode_stated: mode == Mode::MeterScheduled || !self.number.is_multiple_of(4),
            preceding_request_id: None,
            gbcs_originator_counter: None,
            execution_at: None,
            now: at,
        })
    }

    /// One event for an alert that was sent so long after it was received.
    pub(crate) fn alert_step(
        &mut self,
        row: RowNumber,
        sending_ms: i64,
        throttle_count: Option<u32>,
        effect: Option<Effect>,
    ) -> &mut Step {
        let at = self.script.row(row).received_at;
        let sent_at = Some(self.script.wait(row, sending_ms));
        let step = self.script.step(
            row,
            Fact::Alerts { at, sent_at, throttle_count, effect },
            Shows::Success(State::AlertSent),
        );
        step.entries = 2;
        step
    }
}

/// Whether the DCC's broker sends commands of this variant in its own name and with its own counter: 4.6.2, 4.14,
/// 4.17, 6.2.4, 6.13, 6.23 and 8.9 of those that the scenarios use.
fn by_broker(variant: ServiceReferenceVariant) -> bool {
    matches!(
        variant.to_code().to_be_bytes(),
        [0, 4, 6, 2] | [0, 4, 14 | 17, 0] | [0, 6, 2, 4] | [0, 6, 13 | 23, 0] | [0, 8, 9, 0]
    )
}

/// Whether a response to this variant has the two halves of its identifier in the order of the request's (6.23 of
/// those that the scenarios use).
fn keeps_order(variant: ServiceReferenceVariant) -> bool {
    variant.to_code().to_be_bytes() == [0, 6, 23, 0]
}
