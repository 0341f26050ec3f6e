//! When a job is due: a cron expression by the clocks of a time zone.

use chrono::{Duration, NaiveDateTime, NaiveTime, TimeZone as _, Timelike as _};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use gridtrail_model::Timestamp;

/// No clock of any zone was ever moved on by more, so that a local time that does not exist is at most so far before one that does.
const CHANGE_HOURS_MAX: i64 = 25;

/// The local times that an expression names, each an instant.
///
/// **Invariant:** what is due depends on the expression and the zone alone, and not on from where it is looked for. A local time that a clock change
/// leaves out is the first instant after the change, one that comes twice is the first of the two, and what comes to one instant is due once.
#[derive(Debug, Clone)]
pub(crate) struct Timetable {
    cron: Cron,
    zone: Tz,
}

impl Timetable {
    /// Reads an expression of five fields (minute, hour, day of the month, month, day of the week), or one such as `@monthly`.
    pub(crate) fn parse(expression: &str, zone: Tz) -> Result<Self, String> {
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(expression).map_err(|error| error.to_string())?;
        Ok(Self { cron, zone })
    }

    pub(crate) const fn zone(&self) -> Tz {
        self.zone
    }

    /// When it is due from a time on, that time included.
    pub(crate) fn from(&self, at: Timestamp) -> impl Iterator<Item = Timestamp> {
        let local = self.zone.timestamp_millis_opt(at.millis()).earliest().map(|at| at.naive_local());
        let start = local.and_then(|local| local.checked_sub_signed(Duration::hours(CHANGE_HOURS_MAX)));
        let mut next = start.and_then(|start| self.cron.find_next_occurrence(&start, true).ok());
        let mut last = None;
        std::iter::from_fn(move || {
            loop {
                let local = next?;
                next = self.cron.find_next_occurrence(&local, false).ok();
                let due = self.instant_of(local)?;
                if due >= at && last.is_none_or(|last| last < due) {
                    last = Some(due);
                    return last;
                }
            }
        })
    }

    /// The instant of a local time; `None` beyond the years that a time may have.
    fn instant_of(&self, local: NaiveDateTime) -> Option<Timestamp> {
        let whole = local.with_second(0)?.with_nanosecond(0)?;
        // What is left out ends at a whole minute.
        let minutes = (0..=CHANGE_HOURS_MAX * 60).map(Duration::minutes);
        let found = minutes
            .into_iter()
            .find_map(|later| self.zone.from_local_datetime(&whole.checked_add_signed(later)?).earliest());
        Timestamp::from_millis(found?.timestamp_millis())
    }

    /// The first instant of a day in the zone, given as `2026-04-01`.
    pub(crate) fn start_of(&self, day: &str) -> Option<Timestamp> {
        let date = chrono::NaiveDate::parse_from_str(day, "%Y-%m-%d").ok().filter(|_| day.len() == 10)?;
        self.instant_of(date.and_time(NaiveTime::MIN))
    }

