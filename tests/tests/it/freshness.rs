//! Freshness with the real command, on lakes whose topics were written by hand: what the server states, what the
//! command prints and exits with, what the metrics show.

use crate::support::{Server, run, succeed, text, time_of};
use gridtrail_access::{AccessEvent, AccessRecord, Assignment};
use gridtrail_lake::{
    Batch, DeadLetter, Extent, Lake, LakeSettings, Skip, SkipReason, SourceEvidence, Stream, Writer,
};
use gridtrail_model::{
    Body, CommandVariant, Correlation, DeviceId, Event, Fold, RequestId, RequestReceived, ResponseContent,
    ResponseId, ResponseSent, Timestamp, UserId, UserRole,
};
use gridtrail_runtime::Clock;
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
const USER: &str = "90-B3-D5-1F-30-01-00-00";
/// The Party that it is assigned to.
const PARTY: &str = "supplier-1";
const TOPIC: &str = "gridtrail.service-events.v1";
/// How long between two looks, and how many: for a machine that is very busy.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const LOOKS: usize = 1_200;

fn now() -> Timestamp {
    Clock::system().now()
}

/// A lake, its writer's clock, and where its files are.
struct Stage {
    folder: tempfile::TempDir,
    clock: Clock,
    lake: Lake,
    writer: Writer,
}

fn device() -> DeviceId {
    DeviceId::from_bytes([0, 0xDB, 0, 0, 0, 0, 0, 1])
}

fn stream() -> Stream {
    Stream { cluster: "MkU3OEVB".into(), topic: TOPIC.into(), id: "6f3c".into(), partitions: 2 }
}

impl Stage {
    /// An empty lake whose writer's clock stands at a time.
    async fn at(now: Timestamp) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(now);
        let address = folder.path().join("lake").to_str().unwrap().to_owned();
        let lake = Lake::open(LakeSettings::at(address), clock.clone()).await.unwrap();
        let writer = lake.writer().await.unwrap();
        Self { folder, clock, lake, writer }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// What is read of a partition: as many records as are given, all at hand up to the clock's time.
    fn evidence(&self, partition: i32, from: i64, records: i64) -> SourceEvidence {
        let now = self.clock.now().millis();
        SourceEvidence {
            source: stream().source(partition),
            name: format!("{TOPIC}/{partition}"),
            first: from == 0,
            from,
            to: from + records,
            records: records.unsigned_abs(),
            stored: records.unsigned_abs(),
            recorded_min_ms: Some(now - 5_000),
            recorded_mean_ms: Some(now - 3_000),
            recorded_max_ms: Some(now - 1_000),
            end: Some(from + records),
            complete_up_to_ms: Some(now),
            ..SourceEvidence::default()
        }
    }

    async fn commit(&mut self, batch: Batch) {
        self.writer.commit(batch).await.unwrap();
    }

    /// Both partitions, complete up to the clock's time.
    async fn heartbeat(&mut self, from: i64, records: i64) {
        let sources = vec![self.evidence(0, from, records), self.evidence(1, from, records)];
        self.commit(Batch { sources, streams: vec![stream()], ..Batch::default() }).await;
    }

    /// A key, and the token of a role that may search nothing or everything.
    fn token(&self, role: &str) -> String {
        let (key, public) = (self.path("key.pem"), self.path("key.pub.pem"));
        let args = [
            "token",
            "--key",
            &key,
            "--party",
            PARTY,
            "--user-id",
            USER,
            "--role",
            role,
            "--public-key-out",
            &public,
        ];
        succeed(&args).trim().to_owned()
    }

    fn serve(&self, more: &[&str]) -> Server {
        let args = [&["--no-maintenance"], more].concat();
        Server::start(&self.path("lake"), &self.path("key.pub.pem"), &args)
    }

    /// What the command says of the lake itself.
    fn said_of_lake(&self, more: &[&str]) -> std::process::Output {
        let lake = self.path("lake");
        run(&[&["freshness", "--lake", &lake], more].concat())
    }
}

