//! Each report holds what plain sums over a region's script come to. Nothing here uses the statements, the engine, or tables of time zones.

use crate::it::world::*;
use gridtrail_lake::{CompactionSettings, Lake};
use gridtrail_model::*;
use gridtrail_synth::{ExpectedTrail, World};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

/// Clocks go forward at this instant; the only change in these worlds.
const CHANGE: &str = "2026-03-29T01:00:00Z";
/// March by UK time.
const MARCH: (&str, &str) = ("2026-03-01T00:00:00Z", "2026-03-31T23:00:00Z");

struct Region {
    seed: u64,
    world: World,
    lake: Lake,
    users: BTreeSet<UserId>,
}

/// A region and two of its Users, one of them a supplier with much to do.
async fn a_region(seed: u64) -> Region {
    let world = region(seed);
    let events: Vec<Event> = world.events().collect();
    let lake = lake_of(&events, events.len() / 7 + 1).await;
    let mut counts: BTreeMap<UserId, usize> = BTreeMap::new();
    world.truth().for_each(|row| *counts.entry(row.key.user).or_default() += 1);
    let mut users: Vec<(usize, UserId)> = counts.into_iter().map(|(user, count)| (count, user)).collect();
    users.sort();
    let users = [users.last().unwrap().1, users[0].1].into();
    Region { seed, world, lake, users }
}

impl Region {
    fn rows(&self) -> Vec<ExpectedTrail> {
        self.world.truth().filter(|row| self.users.contains(&row.key.user)).collect()
    }

    async fn check(&self, name: &str, given: &[(&str, &str)], expected: Vec<Vec<String>>) {
        let seed = self.seed;
        assert!(!expected.is_empty(), "{name}, seed {seed}: there is nothing to compare");
        let (report, who) = (report(name), access_of(self.users.iter().copied(), 11));
        let found = texts(&report, (&self.lake, &who), given).await;
        let differs = found.iter().zip(&expected).find(|(found, expected)| found != expected);
        assert_eq!(differs, None, "{name}, seed {seed}");
        assert_eq!(found.len(), expected.len(), "{name}, seed {seed}");
    }
}

fn shown(value: Option<impl Display>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// A time, with the milliseconds that it has.
fn time(value: Option<Timestamp>) -> String {
    value.map_or_else(String::new, |at| {
        let text = at.to_string();
        if text.contains('.') { text } else { text.replace('Z', ".000Z") }
    })
}

/// A number with at most three decimals.
fn decimal(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| ((value * 1_000.0).round() / 1_000.0).to_string())
}

/// As an ascending sort puts a value that may be missing: last.
fn last<T>(value: Option<T>) -> (bool, Option<T>) {
    (value.is_none(), value)
}

fn text_of<T: Display>(value: Option<T>) -> Option<String> {
    value.map(|value| value.to_string())
}

fn is_alert(mode: Mode) -> bool {
    matches!(mode, Mode::DeviceAlert | Mode::DccAlert | Mode::MeterScheduled)
}

fn is_within(received: Timestamp, (from, until): (&str, &str)) -> bool {
    (at(from)..at(until)).contains(&received)
}

#[derive(Default)]
struct Sum {
    count: u64,
    success: u64,
    failure: u64,
    in_progress: u64,
    quarantined: u64,
    millis: Vec<i64>,
}

impl Sum {
    fn add(&mut self, row: &ExpectedTrail) {
        self.count += 1;
        match row.simplified {
            Simplified::Success => self.success += 1,
            Simplified::Failure => self.failure += 1,
            Simplified::InProgress => self.in_progress += 1,
        }
        self.quarantined += u64::from(row.anomaly_detection_flag);
        self.millis.extend(row.sent_at.map(|sent| sent.millis() - row.received_at.millis()));
    }

    #[expect(clippy::cast_precision_loss, reason = "milliseconds of some days are exact")]
    fn average(&self) -> Option<f64> {
        let count = self.millis.len() as f64;
        (count > 0.0).then(|| self.millis.iter().sum::<i64>() as f64 / count / 1_000.0)
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "small"
    )]
    fn p95(&self) -> Option<f64> {
        let mut millis = self.millis.clone();
        millis.sort_unstable();
        let place = (millis.len().checked_sub(1)?) as f64 * 0.95;
        let (low, high) = (millis[place.floor() as usize] as f64, millis[place.ceil() as usize] as f64);
        // The place between the two is known to a millionth.
        let weight = (place.fract() * 1_000_000.0).trunc() / 1_000_000.0;
        Some((low + (high - low) * weight) / 1_000.0)
    }
}

