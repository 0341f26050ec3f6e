//! Workers that make scheduled reports, killed at any moment, any number of times: no report is missing, none is there twice, and nobody ever sees half
//! a file.
//!
//! The moments come from a seed, counted in files that the workers have written and not in time. `GRIDTRAIL_REPORT_KILLS` raises their number,
//! `GRIDTRAIL_CRASH_SEED` repeats a run.

use crate::crash::Chance;
use crate::support::{gridtrail, run, setting, succeed, text, until};
use gridtrail_model::Timestamp;
use gridtrail_runtime::Clock;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

const USERS: [&str; 3] = ["90-B3-D5-1F-30-02-00-00", "90-B3-D5-1F-30-02-00-01", "90-B3-D5-1F-30-02-00-02"];
const DAY_MS: i64 = 86_400_000;
/// A report is due at the beginning of each of so many days, and today.
const DAYS: i64 = 9;
/// A kill comes after at most so many more files: those of about two reports, and of a start.
const FILES_BETWEEN_KILLS: u64 = 24;

/// A lake with a region's events, all of them of one Party.
fn lake_in(folder: &Path) -> String {
    let (events, lake) = (folder.join("events"), folder.join("lake"));
    let (events, lake) = (events.to_str().unwrap(), lake.to_str().unwrap());
    succeed(&["generate", "--out", events, "--events", "3000", "--days", "5", "--one-party", "region"]);
    succeed(&["ingest", events, "--lake", lake]);
    lake.to_owned()
}

/// Writes a schedule of the last days; the folder that its files go to, and the schedule's own path.
fn schedule_in(folder: &Path, job: &str, more: &str) -> (PathBuf, PathBuf) {
    let (to, path) = (folder.join(format!("out-{job}")), folder.join(format!("{job}.toml")));
    let from = Clock::system().now().plus_millis(-DAYS * DAY_MS).to_string();
    let users = USERS.map(|user| format!("{user:?}")).join(", ");
    let text = format!(
        "[[jobs]]\nname = {job:?}\nreport = \"monthly-transactions\"\nparameters = {{ month = \"2026-03\" }}\nparty = \"region\"\n\
         user_ids = [{users}]\nroles = [\"role-01\"]\ncron = \"0 0 * * *\"\ntime_zone = \"UTC\"\nfrom = {:?}\nformats = [\"csv\", \"json\"]\n\
         to = {:?}\nwait_max = \"0s\"\ncatch_up = 1000\n{more}\n",
        &from[..10],
        to.to_str().unwrap()
    );
    std::fs::write(&path, text).unwrap();
    (to, path)
}

fn worker(schedule: &Path, lake: &str) -> Command {
    let mut command = gridtrail();
    command.args(["report", "worker", "--once", "--schedule", schedule.to_str().unwrap(), "--lake", lake]);
    command.args(["--report-parts", "1", "--log", "error"]);
    command
}

/// Every file below a folder, hidden ones included, by its path within.
fn files_below(folder: &Path) -> BTreeMap<String, PathBuf> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
        if path.is_dir() {
            files.extend(
                files_below(&path).into_iter().map(|(below, path)| (format!("{name}/{below}"), path)),
            );
        } else {
            files.insert(name, path);
        }
    }
    files
}

fn count_below(folders: &[&Path]) -> u64 {
    folders.iter().map(|folder| files_below(folder).len() as u64).sum()
}

fn sha256(path: &Path) -> String {
    let summed = Command::new("sha256sum").arg(path).output().unwrap();
    text(&summed.stdout).split_whitespace().next().unwrap_or_default().to_owned()
}

/// Looks at what readers see, again and again: whatever file of rows is there has its sums beside it, and they fit.
fn watch(to: PathBuf) -> (Arc<AtomicBool>, Arc<AtomicU64>, JoinHandle<()>) {
    let (stop, looks) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let (stopped, looked) = (Arc::clone(&stop), Arc::clone(&looks));
    let watching = std::thread::spawn(move || {
        let mut seen = BTreeSet::new();
        while !stopped.load(Ordering::Relaxed) {
            for (name, path) in files_below(&to) {
                let is_rows =
                    name.ends_with(".csv") || name.ends_with(".json") && !name.ends_with(".about.json");
                if name.starts_with(".unfinished") || !is_rows || !seen.insert(name.clone()) {
                    continue;
                }
                let folder = path.parent().unwrap();
                let sums = format!("{}.sha256", path.file_name().unwrap().to_str().unwrap());
                let checked = Command::new("sha256sum")
                    .args(["--check", "--strict", &sums])
                    .current_dir(folder)
                    .output()
                    .unwrap();
                assert!(checked.status.success(), "{name}: {}", text(&checked.stderr));
                looked.fetch_add(1, Ordering::Relaxed);
            }
            std::thread::yield_now();
        }
    });
    (stop, looks, watching)
}

