//! `gridtrail bench search`: a closed loop of searches by Device, and how long they took.
//!
//! Each of the concurrent callers has a connection of its own and asks again as soon as it is answered, so what is
//! measured is the server's time under just that much load, never a queue that the tool itself built up.

use crate::args::BenchSearchArgs;
use crate::client::{Caller, View, period_of, token_of};
use crate::exit::Failure;
use crate::output;
use gridtrail_model::DeviceId;
use gridtrail_proto::query::v1::SearchRequest;
use gridtrail_proto::query::v1::search_request::Key;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

pub(crate) async fn run(args: &BenchSearchArgs) -> Result<(), Failure> {
    let devices: Arc<[DeviceId]> = read_devices(&args.devices)?.into();
    let token = token_of(&args.credential)?;
    let (from, to) = period_of(args.from, args.to);
    let request = SearchRequest { from, to, page_size: args.page_size, ..SearchRequest::default() };
    let duration = Duration::from_secs(args.duration.seconds().into());
    let mut callers = JoinSet::new();
    // All connections first, so that the warm-up starts with everybody there.
    let mut connected = Vec::new();
    for _ in 0..args.concurrency {
        connected.push(Caller::connect(&args.server, &token).await?);
    }
    let begin = Instant::now() + duration / 10;
    for (number, caller) in (0..).zip(connected) {
        let chance = Chance(args.seed.wrapping_add(number << 32));
        let asking = Asking { caller, request: request.clone(), devices: Arc::clone(&devices), chance };
        callers.spawn(asking.until(begin, begin + duration));
    }
    let mut tally = Tally::new()?;
    while let Some(done) = callers.join_next().await {
        tally.add(&done.map_err(|_| Failure::Process("a caller of the bench panicked"))??);
    }
    output::write_json(&mut io::stdout().lock(), &tally.report(duration))
}

fn read_devices(path: &Path) -> Result<Vec<DeviceId>, Failure> {
    let text = std::fs::read_to_string(path).map_err(Failure::file("read", path))?;
    let wrong = |reason| Failure::Argument { argument: "--devices", reason };
    let devices = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::parse);
    let devices: Vec<DeviceId> = devices
        .collect::<Result<_, _>>()
        .map_err(|error: gridtrail_model::ParseError| wrong(error.to_string()))?;
    if devices.is_empty() { Err(wrong("the file names no Device".to_owned())) } else { Ok(devices) }
}

/// Numbers from a seed (SplitMix64): order matters little here, being repeatable does.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        // The remainder is below the length, so it fits.
        all[usize::try_from(self.next() % all.len() as u64).unwrap_or_default()]
    }
}

/// One caller in its loop.
struct Asking {
    caller: Caller,
    request: SearchRequest,
    devices: Arc<[DeviceId]>,
    chance: Chance,
}

impl Asking {
    /// Asks until the end; counts what begins after `begin`.
    async fn until(mut self, begin: Instant, end: Instant) -> Result<Tally, Failure> {
        let mut tally = Tally::new()?;
        loop {
            let start = Instant::now();
            if start >= end {
                return Ok(tally);
            }
            let device = self.chance.pick(&self.devices);
            self.request.key = Some(Key::DeviceId(device.to_string()));
            let answer = self.caller.search(View::Audit, &self.request).await;
            if start >= begin {
                tally.count(start.elapsed(), answer.map(|page| page.rows.len() as u64));
            }
        }
    }
}

/// What was measured.
pub(crate) struct Tally {
    micros: Histogram<u64>,
    rows: u64,
    errors: u64,
    first_error: Option<String>,
}

impl Tally {
    pub(crate) fn new() -> Result<Self, Failure> {
        // One microsecond to two minutes, to three digits.
        let micros = Histogram::new_with_bounds(1, 120_000_000, 3)
            .map_err(|_| Failure::Process("the histogram's bounds are wrong"))?;
        Ok(Self { micros, rows: 0, errors: 0, first_error: None })
    }

    pub(crate) fn count(&mut self, taken: Duration, answer: Result<u64, Failure>) {
        match answer {
            Ok(rows) => {
                self.rows += rows;
                self.micros.saturating_record(u64::try_from(taken.as_micros()).unwrap_or(u64::MAX));
            }
            Err(failure) => {
                self.errors += 1;
                self.first_error.get_or_insert_with(|| failure.report());
            }
        }
    }

    fn add(&mut self, other: &Self) {
        // Both have the same bounds, so this cannot fail.
        let _ = self.micros.add(&other.micros);
        self.rows += other.rows;
        self.errors += other.errors;
        self.first_error = self.first_error.take().or_else(|| other.first_error.clone());
    }

    /// The share of answers that took at most so long, in milliseconds.
    pub(crate) fn millis_at(&self, quantile: f64) -> f64 {
        self.micros.value_at_quantile(quantile) as f64 / 1_000.0
    }

    fn report(self, duration: Duration) -> BenchReport {
        let requests = self.micros.len();
        BenchReport {
            requests,
            errors: self.errors,
            rows: self.rows,
            seconds: duration.as_secs_f64(),
            qps: requests as f64 / duration.as_secs_f64(),
            p50_ms: self.millis_at(0.50),
            p95_ms: self.millis_at(0.95),
            p99_ms: self.millis_at(0.99),
            max_ms: self.micros.max() as f64 / 1_000.0,
            first_error: self.first_error,
        }
    }
}

/// The result of a bench. The fields are an interface.
#[derive(Debug, Serialize)]
struct BenchReport {
    requests: u64,
    errors: u64,
    rows: u64,
    seconds: f64,
    qps: f64,
    p50_ms: f64,
    p95_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_error: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_calls_are_counted_apart_and_told() {
        let mut tally = Tally::new().unwrap();
        (1..=100).for_each(|ms| tally.count(Duration::from_millis(ms), Ok(2)));
        tally.count(Duration::from_secs(9), Err(Failure::Process("no")));
        let mut all = Tally::new().unwrap();
        all.add(&tally);
        let report = all.report(Duration::from_secs(10));
        assert_eq!((report.requests, report.errors, report.rows), (100, 1, 200));
        assert!((report.qps - 10.0).abs() < 1e-9);
        assert!((49.0..=51.0).contains(&report.p50_ms), "{}", report.p50_ms);
        assert!((99.0..=101.0).contains(&report.max_ms), "the failed call counts: {}", report.max_ms);
        assert_eq!(report.first_error.as_deref(), Some("no"));
    }

    #[test]
    fn the_same_seed_asks_in_the_same_order() {
        let order = |seed| {
            let mut chance = Chance(seed);
            (0..20).map(|_| chance.pick(&[1, 2, 3, 4, 5])).collect::<Vec<_>>()
        };
        assert_eq!(order(7), order(7));
        assert_ne!(order(7), order(8));
        assert!((1..=5).all(|n| order(7).contains(&n)));
    }
}
