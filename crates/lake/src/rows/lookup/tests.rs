//! What is written is read, by pages and by Arrow alike, and nothing that is damaged panics.

use super::*;
use crate::rows::decode::Row;
use crate::rows::run::{self, SortedFragments, TRAILS};
use deltalake_core::Path;
use gridtrail_model::{
    CommandVariant, HistoryEntry, Leg, RequestId, ResponseId, State, Subject, Timestamp, TrailKey,
};
use gridtrail_runs::checksum::Written;
use gridtrail_runs::{Encoded, Location, RunsError, TableFile};
use object_store::ObjectStoreExt as _;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::collections::HashMap;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_770_000_000_000 + millis).unwrap()
}

fn eui(number: u64) -> [u8; 8] {
    (0x00DB_0000_0000_0000 + number).to_be_bytes()
}

/// Rows of every kind, a few hundred a Device; some have no Device, and many lack what others have.
fn rows(count: u64) -> Vec<Fragment> {
    (0..count)
        .map(|n| {
            let mixed = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let (device, user) = (eui(mixed % 40), UserId::from_bytes(eui(1_000 + mixed % 7)));
            let target = if mixed % 11 == 0 { eui(5_000) } else { device };
            let counter = if mixed % 5 == 0 { mixed } else { 1_770_000_000_000 + n };
            let request_id = RequestId { originator: user, target: DeviceId::from_bytes(target), counter };
            let response_id = ResponseId::mirror_of(&request_id);
            let subject = match mixed % 13 {
                0 => Subject::ScheduledRun(response_id),
                1 => Subject::Alert {
                    response_id,
                    code: "8F36".parse().unwrap(),
                    throttle_sequence: (mixed % 2 == 0).then_some(u32::MAX),
                },
                2 => Subject::Unjoined(request_id),
                _ => Subject::Leg(Leg { request_id, command_variant: CommandVariant::new(1).unwrap() }),
            };
            let mut row = Fragment::new(TrailKey { user, subject }, at(n.cast_signed() + 70_000));
            row.received.add(at((mixed % 1_000_000).cast_signed()));
            row.device.add_some((n % 50 != 0).then(|| DeviceId::from_bytes(device)));
            row.variant.add_some((n % 4 != 0).then(|| "4.8.1".parse().unwrap()));
            row.mpxn.add_some(
                (n % 3 != 0).then(|| format!("{:013}", 1_200_000_000_000 + mixed % 40).parse().unwrap()),
            );
            row.originator_counter.add_some((n % 6 != 0).then_some(if n % 2 == 0 { counter } else { mixed }));
            row.preceding.add_some((n % 9 == 0).then_some(RequestId { counter: mixed, ..request_id }));
            row.execution_at.add_some((n % 8 == 0).then(|| at(-5)));
            row.schedule_id.add_some((n % 7 == 0).then_some(mixed));
            row.response_ids.add_some((n % 2 == 0).then_some(response_id));
            row.response_ids.add_some((n % 10 == 0).then_some(ResponseId { counter: 7, ..response_id }));
            for step in 0..n % 6 {
                let mut entry = HistoryEntry::new(State::SentToDevice, at((step * step * 700).cast_signed()));
                entry.cause = (step == 3).then(|| "no response".parse().unwrap());
                row.record(entry);
            }
            if n % 31 == 0 {
                row.mpxn.add("9990000000000".parse().unwrap());
            }
            row
        })
        .collect()
}

/// A file, as a log lists it.
fn listed(written: Written) -> TableFile {
    TableFile {
        path: "one.parquet".to_owned(),
        size: written.size,
        month: None,
        written_ms: 0,
        tag: None,
        xxh64: Some(written.xxh64),
        tail: written.tail,
    }
}

