//! Quarantined Communications Action Files: what is read of them, and why one is refused.

use crate::it::at;
use crate::it::world::{event, fragment, quarantined, request, settled};
use gridtrail_anomaly::{
    Action, ActionFile, Advice, AnomalyEvent, AnomalyFact, Breach, FileHash, Reference, Settlement,
    is_validated_late,
};
use gridtrail_model::Timestamp;

fn held(number: u64, incident: &str, breach: Breach) -> AnomalyEvent {
    let of = AnomalyFact::Quarantined(gridtrail_anomaly::Quarantined {
        breach,
        ..quarantined(number, Some(incident))
    });
    event(&format!("{incident}-{number}"), 0, of)
}

/// What each communication gets, or what is wrong, by line.
type Answered = Result<Vec<(u64, Action)>, Vec<(u32, String)>>;

/// What comes of a file at some hours after two communications of an Incident were quarantined, and one of another: the actions, or the lines and
/// reasons.
fn answered(more: &[AnomalyEvent], text: &str, incident: Option<&str>, received_at: Timestamp) -> Answered {
    let users = [1, 2].map(|number| held(number, "INC1", Breach::UserThreshold));
    let other = held(3, "INC2", Breach::UserThreshold);
    let all = fragment(users.into_iter().chain([other]).chain(more.iter().cloned()));
    let incident: Option<Reference> = incident.map(|text| text.parse().unwrap());
    let hash = FileHash::from_bytes([7; 32]);
    let file = ActionFile { text, hash, incident: incident.as_ref() };
    match file.read(&all.known().communications(received_at), received_at) {
        Ok(accepted) => {
            assert!(
                accepted.iter().all(|of| of.file == Some(hash) && Some(&of.incident) == incident.as_ref())
            );
            let all = accepted.iter().flat_map(|of| of.actions());
            Ok(all.map(|(id, action)| (id.counter, *action)).collect())
        }
        Err(faults) => Err(faults.into_iter().map(|(line, reason)| (line, reason.to_string())).collect()),
    }
}

fn csv(lines: &[(u64, &str)]) -> String {
    let lines = lines.iter().map(|(number, action)| format!("{},4.8.1,{action}\n", request(*number)));
    format!("request_id,variant,action\n{}", lines.collect::<String>())
}

fn one_fault(found: Answered, line: u32, part: &str) {
    let faults = found.unwrap_err();
    assert!(faults.len() == 1 && faults[0].0 == line && faults[0].1.contains(part), "{part}: {faults:?}");
}

#[test]
fn a_file_says_what_is_to_be_done_with_each_communication_of_its_incident() {
    let text = csv(&[(1, "Release"), (2, "Delete")]);
    let said = [(1, Action::Release), (2, Action::Delete)];
    for text in [text.clone(), text.replace('\n', "\r\n")] {
        assert_eq!(answered(&[], &text, Some("INC1"), at(10)).unwrap(), said);
    }
    // To the last millisecond of the 120 hours.
    assert!(answered(&[], &text, Some("INC1"), at(120).plus_millis(-1)).is_ok());
}

#[test]
fn any_fault_refuses_the_whole_file_and_says_its_line() {
    let both = csv(&[(1, "Release"), (2, "Delete")]);
    let now = at(10);
    one_fault(answered(&[], &both, None, now), 0, "Incident reference is missing");
    one_fault(answered(&[], &csv(&[(1, "Release")]), Some("INC1"), now), 0, "has no action");
    one_fault(answered(&[], &csv(&[(1, "Release"), (2, "")]), Some("INC1"), now), 3, "has no action");
    one_fault(answered(&[], &csv(&[(1, "Release"), (2, "release")]), Some("INC1"), now), 3, "neither");
    one_fault(
        answered(&[], &csv(&[(1, "Release"), (2, "Delete"), (3, "Delete")]), Some("INC1"), now),
        4,
        "of this Incident",
    );
    one_fault(
        answered(&[], &csv(&[(1, "Release"), (2, "Delete"), (9, "Delete")]), Some("INC1"), now),
        4,
        "of this Incident",
    );
    one_fault(
        answered(&[], &csv(&[(1, "Release"), (2, "Delete"), (1, "Release")]), Some("INC1"), now),
        4,
        "twice",
    );
    one_fault(
        answered(&[], &both.replace("4.8.1,Delete", "\"4.8.1\",Delete"), Some("INC1"), now)
            .map_err(lines_only),
        3,
        "quotation",
    );
    one_fault(
        answered(&[], &both.replace("4.8.1,Delete", "Delete"), Some("INC1"), now).map_err(lines_only),
        3,
        "3 fields",
    );
    one_fault(
        answered(&[], &both.replace("request_id", "id"), Some("INC1"), now).map_err(lines_only),
        1,
        "header",
    );
    one_fault(answered(&[], "", Some("INC1"), now).map_err(lines_only), 1, "header");
    let wrong = both.replace(&request(2).to_string(), "no-request");
    one_fault(answered(&[], &wrong, Some("INC1"), now).map_err(lines_only), 3, "RequestID");
    // At the end of the 120 hours every line is too late.
    let late = answered(&[], &both, Some("INC1"), at(120)).unwrap_err();
    assert!(
        late.len() == 2 && late.iter().all(|(line, why)| *line > 1 && why.contains("120 hours")),
        "{late:?}"
    );
    for what in [Settlement::Released, Settlement::Deleted] {
        let done = event("s", 5, settled(1, what));
        one_fault(answered(&[done], &both, Some("INC1"), now), 2, what.as_str());
    }
}

/// What follows from a line that cannot be read, that its communication has no action, is no fault of its own here.
fn lines_only(faults: Vec<(u32, String)>) -> Vec<(u32, String)> {
    faults.into_iter().filter(|(line, _)| *line > 0).collect()
}

#[test]
fn an_answer_may_not_contradict_the_advice_of_the_dcc() {
    let advised = |advice| event("a", 3, AnomalyFact::Advised("INC3".parse().unwrap(), advice));
    let dcc = held(5, "INC3", Breach::DccThreshold);
    let answer = |advice: Option<Advice>, action: &str| {
        let more: Vec<AnomalyEvent> = std::iter::once(dcc.clone()).chain(advice.map(advised)).collect();
        answered(&more, &csv(&[(5, action)]), Some("INC3"), at(10))
    };
    one_fault(answer(None, "Delete"), 2, "has not advised");
    one_fault(answer(Some(Advice::MustDelete), "Release"), 2, "must be deleted");
    one_fault(answer(Some(Advice::NoAction), "Release"), 2, "no action");
    one_fault(answer(Some(Advice::NoAction), "Delete"), 2, "no action");
    assert_eq!(answer(Some(Advice::MustDelete), "Delete").unwrap(), [(5, Action::Delete)]);
    assert_eq!(answer(Some(Advice::UserDecides), "Release").unwrap(), [(5, Action::Release)]);
    assert!(!is_validated_late(at(0), at(24)) && is_validated_late(at(0), at(24).plus_millis(1)));
}
