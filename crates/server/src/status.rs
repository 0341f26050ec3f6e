//! From errors to gRPC statuses: the one place that decides what a caller is told.
//!
//! Every status carries `google.rpc.ErrorInfo` with the domain `gridtrail`, a reason, and under `http_code` the HTTP
//! code that `google.rpc.Code` stands for. Errors that a human must look at go to the log under an id, which is all
//! that the caller gets.

use crate::limits::RETRY_AFTER;
use gridtrail_access::AccessError;
use gridtrail_access_log::LogError;
use gridtrail_search::{SearchError, SearchErrorKind, Violation};
use std::collections::HashMap;
use std::error::Error;
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
    /// Too many calls at once.
    #[error("take one more call")]
    Busy,
    /// The call took too long.
    #[error("answer in time")]
    TooSlow,
    /// The server was just started and has not read what it would answer from.
    #[error("read the evidence of the lake")]
    NotReady,
    /// The handler panicked.
    #[error("the handler panicked")]
    Panicked,
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

/// What a status says besides its text.
struct Face {
    code: Code,
    reason: &'static str,
    http_code: &'static str,
}

const INVALID: Face = Face { code: Code::InvalidArgument, reason: "INVALID_REQUEST", http_code: "400" };
const NO_IDENTITY: Face = Face { code: Code::Unauthenticated, reason: "NO_IDENTITY", http_code: "401" };
const DENIED: Face = Face { code: Code::PermissionDenied, reason: "ROLE_MISSING", http_code: "403" };
const NOT_FOUND: Face = Face { code: Code::NotFound, reason: "ROW_NOT_FOUND", http_code: "404" };
const PRECONDITION: Face =
    Face { code: Code::FailedPrecondition, reason: "INVENTORY_NOT_LOADED", http_code: "400" };
const EXHAUSTED: Face = Face { code: Code::ResourceExhausted, reason: "SEARCH_TOO_WIDE", http_code: "429" };
const UNAVAILABLE: Face = Face { code: Code::Unavailable, reason: "STORE_UNAVAILABLE", http_code: "503" };
const NO_RECORD: Face = Face { code: Code::Unavailable, reason: "ACCESS_LOG_UNAVAILABLE", http_code: "503" };
const BUSY: Face = Face { code: Code::Unavailable, reason: "BUSY", http_code: "503" };
const TOO_SLOW: Face = Face { code: Code::DeadlineExceeded, reason: "TOO_SLOW", http_code: "504" };
const CORRUPT: Face = Face { code: Code::DataLoss, reason: "DATA_DAMAGED", http_code: "500" };
const INTERNAL: Face = Face { code: Code::Internal, reason: "INTERNAL", http_code: "500" };

const fn face_of(kind: SearchErrorKind) -> Face {
    match kind {
        SearchErrorKind::Invalid => INVALID,
        SearchErrorKind::NoIdentity => NO_IDENTITY,
        SearchErrorKind::Denied => DENIED,
        SearchErrorKind::NotFound => NOT_FOUND,
        SearchErrorKind::Precondition => PRECONDITION,
        SearchErrorKind::Exhausted => EXHAUSTED,
        SearchErrorKind::Unavailable => UNAVAILABLE,
        SearchErrorKind::Corrupt => CORRUPT,
        SearchErrorKind::Internal => INTERNAL,
    }
}

const NO_SUCH_SERVICE: Face = Face { code: Code::Unimplemented, reason: "NO_SUCH_SERVICE", http_code: "501" };

/// The status of a call to a service that is not here.
pub(crate) fn no_such_service() -> Status {
    face_value(&NO_SUCH_SERVICE, "there is no such service; reflection lists those that are".into(), None)
}

