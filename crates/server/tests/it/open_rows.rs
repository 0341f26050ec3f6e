//! Which rows and fields of others a caller sees, in worlds made by chance: a real lake, a real server, and requests, runs and alerts
//! whose events disagree on Device, receipt and variant, come late, or name no more than their request. Not one row or field too many or
//! too few: in searches, page by page while more comes in, as of earlier, and by reference.
//!
//! What is open is told here from the events alone. `GRIDTRAIL_OPEN_WORLDS` says how many worlds there are, the last of them a large one
//! where there are ten or more; a failing one is named by its seed, which `GRIDTRAIL_OPEN_WORLD_SEED` starts from.

mod plot;

use crate::it::fixture::{World as Served, with_header};
use gridtrail_access::{
    AccessEvent, Assignment, Bearer, JobTypeRole, Notice, NoticeKind, OrgId, Party, Sharing,
};
use gridtrail_lake::{Batch, CompactionSettings, Lake, LakeSettings, SourceEvidence, VerifySettings, Writer};
use gridtrail_model::{Body, Fold, Timestamp, UserId, UserRole};
use gridtrail_proto::query::v1::audit_trail_service_client::AuditTrailServiceClient;
use gridtrail_proto::query::v1::meter_read_service_client::MeterReadServiceClient;
use gridtrail_proto::query::v1::{GetRequest, SearchRequest, SearchResponse, TrailRow, search_request::Key};
use gridtrail_runtime::Clock;
use plot::{Chance, Plot, Size, Told, USERS, base, device, user};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
const WORLDS_EVERY_DAY: u64 = 2;
const OPEN: [&str; 4] = ["4.8.1", "4.8.2", "4.8.3", "4.17"];
const PARTIES: usize = 3;
/// Sees the rows of all Users.
const EVERYBODY: usize = USERS;

fn party(number: usize) -> Party {
    format!("party-{number}").parse().unwrap()
}

fn party_of(user: usize) -> usize {
    if user == EVERYBODY { PARTIES } else { user % PARTIES }
}

/// Somebody with a token, and the Users whose rows they see whole.
struct Caller {
    authorization: String,
    sees: BTreeSet<UserId>,
}

/// Whom each Party shares with, by pairs of User IDs.
fn sharing_of(pairs: &BTreeSet<(usize, usize)>) -> Sharing {
    let mut sharing = Sharing::default();
    for number in 0..=EVERYBODY {
        let to = Assignment { party: party(party_of(number)), role: UserRole::IS, descriptor: None };
        sharing.take(AccessEvent::Assigned { user_id: user(number), to: Some(to), from: Timestamp::MIN });
    }
    let at = base().plus_millis(-90 * DAY_MS);
    for (own, other) in pairs.iter().flat_map(|(one, other)| [(*one, *other), (*other, *one)]) {
        let id = || format!("{own}-{other}").parse().unwrap();
        let notice = Notice {
            kind: NoticeKind::Grant,
            by: party(party_of(own)),
            with: party(party_of(other)),
            own: [user(own)].into(),
            other: [user(other)].into(),
            at,
            sro: None,
        };
        sharing.take(AccessEvent::Notified { id: id(), notice });
        sharing.take(AccessEvent::Confirmed { id: id(), at });
    }
    sharing
}

/// A page walk that goes on while more comes in.
struct Walk {
    caller: usize,
    request: SearchRequest,
    /// What lies behind the last page, as everybody's row at the version of the first.
    rest: Vec<TrailRow>,
}

/// What is compared, so that a world in which nothing happens is noticed.
#[derive(Debug, Default)]
struct Seen {
    rows: usize,
    of_others: usize,
    hidden: usize,
    hidden_behind: usize,
    gets: usize,
}

struct World {
    chance: Chance,
    clock: Clock,
    served: Served<Lake>,
    writer: Writer,
    audit: AuditTrailServiceClient<Channel>,
    reads: MeterReadServiceClient<Channel>,
    /// The last of them sees everybody's rows.
    callers: Vec<Caller>,
    /// By the number of a row, whether anything that was committed says that it is no meter read.
    closed: BTreeMap<u64, bool>,
    walks: Vec<Walk>,
    /// What Devices showed to whoever sees everybody's rows, at versions.
    remembered: Vec<(u64, usize, Vec<TrailRow>)>,
    seen: Seen,
}

