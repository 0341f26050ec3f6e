//! The lake as it was: at every version and instant of the window, what was found then is found again, and nothing else.

use crate::it::compaction::{HOUR, add, over, rows_in, step};
use crate::it::world::*;
use gridtrail_lake::{AsOf, CompactionSettings, Lake, LakeError, LakeErrorKind};
use gridtrail_model::*;
use gridtrail_runtime::Clock;
use object_store::memory::InMemory;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a reader finds as of a moment.
async fn rows_as_of(lake: &Lake, as_of: AsOf) -> Result<BTreeMap<TrailKey, Fragment>, LakeError> {
    let snapshot = lake.snapshot_as_of(as_of).await?;
    Ok(rows_in(&snapshot).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_found_is_found_again_as_of_then() {
    let clock = Clock::manual(Clock::system().now());
    let store = Arc::new(InMemory::new());
    let lake = over(store.clone(), clock.clone()).await.unwrap();
    let mut seen = Vec::new();
    for n in 0..12u64 {
        // An answer whose request comes later is parked, shown alone, and then swept to its request.
        let late = bare_answer(request_id(1, 1, 500 + n), at(50));
        let mut writer = lake.writer().await.unwrap();
        commit(&mut writer, &format!("late{n}"), [late]).await;
        add(&lake, n.cast_signed(), [step(1, 1, n, false), step(2, 2, n / 2, n % 2 == 1)]).await;
        if n > 0 {
            add_request(&lake, n, 500 + n - 1).await;
        }
        let full = n % 4 == 3;
        if n % 4 == 1 {
            lake.maintenance().await.unwrap().sweep().await.unwrap();
        } else if n % 4 > 1 {
            let settings = CompactionSettings { full, ..CompactionSettings::default() };
            lake.maintenance().await.unwrap().compact(&settings).await.unwrap();
        }
        lake.refresh().await.unwrap();
        let version = lake.snapshot().version().trails();
        seen.push((clock.now(), version, rows_as_of(&lake, AsOf::Version(version)).await.unwrap()));
        clock.advance(HOUR);
    }
    let fresh = over(store, clock.clone()).await.unwrap();
    for (at, version, wanted) in &seen {
        assert_eq!(&rows_as_of(&fresh, AsOf::Version(*version)).await.unwrap(), wanted, "{version}");
        for later in [0, 1, HOUR - 1] {
            let as_of = AsOf::Instant(at.plus_millis(later));
            assert_eq!(&rows_as_of(&fresh, as_of).await.unwrap(), wanted, "{version}, {later} ms later");
        }
    }
    // The window moves on, and an error says to where.
    clock.advance(38 * HOUR);
    let earliest = clock.now().plus_millis(-48 * HOUR);
    for gone in [AsOf::Version(1), AsOf::Instant(seen[0].0), AsOf::Instant(earliest.plus_millis(-1))] {
        let error = rows_as_of(&fresh, gone).await.unwrap_err();
        assert_eq!(error.kind(), LakeErrorKind::VersionGone);
        assert!(error.to_string().contains(&earliest.to_string()), "{error}");
    }
    assert_eq!(rows_as_of(&fresh, AsOf::Instant(earliest)).await.unwrap(), seen[2].2);
    assert_eq!(
        rows_as_of(&fresh, AsOf::Version(1_000)).await.unwrap_err().kind(),
        LakeErrorKind::VersionGone
    );
    // The future is now.
    assert_eq!(rows_as_of(&fresh, AsOf::Instant(clock.now().plus_millis(HOUR))).await.unwrap(), seen[11].2);
}

/// Whoever asks as of every version has the server keep no more lists of files than there are bytes for.
#[tokio::test(flavor = "multi_thread")]
async fn searches_as_of_every_version_take_no_more_memory_than_their_bound() {
    const VERSIONS: u64 = 50;
    let clock = Clock::manual(Clock::system().now());
    let store = Arc::new(InMemory::new());
    let lake = over(store.clone(), clock.clone()).await.unwrap();
    for n in 0..VERSIONS {
        add(&lake, n.cast_signed(), [step(1, 1, n, false)]).await;
        clock.advance(1_000);
    }
    let fresh = over(store, clock).await.unwrap();
    let newest = fresh.snapshot().version().trails();
    let mut asked = 0;
    for version in 1..=newest {
        asked += u64::from(fresh.snapshot_as_of(AsOf::Version(version)).await.is_ok());
    }
    let (kept, bytes) = fresh.kept().earlier();
    assert!(asked > VERSIONS / 2 && 0 < kept && kept < asked, "{kept} of {asked}");
    // A bound of tests: what one of the last takes, many times over.
    assert!(bytes <= 256 << 10, "{bytes}");
    // What went is read again.
    assert!(!rows_as_of(&fresh, AsOf::Version(newest / 2)).await.unwrap().is_empty());
    // What came while the process ran shares most of what it holds.
    let (first, last) = (lake.snapshot_at(fresh.snapshot().version()).await.unwrap(), fresh.snapshot());
    assert!(last.bytes_beside(Some(&first)) > last.bytes_beside(Some(&last)));
    assert!(last.bytes_beside(None) > 20 * last.bytes_beside(Some(&last)));
}

async fn add_request(lake: &Lake, n: u64, counter: u64) {
    let mut writer = lake.writer().await.unwrap();
    commit(&mut writer, &format!("request{n}"), [received(request_id(1, 1, counter), at(40))]).await;
}