/// The code and the reason that a caller is told.
pub(crate) fn told(error: &CallError) -> (Code, &'static str) {
    let face = match error {
        CallError::NoToken => NO_IDENTITY,
        CallError::Search(error) => face_of(error.kind()),
        CallError::Busy => BUSY,
        CallError::NotReady => UNAVAILABLE,
        CallError::TooSlow => TOO_SLOW,
        CallError::Panicked => INTERNAL,
        CallError::NoRecord(_) => NO_RECORD,
    };
    (face.code, face.reason)
}

/// The status of an error of the call named; logs it where a human should know.
pub(crate) fn status_of(call: &'static str, error: &CallError) -> Status {
    match error {
        CallError::NoToken => {
            let text = "log in: send one header \"authorization: Bearer\" followed by a token";
            face_value(&NO_IDENTITY, text.into(), None)
        }
        CallError::Search(error) => search_status(call, error),
        CallError::Busy => retry_status(&BUSY, "too many calls at once; try again".into()),
        CallError::NotReady => {
            retry_status(&UNAVAILABLE, "the server was just started and still reads; try again".into())
        }
        CallError::TooSlow => {
            tracing::warn!(call, "no answer in time");
            face_value(&TOO_SLOW, "no answer in time; try again, or narrow the search".into(), None)
        }
        CallError::NoRecord(_) => {
            tracing::warn!(call, cause = chain(error), "a call cannot be noted in the access log");
            retry_status(&NO_RECORD, "calls cannot be recorded just now; try again".into())
        }
        CallError::Panicked => reported_status(call, &INTERNAL, "the service failed", error),
    }
}

fn search_status(call: &'static str, error: &SearchError) -> Status {
    let kind = error.kind();
    let face = face_of(kind);
    let text = error.user_text().to_string();
    match kind {
        SearchErrorKind::Invalid => match error {
            SearchError::Invalid(violations) => invalid_status(text, violations),
            // No other error is of this kind; a status without fields is still true.
            _ => face_value(&face, text, None),
        },
        SearchErrorKind::NoIdentity
        | SearchErrorKind::Denied
        | SearchErrorKind::NotFound
        | SearchErrorKind::Precondition
        | SearchErrorKind::Exhausted => face_value(&face, text, None),
        SearchErrorKind::Unavailable => {
            tracing::warn!(call, cause = chain(error), "the store is unavailable");
            retry_status(&face, text)
        }
        SearchErrorKind::Corrupt | SearchErrorKind::Internal => reported_status(call, &face, &text, error),
    }
}

fn details_of(face: &Face, error_id: Option<&str>) -> ErrorDetails {
    let mut metadata = HashMap::from([("http_code".to_owned(), face.http_code.to_owned())]);
    if let Some(error_id) = error_id {
        metadata.insert("error_id".to_owned(), error_id.to_owned());
    }
    ErrorDetails::with_error_info(face.reason, DOMAIN, metadata)
}

fn face_value(face: &Face, text: String, error_id: Option<&str>) -> Status {
    Status::with_error_details(face.code, text, details_of(face, error_id))
}

fn invalid_status(text: String, violations: &[Violation]) -> Status {
    let mut details = details_of(&INVALID, None);
    let fields: Vec<FieldViolation> =
        violations.iter().map(|v| FieldViolation::new(v.field, &v.rule)).collect();
    details.set_bad_request(fields);
    Status::with_error_details(INVALID.code, text, details)
}

fn retry_status(face: &Face, text: String) -> Status {
    let mut details = details_of(face, None);
    details.set_retry_info(Some(RETRY_AFTER));
    Status::with_error_details(face.code, text, details)
}

/// A fault of ours: its causes go to the log under an id, and the caller gets the id.
fn reported_status(call: &'static str, face: &Face, text: &str, error: &dyn Error) -> Status {
    let error_id = Uuid::new_v4().to_string();
    tracing::error!(call, error_id, cause = chain(error), "a call failed");
    face_value(face, format!("{text}; quote the error id {error_id}"), Some(&error_id))
}

/// An error and all that lies beneath it, on one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}
