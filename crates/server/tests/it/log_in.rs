//! Logins over gRPC: from a request to a token, and from a token to nobody.

use crate::it::errors::assert_error;
use crate::it::fixture::{ANN, World, bearer_of, of_meter, party_of, time, with_header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gridtrail_access::{Bearer, DevKey, RoleMatrix, SessionGate, SessionKey};
use gridtrail_access_log::fake::MemoryLog;
use gridtrail_access_log::{AccessLog, Committing, Entry, RowKind};
use gridtrail_proto::query::v1::{
    LoginRequest, LoginResponse, LogoutRequest, PersonalDetails, ProfileRequest, ProfileResponse,
    ResumeRequest, SearchRequest, SetDetailsRequest, StartLoginRequest, StartLoginResponse,
};
use gridtrail_runtime::Clock;
use gridtrail_saml::fake::answer::{Answer, attribute};
use gridtrail_saml::fake::key_infrastructure::{Key, KeyInfrastructure, Signer};
use gridtrail_saml::fake::{ACS_URL, CONTEXT, ENTITY_ID, ISSUER, SSO_URL, metadata};
use gridtrail_saml::{ClockSkew, ServiceProvider};
use gridtrail_server::{LoginParts, LoginRecords};
use gridtrail_session::{
    Anchors, IdleLimit, LoginSettings, Logins, Objects, ProviderSettings, Register, Seal, SealedObjects,
    Sessions,
};
use object_store::memory::InMemory;
use object_store::path::Path;
use std::sync::{Arc, LazyLock};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

static KEYS: LazyLock<(KeyInfrastructure, Signer)> = LazyLock::new(|| {
    let infrastructure = KeyInfrastructure::new();
    let signer = infrastructure.issue(Key::P256, |_| {});
    (infrastructure, signer)
});

/// Two servers over one store, where an Identity Provider of Ann's Party is enrolled.
pub(crate) struct Stage {
    pub(crate) one: World,
    pub(crate) other: World,
    clock: Clock,
    register: Arc<Register>,
    record: MemoryLog,
    recording: Committing,
}

impl Stage {
    pub(crate) async fn set() -> Self {
        let clock = Clock::manual(time("2026-03-01T10:00:00Z"));
        let objects = Objects::new(Arc::new(InMemory::new()), Path::from("_sessions"));
        let key = SessionKey::from_pem(&DevKey::generate().unwrap().to_pem()).unwrap();
        let sealed = SealedObjects::new(objects.clone(), Seal::of(&key).unwrap());
        let key = Arc::new(key);
        let record = MemoryLog::default();
        let (log, recording) = AccessLog::open(record.clone(), clock.clone(), "logins").await.unwrap();
        let server = || {
            let register = Arc::new(Register::new(objects.clone(), clock.clone()));
            let idle = IdleLimit::default();
            let sessions =
                Arc::new(Sessions::new(sealed.clone(), clock.clone(), Arc::clone(&register), idle));
            let roles = Arc::new(RoleMatrix::built_in().unwrap());
            let witness = LoginRecords::new(log.clone(), clock.clone(), Arc::clone(&roles));
            let settings = LoginSettings {
                service_provider: ServiceProvider::new(ENTITY_ID, ACS_URL).unwrap(),
                skew: ClockSkew::ZERO,
                roles: Arc::clone(&roles),
            };
            let gate = SessionGate::new(&key, Arc::<Sessions>::clone(&sessions), roles).unwrap();
            let anchors = Arc::new(Anchors::new(KEYS.0.anchors()));
            let parts = (Arc::clone(&register), sessions);
            let logins =
                Logins::new(sealed.clone(), clock.clone(), parts, anchors, settings, Arc::new(witness));
            let login = LoginParts { logins: Arc::new(logins), key: Arc::clone(&key) };
            (World::serve_with((login, gate), clock.clone()), register)
        };
        let ((one, register), (other, _)) = (server(), server());
        let settings =
            ProviderSettings { authn_contexts: vec![CONTEXT.into()], ..ProviderSettings::default() };
        let metadata = metadata(ISSUER, &[&KEYS.1]);
        register.add(&metadata, Some(&party_of(ANN)), settings, &KEYS.0.anchors()).await.unwrap();
        Self { one: one.await, other: other.await, clock, register, record, recording }
    }

    async fn start(&self) -> StartLoginResponse {
        let request = StartLoginRequest { identity_provider: ISSUER.into() };
        self.one.sessions().await.start_login(request).await.unwrap().into_inner()
    }

    /// Brings an answer to the other server than the one that asked.
    async fn bring(&self, started: &StartLoginResponse, answer: &Answer) -> Result<LoginResponse, Status> {
        let request = LoginRequest {
            saml_response: STANDARD.encode(answer.response(&KEYS.1)),
            relay_state: started.relay_state.clone(),
            browser_handle: started.browser_handle.clone(),
        };
        self.other.sessions().await.login(request).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn log_in(&self) -> LoginResponse {
        let started = self.start().await;
        self.bring(&started, &answer_to(&started)).await.unwrap()
    }

    pub(crate) async fn search(&self, token: &str) -> Result<usize, Status> {
        let request: Request<SearchRequest> = with_header(of_meter(), &format!("Bearer {token}"));
        let found = self.one.audit_trails().await.search(request).await?;
        Ok(found.into_inner().rows.len())
    }

    /// What is on record of logins and logouts.
    async fn recorded(self) -> Vec<Entry> {
        self.recording.close().await.unwrap();
        self.record.rows().into_iter().filter(|row| row.kind == RowKind::Call).map(|row| row.entry).collect()
    }

    /// A second passes, after which every server has seen what any of them did.
    fn a_second_passes(&self) {
        self.clock.advance(1_000);
    }
}

fn answer_to(started: &StartLoginResponse) -> Answer {
    let mut answer = Answer::to(Some(&started.relay_state));
    answer.id = format!("_assertion{}", started.relay_state);
    answer
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().unwrap().reason
}

#[tokio::test]
async fn somebody_logs_in_at_two_servers_searches_at_each_and_logs_out() {
    let stage = Stage::set().await;
    let started = stage.start().await;
    assert_eq!(started.sso_url, SSO_URL);
    let asked = String::from_utf8(STANDARD.decode(&started.saml_request).unwrap()).unwrap();
    assert!(asked.contains(&started.relay_state) && asked.contains(ACS_URL), "{asked}");
    let logged_in = stage.bring(&started, &answer_to(&started)).await.unwrap();
    assert!(stage.search(&logged_in.token).await.unwrap() > 0);
    let profile = with_header(ProfileRequest {}, &format!("Bearer {}", logged_in.token));
    let profile = stage.other.sessions().await.profile(profile).await.unwrap().into_inner();
    assert_eq!(profile.party, party_of(ANN).to_string());
    assert_eq!(profile.user_ids, [ANN], "the other is neither own nor granted");
    assert_eq!(profile.job_type_roles, ["role-03", "role-05"]);
    assert_eq!(profile.expires_at, logged_in.expires_at);
    // The browser comes back with its handle alone.
    let resume = || ResumeRequest { handle: logged_in.handle.clone() };
    let resumed = stage.one.sessions().await.resume(resume()).await.unwrap().into_inner();
    assert_eq!(resumed.token, logged_in.token);
    let out = with_header(LogoutRequest::default(), &format!("Bearer {}", logged_in.token));
    stage.other.sessions().await.logout(out).await.unwrap();
    stage.a_second_passes();
    let refused = stage.search(&logged_in.token).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Unauthenticated, "NO_IDENTITY"));
    for world in [&stage.one, &stage.other] {
        let refused = world.sessions().await.resume(resume()).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Unauthenticated, "NO_IDENTITY"));
    }
    // Once more is no error, by handle or by token.
    let again = LogoutRequest { handle: logged_in.handle.clone() };
    stage.one.sessions().await.logout(again).await.unwrap();
    let recorded = stage.recorded().await;
    let shown: Vec<_> = recorded.iter().map(|entry| (&*entry.call, &*entry.outcome)).collect();
    assert_eq!(shown, [("Login", "OK"), ("Logout", "OK")]);
    let login = &recorded[0];
    assert_eq!(login.party.as_deref(), Some(party_of(ANN).as_str()));
    assert_eq!(login.roles.as_deref(), Some("role-03,role-05"));
    assert!(login.session.is_some() && login.session == recorded[1].session);
    assert!(login.peer.as_deref().unwrap().starts_with("127.0.0.1:"));
    assert!(!format!("{recorded:?}").contains("person-17"), "who somebody is stands in no log");
}

