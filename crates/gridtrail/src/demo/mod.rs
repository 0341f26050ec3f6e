//! `gridtrail demo`: the main job from end to end, on real and on generated input, with what it took.

mod cast;
mod identity_provider;
mod samples;

use crate::args::{DemoArgs, Encoding, ListFormat, ServerArgs};
use crate::bench::Tally;
use crate::client::{Caller, View};
use crate::exit::Failure;
use crate::generate::{self, parties, write_region};
use crate::ingest::ingest;
use crate::log_in::LoginPlan;
use crate::opening::open_lake;
use crate::output::{self, hubs, trails};
use crate::running;
use crate::search;
use crate::serve::{self, Hosted};
use cast::{Cast, Exchanged};
use gridtrail_access::{AccessEvent, AccessRecord, Assignment, Bearer, DevKey, JobTypeRole, OrgId, Party};
use gridtrail_freshness::Levels;
use gridtrail_ingest::{FileSettings, Maker, ingest_made_schedules};
use gridtrail_inventory::Timeline;
use gridtrail_lake::Lake;
use gridtrail_model::{DeviceId, Named, Timestamp, UserId, UserRole};
use gridtrail_port::{Port, Whence};
use gridtrail_proto::query::v1::search_request::Key;
use gridtrail_proto::query::v1::{SearchRequest, SearchResponse};
use gridtrail_runtime::Clock;
use gridtrail_search::{HubTables, PageKey};
use gridtrail_server::Limits;
use gridtrail_synth::{Settings, World};
use identity_provider::{Colleague, DevelopmentProviders};
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// A folder that holds this file is a demo's own, and may be deleted.
const MARKER: &str = ".gridtrail-demo";
/// Searches whose times are reported.
const REPEATS: usize = 200;
/// How long the demo's tokens hold: a working day.
const TOKEN_LIFE_MS: i64 = 8 * 3_600_000;
/// The User of most of the DCC's sample messages, and the meter that they are about.
const SAMPLE_USER: &str = "90-B3-D5-1F-30-01-00-00";
const SAMPLE_PARTY: &str = "sample-party";
const SAMPLE_DEVICE: &str = "00-DB-12-34-56-78-90-A0";

pub(crate) async fn run(args: &DemoArgs) -> Result<(), Failure> {
    let start = Instant::now();
    // Kept until the end of this function, which deletes it.
    let mut temporary = None;
    let folder = match &args.dir {
        Some(dir) => claim_folder(dir)?,
        None => {
            let made = tempfile::Builder::new().prefix("gridtrail-demo-").tempdir();
            let path = Path::new("a temporary folder");
            temporary.insert(made.map_err(Failure::file("create", path))?).path().to_owned()
        }
    };
    let world = World::seeded(args.seed, Settings::for_events(args.events, 1))
        .map_err(|error| Failure::Argument { argument: "--events", reason: error.to_string() })?;
    let sampled = write_messages(&folder.join("messages"), &args.duis_samples, &world)?;
    write_day(&folder.join("day"), &world)?;
    let lake = take_in(&folder, &world).await?;
    let cast = cast::cast(&world)
        .ok_or(Failure::Argument { argument: "--events", reason: "too few to show anything".to_owned() })?;
    show(args, &folder, lake, (&world, cast, sampled), start).await?;
    drop(temporary);
    Ok(())
}

/// Empties a folder that an earlier demo made, or makes one. Any other that holds something is refused.
fn claim_folder(dir: &Path) -> Result<PathBuf, Failure> {
    let marker = dir.join(MARKER);
    if marker.exists() {
        std::fs::remove_dir_all(dir).map_err(Failure::file("empty", dir))?;
    }
    std::fs::create_dir_all(dir).map_err(Failure::file("create", dir))?;
    let mut entries = std::fs::read_dir(dir).map_err(Failure::file("read", dir))?;
    if entries.next().is_some() {
        let reason = format!("{} holds something, and no demo made it", dir.display());
        return Err(Failure::Argument { argument: "--dir", reason });
    }
    std::fs::write(&marker, "").map_err(Failure::file("write", &marker))?;
    Ok(dir.to_owned())
}

fn say(text: &str) -> Result<(), Failure> {
    output::write(&mut io::stdout().lock(), format!("{text}\n").as_bytes())
}

