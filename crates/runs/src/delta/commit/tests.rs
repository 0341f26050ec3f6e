//! Where an entry is put, and where none is.

use super::*;
use crate::delta::location::Location;
use crate::example::new_table;
use deltalake_core::Path;
use futures::TryStreamExt as _;
use object_store::{ObjectStore as _, ObjectStoreExt as _};

/// A commit that adds a file, which need not be there.
fn adding(number: u64) -> Changes {
    let path = format!("{number}.parquet");
    let written = Written { size: 1, xxh64: number, tail: None };
    let file = NewFile { path, written, month: None, rows: 1, tag: "{}".to_owned(), bounds: Vec::new() };
    Changes { add: vec![file], ..Changes::default() }
}

fn entry(version: u64) -> Path {
    Path::from(format!("example/ids/_delta_log/{version:020}.json"))
}

async fn is_there(location: &Location, version: u64) -> bool {
    location.store.head(&entry(version)).await.is_ok()
}

/// A handle that slept while what it would read next was cleaned up does not take its own version for the newest, nor put its entry behind it.
#[tokio::test(flavor = "multi_thread")]
async fn a_handle_that_slept_commits_behind_the_newest_version() {
    let (location, mut table) = new_table().await;
    table.commit(&adding(1)).await.unwrap();
    let mut asleep = table.clone();
    while table.version() < 2 * CHECKPOINT_EVERY + 3 {
        table.commit(&adding(table.version() + 1)).await.unwrap();
    }
    for version in 0..2 * CHECKPOINT_EVERY {
        location.store.delete(&entry(version)).await.unwrap();
    }
    let newest = table.version();
    assert_eq!(asleep.commit(&adding(newest + 1)).await.unwrap(), newest + 1);
    assert!(!is_there(&location, 2).await);
    assert_eq!(asleep.files().len() as u64, newest + 1);
    table.refresh().await.unwrap();
    assert_eq!((table.version(), table.files().len()), (newest + 1, asleep.files().len()));
}

/// What lies behind an entry that is gone would never be read.
#[tokio::test(flavor = "multi_thread")]
async fn a_handle_whose_own_entry_is_lost_commits_nothing() {
    let (location, mut table) = new_table().await;
    table.commit(&adding(1)).await.unwrap();
    table.commit(&adding(2)).await.unwrap();
    location.store.delete(&entry(2)).await.unwrap();
    let refused = table.commit(&adding(3)).await.unwrap_err().to_string();
    assert!(refused.contains(entry(2).as_ref()) && refused.contains("missing"), "{refused}");
    assert!(!is_there(&location, 3).await);
}

/// Many handles that commit at once: each version is of one of them, and none is lost.
#[tokio::test(flavor = "multi_thread")]
async fn handles_that_commit_at_once_follow_each_other() {
    const EACH: u64 = 20;
    let (location, table) = new_table().await;
    let committing = (0..4_u64).map(|handle| {
        let mut table = table.clone();
        tokio::spawn(async move {
            for number in 0..EACH {
                table.commit(&adding(handle * EACH + number)).await.unwrap();
            }
        })
    });
    futures::future::try_join_all(committing.collect::<Vec<_>>()).await.unwrap();
    let mut fresh = table.at(4 * EACH).await.unwrap();
    fresh.refresh().await.unwrap();
    assert_eq!((fresh.version(), fresh.files().len() as u64), (4 * EACH, 4 * EACH));
    let listed = location.store.list(Some(&Path::from("example/ids/_delta_log")));
    let entries: Vec<_> = listed.try_collect().await.unwrap();
    assert_eq!(entries.len() as u64, 4 * EACH + 1, "nothing lies in the log but entries");
}

/// Properties are set beside all others that the table has.
#[tokio::test(flavor = "multi_thread")]
async fn a_property_that_is_set_leaves_the_others() {
    let (_, mut table) = new_table().await;
    let before = table.log.properties().clone();
    let properties = vec![("example.months", "36".to_owned())];
    table.commit(&Changes { properties, ..adding(1) }).await.unwrap();
    let fresh = table.at(1).await.unwrap();
    for table in [&table, &fresh] {
        assert_eq!(table.property("example.months"), Some("36"));
        assert_eq!(table.log.properties().len(), before.len() + 1);
    }
}
