//! One row a trail key, whatever batches claim of when its request was received: searches, page walks, `Get` and what is asked for as of
//! earlier, over a real lake, against the fold of all its events at once.
//!
//! A case is a Device: a few requests whose events claim receipt times from milliseconds to months apart, cut into batches anywhere.
//! Cases share a lake, a hundred each, so that many cost little. `GRIDTRAIL_ONE_ROW_CASES` says how many; a failing lake is
//! named by its seed, which `GRIDTRAIL_ONE_ROW_SEED` starts from.

use super::*;
use crate::query::SearchKey;
use gridtrail_access::{Bearer, DevKey, JobTypeRole, OrgId};
use gridtrail_lake::{AsOf, Batch, CompactionSettings, Lake, LakeSettings, VerifySettings, Writer};
use gridtrail_model::{
    Body, CommandVariant, Correlation, Event, Fold, Fragment, RequestId, RequestReceived, ResponseContent,
    ResponseId, ResponseSent, ServiceReferenceVariant, State, StatusChanged, TrailKey, UserId,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// Devices of a lake.
const CASES: usize = 100;
/// Cases of an everyday run.
const CASES_EVERY_DAY: usize = 200;

/// Numbers from a seed (SplitMix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % bound as u64).unwrap()
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    fn ms(&mut self, bound: i64) -> i64 {
        i64::try_from(self.below(usize::try_from(bound).unwrap())).unwrap()
    }
}

fn device(case: usize) -> DeviceId {
    DeviceId::from_bytes((0x00DB_0000_0000_0000 + case as u64).to_be_bytes())
}

/// The Device that some messages of a case name beside its own.
fn beside(case: usize) -> DeviceId {
    DeviceId::from_bytes((0x00DB_0000_0001_0000 + case as u64).to_be_bytes())
}

fn user(number: usize) -> UserId {
    UserId::from_bytes((0x90B3_0000_0000_0000 + number as u64).to_be_bytes())
}

/// Noon of the last day of a month, later than the clocks of those who run this: a table's first version has the time of the system.
fn base() -> Timestamp {
    "2101-03-31T12:00:00Z".parse().unwrap()
}

/// How far apart claims of one receipt lie.
fn apart(chance: &mut Chance) -> i64 {
    match chance.below(9) {
        0 => 0,
        1 => 1 + chance.ms(1_000),
        2 => chance.ms(HOUR_MS),
        3 => 11 * HOUR_MS + chance.ms(3 * HOUR_MS),
        4 => DAY_MS - 1 + chance.ms(3),
        5 => chance.ms(DAY_MS),
        6 => DAY_MS + chance.ms(2 * DAY_MS),
        7 => 20 * DAY_MS + chance.ms(30 * DAY_MS),
        _ => 500,
    }
}

/// The events of a case, and of each whether it names its request and no more, as DUIS answers do.
fn events_of(case: usize, chance: &mut Chance) -> Vec<(Event, bool)> {
    let mut events = Vec::new();
    // Now and then, requests of two legs each: they share all but their Command Variant.
    let legs = chance.of(&[1, 1, 2]);
    for number in 0..1 + chance.below(6) {
        let start = base().plus_millis(chance.ms(3 * DAY_MS) - DAY_MS);
        let mut claims = vec![start];
        for _ in 0..chance.below(4) {
            let distance = apart(chance);
            // One after the other, so that some go on from link to link.
            let next = claims[chance.below(claims.len())].plus_millis(distance);
            claims.push(next);
        }
        let request = number / legs;
        let id = RequestId {
            originator: user((case + request) % 3),
            target: device(case),
            counter: request as u64,
        };
        let leg = [1, 4][number % legs];
        let mut known = false;
        for step in 0..1 + chance.below(6) {
            let at = start.plus_millis(chance.ms(40 * DAY_MS));
            let kind = chance.below(4);
            // What waits for its request, or fits several legs, is no matter of receipt times.
            let is_bare = kind == 3 && known && legs == 1;
            known = true;
            let body = match kind {
                0 => Body::RequestReceived(RequestReceived::default()),
                1 => Body::StatusChanged(StatusChanged {
                    state: chance.of(&[State::SentToDevice, State::Cancelled]),
                    at,
                    code: None,
                    cause: None,
                }),
                _ => Body::ResponseSent(ResponseSent {
                    response_id: Some(ResponseId::mirror_of(&id)),
                    code: chance.of(&["I0", "E20"]).parse().unwrap(),
                    at,
                    content: ResponseContent::ServiceResponse,
                }),
            };
            let variant = chance.of(&["4.8.1", "4.8.1", "4.8.1", "4.8.2", "6.15.1", ""]);
            let correlation = Correlation {
                request_id: Some(id),
                request_received_at: (!is_bare).then(|| chance.of(&claims)),
                command_variant: CommandVariant::new(leg),
                device_id: Some(id.target),
                variant: variant.parse().ok().filter(|_| !is_bare),
                concerned_devices: Vec::from_iter((chance.below(3) == 0).then(|| beside(case))),
                ..Correlation::of_user(id.originator)
            };
            let id = format!("{case}-{number}-{step}").parse().unwrap();
            events.push((Event { id, recorded_at: at, correlation, body }, is_bare));
        }
    }
    events
}

