use super::world::*;
use crate::data::{CopyFile, Rows, rows_of};
use crate::{Copied, CopiedTable, Copy, Location, Purpose, columns};
use gridtrail_access::{Access, Admission, Doors, Sharing};
use gridtrail_faults::{Fault, FaultStore};
use gridtrail_inventory::{
    AskedChange, AskedFact, DeviceDetails, Effective, FactOrigin, FieldChange, InventoryEvent, InventoryFact,
    InventoryStatement, OutcomeOf, PendingPart, Registration, RequestOutcome, StatedFact, Withdrawal,
};
use gridtrail_lake::{Batch, Lake, SourceEvidence, Writer};
use gridtrail_model::{
    CspRegion, DeviceId, DeviceType, EventId, Mpxn, Named, RequestId, SmiStatus, Timestamp,
};
use gridtrail_runs::{Changes, Move};
use gridtrail_runtime::Clock;
use gridtrail_search::{InventoryRules, InventoryScan};
use gridtrail_sql::InventoryTable;
use object_store::memory::InMemory;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

const TABLES: [(CopiedTable, InventoryTable); 2] = [
    (CopiedTable::InventoryDevices, InventoryTable::Devices),
    (CopiedTable::InventoryHistory, InventoryTable::History),
];

fn device(n: u8) -> DeviceId {
    DeviceId::from_bytes([0, 0xDB, 0, 0, 0, 0, 0, n])
}

fn meter_point(n: u8) -> Mpxn {
    ["1217290354420", "000123", "1312345678111"][usize::from(n % 3)].parse().unwrap()
}

fn stated(id: &str, recorded: Timestamp, effective: Effective, fact: InventoryFact) -> InventoryEvent {
    InventoryEvent {
        recorded_at: recorded,
        id: id.parse().unwrap(),
        origin: FactOrigin::Inventory,
        told: InventoryStatement::Fact(StatedFact { effective, corrects: None, fact }),
    }
}

fn is_there(n: u8, of: DeviceType) -> InventoryFact {
    let details = DeviceDetails { device_type: Some(of), ..DeviceDetails::default() };
    InventoryFact::Device { device: device(n), details }
}

async fn tell(writer: &mut Writer, name: &str, inventory: Vec<InventoryEvent>, pending: Vec<PendingPart>) {
    let source = SourceEvidence {
        source: format!("file:{name}"),
        name: name.to_owned(),
        first: true,
        to: 1,
        finished: true,
        ..SourceEvidence::default()
    };
    let batch = Batch { inventory, pending, sources: vec![source], ..Batch::default() };
    writer.commit(batch).await.unwrap();
}

/// Every row of a copy, in the order of its files.
async fn copied(copy: &Copy) -> Vec<String> {
    let mut files: Vec<_> =
        copy.table.files().into_iter().map(|file| CopyFile::<Rows>::of(file).unwrap()).collect();
    files.sort_by_key(|file| file.file.tag.clone().map(|tag| tag[tag.find("first").unwrap()..].to_owned()));
    let mut rows = Vec::new();
    for file in files {
        let before = rows.len() as u64;
        for batch in rows_of(file.fetch(&copy.table).await.unwrap(), &file.file.path).unwrap() {
            rows.extend(lines(&batch));
        }
        assert_eq!(rows.len() as u64 - before, file.summary.rows);
    }
    rows
}

/// Every row that a scan gives at an instant.
async fn scanned(lake: &Lake, who: &Access, table: InventoryTable, at: Timestamp) -> Vec<String> {
    let rules = InventoryRules { at, every_type_two: false };
    let mut scan = InventoryScan::new(lake.snapshot(), who.clone(), rules).await.unwrap();
    let mut rows = Vec::new();
    while let Some(devices) = scan.next().await.unwrap() {
        rows.extend(lines(&columns::of_devices(table, &devices).unwrap()));
    }
    rows
}

/// What happens to the Devices of some homes, by chance: late, ahead of time, corrected and withdrawn, asked for and brought about.
struct Home {
    chance: ChaCha8Rng,
    clock: Clock,
    steps: u64,
    told: Vec<InventoryEvent>,
    asked: Vec<AskedChange>,
}

