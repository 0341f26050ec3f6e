use super::*;
use crate::{AccessErrorKind, Admission, Bearer, Component, DevKey, JobTypeRole, Sharing, UserIds};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::LazyLock;

static KEY: LazyLock<DevKey> = LazyLock::new(|| DevKey::generate().unwrap());

const NOW: &str = "2026-03-01T09:30:00Z";
const NOW_S: u64 = 1_772_357_400;
const USER: &str = "90-B3-D5-1F-30-01-00-00";

fn now() -> Timestamp {
    let now = NOW.parse().unwrap();
    assert_eq!(now, Timestamp::from_millis(NOW_S.cast_signed() * 1000).unwrap());
    now
}

/// Admits by tokens, where Ann's User ID is her Party's.
fn gatekeeper() -> Admission {
    admission(&KEY)
}

fn admission(key: &DevKey) -> Admission {
    let sharing = Sharing::of_one(&"Avon".parse().unwrap(), &BTreeSet::from([USER.parse().unwrap()]));
    Admission::new(key.gatekeeper().unwrap(), Arc::new(sharing))
}

/// Claims that are accepted, for a test to spoil.
fn good() -> Value {
    json!({
        "iss": DevKey::ISSUER, "aud": DevKey::AUDIENCE, "sub": "ann@example.org",
        "nbf": NOW_S - 60, "exp": NOW_S + 600,
        "party": "Avon", "org_id": "all", "user_ids": [USER], "roles": ["role-01"],
    })
}

fn with(claim: &str, value: Value) -> Value {
    let mut claims = good();
    claims[claim] = value;
    claims
}

fn sign(header: &Header, claims: &impl serde::Serialize) -> String {
    let key = EncodingKey::from_ed_pem(KEY.to_pem().as_bytes()).unwrap();
    jsonwebtoken::encode(header, claims, &key).unwrap()
}

fn signed(claims: &Value) -> String {
    sign(&Header::new(Algorithm::EdDSA), claims)
}

fn fault(token: &str) -> TokenFault {
    match gatekeeper().admit_now(token, now()) {
        Err(error @ AccessError::Token(fault)) => {
            assert_eq!(error.kind(), AccessErrorKind::NoIdentity);
            fault
        }
        other => panic!("expected a refused token, got {other:?}"),
    }
}

fn base64url(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

#[test]
fn a_minted_token_is_admitted_with_just_its_claims() {
    let claims = Bearer {
        subject: "ann@example.org".into(),
        party: "Avon".parse().unwrap(),
        org_id: OrgId::All,
        user_ids: BTreeSet::from([USER.parse().unwrap()]),
        roles: BTreeSet::from([JobTypeRole::new(11).unwrap()]),
        valid_from: now(),
        expires_at: now().plus_millis(600_000),
    };
    let access = gatekeeper().admit_now(&KEY.mint(&claims).unwrap(), now()).unwrap();
    assert_eq!(access.subject(), claims.subject);
    assert_eq!(access.user_ids(), &UserIds::of(&claims.user_ids));
    assert_eq!(access.party(), &claims.party);
    assert_eq!(access.expires_at(), claims.expires_at);
    assert!(!access.permits(Component::ServiceAudit), "the eleventh role may not search");
    let denied = access.require(Component::MeterReads, now()).unwrap_err();
    assert_eq!(denied.kind(), AccessErrorKind::Denied);
}

#[test]
fn a_key_reads_back_and_another_key_is_a_stranger() {
    let same = DevKey::from_pem(&KEY.to_pem()).unwrap();
    assert_eq!(same.to_public_pem(), KEY.to_public_pem());
    assert!(admission(&same).admit_now(&signed(&good()), now()).is_ok());
    let stranger = admission(&DevKey::generate().unwrap());
    let refused = stranger.admit_now(&signed(&good()), now()).unwrap_err();
    assert!(matches!(refused, AccessError::Token(TokenFault::Signature)), "{refused:?}");
    assert!(
        Gatekeeper::new(&KEY.to_pem(), "a", "b", Arc::new(RoleMatrix::built_in().unwrap())).is_err(),
        "a private key is no public key"
    );
    assert!(DevKey::from_pem(&KEY.to_public_pem()).is_err(), "a public key is no private key");
}

#[test]
fn no_secret_is_shown_when_debugging() {
    assert!(format!("{:?}", &*KEY).starts_with("DevKey { key: SigningKey, roles: "));
    assert!(!format!("{:?}", gatekeeper()).contains("key"));
}

#[test]
fn an_unsigned_token_is_refused() {
    for alg in ["none", "None", "NONE", ""] {
        let header = base64url(json!({ "alg": alg, "typ": "JWT" }).to_string().as_bytes());
        let claims = base64url(good().to_string().as_bytes());
        for signature in ["", "AA"] {
            let found = fault(&format!("{header}.{claims}.{signature}"));
            assert!(!matches!(found, TokenFault::Signature), "refused for its alg already: {found:?}");
        }
    }
}

#[test]
fn a_signature_by_hmac_with_the_public_key_is_refused() {
    let public = KEY.to_public_pem();
    for secret in [public.as_bytes(), public.trim_end().as_bytes()] {
        for alg in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            let key = EncodingKey::from_secret(secret);
            let token = jsonwebtoken::encode(&Header::new(alg), &good(), &key).unwrap();
            assert_eq!(fault(&token), TokenFault::Algorithm);
        }
    }
}

