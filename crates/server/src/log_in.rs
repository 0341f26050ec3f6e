//! Logins and sessions over gRPC.

use crate::limits::{LOGIN_BYTES_MAX, LOGINS_MAX, RESPONSE_BYTES_MAX, SESSION_BYTES_MAX};
use crate::record::{Caller, Record};
use crate::row::{profile_response, wire_time};
use crate::service::{Desk, reply};
use crate::status::CallError;
use gridtrail_access::{Access, Component, SessionKey};
use gridtrail_port::{Hold, Places, Sizes};
use gridtrail_proto::query::v1::session_service_server::{SessionService, SessionServiceServer};
use gridtrail_proto::query::v1::{
    LoginRequest, LoginResponse, LogoutRequest, LogoutResponse, PersonalDetails, ProfileRequest,
    ProfileResponse, ResumeRequest, ResumeResponse, SetDetailsRequest, SetDetailsResponse, StartLoginRequest,
    StartLoginResponse,
};
use gridtrail_search::{SearchError, Violation};
use gridtrail_session::{Details, Handle, Logins, PersonId, Session};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, async_trait};

/// What logs people in.
#[derive(Debug, Clone)]
pub struct LoginParts {
    /// Takes logins.
    pub logins: Arc<Logins>,
    /// Signs the tokens of sessions.
    pub key: Arc<SessionKey>,
}

#[derive(Debug)]
pub(crate) struct Sessions {
    desk: Desk,
    login: Option<LoginParts>,
    /// Apart from the permits of other calls: whoever has no token must not keep out who has one.
    places: Places<IpAddr>,
}

impl Sessions {
    /// What takes logins, whose messages are large, and what takes all other calls.
    pub(crate) fn servers(desk: Desk, login: Option<LoginParts>) -> [SessionServiceServer<Self>; 2] {
        let (all, each) = LOGINS_MAX;
        let places = Places::new(Sizes { all, each, patience: Duration::ZERO });
        let sessions = Arc::new(Self { desk, login, places });
        [LOGIN_BYTES_MAX, SESSION_BYTES_MAX].map(|bytes| {
            SessionServiceServer::from_arc(Arc::clone(&sessions))
                .max_decoding_message_size(bytes)
                .max_encoding_message_size(RESPONSE_BYTES_MAX)
        })
    }

    fn login(&self) -> Result<&LoginParts, CallError> {
        self.login.as_ref().ok_or(CallError::NoLogins)
    }

    /// Works for somebody who need not have a token yet.
    async fn for_anybody<T>(
        &self,
        caller: &Caller,
        work: impl AsyncFnOnce(&LoginParts) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        let permitted = async {
            let login = self.login()?;
            let (network, gives_up) = (caller.client.network(), CancellationToken::new());
            let place = self.places.enter(network, (1, Hold::Firm), gives_up);
            let _place = place.map_err(|_| CallError::Busy)?;
            work(login).await
        };
        self.desk.limited(caller, permitted).await
    }
}

/// The token of a session.
pub(crate) fn token_of(key: &SessionKey, session: &Session) -> Result<String, CallError> {
    Ok(key.sign(session.id.as_str(), &session.bearer)?)
}

/// The handle that a caller shows. What is none belongs to no session.
fn handle_of(text: &str) -> Result<Handle, CallError> {
    text.parse().map_err(|_| CallError::NoSession)
}

/// The person whom a caller is; `None`: a token that stands for itself may be a program's.
fn person_of(who: &Access) -> Option<PersonId> {
    who.session_id().map(|_| PersonId::of(who.party(), who.subject()))
}

/// What a person enters about themselves. Errors: each field that is not as it must be, in words that repeat nothing of it.
fn details_of(entered: &PersonalDetails) -> Result<Details, SearchError> {
    let PersonalDetails { first_name, last_name, email_address, telephone_number } = entered;
    Details::new((first_name, last_name), email_address, telephone_number).map_err(|faults| {
        let violation = |fault: gridtrail_session::DetailsFault| Violation {
            field: fault.field,
            rule: fault.rule.to_owned(),
        };
        SearchError::Invalid(faults.into_iter().map(violation).collect())
    })
}

fn wire_details(details: &Details) -> PersonalDetails {
    PersonalDetails {
        first_name: details.first_name().to_owned(),
        last_name: details.last_name().to_owned(),
        email_address: details.email_address().to_owned(),
        telephone_number: details.telephone_number().to_owned(),
    }
}

