//! Events of access from files: exactly once, bad ones put aside, and folded into who shares with whom.

use crate::it::{at, ingest, lake};
use gridtrail_access::{AccessEvent, AccessRecord, Assignment, Moment, Notice, NoticeKind, Party, Sro};
use gridtrail_codec::{encode_access_frame, encode_access_json};
use gridtrail_ingest::{FileSettings, Mended, dismiss_letters, replay_letters};
use gridtrail_lake::{Batch, CompactionSettings, Evidence, SourceEvidence};
use gridtrail_model::{UserId, UserRole};
use std::fs;
use std::path::Path;

fn user(n: u8) -> UserId {
    UserId::from_bytes([0x90, 0xB3, 0, 0, 0, 0, 1, n])
}

fn party(name: &str) -> Party {
    name.parse().unwrap()
}

fn record(number: usize, event: AccessEvent) -> AccessRecord {
    AccessRecord { id: format!("e{number}").parse().unwrap(), recorded_at: at(number as i64), event }
}

/// Avon has 1, Brent has 2, and they grant each other access.
fn granted() -> Vec<AccessRecord> {
    let assigned = |n, name: &str| AccessEvent::Assigned {
        user_id: user(n),
        to: Some(Assignment { party: party(name), role: UserRole::IS, descriptor: "day".parse().ok() }),
        from: at(-1_000),
    };
    let notified = |id: &str, by: &str, own, with: &str, other| AccessEvent::Notified {
        id: id.parse().unwrap(),
        notice: Notice {
            kind: NoticeKind::Grant,
            by: party(by),
            with: party(with),
            own: [user(own)].into(),
            other: [user(other)].into(),
            at: at(10),
            sro: Some(Sro {
                name: "Jo Soap".into(),
                telephone: String::new(),
                email: "jo@example.org".into(),
                signature: "s".into(),
            }),
        },
    };
    let confirmed = |id: &str| AccessEvent::Confirmed { id: id.parse().unwrap(), at: at(20) };
    let events = [
        assigned(1, "Avon"),
        assigned(2, "Brent"),
        notified("n1", "Avon", 1, "Brent", 2),
        notified("n2", "Brent", 2, "Avon", 1),
        confirmed("n1"),
        confirmed("n2"),
    ];
    events.into_iter().enumerate().map(|(number, event)| record(number, event)).collect()
}

fn lines(records: &[AccessRecord]) -> String {
    records.iter().map(|record| encode_access_json(record) + "\n").collect()
}

fn frames(records: &[AccessRecord]) -> Vec<u8> {
    let mut frames = Vec::new();
    records.iter().for_each(|record| encode_access_frame(record, &mut frames));
    frames
}

async fn shares(lake: &gridtrail_lake::Lake) -> bool {
    let sharing = lake.sharing().await.unwrap().current();
    sharing.is_pair_in_force(user(1), user(2), Moment::At(at(30)))
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_access_are_taken_in_once_with_evidence() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake().await;
    assert!(!shares(&lake).await);
    fs::write(folder.path().join("a.access.jsonl"), lines(&granted()[..3])).unwrap();
    fs::write(folder.path().join("b.access.binpb"), frames(&granted()[2..])).unwrap();
    let first = ingest(&lake, folder.path(), &FileSettings::default()).await.unwrap();
    assert_eq!((first.files, first.outcome.stored, first.outcome.dead_lettered), (2, 7, 0));
    assert!(shares(&lake).await);
    let again = ingest(&lake, folder.path(), &FileSettings::default()).await.unwrap();
    assert_eq!((again.files, again.known_files, again.commits), (0, 2, 0));
    let mut told = Vec::new();
    lake.evidence(|commit| told.extend(commit.sources)).await.unwrap();
    let stored: u64 = told
        .iter()
        .map(|evidence| match evidence {
            Evidence::Whole(evidence) => evidence.stored,
            other => panic!("{other:?}"),
        })
        .sum();
    assert_eq!(stored, 7, "every record is in the evidence of the main table");
    assert_eq!(lake.counts().fragments, 0, "and none of them is a trail");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_event_of_access_is_put_aside_and_can_be_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake().await;
    let good = granted();
    let bad = lines(&good[5..]).replace("e5", "not an id");
    fs::write(folder.path().join("a.access.jsonl"), lines(&good[..5]) + &bad + "{\"sro\": \"Jo Soap\"}\n")
        .unwrap();
    let summary = ingest(&lake, folder.path(), &FileSettings::default()).await.unwrap();
    assert_eq!((summary.outcome.stored, summary.outcome.dead_lettered), (5, 2));
    assert!(!shares(&lake).await, "one of the two notifications is not confirmed");
    let mut letters = lake.dead_letters().await.unwrap().rest().await.unwrap();
    letters.sort_by_key(|letter| letter.position);
    assert!(letters[0].reason.contains("event_id"), "{}", letters[0].reason);
    assert!(!letters[1].reason.contains("Soap"), "{}", letters[1].reason);
    let mended = Mended { value: Some(lines(&good[5..]).trim().to_owned().into()), ..Mended::default() };
    let replayed = replay_letters(&lake, &letters[..1], &mended, false).await.unwrap();
    assert_eq!((replayed.outcome.stored, replayed.unreadable), (1, Vec::new()));
    assert!(shares(&lake).await);
    dismiss_letters(&lake, &letters[1..], "no event").await.unwrap();
    let fates = lake.letter_fates().await.unwrap();
    assert!(fates.sources().all(|(_, _, open)| open.is_empty()));
}

