//! Who sees whose rows, with real processes: grants of a generated region, and a rescission that reaches a running server.

use crate::support::{Server, run, succeed, text, until, user_of};
use gridtrail_access::{AccessEvent, AccessRecord, Notice, NoticeKind, Party};
use gridtrail_codec::encode_access_json;
use gridtrail_lake::{Batch, Lake, LakeSettings, SourceEvidence, Stream};
use gridtrail_model::{DeviceId, Timestamp, UserId};
use gridtrail_runtime::Clock;
use gridtrail_synth::{Settings, World};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const EVENTS: u64 = 30_000;
/// How often, and how many times at most, a server is looked at until it shows what was ingested.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const LOOKS: u32 = 400;

struct Stage {
    _folder: tempfile::TempDir,
    path: PathBuf,
    world: World,
    server: Server,
}

/// Two Users that see each other's rows, and a Device with rows of both.
struct Pair {
    device: DeviceId,
    one: (UserId, Party),
    other: (UserId, Party),
}

impl Stage {
    fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let at = |name: &str| path.join(name).to_str().unwrap().to_owned();
        succeed(&["generate", "--out", &at("events"), "--events", &EVENTS.to_string()]);
        succeed(&["ingest", &at("events"), "--lake", &at("lake")]);
        let args = ["--key", &at("key.pem"), "--public-key-out", &at("key.pub.pem"), "--ttl", "1m"];
        succeed(
            &[&["token", "--party", "x", "--org-id", "granted-only", "--role", "role-01"][..], &args]
                .concat(),
        );
        let server = Server::start(&at("lake"), &at("key.pub.pem"), &["--no-maintenance"]);
        let world = World::seeded(7, Settings::for_events(EVENTS, 1)).unwrap();
        Self { _folder: folder, path, world, server }
    }

    fn at(&self, name: &str) -> String {
        self.path.join(name).to_str().unwrap().to_owned()
    }

    fn token(&self, party: &Party, user_ids: &[UserId], more: &[&str]) -> String {
        let ids: Vec<String> = user_ids.iter().map(ToString::to_string).collect();
        let (key, ids) = (self.at("key.pem"), ids.join(","));
        let args = ["token", "--key", &key, "--party", party.as_str(), "--user-id", &ids];
        succeed(&[&args[..], more].concat()).trim().to_owned()
    }

    /// The Users whose rows a search of a Device shows.
    fn seen(&self, token: &str, device: DeviceId) -> BTreeSet<String> {
        self.rows(token, device).iter().map(user_of).collect()
    }

    fn rows(&self, token: &str, device: DeviceId) -> Vec<Value> {
        let device = device.to_string();
        let search = ["search", "audit", "--server", &self.server.url, "--token", token, "--format", "json"];
        let mut answer = Value::Null;
        until("rights stay as they are while rows are looked up", || {
            let output = run(&[&search[..], &["--device", &device, "--all"]].concat());
            if !output.status.success() {
                let told = text(&output.stderr);
                assert!(
                    told.contains("what you may see has changed while it was looked up; ask again"),
                    "{told}"
                );
                return false;
            }
            answer = serde_json::from_slice(&output.stdout).unwrap();
            true
        });
        answer["rows"].as_array().cloned().unwrap_or_default()
    }

    /// The first two Parties grant each other access: see `gridtrail_synth`.
    fn pair(&self) -> Pair {
        let party = |user| self.world.party_of(user).unwrap();
        let mut users: BTreeMap<DeviceId, BTreeSet<UserId>> = BTreeMap::new();
        for trail in self.world.truth() {
            if let Some(device) = trail.device_id {
                users.entry(device).or_default().insert(trail.key.user);
            }
        }
        let of = |users: &BTreeSet<UserId>, name: &str| {
            users.iter().copied().find(|user| party(*user).as_str() == name).map(|user| (user, party(user)))
        };
        let found = users.iter().find_map(|(device, users)| {
            let (one, other) = (of(users, "supplier-1")?, of(users, "network-1")?);
            Some(Pair { device: *device, one, other })
        });
        found.expect("a region of this size has such a Device")
    }
}