fn json(out: &[u8]) -> Value {
    serde_json::from_slice(out).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(out)))
}

/// Looks until what is seen is as wanted; says what was seen last.
fn wait_until<T: std::fmt::Debug>(what: &str, look: impl Fn() -> T, wanted: impl Fn(&T) -> bool) -> T {
    let mut seen = look();
    for _ in 0..LOOKS {
        if wanted(&seen) {
            return seen;
        }
        std::thread::sleep(LOOK_EVERY);
        seen = look();
    }
    panic!("{what} did not come; last seen: {seen:?}");
}

/// A day with all that a day can have, as the CSV has it, from the lake and through a server.
#[tokio::test(flavor = "multi_thread")]
async fn the_daily_table_is_the_evidence_of_a_day() {
    let today = now().millis().div_euclid(DAY) * DAY;
    let mut stage = Stage::at(Timestamp::from_millis(today - 3 * DAY + 10 * HOUR).unwrap()).await;
    stage.heartbeat(0, 100).await;
    stage.clock.advance(60_000);
    let mut bad = stage.evidence(1, 100, 10);
    (bad.stored, bad.parked, bad.dead_lettered) = (7, 1, 1);
    (bad.records, bad.future) = (9, 2);
    bad.parked_at.insert(101);
    bad.dead_lettered_at.insert(102);
    bad.skipped = vec![Skip { from: 105, to: 106, why: SkipReason::Lost }];
    bad.recorded_min_ms = Some(stage.clock.now().millis() - 25 * HOUR);
    bad.event = Some("=HYPERLINK(\"x\")".into());
    let letter = DeadLetter {
        source: bad.source.clone(),
        source_name: bad.name.clone(),
        position: 102,
        reason: "a reason that nobody is told".into(),
        raw: b"secret".as_slice().into(),
        extent: Extent::Whole,
        key: None,
        headers: Vec::new(),
        read_at: stage.clock.now(),
    };
    let batch =
        Batch { sources: vec![bad], dead_letters: vec![letter], streams: vec![stream()], ..Batch::default() };
    stage.commit(batch).await;

    let day = Timestamp::from_millis(today - 3 * DAY).unwrap().to_string()[..10].to_owned();
    let columns = "day,source,cluster,level,lag_worst_seconds,receipt_to_queryable_worst_seconds,\
                   receipt_to_queryable_mean_seconds,records,commits,late_at_least,late_at_most,parked,dead_lettered,\
                   dead_letters_open,future,lost,before_first_read,events_count,events";
    // Partition 0 was complete up to 10:00 and stayed so until midnight. One record was a day and an hour old, and with
    // the dead letter that makes two late ones at least.
    let row = format!(
        "{day},{TOPIC},MkU3OEVB,breach,50400.000,90000.000,3.000,209,3,2,8,1,1,1,2,1,0,1,\
         \"'=HYPERLINK(\"\"x\"\")\""
    );
    let csv = stage.said_of_lake(&["--csv"]);
    assert!(csv.status.success(), "{}", text(&csv.stderr));
    let csv = text(&csv.stdout);
    let lines: Vec<_> = csv.lines().collect();
    assert_eq!(lines[0], columns);
    // The days without a commit have rows too: what was complete lay ever further behind.
    assert_eq!(lines.len(), 5, "{csv}");
    assert_eq!(lines[4], row);
    assert!(lines[3].contains(",breach,136800.000,,,0,0,0,0,"), "{}", lines[3]);

    let token = stage.token("1");
    let server = stage.serve(&[]);
    let file = stage.path("days.csv");
    let asked = ["freshness", "--server", &server.url, "--token", &token, "--csv", &file];
    wait_until("an answer of the server", || run(&asked), |output| output.status.success());
    let served = std::fs::read_to_string(&file).unwrap();
    assert_eq!(served.lines().last(), Some(row.as_str()));
    // No reason and no raw record of a dead letter is told.
    let whole = succeed(&["freshness", "--server", &server.url, "--token", &token, "--format", "json"]);
    assert!(!whole.contains("nobody is told") && !whole.contains("secret"), "{whole}");
}

