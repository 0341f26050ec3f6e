//! Every edge in time: the last instant that holds, and the first that does not.

use crate::it::answer::{Answer, confirmation};
use crate::it::{ACS_URL, Look, REQUEST, WORLD, at};
use gridtrail_model::Timestamp;
use gridtrail_saml::{CLOCK_SKEW_MS_MAX, ClockSkew, Refusal};

/// Each skew that the edges are tried with, in milliseconds.
const SKEWS: [u32; 3] = [0, 1, 30_000];

/// Demands that an answer is believed from `first` on, skew counted already, and not one millisecond before.
#[track_caller]
fn begins(answer: &Answer, what: &str, first: Timestamp, skew: u32) {
    let xml = answer.response(&WORLD.rsa);
    assert!(Look::at(first, skew).verify(&xml).is_ok(), "{:?}", Look::at(first, skew).verify(&xml));
    match Look::at(first.plus_millis(-1), skew).verify(&xml) {
        Err(Refusal::NotYetValid { what: found, .. }) => assert_eq!(found, what),
        other => panic!("{what}: {other:?}"),
    }
}

/// Demands that an answer is believed until just before `end`, skew counted already, and not at `end`.
#[track_caller]
fn ends(answer: &Answer, what: &str, end: Timestamp, skew: u32) {
    let xml = answer.response(&WORLD.rsa);
    let last = Look::at(end.plus_millis(-1), skew).verify(&xml);
    assert!(last.is_ok(), "{what}: {last:?}");
    match Look::at(end, skew).verify(&xml) {
        Err(Refusal::Expired { what: found, .. }) => assert_eq!(found, what),
        other => panic!("{what}: {other:?}"),
    }
}

/// An answer that holds for a day, but for what `change` changes.
fn long(change: impl FnOnce(&mut Answer)) -> Answer {
    Answer::with(|answer| {
        answer.issue_instant = "2026-03-01T00:00:00Z".into();
        answer.conditions = r#"NotBefore="2026-03-01T00:00:00Z" NotOnOrAfter="2026-03-02T00:00:00Z""#.into();
        answer.confirmation = until("2026-03-03T00:00:00Z");
        answer.authn =
            r#"AuthnInstant="2026-03-01T06:00:00Z" SessionNotOnOrAfter="2026-03-03T00:00:00Z""#.into();
        change(answer);
    })
}