/// Kills a worker after so many more files, unless it has ended by then. Whether it was killed, or its exit code.
fn kill_after(mut worker: Child, folders: &[&Path], files: u64) -> Result<(), Option<i32>> {
    let enough = count_below(folders) + files;
    loop {
        if worker.try_wait().unwrap().is_some() {
            let output = worker.wait_with_output().unwrap();
            let code = output.status.code();
            // 6: others hold what is left, or failed attempts wait.
            assert!(matches!(code, Some(0 | 6)), "{code:?}: {}", text(&output.stderr));
            return Err(code);
        }
        if count_below(folders) >= enough {
            // SIGKILL: nothing of the process runs after it.
            worker.kill().unwrap();
            worker.wait().unwrap();
            return Ok(());
        }
        std::thread::yield_now();
    }
}

/// What became of the reports of a job: each is published, and its files and no others are at the destination, whole.
fn check(job: &str, lake: &str, to: &Path) -> usize {
    let history: Value = serde_json::from_str(&succeed(&[
        "report", "history", "--lake", lake, "--job", job, "--format", "json",
    ]))
    .unwrap();
    let history = history.as_array().unwrap();
    let (mut files, mut dues, mut rows) = (files_below(to), BTreeMap::new(), BTreeMap::new());
    for past in history {
        assert_eq!(past["state"], "published", "{past:#}");
        let due: Timestamp = past["due"].as_str().unwrap().parse().unwrap();
        *dues.entry(due).or_insert(0) += 1;
        // The same question of the same lake, whenever it was asked.
        let count = past["rows"].as_u64().unwrap();
        assert!(
            count > 0 && *rows.entry(past["user_id"].as_str().unwrap()).or_insert(count) == count,
            "{past:#}"
        );
        let named = past["files"].as_array().unwrap();
        assert_eq!(named.len(), 6, "{past:#}");
        for file in named {
            let name = file["name"].as_str().unwrap();
            let path = files.remove(name).unwrap_or_else(|| panic!("{name} is missing"));
            assert_eq!(sha256(&path), file["sha256"].as_str().unwrap(), "{name}");
        }
    }
    assert!(files.is_empty(), "nobody knows of {files:?}");
    // One a day and User, without a gap, to today; the day may have changed meanwhile.
    let dues: Vec<(Timestamp, usize)> = dues.into_iter().collect();
    assert!(dues.iter().all(|(_, users)| *users == USERS.len()), "{dues:?}");
    assert!(dues.windows(2).all(|two| two[1].0.millis() - two[0].0.millis() == DAY_MS), "{dues:?}");
    assert!((DAYS + 1..=DAYS + 2).contains(&i64::try_from(dues.len()).unwrap()), "{dues:?}");
    history.len()
}

/// Two workers at once, each killed at a moment of its own, again and again.
#[test]
fn workers_of_reports_may_be_killed_at_any_moment() {
    let kills = setting("GRIDTRAIL_REPORT_KILLS", 20);
    let seed = setting("GRIDTRAIL_CRASH_SEED", 20_260_301);
    println!("GRIDTRAIL_CRASH_SEED={seed} GRIDTRAIL_REPORT_KILLS={kills}");
    let mut chance = Chance(seed);
    let folder = tempfile::tempdir().unwrap();
    let lake = lake_in(folder.path());
    let (mut killed, mut rounds, mut reports, mut seen) = (0, 0, 0, 0);
    while killed < kills {
        rounds += 1;
        let job = format!("round-{rounds}");
        let (to, schedule) = schedule_in(folder.path(), &job, "time_max = \"8s\"\nretry_after = \"1s\"");
        let (stop, looks, watching) = watch(to.clone());
        let journal = Path::new(&lake).join("_report_jobs").join(&job);
        let log = Path::new(&lake).join("access_log/_delta_log");
        let folders = [to.as_path(), journal.as_path(), log.as_path()];
        let mut is_done = false;
        while killed < kills && !is_done {
            let workers = [(); 2].map(|()| {
                worker(&schedule, &lake).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
            });
            let ends =
                workers.map(|worker| kill_after(worker, &folders, 1 + chance.below(FILES_BETWEEN_KILLS)));
            killed += ends.iter().filter(|end| end.is_ok()).count() as u64;
            is_done = ends.contains(&Err(Some(0)));
        }
        // What killed workers hold lapses; then the rest is made.
        until("every report is there", || {
            let last = worker(&schedule, &lake).output().unwrap();
            assert!(matches!(last.status.code(), Some(0 | 6)), "{}", text(&last.stderr));
            last.status.success()
        });
        stop.store(true, Ordering::Relaxed);
        watching.join().expect("what was seen was whole");
        seen += looks.load(Ordering::Relaxed);
        reports += check(&job, &lake, &to);
    }
    assert!(seen > 0);
    println!(
        "{killed} kills of workers in {rounds} rounds: {reports} reports, each there once; {seen} files seen, each whole"
    );
}

