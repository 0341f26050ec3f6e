//! The fold: from events to fragments.

use crate::event::{Affected, Alert, Body, Correlation, Event, ResponseContent, ResponseSent};
use crate::fragment::{Fragment, Merge};
use crate::history::HistoryEntry;
use crate::key::{Leg, Subject, TrailKey};
use crate::{CommandVariant, DeviceId, Mode, RequestId, ResponseId, State, Timestamp, UserId, sender};
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Why an event cannot be folded into any row. It goes to the dead letters with this reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Nothing says which row it belongs to.
    #[error(
        "the event names no request and no scheduled run; set request_id, or scheduled_run for a run of a schedule"
    )]
    NoKey,
    /// A leg is not named where it must be.
    #[error("the event names a request but no command_variant; only a response may leave it out")]
    NoCommandVariant,
    /// A scheduled read without its own identifier.
    #[error("the result of a scheduled run carries no response_id, which is the only key it has")]
    NoResponseId,
    /// The User is not the one that sent the request.
    #[error("user_id is {user_id}, but the request {request_id} was sent by {}", request_id.originator)]
    NotTheSender {
        /// The User that the event names.
        user_id: UserId,
        /// The request.
        request_id: RequestId,
    },
    /// The User is not the one that a run's result or an alert was addressed to.
    #[error("user_id is {user_id}, but {response_id} is addressed to {}", response_id.second)]
    NotTheAddressee {
        /// The User that the event names.
        user_id: UserId,
        /// The identifier of the result or alert.
        response_id: ResponseId,
    },
}

/// What became of an event that was folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Folded {
    /// The event's own row.
    pub key: TrailKey,
    /// Whether it told nothing that the fold did not know, but perhaps when it was recorded: an event that came twice.
    pub duplicate: bool,
}

/// Events folded by trail key: what one batch knows of each row.
#[derive(Debug, Default)]
pub struct Fold {
    fragments: Vec<Fragment>,
    /// Where the fragment of each row stands. The fragments lie beside the table, not in it: a table that grows moves all
    /// that it holds. The hash is seeded, since keys come from outside.
    places: HashMap<TrailKey, usize, RandomState>,
}

impl Fold {
    /// An empty fold with room for so many rows. Room that is not used costs next to nothing; growing moves every row.
    pub fn with_room(rows: usize) -> Self {
        let places = HashMap::with_capacity_and_hasher(rows, RandomState::default());
        Self { fragments: Vec::with_capacity(rows), places }
    }

    /// Adds one event. An event may touch two rows: a DCC Alert about a request is a row of its own, of its addressee, and a change
    /// of that request, which is its sender's.
    pub fn add(&mut self, event: Event) -> Result<Folded, Rejection> {
        self.add_with(event, None)
    }

    /// Adds one event that was read at a time: a receipt more than a day later is none that it can have.
    pub fn add_read_at(&mut self, event: Event, read_at: Timestamp) -> Result<Folded, Rejection> {
        self.add_with(event, Some(read_at))
    }

    fn add_with(&mut self, event: Event, read_at: Option<Timestamp>) -> Result<Folded, Rejection> {
        let key = key_of(&event)?;
        sender::check(&event)?;
        let times = Times::of(&event, read_at);
        let mut news = false;
        if let Body::DccAlert(Alert { affects: Some(affected), .. }) = &event.body {
            news |= self.add_affected(affected, &times);
        }
        news |= apply(self.fragment_of(key, times.recorded), event, times);
        Ok(Folded { key, duplicate: !news })
    }

    /// Adds a fragment, such as one that was joined to its leg.
    pub fn merge(&mut self, fragment: Fragment) {
        match self.places.entry(fragment.key) {
            Entry::Occupied(known) => self.fragments[*known.get()].merge(fragment),
            Entry::Vacant(free) => {
                free.insert(self.fragments.len());
                self.fragments.push(fragment);
            }
        }
    }

    /// How many rows the batch touches so far.
    pub fn len(&self) -> usize {
        self.fragments.len()
    }

    /// Whether nothing was added yet.
    pub fn is_empty(&self) -> bool {
        self.fragments.is_empty()
    }

    /// What is known of this row, if the batch touches it.
    pub fn get(&self, key: &TrailKey) -> Option<&Fragment> {
        self.places.get(key).map(|at| &self.fragments[*at])
    }

