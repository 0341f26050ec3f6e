//! Commands: which rows are of one, and what is told of it without saying whose it is (decision 0114).

use gridtrail_model::{Fragment, HistoryEntry, Simplified, State, Subject, Timestamp, Trail, TrailKey};

/// What is told of a Command that was transacted through a Communications Hub, and all that is: no User, Device, meter point or identifier
/// (UC_HubStatus_001).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HubCommand {
    /// When it was issued to the Device, to the second; where that is not on record, when its Service Request was received.
    pub at: Timestamp,
    /// Whether it was issued with success.
    pub status: Simplified,
}

/// Milliseconds of a second: Commands are told to the second.
const SECOND_MS: i64 = 1_000;

impl HubCommand {
    /// What is told of a row; `None`: no Command came of it, or none yet, or not over the SM WAN.
    pub(crate) fn of(fragment: &Fragment) -> Option<Self> {
        if !goes_over_the_sm_wan(&fragment.key) {
            return None;
        }
        let trail = Trail::from(fragment);
        let is_issued = trail.history.iter().any(|entry| shows_a_command(entry.state));
        if !is_issued && has_no_command(trail.current_status) {
            return None;
        }
        let at = issued_at(&trail.history).or(fragment.placement())?;
        let status = if trail.history.iter().any(|entry| is_with_the_device(entry.state)) {
            Simplified::Success
        } else {
            trail.simplified
        };
        Some(Self { at: at.plus_millis(-at.millis().rem_euclid(SECOND_MS)), status })
    }
}

/// Whether a row is of a Command.
pub(crate) fn is_command(fragment: &Fragment) -> bool {
    HubCommand::of(fragment).is_some()
}

/// What the legs of one request have in common: each Command counts once.
pub(crate) fn request_of(key: &TrailKey) -> TrailKey {
    match key.subject {
        Subject::Leg(leg) => TrailKey { subject: Subject::Unjoined(leg.request_id), ..*key },
        _ => *key,
    }
}

/// Whether a row is one of which a Command goes over the SM WAN: the leg of a request, or the run of a schedule. The Transform leg (4) only
/// makes a Pre-Command, a local one (2, 6) goes to the User, the DCC answers others itself (8), and an answer without its request does not
/// tell.
fn goes_over_the_sm_wan(key: &TrailKey) -> bool {
    match key.subject {
        Subject::Leg(leg) => matches!(leg.command_variant.number(), 1 | 3 | 5 | 7),
        Subject::ScheduledRun(_) => true,
        Subject::Alert { .. } | Subject::Unjoined(_) => false,
    }
}

/// Whether there is a Command where a row was in this state.
const fn shows_a_command(state: State) -> bool {
    matches!(
        state,
        State::SentToCsp
            | State::SentToDevice
            | State::Retrying
            | State::HeldByDevice
            | State::ResponseReceived
            | State::FailedDelivery
            | State::NoResponse
            | State::TimedOut
            | State::InstructionDone
            | State::InstructionFailed
            | State::ResponseSent
    )
}

/// Whether there is none where a row is in this state, and was in none of the others.
const fn has_no_command(state: State) -> bool {
    matches!(
        state,
        State::Received
            | State::RejectedValidation
            | State::RejectedAuthorisation
            | State::WaitingPreceding
            | State::StoredFutureDated
            | State::Quarantined
            | State::Deleted
            | State::Archived
            | State::Purged
            | State::Cancelled
    )
}

/// Whether the Device has a Command of its own account: it was issued, whatever comes of it.
const fn is_with_the_device(state: State) -> bool {
    matches!(state, State::HeldByDevice | State::InstructionDone | State::InstructionFailed)
}