/// What was committed of one key.
#[derive(Clone)]
struct ClaimedKey {
    whole: Fragment,
    /// Where its fragments can lie.
    places: BTreeSet<Timestamp>,
}

impl ClaimedKey {
    /// As how many rows it shows while no fragment has moved: as far as each lies within a day of the next it is one.
    fn chains(&self) -> usize {
        let places: Vec<_> = self.places.iter().map(|at| at.millis()).collect();
        1 + places.windows(2).filter(|pair| pair[1] - pair[0] > DAY_MS).count()
    }

    /// As how many rows it can show at most, whichever fragments have moved: what lay between two may be gone to the first, but two rows
    /// are always more than a day apart.
    fn most_rows(&self) -> usize {
        let (mut rows, mut last) = (0, i64::MIN);
        for at in self.places.iter().map(|at| at.millis()) {
            if rows == 0 || at - last > DAY_MS {
                (rows, last) = (rows + 1, at);
            }
        }
        rows
    }
}

/// A page walk that goes on while the lake changes.
struct Walk {
    query: Query,
    expected: Vec<Row>,
    found: Vec<Row>,
}

/// A lake, and what is known to be in it.
struct World {
    chance: Chance,
    clock: Clock,
    lake: Lake,
    writer: Writer,
    search: Search,
    key: DevKey,
    known: Vec<HashMap<TrailKey, ClaimedKey>>,
    walks: Vec<Walk>,
    /// What a Device showed at a version.
    remembered: Vec<(u64, usize, Vec<Row>)>,
    /// References that were given, and their Devices.
    given: Vec<(usize, TrailRef)>,
    /// Whether fragments may have moved.
    moved: bool,
    /// How many fragments came to lie beside others of their key.
    scattered: usize,
}

impl World {
    async fn new(seed: u64) -> Self {
        let clock = Clock::manual(base().plus_millis(90 * DAY_MS));
        let lake = Lake::open(LakeSettings::at("memory:///one-row"), clock.clone()).await.unwrap();
        let writer = lake.writer().await.unwrap();
        let search = Search::new(lake.clone(), clock.clone(), PageKey::random().unwrap());
        Self {
            chance: Chance(seed),
            clock,
            lake,
            writer,
            search,
            key: DevKey::generate().unwrap(),
            known: vec![HashMap::new(); CASES],
            walks: Vec::new(),
            remembered: Vec::new(),
            given: Vec::new(),
            moved: false,
            scattered: 0,
        }
    }

    fn access(&self, users: &[usize]) -> Access {
        let claims = Bearer {
            subject: "ann".to_owned(),
            party: "region".parse().unwrap(),
            org_id: OrgId::All,
            user_ids: users.iter().map(|number| user(*number)).collect(),
            roles: JobTypeRole::new(1).into_iter().collect(),
            valid_from: self.clock.now(),
            expires_at: self.clock.now().plus_millis(12 * HOUR_MS),
        };
        self.key.access(&claims).unwrap()
    }

    async fn commit(&mut self, number: usize, events: &[(usize, Event, bool)]) {
        self.clock.advance(10);
        let (mut fold, mut waiting, mut whole) = (Fold::default(), Fold::default(), Fold::default());
        for (_, event, is_bare) in events {
            whole.add(event.clone()).unwrap();
            if *is_bare {
                let mut bare = event.clone();
                bare.correlation.command_variant = None;
                waiting.add(bare).unwrap();
            } else {
                fold.add(event.clone()).unwrap();
            }
        }
        let fragments = fold.into_fragments();
        let case_of: HashMap<DeviceId, usize> =
            events.iter().map(|(case, ..)| (device(*case), *case)).collect();
        for fragment in &fragments {
            let (case, at) = (case_of[fragment.device.value().unwrap()], fragment.placement().unwrap());
            let known = self.known[case].entry(fragment.key).or_insert_with(|| ClaimedKey {
                whole: Fragment::new(fragment.key, fragment.recorded_at_max),
                places: BTreeSet::new(),
            });
            self.scattered += usize::from(!known.places.is_empty() && !known.places.contains(&at));
            known.places.insert(at);
        }
        for fragment in whole.into_fragments() {
            let case = case_of[fragment.device.value().unwrap()];
            self.known[case].get_mut(&fragment.key).unwrap().whole.merge(fragment);
        }
        let batch = Batch { fragments, parked: waiting.into_fragments(), ..Batch::default() };
        self.writer.commit(batch).await.unwrap_or_else(|error| panic!("batch {number}: {error}"));
    }

