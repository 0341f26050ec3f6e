//! Parties, Users, Devices and their rows, the people who look at them, and the files that tell of it all.

use super::clauses::Clauses;
use super::story;
use crate::crash::Chance;
use crate::support::setting;
use gridtrail_access::{
    AccessEvent, AccessRecord, Assignment, Bearer, JobTypeRole, Notice, NoticeId, NoticeKind, OrgId, Party,
};
use gridtrail_codec::{encode_access_json, encode_json};
use gridtrail_model::{
    Body, CommandVariant, Correlation, DeviceId, Event, Mode, RequestId, RequestReceived, Timestamp, UserId,
    UserRole,
};
use gridtrail_runtime::Clock;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Most User IDs of a token, and most that a page token names: of more it holds a digest.
pub(super) const USER_IDS_MAX: usize = 64;
const DAY_MS: i64 = 86_400_000;
const ROWS_OF_A_DEVICE: u64 = 100;
/// Rows of a Device come at so few moments that some share one.
const MOMENTS: u64 = 200;
const MOMENT_MS: i64 = 1_000_000;
/// The Users of so many notices have half of the rows of a Device.
const NOTICES_OF_A_DEVICE: u64 = 8;
const LIST_USERS_MAX: u64 = 4;
const FACTS_OF_A_FILE: usize = 1_500;

/// What is told of rights, and the time that it is of.
pub(super) type Fact = (Timestamp, AccessEvent);
/// A Party by its number, and some User IDs that are said to be its own.
pub(super) type Side = (usize, BTreeSet<UserId>);
/// Two User IDs, the smaller first.
pub(super) type Pair = (UserId, UserId);

fn user_id(number: u64) -> UserId {
    UserId::from_bytes((0x90B3_D51F_3000_0000 + number).to_be_bytes())
}

fn device_id(number: u64) -> DeviceId {
    DeviceId::from_bytes((0x00DB_1234_5600_0000 + number).to_be_bytes())
}

pub(super) fn party(number: usize) -> Party {
    format!("party-{number}").parse().unwrap()
}

pub(super) fn index(length: usize, chance: &mut Chance) -> usize {
    usize::try_from(chance.below(length as u64)).unwrap()
}

pub(super) fn pick<'a, T>(all: &'a [T], chance: &mut Chance) -> &'a T {
    &all[index(all.len(), chance)]
}

pub(super) fn some_of(users: &[UserId], chance: &mut Chance) -> BTreeSet<UserId> {
    let count = 1 + chance.below(LIST_USERS_MAX);
    (0..count).map(|_| *pick(users, chance)).collect()
}

/// One of them at least.
pub(super) fn part_of(users: &BTreeSet<UserId>, chance: &mut Chance) -> BTreeSet<UserId> {
    let all: Vec<UserId> = users.iter().copied().collect();
    let sure = *pick(&all, chance);
    all.into_iter().filter(|user| *user == sure || chance.below(3) > 0).collect()
}

pub(super) fn ordered(one: UserId, other: UserId) -> Pair {
    (one.min(other), one.max(other))
}

fn both_ways(pairs: impl IntoIterator<Item = Pair>) -> Vec<Pair> {
    pairs.into_iter().flat_map(|(one, other)| [(one, other), (other, one)]).collect()
}

pub(super) fn is_assigned(user_id: UserId, to: usize, from: Timestamp) -> AccessEvent {
    let to = Some(Assignment { party: party(to), role: UserRole::OU, descriptor: None });
    AccessEvent::Assigned { user_id, to, from }
}

/// A request of a User: all of it that matters here.
pub(super) struct Row {
    pub(super) user: UserId,
    pub(super) is_read: bool,
    pub(super) id: String,
    received: Timestamp,
    counter: u64,
}

impl Row {
    fn event(&self, device: DeviceId) -> Event {
        let variant = if self.is_read { "4.8.1" } else { "6.8" };
        let correlation = Correlation {
            request_id: Some(RequestId { originator: self.user, target: device, counter: self.counter }),
            request_received_at: Some(self.received),
            command_variant: CommandVariant::new(1),
            device_id: Some(device),
            variant: Some(variant.parse().unwrap()),
            mode: Some(Mode::OnDemand),
            ..Correlation::of_user(self.user)
        };
        let body = Body::RequestReceived(RequestReceived::default());
        Event { id: self.id.parse().unwrap(), recorded_at: self.received, correlation, body }
    }
}

