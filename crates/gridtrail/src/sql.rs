//! `gridtrail sql`: one statement over a lake, in this process. For operators: whoever can read the files of a lake can read all of it, but
//! what this prints is what the token's bearer may see.

use crate::args::{ListFormat, SqlArgs};
use crate::client::token_from;
use crate::exit::Failure;
use crate::opening::{open_existing, open_to_serve};
use crate::output::{self, Grid, csv_cell, printable};
use crate::rights::{Feed, keep_rights};
use crate::running::wait_for_detached;
use crate::serve::{other_than, role_matrix};
use gridtrail_access::{Admission, DevKey};
use gridtrail_access_log::AccessLog;
use gridtrail_freshness::{Levels, Outward, Watch};
use gridtrail_lake::Lake;
use gridtrail_runtime::Clock;
use gridtrail_sql::{Freshened, Recording, Rights, SecuredSession, SqlAnswer, SqlError, SqlLimits};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::task::AbortOnDropHandle;

/// Memory for parts of runs that are kept.
const CACHE_MIB: u64 = 64;

pub(crate) async fn run(args: &SqlArgs, format: ListFormat) -> Result<(), Failure> {
    let lake = open_to_serve(&args.lake, CACHE_MIB, args.read_only).await?;
    let calls = match &args.access_log_lake {
        Some(address) => Some(other_than(&lake, open_existing(address).await?)?),
        None => (!args.read_only).then(|| lake.clone()),
    };
    let Some(calls) = calls else { return answer(args, format, &lake, None).await };
    let (log, recording) = AccessLog::open(calls.access_log().await, Clock::system(), "sql").await?;
    let answered = answer(args, format, &lake, Some((log, &calls))).await;
    // Whoever asked has the answer: a record that was noted and not written down is told, and no failure of the question.
    if let Err(error) = recording.close().await {
        tracing::warn!(%error, "the record of the statement could not be ended: its chain stays open");
    }
    wait_for_detached(&lake).await;
    wait_for_detached(&calls).await;
    answered
}

/// Answers the statement, and records it in a lake's access log, where there is one.
async fn answer(
    args: &SqlArgs,
    format: ListFormat,
    lake: &Lake,
    record: Option<(AccessLog, &Lake)>,
) -> Result<(), Failure> {
    let limits = SqlLimits {
        memory_bytes: usize::try_from(args.memory).unwrap_or(usize::MAX).saturating_mul(1 << 20),
        parts: args.parts,
        time: Duration::from_secs(args.time.seconds().into()),
    };
    let (session, _following) = if args.operator {
        (SecuredSession::of_operator(lake, Clock::system(), limits)?, None)
    } else {
        let (session, following) = session_of_user(args, lake, limits).await?;
        (session, Some(following))
    };
    let session = match record {
        Some((log, calls)) => {
            session.with_calls_of(calls).recorded(Recording { log, call: "sql", peer: None })
        }
        None => session,
    };
    let answer = session.query(&args.command).await?;
    match format {
        ListFormat::Table => as_table(answer).await,
        ListFormat::Csv => as_csv(answer).await,
        ListFormat::Json => as_json(answer).await,
    }
}

/// A session of the token's bearer, and what follows their rights until the statement is answered: those that are lost meanwhile end it.
async fn session_of_user(
    args: &SqlArgs,
    lake: &Lake,
    limits: SqlLimits,
) -> Result<(SecuredSession, AbortOnDropHandle<()>), Failure> {
    let roles = role_matrix(args.job_type_roles.as_deref())?;
    let key = DevKey::from_pem(&crate::text::key(&args.key)?);
    let key = key.map_err(|error| Failure::Argument { argument: "--key", reason: error.to_string() })?;
    let sharing = lake.sharing().await?;
    let admission = Admission::new(key.with_roles(roles).gatekeeper()?, sharing.current());
    let feed = Feed::new(lake.clone(), Duration::from_secs(args.access_lapse.seconds().into()));
    feed.judge(&admission);
    let following = AbortOnDropHandle::new(tokio::spawn(keep_rights(feed, sharing, admission.clone())));
    let (clock, token) = (Clock::system(), token_from(args.token.as_deref(), args.token_file.as_deref())?);
    let who = admission.admit(&token, clock.now()).await.map_err(SqlError::from)?;
    let watch = Watch::new(lake.clone(), Levels::default());
    // It reads the evidence of all commits: only where the statement may ask for what it says.
    if args.command.to_ascii_lowercase().contains("freshness") {
        watch.refresh().await?;
    }
    let freshness = Freshened { freshness: Arc::new(watch), outward: Arc::new(Outward::default()) };
    let session = SecuredSession::new(&lake.snapshot(), &who, clock, limits)?
        .with_past_of(lake)
        .with_calls_of(lake)
        .with_freshness(freshness)
        .with_inventory(false)
        .with_rights(Rights::new(admission, &token));
    Ok((session, following))
}

async fn as_table(mut answer: SqlAnswer) -> Result<(), Failure> {
    let mut grid = Grid::new(&answer.columns());
    let mut rows = 0;
    while let Some(cells) = answer.next_cells().await? {
        rows += cells.len();
        cells.iter().for_each(|row| grid.add_row(row.iter().map(|cell| printable(cell))));
    }
    let footer = output::count_of(rows, "row");
    output::write(&mut io::stdout().lock(), format!("{grid}\n{footer}\n").as_bytes())
}

/// A batch at a time, so that an answer may be larger than memory.
async fn as_csv(mut answer: SqlAnswer) -> Result<(), Failure> {
    print_csv(&[answer.columns()])?;
    while let Some(cells) = answer.next_cells().await? {
        print_csv(&cells)?;
    }
    Ok(())
}

fn print_csv(rows: &[Vec<String>]) -> Result<(), Failure> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    for row in rows {
        csv.write_record(row.iter().map(|cell| csv_cell(cell)))
            .map_err(|error| Failure::Output(error.into()))?;
    }
    let bytes = csv.into_inner().map_err(|error| Failure::Output(error.into_error()))?;
    output::write(&mut io::stdout().lock(), &bytes)
}

/// One array, an object a line.
async fn as_json(mut answer: SqlAnswer) -> Result<(), Failure> {
    let mut before = &b"[\n"[..];
    while let Some(lines) = answer.next_json().await? {
        let mut bytes = Vec::with_capacity(lines.len());
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            bytes.extend_from_slice(before);
            bytes.extend_from_slice(line);
            before = b",\n";
        }
        output::write(&mut io::stdout().lock(), &bytes)?;
    }
    let end = if before == b"[\n" { &b"[]\n"[..] } else { b"\n]\n" };
    output::write(&mut io::stdout().lock(), end)
}
