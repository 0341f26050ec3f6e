//! `gridtrail freshness`: how fresh a server's answers are, or a lake is, and the daily table that evidences it.

mod answer;
mod table;

use crate::args::{Format, FreshnessArgs, LevelArgs};
use crate::client::{Caller, token_from};
use crate::exit::Failure;
use crate::ingest::open_existing;
use crate::output;
use answer::FreshnessAnswer;
use gridtrail_freshness::{Freshness as _, Levels, Watch};
use gridtrail_proto::query::v1::GetFreshnessResponse;
use gridtrail_server::freshness_response;
use std::io;

pub(crate) async fn run(args: &FreshnessArgs, format: Format) -> Result<(), Failure> {
    let said = match &args.lake {
        Some(lake) => of_lake(lake, args).await?,
        None => {
            let token = token_from(args.token.as_deref(), args.token_file.as_deref())?;
            Caller::connect(&args.server, &token).await?.freshness(args.days).await?
        }
    };
    let answer = FreshnessAnswer::from(said);
    let mut out = io::stdout().lock();
    match (&args.csv, format) {
        (Some(path), _) if path.as_os_str() == "-" => {
            let mut bytes = Vec::new();
            table::write_csv(&mut bytes, &answer.days).map_err(Failure::Output)?;
            output::write(&mut out, &bytes)?;
        }
        (Some(path), _) => {
            let failed = |error| Failure::file("write", path)(error);
            let file = std::fs::File::create(path).map_err(failed)?;
            table::write_csv(file, &answer.days).map_err(failed)?;
        }
        (None, Format::Json) => output::write_json(&mut out, &answer)?,
        (None, Format::Table) => output::write(&mut out, table::text_of(&answer).as_bytes())?,
    }
    if args.check && answer.is_stale() { Err(Failure::Stale { level: answer.level }) } else { Ok(()) }
}

/// What a server that started on the lake now would say.
async fn of_lake(address: &str, args: &FreshnessArgs) -> Result<GetFreshnessResponse, Failure> {
    let levels = levels_of(&args.levels)?;
    let watch = Watch::new(open_existing(address).await?, levels);
    watch.refresh().await?;
    let report = watch.report(args.days.into());
    report.map(freshness_response).ok_or(Failure::Process("the lake's evidence was not read"))
}

/// The levels of some arguments.
pub(crate) fn levels_of(args: &LevelArgs) -> Result<Levels, Failure> {
    args.levels().map_err(|error| Failure::Argument {
        argument: "--freshness-warn, --freshness-critical, --freshness-breach",
        reason: error.to_string(),
    })
}
