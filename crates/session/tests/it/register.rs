//! Who is enrolled.

use crate::it::world::{DCC, KEYS, anchors, named, pair, party, settings};
use gridtrail_saml::fake::{ISSUER, metadata};
use gridtrail_saml::{CertificateFault, MetadataFault, TrustAnchors};
use gridtrail_session::{ProviderSettings, RegisterError};

#[tokio::test]
async fn several_are_enrolled_and_every_server_lists_them() {
    let (server, other, _) = pair().await;
    server.enrol_dcc().await;
    let listed = other.register.list().await.unwrap();
    let mut shown: Vec<_> =
        listed.iter().map(|one| (one.identity_provider().entity_id(), one.party())).collect();
    shown.sort_unstable();
    assert_eq!(shown, [(DCC, None), (ISSUER, Some(&party()))]);
    assert!(listed.iter().all(|one| *one.settings() == settings()));
}

#[tokio::test]
async fn what_does_not_hold_is_not_enrolled() {
    let (server, _, _) = pair().await;
    let add = async |text: &str, anchors: &TrustAnchors| {
        server.register.add(text, None, settings(), anchors).await.unwrap_err()
    };
    let good = metadata(DCC, &[&KEYS.next]);
    let revoking = KEYS.infrastructure.anchors_revoking(&[KEYS.next.serial]);
    let refused = add(&good, &revoking).await;
    let wanted = MetadataFault::Certificate(CertificateFault::Revoked);
    assert!(matches!(refused, RegisterError::Metadata(fault) if fault == wanted));
    let stranger = metadata(DCC, &[&KEYS.infrastructure.issue_self_signed()]);
    assert!(matches!(add(&stranger, &anchors()).await, RegisterError::Metadata(_)));
    assert!(matches!(add(&metadata(ISSUER, &[&KEYS.next]), &anchors()).await, RegisterError::Enrolled));
    assert_eq!(server.register.list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn metadata_are_replaced_by_those_of_the_same_that_hold() {
    let (server, _, _) = pair().await;
    let replace = async |entity_id: &str, text: &str, anchors: &TrustAnchors| {
        server.register.replace_metadata(entity_id, text, anchors).await.unwrap_err()
    };
    let next = metadata(ISSUER, &[&KEYS.next]);
    assert!(matches!(
        replace(DCC, &metadata(DCC, &[&KEYS.next]), &anchors()).await,
        RegisterError::NotEnrolled
    ));
    assert!(matches!(
        replace(ISSUER, &metadata(DCC, &[&KEYS.next]), &anchors()).await,
        RegisterError::OtherEntity
    ));
    let revoking = KEYS.infrastructure.anchors_revoking(&[KEYS.next.serial]);
    assert!(matches!(replace(ISSUER, &next, &revoking).await, RegisterError::Metadata(_)));
    server.register.replace_metadata(ISSUER, &next, &anchors()).await.unwrap();
    let [provider] = &server.register.list().await.unwrap()[..] else { panic!("one") };
    assert_eq!(provider.identity_provider().certificates(), std::slice::from_ref(&KEYS.next.certificate));
    assert_eq!(provider.party(), Some(&party()));
}

#[tokio::test]
async fn of_changes_at_the_same_time_none_is_lost_unseen() {
    let (server, other, _) = pair().await;
    for round in 0..20 {
        let set = |allow: bool| ProviderSettings { allow_unsolicited: allow, ..settings() };
        let (one, two) = tokio::join!(
            server.register.set(ISSUER, set(round % 2 == 0)),
            other.register.set(ISSUER, set(round % 2 != 0))
        );
        for result in [&one, &two] {
            assert!(matches!(result, Ok(()) | Err(RegisterError::ChangedMeanwhile)), "{result:?}");
        }
        assert!(one.is_ok() || two.is_ok());
    }
}

#[tokio::test]
async fn what_is_removed_is_gone_and_can_be_enrolled_again() {
    let (server, other, _) = pair().await;
    server.register.remove(ISSUER).await.unwrap();
    assert!(other.register.list().await.unwrap().is_empty());
    assert!(matches!(other.register.remove(ISSUER).await, Err(RegisterError::NotEnrolled)));
    assert!(matches!(other.register.set(ISSUER, settings()).await, Err(RegisterError::NotEnrolled)));
    other.enrol().await;
    assert_eq!(server.register.list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn accounts_are_for_the_dccs_own_and_name_nobody() {
    let (server, other, _) = pair().await;
    server.enrol_dcc().await;
    let register = &server.register;
    assert!(matches!(register.add_account(ISSUER, "p", &named("A")).await, Err(RegisterError::NoAccounts)));
    assert!(matches!(register.add_account("urn:x", "p", &named("A")).await, Err(RegisterError::NotEnrolled)));
    let account = register.add_account(DCC, "person-17", &named("A")).await.unwrap();
    assert!(matches!(
        register.add_account(DCC, "person-17", &named("B")).await,
        Err(RegisterError::HasAccount)
    ));
    register.add_account(DCC, "person-18", &named("B")).await.unwrap();
    let listed = other.register.accounts().await.unwrap();
    assert_eq!(listed.len(), 2);
    assert!(listed.contains(&account) && !format!("{listed:?}").contains("person"));
    other.register.remove_account(&account.subject).await.unwrap();
    for gone in [&*account.subject, "", "../providers", &"0".repeat(64)] {
        assert!(matches!(register.remove_account(gone).await, Err(RegisterError::NoAccount)), "{gone}");
    }
    assert_eq!(register.accounts().await.unwrap().len(), 1);
}
