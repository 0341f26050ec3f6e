use super::*;
use crate::{Chain, Entry};
use proptest::prelude::*;

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_770_000_000_000 + seconds * 1_000).unwrap()
}

fn started(heads: &[Head]) -> Started {
    Started { by: "test".into(), version: "0".into(), heads: heads.to_vec() }
}

/// An entry in which every field has a value.
fn entry(n: u64) -> Entry {
    let text = |name: &str| Some(format!("{name}{n}"));
    Entry {
        at: time(n.cast_signed()),
        call: "AuditTrailService.Search".into(),
        outcome: "OK".into(),
        reason: Some("NONE".into()),
        times: 1,
        subject: text("subject"),
        party: text("party"),
        session: text("session"),
        roles: text("role"),
        key_kind: Some("mpxn".into()),
        key: text("key"),
        variants: text("variant"),
        from: Some(time(1)),
        to: Some(time(2)),
        rows: Some(n),
        rows_of_others: Some(0),
        version: text("version"),
        page_size: Some(50),
        later_page: Some(false),
        peer: text("peer"),
        took_us: Some(7),
        detail: text("detail"),
    }
}

/// Chains of so many calls each, the last of which is open; each start saw the chains before it as they were then.
fn chains(calls: &[u64]) -> Vec<Row> {
    let (mut rows, mut heads) = (Vec::new(), Vec::new());
    for (number, count) in calls.iter().enumerate() {
        let begin = time(i64::try_from(number).unwrap() * 1_000);
        let (mut chain, first) = Chain::start(begin, &started(&heads));
        rows.push(first);
        rows.extend((0..*count).map(|n| {
            let at = begin.plus_millis(n.cast_signed() * 1_000);
            chain.add(Entry { at, ..entry(n) })
        }));
        if number + 1 < calls.len() {
            rows.push(chain.end(begin.plus_millis(900_000)));
        }
        heads.extend(rows.last().map(Head::of));
    }
    rows
}

fn counted(rows: &[Row]) -> BTreeMap<Uuid, u64> {
    rows.iter().map(|row| (row.chain, row.seq)).collect()
}

fn audit(rows: &[Row], counted: &BTreeMap<Uuid, u64>) -> Findings {
    let mut witnesses = Witnesses::default();
    rows.iter().for_each(|row| witnesses.take(row));
    let mut audit = Audit::new(witnesses, counted.clone());
    let mut sorted = rows.to_vec();
    sorted.sort_by_key(|row| (row.entry.at, row.chain, row.seq));
    sorted.iter().for_each(|row| audit.take(row));
    audit.end()
}

fn change(text: &mut Option<String>) {
    text.get_or_insert_default().push('x');
}

/// Changes one field of a row; the number says which.
fn change_field(row: &mut Row, which: usize) {
    let Row { kind, entry: e, hash, .. } = row;
    match which {
        0 => *kind = if *kind == RowKind::Call { RowKind::End } else { RowKind::Call },
        1 => e.at = e.at.plus_millis(1),
        2 => e.call.to_mut().push('x'),
        3 => e.outcome.to_mut().push('x'),
        4 => e.reason = if e.reason.is_some() { None } else { Some("".into()) },
        5 => e.times += 1,
        6 => change(&mut e.subject),
        7 => change(&mut e.party),
        8 => change(&mut e.session),
        9 => change(&mut e.roles),
        10 => e.key_kind = if e.key_kind.is_some() { None } else { Some("uprn".into()) },
        11 => change(&mut e.key),
        12 => change(&mut e.variants),
        13 => e.from = if e.from.is_some() { None } else { Some(time(0)) },
        14 => e.to = if e.to.is_some() { None } else { Some(time(0)) },
        15 => e.rows = Some(e.rows.map_or(0, |rows| rows + 1)),
        16 => e.rows_of_others = Some(e.rows_of_others.map_or(0, |rows| rows + 1)),
        17 => change(&mut e.version),
        18 => e.page_size = if e.page_size.is_some() { None } else { Some(0) },
        19 => e.later_page = if e.later_page.is_some() { None } else { Some(false) },
        20 => change(&mut e.peer),
        21 => e.took_us = if e.took_us.is_some() { None } else { Some(0) },
        22 => change(&mut e.detail),
        _ => hash[which % 32] ^= 1,
    }
}

