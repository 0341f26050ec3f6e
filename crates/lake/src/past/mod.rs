//! The past of a lake: how it was, and the evidence of what made it what it is.

pub(crate) mod as_of;
pub(crate) mod changes;
pub(crate) mod evidence_log;
pub(crate) mod inventory_changes;
pub(crate) mod letters;