/// The messages of the DCC's own test data, or ours. Where they are the DCC's, the Devices of which they say something for the inventory.
fn write_messages(
    folder: &Path,
    samples: &Path,
    world: &World,
) -> Result<Option<BTreeSet<DeviceId>>, Failure> {
    std::fs::create_dir_all(folder).map_err(Failure::file("create", folder))?;
    let day = world.settings().start;
    parties::write(&folder.join(parties::FILE), sample_party(day).as_slice())?;
    let taken =
        samples::capture_samples(samples, &folder.join("samples.xml"), day.plus_millis(9 * 3_600_000))?;
    match &taken {
        Some(taken) => say(&format!(
            "1. DUIS messages: {} real Service Requests and {} real answers of Smart DCC's test data, {} answers and \
             {} alerts derived from it.\n   {} of the {} requests carry no MPxN.",
            taken.requests,
            taken.real_responses,
            taken.responses,
            taken.alerts,
            taken.without_mpxn,
            taken.requests
        ))?,
        None => {
            let files = samples::write_synthetic(folder)?;
            say(&format!(
                "1. DUIS messages: {} does not hold Smart DCC's samples, so {files} files of gridtrail's own \
                 synthetic messages stand in.\n   --duis-samples or DUIS_SAMPLES names the folder.",
                samples.display()
            ))?;
        }
    }
    Ok(taken.map(|taken| taken.devices))
}

/// Whose the User ID of the sample messages is.
fn sample_party(from: Timestamp) -> Option<AccessRecord> {
    let to = Assignment { party: SAMPLE_PARTY.parse().ok()?, role: UserRole::IS, descriptor: None };
    let event = AccessEvent::Assigned { user_id: SAMPLE_USER.parse().ok()?, to: Some(to), from };
    Some(AccessRecord { id: "sample-party".parse().ok()?, recorded_at: from, event })
}

fn write_day(folder: &Path, world: &World) -> Result<(), Failure> {
    std::fs::create_dir_all(folder).map_err(Failure::file("create", folder))?;
    let written = write_region((world, false), Encoding::Binpb, None, folder)?;
    let inventory_events = generate::plain::write_inventory((world, false), Encoding::Binpb, folder)?;
    say(&format!(
        "2. A generated day: {} premises, {} Users, {} events in {:.1} s ({:.0} events/s), and {inventory_events} \
         inventory events.",
        world.settings().premises,
        world.users().len(),
        written.events,
        written.seconds,
        written.events_per_second
    ))
}

async fn take_in(folder: &Path, world: &World) -> Result<Lake, Failure> {
    let address = folder.join("lake").display().to_string();
    let lake = open_lake(&address).await?;
    say("3. Ingest:")?;
    for name in ["messages", "day"] {
        let report = ingest(&lake, &folder.join(name), &FileSettings::default()).await?;
        say(&format!("   {name}: {}", report.line()))?;
    }
    let again = ingest(&lake, &folder.join("day"), &FileSettings::default()).await?;
    say(&format!("   day, once more: {}", again.line()))?;
    let maker = Maker { id: "demo".to_owned(), name: "the schedules of the day".to_owned() };
    let events = world.schedules().flat_map(|story| story.events);
    let told = ingest_made_schedules(&lake, &maker, events).await?.outcome.stored;
    say(&format!("   schedules: {told} events"))?;
    Ok(lake)
}