    /// Takes out the fragments that have no place of their own yet (see [`Fragment::is_placed`]).
    pub fn take_unplaced(&mut self) -> Vec<Fragment> {
        let mut unplaced = Vec::new();
        // From the end, so that what fills a gap was looked at before.
        for at in (0..self.fragments.len()).rev() {
            if self.fragments[at].is_placed() {
                continue;
            }
            let fragment = self.fragments.swap_remove(at);
            self.places.remove(&fragment.key);
            if let Some(moved) = self.fragments.get(at) {
                self.places.insert(moved.key, at);
            }
            unplaced.push(fragment);
        }
        unplaced
    }

    /// Every fragment, in no particular order.
    pub fn into_fragments(self) -> Vec<Fragment> {
        self.fragments
    }

    fn fragment_of(&mut self, key: TrailKey, recorded_at: Timestamp) -> &mut Fragment {
        let at = *self.places.entry(key).or_insert_with(|| {
            self.fragments.push(Fragment::new(key, recorded_at));
            self.fragments.len() - 1
        });
        &mut self.fragments[at]
    }

    fn add_affected(&mut self, affected: &Affected, times: &Times) -> bool {
        let request_id = affected.request_id;
        let key = TrailKey { user: request_id.originator, subject: Subject::Unjoined(request_id) };
        let fragment = self.fragment_of(key, times.recorded);
        fragment.recorded_at_max = fragment.recorded_at_max.max(times.recorded);
        let mut entry = HistoryEntry::new(affected.state, times.alerted.unwrap_or(times.recorded));
        entry.cause = affected.cause.clone();
        fragment.record(entry)
    }
}

/// The times of an event that decide where its row lies and how long it stays. One that no event can have had decides
/// nothing: it is set apart, and another stands in for it.
struct Times {
    /// When it was recorded; else when its request was received or its alert came; else when it is read.
    recorded: Timestamp,
    /// When its request was received.
    received: Option<Timestamp>,
    /// When its alert came.
    alerted: Option<Timestamp>,
    impossible: Vec<Timestamp>,
}

impl Times {
    fn of(event: &Event, read_at: Option<Timestamp>) -> Self {
        let mut impossible = Vec::new();
        let mut possible = |time: Timestamp| {
            let can_be = time.can_be_of_event(read_at);
            if !can_be {
                impossible.push(time);
            }
            can_be.then_some(time)
        };
        let received = event.correlation.request_received_at.and_then(&mut possible);
        let alerted = match &event.body {
            Body::DeviceAlert(alert) | Body::DccAlert(alert) => possible(alert.at),
            _ => None,
        };
        let recorded = possible(event.recorded_at).or(received).or(alerted).or(read_at);
        Self { recorded: recorded.unwrap_or(event.recorded_at), received, alerted, impossible }
    }
}

/// The row that an event belongs to.
fn key_of(event: &Event) -> Result<TrailKey, Rejection> {
    let Correlation { user_id: user, request_id, command_variant, scheduled_run, .. } = &event.correlation;
    let subject = match &event.body {
        Body::DeviceAlert(alert) | Body::DccAlert(alert) => Subject::Alert {
            response_id: alert.response_id,
            code: alert.code,
            throttle_sequence: alert.throttle_sequence,
        },
        Body::ResponseSent(ResponseSent {
            content: ResponseContent::ScheduledRead { .. },
            response_id,
            ..
        }) => Subject::ScheduledRun(response_id.or(*scheduled_run).ok_or(Rejection::NoResponseId)?),
        body => match (request_id, command_variant, scheduled_run) {
            (Some(request_id), Some(command_variant), _) => {
                Subject::Leg(Leg { request_id: *request_id, command_variant: *command_variant })
            }
            (Some(request_id), None, _) => match body {
                // A Pre-Command names the transform leg by what it is.
                Body::ResponseSent(ResponseSent { content: ResponseContent::PreCommand, .. }) => {
                    Subject::Leg(Leg { request_id: *request_id, command_variant: CommandVariant::TRANSFORM })
                }
                Body::ResponseSent(_) => Subject::Unjoined(*request_id),
                _ => return Err(Rejection::NoCommandVariant),
            },
            (None, _, Some(run)) => Subject::ScheduledRun(*run),
            (None, _, None) => return Err(Rejection::NoKey),
        },
    };
    Ok(TrailKey { user: *user, subject })
}

