//! The facts of the domain that are most likely to be got wrong, by their number in the domain notes.

use crate::it::{at, entered, event, of_leg, received, request_id, row, rows, sent};
use gridtrail_model::{
    Alert, Anchor, Body, Correlation, DeviceId, Event, Fold, Fragment, Instruction, Merge as _, Mode, Mpxn,
    Named, RequestReceived, ResponseContent, ResponseId, Simplified, State, Timestamp, Trail, UserId,
};

const ACK: ResponseContent = ResponseContent::Acknowledgement;
const RESPONSE: ResponseContent = ResponseContent::ServiceResponse;

#[test]
fn trap_01_legs_share_a_request_id_and_are_rows_of_their_own() {
    let (transform, signed) = (of_leg(4, "1.5"), of_leg(5, "1.5"));
    let found = rows([
        received(&transform),
        sent(&transform, 2, "I0", ResponseContent::PreCommand),
        received(&signed),
        sent(&signed, 9, "I99", ACK),
    ]);
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|trail| trail.request_id == Some(request_id())));
    assert_eq!(
        (found[0].current_status, found[0].simplified),
        (State::PreCommandReturned, Simplified::Success)
    );
    assert_eq!((found[1].current_status, found[1].simplified), (State::Acknowledged, Simplified::InProgress));
}

#[test]
fn trap_01_a_bare_pre_command_answers_the_transform_leg() {
    let bare = Correlation { command_variant: None, ..of_leg(4, "1.5") };
    let found = rows([received(&of_leg(4, "1.5")), sent(&bare, 2, "I0", ResponseContent::PreCommand)]);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].current_status, State::PreCommandReturned);
}

#[test]
fn trap_01a_the_gbcs_number_is_not_the_counter_of_the_request() {
    let by_broker = Correlation { gbcs_originator_counter: Some(1_302), ..of_leg(1, "4.17") };
    let other_counter = Correlation { gbcs_originator_counter: None, ..of_leg(1, "4.17") };
    let trail = row([received(&by_broker), sent(&other_counter, 30, "I0", RESPONSE)]);
    assert_eq!(trail.gbcs_transaction_sequence_number, Some(1_302));
    assert_eq!(trail.request_id.unwrap().counter, 1_772_323_200_123);
    // Not given: empty, never copied from the RequestID.
    assert_eq!(row([received(&other_counter)]).gbcs_transaction_sequence_number, None);
}

#[test]
fn trap_02_i99_means_done_for_the_dcc_and_on_its_way_for_a_device() {
    let outcome = |cv: u8, variant: &str| {
        let leg = of_leg(cv, variant);
        let trail = row([received(&leg), sent(&leg, 1, "I99", ACK)]);
        (trail.current_status, trail.simplified, trail.sent_at.is_some())
    };
    assert_eq!(outcome(8, "8.4"), (State::CompletedDccOnly, Simplified::Success, true));
    for cv in [1, 3, 5, 7] {
        assert_eq!(
            outcome(cv, "4.8.1"),
            (State::Acknowledged, Simplified::InProgress, false),
            "variant {cv}"
        );
    }
}

fn alert_to(user: UserId, code: &str, throttle_sequence: Option<u32>) -> Event {
    let from_device = code.starts_with('8');
    let response_id: ResponseId = format!("02-1D-10-00-00-00-01-E0:{user}:77").parse().unwrap();
    let alert = Alert {
        response_id,
        code: code.parse().unwrap(),
        at: at(5),
        sent_at: Some(at(6)),
        throttle_sequence,
        throttle_count: throttle_sequence.map(|_| 12),
        affects: None,
    };
    let body = if from_device { Body::DeviceAlert(alert) } else { Body::DccAlert(alert) };
    let correlation =
        Correlation { device_id: Some(DeviceId::from_bytes([2; 8])), ..Correlation::of_user(user) };
    event(at(6), correlation, body)
}

