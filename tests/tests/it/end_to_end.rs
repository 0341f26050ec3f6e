//! The whole way with real processes: generate, ingest, serve, search as two Users; and what goes wrong on it.

use crate::support::{Server, run, succeed, text, time_of, user_of};
use gridtrail_model::{DeviceId, UserId};
use gridtrail_runtime::Clock;
use gridtrail_synth::{ExpectedTrail, Settings, World};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const EVENTS: u64 = 30_000;
/// The Party of all Users.
const PARTY: &str = "region";

/// A region that is served, and the tokens of two of its Users.
struct Stage {
    _folder: tempfile::TempDir,
    path: PathBuf,
    world: World,
    server: Server,
}

impl Stage {
    fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let at = |name: &str| path.join(name).to_str().unwrap().to_owned();
        let events = EVENTS.to_string();
        succeed(&[
            "generate",
            "--out",
            &at("events"),
            "--events",
            &events,
            "--encoding",
            "jsonl",
            "--one-party",
            PARTY,
        ]);
        succeed(&["ingest", &at("events"), "--lake", &at("lake")]);
        // Mints nothing that is used: it makes the key and shows its public half.
        token(&path, "90-B3-D5-1F-30-02-00-00", &["--role", "1", "--public-key-out", &at("key.pub.pem")]);
        let server = Server::start(&at("lake"), &at("key.pub.pem"), &[]);
        let world = World::seeded(7, Settings::for_events(EVENTS, 1)).unwrap();
        Self { _folder: folder, path, world, server }
    }

    /// A search, as it is typed.
    fn search(&self, service: &str, token: &str, args: &[&str]) -> std::process::Output {
        let fixed = ["search", service, "--server", &self.server.url, "--format", "json", "--token", token];
        run(&[&fixed, args].concat())
    }

    fn rows(&self, service: &str, token: &str, args: &[&str]) -> Vec<Value> {
        let output = self.search(service, token, args);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(answer["completeUpTo"].is_string(), "an answer says how fresh it is: {answer:#}");
        answer["rows"].as_array().cloned().unwrap_or_default()
    }

    fn token(&self, user: UserId) -> String {
        token(&self.path, &user.to_string(), &["--role", "1"])
    }
}

fn token(folder: &Path, user: &str, more: &[&str]) -> String {
    let key = folder.join("key.pem").to_str().unwrap().to_owned();
    let args = [&["token", "--key", &key, "--party", PARTY, "--user-id", user][..], more].concat();
    succeed(&args).trim().to_owned()
}

/// A Device with trails of two Users, one of which has meter reads.
fn shared_device(world: &World) -> (DeviceId, UserId, UserId) {
    let mut users: BTreeMap<DeviceId, (BTreeSet<UserId>, BTreeSet<UserId>)> = BTreeMap::new();
    for trail in world.truth() {
        let Some(device) = trail.device_id else { continue };
        let (all, readers) = users.entry(device).or_default();
        all.insert(trail.key.user);
        if trail.variant.is_some_and(|variant| variant.is_meter_read()) {
            readers.insert(trail.key.user);
        }
    }
    let found = users.into_iter().find_map(|(device, (all, readers))| {
        let reader = *readers.first()?;
        Some((device, reader, *all.iter().find(|user| **user != reader)?))
    });
    found.expect("a region of this size has such a Device")
}

/// What a row and an expected trail have in common, to compare them by.
fn face_of_row(row: &Value) -> (String, String, String, String) {
    let received = time_of(&row["serviceRequestReceivedAt"]).map(|at| at.to_string()).unwrap_or_default();
    let detail = |field: &str| row["details"][field].as_str().unwrap_or_default().to_owned();
    (user_of(row), received, detail("requestId"), detail("currentStatus"))
}

fn face_of_truth(trail: &ExpectedTrail) -> (String, String, String, String) {
    let request_id = trail.request_id.map(|id| id.to_string()).unwrap_or_default();
    let received = trail.received_at.to_string();
    (trail.key.user.to_string(), received, request_id, trail.current_status.to_string())
}

fn sorted<T: Ord>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut all: Vec<T> = items.collect();
    all.sort();
    all
}

