//! Searches by UPRN and MPxN over the inventory of a region in a real lake, against the generator's truth: around every exchange, re-association
//! and registration nothing too many and nothing too few, for those who may see it.
//!
//! `GRIDTRAIL_PREMISES` says how many households.

use super::*;
use crate::query::SearchKey;
use gridtrail_access::{Bearer, DevKey, JobTypeRole, OrgId};
use gridtrail_faults::RecordingStore;
use gridtrail_lake::{Batch, CompactionSettings, Lake, LakeSettings};
use gridtrail_model::{CommandVariant, Fragment, Leg, Mpxn, RequestId, Subject, TrailKey, Uprn, UserId};
use gridtrail_synth::{ExpectedFact, ExpectedState, Settings, World};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use std::collections::{BTreeMap, BTreeSet};

/// Households on an everyday run: enough that a house of flats is among them, which share a UPRN.
const HOUSEHOLDS: u32 = 36;

fn user(number: u64) -> UserId {
    UserId::from_bytes((0x90B3_0000_0000_0000 + number).to_be_bytes())
}

/// Later than the clocks of those who run this: a table's first version has the time of the system.
fn now() -> Timestamp {
    "2101-03-15T12:00:00Z".parse().unwrap()
}

/// One row: a request of somebody to a Device, which may name a meter point.
#[derive(Debug, Clone, Copy)]
struct Request {
    number: u64,
    device: DeviceId,
    at: Timestamp,
    names: Option<Mpxn>,
}

impl Request {
    fn user(self) -> UserId {
        user(self.number % 3)
    }

    fn is_read(self) -> bool {
        self.number.is_multiple_of(2)
    }

    fn position(self) -> RowPosition {
        let request_id = RequestId { originator: self.user(), target: self.device, counter: self.number };
        let subject = Subject::Leg(Leg { request_id, command_variant: CommandVariant::new(1).unwrap() });
        RowPosition { placement: self.at, key: TrailKey { user: self.user(), subject } }
    }

    fn fragment(self) -> Fragment {
        let mut fragment = Fragment::new(self.position().key, self.at);
        fragment.device.add(self.device);
        fragment.received.add(self.at);
        fragment.variant.add_some((if self.is_read() { "4.8.1" } else { "6.15.1" }).parse().ok());
        fragment.mpxn.add_some(self.names);
        fragment
    }
}

/// What is so, as the generator says.
#[derive(Default)]
struct Truth(Vec<ExpectedFact>);

impl Truth {
    fn holds(&self, at: Timestamp, what: impl Fn(ExpectedState) -> bool) -> bool {
        self.0.iter().any(|fact| fact.is_so(at) && what(fact.what))
    }

    fn is_at(&self, device: DeviceId, mpxn: Mpxn, at: Timestamp) -> bool {
        self.holds(at, |what| what == ExpectedState::Installed(device, mpxn))
    }

    /// Whether a Device is one of a meter point's: installed there, or Associated with one that is.
    fn leads(&self, mpxn: Mpxn, device: DeviceId, at: Timestamp) -> bool {
        let by_another = |what| match what {
            ExpectedState::Associated(one, other) if one == device => self.is_at(other, mpxn, at),
            ExpectedState::Associated(other, one) if one == device => self.is_at(other, mpxn, at),
            _ => false,
        };
        self.is_at(device, mpxn, at) || self.holds(at, by_another)
    }

    /// The meter points of a key at a time.
    fn points(&self, key: SearchKey, at: Timestamp) -> BTreeSet<Mpxn> {
        match key {
            SearchKey::Mpxn(mpxn) => BTreeSet::from([mpxn]),
            SearchKey::Uprn(uprn) => {
                let all = self.0.iter().filter_map(|fact| match fact.what {
                    ExpectedState::Uprn(mpxn, its) if its == uprn => Some(mpxn),
                    _ => None,
                });
                all.filter(|mpxn| self.holds(at, |what| what == ExpectedState::Uprn(*mpxn, uprn))).collect()
            }
            SearchKey::Device(_) | SearchKey::User(_) => BTreeSet::new(),
        }
    }
}

/// A lake of which nothing is in memory.
async fn lake(store: Arc<dyn ObjectStore>) -> Lake {
    let settings = LakeSettings { store: Some(store), ..LakeSettings::at("memory:///premises") };
    Lake::open(settings, Clock::manual(now())).await.unwrap()
}

/// A few households in a lake, and what must be found of them.
struct Region {
    truth: Truth,
    requests: Vec<Request>,
    keys: Vec<SearchKey>,
    search: Search,
    key: DevKey,
}

