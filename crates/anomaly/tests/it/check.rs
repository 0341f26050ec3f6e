//! What would have been flagged, by hand and held against counting.

use crate::it::at;
use crate::it::world::{any_events, event, file, fragment, name, threshold};
use gridtrail_anomaly::ThresholdKind::{UserSet, Warning};
use gridtrail_anomaly::{AnomalyFact, Flagged, Threshold, Volumes, flagged};
use gridtrail_model::{ServiceReferenceVariant, Timestamp};
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::BTreeMap;

fn volumes(arrivals: &[(Option<ServiceReferenceVariant>, Timestamp)]) -> Volumes {
    let mut volumes = Volumes::default();
    arrivals.iter().for_each(|(variant, at)| volumes.add(*variant, *at));
    volumes
}

#[test]
fn what_comes_beyond_a_threshold_while_it_is_in_force_is_flagged() {
    let variant = "4.8.1".parse().ok();
    let thresholds = [threshold(UserSet, Some("4.8.1"), 86_400, 2), threshold(Warning, None, 86_400, 9)];
    let all = fragment([
        event("1", 0, file("SMSR1", false, &thresholds)),
        event("2", 10, AnomalyFact::FileApplied(name("SMSR1"))),
    ]);
    let view = all.known();
    let between = |from, to| view.thresholds_between((at(from), at(to)));
    // Three before it is in force, one after, one a day later: the fourth is the third within its day, and counts.
    let arrivals = volumes(&[8, 9, 9, 11, 40].map(|hour| (variant, at(hour))));
    let found = flagged(&between(0, 50), &arrivals);
    let one = Flagged {
        threshold: thresholds[0],
        role: Some(gridtrail_model::UserRole::IS),
        first_at: at(11),
        last_at: at(11),
        most: 4,
        communications: 1,
    };
    assert_eq!(found, [one]);
    // A period is as long as it says: what came exactly a day before does not count.
    assert_eq!(flagged(&between(0, 50), &volumes(&[11, 11, 35].map(|hour| (variant, at(hour))))), []);
    // Before and behind the span nothing is flagged, and what came before counts.
    assert_eq!(flagged(&between(12, 50), &arrivals), []);
    assert_eq!(flagged(&between(11, 12), &arrivals).len(), 1);
}

proptest! {
    #[test]
    fn flags_are_those_of_counting(
        events in any_events(),
        arrivals in prop::collection::vec((select(vec![None, Some("4.8.1"), Some("8.2")]), 0_i64..900 * 60), 0..60),
        from in 0_i64..450,
    ) {
        let arrivals: Vec<_> = arrivals
            .into_iter()
            .map(|(variant, minutes)| (variant.map(|text| text.parse().unwrap()), at(0).plus_millis(minutes * 60_000)))
            .collect();
        let (from, to) = (at(from), at(900));
        let fragment = fragment(events);
        let view = fragment.known();
        let mut expected: BTreeMap<Threshold, u64> = BTreeMap::new();
        for (variant, when) in arrivals.iter().filter(|(_, when)| *when >= from && *when < to) {
            for in_force in view.thresholds_at(*when) {
                let Threshold { scope, communications, .. } = in_force.threshold;
                if scope.variant.is_some() && scope.variant != *variant {
                    continue;
                }
                let within = arrivals.iter().filter(|(other, at)| {
                    (scope.variant.is_none() || scope.variant == *other)
                        && *at <= *when
                        && at.plus_millis(scope.period.millis()) > *when
                });
                // Those that come at the same instant come one after the other, and the last of them counts all.
                if within.count() as u64 > communications {
                    *expected.entry(in_force.threshold).or_default() += 1;
                }
            }
        }
        let mut found: BTreeMap<Threshold, u64> = BTreeMap::new();
        for one in flagged(&view.thresholds_between((from, to)), &volumes(&arrivals)) {
            prop_assert!(one.first_at <= one.last_at && one.most > one.threshold.communications);
            prop_assert!(one.first_at >= from && one.last_at < to);
            *found.entry(one.threshold).or_default() += one.communications;
        }
        let same_instant = arrivals.iter().enumerate().any(|(n, a)| arrivals[..n].iter().any(|b| a.1 == b.1));
        if same_instant {
            for (threshold, number) in &found {
                prop_assert!(number <= &expected[threshold], "{:?}", threshold);
            }
        } else {
            // Two roles may have the same threshold, which is flagged for each.
            prop_assert_eq!(found, expected);
        }
    }
}