async fn monthly_transactions(region: &Region) {
    type Key = (String, (bool, Option<String>), String);
    let mut sums: BTreeMap<Key, (ExpectedTrail, Sum)> = BTreeMap::new();
    for row in region.rows().into_iter().filter(|row| is_within(row.received_at, MARCH)) {
        let key = (row.key.user.to_string(), last(text_of(row.variant)), row.mode.to_string());
        sums.entry(key).or_insert_with(|| (row, Sum::default())).1.add(&row);
    }
    let row = |((user, (_, variant), mode), (first, sum)): (&Key, &(ExpectedTrail, Sum))| {
        let name = first.variant.and_then(|variant| variant.entry()).map(|entry| entry.name);
        vec![
            user.clone(),
            shown(variant.as_ref()),
            shown(name),
            mode.clone(),
            sum.count.to_string(),
            sum.success.to_string(),
            sum.failure.to_string(),
            sum.in_progress.to_string(),
            sum.quarantined.to_string(),
            decimal(sum.average()),
            decimal(sum.p95()),
        ]
    };
    region.check("monthly-transactions", &[("month", "2026-03")], sums.iter().map(row).collect()).await;
}

async fn device_transactions(region: &Region) {
    let rows = region.rows();
    let mut counts: BTreeMap<DeviceId, usize> = BTreeMap::new();
    rows.iter().filter_map(|row| row.device_id).for_each(|device| *counts.entry(device).or_default() += 1);
    let device = *counts.iter().max_by_key(|(_, count)| **count).unwrap().0;
    // From the 29th to the 31st, by UK time.
    let days = ("2026-03-29T00:00:00Z", "2026-03-31T23:00:00Z");
    let is_here = |row: &ExpectedTrail| row.device_id == Some(device) && is_within(row.received_at, days);
    let mut rows: Vec<ExpectedTrail> = rows.into_iter().filter(is_here).collect();
    rows.sort_by_key(|row| {
        let leg = last(row.command_variant.map(CommandVariant::number));
        (
            row.received_at,
            row.key.user.to_string(),
            last(text_of(row.request_id)),
            leg,
            last(text_of(row.response_id)),
        )
    });
    let row = |row: &ExpectedTrail| {
        vec![
            time(Some(row.received_at)),
            row.key.user.to_string(),
            shown(row.device_id),
            shown(row.mpxn),
            shown(row.variant.map(ServiceReferenceVariant::service_reference)),
            shown(row.variant),
            shown(row.variant.and_then(|variant| variant.entry()).map(|entry| entry.name)),
            row.mode.to_string(),
            shown(row.command_variant),
            shown(row.alert_code),
            shown(row.request_id),
            shown(row.response_id),
            shown(row.preceding_request_id),
            shown(row.gbcs_transaction_sequence_number),
            row.csp_region.map_or(SsiRegion::Unknown, CspRegion::to_ssi).to_string(),
            row.simplified.to_string(),
            row.current_status.to_string(),
            shown(row.response_code),
            time(row.sent_at),
            time(row.execution_at),
            if row.anomaly_detection_flag { "yes" } else { "no" }.to_owned(),
        ]
    };
    let device = device.to_string();
    let given = [("device_id", device.as_str()), ("from", "2026-03-29"), ("until", "2026-03-31")];
    region.check("device-transactions", &given, rows.iter().map(row).collect()).await;
}

/// An instant as clocks in the United Kingdom show it.
fn uk(at_: Timestamp) -> String {
    let (hours, zone) = if at_ < at(CHANGE) { (0, "+00:00") } else { (1, "+01:00") };
    let wall = at_.plus_millis(hours * 3_600_000).to_string();
    format!("{}{zone}", &wall[..19])
}

