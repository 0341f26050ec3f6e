//! When a schedule runs next, by the calendar.
//!
//! Days are counted from the first day of the schedule. A month that has no such day runs on its last; the month after it has the day again.
//! A time in UTC is that of the day as it is written; one without a zone is as clocks in the United Kingdom show it, and without any a run is
//! due from the first instant of the day there. An hour that clocks pass over is taken as winter time; of one that comes twice, the first.

use crate::details::{Frequency, ScheduleDay, TimeOfDay};
use crate::fold::Schedule;
use chrono::{Datelike as _, Days, Months, NaiveDate, NaiveTime, TimeDelta, TimeZone as _};
use chrono_tz::Europe::London;
use gridtrail_model::Timestamp;

impl ScheduleDay {
    /// The first instant after the day, in the United Kingdom.
    pub fn over_at(self) -> Timestamp {
        self.date().succ_opt().map_or(Timestamp::MAX, |next| instant(next, None))
    }
}

impl Schedule {
    /// When it is due first after a time. `None`: it is removed or at its end by then, or its frequency or first day is not known.
    ///
    /// What was removed later was due until then. A schedule is not due before it was created.
    pub fn next_due(&self, after: Timestamp) -> Option<Timestamp> {
        let details = &self.details;
        let after = self.created.map_or(after, |created| after.max(created.at));
        let first = details.start?.date();
        let (day, at) = next(details.frequency?, first, details.execution_start, after)?;
        let is_over = details.end.is_some_and(|end| day > end.date());
        let is_removed = self.removed.is_some_and(|removed| removed.at <= at);
        (!is_over && !is_removed).then_some(at)
    }

    /// When it came to its end: when it was removed, or its last day was over. `None`: it has no end.
    pub fn ended_at(&self) -> Option<Timestamp> {
        let over = self.details.end.map(ScheduleDay::over_at);
        over.into_iter().chain(self.removed.map(|removed| removed.at)).min()
    }
}

/// The first day, and its time, that is after an instant.
fn next(
    frequency: Frequency,
    first: NaiveDate,
    time: Option<TimeOfDay>,
    after: Timestamp,
) -> Option<(NaiveDate, Timestamp)> {
    let today = London.timestamp_millis_opt(after.millis()).earliest()?.date_naive();
    // A day in UTC may be the one before.
    let from = today.checked_sub_days(Days::new(1))?;
    let mut step = steps_before(frequency, first, from);
    loop {
        let day = day_of(frequency, first, step)?;
        let at = instant(day, time);
        if at > after {
            return Some((day, at));
        }
        step += 1;
    }
}

/// How many steps can be passed over, for their days are before another one.
fn steps_before(frequency: Frequency, first: NaiveDate, from: NaiveDate) -> u32 {
    let steps = match months_of(frequency) {
        None => (from - first).num_days() / i64::from(days_of(frequency)),
        Some(months) => {
            let count = |date: NaiveDate| i64::from(date.year()) * 12 + i64::from(date.month());
            // The day of the last may be before or behind.
            (count(from) - count(first)) / i64::from(months) - 1
        }
    };
    u32::try_from(steps.max(0)).unwrap_or(u32::MAX)
}

/// `None`: it is behind all days that there are.
fn day_of(frequency: Frequency, first: NaiveDate, step: u32) -> Option<NaiveDate> {
    let day = match months_of(frequency) {
        None => first.checked_add_days(Days::new(u64::from(step) * u64::from(days_of(frequency)))),
        Some(months) => first.checked_add_months(Months::new(step.checked_mul(months)?)),
    };
    day.filter(|day| day.year() <= 9_999)
}

/// `None`: it goes by days.
const fn months_of(frequency: Frequency) -> Option<u32> {
    match frequency {
        Frequency::Daily | Frequency::Weekly => None,
        Frequency::Monthly => Some(1),
        Frequency::Quarterly => Some(3),
        Frequency::HalfYearly => Some(6),
        Frequency::Yearly => Some(12),
    }
}

const fn days_of(frequency: Frequency) -> u32 {
    if matches!(frequency, Frequency::Weekly) { 7 } else { 1 }
}

