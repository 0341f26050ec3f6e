use super::*;
use crate::{
    AccessErrorKind, AccessEvent, Assignment, Bearer, DevKey, JobTypeRole, Notice, NoticeKind, OrgId,
};
use futures::FutureExt as _;
use gridtrail_model::UserRole;
use std::collections::BTreeSet;
use std::sync::LazyLock;

static KEY: LazyLock<DevKey> = LazyLock::new(|| DevKey::generate().unwrap());

impl Admission {
    /// Admits by what needs no waiting: tests tell at once what is asked of them.
    pub(crate) fn admit_now(&self, token: &str, now: Timestamp) -> Result<Access, AccessError> {
        self.admit(token, now).now_or_never().expect("there is nothing to wait for")
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis(1_770_000_000_000 + second * 1_000).unwrap()
}

fn users(all: &[u8]) -> BTreeSet<UserId> {
    all.iter().map(|n| UserId::from_bytes([0x90, 0xB3, 0, 0, 0, 0, 0, *n])).collect()
}

fn party(name: &str) -> Party {
    name.parse().unwrap()
}

/// Avon has 1 and 2, Brent 11 and 12; the pair of 1 and 11 is granted at 100, and Brent has 11 no longer from 200 on.
fn sharing() -> Sharing {
    let mut sharing = Sharing::of_one(&party("Avon"), &users(&[1, 2]));
    for user_id in users(&[11, 12]) {
        let to = Some(Assignment { party: party("Brent"), role: UserRole::GS, descriptor: None });
        sharing.take(AccessEvent::Assigned { user_id, to, from: Timestamp::MIN });
    }
    let gone = AccessEvent::Assigned {
        user_id: UserId::from_bytes([0x90, 0xB3, 0, 0, 0, 0, 0, 11]),
        to: None,
        from: at(200),
    };
    sharing.take(gone);
    let told = [("Avon", 1, "Brent", 11, 100), ("Brent", 11, "Avon", 1, 100)];
    for (number, (by, own, with, other, second)) in told.into_iter().enumerate() {
        let id: crate::NoticeId = format!("n{number}").parse().unwrap();
        let notice = Notice {
            kind: NoticeKind::Grant,
            by: party(by),
            with: party(with),
            own: users(&[own]),
            other: users(&[other]),
            at: at(second - 1),
            sro: None,
        };
        sharing.take(AccessEvent::Notified { id: id.clone(), notice });
        sharing.take(AccessEvent::Confirmed { id, at: at(second) });
    }
    sharing
}

fn token(by: &str, org_id: OrgId, user_ids: &[u8]) -> String {
    let claims = Bearer {
        subject: "ann".into(),
        party: party(by),
        org_id,
        user_ids: users(user_ids),
        roles: JobTypeRole::new(1).into_iter().collect(),
        valid_from: at(0),
        expires_at: at(3_600),
    };
    KEY.mint(&claims).unwrap()
}

fn admission() -> Admission {
    Admission::new(KEY.gatekeeper().unwrap(), Arc::new(sharing()))
}

fn seen(admission: &Admission, token: &str, second: i64) -> BTreeSet<UserId> {
    admission.admit_now(token, at(second)).unwrap().user_ids().to_set()
}

#[test]
fn a_session_of_all_sees_what_it_names_and_no_more() {
    let admission = admission();
    let all = |by: &str, ids: &[u8]| token(by, OrgId::All, ids);
    assert_eq!(seen(&admission, &all("Avon", &[1, 11]), 150), users(&[1, 11]));
    assert_eq!(seen(&admission, &all("Avon", &[2, 11]), 150), users(&[2]), "11 is granted to 1");
    assert_eq!(seen(&admission, &all("Avon", &[1]), 150), users(&[1]));
    assert_eq!(seen(&admission, &all("Avon", &[11, 12]), 150), users(&[]));
    assert_eq!(
        seen(&admission, &all("Clyde", &[1, 2, 11]), 150),
        users(&[]),
        "a Party that nothing is assigned to"
    );
}

#[test]
fn a_session_of_granted_ones_sees_all_of_its_party_beside_them() {
    let admission = admission();
    let granted = |by: &str, ids: &[u8]| token(by, OrgId::GrantedOnly, ids);
    assert_eq!(seen(&admission, &granted("Avon", &[]), 150), users(&[1, 2]));
    assert_eq!(seen(&admission, &granted("Avon", &[11, 12]), 150), users(&[1, 2, 11]));
    assert_eq!(seen(&admission, &granted("Clyde", &[1, 11]), 150), users(&[]));
}

/// What was worked out for a token holds until a fact takes hold, and not a moment longer.
#[test]
fn rights_begin_and_end_on_the_millisecond_for_a_token_that_was_seen_before() {
    let (admission, token) = (admission(), token("Avon", OrgId::All, &[1, 11]));
    for _ in 0..2 {
        for (second, expected) in
            [(99, &[1][..]), (100, &[1, 11]), (199, &[1, 11]), (200, &[1]), (3_599, &[1])]
        {
            assert_eq!(seen(&admission, &token, second), users(expected), "{second}");
        }
    }
    let last = at(200).plus_millis(-1);
    assert_eq!(admission.admit_now(&token, last).unwrap().user_ids().len(), 2);
}

#[test]
fn another_state_of_sharing_holds_at_the_next_call_of_every_clone() {
    let (admission, token) = (admission(), token("Avon", OrgId::All, &[1, 11]));
    let clone = admission.clone();
    assert_eq!(seen(&clone, &token, 150), users(&[1, 11]));
    admission.replace(Arc::new(Sharing::of_one(&party("Avon"), &users(&[1]))));
    assert_eq!(seen(&clone, &token, 150), users(&[1]));
    admission.replace(Arc::default());
    assert_eq!(seen(&clone, &token, 150), users(&[]), "without events of access nobody sees anything");
    admission.suspend();
    let error = clone.admit_now(&token, at(150)).unwrap_err();
    assert_eq!(error.kind(), AccessErrorKind::Unavailable);
    // Whoever shares the gatekeeper, and so what it remembers, still goes by a state of their own.
    let other = Admission::new(clone.doors.clone(), Arc::new(sharing()));
    assert_eq!(seen(&other, &token, 150), users(&[1, 11]));
    admission.replace(Arc::new(sharing()));
    assert_eq!(seen(&clone, &token, 150), users(&[1, 11]));
}

#[test]
fn callers_wait_while_what_is_known_is_in_doubt() {
    let (admission, token) = (admission(), token("Avon", OrgId::All, &[1, 11]));
    let before = admission.admit_now(&token, at(150)).unwrap();
    assert!(admission.is_current(&before, at(199)));
    assert!(!admission.is_current(&before, at(200)), "a fact took hold");
    let mut waits = std::pin::pin!(admission.admit(&token, at(150)));
    admission.doubt();
    assert!(!admission.is_current(&before, at(150)));
    assert!(waits.as_mut().now_or_never().is_none());
    assert!(admission.admit(&token, at(150)).now_or_never().is_none());
    admission.confirm();
    assert!(admission.is_current(&before, at(150)));
    assert_eq!(waits.now_or_never().unwrap().unwrap().user_ids().to_set(), users(&[1, 11]));
    // What ends the doubt otherwise lets in by what is known then, or nobody.
    admission.doubt();
    let mut waits = std::pin::pin!(admission.admit(&token, at(150)));
    assert!(waits.as_mut().now_or_never().is_none());
    admission.replace(Arc::new(Sharing::of_one(&party("Avon"), &users(&[1]))));
    assert_eq!(waits.now_or_never().unwrap().unwrap().user_ids().to_set(), users(&[1]));
    assert!(!admission.is_current(&before, at(150)));
    admission.doubt();
    admission.suspend();
    assert_eq!(admission.admit_now(&token, at(150)).unwrap_err().kind(), AccessErrorKind::Unavailable);
}

/// What is not known to be in force any more shows nothing, at once and for whoever was admitted before; what is one's own stays.
#[test]
fn granted_rights_lapse_and_come_back_while_own_ones_stay() {
    let admission = admission();
    let of_avon = token("Avon", OrgId::All, &[1, 2, 11]);
    let before = admission.admit_now(&of_avon, at(150)).unwrap();
    assert_eq!(before.user_ids().to_set(), users(&[1, 2, 11]));
    assert!(admission.lapse(true) && !admission.lapse(true), "told twice is told once");
    assert!(!admission.is_current(&before, at(150)));
    for (org_id, named) in [(OrgId::All, &[1, 2, 11][..]), (OrgId::GrantedOnly, &[11])] {
        assert_eq!(seen(&admission, &token("Avon", org_id, named), 150), users(&[1, 2]));
    }
    admission.replace(Arc::new(sharing()));
    assert_eq!(seen(&admission, &of_avon, 150), users(&[1, 2]), "other events bring nothing back");
    assert!(admission.lapse(false));
    assert_eq!(seen(&admission, &of_avon, 150), users(&[1, 2, 11]));
    // What is in doubt stays so.
    admission.doubt();
    admission.lapse(true);
    assert!(admission.admit(&of_avon, at(150)).now_or_never().is_none());
}

#[test]
fn an_operators_access_may_use_no_component() {
    let who = Access::of_operator("j.smith", at(0)).unwrap();
    assert!(who.user_ids().is_all() && who.disclosure(UserId::from_bytes([7; 8])) == Disclosure::Whole);
    assert!(Component::ALL.iter().all(|component| !who.permits(*component)));
    // What is open to all Users is open to a copy, and to a copy alone: no token lets anybody in so.
    assert!(who.is_of_files() && who.narrowed_to(&users(&[1])).is_of_files());
    assert!(matches!(who.require_any_role(at(1)), Err(AccessError::NoRole)));
    assert!(matches!(Access::of_operator("", at(0)), Err(AccessError::Mint(_))));
    // What it is narrowed to is all that is left.
    assert_eq!(who.narrowed_to(&users(&[1])).user_ids().to_set(), users(&[1]));
}

/// All people of a Party together see its own rows and those that are granted at the time, and none while grants have lapsed.
#[test]
fn a_party_sees_what_is_its_own_and_what_is_granted_at_the_time() {
    let admission = Admission::new(Doors { gatekeeper: None, sessions: None }, Arc::new(sharing()));
    let seen = |name: &str, second| {
        let access = admission.access_of_party("j.smith", &party(name), at(second)).now_or_never().unwrap();
        access.unwrap().user_ids().to_set()
    };
    assert_eq!((seen("Avon", 99), seen("Brent", 99)), (users(&[1, 2]), users(&[11, 12])));
    assert_eq!((seen("Avon", 100), seen("Brent", 100)), (users(&[1, 2, 11]), users(&[1, 11, 12])));
    assert_eq!((seen("Avon", 200), seen("Nobody", 100)), (users(&[1, 2]), users(&[])));
    admission.lapse(true);
    assert_eq!(seen("Avon", 100), users(&[1, 2]));
}

/// What is declared for a User ID comes to that User ID and what is granted to it, of its Party's others to nothing, and to nothing at all once it
/// is another's.
#[test]
fn a_declared_user_id_shows_itself_and_what_is_granted_to_it() {
    let (admission, matrix) = (admission(), RoleMatrix::built_in().unwrap());
    let seen = |by: &str, user_id: u8, second: i64| {
        let user_id = UserId::from_bytes([0x90, 0xB3, 0, 0, 0, 0, 0, user_id]);
        let roles = JobTypeRole::new(1).into_iter().collect();
        let declared = Declared::new("monthly", (party(by), user_id), (roles, &matrix)).unwrap();
        let access = admission.access_of_user(&declared, at(second)).now_or_never().unwrap().unwrap();
        assert_eq!(access.own_user_ids().contains(&user_id), !access.user_ids().is_empty());
        assert!(access.permits(Component::Reporting));
        access.user_ids().to_set()
    };
    assert_eq!(seen("Avon", 1, 99), users(&[1]));
    assert_eq!(seen("Avon", 1, 100), users(&[1, 11]));
    assert_eq!(seen("Brent", 11, 100), users(&[1, 11]));
    assert_eq!(seen("Avon", 2, 100), users(&[2]), "it was granted to another of the Party");
    assert_eq!(seen("Brent", 11, 200), users(&[]), "it is the Party's no longer");
    assert_eq!(seen("Brent", 1, 100), users(&[]), "it never was");
    admission.lapse(true);
    assert_eq!(seen("Avon", 1, 100), users(&[1]));
    let roles = BTreeSet::new();
    let none = Declared::new("", (party("Avon"), UserId::from_bytes([1; 8])), (roles, &matrix));
    assert!(matches!(none, Err(AccessError::Mint(_))));
}
