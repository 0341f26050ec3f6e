//! Exit codes: what a script may conclude from the end of a command.

use std::io;
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
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command failed, in words for the person who typed it.
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
    #[error("write the result: {0}")]
    Output(#[source] io::Error),
    /// The result could not be turned into JSON.
    #[error("write the result as JSON: {0}")]
    Json(#[source] serde_json::Error),
}

impl Failure {
    /// The exit code that stands for this failure.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Argument { .. } => Exit::Usage,
            Self::Output(_) | Self::Json(_) => Exit::Failed,
        }
    }
}
