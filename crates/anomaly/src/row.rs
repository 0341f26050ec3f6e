//! Rows: what one event says under one key, as a table holds it.
//!
//! A table of them is sorted by [`AnomalyRow`]'s own order, which begins with the key. **The merge rule**: rows that are equal become one
//! ([`merge_rows`]), and nothing else ever changes; a fold of a key's rows is its [`AnomalyFragment`].
//!
//! What is known of a User lies under two keys: its thresholds, which are kept, and its quarantined communications, whose rows go once the
//! communications are gone ([`goes_at`]). A correction or withdrawal counts under both.

use crate::event::{AnomalyEvent, AnomalyFact, AnomalyStatement, Origin};
use crate::fragment::AnomalyFragment;
use crate::limits::{ARCHIVED_MS, AVAILABLE_MS};
use crate::packing::{AnomalyRowKind, pack_fact, unpack_fact};
use gridtrail_model::{EventId, Timestamp, UserId};
use gridtrail_packed::Packed;

/// What a row lies under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AnomalyKey {
    /// Thresholds of a User, and when they were exceeded.
    Thresholds(UserId),
    /// Quarantined communications of a User.
    Quarantine(UserId),
    /// Thresholds that the DCC set for all Users together.
    AllUsers,
}

impl AnomalyKey {
    /// How many bytes a key has.
    pub const BYTES: usize = 9;

    /// The key as bytes, for storage: which kind it is, then its value. Rows are sorted by them.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let (kind, value) = match self {
            Self::Thresholds(user) => (1, user.to_bytes()),
            Self::Quarantine(user) => (2, user.to_bytes()),
            Self::AllUsers => (3, [0; 8]),
        };
        let mut bytes = [0; Self::BYTES];
        bytes[0] = kind;
        bytes[1..].copy_from_slice(&value);
        bytes
    }

    /// The inverse of [`AnomalyKey::to_bytes`]; `None` for bytes that it never gives.
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Option<Self> {
        let [kind, value @ ..] = bytes;
        match kind {
            1 => Some(Self::Thresholds(UserId::from_bytes(value))),
            2 => Some(Self::Quarantine(UserId::from_bytes(value))),
            3 if value == [0; 8] => Some(Self::AllUsers),
            _ => None,
        }
    }

    /// The User. `None`: all of them together.
    pub const fn about(self) -> Option<UserId> {
        match self {
            Self::Thresholds(user) | Self::Quarantine(user) => Some(user),
            Self::AllUsers => None,
        }
    }
}

/// What one event says under one key. Every field is a column; rows are sorted by them in this order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AnomalyRow {
    /// What it lies under.
    pub key: AnomalyKey,
    /// What it tells.
    pub kind: AnomalyRowKind,
    /// When it was so, or since when it is; a withdrawal has no such time.
    pub at: Option<Timestamp>,
    /// When the DCC had it.
    pub recorded_at: Timestamp,
    /// Who told it.
    pub origin: Origin,
    /// The event that told it.
    pub event_id: EventId,
    /// The event that it corrects or withdraws.
    pub target: Option<EventId>,
    /// The values, packed.
    pub body: Box<[u8]>,
}

/// A row that no writer of ours writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a row of kind {kind:?} holds what no such row can")]
pub struct AnomalyRowError {
    /// The kind that the row says it is of.
    pub kind: AnomalyRowKind,
}

/// Whether a fact is about quarantined communications, as opposed to thresholds.
const fn is_of_quarantine(fact: &AnomalyFact) -> bool {
    match fact {
        AnomalyFact::FileReceived(_)
        | AnomalyFact::FileApplied(_)
        | AnomalyFact::FileRejected(..)
        | AnomalyFact::DccThreshold { .. }
        | AnomalyFact::Exceeded(_) => false,
        AnomalyFact::Advised(..)
        | AnomalyFact::Quarantined(_)
        | AnomalyFact::Settled(..)
        | AnomalyFact::ArchiveOpened(_)
        | AnomalyFact::ActionsAccepted(_)
        | AnomalyFact::ActionsRefused(_) => true,
    }
}

