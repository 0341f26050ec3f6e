//! Files by their bytes: compressed, with a byte order mark, in other encodings, broken, and longer than a message may be.

use crate::it::{at, counters, ingest, lake, received};
use gridtrail_codec::{Receipt, capture, encode_frame, encode_json, synthetic};
use gridtrail_ingest::{FileSettings, Mended, replay_letters};
use gridtrail_lake::{Batch, DeadLetter, Evidence, Extent, Lake, SourceEvidence};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::Write as _;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zst(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

fn lines(counters: std::ops::Range<u64>) -> Vec<u8> {
    counters.flat_map(|n| (encode_json(&received(n)) + "\n").into_bytes()).collect()
}

fn frames(counters: std::ops::Range<u64>) -> Vec<u8> {
    let mut frames = Vec::new();
    counters.for_each(|n| encode_frame(&received(n), &mut frames));
    frames
}

async fn letters(lake: &Lake) -> Vec<DeadLetter> {
    lake.dead_letters().await.unwrap().rest().await.unwrap()
}

/// Whatever a file is called and however it is compressed, it holds the same records, and is one source.
#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_file_is_what_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: Vec<u8>| fs::write(folder.path().join(name), bytes).unwrap();
    write("a.ndjson", lines(0..3));
    write("b.json", lines(3..5));
    write("c.jsonl.gz", gzip(&lines(5..9)));
    write("d.jsonl.ZST", zst(&lines(9..12)));
    write("e.binpb.gz", gzip(&frames(12..15)));
    write("f.binpb.zst", zst(&frames(15..18)));
    // Lines of several members, as `cat a.gz b.gz` makes them.
    write("g.jsonl.gz", [gzip(&lines(18..19)), gzip(&lines(19..20))].concat());
    write("h.jsonl.gz", Vec::new());
    let lake = lake().await;
    let summary = ingest(&lake, folder.path(), &FileSettings::default()).await.unwrap();
    assert_eq!(
        (summary.files, summary.outcome.stored, summary.outcome.dead_lettered),
        (7, 20, 0),
        "{summary:?}"
    );
    assert_eq!(counters(&lake).await, (0..20).collect::<Vec<_>>());
    // Unpacked, or packed otherwise, nothing of them is new.
    write("c.jsonl", lines(5..9));
    write("a.ndjson.zst", zst(&lines(0..3)));
    let again = ingest(&lake, folder.path(), &FileSettings::default()).await.unwrap();
    assert_eq!((again.files, again.known_files), (0, 10), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_messages_and_captures_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let files = synthetic::files();
    let (_, captured) = files.iter().find(|(_, bytes)| capture::is_capture(bytes)).unwrap();
    let single = files.iter().find(|(name, _)| *name == "read-profile-request.xml").unwrap();
    let receipt = Receipt { recorded_at: at(0), event_id: None };
    let plain = lake().await;
    fs::write(folder.path().join("a.xml"), captured).unwrap();
    fs::write(folder.path().join("b.xml"), &single.1).unwrap();
    fs::write(folder.path().join("b.xml.receipt.json"), receipt.to_sidecar()).unwrap();
    let expected = ingest(&plain, folder.path(), &FileSettings::default()).await.unwrap();
    fs::remove_file(folder.path().join("a.xml")).unwrap();
    fs::remove_file(folder.path().join("b.xml")).unwrap();
    fs::write(folder.path().join("a.xml.gz"), gzip(captured)).unwrap();
    fs::write(folder.path().join("b.xml.zst"), zst(&single.1)).unwrap();
    let packed = lake().await;
    let found = ingest(&packed, folder.path(), &FileSettings::default()).await.unwrap();
    assert_eq!((found.outcome, found.files), (expected.outcome, expected.files));
    assert!(found.outcome.stored > 1 && found.outcome.dead_lettered == 0 && found.passed_over.is_empty());
    let known = ingest(&plain, folder.path(), &FileSettings::default()).await.unwrap();
    assert_eq!(known.known_files, 2, "the same sources as without compression");
}

/// Whoever is killed in the middle of a compressed file reads on where the lake is.
#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_file_is_read_on_from_where_the_lake_is() {
    let folder = tempfile::tempdir().unwrap();
    let content = lines(0..40);
    fs::write(folder.path().join("a.jsonl.gz"), gzip(&content)).unwrap();
    let lake = lake().await;
    let border = lines(0..25).len();
    let source = format!("file:{}", hex::encode(Sha256::digest(&content)));
    let evidence = SourceEvidence {
        source,
        first: true,
        to: i64::try_from(border).unwrap(),
        ..SourceEvidence::default()
    };
    lake.writer().await.unwrap().commit(Batch { sources: vec![evidence], ..Batch::default() }).await.unwrap();
    let summary = ingest(&lake, folder.path(), &FileSettings::default()).await.unwrap();
    assert_eq!((summary.outcome.stored, summary.bytes), (15, (content.len() - border) as u64));
    assert_eq!(counters(&lake).await, (25..40).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_file_that_is_broken_is_one_letter_until_the_whole_comes() {
    for (name, packed) in [("a.jsonl.gz", gzip(&lines(0..500))), ("a.jsonl.zst", zst(&lines(0..500)))] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        let lake = lake().await;
        let mut damaged = packed.clone();
        let middle = damaged.len() / 2;
        damaged[middle] ^= 0x40;
        for (count, broken) in
            [&packed[..packed.len() / 2], &packed[..packed.len() - 1], &damaged, b"no archive"]
                .into_iter()
                .enumerate()
        {
            fs::write(&path, broken).unwrap();
            let summary = ingest(&lake, folder.path(), &FileSettings::default()).await.unwrap();
            // A flip in the data that a checksum does not cover may go unseen by zstd alone, where there is none.
            assert_eq!(summary.outcome.dead_lettered, 1, "{name} {count}");
            let found = letters(&lake).await;
            let letter = found.iter().find(|letter| letter.raw == broken).unwrap();
            assert!(letter.reason.contains("cannot be unpacked"), "{}", letter.reason);
            let replayed = replay_letters(&lake, &found, &Mended::default(), false).await.unwrap();
            assert_eq!(replayed.unreadable.len(), found.len());
        }
        fs::write(&path, &packed).unwrap();
        let summary = ingest(&lake, folder.path(), &FileSettings::default()).await.unwrap();
        assert_eq!((summary.outcome.stored, summary.outcome.dead_lettered), (500, 0));
    }
}

/// What unpacks to much more than a message may have is passed over in parts; the records beside it are read.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_unpacks_to_more_than_a_message_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let content = [lines(0..1), vec![b'0'; 40 << 20], b"\n".to_vec(), lines(1..2)].concat();
    fs::write(folder.path().join("a.jsonl.zst"), zst(&content)).unwrap();
    let lake = lake().await;
    let summary = ingest(&lake, folder.path(), &FileSettings::default()).await.unwrap();
    assert_eq!((summary.outcome.stored, summary.outcome.dead_lettered), (2, 1));
    let found = letters(&lake).await;
    assert!(
        matches!(found[0].extent, Extent::Cut { bytes, .. } if bytes == (40 << 20) + 1),
        "{:?}",
        found[0].extent
    );
    let replayed = replay_letters(&lake, &found, &Mended::default(), false).await.unwrap();
    assert!(replayed.unreadable[0].reason.contains("41943041 bytes"), "{}", replayed.unreadable[0].reason);
    // The evidence is of every byte all the same.
    let mut told = Vec::new();
    lake.evidence(|commit| told.extend(commit.sources)).await.unwrap();
    let [Evidence::Whole(evidence)] = told.as_slice() else { panic!("{told:?}") };
    let sha256 = hex::encode(Sha256::digest(&content));
    assert_eq!(
        (evidence.sha256.as_str(), evidence.to),
        (sha256.as_str(), i64::try_from(content.len()).unwrap())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_byte_order_mark_is_passed_over_and_utf16_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let windows = String::from_utf8(lines(0..3)).unwrap().replace('\n', "\r\n");
    // As `copy a.jsonl + b.jsonl` makes it: a mark in the middle, and one with nothing behind it.
    fs::write(
        folder.path().join("a.jsonl"),
        format!("\u{feff}{windows}\u{feff}{}\r\n\u{feff}\r\n", encode_json(&received(3))),
    )
    .unwrap();
    let utf16: Vec<u8> = format!("\u{feff}{windows}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(folder.path().join("b.jsonl"), &utf16).unwrap();
    let lake = lake().await;
    let summary = ingest(&lake, folder.path(), &FileSettings::default()).await.unwrap();
    assert_eq!((summary.outcome.stored, summary.outcome.dead_lettered), (4, 1));
    let found = letters(&lake).await;
    assert!(found[0].reason.contains("UTF-16") && found[0].raw == utf16, "{}", found[0].reason);
}

/// Messages in UTF-16 and Latin-1 are the same events as in UTF-8.
#[tokio::test(flavor = "multi_thread")]
async fn messages_of_other_encodings_are_read() {
    let (_, xml) =
        synthetic::files().into_iter().find(|(name, _)| *name == "read-profile-request.xml").unwrap();
    let text = String::from_utf8(xml).unwrap();
    let body = text.split_once("?>").unwrap().1.replace("</sr:Body>", "<!-- caf\u{e9} --></sr:Body>");
    let declared = |label: &str| format!("<?xml version=\"1.0\" encoding=\"{label}\"?>{body}");
    let utf16: Vec<u8> =
        format!("\u{feff}{}", declared("UTF-16")).encode_utf16().flat_map(u16::to_be_bytes).collect();
    let latin: Vec<u8> =
        declared("ISO-8859-1").chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    let settings = FileSettings { recorded_at: Some(at(0)), ..FileSettings::default() };
    for (name, bytes, read) in [
        ("UTF-8", declared("UTF-8").into_bytes(), true),
        ("UTF-16", utf16, true),
        ("Latin-1", latin.clone(), true),
        (
            "Latin-1 that says UTF-8",
            String::from_utf8_lossy(&latin)
                .replace("ISO-8859-1", "UTF-8")
                .replace('\u{fffd}', "\u{1}")
                .into_bytes(),
            true,
        ),
        ("EBCDIC", declared("EBCDIC-CP-US").into_bytes(), false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("m.xml"), &bytes).unwrap();
        let lake = lake().await;
        let summary = ingest(&lake, folder.path(), &settings).await.unwrap();
        assert_eq!(summary.outcome.stored, u64::from(read), "{name}: {:?}", letters(&lake).await);
        if !read {
            assert!(letters(&lake).await[0].reason.contains(name), "{name}");
        }
    }
}

/// A valid message of 2 MiB that came without a receipt is kept whole, and is read once it has one.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_message_is_a_whole_letter_and_replays() {
    let folder = tempfile::tempdir().unwrap();
    let (_, xml) =
        synthetic::files().into_iter().find(|(name, _)| *name == "read-profile-request.xml").unwrap();
    let text = String::from_utf8(xml).unwrap();
    let (before, after) = text.rsplit_once("</sr:Body>").unwrap();
    for (size, whole) in [(2 << 20, true), (15 << 20, true), (17 << 20, false)] {
        let message = format!("{before}<!-- {} --></sr:Body>{after}", "x".repeat(size));
        fs::write(folder.path().join("m.xml"), &message).unwrap();
        let lake = lake().await;
        ingest(&lake, folder.path(), &FileSettings::default()).await.unwrap();
        let found = letters(&lake).await;
        let mended = Mended { recorded_at: Some(at(0)), ..Mended::default() };
        let replayed = replay_letters(&lake, &found, &mended, false).await.unwrap();
        if whole {
            assert!(found[0].extent == Extent::Whole && found[0].raw == message.as_bytes(), "{size}");
            assert_eq!((replayed.outcome.stored, replayed.unreadable), (1, Vec::new()), "{size}");
        } else {
            let sha256 = hex::encode(Sha256::digest(&message));
            assert_eq!(found[0].extent, Extent::Cut { bytes: message.len() as u64, sha256 });
            assert!(replayed.unreadable[0].reason.contains("cannot be replayed"), "{replayed:?}");
        }
    }
}

/// Batches close for the bytes of their dead letters.
#[tokio::test(flavor = "multi_thread")]
async fn letters_of_great_length_are_committed_in_several_batches() {
    let folder = tempfile::tempdir().unwrap();
    let line = [vec![b'x'; 15 << 20], b"\n".to_vec()].concat();
    fs::write(folder.path().join("a.jsonl"), line.repeat(10)).unwrap();
    let lake = lake().await;
    let summary = ingest(&lake, folder.path(), &FileSettings::default()).await.unwrap();
    assert_eq!((summary.outcome.dead_lettered, summary.commits), (10, 2));
    assert!(letters(&lake).await.iter().all(|letter| letter.raw.len() == 15 << 20));
}
