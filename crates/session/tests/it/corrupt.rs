//! Objects that are not what was written: an error that names the object, and never a pass.

use crate::it::world::{DCC, Server, anchors, answer_to, clock, posted, settings};
use futures::TryStreamExt;
use gridtrail_saml::fake::{ISSUER, metadata};
use gridtrail_session::{LoginError, RegisterError, SessionError, StoreError, Sweep};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use std::sync::Arc;

const GARBAGE: [&str; 6] = [
    "",
    "garbage",
    r#"{"version":3,"nonce":"","expires_at":null,"content":{}}"#,
    r#"{"version":2,"nonce":"","expires_at":null,"content":{}}"#,
    r#"{"version":1,"nonce":"","expires_at":"never","content":{}}"#,
    r#"{"version":1,"nonce":"","expires_at":null,"content":{"secret":1}}"#,
];

/// The object in a folder, of which there is one.
async fn only(store: &InMemory, folder: &str) -> Path {
    let found: Vec<_> =
        store.list(Some(&Path::from(format!("lake/_sessions/{folder}")))).try_collect().await.unwrap();
    let [object] = &found[..] else { panic!("{folder}: {found:?}") };
    object.location.clone()
}

fn named(error: &StoreError, path: &Path) {
    let shown = error.to_string();
    assert!(matches!(error, StoreError::Corrupt { .. }) && shown.contains(path.as_ref()), "{shown}");
    assert!(!shown.contains("secret"), "{shown}");
}

#[tokio::test]
async fn a_request_that_cannot_be_read() {
    for garbage in &GARBAGE[..4] {
        let store = Arc::new(InMemory::new());
        let server = Server::over(store.clone(), &clock());
        server.enrol().await;
        let started = server.start().await;
        let path = only(&store, "requests").await;
        store.put(&path, (*garbage).into()).await.unwrap();
        let finished = server.finish_with(&started, posted(&answer_to(started.request.as_str()))).await;
        let Err(LoginError::Store(error)) = finished else { panic!("{finished:?}") };
        named(&error, &path);
    }
}

#[tokio::test]
async fn a_session_that_cannot_be_read() {
    for garbage in &GARBAGE[..4] {
        let store = Arc::new(InMemory::new());
        let server = Server::over(store.clone(), &clock());
        server.enrol().await;
        let session = server.log_in().await.session;
        let path = only(&store, "sessions").await;
        store.put(&path, (*garbage).into()).await.unwrap();
        let Err(SessionError::Store(error)) = server.sessions.check(&session.id).await else {
            panic!("{garbage}")
        };
        named(&error, &path);
    }
}

#[tokio::test]
async fn an_object_that_is_too_long() {
    let store = Arc::new(InMemory::new());
    let server = Server::over(store.clone(), &clock());
    server.enrol().await;
    let session = server.log_in().await.session;
    let path = only(&store, "sessions").await;
    store.put(&path, vec![b' '; 1024 * 1024 + 1].into()).await.unwrap();
    let Err(SessionError::Store(error)) = server.sessions.check(&session.id).await else { panic!() };
    named(&error, &path);
}

#[tokio::test]
async fn a_mark_counts_whatever_stands_in_it() {
    // A used assertion and a revocation are told by their existence.
    for garbage in GARBAGE {
        let (store, clock) = (Arc::new(InMemory::new()), clock());
        let server = Server::over(store.clone(), &clock);
        server.enrol().await;
        let started = server.start().await;
        let response = posted(&answer_to(started.request.as_str()));
        let session = server.finish_with(&started, response.clone()).await.unwrap().session;
        store.put(&only(&store, "assertions").await, garbage.into()).await.unwrap();
        assert!(server.finish_with(&started, response).await.is_err());
        let revoked = Path::from(format!("lake/_sessions/sessions/{}/revoked", session.id));
        store.put(&revoked, garbage.into()).await.unwrap();
        assert!(server.sessions.check(&session.id).await.is_err());
    }
}

#[tokio::test]
async fn an_entry_of_the_register_that_cannot_be_read_stops_nobody_else() {
    for garbage in GARBAGE {
        let (store, clock) = (Arc::new(InMemory::new()), clock());
        let server = Server::over(store.clone(), &clock);
        server.enrol().await;
        let session = server.log_in().await.session;
        let path = only(&store, "providers").await;
        server.enrol_dcc().await;
        store.put(&path, garbage.into()).await.unwrap();
        // Another server, which never read it well.
        let other = Server::over(store.clone(), &clock);
        let Err(LoginError::Store(error)) = other.logins.start(ISSUER, None).await else {
            panic!("{garbage}")
        };
        named(&error, &path);
        assert!(other.sessions.check(&session.id).await.is_err());
        assert!(other.logins.start(DCC, None).await.is_ok());
        let listed = other.register.list().await;
        assert!(matches!(listed, Err(RegisterError::Store(StoreError::Corrupt { .. }))));
        let (next, anchors) = (metadata(ISSUER, &[&crate::it::world::KEYS.next]), anchors());
        let added = other.register.add(&next, None, settings(), &anchors);
        assert!(added.await.is_err(), "a corrupt entry was replaced");
    }
}

#[tokio::test]
async fn metadata_of_another_identity_provider_in_an_entry() {
    let store = Arc::new(InMemory::new());
    let server = Server::over(store.clone(), &clock());
    server.enrol().await;
    let path = only(&store, "providers").await;
    let text = String::from_utf8(store.get(&path).await.unwrap().bytes().await.unwrap().to_vec()).unwrap();
    store.put(&path, text.replace(ISSUER, DCC).into()).await.unwrap();
    let other = Server::over(store.clone(), &clock());
    assert!(matches!(
        other.logins.start(ISSUER, None).await,
        Err(LoginError::Store(StoreError::Corrupt { .. }))
    ));
    assert!(matches!(other.logins.start(DCC, None).await, Err(LoginError::UnknownProvider)));
}

#[tokio::test]
async fn a_sweep_leaves_what_it_cannot_read_and_counts_it() {
    let (store, clock) = (Arc::new(InMemory::new()), clock());
    let server = Server::over(store.clone(), &clock);
    server.enrol().await;
    server.log_in().await;
    let path = only(&store, "sessions").await;
    store.put(&path, "garbage".into()).await.unwrap();
    clock.advance(24 * 60 * 60_000);
    let swept = Sweep::new(server.objects.clone(), clock.clone()).run().await.unwrap();
    assert_eq!(swept.corrupt, 1);
    assert!(store.head(&path).await.is_ok());
}
