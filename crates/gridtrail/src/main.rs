//! The `gridtrail` command.

use std::process::ExitCode;

// Ingest allocates on some threads what others free, in Rust and in C: docs/performance.md has what other allocators keep of it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // Wrong arguments end the process here, with exit code 2.
    let (cli, origins) = gridtrail::args::parse(std::env::args_os()).unwrap_or_else(|error| error.exit());
    gridtrail_runtime::keep_files_private();
    match gridtrail::run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("gridtrail: {}{}", failure.report(), origins.note_on(failure.argument()));
            failure.exit().into()
        }
    }
}
