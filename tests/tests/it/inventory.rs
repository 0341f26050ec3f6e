//! The inventory with real processes: generate, ingest, serve, and search by each key; and the record of it.

use crate::support::{Server, run, succeed, text, until};
use gridtrail_model::{DeviceId, DeviceType, Mpxn, SmiStatus};
use gridtrail_runtime::Clock;
use gridtrail_synth::{InventoryState, Settings, World};
use serde_json::Value;
use std::collections::BTreeSet;

const EVENTS: u64 = 3_000;
/// Long enough ago that all of the inventory is known by now, and so.
const START: &str = "2024-03-01";
const USER: &str = "90-B3-D5-1F-30-02-00-00";

/// The Commissioned Devices that a search of some meter points shows.
fn listed(truth: &InventoryState, mpxns: &BTreeSet<Mpxn>) -> BTreeSet<String> {
    truth.listed(mpxns, false).iter().map(DeviceId::to_string).collect()
}

/// A region whose inventory is served.
struct Stage {
    folder: tempfile::TempDir,
    server: Server,
    token: String,
}

impl Stage {
    fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        succeed(&[
            "generate",
            "--out",
            &at("events"),
            "--events",
            &EVENTS.to_string(),
            "--start",
            START,
            "--inventory",
        ]);
        succeed(&["ingest", &at("events"), "--lake", &at("lake")]);
        let key = at("key.pem");
        let public = at("key.pub.pem");
        let token = ["token", "--key", &key, "--party", "supplier-1", "--user-id", USER, "--role", "role-11"];
        let token = succeed(&[&token[..], &["--public-key-out", &public]].concat()).trim().to_owned();
        let server = Server::start(&at("lake"), &public, &[]);
        Self { folder, server, token }
    }

    fn ask(&self, what: &str, args: &[&str]) -> std::process::Output {
        let fixed = ["search", what, "--server", &self.server.url, "--token", &self.token];
        run(&[&fixed[..], args].concat())
    }

    fn answer(&self, what: &str, args: &[&str]) -> Value {
        let output = self.ask(what, &[args, &["--format", "json"]].concat());
        assert!(output.status.success(), "{what} {args:?}: {}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The Devices of a search, all pages of it.
    fn found(&self, args: &[&str]) -> BTreeSet<String> {
        let answer = self.answer("inventory", &[args, &["--all"]].concat());
        assert!(answer["completeUpTo"].is_string() && answer["asAt"].is_string(), "{answer:#}");
        ids(&answer, |device| &device["deviceId"]).into_iter().collect()
    }
}

fn ids(answer: &Value, id: impl Fn(&Value) -> &Value) -> Vec<String> {
    let devices = answer["devices"].as_array().map(Vec::as_slice).unwrap_or_default();
    devices.iter().map(|device| id(device).as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_inventory_is_searched_by_each_key_and_the_calls_are_on_record() {
    let stage = Stage::set();
    let settings = Settings { start: START.parse().unwrap(), ..Settings::for_events(EVENTS, 1) };
    let households = settings.premises;
    let world = World::seeded(7, settings).unwrap();
    let facts = (0..households).flat_map(|number| world.inventory_of(number).truth);
    let truth = InventoryState::of(facts, Clock::system().now());

    let (mpxn, uprn) = (*truth.installed.keys().next().unwrap(), *truth.uprns.keys().next().unwrap());
    let by_mpxn = stage.found(&["--mpxn", &mpxn.to_string()]);
    assert_eq!(by_mpxn, listed(&truth, &BTreeSet::from([mpxn])));
    assert_eq!(stage.found(&["--uprn", &uprn.to_string()]), listed(&truth, &truth.uprns[&uprn]));
    a_postcode_comes_page_by_page(&stage, &truth);
    a_device_has_its_history_and_its_groups(&stage, &truth, &by_mpxn);
    what_is_wrong_is_told(&stage);
    let lake = stage.folder.path().join("lake").to_str().unwrap().to_owned();
    let key = mpxn.to_string();
    let mut calls = Vec::new();
    until("the calls are on record", || {
        let log = succeed(&["access", "log", "--lake", &lake, "--format", "json"]);
        let rows: Vec<Value> = serde_json::from_str(&log).unwrap();
        calls = rows.into_iter().filter(|row| row["call"] == "InventoryService.Search").collect();
        calls.iter().any(|row| row["key"] == key.as_str())
            && calls.iter().any(|row| row["key_kind"] == "postcode")
    });
    let by_key = calls.iter().find(|row| row["key"] == key.as_str()).unwrap();
    assert_eq!(
        (by_key["key_kind"].as_str(), by_key["rows"].as_u64()),
        (Some("mpxn"), Some(by_mpxn.len() as u64))
    );
    let log = stage.server.stop();
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
}

fn a_postcode_comes_page_by_page(stage: &Stage, truth: &InventoryState) {
    let (postcode, mpxns) = truth.postcodes.first_key_value().unwrap();
    let by_postcode = ["--postcode", postcode.as_str()];
    let all = listed(truth, mpxns);
    assert_eq!(stage.found(&by_postcode), all);
    // Page by page, and one page that says where it goes on.
    assert_eq!(stage.found(&[&by_postcode[..], &["--page-size", "3"]].concat()), all);
    let page = stage.answer("inventory", &[&by_postcode[..], &["--page-size", "3"]].concat());
    let next = page["nextPageToken"].as_str().unwrap();
    let second =
        stage.answer("inventory", &[&by_postcode[..], &["--page-size", "3", "--page-token", next]].concat());
    let both: Vec<String> =
        [&page, &second].into_iter().flat_map(|page| ids(page, |one| &one["deviceId"])).collect();
    assert_eq!(both, all.iter().take(6).cloned().collect::<Vec<_>>());
    let csv =
        text(&stage.ask("inventory", &[&by_postcode[..], &["--all", "--format", "csv"]].concat()).stdout);
    assert_eq!(csv.lines().count(), all.len() + 1, "{csv}");
}

fn a_device_has_its_history_and_its_groups(
    stage: &Stage,
    truth: &InventoryState,
    of_home: &BTreeSet<String>,
) {
    // One that is gone from service is there for whoever asks for it.
    let gone = truth
        .statuses
        .iter()
        .find(|(_, status)| **status == SmiStatus::Decommissioned)
        .unwrap()
        .0
        .to_string();
    let by_device = ["--device", gone.as_str()];
    assert!(stage.found(&by_device).is_empty());
    assert_eq!(
        stage.found(&[&by_device[..], &["--include-not-commissioned"]].concat()),
        BTreeSet::from([gone.clone()])
    );
    let whole = stage.answer("device", &[&by_device[..], &["--include-not-commissioned"]].concat());
    let history = whole["devices"][0]["device"]["smiStatusHistory"].as_array().unwrap();
    let statuses: Vec<&str> = history.iter().map(|one| one["smiStatus"].as_str().unwrap()).collect();
    assert_eq!(
        statuses,
        ["Pending", "Whitelisted", "InstalledNotCommissioned", "Commissioned", "Decommissioned"]
    );

    // The hub leads to its home: group II is what is Associated with it.
    let hub = truth
        .types
        .iter()
        .find(|(device, of)| **of == DeviceType::Chf && of_home.contains(&device.to_string()));
    let hub = *hub.unwrap().0;
    let around = stage.answer("device", &["--device", &hub.to_string()]);
    let others = around["devices"][0]["others"].as_array().unwrap();
    let second =
        others.iter().filter(|other| other["groups"].as_array().unwrap().contains(&"DEVICE_GROUP_II".into()));
    let second: BTreeSet<&str> = second.map(|other| other["device"]["deviceId"].as_str().unwrap()).collect();
    let expected = truth.associated.iter().filter(|(_, with)| *with == hub).map(|(one, _)| one.to_string());
    assert_eq!(second, expected.collect::<BTreeSet<_>>().iter().map(String::as_str).collect());
    let table = text(&stage.ask("device", &["--device", &hub.to_string()]).stdout);
    assert!(table.contains("Group II: Device") && table.contains("Communications Hub Function"), "{table}");
}

fn what_is_wrong_is_told(stage: &Stage) {
    let cases: [(&str, &[&str], i32, &str); 7] = [
        ("inventory", &[], 2, "required"),
        ("inventory", &["--device", "88-73"], 2, "--device"),
        ("inventory", &["--postcode", "S01 1AA"], 2, "SO1 1AA may be meant"),
        ("inventory", &["--property", "12"], 2, "--postcode"),
        ("inventory", &["--mpxn", "1217290354420", "--page-token", "x"], 2, "page_token"),
        ("inventory", &["--mpxn", "1217290354420", "--as-of", "1999"], 2, "version"),
        ("device", &["--mpxn", "1217290354420", "--uprn", "1"], 2, "cannot be used"),
    ];
    for (what, args, code, says) in cases {
        let output = stage.ask(what, args);
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{what} {args:?}: {complaint}");
        assert!(complaint.contains(says) && output.stdout.is_empty(), "{what} {args:?} says: {complaint}");
    }
}
