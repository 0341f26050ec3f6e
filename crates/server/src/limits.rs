//! Limits, each with its reason.

use std::time::Duration;

/// Largest request message in bytes. The largest that is valid, 200 variants and a page token, is below 8 KiB.
pub const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// Most bytes of the rows of an answer: those of a search, the one of a history, the sources and days of freshness. gRPC clients
/// refuse a message above 4 MiB unless told otherwise; the fourth part is for what stands beside the rows, and for proxies that count
/// more than the message.
pub const PAGE_BYTES_MAX: usize = 3 * 1024 * 1024;

/// Largest response message in bytes: what clients take. Answers are made to stay below; one that did not would be an error with its
/// details, and not a message that the client refuses.
pub const RESPONSE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes that the page token of a history is given room for. The largest that we give is below 800.
pub(crate) const TOKEN_BYTES_MAX: usize = 1024;

/// Most claims of one field that a row lists beside the one that it shows. A row has few of them or none; what cannot be paged must not
/// grow without end.
pub(crate) const OTHER_CLAIMS_MAX: usize = 100;

/// Largest set of headers in bytes: a token of 8 KiB and room for what proxies add.
pub const HEADER_BYTES_MAX: u32 = 16 * 1024;

/// Most calls that are worked on at once or whose answers wait to be taken, over all connections. More do not get faster answers on any
/// machine we run on. Those above are told to come back.
pub const REQUESTS_MAX: usize = 256;

/// What a call counts for at least in [`ANSWERS_BYTES_MAX`].
pub(crate) const CALL_BYTES_MIN: usize = 1024 * 1024;

/// Most bytes of answers that are made or wait to be taken: so many calls as may be, or fewer with large pages.
pub const ANSWERS_BYTES_MAX: usize = REQUESTS_MAX * CALL_BYTES_MIN;

/// Those of one caller: a half, so that no two take all.
pub const CALLER_ANSWERS_BYTES_MAX: usize = ANSWERS_BYTES_MAX / 2;

/// What a row counts for while its page is made: about what it takes in memory, of all that is made of it on the way.
pub(crate) const ROW_BYTES: usize = 8 * 1024;

/// How many times as much as on the wire a message takes before it is written.
pub(crate) const UNWRITTEN_FACTOR: usize = 3;

/// How long an answer may wait to be taken where others need its place. Who reads at 3 Mbit/s has the largest by then.
pub(crate) const TAKE_LIFE: Duration = Duration::from_secs(10);

/// Most calls for people who have not logged in yet that are worked on at once, and of one address.
pub(crate) const LOGINS_MAX: (u32, u32) = (128, 32);

/// Largest login in bytes: a response of an Identity Provider, 512 KiB as base64, and room for the rest.
pub(crate) const LOGIN_BYTES_MAX: usize = 768 * 1024;

/// Largest other request of the session service in bytes: an entity ID of 1,024 characters, or a handle.
pub(crate) const SESSION_BYTES_MAX: usize = 4 * 1024;

/// Most calls open at once on one connection, so that one client cannot take all of [`REQUESTS_MAX`] many times
/// over.
pub const CONNECTION_STREAMS_MAX: u32 = 128;

/// Longest time for one call. Searches take milliseconds; one that takes this long has hung on the store.
pub const REQUEST_LIFE: Duration = Duration::from_secs(20);

/// Callers whose limits are remembered: more than are at work at once.
pub(crate) const CALLERS_KEPT: u64 = 20_000;

/// How long a caller who asks for nothing is remembered: long enough that all that a minute allows is theirs again.
pub(crate) const CALLER_IDLE: Duration = Duration::from_secs(120);

/// When a caller should try again after the service was unavailable or busy.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Largest message of Arrow Flight SQL in bytes: a statement of 64 KiB, as it comes back in a ticket and beside it, and values.
pub const STATEMENT_MESSAGE_BYTES_MAX: usize = 256 * 1024;

/// How much earlier than its call a statement ends that gives no rows by then.
pub(crate) const STATEMENT_AHEAD: Duration = Duration::from_millis(250);

/// What the answer to a statement counts for in [`ANSWERS_BYTES_MAX`]: a message of 2 MiB that is made, one that waits, and one on its way.
pub(crate) const STATEMENT_ANSWER_BYTES: usize = 6 * 1024 * 1024;

/// Pages of the access log that are read for callers at the same time, and those of one caller.
pub(crate) const OWN_CALLS_AT_ONCE: u32 = 4;
pub(crate) const OWN_CALLS_AT_ONCE_EACH: u32 = 2;

/// Calls of operators that are worked on at the same time: a few people look, and each call may read a whole table.
pub(crate) const OPERATOR_CALLS: u32 = 8;

/// Most User IDs that a report may be asked of: more than a token and all that is granted to its bearer have.
pub(crate) const REPORT_USERS_MAX: usize = 1_000;

/// Bytes of a message with rows of a report, or of a part of its form. A row that has more is a message by itself.
pub(crate) const REPORT_PIECE_BYTES: usize = 256 * 1024;

/// What a report counts for in [`ANSWERS_BYTES_MAX`]: a message that is made, one that waits and one on its way, the larger with one row alone.
pub(crate) const REPORT_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// How often it is told how far a report is, while nothing else is sent.
pub(crate) const REPORT_PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// How long calls may finish after shutdown was asked for: the longest call and a little more. Streams that never
/// end (Health.Watch) are cut then.
pub const DRAIN_LIFE: Duration = Duration::from_secs(25);

/// How often the files of certificates are looked at, so that one that ends at midnight can be replaced at five to.
pub(crate) const CERTIFICATES_EVERY: Duration = Duration::from_secs(10);

/// How long a connection without a call is kept: clients make another without being asked.
pub(crate) const CONNECTION_IDLE: Duration = Duration::from_secs(5 * 60);

/// How long a connection is kept at all, so that none outlives what was known when it was made, such as a certificate.
pub(crate) const CONNECTION_LIFE: Duration = Duration::from_secs(60 * 60);

/// Rows that a call for a hub takes of what its caller may have: as many as Commands are told.
pub(crate) const HUB_ROWS: u32 = 5;

/// Days of the daily table of freshness when a call names none.
pub(crate) const FRESHNESS_DAYS_DEFAULT: u32 = 31;

/// How often health is brought to the level of freshness: levels are hours apart.
pub(crate) const FRESHNESS_HEALTH_EVERY: Duration = Duration::from_secs(1);
