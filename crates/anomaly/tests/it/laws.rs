//! **I1** and what rests on it: order, repetition and batch borders never matter, and rows say what their events say.

use crate::it::at;
use crate::it::world::{any_events, fragment, user};
use gridtrail_anomaly::{
    AnomalyFact, AnomalyFragment, AnomalyKey, AnomalyRow, AnomalyStatement, merge_rows, rows_of,
};
use gridtrail_model::{Merge as _, RequestId, Timestamp};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn merged(mut one: AnomalyFragment, other: &AnomalyFragment) -> AnomalyFragment {
    one.merge(other.clone());
    one
}

/// What the rows under both keys of the User say.
fn of_rows(rows: &[AnomalyRow]) -> AnomalyFragment {
    AnomalyFragment::of_rows(Some(user(1)), rows).unwrap()
}

proptest! {
    #[test]
    fn merging_is_commutative_associative_and_idempotent(
        a in any_events(), b in any_events(), c in any_events(),
    ) {
        let [a, b, c] = [a, b, c].map(fragment);
        prop_assert_eq!(merged(a.clone(), &b), merged(b.clone(), &a));
        prop_assert_eq!(merged(merged(a.clone(), &b), &c), merged(a.clone(), &merged(b, &c)));
        prop_assert_eq!(merged(a.clone(), &a), a);
    }

    #[test]
    fn order_repeats_and_batches_do_not_matter(
        (events, shuffled) in any_events().prop_flat_map(|events| {
            let twice: Vec<_> = events.iter().chain(&events).cloned().collect();
            (Just(events), Just(twice).prop_shuffle())
        }),
        batches in prop::collection::vec(0_usize..24, 0..4),
    ) {
        let mut rest = shuffled;
        let mut all = AnomalyFragment::new(Some(user(1)));
        for at in batches {
            let batch = rest.split_off(at.min(rest.len()));
            all.merge(fragment(batch));
        }
        all.merge(fragment(rest));
        prop_assert_eq!(all, fragment(events));
    }

    /// What is answered from rows, cut into files and merged again, is what is answered from the events.
    #[test]
    fn rows_answer_as_their_events_do(events in any_events(), cut in 0_usize..30, now in 0_i64..2_500, known in 0_i64..1_200) {
        let mut rows: Vec<AnomalyRow> = events.iter().flat_map(rows_of).collect();
        let more = rows.split_off(cut.min(rows.len()));
        let rows = merge_rows(merge_rows(more.clone(), rows), more);
        prop_assert!(rows.is_sorted_by(|a, b| a < b));
        let (whole, stored) = (fragment(events), of_rows(&rows));
        let (whole, stored) = (whole.known_at(at(known)), stored.known_at(at(known)));
        prop_assert_eq!(whole.thresholds_at(at(now)), stored.thresholds_at(at(now)));
        prop_assert_eq!(whole.files(at(now)), stored.files(at(now)));
        prop_assert_eq!(whole.exceeded(at(now)), stored.exceeded(at(now)));
        prop_assert_eq!(whole.communications(at(now)), stored.communications(at(now)));
        prop_assert_eq!(whole.reported(at(now)), stored.reported(at(now)));
    }

    /// Either key alone says all of what is asked of it.
    #[test]
    fn thresholds_and_quarantine_are_each_under_one_key(events in any_events(), now in 0_i64..2_500) {
        let rows: Vec<AnomalyRow> = events.iter().flat_map(rows_of).collect();
        let under = |key: AnomalyKey| of_rows(&rows.iter().filter(|row| row.key == key).cloned().collect::<Vec<_>>());
        let whole = fragment(events);
        let thresholds = under(AnomalyKey::Thresholds(user(1)));
        prop_assert_eq!(thresholds.known().thresholds_at(at(now)), whole.known().thresholds_at(at(now)));
        let quarantine = under(AnomalyKey::Quarantine(user(1)));
        prop_assert_eq!(quarantine.known().communications(at(now)), whole.known().communications(at(now)));
    }

    /// What lets rows go changes no report: whatever a report shows at a time is shown without the rows that are needed no more. Left out are
    /// communications that are told to be quarantined at several times: what came first goes first (decision 0133).
    #[test]
    fn rows_that_go_are_of_nothing_that_is_reported(events in any_events(), now in 0_i64..2_500) {
        let rows: Vec<AnomalyRow> = events.iter().flat_map(rows_of).collect();
        let mut times = BTreeMap::<RequestId, BTreeSet<Timestamp>>::new();
        for event in &events {
            if let AnomalyStatement::Fact { at, fact: AnomalyFact::Quarantined(of), .. } = &event.told {
                times.entry(of.request_id).or_default().insert(*at);
            }
        }
        let kept: Vec<_> =
            rows.iter().filter(|row| row.goes_at().is_none_or(|goes| goes > at(now))).cloned().collect();
        let (all, kept) = (of_rows(&rows), of_rows(&kept));
        let (all, kept) = (all.known(), kept.known());
        prop_assert_eq!(all.thresholds_at(at(now)), kept.thresholds_at(at(now)));
        // An opening or advice may go before what it is of only where it came long before: then less is shown, never more.
        let shown: Vec<_> = all.reported(at(now)).iter().map(|of| of.request_id()).collect();
        let told_once = |id: &RequestId| times.get(id).is_some_and(|times| times.len() == 1);
        for of in kept.reported(at(now)).into_iter().filter(|of| told_once(&of.request_id())) {
            prop_assert!(shown.contains(&of.request_id()), "{:?}", of);
        }
    }
}