fn instant(day: NaiveDate, time: Option<TimeOfDay>) -> Timestamp {
    let millis = time.map_or(0, |time| i64::from(time.millis()));
    let local = day.and_time(NaiveTime::MIN) + TimeDelta::milliseconds(millis);
    let in_utc = local.and_utc().timestamp_millis();
    let millis = if time.is_some_and(TimeOfDay::is_utc) {
        in_utc
    } else {
        London.from_local_datetime(&local).earliest().map_or(in_utc, |at| at.timestamp_millis())
    };
    Timestamp::from_millis(millis).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::details::ScheduleDetails;
    use crate::fold::{Creation, Removal, RemovalReason};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn schedule(frequency: &str, start: &str, time: &str) -> Schedule {
        let details = ScheduleDetails {
            frequency: frequency.parse().ok(),
            start: start.parse().ok(),
            execution_start: time.parse().ok(),
            ..ScheduleDetails::default()
        };
        Schedule { details, ..Schedule::of("1".parse().unwrap()) }
    }

    #[test]
    fn what_is_due_next_follows_the_calendar_of_the_united_kingdom() {
        for (frequency, start, time, after, due) in [
            ("Daily", "2026-01-01", "02:00:00Z", "2026-03-10T01:59:59Z", "2026-03-10T02:00:00Z"),
            ("Daily", "2026-01-01", "02:00:00Z", "2026-03-10T02:00:00Z", "2026-03-11T02:00:00Z"),
            // It has not begun.
            ("Daily", "2027-01-01", "", "2026-03-10T02:00:00Z", "2027-01-01T00:00:00Z"),
            // Clocks go forward on the 29th of March at one in the morning: the day after it begins at eleven in the evening, UTC.
            ("Daily", "2026-01-01", "", "2026-03-28T12:00:00Z", "2026-03-29T00:00:00Z"),
            ("Daily", "2026-01-01", "", "2026-03-29T12:00:00Z", "2026-03-29T23:00:00Z"),
            ("Daily", "2026-01-01", "", "2026-03-29T23:00:00Z", "2026-03-30T23:00:00Z"),
            // Half past one is passed over then, and comes twice on the 25th of October.
            ("Daily", "2026-01-01", "01:30:00", "2026-03-29T00:00:00Z", "2026-03-29T01:30:00Z"),
            ("Daily", "2026-01-01", "01:30:00", "2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z"),
            ("Daily", "2026-01-01", "01:30:00", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"),
            // What is late in the evening in UTC is of the next day by UK time.
            ("Daily", "2026-01-01", "23:30:00Z", "2026-06-10T23:15:00Z", "2026-06-10T23:30:00Z"),
            ("Weekly", "2026-03-03", "04:00:00Z", "2026-03-10T03:00:00Z", "2026-03-10T04:00:00Z"),
            ("Weekly", "2026-03-03", "04:00:00Z", "2026-03-10T04:00:00Z", "2026-03-17T04:00:00Z"),
            // A month without a 31st runs on its last day, and the one after it on the 31st again.
            ("Monthly", "2025-10-31", "00:00:00Z", "2026-02-01T00:00:00Z", "2026-02-28T00:00:00Z"),
            ("Monthly", "2025-10-31", "00:00:00Z", "2026-02-28T00:00:00Z", "2026-03-31T00:00:00Z"),
            ("Monthly", "2025-10-31", "00:00:00Z", "2026-03-31T00:00:00Z", "2026-04-30T00:00:00Z"),
            ("Quarterly", "2025-11-30", "00:00:00Z", "2026-01-15T00:00:00Z", "2026-02-28T00:00:00Z"),
            ("Quarterly", "2025-11-30", "00:00:00Z", "2026-02-28T00:00:00Z", "2026-05-30T00:00:00Z"),
            ("Half-Yearly", "2025-08-31", "00:00:00Z", "2026-01-15T00:00:00Z", "2026-02-28T00:00:00Z"),
            ("Yearly", "2024-02-29", "00:00:00Z", "2026-03-01T00:00:00Z", "2027-02-28T00:00:00Z"),
            ("Yearly", "2024-02-29", "00:00:00Z", "2027-02-28T00:00:00Z", "2028-02-29T00:00:00Z"),
        ] {
            let found = schedule(frequency, start, time).next_due(at(after));
            assert_eq!(found, Some(at(due)), "{frequency} from {start} at {time:?}, after {after}");
        }
    }

    /// Held against a walk from the first day on, whatever the frequency, day and time.
    #[test]
    fn what_is_passed_over_is_never_the_next() {
        for frequency in Frequency::ALL {
            for start in ["2019-12-31", "2020-02-29", "2024-01-30", "2026-10-25"] {
                for time in ["", "00:15:00", "23:45:00Z"] {
                    let schedule = schedule(frequency.as_str(), start, time);
                    let first = schedule.details.start.unwrap().date();
                    for days in (0..800).step_by(13) {
                        let after = at("2025-06-01T22:50:00Z").plus_millis(days * 86_400_000);
                        let walked = (0..).map(|step| day_of(frequency, first, step).unwrap());
                        let mut walked = walked.map(|day| instant(day, schedule.details.execution_start));
                        assert_eq!(
                            schedule.next_due(after),
                            walked.find(|at| *at > after),
                            "{start} {time} {after}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn nothing_is_due_once_it_is_over_or_removed() {
        let mut one = schedule("Daily", "2026-01-01", "02:00:00Z");
        one.details.end = "2026-03-10".parse().ok();
        assert_eq!(one.next_due(at("2026-03-09T02:00:00Z")), Some(at("2026-03-10T02:00:00Z")));
        assert_eq!(one.next_due(at("2026-03-10T02:00:00Z")), None);
        assert_eq!(one.ended_at(), Some(at("2026-03-11T00:00:00Z")));
        one.removed = Some(Removal { at: at("2026-03-05T02:00:00Z"), reason: RemovalReason::Deleted });
        assert_eq!(one.ended_at(), Some(at("2026-03-05T02:00:00Z")));
        assert_eq!(one.next_due(at("2026-03-04T02:00:00Z")), None, "it was removed at that instant");
        assert_eq!(one.next_due(at("2026-03-03T02:00:00Z")), Some(at("2026-03-04T02:00:00Z")));
        one.created = Some(Creation {
            request_id: gridtrail_model::RequestId::from_bytes([0; 24]),
            at: at("2026-03-04T02:00:00Z"),
        });
        assert_eq!(one.next_due(at("2026-03-01T02:00:00Z")), None, "it was not there before");
        assert_eq!(Schedule::of("1".parse().unwrap()).next_due(at("2026-03-01T02:00:00Z")), None);
        // A start at the end of all days is passed, not waited for.
        let last = schedule("Yearly", "9999-12-31", "00:00:00Z");
        assert_eq!(last.next_due(at("9999-12-31T00:00:00Z")), None);
    }
}
