//! Pages of Parquet files: written with their checksums, and read in place.

pub(crate) mod cache;
pub(crate) mod chunk;
pub(crate) mod dictionary;
pub(crate) mod found;
pub(crate) mod header;
pub(crate) mod levels;
pub(crate) mod note;
pub(crate) mod page;
pub(crate) mod sheet;
pub(crate) mod sums;
pub(crate) mod writer;

pub(crate) use writer::Encoded;
