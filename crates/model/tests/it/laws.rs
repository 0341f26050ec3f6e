//! **I1**: merging is commutative, associative and idempotent, so neither order nor repeats nor batch borders
//! change anything. Proven over random events, most of which no sane DCC would send.

use crate::it::at;
use gridtrail_model::{
    Affected, Alert, Anchor, Body, CommandVariant, Correlation, DeviceId, Event, Fold, Fragment, Instruction,
    Leg, Merge, Mode, RequestId, RequestReceived, Resolved, ResponseContent, ResponseId, ResponseSent, State,
    StatusChanged, Subject, Timestamp, Trail, TrailKey, UserId,
};
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::BTreeMap;

const MPXNS: [&str; 3] = ["1312345678111", "1312345678222", "000123"];

const USER: UserId = UserId::from_bytes([9; 8]);

fn request(counter: u64) -> RequestId {
    RequestId { originator: USER, target: DeviceId::from_bytes([2; 8]), counter }
}

fn time() -> impl Strategy<Value = Timestamp> {
    (0_i64..40).prop_map(at)
}

fn content() -> impl Strategy<Value = ResponseContent> {
    prop_oneof![
        Just(ResponseContent::Acknowledgement),
        Just(ResponseContent::ServiceResponse),
        Just(ResponseContent::PreCommand),
        Just(ResponseContent::LocalCommand),
        (any::<bool>(), 1_u16..4).prop_map(|(carried_out, number)| ResponseContent::FutureDatedAlert {
            carried_out,
            instruction: Instruction { number, total: 3 },
        }),
    ]
}

fn alert() -> impl Strategy<Value = Body> {
    let affects = (0_u64..3, select(State::ALL)).prop_map(|(counter, state)| Affected {
        request_id: request(counter),
        state,
        cause: "quarantine event 7".parse().ok(),
    });
    let parts =
        (time(), proptest::option::of(time()), proptest::option::of(0_u32..3), proptest::option::of(affects));
    parts.prop_map(|(at, sent_at, sequence, affects)| {
        Body::DccAlert(Alert {
            response_id: ResponseId::mirror_of(&request(50)),
            code: "N36".parse().unwrap(),
            at,
            sent_at,
            throttle_sequence: sequence,
            throttle_count: sequence,
            affects,
        })
    })
}

fn body() -> impl Strategy<Value = Body> {
    let code = || select(vec!["I0", "I99", "E21", "E30", "E4", "W110101"]);
    prop_oneof![
        proptest::option::of(time())
            .prop_map(|execution_at| Body::RequestReceived(RequestReceived { execution_at })),
        (select(State::ALL), time(), proptest::option::of(code())).prop_map(|(state, at, code)| {
            let code = code.map(|code| code.parse().unwrap());
            Body::StatusChanged(StatusChanged { state, at, code, cause: None })
        }),
        (content(), time(), code(), 0_u64..3).prop_map(|(content, at, code, counter)| {
            let response_id = Some(ResponseId::mirror_of(&request(counter)));
            Body::ResponseSent(ResponseSent { response_id, code: code.parse().unwrap(), at, content })
        }),
        alert(),
    ]
}

/// An event of one of a few requests and legs, so that many meet in a row; claims about it may disagree.
fn an_event() -> impl Strategy<Value = Event> {
    let claims = (
        proptest::option::of(time()),
        proptest::option::of(0_u8..3),
        proptest::option::of(select(Mode::ALL)),
        proptest::option::of(0_u64..3),
        (proptest::collection::vec(0_u8..4, 0..3), proptest::collection::vec(0_usize..3, 0..3)),
    );
    (0_u64..3, select(vec![1_u8, 4, 5, 8]), any::<bool>(), time(), claims, body()).prop_map(
        |(counter, cv, bare, recorded_at, (received_at, device, mode, gbcs, concerned), body)| {
            let bare = bare && matches!(body, Body::ResponseSent(_));
            let correlation = Correlation {
                request_id: Some(request(counter)),
                command_variant: CommandVariant::new(cv).filter(|_| !bare),
                request_received_at: received_at,
                device_id: device.map(|device| DeviceId::from_bytes([device; 8])),
                concerned_devices: concerned.0.into_iter().map(|n| DeviceId::from_bytes([n; 8])).collect(),
                mpxn: concerned.1.first().map(|n| MPXNS[*n].parse().unwrap()),
                concerned_mpxns: concerned.1.into_iter().skip(1).map(|n| MPXNS[n].parse().unwrap()).collect(),
                mode,
                gbcs_originator_counter: gbcs,
                ..Correlation::of_user(USER)
            };
            Event { id: "e".parse().unwrap(), recorded_at, correlation, body }
        },
    )
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    proptest::collection::vec(an_event(), 1..40)
}

fn folded(events: impl IntoIterator<Item = Event>) -> BTreeMap<TrailKey, Fragment> {
    let mut fold = Fold::default();
    for event in events {
        fold.add(event).unwrap();
    }
    fold.into_fragments().into_iter().map(|fragment| (fragment.key, fragment)).collect()
}

