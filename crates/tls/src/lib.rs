//! Encrypted connections: which suites, whose certificates, and how those change while the server runs.
//!
//! [`Tls`] holds what a server shows and demands, read from [`TlsFiles`]. [`Tls::keep_current`] takes new files in while the
//! server runs: connections made from then on get the new certificate, open ones stay. Faulty files change nothing and are
//! told in the log. [`Tls::shake_hands`] encrypts a connection that a server takes. [`disagreement`] and [`encrypts`] tell a client
//! what of a connection that failed lies with encryption.
//!
//! TLS 1.2 and 1.3 with AES-GCM and ephemeral keys only: of the suites in clause 1.14 of the SSI Baseline Requirements those
//! that count as sound today, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 and TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384. The two in
//! CBC mode are left out, as is every suite without forward secrecy.

mod accept;
mod client;
mod config;
mod error;

// What tests the crate from outside: written as for a crate of its own, but compiled and linked with the unit tests.
#[cfg(test)]
extern crate self as gridtrail_tls;
#[cfg(test)]
#[path = "../tests/it/main.rs"]
mod it;

pub use client::{Disagreement, disagreement, encrypts};
pub use config::{ClientCheck, Tls, TlsFiles};
pub use error::TlsError;
pub use tokio_rustls::server::TlsStream;
