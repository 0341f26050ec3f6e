//! Reading: snapshots, look-ups for an `Access`, the lake as it was, and its evidence.

pub(crate) mod as_of;
pub(crate) mod evidence_log;
mod inventory;
pub(crate) mod kept;
pub(crate) mod look_up;
pub(crate) mod nearby;
pub(crate) mod openness;
pub(crate) mod query;
pub(crate) mod resolve;
pub(crate) mod scan;
pub(crate) mod sight;
pub(crate) mod snapshot;
