//! `gridtrail lake`: looking after a lake.

mod create;
mod hold;
mod repair;
mod retain;
mod status;
mod vacuum;
mod verify;

use crate::args::{Format, LakeCommand};
use crate::exit::Failure;
use crate::housekeeping;

pub(crate) async fn run(command: &LakeCommand, format: Format) -> Result<(), Failure> {
    match command {
        LakeCommand::Create(args) => create::run(args, format).await,
        LakeCommand::Compact(args) => Box::pin(housekeeping::run(args, format)).await,
        LakeCommand::Status(args) => status::run(args, format).await,
        LakeCommand::Retain(args) => retain::run(args, format).await,
        LakeCommand::Hold(command) => hold::run(command, format).await,
        LakeCommand::Vacuum(args) => vacuum::run(args, format).await,
        LakeCommand::Rebucket(args) => housekeeping::rebucket(args, format).await,
        LakeCommand::Verify(args) => verify::run(args, format).await,
        LakeCommand::Repair(args) => Box::pin(repair::run(args, format)).await,
    }
}
