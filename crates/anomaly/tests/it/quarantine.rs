//! What becomes of a quarantined communication, step by step.

use crate::it::at;
use crate::it::world::{alert, correcting, event, fragment, quarantined, request, settled, withdrawn};
use gridtrail_anomaly::{
    Action, ActionsAccepted, Advice, AnomalyEvent, AnomalyFact, Answer, ArchiveOpened, FileHash, Origin,
    QuarantineState as State, Settlement,
};

fn held(id: &str, hours: i64, number: u64) -> AnomalyEvent {
    event(id, hours, AnomalyFact::Quarantined(quarantined(number, Some("INC1"))))
}

fn opened(
    id: &str,
    hours: i64,
    closes: Option<i64>,
    incident: Option<&str>,
    numbers: &[u64],
) -> AnomalyEvent {
    let ids = numbers.iter().map(|number| request(*number)).collect();
    let incident = incident.map(|text| text.parse().unwrap());
    let opened = ArchiveOpened::new("MSI1".parse().unwrap(), closes.map(at), incident, ids).unwrap();
    event(id, hours, AnomalyFact::ArchiveOpened(opened))
}

/// The state of the first communication at some hours, and whether a report shows it then.
fn states(events: &[AnomalyEvent], hours: &[i64]) -> Vec<(Option<State>, bool)> {
    let fragment = fragment(events.iter().cloned());
    let view = fragment.known();
    let state = |hour: &i64| {
        let all = view.communications(at(*hour));
        let state = all.iter().find(|of| of.request_id() == request(1)).map(|of| of.state);
        (state, view.reported(at(*hour)).iter().any(|of| of.request_id() == request(1)))
    };
    hours.iter().map(state).collect()
}

#[test]
fn the_clock_archives_after_120_hours_and_deletes_30_days_later() {
    let events = [held("1", 10, 1)];
    assert_eq!(
        states(&events, &[9, 10, 129, 130, 849, 850]),
        [
            (None, false),
            (Some(State::Quarantined), true),
            (Some(State::Quarantined), true),
            (Some(State::Archived), false),
            (Some(State::Archived), false),
            (Some(State::Gone), false),
        ]
    );
    // To the millisecond.
    let fragment = fragment(events);
    let of = fragment.known().communications(at(10)).remove(0);
    assert_eq!((of.available_until, of.gone_at), (at(130), at(850)));
    let shown = |ms| fragment.known().reported(at(130).plus_millis(ms)).len();
    assert_eq!((shown(-1), shown(0)), (1, 0));
}

#[test]
fn the_archive_is_opened_for_a_major_security_incident_alone_and_extends_nothing() {
    let by_incident = [held("1", 0, 1), opened("2", 200, Some(300), Some("INC1"), &[])];
    let shown = |events: &[AnomalyEvent], hour| states(events, &[hour])[0].1;
    for (hour, is) in [(119, true), (120, false), (199, false), (200, true), (299, true), (300, false)] {
        assert_eq!(shown(&by_incident, hour), is, "{hour}");
    }
    let by_request = [held("1", 0, 1), opened("2", 200, None, None, &[1])];
    assert!(shown(&by_request, 839) && !shown(&by_request, 840), "what is gone, is gone");
    for other in [opened("2", 200, None, Some("INC2"), &[]), opened("2", 200, None, None, &[2])] {
        assert!(!shown(&[held("1", 0, 1), other], 250));
    }
}

#[test]
fn what_is_done_first_counts_and_a_late_word_changes_it() {
    let released = event("2", 20, settled(1, Settlement::Released));
    let deleted = event("3", 30, settled(1, Settlement::Deleted));
    let all = [held("1", 10, 1), deleted.clone(), released.clone()];
    let is = |hour| states(&all, &[hour])[0];
    assert_eq!(is(19), (Some(State::Quarantined), true));
    assert_eq!(is(40), (Some(State::Released(at(20))), true));
    // Its 120 hours over, no report shows what was done; and 30 days later nothing knows of it.
    assert_eq!(is(130), (Some(State::Released(at(20))), false));
    assert_eq!(is(850), (Some(State::Gone), false));
    // The release is told late: as known before, it was deleted.
    let mut late = released;
    late.recorded_at = at(60);
    let fragment = fragment([held("1", 10, 1), deleted, late]);
    let known = |hour| fragment.known_at(at(hour)).communications(at(100))[0].state;
    assert_eq!((known(59), known(60)), (State::Deleted(at(30)), State::Released(at(20))));
}

