//! Arguments of `gridtrail freshness`, and those by which other commands judge and show freshness.

use super::tls::ServerArgs;
use super::value::LifeTime;
use clap::Args;
use gridtrail_freshness::{Levels, LevelsError};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Where the levels begin.
#[derive(Debug, Clone, Args)]
pub struct LevelArgs {
    /// The lag at which a source is at the level "warn", up to 24h.
    #[arg(long, value_name = "DURATION", default_value = "12h", help_heading = "Freshness")]
    pub freshness_warn: LifeTime,
    /// The lag at which a source is at the level "critical".
    #[arg(long, value_name = "DURATION", default_value = "20h", help_heading = "Freshness")]
    pub freshness_critical: LifeTime,
    /// The lag at which a source is at the level "breach": the duty counts as broken.
    #[arg(long, value_name = "DURATION", default_value = "24h", help_heading = "Freshness")]
    pub freshness_breach: LifeTime,
}

impl LevelArgs {
    /// The levels. Errors: they do not ascend.
    pub fn levels(&self) -> Result<Levels, LevelsError> {
        let lag = |time: LifeTime| Duration::from_secs(time.seconds().into());
        Levels::new(lag(self.freshness_warn), lag(self.freshness_critical), lag(self.freshness_breach))
    }
}

/// Whether and where metrics are shown.
#[derive(Debug, Clone, Args)]
pub struct MetricsArgs {
    /// Also show metrics for Prometheus at this address, such as 127.0.0.1:9471, over HTTP without a token. They name
    /// topics and tell times and counts, and no row. Left out: no metrics.
    #[arg(long, value_name = "ADDRESS", help_heading = "Freshness")]
    pub metrics: Option<SocketAddr>,

    /// The address of --metrics may be one that other machines reach: whoever does reads them.
    #[arg(long, requires = "metrics", help_heading = "Freshness")]
    pub metrics_open: bool,
}

/// Arguments of `gridtrail freshness`.
#[derive(Debug, Args)]
#[command(after_help = "\
Asks a server how fresh its answers are. With --lake it reads a lake itself instead, without a token, for operators \
without a server: it says how fresh a server that started now would be.

The daily table is the evidence of the duty to show data within 24 hours of their receipt. As CSV it opens in any \
spreadsheet: texts that would be formulas are marked as texts.

Examples:
  gridtrail freshness --token-file me.jwt
  gridtrail freshness --token-file me.jwt --days 31 --csv march.csv
  gridtrail freshness --lake s3://audit/lake --check")]
pub struct FreshnessArgs {
    /// The server.
    #[command(flatten)]
    pub server: ServerArgs,
    /// The token. Better given by the environment: arguments are seen in the list of processes.
    #[arg(long, env = "GRIDTRAIL_TOKEN", hide_env_values = true, conflicts_with = "token_file")]
    #[arg(required_unless_present_any = ["token_file", "lake"])]
    pub token: Option<String>,
    /// A file that holds the token.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Read this lake instead of asking a server: a folder, or a URL such as s3://bucket/path.
    #[arg(long, value_name = "URL|PATH", conflicts_with_all = ["server", "token_file"])]
    pub lake: Option<String>,
    /// How many days of the daily table, up to today.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=400))]
    pub days: u32,
    /// Write the daily table as CSV instead: to a file, or to standard output when none is named.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    pub csv: Option<PathBuf>,
    /// End with exit code 7 when any source, or what waits, is at "critical" or "breach".
    #[arg(long)]
    pub check: bool,
    /// With --lake, where the levels begin. A server has its own.
    #[command(flatten)]
    pub levels: LevelArgs,
}
