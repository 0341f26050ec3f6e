//! From errors to gRPC statuses: the one place that decides what a caller is told.
//!
//! Every status carries `google.rpc.ErrorInfo` with the domain `gridtrail`, a reason, and under `http_code` the HTTP
//! code that `google.rpc.Code` stands for. Errors that a human must look at go to the log under an id, which is all
//! that the caller gets.

use crate::limits::RETRY_AFTER;
use gridtrail_access::AccessError;
use gridtrail_access_log::LogError;
use gridtrail_flight::{FlightError, SqlError};
use gridtrail_lake::LakeErrorKind;
use gridtrail_port::Cut;
use gridtrail_reconcile::ReconcileError;
use gridtrail_reports::{ArgumentError, OutputError, ReportError};
use gridtrail_runtime::with_causes;
use gridtrail_search::{SearchError, SearchErrorKind, Violation};
use gridtrail_session::{LoginError, OUTWARD_SENTENCE, SessionError, StoreError};
use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;
use tonic::codegen::http::HeaderMap;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};
use uuid::Uuid;

const DOMAIN: &str = "gridtrail";

/// Why a call is not answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The call carries no token, or not as it should.
    #[error("find the bearer token")]
    NoToken,
    /// The search refused or failed.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// A login was refused. The log has been told why.
    #[error("log in")]
    LoginRefused,
    /// No Identity Provider of that name.
    #[error("find the Identity Provider")]
    NoSuchProvider,
    /// This server logs nobody in.
    #[error("log somebody in")]
    NoLogins,
    /// A token that stands for itself is no person's.
    #[error("find the person")]
    NotAPerson,
    /// No session, or none any longer.
    #[error("find the session")]
    NoSession,
    /// The store of the sessions.
    #[error(transparent)]
    SessionStore(#[from] StoreError),
    /// The caller asked for more than they may.
    #[error("keep to the caller's limit of {what}")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// After how long there is more.
        wait: Duration,
    },
    /// A page has more rows than the caller may have in a minute.
    #[error("keep to the caller's limit of rows")]
    PageAboveLimit {
        /// Those of a minute.
        most: u32,
    },
    /// Too many calls at once.
    #[error("take one more call")]
    Busy,
    /// No dead letter is there.
    #[error("find the dead letter")]
    NoLetter,
    /// A proof of what became of every position was not made.
    #[error(transparent)]
    Proof(ReconcileError),
    /// The call took too long.
    #[error("answer in time")]
    TooSlow,
    /// What the caller may see became less while it was looked up.
    #[error("find the caller's rights as they were")]
    RightsChanged,
    /// The server was just started and has not read what it would answer from.
    #[error("read the evidence of the lake")]
    NotReady,
    /// The handler panicked.
    #[error("the handler panicked")]
    Panicked,
    /// A message of Arrow Flight SQL was not answered.
    #[error(transparent)]
    Flight(FlightError),
    /// A report was not made.
    #[error(transparent)]
    Report(ReportError),
    /// A report could not be written down.
    #[error(transparent)]
    ReportForm(OutputError),
    /// A report has another version than the caller knows.
    #[error("{name} is of version {found}; you asked for version {asked}: have it described anew")]
    OtherReport {
        /// The report.
        name: String,
        /// Its version.
        found: u32,
        /// That which was asked for.
        asked: u32,
    },
    /// A row of a report that no message has room for.
    #[error("a row has {bytes} bytes, more than a message may have; ask for a form of the report")]
    ReportRowTooLarge {
        /// How many.
        bytes: usize,
    },
    /// The login could not be written down.
    #[error("write the login down")]
    NotWritten,
    /// The call cannot be noted in the access log.
    #[error("note the call")]
    NoRecord(#[from] LogError),
}

impl CallError {
    /// What is wrong with the caller's identity, if that is why. It repeats no part of a token.
    pub(crate) fn of_identity(&self) -> Option<&AccessError> {
        match self {
            Self::Search(SearchError::Access(error)) => Some(error),
            _ => None,
        }
    }
}

