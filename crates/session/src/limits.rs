//! Limits, each with its reason.

use gridtrail_saml::RESPONSE_BYTES_MAX;
use std::time::Duration;

/// How long a person has to log in at the Identity Provider, in milliseconds.
pub const REQUEST_LIFE_MS: i64 = 10 * 60 * 1000;

/// How long a server may go by what it read: revocations and changes of the register hold everywhere after so long.
pub const SEEN_AFTER_MS_MAX: i64 = 1000;

/// How finely activity is written down, in milliseconds: one small object a session and span. A session is judged by the
/// beginning of its last span, so that all servers judge alike, and never later than the idle limit.
pub(crate) const ACTIVITY_SPAN_MS: i64 = 30 * 1000;

/// How much longer than needed an object is kept: the clock of the server that sweeps may be ahead of another's.
pub(crate) const KEPT_LONGER_MS: i64 = 10 * 60 * 1000;

/// Largest object in bytes: a session with 10,000 User IDs takes 260 KB, the longest metadata twice as much, escaped.
pub(crate) const OBJECT_BYTES_MAX: u64 = 1024 * 1024;

/// Sessions kept in memory; others are read again. One takes a few hundred bytes and 8 for each User ID.
pub(crate) const SESSIONS_KEPT_MAX: u64 = 20_000;

/// Logins that a server begins in a second, and at once after a quiet time: each writes a small object, and whoever asks is not known
/// yet. A shift of a country's helpdesks logs in within minutes.
pub(crate) const STARTS_A_SECOND: u32 = 50;
/// See [`STARTS_A_SECOND`].
pub(crate) const STARTS_AT_ONCE: u32 = 500;

/// Responses that are verified at the same time: one takes up to 180 ms of a processor.
pub(crate) const VERIFICATIONS_MAX: usize = 4;

/// Longest body of a posted form in bytes: base64 makes four characters of three bytes, line breaks and `+` and `/` take
/// three characters each in a form, and a `RelayState` is short.
pub const FORM_BYTES_MAX: usize = RESPONSE_BYTES_MAX / 3 * 4 / 8 * 10 + 64 * 1024;

/// Connections at the same time. More wait in the system's queue.
pub(crate) const CONNECTIONS_MAX: usize = 128;

/// How long to wait where the system gives no connection.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Requests at the same time on one connection by HTTP/2.
pub(crate) const STREAMS_MAX: u32 = 4;

/// Longest head of a request in bytes. Browsers send a few cookies and a query.
pub(crate) const HEAD_BYTES_MAX: usize = 32 * 1024;

/// How long the head of a request may take to arrive.
pub(crate) const HEAD_LIFE: Duration = Duration::from_secs(10);

/// How long a request may take, its body included.
pub(crate) const REQUEST_WORK_LIFE: Duration = Duration::from_secs(30);

/// How long a connection is kept: a login needs a few seconds of it.
pub(crate) const CONNECTION_LIFE: Duration = Duration::from_secs(120);

/// How long the end of a connection waits for the request on it.
pub(crate) const DRAIN_LIFE: Duration = Duration::from_secs(10);