/// Around each time at which something changes in a household, requests to each of its Devices.
fn requests_of(truth: &[ExpectedFact], others: Mpxn, requests: &mut Vec<Request>) {
    let (mut devices, mut times, mut mpxns) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for fact in truth {
        match fact.what {
            ExpectedState::Installed(device, mpxn) => {
                devices.insert(device);
                mpxns.insert(mpxn);
            }
            ExpectedState::Associated(one, other) => devices.extend([one, other]),
            ExpectedState::Uprn(..) => {}
            _ => continue,
        }
        let around = |at: Timestamp| [at.plus_millis(-1), at];
        times.extend(around(fact.from).into_iter().chain(fact.until.into_iter().flat_map(around)));
    }
    let mpxns: Vec<Mpxn> = mpxns.into_iter().collect();
    for device in devices {
        for at in &times {
            let number = requests.len() as u64;
            let names = match number % 11 {
                0 => mpxns.first().copied(),
                5 => mpxns.last().copied(),
                // A firmware update that lists a neighbour's.
                7 => Some(others),
                _ => None,
            };
            requests.push(Request { number, device, at: *at, names });
        }
    }
}

impl Region {
    async fn new(households: u32) -> Self {
        Self::over(Arc::new(InMemory::new()), households).await
    }

    async fn over(store: Arc<dyn ObjectStore>, households: u32) -> Self {
        let world = World::seeded(5, Settings::for_events(1_000_000, 10)).unwrap();
        let lake = lake(store).await;
        let mut writer = lake.writer().await.unwrap();
        let (mut truth, mut requests, mut keys) = (Truth::default(), Vec::new(), BTreeMap::new());
        for number in 0..households {
            let told = world.inventory_of(number);
            let neighbour = world.inventory_of((number + 1) % households).truth;
            let mpxn_of = |facts: &[ExpectedFact]| {
                facts.iter().find_map(|fact| match fact.what {
                    ExpectedState::Installed(_, mpxn) => Some(mpxn),
                    _ => None,
                })
            };
            let first = requests.len();
            requests_of(&told.truth, mpxn_of(&neighbour).unwrap(), &mut requests);
            for fact in &told.truth {
                match fact.what {
                    ExpectedState::Installed(_, mpxn) => keys.insert(mpxn.to_string(), SearchKey::Mpxn(mpxn)),
                    ExpectedState::Uprn(_, uprn) => keys.insert(uprn.to_string(), SearchKey::Uprn(uprn)),
                    _ => None,
                };
            }
            let fragments = requests[first..].iter().map(|request| request.fragment()).collect();
            truth.0.extend(told.truth);
            writer.commit(Batch { fragments, inventory: told.events, ..Batch::default() }).await.unwrap();
        }
        let full = CompactionSettings { full: true, ..CompactionSettings::default() };
        lake.maintenance().await.unwrap().compact(&full).await.unwrap();
        let search = Search::new(lake, Clock::manual(now()), PageKey::random().unwrap());
        let keys = keys.into_values().collect();
        Self { truth, requests, keys, search, key: DevKey::generate().unwrap() }
    }

    fn access(&self, users: &[u64]) -> Access {
        let claims = Bearer {
            subject: "ann".to_owned(),
            party: "region".parse().unwrap(),
            org_id: OrgId::All,
            user_ids: users.iter().copied().map(user).collect(),
            roles: JobTypeRole::new(1).into_iter().collect(),
            valid_from: now(),
            expires_at: now().plus_millis(3_600_000),
        };
        self.key.access(&claims).unwrap()
    }

    /// The rows of all pages.
    async fn rows(&self, view: View, who: &Access, query: &Query) -> Vec<Row> {
        let (mut rows, mut query) = (Vec::new(), Query { page_size: Some(400), ..query.clone() });
        loop {
            let page = self.search.page(view, who, &query).await.unwrap();
            rows.extend(page.rows);
            query.page_token = page.next_page_token;
            if query.page_token.is_none() {
                return rows;
            }
        }
    }

    /// Whether a row counts: its messages name a meter point of the key, or its Device is one of those.
    fn counts(&self, key: SearchKey, request: Request) -> bool {
        let is_of =
            |mpxn: Mpxn| request.names == Some(mpxn) || self.truth.leads(mpxn, request.device, request.at);
        self.truth.points(key, request.at).into_iter().any(is_of)
    }