impl From<AccessError> for CallError {
    fn from(error: AccessError) -> Self {
        Self::Search(error.into())
    }
}

impl From<FlightError> for CallError {
    fn from(error: FlightError) -> Self {
        match error {
            FlightError::Statement(SqlError::Access(error))
            | FlightError::Session(SqlError::Access(error)) => error.into(),
            other => Self::Flight(other),
        }
    }
}

impl From<ReportError> for CallError {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::Access(error) | ReportError::Sql(SqlError::Access(error)) => error.into(),
            other => Self::Report(other),
        }
    }
}

impl From<LoginError> for CallError {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::Refused(_) | LoginError::RelayState => Self::LoginRefused,
            LoginError::UnknownProvider => Self::NoSuchProvider,
            LoginError::Busy => Self::Busy,
            LoginError::NotWritten => Self::NotWritten,
            LoginError::Store(error) => Self::SessionStore(error),
        }
    }
}

impl From<SessionError> for CallError {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Ended(_) => Self::NoSession,
            SessionError::Store(error) => Self::SessionStore(error),
        }
    }
}

/// The gRPC code, the reason and the HTTP code of one class of errors: what a status says besides its text.
struct ErrorClass {
    code: Code,
    reason: &'static str,
    http_code: &'static str,
}

const INVALID: ErrorClass =
    ErrorClass { code: Code::InvalidArgument, reason: "INVALID_REQUEST", http_code: "400" };
const NO_IDENTITY: ErrorClass =
    ErrorClass { code: Code::Unauthenticated, reason: "NO_IDENTITY", http_code: "401" };
const LOGIN_REFUSED: ErrorClass =
    ErrorClass { code: Code::Unauthenticated, reason: "LOGIN_REFUSED", http_code: "401" };
const NO_PROVIDER: ErrorClass =
    ErrorClass { code: Code::NotFound, reason: "IDENTITY_PROVIDER_NOT_FOUND", http_code: "404" };
const NO_LOGINS: ErrorClass =
    ErrorClass { code: Code::FailedPrecondition, reason: "NO_LOGINS", http_code: "400" };
const NOT_A_PERSON: ErrorClass =
    ErrorClass { code: Code::FailedPrecondition, reason: "NOT_A_PERSON", http_code: "400" };
const DENIED: ErrorClass =
    ErrorClass { code: Code::PermissionDenied, reason: "ROLE_MISSING", http_code: "403" };
const NOT_FOUND: ErrorClass = ErrorClass { code: Code::NotFound, reason: "ROW_NOT_FOUND", http_code: "404" };
const NO_LETTER: ErrorClass =
    ErrorClass { code: Code::NotFound, reason: "DEAD_LETTER_NOT_FOUND", http_code: "404" };
const NO_HUB: ErrorClass = ErrorClass { code: Code::NotFound, reason: "HUB_NOT_FOUND", http_code: "404" };
const EXHAUSTED: ErrorClass =
    ErrorClass { code: Code::ResourceExhausted, reason: "SEARCH_TOO_WIDE", http_code: "429" };
const TOO_MUCH: ErrorClass =
    ErrorClass { code: Code::ResourceExhausted, reason: "LIMIT_REACHED", http_code: "429" };
const UNAVAILABLE: ErrorClass =
    ErrorClass { code: Code::Unavailable, reason: "STORE_UNAVAILABLE", http_code: "503" };
const NO_RECORD: ErrorClass =
    ErrorClass { code: Code::Unavailable, reason: "ACCESS_LOG_UNAVAILABLE", http_code: "503" };
const BUSY: ErrorClass = ErrorClass { code: Code::Unavailable, reason: "BUSY", http_code: "503" };
const TOO_SLOW: ErrorClass =
    ErrorClass { code: Code::DeadlineExceeded, reason: "TOO_SLOW", http_code: "504" };