/// A level as JSON of the API has it.
fn level_of(level: &str) -> String {
    format!("FRESHNESS_LEVEL_{}", level.to_uppercase())
}

/// A duration as JSON of the API has it, in seconds.
fn seconds_of(duration: &Value) -> f64 {
    duration.as_str().unwrap().trim_end_matches('s').parse().unwrap()
}

/// Exit codes by level, of the lake itself and through a server, for a role that may search nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_check_fails_from_critical_on() {
    for (lag, level, checked) in [(0, "fresh", 0), (13, "warn", 0), (21, "critical", 7), (25, "breach", 7)] {
        let mut stage = Stage::at(now().plus_millis(-lag * HOUR)).await;
        stage.heartbeat(0, 10).await;
        let said = stage.said_of_lake(&["--format", "json"]);
        let answer = json(&said.stdout);
        assert_eq!(
            (said.status.code(), answer["level"].as_str()),
            (Some(0), Some(level_of(level).as_str())),
            "{answer:#}"
        );
        assert_eq!(answer["sources"][0]["name"], TOPIC);
        // How far behind it was then says nothing of now.
        let behind = &answer["sources"][0]["partitions"][1]["behind"];
        assert_eq!(behind.as_str(), (lag == 0).then_some("0"), "{answer:#}");
        let output = stage.said_of_lake(&["--check"]);
        assert_eq!(output.status.code(), Some(checked), "{level}: {}", text(&output.stderr));
        assert!(text(&output.stdout).contains(TOPIC), "the report is printed all the same");

        let token = stage.token("11");
        let server = stage.serve(&[]);
        let asked = ["freshness", "--server", &server.url, "--token", &token, "--check"];
        let ready = |output: &std::process::Output| output.status.code() != Some(6);
        let output = wait_until("an answer of the server", || run(&asked), ready);
        assert_eq!(output.status.code(), Some(checked), "{level}: {}", text(&output.stderr));
        let log = server.stop();
        assert_eq!(log.contains("freshness is worse"), level != "fresh", "{level}: {log}");
    }
    let stage = Stage::at(now()).await;
    assert_eq!(
        stage.said_of_lake(&["--check"]).status.code(),
        Some(7),
        "nothing says that an empty lake is fresh"
    );
    let nothing = stage.path("nothing");
    assert_eq!(run(&["freshness", "--lake", &nothing]).status.code(), Some(2));
    assert!(!std::path::Path::new(&nothing).exists(), "asking for a lake makes none");
    let files = run(&["ingest", &stage.path("."), "--lake", &nothing, "--metrics", "127.0.0.1:0"]);
    assert_eq!(files.status.code(), Some(2), "{}", text(&files.stderr));
    // Before anything else is looked at: neither key nor lake is there.
    let serve = ["serve", "--plain-text", "--public-key", &nothing, "--lake", &nothing];
    let open = run(&[&serve[..], &["--metrics", "192.0.2.1:9471"]].concat());
    assert_eq!(open.status.code(), Some(2), "{}", text(&open.stderr));
    assert!(text(&open.stderr).contains("add --metrics-open"), "{}", text(&open.stderr));
    let turned = stage.said_of_lake(&["--freshness-warn", "21h"]);
    assert_eq!(turned.status.code(), Some(2), "{}", text(&turned.stderr));
}

/// The value of a metric by the start of its line.
fn metric(page: &str, start: &str) -> Option<f64> {
    page.lines().find_map(|line| line.strip_prefix(start)?.trim().parse().ok())
}

fn scrape(port: u16) -> String {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return String::new() };
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page
}

