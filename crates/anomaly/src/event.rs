//! Anomaly events: one fact each, about one User, when it was so, and when the DCC had it.

use crate::limits::{COMMUNICATIONS_MAX, FAULTS_MAX, THRESHOLDS_MAX};
use crate::reference::{FileHash, Period, QuarantineEventRef, Reason, Reference};
use gridtrail_model::{
    CommandVariant, DeviceId, EventId, Mpxn, ParseError, RequestId, ResponseId, ServiceReferenceVariant,
    Timestamp, UserId, UserRole,
};

macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $number:literal $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $name { $($(#[$vdoc])* $variant = $number,)+ }

        impl $name {
            /// Every value, in order.
            pub const ALL: &[Self] = &[$(Self::$variant),+];
            /// The word for it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
            /// The number that stands for it in storage and in the contract.
            pub const fn number(self) -> u8 {
                self as u8
            }
            /// The value of a number.
            pub const fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

numbered! {
    /// Who tells a fact.
    Origin {
        /// The DUIS alert about a quarantined request. It fills what no anomaly event says.
        Duis = 1 "duis",
        /// An anomaly event.
        Anomaly = 2 "anomaly",
    }
}

numbered! {
    /// Whose a threshold is, and so what exceeding it leads to.
    ThresholdKind {
        /// A Warning Threshold: an Incident and an e-mail, and no quarantine.
        Warning = 1 "warning",
        /// An Anomaly Detection Threshold that the User set: quarantine.
        UserSet = 2 "user-set",
        /// An Anomaly Detection Threshold that the DCC set: quarantine.
        DccSet = 3 "dcc-set",
    }
}

numbered! {
    /// Why a communication was quarantined: DUIS `QuarantinedRequest`.
    Breach {
        /// `ADUserThresholdBreach`.
        UserThreshold = 1 "user threshold",
        /// `ADDCCThresholdBreach`.
        DccThreshold = 2 "DCC threshold",
        /// `ADAttributeLimitsBreach`.
        AttributeLimits = 3 "attribute limits",
    }
}

numbered! {
    /// What the DCC advises Users to do (AA 4.12).
    Advice {
        /// Quarantined communications must be deleted.
        MustDelete = 1 "must delete",
        /// The User may decide whether they are processed or deleted.
        UserDecides = 2 "user decides",
        /// The User should take no action.
        NoAction = 3 "no action",
    }
}

numbered! {
    /// What an action file says of a communication (AA 4.7).
    Action {
        /// It is to be processed.
        Release = 1 "Release",
        /// It is to be deleted.
        Delete = 2 "Delete",
    }
}

numbered! {
    /// What became of a quarantined communication.
    Settlement {
        /// It was released, and is processed on.
        Released = 1 "released",
        /// It was deleted.
        Deleted = 2 "deleted",
        /// It was archived before its 120 hours were over.
        Archived = 3 "archived",
    }
}

/// One immutable fact about the communications of a User, or the withdrawal of one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AnomalyEvent {
    /// When the DCC had it.
    pub recorded_at: Timestamp,
    /// What the source calls it, and what a correction or withdrawal names.
    pub id: EventId,
    /// Who tells it.
    pub origin: Origin,
    /// The User whose communications it is about. `None`: it is about those of all Users together.
    pub about: Option<UserId>,
    /// What is told.
    pub told: AnomalyStatement,
}

/// What an event tells.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum AnomalyStatement {
    /// A fact.
    Fact {
        /// When it was so, or since when it is.
        at: Timestamp,
        /// The event in whose place this one stands.
        corrects: Option<EventId>,
        /// The fact.
        fact: AnomalyFact,
    },
    /// That another event's fact never was one.
    Withdrawal {
        /// That event.
        of: EventId,
    },
}

impl AnomalyEvent {
    /// The event that this one corrects or withdraws.
    pub const fn target(&self) -> Option<&EventId> {
        match &self.told {
            AnomalyStatement::Fact { corrects, .. } => corrects.as_ref(),
            AnomalyStatement::Withdrawal { of } => Some(of),
        }
    }
}

/// A fact, but for when it was so.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum AnomalyFact {
    /// The DCC received a Thresholds File.
    FileReceived(ThresholdsFile),
    /// The DCC applied the file of an SMSR that it had received last.
    FileApplied(FileName),
    /// The DCC rejected it.
    FileRejected(FileName, Reason),
    /// The DCC set a threshold, or no longer has it.
    DccThreshold {
        /// Which.
        scope: Scope,
        /// So many communications may come within its period; `None`: it is in force no more.
        communications: Option<u64>,
    },
    /// A threshold was exceeded.
    Exceeded(Exceeded),
    /// The DCC advises what to do with the communications of an Incident.
    Advised(Reference, Advice),
    /// A communication was quarantined.
    Quarantined(Quarantined),
    /// Something became of it.
    Settled(RequestId, Settlement),
    /// Archived communications may be seen, to investigate a Major Security Incident.
    ArchiveOpened(ArchiveOpened),
    /// An action file passed all checks.
    ActionsAccepted(ActionsAccepted),
    /// An action file was refused, all of it.
    ActionsRefused(ActionsRefused),
}

/// By what a Thresholds File is known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileName {
    /// Its Service Management Service Request.
    pub smsr: Reference,
    /// The User Role in which the User sets thresholds.
    pub role: UserRole,
}

