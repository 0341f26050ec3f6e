//! Limits, each with its reason.

/// Longest response in bytes, once decoded: 5,000 User IDs in `OrgID` take 120 KiB, and no honest response is larger
/// than a few times that.
pub const RESPONSE_BYTES_MAX: usize = 512 * 1024;

/// Longest response as it is posted: base64 makes four characters of three bytes, and lines may be broken.
pub(crate) const POSTED_BYTES_MAX: usize = RESPONSE_BYTES_MAX / 3 * 4 + 64 * 1024;

/// Longest metadata in bytes: one Identity Provider with a few certificates takes 20 KiB.
pub const METADATA_BYTES_MAX: usize = 256 * 1024;

/// Deepest nesting: an assertion within a response needs nine levels.
pub(crate) const XML_DEPTH_MAX: usize = 24;

/// Most elements of one document: one for each `AttributeValue` of a long `OrgID`, and room to spare.
pub(crate) const XML_ELEMENTS_MAX: usize = 16_384;

/// Most attributes of one element, namespace declarations included. They are compared pairwise.
pub(crate) const XML_ATTRIBUTES_MAX: usize = 32;

/// Furthest that two clocks may be apart, in milliseconds: three minutes, as is usual with SAML. Every second of it
/// lets an assertion live a second longer.
pub const CLOCK_SKEW_MS_MAX: u32 = 3 * 60 * 1000;

/// Longest span from `NotBefore` to `NotOnOrAfter` in milliseconds: a day. The identifier of an assertion must be
/// remembered for as long, and a lost one works for as long.
pub const ASSERTION_LIFE_MS_MAX: i64 = 24 * 60 * 60 * 1000;

/// Longest session in milliseconds: 8.5 hours from the authentication, clause 1.2.
pub const SESSION_MS_MAX: i64 = 8 * 60 * 60 * 1000 + 30 * 60 * 1000;

/// Longest `NameID` in bytes: SAML 2.0 core, 8.3.7, gives a persistent one 256 characters.
pub const NAME_ID_BYTES_MAX: usize = 256;

/// Longest message identifier in bytes. Our own have 33, and Identity Providers use up to about 80.
pub(crate) const MESSAGE_ID_BYTES_MAX: usize = 128;

/// Most Job Type Roles in an assertion: there are eleven.
pub const ROLES_MAX: usize = 64;

/// Most User IDs in an assertion: twice as many as the whole industry has.
pub const ORG_IDS_MAX: usize = 10_000;

/// Longest single role or User ID in bytes. A User ID has 23.
pub(crate) const VALUE_BYTES_MAX: usize = 128;

/// Most signing certificates of an Identity Provider: the one in use, the one before and the one after, twice.
pub(crate) const CERTIFICATES_MAX: usize = 6;

/// Longest `RelayState` in bytes: SAML 2.0 bindings, 3.5.3.
pub(crate) const RELAY_STATE_BYTES_MAX: usize = 80;
