//! Topics that change under an ingest: records that are gone, poison, partitions that are added, names that are reused.

use super::broker::{Ingester, Known, topic};
use crate::crash::{region, region_of_legs};
use crate::support::{succeed, verdict};
use gridtrail_access::OrgId;
use gridtrail_codec::{encode_access_json, encode_access_protobuf};
use gridtrail_lake::SkipReason;
use gridtrail_synth::{Settings, World};
use std::path::Path;

/// Joins what waits for its request, as maintenance does: an ingest of no files, which ends with it.
pub(crate) fn swept(lake: &Path) {
    let empty = tempfile::tempdir().unwrap();
    let nothing = empty.path().join("none.jsonl");
    std::fs::write(&nothing, "\n").unwrap();
    succeed(&["ingest", nothing.to_str().unwrap(), "--lake", lake.to_str().unwrap()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_are_gone_are_a_loud_recorded_gap() {
    let Some(topic) = topic("gone", 1) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (events, lake) = (folder.path().join("events"), folder.path().join("lake"));
    region(21, &events);
    topic.publish(&events);
    let half = topic.records();
    // Deleted before anyone read them.
    topic.admin().delete_records(&topic.name, 0, 100).unwrap();
    topic.ingest_once(&lake, "one");
    topic.publish(&events);
    // Deleted before they were read, though the lake follows the topic.
    topic.admin().delete_records(&topic.name, 0, half + 500).unwrap();
    let output = topic.ingest(&lake, "one", &["--once"]).output().unwrap();
    assert!(output.status.success());
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(log.contains("ERROR") && log.contains("deleted by the topic's retention"), "{log}");
    let known = Known::of(&lake).await;
    let skips: Vec<_> = known.evidence().await.into_iter().flat_map(|e| e.skipped).collect();
    let found: Vec<_> = skips.iter().map(|skip| (skip.from, skip.to, skip.why)).collect();
    assert_eq!(found, [(0, 100, SkipReason::BeforeFirstRead), (half, half + 500, SkipReason::Lost)]);
    assert_eq!(known.covers_every_offset_once().await as i64, topic.records() - 600);
}

/// Who shares with whom comes from a topic as events do: exactly once, in either encoding, bad records put aside.
#[tokio::test(flavor = "multi_thread")]
async fn events_of_access_come_from_a_topic_that_is_named_for_them() {
    let Some(topic) = topic("shares.access-events", 2) else { return };
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    let world = World::seeded(23, Settings::for_events(1_000, 1)).unwrap();
    let records = world.access_events(None);
    let publisher = topic.publisher();
    for (number, record) in records.iter().enumerate() {
        let mut bytes = encode_access_json(record).into_bytes();
        if number % 2 == 1 {
            bytes.clear();
            encode_access_protobuf(record, &mut bytes);
        }
        publisher.send(&topic.name, None, None, &bytes).unwrap();
    }
    publisher.finish().unwrap();
    let report = topic.ingest_once(&lake, "one");
    assert_eq!(
        (report["stored"].as_u64(), report["dead_lettered"].as_u64()),
        (Some(records.len() as u64), Some(0))
    );
    let known = Known::of(&lake).await;
    assert_eq!(known.covers_every_offset_once().await as i64, topic.records());
    let sharing = known.0.sharing().await.unwrap().current();
    let mut expected = gridtrail_access::Sharing::default();
    records.into_iter().for_each(|record| expected.take(record.event));
    assert_eq!(*sharing, expected);
    let party = world.party_of(world.users()[0].id).unwrap();
    let all = world.users().iter().map(|user| user.id).collect();
    let now = world.settings().start;
    assert!(sharing.effective(&party, &all, OrgId::All, now).len() > sharing.owned_by(&party, now).len());
    let poison = topic.publisher();
    poison.send(&topic.name, None, None, b"{\"assigned\": \"Jo Soap\"}").unwrap();
    poison.finish().unwrap();
    let report = topic.ingest_once(&lake, "one");
    assert_eq!((report["stored"].as_u64(), report["dead_lettered"].as_u64()), (Some(0), Some(1)));
    known.0.refresh().await.unwrap();
    let letters = known.0.dead_letters().await.unwrap().rest().await.unwrap();
    assert!(!letters[0].reason.contains("Soap"), "{}", letters[0].reason);
    let again = topic.ingest_once(&lake, "one");
    assert_eq!(again["records"], 0, "{again:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_is_kept_with_its_place_and_stops_nothing() {
    let Some(topic) = topic("poison", 1) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (events, lake) = (folder.path().join("events"), folder.path().join("lake"));
    let world = region_of_legs(22, &events);
    let publisher = topic.publisher();
    let poison: [(Option<&str>, &[u8]); 4] = [
        (None, b"\xFF\xFF\xFF"),
        (Some("application/json"), b"{\"event_id\": 7}"),
        (Some("text/plain"), b"hello"),
        (None, b"\0\0\0\0\x07\x0A"),
    ];
    for (content_type, value) in poison {
        publisher.send(&topic.name, Some(b"key"), content_type, value).unwrap();
    }
    assert_eq!(publisher.finish().unwrap(), 4);
    topic.publish(&events);
    let report = topic.ingest_once(&lake, "one");
    assert_eq!(report["dead_lettered"], 4, "{report:#}");
    verdict(&world, lake.to_str().unwrap()).await.assert_clean();
    let known = Known::of(&lake).await;
    let letters = known.0.dead_letters().await.unwrap().rest().await.unwrap();
    let places: Vec<_> = letters.iter().map(|l| (l.source_name.clone(), l.position)).collect();
    assert_eq!(places, (0..4).map(|n| (format!("{}/0", topic.name), n)).collect::<Vec<_>>());
    for (letter, (_, value)) in letters.iter().zip(poison) {
        assert_eq!(letter.raw, value);
        assert_eq!(letter.key.as_deref(), Some(b"key".as_slice()));
        assert!(!letter.reason.is_empty());
    }
    assert!(letters[2].reason.contains("text/plain"), "{}", letters[2].reason);
    assert_eq!(letters[2].headers, [("content-type".to_owned(), b"text/plain".as_slice().into())]);
    known.covers_every_offset_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_are_added_are_read() {
    let Some(topic) = topic("grows", 1) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (events, lake, log) =
        (folder.path().join("events"), folder.path().join("lake"), folder.path().join("log"));
    let world = region_of_legs(23, &events);
    let ingest = Ingester::start(topic.ingest(&lake, "one", &[]), &log);
    topic.publish(&events);
    topic.admin().grow_topic(&topic.name, 3).unwrap();
    topic.publish(&events);
    let known = Known::of(&lake).await;
    known.has_all_of(&topic).await;
    ingest.stop();
    swept(&lake);
    known.0.refresh().await.unwrap();
    let partitions = known.0.snapshot().partitions().len();
    assert_eq!(partitions, 3);
    verdict(&world, lake.to_str().unwrap()).await.assert_clean();
    assert_eq!(known.covers_every_offset_once().await as i64, topic.records());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_created_again_is_a_new_source_and_loud() {
    let Some(topic) = topic("again", 2) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let (lake, log) = (folder.path().join("lake"), folder.path().join("log"));
    region(24, &first);
    let world = region(25, &second);
    let ingest = Ingester::start(topic.ingest(&lake, "one", &[]), &log);
    topic.publish(&first);
    let known = Known::of(&lake).await;
    known.has_all_of(&topic).await;
    topic.admin().delete_topic(&topic.name).unwrap();
    topic.make(2);
    // As many records as before: an ingest that trusts its old offsets would pass them all over.
    topic.publish(&second);
    known.has_all_of(&topic).await;
    ingest.stop();
    swept(&lake);
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(log.contains("ERROR") && log.contains("was deleted and created again"), "{log}");
    let evidence = known.evidence().await;
    assert!(evidence.iter().any(|e| e.event.as_deref().is_some_and(|e| e.contains("created again"))));
    let lake = lake.to_str().unwrap();
    let verdict = verdict(&world, lake).await;
    assert_eq!((verdict.lost.len(), verdict.doubled.len()), (0, 0));
    known.covers_every_offset_once().await;
}

/// Another engine's entry ends an ingest, which names it; without the entry, the next one goes on, and nothing is lost or twice there.
#[tokio::test(flavor = "multi_thread")]
async fn an_entry_of_another_engine_ends_an_ingest_by_name() {
    let Some(topic) = topic("foreign", 1) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (events, lake, log) =
        (folder.path().join("events"), folder.path().join("lake"), folder.path().join("log"));
    let world = region_of_legs(24, &events);
    topic.publish(&events);
    let first = topic.records();
    let mut ingest = Ingester::start(topic.ingest(&lake, "one", &["--no-maintenance"]), &log);
    Known::of(&lake).await.has_all_of(&topic).await;
    // Where the ingest commits at the same moment, the entry is the one after.
    let entries = lake.join("trails/_delta_log");
    let foreign = "{\"commitInfo\":{\"operation\":\"OPTIMIZE\",\"engineInfo\":\"delta-rs:1\"}}";
    let entry = (1..)
        .map(|version: u64| entries.join(format!("{version:020}.json")))
        .find(|entry| {
            let made = std::fs::OpenOptions::new().write(true).create_new(true).open(entry);
            made.is_ok_and(|mut file| std::io::Write::write_all(&mut file, foreign.as_bytes()).is_ok())
        })
        .unwrap();
    topic.publish(&events);
    let status = ingest.0.wait().unwrap();
    let said = std::fs::read_to_string(&log).unwrap();
    let name = entry.file_name().unwrap().to_str().unwrap();
    assert!(status.code() == Some(1) && said.contains(name) && said.contains("OPTIMIZE"), "{status}: {said}");
    std::fs::remove_file(&entry).unwrap();
    topic.ingest_once(&lake, "one");
    let known = Known::of(&lake).await;
    assert_eq!(known.covers_every_offset_once().await as i64, 2 * first);
    verdict(&world, lake.to_str().unwrap()).await.assert_clean();
}
