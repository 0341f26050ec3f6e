//! Statements over a lake, in this process. For operators: whoever can read the files of a lake can read all of it, but what this gives is what
//! the token's bearer may see.

use crate::admitted::{Log, admission, recorded};
use crate::args::SqlArgs;
use crate::client::token_from;
use crate::exit::Failure;
use crate::opening::open_to_serve;
use crate::serve::spill_into;
use gridtrail_access::Admission;
use gridtrail_freshness::{Levels, Outward, Watch};
use gridtrail_lake::Lake;
use gridtrail_runtime::Clock;
use gridtrail_sql::{Freshened, Recording, Rights, SecuredSession, SqlError, SqlLimits};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::task::AbortOnDropHandle;

/// Memory for parts of runs that are kept.
const CACHE_MIB: u64 = 64;

/// Opens the lake, and has statements of its sessions carried out.
pub(super) async fn run(
    args: &SqlArgs,
    carry_out: impl AsyncFnOnce(&Local<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let lake = open_to_serve(&args.lake, CACHE_MIB, args.read_only).await?;
    let whither = (args.access_log_lake.as_deref(), args.read_only);
    recorded(&lake, whither, "sql", async |log| answer(args, &lake, log, carry_out).await).await
}

/// Answers statements, and records them in a lake's access log, where there is one.
async fn answer(
    args: &SqlArgs,
    lake: &Lake,
    record: Option<Log>,
    carry_out: impl AsyncFnOnce(&Local<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let limits = SqlLimits {
        spill: spill_into("--spill", args.spill.as_deref(), args.spill_limit)?,
        memory_bytes: usize::try_from(args.memory).unwrap_or(usize::MAX).saturating_mul(1 << 20),
        parts: args.parts,
        time: Duration::from_secs(args.time.seconds().into()),
    };
    let user = if args.operator { None } else { Some(User::of(args, lake).await?) };
    carry_out(&Local { lake, limits, user, record }).await
}

/// Sessions over a lake: one for each statement, so that each is about the newest rows, by the rights of its time.
pub(super) struct Local<'a> {
    lake: &'a Lake,
    limits: SqlLimits,
    /// `None`: an operator.
    user: Option<User>,
    record: Option<Log>,
}

impl Local<'_> {
    /// A session for a statement.
    pub(super) async fn session(&self, statement: &str) -> Result<SecuredSession, Failure> {
        let Self { lake, limits, user, record } = self;
        let refreshed = lake.refresh().await;
        // Of a lake that came to an entry which is not to be read, what came before it is answered from.
        if lake.stopped().is_none() {
            refreshed?;
        }
        let session = match user {
            Some(user) => user.session(lake, limits.clone(), statement).await?,
            None => SecuredSession::of_operator(lake, Clock::system(), limits.clone())?,
        };
        Ok(match record {
            Some((log, calls)) => {
                let recording = Recording { log: log.clone(), call: "sql", peer: None };
                session.with_calls_of(calls).recorded(recording)
            }
            None => session,
        })
    }
}

/// The token's bearer.
struct User {
    admission: Admission,
    token: String,
    watch: Arc<Watch>,
    outward: Arc<Outward>,
    /// Follows their rights: those that are lost end a statement that runs.
    _following: AbortOnDropHandle<()>,
}

impl User {
    async fn of(args: &SqlArgs, lake: &Lake) -> Result<Self, Failure> {
        let by = (args.key.as_path(), args.job_type_roles.as_deref(), args.access_lapse);
        let (admission, following) = admission(lake, by).await?;
        let token = token_from(args.token.as_deref(), args.token_file.as_deref())?;
        let watch = Arc::new(Watch::new(lake.clone(), Levels::default()));
        Ok(Self { admission, token, watch, outward: Arc::default(), _following: following })
    }

