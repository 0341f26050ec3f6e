//! Where the time of day comes from.

use gridtrail_model::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// The time of day: the machine's, or one that a test sets. Clones share the same hands.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    // Milliseconds since the epoch.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's clock.
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still at `now` until [`Clock::advance`] moves it.
    pub fn manual(now: Timestamp) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(now.millis()))))
    }

    /// The time, UTC, in whole milliseconds. A machine clock set outside the years 1900 to 9999 reads as the
    /// nearest end of that range.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => system_now(),
            Source::Manual(millis) => epoch().plus_millis(millis.load(Ordering::Relaxed)),
        }
    }

    /// Moves a manual clock, and every clone of it, by so many milliseconds; they may be negative.
    ///
    /// # Panics
    /// On the machine's clock, which is not ours to move.
    pub fn advance(&self, millis: i64) {
        let Source::Manual(now) = &self.0 else {
            panic!("only a manual clock can be moved");
        };
        now.fetch_add(millis, Ordering::Relaxed);
    }
}

fn epoch() -> Timestamp {
    // Zero lies between the years 1900 and 9999, so the fall-back is never used.
    Timestamp::from_millis(0).unwrap_or(Timestamp::MIN)
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the machine's clock")]
fn system_now() -> Timestamp {
    let now = SystemTime::now();
    let millis = |span: std::time::Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    match now.duration_since(UNIX_EPOCH) {
        Ok(after) => epoch().plus_millis(millis(after)),
        Err(before) => epoch().plus_millis(-millis(before.duration())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_of_a_manual_clock_move_together() {
        let start: Timestamp = "2026-03-01T09:30:00.250Z".parse().unwrap();
        let clock = Clock::manual(start);
        let clone = clock.clone();
        assert_eq!(clone.now(), start);
        clock.advance(-250);
        assert_eq!(clone.now().to_string(), "2026-03-01T09:30:00.000Z");
    }

    #[test]
    fn the_system_clock_tells_a_time_of_this_century() {
        assert!((2024..2100).contains(&Clock::system().now().year()));
    }

    #[test]
    #[should_panic(expected = "only a manual clock")]
    fn the_system_clock_cannot_be_moved() {
        Clock::system().advance(1);
    }
}
