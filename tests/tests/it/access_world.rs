//! Who sees which row, in a world made by chance: a real lake, a real server, and people with pages open while rights change under
//! them. Not one row too many or too few, for anybody, before and after.
//!
//! `GRIDTRAIL_WORLD_SEED` repeats a world; `GRIDTRAIL_WORLD_PARTIES`, `_USERS`, `_NOTICES`, `_DEVICES` and `_CALLERS` say how large
//! it is.

mod clauses;
mod story;
mod world;

use crate::crash::Chance;
use crate::support::{Server, setting, succeed};
use clauses::Clauses;
use futures::stream::{self, StreamExt as _};
use gridtrail_access::{Bearer, DevKey};
use gridtrail_model::{DeviceId, UserId};
use gridtrail_proto::query::v1::audit_trail_service_client::AuditTrailServiceClient;
use gridtrail_proto::query::v1::meter_read_service_client::MeterReadServiceClient;
use gridtrail_proto::query::v1::{GetRequest, SearchRequest, SearchResponse, TrailRow, search_request::Key};
use gridtrail_runtime::Clock;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};
use world::{Row, USER_IDS_MAX, Watched, World, party, pick};

const PAGE_ROWS_MAX: u64 = 12;
/// One Device in so many is searched for meter reads too.
const READS_OF: u64 = 12;
/// Pages that each person leaves open, and rows that each asks for by their references.
const OPEN_EACH: usize = 4;
const GETS_EACH: u64 = 3;
/// Of how many what costs most is asked.
const SOME: usize = 20;
/// People who search at the same time.
const AT_ONCE: usize = 32;
/// How often, and how many times at most, a server is looked at until it shows what was ingested.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const LOOKS: u32 = 400;

/// Somebody with a token.
struct Caller {
    bearer: Bearer,
    authorization: MetadataValue<Ascii>,
}

impl Caller {
    fn new(bearer: Bearer, key: &DevKey) -> Self {
        let authorization = format!("Bearer {}", key.mint(&bearer).unwrap()).parse().unwrap();
        Self { bearer, authorization }
    }

    fn call<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.authorization.clone());
        request
    }
}

/// By whom what was called and with which outcome, and what that comes to.
type Noted = BTreeMap<[String; 3], Counts>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Counts {
    calls: u64,
    rows: u64,
    of_others: u64,
}

#[derive(Clone, Copy)]
enum Service<'a> {
    AuditTrail,
    /// With the User IDs whose rows the caller sees otherwise.
    MeterReads(&'a BTreeSet<UserId>),
}

/// The way to the server, which keeps a record of its own.
struct Client {
    audit: AuditTrailServiceClient<Channel>,
    reads: MeterReadServiceClient<Channel>,
    noted: Mutex<Noted>,
}

impl Client {
    async fn connect(url: &str) -> Self {
        let channel = Channel::from_shared(url.to_owned()).unwrap().connect().await.unwrap();
        let audit = AuditTrailServiceClient::new(channel.clone());
        Self { audit, reads: MeterReadServiceClient::new(channel), noted: Mutex::default() }
    }

    fn note(&self, who: &Caller, call: &str, error: Option<&Status>, [rows, of_others]: [usize; 2]) {
        let outcome = match error.map(Status::code) {
            None => "OK",
            Some(Code::NotFound) => "NOT_FOUND",
            Some(Code::InvalidArgument) => "INVALID_ARGUMENT",
            Some(Code::Aborted) => "ABORTED",
            Some(_) => panic!("{call} of {:?}: {error:?}", who.bearer),
        };
        let key = [who.bearer.subject.as_str(), call, outcome].map(str::to_owned);
        let mut noted = self.noted.lock().unwrap();
        let counts = noted.entry(key).or_default();
        counts.calls += 1;
        counts.rows += rows as u64;
        counts.of_others += of_others as u64;
    }

