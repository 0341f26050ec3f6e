//! Logins: a browser is sent to an Identity Provider, and what it brings back is believed once or not at all.
//!
//! 1. [`Logins::start`] writes the request down with a digest of a new handle, which the browser gets as a cookie.
//! 2. [`Logins::finish`] finds the request by the `RelayState`, and lets it count only in the browser that has the handle.
//! 3. The response is verified, away from the threads that serve others.
//! 4. The assertion's id is written down, then that the request is answered. Whoever writes each first goes on; there is one.
//! 5. The session is written down, under a handle that nobody had before.
//!
//! Whoever is stopped on the way starts anew: what was written down stays used.

mod budgets;
mod reason;
mod settings;

pub use reason::{LoginError, Reason};
pub use settings::LoginSettings;

use crate::digest;
use crate::handle::Handle;
use crate::limits::{KEPT_LONGER_MS, REQUEST_LIFE_MS, VERIFICATIONS_MAX};
use crate::objects::{Created, Mark, SealedObjects, StoreError};
use crate::people::{People, PersonId};
use crate::register::{Anchors, Provider, Register, subject_of};
use crate::sessions::{Session, SessionRecord, Sessions};
use crate::wire;
use crate::witness::{NotWritten, Witness};
use aws_lc_rs::rand;
use budgets::Budgets;
use gridtrail_access::{JobTypeRole, RoleMatrix};
use gridtrail_model::{Timestamp, UserId};
use gridtrail_runtime::Clock;
use gridtrail_saml::{Assertion, Expected, MessageId, PostForm, Refusal, claimed_issuer, verify};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// A login that was begun.
#[derive(Debug)]
pub struct Started {
    /// The page that takes the browser to the Identity Provider; its `RelayState` is the request.
    pub form: PostForm,
    /// The request.
    pub request: MessageId,
    /// What binds the request to this browser.
    pub browser: Handle,
    /// Until when an answer is awaited.
    pub until: Timestamp,
}

/// A login that succeeded.
#[derive(Debug)]
pub struct LoggedIn {
    /// What the browser shows from now on.
    pub handle: Handle,
    /// The session.
    pub session: Arc<Session>,
}

/// What an outstanding request is written as.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Outstanding {
    identity_provider: String,
    enrolment: String,
    /// The digest of the handle of the browser.
    browser: String,
    #[serde(with = "wire::timestamp")]
    until: Timestamp,
}

/// A request that waits for an answer in the browser that brought one.
struct AnsweredRequest {
    id: MessageId,
    until: Timestamp,
}

/// The logins of one server.
#[derive(Debug)]
pub struct Logins {
    objects: SealedObjects,
    clock: Clock,
    register: Arc<Register>,
    sessions: Arc<Sessions>,
    people: People,
    anchors: Arc<Anchors>,
    settings: Arc<LoginSettings>,
    witness: Arc<dyn Witness>,
    verifying: Semaphore,
    /// Bound the requests that are begun.
    starts: Budgets,
    /// Bound the lists of Identity Providers: every log-in page asks for one, and people begin fewer logins than they load pages.
    listed: Budgets,
    /// Bound the responses that are brought.
    brought: Budgets,
}

impl Logins {
    /// Logins with these parts.
    pub fn new(
        objects: SealedObjects,
        clock: Clock,
        (register, sessions): (Arc<Register>, Arc<Sessions>),
        anchors: Arc<Anchors>,
        settings: LoginSettings,
        witness: Arc<dyn Witness>,
    ) -> Self {
        let (settings, verifying) = (Arc::new(settings), Semaphore::new(VERIFICATIONS_MAX));
        let (starts, listed, brought) = <(Budgets, Budgets, Budgets)>::default();
        let people = People::new(objects.clone(), clock.clone());
        Self {
            objects,
            clock,
            register,
            sessions,
            people,
            anchors,
            settings,
            witness,
            verifying,
            starts,
            listed,
            brought,
        }
    }

    /// How this server deals with logins.
    pub fn settings(&self) -> &LoginSettings {
        &self.settings
    }

