//! Stores that fail: nothing is let in that was not written down, and nothing twice.

use crate::it::world::{Server, answer_to, clock, posted};
use gridtrail_faults::{Fault, FaultStore, Faults};
use gridtrail_runtime::Clock;
use gridtrail_session::{LoginError, Reason, SessionError};
use object_store::memory::InMemory;
use std::sync::Arc;

/// More operations than a login needs.
const OPERATIONS_MAX: u64 = 20;

/// Two servers over one store, which fails for one of them.
struct Pair {
    failing: Server,
    sound: Server,
    faults: Faults,
    clock: Clock,
}

impl Pair {
    async fn new() -> Self {
        let (inner, clock) = (Arc::new(InMemory::new()), clock());
        let (store, faults) = FaultStore::new(inner.clone());
        let (failing, sound) = (Server::over(Arc::new(store), &clock), Server::over(inner, &clock));
        sound.enrol().await;
        Self { failing, sound, faults, clock }
    }
}

#[tokio::test]
async fn a_login_whose_store_fails_anywhere_lets_an_assertion_in_once_at_most() {
    for fault in Fault::ALL {
        let mut failed_somewhere = false;
        for operation in 0..OPERATIONS_MAX {
            let Pair { failing, sound, faults, .. } = Pair::new().await;
            let started = sound.start().await;
            let response = posted(&answer_to(started.request.as_str()));
            faults.at(operation, fault);
            let first = failing.finish_with(&started, response.clone()).await;
            let hit = faults.failed() > 0;
            faults.none();
            let mut sessions = Vec::new();
            match first {
                Ok(logged_in) => sessions.push(logged_in),
                // A failing store is told from a refusal; S3's "conflict" of nothing is no refusal either.
                Err(LoginError::Store(_)) => failed_somewhere = true,
                Err(error) => panic!("{fault:?} at {operation}: {error:?}"),
            }
            // Whoever is on the way again, there and elsewhere.
            for server in [&failing, &sound, &failing] {
                sessions.extend(server.finish_with(&started, response.clone()).await.ok());
            }
            assert!(sessions.len() <= 1, "{fault:?} at {operation}: {} sessions", sessions.len());
            if let [only] = &sessions[..] {
                assert!(
                    sound.sessions.resume(&only.handle).await.is_ok(),
                    "{fault:?} at {operation}: not on record"
                );
            }
            if !hit {
                assert_eq!(sessions.len(), 1);
            }
        }
        // Slow is no failure; a write that was repeated, or whose answer was lost, is known again.
        let harmless = matches!(fault, Fault::Slow | Fault::Repeated | Fault::AnswerLost);
        assert_eq!(failed_somewhere, !harmless, "{fault:?}");
    }
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_known_again_and_never_taken_for_anothers() {
    let Pair { failing, sound, faults, .. } = Pair::new().await;
    for fault in [Fault::AnswerLost, Fault::Repeated] {
        let started = sound.start().await;
        let response = posted(&answer_to(started.request.as_str()));
        faults.random(7, 1.0, &[fault]);
        assert!(failing.finish_with(&started, response.clone()).await.is_ok(), "{fault:?}");
        assert!(faults.failed() >= 3, "{fault:?}");
        faults.random(7, 1.0, &[fault]);
        let again = failing.finish_with(&started, response).await;
        assert!(matches!(again, Err(LoginError::Refused(Reason::AssertionUsed))), "{fault:?}: {again:?}");
    }
}

#[tokio::test]
async fn a_session_that_cannot_be_looked_for_does_not_hold() {
    let Pair { failing, sound, faults, clock } = Pair::new().await;
    let session = sound.log_in().await.session;
    assert!(failing.sessions.check(&session.id).await.is_ok());
    clock.advance(1000);
    faults.random(7, 1.0, &[Fault::Before]);
    assert!(matches!(failing.sessions.check(&session.id).await, Err(SessionError::Store(_))));
    assert!(failing.sessions.revoke(&session.id).await.is_err());
    faults.none();
    assert!(failing.sessions.check(&session.id).await.is_ok());
}

#[tokio::test]
async fn activity_that_could_not_be_written_down_is_written_at_the_next_use() {
    let Pair { failing, sound, faults, clock } = Pair::new().await;
    let session = sound.log_in().await.session;
    clock.advance(14 * 60_000);
    faults.random(7, 1.0, &[Fault::DiskFull]);
    assert!(failing.sessions.check(&session.id).await.is_ok());
    faults.none();
    assert!(failing.sessions.check(&session.id).await.is_ok());
    clock.advance(14 * 60_000);
    assert!(sound.sessions.check(&session.id).await.is_ok(), "the use was not written down");
}
