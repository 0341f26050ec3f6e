//! Certificates that do not chain, are out of their dates, were revoked, or have keys that may not sign.

use crate::it::answer::Answer;
use crate::it::enrolment::metadata;
use crate::it::key_infrastructure::{Key, KeyInfrastructure, Signer};
use crate::it::{Look, WORLD, at, now};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gridtrail_model::Timestamp;
use gridtrail_saml::{
    Assertion, CertificateFault, IdentityProvider, MetadataFault, Refusal, SigningCertificate, TrustAnchors,
    verify,
};
use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P521_SHA512, PKCS_ED25519, date_time_ymd,
};

/// A login at which the signer's certificate is enrolled, whatever it is worth.
fn login(signer: &Signer, anchors: &TrustAnchors, now: Timestamp) -> Result<Assertion, Refusal> {
    let provider = IdentityProvider::from_metadata(&metadata(&[signer])).unwrap();
    let answer = Answer::with(|answer| {
        // Long before and long after: only the certificate is asked about.
        let (year, _) = now.year_and_month();
        answer.authn = answer.authn.replace("2026-", &format!("{year}-"));
        answer.conditions = answer.conditions.replace("2026-", &format!("{year}-"));
        answer.confirmation = answer.confirmation.replace("2026-", &format!("{year}-"));
        answer.issue_instant = answer.issue_instant.replace("2026-", &format!("{year}-"));
    });
    let posted = STANDARD.encode(answer.response(signer));
    Look::at(now, 0).with(|expected| verify(&posted, &provider, anchors, expected))
}

/// Demands that both an enrolment and a login fail for that reason.
#[track_caller]
fn neither(signer: &Signer, anchors: &TrustAnchors, now: Timestamp, fault: &CertificateFault) {
    assert_eq!(login(signer, anchors, now), Err(Refusal::Certificate(fault.clone())));
    let enrolled = IdentityProvider::enrol(&metadata(&[signer]), anchors, now);
    assert_eq!(enrolled, Err(MetadataFault::Certificate(fault.clone())));
}

fn anchors_with(lists: &str) -> TrustAnchors {
    let keys = &WORLD.keys;
    TrustAnchors::new(keys.root_pem().as_bytes(), keys.issuing_pem().as_bytes(), lists.as_bytes()).unwrap()
}

#[test]
fn a_good_certificate() {
    assert!(login(&WORLD.rsa, &WORLD.anchors, now()).is_ok());
    assert!(login(&WORLD.ec, &WORLD.anchors, now()).is_ok());
}

