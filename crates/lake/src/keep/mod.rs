//! Housekeeping: what becomes of rows and files after they were written.

pub(crate) mod compaction;
pub(crate) mod copying;
pub(crate) mod kept_rows;
pub(crate) mod maintenance;
pub(crate) mod placing;
pub(crate) mod rebucket;
pub(crate) mod repair;
pub(crate) mod repair_inventory;
pub(crate) mod repair_side;
pub(crate) mod retention;
pub(crate) mod rewrite;
pub(crate) mod status;
pub(crate) mod sweep;
pub(crate) mod unite;
pub(crate) mod upgrade;
pub(crate) mod vacuum;
pub(crate) mod verify;
