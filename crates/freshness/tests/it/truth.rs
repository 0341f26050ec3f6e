//! **I5: no statement is better than the truth.** Days of a simulated world, minute by minute: Kafka away for six hours,
//! the store for two, an ingester for a day and its backlog drained slowly after, records that claim to come from the
//! future, records that cannot be read, transactions that stay open for hours and hide what is behind them, and clocks that
//! are wrong by up to ten minutes. Every minute a reader states how fresh it is, and is held against what the world knows.

use gridtrail_freshness::{Inputs, Ledger, Level, Levels, Report, SourceKey, day_text};
use gridtrail_lake::{Commit, Evidence, OpenTransaction, Partition, SourceEvidence, Spans, Stream, Waiting};
use gridtrail_model::Timestamp;
use std::collections::{BTreeMap, VecDeque};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const DAYS: i64 = 4;
const SKEW: i64 = 10 * MINUTE;
const PARTITIONS: usize = 3;
/// 2026-03-01T00:00:00Z.
const START: i64 = 1_772_323_200_000;

/// SplitMix64.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: i64) -> i64 {
        i64::try_from(self.next() % u64::try_from(limit).unwrap()).unwrap()
    }

    fn within(&mut self, reach: i64) -> i64 {
        self.below(2 * reach + 1) - reach
    }

    fn one_in(&mut self, n: i64) -> bool {
        self.below(n) == 0
    }
}

/// How wrong each clock is, and what fails when.
struct Plan {
    ingest_skew: i64,
    reader_skew: i64,
    broker_skew: i64,
    /// Whether the topic keeps the broker's append times.
    append_times: bool,
    kafka_away: (i64, i64),
    store_away: (i64, i64),
    ingest_away: (i64, i64),
    /// Records of a partition that an ingester reads in a minute.
    pace: usize,
}

impl Plan {
    fn of(chance: &mut Chance, skewed: bool) -> Self {
        let mut skew = || if skewed { chance.within(SKEW) } else { 0 };
        let (ingest_skew, reader_skew, broker_skew) = (skew(), skew(), skew());
        let mut span = |length: i64| {
            let from = START + HOUR + chance.below(2 * DAY);
            (from, from + length)
        };
        let (kafka_away, store_away, backlog) = (span(6 * HOUR), span(2 * HOUR), span(DAY));
        let ingest_away = if chance.one_in(2) { backlog } else { (0, 0) };
        let append_times = chance.one_in(2);
        Self {
            ingest_skew,
            reader_skew,
            broker_skew,
            append_times,
            kafka_away,
            store_away,
            ingest_away,
            pace: usize::try_from(2 + chance.below(30)).unwrap(),
        }
    }
}

fn is_within(now: i64, span: (i64, i64)) -> bool {
    (span.0..span.1).contains(&now)
}

struct Record {
    appended: i64,
    recorded: i64,
    readable: bool,
    /// Of a transaction that came to nothing: nobody is to find it.
    aborted: bool,
    /// When the reader first had it, by the reader's clock, and the day of its commit by the ingester's.
    found: Option<(i64, i64)>,
}

/// A transaction of one record.
struct Transaction {
    /// Its record, or the one that is next.
    first: usize,
    until: i64,
    aborts: bool,
}

#[derive(Default)]
struct Log {
    records: Vec<Record>,
    open: Option<Transaction>,
    /// How many were decided.
    decided: usize,
    /// Records committed.
    position: usize,
    /// What the marks of the lake say.
    complete: Option<i64>,
    /// When probes were made and where the partition ended then.
    probes: VecDeque<(i64, usize)>,
    /// The same as the reader sees it.
    seen: (usize, Option<i64>),
}

impl Log {
    /// The last stable offset.
    fn stable(&self) -> usize {
        self.open.as_ref().map_or(self.records.len(), |open| open.first.min(self.records.len()))
    }

    /// The first record that a reader should find and cannot, from an offset on.
    fn hidden_from(&self, at: usize) -> Option<&Record> {
        self.records[at..].iter().find(|record| !record.aborted)
    }

    /// Begins or decides a transaction.
    fn transact(&mut self, now: i64, chance: &mut Chance) {
        match &self.open {
            Some(open) if now >= open.until && open.first < self.records.len() => {
                self.records[open.first].aborted = open.aborts;
                self.decided += 1;
                self.open = None;
            }
            None if chance.one_in(300) => {
                let longest = if chance.one_in(10) { 26 * HOUR } else { HOUR };
                let (first, until) = (self.records.len(), now + chance.below(longest));
                self.open = Some(Transaction { first, until, aborts: chance.one_in(2) });
            }
            _ => {}
        }
    }
}

