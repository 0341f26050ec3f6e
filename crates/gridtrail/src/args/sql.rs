//! Arguments of `gridtrail sql`.

use super::service::Credential;
use super::value::{LapseTime, LifeTime};
use clap::Args;
use std::num::NonZeroU32;
use std::path::PathBuf;

/// Arguments of `gridtrail sql`.
#[derive(Debug, Args)]
pub struct SqlArgs {
    /// The statement.
    #[arg(short = 'c', long, value_name = "SQL")]
    pub command: String,
    /// The lake: a folder, or s3://bucket/prefix.
    #[arg(long, env = "GRIDTRAIL_LAKE", value_name = "PATH", default_value = "data/lake")]
    pub lake: String,
    /// Who is asking: a token of the key below.
    #[command(flatten)]
    pub credential: Credential,
    /// The private key for local development whose tokens count, as `gridtrail token` made it.
    #[arg(long, value_name = "FILE", default_value = "dev-key.pem")]
    pub key: PathBuf,
    /// A file that calls Job Type Roles otherwise.
    #[arg(long, env = "GRIDTRAIL_JOB_TYPE_ROLES", value_name = "FILE")]
    pub job_type_roles: Option<PathBuf>,
    /// How long the topics of events of access may stand still before what Parties granted each other counts no longer.
    #[arg(long, value_name = "DURATION", default_value = "24h")]
    pub access_lapse: LapseTime,
    /// Memory that the statement may take, in MiB. Nothing is written to disks: what needs more fails.
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(16..=1_048_576))]
    pub memory: u32,
    /// Parts of a table that are read at the same time.
    #[arg(long, value_name = "PARTS", default_value = "2")]
    pub parts: NonZeroU32,
    /// How long the statement may take, up to 24h.
    #[arg(long, value_name = "DURATION", default_value = "5m")]
    pub time: LifeTime,
}
