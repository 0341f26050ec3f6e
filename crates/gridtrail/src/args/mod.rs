//! The arguments of every subcommand.
//!
//! Defaults that name files are relative to the working folder. An environment variable stands in for an argument
//! only where a value outlives one command, or must not be seen in a list of processes.

mod access;
mod anomaly;
mod asking;
mod callers;
mod data;
mod freshness;
mod identity;
mod inventory;
mod lake;
mod letters;
mod operator;
mod origin;
mod port;
mod reconcile;
mod report;
mod report_jobs;
mod service;
mod sql;
mod tls;
mod value;

pub use access::{AccessCommand, ExplainArgs, LogArgs, RowOwner, SettleArgs, SuspensionsArgs};
pub use anomaly::{
    AnomalyAnswerArgs, AnomalyCheckArgs, AnomalyCommand, AnomalyThresholdsArgs, LakeCallerArgs,
    LakeReaderArgs, ThresholdList,
};
pub use asking::{Credential, LoadArgs, PageArgs};
pub use callers::CallerArgs;
pub use data::{DemoArgs, Encoding, GenerateArgs, IngestArgs, PublishArgs, TopicArgs};
pub use freshness::{FreshnessArgs, LevelArgs, MetricsArgs};
pub use identity::{
    AddAccountArgs, AddIdpArgs, ForgetArgs, IdpCommand, LoginArgs, RemoveAccountArgs, RemoveIdpArgs,
    ReplaceIdpArgs, RevokeArgs, SessionCommand, SpArgs, SpCommand, TrustArgs, WhichSessions,
};
pub use inventory::{
    BenchInventoryArgs, InventoryArgs, InventoryBy, InventoryCall, InventoryCallArgs, InventoryDeviceArgs,
    InventoryKeyArgs,
};
pub use lake::{
    AddHoldArgs, BecauseArgs, CompactArgs, CompactionArgs, CreateArgs, ExportArgs, HoldCommand, LakeCommand,
    ListHoldsArgs, RebucketArgs, ReleaseHoldArgs, RepairArgs, RetainArgs, StatusArgs, UpgradeArgs,
    VacuumArgs, VerifyArgs, WhichLake,
};
pub use letters::{
    DismissLettersArgs, LetterCommand, LettersArgs, ListLettersArgs, ReplayLettersArgs, ShowLetterArgs,
    WhichLetters,
};
pub use operator::{OperatorCommand, OperatorTokenArgs, ServeOperatorArgs};
pub use origin::{Origins, parse};
pub use port::{ClientAddress, PortArgs};
pub use reconcile::ReconcileArgs;
pub use report::{
    ByServer, DescribeReportArgs, ListReportsArgs, ReportCommand, ReportsOfServer, RunReportArgs,
    ServeReportArgs,
};
pub use report_jobs::{HistoryArgs, ReportTakes, ScheduleArgs, WorkerArgs};
pub use service::{
    BenchCommand, BenchLookupArgs, BenchSearchArgs, BenchTopicArgs, GetArgs, HubArgs, SearchArgs,
    SearchCommand, SearchKey, SearchedBy, ServeArgs, TokenArgs, WhoamiArgs,
};
pub use sql::{ServeSqlArgs, SqlArgs};
pub use tls::{DevCertificateArgs, ServerArgs, ServerTlsArgs};
pub use value::{Bound, LapseTime, LifeTime};

use crate::exit::Failure;
use clap::{Parser, Subcommand, ValueEnum};

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed
  2  the arguments are wrong
  3  not found, or not yours
  4  not allowed: no valid token, or a role that does not permit it
  5  something must happen first; the message says what
  6  unavailable for now: try again
  7  not fresh: a source is at critical or breach (freshness --check)
  8  not proven: something does not add up (reconcile), or is damaged (lake verify), or is refused (anomaly answer)
  9  a file holds no record that could be read (ingest); what could be read elsewhere is in the lake
  130  stopped by a signal before it was done; the message says what is done";

/// The audit trail of Great Britain's smart-metering Service Requests.
#[derive(Debug, Parser)]
#[command(name = "gridtrail", version, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// How results are printed.
    #[arg(long, global = true, value_enum, default_value_t = AnyFormat::Table, help_heading = "Output")]
    pub format: AnyFormat,

    /// Which log lines go to standard error: a level, or a list such as `warn,gridtrail=debug`.
    #[arg(long, global = true, env = "GRIDTRAIL_LOG", default_value = "warn,gridtrail=info")]
    #[arg(value_name = "FILTER", help_heading = "Output")]
    pub log: String,

    /// How log lines are written.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, help_heading = "Output")]
    pub log_format: LogFormat,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AnyFormat {
    /// A table for people.
    Table,
    /// One JSON document for programs: proto3 JSON of the API's message, where the API has one.
    Json,
    /// Comma-separated values, one line a row, for spreadsheets: of lists and reports.
    Csv,
    /// One JSON object a line and row, printed as rows come: of SQL only.
    Jsonl,
    /// A Parquet file: of reports only.
    Parquet,
    /// A workbook for spreadsheets: of reports only.
    Xlsx,
    /// A page with a picture: of reports only.
    Html,
    /// The file of Appendix AA that a User fills in, signs and answers with: of the Quarantined Requests Report only.
    AppendixAa,
}

/// How lists are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListFormat {
    /// A table for people.
    Table,
    /// One JSON document for programs.
    Json,
    /// Comma-separated values, one line a row.
    Csv,
}

/// How the rows of a statement are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowFormat {
    /// A table for people.
    Table,
    /// One JSON document, an array of objects.
    Json,
    /// One JSON object a line and row.
    JsonLines,
    /// Comma-separated values, one line a row.
    Csv,
}

