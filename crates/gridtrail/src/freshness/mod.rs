//! `gridtrail freshness`: how fresh a server's answers are, or a lake is, and the daily table that evidences it.

mod table;

use crate::args::{FreshnessArgs, LevelArgs, ListFormat};
use crate::client::{Caller, token_from};
use crate::exit::Failure;
use crate::opening::open_existing;
use crate::output::{self, proto3};
use gridtrail_freshness::{Freshness as _, Levels, Watch};
use gridtrail_proto::query::v1::{FreshnessLevel, GetFreshnessResponse};
use gridtrail_server::freshness_response;
use std::io;

pub(crate) async fn run(args: &FreshnessArgs, format: ListFormat) -> Result<(), Failure> {
    let answer = match &args.lake {
        Some(lake) => of_lake(lake, args).await?,
        None => {
            let token = token_from(args.token.as_deref(), args.token_file.as_deref())?;
            Caller::connect(&args.server, &token).await?.freshness(args.days).await?
        }
    };
    let mut out = io::stdout().lock();
    match (&args.csv, format) {
        (Some(path), _) if path.as_os_str() != "-" => {
            let failed = |error| Failure::file("write", path)(error);
            let file = std::fs::File::create(path).map_err(failed)?;
            table::write_csv(file, &answer.days).map_err(failed)?;
        }
        (Some(_), _) | (None, ListFormat::Csv) => {
            let mut bytes = Vec::new();
            table::write_csv(&mut bytes, &answer.days).map_err(Failure::Output)?;
            output::write(&mut out, &bytes)?;
        }
        (None, ListFormat::Json) => proto3::write_json(&mut out, &answer)?,
        (None, ListFormat::Table) => output::write(&mut out, table::text_of(&answer).as_bytes())?,
    }
    // A level that this command does not know is no better than the worst.
    let is_stale = !matches!(answer.level(), FreshnessLevel::Fresh | FreshnessLevel::Warn);
    if args.check && is_stale {
        Err(Failure::Stale { level: level(answer.level).to_owned() })
    } else {
        Ok(())
    }
}

/// A level in words.
fn level(number: i32) -> &'static str {
    match FreshnessLevel::try_from(number) {
        Ok(FreshnessLevel::Fresh) => "fresh",
        Ok(FreshnessLevel::Warn) => "warn",
        Ok(FreshnessLevel::Critical) => "critical",
        Ok(FreshnessLevel::Breach) => "breach",
        Ok(FreshnessLevel::Unspecified) | Err(_) => "unknown",
    }
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
