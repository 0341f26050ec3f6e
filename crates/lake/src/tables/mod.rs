//! The tables of a lake, one file each, what the lake does with a table, and the list of all.

pub(crate) mod access_events;
pub(crate) mod access_log;
pub(crate) mod anomaly;
pub(crate) mod check;
pub(crate) mod commits;
pub(crate) mod dead_letters;
pub(crate) mod evidence_summary;
pub(crate) mod fates;
pub(crate) mod hold;
pub(crate) mod holds;
pub(crate) mod inventory;
pub(crate) mod layout;
pub(crate) mod named_rows;
pub(crate) mod pairs;
pub(crate) mod parked;
pub(crate) mod registry;
pub(crate) mod run_check;
pub(crate) mod schedules;
pub(crate) mod side_files;
pub(crate) mod table;
pub(crate) mod trails;
