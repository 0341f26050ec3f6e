//! What every long-running part of gridtrail needs and none should make for itself: for now, the clock.
//!
//! **Invariant:** nothing else reads the time of day, so that a test can set it.

mod clock;

pub use clock::Clock;
