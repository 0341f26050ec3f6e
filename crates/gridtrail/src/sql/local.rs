//! Statements over a lake, in this process. For operators: whoever can read the files of a lake can read all of it, but what this gives is what
//! the token's bearer may see.

use super::answer::Asking;
use super::carry_out;
use crate::admitted::{Log, admission, recorded};
use crate::args::{ListFormat, SqlArgs};
use crate::client::token_from;
use crate::exit::Failure;
use crate::opening::open_to_serve;
use gridtrail_access::Access;
use gridtrail_freshness::{Levels, Outward, Watch};
use gridtrail_lake::Lake;
use gridtrail_runtime::Clock;
use gridtrail_sql::{Freshened, Recording, Rights, SecuredSession, SqlError, SqlLimits};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::task::AbortOnDropHandle;

/// Memory for parts of runs that are kept.
const CACHE_MIB: u64 = 64;

pub(super) async fn run(args: &SqlArgs, format: ListFormat) -> Result<(), Failure> {
    let lake = open_to_serve(&args.lake, CACHE_MIB, args.read_only).await?;
    let whither = (args.access_log_lake.as_deref(), args.read_only);
    recorded(&lake, whither, "sql", async |log| answer(args, format, &lake, log).await).await
}

/// Answers statements, and records them in a lake's access log, where there is one.
async fn answer(args: &SqlArgs, format: ListFormat, lake: &Lake, record: Option<Log>) -> Result<(), Failure> {
    let limits = SqlLimits {
        memory_bytes: usize::try_from(args.memory).unwrap_or(usize::MAX).saturating_mul(1 << 20),
        parts: args.parts,
        time: Duration::from_secs(args.time.seconds().into()),
    };
    let user = if args.operator { None } else { Some(User::admitted(args, lake).await?) };
    let session = || {
        let session = match &user {
            Some(user) => user.session(lake, limits.clone())?,
            None => SecuredSession::of_operator(lake, Clock::system(), limits.clone())?,
        };
        Ok(match &record {
            Some((log, calls)) => {
                let recording = Recording { log: log.clone(), call: "sql", peer: None };
                session.with_calls_of(calls).recorded(recording)
            }
            None => session,
        })
    };
    carry_out(&Asking::Local(&session), args, format).await
}

/// The token's bearer.
struct User {
    who: Access,
    rights: Rights,
    freshness: Freshened,
    /// Follows their rights: those that are lost end a statement that runs.
    _following: AbortOnDropHandle<()>,
}

impl User {
    async fn admitted(args: &SqlArgs, lake: &Lake) -> Result<Self, Failure> {
        let by = (args.key.as_path(), args.job_type_roles.as_deref(), args.access_lapse);
        let (admission, following) = admission(lake, by).await?;
        let token = token_from(args.token.as_deref(), args.token_file.as_deref())?;
        let who = admission.admit(&token, Clock::system().now()).await.map_err(SqlError::from)?;
        let watch = Watch::new(lake.clone(), Levels::default());
        // It reads the evidence of all commits: only where the statement may ask for what it says.
        if args.command.as_deref().is_none_or(|command| command.to_ascii_lowercase().contains("freshness")) {
            watch.refresh().await?;
        }
        let freshness = Freshened { freshness: Arc::new(watch), outward: Arc::new(Outward::default()) };
        Ok(Self { who, rights: Rights::new(admission, &token), freshness, _following: following })
    }

    fn session(&self, lake: &Lake, limits: SqlLimits) -> Result<SecuredSession, Failure> {
        let session = SecuredSession::new(&lake.snapshot(), &self.who, Clock::system(), limits)?
            .with_past_of(lake)
            .with_calls_of(lake)
            .with_freshness(self.freshness.clone())
            .with_inventory(false);
        Ok(session.with_rights(self.rights.clone()))
    }
}