/// Which communications a threshold counts, and within what period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// Those of this Service Reference Variant; `None`: all of them.
    pub variant: Option<ServiceReferenceVariant>,
    /// Within this period.
    pub period: Period,
}

/// A threshold: so many communications may come within its period, and one more exceeds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Threshold {
    /// Whose it is.
    pub kind: ThresholdKind,
    /// What it counts.
    pub scope: Scope,
    /// How many may come.
    pub communications: u64,
}

/// A Thresholds File.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ThresholdsFile {
    /// By what it is known.
    pub name: FileName,
    /// Whether it is a Fast-Track Notification.
    pub fast_track: bool,
    /// Ascending, each once.
    thresholds: Vec<Threshold>,
}

fn limited(what: &'static str, rule: &'static str, is_within: bool, number: usize) -> Result<(), ParseError> {
    if is_within { Ok(()) } else { Err(ParseError { what, rule, found: number.to_string() }) }
}

impl ThresholdsFile {
    /// Of all thresholds of a User in a role. Errors: they are too many, or one is none that a User sets.
    pub fn new(name: FileName, fast_track: bool, mut thresholds: Vec<Threshold>) -> Result<Self, ParseError> {
        let rule = "up to 2000 thresholds, each a Warning Threshold or one that the User sets";
        let sets = |threshold: &Threshold| threshold.kind != ThresholdKind::DccSet;
        let is_within = thresholds.len() <= THRESHOLDS_MAX && thresholds.iter().all(sets);
        limited("Thresholds File", rule, is_within, thresholds.len())?;
        thresholds.sort_unstable();
        thresholds.dedup();
        Ok(Self { name, fast_track, thresholds })
    }

    /// Its thresholds, ascending.
    pub fn thresholds(&self) -> &[Threshold] {
        &self.thresholds
    }
}

/// A threshold that was exceeded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exceeded {
    /// The threshold.
    pub threshold: Threshold,
    /// How many communications came within its period.
    pub observed: u64,
    /// The Incident that the DCC raised.
    pub incident: Reference,
    /// The SMSR that the e-mail names.
    pub smsr: Option<Reference>,
    /// When the e-mail was sent.
    pub emailed_at: Option<Timestamp>,
}

/// A communication that was quarantined.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quarantined {
    /// Its RequestID, which names it.
    pub request_id: RequestId,
    /// Its Command Variant.
    pub command_variant: Option<CommandVariant>,
    /// Its Service Reference Variant.
    pub variant: Option<ServiceReferenceVariant>,
    /// The Device that it is for.
    pub device: Option<DeviceId>,
    /// The meter point that it is for.
    pub mpxn: Option<Mpxn>,
    /// When the DCC received it.
    pub received_at: Option<Timestamp>,
    /// Why it was quarantined.
    pub breach: Breach,
    /// The event in which it was.
    pub event_ref: QuarantineEventRef,
    /// The Incident that the DCC raised.
    pub incident: Option<Reference>,
    /// The DCC Alert that told the User.
    pub dcc_alert: Option<ResponseId>,
}

