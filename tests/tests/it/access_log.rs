//! The record of calls, with real processes: what a killed server leaves, and what somebody with the store cannot hide.

use crate::support::{Server, run, succeed, text, user_of};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// How often, and how many times at most, the log is looked at until a call is on record.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const LOOKS: u32 = 200;

const USER: &str = "90-B3-D5-1F-30-02-00-00";

struct Stage {
    folder: tempfile::TempDir,
}

impl Stage {
    fn set() -> Self {
        let stage = Self { folder: tempfile::tempdir().unwrap() };
        let (events, meters) = (stage.at("events"), stage.at("meters"));
        succeed(&["generate", "--out", &events, "--events", "5000", "--meters", &meters]);
        succeed(&["ingest", &events, "--lake", &stage.at("lake")]);
        stage.token("role-01", &["--public-key-out", &stage.at("key.pub.pem")]);
        stage
    }

    fn at(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn token(&self, role: &str, more: &[&str]) -> String {
        let key = self.at("key.pem");
        let args = ["token", "--key", &key, "--party", "supplier-1", "--user-id", USER, "--role", role];
        succeed(&[&args[..], more].concat()).trim().to_owned()
    }

    fn serve(&self) -> Server {
        Server::start(&self.at("lake"), &self.at("key.pub.pem"), &["--no-maintenance"])
    }

    fn devices(&self) -> Vec<String> {
        std::fs::read_to_string(self.at("meters")).unwrap().lines().map(str::to_owned).collect()
    }

    /// A search of a Device: its exit code, and the Users of its rows.
    fn search(
        &self,
        server: &Server,
        service: &str,
        token: &str,
        device: &str,
    ) -> (Option<i32>, Vec<String>) {
        let fixed = ["search", service, "--server", &server.url, "--token", token, "--format", "json"];
        let output = run(&[&fixed[..], &["--device", device]].concat());
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let rows = answer["rows"].as_array().cloned().unwrap_or_default();
        (output.status.code(), rows.iter().map(user_of).collect())
    }

    fn log(&self, more: &[&str]) -> Vec<Value> {
        let lake = self.at("lake");
        let args = ["access", "log", "--lake", &lake, "--format", "json"];
        serde_json::from_str(&succeed(&[&args[..], more].concat())).unwrap()
    }

    /// The log, once it holds so many calls.
    fn log_with(&self, calls: usize) -> Vec<Value> {
        for _ in 0..LOOKS {
            let rows: Vec<Value> = self.log(&[]).into_iter().filter(|row| row["kind"] == "call").collect();
            if rows.len() >= calls {
                return rows;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        panic!("{calls} calls did not come on record: {:#?}", self.log(&[]));
    }

    /// The exit code of a verification, and what it found.
    fn verify(&self) -> (Option<i32>, Value) {
        let output = run(&["lake", "verify", "--lake", &self.at("lake"), "--format", "json"]);
        (output.status.code(), serde_json::from_slice(&output.stdout).unwrap())
    }

    /// The entries of the table's own log, oldest first.
    fn entries(&self) -> Vec<PathBuf> {
        let folder = self.at("lake/access_log/_delta_log");
        let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut paths: Vec<PathBuf> =
            paths.filter(|path| path.extension().is_some_and(|e| e == "json")).collect();
        paths.sort();
        paths
    }
}

#[test]
fn calls_are_on_record_and_a_killed_server_leaves_its_chain_open() {
    let stage = Stage::set();
    let server = stage.serve();
    let (token, denied) = (stage.token("role-01", &[]), stage.token("role-11", &[]));
    // Meter reads are those of all Users: one Device at least shows some of others.
    let devices = stage.devices();
    let found = devices.iter().find_map(|device| {
        let (code, users) = stage.search(&server, "meter-reads", &token, device);
        assert_eq!(code, Some(0));
        users.iter().any(|user| user != USER).then(|| (device.clone(), users))
    });
    let (device, users) = found.expect("a region of this size has meter reads of others");
    assert_eq!(stage.search(&server, "audit", &denied, &device).0, Some(4));
    assert_eq!(stage.search(&server, "audit", "no.such.token", &device).0, Some(4));
    let searched = devices.iter().position(|known| *known == device).unwrap() + 1;
    let rows = stage.log_with(searched + 2);
    // Killed at once: what was on record stays there.
    drop(server);
    let calls: Vec<Value> = stage.log(&[]).into_iter().filter(|row| row["kind"] == "call").collect();
    assert_eq!(calls, rows);

    let last = &rows[searched - 1];
    assert_eq!((&last["call"], &last["outcome"]), (&json!("MeterReadService.Search"), &json!("OK")));
    assert_eq!((&last["key_kind"], &last["key"]), (&json!("device_id"), &json!(device)));
    let of_others = users.iter().filter(|user| *user != USER).count();
    assert!(
        last["rows_of_others"] == of_others && last["rows"] == users.len(),
        "{of_others} of {users:?}: {last:#}"
    );
    assert_eq!((&last["party"], &last["roles"]), (&json!("supplier-1"), &json!("role-01")));
    assert!(last["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
    let reasons: BTreeSet<_> = rows[searched..].iter().map(|row| row["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, BTreeSet::from(["NO_IDENTITY", "ROLE_MISSING"]));
    let told = format!("{rows:?}");
    assert!(!told.contains(&token) && !told.contains(&denied) && !told.contains("no.such.token"));

    let (code, verified) = stage.verify();
    assert_eq!((code, &verified["access_log"]["chains"]), (Some(0), &json!(1)), "{verified:#}");
    let open = verified["access_log"]["open"].as_array().unwrap();
    assert_eq!(open.iter().map(|chain| &chain["last_seq"]).collect::<Vec<_>>(), [&json!(rows.len())]);

    // The next server saw it, and ends its own chain.
    let log = stage.serve().stop();
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
    let (code, verified) = stage.verify();
    assert_eq!((code, &verified["access_log"]["chains"]), (Some(0), &json!(2)), "{verified:#}");
    assert_eq!(verified["access_log"]["open"].as_array().unwrap().len(), 1);
    let ends: Vec<Value> = stage.log(&[]).into_iter().filter(|row| row["kind"] == "end").collect();
    let said = ends[0]["hash"].as_str().unwrap();
    assert!(ends.len() == 1 && log.contains(said), "the end of a chain is told outside of the lake: {log}");
    let shown = succeed(&["access", "log", "--lake", &stage.at("lake"), "--party", "supplier-1"]);
    assert!(
        shown.contains(&device) && shown.contains("ROLE_MISSING") && !shown.contains("NO_IDENTITY"),
        "{shown}"
    );
    assert_eq!(stage.log(&["--party", "nobody"]), Vec::<Value>::new());
    assert_eq!(stage.log(&["--to", "2020-01-01"]), Vec::<Value>::new());
}

#[test]
fn a_file_that_somebody_takes_away_is_missed_by_its_rows() {
    let stage = Stage::set();
    let server = stage.serve();
    let (token, device) = (stage.token("role-01", &[]), stage.devices().remove(0));
    for calls in 1..=2 {
        stage.search(&server, "audit", &token, &device);
        // Each in a commit of its own.
        stage.log_with(calls);
    }
    server.stop();
    assert_eq!(stage.verify().0, Some(0));

    // Of the two commits of calls the first: whoever can write to the store can have the log say that its file went.
    let entries = stage.entries();
    let added: Vec<Value> = entries
        .iter()
        .flat_map(|path| {
            std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .map(|line| serde_json::from_str::<Value>(&line).unwrap()["add"].clone())
        .filter(Value::is_object)
        .collect();
    let path = &added[1]["path"];
    let action = json!({ "remove": { "path": path, "dataChange": true, "deletionTimestamp": 1 } });
    // It looks like a commit of ours: any other entry is told from ours, and not answered from.
    let commit = json!({ "commitInfo": { "timestamp": 0, "gridtrailCommitId": "forged" } });
    let next = format!("lake/access_log/_delta_log/{:020}.json", entries.len());
    std::fs::write(stage.at(&next), format!("{commit}\n{action}\n")).unwrap();

    let chain = stage.log(&[])[0]["chain"].as_str().unwrap().to_owned();
    let (code, verified) = stage.verify();
    let damages: Vec<_> =
        verified["damages"].as_array().unwrap().iter().map(|d| (&d["kind"], &d["path"])).collect();
    assert_eq!(
        (code, damages),
        (Some(8), vec![(&json!("chain"), &json!(format!("{chain}/1")))]),
        "{verified:#}"
    );
    let shown = run(&["lake", "verify", "--lake", &stage.at("lake")]);
    let shown = text(&shown.stdout);
    assert!(shown.contains(&format!("row 1 of chain {chain} is missing")), "{shown}");
}