fn explain(lake: &str, user: UserId, row: &str, more: &[&str]) -> Value {
    let user = user.to_string();
    let args = ["access", "explain", "--lake", lake, "--user", &user, "--row", row, "--format", "json"];
    serde_json::from_str(&succeed(&[&args[..], more].concat())).unwrap()
}

/// A confirmed rescission of one Party for one User ID of each, as a file.
fn rescind(path: &Path, (user, by): &(UserId, Party), (other, with): &(UserId, Party), now: Timestamp) {
    let notice = Notice {
        kind: NoticeKind::Rescind,
        by: by.clone(),
        with: with.clone(),
        own: [*user].into(),
        other: [*other].into(),
        at: now.plus_millis(-1_000),
        sro: None,
    };
    let id = || "rescission".parse().unwrap();
    let events = [AccessEvent::Notified { id: id(), notice }, AccessEvent::Confirmed { id: id(), at: now }];
    let lines = events.into_iter().zip(["r1", "r2"]).map(|(event, name)| {
        encode_access_json(&AccessRecord { id: name.parse().unwrap(), recorded_at: now, event }) + "\n"
    });
    std::fs::write(path, lines.collect::<String>()).unwrap();
}

#[test]
fn a_rescission_that_is_ingested_reaches_a_running_server() {
    let stage = Stage::set();
    let Pair { device, one, other } = stage.pair();
    let role = ["--role", "role-01"];
    let texts = |users: &[UserId]| users.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    let both = stage.token(&one.1, &[one.0, other.0], &role);
    assert_eq!(stage.seen(&both, device), texts(&[one.0, other.0]));
    // Of its Party's own it sees all there are, since some of the granted ones do no more than come with them.
    let granted = stage.token(&one.1, &[other.0], &["--role", "1", "--org-id", "granted-only"]);
    assert!(stage.seen(&granted, device).is_superset(&texts(&[one.0, other.0])));
    let stranger = "other-4".parse().unwrap();
    assert_eq!(stage.seen(&stage.token(&stranger, &[one.0, other.0], &role), device), texts(&[]));
    let (lake, row) = (stage.at("lake"), other.0.to_string());
    let then = stage.world.settings().start.to_string();
    assert_eq!(explain(&lake, one.0, &row, &[])["seen"], true);
    // A row by its reference is its User's.
    let shown = stage.rows(&both, device).into_iter().find(|shown| user_of(shown) == row).unwrap();
    let by_reference = explain(&lake, one.0, shown["reference"].as_str().unwrap(), &[]);
    assert_eq!(
        (&by_reference["seen"], &by_reference["row_user_id"]),
        (&Value::from(true), &Value::from(user_of(&shown)))
    );

    let now = Clock::system().now();
    rescind(&stage.path.join("rescission.access.jsonl"), &other, &one, now);
    succeed(&["ingest", &stage.at("rescission.access.jsonl"), "--lake", &lake]);
    let ingested = Instant::now();
    let mut looks = 0;
    while stage.seen(&both, device) != texts(&[one.0]) {
        assert!(looks < LOOKS, "the rescission did not come");
        looks += 1;
        std::thread::sleep(LOOK_EVERY);
    }
    let mut told = std::io::stderr();
    let took = ingested.elapsed().as_millis();
    std::io::Write::write_all(
        &mut told,
        format!("a rescission held {took} ms after its ingest\n").as_bytes(),
    )
    .unwrap();

    let explained = explain(&lake, one.0, &row, &[]);
    assert_eq!((&explained["seen"], &explained["party"]), (&Value::from(false), &Value::from("supplier-1")));
    assert_eq!(explained["rescinded_at"], now.to_string());
    assert_eq!(explained["notifications"].as_array().unwrap().len(), 3, "{explained:#}");
    assert_eq!(explain(&lake, one.0, &row, &["--at", &then])["seen"], true, "who could see it on that day");
    let shown = succeed(&["access", "explain", "--lake", &lake, "--user", &one.0.to_string(), "--row", &row]);
    assert!(shown.contains("does not see") && shown.contains("rescission"), "{shown}");
    let log = stage.server.stop();
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
    // The officers of a generated region are called so: no output and no log line shows one.
    assert!(![&log, &shown, &explained.to_string()].iter().any(|text| text.contains("Sam Example")));
    assert!(log.contains(&row) && !log.contains(&both), "an ignored User ID is told, and no token: {log}");
}

