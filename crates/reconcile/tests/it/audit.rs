//! Evidence by hand: every way in which it can fail to add up is found, and none where it does.

use gridtrail_lake::{Commit, CommitKind, Evidence, Expired, Skip, SkipReason, SourceEvidence, Spans};
use gridtrail_model::Timestamp;
use gridtrail_reconcile::{Audit, FaultKind};
use proptest::prelude::*;

const SOURCE: &str = "kafka:c:t:0";

/// A range of a partition: what each of its offsets became.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Stored,
    Duplicate,
    Parked,
    Letter,
    Skipped,
}

fn range(from: i64, places: &[Place]) -> SourceEvidence {
    let at = |place| {
        let offsets = (from..).zip(places).filter(move |(_, found)| **found == place);
        offsets.map(|(offset, _)| offset).collect::<Spans>()
    };
    let (stored, parked, letters) = (at(Place::Stored), at(Place::Parked), at(Place::Letter));
    let (duplicates, skipped) = (at(Place::Duplicate), at(Place::Skipped));
    let skips = skipped.ranges().iter();
    SourceEvidence {
        source: SOURCE.to_owned(),
        name: "t/0".to_owned(),
        first: from == 0,
        from,
        to: from + places.len() as i64,
        records: stored.len() + duplicates.len() + parked.len() + letters.len(),
        stored: stored.len() + duplicates.len(),
        duplicates: duplicates.len(),
        duplicates_at: duplicates,
        parked: parked.len(),
        parked_at: parked,
        dead_lettered: letters.len(),
        dead_lettered_at: letters,
        skipped: skips
            .map(|(from, last)| Skip { from: *from, to: last + 1, why: SkipReason::NotDelivered })
            .collect(),
        ..SourceEvidence::default()
    }
}

fn audit(chain: impl IntoIterator<Item = SourceEvidence>) -> Vec<FaultKind> {
    let mut audit = Audit::default();
    for (version, evidence) in (1..).zip(chain) {
        let sources = vec![Evidence::Whole(Box::new(evidence))];
        audit.take(&Commit { version, kind: "ingest".to_owned(), sources });
    }
    audit.faults().iter().map(|fault| fault.kind).collect()
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![
        Just(Place::Stored),
        Just(Place::Duplicate),
        Just(Place::Parked),
        Just(Place::Letter),
        Just(Place::Skipped)
    ]
}

/// A whole history: ranges that follow each other, some of them empty.
fn chain() -> impl Strategy<Value = Vec<SourceEvidence>> {
    prop::collection::vec(prop::collection::vec(place(), 0..8), 1..8).prop_map(|ranges| {
        let mut next = 0;
        let mut chain = Vec::new();
        for (n, places) in ranges.iter().enumerate() {
            chain.push(SourceEvidence { first: n == 0, ..range(next, places) });
            next += places.len() as i64;
        }
        chain
    })
}

proptest! {
    #[test]
    fn what_adds_up_has_no_fault(chain in chain()) {
        prop_assert_eq!(audit(chain), []);
    }

    #[test]
    fn a_range_that_is_left_out_is_found(chain in chain(), which: prop::sample::Index) {
        let which = which.index(chain.len());
        let moves = chain[which].from < chain[which].to || chain[which].first;
        let rest = chain.iter().enumerate().filter(|(n, _)| *n != which).map(|(_, e)| e.clone());
        // What is left out at the end is found by the position of the table.
        let found = audit(rest);
        prop_assert_eq!(!found.is_empty(), moves && which + 1 < chain.len());
    }

    #[test]
    fn a_range_that_is_there_twice_is_found(chain in chain(), which: prop::sample::Index) {
        let which = which.index(chain.len());
        prop_assume!(chain[which].from < chain[which].to);
        let mut twice = chain.clone();
        twice.insert(which, chain[which].clone());
        prop_assert!(audit(twice).contains(&FaultKind::Overlap));
    }

    #[test]
    fn a_count_that_is_changed_is_found(chain in chain(), which: prop::sample::Index, field in 0..5, by in 1u64..3) {
        let mut chain = chain;
        let which = which.index(chain.len());
        let e = &mut chain[which];
        match field {
            0 => e.records += by,
            1 => e.stored += by,
            2 => e.parked += by,
            3 => e.duplicates += by,
            _ => e.dead_lettered += by,
        }
        prop_assert!(audit(chain).contains(&FaultKind::Counts));
    }
}

#[test]
fn a_position_that_ended_in_two_places_is_found() {
    let both = SourceEvidence {
        // One record less than said, so that the counts alone cannot tell.
        stored: 1,
        records: 3,
        skipped: vec![Skip { from: 2, to: 3, why: SkipReason::NotDelivered }],
        ..range(0, &[Place::Stored, Place::Stored, Place::Parked, Place::Letter])
    };
    assert_eq!(audit([both]), [FaultKind::Places]);
    let outside = SourceEvidence {
        dead_lettered_at: [9].into_iter().collect(),
        ..range(0, &[Place::Stored, Place::Letter])
    };
    assert_eq!(audit([outside]), [FaultKind::Places]);
    let both = SourceEvidence {
        duplicates: 1,
        duplicates_at: [1].into_iter().collect(),
        ..range(0, &[Place::Stored, Place::Letter])
    };
    assert_eq!(audit([both]), [FaultKind::Places]);
    let empty = SourceEvidence {
        skipped: vec![Skip { from: 1, to: 1, why: SkipReason::Lost }],
        ..range(0, &[Place::Stored])
    };
    assert_eq!(audit([empty]), [FaultKind::Places]);
}