    /// The sessions that logins make.
    pub fn sessions(&self) -> &Arc<Sessions> {
        &self.sessions
    }

    /// What the people who log in enter about themselves.
    pub const fn people(&self) -> &People {
        &self.people
    }

    /// By whom people can log in, for somebody at an address: entity IDs, ascending.
    ///
    /// Errors: `Busy`, `Store`.
    pub async fn identity_providers(&self, from: Option<SocketAddr>) -> Result<Vec<String>, LoginError> {
        self.listed.take_of_address(from)?;
        Ok(self.register.entity_ids().await?)
    }

    /// Begins a login at an Identity Provider, for somebody at an address.
    ///
    /// Errors: `UnknownProvider`, `Busy`, `Store`.
    pub async fn start(&self, entity_id: &str, from: Option<SocketAddr>) -> Result<Started, LoginError> {
        self.starts.take_of_address(from)?;
        let provider = self.register.provider(entity_id).await?.ok_or(LoginError::UnknownProvider)?;
        self.starts.take_of_provider(entity_id)?;
        let now = self.clock.now();
        let request = new_request()?;
        let browser = Handle::random()?;
        let until = now.plus_millis(REQUEST_LIFE_MS);
        let outstanding = Outstanding {
            identity_provider: entity_id.to_owned(),
            enrolment: provider.enrolment.id.clone(),
            browser: browser.digest("browser"),
            until,
        };
        let name = format!("requests/{request}");
        if self.objects.create(&name, Some(until.plus_millis(KEPT_LONGER_MS)), &outstanding).await?
            == Created::Others
        {
            return Err(StoreError::Corrupt {
                object: name,
                reason: "a new request is there already".into(),
            }
            .into());
        }
        let xml = self.settings.service_provider.authn_request(&request, now, &provider.identity_provider);
        let form = PostForm::new(&provider.identity_provider, &xml, Some(request.as_str()));
        let form = form.ok_or(LoginError::RelayState)?;
        Ok(Started { form, request, browser, until })
    }

