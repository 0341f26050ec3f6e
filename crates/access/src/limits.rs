//! Limits, each with its reason.

/// Longest token in bytes: 64 User IDs and all roles need under 3 KiB, and nothing larger is worth parsing.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// Longest life of a token in seconds, from `nbf` to `exp`: a day. A token cannot be recalled, so its life
/// bounds how long a lost one works.
pub const TOKEN_LIFE_S_MAX: u64 = 24 * 60 * 60;

/// Longest life of an operator's token in seconds: an hour. Operators mint their own, as often as they like, and what they look at is
/// nobody's row but may hold anybody's data.
pub const OPERATOR_TOKEN_LIFE_S_MAX: u64 = 60 * 60;

/// How far ahead the issuer's clock may be, in seconds: applied to `nbf` only. An `exp` is never stretched.
pub const CLOCK_SKEW_S_MAX: u64 = 30;

/// Most User IDs in one token. A Party has one for each User Role it acts in, and few subsidiaries. What a session sees may be
/// more: with `granted-only` all of its Party's come without being named, and thousands would not fit into a header.
pub const USER_IDS_MAX: usize = 64;

/// Longest subject in bytes: it is repeated in logs and page tokens.
pub const SUBJECT_BYTES_MAX: usize = 128;

/// Tokens that are remembered as good: more than people are at work at once, and at a few kilobytes each some megabytes.
pub(crate) const TOKENS_REMEMBERED: u64 = 1_000;

/// Longest id of a session in bytes: a digest in hexadecimal has 64.
pub(crate) const SESSION_ID_BYTES_MAX: usize = 128;