/// How what is no list is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Lines for people.
    Table,
    /// One JSON document for programs.
    Json,
}

impl AnyFormat {
    /// The format of a list. Errors: SQL or reports alone are written in the others.
    pub(crate) fn of_list(self) -> Result<ListFormat, Failure> {
        match self {
            Self::Table => Ok(ListFormat::Table),
            Self::Json => Ok(ListFormat::Json),
            Self::Csv => Ok(ListFormat::Csv),
            Self::Parquet | Self::Xlsx | Self::Html | Self::AppendixAa => {
                let reason = "only `gridtrail report run` writes this; take table, json or csv".to_owned();
                Err(Failure::Argument { argument: "--format", reason })
            }
            Self::Jsonl => {
                let reason = "only `gridtrail sql` prints this; take table, json or csv".to_owned();
                Err(Failure::Argument { argument: "--format", reason })
            }
        }
    }

    /// The format of rows. Errors: as those of a list.
    pub(crate) fn of_rows(self) -> Result<RowFormat, Failure> {
        if self == Self::Jsonl {
            return Ok(RowFormat::JsonLines);
        }
        Ok(match self.of_list()? {
            ListFormat::Table => RowFormat::Table,
            ListFormat::Json => RowFormat::Json,
            ListFormat::Csv => RowFormat::Csv,
        })
    }

    /// The format of what is no list. Errors: that has no lines of values.
    pub(crate) fn of_report(self) -> Result<Format, Failure> {
        self.of_list()?.of_report()
    }
}

impl ListFormat {
    /// The format of what is no list. Errors: that has no lines of values.
    pub(crate) fn of_report(self) -> Result<Format, Failure> {
        match self {
            Self::Table => Ok(Format::Table),
            Self::Json => Ok(Format::Json),
            Self::Csv => {
                let reason = "what this command prints is no list of rows; take table or json".to_owned();
                Err(Failure::Argument { argument: "--format csv", reason })
            }
        }
    }
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the whole of it: real and generated messages in, two Users' searches out.
    Demo(DemoArgs),
    /// Make up a region's events, and what a search must find in them.
    Generate(GenerateArgs),
    /// Write event files to a topic of a Kafka cluster.
    Publish(PublishArgs),
    /// Take event files, or the topics of a Kafka cluster, into a lake.
    Ingest(IngestArgs),
    /// Answer searches over gRPC and SQL over Arrow Flight SQL; with --console, serve pages for browsers as well.
    Serve(Box<ServeArgs>),
    /// Search the audit trail, meter reads, or the inventory, by a server.
    #[command(subcommand)]
    Search(SearchCommand),
    /// Ask a lake questions in SQL: in this process, for operators and local development, or by a server.
    #[command(after_help = "\
Examples:
  gridtrail sql --lake data/lake --token-file me.jwt --format csv \\
      -c \"SELECT simplified_transaction_status, count(*) FROM audit_trails GROUP BY 1\"
  gridtrail sql --server https://gridtrail.example:8471 --server-anchors anchors.pem --token-file me.jwt")]
    Sql(Box<SqlArgs>),
    /// Make one of the standard reports (UC_Reports_001), of what your User IDs may see.
    #[command(
        subcommand,
        after_help = "\
Examples:
  gridtrail report list
  gridtrail report describe monthly-transactions
  gridtrail report run monthly-transactions --lake data/lake --token-file me.jwt \\
      --param month=2026-03 --format xlsx --output march.xlsx
  gridtrail report schedule jobs.toml
  gridtrail report worker --schedule jobs.toml --lake data/lake --once
  gridtrail report history --lake data/lake --job monthly"
    )]
    Report(Box<ReportCommand>),
    /// Show one row by its reference, with every field.
    Get(GetArgs),
    /// Say who you are to a server, whose rows you see, and what you may use.
    Whoami(WhoamiArgs),
    /// Say how fresh the answers are, and evidence it day by day.
    Freshness(FreshnessArgs),
    /// Compact a lake: few large files of sorted rows (runs) in place of many small ones.
    Compact(CompactArgs),
    /// Look after a lake.
    #[command(subcommand)]
    Lake(LakeCommand),
    /// Prove what became of every position of every source.
    Reconcile(ReconcileArgs),
    /// Look at records that could not be read, and settle them. For operators: they are raw, and belong to any User.
    #[command(subcommand)]
    DeadLetters(LetterCommand),
    /// Hold volumes against the thresholds of anomaly detection, and take in what Users answer to quarantine.
    #[command(subcommand)]
    Anomaly(AnomalyCommand),
    /// Say who could see what, and why; and who asked for what. For operators.
    #[command(subcommand)]
    Access(AccessCommand),
    /// Print what Identity Providers are configured with.
    #[command(subcommand)]
    Sp(SpCommand),
    /// Enrol and remove Identity Providers, and accounts of the DCC's own. For operators.
    #[command(subcommand)]
    Idp(IdpCommand),
    /// End sessions, and delete what people entered about themselves. For operators.
    #[command(subcommand)]
    Session(SessionCommand),
    /// Mint tokens of operators, who look at a server's lake. For operators.
    #[command(subcommand)]
    Operator(OperatorCommand),
    /// Mint a token for local development.
    Token(TokenArgs),
    /// Make a certificate for local development.
    DevCertificate(DevCertificateArgs),
    /// Measure searches, look-ups and the reading of topics.
    #[command(subcommand)]
    Bench(BenchCommand),
    /// Write a shell's completions to standard output.
    #[command(after_help = "\
Example:
  gridtrail completions bash > ~/.local/share/bash-completion/completions/gridtrail")]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

#[cfg(test)]
mod tests;
