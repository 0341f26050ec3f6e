//! Somebody who can write to the store and lacks the servers' session key.

use crate::it::world::{Server, answer_to, clock, holds, new_session_key, pair, posted, reason};
use futures::TryStreamExt;
use gridtrail_session::{Ended, Handle, Reason, SessionError, SessionId};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde_json::{Value, json};
use std::sync::Arc;

async fn text_of(store: &InMemory, path: &Path) -> String {
    String::from_utf8(store.get(path).await.unwrap().bytes().await.unwrap().to_vec()).unwrap()
}

/// The objects in a folder.
async fn all(store: &InMemory, folder: &str) -> Vec<Path> {
    let folder = Path::from(format!("lake/_sessions/{folder}"));
    let found: Vec<_> =
        store.list(Some(&folder)).map_ok(|object| object.location).try_collect().await.unwrap();
    found
}

fn session_path(id: &SessionId) -> Path {
    Path::from(format!("lake/_sessions/sessions/{id}/session"))
}

async fn ended(server: &Server, id: &SessionId) -> Ended {
    match server.sessions.check(id).await {
        Err(SessionError::Ended(why)) => why,
        other => panic!("{other:?}"),
    }
}

/// One object in the store was a session of whomever it named.
#[tokio::test]
async fn a_forged_session_is_nobodys() {
    let store = Arc::new(InMemory::new());
    let server = Server::over(store.clone(), &clock());
    server.enrol().await;
    let session = server.log_in().await.session;
    let honest: Value = serde_json::from_str(&text_of(&store, &session_path(&session.id)).await).unwrap();
    let document: Value = serde_json::from_str(honest["document"].as_str().unwrap()).unwrap();
    let handle = Handle::random().unwrap();
    let forged = session_path(&SessionId::of(&handle));
    let mut other_party = document.clone();
    other_party["content"]["party"] = json!("another-party");
    let sealed_as = |seal: &Value, document: &Value| {
        json!({ "version": 2, "seal": seal, "document": document.to_string() }).to_string()
    };
    let forgeries = [
        // As servers wrote it before there was a seal.
        document.to_string(),
        // Under another name than it was sealed for: the handle of this one is known to whoever forges.
        honest.to_string(),
        sealed_as(&honest["seal"], &other_party),
        sealed_as(&json!(""), &document),
        sealed_as(&json!("0".repeat(64)), &document),
    ];
    for forgery in forgeries {
        store.put(&forged, forgery.clone().into()).await.unwrap();
        assert_eq!(ended(&server, &SessionId::of(&handle)).await, Ended::Unknown, "{forgery}");
        assert!(server.sessions.resume(&handle).await.is_err());
        server.logins.log_out(&handle, None).await.unwrap();
        assert!(!server.witness.all.lock().unwrap().iter().any(|told| told.starts_with("out")), "{forgery}");
    }
    // An honest one, changed where it lies: to servers that have not seen it, which are all after a second or a restart.
    let other = Server::over(store.clone(), &clock());
    assert!(holds(&other, &session).await);
    store.put(&session_path(&session.id), sealed_as(&honest["seal"], &other_party).into()).await.unwrap();
    let other = Server::over(store.clone(), &clock());
    assert_eq!(ended(&other, &session.id).await, Ended::Unknown);
}

#[tokio::test]
async fn a_session_of_servers_with_another_key_is_none() {
    let store = Arc::new(InMemory::new());
    let server = Server::over(store.clone(), &clock());
    server.enrol().await;
    let session = server.log_in().await.session;
    let other = Server::with_key(store.clone(), &clock(), &new_session_key());
    assert_eq!(ended(&other, &session.id).await, Ended::Unknown);
    // To end it takes no key.
    assert!(gridtrail_session::revoke(&other.objects, &session.id).await.unwrap());
    assert!(!holds(&Server::over(store, &clock()), &session).await);
}

/// A request that nobody began would make an answer that was stolen, or never asked for, look like the browser's own.
#[tokio::test]
async fn a_forged_request_is_none() {
    let store = Arc::new(InMemory::new());
    let server = Server::over(store.clone(), &clock());
    server.enrol().await;
    let (honest, victims) = (server.start().await, server.start().await);
    let paths = all(&store, "requests").await;
    let path_of = |id: &str| paths.iter().find(|path| path.as_ref().ends_with(id)).unwrap().clone();
    let text = text_of(&store, &path_of(honest.request.as_str())).await;
    let document = serde_json::from_str::<Value>(&text).unwrap()["document"].as_str().unwrap().to_owned();
    for forgery in [text, document] {
        store.put(&path_of(victims.request.as_str()), forgery.into()).await.unwrap();
        let answer = posted(&answer_to(victims.request.as_str()));
        let (relay_state, browser) = (Some(victims.request.as_str()), Some(&honest.browser));
        let finished = server.logins.finish(answer, relay_state, browser, None).await;
        assert_eq!(reason(finished), Reason::NoRequest);
    }
}

/// Servers with one key, however it is written down, take each other's sessions.
#[tokio::test]
async fn a_session_of_another_server_with_the_same_key_holds() {
    let (one, other, _) = pair().await;
    let session = one.log_in().await.session;
    assert!(holds(&other, &session).await);
}
