//! What events that cannot be read suspend, and until when.

use super::*;

fn letter(unread: Unread) -> AccessEvent {
    AccessEvent::Unread { letter: "letter-1".parse().unwrap(), unread, at: at(40) }
}

/// Avon and Brent as in `mutual`, and Avon and Clyde: 0 and 2, 3 and 5.
fn of_three() -> Vec<AccessEvent> {
    let one = confirmed(5, notice(NoticeKind::Grant, 0, &[0, 3], 2, &[2, 5], 10));
    let other = confirmed(6, notice(NoticeKind::Grant, 2, &[2, 5], 0, &[0, 3], 10));
    mutual().into_iter().chain(one).chain(other).collect()
}

#[test]
fn what_cannot_be_read_in_full_suspends_what_it_names_until_it_is_settled() {
    let pairs = [(0, 1), (3, 1), (0, 2), (3, 5)];
    let left = |told: Unread| {
        let sharing = world(of_three().into_iter().chain([letter(told)]));
        let now = Moment::Now(at(50));
        let left: Vec<_> = pairs
            .into_iter()
            .filter(|(one, other)| sharing.is_pair_in_force(user(*one), user(*other), now))
            .collect();
        for (one, other) in pairs {
            let seen = sharing.effective(&party(other), &users(&[one, other]), OrgId::All, at(50));
            assert_eq!(seen.contains(&user(one)), left.contains(&(one, other)), "{one} {other}");
        }
        let mut settled = sharing.clone();
        settled.take(AccessEvent::Settled {
            what: Cause::Letter("letter-1".parse().unwrap()),
            at: at(60),
            because: None,
        });
        assert!(pairs.iter().all(|(one, other)| settled.is_pair_in_force(
            user(*one),
            user(*other),
            Moment::Now(at(61))
        )));
        assert!(pairs.iter().all(|(one, other)| sharing.is_pair_in_force(
            user(*one),
            user(*other),
            Moment::At(at(39))
        )));
        left
    };
    use UnreadKind::{Assignment, Notification, Unknown};
    assert_eq!(left(unread(Notification, &[1], None)), [(0, 2), (3, 5)]);
    assert_eq!(left(unread(Notification, &[], Some("Brent"))), [(0, 2), (3, 5)]);
    assert_eq!(left(unread(Notification, &[0], Some("Brent"))), [(3, 5)]);
    assert_eq!(left(unread(Assignment, &[2], None)), [(0, 1), (3, 1), (3, 5)]);
    assert_eq!(left(unread(Unknown, &[], None)), pairs, "it names nobody");
    // A sender that is not known says as little as none: then the other Party counts.
    let misspelled = Unread { with: Some(party(2)), ..unread(Notification, &[], Some("Brnt")) };
    assert_eq!(left(misspelled), [(0, 1), (3, 1)]);
    let known = Unread { with: Some(party(2)), ..unread(Notification, &[], Some("Brent")) };
    assert_eq!(left(known), [(0, 2), (3, 5)]);
}

#[test]
fn a_notification_that_cannot_be_read_suspends_once_it_is_confirmed() {
    let told = Unread { notice: Some(id(9)), ..unread(UnreadKind::Notification, &[1], None) };
    let facts = || mutual().into_iter().chain([letter(told.clone())]);
    let in_force = |sharing: &Sharing| sharing.is_pair_in_force(user(0), user(1), Moment::Now(at(50)));
    assert!(in_force(&world(facts())), "nobody confirmed it");
    assert!(!in_force(&world(facts().chain([AccessEvent::Confirmed { id: id(9), at: at(41) }]))));
    let confirmed = Unread { notice: Some(id(9)), ..unread(UnreadKind::Confirmation, &[], None) };
    let second = AccessEvent::Unread { letter: "letter-2".parse().unwrap(), unread: confirmed, at: at(42) };
    assert!(!in_force(&world(facts().chain([second]))), "confirmed by what cannot be read either");
}

#[test]
fn a_confirmation_or_rejection_that_cannot_be_read_suspends_what_its_notification_ends() {
    let sent = AccessEvent::Notified { id: id(3), notice: notice(NoticeKind::Rescind, 1, &[1], 0, &[0], 40) };
    let told = |kind, n| letter(Unread { notice: Some(id(n)), ..unread(kind, &[], None) });
    let in_force = |facts: [AccessEvent; 2], one, other| {
        world(mutual().into_iter().chain(facts)).is_pair_in_force(user(one), user(other), Moment::Now(at(50)))
    };
    let facts = |kind, n| [sent.clone(), told(kind, n)];
    assert!(!in_force(facts(UnreadKind::Confirmation, 3), 0, 1));
    assert!(in_force(facts(UnreadKind::Confirmation, 3), 3, 1));
    assert!(in_force(facts(UnreadKind::Rejection, 3), 0, 1), "a rescission that is rejected ends nothing");
    assert!(!in_force(facts(UnreadKind::Rejection, 2), 3, 1), "a grant that is rejected is none");
    assert!(in_force(facts(UnreadKind::Confirmation, 2), 3, 1));
}

/// Whoever granted anew after it was sent may have done so before it was confirmed.
#[test]
fn a_rescission_that_was_confirmed_before_it_was_sent_suspends_what_it_names_until_it_is_settled() {
    let [notified, _] = confirmed(3, notice(NoticeKind::Rescind, 1, &[1], 0, &[0], 25));
    let early = AccessEvent::Confirmed { id: id(3), at: at(5) };
    let anew = [
        confirmed(4, notice(NoticeKind::Grant, 0, &[0], 1, &[1], 30)),
        confirmed(5, notice(NoticeKind::Grant, 1, &[1], 0, &[0], 30)),
    ];
    let mut sharing = world(mutual().into_iter().chain([notified, early]).chain(anew.into_iter().flatten()));
    assert!(!sharing.is_pair_in_force(user(0), user(1), Moment::Now(at(50))));
    assert!(sharing.is_pair_in_force(user(3), user(1), Moment::Now(at(50))));
    assert_eq!(sharing.refused(), [Refused { id: id(3), why: Refusal::Untimely { at: at(5) } }]);
    assert_eq!(sharing.suspensions(Moment::Now(at(50))).len(), 1);
    sharing.take(AccessEvent::Settled { what: Cause::Notice(id(3)), at: at(60), because: None });
    assert!(sharing.is_pair_in_force(user(0), user(1), Moment::Now(at(61))));
}