fn merged(
    mut one: BTreeMap<TrailKey, Fragment>,
    other: BTreeMap<TrailKey, Fragment>,
) -> BTreeMap<TrailKey, Fragment> {
    for (key, fragment) in other {
        match one.get_mut(&key) {
            Some(known) => known.merge(fragment),
            None => drop(one.insert(key, fragment)),
        }
    }
    one
}

/// The legs of a request, on record since these times.
fn on_record() -> Vec<Resolved> {
    [(4, 3), (5, 20)]
        .into_iter()
        .map(|(cv, seconds)| Resolved {
            subject: Subject::Leg(Leg {
                request_id: request(0),
                command_variant: CommandVariant::new(cv).unwrap(),
            }),
            received: at(seconds),
            anchor: Anchor::Device(DeviceId::from_bytes([2; 8])),
        })
        .collect()
}

fn joined(fragments: BTreeMap<TrailKey, Fragment>) -> BTreeMap<TrailKey, Fragment> {
    let mut all = BTreeMap::new();
    for fragment in fragments.into_values() {
        for part in fragment.join(&on_record()).unwrap() {
            all = merged(all, BTreeMap::from([(part.key, part)]));
        }
    }
    all
}

/// Reports of the DCC on a request that has two legs: bare responses and alerts, before and after both.
fn unjoined_events() -> impl Strategy<Value = Vec<Event>> {
    let bare = events().prop_map(|mut events| {
        events.retain(|event| matches!(event.body, Body::ResponseSent(_)));
        for event in &mut events {
            event.correlation = Correlation { request_id: Some(request(0)), ..Correlation::of_user(USER) };
            if let Body::ResponseSent(response) = &mut event.body {
                response.response_id = Some(ResponseId::mirror_of(&request(0)));
            }
        }
        events
    });
    bare.prop_filter("at least one response", |events| !events.is_empty())
}

fn histories(fragments: &BTreeMap<TrailKey, Fragment>) -> Vec<(TrailKey, &[gridtrail_model::HistoryEntry])> {
    fragments.iter().map(|(key, fragment)| (*key, fragment.history())).collect()
}

/// The legs of one request keep the Response IDs of their own answers; an odd one is lost for neither.
#[test]
fn a_fragment_of_two_legs_gives_each_its_own_response_ids() {
    let (mirror, report, odd) = (request(0), request(70), request(80));
    let sent = |seconds, id: RequestId, content| {
        let body = ResponseSent {
            response_id: Some(ResponseId::mirror_of(&id)),
            code: "I0".parse().unwrap(),
            at: at(seconds),
            content,
        };
        let correlation = Correlation { request_id: Some(request(0)), ..Correlation::of_user(USER) };
        Event { id: "e".parse().unwrap(), recorded_at: at(40), correlation, body: Body::ResponseSent(body) }
    };
    let instruction = Instruction { number: 1, total: 1 };
    let parts = |late: Vec<Event>| {
        let early = sent(10, mirror, ResponseContent::ServiceResponse);
        let parts = joined(folded(std::iter::once(early).chain(late)));
        let ids = |part: &Fragment| part.response_ids.iter().copied().collect::<Vec<_>>();
        parts.values().map(ids).collect::<Vec<_>>()
    };
    let [mirror_id, report_id, odd_id] = [mirror, report, odd].map(|id| ResponseId::mirror_of(&id));
    let reported = ResponseContent::FutureDatedAlert { carried_out: true, instruction };
    assert_eq!(parts(vec![sent(30, report, reported)]), [vec![mirror_id], vec![report_id]]);
    let answers = vec![sent(30, odd, ResponseContent::ServiceResponse)];
    assert_eq!(parts(answers), [vec![mirror_id, odd_id], vec![mirror_id, odd_id]]);
}

