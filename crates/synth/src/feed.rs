//! The feed: events of all transactions, merged in order of delivery in bounded memory.
//!
//! 1. Time is cut into slices, short enough that one holds some thousand events.
//! 2. For a slice, the scripts of the transactions that start in it, and of those that were left over to it, are
//!    written; the steps delivered in the slice become events, sorted by (time, transaction, step, copy).
//! 3. A transaction with later steps is left over to the slice of the next one: eight bytes, not its events. Its
//!    script is simply written again, for it is a function of its number.
//!
//! So memory holds one slice of events and a number for each transaction in flight: see [`Feed::in_flight_max`].

use crate::chance::{Chance, Lane};
use crate::plot::DAY_MS;
use crate::script::{Fact, Row, Script, Step};
use crate::settings::{Settings, events_per_100_transactions};
use crate::world::World;
use gridtrail_model::{
    Affected, Alert, Body, Correlation, Event, EventId, Mode, RequestReceived, ResponseSent, StatusChanged,
    Subject, Timestamp,
};
use std::collections::BTreeMap;
use std::ops::Range;

/// How many events the busiest slice aims at.
const SLICE_EVENTS: u64 = 16_000;

/// What orders the events of a slice. No two are equal.
type Turn = (i64, u64, usize, bool);

/// The events of a world, in order of delivery: see [`World::events`].
#[derive(Debug)]
pub struct Feed<'w> {
    world: &'w World,
    numbers: Range<u64>,
    slice_ms: i64,
    /// The transactions that have more to tell, by the slice of their next event.
    left_over: BTreeMap<i64, Vec<u64>>,
    in_flight: usize,
    in_flight_max: usize,
    slice_events_max: usize,
    script: Script,
    /// The events of the present slice, and the order in which they go, the last first.
    events: Vec<Option<Event>>,
    order: Vec<(Turn, usize)>,
}

impl<'w> Feed<'w> {
    pub(crate) fn new(world: &'w World, numbers: Range<u64>) -> Self {
        Self {
            world,
            numbers,
            slice_ms: slice_ms(world.settings(), world.transactions()),
            left_over: BTreeMap::new(),
            in_flight: 0,
            in_flight_max: 0,
            slice_events_max: 0,
            script: Script::default(),
            events: Vec::new(),
            order: Vec::new(),
        }
    }

    /// The most transactions that were in flight at once so far, at eight bytes each. It settles after 36 days, the
    /// longest that a transaction lasts, below a quarter of a day's transactions plus those that started within
    /// `late_ms_max`, however many days the run has.
    pub fn in_flight_max(&self) -> usize {
        self.in_flight_max
    }

    /// The most events that one slice held so far: about 16,000, unless a second holds more.
    pub fn slice_events_max(&self) -> usize {
        self.slice_events_max
    }

    /// Makes the next slice that holds anything. `false` at the end.
    fn fill(&mut self) -> bool {
        let starting = self.numbers.clone().next().map(|number| self.slice_of(self.world.start_ms(number)));
        let left_over = self.left_over.first_key_value().map(|(slice, _)| *slice);
        let Some(slice) = starting.into_iter().chain(left_over).min() else { return false };
        self.events.clear();
        for number in self.left_over.remove(&slice).unwrap_or_default() {
            self.in_flight -= 1;
            self.perform(number, slice);
        }
        while let Some(number) = self.numbers.clone().next()
            && self.slice_of(self.world.start_ms(number)) == slice
        {
            self.numbers.next();
            self.perform(number, slice);
        }
        self.order.sort_unstable_by_key(|(turn, _)| std::cmp::Reverse(*turn));
        self.in_flight_max = self.in_flight_max.max(self.in_flight);
        self.slice_events_max = self.slice_events_max.max(self.order.len());
        true
    }

    fn slice_of(&self, at_ms: i64) -> i64 {
        at_ms.div_euclid(self.slice_ms)
    }

    /// Adds the events that a transaction has in this slice, and leaves the rest over to the next that has any.
    fn perform(&mut self, number: u64, slice: i64) {
        let mut script = std::mem::take(&mut self.script);
        self.world.write(number, &mut script);
        let end = self.world.settings().end();
        let mut later: Option<i64> = None;
        for (place, step) in script.steps.iter().enumerate().filter(|(_, step)| step.recorded_at < end) {
            let delivery = Delivery::of(self.world, number, place, step);
            for (at_ms, repeated) in delivery.times() {
                let of = self.slice_of(at_ms);
                if of == slice {
                    self.order.push(((at_ms, number, place, repeated), self.events.len()));
                    self.events.push(Some(event(number, place, step, &script, &delivery)));
                } else if of > slice {
                    later = Some(later.map_or(of, |later| later.min(of)));
                }
            }
        }
        if let Some(later) = later {
            self.left_over.entry(later).or_default().push(number);
            self.in_flight += 1;
        }
        self.script = script;
    }
}