#[tokio::test]
async fn whatever_is_wrong_with_a_login_is_said_in_one_way() {
    let stage = Stage::set().await;
    let mut told = Vec::new();
    for change in [
        &(|answer: &mut Answer| answer.issuer = "https://stranger.example".into()) as &dyn Fn(&mut Answer),
        &|answer| answer.restrictions = String::new(),
        &|answer| answer.attributes = attribute("Role name", &["role-99"]) + &attribute("OrgID", &[ANN]),
        &|answer| answer.context = "urn:weak".into(),
        &|answer| answer.conditions = answer.conditions.replace("T10:05", "T09:59"),
    ] {
        let started = stage.start().await;
        let mut answer = answer_to(&started);
        change(&mut answer);
        told.push(stage.bring(&started, &answer).await.unwrap_err());
    }
    // Brought twice, and by another browser.
    let started = stage.start().await;
    stage.bring(&started, &answer_to(&started)).await.unwrap();
    told.push(stage.bring(&started, &answer_to(&started)).await.unwrap_err());
    let started = stage.start().await;
    let elsewhere =
        StartLoginResponse { browser_handle: stage.start().await.browser_handle, ..started.clone() };
    told.push(stage.bring(&elsewhere, &answer_to(&started)).await.unwrap_err());
    for status in &told {
        assert_eq!((status.code(), reason(status).as_str()), (Code::Unauthenticated, "LOGIN_REFUSED"));
        assert_eq!(status.message(), told[0].message());
        assert_eq!(status.get_details_error_info().unwrap().metadata["http_code"], "401");
    }
    let unknown = StartLoginRequest { identity_provider: "https://stranger.example".into() };
    let status = stage.one.sessions().await.start_login(unknown).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "IDENTITY_PROVIDER_NOT_FOUND"));
}