struct World {
    plan: Plan,
    chance: Chance,
    now: i64,
    logs: Vec<Log>,
    /// Not handed to Kafka yet, because it is away.
    held: Vec<(usize, i64)>,
    commits: Vec<Commit>,
    ledger: Ledger,
    read: usize,
    /// The longest true lag of the lake on each day.
    lag_worst: BTreeMap<i64, i64>,
}

fn time(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms).unwrap()
}

fn stream() -> Stream {
    let partitions = i32::try_from(PARTITIONS).unwrap();
    Stream { cluster: "c".into(), topic: "events".into(), id: "one".into(), partitions }
}

impl World {
    fn new(seed: u64, skewed: bool) -> Self {
        let mut chance = Chance(seed);
        let plan = Plan::of(&mut chance, skewed);
        Self {
            plan,
            chance,
            now: START,
            logs: (0..PARTITIONS).map(|_| Log::default()).collect(),
            held: Vec::new(),
            commits: Vec::new(),
            ledger: Ledger::new(Levels::default()),
            read: 0,
            lag_worst: BTreeMap::new(),
        }
    }

    /// Some events happen; Kafka takes them when it is there.
    fn produce(&mut self) {
        for _ in 0..self.chance.below(4) {
            let partition = self.chance.below(PARTITIONS as i64);
            let ahead = if self.chance.one_in(50) { self.chance.below(2 * DAY) } else { 0 };
            self.held.push((
                usize::try_from(partition).unwrap(),
                self.now - self.chance.below(2 * MINUTE) + ahead,
            ));
        }
        if is_within(self.now, self.plan.kafka_away) {
            return;
        }
        for (partition, recorded) in self.held.drain(..) {
            let readable = !self.chance.one_in(400);
            let (appended, aborted, found) = (self.now, false, None);
            self.logs[partition].records.push(Record { appended, recorded, readable, aborted, found });
        }
        for log in &mut self.logs {
            log.transact(self.now, &mut self.chance);
        }
    }

    /// What an ingester does in a minute: read, ask for the ends, commit.
    fn ingest(&mut self) {
        let away = [self.plan.kafka_away, self.plan.store_away, self.plan.ingest_away];
        if away.iter().any(|span| is_within(self.now, *span)) || self.chance.one_in(10) {
            self.produce();
            return;
        }
        let pace = self.plan.pace;
        let tos: Vec<usize> = self.logs.iter().map(|log| log.stable().min(log.position + pace)).collect();
        // Records go on coming between reading and asking, and transactions are begun and decided.
        self.produce();
        // One partition was given to an ingester that does nothing for a while.
        let count = if self.chance.one_in(5) { PARTITIONS - 1 } else { PARTITIONS };
        self.commit(&tos[..count]);
    }

    fn commit(&mut self, tos: &[usize]) {
        let at = self.now + self.plan.ingest_skew;
        let mut sources = Vec::new();
        for (partition, to) in tos.iter().enumerate() {
            sources.push(Evidence::Whole(Box::new(self.commit_partition(partition, *to, at))));
        }
        let version = self.commits.len() as u64;
        self.commits.push(Commit { version, kind: "ingest".into(), sources });
    }

