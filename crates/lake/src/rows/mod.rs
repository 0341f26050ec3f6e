//! Fragments as rows of runs: their columns, how they are packed, written, merged and found in one run.

pub(crate) mod anchor;
pub(crate) mod apart;
pub(crate) mod bits;
pub(crate) mod bucket;
pub(crate) mod closing;
pub(crate) mod decode;
pub(crate) mod edges;
pub(crate) mod encode;
pub(crate) mod history_bytes;
pub(crate) mod index;
pub(crate) mod lookup;
pub(crate) mod one_row;
pub(crate) mod packed;
pub(crate) mod rule;
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod shape;
pub(crate) mod viewers;
