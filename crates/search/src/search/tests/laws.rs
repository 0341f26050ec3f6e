//! Pages put together are what one look gives, whatever happens between them.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn seeds() -> impl Strategy<Value = Vec<Seed>> {
    let seed = (0u8..3, 0u8..3, 0u8..5, 0u8..4, 0..VARIANTS.len(), prop::option::of(0..MPXNS.len()));
    prop::collection::vec(
        seed.prop_map(|(device, user, second, counter, variant, mpxn)| Seed {
            device,
            user,
            second,
            counter,
            variant,
            mpxn,
        }),
        0..60,
    )
}

fn queries() -> impl Strategy<Value = Query> {
    let key = prop_oneof![
        (0u8..4).prop_map(|number| SearchKey::Device(device(number))),
        (0..MPXNS.len()).prop_map(|mpxn| SearchKey::Mpxn(MPXNS[mpxn].parse().unwrap())),
    ];
    let bound = || prop::option::of((0i64..5).prop_map(|second| start().plus_millis(second * 1000)));
    let variants = prop::sample::subsequence(vec!["4.8.1", "4.17", "4.8.3"], 0..3);
    (key, variants, bound(), bound()).prop_map(|(key, variants, a, b)| {
        let (from, to) = match (a, b) {
            (Some(a), Some(b)) => (Some(a.min(b)), Some(a.max(b))),
            open => open,
        };
        let variants = variants.into_iter().map(|text| text.parse().unwrap()).collect();
        Query { variants, from, to, ..Query::of(key) }
    })
}

/// What a search must give, the slow and obvious way: every row is looked at, once. `known` are all that is there by now.
fn expected(
    (seeds, known): (&[Seed], &[Seed]),
    view: View,
    mine: &BTreeSet<UserId>,
    query: &Query,
) -> Vec<RowPosition> {
    let fragments = rows_of(seeds);
    let says_otherwise = |row: &Fragment| row.variant.iter().any(|claim| !claim.is_meter_read());
    let closed: BTreeSet<TrailKey> =
        rows_of(known).into_iter().filter(says_otherwise).map(|row| row.key).collect();
    let on_mpxn = |mpxn: Mpxn| -> BTreeSet<DeviceId> {
        let of_mpxn = fragments.iter().filter(|f| f.mpxn.iter().any(|m| *m == mpxn));
        of_mpxn.filter_map(|f| f.device.value().copied()).collect()
    };
    let devices = match query.key {
        SearchKey::Device(device) => BTreeSet::from([device]),
        SearchKey::Mpxn(mpxn) => on_mpxn(mpxn),
        SearchKey::Uprn(_) | SearchKey::User(_) => BTreeSet::new(),
    };
    // Rows are merged by key and place, as the lake does, before their variant is looked at.
    let mut rows: BTreeMap<(DeviceId, RowPosition), Fragment> = BTreeMap::new();
    for fragment in fragments {
        let (device, placement) = (*fragment.device.value().unwrap(), fragment.placement().unwrap());
        let at = (device, RowPosition { placement, key: fragment.key });
        match rows.get_mut(&at) {
            Some(row) => row.merge(fragment),
            None => {
                rows.insert(at, fragment);
            }
        }
    }
    let mut positions: Vec<RowPosition> = rows
        .into_iter()
        .filter(|((device, position), row)| {
            let variant = row.variant.value();
            devices.contains(device)
                && match view {
                    View::Audit => mine.contains(&row.key.user),
                    // A row of which anything says that it is none stays with its User, wherever that lies.
                    View::MeterReads => {
                        let is_read = variant.is_some() && !says_otherwise(row);
                        is_read && (mine.contains(&row.key.user) || !closed.contains(&row.key))
                    }
                }
                && (query.variants.is_empty() || variant.is_some_and(|v| query.variants.contains(v)))
                && query.from.is_none_or(|from| position.placement >= from)
                && query.to.is_none_or(|to| position.placement <= to)
        })
        .map(|((_, position), _)| position)
        .collect();
    positions.sort_unstable();
    positions.reverse();
    positions
}

