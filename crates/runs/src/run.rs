//! Files of sorted rows: written batch by batch, merged, gathered into fewer by size, or sorted into levels and buckets, and looked up by key.

pub mod bucket;
pub(crate) mod compact;
pub(crate) mod copy;
pub mod gather;
pub(crate) mod index;
pub(crate) mod keyed;
pub(crate) mod keyed_file;
pub(crate) mod list;
pub mod lookup;
pub(crate) mod merge;
pub mod plan;
pub(crate) mod touched;
pub(crate) mod writer;

#[cfg(test)]
mod tests;
