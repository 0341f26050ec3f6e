//! `gridtrail lake`: looking after a lake.

mod verify;

use crate::args::{Format, LakeCommand};
use crate::exit::Failure;
use crate::housekeeping;

pub(crate) async fn run(command: &LakeCommand, format: Format) -> Result<(), Failure> {
    match command {
        LakeCommand::Compact(args) => housekeeping::run(args, format).await,
        LakeCommand::Verify(args) => verify::run(args, format).await,
    }
}
