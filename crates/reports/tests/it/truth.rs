//! Each report of transactions holds what plain sums over a region's script come to. Nothing here uses the statements, the engine, or tables of time zones.

use crate::it::world::*;
use gridtrail_access::Access;
use gridtrail_lake::Lake;
use gridtrail_model::*;
use gridtrail_synth::{ExpectedTrail, World};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

/// Rows that are to be reported, and what is asked.
pub(crate) struct Asked<'a> {
    /// What tells of which world a fault is.
    pub(crate) seed: u64,
    pub(crate) world: &'a World,
    pub(crate) lake: &'a Lake,
    /// Who asks, and when.
    pub(crate) who: &'a Access,
    pub(crate) now: Timestamp,
    /// The User IDs whose rows they see.
    pub(crate) users: BTreeSet<UserId>,
    pub(crate) period: &'a Period,
}

/// Days by UK time, one of which is that of a clock change.
#[derive(Debug)]
pub(crate) struct Period {
    /// The first day and the last, and the month, as a caller names them.
    pub(crate) from: String,
    pub(crate) until: String,
    pub(crate) month: &'static str,
    /// The first instants of the month, and after it.
    pub(crate) of_month: (Timestamp, Timestamp),
    /// When clocks change, and how many hours they are ahead before and afterwards.
    pub(crate) change: Timestamp,
    pub(crate) ahead: (i64, i64),
}

impl Period {
    /// How many hours clocks are ahead of UTC.
    fn ahead_at(&self, at: Timestamp) -> i64 {
        if at < self.change { self.ahead.0 } else { self.ahead.1 }
    }

    /// An instant as clocks in the United Kingdom show it.
    fn uk(&self, at: Timestamp) -> String {
        let hours = self.ahead_at(at);
        format!("{}+0{hours}:00", &at.plus_millis(hours * 3_600_000).to_string()[..19])
    }

    /// The first instant of a day. Clocks change an hour or two later, so it is as far from midnight in UTC as clocks are ahead then.
    pub(crate) fn start_of(&self, day: &str) -> Timestamp {
        let midnight = at(&format!("{day}T00:00:00Z"));
        midnight.plus_millis(-self.ahead_at(midnight) * 3_600_000)
    }

    /// The first instant, and the first after the last day.
    pub(crate) fn span(&self) -> (Timestamp, Timestamp) {
        let next = at(&format!("{}T00:00:00Z", self.until)).plus_millis(86_400_000).to_string();
        (self.start_of(&self.from), self.start_of(&next[..10]))
    }

    pub(crate) fn given(&self) -> [(&str, &str); 2] {
        [("from", &self.from), ("until", &self.until)]
    }
}

impl Asked<'_> {
    pub(crate) fn rows(&self) -> Vec<ExpectedTrail> {
        let firmware = self.world.firmware().flat_map(|story| story.trails);
        self.world.truth().chain(firmware).filter(|row| self.users.contains(&row.key.user)).collect()
    }

    pub(crate) fn rows_of_period(&self) -> Vec<ExpectedTrail> {
        let span = self.period.span();
        self.rows().into_iter().filter(|row| is_within(row.received_at, span)).collect()
    }

    /// Zero differences. Returns how many rows there are.
    pub(crate) async fn check(
        &self,
        name: &str,
        given: &[(&str, &str)],
        expected: Vec<Vec<String>>,
    ) -> usize {
        let of = format!("{name}, seed {}, {:?}", self.seed, self.period);
        let found = texts_at(&report(name), (self.lake, self.who, self.now), given).await;
        let differs = found.iter().zip(&expected).find(|(found, expected)| found != expected);
        assert_eq!(differs, None, "{of}");
        assert_eq!(found.len(), expected.len(), "{of}");
        found.len()
    }
}

pub(crate) fn shown(value: Option<impl Display>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// A time, with the milliseconds that it has.
pub(crate) fn time(value: Option<Timestamp>) -> String {
    value.map_or_else(String::new, |at| {
        let text = at.to_string();
        if text.contains('.') { text } else { text.replace('Z', ".000Z") }
    })
}

/// A number with at most three decimals.
pub(crate) fn decimal(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| ((value * 1_000.0).round() / 1_000.0).to_string())
}

/// As an ascending sort puts a value that may be missing: last.
pub(crate) fn last<T>(value: Option<T>) -> (bool, Option<T>) {
    (value.is_none(), value)
}

pub(crate) fn text_of<T: Display>(value: Option<T>) -> Option<String> {
    value.map(|value| value.to_string())
}

fn is_alert(mode: Mode) -> bool {
    matches!(mode, Mode::DeviceAlert | Mode::DccAlert | Mode::MeterScheduled)
}

pub(crate) fn is_within(received: Timestamp, (from, until): (Timestamp, Timestamp)) -> bool {
    (from..until).contains(&received)
}

#[derive(Default)]
pub(crate) struct Sum {
    pub(crate) count: u64,
    pub(crate) success: u64,
    pub(crate) failure: u64,
    pub(crate) in_progress: u64,
    quarantined: u64,
    millis: Vec<i64>,
}

impl Sum {
    pub(crate) fn add(&mut self, row: &ExpectedTrail) {
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

pub(crate) async fn monthly_transactions(asked: &Asked<'_>) -> usize {
    type Key = (String, (bool, Option<String>), String);
    let mut sums: BTreeMap<Key, (ExpectedTrail, Sum)> = BTreeMap::new();
    for row in asked.rows().into_iter().filter(|row| is_within(row.received_at, asked.period.of_month)) {
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
    let given = [("month", asked.period.month)];
    asked.check("monthly-transactions", &given, sums.iter().map(row).collect()).await
}

pub(crate) async fn device_transactions(asked: &Asked<'_>) -> usize {
    let rows = asked.rows_of_period();
    let mut counts: BTreeMap<DeviceId, usize> = BTreeMap::new();
    rows.iter().filter_map(|row| row.device_id).for_each(|device| *counts.entry(device).or_default() += 1);
    let Some((device, _)) = counts.iter().max_by_key(|(_, count)| **count) else { return 0 };
    let device = *device;
    let is_here = |row: &ExpectedTrail| row.device_id == Some(device);
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
    let [from, until] = asked.period.given();
    let given = [("device_id", device.as_str()), from, until];
    asked.check("device-transactions", &given, rows.iter().map(row).collect()).await
}

pub(crate) async fn load_balance(asked: &Asked<'_>) -> usize {
    let ((first, end), uk) = (asked.period.span(), |at| asked.period.uk(at));
    let mut found = 0;
    for (slot, step) in [("hour", 3_600_000), ("half hour", 1_800_000)] {
        let slots = usize::try_from((end.millis() - first.millis()) / step).unwrap();
        let mut counts: BTreeMap<String, Vec<[u32; 5]>> = BTreeMap::new();
        for row in asked.rows() {
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
        let [from, until] = asked.period.given();
        found += asked.check("load-balance", &[from, until, ("slot", slot)], expected).await;
    }
    found
}