/// The rows of a Device, newest first: half of them of each of these lists of Users, about.
fn rows_of(device: DeviceId, users: [&[UserId]; 2], now: Timestamp, chance: &mut Chance) -> Vec<Row> {
    let row = |counter: u64| {
        let users = *pick(&users, chance);
        let user = *pick(users, chance);
        let ago = 1 + chance.below(MOMENTS);
        let received = now.plus_millis(-MOMENT_MS * ago.cast_signed());
        let id = RequestId { originator: user, target: device, counter }.to_string();
        Row { user, is_read: chance.below(5) == 0, id, received, counter }
    };
    let mut rows: Vec<Row> = (1..=ROWS_OF_A_DEVICE).map(row).collect();
    rows.sort_by_key(|row| Reverse((row.received, row.user, row.counter)));
    rows
}

/// One User ID for each Party, then to some more than to others, and to the first more than a page token names.
fn owned(parties: usize, users: &[UserId], chance: &mut Chance) -> Vec<Vec<UserId>> {
    assert!(parties > 2 && users.len() >= parties, "each Party has a User ID");
    let mut owned = vec![Vec::new(); parties];
    for (number, user) in users.iter().enumerate() {
        let most = 1 + index(parties, chance);
        let more = if chance.below(20) == 0 { 0 } else { index(most, chance) };
        owned[if number < parties { number } else { more }].push(*user);
    }
    owned
}

/// Everything there is, and what is told of rights before the server starts and while it runs.
pub(super) struct World {
    pub(super) devices: BTreeMap<DeviceId, Vec<Row>>,
    /// How many are sent.
    pub(super) notices: usize,
    now: Timestamp,
    users: Vec<UserId>,
    first: Vec<Fact>,
    later: Vec<Fact>,
}

/// Somebody who, with the last thing that is told, loses sight of the rows of another on a Device.
pub(super) struct Watched {
    pub(super) bearer: Bearer,
    pub(super) other: UserId,
    pub(super) device: DeviceId,
}

impl World {
    pub(super) fn made(chance: &mut Chance) -> Self {
        let now = Clock::system().now();
        let size = |name: &str, everyday: u64| setting(&format!("GRIDTRAIL_WORLD_{name}"), everyday);
        let (parties, notices) = (size("PARTIES", 300), size("NOTICES", 2_000));
        let users: Vec<UserId> = (0..size("USERS", 3_000)).map(user_id).collect();
        let owned = owned(usize::try_from(parties).unwrap(), &users, chance);
        let told = story::told(owned, notices, now.plus_millis(-3 * DAY_MS), chance);
        let sent: Vec<&Notice> = told.values().filter_map(notice_of).collect();
        let mut devices = BTreeMap::new();
        for device in (0..size("DEVICES", 30)).map(device_id) {
            // Users who share something meet there, and some who do not.
            let mut sharing: Vec<UserId> = Vec::new();
            for _ in 0..NOTICES_OF_A_DEVICE {
                let notice = *pick(&sent, chance);
                sharing.extend(notice.own.iter().chain(&notice.other).copied());
            }
            devices.insert(device, rows_of(device, [&sharing, &users], now, chance));
        }
        let notices = sent.len();
        // Whose each User ID is comes first.
        let known = users.len();
        let cut = known + (told.len() - known) * 7 / 10;
        let (mut first, mut later) = (Vec::new(), Vec::new());
        for (number, fact) in told.into_iter().enumerate() {
            // Some of what was before comes late, too.
            let is_late = number >= cut || (number >= known && chance.below(20) == 0);
            if is_late { later.push(fact) } else { first.push(fact) }
        }
        assert!(later.last().is_some_and(|(at, _)| *at < now.plus_millis(-1_000)), "it is all of the past");
        Self { devices, notices, now, users, first, later }
    }

    /// By what is told first.
    pub(super) fn before(&self) -> Clauses {
        Clauses::of(&self.first, self.now)
    }

    /// By all that is told.
    pub(super) fn after(&self) -> Clauses {
        Clauses::of(self.first.iter().chain(&self.later), self.now)
    }

    fn bearer(&self, subject: String, party: Party, org_id: OrgId, user_ids: BTreeSet<UserId>) -> Bearer {
        let roles = JobTypeRole::new(1).into_iter().collect();
        let (valid_from, expires_at) = (self.now.plus_millis(-60_000), self.now.plus_millis(DAY_MS / 4));
        Bearer { subject, party, org_id, user_ids, roles, valid_from, expires_at }
    }

