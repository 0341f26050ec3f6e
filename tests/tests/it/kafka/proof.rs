//! The proof that every offset ended in one place, and what becomes of those that ended as dead letters.

use super::broker::{Known, Topic, topic};
use crate::crash::{region, region_of_legs};
use crate::support::{run, succeed, text, verdict};
use gridtrail_lake::{Batch, SourceEvidence};
use std::path::{Path, PathBuf};

/// What `gridtrail reconcile` says, and its exit code.
pub(crate) fn reconcile(lake: &Path, topic: &Topic) -> (Option<i32>, serde_json::Value) {
    let lake = lake.to_str().unwrap();
    let output = run(&["reconcile", "--lake", lake, "--against-kafka", &topic.bootstrap, "--format", "json"]);
    let said = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| text(&output.stderr).into());
    (output.status.code(), said)
}

/// Holds a lake against its evidence and its topic. Returns how many records of the topic there were.
pub(crate) fn assert_proven(lake: &Path, topic: &Topic) -> u64 {
    let (code, said) = reconcile(lake, topic);
    assert_eq!((code, &said["clean"]), (Some(0), &true.into()), "{said:#}");
    let sources = said["sources"].as_array().unwrap();
    let sources: Vec<_> = sources.iter().filter(|source| source["against_kafka"].is_object()).collect();
    let count = |of: &serde_json::Value, name: &str| of[name].as_u64().unwrap();
    let compared: u64 = sources.iter().map(|source| count(&source["against_kafka"], "same")).sum();
    assert!(compared > 0, "nothing was compared: {said:#}");
    sources.into_iter().map(|source| count(source, "records")).sum()
}

/// Changes one byte of the evidence, in the middle of the newest log entry that holds any.
pub(crate) fn change_evidence(lake: &Path) {
    let entries = std::fs::read_dir(lake.join("trails/_delta_log")).unwrap();
    let mut entries: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    entries.retain(|path| std::fs::read(path).is_ok_and(|log| text_at(&log, b"\"sha256\":\"").is_some()));
    entries.sort();
    let entry = entries.pop().unwrap();
    let mut log = std::fs::read(&entry).unwrap();
    let at = text_at(&log, b"\"sha256\":\"").unwrap() + 20;
    log[at] = if log[at] == b'0' { b'1' } else { b'0' };
    std::fs::write(entry, log).unwrap();
}

fn text_at(log: &[u8], wanted: &[u8]) -> Option<usize> {
    log.windows(wanted.len()).position(|window| window == wanted)
}

/// Ranges are compared with the topic itself: what it still holds, what it deleted since, and what is not what was read.
#[tokio::test(flavor = "multi_thread")]
async fn evidence_is_held_against_the_topic() {
    let Some(topic) = topic("proof", 2) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (events, lake) = (folder.path().join("events"), folder.path().join("lake"));
    let world = region(31, &events);
    topic.publish(&events);
    topic.ingest(&lake, "one", &["--once", "--batch-rows", "700"]).output().unwrap();
    assert_eq!(assert_proven(&lake, &topic), world.events().count() as u64);
    // The page says so in words, and nothing of it is a script.
    let page = folder.path().join("page.html");
    let (lake_text, page_text) = (lake.to_str().unwrap(), page.to_str().unwrap());
    let said = succeed(&["reconcile", "--lake", lake_text, "--html", page_text]);
    assert!(said.contains("clean: every position is accounted for"), "{said}");
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("clean: every position") && page.contains(&topic.name), "{page}");

    // Deleted by the topic since: told apart, and no fault.
    topic.admin().delete_records(&topic.name, 0, 1_000).unwrap();
    let (code, said) = reconcile(&lake, &topic);
    let of = |partition: &str| {
        let sources = said["sources"].as_array().unwrap().clone();
        let name = format!("{}/{partition}", topic.name);
        sources.into_iter().find(|source| source["name"] == name.as_str()).unwrap()["against_kafka"].clone()
    };
    assert_eq!(code, Some(0), "{said:#}");
    assert!(of("0")["gone"].as_u64() > Some(0) && of("1")["gone"] == 0, "{said:#}");

    // Evidence that was never true, well sealed: the next offsets are said to hold what they do not.
    let known = Known::of(&lake).await;
    let before = known.evidence().await.into_iter().rfind(|e| e.name.ends_with("/1")).unwrap();
    topic.publish(&events);
    let lie = SourceEvidence {
        source: before.source.clone(),
        name: before.name.clone(),
        from: before.to,
        to: before.to + 10,
        records: 10,
        stored: 10,
        sha256: "0".repeat(64),
        ..SourceEvidence::default()
    };
    let batch = Batch { sources: vec![lie], ..Batch::default() };
    known.0.writer().await.unwrap().commit(batch).await.unwrap();
    let (code, said) = reconcile(&lake, &topic);
    assert_eq!((code, said["fault_count"].as_u64()), (Some(8), Some(1)), "{said:#}");
    let fault = &said["faults"][0];
    assert_eq!(
        (&fault["kind"], &fault["source"]),
        (&"content-differs".into(), &before.source.as_str().into())
    );
    assert!(
        fault["what"].as_str().unwrap().contains(&format!("{} to {}", before.to, before.to + 10)),
        "{fault}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_cluster_and_no_lake_are_refused() {
    let Some(topic) = topic("refused", 1) else { return };
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nowhere");
    let (code, said) = reconcile(&nowhere, &topic);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.as_str().unwrap().contains("holds no lake") && !nowhere.exists(), "{said}");
    let (events, lake) = (folder.path().join("events"), folder.path().join("lake"));
    region(32, &events);
    succeed(&["ingest", events.to_str().unwrap(), "--lake", lake.to_str().unwrap()]);
    let (code, said) = reconcile(&lake, &topic);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.as_str().unwrap().contains("follows no topic of the cluster"), "{said}");
}

