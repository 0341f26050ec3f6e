//! What people enter about themselves: shown to them alone, kept while they log in, and deleted as a whole.

use crate::it::world::{Server, answer_to, at, clock, named, new_session_key, pair, party};
use futures::TryStreamExt;
use gridtrail_faults::{Fault, FaultStore};
use gridtrail_runtime::Clock;
use gridtrail_session::{Details, PersonId, Session, Sweep, forget};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use std::sync::Arc;

fn details(last_name: &str) -> Details {
    Details::new(("Zoë", last_name), "zoe@supply.example", "020 7946 0000").unwrap()
}

fn person_of(session: &Session) -> PersonId {
    PersonId::of(&session.bearer.party, &session.bearer.subject)
}

async fn paths(store: &InMemory) -> Vec<String> {
    let folder = Path::from("lake/_sessions/people");
    let found: Vec<_> = store.list(Some(&folder)).try_collect().await.unwrap();
    let mut paths: Vec<String> = found.into_iter().map(|object| object.location.to_string()).collect();
    paths.sort();
    paths
}

/// A server over a store, where a person entered their details.
async fn entered() -> (Arc<InMemory>, Clock, Server, PersonId) {
    let (store, clock) = (Arc::new(InMemory::new()), clock());
    let server = Server::over(store.clone(), &clock);
    server.enrol().await;
    let person = person_of(&server.log_in().await.session);
    server.logins.people().enter(&person, &details("Quill")).await.unwrap();
    (store, clock, server, person)
}

/// The person logs in at ten on another day of 2026.
async fn log_in_on(server: &Server, clock: &Clock, date: &str) {
    move_to(clock, &format!("{date}T10:00:00Z"));
    let started = server.start().await;
    let mut answer = answer_to(started.request.as_str());
    for text in [
        &mut answer.envelope,
        &mut answer.confirmation,
        &mut answer.conditions,
        &mut answer.issue_instant,
        &mut answer.authn,
    ] {
        *text = text.replace("2026-03-01", date);
    }
    server.finish(&started, &answer).await.unwrap();
}

fn move_to(clock: &Clock, time: &str) {
    clock.advance(at(time).millis() - clock.now().millis());
}

#[tokio::test]
async fn what_a_person_enters_is_seen_by_them_at_every_server_and_changed_as_a_whole() {
    let (one, other, _) = pair().await;
    let person = person_of(&one.log_in().await.session);
    assert_eq!(one.logins.people().details(&person).await.unwrap(), None);
    one.logins.people().enter(&person, &details("Quill")).await.unwrap();
    assert_eq!(other.logins.people().details(&person).await.unwrap(), Some(details("Quill")));
    other.logins.people().enter(&person, &details("Quill-Smith")).await.unwrap();
    assert_eq!(one.logins.people().details(&person).await.unwrap(), Some(details("Quill-Smith")));
    // Who logs in for another Party, and somebody else of the same.
    let subject = "somebody else";
    for stranger in [PersonId::of(&named("Another"), subject), PersonId::of(&party(), subject)] {
        assert_eq!(one.logins.people().details(&stranger).await.unwrap(), None);
    }
}

/// The last writer is heard, and nothing of what was there before stays in the store.
#[tokio::test]
async fn what_was_changed_is_gone() {
    let (store, _, server, person) = entered().await;
    server.logins.people().enter(&person, &details("Smith")).await.unwrap();
    assert_eq!(paths(&store).await.len(), 2, "the details, and the day of the login");
    for path in paths(&store).await {
        let bytes = store.get(&Path::from(path)).await.unwrap().bytes().await.unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("Quill"));
    }
}

#[tokio::test]
async fn details_go_thirteen_months_after_the_last_login_and_not_before() {
    let (store, clock, server, person) = entered().await;
    let sweep = Sweep::new(server.objects.clone(), clock.clone());
    let read = async || server.logins.people().details(&person).await.unwrap();
    // They entered them on the first of March; a clock may be ten minutes ahead.
    for time in ["2026-03-02T00:00:00Z", "2027-04-01T23:59:00Z", "2027-04-02T00:09:00Z"] {
        move_to(&clock, time);
        sweep.run().await.unwrap();
        assert!(read().await.is_some(), "{time}");
    }
    move_to(&clock, "2027-04-02T00:10:00Z");
    sweep.run().await.unwrap();
    assert_eq!(read().await, None);
    assert_eq!(paths(&store).await, [""; 0]);
}

