//! Receipt sidecars: only what is not there is absent, and no message takes a wrong time.

use crate::it::{at, counters, device, ingest, lake, user};
use gridtrail_codec::Receipt;
use gridtrail_ingest::{FileSettings, Mended, replay_letters};
use gridtrail_lake::{DeadLetter, Fate, Lake, VerifySettings};
use gridtrail_model::Timestamp;
use std::fs;
use std::io::Write as _;
use std::path::Path;

const TIME: &str = "2026-02-01T08:00:00Z";

fn request(counter: u64) -> String {
    format!(
        "<?xml version=\"1.0\"?><sr:Request xmlns:sr=\"http://www.dccinterface.co.uk/ServiceUserGateway\" schemaVersion=\"5.4\">\
         <sr:Header><sr:RequestID>{}:{}:{counter}</sr:RequestID><sr:CommandVariant>1</sr:CommandVariant>\
         <sr:ServiceReference>4.8</sr:ServiceReference><sr:ServiceReferenceVariant>4.8.1</sr:ServiceReferenceVariant>\
         </sr:Header><sr:Body><sr:ReadActiveImportProfileData/></sr:Body></sr:Request>",
        user(),
        device()
    )
}

fn said() -> String {
    format!("{{\"recorded_at\": \"{TIME}\"}}")
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Makes something of the path of a sidecar.
type Make = Box<dyn Fn(&Path)>;

/// Every way in which a sidecar is there and cannot be read: its name, how it is made, and what the reason says.
fn faults() -> Vec<(&'static str, Make, &'static str)> {
    fn holding(bytes: impl Into<Vec<u8>>) -> Make {
        let bytes = bytes.into();
        Box::new(move |path| fs::write(path, &bytes).unwrap())
    }
    vec![
        ("another field", holding(said().replace("recorded_at", "recordedAt")), "recordedAt"),
        ("no zone", holding(said().replace('Z', "")), "recorded_at: time"),
        ("a date", holding("{\"recorded_at\": \"2026-02-01\"}"), "time of day"),
        ("a number", holding("{\"recorded_at\": 1769932800}"), "integer"),
        ("null", holding("{\"recorded_at\": null}"), "null"),
        ("a field more", holding(said().replace('}', ", \"source\": \"adapter\"}")), "source"),
        (
            "a field twice",
            holding(said().replace('}', ", \"recorded_at\": \"2026-02-02T08:00:00Z\"}")),
            "duplicate",
        ),
        ("UTF-16", holding([&b"\xff\xfe"[..], &utf16(&said())].concat()), "UTF-16"),
        ("UTF-16 without a mark", holding(utf16(&said())), "UTF-16"),
        ("empty", holding(""), "EOF"),
        ("an empty object", holding("{}"), "missing field"),
        ("a list", holding(format!("[{}]", said())), "receipt sidecar"),
        ("no JSON", holding(TIME), "not a receipt sidecar"),
        ("more behind it", holding(said() + " {}"), "trailing"),
        ("no text", holding(b"{\"recorded_at\": \"\xff\"}".to_vec()), "unicode"),
        ("huge", holding(said() + &" ".repeat(1 << 20)), "longer than the limit"),
        ("an event ID of nothing", holding(said().replace('}', ", \"event_id\": \"\"}")), "event_id"),
        ("a folder", Box::new(|path| fs::create_dir(path).unwrap()), "not a file"),
        (
            "a link to nowhere",
            Box::new(|path| std::os::unix::fs::symlink("nowhere", path).unwrap()),
            "No such file",
        ),
        (
            "a link to itself",
            Box::new(|path| std::os::unix::fs::symlink(path, path).unwrap()),
            "symbolic links",
        ),
        (
            "cut off while compressed",
            Box::new(|path| {
                let packed = gzip(said().as_bytes());
                fs::write(path.with_extension("json.gz"), &packed[..packed.len() - 4]).unwrap();
            }),
            "receipt.json.gz",
        ),
        (
            "two that differ",
            Box::new(|path| {
                fs::write(path, said()).unwrap();
                fs::write(path.with_extension("json.gz"), gzip(said().replace("08", "09").as_bytes()))
                    .unwrap();
            }),
            "another receipt",
        ),
    ]
}

fn fallback() -> FileSettings {
    FileSettings { recorded_at: Some(at(5_000_000)), ..FileSettings::default() }
}

async fn letters(lake: &Lake) -> Vec<DeadLetter> {
    lake.dead_letters().await.unwrap().rest().await.unwrap()
}

async fn open_letters(lake: &Lake) -> usize {
    let fates = lake.letter_fates().await.unwrap();
    letters(lake)
        .await
        .iter()
        .filter(|letter| fates.of(&letter.source, letter.position) == Some(Fate::Open))
        .count()
}

/// When the one request on record was received: the smallest claim, and the others.
async fn received(lake: &Lake) -> Vec<Timestamp> {
    let found = crate::it::rows(lake).await;
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].fragment.received.iter().copied().collect()
}

