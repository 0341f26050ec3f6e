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

fn by_mpxn(number: usize) -> Query {
    Query::of(SearchKey::Mpxn(MPXNS[number].parse().unwrap()))
}

fn by_uprn(number: usize) -> Query {
    Query::of(SearchKey::Uprn(UPRNS[number].parse().unwrap()))
}

/// A row counts by its time, and says how its Device was found then.
#[test]
fn a_row_says_how_its_device_was_found_at_its_time() {
    let at = |device, second, mpxn| Seed { device, second, counter: second, mpxn, ..ROW };
    // Device 1 was at the meter point until second 3, and 2 was Associated with it; 3 was only seen with it, and 4 is elsewhere.
    let told = [
        Told { what: What::Uprn(0, 0), from: 1, until: None },
        Told { what: What::At(1, 0), from: 0, until: Some(3) },
        Told { what: What::With(2, 1), from: 0, until: None },
        Told { what: What::At(4, 1), from: 0, until: None },
    ];
    let rows = [
        at(1, 0, None),
        at(1, 2, Some(0)),
        at(1, 4, None),
        at(1, 5, Some(0)),
        at(2, 2, None),
        at(2, 4, None),
        at(3, 0, Some(0)),
        at(3, 4, None),
        at(4, 3, Some(0)),
        at(4, 4, None),
    ];
    let bench = bench(&[]);
    bench.lake.commit_told(rows_of(&rows), events_of(&told), None);
    let who = access("ann", &[1]);
    let found = |query: &Query| -> BTreeSet<(u8, u8, String)> {
        let page = block_on(bench.search.audit_trails(&who, query)).unwrap();
        assert_eq!(page.resolution, DeviceResolution::ByInventoryAndSeenPairs);
        let seen = |row: &Row| {
            let seed = rows.iter().find(|seed| seed.fragment().key == row.reference.position.key).unwrap();
            assert_eq!(row.matched_device, Some(device(seed.device)));
            (seed.device, seed.second, format!("{:?}", row.resolution))
        };
        page.rows.iter().map(seen).collect()
    };
    let expected = |all: &[(u8, u8, &str)]| -> BTreeSet<(u8, u8, String)> {
        all.iter().map(|(device, second, how)| (*device, *second, (*how).to_owned())).collect()
    };
    let both = "ByInventoryAndSeenPairs";
    let since = [
        (1, 2, both),
        (1, 5, "BySeenPairs"),
        (2, 2, "ByInventory"),
        (3, 4, "BySeenPairs"),
        (4, 3, "BySeenPairs"),
    ];
    assert_eq!(found(&by_uprn(0)), expected(&since));
    let before = [(1, 0, both), (3, 0, "BySeenPairs")];
    assert_eq!(found(&by_mpxn(0)), expected(&[&since[..], &before].concat()));
    let dates = Query { from: Some(second(1)), to: Some(second(2)), ..by_mpxn(0) };
    assert_eq!(found(&dates), expected(&[(1, 2, both), (2, 2, "ByInventory")]));
}

/// Where the inventory leads nowhere, the answer says so, be it that it does at other dates.
#[test]
fn an_answer_says_where_the_inventory_leads_nowhere() {
    let told = [
        Told { what: What::Uprn(0, 0), from: 1, until: Some(3) },
        Told { what: What::At(1, 0), from: 1, until: Some(3) },
    ];
    let bench = bench(&[]);
    bench.lake.commit_told(rows_of(&[ROW, Seed { second: 2, ..ROW }]), events_of(&told), None);
    let who = access("ann", &[1]);
    let asked = |query: &Query| {
        let page = block_on(bench.search.audit_trails(&who, query)).unwrap();
        (page.rows.len(), page.resolution)
    };
    assert_eq!(asked(&by_uprn(0)), (1, DeviceResolution::ByInventoryAndSeenPairs));
    assert_eq!(asked(&by_uprn(1)), (0, DeviceResolution::NoMeterPoint));
    let late = Some(second(3));
    assert_eq!(asked(&Query { from: late, ..by_uprn(0) }), (0, DeviceResolution::NoMeterPoint));
    assert_eq!(asked(&Query { from: late, ..by_mpxn(0) }), (0, DeviceResolution::BySeenPairs));
    assert_eq!(asked(&by_mpxn(1)), (0, DeviceResolution::BySeenPairs));
}

