//! Who is logged in, and whether they still are.
//!
//! A session is a folder, `sessions/<id>`: `session` says who it is and never changes; `revoked`, once it is there, ends it;
//! `activity/<span>` says that it was used in a span of half a minute. Servers remember what they read for a second at most, but
//! for what cannot change.

mod record;

pub use record::Session;

use crate::handle::{Handle, SessionId};
use crate::limits::{ACTIVITY_SPAN_MS, KEPT_LONGER_MS, SEEN_AFTER_MS_MAX, SESSIONS_KEPT_MAX};
use crate::objects::{Created, Mark, Objects, SealedObjects, StoreError};
use crate::register::Register;
use async_trait::async_trait;
use gridtrail_access::{Bearer, NoTelling, OpenSessions};
use gridtrail_model::Timestamp;
use gridtrail_runtime::Clock;
use gridtrail_saml::SESSION_MS_MAX;
use moka::sync::Cache;
pub(crate) use record::SessionRecord;
use std::sync::Arc;

/// Why a session no longer holds, or never did. For the log: the caller is told to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// There is none.
    #[error("there is no such session")]
    Unknown,
    /// The session's time is up. Clause 1.2.
    #[error("its time is up")]
    Over,
    /// The person logged out.
    #[error("it was logged out or revoked")]
    Revoked,
    /// Nobody used it for too long.
    #[error("nobody used it for too long")]
    Idle,
    /// Its Identity Provider is no longer enrolled, or was enrolled anew.
    #[error("its Identity Provider is no longer enrolled")]
    ProviderRemoved,
    /// The account that it began with was removed or changed.
    #[error("its account was removed or changed")]
    AccountRemoved,
}