proptest! {
    /// What is a duplicate changes nothing but how young its row is, and what is none changes more.
    #[test]
    fn a_duplicate_is_what_changes_nothing(events in events()) {
        let mut fold = Fold::default();
        // Of all rows: an alert about a request changes that request, too.
        let known = |events: &[&Event]| {
            let mut rows = folded(events.iter().copied().cloned());
            rows.values_mut().for_each(|row| row.recorded_at_max = at(0));
            rows
        };
        let told: Vec<&Event> = events.iter().chain(&events).collect();
        for (n, event) in told.iter().enumerate() {
            let duplicate = fold.add((*event).clone()).unwrap().duplicate;
            prop_assert_eq!(duplicate, known(&told[..n]) == known(&told[..=n]));
        }
        prop_assert!(events.into_iter().all(|event| fold.add(event).unwrap().duplicate));
    }

    #[test]
    fn merging_is_commutative_and_idempotent(one in events(), other in events()) {
        let (one, other) = (folded(one), folded(other));
        let both = merged(one.clone(), other.clone());
        prop_assert_eq!(&both, &merged(other.clone(), one.clone()));
        prop_assert_eq!(&both, &merged(both.clone(), other));
        prop_assert_eq!(&one, &merged(one.clone(), one.clone()));
    }

    #[test]
    fn merging_is_associative(one in events(), two in events(), three in events()) {
        let (one, two, three) = (folded(one), folded(two), folded(three));
        let left = merged(merged(one.clone(), two.clone()), three.clone());
        prop_assert_eq!(left, merged(one, merged(two, three)));
    }

    #[test]
    fn order_repeats_and_batches_change_nothing(
        (events, shuffled) in events().prop_flat_map(|events| {
            (Just(events.clone()), Just(events).prop_shuffle())
        }),
        batch in 1_usize..10,
        repeats in 0_usize..10,
    ) {
        let whole = folded(events.clone());
        let again = events.into_iter().take(repeats);
        let mut in_batches = BTreeMap::new();
        for batch in shuffled.into_iter().chain(again).collect::<Vec<_>>().chunks(batch) {
            in_batches = merged(in_batches, folded(batch.iter().cloned()));
        }
        prop_assert_eq!(&in_batches, &whole);
        for (key, fragment) in whole {
            prop_assert_eq!(Trail::from(&fragment), Trail::from(&in_batches[&key]));
        }
    }

    #[test]
    fn a_history_is_ascending_and_holds_each_entry_once(events in events()) {
        for fragment in folded(events).into_values() {
            prop_assert!(fragment.history().is_sorted_by(|a, b| a < b));
        }
    }

    /// Whether two reports wait together or apart for their leg, the legs have the same history in the end.
    /// Of the other fields this does not hold: a fragment whose entries go to two legs gives both its Response IDs
    /// and its youngest `recorded_at`, since it does not know which entry they came with.
    #[test]
    fn joining_and_merging_may_change_places(one in unjoined_events(), other in unjoined_events()) {
        let apart = merged(joined(folded(one.clone())), joined(folded(other.clone())));
        let together = joined(merged(folded(one), folded(other)));
        prop_assert_eq!(histories(&apart), histories(&together));
        let entries: usize = together.values().map(|fragment| fragment.history().len()).sum();
        prop_assert!(entries > 0);
    }

    /// Who reads the rows on record from the newest month back may stop once a fragment is settled, and not before
    /// each of its entries has its leg.
    #[test]
    fn older_rows_change_nothing_for_what_is_settled(
        mut events in unjoined_events(),
        legs in proptest::collection::vec((select(vec![1_u8, 4, 5]), 0_i64..60), 0..6),
        month in 1_i64..30,
    ) {
        events.truncate(4);
        let leg = |(cv, seconds)| Resolved {
            subject: Subject::Leg(Leg {
                request_id: request(0),
                command_variant: CommandVariant::new(cv).unwrap(),
            }),
            received: at(seconds),
            anchor: Anchor::User(USER),
        };
        for fragment in folded(events).into_values() {
            let all: Vec<Resolved> = legs.iter().copied().map(leg).collect();
            let mut newest = Vec::new();
            for from in (0..60).step_by(usize::try_from(month).unwrap()).collect::<Vec<_>>().into_iter().rev() {
                let within = legs.iter().copied().filter(|leg| (from..from + month).contains(&leg.1));
                newest.extend(within.map(leg));
                if fragment.is_settled_by(&newest) {
                    break;
                }
            }
            prop_assert_eq!(fragment.join(&newest), fragment.join(&all));
        }
    }
}

#[test]
fn an_entry_without_a_leg_before_it_is_not_settled() {
    let answered = |seconds, content| {
        let body = ResponseSent { response_id: None, code: "I0".parse().unwrap(), at: at(seconds), content };
        let correlation = Correlation { request_id: Some(request(0)), ..Correlation::of_user(USER) };
        Event { id: "e".parse().unwrap(), recorded_at: at(40), correlation, body: Body::ResponseSent(body) }
    };
    let settled = |events: Vec<Event>, legs: &[Resolved]| {
        folded(events).into_values().all(|fragment| fragment.is_settled_by(legs))
    };
    // The transform leg since second 3, the other since second 20.
    let legs = on_record();
    let (transform, signed) = (&legs[..1], &legs[1..]);
    let (answer, pre_command) = (ResponseContent::ServiceResponse, ResponseContent::PreCommand);
    assert!(!settled(vec![answered(30, answer)], &[]));
    assert!(settled(vec![answered(30, answer)], signed));
    assert!(!settled(vec![answered(19, answer)], signed));
    assert!(!settled(vec![answered(19, answer), answered(30, answer)], signed));
    assert!(settled(vec![answered(19, answer), answered(30, answer)], &legs));
    assert!(!settled(vec![answered(30, pre_command)], signed), "it answers the transform leg");
    assert!(settled(vec![answered(30, pre_command)], transform));
}
