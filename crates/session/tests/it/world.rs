//! Servers over one store, and an Identity Provider.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gridtrail_access::{DevKey, Party, RoleMatrix, SessionKey};
use gridtrail_model::Timestamp;
use gridtrail_runtime::Clock;
use gridtrail_saml::fake::answer::{Answer, attribute};
use gridtrail_saml::fake::key_infrastructure::{Key, KeyInfrastructure, Signer};
use gridtrail_saml::fake::{ACS_URL, CONTEXT, ENTITY_ID, ISSUER, metadata};
use gridtrail_saml::{ClockSkew, ServiceProvider, TrustAnchors};
use gridtrail_session::{
    Anchors, Endpoint, IdleLimit, Landing, LoggedIn, LoginError, LoginSettings, Logins, NotWritten, Objects,
    ProviderSettings, Reason, Register, Seal, SealedObjects, Session, Sessions, Started, Witness,
};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

pub(crate) fn named(party: &str) -> Party {
    party.parse().unwrap()
}

pub(crate) fn party() -> Party {
    named("Supplier & Co")
}

pub(crate) const LANDING: &str = "https://ssi.example/audit";
pub(crate) const DCC: &str = "https://idp.dcc.example/saml";
pub(crate) const MINUTE: i64 = 60_000;
pub(crate) const HOUR: i64 = 60 * MINUTE;

/// Keys are costly to make.
pub(crate) struct Keys {
    pub(crate) infrastructure: KeyInfrastructure,
    pub(crate) signer: Signer,
    pub(crate) next: Signer,
}

pub(crate) static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let infrastructure = KeyInfrastructure::new();
    let issue = || infrastructure.issue(Key::P256, |_| {});
    Keys { signer: issue(), next: issue(), infrastructure }
});

/// The key that all servers share.
pub(crate) static SESSION_KEY: LazyLock<SessionKey> = LazyLock::new(new_session_key);

pub(crate) fn new_session_key() -> SessionKey {
    SessionKey::from_pem(&DevKey::generate().unwrap().to_pem()).unwrap()
}

pub(crate) fn anchors() -> TrustAnchors {
    KEYS.infrastructure.anchors()
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// When the logins of the tests take place: what an [`Answer`] is made for.
pub(crate) fn clock() -> Clock {
    Clock::manual(at("2026-03-01T10:00:00Z"))
}

pub(crate) fn settings() -> ProviderSettings {
    ProviderSettings { authn_contexts: vec![CONTEXT.into()], ..ProviderSettings::default() }
}

/// One server.
pub(crate) struct Server {
    pub(crate) register: Arc<Register>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) logins: Arc<Logins>,
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) anchors: Arc<Anchors>,
    pub(crate) objects: Objects,
    pub(crate) witness: Arc<NotedLogins>,
}

/// Remembers what a witness was told.
#[derive(Debug, Default)]
pub(crate) struct NotedLogins {
    pub(crate) all: Mutex<Vec<String>>,
    /// Whether it can write nothing down.
    pub(crate) is_full: AtomicBool,
}

#[async_trait::async_trait]
impl Witness for NotedLogins {
    async fn logged_in(&self, session: &Session, from: Option<SocketAddr>) -> Result<(), NotWritten> {
        if self.is_full.load(Ordering::Relaxed) {
            return Err(NotWritten);
        }
        self.all.lock().unwrap().push(format!("in {} from {from:?}", session.bearer.party));
        Ok(())
    }

    fn refused(&self, error: &LoginError, _: Option<SocketAddr>) {
        self.all.lock().unwrap().push(format!("refused: {error}"));
    }

    fn logged_out(&self, session: &Session, _: Option<SocketAddr>) {
        self.all.lock().unwrap().push(format!("out {}", session.bearer.party));
    }
}

impl Server {
    pub(crate) fn over(store: Arc<dyn ObjectStore>, clock: &Clock) -> Self {
        Self::with_key(store, clock, &SESSION_KEY)
    }