    /// An instant as clocks in the zone show it.
    pub(crate) fn shown(&self, at: Timestamp) -> String {
        let local = self.zone.timestamp_millis_opt(at.millis()).earliest();
        local.map_or_else(|| at.to_string(), |local| local.format("%Y-%m-%d %H:%M %Z").to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono_tz::{Europe, Pacific, UTC};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn due(expression: &str, from: &str, count: usize) -> Vec<String> {
        let table = Timetable::parse(expression, Europe::London).unwrap();
        table.from(at(from)).take(count).map(|due| due.to_string()).collect()
    }

    /// Six in the morning is six in the morning, in winter and in summer.
    #[test]
    fn a_day_is_a_day_by_the_clock_over_both_changes() {
        let spring = ["2026-03-28T06:00:00.000Z", "2026-03-29T05:00:00.000Z", "2026-03-30T05:00:00.000Z"];
        assert_eq!(due("0 6 * * *", "2026-03-28T00:00:00Z", 3), spring);
        let autumn = ["2026-10-24T05:00:00.000Z", "2026-10-25T06:00:00.000Z", "2026-10-26T06:00:00.000Z"];
        assert_eq!(due("0 6 * * *", "2026-10-24T00:00:00Z", 3), autumn);
        let months = ["2026-02-28T23:59:59Z", "2026-03-31T22:59:59Z", "2026-10-31T23:59:59Z"]
            .map(|from| due("0 0 1 * *", from, 1));
        assert_eq!(
            months.concat(),
            ["2026-03-01T00:00:00.000Z", "2026-03-31T23:00:00.000Z", "2026-11-01T00:00:00.000Z"]
        );
    }

    /// Half past one is left out in March, and comes twice in October.
    #[test]
    fn what_a_change_leaves_out_is_due_after_it_and_what_comes_twice_is_due_once() {
        assert_eq!(
            due("30 1 * * *", "2026-03-29T00:00:00Z", 2),
            ["2026-03-29T01:00:00.000Z", "2026-03-30T00:30:00.000Z"]
        );
        assert_eq!(
            due("30 1 * * *", "2026-10-25T00:00:00Z", 2),
            ["2026-10-25T00:30:00.000Z", "2026-10-26T01:30:00.000Z"]
        );
        // Between the two, the next is tomorrow's.
        assert_eq!(due("30 1 * * *", "2026-10-25T00:31:00Z", 1), ["2026-10-26T01:30:00.000Z"]);
        // What is moved to where another is due is one with it.
        assert_eq!(
            due("0,30 1,2 * * *", "2026-03-29T00:00:00Z", 3),
            ["2026-03-29T01:00:00.000Z", "2026-03-29T01:30:00.000Z", "2026-03-30T00:00:00.000Z"]
        );
        // A zone that left out a whole day.
        let samoa = Timetable::parse("0 12 30 12 *", Pacific::Apia).unwrap();
        assert_eq!(samoa.from(at("2011-12-01T00:00:00Z")).next(), Some(at("2011-12-30T10:00:00Z")));
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for wrong in ["", "* * * *", "0 0 6 1 * *", "61 * * * *", "0 6 1 13 *", "@never", "0 6 1 * * 2026 1"]
        {
            assert!(Timetable::parse(wrong, UTC).is_err(), "{wrong:?}");
        }
        assert_eq!(due("@monthly", "2026-06-15T00:00:00Z", 1), ["2026-06-30T23:00:00.000Z"]);
        // The thirtieth of February is never due.
        assert_eq!(
            Timetable::parse("0 6 30 2 *", UTC).unwrap().from(at("2026-01-01T00:00:00Z")).next(),
            None
        );
        assert_eq!(
            Timetable::parse("0 6 * * *", Europe::London).unwrap().start_of("2026-06-01"),
            Some(at("2026-05-31T23:00:00Z"))
        );
    }

    /// Expressions whose fields are plain, and what they say of a local time, told without the library.
    fn fields() -> impl Strategy<Value = (BTreeSet<u32>, BTreeSet<u32>)> {
        (prop::collection::btree_set(0u32..60, 1..4), prop::collection::btree_set(0u32..24, 1..25))
    }

    fn listed(values: &BTreeSet<u32>) -> String {
        values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// Over a change of clocks, however often it is begun anew and from where: each is due once, as a walk through every minute tells.
        #[test]
        fn whatever_the_restarts_each_period_comes_once(
            (minutes, hours) in fields(),
            autumn in any::<bool>(),
            restarts in prop::collection::vec(0i64..4 * 1_440, 0..6),
        ) {
            let first = at(if autumn { "2026-10-24T00:00:00Z" } else { "2026-03-27T12:00:00Z" });
            let end = first.plus_millis(4 * 86_400_000);
            let table = Timetable::parse(&format!("{} {} * * *", listed(&minutes), listed(&hours)), Europe::London).unwrap();

            // Every minute of the four days, and which local times it is the first to show or, after a change, to have passed.
            let (mut expected, mut shown) = (Vec::new(), None::<NaiveDateTime>);
            let before = first.plus_millis(-60_000);
            for minute in 0..=4 * 1_440 {
                let now = before.plus_millis(minute * 60_000);
                let local = Europe::London.timestamp_millis_opt(now.millis()).unwrap().naive_local();
                let passed = shown.map_or(vec![], |shown| {
                    let count = (local - shown).num_minutes().max(0);
                    (1..=count).map(|later| shown + Duration::minutes(later)).collect()
                });
                let is_due = |local: &NaiveDateTime| minutes.contains(&local.minute()) && hours.contains(&local.hour());
                if passed.iter().any(is_due) && now < end {
                    expected.push(now);
                }
                shown = Some(shown.map_or(local, |shown| shown.max(local)));
            }
            let whole: Vec<Timestamp> = table.from(first).take_while(|due| *due < end).collect();
            prop_assert_eq!(&whole, &expected);

            // Begun anew at moments of chance, each going on where the one before had come to.
            let mut moments: Vec<Timestamp> = restarts.iter().map(|minute| first.plus_millis(minute * 60_000)).collect();
            moments.sort();
            moments.push(end);
            let (mut parts, mut since) = (Vec::new(), first);
            for moment in moments {
                parts.extend(table.from(since).take_while(|due| *due < moment));
                since = moment;
            }
            prop_assert_eq!(parts, expected);
        }
    }
}