const RIGHTS_CHANGED: ErrorClass =
    ErrorClass { code: Code::Aborted, reason: "RIGHTS_CHANGED", http_code: "409" };
const CORRUPT: ErrorClass = ErrorClass { code: Code::DataLoss, reason: "DATA_DAMAGED", http_code: "500" };
const INTERNAL: ErrorClass = ErrorClass { code: Code::Internal, reason: "INTERNAL", http_code: "500" };

const fn class_of(kind: SearchErrorKind) -> ErrorClass {
    match kind {
        SearchErrorKind::Invalid => INVALID,
        SearchErrorKind::NoIdentity => NO_IDENTITY,
        SearchErrorKind::Denied => DENIED,
        SearchErrorKind::NotFound => NOT_FOUND,
        SearchErrorKind::NoHub => NO_HUB,
        SearchErrorKind::Exhausted => EXHAUSTED,
        SearchErrorKind::Unavailable => UNAVAILABLE,
        SearchErrorKind::Corrupt => CORRUPT,
        SearchErrorKind::Internal => INTERNAL,
    }
}

const TOO_LARGE: ErrorClass =
    ErrorClass { code: Code::OutOfRange, reason: "REQUEST_TOO_LARGE", http_code: "400" };
const NO_SUCH_METHOD: ErrorClass =
    ErrorClass { code: Code::Unimplemented, reason: "NO_SUCH_METHOD", http_code: "501" };
const NO_SUCH_NAME: ErrorClass = ErrorClass { code: Code::NotFound, reason: "NOT_FOUND", http_code: "404" };
const TRANSPORT: ErrorClass = ErrorClass { code: Code::Unknown, reason: "TRANSPORT", http_code: "500" };
const NO_SUCH_SERVICE: ErrorClass =
    ErrorClass { code: Code::Unimplemented, reason: "NO_SUCH_SERVICE", http_code: "501" };

/// Adds the details that every error has to one that the transport made before any service saw the call: a message that is too
/// large or cannot be read, a method that does not exist.
pub(crate) fn explain(headers: &mut HeaderMap) {
    let Some(status) = unexplained(headers) else { return };
    let text = status.message().to_owned();
    let explained = match status.code() {
        Code::OutOfRange => status_in(&TOO_LARGE, text, None),
        Code::Unimplemented if text.is_empty() => {
            let text = "there is no such method; reflection lists those that are";
            status_in(&NO_SUCH_METHOD, text.into(), None)
        }
        Code::Unimplemented => status_in(&NO_SUCH_METHOD, text, None),
        Code::NotFound => status_in(&NO_SUCH_NAME, text, None),
        // The bytes are no message of this method: that is no fault of ours.
        Code::Internal => {
            let rule = if text.is_empty() { "a message of this method".to_owned() } else { text };
            invalid_status(
                format!("the request cannot be read: {rule}"),
                &[Violation { field: "request", rule }],
            )
        }
        code => status_in(&ErrorClass { code, ..TRANSPORT }, text, None),
    };
    put(&explained, headers);
}

/// Adds the details to the trailers of an answer that could not be written. Gives what the caller is told, where that is an error.
pub(crate) fn explain_failure(trailers: &mut HeaderMap) -> Option<(Code, &'static str)> {
    let status = unexplained(trailers)?;
    let code = status.code();
    if !matches!(code, Code::OutOfRange | Code::ResourceExhausted | Code::Internal) {
        // Reflection answers so of a name that is not there.
        explain(trailers);
        return Some((code, TRANSPORT.reason));
    }
    let error_id = Uuid::new_v4().to_string();
    tracing::error!(?code, error_id, cause = status.message(), "an answer could not be written");
    let text = format!("the answer could not be written; quote the error id {error_id}");
    put(&status_in(&ErrorClass { code, ..INTERNAL }, text, Some(&error_id)), trailers);
    Some((code, INTERNAL.reason))
}

