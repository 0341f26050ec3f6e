//! A request is no fact until its outcome says so, whichever message comes first.

use crate::it::at;
use crate::it::world::Chance;
use gridtrail_inventory::{
    AskedChange, AskedFact, InventoryEvent, InventoryFact, InventoryFragment, InventoryKey, InventoryRow,
    InventoryRowContent, InventoryStatement, OutcomeOf, PendingFacts, PendingPart, RequestOutcome,
    merge_rows, requests_in, rows_of_pending,
};
use gridtrail_model::{DeviceId, Merge, Mpxn, Named, RequestId, SmiStatus, Timestamp, UserId};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const DEVICE: DeviceId = DeviceId::from_bytes([2; 8]);
const REQUEST: RequestId = RequestId { originator: UserId::from_bytes([9; 8]), target: DEVICE, counter: 7 };

fn asked(variant: &str, non_device: bool) -> AskedChange {
    let status = |outcome, status| {
        let fact = InventoryFact::SmiStatus { device: DEVICE, status: Some(status) };
        AskedFact { outcome, from: None, fact }
    };
    AskedChange {
        request_id: REQUEST,
        variant: variant.parse().unwrap(),
        non_device,
        recorded_at: at(1),
        event_id: "request".parse().unwrap(),
        facts: vec![
            status(OutcomeOf::Response, SmiStatus::Whitelisted),
            status(OutcomeOf::HanDeviceLog, SmiStatus::InstalledNotCommissioned),
        ],
    }
}

fn outcome(code: &str, variant: Option<&str>, of: OutcomeOf, hour: i64) -> RequestOutcome {
    RequestOutcome {
        request_id: REQUEST,
        variant: variant.map(|variant| variant.parse().unwrap()),
        of,
        code: code.parse().unwrap(),
        at: at(hour),
        recorded_at: at(hour + 1),
        event_id: format!("answer-{hour}").parse().unwrap(),
    }
}

/// The statuses that came about, and when they were known.
fn facts(pending: &PendingFacts) -> Vec<(SmiStatus, Timestamp, Timestamp)> {
    let of = |event: InventoryEvent| match event.told {
        InventoryStatement::Fact(stated) => match stated.fact {
            InventoryFact::SmiStatus { status: Some(status), .. } => {
                (status, stated.effective.from(), event.recorded_at)
            }
            other => panic!("{other:?}"),
        },
        InventoryStatement::Withdrawal(_) => panic!("a message withdraws nothing"),
    };
    pending.facts().into_iter().map(of).collect()
}

#[test]
fn only_a_successful_outcome_of_the_same_request_brings_facts() {
    let response = OutcomeOf::Response;
    for (non_device, code, variant, comes_about) in [
        (false, "I0", Some("8.11"), true),
        (false, "I0", None, true),
        (false, "W110101", None, true),
        (false, "I99", Some("8.11"), false),
        (true, "I99", Some("8.11"), true),
        (false, "E20", Some("8.11"), false),
        (false, "I0", Some("8.4"), false),
    ] {
        let mut pending = PendingFacts::new(REQUEST);
        pending.ask(asked("8.11", non_device));
        assert_eq!(facts(&pending), [], "a request alone is no fact");
        pending.answer(outcome(code, variant, response, 5));
        let expected = comes_about.then(|| (SmiStatus::Whitelisted, at(5), at(6)));
        assert_eq!(
            facts(&pending),
            expected.into_iter().collect::<Vec<_>>(),
            "{non_device} {code} {variant:?}"
        );
    }
    let mut alone = PendingFacts::new(REQUEST);
    alone.answer(outcome("I0", None, response, 5));
    assert_eq!(facts(&alone), [], "an answer to nobody knows what");
    let mut pending = PendingFacts::new(REQUEST);
    pending.ask(asked("8.11", false));
    pending.answer(outcome("I0", None, OutcomeOf::HanDeviceLog, 0));
    let expected = (SmiStatus::InstalledNotCommissioned, at(0), at(1));
    assert_eq!(facts(&pending), [expected], "recorded when both messages were");
}

#[test]
fn what_belongs_to_another_request_is_left_out() {
    let mut pending = PendingFacts::new(RequestId { counter: 8, ..REQUEST });
    pending.ask(asked("8.11", false));
    pending.answer(outcome("I0", None, OutcomeOf::Response, 5));
    assert_eq!(pending, PendingFacts::new(RequestId { counter: 8, ..REQUEST }));
}

