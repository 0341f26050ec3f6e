//! Arguments of `gridtrail anomaly`.

use super::asking::Credential;
use super::value::LapseTime;
use clap::{Args, Subcommand, ValueEnum};
use gridtrail_anomaly::Reference;
use gridtrail_model::{Timestamp, UserId};
use std::num::NonZeroU32;
use std::path::PathBuf;

/// The subcommands of `gridtrail anomaly`.
#[derive(Debug, Subcommand)]
pub enum AnomalyCommand {
    /// Compare volumes with the thresholds in force, and say what would have been flagged. Nothing is quarantined.
    ///
    /// Each Service Request and Signed Pre-Command that the DCC received counts when it was received, by User and Service Reference Variant.
    /// Recorded in the access log.
    #[command(after_help = "\
Examples:
  gridtrail anomaly check --lake data/lake --token-file me.jwt
  gridtrail anomaly check --lake data/lake --token-file me.jwt --from 2026-03-01 --to 2026-04-01 --format csv")]
    Check(Box<AnomalyCheckArgs>),
    /// Say which thresholds are in force, what became of each Thresholds File, or which thresholds were exceeded, with the Incident and the e-mail.
    ///
    /// Of the User IDs that the caller may see. Recorded in the access log.
    #[command(after_help = "\
Examples:
  gridtrail anomaly thresholds --lake data/lake --token-file me.jwt
  gridtrail anomaly thresholds --list exceeded --lake data/lake --token-file me.jwt --format csv
  gridtrail anomaly thresholds --list files --at 2026-03-31T23:59:59Z --lake data/lake --token-file me.jwt")]
    Thresholds(Box<AnomalyThresholdsArgs>),
    /// Take in a User's Quarantined Communications Action File, or refuse it: all of it, with the reason on record.
    ///
    /// Its signature and the certificate chain are verified before any line is read. Recorded in the access log.
    #[command(after_help = "\
Example:
  gridtrail anomaly answer actions.csv --incident INC0007 --user-id 90-B3-D5-1F-30-02-00-00 --token-file me.jwt \\
      --signature actions.csv.sig --certificate signer.pem --anchors iki.pem --revoked iki.crl.pem")]
    Answer(Box<AnomalyAnswerArgs>),
}

/// A lake, and who asks it in this process.
#[derive(Debug, Args)]
pub struct LakeCallerArgs {
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
}

/// A lake that is only read, who asks it in this process, and where that is recorded.
#[derive(Debug, Args)]
pub struct LakeReaderArgs {
    /// Where, and who asks.
    #[command(flatten)]
    pub caller: LakeCallerArgs,
    /// Write nothing to the lake. The call is recorded in the lake of --access-log-lake, or else nowhere.
    #[arg(long)]
    pub read_only: bool,
    /// With --read-only, the lake in whose access log the call is recorded: another one, made by `gridtrail lake create`.
    #[arg(long, value_name = "URL|PATH", requires = "read_only")]
    pub access_log_lake: Option<String>,
}

/// Arguments of `gridtrail anomaly check`.
#[derive(Debug, Args)]
pub struct AnomalyCheckArgs {
    /// Where, who asks, and where that is recorded.
    #[command(flatten)]
    pub reader: LakeReaderArgs,
    /// Only this User ID; may be repeated. Left out: all that the caller may see.
    #[arg(long = "user-id", value_name = "USER ID")]
    pub user_ids: Vec<UserId>,
    /// From this time on, UTC. Left out: a day before the end.
    #[arg(long, value_name = "TIME")]
    pub from: Option<Timestamp>,
    /// Before this time, UTC. Left out: now.
    #[arg(long, value_name = "TIME")]
    pub to: Option<Timestamp>,
    /// Parts of the lake that are read one after the other: more take less memory.
    #[arg(long, value_name = "PARTS", default_value = "4")]
    pub parts: NonZeroU32,
}

/// What is told of thresholds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ThresholdList {
    /// The thresholds that are in force.
    InForce,
    /// The Thresholds Files that were received, and what became of each.
    Files,
    /// The thresholds that were exceeded.
    Exceeded,
}

/// Arguments of `gridtrail anomaly thresholds`.
#[derive(Debug, Args)]
pub struct AnomalyThresholdsArgs {
    /// Where, who asks, and where that is recorded.
    #[command(flatten)]
    pub reader: LakeReaderArgs,
    /// What to tell.
    #[arg(long, value_enum, default_value = "in-force")]
    pub list: ThresholdList,
    /// Only of this User ID; may be repeated. Left out: of all that the caller may see.
    #[arg(long = "user-id", value_name = "USER ID")]
    pub user_ids: Vec<UserId>,
    /// As it was at this time, by what is known now, UTC. Left out: now.
    #[arg(long, value_name = "TIME")]
    pub at: Option<Timestamp>,
}

/// Arguments of `gridtrail anomaly answer`.
#[derive(Debug, Args)]
pub struct AnomalyAnswerArgs {
    /// The file: CSV without quotation marks, whose header names `request_id` and `action`.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Where, and who asks: somebody who may see the User's quarantined communications.
    #[command(flatten)]
    pub caller: LakeCallerArgs,
    /// The User whose answer it is.
    #[arg(long, value_name = "USER ID")]
    pub user_id: UserId,
    /// The Incident reference, as the message names it with which the file came. Without it, the file is refused.
    #[arg(long, value_name = "REFERENCE")]
    pub incident: Option<Reference>,
    /// When the DCC received it, UTC. Left out: now.
    #[arg(long, value_name = "TIME")]
    pub received_at: Option<Timestamp>,
    /// The signature of the file, in base64 or as it is: ECDSA on P-256 or P-384 (as DER), or RSA (PKCS #1), with SHA-256, SHA-384 or (RSA alone) SHA-512.
    #[arg(long, value_name = "FILE")]
    pub signature: PathBuf,
    /// The File Signing Certificate, in PEM or DER, whose subject has the User ID as its serial number.
    #[arg(long, value_name = "FILE")]
    pub certificate: PathBuf,
    /// Trust anchors of File Signing Certificates, in PEM.
    #[arg(long, value_name = "FILE")]
    pub anchors: PathBuf,
    /// Authorities between the anchors and the certificate, in PEM.
    #[arg(long, value_name = "FILE")]
    pub intermediates: Option<PathBuf>,
    /// The revocation lists (CRL) of all these authorities, in PEM: a certificate that no current list covers is refused.
    #[arg(long, value_name = "FILE")]
    pub revoked: PathBuf,
}