    /// Something that keeps the lake in order.
    async fn keep(&mut self) {
        let full = CompactionSettings { full: true, ..CompactionSettings::default() };
        self.clock.advance(10);
        let mut maintenance = self.lake.maintenance().await.unwrap();
        let kind = self.chance.below(8);
        self.moved |= !matches!(kind, 3 | 4);
        let usual = CompactionSettings::default();
        match kind {
            0 => {
                maintenance.compact(&full).await.unwrap();
            }
            1 => {
                maintenance.unite(&full).await.unwrap();
            }
            2 => {
                let buckets = [1, 3, 4][self.chance.below(3)];
                maintenance.rebucket(buckets, &full).await.unwrap();
            }
            3 | 4 => {
                maintenance.sweep().await.unwrap();
            }
            5 => {
                self.finish_walks().await;
                self.look_back().await;
                self.clock.advance(7 * HOUR_MS);
                maintenance.compact(&usual).await.unwrap();
            }
            _ => {
                maintenance.compact(&usual).await.unwrap();
            }
        }
    }

    async fn all(&self, users: &[usize], query: &Query) -> Vec<Row> {
        let query = Query { page_size: Some(1_000), ..query.clone() };
        self.search.audit_trails(&self.access(users), &query).await.unwrap().rows
    }

    /// Holds what a Device shows now against the fold, and what narrower questions give against it.
    async fn check(&mut self, case: usize) {
        let of_device = Query::of(SearchKey::Device(device(case)));
        let rows = self.all(&[0, 1], &of_device).await;
        let fragments = self.fragments(&[0, 1], case).await;
        assert!(rows.windows(2).all(|pair| pair[0].reference.position > pair[1].reference.position));
        let mut merged: BTreeMap<TrailKey, (usize, Fragment)> = BTreeMap::new();
        for found in fragments {
            assert_eq!(Some(found.placement), found.fragment.placement(), "a row lies at its smallest time");
            let (count, whole) = merged
                .entry(found.fragment.key)
                .or_insert_with(|| (0, Fragment::new(found.fragment.key, found.fragment.recorded_at_max)));
            *count += 1;
            whole.merge(found.fragment);
        }
        let known = self.known[case].iter().filter(|(key, _)| key.user != user(2));
        assert_eq!(merged.len(), known.clone().count(), "case {case}: {merged:#?}");
        for (key, known) in known {
            let (count, whole) = &merged[key];
            let most = if self.moved { known.most_rows() } else { known.chains() };
            assert!(*count <= most, "case {case}: {count} rows for {:?}, {key:?}", known.places);
            assert!(
                self.moved || *count == most,
                "case {case}: {count} rows for {:?}, {key:?}",
                known.places
            );
            assert_eq!(*whole, known.whole, "case {case}");
        }
        self.check_narrower(&of_device, &rows).await;
        self.check_beside(case, &rows).await;
        let walk = Query { page_size: Some(u32::try_from(1 + self.chance.below(4)).unwrap()), ..of_device };
        self.remembered.push((self.lake.snapshot().version().trails(), case, rows.clone()));
        self.given.extend(rows.iter().map(|row| (case, row.reference)));
        self.walks.push(Walk { query: walk, expected: rows, found: Vec::new() });
        self.step().await;
    }

    async fn fragments(&self, users: &[usize], case: usize) -> Vec<Found> {
        let query = KeyQuery::all(device(case), View::Audit, 1_000);
        self.lake.snapshot().lookup(&self.access(users), &query).await.unwrap()
    }

