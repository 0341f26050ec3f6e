//! What newer builds wrote is refused by name, whoever asks; and what an upgrade leaves.

use super::*;
use crate::error::LakeErrorKind;
use crate::it::anomaly::threshold;
use crate::it::formats::{Fixture, events, over};
use crate::it::world::*;
use crate::keep::compaction::CompactionSettings;
use crate::keep::verify::VerifySettings;
use crate::lake::Lake;
use crate::write::writer::Batch;
use arrow::array::RecordBatch;
use gridtrail_runs::checksum::Written;
use gridtrail_runs::{NewFile, Summary, copy};
use object_store::ObjectStoreExt as _;
use std::sync::atomic::AtomicBool;

#[test]
fn steps_lead_from_the_first_format_to_the_newest_without_a_gap() {
    assert!((2..).zip(STEPS).all(|(to, step)| step.to == to));
    let newest = STEPS.last().map_or(1, |step| step.to);
    for table in registry::ALL {
        let of = table.definition();
        assert!((1..=newest).contains(&of.format), "{} is of a format that no step leads to", of.name);
    }
}

/// Afterwards every page that a look-up reads is held against its checksum, and a step that a later format adds writes again what it finds.
#[tokio::test(flavor = "multi_thread")]
async fn each_step_writes_anew_what_it_does_not_find_done() {
    let fixtures = Fixture::all().await;
    let fixture = fixtures.iter().find(|fixture| fixture.name == "first").unwrap();
    let lake = fixture.open().await;
    let mut maintenance = lake.maintenance().await.unwrap();
    let looked_up = |maintenance: &Maintenance| -> Vec<Arc<TableFile>> {
        let tables = maintenance.tables.each();
        tables
            .iter()
            .filter(|table| !table.definition().keys.is_empty())
            .flat_map(|table| table.files())
            .collect()
    };
    let before = looked_up(&maintenance);
    assert!(before.iter().all(|file| file.tail.is_none()));
    // A step of a format of which every file has to be written anew that is not of this build.
    let step = Step { to: 2, is_done: |table, run| run.is_whole(table) && run.says_format() };
    maintenance.upgrade_by(&[step], false).await.unwrap();
    let after = looked_up(&maintenance);
    assert_eq!(after.len(), before.len());
    assert!(after.iter().all(|file| file.tail.is_some()), "{after:?}");
    assert!(after.iter().all(|file| before.iter().all(|before| before.path != file.path)));
}

/// A damaged file stays as it is, and its table of its format; all else is done. Once it is put back, the rest follows.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_keeps_its_table_back_and_no_other() {
    let fixtures = Fixture::all().await;
    let fixture = fixtures.iter().find(|fixture| fixture.name == "first").unwrap();
    let lake = fixture.open().await;
    let table = lake.tables().await.trails;
    let file = table.files().remove(0);
    let path = table.full_path(&file.path).unwrap();
    let whole = lake.site().fetch(&path).await.unwrap();
    let mut damaged = whole.to_vec();
    damaged[40] ^= 1;
    table.store().put(&path, damaged.into()).await.unwrap();
    let upgraded = lake.maintenance().await.unwrap().upgrade(false).await.unwrap();
    assert!(!upgraded.is_whole());
    for table in &upgraded.tables {
        let is_trails = table.name == "trails";
        assert_eq!((table.refused, table.to), if is_trails { (1, 1) } else { (0, 2) }, "{table:?}");
    }
    assert_eq!(lake.damaged_files()[0].path, path.to_string());
    table.store().put(&path, whole.into()).await.unwrap();
    let upgraded = again(&lake).await.maintenance().await.unwrap().upgrade(false).await.unwrap();
    let [trails] = upgraded.tables.as_slice() else { panic!("{upgraded:?}") };
    assert_eq!((trails.name, trails.files, trails.refused, trails.to), ("trails", 1, 0, 2));
}

/// What a newer build would make of a table.
fn newer(of: &'static Definition) -> &'static Definition {
    let Definition { name, schema, by_month, format, needs, keys, layout, note, made_with } = *of;
    let format = format + 7;
    Box::leak(Box::new(Definition { name, schema, by_month, format, needs, keys, layout, note, made_with }))
}

/// Says of a file what is said of another with the same rows.
struct Same<'a>(&'a TableFile);

impl Summary for Same<'_> {
    fn add(&mut self, _: &RecordBatch) -> Result<(), RunsError> {
        Ok(())
    }

    fn file(self, path: String, written: Written) -> Result<NewFile, RunsError> {
        let (month, tag) = (self.0.month.clone(), self.0.tag.clone().unwrap());
        Ok(NewFile { path, written, month, rows: 1, tag, bounds: Vec::new() })
    }
}