fn pending() -> impl Strategy<Value = PendingFacts> {
    let asked = ("8\\.(4|11)", any::<bool>()).prop_map(|(variant, non_device)| asked(&variant, non_device));
    let code = prop::sample::select(vec!["I0", "I99", "E20"]);
    let of = prop::sample::select(vec![OutcomeOf::Response, OutcomeOf::HanDeviceLog]);
    let outcome = (code, of, 0_i64..3).prop_map(|(code, of, hour)| outcome(code, None, of, hour));
    (prop::collection::vec(asked, 0..3), prop::collection::vec(outcome, 0..4)).prop_map(
        |(asked, outcomes)| {
            let mut pending = PendingFacts::new(REQUEST);
            asked.into_iter().for_each(|one| pending.ask(one));
            outcomes.into_iter().for_each(|one| pending.answer(one));
            pending
        },
    )
}

proptest! {
    #[test]
    fn merging_is_a_union_and_only_adds_facts(one in pending(), two in pending(), three in pending()) {
        let merged = |one: &PendingFacts, other: &PendingFacts| {
            let mut one = one.clone();
            one.merge(other.clone());
            one
        };
        let both = merged(&one, &two);
        prop_assert_eq!(&both, &merged(&two, &one));
        prop_assert_eq!(&both, &merged(&both, &two));
        prop_assert_eq!(merged(&both, &three), merged(&one, &merged(&two, &three)));
        let all = both.facts();
        prop_assert!(one.facts().iter().chain(&two.facts()).all(|fact| all.contains(fact)));
    }
}

const DEVICES: [DeviceId; 3] = [DEVICE, DeviceId::from_bytes([3; 8]), DeviceId::from_bytes([4; 8])];

fn mpxn() -> Mpxn {
    "1312345678111".parse().unwrap()
}

fn asked_fact() -> impl Strategy<Value = AskedFact> {
    let device = || prop::sample::select(&DEVICES[..]);
    let fact = prop_oneof![
        (device(), prop::sample::select(SmiStatus::ALL))
            .prop_map(|(device, status)| InventoryFact::SmiStatus { device, status: Some(status) }),
        (device(), device(), any::<bool>())
            .prop_map(|(device, with, associated)| InventoryFact::Association { device, with, associated }),
        (device(), any::<bool>()).prop_map(|(device, installed)| InventoryFact::Installation {
            device,
            mpxn: mpxn(),
            installed
        }),
        device().prop_map(|device| InventoryFact::DeviceRemoved { device }),
    ];
    let outcome = prop::sample::select(vec![OutcomeOf::Response, OutcomeOf::HanDeviceLog]);
    let from = prop::option::of((0_i64..4).prop_map(at));
    (outcome, from, fact).prop_map(|(outcome, from, fact)| AskedFact { outcome, from, fact })
}

/// What a message says of one of few requests.
pub(crate) fn part() -> impl Strategy<Value = PendingPart> {
    let id = || (0_u64..4).prop_map(|counter| RequestId { counter, ..REQUEST });
    let variant = || prop::sample::select(vec!["8.4", "8.11"]).prop_map(|text| text.parse().unwrap());
    let hour = || (0_i64..6).prop_map(at);
    let asked = (id(), variant(), any::<bool>(), hour(), prop::collection::vec(asked_fact(), 1..4));
    let asked = asked.prop_map(|(request_id, variant, non_device, recorded_at, facts)| {
        let event_id = format!("request-{}", request_id.counter).parse().unwrap();
        PendingPart::Asked(AskedChange { request_id, variant, non_device, recorded_at, event_id, facts })
    });
    let code = prop::sample::select(vec!["I0", "I99", "E20", "W110101"]);
    let of = prop::sample::select(vec![OutcomeOf::Response, OutcomeOf::HanDeviceLog]);
    let outcome = (id(), prop::option::of(variant()), code, of, hour(), hour(), 0..3);
    let outcome = outcome.prop_map(|(request_id, variant, code, of, at, recorded_at, number)| {
        let (code, event_id) = (code.parse().unwrap(), format!("answer-{number}").parse().unwrap());
        PendingPart::Outcome(RequestOutcome { request_id, variant, of, code, at, recorded_at, event_id })
    });
    prop_oneof![asked, outcome]
}