/// Poison is listed, shown byte for byte, mended and replayed, or dismissed; each is settled once, and the trail is found.
#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_settled() {
    let Some(topic) = topic("letters", 1) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (events, lake) = (folder.path().join("events"), folder.path().join("lake"));
    let world = region_of_legs(33, &events);
    let (event, json) = last_event(&world);
    let publisher = topic.publisher();
    // A good event that claims to be something else, one with a field that is wrong, and one that is nothing.
    let send =
        |content_type, value: &[u8]| publisher.send(&topic.name, Some(b"key"), Some(content_type), value);
    send("text/plain", json.as_bytes()).unwrap();
    send("application/json", json.replacen("recordedAt", "recorded", 1).as_bytes()).unwrap();
    send("application/json", b"\x1b[2J").unwrap();
    assert_eq!(publisher.finish().unwrap(), 3);
    topic.ingest_once(&lake, "one");
    let lake_text = lake.to_str().unwrap();
    let letters = |more: &[&str]| run(&[&["dead-letters"], more, &["--lake", lake_text]].concat());
    let good = |more: &[&str]| {
        let output = letters(more);
        assert!(output.status.success(), "{more:?}: {}", text(&output.stderr));
        text(&output.stdout)
    };
    let list = |more: &[&str]| -> serde_json::Value {
        serde_json::from_str(&good(&[&["list", "--format", "json"], more].concat())).unwrap()
    };
    let id = |offset: i64| format!("{}/0@{offset}", topic.name);
    let open = list(&[]);
    assert_eq!((open["found"].as_u64(), &open["letters"][0]["state"]), (Some(3), &"open".into()), "{open:#}");
    assert_eq!(open["letters"][0]["headers"][0][1], "text/plain");
    assert_eq!(list(&["--reason", "text/plain"])["found"], 1);
    assert_eq!(letters(&["show", &id(0), "--raw"]).stdout, json.as_bytes());
    assert!(!good(&["show", &id(2)]).contains('\x1b'), "a letter does not speak to the terminal");

    // Nothing that reads them is new, so none can be read; with other bytes one can.
    let still = letters(&["replay", "--all"]);
    assert_eq!(still.status.code(), Some(1), "{}", text(&still.stdout));
    assert_eq!(list(&[])["found"], 3);
    let mended = folder.path().join("mended.json");
    std::fs::write(&mended, &json).unwrap();
    let mended = mended.to_str().unwrap();
    let dry: serde_json::Value =
        serde_json::from_str(&good(&["replay", &id(1), "--with", mended, "--dry-run", "--format", "json"]))
            .unwrap();
    assert_eq!((&dry["stored"], list(&[])["found"].as_u64()), (&1.into(), Some(3)), "{dry:#}");
    good(&["replay", &id(1), "--with", mended]);
    good(&["dismiss", &id(2), "--because", "a test of the terminal"]);
    // By the source's id as well as by its name.
    let source = open["letters"][0]["source"].as_str().unwrap();
    good(&["dismiss", &format!("{source}@0"), "--because", "sent again"]);
    assert_eq!(list(&[])["found"], 0);
    let states = list(&["--all"]);
    let states: Vec<_> =
        states["letters"].as_array().unwrap().iter().map(|l| l["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["dismissed", "replayed", "dismissed"]);
    // What is settled is no longer there to be settled.
    for refused in [&["replay", &id(1)][..], &["dismiss", &id(0), "--because", "x"], &["replay", "t/9@4"]] {
        let output = letters(refused);
        assert_eq!(output.status.code(), Some(3), "{refused:?}: {}", text(&output.stderr));
    }
    assert_eq!(letters(&["replay", "nonsense"]).status.code(), Some(2));

    assert_proven(&lake, &topic);
    let freshness = succeed(&["freshness", "--lake", lake_text, "--format", "json"]);
    let freshness: serde_json::Value = serde_json::from_str(&freshness).unwrap();
    assert!(freshness["sources"][0]["openDeadLetters"].is_null(), "{freshness:#}");
    let known = Known::of(&lake).await;
    let settled: Vec<_> = known.evidence().await.into_iter().filter(|e| e.letters_of().is_some()).collect();
    assert!(settled.iter().any(|e| e.event.as_deref() == Some("a test of the terminal")), "{settled:#?}");
    assert_eq!(known.0.counts().fragments, 1, "the replayed event {event:?} is a row, once");

    // The rest of its trail comes, with the same event in it: every trail is as it must be.
    topic.publish(&events);
    topic.ingest_once(&lake, "one");
    verdict(&world, lake_text).await.assert_clean();
    assert_proven(&lake, &topic);
}

/// The last event of a region that says when its request was received, and its JSON.
pub(super) fn last_event(world: &gridtrail_synth::World) -> (gridtrail_model::Event, String) {
    let event =
        world.events().filter(|event| event.correlation.request_received_at.is_some()).last().unwrap();
    let json = gridtrail_codec::encode_json(&event);
    (event, json)
}
