//! The Scheduled Service Requests Report holds what plain sums over a region's script come to. Nothing here uses the statements, the fold of schedules, or
//! tables of time zones: clocks of the United Kingdom are an hour ahead from the last Sunday of March to the last of October.

use crate::it::truth::*;
use crate::it::world::*;
use gridtrail_model::*;
use gridtrail_schedules::{Frequency, ScheduleDay, TimeOfDay};
use gridtrail_synth::{ExpectedSchedule, ExpectedTrail};
use std::collections::BTreeMap;

const DAY: i64 = 86_400_000;
const HOUR: i64 = 3_600_000;

/// What is asked for beside the period.
#[derive(Clone, Copy, Default)]
struct Filter<'a> {
    variant: Option<&'a str>,
    frequency: Option<&'a str>,
    active_on: Option<&'a str>,
}

type Key = (String, String, (bool, Option<String>), (bool, Option<String>), (bool, Option<String>));

pub(crate) async fn scheduled_service_requests(asked: &Asked<'_>) -> usize {
    let mut found = 0;
    let day = asked.period.until.clone();
    for filter in [
        Filter::default(),
        Filter { variant: Some("4.8.1"), ..Filter::default() },
        Filter { frequency: Some("Monthly"), ..Filter::default() },
        Filter { active_on: Some(&day), ..Filter::default() },
    ] {
        let expected = expected(asked, filter);
        let mut given = asked.period.given().to_vec();
        given.extend(filter.variant.map(|variant| ("variant", variant)));
        given.extend(filter.frequency.map(|frequency| ("frequency", frequency)));
        given.extend(filter.active_on.map(|day| ("active_on", day)));
        found += asked.check("scheduled-service-requests", &given, expected).await;
    }
    found
}

fn expected(asked: &Asked<'_>, filter: Filter<'_>) -> Vec<Vec<String>> {
    let schedules: BTreeMap<(UserId, u64), ExpectedSchedule> = asked
        .world
        .schedules()
        .filter_map(|story| story.expected)
        .filter(|of| asked.users.contains(&of.user))
        .map(|of| ((of.user, of.id.number()), of))
        .collect();
    let mut of_schedules: BTreeMap<(UserId, u64), Vec<ExpectedTrail>> = BTreeMap::new();
    let mut runs: BTreeMap<Key, Vec<ExpectedTrail>> = BTreeMap::new();
    let mut rows: Vec<(Key, Vec<String>)> = Vec::new();
    let is_of_all = filter.frequency.is_none() && filter.active_on.is_none();
    for row in asked.rows_of_period() {
        let variant = text_of(row.variant);
        let entry = match (row.mode, variant.as_deref()) {
            (Mode::DspScheduled, _) => "Runs",
            (_, Some("5.1")) => "Create Schedule",
            (_, Some("5.2")) => "Read Schedule",
            (_, Some("5.3")) => "Delete Schedule",
            _ => continue,
        };
        if filter.variant.is_some_and(|only| variant.as_deref() != Some(only)) {
            continue;
        }
        let of = row.schedule_id.map(|id| (row.key.user, id)).filter(|of| schedules.contains_key(of));
        if let Some(of) = of.filter(|_| row.mode == Mode::DspScheduled) {
            of_schedules.entry(of).or_default().push(row);
            continue;
        }
        if !is_of_all {
            continue;
        }
        let key = key_of(row.key.user, entry, (text_of(row.device_id), variant, text_of(row.schedule_id)));
        if row.mode == Mode::DspScheduled {
            runs.entry(key).or_default().push(row);
        } else {
            rows.push((key, request(entry, &row)));
        }
    }
    for (key, runs) in runs {
        let of = &runs[0];
        let first = [of.key.user.to_string(), shown(of.schedule_id), String::new(), shown(of.device_id)];
        let of = (first, shown(of.variant), vec![String::new(); 9], vec![String::new(); 3]);
        rows.push((key, whole("Runs", of, &runs)));
    }
    for (place, of) in &schedules {
        let runs = of_schedules.remove(place).unwrap_or_default();
        if is_shown(asked, filter, of, !runs.is_empty()) {
            let (device, variant) = (text_of(of.details.device), text_of(of.details.variant));
            let key = key_of(of.user, "Schedule", (device, variant, Some(of.id.to_string())));
            rows.push((key, schedule(asked, of, &runs)));
        }
    }
    rows.sort_by_key(|(key, cells)| (key.clone(), cells[16].clone(), cells[3].clone()));
    rows.into_iter().map(|(_, cells)| cells).collect()
}

