//! What a report says of evidence that is written by hand.

use gridtrail_freshness::{Inputs, Ledger, Level, Levels, Report, SourceKey};
use gridtrail_lake::{
    Commit, Evidence, OpenTransaction, Partition, Skip, SkipReason, SourceEvidence, Stream, Waiting,
};
use gridtrail_model::Timestamp;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
/// 2026-03-01T00:00:00Z.
const START: i64 = 1_772_323_200_000;

fn time(ms: i64) -> Timestamp {
    Timestamp::from_millis(START + ms).unwrap()
}

fn stream(partitions: i32) -> Stream {
    Stream { cluster: "c".into(), topic: "events".into(), id: "one".into(), partitions }
}

fn evidence(partition: i32, at: i64, complete: Option<i64>) -> SourceEvidence {
    SourceEvidence {
        source: stream(2).source(partition),
        name: format!("events/{partition}"),
        records: 10,
        stored: 10,
        recorded_min_ms: Some(START + at - MINUTE),
        recorded_mean_ms: Some(START + at - MINUTE / 2),
        recorded_max_ms: Some(START + at),
        complete_up_to_ms: complete.map(|ms| START + ms),
        committed_at_ms: START + at,
        to: 10,
        end: Some(25),
        ..SourceEvidence::default()
    }
}

fn file(at: i64, recorded: i64) -> SourceEvidence {
    SourceEvidence {
        source: "file:3fa9".into(),
        name: "data/a.jsonl".into(),
        finished: true,
        recorded_max_ms: Some(START + recorded),
        committed_at_ms: START + at,
        ..SourceEvidence::default()
    }
}

fn ledger(sources: impl IntoIterator<Item = SourceEvidence>) -> Ledger {
    let mut ledger = Ledger::new(Levels::default());
    for (version, source) in (0..).zip(sources) {
        let sources = vec![Evidence::Whole(Box::new(source))];
        ledger.take(&Commit { version, kind: "ingest".into(), sources }, None);
    }
    ledger
}

fn partitions(complete: &[Option<i64>]) -> Vec<Partition> {
    let stream = stream(i32::try_from(complete.len()).unwrap());
    let of = |(partition, complete): (i32, &Option<i64>)| Partition {
        stream: stream.clone(),
        partition,
        position: Some(10),
        complete_up_to: complete.map(time),
    };
    (0..).zip(complete).map(of).collect()
}

fn report(ledger: &Ledger, now: i64, complete: &[Option<i64>], waiting: Waiting) -> Report {
    let partitions = partitions(complete);
    let now = time(now);
    ledger.report(&Inputs {
        now,
        partitions: &partitions,
        waiting,
        version: "1.0.0",
        confirmed: now,
        days: 400,
        stopped: None,
    })
}

/// What is not known is the worst: no source at all, or a partition that was never complete.
#[test]
fn what_is_not_known_is_never_fresh() {
    let nothing = report(&ledger([]), 0, &[], Waiting::default());
    assert_eq!((nothing.level, nothing.complete_up_to), (Level::Breach, None));
    let one = report(&ledger([evidence(0, 0, Some(0))]), MINUTE / 2, &[Some(0), None], Waiting::default());
    assert_eq!((one.level, one.complete_up_to), (Level::Breach, None));
    let parts: Vec<_> =
        one.sources[0].partitions.iter().map(|p| (p.level, p.lag_ms, p.time_to_breach_ms)).collect();
    assert_eq!(parts, [(Level::Fresh, Some(MINUTE / 2), None), (Level::Breach, None, Some(0))]);
    assert!(one.days.iter().any(|day| day.level == Level::Breach), "{:?}", one.days);
}

#[test]
fn a_source_is_as_complete_as_its_least_partition() {
    let ledger = ledger([evidence(0, 0, Some(0)), evidence(1, HOUR, Some(HOUR))]);
    let report = report(&ledger, 13 * HOUR, &[Some(0), Some(HOUR)], Waiting::default());
    let source = &report.sources[0];
    assert_eq!(
        (source.level, source.complete_up_to, source.lag_ms),
        (Level::Warn, Some(time(0)), Some(13 * HOUR))
    );
    assert_eq!(source.time_to_breach_ms, Some(11 * HOUR));
    // How far it was behind half a day ago is not how far it is.
    assert_eq!((source.records, source.commits, source.partitions[0].behind), (20, 2, None));
    let day = &report.days[0];
    assert_eq!(
        (day.day.as_str(), day.lag_worst_ms, day.delay_worst_ms),
        ("2026-03-01", Some(13 * HOUR), Some(MINUTE))
    );
    assert_eq!((day.delay_mean_ms, day.records, day.late_most), (Some(MINUTE / 2), 20, 0));
}

