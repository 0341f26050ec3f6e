//! The answer as tables for people, and the daily table as CSV.

use super::level;
use crate::client::time;
use crate::output::{Grid, count, csv_cell as cell, table_with};
use gridtrail_kafka::describe_producers;
use gridtrail_proto::query::v1::{FreshnessDay, GetFreshnessResponse};
use pbjson_types::Duration;
use std::io::{self, Write};

/// The columns of the CSV. They are an interface.
const COLUMNS: [&str; 19] = [
    "day",
    "source",
    "cluster",
    "level",
    "lag_worst_seconds",
    "receipt_to_queryable_worst_seconds",
    "receipt_to_queryable_mean_seconds",
    "records",
    "commits",
    "late_at_least",
    "late_at_most",
    "parked",
    "dead_lettered",
    "dead_letters_open",
    "future",
    "lost",
    "before_first_read",
    "events_count",
    "events",
];

/// Writes the daily table as CSV: one line a day and source, times in seconds.
pub(super) fn write_csv(out: impl Write, days: &[FreshnessDay]) -> io::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(COLUMNS)?;
    for day in days {
        let seconds = |value: Option<Duration>| {
            self::seconds(value).map(|value| format!("{value:.3}")).unwrap_or_default()
        };
        let counts = [
            day.records,
            day.commits,
            day.late_least,
            day.late_most,
            day.parked,
            day.dead_lettered,
            day.open_dead_letters,
            day.future,
            day.lost,
            day.before_first_read,
            day.events_count,
        ];
        let mut cells = vec![
            cell(&day.day),
            cell(&day.source),
            cell(&day.cluster),
            level(day.level).to_owned(),
            seconds(day.lag_worst),
            seconds(day.receipt_to_queryable_worst),
            seconds(day.receipt_to_queryable_mean),
        ];
        cells.extend(counts.map(|count| count.to_string()));
        cells.push(cell(&day.events.join("; ")));
        csv.write_record(&cells)?;
    }
    csv.flush()
}

/// The whole answer, as tables.
pub(super) fn text_of(answer: &GetFreshnessResponse) -> String {
    let mut text = format!("{}\n", sources_of(answer));
    if !answer.days.is_empty() {
        text.push_str(&format!("{}\n", days_of(&answer.days)));
    }
    text.push_str(&held_back(answer));
    let waiting = answer.waiting.unwrap_or_default();
    if waiting.rows > 0 {
        let wait = if waiting.rows == 1 { "waits for its" } else { "wait for their" };
        text.push_str(&format!(
            "{} {wait} request, {} of them too long; the oldest since {}\n",
            count(waiting.rows, "answer"),
            waiting.late,
            time(waiting.oldest).as_deref().unwrap_or("no known time"),
        ));
    }
    if answer.broken_evidence > 0 {
        let pieces = count(answer.broken_evidence, "piece of evidence");
        text.push_str(&format!("changed since it was written, and left out: {pieces}\n"));
    }
    let (level, at) = (level(answer.level), time(answer.at).unwrap_or_default());
    text.push_str(&match time(answer.complete_up_to) {
        Some(up_to) => format!("{level}: complete up to {up_to}, at {at}\n"),
        None => format!("{level}: up to when all is complete is not known, at {at}\n"),
    });
    text
}

/// The partitions that an open transaction holds back, each with the command that names its producer.
fn held_back(answer: &GetFreshnessResponse) -> String {
    let mut text = String::new();
    for (source, partition) in answer.sources.iter().flat_map(|s| s.partitions.iter().map(move |p| (s, p))) {
        let Some(offset) = partition.last_stable_offset else { continue };
        let since = time(partition.last_stable_offset_time);
        let record = since.map(|at| format!(", whose record is of {at}")).unwrap_or_default();
        let (topic, number) = (&source.name, partition.partition);
        text.push_str(&format!(
            "{topic}/{number}: a transaction is not decided, and nothing from the last stable offset {offset} on can be \
             read{record}. The producer whose open transaction starts there is named by\n  {}\n",
            describe_producers("HOST:PORT", topic, number),
        ));
    }
    text
}

