//! What Parties tell the DCC, by chance: grants that are answered or not, with the same lists or with others, rescissions of parts
//! of them, and User IDs that change hands. No two facts are of one time, so which came first is never in doubt.

use super::world::{Side, index, is_assigned, part_of, party, pick, some_of};
use crate::crash::Chance;
use gridtrail_access::{AccessEvent, Notice, NoticeId, NoticeKind, Sro};
use gridtrail_model::{Timestamp, UserId};
use std::collections::BTreeMap;

const DAY_MS: u64 = 86_400_000;
/// How long the DCC takes at most to confirm or reject a notice: others are sent meanwhile.
const FATE_MS_MAX: u64 = DAY_MS / 4;

/// What Parties do, one thing after the other.
struct Story<'a> {
    chance: &'a mut Chance,
    clock: Timestamp,
    step_ms: u64,
    facts: BTreeMap<Timestamp, AccessEvent>,
    /// The User IDs of each Party. None is ever without.
    owned: Vec<Vec<UserId>>,
    /// User IDs that went to another Party, with the one that they came from.
    away: Vec<(UserId, usize)>,
    /// What was granted, whatever became of it.
    links: Vec<[Side; 2]>,
    sent: u64,
}

/// All that was told from a time on, a day or two of it: first whose each User ID is, then so many notices.
pub(super) fn told(
    owned: Vec<Vec<UserId>>,
    notices: u64,
    start: Timestamp,
    chance: &mut Chance,
) -> BTreeMap<Timestamp, AccessEvent> {
    let each = owned.iter().enumerate().flat_map(|(to, users)| users.iter().map(move |user| (to, *user)));
    let mut facts = BTreeMap::new();
    let mut clock = start;
    for (to, user) in each {
        clock = clock.plus_millis(1);
        facts.insert(clock, is_assigned(user, to, clock));
    }
    let step_ms = 1 + DAY_MS / notices.max(1);
    let (away, links) = (Vec::new(), Vec::new());
    let mut story = Story { chance, clock, step_ms, facts, owned, away, links, sent: 0 };
    story.tell(notices);
    story.facts
}