/// What is committed while a server runs is in its answers, its report and its metrics, and its way there was timed.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_times_what_comes_into_its_sight() {
    let mut stage = Stage::at(now().plus_millis(-21 * HOUR)).await;
    stage.heartbeat(0, 10).await;
    let token = stage.token("1");
    // Free a moment ago: the exporter does not tell which port it took.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = stage.serve(&["--metrics", &format!("127.0.0.1:{port}")]);
    let level = format!("gridtrail_freshness_level{{cluster=\"MkU3OEVB\",topic=\"{TOPIC}\"}}");
    let critical = |page: &String| metric(page, &level) == Some(2.0);
    wait_until("the level critical in the metrics", || scrape(port), critical);

    stage.clock.advance(21 * HOUR);
    stage.heartbeat(10, 5).await;
    let mark = stage.clock.now();
    let page = wait_until(
        "the level fresh in the metrics",
        || scrape(port),
        |page| metric(page, &level) == Some(0.0),
    );
    let of = |name: &str, more: &str| {
        let start = format!("{name}{{cluster=\"MkU3OEVB\",topic=\"{TOPIC}\"{more}}}");
        metric(&page, &start).unwrap_or_else(|| panic!("no {start} in\n{page}"))
    };
    let partition = ",partition=\"1\"";
    let complete = of("gridtrail_freshness_complete_up_to_timestamp_seconds", partition);
    assert!((complete - mark.millis() as f64 / 1_000.0).abs() < 0.01, "{complete}");
    assert!((0.0..3_600.0).contains(&of("gridtrail_freshness_lag_seconds", partition)));
    assert_eq!(of("gridtrail_kafka_lag_records", partition), 0.0);
    assert_eq!(of("gridtrail_ingest_records_total", ""), 30.0);
    assert_eq!(of("gridtrail_ingest_commits_total", ""), 4.0);
    // One commit was watched, of two partitions; what was there before was not.
    assert_eq!(of("gridtrail_freshness_receipt_to_queryable_worst_seconds_count", ""), 2.0);
    assert!(metric(&page, "gridtrail_snapshot_age_seconds").is_some_and(|age| (0.0..3_600.0).contains(&age)));
    assert!(metric(&page, "gridtrail_snapshot_version").is_some_and(|version| version >= 2.0), "{page}");

    let asked = ["freshness", "--server", &server.url, "--token", &token, "--format", "json"];
    let answer = json(succeed(&asked).as_bytes());
    assert_eq!(time_of(&answer["completeUpTo"]), Some(mark));
    let device = device().to_string();
    let search = [
        "search",
        "audit",
        "--server",
        &server.url,
        "--token",
        &token,
        "--format",
        "json",
        "--device",
        &device,
    ];
    assert_eq!(
        time_of(&json(succeed(&search).as_bytes())["completeUpTo"]),
        Some(mark),
        "a search says the same"
    );
    let today = &answer["days"][0];
    // Five seconds by the evidence, and then some until the server saw it.
    assert!(seconds_of(&today["receiptToQueryableWorst"]) >= 5.0, "{today:#}");
    let log = server.stop();
    assert!(log.contains("freshness is better"), "{log}");
}

