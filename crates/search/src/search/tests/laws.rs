//! Pages put together are what one look gives, whatever happens between them.

use super::*;
use gridtrail_model::Named;
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

/// What the inventory is told: that a Device is at a meter point or Associated with another, and that a meter point has a UPRN, from a
/// second on, until another at most.
fn told() -> impl Strategy<Value = Vec<Told>> {
    let what = prop_oneof![
        (0u8..4, 0..MPXNS.len()).prop_map(|(device, mpxn)| What::At(device, mpxn)),
        (0u8..4, 0u8..4).prop_map(|(one, other)| What::With(one, other)),
        (0..MPXNS.len(), 0..UPRNS.len()).prop_map(|(mpxn, uprn)| What::Uprn(mpxn, uprn)),
    ];
    let fact = (what, -1i64..5, prop::option::of(1i64..4));
    prop::collection::vec(
        fact.prop_map(|(what, from, seconds)| Told { what, from, until: seconds.map(|s| from + s) }),
        0..9,
    )
}

fn queries() -> impl Strategy<Value = Query> {
    let key = prop_oneof![
        (0u8..4).prop_map(|number| SearchKey::Device(device(number))),
        (0..MPXNS.len()).prop_map(|mpxn| SearchKey::Mpxn(MPXNS[mpxn].parse().unwrap())),
        (0..UPRNS.len()).prop_map(|uprn| SearchKey::Uprn(UPRNS[uprn].parse().unwrap())),
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

/// Whether something of a kind is so at a time. What is told of one thing ends what was told of it before.
fn holds(told: &[Told], at: Timestamp, is_meant: impl Fn(What) -> bool) -> bool {
    told.iter().enumerate().any(|(number, fact)| {
        let ends = told.iter().enumerate().any(|(other, next)| {
            next.what.is_of_the_field_of(fact.what)
                && (fact.from, number) < (next.from, other)
                && second(next.from) <= at
        });
        let until = fact.until.is_none_or(|until| at < second(until));
        is_meant(fact.what) && second(fact.from) <= at && until && !ends
    })
}

/// Whether a meter point leads to a row, of which it is known where its Device is or was, or with which it was seen.
fn is_led_by(
    mpxn: Mpxn,
    told: &[Told],
    seen: &BTreeSet<(Mpxn, DeviceId)>,
    (of, row, at): (DeviceId, &Fragment, Timestamp),
) -> bool {
    let is_at = |number: u8| {
        holds(
            told,
            at,
            |what| matches!(what, What::At(its, point) if its == number && MPXNS[point].parse::<Mpxn>().unwrap() == mpxn),
        )
    };
    let number = (0u8..4).find(|number| device(*number) == of).unwrap();
    let by_another = holds(told, at, |what| match what {
        What::With(one, other) => one == number && is_at(other) || other == number && is_at(one),
        _ => false,
    });
    let is_placed = told.iter().any(|fact| match fact.what {
        What::At(its, _) => its == number,
        What::With(one, other) => one == number || other == number,
        What::Uprn(..) => false,
    });
    is_at(number) || by_another || row.names(Named::Mpxn(mpxn)) || !is_placed && seen.contains(&(mpxn, of))
}

/// What a search must give, the slow and obvious way: every row is looked at, once. `known` are all that is there by now.
fn expected(
    (seeds, known, told): (&[Seed], &[Seed], &[Told]),
    view: View,
    mine: &BTreeSet<UserId>,
    query: &Query,
) -> Vec<RowPosition> {
    let fragments = rows_of(seeds);
    let says_otherwise = |row: &Fragment| row.variant.iter().any(|claim| !claim.is_meter_read());
    let closed: BTreeSet<TrailKey> =
        rows_of(known).into_iter().filter(says_otherwise).map(|row| row.key).collect();
    let seen: BTreeSet<(Mpxn, DeviceId)> = fragments
        .iter()
        .flat_map(|row| row.mpxn.iter().map(|mpxn| (*mpxn, *row.device.value().unwrap())))
        .collect();
    let counts = |device: DeviceId, row: &Fragment, at: Timestamp| match query.key {
        SearchKey::Device(asked) => device == asked,
        SearchKey::Mpxn(mpxn) => is_led_by(mpxn, told, &seen, (device, row, at)),
        SearchKey::Uprn(_) => MPXNS.iter().enumerate().any(|(number, mpxn)| {
            let has_it = |uprn: usize| SearchKey::Uprn(UPRNS[uprn].parse().unwrap()) == query.key;
            holds(told, at, |what| matches!(what, What::Uprn(of, uprn) if of == number && has_it(uprn)))
                && is_led_by(mpxn.parse().unwrap(), told, &seen, (device, row, at))
        }),
        SearchKey::User(_) => false,
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
            counts(*device, row, position.placement)
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
        told in told(),
        between in prop::collection::vec(seeds(), 1..4),
        query in queries(),
        sizes in prop::collection::vec(1u32..7, 1..5),
        meter_reads: bool,
    ) {
        let view = if meter_reads { View::MeterReads } else { View::Audit };
        let bench = bench(&[]);
        bench.lake.commit_told(rows_of(&before), events_of(&told), Some(start()));
        let who = access("ann", &[1, 2]);
        let (mut known, mut last, mut token, mut pages) = (before.clone(), None, None, 0);
        loop {
            let size = sizes[pages % sizes.len()];
            let asked = Query { page_size: Some(size), page_token: token, ..query.clone() };
            let page = block_on(bench.search.page(view, &who, &asked)).unwrap();
            prop_assert_eq!(page.version, SnapshotVersion::of_trails(2));
            // What was there at first, and may be seen by what is known now.
            let mut left = expected((&before, &known, &told), view, &who.user_ids().to_set(), &query);
            left.retain(|place| last.is_none_or(|last| *place < last));
            let rows: Vec<RowPosition> = page.rows.iter().map(|row| row.reference.position).collect();
            prop_assert_eq!(&rows, &left[..left.len().min(size as usize)]);
            prop_assert_eq!(page.next_page_token.is_some(), left.len() > rows.len());
            (last, token) = (rows.last().copied().or(last), page.next_page_token);
            if token.is_none() {
                break;
            }
            let more = &between[pages % between.len()];
            // What is told later is not of the version.
            bench.lake.commit_told(rows_of(more), events_of(&[Told { what: What::At(1, 0), from: 0, until: Some(2) }]), None);
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
        let expected = expected((&before, &before, &[]), View::Audit, &who.user_ids().to_set(), &query);
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