async fn load_balance(region: &Region) {
    // The 28th to the 30th: 24, 23 and 24 hours.
    let (first, end) = (at("2026-03-28T00:00:00Z"), at("2026-03-30T23:00:00Z"));
    for (slot, step) in [("hour", 3_600_000), ("half hour", 1_800_000)] {
        let slots = usize::try_from((end.millis() - first.millis()) / step).unwrap();
        let mut counts: BTreeMap<String, Vec<[u32; 5]>> = BTreeMap::new();
        for row in region.rows() {
            let mut count = |which: usize, moment: Option<Timestamp>| {
                let Some(moment) = moment.filter(|moment| (first..end).contains(moment)) else { return };
                let number = usize::try_from((moment.millis() - first.millis()) / step).unwrap();
                let of_user = counts.entry(row.key.user.to_string());
                of_user.or_insert_with(|| vec![[0; 5]; slots])[number][which] += 1;
            };
            let which = match row.mode {
                Mode::DspScheduled => 1,
                mode if is_alert(mode) => 4,
                _ => 0,
            };
            count(which, Some(row.received_at));
            count(2, row.execution_at.filter(|_| row.mode == Mode::FutureDate));
            count(3, row.sent_at.filter(|_| !is_alert(row.mode)));
        }
        let mut expected = Vec::new();
        for (user, slots) in &counts {
            for (number, counts) in slots.iter().enumerate() {
                let start = first.plus_millis(i64::try_from(number).unwrap() * step);
                let day = uk(start)[..10].to_owned();
                let of_day: Vec<u32> = slots
                    .iter()
                    .enumerate()
                    .filter(|(other, _)| {
                        uk(first.plus_millis(i64::try_from(*other).unwrap() * step))[..10] == day
                    })
                    .map(|(_, counts)| counts[0] + counts[1])
                    .collect();
                let total = f64::from(of_day.iter().sum::<u32>());
                let peak = f64::from(*of_day.iter().max().unwrap());
                let mut row = vec![user.clone(), time(Some(start)), uk(start)];
                row.extend(counts.map(|count| count.to_string()));
                let is_any = total > 0.0;
                row.push(decimal(is_any.then(|| 100.0 * f64::from(counts[0] + counts[1]) / total)));
                row.push(decimal(
                    is_any.then(|| peak * f64::from(u32::try_from(of_day.len()).unwrap()) / total),
                ));
                expected.push(row);
            }
        }
        let given = [("from", "2026-03-28"), ("until", "2026-03-30"), ("slot", slot)];
        region.check("load-balance", &given, expected).await;
    }
}

async fn firmware_activations(region: &Region) {
    let rows = region.rows();
    let is_firmware = |row: &&ExpectedTrail| matches!(text_of(row.variant).as_deref(), Some("11.1" | "11.3"));
    let days = ("2026-03-28T00:00:00Z", "2026-04-01T23:00:00Z");
    let mut requests: Vec<&ExpectedTrail> =
        rows.iter().filter(is_firmware).filter(|row| is_within(row.received_at, days)).collect();
    requests.sort_by_key(|row| {
        let leg = last(row.command_variant.map(CommandVariant::number));
        (row.received_at, row.key.user.to_string(), last(text_of(row.request_id)), leg)
    });
    let verified = |request: &ExpectedTrail| {
        let of_device = rows.iter().filter(|row| {
            matches!(text_of(row.alert_code).as_deref(), Some("8F72" | "8F1C"))
                && (row.key.user, row.device_id) == (request.key.user, request.device_id)
                && row.received_at <= request.received_at
        });
        of_device.max_by_key(|row| (row.received_at, text_of(row.alert_code))).copied()
    };
    let row = |request: &&ExpectedTrail| {
        let is_activation = text_of(request.variant).as_deref() == Some("11.3");
        let verified = verified(request).filter(|_| is_activation);
        vec![
            if is_activation { "Activation" } else { "Distribution" }.to_owned(),
            request.key.user.to_string(),
            shown(request.request_id),
            shown(request.command_variant),
            shown(request.device_id),
            shown(request.mpxn),
            usize::from(request.concerned_device.is_some()).to_string(),
            time(Some(request.received_at)),
            time(request.execution_at),
            shown(verified.and_then(|row| row.alert_code)),
            time(verified.map(|row| row.received_at)),
            time(request.sent_at),
            shown(request.response_code),
            request.simplified.to_string(),
            request.current_status.to_string(),
        ]
    };
    let given = [("from", "2026-03-28"), ("until", "2026-04-01")];
    region.check("firmware-activations", &given, requests.iter().map(row).collect()).await;
}