/// What is known of a Device or meter point by rows, looked up as a table is: its own, and those of the requests in them.
fn looked_up(rows: &[InventoryRow], about: Named) -> InventoryFragment {
    let under = |key: InventoryKey| rows.iter().filter(move |row| row.key == key);
    let own = || under(about.into());
    let keys: BTreeSet<InventoryKey> =
        requests_in(own()).unwrap().iter().map(InventoryKey::of_request).collect();
    InventoryFragment::of_rows(about, own().chain(keys.into_iter().flat_map(under))).unwrap()
}

proptest! {
    /// Rows of requests and outcomes give the facts that came about, whatever their order, batches and repeats; without the outcomes, or with
    /// failures alone, none.
    #[test]
    fn rows_of_requests_and_outcomes_are_joined_in_any_order(
        parts in prop::collection::vec(part(), 0..24),
        order in any::<u64>(),
        batch in 1_usize..6,
    ) {
        let mut requests: BTreeMap<RequestId, PendingFacts> = BTreeMap::new();
        for one in parts.clone() {
            match one {
                PendingPart::Asked(asked) => {
                    let id = asked.request_id;
                    requests.entry(id).or_insert_with(|| PendingFacts::new(id)).ask(asked);
                }
                PendingPart::Outcome(outcome) => {
                    let id = outcome.request_id;
                    requests.entry(id).or_insert_with(|| PendingFacts::new(id)).answer(outcome);
                }
            }
        }
        let facts: Vec<InventoryEvent> = requests.values().flat_map(PendingFacts::facts).collect();
        let mut told = parts.clone();
        told.extend(parts.iter().take(3).cloned());
        let mut chance = Chance(order);
        (1..told.len()).rev().for_each(|at| told.swap(at, chance.below(at + 1)));
        let merged = |parts: &[PendingPart]| parts.chunks(batch).fold(Vec::new(), |rows, some| {
            merge_rows(rows, some.iter().flat_map(rows_of_pending).collect())
        });
        let rows = merged(&told);
        // What ingest leaves out changes nothing.
        told.retain(|part| !matches!(part, PendingPart::Outcome(outcome) if !outcome.may_bring()));
        let kept = merged(&told);
        told.retain(|part| matches!(part, PendingPart::Asked(_)));
        let asked = merged(&told);
        for about in DEVICES.into_iter().map(Named::Device).chain([Named::Mpxn(mpxn())]) {
            let mut expected = InventoryFragment::new(about);
            for fact in &facts {
                expected.add(fact.clone());
            }
            prop_assert_eq!(&looked_up(&rows, about), &expected);
            prop_assert_eq!(&looked_up(&kept, about), &expected);
            prop_assert!(looked_up(&asked, about).events().is_empty(), "requests alone are no facts");
        }
    }

    #[test]
    fn every_row_of_a_request_or_outcome_reads_back(part in part()) {
        let rows = rows_of_pending(&part);
        prop_assert!(!rows.is_empty());
        for row in rows {
            prop_assert_eq!(InventoryKey::from_bytes(row.key.to_bytes()), Some(row.key));
            match (row.content().unwrap(), &part) {
                (InventoryRowContent::Outcome(read), PendingPart::Outcome(outcome)) => prop_assert_eq!(&*read, outcome),
                (InventoryRowContent::Asked(read), PendingPart::Asked(asked)) => {
                    let [fact] = &read.facts[..] else { panic!("{read:?}") };
                    prop_assert!(asked.facts.contains(fact));
                    prop_assert_eq!(&AskedChange { facts: asked.facts.clone(), ..*read }, asked);
                }
                other => prop_assert!(false, "{other:?}"),
            }
        }
    }
}

/// Two requests of one print do not get each other's outcomes.
#[test]
fn an_outcome_says_whose_it_is() {
    let other = RequestId { counter: 8, ..REQUEST };
    assert_ne!(InventoryKey::of_request(&REQUEST), InventoryKey::of_request(&other));
    let mut rows = rows_of_pending(&PendingPart::Asked(asked("8.11", true)));
    let outcome = RequestOutcome { request_id: other, ..outcome("I0", None, OutcomeOf::Response, 5) };
    rows.extend(rows_of_pending(&PendingPart::Outcome(outcome)));
    let fragment = InventoryFragment::of_rows(Named::Device(DEVICE), &rows).unwrap();
    assert_eq!(fragment.events(), []);
}