    /// Takes what a browser brought: the form values `SAMLResponse` and `RelayState`, and the handle of the request that the
    /// latter names. `from` is its address.
    ///
    /// Errors: `Busy`; `Refused`, which the log has been told; `Store`: whether the assertion is used up is not known; `NotWritten`.
    pub async fn finish(
        &self,
        response: String,
        relay_state: Option<&str>,
        browser: Option<&Handle>,
        from: Option<SocketAddr>,
    ) -> Result<LoggedIn, LoginError> {
        let mut finished = match self.brought.take_of_address(from) {
            Ok(()) => self.finish_unwitnessed(response, relay_state, browser).await,
            Err(error) => Err(error),
        };
        if let Ok(LoggedIn { session, .. }) = &finished
            && let Err(NotWritten) = self.witness.logged_in(session, from).await
        {
            // Nobody has its handle; that it is ended too is only for order.
            let _ = self.sessions.revoke(&session.id).await;
            finished = Err(LoginError::NotWritten);
        }
        match &finished {
            Ok(LoggedIn { session, .. }) => {
                let bearer = &session.bearer;
                self.people.logged_in(&PersonId::of(&bearer.party, &bearer.subject)).await;
            }
            Err(error) => self.witness.refused(error, from),
        }
        match &finished {
            Ok(LoggedIn { session, .. }) => tracing::info!(
                session = %session.id,
                subject = session.bearer.subject,
                party = session.bearer.party.as_str(),
                identity_provider = session.identity_provider,
                "somebody logged in"
            ),
            Err(LoginError::Refused(reason)) => tracing::warn!(%reason, "a login was refused"),
            // Anybody can have it so, and as often as they like.
            Err(LoginError::Busy) => tracing::debug!(?from, "a login was refused: too many are brought"),
            Err(error) => {
                tracing::error!(error = error as &(dyn std::error::Error + 'static), "a login failed")
            }
        }
        finished
    }

    async fn finish_unwitnessed(
        &self,
        response: String,
        relay_state: Option<&str>,
        browser: Option<&Handle>,
    ) -> Result<LoggedIn, LoginError> {
        let response = Arc::<str>::from(response);
        let (provider, asked) = match self.asked(relay_state, browser).await? {
            Ok((provider, asked)) => (provider, Some(asked)),
            // Nobody asked here: perhaps nobody had to.
            Err(reason) => (self.claimed(&response, reason).await?, None),
        };
        self.brought.take_of_provider(provider.identity_provider.entity_id())?;
        let request = asked.as_ref().map(|asked| asked.id.clone());
        let assertion = self.verified(response, Arc::clone(&provider), request).await?;
        let record = self.record(&provider, &assertion).await?;
        self.use_up(&assertion, asked.as_ref()).await?;
        let handle = Handle::random()?;
        let session = self.sessions.begin(&handle, record).await?;
        Ok(LoggedIn { handle, session })
    }

    /// Ends the session of a browser.
    ///
    /// Errors: `Store`: it may not have ended.
    pub async fn log_out(&self, handle: &Handle, from: Option<SocketAddr>) -> Result<(), StoreError> {
        if let Some(session) = self.sessions.logout(handle).await? {
            self.witness.logged_out(&session, from);
        }
        Ok(())
    }

    /// The request that this browser brings an answer to, or why there is none.
    async fn asked(
        &self,
        relay_state: Option<&str>,
        browser: Option<&Handle>,
    ) -> Result<Result<(Arc<Provider>, AnsweredRequest), Reason>, StoreError> {
        let Some(id) = relay_state.and_then(request_of) else { return Ok(Err(Reason::NoRequest)) };
        let Some(stored) = self.objects.read::<Outstanding>(&format!("requests/{id}")).await? else {
            return Ok(Err(Reason::NoRequest));
        };
        let outstanding = stored.content;
        if browser.map(|browser| browser.digest("browser")) != Some(outstanding.browser) {
            return Ok(Err(Reason::OtherBrowser));
        }
        if self.clock.now() >= outstanding.until {
            return Ok(Err(Reason::RequestExpired));
        }
        let provider = self.register.provider(&outstanding.identity_provider).await?;
        Ok(match provider.filter(|provider| provider.enrolment.id == outstanding.enrolment) {
            Some(provider) => Ok((provider, AnsweredRequest { id, until: outstanding.until })),
            None => Err(Reason::UnknownProvider),
        })
    }

    /// The Identity Provider that a response says it comes from, if it may send what nobody asked for.
    async fn claimed(&self, response: &Arc<str>, reason: Reason) -> Result<Arc<Provider>, LoginError> {
        let posted = Arc::clone(response);
        let issuer = self.away(move || claimed_issuer(&posted)).await??;
        match self.register.provider(&issuer).await? {
            None => Err(Reason::UnknownProvider.into()),
            Some(provider) if provider.settings().allow_unsolicited => Ok(provider),
            Some(_) => Err(reason.into()),
        }
    }

    async fn verified(
        &self,
        response: Arc<str>,
        provider: Arc<Provider>,
        outstanding: Option<MessageId>,
    ) -> Result<Assertion, LoginError> {
        let (now, anchors, settings) = (self.clock.now(), self.anchors.current(), Arc::clone(&self.settings));
        let verified = self.away(move || {
            let expected = Expected {
                now,
                skew: settings.skew,
                service_provider: &settings.service_provider,
                outstanding: outstanding.as_ref(),
                // Where this browser did ask, only the answer to that counts.
                allows_unsolicited: outstanding.is_none() && provider.settings().allow_unsolicited,
                authn_contexts: &provider.settings().authn_contexts,
            };
            verify(&response, &provider.identity_provider, &anchors, &expected)
        });
        Ok(verified.await??)
    }

    /// Runs what takes a processor for milliseconds on threads of its own, a few at a time.
    async fn away<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
    ) -> Result<Result<T, Refusal>, Reason> {
        let _place = self.verifying.acquire().await.map_err(|_| Reason::Interrupted)?;
        tokio::task::spawn_blocking(work).await.map_err(|_| Reason::Interrupted)
    }

    /// What the session is going to say. The Party is never taken from the assertion.
    async fn record(&self, provider: &Provider, assertion: &Assertion) -> Result<SessionRecord, LoginError> {
        let subject = subject_of(&assertion.issuer, &assertion.name_id);
        let (party, account) = match provider.party() {
            Some(party) => (party.clone(), None),
            None => {
                let account = self.register.account(&subject).await?.ok_or(Reason::NoAccount)?;
                (account.party, Some(account.number))
            }
        };
        let roles = known_roles(assertion, &self.settings.roles);
        if roles.is_empty() {
            return Err(Reason::NoKnownRole.into());
        }
        Ok(SessionRecord {
            subject,
            identity_provider: assertion.issuer.clone(),
            enrolment: provider.enrolment.id.clone(),
            account,
            party,
            org_id: provider.settings().org_id,
            user_ids: user_ids(assertion),
            roles,
            started_at: self.clock.now(),
            ends_at: assertion.session_ends_at(),
        })
    }

    /// Writes down that the assertion is used and the request answered. Only who wrote both goes on.
    async fn use_up(&self, assertion: &Assertion, asked: Option<&AnsweredRequest>) -> Result<(), LoginError> {
        let key = digest::of("assertion", &[assertion.issuer.as_bytes(), assertion.id.as_str().as_bytes()]);
        let expires_at = assertion.not_on_or_after.plus_millis(KEPT_LONGER_MS);
        if self.objects.plain().create(&format!("assertions/{key}"), Some(expires_at), &Mark {}).await?
            == Created::Others
        {
            return Err(Reason::AssertionUsed.into());
        }
        if let Some(asked) = asked {
            let expires_at = asked.until.plus_millis(2 * KEPT_LONGER_MS);
            let name = format!("answered/{}", asked.id);
            if self.objects.plain().create(&name, Some(expires_at), &Mark {}).await? == Created::Others {
                return Err(Reason::RequestAnswered.into());
            }
        }
        // Had this taken very long, what others wrote down of the same assertion might have been swept before.
        if self.clock.now() >= assertion.not_on_or_after {
            return Err(Reason::TooLate.into());
        }
        Ok(())
    }
}

/// A request's identifier: 128 random bits, as SAML 2.0 core, 1.3.4, asks for.
fn new_request() -> Result<MessageId, StoreError> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).map_err(|_| StoreError::NoRandomness)?;
    // An underscore and hexadecimal digits always make an identifier.
    format!("_{}", hex::encode(bytes)).parse().map_err(|_| StoreError::NoRandomness)
}