fn until(time: &str) -> String {
    confirmation(&format!(r#"InResponseTo="{REQUEST}" NotOnOrAfter="{time}" Recipient="{ACS_URL}""#))
}

#[test]
fn not_before() {
    for skew in SKEWS {
        let answer =
            long(|answer| answer.conditions = answer.conditions.replacen("00:00:00Z", "09:00:00.500Z", 1));
        begins(&answer, "NotBefore", at("2026-03-01T09:00:00.500Z").plus_millis(-i64::from(skew)), skew);
    }
}

#[test]
fn not_on_or_after() {
    for skew in SKEWS {
        let answer = long(|answer| {
            answer.conditions = answer.conditions.replace("2026-03-02T00:00:00Z", "2026-03-01T11:00:00.250Z");
        });
        ends(&answer, "NotOnOrAfter", at("2026-03-01T11:00:00.250Z").plus_millis(i64::from(skew)), skew);
    }
}

#[test]
fn not_on_or_after_of_the_confirmation() {
    for skew in SKEWS {
        let answer = long(|answer| answer.confirmation = until("2026-03-01T11:00:00Z"));
        let end = at("2026-03-01T11:00:00Z").plus_millis(i64::from(skew));
        ends(&answer, "NotOnOrAfter of the SubjectConfirmationData", end, skew);
    }
}

#[test]
fn issue_instant() {
    for skew in SKEWS {
        let answer = long(|answer| answer.issue_instant = "2026-03-01T09:00:00Z".into());
        begins(&answer, "IssueInstant", at("2026-03-01T09:00:00Z").plus_millis(-i64::from(skew)), skew);
    }
}

#[test]
fn authn_instant() {
    for skew in SKEWS {
        let answer = long(|answer| answer.authn = answer.authn.replace("06:00:00Z", "09:00:00Z"));
        begins(&answer, "AuthnInstant", at("2026-03-01T09:00:00Z").plus_millis(-i64::from(skew)), skew);
    }
}

#[test]
fn session_not_on_or_after_is_never_stretched() {
    for skew in SKEWS {
        let answer = long(|answer| {
            answer.authn = answer.authn.replace("2026-03-03T00:00:00Z", "2026-03-01T11:00:00Z")
        });
        ends(&answer, "the session", at("2026-03-01T11:00:00Z"), skew);
    }
}

#[test]
fn eight_and_a_half_hours_after_the_authentication_are_never_stretched() {
    for skew in SKEWS {
        ends(&long(|_| {}), "the session", at("2026-03-01T14:30:00Z"), skew);
    }
}

#[test]
fn a_session_ends_at_the_earlier_of_both() {
    let ends_at =
        |answer: Answer| Look::default().verify(&answer.response(&WORLD.rsa)).unwrap().session_ends_at();
    assert_eq!(ends_at(long(|_| {})), at("2026-03-01T14:30:00Z"));
    let earlier = long(|answer| {
        answer.authn = answer.authn.replace("2026-03-03T00:00:00Z", "2026-03-01T14:29:59.999Z")
    });
    assert_eq!(ends_at(earlier), at("2026-03-01T14:29:59.999Z"));
}

#[test]
fn an_identifier_may_be_forgotten_once_its_assertion_is_refused_anyway() {
    for (conditions_end, confirmation_end) in
        [("2026-03-01T11:00:00Z", "2026-03-01T12:00:00Z"), ("2026-03-01T12:00:00Z", "2026-03-01T11:00:00Z")]
    {
        let answer = long(|answer| {
            answer.conditions = answer.conditions.replace("2026-03-02T00:00:00Z", conditions_end);
            answer.confirmation = until(confirmation_end);
        });
        let xml = answer.response(&WORLD.rsa);
        let forget_at = Look::at(at("2026-03-01T10:00:00Z"), 30_000).verify(&xml).unwrap().not_on_or_after;
        assert_eq!(forget_at, at("2026-03-01T11:00:30Z"));
        assert!(Look::at(forget_at.plus_millis(-1), 30_000).verify(&xml).is_ok());
        assert!(matches!(Look::at(forget_at, 30_000).verify(&xml), Err(Refusal::Expired { .. })));
    }
}

#[test]
fn an_assertion_lives_a_day_at_most_and_longer_than_nothing() {
    let living = |from: &str, to: &str| {
        let answer = long(|answer| answer.conditions = format!(r#"NotBefore="{from}" NotOnOrAfter="{to}""#));
        Look::default().verify(&answer.response(&WORLD.rsa))
    };
    assert!(living("2026-03-01T09:00:00Z", "2026-03-02T09:00:00Z").is_ok());
    for (from, to) in [
        ("2026-03-01T09:00:00Z", "2026-03-02T09:00:00.001Z"),
        ("2026-03-01T09:00:00Z", "9999-12-31T23:59:59Z"),
        ("2026-03-01T10:00:00Z", "2026-03-01T10:00:00Z"),
        ("2026-03-01T10:00:01Z", "2026-03-01T10:00:00Z"),
    ] {
        assert_eq!(living(from, to), Err(Refusal::Lifetime), "{from} {to}");
    }
}

#[test]
fn times_are_in_utc_and_whole() {
    for time in [
        "2026-03-01",
        "2026-03-01T11:00:00",
        "2026-03-01T12:00:00+01:00",
        "1772362800",
        "2026-02-30T00:00:00Z",
        "99999-01-01T00:00:00Z",
    ] {
        let answer = long(|answer| answer.confirmation = until(time));
        let result = Look::default().verify(&answer.response(&WORLD.rsa));
        assert_eq!(result, Err(Refusal::Malformed("NotOnOrAfter")), "{time}");
    }
    // Digits beyond milliseconds are cut off.
    let answer = long(|answer| answer.confirmation = until("2026-03-01T11:00:00.1239999Z"));
    ends(&answer, "NotOnOrAfter of the SubjectConfirmationData", at("2026-03-01T11:00:00.123Z"), 0);
}

#[test]
fn skew_is_bounded() {
    assert!(ClockSkew::from_millis(CLOCK_SKEW_MS_MAX).is_some());
    assert!(ClockSkew::from_millis(CLOCK_SKEW_MS_MAX + 1).is_none());
}