#[test]
fn what_was_written_is_clean_and_an_open_chain_is_told() {
    let rows = chains(&[3, 0, 5]);
    let found = audit(&rows, &counted(&rows));
    assert_eq!(found.faults, []);
    let last = rows.last().unwrap();
    let open = ChainEnd { chain: last.chain, seq: 5, at: last.entry.at };
    assert_eq!((found.chains, found.rows, found.open), (3, 13, vec![open]));
}

proptest! {
    #[test]
    fn one_changed_field_is_found_in_its_row(at in 0usize..13, which in 0usize..60) {
        let mut rows = chains(&[3, 0, 5]);
        let counted = counted(&rows);
        change_field(&mut rows[at], which);
        let found = audit(&rows, &counted).faults;
        let (chain, seq) = (rows[at].chain, rows[at].seq);
        prop_assert!(found.iter().any(|fault| (fault.chain(), fault.seq()) == (chain, seq)), "{found:?}");
        prop_assert!(found.iter().all(|fault| fault.chain() == chain), "nothing is said of others: {found:?}");
    }

    #[test]
    fn a_changed_row_with_a_hash_that_fits_is_found_by_the_one_behind_it(at in 0usize..12, which in 1usize..23) {
        let mut rows = chains(&[3, 0, 5]);
        let counted = counted(&rows);
        prop_assume!(rows[at].kind != RowKind::Start);
        change_field(&mut rows[at], which);
        rows[at].hash = rows[at].hash_after(&rows[at - 1].hash);
        let found = audit(&rows, &counted).faults;
        let (chain, seq) = (rows[at].chain, rows[at].seq);
        // Behind the end of a chain stands none; but the next chain saw it.
        let by_next = Fault::Changed(chain, seq + 1);
        prop_assert!(found.iter().any(|f| *f == by_next || *f == Fault::Another(chain, seq)), "{found:?}");
    }

    #[test]
    fn any_rows_that_are_removed_are_found(gone in prop::collection::btree_set(0usize..13, 1..13)) {
        let rows = chains(&[3, 0, 5]);
        let left: Vec<Row> =
            rows.iter().enumerate().filter(|(at, _)| !gone.contains(at)).map(|(_, row)| row.clone()).collect();
        let found = audit(&left, &counted(&rows)).faults;
        for at in gone {
            let (chain, seq) = (rows[at].chain, rows[at].seq);
            let named = |fault: &Fault| match *fault {
                Fault::Missing(of, first, last) => of == chain && (first..=last).contains(&seq),
                Fault::NoStart(of, first) => of == chain && seq < first,
                _ => false,
            };
            prop_assert!(found.iter().any(named), "row {seq} of {chain}: {found:?}");
        }
    }

    #[test]
    fn a_row_that_is_there_twice_is_found(at in 0usize..13, as_it_is: bool) {
        let mut rows = chains(&[3, 0, 5]);
        let counted = counted(&rows);
        let mut again = rows[at].clone();
        if !as_it_is {
            change_field(&mut again, 6);
        }
        rows.push(again);
        let found = audit(&rows, &counted).faults;
        prop_assert!(found.contains(&Fault::Twice(rows[at].chain, rows[at].seq)), "{found:?}");
    }

    #[test]
    fn two_rows_that_change_places_are_found(a in 0usize..13, b in 0usize..13) {
        let mut rows = chains(&[3, 0, 5]);
        let counted = counted(&rows);
        prop_assume!(a != b);
        let places = [a, b].map(|at| (rows[at].chain, rows[at].seq));
        rows.swap(a, b);
        for (at, (chain, seq)) in [a, b].into_iter().zip(places) {
            (rows[at].chain, rows[at].seq) = (chain, seq);
        }
        let found = audit(&rows, &counted).faults;
        for (chain, _) in places {
            prop_assert!(found.iter().any(|fault| fault.chain() == chain), "{found:?}");
        }
    }
}

