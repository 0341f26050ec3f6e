//! What a report states, against simulated worlds and by hand.

mod by_hand;
mod truth;