/// The request that a `RelayState` names, if it is made as ours are.
fn request_of(relay_state: &str) -> Option<MessageId> {
    let digits = relay_state.strip_prefix('_')?;
    let ours = digits.len() == 32 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if ours { relay_state.parse().ok() } else { None }
}

/// The roles that are known. Others give nothing, so to pass over them lets nobody do more; the log says how many there were, for
/// whoever set up the Identity Provider.
fn known_roles(assertion: &Assertion, matrix: &RoleMatrix) -> BTreeSet<JobTypeRole> {
    let roles = assertion.roles.iter().filter_map(|name| matrix.role(name)).collect();
    let unknown = |name: &&String| matrix.role(name).is_none();
    let others = Vec::from_iter(assertion.roles.iter().filter(unknown).map(String::as_str));
    if !others.is_empty() {
        let others = others.join(", ");
        tracing::warn!(identity_provider = assertion.issuer, others, "unknown Job Type Roles are ignored");
    }
    roles
}

/// The User IDs that can be read. What is none names no rows, so it is passed over like a User ID that was not granted.
fn user_ids(assertion: &Assertion) -> BTreeSet<UserId> {
    let read: BTreeSet<UserId> = assertion.org_ids.iter().filter_map(|text| text.parse().ok()).collect();
    let malformed = assertion.org_ids.iter().filter(|text| text.parse::<UserId>().is_err()).count();
    if malformed > 0 {
        tracing::warn!(identity_provider = assertion.issuer, malformed, "malformed User IDs are ignored");
    }
    read
}