#[tokio::test]
async fn every_row_reads_back_by_pages_and_by_arrow() {
    let rows = rows(5_000);
    let sorted = SortedFragments::sort(&rows).unwrap();
    let expected: Vec<Fragment> = sorted.as_slice().iter().map(|row| (*row).clone()).collect();
    let (Encoded { bytes, written }, summary) = run::write(&sorted).unwrap();
    let mut by_arrow = Vec::new();
    for batch in ParquetRecordBatchReaderBuilder::try_new(bytes.clone()).unwrap().build().unwrap() {
        let batch = batch.unwrap();
        by_arrow
            .extend((0..batch.num_rows()).map(|n| Stored::of(&batch, n, "one").unwrap().fragment().unwrap()));
    }
    assert!(by_arrow == expected, "Arrow reads something else");
    let footer = usize::try_from(summary.footer_bytes.unwrap()).unwrap();
    assert!(footer < bytes.len() / 4, "a footer of {footer} bytes in a file of {}", bytes.len());
    let location = Location::parse("memory:///runs", &HashMap::new()).unwrap();
    let path = Path::from("one.parquet");
    location.store.put(&path, bytes.into()).await.unwrap();
    let cache = RunCache::new(&location, 1 << 24);
    let run = cache.open(&TRAILS, (&listed(written), &path), None).await.unwrap();
    assert!(all(&cache, &run).await.unwrap() == expected, "pages give something else");
    for number in 0..41 {
        let device = DeviceId::from_bytes(eui(number));
        let of_device = |row: &&Fragment| row.device.value() == Some(&device);
        let expected: Vec<Fragment> = expected.iter().filter(of_device).cloned().collect();
        let sheets = sheets(&cache, &run, device).await.unwrap();
        let found: Vec<Fragment> = sheets.iter().flat_map(|sheet| all_of(sheet, device).unwrap()).collect();
        assert!(found == expected, "Device {number}");
        let candidates: Vec<_> = sheets.iter().flat_map(|sheet| candidates(sheet, device).unwrap()).collect();
        assert_eq!(candidates.len(), expected.len());
        let again = Seek::all(device).kept(&cache, &run).unwrap().unwrap();
        assert_eq!(again.len(), sheets.len(), "all is in memory now");
    }
}

/// Whatever byte of a run is changed: rows or an error that names the run, and never a panic. In a file system, where no store
/// stands between a damaged place and the memory that is asked for it.
#[tokio::test]
async fn a_changed_byte_never_panics() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("one.parquet");
    let location = Location::parse(folder.path().to_str().unwrap(), &HashMap::new()).unwrap();
    let path = Path::from_absolute_path(&file).unwrap();
    let rows = rows(300);
    let (Encoded { bytes, written }, _) = run::write(&SortedFragments::sort(&rows).unwrap()).unwrap();
    let device = DeviceId::from_bytes(eui(3));
    for at in (0..bytes.len()).step_by(7) {
        let mut changed = bytes.to_vec();
        changed[at] ^= 0x55;
        std::fs::write(&file, changed).unwrap();
        // As a file of the first format, which nothing vouches for, and as one of this.
        for tail in [None, written.tail] {
            let cache = RunCache::new(&location, 1 << 24);
            let listed = TableFile { tail, ..listed(written) };
            let read = async {
                let run = cache.open(&TRAILS, (&listed, &path), None).await?;
                for sheet in sheets(&cache, &run, device).await? {
                    all_of(&sheet, device)?;
                }
                // Rows are written anew of the first format only once the whole file was checked.
                if tail.is_some() { all(&cache, &run).await } else { Ok(Vec::new()) }
            };
            match read.await {
                Err(error) => assert!(error.to_string().contains("one.parquet"), "{error}"),
                // The first four bytes say what kind of file it is, and nobody reads them.
                Ok(_) => assert!(tail.is_none() || at < 4, "byte {at} was changed, and nothing said so"),
            }
        }
    }
}

/// A file that lost its end or all of itself since its footer was read, in a file system, where all ranges are read in one go.
#[tokio::test]
async fn a_file_that_is_cut_or_gone_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("one.parquet");
    let (Encoded { bytes, written }, _) = run::write(&SortedFragments::sort(&rows(5_000)).unwrap()).unwrap();
    std::fs::write(&file, &bytes).unwrap();
    let location = Location::parse(folder.path().to_str().unwrap(), &HashMap::new()).unwrap();
    let path = Path::from_absolute_path(&file).unwrap();
    let cache = RunCache::new(&location, 1 << 24);
    let run = cache.open(&TRAILS, (&listed(written), &path), None).await.unwrap();
    let page = run.pages(0, column::TAIL).unwrap()[0].clone();
    std::fs::write(&file, &bytes[..usize::try_from(page.offset).unwrap() + 1]).unwrap();
    let cut = all(&cache, &run).await.unwrap_err();
    assert!(matches!(&cut, RunsError::Corrupt { path, .. } if path.ends_with("one.parquet")), "{cut}");
    for range in [0..1 << 50, u64::MAX - 1..u64::MAX, std::ops::Range { start: 5, end: 3 }] {
        assert!(cache.fetch(&path, &range).await.is_err(), "{range:?}");
    }
    std::fs::remove_file(&file).unwrap();
    let gone = all(&cache, &run).await.unwrap_err();
    assert!(gone.to_string().contains("one.parquet"), "{gone}");
}

/// A row without what every row has is damage, and no default.
#[test]
fn an_empty_row_is_an_error() {
    assert!(Row::default().stored("one.parquet").is_err());
}
