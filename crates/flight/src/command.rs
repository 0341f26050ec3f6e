//! Commands, as the protocol packs them.

use crate::error::FlightError;
use arrow_flight::sql::{Any, Command};
use prost::Message as _;

/// The command that bytes pack.
pub(crate) fn command_of(packed: &[u8]) -> Result<Command, FlightError> {
    let any = Any::decode(packed).map_err(FlightError::malformed)?;
    Command::try_from(any).map_err(FlightError::malformed)
}

/// The protocol's name of a command, as errors have it.
pub(crate) fn name_of(command: &Command) -> String {
    let url = command.type_url();
    url.rsplit(['.', '/'])
        .next()
        .unwrap_or(url)
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(64)
        .collect()
}

pub(crate) fn refuse_transaction(id: Option<&impl AsRef<[u8]>>) -> Result<(), FlightError> {
    match id.filter(|id| !id.as_ref().is_empty()) {
        None => Ok(()),
        Some(_) => Err(FlightError::Unsupported("a transaction".to_owned())),
    }
}
