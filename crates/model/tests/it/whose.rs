//! Whose an event is: the table of the rule, line by line, and what no event can do.

use crate::it::{at, event, request_id};
use gridtrail_model::{
    Affected, Alert, AlertCode, Body, CommandVariant, Correlation, DeviceId, Event, Fold, Rejection,
    RequestReceived, ResponseContent, ResponseId, ResponseSent, State, StatusChanged, Subject, TrailKey,
    UserId,
};
use proptest::prelude::*;

fn other() -> UserId {
    "90-B3-D5-1F-30-02-00-02".parse().unwrap()
}

fn id_to(user: UserId) -> ResponseId {
    ResponseId {
        first: "02-1D-10-00-00-00-01-E0".parse().unwrap(),
        second: DeviceId::from_bytes(user.to_bytes()),
        counter: 7,
    }
}

fn changed() -> Body {
    Body::StatusChanged(StatusChanged { state: State::SentToCsp, at: at(1), code: None, cause: None })
}

fn response(response_id: Option<ResponseId>, content: ResponseContent) -> Body {
    Body::ResponseSent(ResponseSent { response_id, code: "I0".parse().unwrap(), at: at(1), content })
}

fn alert(response_id: ResponseId, code: &str, affects: Option<Affected>) -> Alert {
    Alert {
        response_id,
        code: code.parse::<AlertCode>().unwrap(),
        at: at(1),
        sent_at: None,
        throttle_sequence: None,
        throttle_count: None,
        affects,
    }
}

/// Events that are the sender's of `request_id`, or addressed to them, by what they are; each as if it were of another User.
fn events_of(user_id: UserId) -> Vec<(&'static str, Event)> {
    let request = request_id();
    let of_request = Correlation {
        request_id: Some(request),
        command_variant: CommandVariant::new(1),
        ..Correlation::of_user(user_id)
    };
    let run = id_to(request.originator);
    let of_run = Correlation { scheduled_run: Some(run), ..Correlation::of_user(user_id) };
    let read = ResponseContent::ScheduledRead { schedule_id: 3 };
    let plain = Correlation::of_user(user_id);
    let bodies = [
        ("a request", of_request.clone(), Body::RequestReceived(RequestReceived::default())),
        ("a change of a request", of_request.clone(), changed()),
        ("an acknowledgement", of_request.clone(), response(None, ResponseContent::Acknowledgement)),
        ("a response", of_request.clone(), response(Some(run), ResponseContent::ServiceResponse)),
        ("a Pre-Command", of_request, response(Some(run), ResponseContent::PreCommand)),
        ("the result of a run", plain.clone(), response(Some(run), read)),
        ("a change of a run", of_run, changed()),
        ("a Device Alert", plain.clone(), Body::DeviceAlert(alert(run, "8F0A", None))),
        ("a DCC Alert", plain, Body::DccAlert(alert(run, "N16", None))),
    ];
    bodies.into_iter().map(|(what, of, body)| (what, event(at(0), of, body))).collect()
}

#[test]
fn an_event_of_another_user_than_its_identifiers_name_is_rejected_with_both() {
    let sender = request_id().originator;
    for (what, event) in events_of(sender) {
        let folded = Fold::default().add(event).unwrap_or_else(|why| panic!("{what}: {why}"));
        assert_eq!(folded.key.user, sender, "{what}");
    }
    for (what, event) in events_of(other()) {
        let mut fold = Fold::default();
        let why = fold.add(event).expect_err(what).to_string();
        assert!(fold.is_empty(), "{what}: nothing is left of it");
        assert!(why.contains(&other().to_string()) && why.contains(&sender.to_string()), "{what}: {why}");
    }
}

/// The responses to 6.15.1, 6.21 and 6.23 do not swap the halves of the RequestID: they are held against the RequestID alone.
#[test]
fn a_response_whose_identifier_is_not_swapped_is_its_senders() {
    let request = request_id();
    let as_sent = ResponseId {
        first: DeviceId::from_bytes(request.originator.to_bytes()),
        second: request.target,
        counter: request.counter,
    };
    let of = Correlation { request_id: Some(request), ..Correlation::of_user(request.originator) };
    let folded =
        Fold::default().add(event(at(0), of, response(Some(as_sent), ResponseContent::ServiceResponse)));
    assert_eq!(folded.unwrap().key.user, request.originator);
}

/// An alert to one User about the request of another changes that other's request, and shows the first nothing of it.
#[test]
fn what_an_alert_says_of_a_request_is_its_senders() {
    let request = request_id();
    let affected = Affected { request_id: request, state: State::NoResponse, cause: None };
    let body = Body::DccAlert(alert(id_to(other()), "N13", Some(affected)));
    let mut fold = Fold::default();
    let folded = fold.add(event(at(0), Correlation::of_user(other()), body)).unwrap();
    assert_eq!(folded.key.user, other());
    let effect = TrailKey { user: request.originator, subject: Subject::Unjoined(request) };
    assert_eq!(fold.get(&effect).unwrap().history()[0].state, State::NoResponse);
    assert_eq!(fold.len(), 2, "the alert's own row, and the request's");
}

fn user(n: u8) -> UserId {
    UserId::from_bytes([0x90, 0xB3, 0xD5, 0x1F, 0x30, 2, 0, n])
}

proptest! {
    /// Whatever an event is made of, it adds to rows of the User that its identifiers name, and of no other.
    #[test]
    fn no_event_reaches_a_row_of_somebody_elses(
        place in 0usize..9, of in 0u8..3, sent_by in 0u8..3, to in 0u8..3, affects in prop::option::of(0u8..3),
    ) {
        let (_, mut event) = events_of(user(of)).remove(place);
        let request = |n| gridtrail_model::RequestId { originator: user(n), ..request_id() };
        event.correlation.request_id = event.correlation.request_id.map(|_| request(sent_by));
        event.correlation.scheduled_run = event.correlation.scheduled_run.map(|_| id_to(user(to)));
        let mut whose = if event.correlation.request_id.is_some() { sent_by } else { to };
        match &mut event.body {
            Body::DccAlert(alert) => {
                alert.affects = affects.map(|n| Affected { request_id: request(n), state: State::FailedDelivery, cause: None });
                (alert.response_id, whose) = (id_to(user(to)), to);
            }
            Body::DeviceAlert(alert) => (alert.response_id, whose) = (id_to(user(to)), to),
            Body::ResponseSent(response) => response.response_id = response.response_id.map(|_| id_to(user(to))),
            _ => {}
        }
        let (mut fold, is_alert) = (Fold::default(), matches!(event.body, Body::DccAlert(_)));
        let added = fold.add(event);
        prop_assert_eq!(added.is_ok(), whose == of);
        if let Err(why) = added {
            let told = matches!(why, Rejection::NotTheSender { .. } | Rejection::NotTheAddressee { .. });
            prop_assert!(told, "{}", why);
        }
        for fragment in fold.into_fragments() {
            let effect = affects.filter(|_| is_alert).map(user);
            prop_assert!(fragment.key.user == user(whose) || Some(fragment.key.user) == effect);
            if let Some(request) = fragment.key.request_id() {
                prop_assert_eq!(fragment.key.user, request.originator);
            }
        }
    }
}
