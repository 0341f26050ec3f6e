//! Every limit of this crate, with its reason.

/// The longest protobuf or JSON record, in bytes. An event is a few hundred bytes; a mebibyte leaves room for
/// fields to come and keeps a corrupt length from reserving memory.
pub const RECORD_BYTES_MAX: usize = 1 << 20;

/// The longest DUIS message, in bytes. The largest real one, a year of half-hourly readings, is about one
/// megabyte on the wire before base64.
pub const XML_BYTES_MAX: usize = 4 << 20;

/// The deepest nesting of XML elements. Schema 5.4 nests about a dozen deep.
pub const XML_DEPTH_MAX: usize = 64;

/// The most namespace prefixes in force at one place. Real messages declare four; looking a prefix up costs a
/// walk over all of them, so an open number would make reading quadratic.
pub const XML_NAMESPACES_MAX: usize = 32;

/// How much of an element's text is kept, in bytes: more than any field that is read, and enough of a payload
/// for its header.
pub const XML_TEXT_KEPT_MAX: usize = 256;

/// How much of a list of Devices is kept, in bytes: the longest that schema 5.4 allows, 50,000 Devices, and white space.
pub const XML_LIST_KEPT_MAX: usize = 1_250_000;

/// The longest receipt sidecar, in bytes.
pub const SIDECAR_BYTES_MAX: usize = 4 << 10;

/// `DSPScheduleID` goes up to 10^12 (DUIS `sr:scheduleID`).
pub const SCHEDULE_ID_MAX: u64 = 1_000_000_000_000;

/// The most User IDs of one Party in a notification. The Code knows a few hundred User IDs in all; a list of this length is
/// 120 kB, well within a record.
pub const NOTICE_USER_IDS_MAX: usize = 5_000;
