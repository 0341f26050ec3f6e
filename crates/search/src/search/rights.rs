//! Whose rows a search shows, in random worlds: against an oracle that knows neither the fold nor tokens nor pages.

use super::*;
use crate::fake::FakeLake;
use crate::query::SearchKey;
use futures::executor::block_on;
use gridtrail_access::{
    AccessEvent, Admission, Assignment, Bearer, DevKey, JobTypeRole, Notice, NoticeKind, OrgId, Party,
    Sharing,
};
use gridtrail_model::{
    Anchor, CommandVariant, Fragment, Leg, RequestId, Subject, TrailKey, UserId, UserRole,
};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::LazyLock;

static KEY: LazyLock<DevKey> = LazyLock::new(|| DevKey::generate().unwrap());

const PARTIES: u8 = 4;
const USERS: u8 = 12;
const ROWS_EACH: u8 = 3;
/// The last second of a story.
const END: i64 = 100;

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis(1_772_323_200_000 + second * 1_000).unwrap()
}

fn user(n: u8) -> UserId {
    UserId::from_bytes([0x88, 0x73, 0x84, 0x57, 0, 0, 0, n])
}

fn users(all: &BTreeSet<u8>) -> BTreeSet<UserId> {
    all.iter().copied().map(user).collect()
}

fn party(n: u8) -> Party {
    format!("party-{n}").parse().unwrap()
}

/// The Party that a User ID is assigned to.
fn owner(user: u8) -> u8 {
    user % PARTIES
}

fn device() -> DeviceId {
    DeviceId::from_bytes([0x90, 0xB3, 0xD5, 0x1F, 0x30, 0, 0, 1])
}

/// Rows of all Users, mixed in time.
fn rows() -> Vec<Fragment> {
    let row = |user_number: u8, counter: u8| {
        let request_id =
            RequestId { originator: user(user_number), target: device(), counter: counter.into() };
        let subject = Subject::Leg(Leg { request_id, command_variant: CommandVariant::new(1).unwrap() });
        let mut fragment = Fragment::new(TrailKey { user: user(user_number), subject }, at(0));
        fragment.device.add(device());
        fragment.received.add(at(i64::from((user_number * 7 + counter * 5) % 11)));
        fragment.variant.add("11.2".parse().unwrap());
        fragment
    };
    (0..USERS).flat_map(|user| (0..ROWS_EACH).map(move |counter| row(user, counter))).collect()
}

/// A notification, and what became of it.
#[derive(Debug, Clone)]
struct NoticeStory {
    rescinds: bool,
    by: u8,
    with: u8,
    own: BTreeSet<u8>,
    other: BTreeSet<u8>,
    sent: i64,
    confirmed: Option<i64>,
    rejected: Option<i64>,
}

impl NoticeStory {
    /// Each fact of it, with the second at which it is ingested.
    fn facts(&self, number: usize) -> Vec<(i64, AccessEvent)> {
        let id = || format!("n{number}").parse().unwrap();
        let notice = Notice {
            kind: if self.rescinds { NoticeKind::Rescind } else { NoticeKind::Grant },
            by: party(self.by),
            with: party(self.with),
            own: users(&self.own),
            other: users(&self.other),
            at: at(self.sent),
            sro: None,
        };
        let mut facts = vec![(self.sent, AccessEvent::Notified { id: id(), notice })];
        facts.extend(self.confirmed.map(|s| (s, AccessEvent::Confirmed { id: id(), at: at(s) })));
        let why = || "no".parse().unwrap();
        facts
            .extend(self.rejected.map(|s| (s, AccessEvent::Rejected { id: id(), at: at(s), reason: why() })));
        facts
    }

    fn is_confirmed(&self, now: i64) -> bool {
        self.confirmed.is_some_and(|second| second <= now)
    }

    /// Whether it grants something by a time: every User ID that it names is its Party's.
    fn grants(&self, now: i64) -> bool {
        let sound = self.by != self.with
            && self.own.iter().all(|n| owner(*n) == self.by)
            && self.other.iter().all(|n| owner(*n) == self.with);
        !self.rescinds && sound && self.is_confirmed(now) && self.rejected.is_none_or(|second| second > now)
    }