impl Iterator for Feed<'_> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((_, place)) = self.order.pop() {
                return self.events[place].take();
            }
            if !self.fill() {
                return None;
            }
        }
    }
}

/// The longest slice of whole parts of an hour that keeps the busiest one near its aim.
fn slice_ms(settings: &Settings, transactions: u64) -> i64 {
    const LENGTHS_MS: [i64; 9] =
        [3_600_000, 1_200_000, 600_000, 300_000, 60_000, 30_000, 10_000, 5_000, 1_000];
    let daily = transactions.saturating_mul(events_per_100_transactions(settings.days))
        / 100
        / u64::from(settings.days);
    let busiest_day = daily.saturating_mul(crate::profile::PEAK_FACTOR);
    let fits = |length: i64| {
        let slices = (DAY_MS / length).unsigned_abs();
        busiest_day / slices <= SLICE_EVENTS
    };
    LENGTHS_MS.into_iter().find(|length| fits(*length)).unwrap_or(1_000)
}

/// How one event is delivered.
struct Delivery {
    at_ms: i64,
    again_ms: Option<i64>,
    bare: bool,
    /// How long after the receipt of its request the event claims it to have been.
    receipt_after_ms: i64,
}

impl Delivery {
    /// The delivery of a step. It has random numbers of its own, so that the settings of delivery change nothing
    /// of what happened.
    fn of(world: &World, number: u64, place: usize, step: &Step) -> Self {
        let settings = world.settings();
        let recorded_ms = step.recorded_at.millis();
        let undisturbed = settings.jitter_ms_max == 0
            && settings.late_ppm == 0
            && settings.duplicates_ppm == 0
            && settings.bare_responses_ppm == 0
            && settings.other_receipts_ppm == 0;
        if undisturbed {
            return Self { at_ms: recorded_ms, again_ms: None, bare: false, receipt_after_ms: 0 };
        }
        // A script has fewer than 1,024 steps.
        let lane_number = number.wrapping_mul(1_024).wrapping_add(place as u64);
        let mut chance = Chance::of(world.seed(), Lane::Delivery, lane_number);
        let mut at_ms = recorded_ms + chance.between(0, settings.jitter_ms_max.into());
        let lateness = chance.between(0, settings.late_ms_max.into());
        if chance.per_million(settings.late_ppm) {
            at_ms += lateness;
        }
        let repeats_after = chance.long_tailed(20_000, 4);
        let again_ms = chance.per_million(settings.duplicates_ppm).then_some(at_ms + repeats_after);
        let bare = chance.per_million(settings.bare_responses_ppm);
        let stamped_after = chance.long_tailed(800, 5);
        let receipt_after_ms =
            if chance.per_million(settings.other_receipts_ppm) { stamped_after } else { 0 };
        Self { at_ms, again_ms, bare, receipt_after_ms }
    }

    fn times(&self) -> impl Iterator<Item = (i64, bool)> + use<> {
        std::iter::once((self.at_ms, false)).chain(self.again_ms.map(|again_ms| (again_ms, true)))
    }
}

/// The event of a step of a script that is no transaction's, delivered as it comes.
pub(crate) fn plain_event(number: u64, place: usize, step: &Step, script: &Script) -> Event {
    let delivery =
        Delivery { at_ms: step.recorded_at.millis(), again_ms: None, bare: false, receipt_after_ms: 0 };
    event(number, place, step, script, &delivery)
}

/// The event of a step.
fn event(number: u64, place: usize, step: &Step, script: &Script, delivery: &Delivery) -> Event {
    let row = script.row(step.row);
    let mut correlation = match step.fact {
        Fact::Sends { .. } if delivery.bare => bare_correlation(row),
        _ => correlation(row),
    };
    // Only what comes after a receipt that is on record can claim another: never one after itself.
    if !matches!(step.fact, Fact::Received) && matches!(row.key.subject, Subject::Leg(_)) {
        let claim = |received: Timestamp| received.plus_millis(delivery.receipt_after_ms).min(step.at);
        correlation.request_received_at = correlation.request_received_at.map(claim);
    }
    Event { id: event_id(number, place), recorded_at: step.recorded_at, correlation, body: body(step, row) }
}