    async fn search(
        &self,
        who: &Caller,
        service: Service<'_>,
        request: SearchRequest,
    ) -> Result<SearchResponse, Status> {
        let request = who.call(request);
        let (call, answer) = match service {
            Service::AuditTrail => ("AuditTrailService.Search", self.audit.clone().search(request).await),
            Service::MeterReads(_) => ("MeterReadService.Search", self.reads.clone().search(request).await),
        };
        let answer = answer.map(Response::into_inner);
        let rows = answer.as_ref().map(|page| page.rows.as_slice()).unwrap_or_default();
        let of_others = match service {
            Service::AuditTrail => 0,
            Service::MeterReads(sees) => rows.iter().filter(|row| !sees.contains(&user_of(row))).count(),
        };
        self.note(who, call, answer.as_ref().err(), [rows.len(), of_others]);
        answer
    }

    /// The rows of all pages, of sizes by chance, from where a request begins.
    async fn all(
        &self,
        who: &Caller,
        service: Service<'_>,
        mut request: SearchRequest,
        chance: &mut Chance,
    ) -> Result<Vec<TrailRow>, Status> {
        let mut rows = Vec::new();
        loop {
            let most = 1 + chance.below(PAGE_ROWS_MAX);
            request.page_size = u32::try_from(most).unwrap();
            let page = self.search(who, service, request.clone()).await?;
            assert!(page.rows.len() as u64 <= most, "a page of {} rows, not {most}", page.rows.len());
            rows.extend(page.rows);
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                return Ok(rows);
            }
        }
    }

    async fn get(&self, who: &Caller, reference: &str) -> Result<TrailRow, Status> {
        let request = who.call(GetRequest { reference: reference.to_owned(), ..GetRequest::default() });
        let answer = self.audit.clone().get(request).await.map(|answer| answer.into_inner().row.unwrap());
        let rows = usize::from(answer.is_ok());
        self.note(who, "AuditTrailService.Get", answer.as_ref().err(), [rows, 0]);
        answer
    }

    /// Waits until the last thing that was told shows.
    async fn wait_for(&self, watched: &Watched, who: &Caller) {
        for _ in 0..LOOKS {
            let request = SearchRequest { page_size: 1_000, ..of_device(watched.device) };
            match self.search(who, Service::AuditTrail, request).await {
                Ok(page) if !page.rows.iter().any(|row| user_of(row) == watched.other) => return,
                Ok(_) => {}
                // Rights changed while rows were looked up.
                Err(status) => assert_eq!(status.code(), Code::Aborted, "{status}"),
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        panic!("the last rescission did not come");
    }
}

fn of_device(device: DeviceId) -> SearchRequest {
    SearchRequest { key: Some(Key::DeviceId(device.to_string())), ..SearchRequest::default() }
}

fn user_of(row: &TrailRow) -> UserId {
    row.user_id.parse().unwrap()
}

fn request_id(row: &TrailRow) -> &str {
    row.details.as_ref().map_or("", |details| details.request_id.as_str())
}

/// Not one row too many or too few, none twice, newest first, and each under the name of who sent it.
fn assert_shown<'a>(who: &Caller, found: &[TrailRow], expected: impl Iterator<Item = &'a Row>) {
    let found: Vec<[String; 2]> =
        found.iter().map(|row| [user_of(row).to_string(), request_id(row).to_owned()]).collect();
    let expected: Vec<[String; 2]> = expected.map(|row| [row.user.to_string(), row.id.clone()]).collect();
    assert_eq!(found, expected, "{:?}", who.bearer);
}

/// Two answers that must not be told apart have the same.
fn face(status: &Status) -> (Code, String, Vec<u8>) {
    (status.code(), status.message().to_owned(), status.details().to_vec())
}

/// The same text but for the character at a place.
fn altered(text: &str, place: usize) -> String {
    let change = |(at, c): (usize, char)| match c {
        _ if at != place => c,
        'A' => 'B',
        _ => 'A',
    };
    text.chars().enumerate().map(change).collect()
}

/// A page that somebody has open, and the rows behind it by the rights of then.
struct Open<'a> {
    who: &'a Caller,
    device: DeviceId,
    page_token: String,
    rest: Vec<&'a Row>,
    then: BTreeSet<UserId>,
}

/// Everybody, and what holds at a time.
#[derive(Clone, Copy)]
struct Scene<'a> {
    world: &'a World,
    client: &'a Client,
    callers: &'a [Caller],
    clauses: &'a Clauses,
    seed: u64,
}

