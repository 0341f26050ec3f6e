//! Logins at a server: what they need, and the tasks around them.

use crate::args::{LoginArgs, TrustArgs};
use crate::exit::Failure;
use crate::identity::{objects_of, service_provider, trust_anchors};
use crate::running::{end, listen};
use gridtrail_access::{AccessError, RoleMatrix, SessionGate, SessionKey};
use gridtrail_access_log::AccessLog;
use gridtrail_lake::Lake;
use gridtrail_port::{Port, Terms, Whence};
use gridtrail_saml::{ClockSkew, ServiceProvider};
use gridtrail_server::{LoginParts, LoginRecords};
use gridtrail_session::{
    Anchors, Endpoint, EndpointFault, IdleLimit, Landing, LoginSettings, Logins, Register, Seal,
    SealedObjects, Sessions, Sweep,
};
use gridtrail_tls::Tls;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// How often the anchors and the revocation lists are read anew.
const ANCHORS_EVERY: Duration = Duration::from_secs(60);

/// How often the certificate of the pages is looked at.
const CERTIFICATES_EVERY: Duration = Duration::from_secs(10);

/// How often what has expired is deleted.
const SWEEP_EVERY: Duration = Duration::from_secs(600);

/// What was asked for, judged before anything is opened.
pub(crate) struct LoginPlan {
    service_provider: ServiceProvider,
    anchors: Arc<Anchors>,
    trust: TrustArgs,
    key: Arc<SessionKey>,
    skew: ClockSkew,
    idle: IdleLimit,
    roles: Arc<RoleMatrix>,
    pages: Option<Pages>,
    /// Where people go who log in at the console.
    console: Option<Landing>,
}

impl LoginPlan {
    /// Reads the arguments; `None` where nobody logs in. Then follows whether people log in at the console, and how the pages of their own
    /// address are served: how encrypted, and for whom.
    pub(crate) async fn read(
        args: LoginArgs,
        (roles, has_console): (Arc<RoleMatrix>, bool),
        (tls, terms, whence): (Option<Arc<Tls>>, Terms, Whence),
    ) -> Result<Option<Self>, Failure> {
        let (Some(entity_id), Some(acs_url), Some(key)) =
            (&args.saml_entity_id, &args.saml_acs_url, &args.session_key)
        else {
            return Ok(None);
        };
        let pem = crate::text::key(key)?;
        let wrong =
            |error: AccessError| Failure::Argument { argument: "--session-key", reason: error.to_string() };
        let key = Arc::new(SessionKey::from_pem(&pem).map_err(wrong)?);
        let service_provider = service_provider(entity_id, acs_url)?;
        let anchors = Arc::new(Anchors::new(trust_anchors(&args.trust)?));
        let skew = args.saml_skew.seconds().checked_mul(1_000).and_then(ClockSkew::from_millis);
        let skew = skew.ok_or_else(|| Failure::Argument {
            argument: "--saml-skew",
            reason: "180s at most".to_owned(),
        })?;
        let idle = IdleLimit::from_millis(i64::from(args.session_idle.seconds()) * 1_000);
        let idle = idle.ok_or_else(|| Failure::Argument {
            argument: "--session-idle",
            reason: "from 1m to 8h".to_owned(),
        })?;
        let fault = |error: EndpointFault| Failure::Argument {
            argument: "--saml-acs-url, --saml-landing",
            reason: error.to_string(),
        };
        let console = has_console.then(|| Landing::new(&service_provider, "/").map_err(fault)).transpose()?;
        let pages = match args.saml_listen {
            Some(address) => {
                let landing = Landing::new(&service_provider, &args.saml_landing).map_err(fault)?;
                let port = Port { listener: listen(address).await?, tls, terms, whence };
                Some(Pages { port, landing })
            }
            None => None,
        };
        let trust = args.trust;
        Ok(Some(Self { service_provider, anchors, trust, key, skew, idle, roles, pages, console }))
    }

    /// Where browsers log in.
    pub(crate) fn port(&self) -> Option<&Port> {
        self.pages.as_ref().map(|pages| &pages.port)
    }

