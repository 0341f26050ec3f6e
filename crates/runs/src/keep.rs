//! Keeping tables in order.

pub(crate) mod vacuum;
pub(crate) mod verify_files;
