//! Anomaly detection in the region: the thresholds of its Users, and what became of the communications that were quarantined.
//!
//! Each User had a Thresholds File applied before the run; some sent another in it, some had one rejected. A communication that a transaction has
//! quarantined is told of with its Incident; some late, some wrongly and then corrected. The truth is written beside the events, and not by folding
//! them.

use crate::chance::{Chance, Lane};
use crate::plot::{DAY_MS, HOUR_MS, MINUTE_MS};
use crate::script::{Fact, Script, Step};
use crate::settings::Settings;
use crate::users::User;
use gridtrail_anomaly::{
    Action, ActionsAccepted, ActionsRefused, Advice, AnomalyEvent, AnomalyFact, AnomalyStatement,
    ArchiveOpened, Breach, Exceeded, FileName, Origin, Period, QuarantineEventRef, QuarantineState,
    Quarantined, Reference, Scope, Settlement, Threshold, ThresholdKind, ThresholdsFile,
};
use gridtrail_model::{
    EventId, RequestId, ResponseId, ServiceReferenceVariant, State, Subject, Timestamp, UserId,
};

/// For how long a communication is available, and for how long it is archived, in hours.
const AVAILABLE_HOURS: i64 = 120;
const ARCHIVED_HOURS: i64 = 30 * 24;

/// What is told of anomaly detection, and what must be known of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AnomalyStory {
    /// Events, by the time when they were recorded.
    pub events: Vec<AnomalyEvent>,
    /// Thresholds that must be known.
    pub thresholds: Vec<ExpectedThreshold>,
    /// The communication that must be known.
    pub quarantined: Option<ExpectedQuarantine>,
}

/// A threshold that is in force from a time on and before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExpectedThreshold {
    /// Whose.
    pub user: UserId,
    /// The threshold.
    pub threshold: Threshold,
    /// The first instant at which it is in force.
    pub from: Timestamp,
    /// The first instant at which it is no more.
    pub until: Option<Timestamp>,
}

/// A quarantined communication, once all is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExpectedQuarantine {
    /// Whose.
    pub user: UserId,
    /// By what it is known.
    pub request_id: RequestId,
    /// Its Service Reference Variant.
    pub variant: Option<ServiceReferenceVariant>,
    /// Since when it was quarantined.
    pub quarantined_at: Timestamp,
    /// The DCC Alert that told its User.
    pub dcc_alert: ResponseId,
    /// What was done with it, if anything was.
    pub done: Option<(Settlement, Timestamp)>,
    /// From when on the archive is open for it.
    pub opened_at: Option<Timestamp>,
}

impl ExpectedQuarantine {
    /// Where it stands at a time; `None` before it was quarantined.
    pub fn state_at(&self, now: Timestamp) -> Option<QuarantineState> {
        if now < self.quarantined_at {
            return None;
        }
        let hours = (now.millis() - self.quarantined_at.millis()) / HOUR_MS;
        Some(match self.done.filter(|(_, at)| *at <= now) {
            _ if hours >= AVAILABLE_HOURS + ARCHIVED_HOURS => QuarantineState::Gone,
            Some((Settlement::Released, at)) => QuarantineState::Released(at),
            Some((_, at)) => QuarantineState::Deleted(at),
            None if hours >= AVAILABLE_HOURS => QuarantineState::Archived,
            None => QuarantineState::Quarantined,
        })
    }

    /// Whether a report shows it at a time.
    pub fn is_reported(&self, now: Timestamp) -> bool {
        let hours = (now.millis() - self.quarantined_at.millis()) / HOUR_MS;
        match self.state_at(now) {
            None | Some(QuarantineState::Gone) => false,
            Some(QuarantineState::Archived) => self.opened_at.is_some_and(|opened| opened <= now),
            Some(_) => hours < AVAILABLE_HOURS,
        }
    }
}

/// A literal of this module, or a number in one: always well-formed.
fn literal<T: std::str::FromStr>(text: &str) -> T {
    match text.parse() {
        Ok(value) => value,
        Err(_) => unreachable!("{text} is well-formed: the tests write every User and transaction"),
    }
}

/// Tells events in order, and names them.
struct Telling {
    user: UserId,
    prefix: String,
    events: Vec<AnomalyEvent>,
}

impl Telling {
    fn new(user: UserId, prefix: String) -> Self {
        Self { user, prefix, events: Vec::new() }
    }

    /// Tells a fact that was so at a time and recorded so much later. Returns what it is called.
    fn tell(&mut self, at: Timestamp, late_ms: i64, fact: AnomalyFact) -> EventId {
        self.push(at.plus_millis(late_ms), AnomalyStatement::Fact { at, corrects: None, fact })
    }

    fn push(&mut self, recorded_at: Timestamp, told: AnomalyStatement) -> EventId {
        let id: EventId = literal(&format!("{}-{}", self.prefix, self.events.len()));
        let (about, origin) = (Some(self.user), Origin::Anomaly);
        self.events.push(AnomalyEvent { recorded_at, id: id.clone(), origin, about, told });
        id
    }