impl<'a> Scene<'a> {
    /// Every Device is searched by all of these. Gives what they were shown.
    async fn look_at_everything(&self, callers: &[Caller], as_of: &str) -> Vec<TrailRow> {
        let looks = stream::iter(callers.iter().zip(0..)).map(|(who, number)| self.look(who, number, as_of));
        let shown: Vec<Vec<TrailRow>> = looks.buffer_unordered(AT_ONCE).collect().await;
        shown.into_iter().flatten().collect()
    }

    async fn look(&self, who: &Caller, number: u64, as_of: &str) -> Vec<TrailRow> {
        let (sees, mut chance) = (self.clauses.seen_by(&who.bearer), Chance(self.seed ^ number));
        let mut shown = Vec::new();
        for (device, rows) in &self.world.devices {
            let request = SearchRequest { as_of: as_of.to_owned(), ..of_device(*device) };
            let found =
                self.client.all(who, Service::AuditTrail, request.clone(), &mut chance).await.unwrap();
            assert_shown(who, &found, rows.iter().filter(|row| sees.contains(&row.user)));
            if chance.below(READS_OF) == 0 {
                // Those are open to all, whoever sent them.
                let service = Service::MeterReads(&sees);
                let reads = self.client.all(who, service, request, &mut chance).await.unwrap();
                assert_shown(who, &reads, rows.iter().filter(|row| row.is_read));
            }
            shown.extend(found);
        }
        shown
    }

    /// Everybody asks for some rows that somebody saw. Gives how many of them they may not see, and how many they may.
    async fn ask_for_rows(&self, known: &[TrailRow]) -> [u64; 2] {
        let callers = stream::iter(self.callers.iter().zip(0..));
        let asked = callers.map(|(who, number)| self.ask(who, number, known)).buffer_unordered(AT_ONCE);
        let asked: Vec<[u64; 2]> = asked.collect().await;
        [0_usize, 1].map(|is_seen| asked.iter().map(|asked| asked[is_seen]).sum())
    }

    async fn ask(&self, who: &Caller, number: u64, known: &[TrailRow]) -> [u64; 2] {
        let (sees, mut chance) = (self.clauses.seen_by(&who.bearer), Chance(self.seed ^ number));
        let some: Vec<&TrailRow> = (0..GETS_EACH).map(|_| pick(known, &mut chance)).collect();
        let own = known.iter().find(|row| sees.contains(&user_of(row)));
        let mut asked = [0, 0];
        for row in some.into_iter().chain(own) {
            let is_seen = sees.contains(&user_of(row));
            match self.client.get(who, &row.reference).await {
                Ok(found) => {
                    assert!(is_seen, "{:?} is shown {}", who.bearer, request_id(row));
                    assert_eq!(request_id(&found), request_id(row));
                }
                Err(status) => {
                    assert!(!is_seen, "{:?} is not shown {}: {status}", who.bearer, request_id(row));
                    // The seventh character of a reference is of the Device.
                    let nowhere = altered(&row.reference, 6);
                    let none = self.client.get(who, &nowhere).await.unwrap_err();
                    assert_eq!(status.code(), Code::NotFound);
                    assert_eq!(face(&status), face(&none), "not yours is as not there");
                }
            }
            asked[usize::from(is_seen)] += 1;
        }
        asked
    }

