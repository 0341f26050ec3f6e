//! The Parties of the region, and who lets whom see their records.
//!
//! Users of one kind and place are one Party: the first import, gas and export suppliers are `supplier-1`, the first networks
//! `network-1`, and each other User is a Party of its own. Each Party that has a next one has dealt with it in one of five ways,
//! in turn: a grant that stands, one that was rescinded in part, one that only one of them asked for, one that was rejected, and
//! none. All of it happened in the month before the region's first day.

use crate::settings::Settings;
use crate::users::User;
use gridtrail_access::{AccessEvent, AccessRecord, Assignment, Notice, NoticeId, NoticeKind, Party, Sro};
use gridtrail_model::{EventId, Timestamp, UserId, UserRole};
use std::collections::{BTreeMap, BTreeSet};

const DAY_MS: i64 = 86_400_000;

/// The Party of each User, in the order of the Users.
pub(crate) fn of_users(users: &[User]) -> Vec<Party> {
    let mut places: BTreeMap<UserRole, usize> = BTreeMap::new();
    let name = |user: &User| {
        let place = places.entry(user.role).or_default();
        *place += 1;
        let kind = match user.role {
            UserRole::IS | UserRole::GS | UserRole::ES => "supplier",
            UserRole::ED | UserRole::GT => "network",
            UserRole::OU | UserRole::RSA => "other",
        };
        // A word and a number: a Party's name has room for them.
        format!("{kind}-{place}").parse().unwrap_or_else(|_| unreachable!("a name of a Party"))
    };
    users.iter().map(name).collect()
}

/// Every event of access. With `one`, all Users are of that Party, and there is nothing else to tell.
pub(crate) fn events(users: &[User], settings: &Settings, one: Option<&Party>) -> Vec<AccessRecord> {
    let mut told = Telling { records: Vec::new(), start: settings.start };
    let parties = match one {
        Some(one) => vec![one.clone(); users.len()],
        None => of_users(users),
    };
    let mut owned: Vec<(Party, BTreeSet<UserId>)> = Vec::new();
    for (user, party) in users.iter().zip(parties) {
        let descriptor = format!("{} {}", party.as_str(), user.role).chars().take(30).collect::<String>();
        let to = Assignment { party: party.clone(), role: user.role, descriptor: descriptor.parse().ok() };
        let from = told.day(-30);
        told.tell(from, AccessEvent::Assigned { user_id: user.id, to: Some(to), from });
        match owned.iter_mut().find(|(known, _)| *known == party) {
            Some((_, ids)) => drop(ids.insert(user.id)),
            None => owned.push((party, BTreeSet::from([user.id]))),
        }
    }
    for (number, pair) in owned.windows(2).enumerate() {
        if let [first, second] = pair {
            told.deal(number, first, second);
        }
    }
    told.records
}

struct Telling {
    records: Vec<AccessRecord>,
    start: Timestamp,
}

type Owned = (Party, BTreeSet<UserId>);

impl Telling {
    fn day(&self, day: i64) -> Timestamp {
        self.start.plus_millis(day * DAY_MS)
    }

    fn tell(&mut self, recorded_at: Timestamp, event: AccessEvent) {
        let id: Result<EventId, _> = format!("access-{}", self.records.len()).parse();
        self.records.extend(id.map(|id| AccessRecord { id, recorded_at, event }));
    }

    /// What two Parties that follow one another agreed on.
    fn deal(&mut self, number: usize, first: &Owned, second: &Owned) {
        match number % 5 {
            0 => {
                self.confirmed((number, "a"), NoticeKind::Grant, (first, second), -20);
                self.confirmed((number, "b"), NoticeKind::Grant, (second, first), -19);
            }
            1 => {
                self.confirmed((number, "a"), NoticeKind::Grant, (first, second), -20);
                self.confirmed((number, "b"), NoticeKind::Grant, (second, first), -19);
                // One User ID of the one takes back what it gave to all of the other.
                let part = second.1.iter().take(1).copied().collect();
                self.confirmed((number, "c"), NoticeKind::Rescind, (&(second.0.clone(), part), first), -10);
            }
            2 => self.confirmed((number, "a"), NoticeKind::Grant, (first, second), -20),
            3 => {
                let Some(id) = self.notified((number, "a"), NoticeKind::Grant, (first, second), -20) else {
                    return;
                };
                let at = self.day(-19);
                if let Ok(reason) = "the officer could not be verified".parse() {
                    self.tell(at, AccessEvent::Rejected { id, at, reason });
                }
            }
            _ => {}
        }
    }

    fn notified(
        &mut self,
        (number, letter): (usize, &str),
        kind: NoticeKind,
        (by, with): (&Owned, &Owned),
        day: i64,
    ) -> Option<NoticeId> {
        let id: NoticeId = format!("notice-{number}{letter}").parse().ok()?;
        let at = self.day(day);
        let sro = Sro {
            name: format!("Sam Example of {}", by.0),
            telephone: "020 7946 0000".to_owned(),
            email: format!("sro@{}.example", by.0),
            signature: format!("signatures/{id}"),
        };
        let (own, other) = (by.1.clone(), with.1.clone());
        let notice = Notice { kind, by: by.0.clone(), with: with.0.clone(), own, other, at, sro: Some(sro) };
        self.tell(at, AccessEvent::Notified { id: id.clone(), notice });
        Some(id)
    }

    fn confirmed(&mut self, id: (usize, &str), kind: NoticeKind, between: (&Owned, &Owned), day: i64) {
        if let Some(id) = self.notified(id, kind, between, day) {
            let at = self.day(day).plus_millis(DAY_MS / 2);
            self.tell(at, AccessEvent::Confirmed { id, at });
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Settings, World};
    use gridtrail_access::{OrgId, Sharing};

    /// All five ways of dealing with one another are there, and come to what they say.
    #[test]
    fn neighbours_share_lose_ask_are_refused_or_keep_to_themselves() {
        let world = World::seeded(3, Settings::for_events(1_000, 1)).unwrap();
        let mut sharing = Sharing::default();
        world.access_events(None).into_iter().for_each(|record| sharing.take(record.event));
        assert_eq!(sharing.refused(), []);
        let now = world.settings().start;
        let mut parties = Vec::new();
        for user in world.users() {
            let party = world.party_of(user.id).unwrap();
            assert_eq!(sharing.owner(user.id, now), Some(&party));
            if !parties.contains(&party) {
                parties.push(party);
            }
        }
        assert!(parties.len() > 6, "{parties:?}");
        let seen = |number: usize, other: usize| {
            let own = sharing.owned_by(&parties[number], now);
            let theirs = sharing.owned_by(&parties[other], now);
            let all = sharing.effective(&parties[number], &theirs, OrgId::GrantedOnly, now);
            (all.len() - own.len(), theirs.len())
        };
        for number in 0..5 {
            let (seen, of) = seen(number, number + 1);
            match number {
                0 => assert_eq!(seen, of, "a grant that stands"),
                1 => assert_eq!(seen, of - 1, "a grant that was rescinded in part"),
                _ => assert_eq!(seen, 0, "{number}"),
            }
        }
    }

    #[test]
    fn one_party_may_have_it_all() {
        let world = World::seeded(3, Settings::for_events(1_000, 1)).unwrap();
        let mut sharing = Sharing::default();
        let one = "region".parse().unwrap();
        world.access_events(Some(&one)).into_iter().for_each(|record| sharing.take(record.event));
        assert_eq!(sharing.owned_by(&one, world.settings().start).len(), world.users().len());
    }
}
