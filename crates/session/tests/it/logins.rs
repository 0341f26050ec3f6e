//! Who is logged in, and who is not.

use crate::it::world::{
    DCC, HOUR, KEYS, MINUTE, Server, anchors, answer_to, at, clock, named, pair, party, posted, reason,
    settings, unsolicited, with_attributes,
};
use futures::TryStreamExt;
use gridtrail_access::OrgId;
use gridtrail_saml::fake::answer::{Answer, confirmation};
use gridtrail_saml::fake::key_infrastructure::Key;
use gridtrail_saml::fake::{ACS_URL, ISSUER, metadata};
use gridtrail_saml::{CertificateFault, Refusal};
use gridtrail_session::{LoginError, ProviderSettings, Reason, Session};
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt};
use std::sync::Arc;

fn columns(session: &Session) -> Vec<u8> {
    session.bearer.roles.iter().map(|role| role.column()).collect()
}

#[tokio::test]
async fn a_session_says_what_enrolment_and_assertion_say_and_names_nobody() {
    let (server, other, _) = pair().await;
    let logged_in = server.log_in().await;
    let session = &logged_in.session;
    assert_eq!(session.identity_provider, ISSUER);
    assert_eq!(session.bearer.party, party());
    assert_eq!(session.bearer.org_id, OrgId::All);
    assert_eq!(columns(session), [3, 5]);
    let ids: Vec<String> = session.bearer.user_ids.iter().map(ToString::to_string).collect();
    assert_eq!(ids, ["90-B3-D5-1F-30-01-00-00", "90-B3-D5-1F-30-02-00-00"]);
    assert_eq!(session.bearer.valid_from, at("2026-03-01T10:00:00Z"));
    assert_eq!(session.bearer.subject.len(), 64);
    assert!(!format!("{logged_in:?}").contains("person-17"));
    // Another server says the same, by handle and by id.
    assert_eq!(other.sessions.resume(&logged_in.handle).await.unwrap(), *session);
    assert_eq!(other.sessions.check(&session.id).await.unwrap(), *session);
}

#[tokio::test]
async fn no_object_holds_a_name_or_a_handle() {
    let (store, clock) = (Arc::new(InMemory::new()), clock());
    let server = Server::over(store.clone(), &clock);
    server.enrol().await;
    server.enrol_dcc().await;
    server.register.add_account(DCC, "person-17", &party()).await.unwrap();
    let started = server.start().await;
    let logged_in = server.finish(&started, &answer_to(started.request.as_str())).await.unwrap();
    let secrets = ["person-17".to_owned(), started.browser.secret(), logged_in.handle.secret()];
    let objects: Vec<_> = store.list(None).try_collect().await.unwrap();
    assert!(objects.len() >= 6, "{objects:?}");
    for object in objects {
        let bytes = store.get(&object.location).await.unwrap().bytes().await.unwrap();
        let shown = format!("{} {}", object.location, String::from_utf8_lossy(&bytes));
        assert!(!secrets.iter().any(|secret| shown.contains(secret)), "{shown}");
    }
}

#[tokio::test]
async fn the_subject_is_the_same_at_each_login_and_another_for_another_person() {
    let (server, _, _) = pair().await;
    let (first, second) = (server.log_in().await.session, server.log_in().await.session);
    assert_ne!(first.id, second.id);
    assert_eq!(first.bearer.subject, second.bearer.subject);
    let started = server.start().await;
    let mut answer = answer_to(started.request.as_str());
    answer.name_id = answer.name_id.replace("person-17", "person-18");
    assert_ne!(server.finish(&started, &answer).await.unwrap().session.bearer.subject, first.bearer.subject);
}