    fn events(mut self) -> Vec<AnomalyEvent> {
        self.events.sort_by_key(|event| event.recorded_at);
        self.events
    }
}

/// The thresholds of a User.
pub(crate) fn thresholds(seed: u64, settings: &Settings, (number, user): (u64, &User)) -> AnomalyStory {
    let mut chance = Chance::of(seed, Lane::Thresholds, number);
    let mut telling = Telling::new(user.id, format!("t{number}"));
    let name = |smsr: u64| FileName { smsr: literal(&format!("SMSR{number}.{smsr}")), role: user.role };
    let received_at = settings.start.plus_millis(-chance.between(10 * DAY_MS, 400 * DAY_MS));
    let mut applied: Vec<(Timestamp, Vec<Threshold>)> = Vec::new();
    let mut tell_file = |telling: &mut Telling, chance: &mut Chance, smsr: u64, received_at: Timestamp| {
        let (fast_track, thresholds) = (chance.per_mille(200), some_thresholds(chance));
        let within_hours = if fast_track { 24 } else { 72 };
        let decided_at = received_at.plus_millis(chance.between(HOUR_MS, within_hours * HOUR_MS));
        let file = ThresholdsFile::new(name(smsr), fast_track, thresholds.clone());
        let Ok(file) = file else { unreachable!("a few thresholds of a User are a file") };
        telling.tell(received_at, MINUTE_MS, AnomalyFact::FileReceived(file));
        if chance.per_mille(150) {
            let reason = literal("The certificate is not a File Signing Certificate of the User.");
            telling.tell(decided_at, 0, AnomalyFact::FileRejected(name(smsr), reason));
        } else {
            // Told when it was done, or a day later.
            let late = if chance.per_mille(100) { DAY_MS } else { 0 };
            telling.tell(decided_at, late, AnomalyFact::FileApplied(name(smsr)));
            applied.push((decided_at, thresholds));
        }
    };
    tell_file(&mut telling, &mut chance, 1, received_at);
    let again = chance.between(4 * DAY_MS, i64::from(settings.days) * DAY_MS + 9 * DAY_MS);
    tell_file(&mut telling, &mut chance, 2, received_at.plus_millis(again));
    AnomalyStory { events: telling.events(), thresholds: spans(user.id, &applied), quarantined: None }
}

/// What files that were applied one after the other have in force.
fn spans(user: UserId, applied: &[(Timestamp, Vec<Threshold>)]) -> Vec<ExpectedThreshold> {
    let mut spans = Vec::new();
    for (at, (from, thresholds)) in applied.iter().enumerate() {
        let until = applied.get(at + 1).map(|(next, _)| *next);
        let span =
            |threshold: &Threshold| ExpectedThreshold { user, threshold: *threshold, from: *from, until };
        spans.extend(thresholds.iter().map(span));
    }
    spans.sort_unstable();
    spans
}

/// A Warning Threshold and one that quarantines for all communications within an hour and a day, and the same for some variants.
fn some_thresholds(chance: &mut Chance) -> Vec<Threshold> {
    let mut all = Vec::new();
    for variant in [None, Some("4.8.1"), Some("2.2"), Some("4.6.1")] {
        let variant: Option<ServiceReferenceVariant> = variant.map(literal);
        for seconds in [3_600, 86_400] {
            let Ok(period) = Period::of_seconds(seconds) else {
                unreachable!("an hour and a day are periods")
            };
            // So few that some Users exceed some of them in a small region, too.
            let communications = chance.below(6) * u64::from(seconds / 3_600) + 2;
            let scope = Scope { variant, period };
            all.push(Threshold { kind: ThresholdKind::Warning, scope, communications });
            let communications = communications * 2;
            all.push(Threshold { kind: ThresholdKind::UserSet, scope, communications });
        }
    }
    all.sort_unstable();
    all
}

/// What a transaction had quarantined.
struct Found {
    of: Quarantined,
    user: UserId,
    quarantined_at: Timestamp,
    /// When the DCC Alert was sent.
    told_at: Timestamp,
    done: Option<(Settlement, Timestamp)>,
}

