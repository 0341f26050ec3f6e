//! The `gridtrail` command.

use clap::Parser;
use gridtrail::args::Cli;
use std::process::ExitCode;

// Ingest allocates and frees many small values on several threads, where the system's allocator is slow.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Wrong arguments end the process here, with exit code 2.
    let cli = Cli::parse();
    match gridtrail::run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("gridtrail: {}", failure.report());
            failure.exit().into()
        }
    }
}
