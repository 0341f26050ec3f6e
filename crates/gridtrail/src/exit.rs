//! Exit codes: what a script may conclude from the end of a command.

use gridtrail_access::AccessError;
use gridtrail_access_log::LogError;
use gridtrail_ingest::IngestError;
use gridtrail_kafka::KafkaError;
use gridtrail_lake::{LakeError, LakeErrorKind};
use gridtrail_reconcile::ReconcileError;
use gridtrail_search::SearchError;
use gridtrail_server::ServeError;
use gridtrail_session::{RegisterError, StoreError};
use gridtrail_tls::TlsError;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// How a command ended. The numbers are part of the interface and stand in `gridtrail --help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It failed, for a reason that none of the others names.
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
    #[error("not proven: {faults} faults")]
    Unproven {
        /// How many.
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
    #[error("{letters} dead letters still cannot be read")]
    Unreadable {
        /// How many.
        letters: usize,
    },
    /// A thread, signal or task of this process failed.
    #[error("{0}")]
    Process(&'static str),
}

impl Failure {
    /// The exit code that stands for this failure.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Argument { .. } | Self::Tls(_) => Exit::Usage,
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
            Self::Ingest(IngestError::Nothing(_) | IngestError::File { .. }) => Exit::Usage,
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
            Self::LakeExists { .. } => Exit::Precondition,
            Self::AccessLog(_) | Self::Connect { .. } | Self::Connection(_) => Exit::Unavailable,
            Self::Stale { .. } => Exit::Stale,
            Self::Unproven { .. } | Self::DamagedFiles { .. } => Exit::Unproven,
            Self::Reconcile(ReconcileError::OtherCluster { .. }) => Exit::Usage,
            Self::NoLetter { .. } => Exit::NotFound,
            Self::Call { code, .. } => exit_of(*code),
            _ => Exit::Failed,
        }
    }

    /// The failure and all its causes, on one line.
    pub fn report(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            let words = error.to_string();
            // Some libraries repeat the cause in their own words.
            if !text.ends_with(&words) {
                text.push_str(": ");
                text.push_str(&words);
            }
            cause = error.source();
        }
        text
    }

    pub(crate) fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { doing, path: path.to_owned(), source }
    }
}

const fn exit_of(code: tonic::Code) -> Exit {
    match code {
        tonic::Code::InvalidArgument => Exit::Usage,
        tonic::Code::NotFound => Exit::NotFound,
        tonic::Code::Unauthenticated | tonic::Code::PermissionDenied => Exit::Denied,
        tonic::Code::FailedPrecondition => Exit::Precondition,
        tonic::Code::Unavailable | tonic::Code::DeadlineExceeded | tonic::Code::ResourceExhausted => {
            Exit::Unavailable
        }
        _ => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_every_cause_once() {
        let source = io::Error::other("the disk is full");
        let failure = Failure::File { doing: "write", path: "out/a".into(), source };
        assert_eq!(failure.report(), "write out/a: the disk is full");
        assert_eq!(failure.exit(), Exit::Failed);
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
            (Code::DataLoss, Exit::Failed),
        ] {
            assert_eq!(Failure::Call { code, message: String::new() }.exit(), exit, "{code:?}");
        }
    }
}
