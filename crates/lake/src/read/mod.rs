//! Reading: snapshots, and look-ups in them for an `Access`.

pub(crate) mod anomaly;
pub(crate) mod carried;
pub(crate) mod columns;
pub(crate) mod command;
pub(crate) mod condition;
pub(crate) mod fields;
pub(crate) mod hub;
pub(crate) mod inventory;
pub(crate) mod inventory_devices;
pub(crate) mod inventory_pass;
pub(crate) mod kept;
pub(crate) mod look_up;
pub(crate) mod nearby;
pub(crate) mod openness;
pub(crate) mod query;
pub(crate) mod resolve;
pub(crate) mod rows;
pub(crate) mod scan;
pub(crate) mod schedules;
pub(crate) mod sight;
pub(crate) mod snapshot;
pub(crate) mod touched;
