//! Lakes as commands find them: who makes one, who leaves none behind, and a server that writes nothing to its own.

use crate::support::{Server, gridtrail, run, succeed, text};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

struct Stage {
    folder: tempfile::TempDir,
    token: String,
}

impl Stage {
    fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        succeed(&["generate", "--out", &at("a place/events"), "--events", "1000", "--meters", &at("meters")]);
        succeed(&["ingest", &at("a place/events"), "--lake", &at("a place/lake")]);
        let user = ["--party", "supplier-1", "--user-id", "90-B3-D5-1F-30-02-00-00", "--role", "role-01"];
        let key = ["token", "--key", &at("key.pem"), "--public-key-out", &at("key.pub.pem")];
        let token = succeed(&[&key[..], &user].concat()).trim().to_owned();
        Self { folder, token }
    }

    fn at(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn serve_args<'a>(&'a self, lake: &'a str, key: &'a str) -> Vec<&'a str> {
        vec!["serve", "--lake", lake, "--public-key", key, "--plain-text", "--listen", "127.0.0.1:0"]
    }
}

/// Every file under a folder: its size, and when it was written.
fn files(folder: &Path) -> BTreeMap<PathBuf, (u64, SystemTime)> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let of = path.metadata().unwrap();
            found.insert(path, (of.len(), of.modified().unwrap()));
        }
    }
    found
}

