//! `gridtrail bench search` and `bench inventory`: a closed loop of calls, how long they took, and what they cost the server.
//!
//! Each of the concurrent callers has a connection of its own and asks again as soon as it is answered, so what is
//! measured is the server's time under just that much load, never a queue that the tool itself built up.

use crate::args::{
    BenchInventoryArgs, BenchSearchArgs, Credential, InventoryBy, InventoryCall, LoadArgs, SearchedBy,
    ServerArgs,
};
use crate::client::{Caller, View, period_of, token_of};
use crate::exit::Failure;
use crate::generate::PremisesKeys;
use crate::output;
use gridtrail_lake::Cost;
use gridtrail_model::{DeviceId, Mpxn};
use gridtrail_proto::query::v1::search_request::Key;
use gridtrail_proto::query::v1::{
    GetDeviceRequest, InventorySearchRequest, RowView, SearchRequest, get_device_request,
};
use hdrhistogram::Histogram;
use serde::Serialize;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

pub(crate) async fn run(args: &BenchSearchArgs) -> Result<(), Failure> {
    let (from, to) = period_of(args.from, args.to);
    let columns = if args.table { RowView::Table } else { RowView::Full };
    let view = if args.meter_reads { View::MeterReads } else { View::Audit };
    let all = SearchRequest {
        from,
        to,
        page_size: args.page_size,
        view: columns.into(),
        ..SearchRequest::default()
    };
    let ask = |key| Question::Search(view, SearchRequest { key: Some(key), ..all.clone() });
    let questions = keys_of(args)?.into_iter().map(ask).collect();
    load(questions, &args.credential, &args.server, &args.load).await
}

/// `gridtrail bench inventory`.
pub(crate) async fn run_inventory(args: &BenchInventoryArgs) -> Result<(), Failure> {
    use get_device_request::Key;
    let key = |premises: PremisesKeys| match args.by {
        InventoryBy::Device => premises.device_id.map(Key::DeviceId),
        InventoryBy::Mpxn => premises.mpxn.map(Key::Mpxn),
        InventoryBy::Uprn => premises.uprn.map(Key::Uprn),
        InventoryBy::Postcode => premises.postcode.map(Key::Postcode),
    };
    let search = |key| {
        let mut request = InventorySearchRequest::default();
        match key {
            Key::DeviceId(device) => request.device_id = device,
            Key::Mpxn(mpxn) => request.mpxn = mpxn,
            Key::Uprn(uprn) => request.uprn = uprn,
            Key::Postcode(postcode) => request.postcode = postcode,
        }
        Question::Inventory(request)
    };
    let device = |key| Question::Device(GetDeviceRequest { key: Some(key), ..GetDeviceRequest::default() });
    let hub = |premises: PremisesKeys| premises.hub.and_then(|hub| hub.parse().ok());
    let keys = || keys_of_premises(&args.keys, key).map(Vec::into_iter);
    let questions = match args.ask {
        InventoryCall::Search => keys()?.map(search).collect(),
        InventoryCall::Device => keys()?.map(device).collect(),
        InventoryCall::Hub => keys_of_premises(&args.keys, hub)?.into_iter().map(Question::Hub).collect(),
    };
    load(questions, &args.credential, &args.server, &args.load).await
}

/// Asks a server from many callers at once, and prints how long it took.
async fn load(
    questions: Arc<[Question]>,
    credential: &Credential,
    server: &ServerArgs,
    args: &LoadArgs,
) -> Result<(), Failure> {
    let token = token_of(credential)?;
    let duration = Duration::from_secs(args.duration.seconds().into());
    let mut callers = JoinSet::new();
    // All connections first, so that the warm-up starts with everybody there.
    let mut connected = Vec::new();
    for _ in 0..args.concurrency {
        connected.push(Caller::connect(server, &token).await?);
    }
    let began = Instant::now();
    let begin = began + if args.each { Duration::ZERO } else { duration / 10 };
    for (number, caller) in connected.into_iter().enumerate() {
        let order = if args.each {
            Order::Each { next: number, step: args.concurrency.into() }
        } else {
            Order::Chance(Chance(args.seed.wrapping_add((number as u64) << 32)))
        };
        let asking = Asking { caller, questions: Arc::clone(&questions), order };
        callers.spawn(asking.until(begin, begin + duration));
    }
    let mut tally = Tally::new()?;
    while let Some(done) = callers.join_next().await {
        tally.add(&done.map_err(|_| Failure::Process("a caller of the bench panicked"))??);
    }
    let took = if args.each { began.elapsed() } else { duration };
    output::write_json(&mut io::stdout().lock(), &tally.report(took))
}