/// The rows of an event: one under its key; of a correction or withdrawal, one under each key of the User.
pub fn rows_of(event: &AnomalyEvent) -> Vec<AnomalyRow> {
    let keys = match event.about {
        Some(user) => vec![AnomalyKey::Thresholds(user), AnomalyKey::Quarantine(user)],
        None => vec![AnomalyKey::AllUsers],
    };
    let row = |key, kind, at, body| AnomalyRow {
        key,
        kind,
        at,
        recorded_at: event.recorded_at,
        origin: event.origin,
        event_id: event.id.clone(),
        target: event.target().cloned(),
        body,
    };
    let mut rows = Vec::with_capacity(keys.len());
    for key in keys {
        match &event.told {
            AnomalyStatement::Fact { at, fact, .. } if is_under(fact, key) => {
                let (kind, body) = pack_fact(fact);
                rows.push(row(key, kind, Some(*at), body));
            }
            AnomalyStatement::Fact { corrects: None, .. } => {}
            AnomalyStatement::Fact { .. } | AnomalyStatement::Withdrawal { .. } => {
                rows.push(row(key, AnomalyRowKind::Withdrawal, None, Box::default()));
            }
        }
    }
    rows
}

const fn is_under(fact: &AnomalyFact, key: AnomalyKey) -> bool {
    match key {
        AnomalyKey::Thresholds(_) => !is_of_quarantine(fact),
        AnomalyKey::Quarantine(_) => is_of_quarantine(fact),
        AnomalyKey::AllUsers => true,
    }
}

/// Rows that are equal become one: the union of two sorted runs of rows.
pub fn merge_rows(one: Vec<AnomalyRow>, other: Vec<AnomalyRow>) -> Vec<AnomalyRow> {
    let mut all = one;
    all.extend(other);
    all.sort();
    all.dedup();
    all
}

/// The first instant at which a row is needed no more. `None`: it is kept.
///
/// Of a quarantined communication nothing is shown once it is gone. What a correction or withdrawal is of may have come after it, so it
/// stays as long again as a communication is archived.
pub fn goes_at(
    key: AnomalyKey,
    at: Option<Timestamp>,
    recorded_at: Timestamp,
    has_target: bool,
) -> Option<Timestamp> {
    let AnomalyKey::Quarantine(_) = key else { return None };
    let latest = at.unwrap_or(recorded_at).max(recorded_at);
    let kept_ms = AVAILABLE_MS + if has_target { 2 * ARCHIVED_MS } else { ARCHIVED_MS };
    Some(latest.plus_millis(kept_ms))
}

impl AnomalyRow {
    /// Reads the row back. Errors: no writer of ours writes it, or a later build does.
    pub fn event(&self) -> Result<AnomalyEvent, AnomalyRowError> {
        self.read().ok_or(AnomalyRowError { kind: self.kind })
    }

    fn read(&self) -> Option<AnomalyEvent> {
        let mut body = Packed::read(&self.body)?;
        let told = if self.kind == AnomalyRowKind::Withdrawal {
            AnomalyStatement::Withdrawal { of: self.target.clone()? }
        } else {
            let fact = unpack_fact(self.kind, &mut body)?;
            AnomalyStatement::Fact { at: self.at?, corrects: self.target.clone(), fact }
        };
        let event = AnomalyEvent {
            recorded_at: self.recorded_at,
            id: self.event_id.clone(),
            origin: self.origin,
            about: self.key.about(),
            told,
        };
        body.is_empty().then_some(event)
    }

    /// The first instant at which it is needed no more. `None`: it is kept.
    pub fn goes_at(&self) -> Option<Timestamp> {
        goes_at(self.key, self.at, self.recorded_at, self.target.is_some())
    }
}

impl AnomalyFragment {
    /// What the rows of one User say. Rows of others add nothing. Errors: as [`AnomalyRow::event`].
    pub fn of_rows<'r>(
        about: Option<UserId>,
        rows: impl IntoIterator<Item = &'r AnomalyRow>,
    ) -> Result<Self, AnomalyRowError> {
        let mut fragment = Self::new(about);
        for row in rows {
            fragment.add(row.event()?);
        }
        Ok(fragment)
    }
}