impl Home {
    fn seeded(seed: u64, clock: &Clock) -> Self {
        let chance = ChaCha8Rng::seed_from_u64(seed);
        Self { chance, clock: clock.clone(), steps: 0, told: Vec::new(), asked: Vec::new() }
    }

    fn hour(&mut self, from: i64, to: i64) -> Timestamp {
        self.clock.now().plus_millis(self.chance.random_range(from..to) * HOUR)
    }

    fn any(&mut self) -> u8 {
        self.chance.random_range(0..40)
    }

    fn one_of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.chance.random_range(0..all.len())].clone()
    }

    fn fact(&mut self) -> InventoryFact {
        let of = self.any();
        match self.chance.random_range(0..12) {
            0 => {
                let version = self.one_of(&["0002012F", "00020130", "00020131"]);
                let details =
                    DeviceDetails { firmware_version: version.parse().ok(), ..DeviceDetails::default() };
                InventoryFact::Device { device: device(of), details }
            }
            1..3 => {
                let kind = self.one_of(DeviceType::ALL);
                is_there(of, kind)
            }
            3 if self.chance.random_bool(0.3) => InventoryFact::DeviceRemoved { device: device(of) },
            3..6 => {
                InventoryFact::SmiStatus { device: device(of), status: Some(self.one_of(SmiStatus::ALL)) }
            }
            6 => InventoryFact::Region { hub: device(of), region: self.one_of(CspRegion::ALL) },
            7 => InventoryFact::Registration {
                mpxn: meter_point(of),
                data: Registration {
                    first_line: FieldChange::Value(format!("{of} High Street").parse().unwrap()),
                    ..Registration::default()
                },
            },
            8 => InventoryFact::Installation {
                device: device(of),
                mpxn: meter_point(self.any()),
                installed: self.chance.random_bool(0.8),
            },
            _ => InventoryFact::Association {
                device: device(of),
                with: device(self.any()),
                associated: self.chance.random_bool(0.8),
            },
        }
    }

    fn event(&mut self, n: usize) -> InventoryEvent {
        let id = format!("{}-{n}", self.steps);
        // Clocks of others are ahead, now and then.
        let recorded = self.hour(-6, 3);
        if self.chance.random_bool(0.15) && !self.told.is_empty() {
            let of = self.chance.random_range(0..self.told.len());
            let of = self.told[of].clone();
            let withdrawn = Withdrawal::new(of.id.clone(), of.about()).unwrap();
            let told = InventoryStatement::Withdrawal(withdrawn);
            let id: EventId = id.parse().unwrap();
            return InventoryEvent { recorded_at: recorded, id, origin: FactOrigin::Inventory, told };
        }
        let from = self.hour(-72, 12);
        let until =
            self.chance.random_bool(0.2).then(|| from.plus_millis(self.chance.random_range(1..24) * HOUR));
        let event = stated(&id, recorded, Effective::new(from, until).unwrap(), self.fact());
        self.told.push(event.clone());
        event
    }

    fn asked(&mut self, n: u64) -> PendingPart {
        let counter = self.steps * 100 + n;
        // Not of the Device that it is about: the DCC answers it itself.
        let request_id: RequestId = request_id(1, 200, counter);
        let fact = AskedFact { outcome: OutcomeOf::Response, from: None, fact: self.fact() };
        let asked = AskedChange {
            request_id,
            variant: "8.4".parse().unwrap(),
            non_device: true,
            recorded_at: self.hour(-3, 1),
            event_id: format!("asked-{counter}").parse().unwrap(),
            facts: vec![fact],
        };
        self.asked.push(asked.clone());
        PendingPart::Asked(asked)
    }

    fn outcome(&mut self) -> Option<PendingPart> {
        if self.asked.is_empty() {
            return None;
        }
        let of = self.chance.random_range(0..self.asked.len());
        let of = &self.asked[of];
        let (request_id, variant) = (of.request_id, Some(of.variant));
        let outcome = RequestOutcome {
            request_id,
            variant,
            of: OutcomeOf::Response,
            code: "I0".parse().unwrap(),
            at: self.hour(-3, 3),
            recorded_at: self.hour(-3, 2),
            event_id: format!("answered-{}", self.steps).parse().unwrap(),
        };
        Some(PendingPart::Outcome(outcome))
    }

    async fn step(&mut self, lake: &Lake, writer: &mut Writer) -> &'static str {
        self.steps += 1;
        match self.chance.random_range(0..12) {
            0 => {
                compact(lake).await;
                "compacted"
            }
            1..3 => {
                self.clock.advance(self.chance.random_range(1..5) * HOUR);
                "waited"
            }
            3 => {
                let outcomes = self.outcome().into_iter().collect();
                tell(writer, &self.steps.to_string(), Vec::new(), outcomes).await;
                "answered"
            }
            _ => {
                let events = (0..self.chance.random_range(1..12)).map(|n| self.event(n)).collect();
                let mut pending: Vec<_> =
                    (0..self.chance.random_range(0..3)).map(|n| self.asked(n)).collect();
                pending.extend(self.outcome().filter(|_| self.steps.is_multiple_of(3)));
                tell(writer, &self.steps.to_string(), events, pending).await;
                "told"
            }
        }
    }
}