/// Serves the lake in this process and asks it over gRPC.
async fn show(
    args: &DemoArgs,
    folder: &Path,
    lake: Lake,
    (world, cast, sampled): (&World, Cast, Option<BTreeSet<DeviceId>>),
    start: Instant,
) -> Result<(), Failure> {
    let key = DevKey::generate()?;
    let terms = gridtrail_server::terms(64, 64);
    let listener = running::listen(args.listen).await?;
    let port = Port { listener, tls: None, terms, whence: Whence::Connection };
    let server = serve::url_of(&port)?;
    let of = |user| world.party_of(user).ok_or(Failure::Process("a User of the region has no Party"));
    let (first_party, second_party) = (of(cast.first)?, of(cast.second)?);
    let (login, providers) = if args.serve {
        let people = vec![
            Colleague { name: "User A", path: "user-a", party: first_party.clone(), user: cast.first },
            Colleague { name: "User B", path: "user-b", party: second_party.clone(), user: cast.second },
        ];
        Some(log_in_by(&lake, folder, &server, people).await?).unzip()
    } else {
        (None, None)
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let hosted = Hosted {
        calls: lake.clone(),
        lake: lake.clone(),
        port,
        gatekeeper: Some(key.gatekeeper()?),
        operators: None,
        login: login.flatten(),
        has_console: args.serve,
        page_key: PageKey::random()?,
        housekeeping: None,
        levels: Levels::default(),
        access_lapse: Duration::from_secs(86_400),
        metrics: None,
        limits: Limits::default(),
        sql: None,
        reports: None,
        report_jobs: None,
        hub_tables: HubTables::default(),
        communicate_with: None,
        shows_type_2: false,
        tells_cost: false,
        serving: Box::new(|| Ok(())),
    };
    // A sender that is gone means the end as well.
    let serving = tokio::spawn(serve::host(hosted, async {
        let _ = stopped.await;
    }));
    say(&format!("4. Serving on {server}."))?;
    let first = Person::new(&key, "user-a", first_party, cast.first)?;
    let second = Person::new(&key, "user-b", second_party, cast.second)?;
    searches(&server, (&first, &second), cast).await?;
    exchange(&server, &key, world).await?;
    if let Some(devices) = sampled {
        sample_search(&server, &key).await?;
        sample_inventory(&lake, &key, &devices).await?;
    }
    timings(&server, &first, world).await?;
    say(&format!("All of it took {:.1} s.", start.elapsed().as_secs_f64()))?;
    if args.serve {
        leave_up(folder, &server, (&first, &second), (cast.device, providers)).await?;
    }
    drop(stop);
    serving.await.map_err(|_| Failure::Process("the server panicked"))?
}

/// Logins of two people, by Identity Providers of the demo's own.
async fn log_in_by(
    lake: &Lake,
    folder: &Path,
    server: &str,
    people: Vec<Colleague>,
) -> Result<(Option<LoginPlan>, DevelopmentProviders), Failure> {
    let providers = DevelopmentProviders::open(folder, people).await?;
    providers.enrol(lake).await?;
    let roles = serve::role_matrix(None)?;
    let terms = gridtrail_session::terms(64, 64);
    let args = providers.login_args(server, folder)?;
    let plan = LoginPlan::read(args, (roles, true), (None, terms, Whence::Connection)).await?;
    Ok((plan, providers))
}

/// A User with a token.
struct Person {
    name: &'static str,
    user: UserId,
    token: String,
}

impl Person {
    fn new(key: &DevKey, name: &'static str, party: Party, user: UserId) -> Result<Self, Failure> {
        let token = key.mint(&bearer(name, party, user))?;
        Ok(Self { name, user, token })
    }
}

fn bearer(name: &str, party: Party, user: UserId) -> Bearer {
    let now = Clock::system().now();
    Bearer {
        subject: name.to_owned(),
        party,
        org_id: OrgId::All,
        user_ids: [user].into(),
        roles: JobTypeRole::new(1).into_iter().collect(),
        valid_from: now,
        expires_at: now.plus_millis(TOKEN_LIFE_MS),
    }
}

fn by_device(device: DeviceId) -> SearchRequest {
    SearchRequest { key: Some(Key::DeviceId(device.to_string())), page_size: 50, ..SearchRequest::default() }
}

async fn ask(
    server: &str,
    who: &Person,
    view: View,
    device: DeviceId,
    rows: usize,
) -> Result<SearchResponse, Failure> {
    let caller = Caller::connect(&ServerArgs::plain(server), &who.token).await?;
    let request = SearchRequest { page_size: u32::try_from(rows).unwrap_or(50), ..by_device(device) };
    search::fetch(&caller, view, request, search::Extent { all_pages: false, histories: false }).await
}

fn print(title: &str, view: View, answer: &SearchResponse) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    output::write(&mut out, format!("\n{title}\n").as_bytes())?;
    let layout = trails::Layout { view, format: ListFormat::Table, details: false };
    trails::write_answer(&mut out, answer, layout, None)
}

