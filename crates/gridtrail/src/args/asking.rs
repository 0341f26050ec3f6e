//! Arguments of whoever asks a server: who they are, how much they want, and how a bench goes about it.

use super::value::LifeTime;
use clap::Args;
use std::path::PathBuf;

/// Who is asking: exactly one.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Credential {
    /// The token. Better given by the environment: arguments are seen in the list of processes.
    #[arg(long, env = "GRIDTRAIL_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// A file that holds the token.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

/// How much of the answer to fetch.
#[derive(Debug, Args)]
pub struct PageArgs {
    /// Rows a page.
    #[arg(long, value_name = "ROWS", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub page_size: u32,
    /// Go on where the page that named this token ended.
    #[arg(long, value_name = "TOKEN", conflicts_with = "all")]
    pub page_token: Option<String>,
    /// Fetch every page.
    #[arg(long)]
    pub all: bool,
}

/// How a bench asks a server.
#[derive(Debug, Args)]
pub struct LoadArgs {
    /// How many calls are under way at once.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    pub concurrency: u16,
    /// Ask for each line of the file once, in order, instead of by chance for some time.
    #[arg(long, conflicts_with_all = ["duration", "seed"])]
    pub each: bool,
    /// How long to measure, after one tenth of that time to warm up.
    #[arg(long, value_name = "TIME", default_value = "30s")]
    pub duration: LifeTime,
    /// The seed of the order in which keys are asked for.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
}