const SUPPLIER: UserId = UserId::from_bytes([1; 8]);
const DISTRIBUTOR: UserId = UserId::from_bytes([3; 8]);

#[test]
fn trap_03_alerts_have_no_request_and_still_a_row() {
    for (code, mode) in [("8F36", Mode::DeviceAlert), ("AD1", Mode::DccAlert), ("N999", Mode::DccAlert)] {
        let trail = row([alert_to(SUPPLIER, code, None)]);
        assert_eq!((trail.mode, trail.request_id, trail.variant), (mode, None, None));
        assert_eq!((trail.received_at, trail.sent_at), (Some(at(5)), Some(at(6))));
        assert_eq!((trail.current_status, trail.simplified), (State::AlertSent, Simplified::Success));
    }
    let both = rows([alert_to(SUPPLIER, "8F36", None), alert_to(DISTRIBUTOR, "8F36", None)]);
    let users: Vec<UserId> = both.iter().map(|trail| trail.user_id).collect();
    assert_eq!(users, [SUPPLIER, DISTRIBUTOR]);
}

/// An alert about a request is an entry of its history, and no answer to it.
#[test]
fn an_alert_about_a_request_leaves_its_status() {
    let leg = of_leg(8, "11.1");
    let told = entered(&leg, 5, State::AlertReceived);
    let waiting = row([received(&leg), told.clone()]);
    assert_eq!((waiting.current_status, waiting.simplified), (State::AlertReceived, Simplified::InProgress));
    for answered in [1, 9] {
        let trail = row([received(&leg), told.clone(), sent(&leg, answered, "I99", ACK)]);
        assert_eq!((trail.current_status, trail.simplified), (State::CompletedDccOnly, Simplified::Success));
        assert!(trail.history.iter().any(|entry| entry.state == State::AlertReceived));
    }
    let refused = row([received(&leg), sent(&leg, 1, "E110101", RESPONSE), told]);
    assert_eq!((refused.current_status, refused.simplified), (State::ResponseSent, Simplified::Failure));
}

#[test]
fn trap_04_a_repeat_changes_nothing() {
    let leg = of_leg(1, "4.8.1");
    let mut events = vec![
        received(&leg),
        sent(&leg, 1, "I99", ACK),
        entered(&leg, 2, State::SentToDevice),
        sent(&leg, 30, "I0", RESPONSE),
        alert_to(SUPPLIER, "8F36", Some(2)),
        alert_to(SUPPLIER, "N16", None),
    ];
    let once = rows(events.clone());
    let mut again = events.clone();
    // The source gives a repeat another identifier, as at-least-once delivery may.
    again.iter_mut().for_each(|event| event.id = "e-2".parse().unwrap());
    events.extend(again);
    assert_eq!(rows(events), once);
}

#[test]
fn trap_04_another_place_in_a_throttled_sequence_is_another_alert() {
    let sequence = [1, 2, 2].map(|place| alert_to(SUPPLIER, "8F36", Some(place)));
    assert_eq!(rows(sequence).len(), 2);
}

/// H8.16(c) opens Service Requests of four variants; an alert is none, whatever its event claims.
#[test]
fn an_alert_has_no_variant_whatever_its_event_claims() {
    for code in ["8F36", "N36"] {
        for variant in ["4.8.1", "4.8.2", "4.8.3", "4.17", "6.11"] {
            let mut event = alert_to(SUPPLIER, code, None);
            event.correlation.variant = Some(variant.parse().unwrap());
            event.correlation.request_id = Some(request_id());
            event.correlation.command_variant = of_leg(1, variant).command_variant;
            let mut fold = Fold::default();
            fold.add(event).unwrap();
            let [mut alert] = fold.into_fragments().try_into().unwrap();
            assert_eq!(alert.variant.value(), None, "{code} {variant}");
            // Nor has one that was stored before that was so.
            alert.variant.add(variant.parse().unwrap());
            let trail = Trail::from(&alert);
            assert_eq!((trail.variant, trail.service_reference()), (None, None), "{code} {variant}");
            assert!(!alert.is_meter_read() && trail.disputes.is_empty(), "{code} {variant}");
        }
    }
}

