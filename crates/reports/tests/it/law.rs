//! The ten reports over worlds by chance: zero differences from plain computations over what each world's script says, in periods that cross a clock
//! change, and under rights that a grant widens and a rescission takes back.

use crate::it::firmware::firmware_activations;
use crate::it::inventory::{devices, hubs, known};
use crate::it::scheduled::scheduled_service_requests;
use crate::it::truth::*;
use crate::it::world::*;
use gridtrail_access::{
    Access, AccessEvent, Admission, Assignment, Bearer, DevKey, JobTypeRole, Notice, NoticeKind, OrgId,
    Party, Sharing,
};
use gridtrail_lake::{Batch, CompactionSettings, Lake};
use gridtrail_model::*;
use gridtrail_synth::{ExpectedQuarantine, Settings, World};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// A few worlds in which all reports are held; `GRIDTRAIL_REPORT_WORLDS` says how many.
#[tokio::test(flavor = "multi_thread")]
async fn reports_hold_what_the_script_says() {
    let asked = std::env::var_os("GRIDTRAIL_REPORT_WORLDS").and_then(|count| count.to_str()?.parse().ok());
    let mut rows: BTreeMap<&'static str, usize> = BTreeMap::new();
    let worlds = asked.unwrap_or(3);
    for seed in 0..worlds {
        Box::pin(Stage::new(seed).await.hold(&mut rows)).await;
    }
    assert!(rows.len() == 8 && rows.values().all(|rows| *rows > 0), "there is nothing to compare: {rows:?}");
    println!(
        "{worlds} worlds, no difference in {} rows of transactions and quarantine",
        rows.iter().filter(|(name, _)| !name.contains(' ')).map(|(_, rows)| rows).sum::<usize>()
    );
}

/// A world, a lake of all that it tells, and two Parties: one has a User ID with little to do, and the other that with most.
struct Stage {
    seed: u64,
    world: World,
    lake: Lake,
    period: Period,
    own: UserId,
    other: UserId,
}

impl Stage {
    async fn new(seed: u64) -> Self {
        let dice = Sha256::digest(seed.to_be_bytes());
        let roll = |number: usize, sides: u8| i64::from(dice[number] % sides);
        // Clocks change at one in the morning, UTC, of the second or a later day, and there is a day after it.
        let (change, ahead, month, of_month) = match roll(0, 2) {
            0 => ("2026-03-29", (0, 1), "2026-03", ("2026-03-01T00:00:00Z", "2026-03-31T23:00:00Z")),
            _ => ("2026-10-25", (1, 0), "2026-10", ("2026-09-30T23:00:00Z", "2026-11-01T00:00:00Z")),
        };
        let midnight = at(&format!("{change}T00:00:00Z"));
        let (before, after) = (1 + roll(1, 3), 2 + roll(2, 3));
        let start = midnight.plus_millis(-before * DAY);
        let settings = Settings {
            premises: 40 + u32::from(dice[3] % 40),
            users: 6 + u16::from(dice[4] % 4),
            days: u32::try_from(before + after).unwrap(),
            start,
            bare_responses_ppm: 200_000,
            other_receipts_ppm: 100_000,
            ..Settings::default().with_disorder()
        };
        let day = |days: i64| midnight.plus_millis(days * DAY).to_string()[..10].to_owned();
        let period = Period {
            from: day(-roll(5, 2).min(before)),
            until: day(after - 1 + roll(6, 2)),
            month,
            of_month: (at(of_month.0), at(of_month.1)),
            change: midnight.plus_millis(HOUR),
            ahead,
        };
        let world = World::seeded(seed, settings).unwrap();
        let mut counts: BTreeMap<UserId, usize> = BTreeMap::new();
        world.truth().for_each(|row| *counts.entry(row.key.user).or_default() += 1);
        let mut users: Vec<(usize, UserId)> = counts.into_iter().map(|(user, count)| (count, user)).collect();
        users.sort();
        let (own, other) = (users[0].1, users.last().unwrap().1);
        let firmware = || world.firmware();
        let events: Vec<Event> = world.events().chain(firmware().flat_map(|story| story.events)).collect();
        let now = world.settings().end().plus_millis(DAY);
        let lake = lake_at(now, (&events, events.len() / 7 + 1), world.anomaly_events().collect()).await;
        let inventory: Vec<_> =
            world.inventory_events().chain(firmware().flat_map(|story| story.inventory)).collect();
        let mut writer = lake.writer().await.unwrap();
        let schedules: Vec<_> = world.schedules().flat_map(|story| story.events).collect();
        writer.commit(Batch { inventory, schedules, ..Batch::default() }).await.unwrap();
        Self { seed, world, lake, period, own, other }
    }

    /// All reports, before the grant, while it is in force, and after its rescission; the lake is compacted after the first of these.
    async fn hold(&self, rows: &mut BTreeMap<&'static str, usize>) {
        let end = self.world.settings().end();
        let times = [end.plus_millis(HOUR), end.plus_millis(3 * HOUR), end.plus_millis(5 * HOUR)];
        for (now, is_granted) in times.into_iter().zip([false, true, false]) {
            let who = self.who(now).await;
            let users: BTreeSet<UserId> = match is_granted {
                true => [self.own, self.other].into(),
                false => [self.own].into(),
            };
            let Self { seed, world, lake, period, .. } = self;
            if is_granted {
                let full = CompactionSettings { full: true, ..CompactionSettings::default() };
                lake.maintenance().await.unwrap().compact(&full).await.unwrap();
            }
            let asked = Asked { seed: *seed, world, lake, who: &who, now, users, period };
            self.all(&asked, rows).await;
        }
    }