#[tokio::test]
async fn whoever_logs_in_keeps_their_details_and_one_mark_of_it() {
    let (store, clock, server, person) = entered().await;
    let sweep = Sweep::new(server.objects.clone(), clock.clone());
    for date in ["2026-03-01", "2026-03-02", "2026-12-24"] {
        log_in_on(&server, &clock, date).await;
        sweep.run().await.unwrap();
        assert!(server.logins.people().details(&person).await.unwrap().is_some(), "{date}");
        assert_eq!(paths(&store).await.len(), 2, "{date}");
    }
    move_to(&clock, "2028-01-24T10:00:00Z");
    sweep.run().await.unwrap();
    assert!(server.logins.people().details(&person).await.unwrap().is_some(), "13 months have not passed");
    move_to(&clock, "2028-01-25T10:00:00Z");
    sweep.run().await.unwrap();
    assert_eq!(paths(&store).await, [""; 0]);
}

/// Of people who entered nothing there is nothing.
#[tokio::test]
async fn a_login_of_somebody_without_details_leaves_nothing() {
    let store = Arc::new(InMemory::new());
    let server = Server::over(store.clone(), &clock());
    server.enrol().await;
    server.log_in().await;
    assert_eq!(paths(&store).await, [""; 0]);
}

#[tokio::test]
async fn an_operator_deletes_what_is_on_record_of_one_person() {
    let (store, _, server, person) = entered().await;
    let other = PersonId::of(&party(), "somebody else");
    server.logins.people().enter(&other, &details("Smith")).await.unwrap();
    assert!(forget(&server.objects, &person).await.unwrap());
    assert_eq!(server.logins.people().details(&person).await.unwrap(), None);
    assert_eq!(server.logins.people().details(&other).await.unwrap(), Some(details("Smith")));
    assert_eq!(paths(&store).await.len(), 2, "those of the other");
    assert!(!forget(&server.objects, &person).await.unwrap(), "there was nothing any more");
    // Who is asked anew can enter them anew.
    server.logins.people().enter(&person, &details("Quill")).await.unwrap();
    assert!(server.logins.people().details(&person).await.unwrap().is_some());
}

/// Whoever can write to the store and lacks the session key gives nobody another's details, and no false ones.
#[tokio::test]
async fn forged_details_are_nobodys() {
    let (store, clock, server, person) = entered().await;
    let other = PersonId::of(&party(), "somebody else");
    server.logins.people().enter(&other, &details("Smith")).await.unwrap();
    let all: Vec<_> = paths(&store).await.into_iter().filter(|path| path.ends_with("/details")).collect();
    let [one, two] = &all[..] else { panic!("{all:?}") };
    let bytes = store.get(&Path::from(one.as_str())).await.unwrap().bytes().await.unwrap();
    store.put(&Path::from(two.as_str()), bytes.into()).await.unwrap();
    let read = [
        server.logins.people().details(&person).await.unwrap(),
        server.logins.people().details(&other).await.unwrap(),
    ];
    assert_eq!(read.iter().filter(|read| read.is_some()).count(), 1, "{read:?}");
    let of_another_key = Server::with_key(store, &clock, &new_session_key());
    assert_eq!(of_another_key.logins.people().details(&person).await.unwrap(), None);
}

/// What cannot be read keeps nobody out: it is entered anew.
#[tokio::test]
async fn details_that_cannot_be_read_are_entered_anew() {
    let (store, _, server, person) = entered().await;
    let path = paths(&store).await.into_iter().find(|path| path.ends_with("/details")).unwrap();
    for garbage in ["", "garbage", r#"{"version":3}"#] {
        store.put(&Path::from(path.as_str()), garbage.into()).await.unwrap();
        assert_eq!(server.logins.people().details(&person).await.unwrap(), None);
        server.logins.people().enter(&person, &details("Quill")).await.unwrap();
        assert!(server.logins.people().details(&person).await.unwrap().is_some());
    }
}

/// A store that fails says so to whoever enters or reads, and what is on record stays.
#[tokio::test]
async fn a_store_that_fails_is_told_of() {
    let (inner, _, sound, person) = entered().await;
    let (store, faults) = FaultStore::new(inner);
    let failing = Server::over(Arc::new(store), &clock());
    for fault in [Fault::Before, Fault::DiskFull] {
        faults.random(7, 1.0, &[fault]);
        assert!(failing.logins.people().enter(&person, &details("Smith")).await.is_err(), "{fault:?}");
    }
    faults.random(7, 1.0, &[Fault::Before]);
    assert!(failing.logins.people().details(&person).await.is_err());
    faults.none();
    assert_eq!(sound.logins.people().details(&person).await.unwrap(), Some(details("Quill")));
}
