//! Files of sorted rows: written batch by batch, merged, and gathered into fewer.

pub mod gather;
pub(crate) mod merge;
pub(crate) mod writer;
