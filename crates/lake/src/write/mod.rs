//! Writing with evidence.

pub(crate) mod writer;
