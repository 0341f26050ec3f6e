//! Reports with real processes: a server makes what the command makes over the same lake, file for file.

use crate::support::{Server, run, succeed, text};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read as _};
use std::path::{Path, PathBuf};

/// The Party of all Users.
const PARTY: &str = "region";
const FORMS: [&str; 5] = ["csv", "json", "parquet", "xlsx", "html"];

/// A region with an inventory and quarantined communications that is served, and some of its Users.
struct Stage {
    _folder: tempfile::TempDir,
    path: PathBuf,
    users: Vec<String>,
    /// A Device with transactions of theirs.
    device: String,
    server: Server,
}

impl Stage {
    fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let at = |name: &str| path.join(name).to_str().unwrap().to_owned();
        let region = ["--events", "6000", "--days", "40", "--disorder", "--inventory", "--anomaly"];
        let files = ["generate", "--out", &at("events"), "--one-party", PARTY, "--truth", &at("truth.jsonl")];
        succeed(&[&files[..], &region].concat());
        succeed(&["ingest", &at("events"), "--lake", &at("lake")]);
        let truth = std::fs::read_to_string(path.join("truth.jsonl")).unwrap();
        let truth: Vec<Value> = truth.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let of = |field: &str| -> Vec<String> {
            truth.iter().filter_map(|trail| trail[field].as_str()).map(str::to_owned).collect()
        };
        let users: BTreeSet<String> = of("user_id").into_iter().collect();
        // A token names 64 User IDs at most.
        let users: Vec<String> = users.into_iter().take(60).collect();
        let device = of("device_id").swap_remove(0);
        let stage = |server| Self { _folder: folder, path: path.clone(), users, device, server };
        // Mints nothing that is used: it makes the key and shows its public half.
        token(&path, "90-B3-D5-1F-30-02-00-00", &["--role", "1", "--public-key-out", &at("key.pub.pem")]);
        stage(Server::start(&at("lake"), &at("key.pub.pem"), &["--no-maintenance"]))
    }

    fn at(&self, name: &str) -> String {
        self.path.join(name).to_str().unwrap().to_owned()
    }

    fn token(&self, role: &str) -> String {
        token(&self.path, &self.users.join(","), &["--role", role])
    }

    /// Parameters by which a report is about the days of the region.
    fn given(&self, report: &str) -> Vec<String> {
        let given: &[&str] = match report {
            "monthly-transactions" => &["month=2026-03"],
            "load-balance" => &["from=2026-03-10", "until=2026-03-31"],
            "device-transactions" => {
                &[&format!("device_id={}", self.device), "from=2026-03-01", "until=2026-04-30"]
            }
            "firmware-activations" | "scheduled-service-requests" => &["from=2026-03-01", "until=2026-04-30"],
            _ => &[],
        };
        given.iter().flat_map(|pair| ["--param".to_owned(), (*pair).to_owned()]).collect()
    }

    /// Makes a report: by the server, or by the command itself.
    fn report(&self, name: &str, by_server: bool, more: &[&str]) -> std::process::Output {
        let (token, lake, key) = (self.token("1"), self.at("lake"), self.at("key.pem"));
        let given = self.given(name);
        let given: Vec<&str> = given.iter().map(String::as_str).collect();
        let of = if by_server {
            vec!["--server", &self.server.url]
        } else {
            vec!["--lake", &lake, "--key", &key, "--read-only"]
        };
        run(&[&["report", "run", name, "--token", &token], of.as_slice(), &given, more].concat())
    }
}

impl Stage {
    /// The list of reports and what each is, asked of the server, are those of the command.
    fn tells_what_the_command_tells(&self) {
        let token = self.token("1");
        let by = ["--server", &self.server.url, "--token", &token];
        for format in ["table", "csv", "json"] {
            let list = ["report", "list", "--format", format];
            assert_eq!(succeed(&[&list[..], &by].concat()), succeed(&list), "{format}");
        }
        for name in ["load-balance", "quarantined-requests"] {
            let describe = ["report", "describe", name];
            assert_eq!(succeed(&[&describe[..], &by].concat()), succeed(&describe), "{name}");
            let json = succeed(&[&describe[..], &by, &["--format", "json"]].concat());
            let json: Value = serde_json::from_str(&json).unwrap();
            assert_eq!(json["name"], name);
            assert_eq!(json.get("answerFile").is_some(), name == "quarantined-requests", "{json}");
        }
        let unknown = run(&[&["report", "describe", "no-such-report"][..], &by].concat());
        assert_eq!(unknown.status.code(), Some(3), "{}", text(&unknown.stderr));
        let by_nobody = run(&["report", "list", "--server", &self.server.url]);
        assert_eq!(by_nobody.status.code(), Some(2), "{}", text(&by_nobody.stderr));
    }

