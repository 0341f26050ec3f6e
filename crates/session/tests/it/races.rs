//! Several servers at once.

use crate::it::world::{Server, answer_to, clock, posted, settings, unsolicited};
use gridtrail_saml::fake::ISSUER;
use gridtrail_session::{LoginError, ProviderSettings, Reason};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use std::sync::Arc;

const SERVERS: usize = 4;

async fn servers(store: Arc<dyn ObjectStore>) -> Vec<Arc<Server>> {
    let clock = clock();
    let servers: Vec<_> = (0..SERVERS).map(|_| Arc::new(Server::over(Arc::clone(&store), &clock))).collect();
    servers[0].enrol().await;
    servers
}

/// How many of the servers take it, when all get it at the same moment.
async fn winners(
    servers: &[Arc<Server>],
    response: &str,
    asked: Option<&gridtrail_session::Started>,
) -> usize {
    let together = Arc::new(tokio::sync::Barrier::new(servers.len()));
    let brought: Vec<_> = servers
        .iter()
        .map(|server| {
            let (server, together, response) =
                (Arc::clone(server), Arc::clone(&together), response.to_owned());
            let asked = asked.map(|asked| (asked.request.clone(), asked.browser.clone()));
            tokio::spawn(async move {
                together.wait().await;
                let (state, browser) = asked.map_or((None, None), |(id, browser)| (Some(id), Some(browser)));
                let state = state.as_ref().map(|id| id.as_str());
                server.logins.finish(response, state, browser.as_ref(), None).await
            })
        })
        .collect();
    let mut won = 0;
    for finished in brought {
        match finished.await.unwrap() {
            Ok(_) => won += 1,
            Err(LoginError::Refused(Reason::AssertionUsed)) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    won
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_response_that_many_servers_get_at_once_is_taken_by_one() {
    let servers = servers(Arc::new(InMemory::new())).await;
    for round in 0..100 {
        let started = servers[round % SERVERS].start().await;
        let response = posted(&answer_to(started.request.as_str()));
        assert_eq!(winners(&servers, &response, Some(&started)).await, 1, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_nobody_asked_for_is_taken_by_one_in_a_local_directory_too() {
    let directory = tempfile::tempdir().unwrap();
    let servers = servers(Arc::new(LocalFileSystem::new_with_prefix(directory.path()).unwrap())).await;
    servers[0].register.remove(ISSUER).await.unwrap();
    let allowing = ProviderSettings { allow_unsolicited: true, ..settings() };
    let metadata = gridtrail_saml::fake::metadata(ISSUER, &[&crate::it::world::KEYS.signer]);
    servers[0]
        .register
        .add(&metadata, Some(&crate::it::world::party()), allowing, &crate::it::world::anchors())
        .await
        .unwrap();
    for round in 0..25 {
        let mut answer = unsolicited();
        answer.id = format!("_round-{round}");
        assert_eq!(winners(&servers, &posted(&answer), None).await, 1, "round {round}");
    }
}
