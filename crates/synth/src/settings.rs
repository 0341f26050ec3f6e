//! What a synthetic region is made of.

use gridtrail_model::Timestamp;

/// How many transactions a premises has in a day, times 100. The DCC carried 52 messages a meter and month in
/// 2023 and more since; with 1.8 meters a premises this is 1.5 transactions a meter and day.
const DAILY_TRANSACTIONS_PER_100_PREMISES: u64 = 270;

/// How many events 100 transactions have in a run of so many days, measured over the mix of scenarios. What is
/// still to come when the run ends is never recorded; that is more of a short run.
pub(crate) fn events_per_100_transactions(days: u32) -> u64 {
    567 - 23 / u64::from(days.max(1))
}

/// How many trails 100 transactions give, measured over 90 days: a critical command has several legs, and some alerts are
/// of no request.
const TRAILS_PER_100_TRANSACTIONS: u64 = 117;

const DAY_MS: i64 = 86_400_000;

/// The size of a region, and how its events are delivered. [`Settings::for_events`] gives a plausible size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Premises with smart meters, 1 to 50,000,000.
    pub premises: u32,
    /// User IDs, 6 to 1,000: one organisation has one for each User Role that it acts in.
    pub users: u16,
    /// The start of the first day. Days are counted from here, so it is best a midnight.
    pub start: Timestamp,
    /// How many days, 1 to 36,500. Nothing is recorded after the last: what is not finished by then shows as
    /// `In Progress`.
    pub days: u32,
    /// About how many events, before duplicates. `None`: what the premises plausibly give.
    pub events_target: Option<u64>,
    /// How many events in a million are delivered twice.
    pub duplicates_ppm: u32,
    /// Every event is delivered after a delay of up to so many milliseconds: 0 delivers in order of
    /// `recorded_at`.
    pub jitter_ms_max: u32,
    /// How many events in a million are delivered late on top of that.
    pub late_ppm: u32,
    /// How late those may be, in milliseconds.
    pub late_ms_max: u32,
    /// How many responses in a million name neither when their request was received nor which leg they answer,
    /// as DUIS itself does not.
    pub bare_responses_ppm: u32,
    /// How many events in a million, of those that come after a request, claim another receipt time for it than the system that
    /// received it: a later one, as who takes messages out of a queue stamps it. The trail shows the first.
    pub other_receipts_ppm: u32,
}

impl Default for Settings {
    /// A village on one day of March 2026, with clean delivery.
    fn default() -> Self {
        Self {
            premises: 1_000,
            users: 24,
            // 2026-03-01T00:00:00Z, well inside the years of a timestamp.
            start: Timestamp::MIN.plus_millis(1_772_323_200_000 - Timestamp::MIN.millis()),
            days: 1,
            events_target: None,
            duplicates_ppm: 0,
            jitter_ms_max: 0,
            late_ppm: 0,
            late_ms_max: 6 * 3_600_000,
            bare_responses_ppm: 0,
            other_receipts_ppm: 0,
        }
    }
}

/// Why settings give no region.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{setting} is {found}; it must be {rule}")]
pub struct SettingsError {
    /// The setting, by its name in [`Settings`].
    pub setting: &'static str,
    /// What it must be.
    pub rule: &'static str,
    /// What it is.
    pub found: u64,
}

impl Settings {
    /// A region that gives about so many events in so many days, with as many premises as plausibly do.
    pub fn for_events(events: u64, days: u32) -> Self {
        let days = days.max(1);
        let transactions = events.saturating_mul(100) / events_per_100_transactions(days);
        let premises =
            transactions.saturating_mul(100) / (u64::from(days) * DAILY_TRANSACTIONS_PER_100_PREMISES);
        Self {
            premises: u32::try_from(premises).unwrap_or(u32::MAX).clamp(20, Self::PREMISES_MAX),
            days,
            events_target: Some(events),
            ..Self::default()
        }
    }

    /// A region that gives about so many trails in so many days.
    pub fn for_trails(trails: u64, days: u32) -> Self {
        let transactions = trails.saturating_mul(100) / TRAILS_PER_100_TRANSACTIONS;
        Self::for_events(transactions.saturating_mul(events_per_100_transactions(days)) / 100, days)
    }

    /// The most premises that a region may have: more than Great Britain has.
    pub const PREMISES_MAX: u32 = 50_000_000;

    /// Turns on everything that may go wrong in delivery, at shares that a busy day may see.
    #[must_use]
    pub fn with_disorder(self) -> Self {
        Self {
            duplicates_ppm: 10_000,
            jitter_ms_max: 90_000,
            late_ppm: 3_000,
            bare_responses_ppm: 50_000,
            other_receipts_ppm: 20_000,
            ..self
        }
    }

    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        const SHARE: &str = "at most 1,000,000";
        let all: [(&'static str, u64, std::ops::RangeInclusive<u64>, &'static str); 8] = [
            ("premises", self.premises.into(), 1..=Self::PREMISES_MAX.into(), "1 to 50,000,000"),
            ("users", self.users.into(), 6..=1_000, "6 to 1,000"),
            ("days", self.days.into(), 1..=36_500, "1 to 36,500"),
            ("events_target", self.events_target.unwrap_or(1), 1..=1_000_000_000_000, "1 to 10^12"),
            ("duplicates_ppm", self.duplicates_ppm.into(), 0..=1_000_000, SHARE),
            ("late_ppm", self.late_ppm.into(), 0..=1_000_000, SHARE),
            ("bare_responses_ppm", self.bare_responses_ppm.into(), 0..=1_000_000, SHARE),
            ("other_receipts_ppm", self.other_receipts_ppm.into(), 0..=1_000_000, SHARE),
        ];
        for (setting, found, range, rule) in all {
            if !range.contains(&found) {
                return Err(SettingsError { setting, rule, found });
            }
        }
        Ok(())
    }

    /// The instant at which recording stops.
    pub fn end(&self) -> Timestamp {
        self.start.plus_millis(i64::from(self.days) * DAY_MS)
    }

    pub(crate) fn transactions(&self) -> u64 {
        match self.events_target {
            Some(events) => (events.saturating_mul(100) / events_per_100_transactions(self.days)).max(1),
            None => (u64::from(self.premises) * u64::from(self.days) * DAILY_TRANSACTIONS_PER_100_PREMISES
                / 100)
                .max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_has_one_to_two_transactions_a_day() {
        for (events, days) in [(1_000_000, 1), (10_000_000, 90)] {
            let settings = Settings::for_events(events, days);
            let meters = f64::from(settings.premises) * 1.78;
            let daily = settings.transactions() as f64 / meters / f64::from(days);
            assert!((1.0..2.0).contains(&daily), "{daily} over {days} days");
        }
    }

    #[test]
    fn impossible_settings_are_named() {
        let error = Settings { premises: 0, ..Settings::default() }.check().unwrap_err();
        assert_eq!(error.to_string(), "premises is 0; it must be 1 to 50,000,000");
        assert!(Settings { users: 5, ..Settings::default() }.check().is_err());
        assert!(Settings { late_ppm: 1_000_001, ..Settings::default() }.check().is_err());
        assert_eq!(Settings::default().check(), Ok(()));
        assert_eq!(Settings::default().start.to_string(), "2026-03-01T00:00:00.000Z");
    }
}