    /// The file of Appendix AA of one User.
    fn writes_the_answer_file_that_the_command_writes(&self) {
        let [by_server, by_command] = [true, false].map(|by_server| {
            let path = self.at(&format!("answer-{by_server}.csv"));
            let of = ["--format", "appendix-aa", "--user-id", &self.users[0], "--output", &path];
            let output = self.report("quarantined-requests", by_server, &of);
            assert!(output.status.success(), "{}", text(&output.stderr));
            let (about, made_at) = beside(&path);
            (content(&path, &made_at), about)
        });
        assert_eq!(by_server.1["parameters"]["state"], "Quarantined");
        assert!(by_server == by_command, "{by_server:?} and not {by_command:?}");
        let of_all = self.report("quarantined-requests", true, &["--format", "appendix-aa"]);
        assert_eq!(of_all.status.code(), Some(2), "{}", text(&of_all.stderr));
        assert!(text(&of_all.stderr).contains("--user-id"), "{}", text(&of_all.stderr));
    }
}

/// What is on record of a report that the command makes is what a server notes of one: which it is, how it is asked, and how many rows it has.
#[test]
fn a_report_over_a_lake_is_on_record_as_one_of_a_server_is() {
    let stage = Stage::set();
    let (token, lake, key) = (stage.token("1"), stage.at("lake"), stage.at("key.pem"));
    // The region is old, of which a report warns.
    let over = ["--token", &token, "--lake", &lake, "--key", &key, "--log", "error"];
    let named = ["--user-id", &stage.users[0]];
    let asked = ["--param", "month=2026-03", "--format", "json"];
    let made = succeed(&[&["report", "run", "monthly-transactions"][..], &over, &named, &asked].concat());
    let made: Value = serde_json::from_str(&made).unwrap();
    let typed = ["--param", "manufacturer=Jane Doe"];
    succeed(&[&["report", "run", "device-models"][..], &over, &typed].concat());
    let stranger = ["--user-id", "90-B3-D5-1F-30-09-09-09"];
    let refused = run(&[&["report", "run", "monthly-transactions"][..], &over, &stranger].concat());
    assert_eq!(refused.status.code(), Some(3), "{}", text(&refused.stderr));
    let calls = "SELECT outcome, rows, rows_of_others, key_kind, key, detail FROM access_log WHERE call = 'report' ORDER BY at";
    let found = succeed(&[&["sql", "-c", calls, "--format", "json"][..], &over].concat());
    let found: Vec<Value> = serde_json::from_str(&found).unwrap();
    let [first, second, third] = found.as_slice() else { panic!("{found:#?}") };
    let detail = "monthly-transactions version=1 form=json user_ids=1 month=2026-03";
    let shown = |entry: &Value, field: &str| entry[field].as_str().unwrap_or_default().to_owned();
    assert_eq!((shown(first, "detail"), shown(first, "outcome")), (detail.to_owned(), "OK".to_owned()));
    assert_eq!((&first["rows"], &first["rows_of_others"]), (&made["row_count"], &Value::from(0)));
    assert_eq!((shown(first, "key_kind"), shown(first, "key")), ("user_id".into(), stage.users[0].clone()));
    let detail = "device-models version=1 form=rows user_ids=all manufacturer=?";
    assert_eq!(shown(second, "detail"), detail);
    assert!(shown(third, "detail").starts_with("monthly-transactions version=1 form=rows user_ids=1"));
    assert_ne!(shown(third, "outcome"), "OK");
}

fn token(folder: &Path, users: &str, more: &[&str]) -> String {
    let key = folder.join("key.pem").to_str().unwrap().to_owned();
    let args = [&["token", "--key", &key, "--party", PARTY, "--user-id", users][..], more].concat();
    succeed(&args).trim().to_owned()
}

/// What a file is, without the time at which it was made.
fn content(path: &str, made_at: &str) -> BTreeMap<String, Vec<u8>> {
    let bytes = std::fs::read(path).unwrap();
    let mut parts = BTreeMap::new();
    if path.ends_with("xlsx") {
        let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        for number in 0..archive.len() {
            let mut part = archive.by_index(number).unwrap();
            let mut content = Vec::new();
            part.read_to_end(&mut content).unwrap();
            let name = part.name().unwrap().into_owned();
            parts.insert(name, content);
        }
        // It says when the file was made, and nothing else that differs.
        parts.remove("docProps/core.xml");
    } else {
        parts.insert(String::new(), bytes);
    }
    for content in parts.values_mut() {
        while let Some(place) = content.windows(made_at.len()).position(|some| some == made_at.as_bytes()) {
            content[place..place + made_at.len()].fill(b'-');
        }
    }
    parts
}