    async fn session(
        &self,
        lake: &Lake,
        limits: SqlLimits,
        statement: &str,
    ) -> Result<SecuredSession, Failure> {
        let who = self.admission.admit(&self.token, Clock::system().now()).await.map_err(SqlError::from)?;
        // It reads the evidence of all commits: only where the statement may ask for what it says.
        if statement.to_ascii_lowercase().contains("freshness") {
            self.watch.refresh().await?;
        }
        let freshness =
            Freshened { freshness: Arc::clone(&self.watch) as _, outward: Arc::clone(&self.outward) };
        let session = SecuredSession::new(&lake.snapshot(), &who, Clock::system(), limits)?
            .with_past_of(lake)
            .with_calls_of(lake)
            .with_freshness(freshness)
            .with_inventory(false);
        Ok(session.with_rights(Rights::new(self.admission.clone(), &self.token)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser as _;
    use gridtrail_access::{Bearer, DevKey, JobTypeRole, OrgId};
    use gridtrail_ingest::{Maker, ingest_made, ingest_made_access};
    use gridtrail_lake::LakeSettings;
    use gridtrail_model::{Event, UserId};
    use gridtrail_sql::cells_of;
    use gridtrail_synth::{Settings, World};
    use std::collections::BTreeSet;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    /// Takes events into a lake, as another process does.
    async fn take_in(address: &str, part: &str, events: Vec<Event>) {
        let lake = Lake::open(LakeSettings::at(address), Clock::system()).await.unwrap();
        let (pieces, made) = tokio::sync::mpsc::channel(1);
        pieces.send(events).await.unwrap();
        drop(pieces);
        let maker = Maker { id: part.to_owned(), name: part.to_owned() };
        ingest_made(&lake, &maker, made).await.unwrap();
    }

    fn token(key: &DevKey, user_ids: BTreeSet<UserId>) -> String {
        let now = Clock::system().now();
        let bearer = Bearer {
            subject: "operator".to_owned(),
            party: "region".parse().unwrap(),
            org_id: OrgId::All,
            user_ids: user_ids.into_iter().collect(),
            roles: JobTypeRole::new(1).into_iter().collect(),
            valid_from: now,
            expires_at: now.plus_millis(3_600_000),
        };
        key.mint(&bearer).unwrap()
    }

    /// Also of one session of the shell, while others write.
    #[tokio::test(flavor = "multi_thread")]
    async fn each_statement_is_about_the_newest_rows() {
        let folder = tempfile::tempdir().unwrap();
        let (address, pem) = (folder.path().join("lake"), folder.path().join("key.pem"));
        let address = address.to_str().unwrap();
        let world = World::seeded(5, Settings::for_events(400, 1)).unwrap();
        let mut events: Vec<Event> = world.events().collect();
        let later = events.split_off(events.len() / 2);
        take_in(address, "first", events).await;

        let key = DevKey::generate().unwrap();
        std::fs::write(&pem, key.to_pem()).unwrap();
        std::fs::set_permissions(&pem, Permissions::from_mode(0o600)).unwrap();
        let token = token(&key, world.users().iter().map(|user| user.id).collect());
        let words = ["gridtrail", "sql", "--lake", address, "--token", &token, "--key"];
        let cli = Cli::try_parse_from(words.into_iter().chain(pem.to_str())).unwrap();
        let Command::Sql(args) = cli.command else { panic!("not sql") };
        let lake = open_to_serve(address, CACHE_MIB, false).await.unwrap();
        let maker = Maker { id: "parties".to_owned(), name: "parties".to_owned() };
        let party = "region".parse().unwrap();
        ingest_made_access(&lake, &maker, world.access_events(Some(&party))).await.unwrap();
        let user = Some(User::of(&args, &lake).await.unwrap());
        let local = Local { lake: &lake, limits: SqlLimits::default(), user, record: None };
        let count = async |statement: &str| -> u64 {
            let session = local.session(statement).await.unwrap();
            let batches = session.query(statement).await.unwrap().all().await.unwrap();
            cells_of(&batches[0]).unwrap()[0][0].parse().unwrap()
        };
        let trails = "SELECT count(*) FROM audit_trails";
        let before = count(trails).await;
        assert!(before > 0);
        take_in(address, "second", later).await;
        assert!(count(trails).await > before);
    }
}
