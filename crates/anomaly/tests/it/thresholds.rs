//! Thresholds Files and thresholds in force, step by step.

use crate::it::at;
use crate::it::world::{correcting, event, file, fragment, name, scope, threshold, withdrawn};
use gridtrail_anomaly::ThresholdKind::{DccSet, UserSet, Warning};
use gridtrail_anomaly::{AnomalyEvent, AnomalyFact, FileName, FileState, Threshold, ThresholdsFile};
use gridtrail_model::UserRole;

fn applied(id: &str, hours: i64, smsr: &str) -> AnomalyEvent {
    event(id, hours, AnomalyFact::FileApplied(name(smsr)))
}

fn rejected(id: &str, hours: i64, smsr: &str) -> AnomalyEvent {
    event(id, hours, AnomalyFact::FileRejected(name(smsr), "the signature is wrong".parse().unwrap()))
}

fn in_force(events: &[AnomalyEvent], hours: i64) -> Vec<Threshold> {
    let fragment = fragment(events.iter().cloned());
    fragment.known().thresholds_at(at(hours)).iter().map(|of| of.threshold).collect()
}

#[test]
fn a_file_is_in_force_from_when_it_is_applied_until_the_next_one_is() {
    let warning = threshold(Warning, None, 3_600, 100);
    let first = [warning, threshold(UserSet, Some("4.8.1"), 86_400, 50)];
    let second = [threshold(Warning, None, 3_600, 200)];
    let events = [
        event("1", 0, file("SMSR1", false, &first)),
        applied("2", 10, "SMSR1"),
        event("3", 20, file("SMSR2", false, &second)),
        applied("4", 30, "SMSR2"),
    ];
    assert_eq!(in_force(&events, 9), []);
    assert_eq!(in_force(&events, 10), first);
    assert_eq!(in_force(&events, 29), first);
    // What the second does not list is in force no more.
    assert_eq!(in_force(&events, 30), second);
    let mut shuffled = events.to_vec();
    shuffled.reverse();
    assert_eq!(in_force(&shuffled, 30), second);
    // Late is late: as known before, the first was still in force.
    let mut late = events.to_vec();
    late[3].recorded_at = at(50);
    let late = fragment(late);
    assert_eq!(late.known_at(at(49)).thresholds_at(at(40)).len(), 2);
    assert_eq!(late.known_at(at(50)).thresholds_at(at(40)).len(), 1);
    // A withdrawn application never was; a corrected one was when the correction says.
    assert_eq!(in_force(&[&events[..], &[withdrawn("5", 31, "4")]].concat(), 40), first);
    let corrected = [&events[..], &[correcting("4", applied("5", 35, "SMSR2"))]].concat();
    assert_eq!((in_force(&corrected, 34), in_force(&corrected, 35)), (first.to_vec(), second.to_vec()));
}

#[test]
fn each_role_has_its_own_file() {
    let gas = FileName { role: UserRole::GS, ..name("SMSR9") };
    let of_gas = ThresholdsFile::new(gas.clone(), false, vec![threshold(UserSet, None, 60, 1)]).unwrap();
    let events = [
        event("1", 0, file("SMSR1", false, &[threshold(UserSet, None, 60, 2)])),
        applied("2", 1, "SMSR1"),
        event("3", 2, AnomalyFact::FileReceived(of_gas)),
        event("4", 3, AnomalyFact::FileApplied(gas)),
    ];
    let all = fragment(events);
    let all = all.known().thresholds_at(at(5));
    let roles: Vec<_> =
        all.iter().map(|of| (of.threshold.communications, of.role.unwrap(), of.since)).collect();
    assert_eq!(roles, [(1, UserRole::GS, at(3)), (2, UserRole::IS, at(1))]);
}

#[test]
fn a_file_is_due_within_72_hours_or_24_by_fast_track() {
    let all = fragment([
        event("1", 0, file("SMSR1", false, &[])),
        event("2", 0, file("SMSR2", true, &[])),
        event("3", 0, file("SMSR3", false, &[])),
        applied("4", 72, "SMSR1"),
        rejected("5", 73, "SMSR3"),
    ]);
    let files = all.known().files(at(80));
    let of = |smsr: &str| files.iter().find(|of| of.file.name.smsr.as_str() == smsr).unwrap();
    assert_eq!((of("SMSR1").due_at, of("SMSR1").is_late(at(80))), (at(72), false));
    assert_eq!((of("SMSR2").due_at, &of("SMSR2").state), (at(24), &FileState::Received));
    assert!(!of("SMSR2").is_late(at(24)) && of("SMSR2").is_late(at(25)));
    assert!(of("SMSR3").is_late(at(73)));
    assert!(matches!(&of("SMSR3").state, FileState::Rejected(when, _) if *when == at(73)));
    assert!(all.known().thresholds_at(at(80)).is_empty());
}

#[test]
fn a_decision_is_of_the_file_that_came_last_before_it_and_the_first_decision_counts() {
    let [one, two] = [threshold(UserSet, None, 60, 1), threshold(UserSet, None, 60, 2)];
    // The User sends the file of an SMSR again: the first was rejected, and the second is applied.
    let again = [
        event("1", 0, file("SMSR1", false, &[one])),
        rejected("2", 5, "SMSR1"),
        event("3", 10, file("SMSR1", false, &[two])),
        applied("4", 15, "SMSR1"),
    ];
    assert_eq!(in_force(&again, 20), [two]);
    let both =
        [event("1", 0, file("SMSR1", false, &[one])), rejected("2", 5, "SMSR1"), applied("3", 5, "SMSR1")];
    assert_eq!(in_force(&both, 20), []);
    // No file, nothing to apply.
    assert_eq!(in_force(&[applied("1", 5, "SMSR1")], 20), []);
}

#[test]
fn the_dcc_sets_each_scope_by_itself() {
    let dcc = |id, hours, variant, number| {
        event(id, hours, AnomalyFact::DccThreshold { scope: scope(variant, 3_600), communications: number })
    };
    let events = [
        dcc("1", 0, None, Some(10)),
        dcc("2", 0, Some("8.2"), Some(5)),
        dcc("3", 10, None, Some(20)),
        dcc("4", 20, Some("8.2"), None),
    ];
    let all = threshold(DccSet, None, 3_600, 10);
    let one = threshold(DccSet, Some("8.2"), 3_600, 5);
    assert_eq!(in_force(&events, 5), [all, one]);
    assert_eq!(in_force(&events, 15), [Threshold { communications: 20, ..all }, one]);
    assert_eq!(in_force(&events, 25), [Threshold { communications: 20, ..all }]);
    // Of two at once the smaller counts, whichever comes first.
    for pair in [[7, 9], [9, 7]] {
        let events =
            [dcc("1", 0, None, Some(pair[0])), dcc("2", 0, None, Some(pair[1])), dcc("3", 0, None, None)];
        assert_eq!(in_force(&events, 1), [Threshold { communications: 7, ..all }]);
    }
}

#[test]
fn a_file_holds_what_a_user_sets_and_of_a_scope_it_has_twice_the_smaller_number_counts() {
    let twice = [threshold(UserSet, None, 60, 9), threshold(UserSet, None, 60, 4)];
    let events = [event("1", 0, file("SMSR1", false, &twice)), applied("2", 1, "SMSR1")];
    assert_eq!(in_force(&events, 2), [twice[1]]);
    assert!(ThresholdsFile::new(name("S"), false, vec![threshold(DccSet, None, 60, 1)]).is_err());
    assert!(ThresholdsFile::new(name("S"), false, vec![twice[0]; 2_001]).is_err());
}
