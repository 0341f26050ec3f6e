//! Files into a lake: idempotent, resumable, nothing good lost beside what is bad.

mod access;
mod anomaly;
mod inventory;
mod packed;
mod repair;
mod rescissions;
mod schedules;
mod sidecars;

use gridtrail_access::{Access, Bearer, DevKey, JobTypeRole, OrgId};
use gridtrail_codec::{Receipt, capture, encode_frame, encode_json};
use gridtrail_ingest::{FileSettings, IngestError, Maker, Progress, Summary, ingest_files, ingest_made};
use gridtrail_lake::{Evidence, Found, KeyQuery, Lake, LakeSettings, View};
use gridtrail_model::*;
use gridtrail_runtime::Clock;
use std::path::Path;
use std::sync::Arc;

struct Silent;

impl Progress for Silent {
    fn start(&self, _: u64) {}
    fn advance(&self, _: u64, _: u64) {}
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_770_000_000_000 + millis).unwrap()
}

fn user() -> UserId {
    "90-B3-D5-1F-30-01-00-00".parse().unwrap()
}

fn device() -> DeviceId {
    "00-DB-12-34-56-78-90-A0".parse().unwrap()
}

fn received(counter: u64) -> Event {
    let millis = i64::try_from(counter).unwrap() * 1_000;
    Event {
        id: format!("e{counter}").parse().unwrap(),
        recorded_at: at(millis),
        correlation: Correlation {
            request_id: Some(RequestId { originator: user(), target: device(), counter }),
            request_received_at: Some(at(millis)),
            command_variant: CommandVariant::new(1),
            device_id: Some(device()),
            variant: Some("4.8.1".parse().unwrap()),
            ..Correlation::of_user(user())
        },
        body: Body::RequestReceived(RequestReceived::default()),
    }
}

async fn lake() -> Lake {
    Lake::open(LakeSettings::at("memory:///ingest"), Clock::manual(at(9_000_000))).await.unwrap()
}

async fn ingest(lake: &Lake, path: &Path, settings: &FileSettings) -> Result<Summary, IngestError> {
    ingest_files(lake, path, settings, Arc::new(Silent)).await
}

async fn counters(lake: &Lake) -> Vec<u64> {
    rows(lake).await.iter().rev().filter_map(|f| Some(f.fragment.key.request_id()?.counter)).collect()
}