#[tokio::test]
async fn the_request_of_another_browser_is_refused_and_still_counts_in_its_own() {
    let (server, _, _) = pair().await;
    let (mine, theirs) = (server.start().await, server.start().await);
    let response = posted(&answer_to(mine.request.as_str()));
    for browser in [None, Some(&theirs.browser)] {
        let finished =
            server.logins.finish(response.clone(), Some(mine.request.as_str()), browser, None).await;
        assert_eq!(reason(finished), Reason::OtherBrowser);
    }
    // Under the name of the other browser's own request, the answer does not fit.
    let crossed = server.finish_with(&theirs, response.clone()).await;
    assert_eq!(reason(crossed), Reason::Response(Refusal::InResponseTo));
    assert!(server.finish_with(&mine, response).await.is_ok());
}

#[tokio::test]
async fn a_request_is_answered_once_even_by_two_assertions() {
    let (server, other, _) = pair().await;
    let started = server.start().await;
    let answer = answer_to(started.request.as_str());
    assert!(server.finish(&started, &answer).await.is_ok());
    assert_eq!(reason(other.finish(&started, &answer).await), Reason::AssertionUsed);
    let again = Answer { id: "_another".into(), ..answer };
    assert_eq!(reason(other.finish(&started, &again).await), Reason::RequestAnswered);
}

#[tokio::test]
async fn a_request_expires_after_ten_minutes() {
    for (late_ms, expires) in [(10 * MINUTE - 1, false), (10 * MINUTE, true)] {
        let (server, _, clock) = pair().await;
        let started = server.start().await;
        clock.advance(late_ms);
        let mut answer = answer_to(started.request.as_str());
        answer.confirmation = answer.confirmation.replace("10:05:00", "10:30:00");
        answer.conditions = answer.conditions.replace("10:05:00", "10:30:00");
        let finished = server.finish(&started, &answer).await;
        if expires {
            assert_eq!(reason(finished), Reason::RequestExpired);
        } else {
            assert!(finished.is_ok());
        }
    }
}

#[tokio::test]
async fn a_relay_state_that_is_none_of_ours_is_no_request() {
    let (server, _, _) = pair().await;
    let started = server.start().await;
    let response = posted(&answer_to(started.request.as_str()));
    for state in
        [None, Some(""), Some("../providers"), Some("_0123"), Some("_00000000000000000000000000000000")]
    {
        let finished = server.logins.finish(response.clone(), state, Some(&started.browser), None).await;
        assert_eq!(reason(finished), Reason::NoRequest, "{state:?}");
    }
}

#[tokio::test]
async fn what_nobody_asked_for_is_taken_only_where_that_is_allowed_and_once() {
    let (server, other, clock) = pair().await;
    let bring = |server: &Server| {
        let logins = Arc::clone(&server.logins);
        async move { logins.finish(posted(&unsolicited()), None, None, None).await }
    };
    assert_eq!(reason(bring(&server).await), Reason::NoRequest);
    server.register.set(ISSUER, ProviderSettings { allow_unsolicited: true, ..settings() }).await.unwrap();
    clock.advance(1000);
    assert!(bring(&server).await.is_ok());
    assert_eq!(reason(bring(&other).await), Reason::AssertionUsed);
    // Where this browser did ask, only the answer to that counts.
    let started = server.start().await;
    let answer = Answer { id: "_unasked".into(), ..unsolicited() };
    assert_eq!(reason(server.finish(&started, &answer).await), Reason::Response(Refusal::Unsolicited));
}

#[tokio::test]
async fn an_identity_provider_that_is_not_enrolled_logs_nobody_in() {
    let (server, _, _) = pair().await;
    assert!(matches!(server.logins.start(DCC, None).await, Err(LoginError::UnknownProvider)));
    let answer = Answer { issuer: DCC.into(), ..unsolicited() };
    assert_eq!(
        reason(server.logins.finish(posted(&answer), None, None, None).await),
        Reason::UnknownProvider
    );
    let garbage = server.logins.finish("garbage".into(), None, None, None).await;
    assert!(matches!(reason(garbage), Reason::Response(_)));
}