#[test]
fn trap_05_the_code_decides_and_the_payload_is_never_looked_into() {
    let leg = of_leg(1, "4.8.1");
    let outcome = |code: &str| {
        let trail = row([received(&leg), sent(&leg, 30, code, RESPONSE)]);
        (trail.current_status, trail.simplified)
    };
    // I0 with whatever inside: the DCC did its part.
    assert_eq!(outcome("I0"), (State::ResponseSent, Simplified::Success));
    assert_eq!(outcome("W110101"), (State::ResponseSent, Simplified::Success));
    assert_eq!(outcome("E041701"), (State::ResponseSent, Simplified::Failure));
    assert_eq!(outcome("E20"), (State::FailedDelivery, Simplified::Failure));
    assert_eq!(outcome("E21"), (State::NoResponse, Simplified::Failure));
}

#[test]
fn trap_06_a_row_stays_in_progress_as_long_as_a_profile_read_may_take() {
    let leg = of_leg(1, "4.8.1");
    let open = [
        received(&leg),
        sent(&leg, 1, "I99", ACK),
        entered(&leg, 2, State::SentToCsp),
        entered(&leg, 4, State::SentToDevice),
    ];
    let waiting = row(open.clone());
    assert_eq!((waiting.simplified, waiting.sent_at), (Simplified::InProgress, None));
    let done = row(open.into_iter().chain([sent(&leg, 5_600, "I0", RESPONSE)]));
    assert_eq!((done.simplified, done.sent_at), (Simplified::Success, Some(at(5_600))));
}

fn held_command() -> Vec<Event> {
    let leg = of_leg(5, "1.1.1");
    let body = Body::RequestReceived(RequestReceived { execution_at: Some(at(3_600)) });
    vec![event(at(0), leg.clone(), body), sent(&leg, 1, "I99", ACK), sent(&leg, 30, "I0", RESPONSE)]
}

fn report(seconds: i64, number: u16, carried_out: bool) -> Event {
    let instruction = Instruction { number, total: 3 };
    let content = ResponseContent::FutureDatedAlert { carried_out, instruction };
    sent(&of_leg(5, "1.1.1"), seconds, "I0", content)
}

#[test]
fn trap_07_a_command_held_by_the_device_is_done_when_all_have_reported() {
    let outcome = |reports: &[Event]| {
        let trail = row(held_command().into_iter().chain(reports.iter().cloned()));
        assert_eq!(trail.mode, Mode::FutureDate);
        (trail.current_status, trail.simplified)
    };
    assert_eq!(outcome(&[]), (State::HeldByDevice, Simplified::InProgress));
    let mut reports = vec![report(3_602, 3, true), report(3_601, 1, true)];
    assert_eq!(outcome(&reports), (State::InstructionDone, Simplified::InProgress));
    // A second report of one instruction stands for no other.
    reports.push(report(3_603, 1, true));
    assert_eq!(outcome(&reports), (State::InstructionDone, Simplified::InProgress));
    reports.push(report(3_604, 2, true));
    assert_eq!(outcome(&reports), (State::InstructionDone, Simplified::Success));
}

#[test]
fn trap_07_any_failed_instruction_fails_the_command_for_good() {
    for failing in 1..=3 {
        let reports = (1..=3).map(|number| report(3_600 + i64::from(number), number, number != failing));
        let trail = row(held_command().into_iter().chain(reports));
        assert_eq!(
            (trail.current_status, trail.simplified),
            (State::InstructionFailed, Simplified::Failure),
            "instruction {failing}"
        );
    }
}

