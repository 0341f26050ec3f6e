//! The command line: arguments and environment in, tables or JSON out, an exit code that scripts can rely on.
//!
//! Nothing below this crate reads an argument or an environment variable, or knows of a terminal. Logs go to
//! standard error, results to standard output, so that a pipe carries nothing but the result.

pub mod args;
mod exit;
mod logging;
pub mod output;

pub use exit::{Exit, Failure};

use args::{Cli, Command};
use clap::CommandFactory;
use std::io;

/// Carries out one invocation.
///
/// Errors: what went wrong, and the exit code that stands for it.
pub fn run(cli: &Cli) -> Result<(), Failure> {
    logging::init(&cli.log, cli.log_format)?;
    match &cli.command {
        Command::Completions { shell } => completions(*shell),
    }
}

fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    // Into memory first: the generator panics when the reader of a pipe goes away.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "gridtrail", &mut script);
    output::write(&mut io::stdout().lock(), &script)
}