proptest! {
    /// I2: pages of one search, put together, are what one look at the first page's version gives: nothing
    /// skipped, repeated or out of order, whatever is committed between them and however large each page is.
    #[test]
    fn pages_never_skip_or_repeat(
        before in seeds(),
        between in prop::collection::vec(seeds(), 1..4),
        query in queries(),
        sizes in prop::collection::vec(1u32..7, 1..5),
        meter_reads: bool,
    ) {
        let view = if meter_reads { View::MeterReads } else { View::Audit };
        let bench = bench(&before);
        let who = access("ann", &[1, 2]);
        let (mut known, mut last, mut token, mut pages) = (before.clone(), None, None, 0);
        loop {
            let size = sizes[pages % sizes.len()];
            let asked = Query { page_size: Some(size), page_token: token, ..query.clone() };
            let page = block_on(bench.search.page(view, &who, &asked)).unwrap();
            prop_assert_eq!(page.version, SnapshotVersion::of_trails(1));
            // What was there at first, and may be seen by what is known now.
            let mut left = expected((&before, &known), view, &who.user_ids().to_set(), &query);
            left.retain(|place| last.is_none_or(|last| *place < last));
            let rows: Vec<RowPosition> = page.rows.iter().map(|row| row.reference.position).collect();
            prop_assert_eq!(&rows, &left[..left.len().min(size as usize)]);
            prop_assert_eq!(page.next_page_token.is_some(), left.len() > rows.len());
            (last, token) = (rows.last().copied().or(last), page.next_page_token);
            if token.is_none() {
                break;
            }
            let more = &between[pages % between.len()];
            bench.lake.commit(rows_of(more), None);
            known.extend(more);
            pages += 1;
        }
    }

    /// The same of pages that whoever takes them ends early, for want of room, wherever that is.
    #[test]
    fn pages_that_end_early_never_skip_or_repeat(
        before in seeds(),
        query in queries(),
        sizes in prop::collection::vec((1u32..9, 1usize..9), 1..5),
    ) {
        let bench = bench(&before);
        let who = access("ann", &[1, 2]);
        let expected = expected((&before, &before), View::Audit, &who.user_ids().to_set(), &query);
        let (mut seen, mut token, mut pages) = (Vec::new(), None, 0);
        loop {
            let (page_size, room) = sizes[pages % sizes.len()];
            let asked = Query { page_size: Some(page_size), page_token: token, ..query.clone() };
            let mut page = block_on(bench.search.audit_trails(&who, &asked)).unwrap();
            page.end_after(room).unwrap();
            prop_assert!(page.rows.len() <= room.min(page_size as usize));
            seen.extend(page.rows.iter().map(|row| row.reference.position));
            token = page.next_page_token;
            if token.is_none() {
                break;
            }
            bench.lake.commit(rows_of(&[ROW]), None);
            pages += 1;
        }
        prop_assert_eq!(seen, expected);
    }

    /// The pages of a history, put together, are the history as it was at the first page, also where it grows meanwhile, and where
    /// whoever takes them ends them early.
    #[test]
    fn pages_of_a_history_never_skip_or_repeat(
        entries in 1usize..40,
        sizes in prop::collection::vec((prop::option::of(1u32..9), 1usize..9), 1..5),
        begins_in_a_search: bool,
    ) {
        let bench = bench(&[]);
        bench.lake.commit([with_history(entries)], None);
        let who = access("ann", &[1]);
        let whole = first_page(&bench, &who, &by_device(1)).0.rows.remove(0);
        prop_assert_eq!((whole.history_count, &whole.next_history_page_token), (entries, &None));
        let mut query = RowQuery::from(whole.reference);
        let mut seen = Vec::new();
        if begins_in_a_search {
            let mut page = block_on(bench.search.audit_trails(&who, &by_device(1))).unwrap();
            page.end_history_after(0, sizes[0].1).unwrap();
            let row = page.rows.remove(0);
            seen.extend(row.trail.history);
            query.history_page_token = row.next_history_page_token;
        }
        let mut turns = 0;
        // A search that shows the whole leaves nothing to get.
        while query.history_page_token.is_some() || (turns == 0 && !begins_in_a_search) {
            let (size, room) = sizes[turns % sizes.len()];
            query.history_page_size = size.and_then(NonZeroU32::new);
            let mut answer = block_on(bench.search.audit_trail(&who, &query)).unwrap();
            answer.end_history_after(room).unwrap();
            let row = answer.row;
            prop_assert!(!row.trail.history.is_empty() && row.trail.history.len() <= room);
            prop_assert!(size.is_none_or(|size| row.trail.history.len() <= size as usize));
            prop_assert_eq!(row.history_count, entries, "as it was at the first page");
            prop_assert_eq!(row.trail.current_status, whole.trail.current_status);
            seen.extend(row.trail.history);
            query.history_page_token = row.next_history_page_token;
            if query.history_page_token.is_some() {
                bench.lake.commit([with_history(entries + turns + 1)], None);
            }
            turns += 1;
        }
        prop_assert_eq!(seen, whole.trail.history);
    }

    #[test]
    fn an_altered_token_is_refused(at: prop::sample::Index, flip in 1u8..=255) {
        use base64::Engine as _;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let bench = bench(&ten_rows());
        let who = access("ann", &[1]);
        let (_, next) = first_page(&bench, &who, &Query { page_size: Some(2), ..by_device(1) });
        let mut bytes = URL_SAFE_NO_PAD.decode(next.page_token.as_ref().unwrap()).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        let altered = Query { page_token: Some(URL_SAFE_NO_PAD.encode(bytes)), ..next };
        let (field, _) = violation(block_on(bench.search.audit_trails(&who, &altered)));
        prop_assert_eq!(field, "page_token");
    }

    #[test]
    fn no_token_panics(text in "[A-Za-z0-9_-]{0,300}") {
        let bench = bench(&[ROW]);
        let query = Query { page_token: Some(text), ..by_device(1) };
        prop_assert!(block_on(bench.search.audit_trails(&access("ann", &[1]), &query)).is_err());
    }
}