#[tokio::test]
async fn a_removed_identity_provider_ends_what_was_begun_and_enrolled_anew_is_another() {
    let (server, other, clock) = pair().await;
    let session = server.log_in().await.session;
    let started = server.start().await;
    other.register.remove(ISSUER).await.unwrap();
    clock.advance(1000);
    assert!(matches!(server.logins.start(ISSUER, None).await, Err(LoginError::UnknownProvider)));
    let answer = answer_to(started.request.as_str());
    assert_eq!(reason(server.finish(&started, &answer).await), Reason::UnknownProvider);
    assert!(server.sessions.check(&session.id).await.is_err());
    other.enrol().await;
    clock.advance(1000);
    assert_eq!(reason(server.finish(&started, &answer).await), Reason::UnknownProvider);
    assert!(server.sessions.check(&session.id).await.is_err());
    server.log_in().await;
}

#[tokio::test]
async fn keys_rotate() {
    let (server, other, clock) = pair().await;
    let session = server.log_in().await.session;
    let (old, new) = (&KEYS.signer, &KEYS.next);
    let bring = async |key| {
        let started = server.start().await;
        let response = answer_to(started.request.as_str()).response(key);
        let posted = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, response);
        server.finish_with(&started, posted).await
    };
    assert_eq!(reason(bring(new).await), Reason::Response(Refusal::Signature));
    other.register.replace_metadata(ISSUER, &metadata(ISSUER, &[old, new]), &anchors()).await.unwrap();
    clock.advance(1000);
    assert!(bring(new).await.is_ok() && bring(old).await.is_ok());
    other.register.replace_metadata(ISSUER, &metadata(ISSUER, &[new]), &anchors()).await.unwrap();
    clock.advance(1000);
    assert!(bring(new).await.is_ok());
    assert_eq!(reason(bring(old).await), Reason::Response(Refusal::Signature));
    // Sessions are not those of a key.
    assert!(server.sessions.check(&session.id).await.is_ok());
}

#[tokio::test]
async fn a_certificate_that_was_revoked_since_its_enrolment_logs_nobody_in() {
    let (server, _, _) = pair().await;
    server.log_in().await;
    server.anchors.replace(KEYS.infrastructure.anchors_revoking(&[KEYS.signer.serial]));
    let started = server.start().await;
    let refused = reason(server.finish(&started, &answer_to(started.request.as_str())).await);
    assert_eq!(refused, Reason::Response(Refusal::Certificate(CertificateFault::Revoked)));
}

#[tokio::test]
async fn the_party_of_the_dccs_own_is_that_of_the_account() {
    let (server, other, clock) = pair().await;
    server.enrol_dcc().await;
    clock.advance(1000);
    let log_in = async |server: &Server| {
        let started = server.logins.start(DCC, None).await.unwrap();
        let mut answer = answer_to(started.request.as_str());
        answer.issuer = DCC.into();
        answer.response_issuer = answer.response_issuer.replace(ISSUER, DCC);
        server.finish(&started, &answer).await
    };
    assert_eq!(reason(log_in(&server).await), Reason::NoAccount);
    let account = other.register.add_account(DCC, "person-17", &named("Network & Co")).await.unwrap();
    let session = log_in(&server).await.unwrap().session;
    let shown = (&session.bearer.party, &session.bearer.subject);
    assert_eq!(shown, (&named("Network & Co"), &account.subject));
    // Not that of the same name elsewhere.
    assert_ne!(server.log_in().await.session.bearer.subject, account.subject);
    other.register.remove_account(&account.subject).await.unwrap();
    assert_eq!(reason(log_in(&server).await), Reason::NoAccount);
    clock.advance(1000);
    assert!(server.sessions.check(&session.id).await.is_err());
    other.register.add_account(DCC, "person-17", &named("Other & Co")).await.unwrap();
    assert!(
        server.sessions.check(&session.id).await.is_err(),
        "an account of another Party revived a session"
    );
    assert_eq!(log_in(&server).await.unwrap().session.bearer.party, named("Other & Co"));
}