impl Story<'_> {
    fn tell(&mut self, notices: u64) {
        while self.sent < notices {
            match self.chance.below(40) {
                _ if self.links.is_empty() => self.grant(),
                0 => self.reassign(),
                1..=10 => self.rescind(),
                _ => self.grant(),
            }
        }
    }

    /// A time up to so long after another, at which nothing else happens.
    fn after(&mut self, at: Timestamp, ms_max: u64) -> Timestamp {
        let ms = 1 + self.chance.below(ms_max);
        let mut after = at.plus_millis(ms.cast_signed());
        while self.facts.contains_key(&after) {
            after = after.plus_millis(1);
        }
        after
    }

    fn pass(&mut self) -> Timestamp {
        self.clock = self.after(self.clock, self.step_ms);
        self.clock
    }

    /// A Party other than this one.
    fn another(&mut self, than: usize) -> usize {
        let count = self.owned.len();
        (than + 1 + index(count - 1, self.chance)) % count
    }

    /// A User ID that is not this Party's.
    fn foreign(&mut self, to: usize) -> UserId {
        let owner = self.another(to);
        *pick(&self.owned[owner], self.chance)
    }

    fn send(&mut self, kind: NoticeKind, [own, other]: [Side; 2]) {
        let (number, at) = (self.sent, self.pass());
        self.sent += 1;
        let id = || -> NoticeId { format!("notice-{number}").parse().unwrap() };
        let (mut by, mut with) = (party(own.0), party(other.0));
        let slip = if kind == NoticeKind::Rescind { self.chance.below(20) } else { 20 };
        match slip {
            // The other Party is written in another way, or is another one; of the sender that happens seldom.
            0..=2 => with = format!("{with} Ltd").parse().unwrap(),
            3 => with = party(self.another(own.0)),
            4 => by = format!("{by} Ltd").parse().unwrap(),
            _ => {}
        }
        let sro = self.officer();
        let notice = Notice { kind, by, with, own: own.1, other: other.1, at, sro };
        self.facts.insert(at, AccessEvent::Notified { id: id(), notice });
        // Of a hundred four wait and four are rejected; a grant may be both confirmed and rejected, and is none then.
        let fate = self.chance.below(100);
        if fate >= 8 {
            let at = self.after(at, FATE_MS_MAX);
            self.facts.insert(at, AccessEvent::Confirmed { id: id(), at });
        }
        if (4..8).contains(&fate) || (kind == NoticeKind::Grant && (8..10).contains(&fate)) {
            let at = self.after(at, FATE_MS_MAX);
            let reason = "not authentic".parse().unwrap();
            self.facts.insert(at, AccessEvent::Rejected { id: id(), at, reason });
        }
    }

    /// Some are without a name, and some have more to say than is kept: neither decides anything.
    fn officer(&mut self) -> Option<Sro> {
        let text = |text: &str| text.to_owned();
        let name = match self.chance.below(8) {
            0 => String::new(),
            1 => "Jo ".repeat(200),
            2 => text("Jo Soap"),
            _ => return None,
        };
        Some(Sro { name, telephone: text("1"), email: text("jo@example.org"), signature: text("s") })
    }

    /// Mostly both Parties send one, and mostly with the same lists.
    fn grant(&mut self) {
        let is_repeat = !self.links.is_empty() && self.chance.below(10) < 3;
        let link = if is_repeat { pick(&self.links, self.chance).clone() } else { self.new_link() };
        let mut sent = link.clone();
        if self.chance.below(20) == 0 {
            let side = index(2, self.chance);
            let stranger = self.foreign(sent[side].0);
            sent[side].1.insert(stranger);
        }
        self.send(NoticeKind::Grant, sent);
        if self.chance.below(100) < 85 {
            let [one, other] = link.clone();
            let mut answer = [other, one];
            if self.chance.below(3) == 0 {
                for (number, users) in &mut answer {
                    *users = part_of(users, self.chance);
                    users.extend(some_of(&self.owned[*number], self.chance));
                }
            }
            self.send(NoticeKind::Grant, answer);
        }
        if !is_repeat {
            self.links.push(link);
        }
    }

    fn new_link(&mut self) -> [Side; 2] {
        let by = index(self.owned.len(), self.chance);
        let with = self.another(by);
        [by, with].map(|number| (number, some_of(&self.owned[number], self.chance)))
    }

    /// Mostly of a part of what was granted, by either Party.
    fn rescind(&mut self) {
        let [one, other] = pick(&self.links, self.chance).clone();
        let mut sides = if self.chance.below(2) == 0 { [one, other] } else { [other, one] };
        for (_, users) in &mut sides {
            *users = part_of(users, self.chance);
        }
        let (by, with) = (sides[0].0, sides[1].0);
        match self.chance.below(20) {
            // Of its own it names what is not: the others' pairs end all the same.
            0 => {
                let stranger = self.foreign(by);
                sides[0].1.insert(stranger);
            }
            // As the other's it names what it shares with a third Party: that ends, too.
            1..=3 => {
                let latest = self.links.iter().rev();
                let mut both_ways = latest.flat_map(|[one, other]| [[one, other], [other, one]]);
                let third = both_ways.find(|[mine, theirs]| mine.0 == by && theirs.0 != with);
                if let Some([mine, theirs]) = third {
                    sides[0].1.extend(&mine.1);
                    sides[1].1.extend(&theirs.1);
                }
            }
            _ => {}
        }
        self.send(NoticeKind::Rescind, sides);
    }

    /// A User ID that somebody shares goes to another Party, or one goes back to where it came from.
    fn reassign(&mut self) {
        let goes_back = !self.away.is_empty() && self.chance.below(2) == 0;
        let (user, to) = if goes_back {
            let place = index(self.away.len(), self.chance);
            self.away.swap_remove(place)
        } else {
            let [(_, users), _] = pick(&self.links, self.chance);
            let users: Vec<UserId> = users.iter().copied().collect();
            (*pick(&users, self.chance), index(self.owned.len(), self.chance))
        };
        let from = self.owned.iter().position(|owned| owned.contains(&user)).unwrap();
        if from == to || self.owned[from].len() == 1 {
            return;
        }
        self.owned[from].retain(|owned| *owned != user);
        self.owned[to].push(user);
        self.away.push((user, from));
        let at = self.pass();
        self.facts.insert(at, is_assigned(user, to, at));
    }
}