#[test]
fn trap_07_an_acceptance_that_comes_late_overrules_no_answer() {
    let mut events = held_command();
    events.insert(2, sent(&of_leg(5, "1.1.1"), 20, "E21", RESPONSE));
    let late = row(events.clone());
    assert_eq!((late.current_status, late.simplified), (State::HeldByDevice, Simplified::InProgress));
    events.push(report(3_601, 1, true));
    let partly = row(events.clone());
    assert_eq!((partly.current_status, partly.simplified), (State::InstructionDone, Simplified::InProgress));
    events.push(sent(&of_leg(5, "1.1.1"), 9_000, "E30", RESPONSE));
    let given_up = row(events);
    assert_eq!((given_up.current_status, given_up.simplified), (State::TimedOut, Simplified::Failure));
}

#[test]
fn an_event_that_names_no_row_is_refused_with_the_remedy() {
    let nameless = Correlation::of_user(SUPPLIER);
    let error = Fold::default().add(entered(&nameless, 1, State::SentToCsp)).unwrap_err();
    assert!(error.to_string().contains("set request_id"), "{error}");
    let legless = Correlation { command_variant: None, ..of_leg(1, "4.8.1") };
    let error = Fold::default().add(entered(&legless, 1, State::SentToCsp)).unwrap_err();
    assert!(error.to_string().contains("command_variant"), "{error}");
}

fn fragments(events: impl IntoIterator<Item = Event>) -> Vec<Fragment> {
    let mut fold = Fold::default();
    for event in events {
        fold.add(event).unwrap();
    }
    let mut fragments = fold.into_fragments();
    fragments.sort_by_key(|fragment| fragment.key);
    fragments
}

#[test]
fn an_event_that_names_no_device_is_about_the_target_of_its_request() {
    let unnamed = |cv, variant| Correlation { device_id: None, ..of_leg(cv, variant) };
    let anchor = |leg: &Correlation| fragments([received(leg)])[0].anchor();
    assert_eq!(anchor(&unnamed(1, "4.8.1")), Anchor::Device(request_id().target));
    // One that goes to the DCC has no Device by that; what it names instead is what it lies under.
    let neither = Correlation { mpxn: None, ..unnamed(8, "5.3") };
    assert_eq!(anchor(&neither), Anchor::User(neither.user_id));
    let mpxn = "1217290354420".parse().unwrap();
    assert_eq!(anchor(&Correlation { mpxn: Some(mpxn), ..neither.clone() }), Anchor::Mpxn(mpxn));
    let listed: Vec<DeviceId> = [9, 3].map(|n| DeviceId::from_bytes([n; 8])).to_vec();
    let update = Correlation { concerned_devices: listed.clone(), ..neither.clone() };
    assert_eq!(anchor(&update), Anchor::Device(listed[0]), "the first of a list");
    // A list in an answer is none of what was asked for.
    let warned = Correlation { concerned_devices: listed, ..neither };
    let answer = fragments([sent(&warned, 5, "W110101", RESPONSE)]);
    assert_eq!(answer[0].anchor(), Anchor::User(warned.user_id));
    let alert = Event { correlation: Correlation::of_user(SUPPLIER), ..alert_to(SUPPLIER, "8F36", None) };
    let Body::DeviceAlert(Alert { response_id, .. }) = &alert.body else { unreachable!() };
    let sender = response_id.first;
    assert_eq!(fragments([alert])[0].anchor(), Anchor::Device(sender));
}

/// Several Devices and meter points of one message are no dispute: each finds the row.
#[test]
fn what_a_message_names_besides_is_no_dispute() {
    let devices: Vec<DeviceId> = (3..=9).map(|n| DeviceId::from_bytes([n; 8])).collect();
    let mpxns: Vec<Mpxn> = ["1312345678222", "1312345678777"].map(|text| text.parse().unwrap()).to_vec();
    let leg = Correlation {
        concerned_devices: devices.iter().rev().copied().chain(devices.clone()).collect(),
        concerned_mpxns: mpxns.clone(),
        ..of_leg(1, "8.11")
    };
    let fragment = fragments([received(&leg), sent(&leg, 5, "I0", RESPONSE)]).remove(0);
    assert!(devices.iter().all(|device| fragment.names(Named::Device(*device))));
    assert!(mpxns.iter().all(|mpxn| fragment.names(Named::Mpxn(*mpxn))));
    let trail = Trail::from(&fragment);
    assert!(trail.disputes.is_empty(), "{:?}", trail.disputes);
    assert_eq!((trail.device_id, &trail.concerned_devices.first), (leg.device_id, &devices));
    assert_eq!((trail.concerned_mpxns.first, trail.concerned_mpxns.count), (mpxns, 2));
}