#[tokio::test]
async fn a_session_ends_with_idleness_its_identity_provider_and_its_time() {
    const MINUTE: i64 = 60_000;
    let stage = Stage::set().await;
    let token = stage.log_in().await.token;
    for _ in 0..3 {
        stage.clock.advance(10 * MINUTE);
        assert!(stage.search(&token).await.is_ok(), "it is in use");
    }
    stage.clock.advance(15 * MINUTE);
    assert_eq!(stage.search(&token).await.unwrap_err().code(), Code::Unauthenticated);

    let stage = Stage::set().await;
    let token = stage.log_in().await.token;
    stage.register.remove(ISSUER).await.unwrap();
    stage.a_second_passes();
    assert_eq!(stage.search(&token).await.unwrap_err().code(), Code::Unauthenticated);

    // SessionNotOnOrAfter is 18:00, however much it is used.
    let stage = Stage::set().await;
    let token = stage.log_in().await.token;
    while stage.clock.now() < time("2026-03-01T17:50:00Z") {
        stage.clock.advance(10 * MINUTE);
        assert!(stage.search(&token).await.is_ok());
    }
    stage.clock.advance(10 * MINUTE);
    assert_eq!(stage.search(&token).await.unwrap_err().code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_person_has_so_many_rows_a_minute_whatever_their_sessions() {
    let stage = Stage::set().await;
    let tokens = [stage.log_in().await.token, stage.log_in().await.token];
    let ask = async |token: &str| {
        let request = SearchRequest { page_size: 1_000, ..of_meter() };
        stage.one.audit_trails().await.search(with_header(request, &format!("Bearer {token}"))).await
    };
    // As many as a minute allows, and, where the machine is slow, those that come back meanwhile.
    let mut answered = 0;
    let status = loop {
        match ask(&tokens[answered % 2]).await {
            Ok(_) => answered += 1,
            Err(status) => break status,
        }
    };
    assert!(answered >= 100, "{answered}");
    assert_eq!((status.code(), reason(&status).as_str()), (Code::ResourceExhausted, "LIMIT_REACHED"));
    let wait = status.get_details_retry_info().unwrap().retry_delay.unwrap();
    assert!(wait.as_secs() >= 1, "{wait:?}");
}

#[tokio::test]
async fn a_server_without_logins_says_so_and_takes_no_token_of_a_session() {
    let stage = Stage::set().await;
    let token = stage.log_in().await.token;
    let world = World::serve().await;
    let request = StartLoginRequest { identity_provider: ISSUER.into() };
    let status = world.sessions().await.start_login(request).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "NO_LOGINS"));
    let status = world
        .audit_trails()
        .await
        .search(with_header(of_meter(), &format!("Bearer {token}")))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    // A token that stands for itself has no session to end.
    let status = world.sessions().await.logout(world.by(ANN, LogoutRequest::default())).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
}

