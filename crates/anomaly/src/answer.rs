//! A User's answer: the Quarantined Communications Action File, which says of each communication of an Incident what is to be done.
//!
//! The format of Appendix AA 6.5 is not public. Ours is the list of quarantined communications as the User got it, with a word in its last
//! column: CSV without quotation marks, a header that names its columns, of which `request_id` and `action` count, and a line for each
//! communication. Any fault refuses the whole file (AA 4.10, 4.16).

use crate::event::{Action, ActionsAccepted, Advice, Breach};
use crate::limits::{COMMUNICATIONS_MAX, FAULTS_MAX};
use crate::quarantine::{QuarantineState, QuarantinedCommunication};
use crate::reference::{FileHash, Reason, Reference};
use gridtrail_model::{RequestId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What is wrong with a file, by line; 0 stands for the file as a whole.
pub type Faults = Vec<(u32, Reason)>;

/// A reason, cut to what one may have. What is put into it comes from a file, so characters that no reason has are left out.
pub fn reason(text: &impl fmt::Display) -> Reason {
    let plain = |char: char| if char.is_control() { ' ' } else { char };
    let text: String = text.to_string().chars().map(plain).take(crate::limits::REASON_MAX).collect();
    Reason::of_checked(if text.is_empty() { "it gives no reason".to_owned() } else { text })
}

/// A file whose signature was verified.
#[derive(Debug, Clone, Copy)]
pub struct ActionFile<'a> {
    /// Its text.
    pub text: &'a str,
    /// Its hash, by which the record names it.
    pub hash: FileHash,
    /// The Incident that the message names with which it came.
    pub incident: Option<&'a Reference>,
}

impl ActionFile<'_> {
    /// What the file says, once it was held against the User's quarantined communications as they were when the DCC received it, archived ones
    /// included; a file of many communications is told in several parts. `validated_at`: the time by now.
    ///
    /// Errors: all that is wrong with it, by line, as far as it is told.
    pub fn read(
        &self,
        communications: &[QuarantinedCommunication],
        validated_at: Timestamp,
    ) -> Result<Vec<ActionsAccepted>, Faults> {
        let mut faults = Faults::new();
        let incident = self.incident;
        if incident.is_none() {
            faults.push((0, reason(&"The Incident reference is missing.")));
        }
        let (lines, wrong) = self.lines();
        faults.extend(wrong);
        let held: BTreeMap<RequestId, &QuarantinedCommunication> =
            communications.iter().map(|of| (of.request_id(), of)).collect();
        let (mut actions, mut named) = (BTreeMap::new(), BTreeSet::new());
        for (number, id, action) in lines {
            if !named.insert(id) {
                faults.push((number, reason(&format_args!("{id} is there twice."))));
            }
            let Some(action) = action else { continue };
            actions.insert(id, action);
            let of_incident =
                held.get(&id).filter(|of| incident.is_none() || of.quarantined.incident.as_ref() == incident);
            let fault = match of_incident {
                None => Some(format!("{id} is no quarantined communication of this Incident.")),
                Some(of) => fault_of(of, action),
            };
            faults.extend(fault.map(|fault| (number, reason(&fault))));
        }
        if incident.is_some() {
            let due = |of: &&QuarantinedCommunication| {
                of.is_available()
                    && of.quarantined.incident.as_ref() == incident
                    && !named.contains(&of.request_id())
            };
            let missing = communications.iter().filter(due);
            faults.extend(missing.map(|of| (0, reason(&format_args!("{} has no action.", of.request_id())))));
        }
        let (Some(incident), true) = (incident, faults.is_empty()) else {
            faults.sort();
            faults.truncate(FAULTS_MAX);
            return Err(faults);
        };
        let actions: Vec<(RequestId, Action)> = actions.into_iter().collect();
        let accepted = actions
            .chunks(COMMUNICATIONS_MAX)
            .map(|part| ActionsAccepted::new(incident.clone(), validated_at, Some(self.hash), part.to_vec()));
        let accepted: Result<Vec<_>, _> = accepted.collect();
        match accepted {
            Ok(accepted) if !accepted.is_empty() => Ok(accepted),
            _ => Err(vec![(0, reason(&"It names no communication."))]),
        }
    }

    /// The lines that name a communication, with their numbers and what is to be done, and what is wrong with lines. `None`: what is wrong with that line, is told.
    fn lines(&self) -> (Vec<(u32, RequestId, Option<Action>)>, Faults) {
        let (mut said, mut faults) = (Vec::new(), Faults::new());
        let mut lines = (1_u32..).zip(self.text.lines());
        let columns: Vec<&str> =
            lines.next().map_or_else(Vec::new, |(_, header)| header.split(',').collect());
        let place = |name: &str| columns.iter().position(|column| *column == name);
        let (Some(id_at), Some(action_at)) = (place("request_id"), place("action")) else {
            faults.push((1, reason(&"The header does not name the columns request_id and action.")));
            return (said, faults);
        };
        for (number, line) in lines {
            let fields: Vec<&str> = line.split(',').collect();
            if line.contains('"') || fields.len() != columns.len() {
                let rule = format!("A line has {} fields, without quotation marks.", columns.len());
                faults.push((number, reason(&rule)));
                continue;
            }
            let id: Result<RequestId, _> = fields[id_at].parse();
            let action = Action::ALL.iter().copied().find(|action| action.as_str() == fields[action_at]);
            match (id, action) {
                (Ok(id), Some(action)) => said.push((number, id, Some(action))),
                (Err(error), _) => faults.push((number, reason(&error))),
                (Ok(id), None) => {
                    said.push((number, id, None));
                    let fault = if fields[action_at].is_empty() {
                        "The communication has no action."
                    } else {
                        "The action is neither Release nor Delete."
                    };
                    faults.push((number, reason(&fault)));
                }
            }
        }
        (said, faults)
    }
}

/// Why an action may not be done with a communication.
fn fault_of(of: &QuarantinedCommunication, action: Action) -> Option<String> {
    let id = of.request_id();
    match of.state {
        QuarantineState::Quarantined => {}
        QuarantineState::Released(at) => return Some(format!("{id} was released at {at}.")),
        QuarantineState::Deleted(at) => return Some(format!("{id} was deleted at {at}.")),
        QuarantineState::Archived | QuarantineState::Gone => {
            return Some(format!("The 120 hours of {id} were over at {}.", of.available_until));
        }
    }
    let advice = of.advice.map(|(advice, _)| advice);
    match (advice, action) {
        (Some(Advice::NoAction), _) => Some(format!("The DCC advises no action for {id}.")),
        (Some(Advice::MustDelete), Action::Release) => {
            Some(format!("The DCC advises that {id} must be deleted."))
        }
        (None, _) if of.quarantined.breach == Breach::DccThreshold => {
            Some(format!("The DCC has not advised yet what is to be done with {id}."))
        }
        _ => None,
    }
}

/// Whether a file that concerns a threshold of the DCC was validated too late: more than 24 hours after its receipt (AA 4.16).
pub fn is_validated_late(received_at: Timestamp, validated_at: Timestamp) -> bool {
    validated_at > received_at.plus_millis(crate::limits::VALIDATED_MS)
}