    fn commit_partition(&mut self, partition: usize, to: usize, at: i64) -> SourceEvidence {
        let log = &mut self.logs[partition];
        log.probes.push_back((at, log.records.len()));
        while log.probes.len() > 600 {
            log.probes.pop_front();
        }
        let from = std::mem::replace(&mut log.position, to);
        let records: Vec<&Record> = log.records[from..to].iter().filter(|record| !record.aborted).collect();
        let open = log.records.get(log.stable()).map(|first| OpenTransaction {
            last_stable: log.stable() as i64,
            record_ms: Some(if self.plan.append_times {
                first.appended + self.plan.broker_skew
            } else {
                first.recorded
            }),
            appended: self.plan.append_times,
        });
        let reached = log.probes.iter().rev().find(|(_, end)| *end <= to).map(|(at, _)| *at);
        let appended =
            records.last().filter(|_| self.plan.append_times).map(|r| r.appended + self.plan.broker_skew);
        let next = open.filter(|open| open.appended && open.last_stable <= to as i64);
        let complete = reached.or(next.and_then(|open| open.record_ms)).or(appended);
        log.complete = log.complete.max(complete.map(|ms| ms.min(at)));
        let recorded = || records.iter().filter(|r| r.readable).map(|r| r.recorded);
        let stored = recorded().count();
        let is_dead = |n: &usize| !log.records[*n].readable && !log.records[*n].aborted;
        let dead: Spans = (from..to).filter(is_dead).map(|n| n as i64).collect();
        SourceEvidence {
            source: stream().source(i32::try_from(partition).unwrap()),
            name: format!("events/{partition}"),
            from: from as i64,
            to: to as i64,
            records: records.len() as u64,
            stored: stored as u64,
            dead_lettered: dead.len(),
            dead_lettered_at: dead,
            recorded_min_ms: recorded().min(),
            recorded_max_ms: recorded().max(),
            recorded_mean_ms: (stored > 0).then(|| recorded().sum::<i64>() / stored as i64),
            future: recorded().filter(|recorded| *recorded > at).count() as u64,
            end: Some(log.records.len() as i64),
            open_transaction: open,
            complete_up_to_ms: complete,
            committed_at_ms: at,
            ..SourceEvidence::default()
        }
    }

    /// The reader takes in what the store has, when the store answers.
    fn refresh(&mut self) {
        if is_within(self.now, self.plan.store_away) || self.chance.one_in(10) {
            return;
        }
        let seen = self.now + self.plan.reader_skew;
        for commit in &self.commits[self.read..] {
            self.ledger.take(commit, Some(time(seen)));
            for evidence in &commit.sources {
                let Evidence::Whole(e) = evidence else { continue };
                let partition: usize = e.source.rsplit(':').next().unwrap().parse().unwrap();
                let range = usize::try_from(e.from).unwrap()..usize::try_from(e.to).unwrap();
                for record in self.logs[partition].records[range].iter_mut().filter(|r| !r.aborted) {
                    record.found = Some((seen, e.committed_at_ms.div_euclid(DAY)));
                }
            }
        }
        self.read = self.commits.len();
        for log in &mut self.logs {
            log.seen = (log.position, log.complete);
        }
    }

    fn report(&self, days: i64) -> Report {
        let partitions: Vec<Partition> = (0i32..)
            .zip(&self.logs)
            .map(|(partition, log)| Partition {
                stream: stream(),
                partition,
                position: Some(log.seen.0 as i64),
                complete_up_to: log.seen.1.map(time),
            })
            .collect();
        let now = time(self.now + self.plan.reader_skew);
        self.ledger.report(&Inputs {
            now,
            partitions: if self.read > 0 { &partitions } else { &[] },
            waiting: Waiting::default(),
            version: "1.0.0",
            confirmed: now,
            days,
            stopped: None,
        })
    }

    /// Holds what is said now against what is so.
    fn check(&mut self, allowed: i64) {
        let report = self.report(0);
        let levels = Levels::default();
        let hidden = |log: &Log| log.hidden_from(log.seen.0).map(|record| record.appended);
        let oldest_hidden = self.logs.iter().filter_map(hidden).min();
        let age = oldest_hidden.map_or(0, |appended| self.now - appended);
        // Two clocks are in a lag, the one that marked it and the reader's.
        let least = levels.of(Some(age - 2 * allowed));
        assert!(report.level >= least, "{}, and a record of {} min is hidden", report.level, age / MINUTE);
        for (log, said) in self.logs.iter().zip(report.sources.iter().flat_map(|source| &source.partitions)) {
            assert!(said.complete_up_to.is_none_or(|at| at <= report.at), "nothing is said of the future");
            let (Some(at), Some(appended)) = (said.complete_up_to, hidden(log)) else { continue };
            let off = at.millis() - appended;
            assert!(off <= allowed, "partition {} is not complete by {off} ms", said.partition);
        }
        let whole = report.complete_up_to.zip(oldest_hidden);
        assert!(whole.is_none_or(|(at, appended)| at.millis() - appended <= allowed));
        let dead: usize = self
            .logs
            .iter()
            .map(|l| l.records[..l.seen.0].iter().filter(|r| !r.readable && !r.aborted).count())
            .sum();
        let said: u64 = report.sources.iter().map(|source| source.open_letters).sum();
        assert_eq!(said, dead as u64, "dead letters");
        // Of the lake itself, whoever reads it: for the daily table.
        let held = self.logs.iter().filter_map(|log| log.hidden_from(log.position).map(|r| r.appended)).min();
        let worst = self.lag_worst.entry(self.now.div_euclid(DAY)).or_default();
        *worst = (*worst).max(held.map_or(0, |appended| self.now - appended));
    }

