//! The model as a whole: the laws of merging, and the traps of the domain, each by its number.

mod laws;
mod traps;
mod whose;

use gridtrail_model::{
    Body, CommandVariant, Correlation, Event, Fold, RequestId, RequestReceived, ResponseContent, ResponseId,
    ResponseSent, State, StatusChanged, Timestamp, Trail,
};

/// A request to a Device.
fn request_id() -> RequestId {
    "90-B3-D5-1F-30-02-00-01:02-1D-10-00-00-00-01-E0:1772323200123".parse().unwrap()
}

/// So many seconds after midnight of 1 March 2026.
fn at(seconds: i64) -> Timestamp {
    "2026-03-01".parse::<Timestamp>().unwrap().plus_millis(seconds * 1_000)
}

/// What an event of this leg says, for a request received at midnight.
fn of_leg(command_variant: u8, variant: &str) -> Correlation {
    let request_id = request_id();
    Correlation {
        request_id: Some(request_id),
        request_received_at: Some(at(0)),
        command_variant: CommandVariant::new(command_variant),
        device_id: Some(request_id.target),
        variant: Some(variant.parse().unwrap()),
        ..Correlation::of_user(request_id.originator)
    }
}

fn event(recorded_at: Timestamp, correlation: Correlation, body: Body) -> Event {
    Event { id: "e-1".parse().unwrap(), recorded_at, correlation, body }
}

fn received(correlation: &Correlation) -> Event {
    let received_at = correlation.request_received_at.unwrap();
    event(received_at, correlation.clone(), Body::RequestReceived(RequestReceived::default()))
}

fn entered(correlation: &Correlation, seconds: i64, state: State) -> Event {
    let body = StatusChanged { state, at: at(seconds), code: None, cause: None };
    event(at(seconds), correlation.clone(), Body::StatusChanged(body))
}

fn sent(correlation: &Correlation, seconds: i64, code: &str, content: ResponseContent) -> Event {
    let response_id = match content {
        ResponseContent::Acknowledgement => None,
        _ => Some(ResponseId::mirror_of(&request_id())),
    };
    let body = ResponseSent { response_id, code: code.parse().unwrap(), at: at(seconds), content };
    event(at(seconds), correlation.clone(), Body::ResponseSent(body))
}

/// The rows of these events, by Command Variant and then by User.
fn rows(events: impl IntoIterator<Item = Event>) -> Vec<Trail> {
    let mut fold = Fold::default();
    for event in events {
        fold.add(event).unwrap();
    }
    let mut trails: Vec<Trail> = fold.into_fragments().iter().map(Trail::from).collect();
    trails.sort_by_key(|trail| (trail.command_variant, trail.user_id, trail.received_at, trail.alert_code));
    trails
}

/// The one row of these events.
fn row(events: impl IntoIterator<Item = Event>) -> Trail {
    let mut all = rows(events);
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}
