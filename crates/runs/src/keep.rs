//! Keeping tables in order.

pub(crate) mod vacuum;