/// A file that was taken for one of events is read again under the name that says what it holds.
#[tokio::test(flavor = "multi_thread")]
async fn the_name_says_what_a_file_holds() {
    let folder = tempfile::tempdir().unwrap();
    let (wrong, right) = (folder.path().join("parties.jsonl"), folder.path().join("parties.access.jsonl"));
    fs::write(&wrong, lines(&granted())).unwrap();
    let lake = lake().await;
    let summary = ingest(&lake, &wrong, &FileSettings::default()).await.unwrap();
    assert_eq!((summary.outcome.stored, summary.outcome.dead_lettered), (0, 6));
    fs::rename(&wrong, &right).unwrap();
    let summary = ingest(&lake, Path::new(&right), &FileSettings::default()).await.unwrap();
    assert_eq!((summary.known_files, summary.outcome.stored), (0, 6));
    assert!(shares(&lake).await);
}

/// A batch whose main commit came to nothing left its facts behind: told again, they change nothing; and many small files
/// become few without one fact lost. A reader that follows sees each of them.
#[tokio::test(flavor = "multi_thread")]
async fn repeats_change_nothing_and_files_stay_few() {
    let lake = lake().await;
    let mut reader = lake.sharing().await.unwrap();
    let mut writer = lake.writer().await.unwrap();
    let batch = |number: usize| Batch {
        access: vec![granted()[number % 6].clone()],
        sources: vec![SourceEvidence {
            source: format!("file:{}", number / 2),
            first: true,
            to: 1,
            records: 1,
            stored: 1,
            ..SourceEvidence::default()
        }],
        ..Batch::default()
    };
    for number in 0..24 {
        let done = writer.commit(batch(number)).await;
        // Every other one finds its position taken, after its facts were written.
        assert_eq!(done.is_err(), number % 2 == 1, "{number}: {done:?}");
        assert!(reader.refresh().await.unwrap(), "there was something new");
        assert!(!reader.refresh().await.unwrap());
    }
    let files = async || {
        let named = lake.named_files().await.unwrap();
        named.iter().filter(|file| file.path.contains("access_events")).count()
    };
    assert_eq!(files().await, 24);
    let before = reader.current();
    assert!(before.is_pair_in_force(user(1), user(2), Moment::At(at(30))));
    lake.maintenance().await.unwrap().compact(&CompactionSettings::default()).await.unwrap();
    assert!(files().await <= 3, "{}", files().await);
    reader.refresh().await.unwrap();
    assert_eq!(reader.current(), before);
    assert_eq!(lake.sharing().await.unwrap().current(), before);
    let verified = lake.verify(&gridtrail_lake::VerifySettings::default()).await.unwrap();
    assert!(verified.is_clean(), "{verified:?}");
    let rows: u64 =
        verified.tables.iter().filter(|table| table.name == "access_events").map(|t| t.rows).sum();
    assert!(rows < 12, "identical facts are one: {rows}");
}
