use super::*;
use crate::SearchErrorKind;
use crate::fake::{FakeLake, Fault};
use crate::limits::{PAGE_TOKEN_LIFE_MS, PAGE_WEIGHT_MAX};
use crate::query::SearchKey;
use gridtrail_access::{Bearer, DevKey, JobTypeRole, OrgId};
use gridtrail_model::{
    CommandVariant, Fragment, HistoryEntry, Leg, Mpxn, RequestId, ServiceReferenceVariant, State, Subject,
    TrailKey, UserId,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::LazyLock;

static KEY: LazyLock<DevKey> = LazyLock::new(|| DevKey::generate().unwrap());

const MPXNS: [&str; 2] = ["1217290354420", "000123"];
const VARIANTS: [Option<&str>; 5] = [Some("4.8.1"), Some("4.17"), Some("4.8"), Some("11.2"), None];

fn start() -> Timestamp {
    "2026-03-01T00:00:00Z".parse().unwrap()
}

fn device(number: u8) -> DeviceId {
    DeviceId::from_bytes([0x90, 0xB3, 0xD5, 0x1F, 0x30, 0, 0, number])
}

fn user(number: u8) -> UserId {
    UserId::from_bytes([0x88, 0x73, 0x84, 0x57, 0, 0, 0, number])
}

fn users(numbers: &[u8]) -> BTreeSet<UserId> {
    numbers.iter().copied().map(user).collect()
}

fn access_with(subject: &str, user_ids: &[u8], role: u8, now: Timestamp) -> Access {
    let claims = Bearer {
        subject: subject.into(),
        party: "Avon".parse().unwrap(),
        org_id: OrgId::All,
        user_ids: users(user_ids),
        roles: BTreeSet::from([JobTypeRole::new(role).unwrap()]),
        valid_from: now,
        expires_at: now.plus_millis(12 * 3_600_000),
    };
    KEY.access(&claims).unwrap()
}

fn access(subject: &str, user_ids: &[u8]) -> Access {
    access_with(subject, user_ids, 1, start())
}

/// One small row; few values, so that rows tie on everything but their key.
#[derive(Debug, Clone, Copy)]
struct Seed {
    device: u8,
    user: u8,
    second: u8,
    counter: u8,
    variant: usize,
    mpxn: Option<usize>,
}

impl Seed {
    fn placement(self) -> Timestamp {
        start().plus_millis(i64::from(self.second) * 1000)
    }

    fn variant(self) -> Option<ServiceReferenceVariant> {
        VARIANTS[self.variant].map(|text| text.parse().unwrap())
    }

    fn fragment(self) -> Fragment {
        let request_id = RequestId {
            originator: user(self.user),
            target: device(self.device),
            counter: self.counter.into(),
        };
        let command_variant = CommandVariant::new(1).unwrap();
        let subject = Subject::Leg(Leg { request_id, command_variant });
        let key = TrailKey { user: user(self.user), subject };
        let mut fragment = Fragment::new(key, self.placement());
        fragment.device.add(device(self.device));
        fragment.received.add(self.placement());
        fragment.variant.add_some(self.variant());
        fragment.mpxn.add_some(self.mpxn.map(|mpxn| MPXNS[mpxn].parse().unwrap()));
        fragment
    }
}

const ROW: Seed = Seed { device: 1, user: 1, second: 0, counter: 0, variant: 0, mpxn: None };

fn rows_of(seeds: &[Seed]) -> Vec<Fragment> {
    seeds.iter().map(|seed| seed.fragment()).collect()
}

/// A search over a fake lake with a clock of its own.
struct Bench {
    lake: FakeLake,
    clock: Clock,
    search: Search,
}

fn bench(seeds: &[Seed]) -> Bench {
    let lake = FakeLake::default();
    lake.commit(rows_of(seeds), Some(start()));
    let clock = Clock::manual(start());
    let search = Search::new(lake.clone(), clock.clone(), PageKey::random().unwrap());
    Bench { lake, clock, search }
}

fn ten_rows() -> Vec<Seed> {
    (0..10).map(|counter| Seed { counter, second: counter / 3, ..ROW }).collect()
}

fn by_device(number: u8) -> Query {
    Query::of(SearchKey::Device(device(number)))
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    futures::executor::block_on(future)
}

fn violation(result: Result<Page, SearchError>) -> (&'static str, String) {
    match result {
        Err(SearchError::Invalid(violations)) if violations.len() == 1 => {
            (violations[0].field, violations[0].rule.clone())
        }
        other => panic!("expected one violation, got {other:?}"),
    }
}

fn first_page(bench: &Bench, who: &Access, query: &Query) -> (Page, Query) {
    let page = block_on(bench.search.audit_trails(who, query)).unwrap();
    let next = Query { page_token: page.next_page_token.clone(), ..query.clone() };
    (page, next)
}

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
fn audit_shows_own_rows_and_meter_reads_show_all_of_four_variants() {
    let seeds: Vec<Seed> = (0..3)
        .flat_map(|user| (0..VARIANTS.len()).map(move |variant| Seed { user, variant, counter: 0, ..ROW }))
        .map(|seed| Seed { counter: u8::try_from(seed.variant).unwrap(), ..seed })
        .collect();
    let bench = bench(&seeds);
    let who = access("ann", &[1, 9]);
    let own = block_on(bench.search.audit_trails(&who, &by_device(1))).unwrap();
    assert_eq!(own.rows.len(), VARIANTS.len());
    assert!(own.rows.iter().all(|row| row.trail.user_id == user(1)));
    let reads = block_on(bench.search.meter_reads(&who, &by_device(1))).unwrap();
    assert_eq!(reads.rows.len(), 3 * 2, "two of the variants are meter reads; 4.8 is none");
    assert!(reads.rows.iter().all(|row| row.trail.variant.unwrap().is_meter_read()));
}

#[test]
fn a_role_without_the_component_is_denied_and_an_ended_access_must_log_in() {
    let bench = bench(&[ROW]);
    let eleventh = access_with("ann", &[1], 11, start());
    for result in [
        block_on(bench.search.audit_trails(&eleventh, &by_device(1))),
        block_on(bench.search.meter_reads(&eleventh, &by_device(1))),
    ] {
        assert_eq!(result.unwrap_err().kind(), SearchErrorKind::Denied);
    }
    let who = access("ann", &[1]);
    let reference = first_page(&bench, &who, &by_device(1)).0.rows[0].reference;
    let denied = block_on(bench.search.audit_trail(&eleventh, &reference.into())).unwrap_err();
    assert_eq!(denied.kind(), SearchErrorKind::Denied);
    bench.clock.advance(12 * 3_600_000);
    let ended = block_on(bench.search.audit_trails(&who, &by_device(1))).unwrap_err();
    assert_eq!(ended.kind(), SearchErrorKind::NoIdentity);
}

#[test]
fn a_uprn_waits_for_the_inventory() {
    let uprn = Query::of(SearchKey::Uprn("100012345".parse().unwrap()));
    let error = block_on(bench(&[]).search.audit_trails(&access("ann", &[1]), &uprn)).unwrap_err();
    assert_eq!(error.kind(), SearchErrorKind::Precondition);
    assert!(error.user_text().to_string().contains("Smart Metering Inventory"));
}

#[test]
fn a_row_is_got_by_its_reference_and_anothers_row_looks_like_none() {
    let bench = bench(&[ROW, Seed { user: 2, variant: 3, ..ROW }]);
    let (ann, bob) = (access("ann", &[1]), access("bob", &[2]));
    let row = first_page(&bench, &ann, &by_device(1)).0.rows.remove(0);
    let answer = block_on(bench.search.audit_trail(&ann, &row.reference.into())).unwrap();
    assert_eq!(answer.row, row);
    assert_eq!((answer.complete_up_to, answer.version), (Some(start()), SnapshotVersion::of_trails(1)));

    let absent = TrailRef { anchor: Anchor::Device(device(7)), matched: Some(device(7)), ..row.reference };
    let bobs = first_page(&bench, &bob, &by_device(1)).0.rows[0].reference;
    let errors = [
        block_on(bench.search.audit_trail(&bob, &row.reference.into())).unwrap_err(),
        block_on(bench.search.audit_trail(&bob, &absent.into())).unwrap_err(),
        block_on(bench.search.meter_read(&bob, &bobs.into())).unwrap_err(),
    ];
    for error in &errors {
        assert_eq!(error.kind(), SearchErrorKind::NotFound);
        assert_eq!(format!("{error:?} {error} {}", error.user_text()), {
            let same = &SearchError::NotFound;
            format!("{same:?} {same} {}", same.user_text())
        });
    }
    assert!(block_on(bench.search.meter_read(&bob, &row.reference.into())).is_ok(), "4.8.1 is open to all");
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

/// A row that was tried again and again.
fn with_history(entries: usize) -> Fragment {
    history_of(ROW, entries)
}

fn history_of(seed: Seed, entries: usize) -> Fragment {
    let mut fragment = seed.fragment();
    for number in 0..entries {
        let at = start().plus_millis(i64::try_from(number).unwrap());
        assert!(fragment.record(HistoryEntry::new(State::Retrying, at)));
    }
    fragment
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

#[test]
fn what_lies_beneath_an_error_is_not_told() {
    let bench = bench(&[ROW]);
    let who = access("ann", &[1]);
    for (kind, expected) in [
        (LakeErrorKind::Unavailable, SearchErrorKind::Unavailable),
        (LakeErrorKind::VersionGone, SearchErrorKind::Unavailable),
        (LakeErrorKind::Corrupt, SearchErrorKind::Corrupt),
        (LakeErrorKind::Internal, SearchErrorKind::Internal),
        (LakeErrorKind::Denied, SearchErrorKind::Internal),
    ] {
        bench.lake.set_fault(Some(Fault::Kind(kind)));
        let error = block_on(bench.search.audit_trails(&who, &by_device(1))).unwrap_err();
        assert_eq!(error.kind(), expected);
        assert!(!error.user_text().to_string().contains("secret"));
        let store = std::error::Error::source(&error).and_then(std::error::Error::source);
        let source = store.and_then(std::error::Error::source).unwrap_or_else(|| store.unwrap());
        assert!(source.to_string().contains("secret"), "the log still has it: {source}");
    }
}

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