    fn rescinds(&self, now: i64) -> bool {
        self.rescinds && self.is_confirmed(now)
    }

    /// Whether a User ID is its sender's.
    fn is_senders(&self, user: u8) -> bool {
        owner(user) == self.by
    }

    /// Whether it names a pair, in one direction or the other, with one on the sender's side that is as it should be.
    fn names(&self, (one, other): (u8, u8), as_it_should: impl Fn(u8) -> bool) -> bool {
        let names = |a, b| self.own.contains(&a) && self.other.contains(&b) && as_it_should(a);
        names(one, other) || names(other, one)
    }
}

/// Whether two User IDs see each other's rows: straight from the clauses, over all notifications there are.
fn in_force(story: &[NoticeStory], one: u8, other: u8, now: i64) -> bool {
    let pair = (one, other);
    let rescissions: Vec<_> = story.iter().filter(|t| t.rescinds(now)).collect();
    // Of whose User IDs none is its sender's: that cannot be what was confirmed, and nobody has settled it.
    let suspends = |t: &&&NoticeStory| !t.own.iter().any(|n| t.is_senders(*n)) && t.names(pair, |_| true);
    if rescissions.iter().any(|t| suspends(&t)) {
        return false;
    }
    let ended = rescissions.iter().filter(|t| t.names(pair, |n| t.is_senders(n)));
    let ended = ended.filter_map(|t| t.confirmed).max().unwrap_or(i64::MIN);
    let granted = |a, b| {
        let grants = |t: &NoticeStory| t.own.contains(&a) && t.other.contains(&b) && t.sent > ended;
        story.iter().any(|t| t.grants(now) && grants(t))
    };
    granted(one, other) && granted(other, one)
}

/// A person who is logged in.
#[derive(Debug, Clone)]
struct Person {
    party: u8,
    granted_only: bool,
    ids: BTreeSet<u8>,
}

impl Person {
    fn token(&self, subject: &str) -> String {
        let claims = Bearer {
            subject: subject.to_owned(),
            party: party(self.party),
            org_id: if self.granted_only { OrgId::GrantedOnly } else { OrgId::All },
            user_ids: users(&self.ids),
            roles: JobTypeRole::new(1).into_iter().collect(),
            valid_from: at(-10),
            expires_at: at(END + 10),
        };
        KEY.mint(&claims).unwrap()
    }

    /// The Users whose rows they see.
    fn sees(&self, story: &[NoticeStory], now: i64) -> BTreeSet<u8> {
        let mine = |n: &u8| owner(*n) == self.party;
        let own: Vec<u8> =
            (0..USERS).filter(mine).filter(|n| self.granted_only || self.ids.contains(n)).collect();
        let sees = |n: &u8| {
            own.contains(n) || (self.ids.contains(n) && own.iter().any(|own| in_force(story, *n, *own, now)))
        };
        (0..USERS).filter(sees).collect()
    }
}

fn told() -> impl Strategy<Value = NoticeStory> {
    let ids = || prop::collection::btree_set(0..USERS, 1..5);
    let times = (0..END, prop::option::weighted(0.9, 0i64..15), prop::option::weighted(0.1, 0i64..30));
    (prop::bool::weighted(0.3), 0..PARTIES, 0..PARTIES, ids(), ids(), times, prop::bool::weighted(0.1))
        .prop_map(|(rescinds, by, with, own, other, (sent, confirmed, rejected), stray)| {
            // Most name what is theirs; some do not, and count for nothing.
            let of = |ids: BTreeSet<u8>, party: u8| -> BTreeSet<u8> {
                ids.into_iter().map(|n| if stray { n } else { n / PARTIES * PARTIES + party }).collect()
            };
            let (own, other) = (of(own, by), of(other, with));
            let (confirmed, rejected) =
                (confirmed.map(|after| sent + after), rejected.map(|after| sent + after));
            NoticeStory { rescinds, by, with, own, other, sent, confirmed, rejected }
        })
}