/// An answer that comes before its request is a row of its own at once, request fields empty, ages among what waits,
/// and is joined when the request comes.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_its_request_is_shown_counted_and_joined() {
    let user: UserId = USER.parse().unwrap();
    let id = RequestId { originator: user, target: device(), counter: 1 };
    let event = |at: Timestamp, correlation: Correlation, body: Body| Event {
        id: "e".parse().unwrap(),
        recorded_at: at,
        correlation: Correlation { request_id: Some(id), ..correlation },
        body,
    };
    let (asked_at, sent_at) = (now().plus_millis(-14 * HOUR), now().plus_millis(-13 * HOUR));
    let answer = Body::ResponseSent(ResponseSent {
        response_id: Some(ResponseId::mirror_of(&id)),
        code: "I0".parse().unwrap(),
        at: sent_at,
        content: ResponseContent::ServiceResponse,
    });
    let mut stage = Stage::at(now()).await;
    let mut fold = Fold::default();
    fold.add(event(sent_at, Correlation::of_user(user), answer)).unwrap();
    let mut source = stage.evidence(0, 0, 1);
    (source.stored, source.parked) = (0, 1);
    source.parked_at.insert(0);
    let (other, streams) = (stage.evidence(1, 0, 1), vec![stream()]);
    // Whose the row is, or nobody sees it.
    let to = Assignment { party: PARTY.parse().unwrap(), role: UserRole::IS, descriptor: None };
    let assigned = AccessEvent::Assigned { user_id: user, to: Some(to), from: asked_at };
    let access = vec![AccessRecord { id: "a".parse().unwrap(), recorded_at: asked_at, event: assigned }];
    let (parked, sources) = (fold.take_unplaced(), vec![source, other]);
    stage.commit(Batch { parked, access, sources, streams, ..Batch::default() }).await;

    let token = stage.token("1");
    let server = stage.serve(&[]);
    let device = device().to_string();
    let asked = ["freshness", "--server", &server.url, "--token", &token, "--format", "json"];
    let report = wait_until("an answer of the server", || run(&asked), |output| output.status.success());
    let waiting = &json(&report.stdout)["waiting"];
    assert_eq!(
        (&waiting["rows"], &waiting["late"], &waiting["level"]),
        (&"1".into(), &"1".into(), &level_of("warn").into())
    );
    // To callers by the hour, to operators as it is.
    let hour = Timestamp::from_millis(sent_at.millis().div_euclid(HOUR) * HOUR);
    assert_eq!(time_of(&waiting["oldest"]), hour);
    let told = stage.said_of_lake(&["--format", "json"]);
    assert_eq!(time_of(&json(&told.stdout)["waiting"]["oldest"]), Some(sent_at));
    let search = [
        "search",
        "audit",
        "--server",
        &server.url,
        "--token",
        &token,
        "--format",
        "json",
        "--device",
        &device,
    ];
    let rows = |out: String| json(out.as_bytes())["rows"].as_array().cloned().unwrap_or_default();
    let [row] = rows(succeed(&search)).try_into().unwrap_or_else(|rows| panic!("one row: {rows:?}"));
    assert_eq!(
        (&row["details"]["awaitingRequest"], time_of(&row["serviceResponseSentAt"])),
        (&true.into(), Some(sent_at))
    );
    for empty in ["serviceRequestReceivedAt", "serviceReferenceVariant"] {
        assert!(row[empty].is_null(), "{empty}: {row:#}");
    }
    assert!(row["details"]["commandVariant"].is_null(), "{row:#}");

    let correlation = Correlation {
        request_received_at: Some(asked_at),
        command_variant: CommandVariant::new(1),
        device_id: Some(id.target),
        variant: Some("4.8.1".parse().unwrap()),
        ..Correlation::of_user(user)
    };
    let mut fold = Fold::default();
    fold.add(event(asked_at, correlation, Body::RequestReceived(RequestReceived::default()))).unwrap();
    let sources = vec![stage.evidence(0, 1, 1)];
    stage.commit(Batch { fragments: fold.into_fragments(), sources, ..Batch::default() }).await;
    let joined = |rows: &Vec<Value>| rows.len() == 1 && rows[0]["details"]["awaitingRequest"].is_null();
    let rows = wait_until("the joined row", || rows(succeed(&search)), joined);
    assert_eq!(time_of(&rows[0]["serviceRequestReceivedAt"]), Some(asked_at));
    assert_eq!(time_of(&rows[0]["serviceResponseSentAt"]), Some(sent_at));
    // Swept, it waits no longer.
    stage.lake.maintenance().await.unwrap().sweep().await.unwrap();
    let told = stage.said_of_lake(&["--format", "json"]);
    assert!(json(&told.stdout)["waiting"]["rows"].is_null(), "{}", text(&told.stdout));
}
