//! What is deleted, and what must not be.

use crate::it::world::{DCC, HOUR, MINUTE, Server, anchors, clock, holds, named, settings};
use futures::TryStreamExt;
use gridtrail_saml::fake::{ISSUER, metadata};
use gridtrail_session::Sweep;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use std::sync::Arc;

async fn paths(store: &InMemory) -> Vec<String> {
    let found: Vec<_> = store.list(None).try_collect().await.unwrap();
    found.into_iter().map(|object| object.location.to_string()).collect()
}

#[tokio::test]
async fn all_that_a_login_wrote_goes_in_time_and_nothing_before() {
    let (store, clock) = (Arc::new(InMemory::new()), clock());
    let server = Server::over(store.clone(), &clock);
    let sweep = Sweep::new(server.objects.clone(), clock.clone());
    server.enrol().await;
    let session = server.log_in().await.session;
    clock.advance(MINUTE);
    assert!(holds(&server, &session).await);
    assert_eq!(sweep.run().await.unwrap().deleted, 0);
    clock.advance(30 * MINUTE);
    assert_eq!(sweep.run().await.unwrap().deleted, 4, "request, mark of the answer, assertion, activity");
    server.sessions.revoke(&session.id).await.unwrap();
    clock.advance(HOUR);
    assert_eq!(sweep.run().await.unwrap().deleted, 0, "a revocation was forgotten");
    clock.advance(8 * HOUR);
    assert_eq!(sweep.run().await.unwrap().deleted, 2);
    let left = paths(&store).await;
    assert!(left.len() == 1 && left[0].contains("/providers/"), "{left:?}");
}

#[tokio::test]
async fn earlier_versions_of_the_register_go_and_numbers_are_never_used_again() {
    let (store, clock) = (Arc::new(InMemory::new()), clock());
    let server = Server::over(store.clone(), &clock);
    let sweep = Sweep::new(server.objects.clone(), clock.clone());
    server.enrol().await;
    let session = server.log_in().await.session;
    server.register.set(ISSUER, settings()).await.unwrap();
    server.register.remove(ISSUER).await.unwrap();
    server.enrol_dcc().await;
    let account = server.register.add_account(DCC, "p", &named("A")).await.unwrap();
    server.register.remove_account(&account.subject).await.unwrap();
    assert_eq!(sweep.run().await.unwrap().deleted, 3);
    let other = Server::over(store.clone(), &clock);
    assert_eq!(other.register.list().await.unwrap().len(), 1);
    assert!(other.register.accounts().await.unwrap().is_empty());
    other
        .register
        .add(&metadata(ISSUER, &[&crate::it::world::KEYS.next]), Some(&named("P")), settings(), &anchors())
        .await
        .unwrap();
    other.register.add_account(DCC, "p", &named("B")).await.unwrap();
    let numbers = paths(&store).await;
    assert!(numbers.iter().any(|path| path.ends_with("/0000000004")), "{numbers:?}");
    assert!(
        numbers.iter().any(|path| path.contains("accounts") && path.ends_with("/0000000003")),
        "{numbers:?}"
    );
    assert!(!holds(&other, &session).await);
}