/// What is told of the communication that a transaction of anomaly detection has quarantined.
pub(crate) fn quarantine(seed: u64, number: u64, script: &Script) -> AnomalyStory {
    let Some(found) = found(number, script) else { return AnomalyStory::default() };
    let mut chance = Chance::of(seed, Lane::Quarantine, number);
    let Found { of, user, quarantined_at, told_at, done } = found;
    let mut telling = Telling::new(user, format!("q{number}"));
    let incident: Reference = literal(&format!("INC{number}"));
    let exceeded = Exceeded {
        threshold: some_thresholds(&mut chance)[1],
        observed: 1_000,
        incident: incident.clone(),
        smsr: None,
        emailed_at: Some(told_at),
    };
    telling.tell(quarantined_at, MINUTE_MS, AnomalyFact::Exceeded(exceeded));
    tell_quarantined(&mut telling, &mut chance, &of, (quarantined_at, told_at));
    if chance.per_mille(100) {
        telling.tell(told_at, HOUR_MS, AnomalyFact::Advised(incident.clone(), Advice::UserDecides));
    }
    if let Some((what, at)) = done {
        tell_done(&mut telling, &mut chance, (&of, &incident), (what, at));
    }
    let left = done.is_none();
    let archived_at = quarantined_at.plus_millis(AVAILABLE_HOURS * HOUR_MS);
    if left && chance.per_mille(300) {
        // A source may say what is so anyway.
        telling.tell(archived_at, 0, AnomalyFact::Settled(of.request_id, Settlement::Archived));
    }
    let mut opened_at = None;
    if left && chance.per_mille(250) {
        let at = archived_at.plus_millis(chance.between(0, 20 * DAY_MS));
        let major = literal(&format!("MSI{number}"));
        let Ok(opened) = ArchiveOpened::new(major, None, Some(incident), Vec::new()) else {
            unreachable!("it names an Incident")
        };
        telling.tell(at, 0, AnomalyFact::ArchiveOpened(opened));
        opened_at = Some(at);
    }
    let Some(dcc_alert) = of.dcc_alert else { return AnomalyStory::default() };
    let (request_id, variant) = (of.request_id, of.variant);
    let quarantined =
        Some(ExpectedQuarantine { user, request_id, variant, quarantined_at, dcc_alert, done, opened_at });
    AnomalyStory { events: telling.events(), thresholds: Vec::new(), quarantined }
}

/// That it was quarantined: a few times a day late, and a few times with the wrong time, which is corrected.
fn tell_quarantined(
    telling: &mut Telling,
    chance: &mut Chance,
    of: &Quarantined,
    (quarantined_at, told_at): (Timestamp, Timestamp),
) {
    let delay = told_at.millis() - quarantined_at.millis();
    let late = if chance.per_mille(100) { DAY_MS } else { delay };
    let fact = AnomalyFact::Quarantined(of.clone());
    if chance.per_mille(50) {
        let wrong = telling.tell(quarantined_at.plus_millis(-HOUR_MS), HOUR_MS + delay, fact.clone());
        let told = AnomalyStatement::Fact { at: quarantined_at, corrects: Some(wrong), fact };
        telling.push(told_at.plus_millis(2 * HOUR_MS), told);
    } else {
        telling.tell(quarantined_at, late, fact);
    }
}

/// What the User answered, sometimes with a file that was refused first; and what was done.
fn tell_done(
    telling: &mut Telling,
    chance: &mut Chance,
    (of, incident): (&Quarantined, &Reference),
    (what, at): (Settlement, Timestamp),
) {
    let action = if what == Settlement::Released { Action::Release } else { Action::Delete };
    let received_at = at.plus_millis(-5 * MINUTE_MS);
    if chance.per_mille(100) {
        let faults = vec![(0, literal("The signature fails."))];
        let refused_at = received_at.plus_millis(-MINUTE_MS);
        let Ok(refused) = ActionsRefused::new(Some(incident.clone()), refused_at, None, faults) else {
            unreachable!("one fault is a refusal")
        };
        telling.tell(refused_at.plus_millis(-MINUTE_MS), MINUTE_MS, AnomalyFact::ActionsRefused(refused));
    }
    let actions = vec![(of.request_id, action)];
    let validated_at = received_at.plus_millis(MINUTE_MS);
    let Ok(accepted) = ActionsAccepted::new(incident.clone(), validated_at, None, actions) else {
        unreachable!("one communication is an answer")
    };
    telling.tell(received_at, 2 * MINUTE_MS, AnomalyFact::ActionsAccepted(accepted));
    telling.tell(at, 0, AnomalyFact::Settled(of.request_id, what));
}

fn found(number: u64, script: &Script) -> Option<Found> {
    let alert = script.steps.iter().find_map(|step| match &step.fact {
        Fact::Alerts { at, effect: Some(effect), .. } if effect.state == State::Quarantined => {
            Some((step, *at, effect))
        }
        _ => None,
    })?;
    let (alert_step, alerted_at, effect) = alert;
    let row = script.row(effect.row);
    let entered = |state: State| {
        let enters = |step: &&Step| {
            step.row == effect.row && matches!(step.fact, Fact::Enters { state: of, .. } if of == state)
        };
        script.steps.iter().find(enters).map(|step| step.at)
    };
    let Subject::Alert { response_id, .. } = script.row(alert_step.row).key.subject else { return None };
    let event_ref: QuarantineEventRef = literal(&(10_000_000_000 + number).to_string());
    let of = Quarantined {
        request_id: effect.request_id,
        command_variant: row.key.command_variant(),
        variant: row.variant,
        device: row.device_id,
        mpxn: row.mpxn,
        received_at: Some(row.received_at),
        breach: Breach::UserThreshold,
        event_ref,
        incident: Some(literal(&format!("INC{number}"))),
        dcc_alert: Some(response_id),
    };
    let released = entered(State::Released).map(|at| (Settlement::Released, at));
    let done = released.or(entered(State::Deleted).map(|at| (Settlement::Deleted, at)));
    Some(Found {
        of,
        user: effect.request_id.originator,
        quarantined_at: entered(State::Quarantined).unwrap_or(alerted_at),
        told_at: alert_step.recorded_at,
        done,
    })
}
