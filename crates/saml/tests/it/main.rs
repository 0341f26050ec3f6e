//! An Identity Provider of the tests signs responses, attackers change them, and only the honest ones are believed.

mod certificates;
mod confusion;
mod enrolment;
mod facts;
mod honest;
mod mutation;
mod naive;
mod pysaml2;
mod requests;
mod signing;
mod times;
mod wrapping;
mod xmlsec;

use answer::Answer;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gridtrail_model::Timestamp;
use gridtrail_saml::fake::{ACS_URL, CONTEXT, ENTITY_ID, ISSUER, REQUEST, answer, key_infrastructure};
use gridtrail_saml::{
    Assertion, ClockSkew, Expected, IdentityProvider, MessageId, Refusal, ServiceProvider, TrustAnchors,
};
use key_infrastructure::{Key, KeyInfrastructure, Signer};
use std::sync::LazyLock;

/// What all tests share: keys are costly to make.
struct World {
    keys: KeyInfrastructure,
    anchors: TrustAnchors,
    rsa: Signer,
    ec: Signer,
    /// Enrolled nowhere.
    stranger: Signer,
    service_provider: ServiceProvider,
    /// Enrolled with the certificates of `rsa` and `ec`.
    provider: IdentityProvider,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let keys = KeyInfrastructure::new();
    let (rsa, ec) = (keys.issue(Key::Rsa, |_| {}), keys.issue(Key::P256, |_| {}));
    let metadata = enrolment::metadata(&[&rsa, &ec]);
    let anchors = keys.anchors();
    World {
        stranger: keys.issue(Key::Rsa, |_| {}),
        service_provider: ServiceProvider::new(ENTITY_ID, ACS_URL).unwrap(),
        provider: IdentityProvider::enrol(&metadata, &anchors, now()).unwrap(),
        keys,
        anchors,
        rsa,
        ec,
    }
});

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// When the logins of the tests take place.
fn now() -> Timestamp {
    at("2026-03-01T10:00:00Z")
}

/// How a response is looked at.
#[derive(Clone)]
struct Look {
    now: Timestamp,
    skew_ms: u32,
    outstanding: Option<MessageId>,
    allows_unsolicited: bool,
}

impl Default for Look {
    fn default() -> Self {
        Self {
            now: now(),
            skew_ms: 0,
            outstanding: Some(REQUEST.parse().unwrap()),
            allows_unsolicited: false,
        }
    }
}

impl Look {
    fn at(now: Timestamp, skew_ms: u32) -> Self {
        Self { now, skew_ms, ..Self::default() }
    }

    fn with<R>(&self, run: impl FnOnce(&Expected<'_>) -> R) -> R {
        let authn_contexts = [CONTEXT.to_owned()];
        run(&Expected {
            now: self.now,
            skew: ClockSkew::from_millis(self.skew_ms).unwrap(),
            service_provider: &WORLD.service_provider,
            outstanding: self.outstanding.as_ref(),
            allows_unsolicited: self.allows_unsolicited,
            authn_contexts: &authn_contexts,
        })
    }

    /// Verifies a response, from the Identity Provider of the world.
    fn verify(&self, xml: &str) -> Result<Assertion, Refusal> {
        self.verify_posted(&STANDARD.encode(xml))
    }

    fn verify_posted(&self, posted: &str) -> Result<Assertion, Refusal> {
        self.with(|expected| gridtrail_saml::verify(posted, &WORLD.provider, &WORLD.anchors, expected))
    }
}

fn verify(xml: &str) -> Result<Assertion, Refusal> {
    Look::default().verify(xml)
}

/// The reason for which a response is refused.
#[track_caller]
fn refusal(xml: &str) -> Refusal {
    verify(xml).expect_err("the response is believed")
}

/// An honest response, signed with RSA.
fn honest() -> String {
    static HONEST: LazyLock<String> = LazyLock::new(|| Answer::default().response(&WORLD.rsa));
    HONEST.clone()
}

/// Demands that a response is refused for that reason.
macro_rules! refused {
    ($xml:expr, $reason:pat) => {{
        let refusal = $crate::it::refusal(&$xml);
        assert!(matches!(refusal, $reason), "refused for another reason: {refusal:?}");
        assert!(refusal.to_string().len() < 400, "{refusal}");
    }};
}
pub(crate) use refused;