/// What a worker by itself does, and what it says at its end: done, nothing to do, a wrong schedule, a User ID of another Party.
#[test]
fn a_worker_makes_what_is_due_and_says_what_it_could_not() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake_in(folder.path());
    let (to, schedule) = schedule_in(folder.path(), "alone", "");
    let shown: Value = serde_json::from_str(&succeed(&[
        "report",
        "schedule",
        schedule.to_str().unwrap(),
        "--next",
        "2",
        "--format",
        "json",
    ]))
    .unwrap();
    assert_eq!(
        (shown.as_array().unwrap().len(), &shown[0]["period"][0]),
        (2, &"2026-03".into()),
        "{shown:#}"
    );
    let done = worker(&schedule, &lake).args(["--format", "json"]).output().unwrap();
    assert!(done.status.success(), "{}", text(&done.stderr));
    let ended: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(ended.as_array().unwrap().len(), check("alone", &lake, &to));
    // A reader takes its files away; none is made again.
    std::fs::remove_dir_all(&to).unwrap();
    let again = worker(&schedule, &lake).output().unwrap();
    assert_eq!((again.status.code(), text(&again.stdout)), (Some(0), "nothing was due\n".to_owned()));
    assert!(files_below(&to).is_empty());

    let text_of = std::fs::read_to_string(&schedule).unwrap();
    let other = folder.path().join("other.toml");
    for (right, wrong, code, said) in [
        ("\"0 0 * * *\"", "\"0 0 * *\"", 2, "jobs.alone.cron"),
        ("\"region\"", "\"elsewhere\"", 4, "is not a User ID of elsewhere"),
        ("\"0s\"", "\"31d\"", 7, "the lake is not complete"),
    ] {
        // A job of another name: of this one everything is there.
        let text_of =
            text_of.replace("name = \"alone\"", &format!("name = \"alone-{code}\"")).replace(right, wrong);
        std::fs::write(&other, text_of.replace(&format!("jobs.alone-{code}"), "jobs.alone")).unwrap();
        let failed =
            run(&["report", "worker", "--once", "--schedule", other.to_str().unwrap(), "--lake", &lake]);
        let stderr = text(&failed.stderr).replace(&format!("alone-{code}"), "alone");
        assert_eq!(failed.status.code(), Some(code), "{stderr}");
        assert!(stderr.contains(said), "{stderr}");
    }
}

/// A server makes the reports of its schedule beside its calls, and ends in good order.
#[test]
fn a_server_makes_the_reports_of_its_schedule() {
    use crate::support::Server;
    let folder = tempfile::tempdir().unwrap();
    let lake = lake_in(folder.path());
    let (to, schedule) = schedule_in(folder.path(), "served", "");
    let (key, public) = (folder.path().join("key.pem"), folder.path().join("key.pub.pem"));
    let (key, public) = (key.to_str().unwrap(), public.to_str().unwrap());
    succeed(&[
        "token",
        "--key",
        key,
        "--public-key-out",
        public,
        "--party",
        "region",
        "--role",
        "role-01",
        "--user-id",
        USERS[0],
    ]);
    let server = Server::start(&lake, public, &["--report-schedule", schedule.to_str().unwrap()]);
    let whole = usize::try_from(DAYS + 1).unwrap() * USERS.len();
    until("every report is there", || {
        let told = succeed(&["report", "history", "--lake", &lake, "--job", "served", "--format", "json"]);
        let history: Value = serde_json::from_str(&told).unwrap();
        let published = history.as_array().unwrap().iter().filter(|past| past["state"] == "published");
        published.count() >= whole
    });
    server.stop();
    check("served", &lake, &to);
}