async fn bring_up(copy: &mut Copy, lake: &Lake) -> Copied {
    super::world::bring_up(copy, lake).await
}

/// After each of many steps, or after several, both tables have what a scan gives at the instant that they are of.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_the_inventory_has_what_a_scan_gives_whatever_happened_and_however_late_it_is() {
    let number = |name: &str| std::env::var_os(name).map(|text| text.into_string().unwrap().parse().unwrap());
    let first: u64 = number("GRIDTRAIL_EXPORT_SEED").unwrap_or(0);
    let cases: u64 = number("GRIDTRAIL_EXPORT_CASES").unwrap_or(2);
    let (who, _) = operator();
    for seed in first..first + cases {
        println!("GRIDTRAIL_EXPORT_SEED={seed}");
        let clock = Clock::manual(at(1_000 * HOUR));
        let (lake, mut writer) = lake("lake", None, clock.clone()).await;
        let mut home = Home::seeded(seed, &clock);
        let place = somewhere();
        let mut copies = Vec::new();
        for (kind, table) in TABLES {
            copies.push((Copy::open(&lake, &place, kind).await.unwrap(), table));
        }
        let (mut whole, mut parts, mut files, mut by_time) = (0, 0, 0, 0);
        let mut happened = Vec::new();
        for _ in 0..50 {
            happened.push(home.step(&lake, &mut writer).await);
            if home.chance.random_bool(0.3) {
                continue;
            }
            for (copy, table) in &mut copies {
                let version = copy.is_of();
                let done = bring_up(copy, &lake).await;
                whole += u32::from(done.whole);
                parts += u32::from(done.changed && !done.whole);
                by_time += u32::from(done.rows > 0 && version == copy.is_of());
                files = files.max(copy.table.files().len());
                let expected = scanned(&lake, &who, *table, clock.now()).await;
                assert_eq!(copied(copy).await, expected, "seed {seed}, {table:?} after {happened:?}");
                assert_eq!(copy.rows().unwrap(), expected.len() as u64);
                assert!(!bring_up(copy, &lake).await.changed, "seed {seed}: again, with nothing new");
            }
        }
        assert!(whole == 2 && parts > 12 && files > 2, "{whole}, {parts}, {files}");
        assert!(by_time > 0, "nothing took effect by time alone");
    }
}

