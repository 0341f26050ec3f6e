//! The record of a statement in the access log: each leaves exactly one row, however it ends.

use crate::error::SqlError;
use crate::passed::Passed;
use gridtrail_access::Access;
use gridtrail_access_log::{AccessLog, Entry, Slot};
use gridtrail_lake::SnapshotVersion;
use gridtrail_model::Timestamp;
use gridtrail_runtime::Clock;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

/// The subject of statements that no User asks.
const OPERATOR: &str = "operator";

/// Where the statements of a session are recorded, and as what.
#[derive(Debug, Clone)]
pub struct Recording {
    /// The log that takes the records.
    pub log: AccessLog,
    /// Which call the statements come by, as `Sql.Query`.
    pub call: &'static str,
    /// The address that they come from.
    pub peer: Option<SocketAddr>,
}

/// The record of one statement, as far as it has come. Dropped before its end, as when the caller goes away, it says so; beyond its time, that this
/// was over.
#[derive(Debug)]
pub(crate) struct Record {
    began: Instant,
    /// Until when it may go on.
    until: tokio::time::Instant,
    clock: Clock,
    entry: Entry,
    rows: u64,
    passed: Option<Arc<Passed>>,
    /// Room in the log, until it is noted.
    slot: Option<Slot>,
}

impl Record {
    /// A statement of an admitted caller begins.
    ///
    /// Errors: `NotRecorded`; then it is not to be worked on.
    pub(crate) fn begin(
        recording: &Recording,
        (who, version): (Option<&Access>, &SnapshotVersion),
        (clock, until): (&Clock, tokio::time::Instant),
    ) -> Result<Self, SqlError> {
        let slot = recording.log.slot()?;
        let mut entry = Entry::of(recording.call, clock.now());
        entry.peer = recording.peer.map(|peer| peer.to_string());
        entry.version = Some(version.to_string());
        if who.is_none() {
            entry.subject = Some(OPERATOR.to_owned());
        }
        if let Some(who) = who {
            entry.subject = Some(who.subject().to_owned());
            entry.party = Some(who.party().to_string());
            entry.session = who.session_id().map(str::to_owned);
            entry.roles = Some(who.roles().join(","));
        }
        let (clock, began) = (clock.clone(), Instant::now());
        Ok(Self { began, until, clock, entry, rows: 0, passed: None, slot: Some(slot) })
    }

    /// What is asked: the text of a statement that could be read.
    pub(crate) fn asked(&mut self, text: String) {
        self.entry.detail = Some(text);
    }

    /// What is looked up, each with its kind.
    pub(crate) fn looked_up(&mut self, keys: &[(&'static str, String)]) {
        if keys.is_empty() {
            return;
        }
        let kinds: Vec<&str> = keys.iter().map(|(kind, _)| *kind).collect();
        let keys: Vec<&str> = keys.iter().map(|(_, key)| key.as_str()).collect();
        (self.entry.key_kind, self.entry.key) = (Some(kinds.join(",").into()), Some(keys.join(",")));
    }

    /// It is carried out; its scans count what they read.
    pub(crate) fn carried_out(&mut self, passed: &Arc<Passed>) {
        self.passed = Some(Arc::clone(passed));
    }

    /// It gives rows now, and may until then.
    pub(crate) const fn goes_on_until(&mut self, until: tokio::time::Instant) {
        self.until = until;
    }

    /// So many more rows were handed over.
    pub(crate) fn shown(&mut self, rows: usize) {
        self.rows += rows as u64;
    }

    /// The end.
    pub(crate) fn end(mut self, outcome: Result<(), &SqlError>) {
        match outcome {
            Ok(()) => self.note("OK", None),
            Err(error) => {
                let (code, reason) = error.told();
                self.note(code, Some(reason));
            }
        }
    }

    /// The end, in the words of whoever ended it.
    pub(crate) fn end_as(mut self, outcome: &'static str, reason: &'static str) {
        self.note(outcome, Some(reason));
    }

    fn note(&mut self, outcome: &'static str, reason: Option<&'static str>) {
        let Some(slot) = self.slot.take() else { return };
        let mut entry = std::mem::replace(&mut self.entry, Entry::of("", Timestamp::MIN));
        (entry.at, entry.outcome, entry.reason) = (self.clock.now(), outcome.into(), reason.map(Into::into));
        entry.took_us = u64::try_from(self.began.elapsed().as_micros()).ok();
        if let Some(passed) = &self.passed {
            (entry.rows, entry.rows_of_others) = (Some(self.rows), Some(passed.of_others()));
        }
        slot.note(entry);
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if tokio::time::Instant::now() < self.until {
            self.note("CANCELLED", None);
        } else {
            self.note("DEADLINE_EXCEEDED", Some("TOO_SLOW"));
        }
    }
}