#[test]
fn a_chain_that_later_ones_saw_is_missed_even_if_the_table_counted_it_never() {
    let rows = chains(&[3, 2, 1]);
    let first = rows[0].chain;
    let rest: Vec<Row> = rows.iter().filter(|row| row.chain != first).cloned().collect();
    assert_eq!(audit(&rest, &counted(&rest)).faults, [Fault::Missing(first, 0, 4)]);
    // Its last rows: it looks like that of a process that was killed.
    let cut: Vec<Row> = rows.iter().filter(|row| row.chain != first || row.seq < 3).cloned().collect();
    let found = audit(&cut, &counted(&cut));
    assert_eq!((found.faults, found.open.len()), (vec![Fault::Missing(first, 3, 4)], 2));
}

#[test]
fn rows_behind_an_end_and_ends_that_do_not_add_up_are_found() {
    let (mut chain, first) = Chain::start(time(0), &started(&[]));
    let rows = [first, chain.add(entry(1))];
    let head = *chain.head();
    let end = chain.end(time(2));
    let mut early = end.clone();
    early.entry.detail = Some(r#"{"rows":1}"#.into());
    early.hash = early.hash_after(&head.hash);
    let all = [&rows[..], &[early]].concat();
    assert_eq!(audit(&all, &counted(&all)).faults, [Fault::Count(end.chain, 2)]);
    let more = Row::after(&end.hash, end.chain, 3, RowKind::Call, entry(3));
    let all = [&rows[..], &[end, more]].concat();
    assert_eq!(audit(&all, &counted(&all)).faults, [Fault::Misplaced(head.chain, 3)]);
    assert_eq!(audit(&all, &counted(&all[..2])).faults.len(), 2, "and the table counted fewer");
}

/// What retention does: rows before a time go, and a chain of its own says so.
fn trimmed(rows: &[Row], before: Timestamp, now: Timestamp) -> Vec<Row> {
    let (went, mut left): (Vec<Row>, Vec<Row>) = rows.iter().cloned().partition(|row| row.entry.at < before);
    let mut last: BTreeMap<Uuid, &Row> = BTreeMap::new();
    last.extend(went.iter().map(|row| (row.chain, row)));
    let chains = last.into_values().filter(|row| row.kind != RowKind::End).map(Head::of).collect();
    let said = Trimmed { before: before.to_string(), rows: went.len() as u64, chains };
    let (mut chain, first) = Chain::start(now, &started(&[]));
    left.extend([first, chain.trim(now, &said), chain.end(now)]);
    left
}

#[test]
fn what_retention_let_go_is_not_missed_and_everything_else_is() {
    let rows = chains(&[3, 0, 9]);
    let (first, second, last) = (rows[0].chain, rows[5].chain, rows[12].chain);
    let now = time(400 * 24 * 3_600);
    // The first and the second chain go as a whole, the third loses its first rows.
    let left = trimmed(&rows, time(2_004), now);
    let counts = |more: &[Row]| {
        let mut counts = counted(&rows);
        counts.extend(counted(more));
        counts
    };
    let found = audit(&left, &counts(&left));
    assert_eq!((found.faults, found.trimmed_before), (vec![], Some(time(2_004))));
    assert!(left.iter().all(|row| row.chain != first && row.chain != second));
    let behind: Vec<Row> = left.iter().filter(|row| row.chain != last || row.seq != 6).cloned().collect();
    let found = audit(&behind, &counts(&left)).faults;
    assert!(matches!(found[..], [Fault::NoStart(_, 7)] | [Fault::Missing(_, 6, 6)]), "{found:?}");
    let none: Vec<Row> = left.iter().filter(|row| row.chain != last).cloned().collect();
    let found = audit(&none, &counts(&left)).faults;
    assert!(matches!(found[..], [Fault::Missing(of, _, 9)] if of == last), "{found:?}");
    // Nobody may say so of what was not old enough.
    let soon = trimmed(&rows, time(2_004), time(3_000));
    let found = audit(&soon, &counts(&soon)).faults;
    assert!(found.iter().any(|fault| matches!(fault, Fault::TooSoon(_, 1))), "{found:?}");
    assert!(found.iter().any(|fault| matches!(fault, Fault::Missing(of, 0, 4) if *of == first)), "{found:?}");
}
