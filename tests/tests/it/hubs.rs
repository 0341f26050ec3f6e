//! A Communications Hub, the whole way with real processes: generate, ingest, serve, and the command that asks.

use crate::support::{Server, run, succeed, text};
use gridtrail_model::{DeviceId, Subject, UserId};
use gridtrail_synth::{ExpectedState, Household, Settings, World};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

const EVENTS: u64 = 10_000;
/// The Party of all Users.
const PARTY: &str = "region";

struct Stage {
    _folder: tempfile::TempDir,
    path: PathBuf,
    world: World,
}

impl Stage {
    fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let stage =
            Self { _folder: folder, path, world: World::seeded(7, Settings::for_events(EVENTS, 2)).unwrap() };
        let (events, number) = (stage.at("events"), EVENTS.to_string());
        let generate = ["generate", "--out", &events, "--events", &number, "--days", "2", "--inventory"];
        succeed(&[&generate[..], &["--encoding", "jsonl", "--one-party", PARTY]].concat());
        succeed(&["ingest", &events, "--lake", &stage.at("lake")]);
        // It makes the key, and shows its public half.
        stage
            .token(stage.world.users()[0].id, &["--role", "1", "--public-key-out", &stage.at("key.pub.pem")]);
        stage
    }

    fn at(&self, name: &str) -> String {
        self.path.join(name).to_str().unwrap().to_owned()
    }

    fn serve(&self, more: &[&str]) -> Server {
        Server::start(&self.at("lake"), &self.at("key.pub.pem"), more)
    }

    fn token(&self, user: UserId, more: &[&str]) -> String {
        let (key, user) = (self.at("key.pem"), user.to_string());
        let args = ["token", "--key", &key, "--party", PARTY, "--user-id", &user];
        succeed(&[&args[..], more].concat()).trim().to_owned()
    }

    fn ask(&self, server: &Server, user: UserId, hub: DeviceId) -> Value {
        let (token, hub) = (self.token(user, &["--role", "1"]), hub.to_string());
        let args = ["search", "hub", &hub, "--server", &server.url, "--token", &token, "--format", "json"];
        let mut answer: Value = serde_json::from_str(&succeed(&args)).unwrap();
        // Housekeeping makes a new one at any time.
        answer.as_object_mut().unwrap().remove("snapshotVersion");
        answer
    }
}

/// The household with gas to whose Devices the most Commands went.
fn busy_household(world: &World) -> Household {
    let mut commands: BTreeMap<DeviceId, usize> = BTreeMap::new();
    for trail in world.truth() {
        let is_command = match trail.key.subject {
            Subject::Leg(leg) => [1, 5].contains(&leg.command_variant.number()),
            _ => false,
        };
        if is_command && trail.sent_at.is_some() {
            *commands.entry(trail.device_id.unwrap()).or_default() += 1;
        }
    }
    let of =
        |household: &Household| household.devices().filter_map(|device| commands.get(&device)).sum::<usize>();
    world.households().filter(|household| household.gas.is_some()).max_by_key(of).unwrap()
}

#[test]
fn a_hub_shows_its_last_commands_to_who_is_related_to_it() {
    let stage = Stage::set();
    let household = busy_household(&stage.world);
    // Who is now: a supplier may have changed since the household was fitted.
    let related: Vec<UserId> = stage
        .world
        .inventory_of(household.number)
        .truth
        .iter()
        .filter(|fact| fact.until.is_none())
        .filter_map(|fact| match fact.what {
            ExpectedState::Supplier(_, user) | ExpectedState::Network(_, user) => Some(user),
            _ => None,
        })
        .collect();
    assert!(related.len() >= 3, "of electricity and gas: {related:?}");
    let other = stage.world.users().iter().map(|user| user.id).find(|user| !related.contains(user)).unwrap();
    let server = stage.serve(&[]);
    let answers: Vec<Value> = related.iter().map(|user| stage.ask(&server, *user, household.hub)).collect();
    let answer = &answers[0];
    let commands = answer["lastCommands"].as_array().unwrap();
    assert_eq!(commands.len(), 5, "{answer:#}");
    for command in commands {
        let fields: Vec<&str> = command.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, ["at", "successStatus"], "a time and a status, and nothing else");
        assert!(["Success", "Failure", "In Progress"].contains(&command["successStatus"].as_str().unwrap()));
    }
    assert!(commands.windows(2).all(|two| two[0]["at"].as_str() >= two[1]["at"].as_str()), "{answer:#}");
    assert_eq!(answer["csp"]["networkStatus"]["text"], "Active");
    assert_eq!(answer["csp"]["hanStatus"]["text"], "Requires device communication");
    assert!(answer["completeUpTo"].is_string() && answer["mayCommunicate"] == true);
    assert!(answers.iter().all(|one| one == answer), "all who are related are told the same");
    let shown = answer.to_string();
    assert!(related.iter().all(|user| !shown.contains(&user.to_string())), "{shown}");
    assert!(
        household.devices().all(|device| device == household.hub || !shown.contains(&device.to_string()))
    );

    let denied = stage.ask(&server, other, household.hub);
    assert!(denied.get("lastCommands").is_none() && denied.get("csp").is_none(), "{denied:#}");
    assert!(denied.get("mayCommunicate").is_none() && denied.get("tablesOpen").is_none(), "{denied:#}");
    // What people are shown, and what is no hub.
    let (token, hub) = (stage.token(related[0], &["--role", "1"]), household.hub.to_string());
    let table = succeed(&["search", "hub", &hub, "--server", &server.url, "--token", &token]);
    assert!(table.contains("SMWAN Connectivity Status") && table.contains("You may communicate"), "{table}");
    let meter = household.electricity.device_id.to_string();
    let none = run(&["search", "hub", &meter, "--server", &server.url, "--token", &token]);
    assert!(
        !none.status.success() && text(&none.stderr).contains("no Communications Hub"),
        "{}",
        text(&none.stderr)
    );
    server.stop();

    let server = stage.serve(&["--hub-tables", "all"]);
    let wide = stage.ask(&server, other, household.hub);
    assert_eq!((&wide["lastCommands"], &wide["csp"]), (&answer["lastCommands"], &answer["csp"]));
    assert!(wide.get("mayCommunicate").is_none(), "{wide:#}");
    server.stop();
}