#[test]
fn every_required_claim_is_required() {
    for claim in ["exp", "nbf", "iss", "aud", "sub", "party", "org_id", "user_ids", "roles"] {
        let mut claims = good();
        claims.as_object_mut().unwrap().remove(claim);
        fault(&signed(&claims));
        fault(&signed(&with(claim, Value::Null)));
    }
}

#[test]
fn a_time_of_another_type_is_refused_and_never_taken_as_absent() {
    for claim in ["exp", "nbf"] {
        for value in [
            json!(NOW_S.to_string()),
            json!("9999999999"),
            json!(9_999_999_999.5),
            json!(-1),
            json!([NOW_S]),
            json!({}),
            json!(true),
        ] {
            fault(&signed(&with(claim, value)));
        }
    }
}

#[test]
fn a_huge_exp_neither_overflows_nor_lives_for_ever() {
    for exp in [u64::MAX, u64::MAX / 1000, i64::MAX.unsigned_abs(), i64::MAX.unsigned_abs() / 1000] {
        assert_eq!(fault(&signed(&with("exp", json!(exp)))), TokenFault::Claim("exp"));
    }
    assert_eq!(fault(&signed(&with("exp", json!(253_402_300_799_u64)))), TokenFault::Lifetime);
    assert_eq!(fault(&signed(&with("exp", json!(NOW_S - 60 + TOKEN_LIFE_S_MAX + 1)))), TokenFault::Lifetime);
    assert!(
        gatekeeper().admit_now(&signed(&with("exp", json!(NOW_S - 60 + TOKEN_LIFE_S_MAX))), now()).is_ok()
    );
    fault(&sign(&Header::new(Algorithm::EdDSA), &with("exp", json!(1e300))));
}

#[test]
fn exp_is_the_first_instant_without_access() {
    let token = signed(&with("exp", json!(NOW_S)));
    let expired = gatekeeper().admit_now(&token, now()).unwrap_err();
    assert!(matches!(expired, AccessError::Expired { expired_at } if expired_at == now()));
    let access = gatekeeper().admit_now(&token, now().plus_millis(-1)).unwrap();
    assert!(access.require(Component::ServiceAudit, now().plus_millis(-1)).is_ok());
    assert!(access.require(Component::ServiceAudit, now()).is_err(), "an access ends with its token");
}