    async fn check_narrower(&mut self, of_device: &Query, rows: &[Row]) {
        let (a, b) = (self.chance.ms(8 * DAY_MS), self.chance.ms(8 * DAY_MS));
        let time = |ms: i64| Some(base().plus_millis(ms - 2 * DAY_MS));
        let (from, to) = (time(a.min(b)), time(a.max(b)));
        let within = |row: &&Row| {
            let at = row.reference.position.placement;
            from <= Some(at) && Some(at) <= to
        };
        let expected: Vec<Row> = rows.iter().filter(within).cloned().collect();
        assert_eq!(self.all(&[0, 1], &Query { from, to, ..of_device.clone() }).await, expected);
        let variants = vec!["4.8.2".parse().unwrap(), "6.15.1".parse().unwrap()];
        let asked = |row: &&Row| row.trail.variant.is_some_and(|variant| variants.contains(&variant));
        let expected: Vec<Row> = rows.iter().filter(within).filter(asked).cloned().collect();
        let query = Query { from, to, variants: variants.clone(), ..of_device.clone() };
        assert_eq!(self.all(&[0, 1], &query).await, expected);
        let case = match of_device.key {
            SearchKey::Device(device) => {
                usize::try_from(u64::from_be_bytes(device.to_bytes()) & 0xFFFF).unwrap()
            }
            _ => unreachable!("a search by Device"),
        };
        // Of another User's row whatever is known of its key has a say, also what lies too far away to be the same row by now.
        let open = |found: &Found| {
            let (variant, key) = (&found.fragment.variant, found.fragment.key);
            let known = &self.known[case][&key].whole.variant;
            let is_open = |v: &ServiceReferenceVariant| v.is_meter_read();
            variant.value().is_some()
                && variant.iter().all(is_open)
                && (key.user == user(0) || known.iter().all(is_open))
        };
        let everybody = self.fragments(&[0, 1, 2], case).await;
        let expected: Vec<RowPosition> =
            everybody.iter().filter(|found| open(found)).map(position_of).collect();
        let (who, query) = (self.access(&[0]), Query { page_size: Some(1_000), ..of_device.clone() });
        let reads = self.search.meter_reads(&who, &query);
        let reads: Vec<_> = reads.await.unwrap().rows.iter().map(|row| row.reference.position).collect();
        assert_eq!(reads, expected);
        for row in rows {
            let got = self.search.audit_trail(&self.access(&[0, 1]), &row.reference.into()).await.unwrap();
            assert_eq!(got.row, *row);
        }
    }

    /// Those rows that name another Device are found by that one, too, and where they lie under the Device of the case.
    async fn check_beside(&mut self, case: usize, rows: &[Row]) {
        let naming = |row: &&Row| row.trail.concerned_devices.first.contains(&beside(case));
        let expected: Vec<Row> = rows.iter().filter(naming).map(|row| row_beside(case, row)).collect();
        let of_beside = Query::of(SearchKey::Device(beside(case)));
        assert_eq!(self.all(&[0, 1], &of_beside).await, expected, "case {case}, by the other Device");
        let (a, b) = (self.chance.ms(8 * DAY_MS), self.chance.ms(8 * DAY_MS));
        let time = |ms: i64| Some(base().plus_millis(ms - 2 * DAY_MS));
        let (from, to) = (time(a.min(b)), time(a.max(b)));
        let within = |row: &&Row| {
            let at = Some(row.reference.position.placement);
            from <= at && at <= to
        };
        let narrower: Vec<Row> = expected.iter().filter(within).cloned().collect();
        let query = Query { from, to, ..of_beside.clone() };
        assert_eq!(self.all(&[0, 1], &query).await, narrower, "case {case}, {from:?} to {to:?}");
        let variants = vec!["4.8.2".parse().unwrap()];
        let asked = |row: &&Row| row.trail.variant == Some(variants[0]);
        let asked: Vec<Row> = expected.iter().filter(asked).cloned().collect();
        let query = Query { variants: variants.clone(), ..of_beside.clone() };
        assert_eq!(self.all(&[0, 1], &query).await, asked);
        for row in &expected {
            let got = self.search.audit_trail(&self.access(&[0, 1]), &row.reference.into()).await.unwrap();
            assert_eq!(got.row, *row);
        }
        let who = self.access(&[0]);
        let reads = async |query: Query| {
            let query = Query { page_size: Some(1_000), ..query };
            self.search.meter_reads(&who, &query).await.unwrap().rows
        };
        let open = reads(Query::of(SearchKey::Device(device(case)))).await;
        let named = open.iter().map(|row| row.reference.position).filter(|position| {
            // What others may see of a row says nothing of what else it names.
            rows.iter().filter(naming).any(|row| row.reference.position == *position)
        });
        let found = reads(of_beside.clone()).await;
        let found =
            found.iter().map(|row| row.reference.position).filter(|position| position.key.user != user(2));
        assert_eq!(found.collect::<Vec<_>>(), named.collect::<Vec<_>>());
        let walk = Query { page_size: Some(u32::try_from(1 + self.chance.below(3)).unwrap()), ..of_beside };
        self.walks.push(Walk { query: walk, expected, found: Vec::new() });
    }