/// A User ID that is nobody's.
const STALE: &str = "90-B3-D5-1F-30-7F-00-01";

/// What is wrong in a notification.
type Slip = &'static dyn Fn(&mut Value);

/// One round: a rescission with something wrong in it, and what two Users are shown of each other's before and after.
struct Round<'a> {
    stage: &'a Stage,
    pair: &'a Pair,
    tokens: [String; 2],
    number: usize,
}

impl Round<'_> {
    fn texts(&self, both: bool) -> [BTreeSet<String>; 2] {
        let (one, other) = (self.pair.one.0.to_string(), self.pair.other.0.to_string());
        let own = [&one, &other].map(|user| BTreeSet::from([user.clone()]));
        if both { own.map(|_| BTreeSet::from([one.clone(), other.clone()])) } else { own }
    }

    /// Waits until each of them sees both Users' rows, or only their own.
    fn wait_for(&self, both: bool, what: &str) {
        let expected = self.texts(both);
        let mut looks = 0;
        loop {
            let seen = [0, 1].map(|of: usize| self.stage.seen(&self.tokens[of], self.pair.device));
            if seen == expected {
                return;
            }
            assert!(looks < LOOKS, "{what}: {seen:?}");
            looks += 1;
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn take_in(&mut self, lines: &str) -> String {
        self.number += 1;
        let file = self.stage.at(&format!("round-{}.access.jsonl", self.number));
        std::fs::write(&file, lines).unwrap();
        // Of what it cannot read it says so.
        let output = run(&["ingest", &file, "--lake", &self.stage.at("lake")]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        file
    }

    /// The lines of a notification and its confirmation, of the other's Party about the one's.
    fn lines(&self, kind: &str, change: impl Fn(&mut Value)) -> String {
        let Pair { one, other, .. } = self.pair;
        self.notification(&format!("{kind}-{}", self.number), kind, [other, one], change)
    }

    fn notification(
        &self,
        id: &str,
        kind: &str,
        [by, with]: [&(UserId, Party); 2],
        change: impl Fn(&mut Value),
    ) -> String {
        let now = Clock::system().now().to_string();
        let mut told = json!({
            "notificationId": id, "kind": format!("NOTIFICATION_KIND_{kind}"), "party": by.1.as_str(),
            "otherParty": with.1.as_str(), "userIds": [by.0.to_string()], "otherUserIds": [with.0.to_string()],
        });
        change(&mut told);
        let sent = json!({ "eventId": format!("{id}-s"), "recordedAt": now, "notified": told });
        let confirmed =
            json!({ "eventId": format!("{id}-c"), "recordedAt": now, "confirmed": { "notificationId": id } });
        format!("{sent}\n{confirmed}\n")
    }

    /// Both Parties grant it anew.
    fn grant(&mut self) {
        let Pair { one, other, .. } = self.pair;
        let id = |by: &str| format!("again-{}-{by}", self.number);
        let lines = [[one, other], [other, one]]
            .map(|sides| self.notification(&id(sides[0].1.as_str()), "GRANT", sides, |_| {}));
        self.take_in(&lines.concat());
        self.wait_for(true, "granted anew");
    }
}

/// Real processes: each of these rescissions was confirmed, and left everything to be seen.
#[test]
fn a_slip_in_a_confirmed_rescission_leaves_nothing_to_be_seen() {
    let stage = Stage::set();
    let pair = stage.pair();
    let token = |party, own, granted| stage.token(party, &[own, granted], &["--role", "role-01"]);
    let tokens =
        [token(&pair.one.1, pair.one.0, pair.other.0), token(&pair.other.1, pair.other.0, pair.one.0)];
    let mut round = Round { stage: &stage, pair: &pair, tokens, number: 0 };
    round.wait_for(true, "granted");
    let slips: [(&str, Slip); 5] = [
        ("spelling", &|told| told["otherParty"] = json!("Supplier 1")),
        ("stale", &|told| told["userIds"].as_array_mut().unwrap().push(json!(STALE))),
        ("nameless", &|told| told["authorisedBy"] = json!({ "email": "jo@example.org" })),
        ("long", &|told| told["authorisedBy"] = json!({ "name": "Jo", "signature": "x".repeat(257) })),
        ("no officer", &|told| told["authorisedBy"] = json!(["Jo"])),
    ];
    for (what, slip) in slips {
        let lines = round.lines("RESCIND", slip);
        round.take_in(&lines);
        round.wait_for(false, what);
        round.grant();
    }

    // Of its own User IDs one cannot be read: all that it shares is suspended, until somebody says what it was.
    let lake = stage.at("lake");
    let lines = round.lines("RESCIND", |told| told["userIds"] = json!(["90-B3-D5-1F"]));
    let file = round.take_in(&lines);
    round.wait_for(false, "suspended by a letter");
    let suspensions = || -> Value {
        serde_json::from_str(&succeed(&["access", "suspensions", "--lake", &lake, "--format", "json"]))
            .unwrap()
    };
    let told = suspensions();
    assert_eq!(told.as_array().unwrap().len(), 1, "{told:#}");
    assert_eq!(
        (&told[0]["by"], &told[0]["party"]),
        (&json!(format!("{file}@0")), &json!(pair.other.1.as_str()))
    );
    let explained = explain(&lake, pair.one.0, &pair.other.0.to_string(), &[]);
    assert_eq!((&explained["seen"], &explained["suspended_by"]), (&json!(false), &told[0]["by"]));
    let freshness: Value =
        serde_json::from_str(&succeed(&["freshness", "--lake", &lake, "--format", "json"])).unwrap();
    let text_of = freshness.to_string();
    assert!(
        text_of.to_lowercase().contains("critical") || text_of.to_lowercase().contains("breach"),
        "{freshness:#}"
    );
    succeed(&["dead-letters", "dismiss", &format!("{file}@0"), "--because", "it was none", "--lake", &lake]);
    round.wait_for(true, "dismissed");

    // The sender is spelled in another way: what it names is suspended, until somebody settles that.
    let lines = round.lines("RESCIND", |told| told["party"] = json!("Network One"));
    round.take_in(&lines);
    round.wait_for(false, "suspended by a rescission");
    let by = suspensions()[0]["by"].as_str().unwrap().to_owned();
    succeed(&["access", "settle", &by, "--because", "sent again with the right name", "--lake", &lake]);
    round.wait_for(true, "settled");
    assert_eq!(suspensions(), json!([]));
    let again = run(&["access", "settle", &by, "--because", "once more", "--lake", &lake]);
    assert_eq!(again.status.code(), Some(2), "{}", text(&again.stderr));

    // What names nobody suspends nobody, and is told.
    let beside = json!({ "eventId": "c", "recordedAt": Clock::system().now().to_string(), "confirmed": { "notificationId": "none" } });
    round.take_in(&format!("}}{{\n{beside}\n"));
    let shown = succeed(&["access", "suspensions", "--lake", &lake]);
    assert!(shown.contains("it names nobody"), "{shown}");
    let told =
        |what: &str| stage.server.log().lines().any(|line| line.contains("ERROR") && line.contains(what));
    until("the server tells of what names nobody", || told("names nobody"));
    assert!(told("suspends pairs"), "{}", stage.server.log());
    round.wait_for(true, "nobody is named");
    let log = stage.server.stop();
    assert!(!log.contains("jo@example.org"), "{log}");
}

/// A topic of events of access that nobody reads any more takes what was granted with it, until it goes on.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_granted_is_not_shown_while_a_topic_of_access_stands_still() {
    let stage = Stage::set();
    let pair = stage.pair();
    let token = stage.token(&pair.one.1, &[pair.one.0, pair.other.0], &["--role", "role-01"]);
    let [own, both] = [vec![pair.one.0], vec![pair.one.0, pair.other.0]]
        .map(|users| users.iter().map(ToString::to_string).collect::<BTreeSet<_>>());
    let wait_for = |expected: &BTreeSet<String>, what: &str| {
        let mut looks = 0;
        while stage.seen(&token, pair.device) != *expected {
            assert!(looks < LOOKS, "{what}");
            looks += 1;
            std::thread::sleep(LOOK_EVERY);
        }
    };
    wait_for(&both, "events of access that came by files alone do not lapse");
    let lake = Lake::open(LakeSettings::at(stage.at("lake")), Clock::system()).await.unwrap();
    let mut writer = lake.writer().await.unwrap();
    let topic = "gridtrail.access-events.v1".to_owned();
    let stream = Stream { cluster: "c".into(), id: "one".into(), partitions: 1, topic };
    for (position, (hours, expected)) in [(25, &own), (0, &both)].into_iter().enumerate() {
        let from = i64::try_from(position).unwrap();
        let complete = Clock::system().now().plus_millis(-hours * 3_600_000);
        let source = SourceEvidence {
            source: stream.source(0),
            name: format!("{}/0", stream.topic),
            first: from == 0,
            from,
            to: from + 1,
            complete_up_to_ms: Some(complete.millis()),
            ..SourceEvidence::default()
        };
        let (sources, streams) = (vec![source], vec![stream.clone()]);
        writer.commit(Batch { sources, streams, ..Batch::default() }).await.unwrap();
        wait_for(expected, &format!("complete up to {hours} hours ago"));
    }
    let log = stage.server.stop();
    assert!(log.contains("stand still") && log.contains("come again"), "{log}");
}

/// An event of one User about the request of another is in nobody's trail.
#[test]
fn an_event_of_another_user_than_its_request_is_a_dead_letter() {
    let stage = Stage::set();
    let Pair { device, one, other } = stage.pair();
    let token = stage.token(&other.1, &[other.0], &["--role", "role-01"]);
    let before = stage.rows(&token, device).len();
    let lake = stage.at("lake");
    let now = Clock::system().now().to_string();
    let request = format!("{}:{device}:99999999", one.0);
    let result = format!("{device}:{}:99999998", one.0);
    let of = json!({ "userId": other.0.to_string(), "requestId": request, "requestReceivedAt": now, "commandVariant": 1,
        "deviceId": device.to_string(), "serviceReferenceVariant": "6.8" });
    let of_run = json!({ "userId": other.0.to_string(), "deviceId": device.to_string() });
    let event = |n: usize, of: &Value, name: &str, body: Value| {
        let mut event = json!({ "eventId": format!("forged-{n}"), "recordedAt": now, "correlation": of });
        event[name] = body;
        format!("{event}\n")
    };
    let forged = [
        event(1, &of, "requestReceived", json!({})),
        event(2, &of, "statusChanged", json!({ "state": "STATE_SENT_TO_CSP" })),
        event(3, &of, "responseSent", json!({ "responseId": result, "responseCode": "I0" })),
        event(
            4,
            &of_run,
            "responseSent",
            json!({ "responseId": result, "responseCode": "I0", "scheduledRead": { "scheduleId": "3" } }),
        ),
        event(5, &of_run, "deviceAlert", json!({ "responseId": result, "alertCode": "8F36" })),
        event(6, &of_run, "dccAlert", json!({ "responseId": result, "alertCode": "N16" })),
    ];
    let file = stage.at("forged.jsonl");
    std::fs::write(&file, forged.concat()).unwrap();
    succeed(&["ingest", &file, "--lake", &lake]);
    let told: Value = serde_json::from_str(&succeed(&[
        "dead-letters",
        "list",
        "--source",
        "forged",
        "--lake",
        &lake,
        "--format",
        "json",
    ]))
    .unwrap();
    assert_eq!(told["found"], forged.len(), "{told:#}");
    for letter in told["letters"].as_array().unwrap() {
        let reason = letter["reason"].as_str().unwrap();
        let both = [one.0, other.0].iter().all(|user| reason.contains(&user.to_string()));
        assert!(both, "{reason}");
    }
    assert_eq!(stage.rows(&token, device).len(), before);
    stage.server.stop();
}

#[test]
fn what_cannot_be_explained_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("none").to_str().unwrap().to_owned();
    let user = "90-B3-D5-1F-30-02-00-00";
    let explain = |row: &str| run(&["access", "explain", "--lake", &lake, "--user", user, "--row", row]);
    let odd = explain("no row");
    assert_eq!(odd.status.code(), Some(2));
    assert!(text(&odd.stderr).contains("neither a User ID nor the reference of a row"));
    assert!(!explain(user).status.success(), "there is no lake");
    assert!(!Path::new(&lake).exists(), "and none is made");
}