fn key_of(user: UserId, entry: &str, of: (Option<String>, Option<String>, Option<String>)) -> Key {
    (user.to_string(), entry.to_owned(), last(of.0), last(of.1), last(of.2))
}

fn is_shown(asked: &Asked<'_>, filter: Filter<'_>, of: &ExpectedSchedule, ran: bool) -> bool {
    let (from, until) = asked.period.span();
    let (start, end) = (text_of(of.details.start), text_of(of.details.end));
    let ends_before = |day: &str| end.as_deref().is_some_and(|end| end < day);
    let is_within = of.created.is_none_or(|(_, at)| at < until)
        && of.removed.is_none_or(|(at, _)| at >= from)
        && !ends_before(&asked.period.from);
    let is_active = filter.active_on.is_none_or(|day| {
        let (begins, over) = (asked.period.start_of(day), asked.period.start_of(&next_day(day)));
        of.created.is_none_or(|(_, at)| at < over)
            && of.removed.is_none_or(|(at, _)| at >= begins)
            && start.as_deref().is_none_or(|start| start <= day)
            && !ends_before(day)
    });
    let is_variant = filter.variant.is_none_or(|only| text_of(of.details.variant).as_deref() == Some(only));
    let is_frequency =
        filter.frequency.is_none_or(|only| text_of(of.details.frequency).as_deref() == Some(only));
    (ran || is_within) && is_active && is_variant && is_frequency
}

fn next_day(day: &str) -> String {
    at(&format!("{day}T00:00:00Z")).plus_millis(DAY).to_string()[..10].to_owned()
}

fn request(entry: &str, row: &ExpectedTrail) -> Vec<String> {
    let mut cells = vec![
        entry.to_owned(),
        row.key.user.to_string(),
        shown(row.schedule_id),
        shown(row.request_id),
        shown(row.device_id),
        shown(row.mpxn),
        shown(row.variant),
    ];
    cells.extend(vec![String::new(); 9]);
    cells.extend([time(Some(row.received_at)), time(row.sent_at)]);
    cells.extend(vec![String::new(); 4]);
    cells.extend([row.current_status.to_string(), shown(row.response_code)]);
    cells.extend(vec![String::new(); 4]);
    cells
}

fn schedule(asked: &Asked<'_>, of: &ExpectedSchedule, runs: &[ExpectedTrail]) -> Vec<String> {
    let details = &of.details;
    let (request_id, created_at) = of.created.unzip();
    let window = details.window;
    let told = vec![
        shown(details.frequency),
        shown(details.start),
        shown(details.end),
        shown(details.execution_start),
        shown(window.map(|window| window.start_offset.offset())),
        shown(window.map(|window| window.start_time)),
        shown(window.map(|window| window.end_offset.offset())),
        shown(window.map(|window| window.end_time)),
        time(created_at),
    ];
    let due = next_due(of, asked.now.min(asked.period.span().1));
    let reason = of.removed.map(|(_, code)| match code {
        None => "Delete Schedule (5.3)".to_owned(),
        Some(code) => format!("DSPScheduleRemoval ({code})"),
    });
    let end = vec![time(due), time(of.removed.map(|(at, _)| at)), shown(reason)];
    let first = [of.user.to_string(), of.id.to_string(), shown(request_id), shown(details.device)];
    whole("Schedule", (first, shown(details.variant), told, end), runs)
}