/// A list of any length costs little more than its own reading: merging it again and again does not go through it for each entry.
#[test]
fn a_long_list_is_folded_and_shown_in_part() {
    let devices =
        (0..50_000_u64).map(|n| DeviceId::from_bytes(n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes()));
    let leg = Correlation { concerned_devices: devices.collect(), device_id: None, ..of_leg(8, "11.1") };
    let events = [received(&leg), sent(&leg, 1, "I99", ACK), sent(&leg, 9, "W110101", RESPONSE)];
    let fragment = fragments(events).remove(0);
    let mut twice = fragment.clone();
    twice.merge(fragment.clone());
    assert!(twice == fragment);
    let shown = Trail::from(&fragment).concerned_devices;
    assert_eq!((shown.first.len(), shown.count), (Trail::CONCERNED_SHOWN, 49_999));
}

/// Times of before 2012, and receipts of the day after tomorrow, are told and decide nothing.
#[test]
fn impossible_times_are_shown_and_place_no_row() {
    let time = |text: &str| text.parse::<Timestamp>().unwrap();
    let now = at(10);
    let (past, future) = (time("1999-12-31T23:00:00Z"), now.plus_millis(25 * 3_600_000));
    let placed = |received: Option<Timestamp>, recorded: Timestamp| {
        let leg = Correlation { request_received_at: received, ..of_leg(1, "4.8.1") };
        let mut fold = Fold::default();
        let event = event(recorded, leg, Body::RequestReceived(RequestReceived::default()));
        fold.add_read_at(event, now).unwrap();
        let fragment = fold.into_fragments().remove(0);
        let shown = Trail::from(&fragment).disputes.into_iter().flat_map(|dispute| dispute.others);
        (fragment.placement().unwrap(), fragment.recorded_at_max, shown.collect::<Vec<_>>())
    };
    let text = |time: Timestamp| time.to_string();
    assert_eq!(placed(Some(at(0)), at(1)), (at(0), at(1), vec![]));
    for odd in [past, future] {
        assert_eq!(placed(Some(odd), at(1)), (at(1), at(1), vec![text(odd)]), "received {odd}");
        assert_eq!(placed(Some(at(0)), odd), (at(0), at(0), vec![text(odd)]), "recorded {odd}");
        assert_eq!(placed(None, odd), (now, now, vec![text(odd)]), "nothing but {odd}");
        assert_eq!(placed(Some(past), future), (now, now, vec![text(past), text(future)]));
    }
    // Clocks differ by less than a day.
    let ahead = now.plus_millis(23 * 3_600_000);
    assert_eq!(placed(Some(ahead), ahead), (ahead, ahead, vec![]));
    // An alert lies at its own time, and by that of its recording where it has none that can be.
    let mut alert = alert_to(SUPPLIER, "8F36", None);
    if let Body::DeviceAlert(alert) = &mut alert.body {
        alert.at = past;
    }
    let alert = fragments([alert]).remove(0);
    assert_eq!((alert.placement(), alert.impossible_times().value()), (Some(at(6)), Some(&past)));
    // A status with such a receipt time says nothing of when its request was received.
    let leg = Correlation { request_received_at: Some(past), ..of_leg(1, "4.8.1") };
    assert!(!fragments([entered(&leg, 3, State::SentToCsp)])[0].is_placed());
}
