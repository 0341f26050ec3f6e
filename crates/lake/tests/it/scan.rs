//! A scan gives every row that look-ups give, each once, however it is parted.

use crate::it::compaction::HOUR;
use crate::it::world::*;
use gridtrail_lake::{CompactionSettings, Found, KeyQuery, Lake, RowPosition, ScanQuery, View};
use gridtrail_model::*;
use std::collections::BTreeSet;
use std::num::NonZeroU32;

/// The end of February 2026, where one month's runs end and another's begin.
const MARCH: i64 = 1_772_323_200_000 - 1_770_000_000_000;

/// The answer to a request, which claims another time for the receipt of that.
fn answered(u: u8, d: u8, counter: u64, claimed: Timestamp) -> Event {
    let id = request_id(u, d, counter);
    event(id, claimed, answer(id, claimed.plus_millis(5_000)))
}

/// Rows of three Users under four Devices, some of several batches, some that wait, some at both sides of a month's end.
async fn a_lake() -> Lake {
    let (lake, mut writer) = memory().await;
    let mut batches: Vec<Vec<Event>> = vec![Vec::new(); 4];
    for counter in 0..60u64 {
        let (u, d) = (u8::try_from(counter % 3).unwrap() + 1, u8::try_from(counter % 4).unwrap() + 1);
        let millis = MARCH - 30 * HOUR + i64::try_from(counter).unwrap() * HOUR;
        batches[0].push(received(request_id(u, d, counter), at(millis)));
        match counter % 5 {
            // Of the same row at another time, up to 20 hours later: from one month into the next for some.
            0 => batches[1].push(answered(u, d, counter, at(millis + 20 * HOUR))),
            // And on, a day after the day.
            1 => {
                batches[1].push(answered(u, d, counter, at(millis + 15 * HOUR)));
                batches[2].push(answered(u, d, counter, at(millis + 30 * HOUR)));
            }
            // So far apart that they are rows of their own to a look-up.
            2 => batches[2].push(answered(u, d, counter, at(millis + 60 * HOUR))),
            // Its request came later than it did.
            3 => batches[3].push(bare_answer(request_id(u, d, 1_000 + counter), at(millis))),
            _ => {}
        }
    }
    for (number, events) in batches.into_iter().enumerate() {
        commit(&mut writer, &number.to_string(), events).await;
    }
    lake
}

async fn scanned(lake: &Lake, users: &[u8], query: ScanQuery, parts: u32) -> Vec<Found> {
    let parts = NonZeroU32::new(parts).unwrap();
    let mut found = Vec::new();
    for part in lake.snapshot().scan(&access(users), query, parts).await.unwrap() {
        let mut rows = part.rows();
        while let Some(batch) = rows.next().await.unwrap() {
            found.extend(batch);
        }
    }
    found.sort_by_key(|row| RowPosition { placement: row.placement, key: row.fragment.key });
    found
}

async fn looked_up(lake: &Lake, users: &[u8], query: &ScanQuery, anchors: &[Anchor]) -> Vec<Found> {
    let mut found = Vec::new();
    for anchor in anchors {
        let query =
            KeyQuery { from: query.from, to: query.to, ..KeyQuery::under(*anchor, query.view, 1_000) };
        found.extend(lake.snapshot().lookup(&access(users), &query).await.unwrap());
    }
    found.sort_by_key(|row| RowPosition { placement: row.placement, key: row.fragment.key });
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_gives_what_look_ups_of_all_devices_give() {
    let lake = a_lake().await;
    let devices: Vec<Anchor> = (1..=4).map(|d| Anchor::Device(device(d))).collect();
    // What waits names no Device.
    let anchors: Vec<Anchor> =
        devices.iter().copied().chain((1..=3).map(|u| Anchor::User(user(u)))).collect();
    for compacted in [false, true] {
        if compacted {
            let full = CompactionSettings { full: true, ..CompactionSettings::default() };
            lake.maintenance().await.unwrap().compact(&full).await.unwrap();
        }
        for view in [View::Audit, View::MeterReads] {
            let all = ScanQuery::all(view);
            let some = |from, to| ScanQuery { from: Some(at(from)), to: Some(at(to)), ..all.clone() };
            let edges = [
                all.clone(),
                some(MARCH - 10 * HOUR, MARCH + 10 * HOUR),
                some(MARCH, MARCH + HOUR),
                some(MARCH - 30 * HOUR, MARCH - 29 * HOUR),
            ];
            for query in edges {
                for users in [&[1][..], &[1, 2], &[9]] {
                    let expected = looked_up(&lake, users, &query, &anchors).await;
                    for parts in [1, 2, 5] {
                        let found = scanned(&lake, users, query.clone(), parts).await;
                        assert_eq!(
                            found, expected,
                            "{query:?} of {users:?} in {parts}, compacted: {compacted}"
                        );
                    }
                    let expected = looked_up(&lake, users, &query, &devices).await;
                    let named: BTreeSet<DeviceId> = (1..=4).map(device).collect();
                    let by_device = ScanQuery { devices: Some(named), ..query.clone() };
                    assert_eq!(scanned(&lake, users, by_device, 3).await, expected, "by Device: {query:?}");
                }
            }
        }
    }
}

/// What only waits is a row, too, and its User's alone.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_its_request_is_scanned() {
    let (lake, mut writer) = memory().await;
    let bare: Vec<Event> = (0..3).map(|n| bare_answer(request_id(1, 1, n), at(0))).collect();
    commit(&mut writer, "a", bare).await;
    let found = scanned(&lake, &[1], ScanQuery::all(View::Audit), 2).await;
    assert_eq!(found.len(), 3);
    assert!(found.iter().all(|row| Trail::from(&row.fragment).awaiting_request));
    assert_eq!(scanned(&lake, &[2], ScanQuery::all(View::Audit), 2).await, []);
}

/// Without an access no row leaves: the scan of somebody who sees nothing reads none of another's.
#[tokio::test(flavor = "multi_thread")]
async fn a_scan_gives_no_row_of_another() {
    let lake = a_lake().await;
    for (users, view) in [(&[1u8][..], View::Audit), (&[9], View::Audit)] {
        let found = scanned(&lake, users, ScanQuery::all(view), 3).await;
        assert!(found.iter().all(|row| users.iter().any(|n| row.fragment.key.user == user(*n))));
        assert_eq!(found.is_empty(), users == [9]);
    }
}
