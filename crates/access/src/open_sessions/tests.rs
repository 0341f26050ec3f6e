use super::*;
use crate::{AccessErrorKind, Admission, Component, DevKey, Doors, JobTypeRole, OrgId, Sharing};
use gridtrail_model::UserId;
use jsonwebtoken::{Algorithm, Header};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{LazyLock, RwLock};

static DEV: LazyLock<DevKey> = LazyLock::new(|| DevKey::generate().unwrap());
static KEY: LazyLock<SessionKey> = LazyLock::new(|| SessionKey(SigningKey::generate().unwrap()));

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis(1_770_000_000_000 + second * 1_000).unwrap()
}

fn own() -> BTreeSet<UserId> {
    BTreeSet::from(["90-B3-D5-1F-30-01-00-00".parse().unwrap()])
}

fn ann() -> Bearer {
    Bearer {
        subject: "ann".into(),
        party: "Avon".parse().unwrap(),
        org_id: OrgId::All,
        user_ids: own(),
        roles: BTreeSet::from([JobTypeRole::new(2).unwrap()]),
        valid_from: at(0),
        expires_at: at(3_600),
    }
}

/// Sessions by id; `Err`: there is no telling.
#[derive(Debug, Default)]
struct KnownSessions(RwLock<BTreeMap<String, Result<Arc<Bearer>, NoTelling>>>);

impl KnownSessions {
    fn say(&self, id: &str, told: Result<Bearer, NoTelling>) {
        self.0.write().unwrap().insert(id.into(), told.map(Arc::new));
    }
}

#[async_trait]
impl OpenSessions for KnownSessions {
    async fn bearer(&self, session_id: &str) -> Result<Option<Arc<Bearer>>, NoTelling> {
        self.0.read().unwrap().get(session_id).cloned().transpose()
    }
}

struct World {
    told: Arc<KnownSessions>,
    admission: Admission,
}

impl World {
    fn new(gatekeeper: bool) -> Self {
        let told = Arc::<KnownSessions>::default();
        told.say("s1", Ok(ann()));
        let roles = Arc::new(RoleMatrix::built_in().unwrap());
        let gate = SessionGate::new(&KEY, Arc::<KnownSessions>::clone(&told), roles).unwrap();
        let gatekeeper = gatekeeper.then(|| DEV.gatekeeper().unwrap());
        let sharing = Arc::new(Sharing::of_one(&ann().party, &own()));
        let admission = Admission::new(Doors { gatekeeper, sessions: Some(gate) }, sharing);
        Self { told, admission }
    }

    fn fault(&self, token: &str) -> TokenFault {
        match self.admission.admit_now(token, at(1)) {
            Err(AccessError::Token(fault)) => fault,
            other => panic!("expected a refused token, got {other:?}"),
        }
    }
}

fn signed(header: &Header, key: &SigningKey, claims: &Value) -> String {
    let key = jsonwebtoken::EncodingKey::from_ed_pem(key.to_pem().as_bytes()).unwrap();
    jsonwebtoken::encode(header, claims, &key).unwrap()
}

fn kind(kind: &str) -> Header {
    Header { typ: Some(kind.into()), ..Header::new(Algorithm::EdDSA) }
}

fn claims() -> Value {
    let (nbf, exp) = (at(0).millis() / 1_000, at(3_600).millis() / 1_000);
    json!({ "iss": SessionKey::ISSUER, "aud": SessionKey::AUDIENCE, "sub": "ann", "nbf": nbf, "exp": exp, "sid": "s1" })
}

#[test]
fn who_has_a_session_is_let_in_as_the_session_says_and_not_as_the_token_does() {
    let world = World::new(true);
    let token = KEY.sign("s1", &ann()).unwrap();
    assert_eq!(KEY.sign("s1", &ann()).unwrap(), token, "the same whenever it is made");
    for _ in 0..2 {
        let access = world.admission.admit_now(&token, at(1)).unwrap();
        assert_eq!(
            (access.session_id(), access.subject(), access.party()),
            (Some("s1"), "ann", &ann().party)
        );
        assert_eq!(access.user_ids().to_set(), own());
        assert_eq!(access.roles(), ["administration-user"]);
        assert!(access.permits(Component::Profile));
        assert_eq!(access.expires_at(), at(3_600));
    }
    let self_standing = DEV.mint(&ann()).unwrap();
    assert_eq!(world.admission.admit_now(&self_standing, at(1)).unwrap().session_id(), None);
}

#[test]
fn no_secret_is_shown_when_debugging() {
    let world = World::new(true);
    let token = KEY.sign("s1", &ann()).unwrap();
    assert!(world.admission.admit_now(&token, at(1)).is_ok(), "it is remembered");
    let shown = format!("{:?} {:?}", world.admission, *KEY);
    assert!(!shown.contains(&token) && !shown.contains("s1\""), "{shown}");
}