    /// Each walk goes on by a page.
    async fn step(&mut self) {
        let who = self.access(&[0, 1]);
        for mut walk in std::mem::take(&mut self.walks) {
            let page = self.search.audit_trails(&who, &walk.query).await.unwrap();
            walk.found.extend(page.rows);
            walk.query.page_size = Some(u32::try_from(1 + self.chance.below(5)).unwrap());
            walk.query.page_token = page.next_page_token;
            match walk.query.page_token {
                Some(_) => self.walks.push(walk),
                None => assert_eq!(walk.found, walk.expected, "pages of one search"),
            }
        }
    }

    /// A page token holds for an hour.
    async fn finish_walks(&mut self) {
        while !self.walks.is_empty() {
            self.step().await;
        }
    }

    /// What is asked for as of earlier is as it was then. Before the clock moves on: it can be asked for a day.
    async fn look_back(&mut self) {
        for (version, case, rows) in std::mem::take(&mut self.remembered) {
            let query =
                Query { as_of: Some(AsOf::Version(version)), ..Query::of(SearchKey::Device(device(case))) };
            assert_eq!(self.all(&[0, 1], &query).await, rows, "as of version {version}");
        }
    }

    /// References lead to their rows, wherever those moved.
    async fn follow_references(&self) {
        let who = self.access(&[0, 1]);
        for (case, reference) in &self.given {
            let got = self.search.audit_trail(&who, &(*reference).into()).await.unwrap().row;
            let known = &self.known[*case][&reference.position.key];
            assert_eq!(got.trail, Trail::from(&known.whole));
        }
    }

    /// Once all is kept in order each key is one row, and what verification counts is nothing.
    async fn end(&mut self) {
        self.finish_walks().await;
        let full = CompactionSettings { full: true, ..CompactionSettings::default() };
        let mut maintenance = self.lake.maintenance().await.unwrap();
        maintenance.sweep().await.unwrap();
        maintenance.compact(&full).await.unwrap();
        for known in self.known.iter_mut().flat_map(|of| of.values_mut()) {
            known.places = known.whole.placement().into_iter().collect();
        }
        for case in 0..CASES {
            self.check(case).await;
        }
        self.finish_walks().await;
        self.look_back().await;
        self.follow_references().await;
        let verified = self.lake.verify(&VerifySettings::default()).await.unwrap();
        assert!(verified.is_clean(), "{:#?}", verified.damages);
        assert_eq!(verified.rows_at_several_times, 0);
    }
}

/// A row of a case as the other Device finds it.
fn row_beside(case: usize, row: &Row) -> Row {
    let TrailRef { anchor, position, .. } = row.reference;
    let matched = Some(beside(case));
    Row { reference: TrailRef::new(anchor, matched, position), matched_device: matched, ..row.clone() }
}

async fn one_lake(seed: u64) -> usize {
    let mut world = World::new(seed).await;
    // Of each case in order, so that what answers comes after what it answers; of all cases mixed.
    let mut cases: Vec<Vec<(Event, bool)>> = Vec::new();
    for case in 0..CASES {
        let mut events = events_of(case, &mut world.chance);
        events.reverse();
        cases.push(events);
    }
    let mut batches = 0;
    while cases.iter().any(|events| !events.is_empty()) {
        let mut batch = Vec::new();
        for _ in 0..1 + world.chance.below(200) {
            let case = world.chance.below(CASES);
            batch.extend(cases[case].pop().map(|(event, is_bare)| (case, event, is_bare)));
        }
        world.commit(batches, &batch).await;
        batches += 1;
        if world.chance.below(3) == 0 {
            world.keep().await;
        }
        for _ in 0..2 {
            let case = world.chance.below(CASES);
            world.check(case).await;
        }
    }
    assert!(world.scattered > 0, "nothing to join");
    world.end().await;
    world.scattered
}

#[test]
fn one_key_is_one_row_whatever_batches_claim() {
    let number = |name: &str, or: usize| {
        std::env::var_os(name).map_or(or, |value| value.to_str().and_then(|text| text.parse().ok()).unwrap())
    };
    let cases = number("GRIDTRAIL_ONE_ROW_CASES", CASES_EVERY_DAY);
    let seed = number("GRIDTRAIL_ONE_ROW_SEED", 1) as u64;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut scattered = 0;
    for seed in seed..seed + cases.div_ceil(CASES) as u64 {
        eprintln!("seed {seed}");
        scattered += runtime.block_on(one_lake(seed));
    }
    println!("{cases} cases of one key at several times: {scattered} fragments beside others, one row a key");
}