/// The error in some headers, where it has no details.
fn unexplained(headers: &HeaderMap) -> Option<Status> {
    // Nearly all answers have no status here, and those that do have details.
    if !headers.contains_key(Status::GRPC_STATUS) || headers.contains_key(Status::GRPC_STATUS_DETAILS) {
        return None;
    }
    Status::from_header_map(headers).filter(|status| status.code() != Code::Ok)
}

fn put(status: &Status, headers: &mut HeaderMap) {
    // Its text is escaped, and its details are base64: both are headers. Were they not, the status stays as it was.
    if let Err(error) = status.add_header(headers) {
        tracing::error!(%error, "the details of an error could not be added");
    }
}

const UNKNOWN_STATEMENT: ErrorClass =
    ErrorClass { code: Code::NotFound, reason: "STATEMENT_NOT_FOUND", http_code: "404" };
const STATEMENT_EXPIRED: ErrorClass =
    ErrorClass { code: Code::NotFound, reason: "STATEMENT_EXPIRED", http_code: "404" };
const CANCELLED: ErrorClass =
    ErrorClass { code: Code::Cancelled, reason: "STATEMENT_CANCELLED", http_code: "499" };
const UNSUPPORTED: ErrorClass =
    ErrorClass { code: Code::Unimplemented, reason: "NOT_SUPPORTED", http_code: "501" };
const ROW_TOO_LARGE: ErrorClass =
    ErrorClass { code: Code::ResourceExhausted, reason: "ROW_TOO_LARGE", http_code: "429" };

/// What a caller is told of a message of Arrow Flight SQL that was not answered.
fn class_of_flight(error: &FlightError) -> ErrorClass {
    match error {
        FlightError::Malformed(_) => INVALID,
        FlightError::Unsupported(_) => UNSUPPORTED,
        FlightError::Unknown => UNKNOWN_STATEMENT,
        FlightError::Expired => STATEMENT_EXPIRED,
        FlightError::OtherRights => RIGHTS_CHANGED,
        FlightError::Cancelled => CANCELLED,
        FlightError::RowTooLarge { .. } => ROW_TOO_LARGE,
        FlightError::Statement(error) | FlightError::Session(error) => class_of_statement(error),
        FlightError::Lake(error) => match error.kind() {
            LakeErrorKind::Unavailable => UNAVAILABLE,
            LakeErrorKind::Corrupt => CORRUPT,
            _ => INTERNAL,
        },
        FlightError::Seal(_) | FlightError::Write(_) | FlightError::Metadata(_) => INTERNAL,
    }
}

/// The same of a statement, which has it recorded in these words.
fn class_of_statement(error: &SqlError) -> ErrorClass {
    let (code, reason) = error.told();
    let (code, http_code) = match code {
        "INVALID_ARGUMENT" => (Code::InvalidArgument, "400"),
        "RESOURCE_EXHAUSTED" => (Code::ResourceExhausted, "429"),
        "DEADLINE_EXCEEDED" => (Code::DeadlineExceeded, "504"),
        "UNAUTHENTICATED" => (Code::Unauthenticated, "401"),
        "PERMISSION_DENIED" => (Code::PermissionDenied, "403"),
        "ABORTED" => (Code::Aborted, "409"),
        "UNAVAILABLE" => (Code::Unavailable, "503"),
        "DATA_LOSS" => (Code::DataLoss, "500"),
        _ => (Code::Internal, "500"),
    };
    ErrorClass { code, reason, http_code }
}

const NO_REPORT: ErrorClass =
    ErrorClass { code: Code::NotFound, reason: "REPORT_NOT_FOUND", http_code: "404" };
const NOT_YOURS: ErrorClass =
    ErrorClass { code: Code::PermissionDenied, reason: "USER_ID_NOT_YOURS", http_code: "403" };