#[test]
fn a_session_that_ended_lets_nobody_in_whatever_was_remembered() {
    let world = World::new(true);
    let token = KEY.sign("s1", &ann()).unwrap();
    assert!(world.admission.admit_now(&token, at(1)).is_ok());
    world.told.0.write().unwrap().clear();
    let error = world.admission.admit_now(&token, at(1)).unwrap_err();
    assert!(matches!(error, AccessError::SessionOver), "{error}");
    assert_eq!(error.kind(), AccessErrorKind::NoIdentity);
    world.told.say("s1", Err(NoTelling));
    let error = world.admission.admit_now(&token, at(1)).unwrap_err();
    assert_eq!(error.kind(), AccessErrorKind::Unavailable, "{error}");
    world.told.say("s1", Ok(ann()));
    assert!(matches!(world.admission.admit_now(&token, at(3_600)), Err(AccessError::Expired { .. })));
    let early = KEY.sign("s1", &ann()).unwrap();
    assert!(matches!(world.admission.admit_now(&early, at(-31)), Err(AccessError::NotYetValid { .. })));
}

#[test]
fn the_token_of_a_session_names_the_session_of_its_own_bearer() {
    let world = World::new(true);
    world.told.say("s2", Ok(Bearer { subject: "bob".into(), ..ann() }));
    assert_eq!(world.fault(&KEY.sign("s2", &ann()).unwrap()), TokenFault::Claim("sub"));
}

#[test]
fn no_kind_of_token_is_taken_for_another() {
    let world = World::new(true);
    let good = signed(&kind(SESSION_KIND), &KEY.0, &claims());
    assert!(world.admission.admit_now(&good, at(1)).is_ok());
    // Signed by the key of sessions, but not said to be a session's: it meets the gatekeeper.
    assert_eq!(world.fault(&signed(&kind("JWT"), &KEY.0, &claims())), TokenFault::Signature);
    // Said to be a session's, but signed by somebody else, whose tokens of their own are good.
    let dev = SigningKey::from_pem(&DEV.to_pem()).unwrap();
    assert_eq!(world.fault(&signed(&kind(SESSION_KIND), &dev, &claims())), TokenFault::Signature);
    // Without a gate, or without a gatekeeper, the other kind is refused.
    let only_sessions = World::new(false);
    assert_eq!(only_sessions.fault(&DEV.mint(&ann()).unwrap()), TokenFault::NotOfASession);
    let sharing = Arc::new(Sharing::of_one(&ann().party, &own()));
    let only_tokens = Admission::new(DEV.gatekeeper().unwrap(), sharing);
    assert!(only_tokens.admit_now(&good, at(1)).is_err());
}

#[test]
fn each_claim_must_be_there_and_right() {
    let world = World::new(true);
    let header = kind(SESSION_KIND);
    for claim in ["iss", "aud", "sub", "nbf", "exp", "sid"] {
        let mut without = claims();
        without.as_object_mut().unwrap().remove(claim);
        world.fault(&signed(&header, &KEY.0, &without));
    }
    for (claim, value) in [
        ("iss", json!(DevKey::ISSUER)),
        ("iss", json!([SessionKey::ISSUER, "other"])),
        ("aud", json!("other")),
        ("sub", json!("")),
        ("exp", json!("1770003600")),
        ("exp", json!(at(0).millis() / 1_000)),
        ("exp", json!(at(25 * 3_600).millis() / 1_000)),
        ("sid", json!("")),
        ("sid", json!("x".repeat(129))),
        ("sid", json!(["s1"])),
    ] {
        let mut wrong = claims();
        wrong[claim] = value;
        world.fault(&signed(&header, &KEY.0, &wrong));
    }
    let critical = Header { crit: Some(vec!["exp".into()]), ..header };
    assert_eq!(world.fault(&signed(&critical, &KEY.0, &claims())), TokenFault::CriticalHeader);
}

/// By RFC 5869, worked out elsewhere: another secret would end everybody's session.
#[test]
fn a_secret_is_that_of_the_key_and_of_its_purpose() {
    let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n-----END PRIVATE KEY-----\n";
    let secret = |pem: &str, purpose| SessionKey::from_pem(pem).unwrap().secret_for(purpose).unwrap();
    let found: String =
        secret(pem, "gridtrail session objects 1").iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(found, "7a8453e3a56a7076f5b1419106e689fe7282d9a718e1f1e52f3d23f98086f6b0");
    assert_ne!(secret(pem, "a"), secret(pem, "b"));
    assert_ne!(secret(pem, "a"), secret(&SigningKey::generate().unwrap().to_pem(), "a"));
}