#[tokio::test]
async fn nobody_is_let_in_who_is_not_written_down() {
    let (server, other, _) = pair().await;
    let logged_in = server.log_in().await;
    server.logins.log_out(&logged_in.handle, None).await.unwrap();
    server.logins.log_out(&logged_in.handle, None).await.unwrap();
    let started = server.start().await;
    let mut answer = answer_to(started.request.as_str());
    answer.context = "urn:weak".into();
    server.finish(&started, &answer).await.unwrap_err();
    let told = server.witness.all.lock().unwrap().clone();
    assert_eq!(told[..2], ["in Supplier & Co from None", "out Supplier & Co"]);
    assert!(
        told.last().unwrap().starts_with("refused: a login was refused: the authentication context"),
        "{told:?}"
    );
    server.witness.is_full.store(true, std::sync::atomic::Ordering::Relaxed);
    let started = server.start().await;
    let finished = server.finish(&started, &answer_to(started.request.as_str())).await;
    assert!(matches!(finished, Err(LoginError::NotWritten)), "{finished:?}");
    // The assertion is used up all the same.
    let again = other.finish(&started, &answer_to(started.request.as_str())).await;
    assert_eq!(reason(again), Reason::AssertionUsed);
}

/// Begins as many logins from an address as it may. Gives how many those were.
async fn begin_all(server: &Server, entity_id: &str, from: &str) -> usize {
    let (from, mut begun) = (Some(from.parse().unwrap()), 0);
    while server.logins.start(entity_id, from).await.is_ok() {
        begun += 1;
        assert!(begun < 5_000, "there is no end");
    }
    begun
}

#[tokio::test]
async fn logins_begun_by_an_attacker_leave_those_of_others() {
    let (server, other, _) = pair().await;
    server.enrol_dcc().await;
    assert!((50..500).contains(&begin_all(&server, ISSUER, "192.0.2.1:1").await));
    // The next port, or the next address of the same site, is the same caller.
    assert_eq!(begin_all(&server, ISSUER, "192.0.2.1:2").await, 0);
    assert!((50..500).contains(&begin_all(&server, ISSUER, "[2001:db8::1]:1").await));
    assert_eq!(begin_all(&server, ISSUER, "[2001:db8::2]:1").await, 0);
    assert!(begin_all(&server, ISSUER, "192.0.2.2:1").await >= 50, "another has theirs");
    // Many addresses use up one Identity Provider, and no other.
    for number in 3..30 {
        begin_all(&server, ISSUER, &format!("192.0.2.{number}:1")).await;
    }
    assert_eq!(begin_all(&server, ISSUER, "192.0.2.30:1").await, 0);
    assert!(begin_all(&server, DCC, "192.0.2.31:1").await >= 50);
    assert!(other.logins.start(ISSUER, None).await.is_ok(), "each server has its own limit");
}

#[tokio::test]
async fn pages_that_are_loaded_leave_an_address_its_logins_and_logins_leave_it_its_pages() {
    let (server, _, _) = pair().await;
    let loaded = async |from: &str| {
        let mut loaded = 0;
        while server.logins.identity_providers(Some(from.parse().unwrap())).await.is_ok() {
            loaded += 1;
            assert!(loaded < 5_000, "there is no end");
        }
        loaded
    };
    let office = "192.0.2.1:1";
    assert!((50..500).contains(&loaded(office).await));
    assert!((50..500).contains(&begin_all(&server, ISSUER, office).await), "its logins are left");
    let another = "192.0.2.2:1";
    assert!((50..500).contains(&begin_all(&server, ISSUER, another).await));
    assert!((50..500).contains(&loaded(another).await), "its pages are left");
}

#[tokio::test]
async fn responses_brought_by_an_attacker_leave_those_of_others() {
    let (server, _, _) = pair().await;
    let (attacker, honest) = (Some("192.0.2.1:1".parse().unwrap()), Some("192.0.2.2:1".parse().unwrap()));
    let bring = async |from| server.logins.finish("PA==".to_owned(), None, None, from).await.unwrap_err();
    let mut brought = 0;
    while !matches!(bring(attacker).await, LoginError::Busy) {
        brought += 1;
        assert!(brought < 5_000, "there is no end");
    }
    assert!(brought >= 50, "{brought}");
    let started = server.start().await;
    let posted = posted(&answer_to(started.request.as_str()));
    let (request, browser) = (Some(started.request.as_str()), Some(&started.browser));
    server.logins.finish(posted, request, browser, honest).await.unwrap();
}

