//! The sizes of this crate, each with its reason.

/// Rows of a file, at most: some 40 MB, so that one late row costs no more than that to write, and a reader has few files to open. Tests
/// have few rows, and several files all the same.
pub(crate) const FILE_ROWS: usize = if cfg!(test) { 64 } else { 1 << 19 };

/// Rows of a file of the inventory, at most: some 4 MB, since whatever changes of a Device costs the file that it lies in.
pub(crate) const RANGE_ROWS: usize = if cfg!(test) { 8 } else { 1 << 16 };

/// A file of which so few rows are left is written together with what is new of its month.
pub(crate) const SMALL_ROWS: u64 = FILE_ROWS as u64 / 8;

/// Rows of a row group: what a reader skips by its statistics.
pub(crate) const GROUP_ROWS: usize = 1 << 16;

/// Fragments that come between two versions, at most, for their rows to be looked for one by one: some 300 MB of keys. After more,
/// everything is scanned.
pub(crate) const CHANGED_MOST: u64 = 1 << 20;

/// Rows of the inventory that come between two versions, at most, for what they change to be looked for: after more, everything is scanned.
pub(crate) const INVENTORY_ROWS_MOST: u64 = 1 << 18;

/// A month is scanned where it has fewer rows than so many for each that is to be looked up: a look-up costs as much as scanning some
/// hundreds of rows.
pub(crate) const SCANNED_A_LOOK_UP: u64 = 256;

/// Rows of a lake for each part of a scan: the rows of one part and month are in memory before they are written.
pub(crate) const PART_ROWS: u64 = 1 << 21;

/// Parts of a scan, at most.
pub(crate) const PARTS_MAX: u32 = 64;

/// What rows lie under that is looked up at the same time.
pub(crate) const LOOK_UPS_AT_ONCE: usize = 8;

/// Rows of files whose identities are kept in memory from one version to the next: 16 bytes each.
pub(crate) const KNOWN_ROWS: usize = 1 << 22;

/// Files of one size that are gathered into one.
pub(crate) const GATHERED_FILES: usize = 4;
