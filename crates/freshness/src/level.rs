//! Levels: how bad a lag is.

use std::fmt;
use std::time::Duration;

/// How bad it is, ascending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// All is well.
    Fresh,
    /// A person should look in working hours.
    Warn,
    /// A person should look now.
    Critical,
    /// The duty is broken, or nothing shows that it is not.
    Breach,
}

impl Level {
    /// Its name, in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Warn => "warn",
            Self::Critical => "critical",
            Self::Breach => "breach",
        }
    }

    /// 0 for fresh to 3 for breach, as the metrics have it.
    pub const fn number(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The lags at which the levels begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Levels {
    warn_ms: i64,
    critical_ms: i64,
    breach_ms: i64,
}

/// Levels that do not ascend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("levels ascend from zero: warn before critical, critical before breach")]
pub struct LevelsError;

impl Default for Levels {
    /// 12, 20 and 24 hours: the last is the duty (SEC Appendix AH, "Freshness of Data Sources").
    fn default() -> Self {
        const HOUR_MS: i64 = 3_600_000;
        Self { warn_ms: 12 * HOUR_MS, critical_ms: 20 * HOUR_MS, breach_ms: 24 * HOUR_MS }
    }
}

impl Levels {
    /// Levels that begin at these lags. Errors: they do not ascend, or the first is zero.
    pub fn new(warn: Duration, critical: Duration, breach: Duration) -> Result<Self, LevelsError> {
        let millis = |lag: Duration| i64::try_from(lag.as_millis()).map_err(|_| LevelsError);
        let (warn_ms, critical_ms, breach_ms) = (millis(warn)?, millis(critical)?, millis(breach)?);
        let ascend = 0 < warn_ms && warn_ms < critical_ms && critical_ms < breach_ms;
        if ascend { Ok(Self { warn_ms, critical_ms, breach_ms }) } else { Err(LevelsError) }
    }

    /// The level of a lag; of one that nobody knows, the worst.
    pub const fn of(&self, lag_ms: Option<i64>) -> Level {
        match lag_ms {
            Some(lag) if lag < self.warn_ms => Level::Fresh,
            Some(lag) if lag < self.critical_ms => Level::Warn,
            Some(lag) if lag < self.breach_ms => Level::Critical,
            _ => Level::Breach,
        }
    }

    /// Where [`Level::Warn`] begins, in milliseconds.
    pub const fn warn_ms(&self) -> i64 {
        self.warn_ms
    }

    /// Where [`Level::Critical`] begins, in milliseconds.
    pub const fn critical_ms(&self) -> i64 {
        self.critical_ms
    }

    /// Where [`Level::Breach`] begins, in milliseconds.
    pub const fn breach_ms(&self) -> i64 {
        self.breach_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn levels(warn: u64, critical: u64, breach: u64) -> Result<Levels, LevelsError> {
        Levels::new(
            Duration::from_millis(warn),
            Duration::from_millis(critical),
            Duration::from_millis(breach),
        )
    }

    #[test]
    fn a_level_begins_at_its_lag() {
        let hours = |h: i64, ms: i64| Some(h * 3_600_000 + ms);
        let cases = [
            (Some(0), Level::Fresh),
            (hours(12, -1), Level::Fresh),
            (hours(12, 0), Level::Warn),
            (hours(20, -1), Level::Warn),
            (hours(20, 0), Level::Critical),
            (hours(24, -1), Level::Critical),
            (hours(24, 0), Level::Breach),
            (None, Level::Breach),
        ];
        for (lag, level) in cases {
            assert_eq!(Levels::default().of(lag), level, "{lag:?}");
        }
    }

    proptest! {
        /// Refused unless they ascend; and then a longer lag is never at a better level.
        #[test]
        fn levels_ascend(warn in 0u64..50, critical in 0u64..50, breach in 0u64..50, a in 0i64..60, b in 0i64..60) {
            let made = levels(warn, critical, breach);
            prop_assert_eq!(made.is_ok(), 0 < warn && warn < critical && critical < breach);
            let Ok(levels) = made else { return Ok(()) };
            prop_assert!(levels.of(Some(a.min(b))) <= levels.of(Some(a.max(b))));
            prop_assert!(levels.of(Some(a)) <= levels.of(None));
            prop_assert_eq!(levels.of(Some(a)) == Level::Breach, a >= levels.breach_ms());
        }
    }
}