#[test]
fn nbf_may_be_half_a_minute_ahead_and_no_more() {
    let ahead = |seconds: u64| gatekeeper().admit_now(&signed(&with("nbf", json!(NOW_S + seconds))), now());
    assert!(ahead(30).is_ok());
    assert!(matches!(ahead(31), Err(AccessError::NotYetValid { .. })));
}

#[test]
fn issuer_and_audience_are_pinned() {
    assert_eq!(fault(&signed(&with("iss", json!("someone-else")))), TokenFault::Issuer);
    fault(&signed(&with("iss", json!([DevKey::ISSUER]))));
    assert_eq!(fault(&signed(&with("aud", json!("someone-else")))), TokenFault::Audience);
    assert_eq!(fault(&signed(&with("aud", json!([])))), TokenFault::Audience);
    fault(&signed(&with("aud", json!(7))));
    assert!(gatekeeper().admit_now(&signed(&with("aud", json!(["other", DevKey::AUDIENCE]))), now()).is_ok());
}

#[test]
fn user_ids_roles_and_subject_are_judged() {
    let many: Vec<String> = (0..65).map(|n| format!("90B3D51F300100{n:02X}")).collect();
    for ids in [json!([]), json!(USER), json!([1]), json!(["90-B3"]), json!([USER, ""]), json!(many)] {
        fault(&signed(&with("user_ids", ids)));
    }
    assert!(gatekeeper().admit_now(&signed(&with("user_ids", json!(many[..64]))), now()).is_ok());
    for roles in [
        json!(["admin"]),
        json!(["role-12"]),
        json!("role-01"),
        json!(["role-01", "job-type-role-1"]),
        json!([1]),
    ] {
        fault(&signed(&with("roles", roles)));
    }
    let without = gatekeeper().admit_now(&signed(&with("roles", json!([]))), now()).unwrap();
    assert!(!without.permits(Component::ServiceAudit) && !without.permits(Component::MeterReads));
    for party in [json!(""), json!("a\nb"), json!("x".repeat(65)), json!(7), json!(["Avon"])] {
        fault(&signed(&with("party", party)));
    }
    for org_id in [json!(""), json!("ALL"), json!("granted"), json!(true), json!(["all"])] {
        fault(&signed(&with("org_id", org_id)));
    }
    let mut own = with("org_id", json!("granted-only"));
    own["user_ids"] = json!([]);
    assert_eq!(gatekeeper().admit_now(&signed(&own), now()).unwrap().user_ids().len(), 1, "the Party's own");
    for subject in [json!(""), json!("a\nb"), json!("x".repeat(129)), json!(7)] {
        fault(&signed(&with("sub", subject)));
    }
}

#[test]
fn a_claim_that_stands_twice_is_refused() {
    use serde::ser::{SerializeMap, Serializer};
    struct Twice(&'static str, Value);
    impl serde::Serialize for Twice {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut map = serializer.serialize_map(None)?;
            for (claim, value) in good().as_object().unwrap() {
                map.serialize_entry(claim, value)?;
            }
            map.serialize_entry(self.0, &self.1)?;
            map.end()
        }
    }
    let header = Header::new(Algorithm::EdDSA);
    for twice in [Twice("exp", json!(NOW_S + 900)), Twice("user_ids", json!(["88-73-84-57-00-2F-96-1E"]))] {
        fault(&sign(&header, &twice));
    }
}

#[test]
fn what_a_header_points_to_is_ignored_and_what_it_demands_is_refused() {
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = Some("../../../dev/null".into());
    header.jku = Some("https://attacker.example/jwks".into());
    header.x5u = Some("https://attacker.example/cert".into());
    assert!(gatekeeper().admit_now(&sign(&header, &good()), now()).is_ok(), "the pinned key decides");
    header.crit = Some(vec!["exp".into()]);
    assert_eq!(fault(&sign(&header, &good())), TokenFault::CriticalHeader);
}