/// A row of runs, of a schedule or of none: its first cells, its variant, what is told of the schedule, and its end.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of some days are exact")]
fn whole(
    entry: &str,
    (first, variant, told, end): ([String; 4], String, Vec<String>, Vec<String>),
    runs: &[ExpectedTrail],
) -> Vec<String> {
    let mut sum = Sum::default();
    runs.iter().for_each(|run| sum.add(run));
    let begun = runs.iter().map(|run| run.received_at).min();
    let newest = runs.iter().max_by_key(|run| (run.received_at, last(text_of(run.response_id))));
    let ended = newest.map(|run| run.received_at);
    let hours = ended.zip(begun).map(|(ended, begun)| (ended.millis() - begun.millis()) as f64 / 3_600_000.0);
    let mut cells = vec![entry.to_owned()];
    cells.extend(first);
    cells.push(shown(runs.iter().filter_map(|run| text_of(run.mpxn)).max()));
    cells.push(variant);
    cells.extend(told);
    cells.extend([time(begun), time(ended)]);
    cells.extend([sum.count, sum.success, sum.failure, sum.in_progress].map(|count| count.to_string()));
    cells.push(shown(newest.map(|run| run.current_status)));
    cells.push(shown(newest.and_then(|run| run.response_code)));
    cells.push(decimal(hours.filter(|_| runs.len() > 1).map(|hours| hours / (runs.len() - 1) as f64)));
    cells.extend(end);
    cells
}

/// The first day, counted from the first one on, that is after a time.
fn next_due(of: &ExpectedSchedule, after: Timestamp) -> Option<Timestamp> {
    let after = of.created.map_or(after, |(_, at)| at.max(after));
    let (start, time) = (of.details.start?, of.details.execution_start);
    let (step, months) = match of.details.frequency? {
        Frequency::Daily => (1, 0),
        Frequency::Weekly => (7, 0),
        Frequency::Monthly => (0, 1),
        Frequency::Quarterly => (0, 3),
        Frequency::HalfYearly => (0, 6),
        Frequency::Yearly => (0, 12),
    };
    // Days that are over by two and more need no look at the clocks.
    let passed = (after.millis() - at(&format!("{start}T00:00:00Z")).millis()) / DAY - 2;
    let first = if step > 0 { passed.max(0) / step } else { 0 };
    for number in first.. {
        let day = day_of(start, number * step, number * months);
        let due = instant(&day, time);
        if due > after {
            let is_over = text_of(of.details.end).is_some_and(|end| day > end);
            let is_removed = of.removed.is_some_and(|(at, _)| at <= due);
            return Some(due).filter(|_| !is_over && !is_removed);
        }
    }
    None
}

/// A day so many days or months after another; of a month that has no such day, the last.
fn day_of(start: ScheduleDay, days: i64, months: i64) -> String {
    let midnight = at(&format!("{start}T00:00:00Z")).plus_millis(days * DAY).to_string();
    let part = |from: usize, to: usize| -> i64 { midnight[from..to].parse().unwrap() };
    let (year, month, day) = (part(0, 4), part(5, 7) - 1 + months, part(8, 10));
    let (year, month) = (year + month / 12, month % 12 + 1);
    let days = (1..=day).rev().map(|day| format!("{year:04}-{month:02}-{day:02}"));
    days.into_iter().find(|day| format!("{day}T00:00:00Z").parse::<Timestamp>().is_ok()).unwrap()
}

fn instant(day: &str, time: Option<TimeOfDay>) -> Timestamp {
    let local = at(&format!("{day}T00:00:00Z")).plus_millis(time.map_or(0, |time| time.millis().into()));
    let an_hour_ahead = local.plus_millis(-HOUR);
    let is_uk = !time.is_some_and(TimeOfDay::is_utc);
    if is_uk && is_summer(an_hour_ahead) { an_hour_ahead } else { local }
}

/// Whether clocks in the United Kingdom are an hour ahead.
fn is_summer(time: Timestamp) -> bool {
    let change = |month: u32| {
        let last = at(&format!("{:04}-{month:02}-31T01:00:00Z", time.year()));
        // The first of January 1970 was a Thursday.
        let weekday = (last.millis() / DAY + 4) % 7;
        last.plus_millis(-weekday * DAY)
    };
    (change(3)..change(10)).contains(&time)
}