/// One audit-trail and one meter-read search, by two Users, and what neither may see.
async fn searches(server: &str, (first, second): (&Person, &Person), cast: Cast) -> Result<(), Failure> {
    let device = cast.device;
    let own = ask(server, first, View::Audit, device, 50).await?;
    print(
        &format!("User A ({}) searches the audit trail of meter {device}:", first.user),
        View::Audit,
        &own,
    )?;
    let other = ask(server, second, View::Audit, device, 50).await?;
    print(
        &format!("User B ({}) searches the same; none of A's rows is there:", second.user),
        View::Audit,
        &other,
    )?;
    let reads = ask(server, second, View::MeterReads, device, 50).await?;
    print(
        "User B searches the meter reads of the same meter; those of all Users are there, A's too:",
        View::MeterReads,
        &reads,
    )?;
    let found = |answer: &SearchResponse, user: UserId| {
        answer.rows.iter().filter(|row| row.user_id == user.to_string()).count() as u64
    };
    // The demo knows what was generated, so it is a test as well.
    let is_right = found(&own, first.user) == cast.rows[0]
        && own.rows.len() as u64 == cast.rows[0]
        && other.rows.len() as u64 == cast.rows[1]
        && found(&other, second.user) == cast.rows[1]
        && reads.rows.len() as u64 == cast.meter_reads
        && found(&reads, first.user) > 0;
    if is_right { Ok(()) } else { Err(Failure::Process("the answers are not what was generated")) }
}

/// One search by UPRN across the exchange of a meter: the rows of both meters, each for the time that it served, and of what is around them.
async fn exchange(server: &str, key: &DevKey, world: &World) -> Result<(), Failure> {
    let found = cast::exchanged(world);
    let found = found.ok_or(Failure::Process("no meter was exchanged in the day"))?;
    let Exchanged { uprn, user, at, former, present, hub, rows } = found;
    let party = world.party_of(user).ok_or(Failure::Process("a User of the region has no Party"))?;
    let person = Person::new(key, "user-c", party, user)?;
    let caller = Caller::connect(&ServerArgs::plain(server), &person.token).await?;
    let request =
        SearchRequest { key: Some(Key::Uprn(uprn.to_string())), page_size: 200, ..SearchRequest::default() };
    let answer =
        search::fetch(&caller, View::Audit, request, search::Extent { all_pages: false, histories: false })
            .await?;
    let title = format!(
        "User C ({user}) searches by UPRN {uprn}, where meter {present} took the place of {former} at {at}:"
    );
    print(&title, View::Audit, &answer)?;
    for (meter, rows) in [(former, rows[0]), (present, rows[1])] {
        let found = answer.rows.iter().filter(|row| row.device_id == meter.to_string()).count() as u64;
        if found != rows {
            return Err(Failure::Process("the answers are not what was generated"));
        }
    }
    one_hub(server, &person, hub).await
}

/// The Communications Hub of the property: what its CSP knows, and the last Commands through it, whoever sent them.
async fn one_hub(server: &str, person: &Person, hub: DeviceId) -> Result<(), Failure> {
    let caller = Caller::connect(&ServerArgs::plain(server), &person.token).await?;
    let answer = caller.hub(hub).await?;
    let is_right = answer.may_communicate && !answer.last_commands.is_empty();
    say(&format!("\nUser C supplies there, so the page of its hub {hub} is open to them:"))?;
    hubs::write_answer(&mut io::stdout().lock(), answer, ListFormat::Table)?;
    if is_right { Ok(()) } else { Err(Failure::Process("the hub is not what was generated")) }
}

/// What the DCC's own messages became.
async fn sample_search(server: &str, key: &DevKey) -> Result<(), Failure> {
    let (Ok(user), Ok(device)) = (SAMPLE_USER.parse(), SAMPLE_DEVICE.parse()) else { return Ok(()) };
    let Ok(party) = SAMPLE_PARTY.parse() else { return Ok(()) };
    let person = Person::new(key, "sample-user", party, user)?;
    let answer = ask(server, &person, View::Audit, device, 5).await?;
    print(
        &format!("From the real messages, the newest 5 rows of {device} for User {user}:"),
        View::Audit,
        &answer,
    )
}

