//! Answers held against a search of all events, which knows no sets and no order of its own.

use crate::it::at;
use crate::it::world::{any_events, fragment};
use gridtrail_anomaly::{
    AnomalyEvent, AnomalyFact, AnomalyStatement, Origin, QuarantineState, Quarantined, Settlement,
};
use gridtrail_model::{RequestId, Timestamp};
use proptest::prelude::*;
use std::collections::BTreeSet;

const HOUR: i64 = 3_600_000;

/// The facts that count at a time as known at another: with when they were so, and who told them.
fn counting(
    events: &[AnomalyEvent],
    known: Timestamp,
    now: Timestamp,
) -> Vec<(Timestamp, Origin, &AnomalyFact)> {
    let told: Vec<&AnomalyEvent> = events.iter().filter(|event| event.recorded_at <= known).collect();
    let mut facts = Vec::new();
    for event in &told {
        let overtaken = told.iter().any(|other| {
            let target = match &other.told {
                AnomalyStatement::Fact { corrects, .. } => corrects.clone(),
                AnomalyStatement::Withdrawal { of } => Some(of.clone()),
            };
            target.as_ref() == Some(&event.id)
        });
        if let AnomalyStatement::Fact { at, fact, .. } = &event.told
            && *at <= now
            && (event.origin == Origin::Duis || !overtaken)
        {
            facts.push((*at, event.origin, fact));
        }
    }
    facts
}

/// Where a communication stands, by the rules of the page about it, one after the other.
fn stands(
    facts: &[(Timestamp, Origin, &AnomalyFact)],
    id: RequestId,
    now: Timestamp,
) -> Option<QuarantineState> {
    let held = |of: &Quarantined| of.request_id == id;
    let starts = |origin| {
        facts.iter().filter_map(move |(at, by, fact)| match fact {
            AnomalyFact::Quarantined(of) if *by == origin && held(of) => Some(*at),
            _ => None,
        })
    };
    let start = starts(Origin::Anomaly).min().or(starts(Origin::Duis).min())?;
    let told = |what: Settlement| {
        let told = facts.iter().filter_map(move |(at, _, fact)| match fact {
            AnomalyFact::Settled(of, settled) if *of == id && *settled == what && *at >= start => Some(*at),
            _ => None,
        });
        told.min()
    };
    let mut archived = start.plus_millis(120 * HOUR);
    if let Some(earlier) = told(Settlement::Archived).filter(|earlier| *earlier < archived) {
        archived = earlier;
    }
    let gone = archived.plus_millis(720 * HOUR);
    let within = |at: &Timestamp| *at < gone;
    if now >= gone {
        return Some(QuarantineState::Gone);
    }
    Some(match (told(Settlement::Released).filter(within), told(Settlement::Deleted).filter(within)) {
        (Some(released), None) => QuarantineState::Released(released),
        (Some(released), Some(deleted)) if released <= deleted => QuarantineState::Released(released),
        (_, Some(deleted)) => QuarantineState::Deleted(deleted),
        (None, None) if now >= archived => QuarantineState::Archived,
        (None, None) => QuarantineState::Quarantined,
    })
}

proptest! {
    #[test]
    fn every_communication_stands_where_a_search_of_all_events_says(
        events in any_events(), known in 0_i64..1_200, now in 0_i64..2_500,
    ) {
        let (known, now) = (at(known), at(now));
        let facts = counting(&events, known, now);
        let ids: BTreeSet<RequestId> = facts.iter().filter_map(|(_, _, fact)| match fact {
            AnomalyFact::Quarantined(of) => Some(of.request_id),
            _ => None,
        }).collect();
        let fragment = fragment(events.clone());
        let found = fragment.known_at(known).communications(now);
        prop_assert_eq!(found.len(), ids.len());
        for of in &found {
            prop_assert_eq!(Some(of.state), stands(&facts, of.request_id(), now), "{:?}", of);
        }
    }

    /// A report shows what is within its 120 hours, and of the archive what was opened; it shows nothing that is gone.
    #[test]
    fn a_report_shows_what_it_may(events in any_events(), now in 0_i64..2_500) {
        let now = at(now);
        let fragment = fragment(events.clone());
        let view = fragment.known();
        let facts = counting(&events, Timestamp::MAX, now);
        let shown: Vec<_> = view.reported(now).iter().map(|of| of.request_id()).collect();
        for of in view.communications(now) {
            let open = facts.iter().any(|(_, _, fact)| match fact {
                AnomalyFact::ArchiveOpened(opened) => {
                    let names = opened.request_ids().contains(&of.request_id())
                        || opened.incident.is_some() && opened.incident == of.quarantined.incident;
                    names && opened.closes_at.is_none_or(|closes| now < closes)
                }
                _ => false,
            });
            let is_shown = match of.state {
                QuarantineState::Archived => open,
                QuarantineState::Gone => false,
                _ => now < of.available_until,
            };
            prop_assert_eq!(shown.contains(&of.request_id()), is_shown, "{:?}", of);
        }
    }
}
