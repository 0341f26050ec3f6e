//! What a page holds, and how rows come to it.

use super::*;

#[test]
fn a_page_names_its_freshness_its_version_and_how_devices_were_found() {
    let bench = bench(&[Seed { mpxn: Some(0), ..ROW }]);
    let who = access("ann", &[1]);
    let page = block_on(bench.search.audit_trails(&who, &by_device(1))).unwrap();
    assert_eq!(page.complete_up_to, Some(start()));
    assert_eq!(page.version, SnapshotVersion::of_trails(1));
    assert_eq!(page.resolution, DeviceResolution::Direct);
    let by_mpxn = Query::of(SearchKey::Mpxn(MPXNS[0].parse().unwrap()));
    let page = block_on(bench.search.audit_trails(&who, &by_mpxn)).unwrap();
    assert_eq!(page.resolution, DeviceResolution::BySeenPairs);
    assert_eq!((page.rows.len(), page.rows[0].matched_device), (1, Some(device(1))));
}

#[test]
fn a_page_holds_fifty_rows_unless_told() {
    let seeds: Vec<Seed> = (0..51).map(|counter| Seed { counter, ..ROW }).collect();
    let bench = bench(&seeds);
    let who = access("ann", &[1]);
    let (page, next) = first_page(&bench, &who, &by_device(1));
    assert_eq!(page.rows.len(), 50);
    let last = block_on(bench.search.audit_trails(&who, &next)).unwrap();
    assert_eq!((last.rows.len(), last.next_page_token), (1, None));
    let whole = Query { page_size: Some(51), ..by_device(1) };
    assert_eq!(first_page(&bench, &who, &whole).0.next_page_token, None, "a full last page is the last");
}

#[test]
fn a_reference_still_finds_a_row_that_moved_to_an_earlier_place() {
    let bench = bench(&[Seed { second: 5, ..ROW }]);
    let who = access("ann", &[1]);
    let row = first_page(&bench, &who, &by_device(1)).0.rows.remove(0);
    let moved = TrailRef {
        position: RowPosition { placement: start().plus_millis(9000), ..row.reference.position },
        ..row.reference
    };
    assert_eq!(block_on(bench.search.audit_trail(&who, &moved.into())).unwrap().row, row);
}

#[test]
fn parts_of_one_row_under_two_devices_are_one_row() {
    let whole = Seed { mpxn: Some(0), ..ROW }.fragment();
    let mut elsewhere = whole.clone();
    elsewhere.device = std::iter::once(device(2)).collect();
    elsewhere.originator_counter.add(7);
    let bench = bench(&[]);
    bench.lake.commit([whole, elsewhere, Seed { mpxn: Some(0), counter: 1, ..ROW }.fragment()], None);
    let query = Query { page_size: Some(1), ..Query::of(SearchKey::Mpxn(MPXNS[0].parse().unwrap())) };
    let who = access("ann", &[1]);
    let (newest, next) = first_page(&bench, &who, &query);
    let (joined, end) = first_page(&bench, &who, &next);
    assert_eq!((newest.rows.len(), joined.rows.len(), end.page_token), (1, 1, None));
    assert_eq!(joined.rows[0].matched_device, Some(device(1)));
    assert_eq!(joined.rows[0].trail.gbcs_transaction_sequence_number, Some(7));
}

/// A large page ends where memory does, and none of its rows is lost: those that were looked up and not taken are on the next.
#[test]
fn a_page_of_heavy_rows_ends_early_and_the_next_goes_on() {
    const ENTRIES: usize = 20_000;
    let light = (0..120).map(|counter| Seed { second: 9, counter, ..ROW }.fragment());
    let heavy = (0..60).map(|counter| history_of(Seed { counter, ..ROW }, ENTRIES));
    let bench = bench(&[]);
    bench.lake.commit(light.chain(heavy), None);
    let who = access("ann", &[1]);
    let mut query = Query { page_size: Some(1_000), ..by_device(1) };
    let (mut seen, mut sizes) = (Vec::new(), Vec::new());
    loop {
        let (page, next) = first_page(&bench, &who, &query);
        let entries: usize = page.rows.iter().map(|row| row.trail.history.len()).sum();
        assert!(entries * size_of::<HistoryEntry>() <= PAGE_WEIGHT_MAX + ENTRIES * size_of::<HistoryEntry>());
        sizes.push(page.rows.len());
        seen.extend(page.rows.iter().map(|row| row.reference.position));
        if next.page_token.is_none() {
            break;
        }
        query = next;
    }
    assert!(sizes.len() > 1 && sizes[0] > 120, "{sizes:?}");
    assert_eq!(seen.len(), 180);
    assert!(seen.is_sorted_by(|a, b| a > b), "newest first, each once");
}