/// Notifications of which many answer one another.
fn story() -> impl Strategy<Value = Vec<NoticeStory>> {
    let answered = (told(), prop::option::weighted(0.8, 0i64..10)).prop_map(|(told, after)| {
        let answer = after.filter(|_| !told.rescinds).map(|after| NoticeStory {
            by: told.with,
            with: told.by,
            own: told.other.clone(),
            other: told.own.clone(),
            sent: told.sent + after,
            confirmed: Some(told.sent + after),
            rejected: None,
            ..told.clone()
        });
        std::iter::once(told).chain(answer).collect::<Vec<_>>()
    });
    prop::collection::vec(answered, 0..12).prop_map(|all| all.into_iter().flatten().collect())
}

fn person(of: impl Strategy<Value = u8>) -> impl Strategy<Value = Person> {
    let ids = prop::collection::btree_set(0..USERS, 1..usize::from(USERS));
    (of, any::<bool>(), ids).prop_map(|(party, granted_only, ids)| Person { party, granted_only, ids })
}

/// A search whose rights follow a story.
struct World {
    story: Vec<NoticeStory>,
    facts: Vec<(i64, AccessEvent)>,
    sharing: Arc<Sharing>,
    admission: Admission,
    search: Search,
    clock: Clock,
}

impl World {
    fn new(story: Vec<NoticeStory>) -> Self {
        let mut sharing = Sharing::default();
        for n in 0..USERS {
            let to = Some(Assignment { party: party(owner(n)), role: UserRole::IS, descriptor: None });
            sharing.take(AccessEvent::Assigned { user_id: user(n), to, from: at(-100) });
        }
        let sharing = Arc::new(sharing);
        let lake = FakeLake::default();
        lake.commit(rows(), Some(at(0)));
        let clock = Clock::manual(at(0));
        let mut facts: Vec<_> =
            story.iter().enumerate().flat_map(|(number, told)| told.facts(number)).collect();
        // The first is the next: those of a second in any order.
        facts.sort_by_key(|(second, _)| std::cmp::Reverse(*second));
        Self {
            story,
            facts,
            admission: Admission::new(KEY.gatekeeper().unwrap(), Arc::clone(&sharing)),
            sharing,
            search: Search::new(lake, clock.clone(), PageKey::random().unwrap()),
            clock,
        }
    }

    /// Lives until a second, taking in what is told by then.
    fn live_until(&mut self, second: i64) {
        let passed = at(second).millis() - self.clock.now().millis();
        self.clock.advance(passed);
        while let Some((_, fact)) = self.facts.pop_if(|(told, _)| *told <= second) {
            Arc::make_mut(&mut self.sharing).take(fact);
            self.admission.replace(Arc::clone(&self.sharing));
        }
    }

    fn page(&self, token: &str, query: &Query) -> Result<Page, SearchError> {
        let who = block_on(self.admission.admit(token, self.clock.now())).unwrap();
        block_on(self.search.audit_trails(&who, query))
    }
}

/// The rows of some Users behind a place, newest first.
fn expected(of: &BTreeSet<u8>, before: Option<RowPosition>) -> Vec<RowPosition> {
    let of = users(of);
    let place =
        |fragment: Fragment| RowPosition { placement: fragment.placement().unwrap(), key: fragment.key };
    let mut places: Vec<RowPosition> = rows().into_iter().map(place).collect();
    places.retain(|place| of.contains(&place.key.user) && before.is_none_or(|before| *place < before));
    places.sort_unstable_by(|a, b| b.cmp(a));
    places
}

fn places(page: &Page) -> Vec<RowPosition> {
    page.rows.iter().map(|row| row.reference.position).collect()
}

fn by_device(page_size: u32, page_token: Option<String>) -> Query {
    Query { page_size: Some(page_size), page_token, ..Query::of(SearchKey::Device(device())) }
}

