//! The inventory of a region in a lake: found by every key, whatever the batches, and after compaction, repeats and a new start; as it was at any version.

use crate::it::compaction::{FLUSH, HOUR, faulty, settle, some_of};
use crate::it::faults::setting;
use crate::it::world::*;
use gridtrail_access::{Access, Bearer, DevKey, OrgId};
use gridtrail_faults::Fault;
use gridtrail_inventory::{
    AskedChange, AskedFact, InventoryEvent, InventoryFact, InventoryFragment, InventoryKey, InventoryView,
    OutcomeOf, PendingFacts, PendingPart, Period, RequestOutcome, merge_rows, rows_of,
};
use gridtrail_lake::{
    Batch, CompactionSettings, Evidence, Lake, LakeError, LakeSettings, Snapshot, SnapshotVersion,
    VerifySettings,
};
use gridtrail_model::*;
use gridtrail_runtime::Clock;
use gridtrail_synth::{ExpectedFact, ExpectedState, Settings, World};
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Columns of the table: a look-up reads a page of each.
const COLUMNS: u64 = 9;

/// Households of which the inventory is told.
fn households() -> u32 {
    u32::try_from(setting("GRIDTRAIL_INVENTORY_HOUSEHOLDS", 150)).unwrap()
}

fn world() -> World {
    World::seeded(5, Settings::for_events(1_000_000, 10)).unwrap()
}

/// A region, and what must be known of it but types, which are no spans.
fn told() -> (Vec<InventoryEvent>, BTreeSet<ExpectedFact>) {
    let (world, mut events, mut truth) = (world(), Vec::new(), BTreeSet::new());
    for number in 0..households() {
        let household = world.inventory_of(number);
        events.extend(household.events);
        let of_types = |fact: &ExpectedFact| matches!(fact.what, ExpectedState::Type(..));
        truth.extend(household.truth.into_iter().filter(|fact| !of_types(fact)));
    }
    // In the order of nobody.
    events.sort_by_key(|event| event.id.as_str().bytes().rev().collect::<Vec<_>>());
    (events, truth)
}

fn spans<T: Copy>(
    found: &mut BTreeSet<ExpectedFact>,
    periods: &[Period<T>],
    what: impl Fn(T) -> ExpectedState,
) {
    let of = |period: &Period<T>| ExpectedFact {
        what: what(period.value),
        from: period.from,
        until: period.until,
    };
    found.extend(periods.iter().map(of));
}

/// Everything that is known of a Device or meter point, as spans of effective time.
fn known(about: Named, view: &InventoryView<'_>) -> BTreeSet<ExpectedFact> {
    use ExpectedState::{Associated, Installed, Network, Postcode, Region, Status, Supplier, Uprn};
    let mut found = BTreeSet::new();
    match about {
        Named::Device(device) => {
            spans(&mut found, view.smi_statuses().periods(), |status| Status(device, status));
            spans(&mut found, view.regions().periods(), |region| Region(device, region));
            for (mpxn, when) in view.installations() {
                spans(&mut found, when.periods(), |()| Installed(device, mpxn));
            }
            for (with, when) in view.associated_with() {
                spans(&mut found, when.periods(), |()| Associated(device, with));
            }
            for (other, when) in view.associated() {
                spans(&mut found, when.periods(), |()| Associated(other, device));
            }
        }
        Named::Mpxn(mpxn) => {
            spans(&mut found, view.registered(|data| data.uprn).periods(), |uprn| Uprn(mpxn, uprn));
            spans(&mut found, view.registered(|data| data.postcode).periods(), |code| Postcode(mpxn, code));
            let suppliers = view.registered(|data| data.responsible_supplier);
            spans(&mut found, suppliers.periods(), |user| Supplier(mpxn, user));
            let networks = view.registered(|data| data.network_party);
            spans(&mut found, networks.periods(), |user| Network(mpxn, user));
            for (device, when) in view.devices() {
                spans(&mut found, when.periods(), |()| Installed(device, mpxn));
            }
        }
    }
    found
}