impl World {
    async fn made(seed: u64) -> Self {
        let mut chance = Chance(seed);
        // The tables are made by the machine's clock, which goes on: what is asked for lies after that.
        let clock = Clock::manual(Clock::system().now());
        let lake = Lake::open(LakeSettings::at("memory:///open-rows"), clock.clone()).await.unwrap();
        clock.advance(HOUR_MS);
        let writer = lake.writer().await.unwrap();
        let served = Served::over(lake, clock.clone(), None).await;
        let mut pairs: BTreeSet<(usize, usize)> = (0..USERS).map(|number| (number, EVERYBODY)).collect();
        for _ in 0..4 {
            let (one, other) = (chance.below(USERS), chance.below(USERS));
            if party_of(one) != party_of(other) {
                pairs.insert((one.min(other), one.max(other)));
            }
        }
        served.admission.replace(Arc::new(sharing_of(&pairs)));
        let sees = |number: usize| {
            let partners = pairs.iter().filter_map(|(one, other)| match number {
                _ if number == *one && *other != EVERYBODY => Some(*other),
                _ if number == *other => Some(*one),
                _ => None,
            });
            std::iter::once(number).chain(partners).map(user).collect::<BTreeSet<_>>()
        };
        let callers = [0, 1, 2, EVERYBODY].map(|number| {
            let sees = sees(number);
            let claims = Bearer {
                subject: format!("person-{number}"),
                party: party(party_of(number)),
                org_id: OrgId::All,
                user_ids: sees.clone(),
                roles: JobTypeRole::new(1).into_iter().collect(),
                valid_from: clock.now(),
                expires_at: clock.now().plus_millis(12 * HOUR_MS),
            };
            Caller { authorization: format!("Bearer {}", served.mint(&claims)), sees }
        });
        let (audit, reads) = (served.audit_trails().await, served.meter_reads().await);
        Self {
            chance,
            clock,
            audit: audit.max_decoding_message_size(64 << 20),
            reads: reads.max_decoding_message_size(64 << 20),
            served,
            writer,
            callers: callers.into(),
            closed: BTreeMap::new(),
            walks: Vec::new(),
            remembered: Vec::new(),
            seen: Seen::default(),
        }
    }

    /// Commits a batch, and gives what is to come in a later one: what a batch says of one row under two Devices lies under one of them
    /// and is found by both, and everybody's access would show it put together with what other batches say.
    async fn commit(&mut self, number: usize, told: Vec<Told>) -> Vec<Told> {
        self.clock.advance(10);
        let (mut fold, mut later, mut under) = (Fold::default(), Vec::new(), BTreeMap::new());
        for (number, event) in told {
            let is_bare = event.correlation.gbcs_originator_counter.is_none();
            let place = (is_bare, event.correlation.device_id);
            if *under.entry(number).or_insert(place) != place {
                later.push((number, event));
                continue;
            }
            let is_alert = matches!(event.body, Body::DeviceAlert(_) | Body::DccAlert(_));
            let says_otherwise = event
                .correlation
                .variant
                .is_some_and(|variant| !is_alert && !OPEN.contains(&variant.to_string().as_str()));
            *self.closed.entry(number).or_default() |= says_otherwise;
            fold.add(event).unwrap();
        }
        // As ingest does it.
        let unplaced = fold.take_unplaced();
        let on_record = self.writer.resolve(&unplaced).await.unwrap();
        let mut parked = Vec::new();
        for fragment in unplaced {
            match fragment.join(on_record.of(&fragment.key)) {
                Some(parts) => parts.into_iter().for_each(|part| fold.merge(part)),
                None => parked.push(fragment),
            }
        }
        let source = format!("file:{number}");
        let sources = vec![SourceEvidence { source, first: true, to: 1, ..SourceEvidence::default() }];
        let batch = Batch { fragments: fold.into_fragments(), parked, sources, ..Batch::default() };
        self.writer.commit(batch).await.unwrap();
        later
    }