#[test]
fn corrections_and_withdrawals_count_whenever_they_come() {
    let wrong = event("2", 20, settled(1, Settlement::Deleted));
    let right = correcting("2", event("3", 25, settled(1, Settlement::Released)));
    for events in [[held("1", 10, 1), wrong.clone(), right.clone()], [right, wrong.clone(), held("1", 10, 1)]]
    {
        assert_eq!(states(&events, &[30])[0].0, Some(State::Released(at(25))));
    }
    let events = [held("1", 10, 1), wrong, withdrawn("3", 22, "2")];
    assert_eq!(states(&events, &[30])[0].0, Some(State::Quarantined));
    let events = [held("1", 10, 1), withdrawn("3", 22, "1")];
    assert_eq!(states(&events, &[30])[0], (None, false));
    // A correction may set the time anew.
    let later = correcting("1", held("4", 50, 1));
    assert_eq!(states(&[held("1", 10, 1), later], &[140, 170])[0].0, Some(State::Quarantined));
}

#[test]
fn messages_fill_what_no_event_says_and_are_counted_as_alerts() {
    let mut by_message = held("m", 12, 1);
    by_message.origin = Origin::Duis;
    let event_of_it = |number| {
        let mut told = quarantined(1, Some("INC1"));
        told.dcc_alert = Some(alert(number));
        event("1", 10, AnomalyFact::Quarantined(told))
    };
    let only = fragment([by_message.clone()]);
    let of = only.known().communications(at(20)).remove(0);
    assert_eq!((of.quarantined_at, of.dcc_alerts), (at(12), vec![alert(1)]));
    // The event says when, and the alert that both name is one.
    let both = fragment([by_message.clone(), event_of_it(1)]);
    let of = both.known().communications(at(20)).remove(0);
    assert_eq!((of.quarantined_at, of.dcc_alerts), (at(10), vec![alert(1)]));
    let two = fragment([by_message.clone(), event_of_it(2)]);
    assert_eq!(two.known().communications(at(20))[0].dcc_alerts.len(), 2);
    // No event takes a message back.
    let kept = fragment([by_message, withdrawn("w", 13, "m")]);
    assert_eq!(kept.known().communications(at(20)).len(), 1);
}

#[test]
fn what_became_of_a_communication_says_nothing_before_it_was_quarantined() {
    let early = event("2", 5, settled(1, Settlement::Released));
    assert_eq!(states(&[held("1", 10, 1), early.clone()], &[20])[0].0, Some(State::Quarantined));
    assert_eq!(states(&[early], &[20])[0], (None, false));
    // An archive of before its time begins the 30 days.
    let archived = event("3", 30, settled(1, Settlement::Archived));
    assert_eq!(
        states(&[held("1", 10, 1), archived], &[29, 30, 749, 750])
            .iter()
            .map(|(of, _)| of.unwrap())
            .collect::<Vec<_>>(),
        [State::Quarantined, State::Archived, State::Archived, State::Gone]
    );
}

#[test]
fn advice_goes_by_the_incident_and_answers_by_the_communication() {
    let advised = |id, hours, advice| event(id, hours, AnomalyFact::Advised("INC1".parse().unwrap(), advice));
    let file = Some(FileHash::from_bytes([7; 32]));
    let answer = |id, hours, action| {
        let accepted =
            ActionsAccepted::new("INC1".parse().unwrap(), at(hours), file, vec![(request(1), action)])
                .unwrap();
        event(id, hours, AnomalyFact::ActionsAccepted(accepted))
    };
    let all = fragment([
        held("1", 0, 1),
        event("2", 0, AnomalyFact::Quarantined(quarantined(2, Some("INC2")))),
        advised("3", 10, Advice::UserDecides),
        advised("4", 5, Advice::NoAction),
        answer("5", 20, Action::Release),
        answer("6", 30, Action::Delete),
    ]);
    let of = |hour, number: usize| all.known().communications(at(hour)).remove(number - 1);
    let said = |hour, action| Answer { received_at: at(hour), action, file };
    assert_eq!(of(7, 1).advice, Some((Advice::NoAction, at(5))));
    assert_eq!(of(40, 1).advice, Some((Advice::UserDecides, at(10))));
    assert_eq!(
        (of(25, 1).answer, of(40, 1).answer),
        (Some(said(20, Action::Release)), Some(said(30, Action::Delete)))
    );
    assert_eq!((of(40, 2).advice, of(40, 2).answer), (None, None));
    // What was answered is done when the DCC has done it.
    assert!(of(40, 1).is_available());
}