    /// Asks, and holds the answer against the truth. How many rows there were.
    async fn check(&self, view: View, users: &[u64], query: &Query) -> usize {
        let sees = |request: &&Request| match view {
            View::Audit => users.iter().any(|number| user(*number) == request.user()),
            View::MeterReads => request.is_read(),
        };
        let within = |request: &&Request| {
            query.from.is_none_or(|from| from <= request.at) && query.to.is_none_or(|to| request.at <= to)
        };
        let counted = self.requests.iter().filter(sees).filter(within);
        let expected: BTreeSet<RowPosition> = counted
            .filter(|request| self.counts(query.key, **request))
            .map(|request| request.position())
            .collect();
        let rows = self.rows(view, &self.access(users), query).await;
        let found: BTreeSet<RowPosition> = rows.iter().map(|row| row.reference.position).collect();
        assert_eq!(found.len(), rows.len(), "each once");
        let few: Vec<_> = expected.difference(&found).take(2).collect();
        let many: Vec<_> = found.difference(&expected).take(2).collect();
        assert!(few.is_empty() && many.is_empty(), "{query:?}: too few {few:#?}, too many {many:#?}");
        for row in &rows {
            let (device, at) = (row.matched_device.unwrap(), row.reference.placement());
            let led = self.truth.points(query.key, at).into_iter().any(|it| self.truth.leads(it, device, at));
            let by_inventory = matches!(
                row.resolution,
                DeviceResolution::ByInventory | DeviceResolution::ByInventoryAndSeenPairs
            );
            assert_eq!(by_inventory, led, "{row:?}");
        }
        rows.len()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_is_found_by_uprn_and_mpxn_as_its_truth_says() {
    let asked = std::env::var_os("GRIDTRAIL_PREMISES").and_then(|count| count.to_str()?.parse().ok());
    let region = Region::new(asked.unwrap_or(HOUSEHOLDS)).await;
    let (mut rows, mut exchanges) = (0, 0);
    for key in &region.keys {
        let whole = Query::of(*key);
        rows += region.check(View::Audit, &[0, 1], &whole).await;
        rows += region.check(View::Audit, &[2], &whole).await;
        rows += region.check(View::MeterReads, &[0], &whole).await;
        // The days of each meter that was exchanged, and those since; and the instants of both changes.
        let SearchKey::Mpxn(mpxn) = *key else { continue };
        let ends = region.truth.0.iter().filter_map(|fact| match fact.what {
            ExpectedState::Installed(_, at) if at == mpxn => fact.until,
            _ => None,
        });
        for end in ends {
            exchanges += 1;
            let before = end.plus_millis(-1);
            for (from, to) in [
                (None, Some(before)),
                (Some(end), None),
                (Some(before), Some(before)),
                (Some(end), Some(end)),
            ] {
                let query = Query { from, to, ..whole.clone() };
                rows += region.check(View::Audit, &[0, 1], &query).await;
                rows += region.check(View::MeterReads, &[2], &query).await;
            }
        }
    }
    let uprns = region.keys.iter().filter(|key| matches!(key, SearchKey::Uprn(_))).count();
    assert!(exchanges > 1 && uprns > 10 && rows > 1_000, "{exchanges} exchanges, {uprns} UPRNs, {rows} rows");
    println!(
        "{} keys, {exchanges} exchanges, {} requests, {rows} rows",
        region.keys.len(),
        region.requests.len()
    );
}

/// How often the store is waited for, one request after the other, until it is known where rows are looked for: five times at most by MPxN, of which
/// seen pairs alone take three, and by UPRN eight times, however many Devices and files there are; with everything in memory never.
#[tokio::test(flavor = "multi_thread")]
async fn a_search_through_the_inventory_keeps_to_its_budget() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let region = Region::over(Arc::clone(&store), 12).await;
    let who = region.access(&[0, 1]);
    let (mut of_mpxn, mut of_uprn) = (0, 0);
    for key in &region.keys {
        let (recorder, recording) = RecordingStore::new(Arc::clone(&store));
        let snapshot = lake(Arc::new(recorder)).await.snapshot();
        let query = Checked::of(View::Audit, &Query::of(*key)).unwrap();
        recording.reset();
        let resolved = resolution::resolve(&*snapshot, &who, &query).await.unwrap();
        assert!(resolved.sought.len() > 1 && resolved.cost.pages > 0, "{resolved:?}");
        let most = if matches!(key, SearchKey::Uprn(_)) { &mut of_uprn } else { &mut of_mpxn };
        *most = recording.rounds().max(*most);
        recording.reset();
        let again = resolution::resolve(&*snapshot, &who, &query).await.unwrap();
        assert_eq!((again.sought, recording.requests()), (resolved.sought, 0), "all is in memory");
    }
    println!("{of_mpxn} rounds by MPxN, {of_uprn} by UPRN");
    assert!(of_mpxn <= 5 && of_uprn <= 8, "{of_mpxn} rounds by MPxN, {of_uprn} by UPRN");
}

/// By a UPRN that no registration names there is nothing to look under, and the answer says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_uprn_that_nothing_is_registered_with_gives_an_empty_answer_that_says_so() {
    let region = Region::new(1).await;
    let unknown: Uprn = "999999999999".parse().unwrap();
    let query = Query::of(SearchKey::Uprn(unknown));
    let page = region.search.audit_trails(&region.access(&[0]), &query).await.unwrap();
    assert_eq!((page.rows.len(), page.resolution), (0, DeviceResolution::NoMeterPoint));
    assert_eq!(page.next_page_token, None);
}