#[test]
fn a_certificate_of_another_infrastructure() {
    let others = KeyInfrastructure::new();
    let signer = others.issue(Key::P256, |_| {});
    // Its authorities have the very names of ours.
    match login(&signer, &WORLD.anchors, now()) {
        Err(Refusal::Certificate(fault)) => {
            assert!(
                matches!(fault, CertificateFault::UnknownIssuer | CertificateFault::Path(_)),
                "{fault:?}"
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_certificate_that_signed_itself() {
    let signer = WORLD.keys.issue_self_signed();
    neither(&signer, &WORLD.anchors, now(), &CertificateFault::UnknownIssuer);
}

#[test]
fn a_chain_with_a_link_missing() {
    let keys = &WORLD.keys;
    let lists = keys.root_list(&[]) + &keys.list(&[], 2027);
    let anchors = TrustAnchors::new(keys.root_pem().as_bytes(), b"", lists.as_bytes()).unwrap();
    neither(&WORLD.ec, &anchors, now(), &CertificateFault::UnknownIssuer);
    // An issuing authority may be an anchor itself.
    let anchors = TrustAnchors::new(keys.issuing_pem().as_bytes(), b"", lists.as_bytes()).unwrap();
    assert!(login(&WORLD.ec, &anchors, now()).is_ok());
}

#[test]
fn a_certificate_out_of_its_dates_to_the_second() {
    let signer = WORLD.keys.issue(Key::P256, |params| {
        params.not_before = date_time_ymd(2026, 3, 1);
        params.not_after = date_time_ymd(2026, 3, 2);
    });
    let anchors = &WORLD.anchors;
    let holds = |time: &str| anchors.check(&signer.certificate, at(time));
    assert_eq!(holds("2026-02-28T23:59:59.999Z"), Err(CertificateFault::NotYetValid));
    assert_eq!(holds("2026-03-01T00:00:00Z"), Ok(()));
    assert_eq!(holds("2026-03-02T00:00:00.999Z"), Ok(()));
    assert_eq!(holds("2026-03-02T00:00:01Z"), Err(CertificateFault::Expired));
    assert_eq!(holds("1969-01-01T00:00:00Z"), Err(CertificateFault::NotYetValid));
}

#[test]
fn an_expired_certificate() {
    let signer = WORLD.keys.issue(Key::P256, |params| params.not_after = date_time_ymd(2026, 2, 1));
    neither(&signer, &WORLD.anchors, now(), &CertificateFault::Expired);
}

#[test]
fn a_renewed_certificate_of_the_same_key() {
    let old = WORLD.keys.issue(Key::P256, |params| params.not_after = date_time_ymd(2026, 2, 1));
    let new = WORLD.keys.renew(&old, |_| {});
    assert_ne!(old.certificate, new.certificate);
    for signers in [[&old, &new], [&new, &old]] {
        let provider = IdentityProvider::from_metadata(&metadata(&signers)).unwrap();
        let posted = STANDARD.encode(Answer::with(|_| {}).response(&old));
        let login =
            |anchors| Look::at(now(), 0).with(|expected| verify(&posted, &provider, anchors, expected));
        assert!(login(&WORLD.anchors).is_ok(), "the key is one of a certificate that holds");
        // Neither holds: the log is told why.
        let refused = login(&WORLD.keys.anchors_revoking(&[new.serial]));
        assert!(matches!(refused, Err(Refusal::Certificate(_))), "{refused:?}");
    }
}

#[test]
fn a_certificate_that_is_not_yet_valid() {
    let signer = WORLD.keys.issue(Key::P256, |params| params.not_before = date_time_ymd(2026, 4, 1));
    neither(&signer, &WORLD.anchors, now(), &CertificateFault::NotYetValid);
}

#[test]
fn a_revoked_certificate() {
    neither(&WORLD.ec, &WORLD.keys.anchors_revoking(&[WORLD.ec.serial]), now(), &CertificateFault::Revoked);
    // Somebody else's revocation is not its own.
    assert!(login(&WORLD.ec, &WORLD.keys.anchors_revoking(&[WORLD.rsa.serial]), now()).is_ok());
}

#[test]
fn a_certificate_of_a_revoked_authority() {
    let keys = &WORLD.keys;
    let lists = keys.root_list(&[KeyInfrastructure::AUTHORITY_SERIAL]) + &keys.list(&[], 2027);
    neither(&WORLD.ec, &anchors_with(&lists), now(), &CertificateFault::Revoked);
}

#[test]
fn a_certificate_that_no_list_speaks_of() {
    let keys = &WORLD.keys;
    neither(&WORLD.ec, &anchors_with(&keys.root_list(&[])), now(), &CertificateFault::RevocationUnknown);
    neither(&WORLD.ec, &anchors_with(&keys.list(&[], 2027)), now(), &CertificateFault::RevocationUnknown);
}

#[test]
fn a_list_that_is_out_of_date() {
    let keys = &WORLD.keys;
    let lists = keys.root_list(&[]) + &keys.list(&[], 2026);
    neither(&WORLD.ec, &anchors_with(&lists), now(), &CertificateFault::RevocationListExpired);
}

#[test]
fn a_forged_list() {
    // A list in the issuing authority's name, signed by somebody else: it says that nothing was revoked.
    let keys = &WORLD.keys;
    let lists = keys.root_list(&[]) + &KeyInfrastructure::new().list(&[], 2027);
    let fault = anchors_with(&lists).check(&WORLD.ec.certificate, now()).unwrap_err();
    assert!(matches!(fault, CertificateFault::Path(_) | CertificateFault::RevocationUnknown), "{fault:?}");
}

#[test]
fn the_certificate_of_an_authority() {
    let signer = WORLD.keys.issue(Key::P256, |params| {
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.key_usages.push(KeyUsagePurpose::KeyCertSign);
    });
    neither(&signer, &WORLD.anchors, now(), &CertificateFault::Authority);
}

#[test]
fn extended_key_usages_neither_help_nor_harm() {
    for usages in
        [vec![], vec![ExtendedKeyUsagePurpose::ServerAuth], vec![ExtendedKeyUsagePurpose::EmailProtection]]
    {
        let signer = WORLD.keys.issue(Key::P256, |params| params.extended_key_usages = usages);
        assert!(login(&signer, &WORLD.anchors, now()).is_ok());
    }
}

#[test]
fn keys_that_may_not_sign_or_are_of_another_kind() {
    let made = |algorithm, usages: Vec<KeyUsagePurpose>| {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "x");
        params.key_usages = usages;
        SigningCertificate::from_der(params.self_signed(&key).unwrap().der())
    };
    assert_eq!(made(&PKCS_ED25519, vec![]), Err(CertificateFault::Key));
    assert_eq!(made(&PKCS_ECDSA_P521_SHA512, vec![]), Err(CertificateFault::Key));
    let enciphering = made(&PKCS_ECDSA_P256_SHA256, vec![KeyUsagePurpose::KeyEncipherment]);
    assert_eq!(enciphering, Err(CertificateFault::KeyUsage));
    assert!(made(&PKCS_ECDSA_P256_SHA256, vec![]).is_ok());
    assert_eq!(SigningCertificate::from_der(b"x"), Err(CertificateFault::Unreadable("the certificate")));
}

#[test]
fn an_rsa_key_of_1024_bits() {
    // Made by openssl req -x509 -newkey rsa:1024.
    let der = STANDARD.decode(include_str!("rsa_1024.txt").replace('\n', "")).unwrap();
    assert_eq!(SigningCertificate::from_der(&der), Err(CertificateFault::Key));
}

#[test]
fn keys_rotate_and_each_certificate_is_judged_when_it_is_used() {
    let old = WORLD.keys.issue(Key::P256, |params| params.not_after = date_time_ymd(2026, 2, 1));
    let provider = IdentityProvider::from_metadata(&metadata(&[&old, &WORLD.rsa])).unwrap();
    let by = |signer: &Signer| {
        let posted = STANDARD.encode(Answer::default().response(signer));
        Look::default().with(|expected| verify(&posted, &provider, &WORLD.anchors, expected))
    };
    assert!(by(&WORLD.rsa).is_ok());
    assert_eq!(by(&old), Err(Refusal::Certificate(CertificateFault::Expired)));
    assert_eq!(by(&WORLD.ec), Err(Refusal::Signature));
}

#[test]
fn anchors_that_cannot_be_read() {
    let keys = &WORLD.keys;
    let (root, list) = (keys.root_pem(), keys.list(&[], 2027));
    let fault = |anchors: &str, intermediates: &str, lists: &str| {
        TrustAnchors::new(anchors.as_bytes(), intermediates.as_bytes(), lists.as_bytes()).unwrap_err()
    };
    assert_eq!(fault("", "", &list), CertificateFault::None("trust anchor"));
    assert_eq!(fault("x", "", &list), CertificateFault::Unreadable("a trust anchor"));
    assert_eq!(fault(&root.replace("MI", "%%"), "", &list), CertificateFault::Unreadable("a trust anchor"));
    assert_eq!(fault(&root, "", ""), CertificateFault::None("revocation list"));
    assert_eq!(fault(&root, "", "x"), CertificateFault::Unreadable("a revocation list"));
    assert_eq!(fault(&root, "", &root), CertificateFault::None("revocation list"));
}

/// A file is signed by a key of any kind, and by no other key; a bit that changes in it or in the signature is seen.
#[test]
fn a_file_is_signed_by_the_key_of_a_certificate_and_by_no_other() {
    let file = b"request_id,action\n";
    for kind in [Key::Rsa, Key::P256, Key::P384] {
        let (signer, other) = (WORLD.keys.issue(kind, |_| {}), WORLD.keys.issue(kind, |_| {}));
        let signature = signer.sign_file(file);
        assert!(signer.certificate.signed(file, &signature), "{kind:?}");
        assert!(!other.certificate.signed(file, &signature), "{kind:?}");
        for at in 0..signature.len() {
            let mut forged = signature.clone();
            forged[at] ^= 1;
            assert!(!signer.certificate.signed(file, &forged), "{kind:?}, byte {at}");
        }
        assert!(!signer.certificate.signed(b"request_id,action", &signature));
        assert!(!signer.certificate.signed(file, &[]));
    }
}

#[test]
fn a_subject_has_one_serial_number_or_none_that_counts() {
    let serial = DnType::CustomDnType(vec![2, 5, 4, 5]);
    let with = |numbers: &[&str]| {
        let signer = WORLD.keys.issue(Key::P256, |params| {
            for number in numbers {
                params.distinguished_name.push(serial.clone(), *number);
            }
        });
        SigningCertificate::from_file(signer.certificate.der()).unwrap().subject_serial_number()
    };
    assert_eq!(with(&["90-B3-D5-1F-30-02-00-00"]).as_deref(), Some("90-B3-D5-1F-30-02-00-00"));
    assert_eq!(with(&[]), None);
    let two = [WORLD.rsa.certificate.der(), WORLD.ec.certificate.der()];
    let pem = |der: &[u8]| {
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der))
    };
    assert!(SigningCertificate::from_file(pem(two[0]).as_bytes()).is_ok());
    assert!(SigningCertificate::from_file((pem(two[0]) + &pem(two[1])).as_bytes()).is_err());
    assert!(SigningCertificate::from_file(b"").is_err());
}