/// What changed of a Device costs the file that it lies in, and what did not change costs none.
#[tokio::test(flavor = "multi_thread")]
async fn what_did_not_change_of_the_inventory_is_not_written() {
    let clock = Clock::manual(at(10 * HOUR));
    let (lake, mut writer) = lake("lake", None, clock.clone()).await;
    let mut copy = Copy::open(&lake, &somewhere(), CopiedTable::InventoryDevices).await.unwrap();
    let since = Effective::since(at(0));
    let all = (0..100).map(|n| stated(&format!("d{n}"), at(0), since, is_there(n, DeviceType::ALL[0])));
    tell(&mut writer, "a", all.collect(), Vec::new()).await;
    let first = bring_up(&mut copy, &lake).await;
    assert_eq!((first.rows, first.whole), (100, true));
    assert!(first.files_written > 4 && copy.rows().unwrap() == 100, "{first:?}");
    assert!(!copy.is_due(clock.now()), "nothing is ahead");
    // The same once more, compaction, and what says nothing of Devices.
    tell(&mut writer, "b", vec![stated("d7", at(0), since, is_there(7, DeviceType::ALL[0]))], Vec::new())
        .await;
    compact(&lake).await;
    commit(&mut writer, "c", [received(request_id(1, 1, 1), at(0))]).await;
    let after = bring_up(&mut copy, &lake).await;
    let written = (after.changed, after.whole, after.rows, after.files_written, after.files_taken_away);
    assert_eq!(written, (true, false, 0, 0, 0));
    // One Device, and another ahead of time: a file each, when it is so.
    let status = |n| InventoryFact::SmiStatus { device: device(n), status: Some(SmiStatus::ALL[0]) };
    let ahead = stated("s99", at(0), Effective::since(clock.now().plus_millis(HOUR)), status(99));
    tell(&mut writer, "d", vec![stated("s7", at(0), since, status(7)), ahead], Vec::new()).await;
    let after = bring_up(&mut copy, &lake).await;
    assert_eq!((after.rows, after.files_written, after.files_taken_away), (1, 1, 1));
    clock.advance(HOUR - 1);
    assert!(!bring_up(&mut copy, &lake).await.changed, "it is not so yet");
    clock.advance(1);
    assert!(copy.is_due(clock.now()));
    let after = bring_up(&mut copy, &lake).await;
    assert_eq!((after.rows, after.files_written, after.whole), (1, 1, false));
    assert!(!copy.is_due(clock.now()), "nothing more is ahead");
}

/// A copy of a build that knew no firmware versions in the history is scanned anew, once, though nothing has changed in the lake.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_with_other_kinds_of_rows_is_made_anew() {
    let clock = Clock::manual(at(10 * HOUR));
    let (lake, mut writer) = lake("lake", None, clock.clone()).await;
    let mut copy = Copy::open(&lake, &somewhere(), CopiedTable::InventoryHistory).await.unwrap();
    let details = DeviceDetails {
        device_type: Some(DeviceType::Esme),
        firmware_version: "0002012F".parse().ok(),
        ..DeviceDetails::default()
    };
    let there = InventoryFact::Device { device: device(1), details };
    tell(&mut writer, "a", vec![stated("d1", at(0), Effective::since(at(0)), there)], Vec::new()).await;
    assert!(bring_up(&mut copy, &lake).await.whole);
    assert_eq!(copy.rows().unwrap(), 1);
    let now_ms = clock.now().millis();
    let (app_id, from) = ("shows".to_owned(), copy.table.position("shows"));
    let earlier = Changes { moves: vec![Move { app_id, from, to: 1 }], now_ms, ..Changes::default() };
    copy.table.commit_unless_moved(&earlier).await.unwrap().unwrap();
    let again = bring_up(&mut copy, &lake).await;
    assert!(again.changed && again.whole, "{again:?}");
    assert!(!bring_up(&mut copy, &lake).await.changed);
    assert_eq!(
        copied(&copy).await,
        scanned(&lake, &operator().0, InventoryTable::History, clock.now()).await
    );
}

/// What a request asked for long before shows when its outcome comes, though no row leads from the one to the other.
#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_brings_what_was_asked_for_long_before() {
    let clock = Clock::manual(at(10 * HOUR));
    let (lake, mut writer) = lake("lake", None, clock.clone()).await;
    let mut copy = Copy::open(&lake, &somewhere(), CopiedTable::InventoryHistory).await.unwrap();
    let since = Effective::since(at(0));
    let mut home = Home::seeded(0, &clock);
    let PendingPart::Asked(asked) = home.asked(1) else { panic!("it asks") };
    let fact = InventoryFact::SmiStatus { device: device(3), status: Some(SmiStatus::ALL[1]) };
    let fact = AskedFact { outcome: OutcomeOf::Response, from: None, fact };
    let asked = AskedChange { recorded_at: at(0), facts: vec![fact], ..asked };
    home.asked = vec![asked.clone()];
    let there = stated("d3", at(0), since, is_there(3, DeviceType::ALL[0]));
    tell(&mut writer, "a", vec![there], vec![PendingPart::Asked(asked)]).await;
    bring_up(&mut copy, &lake).await;
    assert_eq!(copy.rows().unwrap(), 0);
    compact(&lake).await;
    bring_up(&mut copy, &lake).await;
    let Some(PendingPart::Outcome(outcome)) = home.outcome() else { panic!("it is asked for") };
    let outcome = RequestOutcome { at: at(HOUR), recorded_at: at(HOUR), ..outcome };
    tell(&mut writer, "b", Vec::new(), vec![PendingPart::Outcome(outcome)]).await;
    let after = bring_up(&mut copy, &lake).await;
    assert_eq!((after.rows, after.whole, copy.rows().unwrap()), (1, false, 1));
}