    /// Has a pair that is in force all the time be rescinded in the end.
    pub(super) fn rescind_at_last(&mut self) -> Watched {
        let (before, after) = (self.before(), self.after());
        let shared = both_ways(before.pairs().intersection(after.pairs()).copied());
        let found = shared.into_iter().find_map(|(own, other)| {
            let (by, with) = (after.owner(own)?.clone(), after.owner(other)?.clone());
            let mut devices = self.devices.iter();
            let (device, _) = devices.find(|(_, rows)| rows.iter().any(|row| row.user == other))?;
            let is_known = before.owner(own) == Some(&by);
            is_known.then_some((own, other, by, with, *device))
        });
        let (own, other, by, with, device) = found.expect("a world of this size has such a pair");
        let bearer = self.bearer("watcher".to_owned(), by.clone(), OrgId::All, [own, other].into());
        let (end, _) = self.later.last().expect("something is told later");
        let (sent, confirmed) = (end.plus_millis(1), end.plus_millis(2));
        let notice = Notice {
            kind: NoticeKind::Rescind,
            by,
            with,
            own: [own].into(),
            other: [other].into(),
            at: sent,
            sro: None,
        };
        let id: NoticeId = "the-last".parse().unwrap();
        self.later.push((sent, AccessEvent::Notified { id: id.clone(), notice }));
        self.later.push((confirmed, AccessEvent::Confirmed { id, at: confirmed }));
        self.notices += 1;
        Watched { bearer, other, device }
    }

    /// People of Parties that shared something at some time.
    pub(super) fn people(&self, before: &Clauses, after: &Clauses, chance: &mut Chance) -> Vec<Bearer> {
        let shared = both_ways(before.pairs().union(after.pairs()).copied());
        let count = setting("GRIDTRAIL_WORLD_CALLERS", 150);
        (0..count).map(|number| self.person(number, &shared, after, chance)).collect()
    }

    /// Somebody who holds some of their Party's own User IDs, most that were ever shared with it, and a few that were not.
    fn person(&self, number: u64, shared: &[Pair], clauses: &Clauses, chance: &mut Chance) -> Bearer {
        let (own, granted) = *pick(shared, chance);
        // The first is of the Party with more User IDs than a page token names.
        let is_first = number == 0;
        let of = if is_first { party(0) } else { clauses.owner(own).unwrap().clone() };
        let is_own = |user: UserId| clauses.owner(user) == Some(&of);
        let mut ids: Vec<UserId> = self.users.iter().copied().filter(|user| is_own(*user)).collect();
        ids.retain(|_| chance.below(2) == 0);
        let theirs = shared.iter().filter(|(own, _)| is_own(*own)).map(|(_, other)| *other);
        ids.extend(theirs.filter(|_| chance.below(4) > 0));
        ids.extend((0..8).map(|_| *pick(&self.users, chance)));
        for place in (1..ids.len()).rev() {
            ids.swap(place, index(place + 1, chance));
        }
        ids.truncate(USER_IDS_MAX - 1);
        // Some hold only one of two that are shared: the other's.
        if number % 5 == 1 {
            ids.retain(|user| *user != own);
            ids.push(granted);
        } else {
            ids.push(own);
        }
        let is_granted_only = is_first || chance.below(3) == 0;
        let org_id = if is_granted_only { OrgId::GrantedOnly } else { OrgId::All };
        self.bearer(format!("person-{number}"), of, org_id, ids.into_iter().collect())
    }

    /// The rows and what is told first in one folder, and what is told later in another.
    pub(super) fn write(&self, folder: &Path) {
        for (name, facts) in [("first", &self.first), ("later", &self.later)] {
            let folder = folder.join(name);
            std::fs::create_dir(&folder).unwrap();
            // Files are read in the order of their names, so that the last fact is the last to be taken in.
            for (number, part) in facts.chunks(FACTS_OF_A_FILE).enumerate() {
                let lines: String =
                    part.iter().map(|fact| encode_access_json(&record(fact)) + "\n").collect();
                std::fs::write(folder.join(format!("{number:06}.access.jsonl")), lines).unwrap();
            }
        }
        let mut lines = String::new();
        for (device, rows) in &self.devices {
            rows.iter().for_each(|row| lines.extend([encode_json(&row.event(*device)).as_str(), "\n"]));
        }
        std::fs::write(folder.join("first/rows.jsonl"), lines).unwrap();
    }
}

fn notice_of(event: &AccessEvent) -> Option<&Notice> {
    match event {
        AccessEvent::Notified { notice, .. } => Some(notice),
        _ => None,
    }
}

fn record((at, event): &Fact) -> AccessRecord {
    let id = format!("fact-{}", at.millis()).parse().unwrap();
    AccessRecord { id, recorded_at: *at, event: event.clone() }
}