/// A response of an Identity Provider may be as large as the specification of the endpoint has it, and no larger.
#[tokio::test]
async fn a_login_that_is_too_large_is_refused_and_on_record() {
    let stage = Stage::set().await;
    let bring = async |bytes: usize| {
        let request = LoginRequest { saml_response: "A".repeat(bytes), ..LoginRequest::default() };
        stage.one.sessions().await.login(request).await.unwrap_err()
    };
    // What the transport takes and SAML does not, and what the transport does not take.
    let status = bring(767 * 1024).await;
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unauthenticated, "LOGIN_REFUSED"));
    let status = bring(769 * 1024).await;
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
    let recorded = stage.recorded().await;
    let shown: Vec<_> = recorded.iter().map(|entry| (&*entry.call, &*entry.outcome)).collect();
    assert_eq!(shown, [("Login", "UNAUTHENTICATED")]);
}

#[tokio::test]
async fn a_login_that_nobody_takes_up_is_on_record() {
    let world = World::serve().await;
    let status = world.sessions().await.login(LoginRequest::default()).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "NO_LOGINS"));
    let out = LogoutRequest { handle: "no handle".into() };
    world.sessions().await.logout(out).await.unwrap_err();
    let recorded = world.recorded().await;
    let shown: Vec<_> = recorded.iter().map(|entry| (&*entry.call, entry.reason.as_deref())).collect();
    assert_eq!(
        shown,
        [("SessionService.Login", Some("NO_LOGINS")), ("SessionService.Logout", Some("NO_LOGINS"))]
    );
}

/// A name that nothing else of a test has.
const NAME: &str = "Quillfeather";

fn entered() -> PersonalDetails {
    PersonalDetails {
        first_name: "Zoë".into(),
        last_name: format!(" {NAME} "),
        email_address: format!("zoe.{NAME}@supply.example"),
        telephone_number: "+44 20 7946 0000".into(),
    }
}

async fn profile(world: &World, token: &str) -> ProfileResponse {
    let request = with_header(ProfileRequest {}, &format!("Bearer {token}"));
    world.sessions().await.profile(request).await.unwrap().into_inner()
}

async fn set_details(
    world: &World,
    token: &str,
    details: PersonalDetails,
) -> Result<PersonalDetails, Status> {
    let request = SetDetailsRequest { details: Some(details) };
    let request = with_header(request, &format!("Bearer {token}"));
    let answer = world.sessions().await.set_details(request).await?;
    Ok(answer.into_inner().details.unwrap())
}