/// What the inventory knows by the DCC's own messages.
async fn sample_inventory(lake: &Lake, key: &DevKey, devices: &BTreeSet<DeviceId>) -> Result<(), Failure> {
    let (Ok(user), Ok(party)) = (SAMPLE_USER.parse(), SAMPLE_PARTY.parse()) else { return Ok(()) };
    let who = key.access(&bearer("sample-user", party, user))?;
    let about: Vec<Named> = devices.iter().copied().map(Named::Device).collect();
    let (found, _) = lake.snapshot().inventory(&who, &about).await?;
    let ever = |when: &Timeline<()>| usize::from(!when.periods().is_empty());
    let (mut known, mut statuses, mut associations, mut installations) = (0, 0, 0, 0);
    for fragment in found.iter().filter(|fragment| !fragment.events().is_empty()) {
        let view = fragment.known();
        known += 1;
        statuses += view.smi_statuses().periods().len();
        associations += view.associated_with().values().map(ever).sum::<usize>();
        installations += view.installations().values().map(ever).sum::<usize>();
    }
    say(&format!(
        "\nThe inventory knows by the same messages: {known} Devices, {statuses} SMI Statuses, {associations} associations \
         and {installations} installations at a meter point.\n\
         What a request asks for is among them only where its outcome came as success."
    ))
}

/// Times single searches by one caller, of meters spread over the region.
async fn timings(server: &str, who: &Person, world: &World) -> Result<(), Failure> {
    let meters: Vec<DeviceId> = generate::meters(world).filter_map(|text| text.parse().ok()).collect();
    let step = (meters.len() / REPEATS).max(1);
    let chosen: Vec<DeviceId> = meters.iter().step_by(step).take(REPEATS).copied().collect();
    let caller = Caller::connect(&ServerArgs::plain(server), &who.token).await?;
    say("\n5. Timings of one caller, by gRPC:")?;
    for (view, name) in [(View::Audit, "audit trail"), (View::MeterReads, "meter reads")] {
        let mut tally = Tally::new()?;
        for device in &chosen {
            let start = Instant::now();
            let page = caller.search(view, &by_device(*device)).await?;
            tally.count(start.elapsed(), Ok(page.rows.len() as u64));
        }
        say(&format!(
            "   {name}: {} searches, p50 {:.2} ms, p99 {:.2} ms",
            chosen.len(),
            tally.millis_at(0.5),
            tally.millis_at(0.99)
        ))?;
    }
    Ok(())
}

/// Writes the tokens where only the caller can read them, says how to use them, and waits for Ctrl-C.
async fn leave_up(
    folder: &Path,
    server: &str,
    (first, second): (&Person, &Person),
    (device, providers): (DeviceId, Option<DevelopmentProviders>),
) -> Result<(), Failure> {
    let stop = running::asked_to_stop()?;
    if let Some(providers) = &providers {
        show_console(server, device, &providers.listed())?;
    }
    let first_file = write_token(folder, first)?;
    let second_file = write_token(folder, second)?;
    say(&format!(
        "\nThe server stays up until Ctrl-C. From another terminal:\n\n\
         \x20 gridtrail search audit --server {server} --token-file {} --device {device} --details\n\
         \x20 gridtrail search meter-reads --server {server} --token-file {} --device {device}\n",
        first_file.display(),
        second_file.display()
    ))?;
    match providers {
        Some(providers) => tokio::select! {
            () = stop => {}
            () = providers.serve() => {}
        },
        None => stop.await,
    }
    Ok(())
}

/// Where the console is, and who can log in there.
fn show_console(server: &str, device: DeviceId, providers: &[(String, &'static str)]) -> Result<(), Failure> {
    if !gridtrail_console::is_built() {
        return say(
            "\nThis build has no console: `scripts/console` builds its pages, with Node, before cargo does.",
        );
    }
    say(&format!(
        "\nThe console is at {server}/. Log in there by a development Identity Provider, which asks for nothing:"
    ))?;
    for (entity_id, name) in providers {
        say(&format!("   {entity_id}  {name}"))?;
    }
    say(&format!("and search for {device}."))
}

fn write_token(folder: &Path, person: &Person) -> Result<PathBuf, Failure> {
    let path = folder.join(format!("{}.jwt", person.name));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let write = || options.open(&path)?.write_all(person.token.as_bytes());
    write().map_err(Failure::file("write", &path))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_demos_own_folder_is_emptied() {
        let folder = tempfile::tempdir().unwrap();
        let mine = folder.path().join("mine");
        claim_folder(&mine).unwrap();
        std::fs::write(mine.join("old"), "").unwrap();
        claim_folder(&mine).unwrap();
        assert!(!mine.join("old").exists());
        let theirs = folder.path().join("theirs");
        std::fs::create_dir(&theirs).unwrap();
        std::fs::write(theirs.join("thesis"), "").unwrap();
        assert!(claim_folder(&theirs).is_err());
        assert!(theirs.join("thesis").exists());
    }
}
