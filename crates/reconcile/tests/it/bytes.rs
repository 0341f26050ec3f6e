//! A lake in a folder whose evidence is changed by one byte, wherever it lies.

use gridtrail_lake::{Batch, DeadLetter, Extent, Lake, LakeSettings, SourceEvidence, Stream};
use gridtrail_model::{Event, Fold, Timestamp};
use gridtrail_reconcile::{FaultKind, Proof, reconcile};
use gridtrail_runtime::Clock;
use std::path::{Path, PathBuf};

const SOURCE: &str = "kafka:c:t:0";
const BATCHES: i64 = 3;

fn clock() -> Clock {
    Clock::manual(Timestamp::from_millis(1_770_000_000_000).unwrap())
}

fn settings(folder: &Path) -> LakeSettings {
    LakeSettings::at(folder.to_str().unwrap())
}

async fn open(folder: &Path) -> Lake {
    Lake::open(settings(folder), clock()).await.unwrap()
}

fn letter(position: i64) -> DeadLetter {
    DeadLetter {
        source: SOURCE.to_owned(),
        source_name: "t/0".to_owned(),
        position,
        reason: "poison".to_owned(),
        raw: b"raw".as_slice().into(),
        extent: Extent::Whole,
        key: None,
        headers: Vec::new(),
        read_at: clock().now(),
    }
}

/// A batch of four offsets: three trails and a dead letter.
fn batch(n: i64) -> Batch {
    let (from, to) = (n * 4, n * 4 + 4);
    let mut fold = Fold::default();
    for offset in from..to - 1 {
        fold.add(event(offset)).unwrap();
    }
    let source = SourceEvidence {
        source: SOURCE.to_owned(),
        name: "t/0".to_owned(),
        first: n == 0,
        from,
        to,
        records: 4,
        stored: 3,
        dead_lettered: 1,
        dead_lettered_at: [to - 1].into_iter().collect(),
        sha256: "0".repeat(64),
        ..SourceEvidence::default()
    };
    Batch {
        fragments: fold.into_fragments(),
        dead_letters: vec![letter(to - 1)],
        sources: vec![source],
        streams: vec![Stream { cluster: "c".into(), topic: "t".into(), id: "t".into(), partitions: 1 }],
        ..Batch::default()
    }
}

fn event(n: i64) -> Event {
    use gridtrail_model::{Body, CommandVariant, Correlation, RequestReceived};
    let id = format!("90-B3-D5-1F-30-02-00-00:02-1D-10-00-00-00-00-E0:{}", n + 1);
    let request_id: gridtrail_model::RequestId = id.parse().unwrap();
    let at = clock().now();
    Event {
        id: "test".parse().unwrap(),
        recorded_at: at,
        correlation: Correlation {
            request_id: Some(request_id),
            request_received_at: Some(at),
            command_variant: CommandVariant::new(1),
            device_id: Some(request_id.target),
            ..Correlation::of_user(request_id.originator)
        },
        body: Body::RequestReceived(RequestReceived::default()),
    }
}

/// A lake with some batches, of which the first few lie in the `commits` table, too.
async fn stage(folder: &Path) {
    let lake = open(folder).await;
    let mut writer = lake.writer().await.unwrap();
    for n in 0..BATCHES {
        writer.commit(batch(n)).await.unwrap();
        if n + 2 == BATCHES {
            lake.maintenance().await.unwrap().copy_evidence().await.unwrap();
        }
    }
}

async fn proof(folder: &Path) -> Proof {
    reconcile(&open(folder).await).await.unwrap()
}

fn kinds(proof: &Proof) -> Vec<FaultKind> {
    let mut kinds: Vec<_> = proof.faults.iter().map(|fault| fault.kind).collect();
    kinds.dedup();
    kinds
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|found| found == extension));
    files.sort();
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_that_adds_up_is_clean_and_read_while_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    stage(folder.path()).await;
    let clean = proof(folder.path()).await;
    assert!(clean.is_clean(), "{:#?}", clean.faults);
    let source = &clean.sources[0];
    assert_eq!((source.to, source.records, source.stored, source.dead_lettered), (12, 12, 9, 3));
    // A batch whose side table is written and whose main commit never came: its letter is of a position to come.
    let lake = open(folder.path()).await;
    let mut ahead = batch(BATCHES);
    ahead.sources[0].first = true;
    lake.writer().await.unwrap().commit(ahead).await.unwrap_err();
    let clean = proof(folder.path()).await;
    assert!(clean.is_clean() && clean.letters_superseded == 0, "{:#?}", clean.faults);
}

