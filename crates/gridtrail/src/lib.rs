//! The command line: arguments and environment in, tables or JSON out, an exit code that scripts can rely on.
//!
//! Nothing below this crate reads an argument or an environment variable, or knows of a terminal. Logs go to
//! standard error, results to standard output, so that a pipe carries nothing but the result.

mod access;
mod access_log;
mod admitted;
mod anomaly;
pub mod args;
mod bench;
mod bench_lookup;
mod bench_topic;
mod client;
mod demo;
mod dev_certificate;
mod exit;
mod follow;
mod freshness;
mod generate;
mod get;
mod housekeeping;
mod identity;
mod ingest;
mod kafka_properties;
mod lake;
mod letters;
mod log_in;
mod logging;
mod metrics;
mod opening;
mod operator;
pub mod output;
mod progress;
mod publish;
mod reconcile;
mod report;
mod report_jobs;
mod report_worker;
mod rights;
mod running;
mod search;
mod search_inventory;
mod serve;
mod sql;
mod text;
mod token;
mod watching;
mod whoami;
mod wording;

pub use exit::{Exit, Failure};

use args::{BenchCommand, Cli, Command};
use clap::CommandFactory;
use gridtrail_sql::STACK_BYTES;
use std::io;
use tokio::runtime::Builder;

/// Carries out one invocation.
///
/// Errors: what went wrong, and the exit code that stands for it.
pub fn run(cli: &Cli) -> Result<(), Failure> {
    logging::init(&cli.log, cli.log_format)?;
    let format = cli.format;
    match &cli.command {
        Command::Demo(args) => wait_for(demo::run(args)),
        Command::Generate(args) => wait_for(generate::run(args, format.of_report()?)),
        Command::Publish(args) => publish::run(args, format.of_report()?),
        Command::Ingest(args) => wait_for(ingest::run(args, format.of_report()?)),
        Command::Serve(args) => wait_for(serve::run(args, format.of_report()?)),
        Command::Search(command) => wait_for(search::run(command, format.of_list()?)),
        Command::Get(args) => wait_for(get::run(args, format.of_list()?)),
        Command::Whoami(args) => wait_for(whoami::run(args, format.of_list()?)),
        Command::Freshness(args) => wait_for(freshness::run(args, format.of_list()?)),
        Command::Compact(args) => wait_for(housekeeping::run(args, format.of_report()?)),
        Command::Lake(command) => wait_for(lake::run(command, format.of_list()?)),
        Command::Reconcile(args) => wait_for(reconcile::run(args, format.of_report()?)),
        Command::DeadLetters(command) => wait_for(letters::run(command, format.of_list()?)),
        Command::Anomaly(command) => wait_for(anomaly::run(command, format.of_list()?)),
        Command::Access(command) => wait_for(access::run(command, format.of_list()?)),
        Command::Sql(args) => {
            let format = format.of_rows()?;
            on_deep_stacks(|threads| wait_on(threads, sql::run(args, format)))
        }
        Command::Report(command) => wait_for(report::run(command, format)),
        Command::Sp(command) => identity::service_provider_command(command),
        Command::Idp(command) => wait_for(identity::run(command, format.of_list()?)),
        Command::Session(command) => wait_for(identity::session_command(command)),
        Command::Operator(command) => operator::run(command, format.of_report()?),
        Command::Token(args) => token::run(args, format.of_report()?),
        Command::DevCertificate(args) => dev_certificate::run(args),
        Command::Bench(BenchCommand::Search(args)) => wait_for(bench::run(args)),
        Command::Bench(BenchCommand::Inventory(args)) => wait_for(bench::run_inventory(args)),
        Command::Bench(BenchCommand::Lookup(args)) => wait_for(bench_lookup::run(args)),
        Command::Bench(BenchCommand::Topic(args)) => wait_for(bench_topic::run(args)),
        Command::Completions { shell } => completions(*shell),
    }
}

/// Runs one command's asynchronous work to its end.
fn wait_for<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    wait_on(&mut Builder::new_multi_thread(), work)
}

/// Runs work to its end on threads of a kind.
fn wait_on<T>(threads: &mut Builder, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let no_threads = |_| Failure::Process("the system gives no threads");
    let runtime = threads.enable_all().build().map_err(no_threads)?;
    // Boxed: the futures of whole commands are large.
    runtime.block_on(Box::pin(work))
}

/// Does work of statements on threads that have the stacks for that, the one that waits included.
fn on_deep_stacks<T: Send>(
    work: impl FnOnce(&mut Builder) -> Result<T, Failure> + Send,
) -> Result<T, Failure> {
    let no_threads = |_| Failure::Process("the system gives no threads");
    std::thread::scope(|scope| {
        let threads = || work(Builder::new_multi_thread().thread_stack_size(STACK_BYTES));
        let waiting = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, threads);
        waiting.map_err(no_threads)?.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    // Into memory first: the generator panics when the reader of a pipe goes away.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "gridtrail", &mut script);
    output::write(&mut io::stdout().lock(), &script)
}
