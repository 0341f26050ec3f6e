//! The real command, and the truth to hold its lake against.

use gridtrail_access::{Access, Bearer, DevKey, JobTypeRole, OrgId};
use gridtrail_lake::{KeyQuery, Lake, LakeSettings, View};
use gridtrail_model::{DeviceId, Named, Timestamp, Trail, TrailKey};
use gridtrail_runtime::Clock;
use gridtrail_synth::{ExpectedTrail, World};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a condition may take to come about before the test fails. Far more than any takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// The command as cargo has built it beside this test: `cargo test --workspace` builds both.
pub(crate) fn gridtrail() -> Command {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).unwrap();
    let path: PathBuf = folder.join(format!("gridtrail{}", std::env::consts::EXE_SUFFIX));
    assert!(path.exists(), "{} is not built; run cargo test with --workspace", path.display());
    let mut command = Command::new(path);
    // The caller's own settings are no part of the test.
    let settings = [
        "GRIDTRAIL_LAKE",
        "GRIDTRAIL_TOKEN",
        "GRIDTRAIL_SERVER",
        "GRIDTRAIL_SERVER_ANCHORS",
        "GRIDTRAIL_LOG",
    ];
    for name in settings {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// Runs the command to its end, wherever that is.
pub(crate) fn run(args: &[&str]) -> Output {
    gridtrail().args(args).output().unwrap()
}

/// Runs the command, which must succeed without a warning; gives its standard output.
pub(crate) fn succeed(args: &[&str]) -> String {
    let output = run(args);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{args:?}: {}\n{err}", output.status);
    assert!(!err.contains("WARN") && !err.contains("ERROR"), "{args:?}:\n{err}");
    out
}

/// The User of a row, as a search prints it in JSON.
pub(crate) fn user_of(row: &Value) -> String {
    let bare = row["userId"].as_str();
    bare.or(row["dccServiceUserOrganisationId"].as_str()).unwrap().to_owned()
}

/// A time, as JSON of the API has it: without a fraction where that is nothing.
pub(crate) fn time_of(value: &Value) -> Option<Timestamp> {
    value.as_str().map(|text| text.parse().unwrap())
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A server process, killed when the test ends before it does.
pub(crate) struct Server {
    process: Child,
    log: Arc<Mutex<String>>,
    logging: Option<JoinHandle<()>>,
    pub(crate) url: String,
}

impl Server {
    /// Starts one on a free port, and waits until it serves.
    pub(crate) fn start(lake: &str, public_key: &str, more: &[&str]) -> Self {
        Self::start_encrypted(lake, public_key, &[&["--plain-text"], more].concat())
    }

    /// The same, with how it encrypts among the arguments.
    pub(crate) fn start_encrypted(lake: &str, public_key: &str, more: &[&str]) -> Self {
        let args = ["serve", "--lake", lake, "--public-key", public_key, "--listen", "127.0.0.1:0"];
        let mut command = gridtrail();
        command.args(args).args(more);
        Self::spawn(command).0
    }

    /// Starts one by a command, waits until it serves, and gives what it prints behind its address.
    pub(crate) fn spawn(mut command: Command) -> (Self, BufReader<ChildStdout>) {
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(process.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(String::new()));
        let logging = std::thread::spawn({
            let log = Arc::clone(&log);
            move || {
                for line in stderr.lines() {
                    log.lock().unwrap().extend([&line.unwrap(), "\n"]);
                }
            }
        });
        let mut url = String::new();
        let mut out = BufReader::new(process.stdout.take().unwrap());
        out.read_line(&mut url).unwrap();
        (Self { process, log, logging: Some(logging), url: url.trim().to_owned() }, out)
    }

    /// The most memory that the process has had so far, in MiB.
    pub(crate) fn peak_mib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Asks it to stop, and gives its log.
    pub(crate) fn stop(mut self) -> String {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let status = self.process.wait().unwrap();
        self.logging.take().unwrap().join().unwrap();
        let log = self.log();
        assert!(status.success(), "a server that is asked to stop ends well: {status}\n{log}");
        log
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already gone, mostly.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits for a condition.
pub(crate) fn until(what: &str, holds: impl FnMut() -> bool) {
    until_within(PATIENCE, what, holds);
}

/// Waits for a condition that takes its time.
pub(crate) fn until_within(patience: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < patience, "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A setting of the test run from the environment, or its everyday value.
pub(crate) fn setting(name: &str, everyday: u64) -> u64 {
    std::env::var_os(name).map_or(everyday, |value| value.to_str().and_then(|v| v.parse().ok()).unwrap())
}

/// What a lake shows of a region, against what it must show.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Trails that are as they must be.
    pub(crate) right: usize,
    pub(crate) lost: Vec<String>,
    pub(crate) doubled: Vec<String>,
    pub(crate) wrong: Vec<String>,
    /// Trails that name no Device: no search finds those.
    pub(crate) without_device: usize,
}

impl Verdict {
    pub(crate) fn assert_clean(&self) {
        let bad = [&self.lost, &self.doubled, &self.wrong];
        let first: Vec<_> = bad.iter().flat_map(|list| list.iter().take(3)).collect();
        let [lost, doubled, wrong] = bad.map(Vec::len);
        assert!(
            lost + doubled + wrong == 0,
            "{lost} lost, {doubled} doubled, {wrong} wrong of {} and more, such as {first:#?}",
            self.right
        );
        assert!(self.right > 0, "nothing was compared");
    }
}

/// Looks up every trail of every Device and compares all of its fields.
pub(crate) async fn verdict(world: &World, lake: &str) -> Verdict {
    let lake = Lake::open(LakeSettings::at(lake), Clock::system()).await.unwrap();
    let who = everybody(world);
    let mut verdict = Verdict::default();
    let mut expected: BTreeMap<DeviceId, HashMap<TrailKey, ExpectedTrail>> = BTreeMap::new();
    for trail in world.truth() {
        match trail.device_id {
            Some(device) => drop(expected.entry(device).or_default().insert(trail.key, trail)),
            None => verdict.without_device += 1,
        }
    }
    let snapshot = lake.snapshot();
    for (device, mut trails) in expected {
        let mut seen = std::collections::HashSet::new();
        for found in snapshot.lookup(&who, &everything(device)).await.unwrap() {
            let key = found.fragment.key;
            if !seen.insert(key) {
                verdict.doubled.push(format!("{key:?}"));
                continue;
            }
            match trails.remove(&key).map(|trail| trail.differences(&Trail::from(&found.fragment))) {
                Some(differences) if differences.is_empty() => verdict.right += 1,
                Some(differences) => verdict.wrong.push(format!("{key:?}: {differences:?}")),
                None => verdict.wrong.push(format!("never generated: {key:?}")),
            }
        }
        verdict.lost.extend(trails.into_keys().map(|key| format!("{key:?}")));
    }
    verdict
}

fn everything(device: DeviceId) -> KeyQuery {
    KeyQuery::all(device, View::Audit, 1_000_000)
}

/// Holds what a lake knows of the inventory against the region: every event under each Device and meter point that it is about, once.
pub(crate) async fn assert_inventory(world: &World, lake: &str) {
    let lake = Lake::open(LakeSettings::at(lake), Clock::system()).await.unwrap();
    let mut expected: BTreeMap<Named, usize> = BTreeMap::new();
    for about in world.inventory_events().flat_map(|event| event.about()) {
        *expected.entry(about).or_default() += 1;
    }
    let (snapshot, who) = (lake.snapshot(), everybody(world));
    let all: Vec<Named> = expected.keys().copied().collect();
    for some in all.chunks(64) {
        let (found, _) = snapshot.inventory(&who, some).await.unwrap();
        for (about, fragment) in some.iter().zip(found) {
            assert_eq!(fragment.events().len(), expected[about], "{about:?}");
        }
    }
}

/// An access to the rows of every User of the region.
fn everybody(world: &World) -> Access {
    let key = DevKey::generate().unwrap();
    let now = Clock::system().now();
    let claims = Bearer {
        subject: "test".to_owned(),
        party: "region".parse().unwrap(),
        org_id: OrgId::All,
        user_ids: world.users().iter().map(|user| user.id).collect(),
        roles: JobTypeRole::new(1).into_iter().collect(),
        valid_from: now,
        expires_at: now.plus_millis(3_600_000),
    };
    key.access(&claims).unwrap()
}

/// Every byte and row of a lake is as it must be.
pub(crate) fn verified(lake: &str) {
    succeed(&["lake", "verify", "--lake", lake]);
}