fn named(events: &[InventoryEvent]) -> Vec<Named> {
    let all: BTreeSet<Named> = events.iter().flat_map(InventoryEvent::about).collect();
    all.into_iter().collect()
}

/// All that a lake knows of some events' Devices and meter points.
async fn found(snapshot: &Snapshot, events: &[InventoryEvent]) -> BTreeSet<ExpectedFact> {
    let (who, mut all) = (access(&[1]), BTreeSet::new());
    for some in named(events).chunks(64) {
        let (fragments, _) = snapshot.inventory(&who, some).await.unwrap();
        assert_eq!(fragments.len(), some.len());
        for (about, fragment) in some.iter().zip(&fragments) {
            assert_eq!(fragment.about(), *about);
            all.extend(known(*about, &fragment.known()));
        }
    }
    all
}

/// The meter points of each UPRN and postcode, as they are known now or were ever.
async fn by_property(snapshot: &Snapshot, truth: &BTreeSet<ExpectedFact>) -> BTreeSet<ExpectedFact> {
    let keys = truth.iter().filter_map(|fact| match fact.what {
        ExpectedState::Uprn(_, uprn) => Some(InventoryKey::Uprn(uprn)),
        ExpectedState::Postcode(_, postcode) => Some(InventoryKey::Postcode(postcode)),
        _ => None,
    });
    let (who, mut all) = (access(&[1]), BTreeSet::new());
    for key in keys.collect::<BTreeSet<_>>() {
        let (mpxns, _) = snapshot.meter_points(&who, key).await.unwrap();
        let about: Vec<Named> = mpxns.into_iter().map(Named::Mpxn).collect();
        let (fragments, _) = snapshot.inventory(&who, &about).await.unwrap();
        for (about, fragment) in about.iter().zip(&fragments) {
            all.extend(known(*about, &fragment.known()).into_iter().filter(|fact| match fact.what {
                ExpectedState::Uprn(_, uprn) => InventoryKey::Uprn(uprn) == key,
                ExpectedState::Postcode(_, postcode) => InventoryKey::Postcode(postcode) == key,
                _ => false,
            }));
        }
    }
    all
}

async fn check(lake: &Lake, events: &[InventoryEvent], truth: &BTreeSet<ExpectedFact>, when: &str) {
    let snapshot = lake.snapshot();
    let found = found(&snapshot, events).await;
    let few: Vec<_> = truth.difference(&found).take(3).collect();
    let many: Vec<_> = found.difference(truth).take(3).collect();
    assert!(few.is_empty() && many.is_empty(), "{when}: too few: {few:#?}\ntoo many: {many:#?}");
    let of_property =
        |fact: &&ExpectedFact| matches!(fact.what, ExpectedState::Uprn(..) | ExpectedState::Postcode(..));
    let expected: BTreeSet<ExpectedFact> = truth.iter().filter(of_property).copied().collect();
    assert_eq!(by_property(&snapshot, truth).await, expected, "{when}: by UPRN and postcode");
    let verified = lake.verify(&VerifySettings::default()).await.unwrap();
    assert_eq!(verified.damages, [], "{when}");
}

async fn tell(lake: &Lake, n: i64, events: &[InventoryEvent]) {
    let mut source = source("inventory", n, n + 1);
    source.finished = false;
    let batch = Batch { inventory: events.to_vec(), sources: vec![source], ..Batch::default() };
    lake.writer().await.unwrap().commit(batch).await.unwrap();
}

async fn over(store: &Arc<InMemory>, clock: &Clock) -> Lake {
    let store: Arc<dyn ObjectStore> = store.clone();
    let settings = LakeSettings { store: Some(store), ..LakeSettings::at("memory:///inventory") };
    Lake::open(settings, clock.clone()).await.unwrap()
}