    pub(crate) fn with_key(store: Arc<dyn ObjectStore>, clock: &Clock, key: &SessionKey) -> Self {
        let objects = Objects::new(store, Path::from("lake/_sessions"));
        let sealed = SealedObjects::new(objects.clone(), Seal::of(key).unwrap());
        let register = Arc::new(Register::new(objects.clone(), clock.clone()));
        let (held, idle) = (Arc::clone(&register), IdleLimit::default());
        let sessions = Arc::new(Sessions::new(sealed.clone(), clock.clone(), held, idle));
        let anchors = Arc::new(Anchors::new(anchors()));
        let settings = LoginSettings {
            service_provider: ServiceProvider::new(ENTITY_ID, ACS_URL).unwrap(),
            skew: ClockSkew::ZERO,
            roles: Arc::new(RoleMatrix::built_in().unwrap()),
        };
        let landing = Landing::new(&settings.service_provider, LANDING).unwrap();
        let witness = Arc::<NotedLogins>::default();
        let logins = Logins::new(
            sealed,
            clock.clone(),
            (Arc::clone(&register), Arc::clone(&sessions)),
            Arc::clone(&anchors),
            settings,
            Arc::<NotedLogins>::clone(&witness),
        );
        let logins = Arc::new(logins);
        let endpoint = Arc::new(Endpoint::new(Arc::clone(&logins), landing));
        Self { register, sessions, logins, endpoint, anchors, objects, witness }
    }

    pub(crate) async fn enrol(&self) {
        let metadata = metadata(ISSUER, &[&KEYS.signer]);
        self.register.add(&metadata, Some(&party()), settings(), &anchors()).await.unwrap();
    }

    pub(crate) async fn enrol_dcc(&self) {
        self.register.add(&metadata(DCC, &[&KEYS.signer]), None, settings(), &anchors()).await.unwrap();
    }

    pub(crate) async fn start(&self) -> Started {
        self.logins.start(ISSUER, None).await.unwrap()
    }

    /// Brings an answer to a request, in the browser that asked.
    pub(crate) async fn finish(&self, started: &Started, answer: &Answer) -> Result<LoggedIn, LoginError> {
        self.finish_with(started, posted(answer)).await
    }

    pub(crate) async fn finish_with(
        &self,
        started: &Started,
        posted: String,
    ) -> Result<LoggedIn, LoginError> {
        self.logins.finish(posted, Some(started.request.as_str()), Some(&started.browser), None).await
    }

    pub(crate) async fn log_in(&self) -> LoggedIn {
        let started = self.start().await;
        let answer = answer_to(started.request.as_str());
        self.finish(&started, &answer).await.unwrap()
    }
}

/// Two servers over one store, with an Identity Provider enrolled.
pub(crate) async fn pair() -> (Server, Server, Clock) {
    let (store, clock): (Arc<dyn ObjectStore>, Clock) = (Arc::new(InMemory::new()), clock());
    let (one, other) = (Server::over(Arc::clone(&store), &clock), Server::over(store, &clock));
    one.enrol().await;
    (one, other, clock)
}

/// An honest answer to a request, with an identifier of its own.
pub(crate) fn answer_to(request: &str) -> Answer {
    let mut answer = Answer::to(Some(request));
    answer.id = format!("_assertion{request}");
    answer
}

pub(crate) fn unsolicited() -> Answer {
    Answer::to(None)
}

/// What the browser posts.
pub(crate) fn posted(answer: &Answer) -> String {
    STANDARD.encode(answer.response(&KEYS.signer))
}

pub(crate) fn with_attributes(mut answer: Answer, roles: &str, org_ids: &str) -> Answer {
    answer.attributes = attribute("Role name", &[roles]) + &attribute("OrgID", &[org_ids]);
    answer
}

#[track_caller]
pub(crate) fn reason(finished: Result<LoggedIn, LoginError>) -> Reason {
    match finished {
        Err(LoginError::Refused(reason)) => reason,
        other => panic!("not refused: {other:?}"),
    }
}

/// Whether a session holds at a server.
pub(crate) async fn holds(server: &Server, session: &Session) -> bool {
    server.sessions.check(&session.id).await.is_ok()
}
