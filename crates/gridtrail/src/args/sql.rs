//! Arguments of `gridtrail sql`.

use super::value::{LapseTime, LifeTime};
use clap::{ArgGroup, Args};
use std::num::NonZeroU32;
use std::path::PathBuf;

/// The heading of what a server is asked with.
const BY_A_SERVER: &str = "By a server";

/// The heading of what a lake is asked with.
const IN_THIS_PROCESS: &str = "Over a lake, in this process";

/// Arguments of `gridtrail sql`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("asking").args(["token", "token_file", "operator"]).required(true).multiple(true))]
#[command(group = ArgGroup::new("statements").args(["command", "file"]))]
pub struct SqlArgs {
    /// The statement. Without it and --file statements are read as they are typed, each up to its semicolon; `\?` says what else there is.
    #[arg(short = 'c', long, value_name = "SQL")]
    pub command: Option<String>,
    /// A file of statements, each up to its semicolon: they are answered one after the other, up to the first that fails.
    #[arg(short = 'f', long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// A file for the history of what is typed, which comes back the next time. Without it the history ends with the command.
    #[arg(long, env = "GRIDTRAIL_SQL_HISTORY", value_name = "FILE")]
    pub history: Option<PathBuf>,
    /// Write the answer of the one statement of --command or --file to this Parquet file, in place of printing it.
    #[arg(long, value_name = "FILE", requires = "statements")]
    pub parquet: Option<PathBuf>,
    /// Ask this server, by Arrow Flight SQL, in place of a lake. Memory, time and whose tokens count are the server's to say.
    #[arg(long, value_name = "URL", help_heading = BY_A_SERVER)]
    #[arg(conflicts_with_all = ["operator", "read_only", "key", "access_lapse", "memory", "spill", "parts", "time"])]
    pub server: Option<String>,
    /// Trust anchors of the server's certificate, in PEM. An https URL needs them.
    #[arg(long, value_name = "FILE", requires = "server", help_heading = BY_A_SERVER)]
    pub server_anchors: Option<PathBuf>,
    /// A certificate to show to the server, in PEM, where it wants one.
    #[arg(long, value_name = "FILE", requires_all = ["client_key", "server_anchors"], help_heading = BY_A_SERVER)]
    pub client_certificate: Option<PathBuf>,
    /// The private key of that certificate, in PEM.
    #[arg(long, value_name = "FILE", requires = "client_certificate", help_heading = BY_A_SERVER)]
    pub client_key: Option<PathBuf>,
    /// The lake: a folder, or s3://bucket/prefix.
    #[arg(long, env = "GRIDTRAIL_LAKE", value_name = "PATH", default_value = "data/lake", help_heading = IN_THIS_PROCESS)]
    pub lake: String,
    /// Who is asking: a token that the server takes, or one of --key. Better given by the environment: arguments are seen in the list of processes.
    #[arg(long, env = "GRIDTRAIL_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// A file that holds the token.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Ask as an operator, who reads the lake's files anyway: of what became of records that came in (dead_letters, commits), and of nobody's
    /// rows.
    #[arg(long, conflicts_with_all = ["token_file", "key", "access_lapse"], help_heading = IN_THIS_PROCESS)]
    pub operator: bool,
    /// The private key for local development whose tokens count, as `gridtrail token` made it.
    #[arg(long, value_name = "FILE", default_value = "dev-key.pem", help_heading = IN_THIS_PROCESS)]
    pub key: PathBuf,
    /// A file that calls Job Type Roles otherwise.
    #[arg(long, env = "GRIDTRAIL_JOB_TYPE_ROLES", value_name = "FILE", help_heading = IN_THIS_PROCESS)]
    pub job_type_roles: Option<PathBuf>,
    /// How long the topics of events of access may stand still before what Parties granted each other counts no longer.
    #[arg(long, value_name = "DURATION", default_value = "24h", help_heading = IN_THIS_PROCESS)]
    pub access_lapse: LapseTime,
    /// Write nothing to the lake. The statement is recorded in the lake of --access-log-lake, or else nowhere.
    #[arg(long, help_heading = IN_THIS_PROCESS)]
    pub read_only: bool,
    /// With --read-only, the lake in whose access log the statement is recorded: another one, made by `gridtrail lake create`.
    #[arg(long, value_name = "URL|PATH", requires = "read_only", help_heading = IN_THIS_PROCESS)]
    pub access_log_lake: Option<String>,
    /// Memory that the statement may take, in MiB. What needs more is written to the folder of --spill, or fails.
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(16..=1_048_576), help_heading = IN_THIS_PROCESS)]
    pub memory: u32,
    /// A folder for what sorts, aggregates and joins hold beyond the memory: in files that have no name and are gone with the statement. Without it
    /// nothing is written to disks.
    #[arg(long, value_name = "FOLDER", help_heading = IN_THIS_PROCESS)]
    pub spill: Option<PathBuf>,
    /// What the statement may put into that folder at a time, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 10_240, requires = "spill", value_parser = clap::value_parser!(u32).range(1..), help_heading = IN_THIS_PROCESS)]
    pub spill_limit: u32,
    /// Parts of a table that are read at the same time.
    #[arg(long, value_name = "PARTS", default_value = "2", help_heading = IN_THIS_PROCESS)]
    pub parts: NonZeroU32,
    /// How long the statement may take, up to 24h.
    #[arg(long, value_name = "DURATION", default_value = "5m", help_heading = IN_THIS_PROCESS)]
    pub time: LifeTime,
}

/// The heading of these arguments in the help of a server.
const HEADING: &str = "SQL (Arrow Flight SQL)";

/// How a server answers SQL.
#[derive(Debug, Clone, Args)]
pub struct ServeSqlArgs {
    /// Statements that are carried out at the same time; 0: the server answers no SQL.
    #[arg(long, value_name = "STATEMENTS", default_value_t = 4, help_heading = HEADING, value_parser = clap::value_parser!(u32).range(0..=1_024))]
    pub sql_statements: u32,
    /// Those of one caller.
    #[arg(long, value_name = "STATEMENTS", default_value = "2", help_heading = HEADING)]
    pub sql_statements_each: NonZeroU32,
    /// Memory that one statement may take, in MiB. What needs more is written to the folder of --sql-spill, or fails.
    #[arg(long, value_name = "MIB", default_value_t = 512, help_heading = HEADING, value_parser = clap::value_parser!(u32).range(16..=1_048_576))]
    pub sql_memory: u32,
    /// A folder for what sorts, aggregates and joins of statements and reports hold beyond the memory: in files that have no name and are gone with
    /// what they are of. It is to be readable by the server alone, for rows of Users lie there as they are. Without it nothing is written to disks.
    #[arg(long, value_name = "FOLDER", help_heading = HEADING)]
    pub sql_spill: Option<PathBuf>,
    /// What one statement or report may put into that folder at a time, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 10_240, requires = "sql_spill", help_heading = HEADING, value_parser = clap::value_parser!(u32).range(1..))]
    pub sql_spill_limit: u32,
    /// Parts of a table that one statement reads at the same time.
    #[arg(long, value_name = "PARTS", default_value = "2", help_heading = HEADING)]
    pub sql_parts: NonZeroU32,
    /// How long a statement may take, until its last row was taken: up to 24h.
    #[arg(long, value_name = "DURATION", default_value = "5m", help_heading = HEADING)]
    pub sql_time: LifeTime,
}
