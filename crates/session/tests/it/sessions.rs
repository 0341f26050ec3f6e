//! How long a session holds, and where.

use crate::it::world::{HOUR, MINUTE, Server, answer_to, at, holds, pair};
use gridtrail_session::{Ended, Handle, IdleLimit, SessionError, SessionId};

async fn ended(server: &Server, id: &SessionId) -> Ended {
    match server.sessions.check(id).await {
        Err(SessionError::Ended(ended)) => ended,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_session_ends_eight_and_a_half_hours_after_the_authentication_however_busy() {
    let (server, other, clock) = pair().await;
    let started = server.start().await;
    let mut answer = answer_to(started.request.as_str());
    answer.authn = answer.authn.replace("T18:00:00Z", "T23:00:00Z");
    let session = server.finish(&started, &answer).await.unwrap().session;
    assert_eq!(session.bearer.expires_at, at("2026-03-01T18:29:00Z"));
    // From 10:00 to 18:28 in use each minute; nothing of that prolongs it.
    for _ in 0..508 {
        clock.advance(MINUTE);
        assert!(holds(&server, &session).await);
    }
    clock.advance(MINUTE - 1);
    assert!(holds(&server, &session).await && holds(&other, &session).await);
    clock.advance(1);
    assert_eq!(ended(&server, &session.id).await, Ended::Over);
    assert_eq!(ended(&other, &session.id).await, Ended::Over);
}

#[tokio::test]
async fn a_session_ends_earlier_where_the_identity_provider_says_so() {
    let (server, _, clock) = pair().await;
    let started = server.start().await;
    let mut answer = answer_to(started.request.as_str());
    answer.authn = answer.authn.replace("T18:00:00Z", "T10:02:00Z");
    let session = server.finish(&started, &answer).await.unwrap().session;
    assert_eq!(session.bearer.expires_at, at("2026-03-01T10:02:00Z"));
    clock.advance(2 * MINUTE - 1);
    assert!(holds(&server, &session).await);
    clock.advance(1);
    assert_eq!(ended(&server, &session.id).await, Ended::Over);
}

#[tokio::test]
async fn a_session_that_nobody_uses_for_fifteen_minutes_is_over_on_all_servers() {
    let (server, other, clock) = pair().await;
    let session = server.log_in().await.session;
    clock.advance(15 * MINUTE - 1);
    assert!(holds(&other, &session).await);
    clock.advance(15 * MINUTE);
    for server in [&server, &other] {
        assert_eq!(ended(server, &session.id).await, Ended::Idle);
    }
    // Asking does not revive it.
    clock.advance(MINUTE);
    assert_eq!(ended(&other, &session.id).await, Ended::Idle);
}

#[tokio::test]
async fn a_session_in_use_on_one_server_is_in_use_on_another() {
    let (server, other, clock) = pair().await;
    let session = server.log_in().await.session;
    assert!(holds(&other, &session).await);
    // The other server hears nothing for two hours.
    for _ in 0..12 {
        clock.advance(10 * MINUTE);
        assert!(holds(&server, &session).await);
    }
    assert!(holds(&other, &session).await);
    clock.advance(14 * MINUTE);
    assert!(holds(&server, &session).await);
}

#[tokio::test]
async fn a_session_in_use_is_never_kept_longer_than_the_limit_after_its_last_use() {
    let (server, _, clock) = pair().await;
    clock.advance(29_999);
    let session = server.log_in().await.session;
    // Judged by the beginning of the span in which it was used: earlier by up to half a minute, never later.
    clock.advance(15 * MINUTE - 30_000);
    assert!(holds(&server, &session).await);
    clock.advance(15 * MINUTE);
    assert_eq!(ended(&server, &session.id).await, Ended::Idle);
}

#[tokio::test]
async fn revocation_holds_at_once_here_and_within_a_second_elsewhere() {
    let (server, other, clock) = pair().await;
    let session = server.log_in().await.session;
    assert!(holds(&server, &session).await && holds(&other, &session).await);
    server.sessions.revoke(&session.id).await.unwrap();
    assert_eq!(ended(&server, &session.id).await, Ended::Revoked);
    clock.advance(1000);
    assert_eq!(ended(&other, &session.id).await, Ended::Revoked);
    // Twice is no error, and what is over stays over.
    other.sessions.revoke(&session.id).await.unwrap();
    clock.advance(HOUR);
    assert_eq!(ended(&other, &session.id).await, Ended::Revoked);
}

#[tokio::test]
async fn logout_ends_one_session_and_not_another_of_the_same_person() {
    let (server, other, clock) = pair().await;
    let (one, two) = (server.log_in().await, server.log_in().await);
    other.logins.log_out(&one.handle, None).await.unwrap();
    clock.advance(1000);
    assert!(server.sessions.resume(&one.handle).await.is_err());
    assert!(server.sessions.resume(&two.handle).await.is_ok());
}

#[tokio::test]
async fn nobody_had_a_session_that_was_not_begun() {
    let (server, _, _) = pair().await;
    let handle: Handle = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".parse().unwrap();
    assert!(matches!(server.sessions.resume(&handle).await, Err(SessionError::Ended(Ended::Unknown))));
    let id: SessionId = "0".repeat(64).parse().unwrap();
    assert_eq!(ended(&server, &id).await, Ended::Unknown);
    assert!(!server.sessions.revoke(&id).await.unwrap(), "one that there is not is told");
    for wrong in ["", "x", &"0".repeat(63), &"A".repeat(64), "../requests", &"0".repeat(65)] {
        assert!(wrong.parse::<SessionId>().is_err(), "{wrong}");
    }
    for wrong in ["", "AA", &"A".repeat(44), "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", &"A".repeat(42)] {
        assert!(wrong.parse::<Handle>().is_err(), "{wrong}");
    }
}

#[test]
fn an_idle_limit_is_between_a_minute_and_the_longest_session() {
    for (millis, fits) in
        [(59_999, false), (60_000, true), (30_600_000, true), (30_600_001, false), (-1, false)]
    {
        assert_eq!(IdleLimit::from_millis(millis).is_some(), fits, "{millis}");
    }
}
