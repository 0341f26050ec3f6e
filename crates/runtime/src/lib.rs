//! What every long-running part of gridtrail needs and none should make for itself: the clock, and errors as a log shows
//! them.
//!
//! **Invariant:** nothing else reads the time of day, so that a test can set it.

mod causes;
mod clock;

pub use causes::with_causes;
pub use clock::Clock;