/// A wrong address leaves nothing behind, whichever command is given it, and each says what to look for.
#[test]
fn a_command_that_finds_no_lake_makes_none() {
    let stage = Stage::set();
    let key = stage.at("key.pub.pem");
    let before = files(stage.folder.path());
    for wrong in ["typo", "a place/events", "a place/lake/trails", "a place/lake/x", "meters"] {
        let lake = stage.at(wrong);
        let commands = [
            stage.serve_args(&lake, &key),
            vec!["lake", "status", "--lake", &lake],
            vec!["compact", "--lake", &lake],
            vec!["reconcile", "--lake", &lake],
            vec!["freshness", "--lake", &lake],
            vec!["dead-letters", "list", "--lake", &lake],
            vec!["access", "log", "--lake", &lake],
            vec!["idp", "list", "--lake", &lake],
        ];
        for command in commands {
            let output = run(&command);
            let error = text(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{command:?}: {error}");
            assert!(output.stdout.is_empty() && !error.contains("try again"), "{command:?}: {error}");
            assert!(
                error.contains("holds no lake") || error.contains("it is a file"),
                "{command:?}: {error}"
            );
        }
    }
    let events = stage.at("a place/events");
    for within in ["a place/lake/trails/x", "a place/lake/x", "a place/events", "a place/events/lake"] {
        let lake = stage.at(within);
        for command in [&["lake", "create", "--lake", &lake][..], &["ingest", &events, "--lake", &lake]] {
            let output = run(command);
            let error = text(&output.stderr);
            assert!(
                output.status.code() == Some(2) && error.contains("no lake can be made"),
                "{command:?}: {error}"
            );
        }
    }
    assert_eq!(files(stage.folder.path()), before, "nothing is left behind");
}

/// However a lake's folder is written, it is that lake.
#[test]
fn every_spelling_of_a_lake_is_the_same_lake() {
    let stage = Stage::set();
    let root = stage.folder.path().canonicalize().unwrap();
    let lake = root.join("a place/lake");
    std::os::unix::fs::symlink(&lake, root.join("link")).unwrap();
    std::os::unix::fs::symlink(root.join("a place"), root.join("deep")).unwrap();
    std::fs::create_dir_all(root.join("work/here")).unwrap();
    let status = |folder: &Path, address: &str| {
        let output =
            gridtrail().current_dir(folder).args(["lake", "status", "--lake", address]).output().unwrap();
        assert!(output.status.success(), "{address}: {}", text(&output.stderr));
        text(&output.stdout)
    };
    let expected = status(&root, lake.to_str().unwrap());
    let url = format!("file://{}", lake.to_str().unwrap().replace(' ', "%20"));
    for (folder, address) in [
        ("work", "../a place/lake"),
        ("work/here", "../../a place/lake/"),
        ("work", "./here/../../link"),
        ("work", "../deep/lake"),
        ("a place/lake", "."),
        ("a place/events", "../lake"),
        ("work", &url),
        ("work", &format!("{url}/")),
    ] {
        assert_eq!(status(&root.join(folder), address), expected, "{address} in {folder}");
    }
    // What is written by one spelling is found by another.
    let again = gridtrail()
        .current_dir(root.join("work"))
        .args(["ingest", "../a place/events", "--lake", "../link"])
        .output()
        .unwrap();
    assert!(text(&again.stdout).starts_with("nothing new"), "{}", text(&again.stderr));
    let fresh = gridtrail()
        .current_dir(root.join("work"))
        .args(["ingest", "../a place/events", "--lake", "../deep/../new lake"])
        .output()
        .unwrap();
    assert!(fresh.status.success(), "{}", text(&fresh.stderr));
    assert!(root.join("new lake/trails/_delta_log").is_dir(), "`..` is the parent of what the link names");
}

/// A server that is told so writes nothing to the lake that it serves, and answers nothing that is not recorded.
#[test]
fn a_lake_that_is_only_read_stays_as_it_is() {
    let stage = Stage::set();
    let (lake, calls, key) = (stage.at("a place/lake"), stage.at("calls"), stage.at("key.pub.pem"));
    let before = files(Path::new(&lake));
    let refused = |more: &[&str], words: &str| {
        let output = run(&[stage.serve_args(&lake, &key), more.to_vec()].concat());
        let error = text(&output.stderr);
        assert!(output.status.code() == Some(2) && error.contains(words), "{more:?}: {error}");
        assert!(output.stdout.is_empty(), "no address of what does not serve");
    };
    refused(&["--read-only"], "--access-log-lake");
    refused(&["--read-only", "--access-log-lake", &calls], "holds no lake");
    refused(&["--read-only", "--access-log-lake", &lake], "it is the lake that is served");
    succeed(&["lake", "create", "--lake", &calls]);
    let server = Server::start(&lake, &key, &["--read-only", "--access-log-lake", &calls]);
    let device = std::fs::read_to_string(stage.at("meters")).unwrap().lines().next().unwrap().to_owned();
    let asked = ["--server", &server.url, "--token", &stage.token];
    succeed(&[&["search", "audit", "--device", &device][..], &asked].concat());
    succeed(&[&["whoami"][..], &asked].concat());
    let log = server.stop();
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
    assert_eq!(files(Path::new(&lake)), before);
    let rows = succeed(&["access", "log", "--lake", &calls, "--format", "json"]);
    let rows: Vec<Value> = serde_json::from_str(&rows).unwrap();
    let called: Vec<&str> =
        rows.iter().filter(|row| row["kind"] == "call").map(|row| row["call"].as_str().unwrap()).collect();
    assert!(
        called.contains(&"AuditTrailService.Search") && called.contains(&"SessionService.Profile"),
        "{called:?}"
    );
    crate::support::verified(&calls);
}

/// A file of which nothing could be read is told, and ends an ingest with a code of its own; what else there is is in the lake.
#[test]
fn a_file_that_holds_nothing_readable_is_named() {
    let stage = Stage::set();
    let events = stage.folder.path().join("more");
    std::fs::create_dir(&events).unwrap();
    std::fs::write(events.join("notes.jsonl"), "dear diary\n").unwrap();
    std::fs::copy(stage.at("a place/events/parties.access.jsonl"), events.join("parties.access.jsonl"))
        .unwrap();
    let output = run(&["ingest", events.to_str().unwrap(), "--lake", &stage.at("lake")]);
    let (out, error) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(9), "{error}");
    assert!(error.contains("WARN") && error.contains("notes.jsonl"), "{error}");
    assert!(out.contains("1 dead letter;"), "the report is printed all the same: {out}");
    let again = run(&["ingest", events.to_str().unwrap(), "--lake", &stage.at("lake")]);
    assert_eq!(again.status.code(), Some(0), "told once: the letter is in the lake");
}

/// Lists as CSV, and what is no list refused.
#[test]
fn lists_are_printed_as_csv_and_nothing_else_is() {
    let stage = Stage::set();
    let lake = stage.at("a place/lake");
    for list in
        [&["dead-letters", "list"][..], &["access", "log"], &["lake", "hold", "list"], &["idp", "list"]]
    {
        let csv = succeed(&[list, &["--lake", &lake, "--format", "csv"]].concat());
        assert!(csv.lines().next().is_some_and(|header| header.contains(',')), "{list:?}: {csv}");
    }
    for report in [&["lake", "status"][..], &["reconcile"]] {
        let output = run(&[report, &["--lake", &lake, "--format", "csv"]].concat());
        assert_eq!(output.status.code(), Some(2), "{report:?}");
        assert!(text(&output.stderr).contains("no list of rows"), "{report:?}");
    }
}

/// A session that there is not is not found, rather than ended.
#[test]
fn an_unknown_session_is_not_found() {
    let stage = Stage::set();
    let session = "0".repeat(64);
    let output = run(&["session", "revoke", &session, "--lake", &stage.at("a place/lake")]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
}