    async fn all(&self, asked: &Asked<'_>, rows: &mut BTreeMap<&'static str, usize>) {
        let mut found = |name, count| *rows.entry(name).or_default() += count;
        found("monthly", monthly_transactions(asked).await);
        found("device", device_transactions(asked).await);
        found("load", load_balance(asked).await);
        let [firmware, followed, undistributed] = firmware_activations(asked).await;
        found("firmware", firmware);
        found("firmware with a version after", followed);
        found("firmware that was not distributed", undistributed);
        found("scheduled", scheduled_service_requests(asked).await);
        found("quarantined", self.quarantined(asked).await);
        let known = known(&self.world, self.world.settings().premises, asked.now);
        let of = (asked.lake, asked.who, asked.now);
        devices(of, &known, &asked.users).await;
        hubs(of, &known.unattached_hubs(), &asked.users).await;
    }

    /// The caller, by what the Parties told until then: each grants the other its rows two hours after the region's last day, and the other takes that back two
    /// hours later.
    async fn who(&self, now: Timestamp) -> Access {
        let end = self.world.settings().end();
        let [one, two]: [Party; 2] = ["one", "two"].map(|name| name.parse().unwrap());
        let mut told = Vec::new();
        for (user_id, party) in [(self.own, &one), (self.other, &two)] {
            let to = Assignment { party: party.clone(), role: UserRole::IS, descriptor: None };
            let from = end.plus_millis(-30 * DAY);
            told.push((from, AccessEvent::Assigned { user_id, to: Some(to), from }));
        }
        let ids = |user: UserId| BTreeSet::from([user]);
        for (name, kind, (by, own), (with, other), hours) in [
            ("a", NoticeKind::Grant, (&one, self.own), (&two, self.other), 1),
            ("b", NoticeKind::Grant, (&two, self.other), (&one, self.own), 2),
            ("c", NoticeKind::Rescind, (&two, self.other), (&one, self.own), 4),
        ] {
            let (id, at) =
                (name.parse::<gridtrail_access::NoticeId>().unwrap(), end.plus_millis(hours * HOUR));
            let notice = Notice {
                kind,
                by: by.clone(),
                with: with.clone(),
                own: ids(own),
                other: ids(other),
                at,
                sro: None,
            };
            told.push((at, AccessEvent::Notified { id: id.clone(), notice }));
            told.push((at, AccessEvent::Confirmed { id, at }));
        }
        let mut sharing = Sharing::default();
        told.into_iter().filter(|(at, _)| *at <= now).for_each(|(_, event)| sharing.take(event));
        let claims = Bearer {
            subject: "tester".to_owned(),
            party: one,
            org_id: OrgId::All,
            user_ids: self.world.users().iter().map(|user| user.id).collect(),
            roles: JobTypeRole::new(11).into_iter().collect(),
            valid_from: now,
            expires_at: now.plus_millis(HOUR),
        };
        let key = DevKey::generate().unwrap();
        let admission = Admission::new(key.gatekeeper().unwrap(), Arc::new(sharing));
        admission.admit(&key.mint(&claims).unwrap(), now).await.unwrap()
    }

    /// The Quarantined Requests Report: which communications it shows, and where each stands.
    async fn quarantined(&self, asked: &Asked<'_>) -> usize {
        let stories = self.world.anomaly().filter_map(|story| story.quarantined);
        let mut stories: Vec<ExpectedQuarantine> =
            stories.filter(|of| asked.users.contains(&of.user) && of.is_reported(asked.now)).collect();
        stories.sort_by_key(|of| (of.quarantined_at, of.user.to_string(), of.request_id.to_string()));
        let row = |of: &ExpectedQuarantine| {
            use gridtrail_anomaly::QuarantineState as State;
            let (state, action, done_at) = match of.state_at(asked.now) {
                Some(State::Released(at)) => ("Released", "Release", Some(at)),
                Some(State::Deleted(at)) => ("Deleted", "Delete", Some(at)),
                Some(State::Quarantined) => ("Quarantined", "", None),
                _ => ("Archived", "", None),
            };
            let [user, id] = [of.user.to_string(), of.request_id.to_string()];
            let alert = of.dcc_alert.to_string();
            [
                user,
                id,
                state.to_owned(),
                time(Some(of.quarantined_at)),
                alert,
                action.to_owned(),
                time(done_at),
            ]
        };
        let columns =
            ["user_id", "request_id", "state", "quarantined_at", "dcc_alert_id", "action", "action_at"];
        let report = report("quarantined-requests");
        let places =
            columns.map(|name| report.columns.iter().position(|column| column.name == name).unwrap());
        let rows = texts_at(&report, (asked.lake, asked.who, asked.now), &[]).await;
        let is_done = |row: &Vec<String>| !row[places[6]].is_empty();
        // What a User answered and nobody carried out yet is told by the report, and not by the script.
        let shown = |row: &Vec<String>| {
            let mut cells = places.map(|place| row[place].clone());
            if !is_done(row) {
                cells[5].clear();
            }
            cells
        };
        let found: Vec<_> = rows.iter().map(shown).collect();
        let expected: Vec<_> = stories.iter().map(row).collect();
        assert_eq!(found, expected, "seed {}, {:?}", self.seed, self.period);
        found.len()
    }
}
