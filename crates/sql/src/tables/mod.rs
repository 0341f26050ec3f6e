//! Tables beside those of trails, each in a file of its own: what its columns are, and what its rows come from.

pub(crate) mod access_log;
pub(crate) mod commits;
pub(crate) mod dead_letters;
pub(crate) mod freshness;
pub(crate) mod inventory;
pub(crate) mod pertaining;
pub(crate) mod quarantined;
pub(crate) mod schedules;
