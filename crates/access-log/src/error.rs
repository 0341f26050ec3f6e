//! Why a record cannot be taken.

use crate::store::StoreFailed;

/// Why a record cannot be taken. To the caller each is the same: try again later.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Too many entries wait to be written down.
    #[error("note a call: too many records wait to be written down")]
    Full,
    /// The store has refused for too long.
    #[error("note a call: nothing could be written down for a minute")]
    Behind,
    /// Nothing is written down any more: the process ends.
    #[error("note a call: the log is closed")]
    Closed,
    /// The entry was not written down in time, and may be later.
    #[error("write down a call in time")]
    TooSlow,
    /// The store refused the first row of the chain.
    #[error("begin the access log")]
    Store(#[from] StoreFailed),
}