    async fn keep_house(&mut self) {
        self.clock.advance(10);
        let full = CompactionSettings { full: true, ..CompactionSettings::default() };
        let mut maintenance = self.served.lake.maintenance().await.unwrap();
        match self.chance.below(5) {
            0 => drop(maintenance.sweep().await.unwrap()),
            1 => drop(maintenance.compact(&full).await.unwrap()),
            2 => drop(maintenance.unite(&full).await.unwrap()),
            _ => {}
        }
    }

    async fn search(
        &self,
        caller: usize,
        reads: bool,
        request: SearchRequest,
    ) -> Result<SearchResponse, Status> {
        let request = with_header(request, &self.callers[caller].authorization);
        let answer = match reads {
            true => self.reads.clone().search(request).await,
            false => self.audit.clone().search(request).await,
        };
        answer.map(Response::into_inner)
    }

    async fn all(&self, caller: usize, reads: bool, request: &SearchRequest) -> Vec<TrailRow> {
        let mut request = SearchRequest { page_size: 1_000, ..request.clone() };
        let mut rows = Vec::new();
        loop {
            let page = self.search(caller, reads, request.clone()).await.unwrap();
            rows.extend(page.rows);
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                return rows;
            }
        }
    }

    /// What a caller must be shown of rows as everybody's access shows them.
    fn expected(&mut self, caller: usize, reads: bool, rows: &[TrailRow]) -> Vec<TrailRow> {
        let mut expected = Vec::new();
        for row in rows {
            let is_whole = self.callers[caller].sees.contains(&row.user_id.parse().unwrap());
            if !reads {
                expected.extend(is_whole.then(|| row.clone()));
            } else if is_read_by_itself(row) {
                if is_whole {
                    expected.push(row.clone());
                } else if self.closed[&row.gbcs_transaction_sequence_number.unwrap()] {
                    self.seen.hidden += 1;
                } else {
                    self.seen.of_others += 1;
                    expected.push(of_another(row));
                }
            }
        }
        self.seen.rows += expected.len();
        expected
    }

    /// Everything that a Device shows, to everybody, at the newest version or an earlier one.
    async fn look(&mut self, number: usize) {
        let everybody = self.callers.len() - 1;
        let request = of_device(number);
        let rows = self.all(everybody, false, &request).await;
        let keys = rows.iter().filter_map(|row| row.gbcs_transaction_sequence_number);
        assert!(keys.clone().all(|key| self.closed.contains_key(&key)), "only of what was told");
        for caller in 0..self.callers.len() {
            for reads in [false, true] {
                let found = self.all(caller, reads, &request).await;
                let expected = self.expected(caller, reads, &rows);
                assert_same(&found, &expected);
                if reads {
                    self.get_some(caller, &rows, &found).await;
                }
            }
        }
        self.begin_walk(number, &rows).await;
        self.remembered.push((self.served.lake.snapshot().version().trails(), number, rows));
        self.look_back().await;
    }

    /// What a Device showed at an earlier version, by what is known now.
    async fn look_back(&mut self) {
        let at = self.chance.below(self.remembered.len());
        let (version, number, rows) = self.remembered[at].clone();
        let request = SearchRequest { as_of: version.to_string(), ..of_device(number) };
        for caller in 0..self.callers.len() {
            for reads in [false, true] {
                let found = self.all(caller, reads, &request).await;
                let hidden = self.seen.hidden;
                let expected = self.expected(caller, reads, &rows);
                self.seen.hidden_behind += self.seen.hidden - hidden;
                assert_same(&found, &expected);
            }
        }
    }

    async fn begin_walk(&mut self, number: usize, rows: &[TrailRow]) {
        let (caller, size) = (self.chance.below(self.callers.len()), 1 + self.chance.below(3));
        let page_size = u32::try_from(size).unwrap();
        let request = SearchRequest { page_size, ..of_device(number) };
        let page = self.search(caller, true, request.clone()).await.unwrap();
        let expected = self.expected(caller, true, rows);
        assert_same(&page.rows, &expected[..expected.len().min(size)]);
        if let (false, Some(last)) = (page.next_page_token.is_empty(), page.rows.last()) {
            let place = rows.iter().position(|row| row.reference == last.reference).unwrap();
            let request = SearchRequest { page_token: page.next_page_token, ..request };
            self.walks.push(Walk { caller, request, rest: rows[place + 1..].to_vec() });
        }
    }

    /// One more page of a walk: what was there then, and is open by what is known now.
    async fn walk_on(&mut self) {
        if self.walks.is_empty() {
            return;
        }
        let at = self.chance.below(self.walks.len());
        let Walk { caller, request, rest } = self.walks.swap_remove(at);
        let page = self.search(caller, true, request.clone()).await.unwrap();
        let hidden = self.seen.hidden;
        let expected = self.expected(caller, true, &rest);
        self.seen.hidden_behind += self.seen.hidden - hidden;
        let size = usize::try_from(request.page_size).unwrap();
        assert_same(&page.rows, &expected[..expected.len().min(size)]);
        assert_eq!(page.next_page_token.is_empty(), expected.len() <= size);
        if let (false, Some(last)) = (page.next_page_token.is_empty(), page.rows.last()) {
            let place = rest.iter().position(|row| row.reference == last.reference).unwrap();
            let request = SearchRequest { page_token: page.next_page_token, ..request };
            self.walks.push(Walk { caller, request, rest: rest[place + 1..].to_vec() });
        }
    }

    /// What is found can be got, with the same fields, entry by entry of its history; and of what is not shown nothing is told.
    async fn get_some(&mut self, caller: usize, known: &[TrailRow], found: &[TrailRow]) {
        for _ in 0..3.min(known.len()) {
            let row = &known[self.chance.below(known.len())];
            let shown = found.iter().find(|shown| shown.reference == row.reference);
            let mut request = GetRequest {
                reference: row.reference.clone(),
                history_page_size: u32::try_from(self.chance.below(3)).unwrap(),
                ..GetRequest::default()
            };
            let mut whole: Option<TrailRow> = None;
            loop {
                let asked = with_header(request.clone(), &self.callers[caller].authorization);
                let got = match self.reads.clone().get(asked).await {
                    Ok(got) => got.into_inner().row.unwrap(),
                    Err(status) => {
                        assert_eq!((status.code(), shown), (Code::NotFound, None));
                        break;
                    }
                };
                let is_whole = self.callers[caller].sees.contains(&row.user_id.parse().unwrap());
                let is_closed = || self.closed[&row.gbcs_transaction_sequence_number.unwrap()];
                assert!(is_whole || !is_closed() && of_another(&got) == got, "{got:?}");
                request.history_page_token = got.details.as_ref().unwrap().next_history_page_token.clone();
                match &mut whole {
                    None => whole = Some(got),
                    Some(whole) => {
                        let more = got.details.unwrap().status_change_history;
                        whole.details.as_mut().unwrap().status_change_history.extend(more);
                    }
                }
                if request.history_page_token.is_empty() {
                    break;
                }
            }
            if let (Some(mut whole), Some(shown)) = (whole, shown) {
                whole.details.as_mut().unwrap().next_history_page_token.clear();
                assert_eq!(&whole, shown);
                self.seen.gets += 1;
            }
        }
    }

    /// By a meter point, what several Devices show is put together; no row or field of others is among it that may not be.
    async fn look_by_meter_point(&mut self) {
        let mpxn = SearchRequest { key: Some(Key::Mpxn("1217290354420".into())), ..SearchRequest::default() };
        for caller in 0..self.callers.len() {
            for row in self.all(caller, true, &mpxn).await {
                if !self.callers[caller].sees.contains(&row.user_id.parse().unwrap()) {
                    assert!(!self.closed[&row.gbcs_transaction_sequence_number.unwrap()], "{row:?}");
                    assert_eq!(of_another(&row), row);
                }
            }
        }
    }
}

