//! `gridtrail anomaly`: thresholds, volumes held against them, and what Users answer to quarantine. In this process, over the files of a lake; what it reads is
//! what the token's bearer may see.

mod answer;
mod check;
mod thresholds;

use crate::admitted::{Call, Log, admission, recorded};
use crate::args::{AnomalyCommand, LakeCallerArgs, LakeReaderArgs, ListFormat};
use crate::client::token_of;
use crate::exit::Failure;
use crate::opening::{open_existing, open_to_serve};
use gridtrail_access::Access;
use gridtrail_lake::Lake;
use gridtrail_model::UserId;
use gridtrail_reports::ReportError;
use std::collections::BTreeSet;

/// Memory for parts of runs that are kept.
const CACHE_MIB: u64 = 64;

pub(crate) async fn run(command: &AnomalyCommand, format: ListFormat) -> Result<(), Failure> {
    match command {
        AnomalyCommand::Check(args) => {
            let check =
                async |by: (&Lake, &Access), call: &mut Call| check::run(args, by, (call, format)).await;
            read("anomaly check", &args.reader, check).await
        }
        AnomalyCommand::Thresholds(args) => {
            let tell =
                async |by: (&Lake, &Access), call: &mut Call| thresholds::run(args, by, (call, format)).await;
            read("anomaly thresholds", &args.reader, tell).await
        }
        AnomalyCommand::Answer(args) => {
            let format = format.of_report()?;
            let lake = open_existing(&args.caller.lake).await?;
            let answer = async |log: Option<Log>| {
                let who = admitted(&args.caller, &lake).await?;
                let mut call = Call::begin(log.as_ref(), "anomaly answer", (&lake, &who))?;
                let done = answer::run(args, (&lake, &who), (&mut call, format)).await;
                call.end(&done);
                done
            };
            recorded(&lake, (None, false), "anomaly answer", answer).await
        }
    }
}

/// Does something that only reads the lake, with a record of the call.
async fn read(
    name: &'static str,
    reader: &LakeReaderArgs,
    work: impl AsyncFnOnce((&Lake, &Access), &mut Call) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let lake = open_to_serve(&reader.caller.lake, CACHE_MIB, reader.read_only).await?;
    let whither = (reader.access_log_lake.as_deref(), reader.read_only);
    let admitted_work = async |log: Option<Log>| {
        let who = admitted(&reader.caller, &lake).await?;
        let mut call = Call::begin(log.as_ref(), name, (&lake, &who))?;
        let done = work((&lake, &who), &mut call).await;
        call.end(&done);
        done
    };
    recorded(&lake, whither, name, admitted_work).await
}

/// The caller, for some of the User IDs whose quarantine and thresholds they may see; for all of them where none is named. Errors: they may not see
/// those of one that is named.
fn narrowed(who: &Access, user_ids: &BTreeSet<UserId>) -> Result<Access, Failure> {
    if user_ids.is_empty() {
        return Ok(who.clone());
    }
    match user_ids.iter().find(|id| !who.user_ids().contains(id)) {
        Some(other) => Err(ReportError::NotYours(*other).into()),
        None => Ok(who.narrowed_to(user_ids)),
    }
}

/// Puts the User IDs that are named into the record of a call.
fn note_named(user_ids: &[UserId], call: &mut Call) {
    if !user_ids.is_empty() {
        let ids: Vec<String> = user_ids.iter().map(ToString::to_string).collect();
        (call.entry.key_kind, call.entry.key) = (Some("user_id".into()), Some(ids.join(",")));
    }
}

/// Who asks, by the newest events of access.
async fn admitted(args: &LakeCallerArgs, lake: &Lake) -> Result<Access, Failure> {
    let by = (args.key.as_path(), args.job_type_roles.as_deref(), args.access_lapse);
    let (admission, _following) = admission(lake, by).await?;
    Ok(admission.admit(&token_of(&args.credential)?, lake.clock().now()).await?)
}