const OTHER_REPORT: ErrorClass =
    ErrorClass { code: Code::FailedPrecondition, reason: "REPORT_CHANGED", http_code: "400" };
const TEXT_TOO_LONG: ErrorClass =
    ErrorClass { code: Code::FailedPrecondition, reason: "TEXT_TOO_LONG", http_code: "400" };

const NOT_PLAIN: ErrorClass =
    ErrorClass { code: Code::FailedPrecondition, reason: "NOT_PLAIN", http_code: "400" };

/// What a caller is told of a report that was not made.
fn class_of_report(error: &ReportError) -> ErrorClass {
    match error {
        ReportError::NoReport { .. } => NO_REPORT,
        ReportError::Argument(_) => INVALID,
        ReportError::NotYours(_) => NOT_YOURS,
        // Told as that of any other call.
        ReportError::Access(_) => DENIED,
        ReportError::Sql(error) => class_of_statement(error),
        ReportError::Manifest(_) | ReportError::Column { .. } | ReportError::Internal(_) => INTERNAL,
    }
}

const fn class_of_form(error: &OutputError) -> ErrorClass {
    match error {
        OutputError::TextTooLong { .. } => TEXT_TOO_LONG,
        OutputError::NotPlain { .. } => NOT_PLAIN,
        _ => INTERNAL,
    }
}

/// The status of a report that was not made, or not written down.
fn report_status(call: &'static str, class: &ErrorClass, error: &(dyn Error + 'static)) -> Status {
    match class.code {
        Code::Internal | Code::DataLoss => {
            reported_status(call, class, "the report could not be made", error)
        }
        Code::Unavailable => {
            tracing::warn!(call, cause = with_causes(error), "a report cannot be made just now");
            retry_status(class, error.to_string(), RETRY_AFTER)
        }
        Code::Aborted => retry_status(class, error.to_string(), RETRY_AFTER),
        _ => status_in(class, error.to_string(), None),
    }
}

/// The status of a report that was asked for wrongly: with the field, as `parameters.month`.
fn argument_status(error: &ArgumentError) -> Status {
    let field = error.parameter().map_or("parameters".to_owned(), |name| format!("parameters.{name}"));
    invalid_fields(error.to_string(), vec![FieldViolation::new(field, error.to_string())])
}

/// The status of a message of Arrow Flight SQL that was not answered.
fn flight_status(call: &'static str, error: &FlightError) -> Status {
    let class = class_of_flight(error);
    match class.code {
        Code::Internal | Code::DataLoss => {
            reported_status(call, &class, "the statement could not be answered", error)
        }
        Code::Unavailable => {
            tracing::warn!(call, cause = with_causes(error), "a statement cannot be answered just now");
            retry_status(&class, error.to_string(), RETRY_AFTER)
        }
        Code::Aborted => retry_status(&class, error.to_string(), RETRY_AFTER),
        _ => status_in(&class, error.to_string(), None),
    }
}

/// The status of a call to a service that is not here.
pub(crate) fn no_such_service() -> Status {
    status_in(&NO_SUCH_SERVICE, "there is no such service; reflection lists those that are".into(), None)
}

/// The code and the reason that a caller is told.
pub(crate) fn told(error: &CallError) -> (Code, &'static str) {
    let class = match error {
        CallError::NoToken => NO_IDENTITY,
        CallError::Search(error) => class_of(error.kind()),
        CallError::LoginRefused => LOGIN_REFUSED,
        CallError::NoSuchProvider => NO_PROVIDER,
        CallError::NoLogins => NO_LOGINS,
        CallError::NotAPerson => NOT_A_PERSON,
        CallError::NoSession => NO_IDENTITY,
        CallError::SessionStore(error) if may_be_back(error) => UNAVAILABLE,
        CallError::SessionStore(_) => INTERNAL,
        CallError::TooMuch { .. } | CallError::PageAboveLimit { .. } => TOO_MUCH,
        CallError::NotWritten => NO_RECORD,
        CallError::Busy => BUSY,
        CallError::NotReady => UNAVAILABLE,
        CallError::TooSlow => TOO_SLOW,
        CallError::RightsChanged => RIGHTS_CHANGED,
        CallError::NoLetter => NO_LETTER,
        CallError::Panicked | CallError::Proof(_) => INTERNAL,
        CallError::Flight(error) => class_of_flight(error),
        CallError::Report(error) => class_of_report(error),
        CallError::ReportForm(error) => class_of_form(error),
        CallError::OtherReport { .. } => OTHER_REPORT,
        CallError::ReportRowTooLarge { .. } => ROW_TOO_LARGE,
        CallError::NoRecord(_) => NO_RECORD,
    };
    (class.code, class.reason)
}

