//! A server keeps its lake in order by itself: what was parked joins its request while the server runs.

use crate::support::{Server, run, succeed, verdict};
use gridtrail_access::DevKey;
use gridtrail_lake::{Batch, Lake, LakeSettings};
use gridtrail_model::Fold;
use gridtrail_runtime::Clock;
use gridtrail_synth::{Settings, World};
use gridtrail_tests::repository_root;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// How long between two looks at the lake.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// A sweep comes every second; this is for a machine that is very busy.
const DEADLINE: Duration = Duration::from_secs(120);

/// Commits what waits for its request before the requests themselves, so that only a sweep can join them.
async fn park(world: &World, lake: &Lake) {
    let mut fold = Fold::default();
    for event in world.events() {
        fold.add(event).unwrap();
    }
    let mut writer = lake.writer().await.unwrap();
    let parked = fold.take_unplaced();
    writer.commit(Batch { parked, ..Batch::default() }).await.unwrap();
    writer.commit(Batch { fragments: fold.into_fragments(), ..Batch::default() }).await.unwrap();
}

/// How much is parked once nothing is, or at the deadline.
async fn parked_at_last(lake: &Lake) -> u64 {
    let until_none = async {
        loop {
            lake.refresh().await.unwrap();
            if lake.counts().parked == 0 {
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    // Either way the count tells.
    let _ = tokio::time::timeout(DEADLINE, until_none).await;
    lake.counts().parked
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_joins_what_was_parked_and_every_row_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let settings = Settings { bare_responses_ppm: 200_000, ..Settings::for_events(2_000, 1) };
    let world = World::seeded(7, settings).unwrap();
    let lake = Lake::open(LakeSettings::at(at("lake")), Clock::system()).await.unwrap();
    park(&world, &lake).await;
    let parked = lake.counts().parked;
    assert!(parked > 50, "only {parked} fragments are parked");
    std::fs::write(at("key.pub.pem"), DevKey::generate().unwrap().to_public_pem()).unwrap();

    let server = Server::start(&at("lake"), &at("key.pub.pem"), &["--maintain-every", "1s"]);
    let left = parked_at_last(&lake).await;
    let log = server.stop();
    assert_eq!(left, 0, "of {parked} parked fragments, {left} still wait after {DEADLINE:?}:\n{log}");
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
    verdict(&world, &at("lake")).await.assert_clean();
}

#[test]
fn a_lake_may_be_made_with_more_buckets_and_is_not_made_twice() {
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake").to_str().unwrap().to_owned();
    let status = || -> Value {
        serde_json::from_str(&succeed(&["lake", "status", "--lake", &lake, "--format", "json"])).unwrap()
    };
    // Said of the arguments, before anything is made.
    for buckets in ["0", "4097"] {
        let refused = run(&["lake", "create", "--buckets", buckets, "--lake", &lake]);
        assert_eq!(refused.status.code(), Some(2));
        assert!(!folder.path().join("lake").exists());
    }
    let made = succeed(&["lake", "create", "--buckets", "40", "--lake", &lake]);
    assert_eq!(made, format!("{lake}: an empty lake, 40 buckets a month\n"));
    let again = run(&["lake", "create", "--buckets", "64", "--lake", &lake]);
    assert_eq!(again.status.code(), Some(5));
    let said = String::from_utf8(again.stderr).unwrap();
    assert!(said.contains("holds a lake already"), "{said}");
    assert_eq!(status()["buckets"], 40);
    // Compaction goes by it from the first row on.
    let events = folder.path().join("events").to_str().unwrap().to_owned();
    succeed(&["generate", "--out", &events, "--events", "20000", "--days", "1"]);
    succeed(&["ingest", &events, "--lake", &lake]);
    succeed(&["compact", "--full", "--lake", &lake]);
    let months = status()["months"].as_array().unwrap().clone();
    assert!(!months.is_empty());
    for month in months {
        assert_eq!((&month["level_0_runs"], &month["bucket_runs_max"]), (&0.into(), &1.into()), "{month}");
        assert_eq!(month["bucket_runs"], 40, "{month}");
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            std::fs::copy(&path, &to).unwrap();
        }
    }
}

/// What an operator sees of a lake of the first format: it is used as it is, named, upgraded once, and whole.
#[test]
fn a_lake_of_an_older_format_is_named_and_upgraded_by_the_command() {
    let folder = tempfile::tempdir().unwrap();
    copy(
        &repository_root().join("crates/lake/tests/testdata/formats/first/lake"),
        &folder.path().join("lake"),
    );
    let lake = folder.path().join("lake").to_str().unwrap().to_owned();
    let report = |words: &[&str]| -> Value {
        let words = [&["lake"], words, &["--lake", &lake, "--format", "json"]].concat();
        serde_json::from_str(&succeed(&words)).unwrap()
    };
    let formats = || -> Vec<(u64, Option<u64>)> {
        let tables = report(&["status"])["tables"].clone();
        let of = |table: &Value| (table["format"].as_u64().unwrap(), table["upgrade_to"].as_u64());
        tables.as_array().unwrap().iter().map(of).collect()
    };
    let older = formats();
    assert!(older.iter().filter(|table| **table == (1, Some(2))).count() > 7, "{older:?}");
    let said = succeed(&["lake", "status", "--lake", &lake]);
    assert!(said.contains("of an older format: trails, parked, ") && said.contains("lake upgrade"), "{said}");

    let foretold = report(&["upgrade", "--dry-run"]);
    assert_eq!(formats(), older, "a dry run changes nothing");
    let done = report(&["upgrade"]);
    assert_eq!(done["tables"], foretold["tables"]);
    let written: u64 =
        done["tables"].as_array().unwrap().iter().map(|table| table["files"].as_u64().unwrap()).sum();
    assert!(written > 10, "{done}");
    assert!(formats().iter().all(|(_, upgrade_to)| upgrade_to.is_none()), "{:?}", formats());
    let again = succeed(&["lake", "upgrade", "--lake", &lake]);
    assert_eq!(again, "every table is of this build's format\n");
    succeed(&["lake", "verify", "--lake", &lake]);
}