/// One call.
enum Question {
    Search(View, SearchRequest),
    Inventory(InventorySearchRequest),
    Device(GetDeviceRequest),
    Hub(DeviceId),
}

impl Question {
    /// How many rows came back, and what they cost the server where it says so.
    async fn ask(&self, caller: &Caller) -> Result<(u64, Option<Cost>), Failure> {
        match self {
            Self::Search(view, request) => {
                let (page, cost) = caller.search_with_cost(*view, request).await?;
                Ok((page.rows.len() as u64, cost))
            }
            Self::Inventory(request) => {
                let page = caller.search_inventory(request).await?;
                Ok((page.devices.len() as u64, None))
            }
            Self::Device(request) => {
                let page = caller.get_device(request).await?;
                let around = page.devices.iter().map(|device| 1 + device.others.len() as u64);
                Ok((around.sum(), None))
            }
            Self::Hub(device) => {
                let hub = caller.hub(*device).await?;
                Ok((hub.last_commands.len() as u64, None))
            }
        }
    }
}

/// What is asked for.
fn keys_of(args: &BenchSearchArgs) -> Result<Vec<Key>, Failure> {
    if let (Some(path), Some(by)) = (&args.keys, args.by) {
        return keys_of_premises(path, |premises| match by {
            SearchedBy::Device => premises.device_id.map(Key::DeviceId),
            SearchedBy::Mpxn => premises.mpxn.map(Key::Mpxn),
            SearchedBy::Uprn => premises.uprn.map(Key::Uprn),
        });
    }
    // One of the two is there: the arguments say so.
    read_keys(args.devices.as_deref().unwrap_or(Path::new("")))
}

/// A key of each premises in a file of `gridtrail generate --keys` that has one.
pub(crate) fn keys_of_premises<K>(
    path: &Path,
    key: impl Fn(PremisesKeys) -> Option<K>,
) -> Result<Vec<K>, Failure> {
    let wrong = |reason| Failure::Argument { argument: "--keys", reason };
    let text = crate::text::read(path)?;
    let lines: Vec<PremisesKeys> = text
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .map_err(|error| wrong(format!("this is no file of `gridtrail generate --keys`: {error}")))?;
    let keys: Vec<K> = lines.into_iter().filter_map(key).collect();
    if keys.is_empty() { Err(wrong("no premises has such a key".to_owned())) } else { Ok(keys) }
}

/// The keys of a file, one a line: Device IDs, or MPxNs.
fn read_keys(path: &Path) -> Result<Vec<Key>, Failure> {
    let text = crate::text::read(path)?;
    let wrong = |reason| Failure::Argument { argument: "--devices", reason };
    let key = |line: &str| match (line.parse::<DeviceId>(), line.parse::<Mpxn>()) {
        (Ok(device), _) => Ok(Key::DeviceId(device.to_string())),
        (_, Ok(mpxn)) => Ok(Key::Mpxn(mpxn.to_string())),
        (Err(error), _) => Err(wrong(error.to_string())),
    };
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let keys: Vec<Key> = lines.map(key).collect::<Result<_, _>>()?;
    if keys.is_empty() { Err(wrong("the file names no Device".to_owned())) } else { Ok(keys) }
}

/// In which order a caller asks.
enum Order {
    /// By chance, for as long as it is let.
    Chance(Chance),
    /// Each key once, less those of the other callers.
    Each { next: usize, step: usize },
}

impl Order {
    fn next<'k, K>(&mut self, keys: &'k [K]) -> Option<&'k K> {
        match self {
            Self::Chance(chance) => Some(chance.pick(keys)),
            Self::Each { next, step } => {
                let key = keys.get(*next);
                *next += *step;
                key
            }
        }
    }
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

    fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        // The remainder is below the length, so it fits.
        &all[usize::try_from(self.next() % all.len() as u64).unwrap_or_default()]
    }
}

/// One caller in its loop.
struct Asking {
    caller: Caller,
    questions: Arc<[Question]>,
    order: Order,
}

impl Asking {
    /// Asks until the end, or until there is no more to ask for; counts what begins after `begin`.
    async fn until(mut self, begin: Instant, end: Instant) -> Result<Tally, Failure> {
        let mut tally = Tally::new()?;
        loop {
            let start = Instant::now();
            let is_timed = matches!(self.order, Order::Chance(_));
            if is_timed && start >= end {
                return Ok(tally);
            }
            let Some(question) = self.order.next(&self.questions) else { return Ok(tally) };
            let answer = question.ask(&self.caller).await;
            if start >= begin {
                let taken = start.elapsed();
                if let Ok((_, Some(cost))) = &answer {
                    tally.count_cost(cost);
                }
                tally.count(taken, answer.map(|(rows, _)| rows));
            }
        }
    }
}

