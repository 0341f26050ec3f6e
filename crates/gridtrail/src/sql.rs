//! `gridtrail sql`: one statement over a lake, in this process. For operators: whoever can read the files of a lake can read all of it, but
//! what this prints is what the token's bearer may see.

use crate::args::{ListFormat, SqlArgs};
use crate::client::token_of;
use crate::exit::Failure;
use crate::opening::open_to_serve;
use crate::output::{self, Grid, csv_cell, printable};
use crate::rights::Feed;
use crate::serve::role_matrix;
use gridtrail_access::{Admission, DevKey};
use gridtrail_lake::Lake;
use gridtrail_runtime::Clock;
use gridtrail_sql::{SecuredSession, SqlAnswer, SqlError, SqlLimits};
use std::io;
use std::time::Duration;

/// Memory for parts of runs that are kept.
const CACHE_MIB: u64 = 64;

pub(crate) async fn run(args: &SqlArgs, format: ListFormat) -> Result<(), Failure> {
    let lake = open_to_serve(&args.lake, CACHE_MIB, true).await?;
    let session = session(args, &lake).await?;
    let answer = session.query(&args.command).await?;
    match format {
        ListFormat::Table => as_table(answer).await,
        ListFormat::Csv => as_csv(answer).await,
        ListFormat::Json => as_json(answer).await,
    }
}

async fn session(args: &SqlArgs, lake: &Lake) -> Result<SecuredSession, Failure> {
    let roles = role_matrix(args.job_type_roles.as_deref())?;
    let key = DevKey::from_pem(&crate::text::key(&args.key)?);
    let key = key.map_err(|error| Failure::Argument { argument: "--key", reason: error.to_string() })?;
    let sharing = lake.sharing().await?.current();
    let admission = Admission::new(key.with_roles(roles).gatekeeper()?, sharing);
    let lapse = Duration::from_secs(args.access_lapse.seconds().into());
    Feed::new(lake.clone(), lapse).judge(&admission);
    let clock = Clock::system();
    let who = admission.admit(&token_of(&args.credential)?, clock.now()).await.map_err(SqlError::from)?;
    let limits = SqlLimits {
        memory_bytes: usize::try_from(args.memory).unwrap_or(usize::MAX).saturating_mul(1 << 20),
        parts: args.parts,
        time: Duration::from_secs(args.time.seconds().into()),
    };
    Ok(SecuredSession::new(&lake.snapshot(), &who, clock, limits)?)
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
