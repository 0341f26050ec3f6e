//! The record of a call in the access log: every call that is let in leaves exactly one row, however it ends.
//!
//! It ends when the answer has left: an answer that cannot be written, or whose caller goes away before all of it was handed to their
//! connection, is on record as that, with the rows that had begun to leave.

use crate::held::Held;
use crate::status::{CallError, status_of, told};
use gridtrail_access::{Access, Disclosure, Operator};
use gridtrail_access_log::{AccessLog, Entry, LogError, Slot};
use gridtrail_lake::SnapshotVersion;
use gridtrail_model::{DeviceId, Timestamp};
use gridtrail_port::Client;
use gridtrail_reports::Asked;
use gridtrail_runtime::Clock;
use gridtrail_search::{Answer, InventoryQuery, Page, Query, Row, RowQuery, SearchKey};
use gridtrail_session::Session;
use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tonic::metadata::MetadataMap;
use tonic::{Code, Request, Response, Status};

/// What a caller sends beside the message.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) metadata: MetadataMap,
    pub(crate) client: Client,
}

impl Caller {
    /// The caller of a request, and its message.
    pub(crate) fn of<T>(request: Request<T>) -> (Self, T) {
        let (metadata, mut extensions, message) = request.into_parts();
        let client = extensions.remove().unwrap_or_else(Client::unknown);
        (Self { metadata, client }, message)
    }
}

/// The record of one call, as far as it has come. Dropped before its end, as when the caller goes away, it says so.
#[derive(Debug)]
pub(crate) struct Record {
    log: AccessLog,
    clock: Clock,
    began: Instant,
    call: &'static str,
    /// Room in the log, for whoever is admitted.
    slot: Option<Slot>,
    /// What the call holds, until the answer was taken.
    held: Held,
    entry: Entry,
    rows: Vec<ShownRow>,
    is_noted: bool,
}