fn sources_of(answer: &GetFreshnessResponse) -> Grid {
    let mut table = table_with(&[
        "Source",
        "Level",
        "Complete up to (UTC)",
        "Lag",
        "Breach in",
        "Behind",
        "Records",
        "Dead letters",
    ]);
    for source in &answer.sources {
        let behind = |count: Option<u64>| count.map(|count| count.to_string()).unwrap_or_default();
        let total = source.partitions.iter().map(|partition| partition.behind).sum::<Option<u64>>();
        table.add_row([
            source.name.clone(),
            level(source.level).to_owned(),
            time(source.complete_up_to).unwrap_or_default(),
            span(source.lag),
            span(source.time_to_breach),
            behind(total.filter(|_| !source.partitions.is_empty())),
            source.records.to_string(),
            source.open_dead_letters.to_string(),
        ]);
        for partition in &source.partitions {
            table.add_row([
                format!("  {}", partition.partition),
                level(partition.level).to_owned(),
                time(partition.complete_up_to).unwrap_or_default(),
                span(partition.lag),
                span(partition.time_to_breach),
                behind(partition.behind),
                String::new(),
                String::new(),
            ]);
        }
    }
    table
}

fn days_of(days: &[FreshnessDay]) -> Grid {
    let mut table = table_with(&[
        "Day (UTC)",
        "Source",
        "Level",
        "Worst lag",
        "Worst receipt to queryable",
        "Records",
        "Late",
        "Parked",
        "Dead letters",
        "Gaps",
        "Events",
    ]);
    for day in days {
        let late = match (day.late_least, day.late_most) {
            (least, most) if least == most => least.to_string(),
            (least, most) => format!("{least} to {most}"),
        };
        table.add_row([
            day.day.clone(),
            day.source.clone(),
            level(day.level).to_owned(),
            span(day.lag_worst),
            span(day.receipt_to_queryable_worst),
            day.records.to_string(),
            late,
            day.parked.to_string(),
            day.dead_lettered.to_string(),
            (day.lost + day.before_first_read).to_string(),
            day.events_count.to_string(),
        ]);
    }
    table
}

fn seconds(span: Option<Duration>) -> Option<f64> {
    // Whole milliseconds, which a double holds exactly for longer than any lake lasts.
    let millis = |span: Duration| span.seconds as f64 * 1_000.0 + f64::from(span.nanos / 1_000_000);
    span.map(|span| millis(span) / 1_000.0)
}

/// A time span in its two largest units.
fn span(span: Option<Duration>) -> String {
    let Some(seconds) = seconds(span) else { return String::new() };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a span of this many seconds is cut at the type's end"
    )]
    let whole = seconds as i64;
    match whole {
        ..60 => format!("{seconds:.1}s"),
        60..3_600 => format!("{}m {:02}s", whole / 60, whole % 60),
        3_600..86_400 => format!("{}h {:02}m", whole / 3_600, whole % 3_600 / 60),
        _ => format!("{}d {:02}h", whole / 86_400, whole % 86_400 / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_of_a_cell_is_a_formula() {
        let mut day = FreshnessDay { day: "2026-03-01".into(), ..FreshnessDay::default() };
        for first in ["=", "+", "-", "@", "\t", "\r", "\n"] {
            day.source = format!("{first}cmd|' /C calc'!A0");
            day.events = vec![format!("{first}1+1"), "two".into()];
            let mut bytes = Vec::new();
            write_csv(&mut bytes, std::slice::from_ref(&day)).unwrap();
            let mut read = csv::Reader::from_reader(bytes.as_slice());
            let record = read.records().next().unwrap().unwrap();
            assert_eq!(&record[1], format!("'{}", day.source), "{first:?}");
            assert_eq!(&record[18], format!("'{first}1+1; two"), "{first:?}");
            assert_eq!(record.len(), COLUMNS.len());
        }
    }

    #[test]
    fn a_span_has_two_units() {
        let spans = [250, 59_960, 75_000, 46_800_000, 100_000_000].map(|millis: i64| {
            let nanos = i32::try_from(millis % 1_000).unwrap() * 1_000_000;
            span(Some(Duration { seconds: millis / 1_000, nanos }))
        });
        assert_eq!(spans, ["0.2s", "60.0s", "1m 15s", "13h 00m", "1d 03h"]);
        assert_eq!(span(None), "");
    }
}
