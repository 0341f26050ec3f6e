use super::*;
use crate::{Chain, Entry, Gone};
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

/// An audit a day later, when nothing may have been let go.
fn audit(rows: &[Row], counted: &BTreeMap<Uuid, u64>) -> Findings {
    let now = time(24 * 3_600);
    let counted = counted.clone();
    audit_on(rows, Grounds { now, kept_from: now.months_ago(13), counted, gone: BTreeMap::new() })
}

fn audit_on(rows: &[Row], grounds: Grounds) -> Findings {
    let mut witnesses = Witnesses::default();
    rows.iter().for_each(|row| witnesses.take(row));
    let mut audit = Audit::new(witnesses, grounds);
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

/// What retention does, and what the table then counts: rows before a time go, and a chain of its own says so.
fn trimmed(rows: &[Row], before: Timestamp, now: Timestamp) -> (Vec<Row>, Grounds) {
    let (went, mut left): (Vec<Row>, Vec<Row>) = rows.iter().cloned().partition(|row| row.entry.at < before);
    let mut last: BTreeMap<Uuid, &Row> = BTreeMap::new();
    last.extend(went.iter().map(|row| (row.chain, row)));
    let heads: Vec<Head> = last.values().copied().map(Head::of).collect();
    let gone = last.iter().map(|(chain, row)| (*chain, row.seq)).collect();
    let said = Trimmed {
        before: before.to_string(),
        rows: went.len() as u64,
        hash: Head::hash_of_all(heads.iter()),
        chains: last.into_values().filter(|row| row.kind != RowKind::End).map(Head::of).collect(),
        gone: Gone::of(&gone),
    };
    let (mut chain, first) = Chain::start(now, &started(&[]));
    left.extend([first, chain.trim(now, &said), chain.end(now)]);
    let mut all = counted(rows);
    all.extend(counted(&left));
    (left, Grounds { now, kept_from: now.months_ago(13), counted: all, gone })
}

const LATER: i64 = 500 * 24 * 3_600;

#[test]
fn what_retention_let_go_is_not_missed_and_everything_else_is() {
    let rows = chains(&[3, 0, 9]);
    let (first, second, last) = (rows[0].chain, rows[5].chain, rows[12].chain);
    // The first and the second chain go as a whole, the third loses its first rows.
    let (left, grounds) = trimmed(&rows, time(2_004), time(LATER));
    let found = audit_on(&left, grounds.clone());
    assert_eq!((found.faults, found.trimmed_before, found.gone), (vec![], Some(time(2_004)), 12));
    assert!(left.iter().all(|row| row.chain != first && row.chain != second));
    let without =
        |gone: &dyn Fn(&Row) -> bool| -> Vec<Row> { left.iter().filter(|row| !gone(row)).cloned().collect() };
    let found = audit_on(&without(&|row| row.chain == last && row.seq == 6), grounds.clone()).faults;
    assert!(matches!(found[..], [Fault::NoStart(_, 7)] | [Fault::Missing(_, 6, 6)]), "{found:?}");
    let found = audit_on(&without(&|row| row.chain == last), grounds.clone()).faults;
    assert!(matches!(found[..], [Fault::Missing(of, _, 9)] if of == last), "{found:?}");
    // Nor may the row go that says so.
    let by = left.last().unwrap().chain;
    let found = audit_on(&without(&|row| row.chain == by), grounds).faults;
    assert!(
        found.contains(&Fault::Missing(by, 0, 2)) && found.contains(&Fault::Missing(first, 0, 4)),
        "{found:?}"
    );
}

/// A row may say what it likes, also of when it was written.
#[test]
fn a_forged_trimming_does_not_hide_rows() {
    let rows = chains(&[3, 0, 9]);
    let first = rows[0].chain;
    let all_missing = |found: &Findings| {
        let missing =
            |chain| found.faults.iter().any(|f| matches!(f, Fault::Missing(of, 0, _) if *of == chain));
        rows.iter().all(|row| missing(row.chain))
    };
    // All rows are gone but those of the chain that says that they were old enough, in 2031.
    let end_of_all = time(10_000);
    for (written, judged) in
        [(time(LATER), time(20_000)), (time(LATER), time(LATER / 2)), (time(20_000), time(20_000))]
    {
        let (left, grounds) = trimmed(&rows, end_of_all, written);
        let found = audit_on(&left, Grounds { now: judged, kept_from: judged.months_ago(13), ..grounds });
        let by = left[0].chain;
        assert!(all_missing(&found) && found.faults.contains(&Fault::TooSoon(by, 1)), "{found:?}");
        assert_eq!(found.faults.contains(&Fault::Future(by, 0)), written > judged, "{found:?}");
        assert_eq!((found.trimmed_before, found.gone), (None, 0));
    }
    // Four months ago is no time to be let go where thirteen are kept, whatever the row says.
    let now = time(120 * 24 * 3_600);
    let (left, grounds) = trimmed(&rows, end_of_all, now);
    assert!(all_missing(&audit_on(&left, grounds.clone())));
    let kept_from = now.months_ago(3);
    assert_eq!(audit_on(&left, Grounds { kept_from, ..grounds }).faults, [], "but where three are");
    // Old rows, and with them those of a chain that lives on: no table counted that they went.
    let (left, grounds) = trimmed(&rows, time(1_500), time(LATER));
    let last = rows[12].chain;
    let cut: Vec<Row> = left.iter().filter(|row| row.chain != last).cloned().collect();
    let found = audit_on(&cut, grounds).faults;
    assert_eq!(found, [Fault::Missing(last, 0, 10 - 1)]);
    assert_ne!(first, last);
}

/// The table can be made to count that rows went; what other chains saw of them cannot.
#[test]
fn marks_of_rows_that_went_are_held_against_the_trimming_and_against_other_chains() {
    let rows = chains(&[3, 2_000, 9]);
    let (long, last) = (rows[5].chain, rows.last().unwrap().chain);
    let (left, grounds) = trimmed(&rows, time(1_500), time(LATER));
    assert_eq!(audit_on(&left, grounds.clone()).faults, []);
    // The second chain lived on behind that time, and the third saw its end.
    let cut: Vec<Row> = left.iter().filter(|row| row.chain != long).cloned().collect();
    let mut more = grounds.clone();
    let end = more.counted[&long];
    more.gone.insert(long, end);
    let found = audit_on(&cut, more.clone()).faults;
    assert!(found.contains(&Fault::Missing(long, 0, end)), "{found:?}");
    assert!(found.iter().any(|fault| matches!(fault, Fault::Unanchored(_, 1))), "{found:?}");
    // Also where the row that says so counts them.
    let (mut chain, first) = Chain::start(time(LATER), &started(&[]));
    let (before, gone) = (time(1_500).to_string(), Gone::of(&more.gone));
    let forged = Trimmed { before, rows: 2_000, hash: String::new(), chains: Vec::new(), gone };
    let cut = [&cut[..], &[first, chain.trim(time(LATER), &forged), chain.end(time(LATER))]].concat();
    more.counted.extend(counted(&cut));
    let found = audit_on(&cut, more.clone()).faults;
    assert_eq!(found, [Fault::Missing(long, 0, end)]);
    // And where a chain began behind that time.
    let cut: Vec<Row> = left.iter().filter(|row| row.chain != last).cloned().collect();
    let mut more = grounds;
    let end = more.counted[&last];
    more.gone.insert(last, end);
    assert!(audit_on(&cut, more).faults.contains(&Fault::Missing(last, 0, end)));
}

/// A clock may be wrong by five minutes, and no more.
#[test]
fn rows_from_the_future_are_damage_told_once_a_chain() {
    let rows = chains(&[3, 2]);
    let last = rows.last().unwrap();
    let at = |now: Timestamp| {
        let (counted, gone) = (counted(&rows), BTreeMap::new());
        audit_on(&rows, Grounds { now, kept_from: now.months_ago(13), counted, gone }).faults
    };
    assert_eq!(at(last.entry.at.plus_millis(-SKEW_MS)), []);
    assert_eq!(at(last.entry.at.plus_millis(-SKEW_MS - 1)), [Fault::Future(last.chain, last.seq)]);
    let both = [Fault::Future(rows[0].chain, 0), Fault::Future(last.chain, 0)];
    assert_eq!(at(time(-1_000)), both);
}