#[test]
fn an_altered_token_is_refused() {
    let token = signed(&good());
    let [header, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    let other = base64url(with("user_ids", json!(["88-73-84-57-00-2F-96-1E"])).to_string().as_bytes());
    assert_eq!(fault(&format!("{header}.{other}.{signature}")), TokenFault::Signature);
    assert_eq!(fault(&format!("{header}.{claims}.{}", &signature[..80])), TokenFault::Signature);
    fault(&format!("{header}.{claims}"));
    fault(&format!("{token}.{signature}"));
    assert_eq!(fault(&"a".repeat(TOKEN_BYTES_MAX + 1)), TokenFault::TooLong);
}

#[test]
fn access_can_be_narrowed_and_not_widened() {
    let access = gatekeeper().admit_now(&signed(&good()), now()).unwrap();
    let other: UserId = "88-73-84-57-00-2F-96-1E".parse().unwrap();
    let own: UserId = USER.parse().unwrap();
    assert_eq!(access.narrowed_to(&BTreeSet::from([own, other])).user_ids().to_set(), BTreeSet::from([own]));
    assert!(access.narrowed_to(&BTreeSet::from([other])).user_ids().is_empty());
}

#[test]
fn nothing_is_minted_that_would_not_be_admitted() {
    let claims = Bearer {
        subject: "ann".into(),
        party: "Avon".parse().unwrap(),
        org_id: OrgId::All,
        user_ids: BTreeSet::from([USER.parse().unwrap()]),
        roles: BTreeSet::new(),
        valid_from: now(),
        expires_at: now().plus_millis(1000),
    };
    assert!(KEY.mint(&claims).is_ok());
    for wrong in [
        Bearer { subject: String::new(), ..claims.clone() },
        Bearer { user_ids: BTreeSet::new(), ..claims.clone() },
        Bearer { expires_at: now(), ..claims.clone() },
        Bearer { expires_at: now().plus_millis(24 * 3_600_000 + 1000), ..claims.clone() },
    ] {
        assert_eq!(KEY.mint(&wrong).unwrap_err().kind(), AccessErrorKind::SetUp);
    }
}

proptest! {
    #[test]
    fn no_text_panics_or_is_admitted(token in ".{0,80}") {
        prop_assert!(gatekeeper().admit_now(&token, now()).is_err());
    }

    #[test]
    fn one_flipped_character_is_refused(at: prop::sample::Index, by in 1u8..64) {
        let token = signed(&good());
        let mut bytes = token.clone().into_bytes();
        let at = at.index(bytes.len());
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let place = ALPHABET.iter().position(|c| *c == bytes[at]).unwrap_or(0);
        bytes[at] = ALPHABET[(place + usize::from(by)) % 64];
        let altered = String::from_utf8(bytes).unwrap();
        prop_assume!(altered != token);
        prop_assert!(gatekeeper().admit_now(&altered, now()).is_err());
    }
}

/// A token that was found good is not found good for ever, and stands for no other.
#[test]
fn a_remembered_token_still_ends_and_still_has_to_be_the_same() {
    let (gatekeeper, token) = (gatekeeper(), signed(&good()));
    for _ in 0..3 {
        assert_eq!(gatekeeper.admit_now(&token, now()).unwrap().subject(), "ann@example.org");
    }
    let after = now().plus_millis(600_000);
    assert!(matches!(gatekeeper.admit_now(&token, after), Err(AccessError::Expired { .. })));
    let before = now().plus_millis(-3_600_000);
    assert!(matches!(gatekeeper.admit_now(&token, before), Err(AccessError::NotYetValid { .. })));
    let (head, signature) = token.rsplit_once('.').unwrap();
    let forged = signed(&with("sub", json!("eve@example.org")));
    let forged = format!("{}.{signature}", forged.rsplit_once('.').unwrap().0);
    assert!(gatekeeper.admit_now(&forged, now()).is_err());
    assert!(gatekeeper.admit_now(head, now()).is_err());
}