#[tokio::test]
async fn what_a_person_enters_is_told_to_them_alone_and_recorded_nowhere() {
    let stage = Stage::set().await;
    let token = stage.log_in().await.token;
    let first = profile(&stage.one, &token).await;
    assert!(first.details.is_none() && first.takes_details);
    let on_record = set_details(&stage.one, &token, entered()).await.unwrap();
    assert_eq!(on_record, PersonalDetails { last_name: NAME.into(), ..entered() });
    assert_eq!(profile(&stage.other, &token).await.details, Some(on_record.clone()));
    let changed = PersonalDetails { first_name: "Zoe".into(), ..on_record };
    set_details(&stage.other, &token, changed.clone()).await.unwrap();
    // At another login, too.
    let later = stage.log_in().await.token;
    assert_eq!(profile(&stage.one, &later).await.details, Some(changed));
    // A colleague has their own, and a program none.
    let started = stage.start().await;
    let mut answer = answer_to(&started);
    answer.name_id = answer.name_id.replace("person-17", "person-18");
    let colleague = stage.bring(&started, &answer).await.unwrap().token;
    assert!(profile(&stage.one, &colleague).await.details.is_none());
    let at = time("2026-03-01T10:00:00Z");
    let expires_at = at.plus_millis(3_600_000);
    let program = stage.one.mint(&Bearer { valid_from: at, expires_at, ..bearer_of(ANN, &[ANN], &[1]) });
    let shown = profile(&stage.one, &program).await;
    assert!(shown.details.is_none() && !shown.takes_details);
    let refused = set_details(&stage.one, &program, entered()).await.unwrap_err();
    assert_error(&refused, Code::FailedPrecondition, "NOT_A_PERSON", "400");
    let nobody = set_details(&stage.one, "none", entered()).await.unwrap_err();
    assert_error(&nobody, Code::Unauthenticated, "NO_IDENTITY", "401");
    let Stage { one, other, record, recording, .. } = stage;
    recording.close().await.unwrap();
    let mut all = one.recorded().await;
    all.extend(other.recorded().await);
    assert!(all.iter().any(|entry| entry.call == "SessionService.SetDetails" && entry.outcome == "OK"));
    all.extend(record.rows().into_iter().map(|row| row.entry));
    assert!(!format!("{all:?} {refused:?} {nobody:?}").contains(NAME), "{all:?}");
}

#[tokio::test]
async fn what_is_wrong_with_what_a_person_enters_is_said_field_by_field_and_not_repeated() {
    let stage = Stage::set().await;
    let token = stage.log_in().await.token;
    let wrong = PersonalDetails {
        last_name: NAME.repeat(20),
        email_address: format!("{NAME} at home"),
        telephone_number: NAME.into(),
        ..entered()
    };
    let status = set_details(&stage.one, &token, wrong).await.unwrap_err();
    assert_error(&status, Code::InvalidArgument, "INVALID_REQUEST", "400");
    let fields: Vec<_> = status.get_details_bad_request().unwrap().field_violations;
    let fields: Vec<_> = fields.iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!(fields, ["details.last_name", "details.email_address", "details.telephone_number"]);
    let large = PersonalDetails { last_name: NAME.repeat(1_000), ..entered() };
    let too_large = set_details(&stage.one, &token, large).await.unwrap_err();
    assert_eq!(too_large.code(), Code::OutOfRange);
    let none = with_header(SetDetailsRequest { details: None }, &format!("Bearer {token}"));
    let none = stage.one.sessions().await.set_details(none).await.unwrap_err();
    assert_eq!(none.get_details_bad_request().unwrap().field_violations.len(), 4);
    assert!(!format!("{status:?} {too_large:?}").contains(NAME));
    assert!(profile(&stage.one, &token).await.details.is_none());
    let without = World::serve().await;
    let status = set_details(&without, &without.token(ANN, 1), entered()).await.unwrap_err();
    assert_error(&status, Code::FailedPrecondition, "NO_LOGINS", "400");
}
