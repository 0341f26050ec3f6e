//! Arguments of `gridtrail access`.

use clap::{Args, Subcommand};
use gridtrail_access::{NoticeId, Reason};
use gridtrail_model::{Timestamp, UserId};
use gridtrail_search::{TrailRef, parse_from, parse_to};
use std::str::FromStr;

/// The subcommands of `gridtrail access`.
#[derive(Debug, Subcommand)]
pub enum AccessCommand {
    /// Say whether one User could see the records of another at a time, and by which notifications.
    Explain(ExplainArgs),
    /// List what suspends pairs of User IDs: events of access that cannot be read in full, and rescissions that fit nobody.
    Suspensions(SuspensionsArgs),
    /// Settle a rescission that suspends what it names, for it was dealt with: from then on it suspends nothing.
    Settle(SettleArgs),
    /// Show who asked for what, whence, and how many rows they were shown.
    Log(LogArgs),
}

/// Arguments of `gridtrail access suspensions`.
#[derive(Debug, Args)]
#[command(after_help = "\
Every pair that a suspension is about is out of force until it is settled: a dead letter by `gridtrail dead-letters replay`, with what is
wrong in it mended, or `dismiss`; a rescission by `gridtrail access settle`.

Example:
  gridtrail access suspensions --lake data/lake --format json")]
pub struct SuspensionsArgs {
    /// The lake: a folder, or a URL such as s3://bucket/path.
    #[arg(long, env = "GRIDTRAIL_LAKE", value_name = "URL|PATH", default_value = "data/lake")]
    pub lake: String,
}

/// Arguments of `gridtrail access settle`.
#[derive(Debug, Args)]
#[command(after_help = "\
What a rescission ended stays ended. Settle one once the DCC has told what it meant: by a rescission that names the right Party, or by word
that it was none.

Example:
  gridtrail access settle n-17 --because \"sent again as n-18, with the right name\" --lake data/lake")]
pub struct SettleArgs {
    /// The notification, as `gridtrail access suspensions` names it.
    #[arg(value_name = "NOTIFICATION")]
    pub notification: NoticeId,
    /// Why: 1 to 200 characters. It stays with the events of access.
    #[arg(long, value_name = "TEXT")]
    pub because: Reason,
    /// The lake: a folder, or a URL such as s3://bucket/path.
    #[arg(long, env = "GRIDTRAIL_LAKE", value_name = "URL|PATH", default_value = "data/lake")]
    pub lake: String,
}

/// Arguments of `gridtrail access log`.
#[derive(Debug, Args)]
#[command(after_help = "\
Rows are in order of time, and of what lies in the lake: the last second of a running server may be missing. Whether they are as they \
were written, `gridtrail lake verify` says.

Examples:
  gridtrail access log --from 2026-03-01 --to 2026-03-01 --party supplier-1
  gridtrail access log --key 1217290354420 --format json")]
pub struct LogArgs {
    /// The lake: a folder, or a URL such as s3://bucket/path.
    #[arg(long, env = "GRIDTRAIL_LAKE", value_name = "URL|PATH", default_value = "data/lake")]
    pub lake: String,
    /// The first time, UTC; a date means its first instant.
    #[arg(long, value_name = "TIME", value_parser = parse_from)]
    pub from: Option<Timestamp>,
    /// The last time, UTC; a date means its last instant.
    #[arg(long, value_name = "TIME", value_parser = parse_to)]
    pub to: Option<Timestamp>,
    /// Only calls for this Party.
    #[arg(long)]
    pub party: Option<String>,
    /// Only calls of this person or system.
    #[arg(long)]
    pub subject: Option<String>,
    /// Only calls with this key: an MPxN, a Device ID, or the reference of a row.
    #[arg(long)]
    pub key: Option<String>,
    /// At most so many rows, the oldest first; left out: all.
    #[arg(long, value_name = "ROWS")]
    pub limit: Option<usize>,
}

/// Whose rows: by a User ID, or by one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowOwner(pub UserId);

impl FromStr for RowOwner {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(user_id) = text.parse() {
            return Ok(Self(user_id));
        }
        let row = text
            .parse::<TrailRef>()
            .map_err(|_| "neither a User ID nor the reference of a row".to_owned())?;
        Ok(Self(row.user()))
    }
}

/// Arguments of `gridtrail access explain`.
#[derive(Debug, Args)]
#[command(after_help = "\
By the events of access that the lake holds now, whenever they arrived. A session sees no more than this: of its Party's own \
User IDs, only those that it may use. Meter-read transactions are shown to every User.

Examples:
  gridtrail access explain --user 90-B3-D5-1F-30-02-00-00 --row 90-B3-D5-1F-30-02-00-02
  gridtrail access explain --user 90-B3-D5-1F-30-02-00-00 --row 90-B3-D5-1F-30-02-00-02 \\
      --at 2026-03-01T09:30:00Z --format json")]
pub struct ExplainArgs {
    /// The lake: a folder, or a URL such as s3://bucket/path.
    #[arg(long, env = "GRIDTRAIL_LAKE", value_name = "URL|PATH", default_value = "data/lake")]
    pub lake: String,
    /// The User ID of who looks.
    #[arg(long, value_name = "EUI-64")]
    pub user: UserId,
    /// Whose rows: a User ID, or the reference of a row.
    #[arg(long, value_name = "EUI-64|REFERENCE")]
    pub row: RowOwner,
    /// When, UTC; left out: now.
    #[arg(long, value_name = "TIME")]
    pub at: Option<Timestamp>,
}
