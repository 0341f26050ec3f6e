//! Why certificates cannot be used.

use gridtrail_runtime::KeyFileError;
use std::io;
use std::path::PathBuf;

/// Why certificates, keys or lists of revoked certificates cannot be used. No text of a key is ever in it.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file of the private key cannot be read, or others can read or change it.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// A file does not hold what it should.
    #[error("{path} holds no {what} in PEM")]
    Empty {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// The certificate, its key or both are not usable.
    #[error("the certificate in {path} and its key cannot be used: {source}")]
    Certificate {
        /// The file of the certificate.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The anchors of clients' certificates, or the list of revoked ones, are not usable.
    #[error("the trust anchors of clients in {path} cannot be used: {reason}")]
    Anchors {
        /// The file of the anchors.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}
