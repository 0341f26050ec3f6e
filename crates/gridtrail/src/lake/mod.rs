//! `gridtrail lake`: looking after a lake.

mod create;
mod export;
mod hold;
mod repair;
mod retain;
mod status;
mod upgrade;
mod vacuum;
mod verify;

use crate::args::{LakeCommand, ListFormat};
use crate::exit::Failure;
use crate::housekeeping;

pub(crate) async fn run(command: &LakeCommand, format: ListFormat) -> Result<(), Failure> {
    let report = || format.of_report();
    match command {
        LakeCommand::Create(args) => create::run(args, report()?).await,
        LakeCommand::Compact(args) => Box::pin(housekeeping::run(args, report()?)).await,
        LakeCommand::Export(args) => Box::pin(export::run(args, report()?)).await,
        LakeCommand::Status(args) => status::run(args, report()?).await,
        LakeCommand::Upgrade(args) => Box::pin(upgrade::run(args, report()?)).await,
        LakeCommand::Retain(args) => retain::run(args, report()?).await,
        LakeCommand::Hold(command) => hold::run(command, format).await,
        LakeCommand::Vacuum(args) => vacuum::run(args, report()?).await,
        LakeCommand::Rebucket(args) => housekeeping::rebucket(args, report()?).await,
        LakeCommand::Verify(args) => verify::run(args, report()?).await,
        LakeCommand::Repair(args) => Box::pin(repair::run(args, report()?)).await,
    }
}
