//! Exit codes: what a script may conclude from the end of a command.

use crate::wording::{count, count_of};
use gridtrail_access::AccessError;
use gridtrail_access_log::LogError;
use gridtrail_export::{ExportError, ExportErrorKind};
use gridtrail_ingest::IngestError;
use gridtrail_kafka::KafkaError;
use gridtrail_lake::{LakeError, LakeErrorKind};
use gridtrail_reconcile::ReconcileError;
use gridtrail_report_jobs::JobError;
use gridtrail_reports::{FileError, OutputError, ReportError};
use gridtrail_runtime::{KeyFileError, with_causes};
use gridtrail_search::SearchError;
use gridtrail_server::ServeError;
use gridtrail_session::{RegisterError, StoreError};
use gridtrail_sql::{SqlError, SqlErrorKind};
use gridtrail_tls::{Disagreement, TlsError};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// How a command ended. The numbers are part of the interface and stand in `gridtrail --help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// The command failed, for a reason that none of the others names.
    Failed = 1,
    /// The arguments are wrong: repeating the command cannot help.
    Usage = 2,
    /// What was asked for does not exist, or is not the caller's: the answer is the same for both.
    NotFound = 3,
    /// The caller is not known, or may not do this.
    Denied = 4,
    /// Something must happen first; the message says what.
    Precondition = 5,
    /// A part of the system cannot be reached: repeating the command may help.
    Unavailable = 6,
    /// A source is not as fresh as it must be.
    Stale = 7,
    /// A proof was tried and does not hold.
    Unproven = 8,
    /// A file holds no record that could be read.
    NothingRead = 9,
    /// The command was stopped by a signal before it was done.
    Stopped = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command failed, in words for the person who typed it. [`Failure::report`] has the causes too.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// An argument that only its use shows to be wrong.
    #[error("{argument}: {reason}")]
    Argument {
        /// The argument, as it is typed.
        argument: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The result could not be written.
    #[error("write the result")]
    Output(#[source] io::Error),
    /// The result could not be turned into JSON.
    #[error("write the result as JSON")]
    Json(#[source] serde_json::Error),
    /// A file or folder of the caller's could not be used.
    #[error("{doing} {}", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's own error.
        #[source]
        source: io::Error,
    },
    /// Others can read or change the file of a private key.
    #[error(transparent)]
    KeyFile(KeyFileError),
    /// A key or token of this command's own could not be made.
    #[error("make a key or token")]
    Access(#[from] AccessError),
    /// The lake could not be used.
    #[error("use the lake")]
    Lake(#[from] LakeError),
    /// A lake was to be made where one is.
    #[error("{address} holds a lake already; `gridtrail lake rebucket` changes its buckets")]
    LakeExists {
        /// The address as given.
        address: String,
    },
    /// Event files could not be taken in.
    #[error(transparent)]
    Ingest(#[from] IngestError),
    /// Kafka could not be written to.
    #[error("write to Kafka")]
    Kafka(#[from] KafkaError),
    /// The searches could not be set up.
    #[error("set up the searches")]
    Search(#[from] SearchError),
    /// An open copy of a lake could not be kept.
    #[error("keep an open copy")]
    Export(#[from] ExportError),
    /// A statement was not answered.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// A report was not made.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// A file of a report was not written.
    #[error(transparent)]
    ReportFile(#[from] FileError),
    /// What became of scheduled reports could not be told.
    #[error("keep the journal of reports")]
    ReportJob(#[from] JobError),
    /// Reports that are due are not there yet.
    #[error("{} not there: {failed} failed, {stale} for which the lake is not complete; `gridtrail report history` says more", count_of(*open, "report"))]
    ReportsOpen {
        /// How many.
        open: usize,
        /// Of those, how many failed and are to be tried again.
        failed: usize,
        /// How many wait until the lake is complete.
        stale: usize,
        /// What can be done about each attempt that failed.
        kinds: Vec<SqlErrorKind>,
    },
    /// The address cannot be listened on.
    #[error("listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's own error.
        #[source]
        source: io::Error,
    },
    /// Certificates cannot be used.
    #[error("encrypt connections")]
    Tls(#[from] TlsError),
    /// The register of Identity Providers, or the sessions, could not be used or changed.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// Calls cannot be recorded.
    #[error("record calls")]
    AccessLog(#[from] LogError),
    /// The server stopped.
    #[error("serve")]
    Serve(#[from] ServeError),
    /// The server cannot be reached.
    #[error("connect to {server}")]
    Connect {
        /// Its URL.
        server: String,
        /// The transport's own error.
        #[source]
        source: tonic::transport::Error,
    },
    /// The two ends do not agree on how the connection is encrypted.
    #[error("connect to {server}: {}", advice_of(disagreement))]
    Encryption {
        /// The server's URL.
        server: String,
        /// On what.
        disagreement: Disagreement,
    },
    /// The connection was refused after all, or broke.
    #[error("keep the connection to the server")]
    Connection(#[source] Box<tonic::Status>),
    /// The server refused, or could not answer.
    #[error("{message}")]
    Call {
        /// The gRPC code.
        code: tonic::Code,
        /// What the server says.
        message: String,
        /// Whether it says when to come back.
        again: bool,
    },
    /// The metrics cannot be shown.
    #[error("show metrics at {address}: {reason}")]
    Metrics {
        /// Where.
        address: SocketAddr,
        /// Why not.
        reason: String,
    },
    /// What was checked is not fresh; the report says what.
    #[error("not fresh: {level}")]
    Stale {
        /// The worst level.
        level: String,
    },
    /// What was to be proved is not so; the report says what.
    #[error("not proven: {}", count(*faults, "fault"))]
    Unproven {
        /// How many.
        faults: u64,
    },
    /// A User's answer to quarantine was refused; the report says why, and so does the record.
    #[error("the file is refused, all of it: {}", count(*faults, "fault"))]
    AnswerRefused {
        /// How many faults are told.
        faults: u64,
    },
    /// Housekeeping left damaged files where they are.
    #[error(
        "{files} damaged files were left where they are; `gridtrail lake repair` takes their rows anew from their sources"
    )]
    DamagedFiles {
        /// How many.
        files: u64,
    },
    /// Others changed a lake so often meanwhile that not all could be done.
    #[error("others changed the same files again and again: run it again")]
    Overtaken,
    /// No proof could be tried.
    #[error(transparent)]
    Reconcile(#[from] ReconcileError),
    /// A dead letter that was named is not there, or not open.
    #[error("there is no open dead letter {letter}; `gridtrail dead-letters list --all` names all")]
    NoLetter {
        /// As it was named.
        letter: String,
    },
    /// Dead letters still cannot be read; the report says why.
    #[error("still unreadable: {}", count_of(*letters, "dead letter"))]
    Unreadable {
        /// How many.
        letters: usize,
    },
    /// A session that is not there.
    #[error("there is no session {session}")]
    NoSession {
        /// As it was named.
        session: String,
    },
    /// Nothing that a person entered is on record.
    #[error(
        "nothing is on record of the person {subject} of {party}; `gridtrail access log` has both, in the columns subject and party"
    )]
    NothingOfPerson {
        /// As they were named.
        subject: String,
        /// As it was named.
        party: String,
    },
    /// Files of which no record could be read. The rest is in the lake.
    #[error("no record of {} could be read; `gridtrail dead-letters list` says why", files.join(", "))]
    NothingRead {
        /// The files.
        files: Vec<String>,
    },
    /// The command was asked to stop before it was done.
    #[error("stopped: {told}")]
    Stopped {
        /// What is done, and how to go on.
        told: String,
    },
    /// A thread, signal or task of this process failed.
    #[error("{0}")]
    Process(&'static str),
}

impl Failure {
    /// The exit code that stands for this failure.
    pub fn exit(&self) -> Exit {
        match self.exit_by_kind() {
            // Whoever may not write will not be able to the next time.
            Exit::Unavailable if self.is_denied() => Exit::Failed,
            exit => exit,
        }
    }

    fn exit_by_kind(&self) -> Exit {
        match self {
            Self::Argument { .. } | Self::Tls(_) | Self::KeyFile(_) => Exit::Usage,
            Self::Encryption { disagreement: Disagreement::Refused(_), .. } => Exit::Denied,
            Self::Encryption { .. } => Exit::Usage,
            Self::NothingRead { .. } => Exit::NothingRead,
            Self::Stopped { .. } => Exit::Stopped,
            Self::Lake(LakeError::NoHold { .. }) => Exit::NotFound,
            Self::Lake(error)
            | Self::Ingest(IngestError::Lake(error))
            | Self::Reconcile(ReconcileError::Lake(error)) => match error.kind() {
                LakeErrorKind::Settings => Exit::Usage,
                LakeErrorKind::Unavailable => Exit::Unavailable,
                _ => Exit::Failed,
            },
            Self::Kafka(error)
            | Self::Ingest(IngestError::Kafka(error))
            | Self::Reconcile(ReconcileError::Kafka(error)) => match error {
                KafkaError::Setting { .. } => Exit::Usage,
                KafkaError::NoTopic(_) => Exit::NotFound,
                KafkaError::TooLarge { .. } | KafkaError::EndsBefore { .. } => Exit::Precondition,
                KafkaError::Broker { .. } | KafkaError::Unreachable { .. } | KafkaError::Positions(_) => {
                    Exit::Unavailable
                }
                KafkaError::Internal(_) => Exit::Failed,
            },
            Self::Ingest(IngestError::Hidden { .. }) => Exit::Precondition,
            Self::Ingest(IngestError::Nothing { .. } | IngestError::Ending(_) | IngestError::File { .. }) => {
                Exit::Usage
            }
            Self::Register(error) => match error {
                RegisterError::Metadata(_) | RegisterError::OtherEntity => Exit::Usage,
                RegisterError::NotEnrolled | RegisterError::NoAccount => Exit::NotFound,
                RegisterError::Enrolled | RegisterError::HasAccount | RegisterError::NoAccounts => {
                    Exit::Precondition
                }
                RegisterError::ChangedMeanwhile | RegisterError::Store(StoreError::Unavailable { .. }) => {
                    Exit::Unavailable
                }
                RegisterError::Store(_) => Exit::Failed,
            },
            Self::Export(error) => match error.kind() {
                ExportErrorKind::Settings => Exit::Usage,
                ExportErrorKind::Unavailable => Exit::Unavailable,
                ExportErrorKind::Failed => Exit::Failed,
            },
            Self::Report(ReportError::NoReport { .. } | ReportError::NotYours(_)) => Exit::NotFound,
            Self::Report(ReportError::Sql(error)) | Self::Sql(error) => match error.kind() {
                SqlErrorKind::Statement | SqlErrorKind::TooMuch => Exit::Usage,
                SqlErrorKind::Denied => Exit::Denied,
                SqlErrorKind::Changed | SqlErrorKind::Unavailable => Exit::Unavailable,
                SqlErrorKind::Internal => Exit::Failed,
            },
            Self::ReportJob(error) => exit_of_kinds(&[error.kind()]),
            Self::ReportsOpen { failed: 0, stale: 0, .. } => Exit::Unavailable,
            Self::ReportsOpen { failed: 0, .. } => Exit::Stale,
            Self::ReportsOpen { kinds, .. } => exit_of_kinds(kinds),
            Self::Report(ReportError::Argument(_)) => Exit::Usage,
            Self::Report(ReportError::Access(_)) => Exit::Denied,
            Self::ReportFile(FileError::Output(
                OutputError::TextTooLong { .. }
                | OutputError::NotAnswered { .. }
                | OutputError::OfOneUser { .. },
            )) => Exit::Usage,
            Self::LakeExists { .. } | Self::ReportFile(FileError::Exists(_)) => Exit::Precondition,
            Self::Overtaken | Self::AccessLog(_) | Self::Connect { .. } | Self::Connection(_) => {
                Exit::Unavailable
            }
            Self::Stale { .. } => Exit::Stale,
            Self::Unproven { .. } | Self::AnswerRefused { .. } | Self::DamagedFiles { .. } => Exit::Unproven,
            Self::Reconcile(ReconcileError::OtherCluster { .. }) => Exit::Usage,
            Self::NoLetter { .. } | Self::NoSession { .. } | Self::NothingOfPerson { .. } => Exit::NotFound,
            Self::Call { code, again, .. } => exit_of(*code, *again),
            _ => Exit::Failed,
        }
    }

    /// Whether somebody must permit what was tried with a lake.
    fn is_denied(&self) -> bool {
        let is_of_files = matches!(
            self,
            Self::File { .. }
                | Self::Output(_)
                | Self::Listen { .. }
                | Self::Tls(_)
                | Self::Ingest(IngestError::File { .. })
        );
        !is_of_files && gridtrail_lake::is_denied(self)
    }

    /// The argument that is to be changed, as it is typed; empty where there is none.
    pub fn argument(&self) -> &str {
        match self {
            Self::Argument { argument, .. } => argument,
            Self::Encryption { .. } | Self::Connect { .. } => "--server, --server-anchors",
            Self::Export(_) => "--to, --lake",
            Self::Lake(_) | Self::LakeExists { .. } | Self::Ingest(IngestError::Lake(_)) => "--lake",
            Self::Call { code: tonic::Code::Unauthenticated, .. } => "--token",
            _ => "",
        }
    }

    /// The failure and all its causes, on one line.
    pub fn report(&self) -> String {
        let told = with_causes(self);
        if self.is_denied() {
            return format!(
                "{told}. It is not permitted, so trying again does not help: give this process the right to read and write there \
                 (`gridtrail serve --read-only` answers from a lake that it may only read)"
            );
        }
        told
    }

    pub(crate) fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { doing, path: path.to_owned(), source }
    }
}

/// What the two ends of a connection do not agree on, and what to do.
fn advice_of(disagreement: &Disagreement) -> String {
    match disagreement {
        Disagreement::Untrusted(why) => {
            format!(
                "the server's certificate is not trusted: {why}; --server-anchors names who vouches for it"
            )
        }
        Disagreement::Refused(why) => {
            format!("the server refuses the connection: {why}; --client-certificate shows it a certificate")
        }
        Disagreement::ServerIsPlain => {
            "the server does not encrypt: use a URL that begins with http, and no --server-anchors".to_owned()
        }
        Disagreement::ServerEncrypts => {
            "the server encrypts: use a URL that begins with https, and --server-anchors to name \
             who vouches for its certificate"
                .to_owned()
        }
    }
}

/// What several failures of reports come to: what can be waited for, or what one of them asks for.
fn exit_of_kinds(kinds: &[SqlErrorKind]) -> Exit {
    let is = |wanted: &[SqlErrorKind]| kinds.iter().all(|kind| wanted.contains(kind));
    if is(&[SqlErrorKind::Unavailable, SqlErrorKind::Changed]) {
        return Exit::Unavailable;
    }
    if is(&[SqlErrorKind::Denied]) { Exit::Denied } else { Exit::Failed }
}

const fn exit_of(code: tonic::Code, again: bool) -> Exit {
    match code {
        // A search that is too wide is so the next time, too: another one must be asked for.
        tonic::Code::ResourceExhausted if !again => Exit::Usage,
        tonic::Code::InvalidArgument => Exit::Usage,
        tonic::Code::NotFound => Exit::NotFound,
        tonic::Code::Unauthenticated | tonic::Code::PermissionDenied => Exit::Denied,
        tonic::Code::FailedPrecondition => Exit::Precondition,
        tonic::Code::Unavailable
        | tonic::Code::DeadlineExceeded
        | tonic::Code::ResourceExhausted
        | tonic::Code::Aborted => Exit::Unavailable,
        _ => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gridtrail_lake::RunsError;

    #[test]
    fn a_report_names_every_cause_once() {
        let source = io::Error::other("the disk is full");
        let failure = Failure::File { doing: "write", path: "out/a".into(), source };
        assert_eq!(failure.report(), "write out/a: the disk is full");
        assert_eq!(failure.exit(), Exit::Failed);
    }

    /// What nobody permits is not "try again", however deep the reason lies.
    #[test]
    fn what_is_not_permitted_is_not_for_now() {
        let denied = || object_store::Error::PermissionDenied { path: "a".into(), source: "no".into() };
        let gone = object_store::Error::NotFound { path: "a".into(), source: "no".into() };
        let away = object_store::Error::Generic { store: "s3", source: "timed out".into() };
        let store = |doing: &str, source| LakeError::from(RunsError::Store { doing: doing.into(), source });
        let lake = |source| Failure::Lake(store("write a", source));
        assert_eq!(lake(denied()).exit(), Exit::Failed);
        assert!(lake(denied()).report().contains("not permitted"), "{}", lake(denied()).report());
        let log = gridtrail_access_log::StoreFailed::new(store("b", denied()));
        assert_eq!(Failure::AccessLog(LogError::Store(log)).exit(), Exit::Failed);
        let session = StoreError::Unavailable { doing: "create", object: "c".into(), source: denied() };
        assert_eq!(Failure::Register(session.into()).exit(), Exit::Failed);
        assert_eq!((lake(gone).exit(), lake(away).exit()), (Exit::Failed, Exit::Unavailable));
    }

    #[test]
    fn each_code_tells_a_script_what_to_do() {
        use tonic::Code;
        for (code, exit) in [
            (Code::InvalidArgument, Exit::Usage),
            (Code::NotFound, Exit::NotFound),
            (Code::Unauthenticated, Exit::Denied),
            (Code::PermissionDenied, Exit::Denied),
            (Code::FailedPrecondition, Exit::Precondition),
            (Code::Unavailable, Exit::Unavailable),
            (Code::Aborted, Exit::Unavailable),
            (Code::ResourceExhausted, Exit::Usage),
            (Code::DataLoss, Exit::Failed),
        ] {
            let failure = Failure::Call { code, message: String::new(), again: false };
            assert_eq!(failure.exit(), exit, "{code:?}");
        }
        let later = Failure::Call { code: Code::ResourceExhausted, message: String::new(), again: true };
        assert_eq!(later.exit(), Exit::Unavailable);
    }
}
