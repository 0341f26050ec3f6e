//! Quarantined communications: what became of each, by what is told and by the clock.
//!
//! A communication is available for 120 hours from when it was quarantined. Then it is archived, and 30 days later it is gone (AA 4.5, 4.14).
//! No event has to say so. Archived communications appear in no report, unless the archive was opened for them under a recorded Major Security
//! Incident.

use crate::event::{
    Action, ActionsRefused, Advice, AnomalyFact, ArchiveOpened, Origin, Quarantined, Settlement,
};
use crate::fragment::{AnomalyView, Known};
use crate::limits::{ARCHIVED_MS, AVAILABLE_MS};
use crate::reference::{FileHash, Reference};
use gridtrail_model::{RequestId, ResponseId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Where a quarantined communication stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QuarantineState {
    /// It is held, and its User may say what is to be done.
    Quarantined,
    /// It was released at this time.
    Released(Timestamp),
    /// It was deleted at this time.
    Deleted(Timestamp),
    /// Its 120 hours are over, and nothing was done.
    Archived,
    /// It was deleted for good, 30 days after it was archived.
    Gone,
}

/// What a User's action file says of a communication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Answer {
    /// When the DCC received the file.
    pub received_at: Timestamp,
    /// What is to be done.
    pub action: Action,
    /// The file.
    pub file: Option<FileHash>,
}

/// A quarantined communication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantinedCommunication {
    /// What is told of it.
    pub quarantined: Quarantined,
    /// From when on it was quarantined.
    pub quarantined_at: Timestamp,
    /// The first instant at which it is available no more, and archived.
    pub available_until: Timestamp,
    /// The first instant at which it is gone.
    pub gone_at: Timestamp,
    /// Where it stands.
    pub state: QuarantineState,
    /// Whether a report may show it: within its 120 hours, or while the archive is open for it.
    pub is_reported: bool,
    /// The DCC Alerts about it, ascending: one, where all is in order.
    pub dcc_alerts: Vec<ResponseId>,
    /// What the DCC advised last, and when.
    pub advice: Option<(Advice, Timestamp)>,
    /// What the User's last accepted action file says.
    pub answer: Option<Answer>,
}

impl QuarantinedCommunication {
    /// By what it is known.
    pub const fn request_id(&self) -> RequestId {
        self.quarantined.request_id
    }

    /// Whether its User may still say what is to be done.
    pub const fn is_available(&self) -> bool {
        matches!(self.state, QuarantineState::Quarantined)
    }
}