/// Requests about a few Devices, and what became of them: five in ten succeed, two fail, and of the others nothing is heard.
fn asked(requests: u8) -> (Vec<PendingPart>, Vec<PendingPart>) {
    let (mut asked, mut outcomes) = (Vec::new(), Vec::new());
    for n in 0..requests {
        let (id, time) = (request_id(1, n % 4, n.into()), at(i64::from(n) * 1_000));
        let status = InventoryFact::SmiStatus { device: id.target, status: Some(SmiStatus::Whitelisted) };
        let joined =
            InventoryFact::Association { device: id.target, with: device(n % 4 + 10), associated: true };
        let fact = |(fact, outcome)| AskedFact { outcome, from: None, fact };
        asked.push(PendingPart::Asked(AskedChange {
            request_id: id,
            variant: "8.11".parse().unwrap(),
            non_device: true,
            recorded_at: time,
            event_id: format!("request-{n}").parse().unwrap(),
            facts: [(status, OutcomeOf::Response), (joined, OutcomeOf::HanDeviceLog)].map(fact).into(),
        }));
        let outcome = |of, code: &str, ms| {
            PendingPart::Outcome(RequestOutcome {
                request_id: id,
                variant: None,
                of,
                code: code.parse().unwrap(),
                at: time.plus_millis(ms),
                recorded_at: time.plus_millis(ms),
                event_id: format!("answer-{n}-{ms}").parse().unwrap(),
            })
        };
        match n % 10 {
            0..=4 => outcomes.extend(
                [(OutcomeOf::Response, 100), (OutcomeOf::HanDeviceLog, 200)]
                    .map(|(of, ms)| outcome(of, "I0", ms)),
            ),
            5 | 6 => outcomes.push(outcome(OutcomeOf::Response, "E081101", 100)),
            _ => {}
        }
    }
    (asked, outcomes)
}

/// What is known of the Devices of requests, once the outcomes are there.
fn came_about(parts: &[&PendingPart], about: Named) -> InventoryFragment {
    let mut requests: BTreeMap<RequestId, PendingFacts> = BTreeMap::new();
    for part in parts {
        let id = match part {
            PendingPart::Asked(asked) => asked.request_id,
            PendingPart::Outcome(outcome) => outcome.request_id,
        };
        let of = requests.entry(id).or_insert_with(|| PendingFacts::new(id));
        match part {
            PendingPart::Asked(asked) => of.ask(asked.clone()),
            PendingPart::Outcome(outcome) => of.answer(outcome.clone()),
        }
    }
    let mut fragment = InventoryFragment::new(about);
    for fact in requests.values().flat_map(PendingFacts::facts) {
        fragment.add(fact);
    }
    fragment
}

/// A request and its outcome are joined whatever the batches that they came in, and before and after compaction; a version from before the
/// outcome does not know of it.
#[tokio::test(flavor = "multi_thread")]
async fn requests_and_their_outcomes_are_joined_whatever_their_batches() {
    let (asked, outcomes) = asked(40);
    let about: Vec<Named> = (0..16).map(|n| Named::Device(device(n))).collect();
    let all: Vec<&PendingPart> = asked.iter().chain(&outcomes).collect();
    let expected: Vec<InventoryFragment> = about.iter().map(|about| came_about(&all, *about)).collect();
    assert_eq!(expected.iter().map(|fragment| fragment.events().len()).sum::<usize>(), 20 * 3);
    for outcomes_first in [false, true] {
        let (store, clock) = (Arc::new(InMemory::new()), Clock::manual(at(1_000_000)));
        let lake = over(&store, &clock).await;
        let (first, second) = if outcomes_first { (&outcomes, &asked) } else { (&asked, &outcomes) };
        let mut n = 0;
        let mut half: Option<SnapshotVersion> = None;
        for part in [first, second, second] {
            for some in part.chunks(9).rev() {
                let mut source = source("said", n, n + 1);
                source.finished = false;
                let batch = Batch { pending: some.to_vec(), sources: vec![source], ..Batch::default() };
                lake.writer().await.unwrap().commit(batch).await.unwrap();
                n += 1;
            }
            if half.is_none() {
                half = Some(lake.snapshot().version().to_string().parse().unwrap());
                clock.advance(FLUSH);
                lake.maintenance().await.unwrap().compact(&CompactionSettings::default()).await.unwrap();
            }
        }
        let who = access(&[1]);
        let known = async |snapshot: &Snapshot| snapshot.inventory(&who, &about).await.unwrap();
        assert_eq!(known(&lake.snapshot()).await.0, expected, "as it came");
        settle(&lake, &clock).await;
        let (found, cost) = known(&lake.snapshot()).await;
        assert_eq!(found, expected, "compacted");
        assert!(cost.runs <= 16 + 40, "a run for each Device and each request: {cost:?}");
        assert_eq!(lake.verify(&VerifySettings::default()).await.unwrap().damages, []);
        let pinned = lake.snapshot_at(&half.unwrap()).await.unwrap();
        let nothing: Vec<InventoryFragment> =
            about.iter().map(|about| InventoryFragment::new(*about)).collect();
        assert_eq!(known(&pinned).await.0, nothing, "one without the other is no fact");
    }
}