fn of_device(number: usize) -> SearchRequest {
    SearchRequest { key: Some(Key::DeviceId(device(number).to_string())), ..SearchRequest::default() }
}

/// Whether a row is a meter read by what it says itself.
fn is_read_by_itself(row: &TrailRow) -> bool {
    let details = row.details.as_ref().unwrap();
    let disputes = details.disputes.iter().filter(|dispute| dispute.field == "Service Reference Variant");
    let others = disputes.flat_map(|dispute| &dispute.other_claims).map(String::as_str);
    let is_open =
        std::iter::once(row.service_reference_variant.as_str()).chain(others).all(|v| OPEN.contains(&v));
    is_open && details.alert_code.is_empty() && !details.awaiting_request
}

/// What another User is shown of a row.
fn of_another(row: &TrailRow) -> TrailRow {
    let mut row = row.clone();
    let details = row.details.as_mut().unwrap();
    details.csp_region_raw.clear();
    (details.dsp_schedule_id, details.execution_at, details.last_recorded_at) = (None, None, None);
    details.disputes.clear();
    details.concerned_device_ids.clear();
    details.concerned_mpxns.clear();
    (details.concerned_device_count, details.concerned_mpxn_count) = (0, 0);
    details.status_change_history.iter_mut().for_each(|entry| entry.cause.clear());
    row
}

