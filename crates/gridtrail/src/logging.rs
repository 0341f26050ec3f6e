//! Logs: to standard error, never among the results.

use crate::args::LogFormat;
use crate::exit::Failure;
use std::io::{self, IsTerminal};
use tracing_subscriber::EnvFilter;

/// What the library logs of a commit that another one overtook, as an error at that. It is tried again, and whatever
/// fails in the end comes back as an error of our own.
const OVERTAKEN: &str = "deltalake_core::kernel::transaction=off";

/// Starts logging with the given filter directives, such as `warn,gridtrail=debug`.
///
/// Errors: directives that cannot be read.
pub(crate) fn init(directives: &str, format: LogFormat) -> Result<(), Failure> {
    let wrong =
        |reason: &dyn std::fmt::Display| Failure::Argument { argument: "--log", reason: reason.to_string() };
    let quiet = if directives.contains("deltalake") { "" } else { OVERTAKEN };
    let filter = EnvFilter::try_new(format!("{directives},{quiet}")).map_err(|error| wrong(&error))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        // Colours are for eyes: in a file or a collector they are noise.
        .with_ansi(io::stderr().is_terminal());
    match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    }
    .map_err(|error| wrong(&error))
}