/// Files, rows and bytes of the table's newest version.
async fn size(lake: &Lake) -> (u64, u64, u64) {
    let status = lake.inspection().await.unwrap().status().await.unwrap();
    let table = status.tables.iter().find(|table| table.name == "inventory").unwrap();
    let verified = lake.verify(&VerifySettings::default()).await.unwrap();
    let rows = verified.tables.iter().find(|table| table.name == "inventory").unwrap().rows;
    (table.files, rows, table.bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_is_known_as_its_truth_says_by_every_key() {
    let (events, truth) = told();
    let (store, clock) = (Arc::new(InMemory::new()), Clock::manual(at(1_000_000)));
    let lake = over(&store, &clock).await;
    // Batches of all sizes, some of them twice.
    let (mut rest, mut n) = (events.as_slice(), 0);
    for size in [1, 7, 400, 90, 2_000, 33].into_iter().cycle() {
        let (some, after) = rest.split_at(rest.len().min(size));
        for _ in 0..=n % 2 {
            tell(&lake, n, some).await;
            n += 1;
        }
        if n % 8 == 0 {
            clock.advance(FLUSH);
            lake.maintenance().await.unwrap().compact(&CompactionSettings::default()).await.unwrap();
        }
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    check(&lake, &events, &truth, "as it came").await;
    let version: SnapshotVersion = lake.snapshot().version().to_string().parse().unwrap();
    settle(&lake, &clock).await;
    check(&lake, &events, &truth, "compacted").await;
    let pinned = lake.snapshot_at(&version).await.unwrap();
    assert_eq!(found(&pinned, &events).await, truth, "at a version from before compaction");
    drop(lake);
    let lake = over(&store, &clock).await;
    check(&lake, &events, &truth, "opened anew").await;

    // What is told twice is there once, and nothing else went.
    let distinct = merge_rows(events.iter().flat_map(rows_of).collect(), Vec::new()).len() as u64;
    let (files, rows, bytes) = size(&lake).await;
    assert_eq!(rows, distinct);
    assert!(files <= 16, "a run a bucket: {files}");
    let devices = named(&events).iter().filter(|named| matches!(named, Named::Device(_))).count() as u64;
    println!(
        "{} events of {devices} Devices: {rows} rows in {files} files of {bytes} bytes, {} bytes a Device, {:.1} a row",
        events.len(),
        bytes / devices,
        bytes as f64 / rows as f64
    );
}

/// However many keys there are, a look-up reads the pages of one in the runs of one bucket, and of an absent key none.
#[tokio::test(flavor = "multi_thread")]
async fn a_look_up_reads_a_bounded_number_of_pages() {
    let (events, _) = told();
    let (store, clock) = (Arc::new(InMemory::new()), Clock::manual(at(1_000_000)));
    let lake = over(&store, &clock).await;
    tell(&lake, 0, &events).await;
    settle(&lake, &clock).await;
    let (snapshot, who) = (lake.snapshot(), access(&[1]));
    for about in named(&events).into_iter().step_by(7) {
        let (found, cost) = snapshot.inventory(&who, &[about]).await.unwrap();
        assert!(!found[0].events().is_empty());
        assert_eq!(cost.runs, 1);
        assert!(cost.pages <= 2 * COLUMNS, "{cost:?}");
        assert_eq!(snapshot.inventory(&who, &[about]).await.unwrap().1.requests, 0, "pages stay in memory");
    }
    let mut read = 0;
    for n in 0..100 {
        let (found, cost) = snapshot.inventory(&who, &[Named::Device(device(n))]).await.unwrap();
        assert!(found[0].events().is_empty());
        read += cost.runs;
    }
    assert!(read < 20, "{read} of 100 absent keys were let through");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_reads_it_whose_roles_do_not_allow_it() {
    let (lake, _) = memory().await;
    tell(&lake, 0, &[commissioned("i", device(1), at(0))]).await;
    let claims = Bearer {
        subject: "tester".to_owned(),
        party: "region".parse().unwrap(),
        org_id: OrgId::All,
        user_ids: [user(1)].into(),
        roles: BTreeSet::new().into_iter().collect(),
        valid_from: at(0),
        expires_at: at(3_600_000),
    };
    let nobody: Access = DevKey::generate().unwrap().access(&claims).unwrap();
    let snapshot = lake.snapshot();
    let refused = snapshot.inventory(&nobody, &[Named::Device(device(1))]).await.unwrap_err();
    assert!(matches!(refused, LakeError::NotPermitted { .. }), "{refused}");
    let key = InventoryKey::Uprn("100023336956".parse().unwrap());
    let refused = snapshot.meter_points(&nobody, key).await.unwrap_err();
    assert!(matches!(refused, LakeError::NotPermitted { .. }), "{refused}");
    assert_eq!(told_of(&snapshot, device(1)).await, ["i"]);
}

/// What was known at a version is known at it still, and later facts are not.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_knows_what_it_knew() {
    let (store, clock) = (Arc::new(InMemory::new()), Clock::manual(at(1_000_000)));
    let lake = over(&store, &clock).await;
    let mut versions = BTreeMap::new();
    for n in 0..6 {
        tell(&lake, n, &[commissioned(&format!("i{n}"), device(1), at(n))]).await;
        versions.insert(n, lake.snapshot().version().to_string());
        clock.advance(HOUR);
    }
    settle(&lake, &clock).await;
    for (n, version) in versions {
        let snapshot = lake.snapshot_at(&version.parse().unwrap()).await.unwrap();
        let expected: Vec<String> = (0..=n).map(|n| format!("i{n}")).collect();
        assert_eq!(told_of(&snapshot, device(1)).await, expected, "{version}");
    }
}

/// The batches of a repair: events of some Devices, and requests with their outcomes.
fn batches() -> Vec<Batch> {
    let (asked, outcomes) = asked(20);
    let parts: Vec<PendingPart> = asked.into_iter().chain(outcomes).collect();
    let batch = |(n, pending): (i64, &[PendingPart])| {
        let told = (0..8).map(|d| commissioned(&format!("i{n}-{d}"), device(d), at(n)));
        let mut source = source("told", n, n + 1);
        source.finished = false;
        (source.records, source.stored) = (8, 8);
        Batch {
            inventory: told.collect(),
            pending: pending.to_vec(),
            sources: vec![source],
            ..Batch::default()
        }
    };
    (0..).zip(parts.chunks(7)).map(batch).collect()
}

async fn all_known(lake: &Lake) -> Result<Vec<InventoryFragment>, LakeError> {
    let about: Vec<Named> = (0..16).map(|n| Named::Device(device(n))).collect();
    Ok(lake.snapshot().inventory(&access(&[1]), &about).await?.0)
}

/// Repairs what is damaged, of batches that can all be read again.
async fn repair(lake: &Lake) -> Result<usize, LakeError> {
    let damaged = lake.damaged_inventory().await?;
    for run in &damaged {
        let commits = lake.commits_into(run.commit_times()).await?;
        let read = commits.iter().flat_map(|commit| &commit.sources).map(|source| source.from);
        let mut rows = Vec::new();
        for n in read {
            rows.extend(run.rows_in(&batches()[usize::try_from(n).unwrap()]));
        }
        lake.replace_inventory(run, rows, "in a test".to_owned()).await?;
    }
    Ok(damaged.len())
}

/// A damaged run gets its rows back, compacted or not, though the repair is cut short anywhere; and it is told of in the evidence.
#[tokio::test(flavor = "multi_thread")]
async fn a_repair_of_the_inventory_may_be_cut_short_anywhere() {
    for compacted in [false, true] {
        let (store, clock) = (Arc::new(InMemory::new()), Clock::manual(at(1_000_000)));
        let lake = over_faulty(store.clone(), &clock).await.unwrap();
        for batch in batches() {
            lake.writer().await.unwrap().commit(batch).await.unwrap();
            clock.advance(1_000);
        }
        if compacted {
            settle(&lake, &clock).await;
        }
        let expected = all_known(&lake).await.unwrap();
        let files = lake.named_files().await.unwrap();
        let path = files.into_iter().map(|file| file.path).find(|path| path.contains("/inventory/")).unwrap();
        let path = object_store::path::Path::parse(&path).unwrap();
        let mut bytes = store.get(&path).await.unwrap().bytes().await.unwrap().to_vec();
        // Pages come first.
        bytes[60] ^= 4;
        store.put(&path, bytes.into()).await.unwrap();
        let damaged = store.fork();
        let (_, counted, faults) = faulty(&damaged);
        assert_eq!(repair(&over_faulty(counted, &clock).await.unwrap()).await.unwrap(), 1);
        let (operations, mut cases) = (faults.operations(), 0);
        for (operation, fault) in some_of(&[Fault::Before, Fault::AnswerLost], operations, 3) {
            let (inner, store, faults) = faulty(&damaged);
            faults.at(operation, fault);
            if let Ok(lake) = over_faulty(store, &clock).await {
                let _ = repair(&lake).await;
            }
            let Some(what) = faults.last() else { continue };
            let lake = over_faulty(inner, &clock).await.unwrap();
            repair(&lake).await.unwrap();
            assert_eq!(all_known(&lake).await.unwrap(), expected, "{what}");
            assert_eq!(repair(&lake).await.unwrap(), 0, "{what}: once");
            assert_eq!(lake.verify(&VerifySettings::default()).await.unwrap().damages, [], "{what}");
            let mut told = 0;
            lake.evidence(|commit| told += commit.sources.iter().filter(|one| is_repair(one)).count())
                .await
                .unwrap();
            assert!(told >= 1, "{what}");
            cases += 1;
        }
        println!("{compacted}: {operations} operations, {cases} cuts: every row is back");
        assert!(cases > 10, "{cases}");
    }
}

fn is_repair(evidence: &Evidence) -> bool {
    matches!(evidence, Evidence::Whole(evidence) if evidence.repaired().is_some())
}

async fn over_faulty(store: Arc<dyn ObjectStore>, clock: &Clock) -> Result<Lake, LakeError> {
    let settings = LakeSettings { store: Some(store), ..LakeSettings::at("memory:///inventory") };
    Lake::open(settings, clock.clone()).await
}

/// Retention, vacuum and time: what a lake is told of the inventory stays, however old, and what was superseded stays with it.
#[tokio::test(flavor = "multi_thread")]
async fn it_is_kept_for_ever() {
    let (store, clock) = (Arc::new(InMemory::new()), Clock::manual(at(1_000_000)));
    let lake = over(&store, &clock).await;
    for batch in batches() {
        lake.writer().await.unwrap().commit(batch).await.unwrap();
    }
    settle(&lake, &clock).await;
    let expected = all_known(&lake).await.unwrap();
    clock.advance(100 * 366 * 24 * HOUR);
    let mut maintenance = lake.maintenance().await.unwrap();
    maintenance.retain(&CompactionSettings::default(), false).await.unwrap();
    maintenance.compact(&CompactionSettings { full: true, ..CompactionSettings::default() }).await.unwrap();
    maintenance.vacuum(false).await.unwrap();
    let lake = over(&store, &clock).await;
    assert_eq!(all_known(&lake).await.unwrap(), expected);
    assert_eq!(lake.verify(&VerifySettings::default()).await.unwrap().damages, []);
}