#[test]
fn a_range_that_ends_before_it_starts_is_found() {
    let back = SourceEvidence { to: -3, ..range(0, &[]) };
    assert_eq!(audit([back]), [FaultKind::Counts]);
}

/// Of a file positions are bytes, so a record has many; its counts still have to agree.
#[test]
fn files_count_in_bytes() {
    let file = |e: SourceEvidence| SourceEvidence { source: "file:3fa9".to_owned(), ..e };
    let bytes = SourceEvidence { to: 4_000, ..range(0, &[Place::Stored; 3]) };
    assert_eq!(audit([file(bytes.clone())]), []);
    assert_eq!(audit([file(SourceEvidence { stored: 2, ..bytes })]), [FaultKind::Counts]);
}

#[test]
fn only_letters_that_were_put_aside_can_be_settled() {
    let put_aside = range(0, &[Place::Letter, Place::Letter, Place::Stored]);
    let settled = |replayed: &[i64], dismissed: &[i64]| SourceEvidence {
        records: replayed.len() as u64,
        stored: replayed.len() as u64,
        replayed_at: replayed.iter().copied().collect(),
        dismissed_at: dismissed.iter().copied().collect(),
        ..SourceEvidence::of_letters(SOURCE, "t/0")
    };
    assert_eq!(audit([put_aside.clone(), settled(&[0], &[]), settled(&[], &[1])]), []);
    // Twice changes nothing, as with every event.
    assert_eq!(audit([put_aside.clone(), settled(&[0], &[]), settled(&[0], &[])]), []);
    assert_eq!(audit([put_aside.clone(), settled(&[2], &[])]), [FaultKind::Places]);
    assert_eq!(audit([put_aside.clone(), settled(&[0], &[0])]), [FaultKind::Counts]);
    let miscounted = SourceEvidence { records: 2, ..settled(&[0], &[]) };
    assert_eq!(audit([put_aside, miscounted]), [FaultKind::Counts]);
}

#[test]
fn a_commit_of_an_unknown_kind_and_a_broken_seal_are_found() {
    let mut audit = Audit::default();
    let sources = vec![Evidence::Broken("{\"source\": 1".to_owned())];
    audit.take(&Commit { version: 1, kind: "ingesu".to_owned(), sources });
    let kinds: Vec<_> = audit.faults().iter().map(|fault| (fault.kind, fault.version)).collect();
    assert_eq!(kinds, [(FaultKind::BrokenEvidence, Some(1)); 2]);
}

/// Records without a value are skipped, and yet the topic gave them, and gives them again.
#[test]
fn tombstones_are_records_of_the_topic() {
    let mut evidence =
        range(0, &[Place::Stored, Place::Skipped, Place::Skipped, Place::Letter, Place::Skipped]);
    evidence.skipped[0].why = SkipReason::Tombstone;
    let mut audit = Audit::keeping([(SOURCE.to_owned(), 0)].into());
    let sources = vec![Evidence::Whole(Box::new(evidence))];
    audit.take(&Commit { version: 1, kind: "ingest".to_owned(), sources });
    assert!(audit.faults().is_empty(), "{:?}", audit.faults());
    assert_eq!(audit.ranges[SOURCE][0].records, 4, "one stored, one letter, two tombstones");
}

/// A commit that takes a month away says that it was old enough, whatever month it is.
#[test]
fn a_forged_retention_does_not_hide_a_month() {
    let now: Timestamp = "2026-07-10T00:00:00Z".parse().unwrap();
    let judged = |month: &str, at: &str| {
        let evidence = SourceEvidence {
            name: month.to_owned(),
            committed_at_ms: at.parse::<Timestamp>().unwrap().millis(),
            expired: Some(Expired { files: 1, rows_dropped: 7, ..Expired::default() }),
            ..SourceEvidence::default()
        };
        let mut audit = Audit::default();
        let sources = vec![Evidence::Whole(Box::new(evidence))];
        audit.take(&Commit { version: 1, kind: CommitKind::Retention.name().to_owned(), sources });
        audit.judge_retention(now);
        audit.faults().iter().map(|fault| fault.kind).collect::<Vec<_>>()
    };
    for (month, at) in [("2026-03", "2026-07-10T00:04:00Z"), ("2025-12", "2026-07-01")] {
        assert_eq!(judged(month, at), [], "{month} at {at}");
    }
    for (month, at) in [
        ("2026-04", "2026-07-10"),
        ("2026-06", "2031-01-01"),
        ("2026-03", "2031-01-01"),
        ("all", "2026-07-10"),
    ] {
        assert_eq!(judged(month, at), [FaultKind::TooSoon], "{month} at {at}");
    }
}