/// What a search of the one Device finds, newest first.
async fn rows(lake: &Lake) -> Vec<Found> {
    let key = DevKey::generate().unwrap();
    let claims = Bearer {
        subject: "tester".to_owned(),
        party: "region".parse().unwrap(),
        org_id: OrgId::All,
        user_ids: [user()].into(),
        roles: JobTypeRole::new(1).into_iter().collect(),
        valid_from: at(0),
        expires_at: at(3_600_000),
    };
    let who: Access = key.access(&claims).unwrap();
    let query = KeyQuery::all(device(), View::Audit, 100_000);
    lake.snapshot().lookup(&who, &query).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_records_become_dead_letters_and_the_good_around_them_land() {
    let folder = tempfile::tempdir().unwrap();
    let mut frames = Vec::new();
    encode_frame(&received(1), &mut frames);
    let bad_at = frames.len();
    frames.extend_from_slice(b"\x03\xFF\xFF\xFF");
    encode_frame(&received(2), &mut frames);
    frames.extend_from_slice(b"\x7Fcut off");
    std::fs::write(folder.path().join("a.binpb"), &frames).unwrap();
    let lines = format!("{}\n\nnot json\n{}", encode_json(&received(3)), encode_json(&received(4)));
    std::fs::write(folder.path().join("b.jsonl"), lines).unwrap();
    // Well-formed, and yet no row of any kind: it names neither a request nor a run.
    let mut keyless = received(5);
    keyless.correlation.request_id = None;
    std::fs::write(folder.path().join("c.jsonl"), encode_json(&keyless)).unwrap();
    std::fs::write(folder.path().join("d.xml"), "<!DOCTYPE x><x/>").unwrap();
    std::fs::write(folder.path().join("ignored.txt"), "nothing").unwrap();
    let lake = lake().await;
    let summary = ingest(&lake, folder.path(), &FileSettings::default()).await.unwrap();
    assert_eq!(counters(&lake).await, [1, 2, 3, 4]);
    assert_eq!((summary.files, summary.outcome.stored, summary.outcome.dead_lettered), (4, 4, 5));
    let letters = lake.dead_letters().await.unwrap().rest().await.unwrap();
    assert_eq!(letters.len(), 5);
    let named = |name: &str| -> Vec<(i64, &[u8])> {
        let mut found: Vec<_> = letters
            .iter()
            .filter(|l| l.source_name.ends_with(name))
            .map(|l| (l.position, l.raw.as_ref()))
            .collect();
        found.sort_unstable();
        found
    };
    assert_eq!(named("a.binpb")[0], (i64::try_from(bad_at).unwrap(), b"\xFF\xFF\xFF".as_slice()));
    assert_eq!(named("b.jsonl")[0].1, b"not json");
    assert_eq!(named("c.jsonl")[0].1, encode_json(&keyless).as_bytes());
    assert_eq!(named("d.xml")[0].1, b"<!DOCTYPE x><x/>");
    assert!(letters.iter().all(|l| !l.reason.is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_reads_nothing_and_a_new_file_is_read_alone() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, counters: std::ops::Range<u64>| {
        let mut frames = Vec::new();
        counters.for_each(|n| encode_frame(&received(n), &mut frames));
        std::fs::write(folder.path().join(name), frames).unwrap();
    };
    write("a.binpb", 0..50);
    let lake = lake().await;
    let first = ingest(&lake, folder.path(), &FileSettings::default()).await.unwrap();
    assert_eq!((first.outcome.stored, first.known_files), (50, 0));
    // A copy is the same source.
    write("copy.binpb", 0..50);
    let second = ingest(&lake, folder.path(), &FileSettings::default()).await.unwrap();
    assert_eq!((second.files, second.known_files, second.commits), (0, 2, 0));
    write("b.binpb", 50..60);
    let third = ingest(&lake, folder.path(), &FileSettings::default()).await.unwrap();
    assert_eq!((third.files, third.outcome.stored), (1, 10));
    assert_eq!(counters(&lake).await, (0..60).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_repeat_others_are_counted_where_they_stand() {
    let folder = tempfile::tempdir().unwrap();
    // As a producer sends that never heard that it was heard; the last says something new of a row that is known.
    let again = Event { recorded_at: at(70_000), ..received(1) };
    let mut news = received(2);
    news.correlation.gbcs_originator_counter = Some(9);
    let (mut frames, mut starts) = (Vec::new(), Vec::new());
    for event in [received(1), received(2), received(1), again, news] {
        starts.push(i64::try_from(frames.len()).unwrap());
        encode_frame(&event, &mut frames);
    }
    std::fs::write(folder.path().join("a.binpb"), frames).unwrap();
    let lake = lake().await;
    ingest(&lake, folder.path(), &FileSettings::default()).await.unwrap();
    let mut told = Vec::new();
    lake.evidence(|commit| told.extend(commit.sources)).await.unwrap();
    let [Evidence::Whole(evidence)] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((evidence.records, evidence.stored, evidence.duplicates), (5, 5, 2));
    assert_eq!(evidence.duplicates_at, starts[2..4].iter().copied().collect());
    assert_eq!(counters(&lake).await, [1, 2]);
}

/// Batches that end inside a file, and records that straddle pieces of it, lose and double nothing.
#[tokio::test(flavor = "multi_thread")]
async fn small_batches_give_the_same_trails() {
    let folder = tempfile::tempdir().unwrap();
    let mut frames = Vec::new();
    (0..20_000).for_each(|n| encode_frame(&received(n), &mut frames));
    assert!(frames.len() > 2 << 20, "the file spans several pieces");
    std::fs::write(folder.path().join("a.binpb"), frames).unwrap();
    let lake = lake().await;
    let settings = FileSettings { batch_rows: 1_000, ..FileSettings::default() };
    let summary = ingest(&lake, folder.path(), &settings).await.unwrap();
    assert!(summary.commits > 1, "{summary:?}");
    assert_eq!(counters(&lake).await, (0..20_000).collect::<Vec<_>>());
}

/// A DUIS file says nothing of its receipt: without a time it is a dead letter, and with one it is read after all.
#[tokio::test(flavor = "multi_thread")]
async fn a_duis_file_needs_a_receipt_time() {
    let folder = tempfile::tempdir().unwrap();
    let files = gridtrail_codec::synthetic::files();
    let (_, xml) =
        files.iter().find(|(name, xml)| name.ends_with(".xml") && !capture::is_capture(xml)).unwrap();
    std::fs::write(folder.path().join("one.xml"), xml).unwrap();
    let lake = lake().await;
    let without = ingest(&lake, folder.path(), &FileSettings::default()).await.unwrap();
    assert_eq!((without.outcome.stored, without.outcome.dead_lettered), (0, 1));
    let receipt = Receipt { recorded_at: at(0), event_id: None };
    std::fs::write(folder.path().join("one.xml.receipt.json"), receipt.to_sidecar()).unwrap();
    let with = ingest(&lake, folder.path(), &FileSettings::default()).await.unwrap();
    assert_eq!(with.outcome.dead_lettered, 0, "{with:?}");
    assert_eq!(with.outcome.stored + with.outcome.parked, 1);
}

/// A response that comes before its request, in a capture of real shape, ends in the request's own row.
#[tokio::test(flavor = "multi_thread")]
async fn a_capture_of_duis_messages_is_read_message_by_message() {
    let folder = tempfile::tempdir().unwrap();
    let files = gridtrail_codec::synthetic::files();
    for (name, bytes) in files.iter().filter(|(_, bytes)| capture::is_capture(bytes)) {
        let path = folder.path().join(Path::new(name).file_name().unwrap());
        std::fs::write(path, bytes).unwrap();
    }
    let lake = lake().await;
    let summary = ingest(&lake, folder.path(), &FileSettings::default()).await.unwrap();
    assert!(summary.outcome.stored > 5, "{summary:?}");
    assert_eq!(summary.outcome.dead_lettered, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_folder_and_a_missing_one_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake().await;
    let empty = ingest(&lake, folder.path(), &FileSettings::default()).await.unwrap_err();
    assert!(matches!(empty, IngestError::Nothing { .. }), "{empty}");
    let missing = ingest(&lake, &folder.path().join("no"), &FileSettings::default()).await.unwrap_err();
    assert!(matches!(missing, IngestError::File { .. }), "{missing}");
}

/// Events that are made here end up as the same events in a file do, and their evidence covers each of them.
#[tokio::test(flavor = "multi_thread")]
async fn made_events_land_like_those_of_files() {
    let lake = lake().await;
    let maker = Maker { id: "7".to_owned(), name: "a test".to_owned() };
    let (pieces, made) = tokio::sync::mpsc::channel(1);
    let making = tokio::spawn(async move {
        for part in [0..30, 30..31, 31..100] {
            pieces.send(part.map(received).collect()).await.unwrap();
        }
    });
    let summary = ingest_made(&lake, &maker, made).await.unwrap();
    making.await.unwrap();
    assert_eq!((summary.outcome.stored, summary.commits), (100, 1));
    assert_eq!(counters(&lake).await, (0..100).collect::<Vec<_>>());
    assert_eq!(lake.writer().await.unwrap().position(&maker.source()), Some(100));
    assert_eq!(lake.snapshot().complete_up_to(), Some(at(99_000)), "the source was read to its end");
}