/// What was measured.
pub(crate) struct Tally {
    micros: Histogram<u64>,
    rows: u64,
    costs: u64,
    cost: Cost,
    runs_worst: u64,
    errors: u64,
    first_error: Option<String>,
}

impl Tally {
    pub(crate) fn new() -> Result<Self, Failure> {
        // One microsecond to two minutes, to three digits.
        let micros = Histogram::new_with_bounds(1, 120_000_000, 3)
            .map_err(|_| Failure::Process("the histogram's bounds are wrong"))?;
        let cost = Cost::default();
        Ok(Self { micros, rows: 0, costs: 0, cost, runs_worst: 0, errors: 0, first_error: None })
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

    pub(crate) fn count_cost(&mut self, cost: &Cost) {
        self.costs += 1;
        self.cost = [self.cost, *cost].into_iter().sum();
        self.runs_worst = self.runs_worst.max(cost.runs);
    }

    fn add(&mut self, other: &Self) {
        // Both have the same bounds, so this cannot fail.
        let _ = self.micros.add(&other.micros);
        self.rows += other.rows;
        self.costs += other.costs;
        self.cost = [self.cost, other.cost].into_iter().sum();
        self.runs_worst = self.runs_worst.max(other.runs_worst);
        self.errors += other.errors;
        self.first_error = self.first_error.take().or_else(|| other.first_error.clone());
    }

    /// The share of answers that took at most so long, in milliseconds.
    pub(crate) fn millis_at(&self, quantile: f64) -> f64 {
        self.micros.value_at_quantile(quantile) as f64 / 1_000.0
    }

    pub(crate) fn report(self, duration: Duration) -> BenchReport {
        let requests = self.micros.len();
        let each = |sum: u64| sum as f64 / self.costs as f64;
        let cost = (self.costs > 0).then(|| CostReport {
            runs_touched_mean: each(self.cost.runs),
            runs_touched_worst: self.runs_worst,
            pages_mean: each(self.cost.pages),
            store_requests_mean: each(self.cost.requests),
            store_bytes_mean: each(self.cost.bytes),
        });
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
            cost,
            first_error: self.first_error,
        }
    }
}

/// The result of a bench. The fields are an interface.
#[derive(Debug, Serialize)]
pub(crate) struct BenchReport {
    requests: u64,
    errors: u64,
    rows: u64,
    seconds: f64,
    qps: f64,
    p50_ms: f64,
    p95_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    /// What an answer cost, where the server tells that.
    #[serde(flatten)]
    cost: Option<CostReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_error: Option<String>,
}

/// What a search cost the server. The fields are an interface.
#[derive(Debug, Serialize)]
pub(crate) struct CostReport {
    /// Runs of which it read pages.
    runs_touched_mean: f64,
    runs_touched_worst: u64,
    /// Data pages that it read, of all columns.
    pages_mean: f64,
    /// What it asked the object store for: nothing, where all was in memory.
    store_requests_mean: f64,
    store_bytes_mean: f64,
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

    /// Each key is asked for once, however many callers share them, and the costs add up.
    #[test]
    fn keys_are_shared_out_among_callers() {
        let keys: Vec<Key> = (0..7).map(|n| Key::Mpxn(n.to_string())).collect();
        let mut asked = Vec::new();
        for next in 0..3 {
            let mut order = Order::Each { next, step: 3 };
            asked.extend(std::iter::from_fn(|| order.next(&keys)));
        }
        assert_eq!(asked.len(), 7);
        assert!(keys.iter().all(|key| asked.contains(&key)));
        let mut tally = Tally::new().unwrap();
        tally.count_cost(&Cost { runs: 2, pages: 16, requests: 0, bytes: 0 });
        tally.count_cost(&Cost { runs: 5, pages: 40, requests: 3, bytes: 100 });
        let cost = tally.report(Duration::from_secs(1)).cost.unwrap();
        assert_eq!((cost.runs_touched_mean, cost.runs_touched_worst), (3.5, 5));
        assert_eq!((cost.pages_mean, cost.store_requests_mean, cost.store_bytes_mean), (28.0, 1.5, 50.0));
        assert!(
            Tally::new().unwrap().report(Duration::from_secs(1)).cost.is_none(),
            "a cost that nobody told"
        );
    }

    #[test]
    fn the_same_seed_asks_in_the_same_order() {
        let order = |seed| {
            let mut chance = Chance(seed);
            (0..20).map(|_| *chance.pick(&[1, 2, 3, 4, 5])).collect::<Vec<_>>()
        };
        assert_eq!(order(7), order(7));
        assert_ne!(order(7), order(8));
        assert!((1..=5).all(|n| order(7).contains(&n)));
    }
}