/// The inventory is open to all Users: a copy for a Party has all of it, and more or fewer User IDs change nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_for_a_party_has_the_whole_inventory() {
    let clock = Clock::manual(at(10 * HOUR));
    let (lake, mut writer) = lake("lake", None, clock.clone()).await;
    let since = Effective::since(at(0));
    let all = (0..20).map(|n| stated(&format!("d{n}"), at(0), since, is_there(n, DeviceType::ALL[0])));
    tell(&mut writer, "a", all.collect(), Vec::new()).await;
    lake.refresh().await.unwrap();
    let party: gridtrail_access::Party = "p".parse().unwrap();
    let admission = Admission::new(Doors { gatekeeper: None, sessions: None }, Arc::new(Sharing::default()));
    let who = admission.access_of_party("tester", &party, at(0)).await.unwrap();
    let purpose = Purpose { party: Some(party), by: "tester".to_owned() };
    for (kind, table) in TABLES {
        let mut copy = Copy::open(&lake, &somewhere(), kind).await.unwrap();
        copy.bring_up_to(&lake, (&who, &purpose), &lake.snapshot()).await.unwrap();
        assert_eq!(copied(&copy).await, scanned(&lake, &operator().0, table, clock.now()).await);
    }
    let named = Named::Device(device(1));
    assert!(who.is_of_files() && lake.snapshot().inventory(&who, &[named]).await.is_ok());
    // Nothing else that takes a role.
    assert!(lake.snapshot().thresholds(&who).await.is_err());
}

/// Whatever request to the store of a copy fails: it is at the version before or at the new one, and whoever comes next brings it up.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_the_inventory_that_was_cut_short_is_at_one_version_or_the_other() {
    let clock = Clock::manual(at(10 * HOUR));
    let (lake, mut writer) = lake("lake", None, clock.clone()).await;
    let faults = [Fault::Before, Fault::AnswerLost, Fault::Repeated, Fault::Conflict, Fault::DiskFull];
    let (store, failing) = FaultStore::new(Arc::new(InMemory::new()));
    let place = Location { store: Arc::new(store), ..somewhere() };
    let (who, purpose) = operator();
    let (mut operation, mut failed) = (0, 0);
    loop {
        let since = Effective::since(at(i64::try_from(operation).unwrap()));
        let of = DeviceType::ALL[usize::try_from(operation).unwrap() % DeviceType::ALL.len()];
        let told = (0..40).filter(|n| u64::from(*n) % 7 == operation % 7);
        let told = told.map(|n| stated(&format!("{operation}-{n}"), at(0), since, is_there(n, of)));
        tell(&mut writer, &operation.to_string(), told.collect(), Vec::new()).await;
        lake.refresh().await.unwrap();
        failing.none();
        let mut copy = Copy::open(&lake, &place, CopiedTable::InventoryDevices).await.unwrap();
        let before = (copy.is_of(), copied(&copy).await);
        failing.at(operation, faults[usize::try_from(operation).unwrap() % faults.len()]);
        let done = copy.bring_up_to(&lake, (&who, &purpose), &lake.snapshot()).await;
        let is_past = failing.operations() <= operation;
        failing.none();
        // Somebody else, who knows nothing of what was begun.
        drop(copy);
        Copy::wait_for_detached(&place).await;
        let mut copy = Copy::open(&lake, &place, CopiedTable::InventoryDevices).await.unwrap();
        let expected = scanned(&lake, &who, InventoryTable::Devices, clock.now()).await;
        let found = copied(&copy).await;
        let is_before = copy.is_of() == before.0;
        assert_eq!(found, if is_before { before.1 } else { expected.clone() }, "operation {operation}");
        bring_up(&mut copy, &lake).await;
        assert_eq!(copied(&copy).await, expected, "operation {operation}, brought up");
        failed += u32::from(done.is_err());
        if is_past {
            break;
        }
        operation += 1;
    }
    assert!(operation > 3 && failed > 1, "{failed} failures of {operation}");
}