#[async_trait]
impl SessionService for Sessions {
    async fn start_login(
        &self,
        request: Request<StartLoginRequest>,
    ) -> Result<Response<StartLoginResponse>, Status> {
        let (caller, StartLoginRequest { identity_provider: entity_id }) = Caller::of(request);
        let work = async |login: &LoginParts| {
            let started = login.logins.start(&entity_id, caller.client.address).await?;
            Ok(StartLoginResponse {
                sso_url: started.form.action,
                saml_request: started.form.request,
                relay_state: started.request.to_string(),
                browser_handle: started.browser.secret(),
                expires_at: Some(wire_time(started.until)),
            })
        };
        reply("SessionService.StartLogin", self.for_anybody(&caller, work).await)
    }

    async fn login(&self, request: Request<LoginRequest>) -> Result<Response<LoginResponse>, Status> {
        const CALL: &str = "SessionService.Login";
        let (caller, LoginRequest { saml_response, relay_state, browser_handle }) = Caller::of(request);
        let record = self.desk.record(CALL, &caller);
        let mut witnessed = false;
        let work = async |login: &LoginParts| {
            let relay_state = (!relay_state.is_empty()).then_some(relay_state.as_str());
            let browser: Option<Handle> = browser_handle.parse().ok();
            let finished = login
                .logins
                .finish(saml_response, relay_state, browser.as_ref(), caller.client.address)
                .await;
            witnessed = true;
            let logged_in = finished?;
            caller.client.peer.vouch();
            Ok(LoginResponse {
                token: token_of(&login.key, &logged_in.session)?,
                handle: logged_in.handle.secret(),
                expires_at: Some(wire_time(logged_in.session.bearer.expires_at)),
            })
        };
        let outcome = self.for_anybody(&caller, work).await;
        // Of a login that was taken up the witness knows more; one that was not, or was broken off, is noted here.
        if !witnessed {
            return record.reply(outcome);
        }
        record.witnessed();
        reply(CALL, outcome)
    }

    async fn resume(&self, request: Request<ResumeRequest>) -> Result<Response<ResumeResponse>, Status> {
        const CALL: &str = "SessionService.Resume";
        let (caller, ResumeRequest { handle }) = Caller::of(request);
        let mut record = self.desk.record(CALL, &caller);
        let work = async |login: &LoginParts| {
            record.reserve()?;
            let session = login.logins.sessions().resume(&handle_of(&handle)?).await?;
            record.resumed(&session);
            caller.client.peer.vouch();
            let expires_at = Some(wire_time(session.bearer.expires_at));
            Ok(ResumeResponse { token: token_of(&login.key, &session)?, expires_at })
        };
        let outcome = self.for_anybody(&caller, work).await;
        record.reply(outcome)
    }

    async fn logout(&self, request: Request<LogoutRequest>) -> Result<Response<LogoutResponse>, Status> {
        const CALL: &str = "SessionService.Logout";
        let (caller, LogoutRequest { handle }) = Caller::of(request);
        if handle.is_empty() {
            let work = async |who: Access, _: &mut Record| {
                let id = who.session_id().and_then(|id| id.parse().ok()).ok_or(CallError::NoSession)?;
                // One that has ended is no error.
                self.login()?.logins.sessions().revoke(&id).await?;
                Ok(LogoutResponse {})
            };
            return self.desk.answer(CALL, &caller, work).await;
        }
        let record = self.desk.record(CALL, &caller);
        let work = async |login: &LoginParts| {
            login.logins.log_out(&handle_of(&handle)?, caller.client.address).await?;
            Ok(LogoutResponse {})
        };
        let outcome = self.for_anybody(&caller, work).await;
        // Of a session that ended the witness has told.
        if outcome.is_err() {
            return record.reply(outcome);
        }
        record.witnessed();
        reply(CALL, outcome)
    }

    async fn profile(&self, request: Request<ProfileRequest>) -> Result<Response<ProfileResponse>, Status> {
        let (caller, _) = Caller::of(request);
        let work = async |who: Access, _: &mut Record| {
            who.require(Component::Profile, self.desk.now())?;
            let details = match (&self.login, person_of(&who)) {
                (Some(login), Some(person)) => (login.logins.people().details(&person).await?, true),
                _ => (None, false),
            };
            let (details, takes_details) = details;
            Ok(profile_response(&who, (details.as_ref().map(wire_details), takes_details)))
        };
        self.desk.answer("SessionService.Profile", &caller, work).await
    }

    async fn set_details(
        &self,
        request: Request<SetDetailsRequest>,
    ) -> Result<Response<SetDetailsResponse>, Status> {
        let (caller, SetDetailsRequest { details }) = Caller::of(request);
        let work = async |who: Access, _: &mut Record| {
            who.require(Component::Profile, self.desk.now())?;
            let people = self.login()?.logins.people();
            let person = person_of(&who).ok_or(CallError::NotAPerson)?;
            let details = details_of(&details.unwrap_or_default())?;
            people.enter(&person, &details).await?;
            Ok(SetDetailsResponse { details: Some(wire_details(&details)) })
        };
        self.desk.answer("SessionService.SetDetails", &caller, work).await
    }
}