fn issued_at(history: &[HistoryEntry]) -> Option<Timestamp> {
    history.iter().rev().find(|entry| entry.state == State::SentToDevice).map(|entry| entry.at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gridtrail_model::{CommandVariant, DeviceId, Leg, RequestId, ResponseId, UserId};

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_770_000_000_000 + millis).unwrap()
    }

    fn row(command_variant: u8, states: &[(State, i64)]) -> Fragment {
        let request_id = RequestId {
            originator: UserId::from_bytes([1; 8]),
            target: DeviceId::from_bytes([2; 8]),
            counter: 7,
        };
        let leg = Leg { request_id, command_variant: CommandVariant::new(command_variant).unwrap() };
        let key = TrailKey { user: request_id.originator, subject: Subject::Leg(leg) };
        of_key(key, states)
    }

    fn of_key(key: TrailKey, states: &[(State, i64)]) -> Fragment {
        let mut row = Fragment::new(key, at(0));
        row.received.add(at(0));
        for (state, millis) in states {
            row.record(HistoryEntry::new(*state, at(*millis)));
        }
        row
    }

    fn told(command_variant: u8, states: &[(State, i64)]) -> Option<(i64, Simplified)> {
        let told = HubCommand::of(&row(command_variant, states))?;
        Some((told.at.millis() - at(0).millis(), told.status))
    }

    #[test]
    fn a_command_goes_over_the_sm_wan() {
        let sent = [(State::Received, 0), (State::SentToDevice, 5_999), (State::ResponseSent, 9_000)];
        for command_variant in 1..=9 {
            let expected = [1, 3, 5, 7].contains(&command_variant).then_some((5_000, Simplified::Success));
            assert_eq!(told(command_variant, &sent), expected, "{command_variant}");
        }
        let response_id = ResponseId {
            first: DeviceId::from_bytes([2; 8]),
            second: DeviceId::from_bytes([1; 8]),
            counter: 7,
        };
        let key = |subject| TrailKey { user: UserId::from_bytes([1; 8]), subject };
        assert!(is_command(&of_key(key(Subject::ScheduledRun(response_id)), &sent)));
        let alert = Subject::Alert { response_id, code: "8F36".parse().unwrap(), throttle_sequence: None };
        assert!(!is_command(&of_key(key(alert), &[(State::AlertSent, 1)])));
        let request_id = RequestId {
            originator: UserId::from_bytes([1; 8]),
            target: DeviceId::from_bytes([2; 8]),
            counter: 7,
        };
        assert!(!is_command(&of_key(key(Subject::Unjoined(request_id)), &sent)));
    }

    #[test]
    fn what_never_became_a_command_is_none() {
        use State::*;
        for last in [
            RejectedValidation,
            RejectedAuthorisation,
            WaitingPreceding,
            StoredFutureDated,
            Quarantined,
            Deleted,
            Archived,
            Purged,
            Cancelled,
        ] {
            assert_eq!(told(1, &[(Received, 0), (last, 1)]), None, "{last}");
        }
        assert_eq!(told(1, &[(Received, 0)]), None);
        // One that was held and then issued is.
        let released = [(Received, 0), (Quarantined, 1), (Released, 2), (SentToCsp, 3)];
        assert_eq!(told(1, &released), Some((0, Simplified::InProgress)));
        let cancelled = [(Received, 0), (SentToDevice, 2_000), (Cancelled, 3_000)];
        assert_eq!(told(1, &cancelled), Some((2_000, Simplified::Failure)));
    }

    #[test]
    fn the_status_is_that_of_issuing_it() {
        use Simplified::{Failure, InProgress, Success};
        use State::*;
        let of = |states: &[State]| {
            let states: Vec<(State, i64)> = states.iter().copied().zip(1_000..).collect();
            told(5, &states).map(|(_, status)| status)
        };
        assert_eq!(of(&[Received, Acknowledged]), Some(InProgress));
        assert_eq!(of(&[Received, SentToDevice]), Some(InProgress));
        assert_eq!(of(&[Received, SentToDevice, ResponseSent]), Some(Success));
        assert_eq!(of(&[Received, SentToDevice, NoResponse]), Some(Failure));
        // The Device has it, whatever it makes of it.
        assert_eq!(of(&[Received, SentToDevice, HeldByDevice]), Some(Success));
        assert_eq!(of(&[Received, SentToDevice, HeldByDevice, TimedOut]), Some(Success));
        assert_eq!(of(&[Received, SentToDevice, InstructionFailed]), Some(Success));
    }

    /// The last time that it was issued counts, and of what was never said to be issued the receipt.
    #[test]
    fn the_time_is_that_of_issuing_it_to_the_second() {
        use State::*;
        let retried = [
            (Received, 0),
            (SentToDevice, 1_000),
            (Retrying, 2_000),
            (SentToDevice, 3_001),
            (ResponseSent, 4_000),
        ];
        assert_eq!(told(1, &retried), Some((3_000, Simplified::Success)));
        assert_eq!(told(1, &[(Received, 0), (ResponseSent, 4_000)]), Some((0, Simplified::Success)));
    }

    #[test]
    fn the_legs_of_a_request_are_one() {
        let (one, other) = (row(5, &[]), row(7, &[]));
        assert_ne!(one.key, other.key);
        assert_eq!(request_of(&one.key), request_of(&other.key));
    }
}