fn assert_same(found: &[TrailRow], expected: &[TrailRow]) {
    let references = |rows: &[TrailRow]| rows.iter().map(|row| row.reference.clone()).collect::<Vec<_>>();
    let without = |rows: &[TrailRow], others: &[TrailRow]| {
        let others = references(others);
        rows.iter().filter(|row| !others.contains(&row.reference)).cloned().collect::<Vec<_>>()
    };
    let (many, few) = (without(found, expected), without(expected, found));
    assert!(many.is_empty() && few.is_empty(), "too many: {many:#?}\ntoo few: {few:#?}");
    assert_eq!(references(found), references(expected), "the order of rows");
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found, expected, "fields");
    }
}

async fn one_world(seed: u64, size: Size) -> Seen {
    let mut world = World::made(seed).await;
    let mut told: Vec<Told> = Vec::new();
    for number in 1..=size.rows as u64 {
        let plot = Plot::made(number, size, &mut world.chance);
        told.extend(plot.events(size, &mut world.chance));
    }
    for place in (1..told.len()).rev() {
        told.swap(place, world.chance.below(place + 1));
    }
    let (of_batch, mut batches) = (told.len().div_ceil(size.batches), 0);
    while !told.is_empty() {
        let mut rest = told.split_off(of_batch.min(told.len()));
        rest.extend(world.commit(batches, told).await);
        (told, batches) = (rest, batches + 1);
        world.keep_house().await;
        for _ in 0..2 {
            world.walk_on().await;
            let device = world.chance.below(size.devices);
            world.look(device).await;
        }
    }
    world.look_by_meter_point().await;
    let verified = world.served.lake.verify(&VerifySettings::default()).await.unwrap();
    assert!(verified.is_clean(), "{:#?}", verified.damages);
    world.seen
}

#[test]
fn others_see_what_is_open_by_all_that_is_known_and_no_more() {
    let number = |name: &str, or: u64| {
        std::env::var_os(name).map_or(or, |value| value.to_str().and_then(|text| text.parse().ok()).unwrap())
    };
    let (worlds, first) =
        (number("GRIDTRAIL_OPEN_WORLDS", WORLDS_EVERY_DAY), number("GRIDTRAIL_OPEN_WORLD_SEED", 1));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut all = Seen::default();
    for seed in first..first + worlds {
        let is_large = worlds >= 10 && seed + 1 == first + worlds;
        let size = match is_large {
            true => Size { devices: 30, rows: 6_000, batches: 60 },
            false => Size { devices: 4, rows: 120, batches: 8 },
        };
        eprintln!("seed {seed}, {size:?}");
        let seen = runtime.block_on(one_world(seed, size));
        let Seen { rows, of_others, hidden, hidden_behind, gets } = seen;
        assert!(
            rows > 0 && of_others > 0 && hidden > 0 && gets > 0,
            "a world in which nothing happens: {seen:?}"
        );
        all.rows += rows;
        all.of_others += of_others;
        all.hidden += hidden;
        all.hidden_behind += hidden_behind;
        all.gets += gets;
    }
    assert!(all.hidden_behind > 0, "nothing came after a version that was looked at: {all:?}");
    println!("{worlds} worlds, no row or field too many or few: {all:?}");
}
