//! Tables of Delta Lake: where they lie, their logs, and commits.

pub mod checksum;
pub(crate) mod commit;
pub(crate) mod location;
pub(crate) mod log;
pub(crate) mod table;
pub(crate) mod windows;