#[test]
fn two_users_find_their_own_rows_and_everybodys_meter_reads() {
    let stage = Stage::set();
    let (device, first, second) = shared_device(&stage.world);
    let key = device.to_string();
    let expected = |wanted: &dyn Fn(&ExpectedTrail) -> bool| {
        let of_device = stage.world.truth().filter(|trail| trail.device_id == Some(device));
        sorted(of_device.filter(|trail| wanted(trail)).map(|trail| face_of_truth(&trail)))
    };
    for user in [first, second] {
        let token = stage.token(user);
        let own = stage.rows("audit", &token, &["--device", &key, "--all"]);
        assert!(!own.is_empty());
        assert_eq!(sorted(own.iter().map(face_of_row)), expected(&|trail| trail.key.user == user));
        let reads = stage.rows("meter-reads", &token, &["--device", &key, "--page-size", "1", "--all"]);
        let is_read = |trail: &ExpectedTrail| trail.variant.is_some_and(|variant| variant.is_meter_read());
        assert_eq!(sorted(reads.iter().map(face_of_row)), expected(&is_read));
    }
    // Both Users at once see both, and nothing twice.
    let both = token(&stage.path, &format!("{first},{second}"), &["--role", "1"]);
    let rows = stage.rows("audit", &both, &["--device", &key, "--page-size", "1", "--all"]);
    let of_both = |trail: &ExpectedTrail| [first, second].contains(&trail.key.user);
    assert_eq!(sorted(rows.iter().map(face_of_row)), expected(&of_both));
    let log = stage.server.stop();
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
}

#[test]
fn a_search_as_of_a_version_or_an_instant_sees_what_was_there_then() {
    let stage = Stage::set();
    let (device, user, _) = shared_device(&stage.world);
    let (token, device) = (stage.token(user), device.to_string());
    let by_device = ["--device", device.as_str(), "--all"];
    let answer = |as_of: &[&str]| {
        let output = stage.search("audit", &token, &[&by_device, as_of].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        (answer["rows"].as_array().unwrap().clone(), answer["snapshotVersion"].as_str().unwrap().to_owned())
    };
    let (before, version) = answer(&[]);
    let instant = Clock::system().now().to_string();
    // Another week of the same meters, which the server sees by itself.
    let at = |name: &str| stage.path.join(name).to_str().unwrap().to_owned();
    let events = EVENTS.to_string();
    succeed(&[
        "generate",
        "--out",
        &at("more"),
        "--events",
        &events,
        "--start",
        "2026-03-08",
        "--encoding",
        "jsonl",
        "--one-party",
        PARTY,
    ]);
    succeed(&["ingest", &at("more"), "--lake", &at("lake")]);
    let deadline = Instant::now() + Duration::from_secs(60);
    let now = loop {
        let (rows, newer) = answer(&[]);
        if newer != version && rows.len() > before.len() {
            break rows;
        }
        assert!(Instant::now() < deadline, "the server does not see what was committed");
        std::thread::yield_now();
    };
    let main_table = version.split(['=', ',']).nth(1).unwrap();
    for as_of in [main_table, &instant] {
        assert_eq!(answer(&["--as-of", as_of]).0, before, "as of {as_of}");
    }
    let unlike = |row: &&Value| before.iter().all(|earlier| face_of_row(earlier) != face_of_row(row));
    assert_eq!(
        now.iter().filter(unlike).count(),
        now.len() - before.len(),
        "what was there then is there now"
    );
    for (as_of, says) in [("2026-01-01T00:00:00Z", "earliest"), ("1999", "version")] {
        let output = stage.search("audit", &token, &[&by_device[..], &["--as-of", as_of]].concat());
        let complaint = text(&output.stderr);
        assert!(!output.status.success() && complaint.contains(says), "{as_of}: {complaint}");
    }
}

#[test]
fn what_goes_wrong_has_its_exit_code_and_says_why() {
    let stage = Stage::set();
    let (device, user, _) = shared_device(&stage.world);
    let device = device.to_string();
    let (good, by_device) = (stage.token(user), ["--device", device.as_str()]);
    let no_role = token(&stage.path, &user.to_string(), &["--role", "11"]);
    let elsewhere = tempfile::tempdir().unwrap();
    let of_another_key = token(elsewhere.path(), &user.to_string(), &["--role", "1"]);
    let cases: [(&str, &str, &[&str], i32, &str); 7] = [
        ("audit", "nonsense", &by_device, 4, "log in again"),
        ("audit", &of_another_key, &by_device, 4, "signature"),
        ("audit", &no_role, &by_device, 4, "Job Type Role"),
        ("audit", &good, &["--device", "88-73"], 2, "--device"),
        ("audit", &good, &["--device", &device, "--page-token", "x"], 2, "page_token"),
        ("audit", &good, &["--device", &device, "--from", "2026-03-02", "--to", "2026-03-01"], 2, "from"),
        ("meter-reads", &good, &["--device", &device, "--srv", "1.1.1"], 2, "service_reference_variants"),
    ];
    for (service, token, args, code, says) in cases {
        let output = stage.search(service, token, args);
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{service} {args:?}: {complaint}");
        assert!(complaint.contains(says), "{service} {args:?} says: {complaint}");
        assert!(!complaint.contains(&good) && output.stdout.is_empty());
    }
    let url = stage.server.url.clone();
    stage.server.stop();
    let args = ["search", "audit", "--server", &url, "--token", &good, "--device", &device];
    let gone = run(&args);
    assert_eq!(gone.status.code(), Some(6), "{}", text(&gone.stderr));
}

#[test]
fn a_folder_that_holds_nothing_or_too_much_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let lake = elsewhere.path().join("lake").to_str().unwrap().to_owned();
    let nothing = run(&["ingest", path, "--lake", &lake]);
    assert_eq!(nothing.status.code(), Some(2), "{}", text(&nothing.stderr));
    assert!(text(&nothing.stderr).contains("holds no "));
    std::fs::write(folder.path().join("notes"), "").unwrap();
    let full = run(&["generate", "--out", path, "--events", "100"]);
    assert_eq!(full.status.code(), Some(2), "something is in it");
    assert!(text(&full.stderr).contains("not empty"), "{}", text(&full.stderr));
}

