//! What a report states, against simulated worlds and by hand.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod by_hand;
mod truth;