/// More than a search goes through is refused by its number; at dates at which it is fewer, it is not.
#[test]
fn a_search_that_is_too_wide_is_refused_and_answered_at_closer_dates() {
    let bench = bench(&[]);
    let mut told = events_of(&[
        Told { what: What::Uprn(0, 0), from: 0, until: None },
        Told { what: What::At(1, 0), from: 0, until: None },
    ]);
    // At each of two seconds, more than half of what is too much.
    for number in 0..u64::try_from(DEVICES_MAX).unwrap() + 2 {
        let from = second(i64::from(number % 2 == 0) * 10);
        let mpxn = MPXNS[0].parse().unwrap();
        let fact = InventoryFact::Installation {
            device: DeviceId::from_bytes(number.to_be_bytes()),
            mpxn,
            installed: true,
        };
        let effective = Effective::new(from, Some(from.plus_millis(1000))).unwrap();
        told.push(InventoryEvent {
            recorded_at: start(),
            id: format!("many-{number}").parse().unwrap(),
            origin: FactOrigin::Inventory,
            told: InventoryStatement::Fact(StatedFact { effective, corrects: None, fact }),
        });
    }
    bench.lake.commit_told(rows_of(&[ROW]), told, None);
    let who = access("ann", &[1]);
    for query in [by_mpxn(0), by_uprn(0)] {
        let error = block_on(bench.search.audit_trails(&who, &query)).unwrap_err();
        assert_eq!(error.kind(), SearchErrorKind::Exhausted);
        assert!(error.user_text().to_string().contains("200 Devices"), "{}", error.user_text());
        let closer = Query { to: Some(second(5)), ..query };
        assert_eq!(block_on(bench.search.audit_trails(&who, &closer)).unwrap().rows.len(), 1);
    }
    let flats = (0..=METER_POINTS_OF_UPRN_MAX).map(|number| InventoryEvent {
        recorded_at: start(),
        id: format!("flat-{number}").parse().unwrap(),
        origin: FactOrigin::Inventory,
        told: InventoryStatement::Fact(StatedFact {
            effective: Effective::since(second(0)),
            corrects: None,
            fact: InventoryFact::Registration {
                mpxn: format!("{:06}", 100_000 + number).parse().unwrap(),
                data: Registration {
                    uprn: FieldChange::Value(UPRNS[1].parse().unwrap()),
                    ..Registration::default()
                },
            },
        }),
    });
    bench.lake.commit_told([], flats, None);
    let error = block_on(bench.search.audit_trails(&who, &by_uprn(1))).unwrap_err();
    assert_eq!(error.kind(), SearchErrorKind::Exhausted);
    assert!(error.user_text().to_string().contains("100 meter points of a UPRN"), "{}", error.user_text());
}

/// What the inventory is told between two pages is not of the second.
#[test]
fn a_page_token_pins_the_inventory() {
    let bench = bench(&[]);
    let rows: Vec<Seed> = (0..4).map(|second| Seed { second, counter: second, ..ROW }).collect();
    let at = |device, until| events_of(&[Told { what: What::At(device, 0), from: 0, until }]);
    bench.lake.commit_told(rows_of(&rows), at(1, None), None);
    let who = access("ann", &[1]);
    let (first, next) = first_page(&bench, &who, &Query { page_size: Some(1), ..by_mpxn(0) });
    assert_eq!(first.rows.len(), 1);
    bench.lake.commit_told(rows_of(&[Seed { device: 2, ..ROW }]), at(2, Some(3)), None);
    let rest = Query { page_size: Some(9), ..next };
    let rest = block_on(bench.search.audit_trails(&who, &rest)).unwrap();
    let devices: Vec<_> = rest.rows.iter().map(|row| row.matched_device).collect();
    assert_eq!(devices, [Some(device(1)); 3]);
    let as_of = |version| {
        let query = Query { as_of: Some(AsOf::Version(version)), ..by_mpxn(0) };
        block_on(bench.search.audit_trails(&who, &query)).unwrap().rows.len()
    };
    assert_eq!([1, 2, 3].map(as_of), [0, 4, 5]);
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
