//! Tests of the whole system, in one binary: linking is slow.

mod layers;
