//! The record of a call in the access log: every call that is let in leaves exactly one row, however it ends.

use crate::status::{CallError, told};
use gridtrail_access::Access;
use gridtrail_access_log::{AccessLog, Entry, LogError, Slot};
use gridtrail_model::Timestamp;
use gridtrail_runtime::Clock;
use gridtrail_search::{Answer, Page, Query, Row, SearchKey, TrailRef};
use gridtrail_session::Session;
use std::fmt::Display;
use std::net::SocketAddr;
use std::time::Instant;
use tonic::metadata::MetadataMap;
use tonic::{Code, Request};

/// What a caller sends beside the message.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) metadata: MetadataMap,
    pub(crate) peer: Option<SocketAddr>,
}

impl Caller {
    /// The caller of a request, and its message.
    pub(crate) fn of<T>(request: Request<T>) -> (Self, T) {
        let peer = request.remote_addr();
        let (metadata, _, message) = request.into_parts();
        (Self { metadata, peer }, message)
    }
}

/// The record of one call, as far as it has come. Dropped before its end, as when the caller goes away, it says so.
#[derive(Debug)]
pub(crate) struct Record {
    log: AccessLog,
    clock: Clock,
    began: Instant,
    /// Room in the log, for whoever is admitted.
    slot: Option<Slot>,
    entry: Entry,
    is_noted: bool,
}

impl Record {
    /// A call of this name begins.
    pub(crate) fn begin(
        log: &AccessLog,
        clock: &Clock,
        call: &'static str,
        peer: Option<SocketAddr>,
    ) -> Self {
        let mut entry = Entry::of(call, clock.now());
        entry.peer = peer.map(|peer| peer.to_string());
        Self {
            log: log.clone(),
            clock: clock.clone(),
            began: Instant::now(),
            slot: None,
            entry,
            is_noted: false,
        }
    }

    /// Makes sure that it can be noted, whatever comes of it. Errors: then it is not to be worked on.
    pub(crate) fn reserve(&mut self) -> Result<(), LogError> {
        self.slot = Some(self.log.slot()?);
        Ok(())
    }

    /// The caller was admitted. Gives what is to be filled in.
    pub(crate) fn admit(&mut self, who: &Access) -> &mut Entry {
        let entry = &mut self.entry;
        entry.subject = Some(who.subject().to_owned());
        entry.party = Some(who.party().to_string());
        entry.session = who.session_id().map(str::to_owned);
        entry.roles = Some(who.roles().join(","));
        entry
    }

    /// The caller showed the handle of a session that holds.
    pub(crate) fn resumed(&mut self, session: &Session) {
        self.entry.subject = Some(session.bearer.subject.clone());
        self.entry.party = Some(session.bearer.party.to_string());
        self.entry.session = Some(session.id.to_string());
    }

    /// A witness of its own has noted the call.
    pub(crate) fn witnessed(mut self) {
        self.is_noted = true;
    }

    /// The call has come to its end.
    pub(crate) fn end<T>(mut self, outcome: &Result<T, CallError>) {
        match outcome {
            Ok(_) => self.note("OK", None, None),
            Err(error) => {
                let (code, reason) = told(error);
                self.note(name_of(code), Some(reason), error.of_identity().map(ToString::to_string));
            }
        }
    }

    fn note(&mut self, outcome: &'static str, reason: Option<&'static str>, detail: Option<String>) {
        if std::mem::replace(&mut self.is_noted, true) {
            return;
        }
        let mut entry = std::mem::replace(&mut self.entry, Entry::of("", Timestamp::MIN));
        (entry.at, entry.outcome, entry.reason) = (self.clock.now(), outcome.into(), reason.map(Into::into));
        entry.took_us = u64::try_from(self.began.elapsed().as_micros()).ok();
        entry.detail = detail;
        match self.slot.take() {
            Some(slot) if entry.subject.is_some() => slot.note(entry),
            // Nobody was admitted: one of many, perhaps, and not to take the room of others.
            _ => self.log.refuse(entry),
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.note("CANCELLED", None, None);
    }
}

/// Notes what is asked for: of a call that is refused no more is known.
pub(crate) fn asked(entry: &mut Entry, query: &Query) {
    note_key(entry, &query.key);
    entry.variants = list(&query.variants);
    (entry.from, entry.to) = (query.from, query.to);
    entry.page_size = query.page_size.map(u64::from);
    entry.later_page = Some(query.page_token.is_some());
}

/// Notes which row is asked for.
pub(crate) fn asked_row(entry: &mut Entry, reference: &TrailRef) {
    (entry.key_kind, entry.key) = (Some("reference".into()), Some(reference.to_string()));
}

/// Notes what was looked up, and what came of it.
pub(crate) fn shown(entry: &mut Entry, who: &Access, page: &Page) {
    note_key(entry, &page.executed.key);
    entry.variants = list(&page.executed.variants);
    (entry.from, entry.to) = (page.executed.from, page.executed.to);
    entry.page_size = u64::try_from(page.executed.page_size).ok();
    entry.version = Some(page.version.to_string());
    note_rows(entry, who, &page.rows);
}

/// Notes the row that was shown.
pub(crate) fn shown_row(entry: &mut Entry, who: &Access, answer: &Answer) {
    entry.version = Some(answer.version.to_string());
    note_rows(entry, who, std::slice::from_ref(&answer.row));
}

fn note_key(entry: &mut Entry, key: &SearchKey) {
    let (kind, key) = match key {
        SearchKey::Mpxn(mpxn) => ("mpxn", mpxn.to_string()),
        SearchKey::Device(device) => ("device_id", device.to_string()),
        SearchKey::Uprn(uprn) => ("uprn", uprn.to_string()),
        SearchKey::User(user) => ("user_id", user.to_string()),
    };
    (entry.key_kind, entry.key) = (Some(kind.into()), Some(key));
}

fn note_rows(entry: &mut Entry, who: &Access, rows: &[Row]) {
    let of_others = rows.iter().filter(|row| !who.user_ids().contains(&row.trail.user_id)).count();
    (entry.rows, entry.rows_of_others) = (Some(rows.len() as u64), Some(of_others as u64));
}

fn list(values: &[impl Display]) -> Option<String> {
    let texts: Vec<String> = values.iter().map(ToString::to_string).collect();
    (!texts.is_empty()).then(|| texts.join(","))
}

/// The name of a status, as `google.rpc.Code` has it.
const fn name_of(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
