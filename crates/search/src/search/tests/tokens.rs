//! Page tokens: for whom, for what and for how long they hold.

use super::*;

#[test]
fn a_token_holds_for_an_hour_from_the_first_page() {
    let bench = bench(&ten_rows());
    let who = access("ann", &[1]);
    let query = Query { page_size: Some(2), ..by_device(1) };
    let (_, second) = first_page(&bench, &who, &query);
    bench.clock.advance(PAGE_TOKEN_LIFE_MS - 1);
    let (_, third) = first_page(&bench, &who, &second);
    bench.clock.advance(1);
    for late in [second, third] {
        let (field, rule) = violation(block_on(bench.search.audit_trails(&who, &late)));
        assert_eq!(field, "page_token");
        assert!(rule.contains("no longer valid"), "{rule}");
    }
}

#[test]
fn a_token_of_a_dropped_version_is_no_longer_valid() {
    let bench = bench(&ten_rows());
    let who = access("ann", &[1]);
    let (_, next) = first_page(&bench, &who, &Query { page_size: Some(2), ..by_device(1) });
    bench.lake.commit([], None);
    assert_eq!(
        block_on(bench.search.audit_trails(&who, &next)).unwrap().version,
        SnapshotVersion::of_trails(1)
    );
    bench.lake.forget_old_versions();
    let (field, rule) = violation(block_on(bench.search.audit_trails(&who, &next)));
    assert!(field == "page_token" && rule.contains("no longer valid"), "{rule}");
}

#[test]
fn a_token_is_for_one_caller_one_query_one_view_and_one_key() {
    let bench = bench(&ten_rows());
    let who = access("ann", &[1]);
    let (_, next) = first_page(&bench, &who, &Query { page_size: Some(2), ..by_device(1) });
    let other = access("bob", &[1]);
    let (field, foreign) = violation(block_on(bench.search.audit_trails(&other, &next)));
    assert_eq!(field, "page_token");
    let wider = Query { to: Some(start()), ..next.clone() };
    assert!(violation(block_on(bench.search.audit_trails(&who, &wider))).1.contains("another search"));
    assert!(violation(block_on(bench.search.meter_reads(&who, &next))).1.contains("another search"));
    let elsewhere = Search::new(bench.lake.clone(), bench.clock.clone(), PageKey::random().unwrap());
    assert_eq!(violation(block_on(elsewhere.audit_trails(&who, &next))).1, foreign);
    for text in ["", "A", "AQ", "not a token", &"A".repeat(5000)] {
        let bad = Query { page_token: Some(text.into()), ..by_device(1) };
        assert_eq!(violation(block_on(bench.search.audit_trails(&who, &bad))).1, foreign, "{text:.10}");
    }
}

#[test]
fn servers_with_one_page_key_take_each_others_tokens() {
    let lake = FakeLake::default();
    lake.commit(rows_of(&ten_rows()), None);
    let server = || {
        let key = PageKey::from_bytes(&[7; 32]).unwrap();
        Search::new(lake.clone(), Clock::manual(start()), key)
    };
    let who = access("ann", &[1]);
    let query = Query { page_size: Some(4), ..by_device(1) };
    let page = block_on(server().audit_trails(&who, &query)).unwrap();
    let next = Query { page_token: page.next_page_token, ..query };
    assert_eq!(block_on(server().audit_trails(&who, &next)).unwrap().rows.len(), 4);
}

#[test]
fn rights_on_a_page_are_those_of_the_token_and_of_now() {
    // Rows of both Users alternate in time, so that rows of both lie after any first page.
    let seeds: Vec<Seed> = (0..8)
        .flat_map(|counter| [1, 2].map(|user| Seed { user, counter, second: counter, ..ROW }))
        .collect();
    let bench = bench(&seeds);
    let query = Query { page_size: Some(1), ..by_device(1) };
    let owners = |who: &Access, next: &Query| -> BTreeSet<UserId> {
        let all = Query { page_size: Some(1000), ..next.clone() };
        let page = block_on(bench.search.audit_trails(who, &all)).unwrap();
        page.rows.iter().map(|row| row.trail.user_id).collect()
    };
    let (_, given_to_both) = first_page(&bench, &access("ann", &[1, 2]), &query);
    assert_eq!(owners(&access("ann", &[1]), &given_to_both), users(&[1]), "a right lost is lost at once");
    assert_eq!(owners(&access("ann", &[3]), &given_to_both), users(&[]));
    let (_, given_to_one) = first_page(&bench, &access("ann", &[1]), &query);
    assert_eq!(owners(&access("ann", &[1, 2]), &given_to_one), users(&[1]), "a right won needs a new search");
    let (_, narrowed) =
        first_page(&bench, &access("ann", &[1]), &Query { page_size: Some(1), ..given_to_both });
    assert_eq!(owners(&access("ann", &[1, 2]), &narrowed), users(&[1]), "and one lost stays lost");
}

#[test]
fn the_token_of_a_history_is_for_one_caller_one_row_one_view_and_one_hour_and_carries_no_right() {
    let bench = bench(&[]);
    bench.lake.commit([with_history(9), Seed { counter: 1, ..ROW }.fragment()], None);
    let who = access("ann", &[1]);
    let row = first_page(&bench, &who, &by_device(1)).0.rows.remove(1);
    let size = NonZeroU32::new(4);
    let first = RowQuery { history_page_size: size, ..row.reference.into() };
    let token = block_on(bench.search.audit_trail(&who, &first)).unwrap().row.next_history_page_token;
    let next = RowQuery { history_page_token: token, ..first };
    assert_eq!(block_on(bench.search.audit_trail(&who, &next)).unwrap().row.trail.history.len(), 4);
    let refused = |result: Result<Answer, SearchError>| match result {
        Err(SearchError::Invalid(violations)) => (violations[0].field, violations[0].rule.clone()),
        other => panic!("{other:?}"),
    };
    let (field, foreign) = refused(block_on(bench.search.audit_trail(&access("bob", &[1]), &next)));
    assert_eq!(field, "history_page_token");
    let lost = block_on(bench.search.audit_trail(&access("ann", &[2]), &next)).unwrap_err();
    assert_eq!(lost.kind(), SearchErrorKind::NotFound, "a right lost is lost at once");
    let other = first_page(&bench, &who, &by_device(1)).0.rows[0].reference;
    let of_other = RowQuery { reference: other, ..next.clone() };
    assert!(refused(block_on(bench.search.audit_trail(&who, &of_other))).1.contains("another row"));
    assert!(refused(block_on(bench.search.meter_read(&who, &next))).1.contains("another row"));
    // A token of the other kind is none.
    let page_token =
        first_page(&bench, &who, &Query { page_size: Some(1), ..by_device(1) }).0.next_page_token;
    let of_search = RowQuery { history_page_token: page_token, ..next.clone() };
    assert_eq!(refused(block_on(bench.search.audit_trail(&who, &of_search))).1, foreign);
    let of_row = Query { page_token: next.history_page_token.clone(), ..by_device(1) };
    assert_eq!(violation(block_on(bench.search.audit_trails(&who, &of_row))).1, foreign);
    bench.lake.commit([], None);
    bench.lake.forget_old_versions();
    assert!(refused(block_on(bench.search.audit_trail(&who, &next))).1.contains("no longer valid"));
    bench.clock.advance(PAGE_TOKEN_LIFE_MS);
    assert!(refused(block_on(bench.search.audit_trail(&who, &next))).1.contains("no longer valid"));
}