const OWN: &str = "90-B3-D5-1F-30-02-00-00";
const OTHER: &str = "90-B3-D5-1F-30-03-00-00";
const MPAN: &str = "1312345678111";
const UPRN: &str = "100012345678";
/// The meter until ten o'clock on 3 March, that from eleven on, and the hub of both.
const METERS: [&str; 2] = ["88-73-84-57-00-2F-96-01", "88-73-84-57-00-2F-96-02"];
const HUB: &str = "88-73-84-57-00-2F-96-03";

/// The inventory of premises whose meter was exchanged, a line an event.
fn exchange() -> String {
    let registered = json!({ "mpxn": MPAN, "uprn": UPRN });
    let at = |device: &str| json!({ "deviceId": device, "mpxn": MPAN });
    let with = |device: &str| json!({ "deviceId": device, "withDeviceId": HUB });
    let told = [
        ("2026-01-01T00:00:00Z", "registration", registered),
        ("2026-01-01T00:00:00Z", "installed", at(METERS[0])),
        ("2026-01-01T00:00:00Z", "associationAdded", with(METERS[0])),
        ("2026-03-03T10:00:00Z", "uninstalled", at(METERS[0])),
        ("2026-03-03T10:00:00Z", "associationRemoved", with(METERS[0])),
        ("2026-03-03T11:00:00Z", "installed", at(METERS[1])),
        ("2026-03-03T11:00:00Z", "associationAdded", with(METERS[1])),
    ];
    let line = |(number, (from, what, body)): (usize, (&str, &str, Value))| {
        let id = format!("inv-{number}");
        json!({ "eventId": id, "recordedAt": from, "effectiveFrom": from, what: body }).to_string() + "\n"
    };
    told.into_iter().enumerate().map(line).collect()
}