    /// Holds the daily table against what happened. The clocks are right.
    fn check_days(&self) {
        let report = self.report(DAYS + 1);
        let topic = SourceKey::Topic { cluster: "c".into(), topic: "events".into() };
        for (day, worst) in &self.lag_worst {
            let text = day_text(*day);
            let row = report.days.iter().find(|row| row.day == text && row.source == topic);
            let row = row.unwrap_or_else(|| panic!("{text} has no row"));
            let unknown = row.lag_worst_ms.is_none() && row.level == Level::Breach;
            assert!(unknown || row.lag_worst_ms.unwrap_or(0) >= *worst, "{text}: {row:?}, truly {worst}");
            let all = || self.logs.iter().flat_map(|log| &log.records);
            let found =
                || all().filter_map(|r| r.found.filter(|(_, of)| of == day).map(|(seen, _)| (r, seen)));
            let delays = || found().filter(|(r, _)| r.readable).map(|(r, seen)| (seen - r.recorded).max(0));
            assert_eq!(row.delay_worst_ms, delays().max(), "{text}");
            assert_eq!(row.records, found().count() as u64, "{text}");
            let breach = Levels::default().breach_ms();
            let hidden = found().filter(|(r, _)| !r.readable && self.now - r.appended > breach).count();
            let late = (delays().filter(|delay| *delay > breach).count() + hidden) as u64;
            let said = row.late_least..=row.late_most;
            assert!(said.contains(&late), "{text}: {late} late, said {said:?}");
            assert!(late == 0 || row.level == Level::Breach, "{text}: {late} late, and {}", row.level);
        }
    }
}

fn simulate(seed: u64, skewed: bool) -> World {
    let mut world = World::new(seed, skewed);
    // The lake knows the topic before its first record: else nothing says how old a first dead letter is.
    world.commit(&[0; PARTITIONS]);
    while world.now < START + DAYS * DAY {
        world.ingest();
        world.refresh();
        world.check(if skewed { SKEW } else { 0 });
        world.now += MINUTE;
    }
    world
}

/// So many worlds as `GRIDTRAIL_FRESHNESS_WORLDS` says, or eight, from the seed `GRIDTRAIL_FRESHNESS_SEED` on, or 0. Says which seed
/// failed, so that it can be run alone.
fn with_seeds(run: impl Fn(u64) + std::panic::RefUnwindSafe) {
    let number = |name: &str, everyday: u64| {
        std::env::var_os(name).map_or(everyday, |value| value.to_str().and_then(|v| v.parse().ok()).unwrap())
    };
    let first = number("GRIDTRAIL_FRESHNESS_SEED", 0);
    for seed in first..first + number("GRIDTRAIL_FRESHNESS_WORLDS", 8) {
        if let Err(panic) = std::panic::catch_unwind(|| run(seed)) {
            eprintln!("GRIDTRAIL_FRESHNESS_SEED={seed} GRIDTRAIL_FRESHNESS_WORLDS=1 fails");
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn with_right_clocks_every_statement_is_true_to_the_millisecond() {
    with_seeds(|seed| {
        let world = simulate(seed, false);
        world.check_days();
    });
}

#[test]
fn with_wrong_clocks_no_statement_is_off_by_more_than_the_clocks_are() {
    with_seeds(|seed| drop(simulate(1_000 + seed, true)));
}

/// The worlds are as bad as they are meant to be, or the proofs above prove nothing.
#[test]
fn the_worlds_reach_every_level() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..10 {
        let mut world = World::new(seed, false);
        while world.now < START + DAYS * DAY {
            world.ingest();
            world.refresh();
            let report = world.report(0);
            // Of the lag alone: dead letters age to a breach in every world.
            seen.extend(report.sources.iter().map(|source| Levels::default().of(source.lag_ms)));
            world.now += MINUTE;
        }
        assert!(world.logs.iter().any(|log| log.records.iter().any(|r| !r.readable)));
        assert!(world.logs.iter().any(|log| log.decided > 0));
        assert!(world.logs.iter().any(|log| log.records.iter().any(|r| r.aborted)));
    }
    assert_eq!(seen.len(), 4, "{seen:?}");
}