/// Archived communications that may be seen by their User.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ArchiveOpened {
    /// The Major Security Incident.
    pub major_incident: Reference,
    /// The first instant at which they may be seen no more.
    pub closes_at: Option<Timestamp>,
    /// Those quarantined under this Incident.
    pub incident: Option<Reference>,
    /// And these: ascending, each once.
    request_ids: Vec<RequestId>,
}

impl ArchiveOpened {
    /// Errors: it says of no communication, or of too many.
    pub fn new(
        major_incident: Reference,
        closes_at: Option<Timestamp>,
        incident: Option<Reference>,
        mut request_ids: Vec<RequestId>,
    ) -> Result<Self, ParseError> {
        let rule = "it names an Incident, or 1 to 10000 RequestIDs";
        let is_within =
            request_ids.len() <= COMMUNICATIONS_MAX && (incident.is_some() || !request_ids.is_empty());
        limited("opening of the archive", rule, is_within, request_ids.len())?;
        request_ids.sort_unstable();
        request_ids.dedup();
        Ok(Self { major_incident, closes_at, incident, request_ids })
    }

    /// The communications that it names one by one.
    pub fn request_ids(&self) -> &[RequestId] {
        &self.request_ids
    }

    /// Whether it is about a communication.
    pub(crate) fn is_of(&self, request_id: &RequestId, incident: Option<&Reference>) -> bool {
        let by_incident = self.incident.is_some() && self.incident.as_ref() == incident;
        by_incident || self.request_ids.binary_search(request_id).is_ok()
    }
}

/// A Quarantined Communications Action File that passed all checks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ActionsAccepted {
    /// The Incident that it answers.
    pub incident: Reference,
    /// When it had been validated.
    pub validated_at: Timestamp,
    /// The file.
    pub file: Option<FileHash>,
    /// What it says: ascending, each communication once.
    actions: Vec<(RequestId, Action)>,
}

impl ActionsAccepted {
    /// Errors: it says nothing of any communication, two things of one, or names too many.
    pub fn new(
        incident: Reference,
        validated_at: Timestamp,
        file: Option<FileHash>,
        mut actions: Vec<(RequestId, Action)>,
    ) -> Result<Self, ParseError> {
        let rule = "1 to 10000 communications, and one action for each";
        actions.sort_unstable();
        actions.dedup();
        let each_once = actions.is_sorted_by(|(one, _), (next, _)| one < next);
        let is_within = each_once && (1..=COMMUNICATIONS_MAX).contains(&actions.len());
        limited("Quarantined Communications Action File", rule, is_within, actions.len())?;
        Ok(Self { incident, validated_at, file, actions })
    }

    /// What it says of each communication.
    pub fn actions(&self) -> &[(RequestId, Action)] {
        &self.actions
    }
}

/// A Quarantined Communications Action File that was refused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ActionsRefused {
    /// The Incident that it names.
    pub incident: Option<Reference>,
    /// When it was refused.
    pub refused_at: Timestamp,
    /// The file.
    pub file: Option<FileHash>,
    /// What is wrong with it, by line: 0 stands for the file as a whole. Ascending, each once.
    faults: Vec<(u32, Reason)>,
}

impl ActionsRefused {
    /// Errors: nothing is wrong with it, or more than is told.
    pub fn new(
        incident: Option<Reference>,
        refused_at: Timestamp,
        file: Option<FileHash>,
        mut faults: Vec<(u32, Reason)>,
    ) -> Result<Self, ParseError> {
        let rule = "1 to 100 faults";
        limited("refusal of an action file", rule, (1..=FAULTS_MAX).contains(&faults.len()), faults.len())?;
        faults.sort_unstable();
        faults.dedup();
        Ok(Self { incident, refused_at, file, faults })
    }

    /// What is wrong with it, by line.
    pub fn faults(&self) -> &[(u32, Reason)] {
        &self.faults
    }
}