/// The Device that an event is about. One that the event does not name is named by the key: the target of a request
/// that does not go to the DCC itself, and the sender of a run's result or of a Device Alert. Of a list without any other,
/// the first counts where the list is what was asked for or told, not where it is part of an answer.
fn device_of(key: &TrailKey, correlation: &Correlation, body: &Body) -> Option<DeviceId> {
    let implied = || match key.subject {
        Subject::Leg(leg) if leg.command_variant != CommandVariant::DCC_ONLY => Some(leg.request_id.target),
        Subject::ScheduledRun(id) => Some(id.first),
        Subject::Alert { response_id, .. } if matches!(body, Body::DeviceAlert(_)) => Some(response_id.first),
        _ => None,
    };
    let is_told = matches!(body, Body::RequestReceived(_) | Body::DeviceAlert(_) | Body::DccAlert(_));
    let listed = || correlation.concerned_devices.first().copied().filter(|_| is_told);
    correlation.device_id.or_else(implied).or_else(listed)
}

/// Adds what one event says to the fragment of its row. Returns whether anything of it was new.
fn apply(fragment: &mut Fragment, event: Event, times: Times) -> bool {
    let Event { correlation, body, .. } = event;
    fragment.recorded_at_max = fragment.recorded_at_max.max(times.recorded);
    let mut news = fragment.device.add_some(device_of(&fragment.key, &correlation, &body));
    news |= fragment.mpxn.add_some(correlation.mpxn);
    let (devices, mpxns) = (correlation.concerned_devices, correlation.concerned_mpxns);
    news |= fragment.add_besides(devices.into_iter(), mpxns.into_iter());
    news |= fragment.region.add_some(correlation.csp_region);
    // An alert is no Service Request and has no variant, whatever its event says (H8.16(c)).
    if !fragment.key.is_alert() {
        news |= fragment.variant.add_some(correlation.variant);
    }
    // A billing push from the meter's own calendar is told apart by the source (`Meter Scheduled`).
    news |= fragment.mode.add_some(correlation.mode.or(match body {
        Body::DeviceAlert(_) => Some(Mode::DeviceAlert),
        Body::DccAlert(_) => Some(Mode::DccAlert),
        _ => None,
    }));
    news |= fragment.preceding.add_some(correlation.preceding_request_id);
    news |= fragment.originator_counter.add_some(correlation.gbcs_originator_counter);
    if !fragment.key.is_alert() {
        news |= fragment.received.add_some(times.received);
    }
    news |= fragment.add_impossible_times(times.impossible.into_iter());
    news | match body {
        Body::RequestReceived(received) => {
            let at = times.received.unwrap_or(times.recorded);
            fragment.received.add(at)
                | fragment.execution_at.add_some(received.execution_at)
                | fragment.record(HistoryEntry::new(State::Received, at))
        }
        Body::StatusChanged(change) => {
            let mut entry = HistoryEntry::new(change.state, change.at);
            entry.code = change.code;
            entry.cause = change.cause;
            fragment.record(entry)
        }
        Body::ResponseSent(response) => apply_response(fragment, &response),
        Body::DeviceAlert(alert) | Body::DccAlert(alert) => {
            apply_alert(fragment, &alert, times.alerted.unwrap_or(times.recorded))
        }
    }
}

fn apply_response(fragment: &mut Fragment, response: &ResponseSent) -> bool {
    let mut news = fragment.response_ids.add_some(response.response_id);
    let mut entry = HistoryEntry::new(State::ResponseSent, response.at);
    entry.code = Some(response.code);
    match response.content {
        ResponseContent::Acknowledgement => entry.state = State::Acknowledged,
        ResponseContent::ServiceResponse => {}
        ResponseContent::PreCommand => entry.state = State::PreCommandReturned,
        ResponseContent::LocalCommand => entry.state = State::LocalCommandReturned,
        ResponseContent::ScheduledRead { schedule_id } => {
            news |= fragment.schedule_id.add(schedule_id);
        }
        ResponseContent::FutureDatedAlert { carried_out, instruction } => {
            entry.state = if carried_out { State::InstructionDone } else { State::InstructionFailed };
            entry.instruction = Some(instruction);
        }
    }
    news | fragment.record(entry)
}

/// `at`: when it came, as far as it can be told.
fn apply_alert(fragment: &mut Fragment, alert: &Alert, at: Timestamp) -> bool {
    let mut news = fragment.response_ids.add(alert.response_id);
    news |= fragment.received.add(at);
    let mut entry = HistoryEntry::new(State::AlertReceived, at);
    entry.cause =
        alert.throttle_count.and_then(|count| format!("throttled: stands for {count} alerts").parse().ok());
    news |= fragment.record(entry);
    if let Some(sent_at) = alert.sent_at {
        news |= fragment.record(HistoryEntry::new(State::AlertSent, sent_at));
    }
    news
}