async fn scheduled_service_requests(region: &Region) {
    type Key = (String, String, (bool, Option<String>), (bool, Option<String>), (bool, Option<String>));
    let days = ("2026-03-28T00:00:00Z", "2026-04-01T23:00:00Z");
    let mut runs: BTreeMap<Key, Vec<ExpectedTrail>> = BTreeMap::new();
    let mut requests: Vec<(Key, Vec<String>)> = Vec::new();
    for row in region.rows().into_iter().filter(|row| is_within(row.received_at, days)) {
        let entry = match (row.mode, text_of(row.variant).as_deref()) {
            (Mode::DspScheduled, _) => "Runs",
            (_, Some("5.1")) => "Create Schedule",
            (_, Some("5.2")) => "Read Schedule",
            (_, Some("5.3")) => "Delete Schedule",
            _ => continue,
        };
        let key = (
            row.key.user.to_string(),
            entry.to_owned(),
            last(text_of(row.device_id)),
            last(text_of(row.variant)),
            last(text_of(row.schedule_id)),
        );
        if row.mode == Mode::DspScheduled {
            runs.entry(key).or_default().push(row);
            continue;
        }
        let cells = [
            entry.to_owned(),
            row.key.user.to_string(),
            shown(row.schedule_id),
            shown(row.request_id),
            shown(row.device_id),
            shown(row.mpxn),
            shown(row.variant),
            time(Some(row.received_at)),
            time(row.sent_at),
        ];
        let end = [row.current_status.to_string(), shown(row.response_code), String::new()];
        let cells = cells.into_iter().chain(vec![String::new(); 4]).chain(end).collect();
        requests.push((key, cells));
    }
    let of_runs = runs.into_iter().map(|(key, runs)| (key.clone(), cells_of_runs(&key.1, &runs)));
    let mut expected: Vec<(Key, Vec<String>)> = requests.into_iter().chain(of_runs).collect();
    expected.sort_by_key(|(key, cells)| (key.clone(), cells[7].clone(), cells[3].clone()));
    assert!(expected.iter().any(|(key, _)| key.1 == "Runs"));
    let given = [("from", "2026-03-28"), ("until", "2026-04-01")];
    let expected = expected.into_iter().map(|(_, cells)| cells).collect();
    region.check("scheduled-service-requests", &given, expected).await;
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of some days are exact")]
fn cells_of_runs(entry: &str, runs: &[ExpectedTrail]) -> Vec<String> {
    let mut sum = Sum::default();
    runs.iter().for_each(|run| sum.add(run));
    let first = runs.iter().map(|run| run.received_at).min().unwrap();
    let newest = runs.iter().max_by_key(|run| (run.received_at, last(text_of(run.response_id)))).unwrap();
    let between = (newest.received_at.millis() - first.millis()) as f64 / 3_600_000.0;
    vec![
        entry.to_owned(),
        newest.key.user.to_string(),
        shown(newest.schedule_id),
        String::new(),
        shown(newest.device_id),
        shown(runs.iter().filter_map(|run| text_of(run.mpxn)).max()),
        shown(newest.variant),
        time(Some(first)),
        time(Some(newest.received_at)),
        sum.count.to_string(),
        sum.success.to_string(),
        sum.failure.to_string(),
        sum.in_progress.to_string(),
        newest.current_status.to_string(),
        shown(newest.response_code),
        decimal((runs.len() > 1).then(|| between / (runs.len() - 1) as f64)),
    ]
}

/// Zero differences, in worlds whose clock changes and whose month ends within them, before and after compaction.
#[tokio::test(flavor = "multi_thread")]
async fn reports_hold_what_the_script_says() {
    for seed in [21, 22, 23] {
        let region = a_region(seed).await;
        for is_compacted in [false, true] {
            if is_compacted {
                let full = CompactionSettings { full: true, ..CompactionSettings::default() };
                region.lake.maintenance().await.unwrap().compact(&full).await.unwrap();
            }
            monthly_transactions(&region).await;
            device_transactions(&region).await;
            load_balance(&region).await;
            firmware_activations(&region).await;
            scheduled_service_requests(&region).await;
        }
    }
}