/// Every byte of every copy of the evidence: in the table of commits, and in the log entries, be they copied yet or not.
#[tokio::test(flavor = "multi_thread")]
async fn one_changed_byte_of_the_evidence_is_found() {
    let folder = tempfile::tempdir().unwrap();
    stage(folder.path()).await;
    let table = files(&folder.path().join("commits"), "parquet").remove(0);
    let mut entries = files(&folder.path().join("trails/_delta_log"), "json");
    let (new, copied) = (entries.pop().unwrap(), entries.pop().unwrap());
    let evidence = |entry: &PathBuf| {
        let log = std::fs::read_to_string(entry).unwrap();
        let start = log.find("\"gridtrailEvidence\"").unwrap();
        start..start + log[start..].find("\"seal\":\"").unwrap() + "\"seal\":\"".len() + 64
    };
    let whole = 0..std::fs::read(&table).unwrap().len();
    let places = [
        (&table, whole.step_by(11)),
        (&new, evidence(&new).step_by(2)),
        (&copied, evidence(&copied).step_by(3)),
    ];
    let mut changed = 0;
    for (path, bytes) in places {
        let original = std::fs::read(path).unwrap();
        for at in bytes {
            let mut other = original.clone();
            other[at] ^= 0x01;
            std::fs::write(path, &other).unwrap();
            let found = match Lake::open(settings(folder.path()), clock()).await {
                Ok(lake) => !reconcile(&lake).await.unwrap().is_clean(),
                // Where the entry is no JSON any more, the lake does not even open, and says why not.
                Err(error) => error.to_string().contains(path.file_name().unwrap().to_str().unwrap()),
            };
            assert!(found, "{}: byte {at} was changed, and nobody noticed", path.display());
            changed += 1;
        }
        std::fs::write(path, original).unwrap();
    }
    assert!(changed > 500, "{changed}");
    assert!(proof(folder.path()).await.is_clean());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    stage(folder.path()).await;
    // A whole file of evidence.
    let table = files(&folder.path().join("commits"), "parquet").remove(0);
    let bytes = std::fs::read(&table).unwrap();
    std::fs::write(&table, b"").unwrap();
    let found = kinds(&proof(folder.path()).await);
    let wanted =
        [FaultKind::BrokenEvidence, FaultKind::Gap, FaultKind::LetterMissing, FaultKind::FileMissing];
    assert!(found.starts_with(&wanted[..2]) && found.ends_with(&wanted[3..]), "{found:?}");
    std::fs::write(&table, bytes).unwrap();

    // A run of trails.
    let run = files(&folder.path().join("trails/month=2026-02"), "parquet").remove(0);
    let bytes = std::fs::read(&run).unwrap();
    std::fs::remove_file(&run).unwrap();
    let short = proof(folder.path()).await;
    assert_eq!(kinds(&short), [FaultKind::FileMissing]);
    let name = run.file_name().unwrap().to_str().unwrap();
    assert!(short.faults[0].what.contains(name), "{:?}", short.faults[0]);
    std::fs::write(&run, &bytes[1..]).unwrap();
    assert_eq!(kinds(&proof(folder.path()).await), [FaultKind::FileMissing]);
    std::fs::write(&run, bytes).unwrap();

    // The letters of a batch: the table's log goes back to before they were there.
    let log = folder.path().join("dead_letters/_delta_log");
    std::fs::remove_file(files(&log, "json").pop().unwrap()).unwrap();
    let short = proof(folder.path()).await;
    assert_eq!(kinds(&short), [FaultKind::LetterMissing]);
    assert!(short.faults[0].what.ends_with("at 11"), "{:?}", short.faults[0]);
}

/// The evidence of the newest commit, taken out of its log entry: the table stands further than it says.
#[tokio::test(flavor = "multi_thread")]
async fn a_position_without_evidence_is_found() {
    let folder = tempfile::tempdir().unwrap();
    stage(folder.path()).await;
    let entry = files(&folder.path().join("trails/_delta_log"), "json").pop().unwrap();
    let log = std::fs::read_to_string(&entry).unwrap();
    std::fs::write(&entry, log.replace("gridtrailEvidence", "gridtrailEvidencf")).unwrap();
    let proof = proof(folder.path()).await;
    assert_eq!(kinds(&proof), [FaultKind::Position]);
    assert!(
        proof.faults[0].what.contains("at 12") && proof.faults[0].what.contains("at 8"),
        "{:?}",
        proof.faults
    );
}
