//! Arguments of `gridtrail report`.

use super::ServerArgs;
use super::asking::Credential;
use super::report_jobs::{HistoryArgs, ScheduleArgs, WorkerArgs};
use super::value::{LapseTime, LifeTime};
use clap::{Args, Subcommand};
use gridtrail_model::UserId;
use std::num::NonZeroU32;
use std::path::PathBuf;

/// What to do with reports.
#[derive(Debug, Subcommand)]
pub enum ReportCommand {
    /// List the reports that there are: those of this command, or of a server.
    List(ListReportsArgs),
    /// Say what a report is: its parameters, its columns, and which rows pertain to a User.
    Describe(Box<DescribeReportArgs>),
    /// Make a report: by a server, or over a lake in this process, for operators and local development.
    Run(Box<RunReportArgs>),
    /// Check a schedule of reports, and say what is due next. For operators.
    Schedule(ScheduleArgs),
    /// Make the reports of a schedule, beside any number of other workers. For operators.
    Worker(Box<WorkerArgs>),
    /// Say what became of the reports of schedules. For operators.
    History(HistoryArgs),
}

/// A server that is asked, where one is.
#[derive(Debug, Args)]
pub struct ByServer {
    /// Ask this server, in place of this process. Which reports there are, how much each may take and where it is recorded is the server's to say.
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// Trust anchors of the server's certificate, in PEM. An https URL needs them.
    #[arg(long, value_name = "FILE", requires = "server")]
    pub server_anchors: Option<PathBuf>,
    /// A certificate to show to the server, in PEM, where it wants one.
    #[arg(long, value_name = "FILE", requires_all = ["client_key", "server_anchors"])]
    pub client_certificate: Option<PathBuf>,
    /// The private key of that certificate, in PEM.
    #[arg(long, value_name = "FILE", requires = "client_certificate")]
    pub client_key: Option<PathBuf>,
}

impl ByServer {
    /// The server, and how it is reached. `None`: none is asked.
    pub(crate) fn server(&self) -> Option<ServerArgs> {
        let Self { server, server_anchors, client_certificate, client_key } = self;
        Some(ServerArgs {
            server: server.clone()?,
            server_anchors: server_anchors.clone(),
            client_certificate: client_certificate.clone(),
            client_key: client_key.clone(),
        })
    }
}

/// A server that is asked what reports it has, and by whom.
#[derive(Debug, Args)]
pub struct ReportsOfServer {
    /// The server.
    #[command(flatten)]
    pub by: ByServer,
    /// With --server, who is asking: a token that it accepts. Better given by the environment: arguments are seen in the list of processes.
    #[arg(long, env = "GRIDTRAIL_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// With --server, a file that holds the token.
    #[arg(long, value_name = "FILE", requires = "server")]
    pub token_file: Option<PathBuf>,
}

/// Arguments of `gridtrail report list`.
#[derive(Debug, Args)]
pub struct ListReportsArgs {
    /// Whose.
    #[command(flatten)]
    pub of: ReportsOfServer,
}

/// Arguments of `gridtrail report describe`.
#[derive(Debug, Args)]
pub struct DescribeReportArgs {
    /// The report's name, as `gridtrail report list` has it.
    #[arg(value_name = "REPORT")]
    pub name: String,
    /// Whose.
    #[command(flatten)]
    pub of: ReportsOfServer,
}

/// Arguments of `gridtrail report run`.
#[derive(Debug, Args)]
pub struct RunReportArgs {
    /// The report's name, as `gridtrail report list` has it.
    #[arg(value_name = "REPORT")]
    pub name: String,
    /// A parameter of the report; `gridtrail report describe` names them. May be given any number of times.
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parameter)]
    pub parameters: Vec<(String, String)>,
    /// Only rows of this User ID. May be given any number of times; without it, rows of all that the token shows.
    #[arg(long = "user-id", value_name = "EUI-64")]
    pub user_ids: Vec<UserId>,
    /// The file to write, in place of standard output. A description (.about.json) and checksums (.sha256) are written beside it; none of
    /// them is there before it is whole.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The server that makes it, where one does.
    #[command(flatten)]
    pub by: ByServer,
    /// The lake: a folder, or s3://bucket/prefix.
    #[arg(long, env = "GRIDTRAIL_LAKE", value_name = "PATH", default_value = "data/lake")]
    pub lake: String,
    /// Who is asking: a token that the server accepts, or one of the key below.
    #[command(flatten)]
    pub credential: Credential,
    /// The private key for local development whose tokens count, as `gridtrail token` made it.
    #[arg(long, value_name = "FILE", default_value = "dev-key.pem", conflicts_with = "server")]
    pub key: PathBuf,
    /// A file that calls Job Type Roles otherwise.
    #[arg(long, env = "GRIDTRAIL_JOB_TYPE_ROLES", value_name = "FILE")]
    pub job_type_roles: Option<PathBuf>,
    /// How long the topics of events of access may stand still before what Parties granted each other counts no longer.
    #[arg(long, value_name = "DURATION", default_value = "24h", conflicts_with = "server")]
    pub access_lapse: LapseTime,
    /// Write nothing to the lake. The report is recorded in the lake of --access-log-lake, or else nowhere.
    #[arg(long, conflicts_with = "server")]
    pub read_only: bool,
    /// With --read-only, the lake in whose access log the report is recorded: another one, made by `gridtrail lake create`.
    #[arg(long, value_name = "URL|PATH", requires = "read_only")]
    pub access_log_lake: Option<String>,
    /// Memory that the report's statement may take, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 1024, conflicts_with = "server", value_parser = clap::value_parser!(u32).range(16..=1_048_576))]
    pub memory: u32,
    /// Parts of a table that are read at the same time.
    #[arg(long, value_name = "PARTS", default_value = "2", conflicts_with = "server")]
    pub parts: NonZeroU32,
    /// How long the report may take, up to 24h.
    #[arg(long, value_name = "DURATION", default_value = "15m", conflicts_with = "server")]
    pub time: LifeTime,
}

fn parameter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.trim().to_owned(), value.trim().to_owned())),
        _ => Err("a parameter is given as name=value".to_owned()),
    }
}

/// The heading of these arguments in the help of a server.
const HEADING: &str = "Reports";

/// How a server makes reports.
#[derive(Debug, Clone, Args)]
pub struct ServeReportArgs {
    /// Reports that are made at the same time; 0: the server makes none.
    #[arg(long, value_name = "REPORTS", default_value_t = 2, help_heading = HEADING, value_parser = clap::value_parser!(u32).range(0..=1_024))]
    pub report_runs: u32,
    /// Those of one caller.
    #[arg(long, value_name = "REPORTS", default_value = "1", help_heading = HEADING)]
    pub report_runs_each: NonZeroU32,
    /// Memory that the statement of one report may take, in MiB: of one that is asked for, and of one by a schedule.
    #[arg(long, value_name = "MIB", default_value_t = 1024, help_heading = HEADING, value_parser = clap::value_parser!(u32).range(16..=1_048_576))]
    pub report_memory: u32,
    /// Parts of a table that one report reads at the same time.
    #[arg(long, value_name = "PARTS", default_value = "2", help_heading = HEADING)]
    pub report_parts: NonZeroU32,
    /// How long a report may take, until its last message was taken: up to 24h.
    #[arg(long, value_name = "DURATION", default_value = "15m", help_heading = HEADING)]
    pub report_time: LifeTime,
}