/// Whether what the store refuses it may do the next time: what somebody must permit first, it will not.
fn may_be_back(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable { .. }) && !gridtrail_lake::is_denied(error)
}

/// The status of a message that was not read to its end.
pub(crate) fn status_of_cut(call: &'static str, error: Box<dyn Error + Send + Sync>) -> Status {
    match error.downcast_ref() {
        // Anybody can have it so, and as often as they like: it is not logged.
        Some(Cut::TooSlow) => status_in(&TOO_SLOW, "the message did not arrive in time".into(), None),
        Some(Cut::GaveWay) => status_of(call, &CallError::Busy),
        None => Status::from_error(error),
    }
}

/// The status of an error of the call named; logs it where a human should know.
pub(crate) fn status_of(call: &'static str, error: &CallError) -> Status {
    match error {
        CallError::NoToken => {
            let text = "log in: send one header \"authorization: Bearer\" followed by a token";
            status_in(&NO_IDENTITY, text.into(), None)
        }
        CallError::Search(error) => search_status(call, error),
        CallError::LoginRefused => status_in(&LOGIN_REFUSED, OUTWARD_SENTENCE.into(), None),
        CallError::NoSuchProvider => {
            status_in(&NO_PROVIDER, "no Identity Provider of this entity ID is enrolled".into(), None)
        }
        CallError::NoLogins => {
            let text = "this server logs nobody in: bring a token of the issuer that it trusts";
            status_in(&NO_LOGINS, text.into(), None)
        }
        CallError::NotAPerson => {
            let text = "log in: a token that stands for itself is no person's, and nothing is asked of it";
            status_in(&NOT_A_PERSON, text.into(), None)
        }
        CallError::NoSession => {
            let text = "log in again: there is no such session, or it has ended";
            status_in(&NO_IDENTITY, text.into(), None)
        }
        CallError::SessionStore(error) if may_be_back(error) => {
            tracing::warn!(call, cause = with_causes(error), "the store of the sessions is unavailable");
            retry_status(&UNAVAILABLE, "logins do not work at the moment; try again".into(), RETRY_AFTER)
        }
        CallError::SessionStore(error) => reported_status(call, &INTERNAL, "the service failed", error),
        CallError::TooMuch { what, wait } => {
            let text = format!("you asked for too many {what}; try again later");
            // A fraction of a second would only have them come back too early.
            retry_status(&TOO_MUCH, text, Duration::from_secs(wait.as_secs() + 1))
        }
        CallError::PageAboveLimit { most } => {
            let text = format!("you may have {most} rows a minute: ask for smaller pages");
            status_in(&TOO_MUCH, text, None)
        }
        CallError::Busy => retry_status(&BUSY, "too many calls at once; try again".into(), RETRY_AFTER),
        CallError::NotReady => retry_status(
            &UNAVAILABLE,
            "the server was just started and still reads; try again".into(),
            RETRY_AFTER,
        ),
        CallError::TooSlow => {
            tracing::warn!(call, "no answer in time");
            status_in(&TOO_SLOW, "no answer in time; try again, or narrow the search".into(), None)
        }
        CallError::RightsChanged => {
            let text = "what you may see has changed while it was looked up; ask again";
            retry_status(&RIGHTS_CHANGED, text.into(), RETRY_AFTER)
        }
        CallError::NoRecord(_) => {
            tracing::warn!(call, cause = with_causes(error), "a call cannot be noted in the access log");
            retry_status(&NO_RECORD, "calls cannot be recorded just now; try again".into(), RETRY_AFTER)
        }
        CallError::NotWritten => {
            retry_status(&NO_RECORD, "logins cannot be recorded just now; try again".into(), RETRY_AFTER)
        }
        CallError::Flight(error) => flight_status(call, error),
        CallError::Report(ReportError::Argument(error)) => argument_status(error),
        CallError::Report(error) => report_status(call, &class_of_report(error), error),
        CallError::ReportForm(error) => report_status(call, &class_of_form(error), error),
        CallError::OtherReport { .. } => status_in(&OTHER_REPORT, error.to_string(), None),
        CallError::ReportRowTooLarge { .. } => status_in(&ROW_TOO_LARGE, error.to_string(), None),
        CallError::NoLetter => status_in(&NO_LETTER, "there is no dead letter at this place".into(), None),
        CallError::Proof(_) | CallError::Panicked => {
            reported_status(call, &INTERNAL, "the service failed", error)
        }
    }
}

