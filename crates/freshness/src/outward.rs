//! What a report says to those who see only some of the rows: of sources and times, and not of what others do.
//!
//! A count of answers that wait for their request, looked at before and after, tells of each of them to the second, whosever it is. So
//! such counts are those of the first look in an hour until the next begins, and times of single records are told to the hour.
//! Levels are not held back: no statement is better than the truth.

use crate::limits::HOUR_MS;
use crate::report::{DayReport, Report, day_text};
use gridtrail_lake::SourceKey;
use gridtrail_model::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// What an operator wrote stands in the evidence for operators. All others are told that something was done.
const DISMISSED: &str = "dead letters were dismissed";

/// Reports of one process, as all may have them whom it lets in.
#[derive(Debug, Default)]
pub struct Outward {
    held: Mutex<Option<Held>>,
}

/// Counts of the first look in an hour.
#[derive(Debug)]
struct Held {
    /// The hour, from the epoch on.
    hour: i64,
    waiting: (u64, u64, Option<Timestamp>),
    parked: BTreeMap<SourceKey, u64>,
    parked_today: BTreeMap<SourceKey, u64>,
}

impl Outward {
    /// A report as anybody may have it.
    #[must_use]
    pub fn of(&self, mut report: Report) -> Report {
        let hour = report.at.millis().div_euclid(HOUR_MS);
        let today = day_text(report.at.millis().div_euclid(24 * HOUR_MS));
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let held = match held.take() {
            Some(known) if known.hour == hour => held.insert(known),
            _ => held.insert(Held::of(&report, hour, &today)),
        };
        (report.waiting.rows, report.waiting.late, report.waiting.oldest) = held.waiting;
        for source in &mut report.sources {
            source.parked = held.parked.get(&source.source).copied().unwrap_or_default();
            source.open_letters_since = source.open_letters_since.map(begun_hour);
        }
        for day in &mut report.days {
            if day.day == today {
                day.parked = held.parked_today.get(&day.source).copied().unwrap_or_default();
            }
            outward_events(day);
        }
        report
    }
}

impl Held {
    fn of(report: &Report, hour: i64, today: &str) -> Self {
        let waiting = &report.waiting;
        let parked = report.sources.iter().map(|source| (source.source.clone(), source.parked));
        let days = report.days.iter().filter(|day| day.day == today);
        Self {
            hour,
            waiting: (waiting.rows, waiting.late, waiting.oldest.map(begun_hour)),
            parked: parked.collect(),
            parked_today: days.map(|day| (day.source.clone(), day.parked)).collect(),
        }
    }
}

/// The beginning of the hour of a time: what is older is no better than the truth.
fn begun_hour(time: Timestamp) -> Timestamp {
    time.plus_millis(-time.millis().rem_euclid(HOUR_MS))
}

fn outward_events(day: &mut DayReport) {
    if std::mem::take(&mut day.notes).is_empty() {
        return;
    }
    day.events.push(DISMISSED.to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Ledger;
    use crate::level::{Level, Levels};
    use crate::report::Inputs;
    use gridtrail_lake::{Commit, Evidence, SourceEvidence, Spans, Waiting};

    fn take(ledger: &mut Ledger, version: u64, evidence: SourceEvidence) {
        let sources = vec![Evidence::Whole(Box::new(evidence))];
        ledger.take(&Commit { version, kind: "ingest".to_owned(), sources }, None);
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn report(ledger: &Ledger, now: &str, rows: u64, oldest: &str) -> Report {
        ledger.report(&Inputs {
            now: at(now),
            partitions: &[],
            waiting: Waiting { rows, oldest: Some(at(oldest)), before_limit: rows / 2 },
            version: "1.0.0",
            confirmed: at(now),
            days: 2,
            stopped: None,
        })
    }

    fn read(parked: u64, committed: &str) -> SourceEvidence {
        let committed_at_ms = at(committed).millis();
        SourceEvidence {
            source: "files".into(),
            name: "day.jsonl".into(),
            records: parked,
            parked,
            committed_at_ms,
            ..SourceEvidence::default()
        }
    }

    /// Looks before and after an answer of another's arrives tell the same.
    #[test]
    fn what_others_wait_for_is_told_by_the_hour() {
        let (mut ledger, outward) = (Ledger::new(Levels::default()), Outward::default());
        take(&mut ledger, 1, read(3, "2026-03-01T09:59:00Z"));
        let counts = |report: &Report| {
            let sources: Vec<u64> = report.sources.iter().map(|source| source.parked).collect();
            let days: Vec<u64> = report.days.iter().map(|day| day.parked).collect();
            (report.waiting.rows, report.waiting.late, report.waiting.oldest, sources, days)
        };
        let first = outward.of(report(&ledger, "2026-03-01T10:00:00.001Z", 3, "2026-03-01T09:12:13.456Z"));
        assert_eq!(counts(&first), (3, 1, Some(at("2026-03-01T09:00:00Z")), vec![3], vec![3]));
        take(&mut ledger, 2, read(1, "2026-03-01T10:30:00Z"));
        let later = outward.of(report(&ledger, "2026-03-01T10:59:59.999Z", 4, "2026-03-01T08:12:13.456Z"));
        assert_eq!(counts(&later), counts(&first));
        // That something is late is no secret, whatever is told of how much.
        assert_eq!(later.waiting.level, Level::Warn);
        let next = outward.of(report(&ledger, "2026-03-01T11:00:00Z", 4, "2026-03-01T08:12:13.456Z"));
        assert_eq!(counts(&next), (4, 2, Some(at("2026-03-01T08:00:00Z")), vec![4], vec![4]));
    }

    #[test]
    fn an_operators_words_are_for_operators() {
        let (mut ledger, outward) = (Ledger::new(Levels::default()), Outward::default());
        let secret = "Mrs Smith of 12 High Street rang";
        let mut letter = read(0, "2026-03-01T09:00:00Z");
        (letter.dead_lettered, letter.dead_lettered_at) = (1, Spans::from_iter([7]));
        letter.records = 1;
        take(&mut ledger, 1, letter);
        let mut dismissed = SourceEvidence::of_letters("files", "day.jsonl");
        dismissed.dismissed_at = Spans::from_iter([7]);
        dismissed.event = Some(secret.to_owned());
        dismissed.committed_at_ms = at("2026-03-01T09:30:00Z").millis();
        take(&mut ledger, 2, dismissed);
        let whole = report(&ledger, "2026-03-01T10:00:00Z", 0, "2026-03-01T09:00:00Z");
        assert!(format!("{whole:?}").contains(secret), "operators see it: {whole:?}");
        let told = outward.of(whole);
        assert!(!format!("{told:?}").contains("Smith"), "{told:?}");
        assert_eq!(
            (told.days[0].events.as_slice(), told.days[0].events_count),
            (&[DISMISSED.to_owned()][..], 1)
        );
    }
}