#[tokio::test]
async fn unknown_roles_and_malformed_user_ids_give_nothing() {
    let (server, _, _) = pair().await;
    let bring = async |roles, ids| {
        let started = server.start().await;
        let answer = with_attributes(answer_to(started.request.as_str()), roles, ids);
        server.finish(&started, &answer).await
    };
    let session = bring("role-99, role-03,ROLE-05", "90-B3-D5-1F-30-01-00-00,90-B3,x").await.unwrap().session;
    assert_eq!(columns(&session), [3]);
    assert_eq!(session.bearer.user_ids.len(), 1);
    assert_eq!(reason(bring("role-99", "").await), Reason::NoKnownRole);
    assert!(bring("role-03", "").await.unwrap().session.bearer.user_ids.is_empty());
}

#[tokio::test]
async fn what_org_id_names_goes_by_the_enrolment() {
    let (server, _, clock) = pair().await;
    let before = server.log_in().await.session;
    server.register.set(ISSUER, ProviderSettings { org_id: OrgId::GrantedOnly, ..settings() }).await.unwrap();
    clock.advance(1000);
    assert_eq!(server.log_in().await.session.bearer.org_id, OrgId::GrantedOnly);
    assert_eq!(server.sessions.check(&before.id).await.unwrap().bearer.org_id, OrgId::All);
}

#[tokio::test]
async fn an_authentication_that_is_not_strong_enough_for_this_identity_provider() {
    let (server, _, clock) = pair().await;
    server.register.set(ISSUER, ProviderSettings::default()).await.unwrap();
    clock.advance(1000);
    let started = server.start().await;
    let refused = reason(server.finish(&started, &answer_to(started.request.as_str())).await);
    assert!(matches!(refused, Reason::Response(Refusal::AuthnContext(_))));
}

#[tokio::test]
async fn an_assertion_is_remembered_by_issuer_and_identifier() {
    // Two Identity Providers may use the same identifier.
    let server = Server::over(Arc::new(InMemory::new()), &clock());
    let allowing = ProviderSettings { allow_unsolicited: true, ..settings() };
    let key = KEYS.infrastructure.issue(Key::P256, |_| {});
    for (issuer, signer) in [(ISSUER, &KEYS.signer), (DCC, &key)] {
        server
            .register
            .add(&metadata(issuer, &[signer]), Some(&party()), allowing.clone(), &anchors())
            .await
            .unwrap();
        let mut answer = unsolicited();
        answer.issuer = issuer.into();
        answer.response_issuer = answer.response_issuer.replace(ISSUER, issuer);
        let posted =
            base64::Engine::encode(&base64::engine::general_purpose::STANDARD, answer.response(signer));
        assert!(server.logins.finish(posted, None, None, None).await.is_ok(), "{issuer}");
    }
}

#[tokio::test]
async fn an_assertion_is_not_taken_again_however_late_the_sweep() {
    let (server, _, clock) = pair().await;
    server.register.set(ISSUER, ProviderSettings { allow_unsolicited: true, ..settings() }).await.unwrap();
    clock.advance(1000);
    let mut answer = unsolicited();
    answer.conditions = answer.conditions.replace("T10:05", "T16:00");
    answer.confirmation =
        confirmation(&format!(r#"NotOnOrAfter="2026-03-01T16:00:00Z" Recipient="{ACS_URL}""#));
    assert!(server.logins.finish(posted(&answer), None, None, None).await.is_ok());
    for _ in 0..7 {
        clock.advance(HOUR);
        gridtrail_session::Sweep::new(server.objects.clone(), clock.clone()).run().await.unwrap();
        assert!(server.logins.finish(posted(&answer), None, None, None).await.is_err());
    }
}