proptest! {
    /// Not one row too many or few, at any time, for anybody; also by a token that was used before.
    #[test]
    fn a_search_shows_the_rows_that_the_clauses_say(
        story in story(),
        people in prop::collection::vec(person(0..PARTIES), 1..4),
        times in prop::collection::btree_set(0..END, 1..6),
    ) {
        let mut world = World::new(story);
        let tokens: Vec<String> = people.iter().map(|person| person.token("ann")).collect();
        for now in times {
            world.live_until(now);
            for (person, token) in people.iter().zip(&tokens) {
                let found = places(&world.page(token, &by_device(1_000, None)).unwrap());
                let sees = person.sees(&world.story, now);
                prop_assert_eq!(&found, &expected(&sees, None), "at {}: {:?} sees {:?}", now, person, sees);
                for row in expected(&(0..USERS).collect(), None) {
                    let who = block_on(world.admission.admit(token, world.clock.now())).unwrap();
                    let reference = TrailRef::new(Anchor::Device(device()), Some(device()), row);
                    let got = block_on(world.search.audit_trail(&who, &reference.into()));
                    prop_assert_eq!(got.is_ok(), found.contains(&row));
                }
            }
        }
    }

    /// A later page shows what the first could show and the caller may see now, also in another session of theirs; a token of
    /// somebody else, or one that was altered, shows nothing.
    #[test]
    fn a_page_token_carries_no_right(
        story in story(),
        (first, later) in (0..PARTIES).prop_flat_map(|party| (person(Just(party)), person(Just(party)))),
        (begun, after) in (0..END, 0..END),
        (size, flipped) in (1u32..6, any::<prop::sample::Index>()),
    ) {
        let mut world = World::new(story);
        world.live_until(begun);
        let page = world.page(&first.token("ann"), &by_device(size, None)).unwrap();
        prop_assume!(page.next_page_token.is_some());
        let (sealed, last) = (page.next_page_token.clone().unwrap(), *places(&page).last().unwrap());
        let now = begun + (END - begun) * after / END;
        world.live_until(now);
        let next = by_device(1_000, Some(sealed.clone()));
        let rest = places(&world.page(&later.token("ann"), &next).unwrap());
        let (then, now) = (first.sees(&world.story, begun), later.sees(&world.story, now));
        prop_assert_eq!(rest, expected(&then.intersection(&now).copied().collect(), Some(last)));
        let stranger = Person { party: (later.party + 1) % PARTIES, ..later.clone() };
        for other in [later.token("eve"), stranger.token("ann")] {
            prop_assert_eq!(world.page(&other, &next).unwrap_err().kind(), crate::SearchErrorKind::Invalid);
        }
        let mut altered = sealed.into_bytes();
        let place = flipped.index(altered.len());
        altered[place] = if altered[place] == b'A' { b'B' } else { b'A' };
        let altered = by_device(1_000, Some(String::from_utf8(altered).unwrap()));
        // The last character may hold bits that count for nothing: then it is the same token.
        match world.page(&later.token("ann"), &altered) {
            Err(error) => prop_assert_eq!(error.kind(), crate::SearchErrorKind::Invalid),
            Ok(page) => {
                let last_allowed = expected(&then.intersection(&now).copied().collect(), Some(last));
                prop_assert_eq!(places(&page), last_allowed);
            }
        }
    }
}

/// A Party of five thousand User IDs: its pages go on for as long as its rights are what they were.
#[test]
fn a_page_of_many_user_ids_ends_with_any_change_of_them() {
    let mut world = World::new(Vec::new());
    let of_party = |count: u16| {
        let many = (0..count)
            .map(|n| UserId::from_bytes([1, 2, 3, 4, 5, 6, n.to_be_bytes()[0], n.to_be_bytes()[1]]));
        let rows = (0..USERS).map(user);
        Arc::new(Sharing::of_one(&party(1), &many.chain(rows).collect()))
    };
    world.live_until(1);
    world.admission.replace(of_party(5_000));
    let person = Person { party: 1, granted_only: true, ids: BTreeSet::new() };
    let token = person.token("ann");
    let first = world.page(&token, &by_device(5, None)).unwrap();
    let sealed = first.next_page_token.clone().unwrap();
    assert!(sealed.len() < 400, "a page token does not grow with the User IDs: {}", sealed.len());
    let next = by_device(1_000, Some(sealed));
    assert_eq!(world.page(&token, &next).unwrap().rows.len(), usize::from(USERS * ROWS_EACH) - 5);
    world.admission.replace(of_party(4_999));
    let error = world.page(&token, &next).unwrap_err();
    assert!(error.user_text().to_string().contains("your rights have changed"), "{error:?}");
    world.admission.suspend();
    assert!(block_on(world.admission.admit(&token, world.clock.now())).is_err());
}