/// Why there is no session to go on with.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// Log in anew.
    #[error("the session does not hold: {0}")]
    Ended(#[from] Ended),
    /// There is no telling now.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How long a session may lie unused: from one minute to the longest session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdleLimit(i64);

impl IdleLimit {
    /// From milliseconds; `None` outside a minute to 8.5 hours.
    pub fn from_millis(millis: i64) -> Option<Self> {
        (2 * ACTIVITY_SPAN_MS..=SESSION_MS_MAX).contains(&millis).then_some(Self(millis))
    }
}

impl IdleLimit {
    /// In milliseconds.
    pub const fn millis(self) -> i64 {
        self.0
    }
}

impl Default for IdleLimit {
    /// 15 minutes.
    fn default() -> Self {
        Self(15 * 60 * 1000)
    }
}

/// A span of activity: its number since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Span(i64);

impl Span {
    fn at(time: Timestamp) -> Self {
        Self(time.millis().div_euclid(ACTIVITY_SPAN_MS))
    }

    fn begins_at_ms(self) -> i64 {
        self.0 * ACTIVITY_SPAN_MS
    }
}

/// What a server remembers of a session that held when it last looked.
#[derive(Debug, Clone)]
struct CachedSession {
    record: Arc<SessionRecord>,
    session: Arc<Session>,
    /// Since when it might have been revoked unseen.
    looked_at: Timestamp,
    /// The last span of activity that is written down.
    active: Span,
}

/// The sessions of all servers, as one of them sees them.
#[derive(Debug)]
pub struct Sessions {
    objects: SealedObjects,
    clock: Clock,
    register: Arc<Register>,
    idle: IdleLimit,
    known: Cache<SessionId, CachedSession>,
}

fn name_of(id: &SessionId, part: &str) -> String {
    format!("sessions/{id}/{part}")
}

fn span_name(id: &SessionId, span: Span) -> String {
    name_of(id, &format!("activity/{:012}", span.0))
}

impl Sessions {
    /// The sessions among these objects.
    pub fn new(objects: SealedObjects, clock: Clock, register: Arc<Register>, idle: IdleLimit) -> Self {
        Self { objects, clock, register, idle, known: Cache::new(SESSIONS_KEPT_MAX) }
    }

    /// How long a session may lie unused.
    pub const fn idle_limit(&self) -> IdleLimit {
        self.idle
    }

    /// Begins a session under a handle that nobody had before, so that nobody can know it beforehand.
    ///
    /// Errors: as [`Objects`]; then nobody has the handle of what may have been written.
    pub(crate) async fn begin(
        &self,
        handle: &Handle,
        record: SessionRecord,
    ) -> Result<Arc<Session>, StoreError> {
        let id = SessionId::of(handle);
        let name = name_of(&id, "session");
        let expires_at = Some(record.ends_at.plus_millis(KEPT_LONGER_MS));
        match self.objects.create(&name, expires_at, &record).await? {
            Created::Ours => Ok(Arc::new(record.session(id))),
            Created::Others => {
                let reason = "a session of a new handle is there already".to_owned();
                Err(StoreError::Corrupt { object: name, reason })
            }
        }
    }

    /// The session of a browser, which is thereby in use.
    ///
    /// Errors: `Ended`, `Store`.
    pub async fn resume(&self, handle: &Handle) -> Result<Arc<Session>, SessionError> {
        self.check(&SessionId::of(handle)).await
    }

    /// The session of this id, if it holds; it is thereby in use. What it says was so a second ago or later.
    ///
    /// Errors: `Ended`, `Store`.
    pub async fn check(&self, id: &SessionId) -> Result<Arc<Session>, SessionError> {
        let now = self.clock.now();
        let known = self.known.get(id);
        if let Some(known) = &known {
            let age = now.millis() - known.looked_at.millis();
            if (0..SEEN_AFTER_MS_MAX).contains(&age)
                && known.active >= Span::at(now)
                && now < known.record.ends_at
            {
                return Ok(Arc::clone(&known.session));
            }
        }
        let looked = self.look(id, known, now).await;
        match &looked {
            Ok(found) => self.known.insert(id.clone(), found.clone()),
            Err(_) => self.known.invalidate(id),
        }
        looked.map(|found| found.session)
    }

    async fn look(
        &self,
        id: &SessionId,
        known: Option<CachedSession>,
        now: Timestamp,
    ) -> Result<CachedSession, SessionError> {
        let mut found = match known {
            Some(known) => known,
            None => self.read(id).await?.ok_or(Ended::Unknown)?,
        };
        found.looked_at = now;
        if now >= found.record.ends_at {
            return Err(Ended::Over.into());
        }
        if self.objects.plain().exists(&name_of(id, "revoked")).await? {
            return Err(Ended::Revoked.into());
        }
        self.check_origin(&found.record).await?;
        if self.is_idle(found.active, now) {
            // Another server may have seen it in use.
            found.active = self.last_active(id, now).await?.unwrap_or(found.active);
            if self.is_idle(found.active, now) {
                return Err(Ended::Idle.into());
            }
        }
        self.note_activity(id, &mut found, now).await;
        Ok(found)
    }

    async fn read(&self, id: &SessionId) -> Result<Option<CachedSession>, StoreError> {
        let stored = self.objects.read::<SessionRecord>(&name_of(id, "session")).await?;
        Ok(stored.map(|stored| {
            let record = Arc::new(stored.content);
            let session = Arc::new(record.session(id.clone()));
            let (looked_at, active) = (record.started_at, Span::at(record.started_at));
            CachedSession { record, session, looked_at, active }
        }))
    }

    /// Whether what vouched for the session still does.
    async fn check_origin(&self, record: &SessionRecord) -> Result<(), SessionError> {
        let provider = self.register.provider(&record.identity_provider).await?;
        if provider.is_none_or(|provider| provider.enrolment.id != record.enrolment) {
            return Err(Ended::ProviderRemoved.into());
        }
        match record.account {
            Some(number) if self.register.account_number(&record.subject).await? != number => {
                Err(Ended::AccountRemoved.into())
            }
            _ => Ok(()),
        }
    }

    fn is_idle(&self, active: Span, now: Timestamp) -> bool {
        now.millis() - active.begins_at_ms() >= self.idle.0
    }

    /// The last span of activity that any server wrote down, of those that still count.
    async fn last_active(&self, id: &SessionId, now: Timestamp) -> Result<Option<Span>, StoreError> {
        let oldest = Span(Span::at(now.plus_millis(-self.idle.0)).0 - 1);
        let names = self.objects.plain().list(&name_of(id, "activity"), Some(&span_name(id, oldest))).await?;
        let span_of = |name: &String| name.rsplit('/').next()?.parse().ok().map(Span);
        Ok(names.iter().filter_map(span_of).max())
    }

    /// Writes down that the session is in use, once a span. Where that fails, it is told in the log and tried again at the next
    /// use: the session goes by what is written down, on this server as on all others.
    async fn note_activity(&self, id: &SessionId, found: &mut CachedSession, now: Timestamp) {
        let span = Span::at(now);
        if span <= found.active {
            return;
        }
        let expires_at = now.plus_millis(self.idle.0 + KEPT_LONGER_MS);
        match self.objects.plain().create(&span_name(id, span), Some(expires_at), &Mark {}).await {
            Ok(Created::Ours | Created::Others) => found.active = span,
            Err(error) => tracing::warn!(%error, "the activity of a session could not be written down"),
        }
    }

    /// Ends the session of a browser, and gives it, if there was one.
    ///
    /// Errors: `Store`: it may not have ended.
    pub(crate) async fn logout(&self, handle: &Handle) -> Result<Option<Arc<Session>>, StoreError> {
        self.end(&SessionId::of(handle)).await
    }

    /// Ends a session: on every server within a second. Whether there is such a session; one that there is not has ended.
    ///
    /// Errors: `Store`: it may not have ended.
    pub async fn revoke(&self, id: &SessionId) -> Result<bool, StoreError> {
        let revoked = revoke(self.objects.plain(), id).await;
        self.known.invalidate(id);
        revoked
    }

    async fn end(&self, id: &SessionId) -> Result<Option<Arc<Session>>, StoreError> {
        let known = self.read(id).await?;
        match known {
            Some(known) => self.revoke(id).await.map(|_| Some(known.session)),
            None => Ok(None),
        }
    }
}

/// Ends a session, whoever wrote down that there is one: no session key is needed. Otherwise as [`Sessions::revoke`].
///
/// Errors: `Store`: it may not have ended.
pub async fn revoke(objects: &Objects, id: &SessionId) -> Result<bool, StoreError> {
    let Some(stored) = objects.read::<SessionRecord>(&name_of(id, "session")).await? else {
        return Ok(false);
    };
    let expires_at = stored.content.ends_at.plus_millis(KEPT_LONGER_MS);
    objects.create(&name_of(id, "revoked"), Some(expires_at), &Mark {}).await?;
    tracing::info!(session = %id, "a session was ended");
    Ok(true)
}

#[async_trait]
impl OpenSessions for Sessions {
    async fn bearer(&self, session_id: &str) -> Result<Option<Arc<Bearer>>, NoTelling> {
        let Ok(id) = session_id.parse() else { return Ok(None) };
        match self.check(&id).await {
            Ok(session) => Ok(Some(Arc::clone(&session.bearer))),
            Err(SessionError::Ended(why)) => {
                tracing::debug!(session = session_id, %why, "a session does not hold");
                Ok(None)
            }
            Err(SessionError::Store(error)) => {
                let error = &error as &(dyn std::error::Error + 'static);
                tracing::error!(error, "whether a session holds cannot be told");
                Err(NoTelling)
            }
        }
    }
}
