//! Limits, each with its reason.

/// Rows on a page when the caller does not say: a screenful of the Self-Service Interface.
pub const PAGE_SIZE_DEFAULT: u32 = 50;

/// Most rows on a page. With full details a row is 1 to 2 KB on the wire, so that nearly always as many fit into a message that
/// clients take. Where they do not, a page has fewer.
pub const PAGE_SIZE_MAX: u32 = 1000;

/// Bytes of memory, about, at which a page ends early: ten times what its rows come to on the wire, so that only histories of
/// thousands of entries end it, and as many calls at once as a server works on do not take its memory. One row may be larger.
pub(crate) const PAGE_WEIGHT_MAX: usize = 32 * 1024 * 1024;

/// Rows that are looked up before it is known what they weigh: an ordinary page, so that it costs one look-up.
pub(crate) const ROWS_AT_FIRST: usize = 100;

/// How long a page token holds, in milliseconds: one hour, less than any snapshot is kept.
pub const PAGE_TOKEN_LIFE_MS: i64 = 60 * 60 * 1000;

/// User IDs that a page token names. Of more it holds the digest.
pub(crate) const TOKEN_USER_IDS_MAX: usize = 64;

/// Longest page token in bytes. The largest that we give names 64 User IDs and stays below 1.5 KiB.
pub const PAGE_TOKEN_BYTES_MAX: usize = 4096;

/// Most variants in one search: the whole catalogue has 129.
pub const VARIANTS_MAX: usize = 200;

/// Most Devices to which an MPxN or UPRN may lead at the dates of a search. A home has under ten, and its exchanged meters a few more, a house
/// of flats with one UPRN some dozens; beyond this a search would cost more than its answer is worth.
pub const DEVICES_MAX: usize = 200;

/// Most meter points that may ever have been registered with a UPRN that is searched by. Each has a meter at least, so that more of them
/// would seldom keep within [`DEVICES_MAX`].
pub const METER_POINTS_OF_UPRN_MAX: usize = 100;

/// How many Devices of one search are looked up at the same time, so that one search cannot crowd out the others.
pub(crate) const LOOKUPS_AT_ONCE: usize = 8;

/// Matching Devices on a page with those around each, when the caller does not say: the meters of a few homes.
pub const DEVICE_PAGE_DEFAULT: u32 = 10;

/// Most of them. Each brings some ten others with all that is held of them, about 10 KB on the wire.
pub const DEVICE_PAGE_MAX: u32 = 50;

/// Most meter points of a UPRN or postcode that a search of the inventory goes through. A postcode has a hundred premises at most, a
/// house of flats some hundred meter points under one UPRN.
pub const METER_POINTS_MAX: usize = 1000;

/// Most Devices of groups II to IV around one. A home has under ten; a hub that serves a house of flats has some dozens.
pub const GROUPED_DEVICES_MAX: usize = 200;

/// Most look-ups for one page of the inventory: a hundred times what a home takes. What would take more is asked for by a narrower key.
pub const INVENTORY_LOOKUPS_MAX: usize = 20_000;

/// Most entries of each list that stands beside a Device: its SMI Status history, its premises, the Devices that it is Associated with.
/// What cannot be paged must not grow without end.
pub const LISTED_BESIDE_MAX: usize = 100;

/// Meter points of a caller whose Devices are held at the same time, by a scan of all that pertain to them: some hundred megabytes. With fewer, pages of the
/// inventory are read once more for each turn. Tests have few, and more than one turn all the same.
pub(crate) const METER_POINTS_AT_ONCE: usize = if cfg!(test) { 2 } else { 262_144 };