    /// Logins over what lies beside a lake, which are on record in this log.
    pub(crate) fn over(self, lake: &Lake, log: &AccessLog) -> Result<LoginHost, Failure> {
        let (objects, clock) = (objects_of(lake)?, lake.clock().clone());
        let register = Arc::new(Register::new(objects.clone(), clock.clone()));
        let sealed = SealedObjects::new(objects.clone(), Seal::of(&self.key)?);
        let sessions =
            Arc::new(Sessions::new(sealed.clone(), clock.clone(), Arc::clone(&register), self.idle));
        let settings = LoginSettings {
            service_provider: self.service_provider,
            skew: self.skew,
            roles: Arc::clone(&self.roles),
        };
        let held = Arc::<Sessions>::clone(&sessions);
        let gate = SessionGate::new(&self.key, held, Arc::clone(&self.roles))?;
        let witness = Arc::new(LoginRecords::new(log.clone(), clock.clone(), self.roles));
        let anchors = Arc::clone(&self.anchors);
        let logins =
            Logins::new(sealed, clock.clone(), (register, sessions), Arc::clone(&anchors), settings, witness);
        let logins = Arc::new(logins);
        let of_console = |landing| Arc::new(Endpoint::of_console(Arc::clone(&logins), landing));
        let console = self.console.map(of_console);
        let parts = LoginParts { logins, key: self.key };
        Ok(LoginHost {
            parts,
            gate,
            console,
            pages: self.pages,
            sweep: Sweep::new(objects, clock),
            anchors,
            trust: self.trust,
        })
    }
}

/// The pages for browsers.
struct Pages {
    port: Port,
    landing: Landing,
}

/// Logins, ready to be served.
pub(crate) struct LoginHost {
    /// For the service.
    pub(crate) parts: LoginParts,
    /// Lets in who has a session.
    pub(crate) gate: SessionGate,
    /// For the pages of the console.
    pub(crate) console: Option<Arc<Endpoint>>,
    pages: Option<Pages>,
    sweep: Sweep,
    anchors: Arc<Anchors>,
    trust: TrustArgs,
}

impl LoginHost {
    /// Starts what goes on beside the service.
    pub(crate) fn start(self) -> LoginTasks {
        let Self { parts, pages, sweep, anchors, trust, .. } = self;
        let stop = CancellationToken::new();
        let mut tasks = vec![
            AbortOnDropHandle::new(tokio::spawn(keep_anchors(anchors, trust))),
            AbortOnDropHandle::new(tokio::spawn(keep_swept(sweep))),
        ];
        let mut serving = None;
        if let Some(Pages { port, landing }) = pages {
            let endpoint = Arc::new(Endpoint::new(parts.logins, landing));
            if let Some(tls) = port.tls.clone() {
                tasks.push(AbortOnDropHandle::new(tokio::spawn(async move {
                    match tls.keep_current(CERTIFICATES_EVERY).await {}
                })));
            }
            let stopped = stop.clone().cancelled_owned();
            serving = Some(tokio::spawn(gridtrail_session::serve(port, endpoint, stopped)));
        }
        LoginTasks { stop, serving: serving.map(AbortOnDropHandle::new), tasks }
    }
}

/// What goes on beside the service while people log in.
pub(crate) struct LoginTasks {
    stop: CancellationToken,
    serving: Option<AbortOnDropHandle<()>>,
    tasks: Vec<AbortOnDropHandle<()>>,
}

impl LoginTasks {
    /// Ends it in good order: requests of browsers that were begun are answered.
    pub(crate) async fn end(self) {
        self.stop.cancel();
        if let Some(serving) = self.serving {
            // Panicked at worst, which the panic hook has told.
            let _ = serving.await;
        }
        for task in self.tasks {
            end(task).await;
        }
    }
}

/// Takes in what the authorities publish. What cannot be read changes nothing: a list that gets too old counts no more by itself.
async fn keep_anchors(anchors: Arc<Anchors>, trust: TrustArgs) {
    loop {
        tokio::time::sleep(ANCHORS_EVERY).await;
        let (anchors, trust) = (Arc::clone(&anchors), trust.clone());
        // Lists of a whole country take a while to read.
        let reading = tokio::task::spawn_blocking(move || match trust_anchors(&trust) {
            Ok(current) => anchors.replace(current),
            Err(failure) => {
                let error = failure.report();
                tracing::error!(error, "the trust anchors of logins cannot be read; the old ones stay");
            }
        });
        // Panicked at worst, which the panic hook has told.
        let _ = reading.await;
    }
}

async fn keep_swept(sweep: Sweep) {
    loop {
        match sweep.run().await {
            Ok(swept) => tracing::debug!(swept.deleted, swept.kept, "swept what had expired of logins"),
            Err(error) => tracing::warn!(%error, "what has expired of logins could not be deleted"),
        }
        tokio::time::sleep(SWEEP_EVERY).await;
    }
}