/// What lies behind an open transaction counts as behind, and nothing appended from then on counts as found: not even where
/// an ingest that did not know of it said so.
#[test]
fn a_partition_ends_for_a_reader_where_a_transaction_is_open() {
    let open = OpenTransaction { last_stable: 10, record_ms: Some(START + MINUTE), appended: true };
    let held = SourceEvidence { open_transaction: Some(open), ..evidence(0, 2 * MINUTE, Some(2 * MINUTE)) };
    let said = report(&ledger([held.clone()]), 3 * MINUTE, &[Some(2 * MINUTE)], Waiting::default());
    let partition = &said.sources[0].partitions[0];
    assert_eq!((partition.open_transaction, partition.behind), (Some(open), Some(15)));
    assert_eq!((said.complete_up_to, partition.lag_ms), (Some(time(MINUTE)), Some(2 * MINUTE)));
    // What a producer says of the time proves nothing.
    let claimed = OpenTransaction { appended: false, ..open };
    let held = SourceEvidence { open_transaction: Some(claimed), ..held };
    let said = report(&ledger([held]), 3 * MINUTE, &[Some(2 * MINUTE)], Waiting::default());
    assert_eq!(said.complete_up_to, Some(time(2 * MINUTE)));
    // It is decided.
    let later = evidence(0, 4 * MINUTE, Some(4 * MINUTE));
    let said = report(&ledger([later]), 4 * MINUTE, &[Some(4 * MINUTE)], Waiting::default());
    assert_eq!(said.sources[0].partitions[0].open_transaction, None);
}

/// Files that were taken in once do not turn a lake that follows topics stale; a lake of files alone lives by them.
#[test]
fn files_are_behind_only_where_nothing_else_is_followed() {
    let files = ledger([file(0, -2 * HOUR)]);
    let alone = report(&files, 30 * HOUR, &[], Waiting::default());
    assert_eq!((alone.level, alone.complete_up_to), (Level::Breach, Some(time(-2 * HOUR))));
    assert_eq!((alone.sources[0].source.name(), alone.sources[0].lag_ms), ("files", Some(32 * HOUR)));
    let both = ledger([file(0, -2 * HOUR), evidence(0, 30 * HOUR, Some(30 * HOUR))]);
    let beside = report(&both, 30 * HOUR, &[Some(30 * HOUR)], Waiting::default());
    assert_eq!((beside.level, beside.complete_up_to), (Level::Fresh, Some(time(30 * HOUR))));
    let names: Vec<_> = beside.sources.iter().map(|source| source.source.name()).collect();
    assert_eq!(names, ["events", "files"]);
}

/// A dead letter ages like a record that nobody can find, until it is replayed.
#[test]
fn a_dead_letter_ages_until_it_is_replayed() {
    let mut dead = evidence(0, 0, Some(0));
    (dead.stored, dead.dead_lettered) = (8, 2);
    dead.dead_lettered_at = [4, 7].into_iter().collect();
    let replay = |position: i64| SourceEvidence {
        records: 1,
        stored: 1,
        replayed_at: [position].into_iter().collect(),
        recorded_min_ms: Some(START - MINUTE),
        committed_at_ms: START + 25 * HOUR,
        ..SourceEvidence::of_letters(&dead.source, &dead.name)
    };
    let at = |ledger: &Ledger, now: i64| {
        let report = report(ledger, now, &[Some(now)], Waiting::default());
        let source = report.sources[0].clone();
        (source.level, source.open_letters, source.open_letters_since, report)
    };
    let open = ledger([dead.clone()]);
    assert_eq!(at(&open, HOUR).0, Level::Fresh);
    assert_eq!(at(&open, 12 * HOUR).0, Level::Warn);
    let (level, letters, since, report) = at(&open, 26 * HOUR);
    assert_eq!((level, letters, since), (Level::Breach, 2, Some(time(-MINUTE))));
    let first = report.days.last().unwrap();
    assert_eq!((first.late_least, first.late_most, first.open_letters), (2, 2, 2));

    // One is read again.
    let half = ledger([dead.clone(), replay(7)]);
    assert_eq!(at(&half, 26 * HOUR).1, 1);
    // The other is declared to be no event: it is not late, for there is nothing that could be found.
    let dismissal = SourceEvidence {
        dismissed_at: [4].into_iter().collect(),
        committed_at_ms: START + 25 * HOUR,
        event: Some("a test of the producer".into()),
        ..SourceEvidence::of_letters(&dead.source, &dead.name)
    };
    let dismissed = ledger([dead.clone(), replay(7), dismissal]);
    let (level, letters, _, report) = at(&dismissed, 26 * HOUR);
    assert_eq!((level, letters, report.days[0].late_least), (Level::Fresh, 0, 1));
    assert_eq!(report.days[0].notes, ["a test of the producer"]);
    let whole = ledger([dead.clone(), replay(7), replay(4)]);
    let (level, letters, since, report) = at(&whole, 26 * HOUR);
    assert_eq!((level, letters, since), (Level::Fresh, 0, None));
    // They were late all the same, on the day on which they could be found.
    assert_eq!((report.days[0].day.as_str(), report.days[0].late_least), ("2026-03-02", 2));
}