fn clear(path: &Path) {
    for path in [path.to_owned(), path.with_extension("json.gz")] {
        let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir(&path));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_that_cannot_be_read_is_named_and_never_taken_for_an_absent_one() {
    for (kind, make, told) in faults() {
        let folder = tempfile::tempdir().unwrap();
        let (message, sidecar) = (folder.path().join("m.xml"), folder.path().join("m.xml.receipt.json"));
        fs::write(&message, request(7)).unwrap();
        make(&sidecar);
        let lake = lake().await;
        let summary = ingest(&lake, folder.path(), &fallback()).await.unwrap();
        assert_eq!((summary.outcome.stored, summary.outcome.dead_lettered), (0, 1), "{kind}");
        assert!(counters(&lake).await.is_empty(), "{kind}: nothing is stored under another time");
        let put_aside = letters(&lake).await;
        let reason = &put_aside[0].reason;
        assert!(reason.contains("m.xml.receipt.json") && reason.contains(told), "{kind}: {reason}");
        assert_eq!(put_aside[0].raw, request(7).as_bytes());
        // Neither again nor by a replay, while it is as it is.
        assert_eq!(ingest(&lake, folder.path(), &fallback()).await.unwrap().known_files, 1, "{kind}");
        let given = Mended { recorded_at: Some(at(0)), named: true, ..Mended::default() };
        let replayed = replay_letters(&lake, &put_aside, &given, false).await.unwrap();
        assert_eq!(replayed.unreadable.len(), 1, "{kind}");
        assert!(replayed.unreadable[0].reason.contains(told), "{kind}: {}", replayed.unreadable[0].reason);
        // Mended, it is read, at its own time, and its letter is settled.
        clear(&sidecar);
        fs::write(&sidecar, said()).unwrap();
        let summary = ingest(&lake, folder.path(), &fallback()).await.unwrap();
        assert_eq!(
            (summary.files, summary.outcome.stored, summary.outcome.dead_lettered),
            (1, 1, 0),
            "{kind}"
        );
        assert_eq!(received(&lake).await, [TIME.parse().unwrap()], "{kind}");
        assert_eq!(open_letters(&lake).await, 0, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_reads_the_sidecar_that_was_mended() {
    let folder = tempfile::tempdir().unwrap();
    let (message, sidecar) = (folder.path().join("m.xml"), folder.path().join("m.xml.receipt.json"));
    fs::write(&message, request(7)).unwrap();
    fs::write(&sidecar, "{}").unwrap();
    let lake = lake().await;
    ingest(&lake, folder.path(), &fallback()).await.unwrap();
    let put_aside = letters(&lake).await;
    let many = Mended { recorded_at: Some(at(0)), ..Mended::default() };
    // Gone, it is no longer at fault, and yet the message had one: only who names the letter gives it a time.
    fs::remove_file(&sidecar).unwrap();
    let refused = replay_letters(&lake, &put_aside, &many, false).await.unwrap();
    assert!(refused.unreadable[0].reason.contains("name the letter"), "{refused:?}");
    let named = Mended { named: true, ..many.clone() };
    let dry = replay_letters(&lake, &put_aside, &named, true).await.unwrap();
    assert!(dry.unreadable.is_empty(), "{dry:?}");
    // That of another message of the same name is not this one's.
    fs::write(&message, request(8)).unwrap();
    fs::write(&sidecar, said()).unwrap();
    let refused = replay_letters(&lake, &put_aside, &many, false).await.unwrap();
    assert!(refused.unreadable[0].reason.contains("name the letter"), "{refused:?}");
    fs::write(&message, request(7)).unwrap();
    let replayed = replay_letters(&lake, &put_aside, &many, false).await.unwrap();
    assert_eq!((replayed.outcome.stored, replayed.unreadable), (1, Vec::new()));
    assert_eq!(received(&lake).await, [TIME.parse().unwrap()]);
    assert_eq!(open_letters(&lake).await, 0);
}

/// A time that was given for want of a sidecar becomes a dispute when the sidecar comes.
#[tokio::test(flavor = "multi_thread")]
async fn the_time_that_stood_in_for_a_sidecar_is_a_dispute_once_it_comes() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("m.xml"), request(7)).unwrap();
    let lake = lake().await;
    let later = TIME.parse::<Timestamp>().unwrap().plus_millis(3_600_000);
    let given = FileSettings { recorded_at: Some(later), ..FileSettings::default() };
    assert_eq!(ingest(&lake, folder.path(), &given).await.unwrap().outcome.stored, 1);
    fs::write(folder.path().join("m.xml.receipt.json"), said()).unwrap();
    assert_eq!(ingest(&lake, folder.path(), &given).await.unwrap().outcome.stored, 1);
    lake.maintenance().await.unwrap().compact(&gridtrail_lake::CompactionSettings::default()).await.unwrap();
    let claims: Vec<Timestamp> = crate::it::rows(&lake)
        .await
        .iter()
        .flat_map(|row| row.fragment.received.iter().copied().collect::<Vec<_>>())
        .collect();
    assert!(claims.contains(&TIME.parse().unwrap()) && claims.contains(&later), "{claims:?}");
}

/// A message that came without a sidecar and waits as a letter is settled by the ingest that finds one, or is given a time.
#[tokio::test(flavor = "multi_thread")]
async fn a_letter_for_want_of_a_receipt_is_settled_when_it_comes() {
    for sidecar in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("m.xml"), request(7)).unwrap();
        let lake = lake().await;
        ingest(&lake, folder.path(), &FileSettings::default()).await.unwrap();
        assert_eq!(open_letters(&lake).await, 1);
        if sidecar {
            fs::write(folder.path().join("m.xml.receipt.json"), format!("\u{feff}{}", said())).unwrap();
        }
        let given = FileSettings {
            recorded_at: (!sidecar).then(|| TIME.parse().unwrap()),
            ..FileSettings::default()
        };
        let summary = ingest(&lake, folder.path(), &given).await.unwrap();
        assert_eq!(
            (summary.outcome.stored, summary.outcome.dead_lettered),
            (1, 0),
            "a record is counted once"
        );
        assert_eq!(open_letters(&lake).await, 0);
        assert_eq!(received(&lake).await, [TIME.parse().unwrap()]);
        assert!(lake.verify(&VerifySettings::default()).await.unwrap().is_clean());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sidecars_of_no_message_and_files_of_other_names_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let receipt = Receipt { recorded_at: at(0), event_id: None };
    for (name, content) in [
        ("m.xml", request(7)),
        ("m.xml.receipt.json", receipt.to_sidecar()),
        ("m.receipt.json", receipt.to_sidecar()),
        ("n.xml.receipt.json", receipt.to_sidecar()),
        ("notes.txt", "x".to_owned()),
        ("m.xml.bak", request(8)),
    ] {
        fs::write(folder.path().join(name), content).unwrap();
    }
    let lake = lake().await;
    let summary = ingest(&lake, folder.path(), &FileSettings::default()).await.unwrap();
    assert_eq!((summary.files, summary.outcome.stored, summary.outcome.dead_lettered), (1, 1, 0));
    let names: Vec<_> =
        summary.passed_over.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["m.receipt.json", "m.xml.bak", "n.xml.receipt.json", "notes.txt"]);
    assert!(ingest(&lake, &folder.path().join("notes.txt"), &FileSettings::default()).await.is_err());
}