/// What is told of one communication.
#[derive(Default)]
struct Told<'f> {
    quarantined: BTreeSet<(Timestamp, Timestamp, &'f Quarantined)>,
    by_message: BTreeSet<(Timestamp, Timestamp, &'f Quarantined)>,
    settled: BTreeSet<(Timestamp, Settlement)>,
}

/// What is told of the communications of a User by a time.
#[derive(Default)]
struct All<'f> {
    communications: BTreeMap<RequestId, Told<'f>>,
    advice: BTreeMap<&'f Reference, (Timestamp, Timestamp, Advice)>,
    /// Each with when it was received and recorded, by which the last counts.
    answers: BTreeMap<RequestId, (Timestamp, Timestamp, Answer)>,
    openings: Vec<(Timestamp, &'f ArchiveOpened)>,
}

impl<'f> All<'f> {
    fn add(&mut self, known: &Known<'f>) {
        let (at, recorded_at) = (known.at, known.recorded_at);
        match known.fact {
            AnomalyFact::Quarantined(of) => {
                let told = self.communications.entry(of.request_id).or_default();
                let set = match known.origin {
                    Origin::Anomaly => &mut told.quarantined,
                    Origin::Duis => &mut told.by_message,
                };
                set.insert((at, recorded_at, of));
            }
            AnomalyFact::Settled(request_id, what) => {
                self.communications.entry(*request_id).or_default().settled.insert((at, *what));
            }
            AnomalyFact::Advised(incident, advice) => {
                let one = (at, recorded_at, *advice);
                self.advice.entry(incident).and_modify(|last| *last = one.max(*last)).or_insert(one);
            }
            AnomalyFact::ActionsAccepted(accepted) => {
                for (request_id, action) in accepted.actions() {
                    let answer = Answer { received_at: at, action: *action, file: accepted.file };
                    let one = (at, recorded_at, answer);
                    self.answers.entry(*request_id).and_modify(|last| *last = one.max(*last)).or_insert(one);
                }
            }
            AnomalyFact::ArchiveOpened(opened) => self.openings.push((at, opened)),
            _ => {}
        }
    }

    fn communication(&self, told: &Told<'f>, now: Timestamp) -> Option<QuarantinedCommunication> {
        // Messages fill what no event says. Of several events the earliest counts, so that the 120 hours never begin anew.
        let (quarantined_at, _, first) = told.quarantined.first().or(told.by_message.first())?;
        let mut quarantined = (*first).clone();
        if quarantined.incident.is_none() {
            quarantined.incident = told.quarantined.iter().find_map(|(_, _, of)| of.incident.clone());
        }
        let alerts = told.quarantined.iter().chain(&told.by_message).filter_map(|(_, _, of)| of.dcc_alert);
        let dcc_alerts: BTreeSet<ResponseId> = alerts.collect();
        let (available_until, gone_at) = times(*quarantined_at, &told.settled);
        let state = state(*quarantined_at, (available_until, gone_at), &told.settled, now);
        let advice = quarantined.incident.as_ref().and_then(|incident| self.advice.get(incident));
        let answer = self.answers.get(&quarantined.request_id);
        let is_reported = match state {
            QuarantineState::Gone => false,
            QuarantineState::Archived => self.is_open(&quarantined, now),
            QuarantineState::Quarantined | QuarantineState::Released(_) | QuarantineState::Deleted(_) => {
                now < available_until
            }
        };
        Some(QuarantinedCommunication {
            quarantined_at: *quarantined_at,
            available_until,
            gone_at,
            state,
            is_reported,
            dcc_alerts: dcc_alerts.into_iter().collect(),
            advice: advice.map(|(at, _, advice)| (*advice, *at)),
            answer: answer.map(|(_, _, answer)| *answer),
            quarantined,
        })
    }

    /// Whether the archive is open for a communication.
    fn is_open(&self, of: &Quarantined, now: Timestamp) -> bool {
        let incident = of.incident.as_ref();
        self.openings.iter().any(|(opened_at, opened)| {
            let holds = *opened_at <= now && opened.closes_at.is_none_or(|closes_at| now < closes_at);
            holds && opened.is_of(&of.request_id, incident)
        })
    }
}

/// When a communication is archived, and when it is gone. An event can only say that it was archived earlier than by the clock.
fn times(quarantined_at: Timestamp, settled: &BTreeSet<(Timestamp, Settlement)>) -> (Timestamp, Timestamp) {
    let by_the_clock = quarantined_at.plus_millis(AVAILABLE_MS);
    let archived = settled.iter().filter(|(at, what)| *what == Settlement::Archived && *at >= quarantined_at);
    let archived_at = archived.map(|(at, _)| *at).fold(by_the_clock, Timestamp::min);
    (archived_at, archived_at.plus_millis(ARCHIVED_MS))
}

/// What is done first, counts: what was released cannot be deleted any more, nor the other way round. At one instant a release counts, for
/// what is under way cannot be had back.
fn state(
    quarantined_at: Timestamp,
    (available_until, gone_at): (Timestamp, Timestamp),
    settled: &BTreeSet<(Timestamp, Settlement)>,
    now: Timestamp,
) -> QuarantineState {
    let done = settled.iter().find(|(at, what)| {
        *what != Settlement::Archived && *at >= quarantined_at && *at < gone_at && *at <= now
    });
    match done {
        _ if now >= gone_at => QuarantineState::Gone,
        Some((at, Settlement::Released)) => QuarantineState::Released(*at),
        Some((at, _)) => QuarantineState::Deleted(*at),
        None if now >= available_until => QuarantineState::Archived,
        None => QuarantineState::Quarantined,
    }
}

impl AnomalyView<'_> {
    fn all(&self, now: Timestamp) -> All<'_> {
        let mut all = All::default();
        self.by(now).for_each(|known| all.add(&known));
        all
    }

    /// The communications that a report may show at `now`, by their RequestIDs: those within their 120 hours, and archived ones for which the
    /// archive is open. `now` is the time of the clock, never one that a caller chooses.
    ///
    /// A communication of which it is told that something became of it, and not that it was quarantined, is none.
    pub fn reported(&self, now: Timestamp) -> Vec<QuarantinedCommunication> {
        let mut known = self.communications(now);
        known.retain(|of| of.is_reported);
        known
    }

    /// The action files that were refused by a time, the oldest first, each with the time when the DCC received it.
    pub fn refused_answers(&self, at: Timestamp) -> Vec<(Timestamp, ActionsRefused)> {
        let refused = self.by(at).filter_map(|known| match known.fact {
            AnomalyFact::ActionsRefused(refused) => Some((known.at, refused.clone())),
            _ => None,
        });
        refused.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Where every communication stands at `now`, those that no report shows included: for what is judged by them, and not shown.
    pub fn communications(&self, now: Timestamp) -> Vec<QuarantinedCommunication> {
        let all = self.all(now);
        all.communications.values().filter_map(|told| all.communication(told, now)).collect()
    }
}