/// A lake of which all files of a table are as a newer build would write them.
async fn with_newer_files(fixture: &Fixture, of: &'static Definition) -> Lake {
    let lake = fixture.open().await;
    // Rows of a table that came later.
    let mut event = received(request_id(1, 1, 80_000), at(5));
    event.correlation.concerned_devices = vec![device(2)];
    let mut writer = lake.writer().await.unwrap();
    commit(&mut writer, "newer", [event]).await;
    let mut told = source("told", 0, 1);
    told.finished = false;
    let anomaly = threshold(1, at(5), 1).into();
    let schedules = vec![created("newer", 9, at(5))];
    writer.commit(Batch { anomaly, schedules, sources: vec![told], ..Batch::default() }).await.unwrap();
    let mut table = Table::open(lake.site().location(), newer(of), None).await.unwrap();
    for file in table.files() {
        let path = table.definition().new_path(file.month.as_deref());
        let made =
            copy((lake.cache(), &table), &file, path, Same(&file), &AtomicBool::default()).await.unwrap();
        let changes =
            Changes { add: vec![made], remove: vec![file], now_ms: at(1).millis(), ..Changes::default() };
        table.commit(&changes).await.unwrap();
    }
    again(&lake).await
}

/// A lake over the same store, of which nothing is in memory.
async fn again(lake: &Lake) -> Lake {
    over(Arc::clone(&lake.site().location().store)).await
}

/// Search, compaction, gathering, verification and upgrade refuse a file of a newer format, and name it.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_a_newer_format_is_refused_by_name_whoever_asks() {
    let fixtures = Fixture::all().await;
    let fixture = fixtures.last().unwrap();
    for of in registry::ALL.iter().map(|table| table.definition()) {
        let lake = with_newer_files(fixture, of).await;
        let refused = |error: LakeError, by: &str| {
            let text = error.to_string();
            assert_eq!(error.kind(), LakeErrorKind::Settings, "{by}: {text}");
            let named = text.starts_with(&format!("first/{}/", of.name))
                && text.contains(&format!("is of format \"{}\"", of.format + 7))
                && text.contains("use the build that wrote it");
            assert!(named, "{by}: {text}");
        };
        refused(lake.verify(&VerifySettings::default()).await.unwrap_err(), "verify");
        let full = CompactionSettings { full: true, ..CompactionSettings::default() };
        let mut maintenance = lake.maintenance().await.unwrap();
        let compacted = maintenance.compact(&full).await;
        match of.name {
            "trails" => {
                refused(compacted.unwrap_err(), "compact");
                let found = lake.snapshot().lookup(&access(&[1, 2]), &query(1)).await;
                refused(found.unwrap_err(), "look-up");
                refused(maintenance.upgrade(false).await.unwrap_err(), "upgrade");
            }
            "parked" => refused(maintenance.sweep().await.unwrap_err(), "sweep"),
            "mpxn_devices" => refused(compacted.unwrap_err(), "gather"),
            "dead_letters" => {
                let letters = lake.dead_letters().await.unwrap().rest().await;
                refused(letters.unwrap_err(), "dead letters");
            }
            "commits" => refused(lake.evidence(drop).await.unwrap_err(), "evidence"),
            "holds" => refused(lake.holds().await.unwrap_err(), "holds"),
            "access_events" => refused(lake.sharing().await.unwrap_err(), "sharing"),
            "access_log" => {
                let mut log = lake.read_access_log(None, None).await.unwrap();
                refused(log.next().await.unwrap_err(), "access log");
            }
            // Whoever reads it opens its files as one of these does.
            _ => {}
        }
    }
}

/// A table that a newer build upgrades is refused by processes that have it open: they neither read on nor write.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_refuses_a_table_that_becomes_one_of_a_newer_format_meanwhile() {
    let fixtures = Fixture::all().await;
    let lake = fixtures[0].open().await;
    let mut writer = lake.writer().await.unwrap();
    let mut table = lake.tables().await.trails;
    let properties = newer(table.definition()).format_properties();
    let upgraded = Changes { properties, now_ms: at(1).millis(), ..Changes::default() };
    table.commit(&upgraded).await.unwrap();
    let newer = newer(table.definition()).format.to_string();
    for error in [
        lake.refresh().await.unwrap_err(),
        writer
            .commit(Batch { fragments: fold(events(9)).into_fragments(), ..Batch::default() })
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), LakeErrorKind::Settings, "{error}");
        assert!(error.to_string().contains(&format!("table trails is of format \"{newer}\"")), "{error}");
    }
    assert!(!find(&lake, &[1, 2], &query(1)).await.is_empty(), "what was read before is answered from");
}