/// What stands beside a file, without the time at which it was made, and that time. The checksums are those of what is there.
fn beside(path: &str) -> (Value, String) {
    let about = std::fs::read_to_string(format!("{path}.about.json")).unwrap();
    let mut about: Value = serde_json::from_str(&about).unwrap();
    let made_at = about["made_at"].take().as_str().unwrap().to_owned();
    let checked = std::process::Command::new("sha256sum")
        .args(["--check", "--strict", &format!("{path}.sha256")])
        .current_dir(Path::new(path).parent().unwrap())
        .output()
        .unwrap();
    assert!(checked.status.success(), "{}", text(&checked.stderr));
    (about, made_at)
}

#[test]
fn a_server_makes_what_the_command_makes() {
    let stage = Stage::set();
    let reports: Value = serde_json::from_str(&succeed(&["report", "list", "--format", "json"])).unwrap();
    let names: Vec<&str> =
        reports.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 10);
    let mut without_rows = Vec::new();
    for name in names {
        let mut rows = 0;
        for form in FORMS {
            let [by_server, by_command] = [true, false].map(|by_server| {
                let path = stage.at(&format!("{name}-{by_server}.{form}"));
                let output = stage.report(name, by_server, &["--format", form, "--output", &path]);
                assert!(output.status.success(), "{name} as {form}: {}", text(&output.stderr));
                let (about, made_at) = beside(&path);
                rows = about["row_count"].as_u64().unwrap();
                (content(&path, &made_at), about)
            });
            assert_eq!(by_server.1, by_command.1, "{name} as {form}");
            assert!(by_server.0 == by_command.0, "{name} as {form}");
        }
        if rows == 0 {
            without_rows.push(name);
        }
        let [by_server, by_command] = [true, false].map(|by_server| {
            let output = stage.report(name, by_server, &["--format", "table"]);
            assert!(output.status.success(), "{name}: {}", text(&output.stderr));
            let lines = text(&output.stdout);
            lines.lines().filter(|line| !line.starts_with("Made at")).map(str::to_owned).collect::<Vec<_>>()
        });
        assert_eq!(by_server, by_command, "{name}");
    }
    stage.tells_what_the_command_tells();
    stage.writes_the_answer_file_that_the_command_writes();
    // No hub of this region lost its Devices, and what was quarantined is gone by now; all others have rows.
    assert_eq!(without_rows, ["hubs-without-devices", "quarantined-requests"]);
    let log = stage.server.stop();
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
}

/// What a server refuses ends the command with the code of that, with nothing written.
#[test]
fn what_a_server_refuses_is_told_and_leaves_no_file() {
    let stage = Stage::set();
    let there = stage.at("there.csv");
    std::fs::write(&there, "theirs").unwrap();
    let out = stage.at("out.csv");
    let stranger = "90-B3-D5-1F-30-09-09-09";
    for (name, more, role, code, part) in [
        ("no-such-report", &["--output", &out][..], "1", 3, "there is no report"),
        ("monthly-transactions", &["--param", "year=2026", "--output", &out], "1", 2, "has no parameter"),
        (
            "monthly-transactions",
            &["--param", "month=2026-02", "--param", "month=2026-03"],
            "1",
            2,
            "given twice",
        ),
        ("monthly-transactions", &["--user-id", stranger, "--output", &out], "1", 4, "is not yours"),
        (
            "monthly-transactions",
            &["--output", &out],
            "3",
            4,
            "none of your Job Type Roles may use Reporting",
        ),
        ("monthly-transactions", &["--output", &there], "1", 5, "exists"),
    ] {
        let token = stage.token(role);
        let fixed =
            ["report", "run", name, "--server", &stage.server.url, "--token", &token, "--format", "csv"];
        let output = run(&[&fixed[..], more].concat());
        let told = text(&output.stderr);
        assert_eq!(
            (output.status.code(), told.contains(part)),
            (Some(code), true),
            "{name} {more:?}: {told}"
        );
        assert!(output.stdout.is_empty(), "{name} {more:?}");
    }
    assert_eq!(std::fs::read_to_string(&there).unwrap(), "theirs");
    let left: Vec<String> = std::fs::read_dir(&stage.path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("out") || name.contains("tmp") || name.starts_with("there.csv."))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    // With no server there it is none of the report's fault.
    let token = stage.token("1");
    let away = run(&["report", "run", "load-balance", "--server", "http://127.0.0.1:1", "--token", &token]);
    assert_eq!(away.status.code(), Some(6), "{}", text(&away.stderr));
}