/// A row of an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ShownRow {
    /// How many bytes of the message stand before it.
    begins: usize,
    /// Whether another User sent it, whose rows the caller does not see otherwise.
    is_of_another: bool,
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
            call,
            slot: None,
            held: Held::default(),
            entry,
            rows: Vec::new(),
            is_noted: false,
        }
    }

    /// Makes sure that it can be noted, whatever comes of it. Errors: then it is not to be worked on.
    pub(crate) fn reserve(&mut self) -> Result<(), LogError> {
        self.slot = Some(self.log.slot()?);
        Ok(())
    }

    /// The caller was admitted.
    pub(crate) fn admit(&mut self, who: &Access) {
        let entry = &mut self.entry;
        entry.subject = Some(who.subject().to_owned());
        entry.party = Some(who.party().to_string());
        entry.session = who.session_id().map(str::to_owned);
        entry.roles = Some(who.roles().join(","));
    }

    /// An operator was let in, who works for no Party and has no Job Type Role.
    pub(crate) fn admit_operator(&mut self, who: &Operator) {
        self.entry.subject = Some(who.name().to_owned());
    }

    /// What the call holds from now on.
    pub(crate) fn hold(&mut self, held: Held) {
        self.held = held;
    }

    /// The call takes so many bytes of memory.
    ///
    /// Errors: `TooMuch`, `Busy`.
    pub(crate) fn weigh(&self, bytes: usize) -> Result<(), CallError> {
        self.held.weigh(bytes)
    }

    /// What the call holds, for the answer to hold on its way.
    pub(crate) fn let_go(&mut self) -> Held {
        std::mem::take(&mut self.held)
    }

    /// The caller showed the handle of a session that holds.
    pub(crate) fn resumed(&mut self, session: &Session) {
        self.entry.subject = Some(session.bearer.subject.clone());
        self.entry.party = Some(session.bearer.party.to_string());
        self.entry.session = Some(session.id.to_string());
    }

    /// What is asked for: of a call that is refused no more is known.
    pub(crate) fn asked(&mut self, query: &Query) {
        let entry = &mut self.entry;
        note_key(entry, &query.key);
        entry.variants = list(&query.variants);
        (entry.from, entry.to) = (query.from, query.to);
        entry.page_size = query.page_size.map(u64::from);
        entry.later_page = Some(query.page_token.is_some());
    }

    /// Which row is asked for, and whether a later page of its history is.
    pub(crate) fn asked_row(&mut self, query: &RowQuery) {
        let entry = &mut self.entry;
        (entry.key_kind, entry.key) = (Some("reference".into()), Some(query.reference.to_string()));
        entry.later_page = query.history_page_token.is_some().then_some(true);
    }

    /// Which Device is asked for.
    pub(crate) fn asked_device(&mut self, device: DeviceId) {
        note_key(&mut self.entry, &SearchKey::Device(device));
    }

    /// Which dead letter an operator asks for, and whether its record is to come, too.
    pub(crate) fn asked_letter(&mut self, source: &str, position: i64, with_record: bool) {
        let entry = &mut self.entry;
        let kind = if with_record { "dead_letter_record" } else { "dead_letter" };
        (entry.key_kind, entry.key) = (Some(kind.into()), Some(format!("{source}@{position}")));
    }

    /// Which page of a list is asked for.
    pub(crate) fn asked_page(&mut self, page_size: u32, later_page: bool) {
        self.entry.page_size = Some(page_size.into());
        self.entry.later_page = Some(later_page);
    }

    /// What of a list is in the answer, by how many bytes each has in the message. None of it is a row of another User.
    pub(crate) fn shown_listed(&mut self, bytes: &[usize]) {
        self.entry.rows = Some(0);
        self.note_shown(bytes.iter().map(|bytes| (false, *bytes)));
    }

    /// How many Commands of a hub are in the answer. Whose they are is known to nobody here, so none counts as another's.
    pub(crate) fn shown_commands(&mut self, version: &SnapshotVersion, commands: usize) {
        self.entry.version = Some(version.to_string());
        self.rows = vec![ShownRow { begins: 0, is_of_another: false }; commands];
        self.count_rows(usize::MAX);
    }

    /// What was looked up, and what is in the answer: its rows, and how many bytes each has in the message.
    pub(crate) fn shown(&mut self, page: &Page, bytes: &[usize]) {
        let entry = &mut self.entry;
        note_key(entry, &page.executed.key);
        entry.variants = list(&page.executed.variants);
        (entry.from, entry.to) = (page.executed.from, page.executed.to);
        entry.page_size = u64::try_from(page.executed.page_size).ok();
        entry.version = Some(page.version.to_string());
        self.note_rows(&page.rows, bytes);
    }

    /// The row that is in the answer.
    pub(crate) fn shown_row(&mut self, answer: &Answer) {
        self.entry.version = Some(answer.version.to_string());
        self.note_rows(std::slice::from_ref(&answer.row), &[0]);
    }

    /// What is asked of the inventory.
    pub(crate) fn asked_inventory(&mut self, query: &InventoryQuery) {
        let entry = &mut self.entry;
        let (kinds, keys): (Vec<_>, Vec<_>) = query.keys.given().into_iter().unzip();
        (entry.key_kind, entry.key) = (list(&kinds).map(Into::into), list(&keys));
        entry.page_size = query.page_size.map(u64::from);
        entry.later_page = Some(query.page_token.is_some());
    }

    /// The Devices that are in the answer, by how many bytes each has in the message. None of them is a row of another User: they are
    /// nobody's.
    pub(crate) fn shown_devices(&mut self, version: &SnapshotVersion, page_size: usize, bytes: &[usize]) {
        self.entry.page_size = u64::try_from(page_size).ok();
        self.entry.version = Some(version.to_string());
        self.note_shown(bytes.iter().map(|bytes| (false, *bytes)));
    }

    fn note_rows(&mut self, rows: &[Row], bytes: &[usize]) {
        let of_others = rows.iter().map(|row| row.disclosure == Disclosure::MeterRead);
        self.note_shown(of_others.zip(bytes.iter().copied()));
    }

    fn note_shown(&mut self, rows: impl Iterator<Item = (bool, usize)>) {
        let mut begins = 0;
        let shown = rows.map(|(is_of_another, bytes)| {
            let shown = ShownRow { begins, is_of_another };
            begins += bytes;
            shown
        });
        self.rows = shown.collect();
        self.count_rows(usize::MAX);
    }

    /// Counts the rows of which something stands in the first bytes of the message.
    fn count_rows(&mut self, bytes: usize) {
        // The entry of a call that shows no rows says nothing of them.
        if self.rows.is_empty() && self.entry.rows.is_none() && self.entry.version.is_none() {
            return;
        }
        let begun = || self.rows.iter().filter(|row| row.begins < bytes);
        let of_others = begun().filter(|row| row.is_of_another).count();
        (self.entry.rows, self.entry.rows_of_others) = (Some(begun().count() as u64), Some(of_others as u64));
    }

    /// Which report is described.
    pub(crate) fn described_report(&mut self, name: &str) {
        self.entry.detail = Some(name.to_owned());
    }

    /// What is asked of a report.
    pub(crate) fn asked_report(&mut self, asked: Asked) {
        let Asked { keys, variants, detail } = asked;
        let (kinds, keys): (Vec<_>, Vec<_>) = keys.into_iter().unzip();
        let entry = &mut self.entry;
        (entry.key_kind, entry.key) = (list(&kinds).map(Into::into), list(&keys));
        (entry.variants, entry.detail) = (variants, Some(detail));
    }

    /// The version that a report is made from.
    pub(crate) fn read_at(&mut self, version: &SnapshotVersion) {
        self.entry.version = Some(version.to_string());
        self.shown_rows_of_report(0);
    }

    /// So many rows of a report have left by now, all of them of User IDs that the caller sees.
    pub(crate) const fn shown_rows_of_report(&mut self, rows: u64) {
        (self.entry.rows, self.entry.rows_of_others) = (Some(rows), Some(0));
    }

    /// What of SQL is asked for: metadata by the protocol's name, or what a statement will give by its text without literals.
    pub(crate) fn asked_of_sql(&mut self, what: &str) {
        self.entry.detail = Some(what.to_owned());
    }

    /// From now on a statement's own record notes the call, unless it is taken back.
    pub(crate) const fn leave_to_statement(&mut self) {
        self.is_noted = true;
    }

    /// The statement has not come as far as its record.
    pub(crate) const fn take_back(&mut self) {
        self.is_noted = false;
    }

    /// A witness of its own has noted the call.
    pub(crate) fn witnessed(mut self) {
        self.is_noted = true;
    }

    /// The answer to the call, which takes the record with it on its way; an error is noted here.
    pub(crate) fn reply<T>(mut self, outcome: Result<T, CallError>) -> Result<Response<T>, Status> {
        let error = match outcome {
            Ok(message) => {
                let mut response = Response::new(message);
                response.extensions_mut().insert(Leaving(Arc::new(Mutex::new(Some(self)))));
                return Ok(response);
            }
            Err(error) => error,
        };
        let (code, reason) = told(&error);
        self.note(name_of(code), Some(reason), error.of_identity().map(ToString::to_string));
        Err(status_of(self.call, &error))
    }

    /// All of the answer was handed to the caller's connection.
    pub(crate) fn has_left(mut self) {
        self.note("OK", None, None);
    }

    /// So many bytes of the message were handed to the caller's connection, and then it was given up for this reason.
    pub(crate) fn has_failed(mut self, (code, reason): (Code, &'static str), bytes: usize) {
        self.count_rows(bytes);
        self.note(name_of(code), Some(reason), None);
    }

    /// So many bytes of the message were handed to the caller's connection, and then they were gone.
    pub(crate) fn breaks_off(mut self, bytes: usize) {
        self.count_rows(bytes);
    }

    fn note(&mut self, outcome: &'static str, reason: Option<&'static str>, detail: Option<String>) {
        if std::mem::replace(&mut self.is_noted, true) {
            return;
        }
        let mut entry = std::mem::replace(&mut self.entry, Entry::of("", Timestamp::MIN));
        (entry.at, entry.outcome, entry.reason) = (self.clock.now(), outcome.into(), reason.map(Into::into));
        entry.took_us = u64::try_from(self.began.elapsed().as_micros()).ok();
        entry.detail = detail.or(entry.detail);
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

/// The record of an answer on its way out, among the extensions of its response. An answer that is dropped there takes it along.
#[derive(Debug, Clone)]
pub(crate) struct Leaving(Arc<Mutex<Option<Record>>>);

impl Leaving {
    /// The record, for whoever is the first to take it.
    pub(crate) fn take(&self) -> Option<Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
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

fn list(values: &[impl Display]) -> Option<String> {
    let texts: Vec<String> = values.iter().map(ToString::to_string).collect();
    (!texts.is_empty()).then(|| texts.join(","))
}

/// The name of a status, as `google.rpc.Code` has it.
pub(crate) const fn name_of(code: Code) -> &'static str {
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
