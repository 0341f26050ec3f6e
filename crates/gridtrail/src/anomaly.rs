//! `gridtrail anomaly`: volumes held against thresholds, and what Users answer to quarantine. In this process, over the files of a lake; what it reads is
//! what the token's bearer may see.

mod answer;
mod check;

use crate::args::{AnomalyCommand, LakeCallerArgs, ListFormat};
use crate::client::token_of;
use crate::exit::Failure;
use crate::opening::{open_existing, open_to_serve};
use crate::rights::Feed;
use crate::serve::role_matrix;
use gridtrail_access::{Access, Admission, DevKey};
use gridtrail_lake::Lake;
use std::time::Duration;

/// Memory for parts of runs that are kept.
const CACHE_MIB: u64 = 64;

pub(crate) async fn run(command: &AnomalyCommand, format: ListFormat) -> Result<(), Failure> {
    match command {
        AnomalyCommand::Check(args) => {
            let lake = open_to_serve(&args.caller.lake, CACHE_MIB, true).await?;
            let who = admitted(&args.caller, &lake).await?;
            check::run(args, (&lake, &who), format).await
        }
        AnomalyCommand::Answer(args) => {
            let lake = open_existing(&args.caller.lake).await?;
            let who = admitted(&args.caller, &lake).await?;
            answer::run(args, (&lake, &who), format.of_report()?).await
        }
    }
}

/// Who asks, by the newest events of access.
async fn admitted(args: &LakeCallerArgs, lake: &Lake) -> Result<Access, Failure> {
    let roles = role_matrix(args.job_type_roles.as_deref())?;
    let key = DevKey::from_pem(&crate::text::key(&args.key)?);
    let key = key.map_err(|error| Failure::Argument { argument: "--key", reason: error.to_string() })?;
    let sharing = lake.sharing().await?.current();
    let admission = Admission::new(key.with_roles(roles).gatekeeper()?, sharing);
    let lapse = Duration::from_secs(args.access_lapse.seconds().into());
    Feed::new(lake.clone(), lapse).judge(&admission);
    Ok(admission.admit(&token_of(&args.credential)?, lake.clock().now()).await?)
}
