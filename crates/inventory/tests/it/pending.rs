//! A request is no fact until its outcome says so, whichever message comes first.

use crate::it::at;
use gridtrail_inventory::{
    AskedChange, AskedFact, InventoryFact, InventoryStatement, OutcomeOf, PendingFacts, RequestOutcome,
};
use gridtrail_model::{DeviceId, Merge, RequestId, SmiStatus, Timestamp, UserId};
use proptest::prelude::*;

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
    let of = |event: gridtrail_inventory::InventoryEvent| match event.told {
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