/// A dead letter of an event of access may hold a rescission. It does not wait for its age: what suspends pairs is critical at once, and
/// what names nobody a breach, each until it is settled.
#[test]
fn an_event_of_access_that_names_nobody_is_a_breach_at_once() {
    let dead = |suspending: &[i64], naming_nobody: &[i64]| SourceEvidence {
        stored: 8,
        dead_lettered: 2,
        dead_lettered_at: [4, 7].into_iter().collect(),
        suspending_at: suspending.iter().copied().collect(),
        naming_nobody_at: naming_nobody.iter().copied().collect(),
        ..evidence(0, 0, Some(0))
    };
    let settled = |position: i64| SourceEvidence {
        dismissed_at: [position].into_iter().collect(),
        committed_at_ms: START + MINUTE,
        ..SourceEvidence::of_letters(&dead(&[], &[]).source, "events/0")
    };
    let level = |told: Vec<SourceEvidence>| {
        let report = report(&ledger(told), HOUR, &[Some(HOUR)], Waiting::default());
        assert_eq!(report.level, report.sources[0].level);
        (report.level, report.days.last().unwrap().level)
    };
    let both = |level: Level| (level, level);
    assert_eq!(level(vec![dead(&[], &[])]), both(Level::Fresh), "grants, or no events of access");
    assert_eq!(level(vec![dead(&[4], &[])]), both(Level::Critical));
    assert_eq!(level(vec![dead(&[4], &[7])]), both(Level::Breach));
    assert_eq!(level(vec![dead(&[4], &[7]), settled(7)]), both(Level::Critical));
    assert_eq!(level(vec![dead(&[4], &[7]), settled(4)]), both(Level::Breach));
    assert_eq!(level(vec![dead(&[4], &[7]), settled(4), settled(7)]), both(Level::Fresh));
}

#[test]
fn what_waits_for_its_request_is_late_and_never_worse_than_a_warning() {
    let ledger = ledger([evidence(0, 0, Some(0))]);
    let waiting = |before_limit| Waiting { rows: 3, oldest: Some(time(-40 * HOUR)), before_limit };
    let report = |waiting| report(&ledger, 0, &[Some(0)], waiting).level;
    assert_eq!((report(waiting(0)), report(waiting(2))), (Level::Fresh, Level::Warn));
}

#[test]
fn gaps_events_and_broken_evidence_are_told() {
    let mut source = evidence(0, 0, Some(0));
    let skip = |from, to, why| Skip { from, to, why };
    source.skipped = vec![
        skip(0, 5, SkipReason::BeforeFirstRead),
        skip(7, 10, SkipReason::Lost),
        skip(11, 12, SkipReason::NotDelivered),
    ];
    (source.event, source.future) = (Some("topic events was deleted".into()), 2);
    let mut ledger = ledger([source]);
    let broken = Commit { version: 9, kind: "ingest".into(), sources: vec![Evidence::Broken("{}".into())] };
    ledger.take(&broken, None);
    // Again: nothing is counted twice.
    ledger.take(&broken, None);
    let report = report(&ledger, 0, &[Some(0)], Waiting::default());
    let day = &report.days[0];
    assert_eq!((day.lost, day.before_first_read, day.future), (3, 5, 2));
    assert_eq!(
        (day.events.as_slice(), day.events_count),
        (["topic events was deleted".to_owned()].as_slice(), 1)
    );
    assert_eq!(report.broken_evidence, 1);
}

/// A topic that was deleted and created again is one row, and what the old one left behind stays in it.
#[test]
fn a_topic_that_was_created_again_keeps_its_row() {
    let mut old = evidence(0, 0, Some(0));
    old.source = "kafka:c:zero:0".into();
    (old.dead_lettered, old.dead_lettered_at) = (1, [3].into_iter().collect());
    let ledger = ledger([old, evidence(0, 30 * HOUR, Some(30 * HOUR))]);
    let report = report(&ledger, 30 * HOUR, &[Some(30 * HOUR)], Waiting::default());
    assert_eq!(report.sources.len(), 1);
    let source = &report.sources[0];
    assert_eq!(source.source, SourceKey::Topic { cluster: "c".into(), topic: "events".into() });
    assert_eq!((source.records, source.open_letters, source.level), (20, 1, Level::Breach));
    assert_eq!(source.lag_ms, Some(0));
}
