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

/// Logins that are begun, responses that are brought, and lists of Identity Providers (these by address alone), in a second, and at
/// once after a quiet time: each writes or reads a small object, and whoever asks is not known yet. A shift of a country's helpdesks
/// logs in within minutes.
pub(crate) const LOGINS: Rate = Rate { a_second: 200, at_once: 2_000 };
/// Those of one Identity Provider, so that who uses one up leaves the others theirs.
pub(crate) const LOGINS_OF_PROVIDER: Rate = Rate { a_second: 50, at_once: 500 };
/// Those of one address: an office behind one, of which everybody logs in at nine. A front-end that logs in people for many offices
/// says whom it asks for.
pub(crate) const LOGINS_OF_ADDRESS: Rate = Rate { a_second: 10, at_once: 50 };

/// How many a second, and how many at once after a quiet time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    pub(crate) a_second: u32,
    pub(crate) at_once: u32,
}

/// Addresses and Identity Providers whose rates are remembered, and for how long: until all is theirs again.
pub(crate) const RATES_KEPT: u64 = 20_000;
/// See [`RATES_KEPT`].
pub(crate) const RATES_IDLE: Duration = Duration::from_secs(60);

/// Responses that are verified at the same time: one takes up to 180 ms of a processor.
pub(crate) const VERIFICATIONS_MAX: usize = 4;

/// Longest body of a posted form in bytes: base64 makes four characters of three bytes, line breaks and `+` and `/` take
/// three characters each in a form, and a `RelayState` is short.
pub const FORM_BYTES_MAX: usize = RESPONSE_BYTES_MAX / 3 * 4 / 8 * 10 + 64 * 1024;

/// Requests at the same time on one connection by HTTP/2.
pub(crate) const STREAMS_MAX: u32 = 4;

/// Longest head of a request in bytes. Browsers send a few cookies and a query.
pub(crate) const HEAD_BYTES_MAX: u32 = 32 * 1024;

/// How long a request may take, its body included.
pub(crate) const REQUEST_WORK_LIFE: Duration = Duration::from_secs(30);

/// How long a connection is kept: a login needs a few seconds of it.
pub(crate) const CONNECTION_LIFE: Duration = Duration::from_secs(120);

/// How long a connection without a request is kept.
pub(crate) const CONNECTION_IDLE: Duration = Duration::from_secs(30);

/// How long the end of a connection waits for the request on it.
pub(crate) const DRAIN_LIFE: Duration = Duration::from_secs(10);
