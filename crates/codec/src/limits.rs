//! Every limit of this crate, with its reason.

/// The longest message, in bytes: a DUIS document, a protobuf or a JSON record. Schema 5.4 lets a request carry a firmware image of
/// 10,240,000 octets (11.1, 11.4), which are 13,653,336 characters of base64; the rest is room for what stands around it.
pub const MESSAGE_BYTES_MAX: usize = 16 << 20;

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

/// The most elements of a message that are looked at for what it says of the inventory. An inventory of 17 Devices, the most that schema 5.4
/// allows, has about 400.
pub const XML_INVENTORY_ELEMENTS_MAX: usize = 4_096;

/// The longest receipt sidecar, in bytes.
pub const SIDECAR_BYTES_MAX: usize = 4 << 10;

/// `DSPScheduleID` goes up to 10^12 (DUIS `sr:scheduleID`).
pub const SCHEDULE_ID_MAX: u64 = 1_000_000_000_000;

/// The most User IDs of one Party in a notification. The Code knows a few hundred User IDs in all; a list of this length is
/// 120 kB, well within a record.
pub const NOTICE_USER_IDS_MAX: usize = 5_000;