fn body(step: &Step, row: &Row) -> Body {
    match step.fact {
        Fact::Received => Body::RequestReceived(RequestReceived { execution_at: row.execution_at }),
        Fact::Enters { state, code, why } => {
            Body::StatusChanged(StatusChanged { state, at: step.at, code, cause: why.cause() })
        }
        Fact::Sends { code, response_id, content } => {
            Body::ResponseSent(ResponseSent { response_id, code, at: step.at, content })
        }
        Fact::Alerts { at, sent_at, throttle_count, effect } => {
            let affects = effect.map(|effect| Affected {
                request_id: effect.request_id,
                state: effect.state,
                cause: effect.why.cause(),
            });
            alert_body(row, at, sent_at, throttle_count, affects)
        }
    }
}

fn alert_body(
    row: &Row,
    at: Timestamp,
    sent_at: Option<Timestamp>,
    throttle_count: Option<u32>,
    affects: Option<Affected>,
) -> Body {
    let Subject::Alert { response_id, code, throttle_sequence } = row.key.subject else {
        // Only `Plot::alert_row` gives rows to alerts, and it gives no other.
        unreachable!("an alert whose row is not an alert's");
    };
    let alert = Alert { response_id, code, at, sent_at, throttle_sequence, throttle_count, affects };
    if row.mode == Mode::DccAlert { Body::DccAlert(alert) } else { Body::DeviceAlert(alert) }
}

/// All that the DCC's own feed knows of a row.
fn correlation(row: &Row) -> Correlation {
    let is_alert = matches!(row.key.subject, Subject::Alert { .. });
    Correlation {
        user_id: row.key.user,
        request_id: row.key.request_id(),
        request_received_at: (!is_alert).then_some(row.received_at),
        command_variant: row.key.command_variant(),
        scheduled_run: match row.key.subject {
            Subject::ScheduledRun(response_id) => Some(response_id),
            _ => None,
        },
        device_id: row.device_id,
        concerned_devices: row.besides.device.into_iter().collect(),
        mpxn: row.mpxn,
        concerned_mpxns: row.besides.mpxn.into_iter().collect(),
        csp_region: row.csp_region,
        variant: row.variant,
        mode: row.mode_stated.then_some(row.mode),
        preceding_request_id: row.preceding_request_id,
        gbcs_originator_counter: row.gbcs_originator_counter,
    }
}

/// What a DUIS response knows of its row: whom it answers, and no more.
fn bare_correlation(row: &Row) -> Correlation {
    let request_id = row.key.request_id();
    let addressed = request_id.is_none_or(|id| Some(id.target) == row.device_id);
    Correlation {
        request_id,
        device_id: row.device_id.filter(|_| addressed),
        ..Correlation::of_user(row.key.user)
    }
}

/// A short identifier: transaction and step in hexadecimal, such as `1f3a-04`.
fn event_id(number: u64, place: usize) -> EventId {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u64, shift: u32| DIGITS[usize::from(((value >> shift) & 15) as u8)];
    let mut text = [0_u8; 20];
    let mut length = 0;
    let mut write = |byte: u8| {
        text[length] = byte;
        length += 1;
    };
    let digits = (64 - number.leading_zeros()).div_ceil(4).max(1);
    (0..digits).rev().for_each(|at| write(digit(number, at * 4)));
    write(b'-');
    [4, 0].into_iter().for_each(|shift| write(digit(place as u64, shift)));
    let text = std::str::from_utf8(&text[..length]).unwrap_or_default();
    // At most nineteen hexadecimal digits and hyphens, at least four: always an event id.
    text.parse().expect("an event id of hexadecimal digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_ids_are_short_and_tell_transaction_and_step() {
        assert_eq!(event_id(0, 0).as_str(), "0-00");
        assert_eq!(event_id(0x1f3a, 4).as_str(), "1f3a-04");
        assert_eq!(event_id(u64::MAX, 255).as_str(), "ffffffffffffffff-ff");
    }

    #[test]
    fn a_slice_is_as_long_as_the_traffic_allows() {
        let length = |events: u64, days: u32| {
            let settings = Settings::for_events(events, days);
            slice_ms(&settings, settings.transactions())
        };
        assert_eq!(length(1_000, 1), 3_600_000);
        assert_eq!(length(1_000_000, 1), 300_000);
        assert_eq!(length(1_000_000_000, 1), 1_000);
    }
}