fn search_status(call: &'static str, error: &SearchError) -> Status {
    let kind = error.kind();
    let class = class_of(kind);
    let text = error.user_text().to_string();
    match kind {
        SearchErrorKind::Invalid => match error {
            SearchError::Invalid(violations) => invalid_status(text, violations),
            // No other error is of this kind; a status without fields is still true.
            _ => status_in(&class, text, None),
        },
        SearchErrorKind::NoIdentity
        | SearchErrorKind::Denied
        | SearchErrorKind::NotFound
        | SearchErrorKind::NoHub
        | SearchErrorKind::Exhausted => status_in(&class, text, None),
        SearchErrorKind::Unavailable => {
            tracing::warn!(call, cause = with_causes(error), "the store is unavailable");
            retry_status(&class, text, RETRY_AFTER)
        }
        SearchErrorKind::Corrupt | SearchErrorKind::Internal => reported_status(call, &class, &text, error),
    }
}

fn details_of(class: &ErrorClass, error_id: Option<&str>) -> ErrorDetails {
    let mut metadata = HashMap::from([("http_code".to_owned(), class.http_code.to_owned())]);
    if let Some(error_id) = error_id {
        metadata.insert("error_id".to_owned(), error_id.to_owned());
    }
    ErrorDetails::with_error_info(class.reason, DOMAIN, metadata)
}

fn status_in(class: &ErrorClass, text: String, error_id: Option<&str>) -> Status {
    Status::with_error_details(class.code, text, details_of(class, error_id))
}

fn invalid_status(text: String, violations: &[Violation]) -> Status {
    invalid_fields(text, violations.iter().map(|v| FieldViolation::new(v.field, &v.rule)).collect())
}

fn invalid_fields(text: String, fields: Vec<FieldViolation>) -> Status {
    let mut details = details_of(&INVALID, None);
    details.set_bad_request(fields);
    Status::with_error_details(INVALID.code, text, details)
}

fn retry_status(class: &ErrorClass, text: String, after: Duration) -> Status {
    let mut details = details_of(class, None);
    details.set_retry_info(Some(after));
    Status::with_error_details(class.code, text, details)
}

/// A fault of ours: its causes go to the log under an id, and the caller gets the id.
fn reported_status(call: &'static str, class: &ErrorClass, text: &str, error: &dyn Error) -> Status {
    let error_id = Uuid::new_v4().to_string();
    tracing::error!(call, error_id, cause = with_causes(error), "a call failed");
    status_in(class, format!("{text}; quote the error id {error_id}"), Some(&error_id))
}