/// Meter reads of two Users, to each Device on the day before the exchange, between the two meters, and on the day after; a line each.
fn reads() -> String {
    let mut lines = String::new();
    for user in [OWN, OTHER] {
        for device in METERS.into_iter().chain([HUB]) {
            for received in ["2026-03-02T09:00:00Z", "2026-03-03T10:30:00Z", "2026-03-04T09:00:00Z"] {
                let counter = lines.len();
                let correlation = json!({
                    "userId": user, "requestId": format!("{user}:{device}:{counter}"), "requestReceivedAt": received,
                    "commandVariant": 1, "deviceId": device, "serviceReferenceVariant": "4.8.1",
                });
                let id = format!("read-{counter}");
                let event = json!({
                    "eventId": id, "recordedAt": received, "requestReceived": {}, "correlation": correlation
                });
                lines += &(event.to_string() + "\n");
            }
        }
    }
    lines
}

/// A meter that was exchanged is found for the days that it served, and the one that followed from then on, by the UPRN and by the MPxN.
#[test]
fn a_search_by_uprn_goes_across_an_exchange_of_the_meter() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::create_dir(at("events")).unwrap();
    std::fs::write(at("events/premises.inventory.jsonl"), exchange()).unwrap();
    std::fs::write(at("events/reads.jsonl"), reads()).unwrap();
    let assigned = json!({
        "eventId": "a", "recordedAt": "2026-01-01T00:00:00Z",
        "assigned": { "userId": OWN, "party": PARTY, "role": "USER_ROLE_IMPORT_SUPPLIER" },
    });
    std::fs::write(at("events/users.access.jsonl"), format!("{assigned}\n")).unwrap();
    succeed(&["ingest", &at("events"), "--lake", &at("lake")]);
    let own = token(folder.path(), OWN, &["--role", "1", "--public-key-out", &at("key.pub.pem")]);
    let server = Server::start(&at("lake"), &at("key.pub.pem"), &[]);
    let search = |service: &str, args: &[&str]| {
        let fixed = ["search", service, "--server", &server.url, "--format", "json", "--token", &own];
        let answer: Value = serde_json::from_str(&succeed(&[&fixed, args].concat())).unwrap();
        let rows = answer["rows"].as_array().cloned().unwrap_or_default();
        let found = rows.iter().map(|row| {
            assert_eq!(row["deviceResolution"], "DEVICE_RESOLUTION_BY_INVENTORY", "{row:#}");
            let at = time_of(&row["serviceRequestReceivedAt"]).unwrap().to_string();
            (at[..10].to_owned(), row["matchedDeviceId"].as_str().unwrap().to_owned())
        });
        (sorted(found), answer["deviceResolution"].as_str().unwrap().to_owned())
    };
    let on = |day: &str, meter: &str| [meter, HUB].map(|device| (day.to_owned(), device.to_owned())).to_vec();
    let (before, after) = (on("2026-03-02", METERS[0]), on("2026-03-04", METERS[1]));
    let both = [before.clone(), after.clone()].concat();
    let of_both_users = sorted([before.clone(), before.clone()].concat().into_iter());
    for key in [["--uprn", UPRN], ["--mpxn", MPAN]] {
        let by = |service: &str, dates: &[&str]| search(service, &[&key[..], dates].concat());
        let way = "DEVICE_RESOLUTION_BY_INVENTORY_AND_SEEN_PAIRS".to_owned();
        assert_eq!(by("audit", &[]), (both.clone(), way));
        assert_eq!(by("audit", &["--from", "2026-03-02", "--to", "2026-03-04"]).0, both);
        assert_eq!(by("audit", &["--to", "2026-03-03"]).0, before);
        assert_eq!(by("audit", &["--from", "2026-03-03"]).0, after);
        assert_eq!(by("audit", &["--from", "2026-03-03", "--to", "2026-03-03"]).0, [], "without a meter");
        assert_eq!(by("meter-reads", &["--to", "2026-03-03"]).0, of_both_users, "they are everybody's");
    }
    for args in [&["--uprn", "999999999999"][..], &["--uprn", UPRN, "--to", "2025-12-31"]] {
        assert_eq!(search("audit", args), (Vec::new(), "DEVICE_RESOLUTION_NO_METER_POINT".to_owned()));
    }
    let log = server.stop();
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
}