    /// Everybody reads the beginning of what some Devices have for them.
    async fn open_pages(&self) -> Vec<Open<'a>> {
        let opened = stream::iter(self.callers).map(|who| self.open(who)).buffer_unordered(AT_ONCE);
        let opened: Vec<Vec<Open<'a>>> = opened.collect().await;
        opened.into_iter().flatten().collect()
    }

    async fn open(&self, who: &'a Caller) -> Vec<Open<'a>> {
        let then = self.clauses.seen_by(&who.bearer);
        let mut open = Vec::new();
        for (device, rows) in &self.world.devices {
            let mut shown: Vec<&'a Row> = rows.iter().filter(|row| then.contains(&row.user)).collect();
            if shown.len() < 2 || open.len() == OPEN_EACH {
                continue;
            }
            let rest = shown.split_off(1 + shown.len() / 3);
            let page_size = u32::try_from(shown.len()).unwrap();
            let request = SearchRequest { page_size, ..of_device(*device) };
            let page = self.client.search(who, Service::AuditTrail, request).await.unwrap();
            assert_shown(who, &page.rows, shown.into_iter());
            let (device, page_token, then) = (*device, page.next_page_token, then.clone());
            open.push(Open { who, device, page_token, rest, then });
        }
        open
    }

    /// Gives how many of the open pages show less than they would have.
    async fn go_on_everywhere(&self, open: &[Open<'_>]) -> usize {
        let goings = stream::iter(open.iter().zip(0..)).map(|(page, number)| self.go_on(page, number));
        let less: Vec<bool> = goings.buffer_unordered(AT_ONCE).collect().await;
        less.into_iter().filter(|is_less| *is_less).count()
    }

    /// An open page goes on with what its first could show and its caller may see now. Gives whether that is less.
    async fn go_on(&self, open: &Open<'_>, number: u64) -> bool {
        let Open { who, device, page_token, rest, then } = open;
        let (now, mut chance) = (self.clauses.seen_by(&who.bearer), Chance(self.seed ^ number));
        let request = SearchRequest { page_token: page_token.clone(), ..of_device(*device) };
        let found = self.client.all(who, Service::AuditTrail, request, &mut chance).await;
        // Of more User IDs than a page token names, any change ends it.
        if then.len() > USER_IDS_MAX && *then != now {
            let status = found.unwrap_err();
            assert_eq!(status.code(), Code::InvalidArgument, "{status}");
            assert!(status.message().contains("your rights have changed"), "{status}");
            return true;
        }
        let left: Vec<&Row> = rest.iter().copied().filter(|row| now.contains(&row.user)).collect();
        assert_shown(who, &found.unwrap(), left.iter().copied());
        left.len() < rest.len()
    }

    /// A page token is nothing to anybody else, nor when it was altered, and nobody is told which of these it was.
    async fn try_what_is_not_theirs(&self, open: &Open<'_>, key: &DevKey) {
        let bearer = || open.who.bearer.clone();
        let elsewhere = party(if open.who.bearer.party == party(1) { 2 } else { 1 });
        let colleague = Caller::new(Bearer { subject: "a-colleague".to_owned(), ..bearer() }, key);
        let namesake = Caller::new(Bearer { party: elsewhere, ..bearer() }, key);
        let broken = altered(&open.page_token, open.page_token.len() / 2);
        let mut faces = Vec::new();
        for (who, page_token) in
            [(&colleague, &open.page_token), (&namesake, &open.page_token), (open.who, &broken)]
        {
            let request = SearchRequest { page_token: page_token.clone(), ..of_device(open.device) };
            let status = self.client.search(who, Service::AuditTrail, request).await.unwrap_err();
            assert_eq!(status.code(), Code::InvalidArgument, "{status}");
            faces.push(face(&status));
        }
        assert!(faces.iter().all(|face| *face == faces[0]), "{faces:?}");
    }
}

/// How many lose something that was granted to them, keep something, and both.
fn changes(callers: &[Caller], before: &Clauses, after: &Clauses) -> [usize; 3] {
    let mut changes = [0; 3];
    for Caller { bearer, .. } in callers {
        let mut granted = before.seen_by(bearer);
        granted.retain(|user| before.owner(*user) != Some(&bearer.party));
        let now = after.seen_by(bearer);
        let (loses, keeps) = (!granted.is_subset(&now), !granted.is_disjoint(&now));
        for (count, is_so) in changes.iter_mut().zip([loses, keeps, loses && keeps]) {
            *count += usize::from(is_so);
        }
    }
    changes
}

struct Stage {
    folder: tempfile::TempDir,
    server: Server,
}

impl Stage {
    fn set(world: &World, key: &DevKey) -> Self {
        let folder = tempfile::tempdir().unwrap();
        world.write(folder.path());
        std::fs::write(folder.path().join("key.pub.pem"), key.to_public_pem()).unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        succeed(&["ingest", &at("first"), "--lake", &at("lake")]);
        // Of all those whose User IDs are ignored, and of notices that count for nothing, it would say more than a pipe holds.
        let more = ["--no-maintenance", "--log", "error"];
        let server = Server::start(&at("lake"), &at("key.pub.pem"), &more);
        Self { folder, server }
    }

    fn at(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }
}

/// The calls that are on record in a lake.
fn recorded(lake: &str) -> Noted {
    let log = succeed(&["access", "log", "--lake", lake, "--format", "json"]);
    let log: Vec<Value> = serde_json::from_str(&log).unwrap();
    let mut noted = Noted::new();
    for row in log.iter().filter(|row| row["kind"] == "call") {
        let key =
            ["subject", "call", "outcome"].map(|name| row[name].as_str().unwrap_or_default().to_owned());
        let number = |name: &str| row[name].as_u64().unwrap_or_default();
        let counts = noted.entry(key).or_default();
        counts.calls += number("times");
        counts.rows += number("rows");
        counts.of_others += number("rows_of_others");
    }
    noted
}

/// Every call is on record with what came of it, and no other. Gives what all searches come to.
fn assert_recorded(noted: &Noted, lake: &str) -> Counts {
    let recorded = recorded(lake);
    let mut searches = Counts::default();
    for (key, counts) in noted {
        assert_eq!(recorded.get(key), Some(counts), "{key:?}");
        let [_, call, outcome] = key;
        if call.ends_with(".Search") && outcome == "OK" {
            searches.calls += counts.calls;
            searches.rows += counts.rows;
            searches.of_others += counts.of_others;
        }
    }
    assert_eq!(recorded.len(), noted.len(), "{:?}", recorded.keys().collect::<Vec<_>>());
    assert!(searches.of_others > 0, "meter reads are those of all");
    searches
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_sees_just_the_rows_that_the_clauses_say() {
    let seed = setting("GRIDTRAIL_WORLD_SEED", 20_260_301);
    println!("GRIDTRAIL_WORLD_SEED={seed}");
    let mut chance = Chance(seed);
    let mut world = World::made(&mut chance);
    let watched = world.rescind_at_last();
    let (before, after) = (world.before(), world.after());
    let key = DevKey::generate().unwrap();
    let people = world.people(&before, &after, &mut chance).into_iter().chain([watched.bearer.clone()]);
    let callers: Vec<Caller> = people.map(|bearer| Caller::new(bearer, &key)).collect();
    let [lose, keep, both] = changes(&callers, &before, &after);
    let rescinded = before.pairs().difference(after.pairs()).count();
    let won = after.pairs().difference(before.pairs()).count();
    let much = [lose, keep, both, rescinded, won, before.refused(), after.refused()];
    assert!(much.iter().all(|count| *count > 0), "nothing much happens in this world: {much:?}");

    let stage = Stage::set(&world, &key);
    let client = Client::connect(&stage.server.url).await;
    let then = Scene { world: &world, client: &client, callers: &callers, clauses: &before, seed };
    let shown = then.look_at_everything(&callers, "").await;
    let asked = then.ask_for_rows(&shown).await;
    let open = then.open_pages().await;
    let moment = Clock::system().now().to_string();

    succeed(&["ingest", &stage.at("later"), "--lake", &stage.at("lake")]);
    client.wait_for(&watched, callers.last().unwrap()).await;
    let now = Scene { clauses: &after, ..then };
    let shown = now.look_at_everything(&callers, "").await;
    let asked_again = now.ask_for_rows(&shown).await;
    let less = now.go_on_everywhere(&open).await;
    for page in open.iter().take(SOME) {
        now.try_what_is_not_theirs(page, &key).await;
    }
    // As it was then does not mean by the rights of then.
    now.look_at_everything(&callers[..callers.len().min(SOME)], &moment).await;
    let much = [asked, asked_again].concat();
    assert!(less > 0 && less < open.len() && much.iter().all(|count| *count > 0), "{less}, {much:?}");

    let lake = stage.at("lake");
    let log = stage.server.stop();
    let mut failures = log.lines().filter(|line| !line.contains("suspends pairs until it is settled"));
    assert_eq!(failures.next(), None, "nothing fails");
    let Counts { calls, rows, .. } = assert_recorded(&client.noted.lock().unwrap(), &lake);
    println!(
        "{} callers, {} notices, {} pairs in force before and {} after ({rescinded} ended, {won} new): {calls} pages, {rows} rows \
         as they must be; {} open pages, {less} with less; {lose} callers lost rights, {keep} kept some, {both} both",
        callers.len(),
        world.notices,
        before.pairs().len(),
        after.pairs().len(),
        open.len(),
    );
}
