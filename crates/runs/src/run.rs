//! Files of sorted rows: written batch by batch, merged, and gathered into fewer.

pub(crate) mod copy;
pub mod gather;
pub(crate) mod merge;
pub(crate) mod writer;
