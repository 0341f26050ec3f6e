//! Arguments of `gridtrail dead-letters`.

use clap::{Args, Subcommand};
use gridtrail_model::Timestamp;
use std::path::PathBuf;

/// The subcommands of `gridtrail dead-letters`.
#[derive(Debug, Subcommand)]
pub enum LetterCommand {
    /// List dead letters: those that are open, or with --all every one.
    List(ListLettersArgs),
    /// Show one dead letter as it came.
    Show(ShowLetterArgs),
    /// Read dead letters again, and take in the events that they hold.
    Replay(ReplayLettersArgs),
    /// Declare that dead letters are no events, so that they no longer count as late. They are kept all the same.
    Dismiss(DismissLettersArgs),
}

/// The lake.
#[derive(Debug, Args)]
pub struct LettersArgs {
    /// The lake: a folder, or a URL such as s3://bucket/path.
    #[arg(long, env = "GRIDTRAIL_LAKE", value_name = "URL|PATH", default_value = "data/lake")]
    pub lake: String,
}

/// Which letters are meant.
#[derive(Debug, Default, Args)]
pub struct WhichLetters {
    /// Only letters of sources whose name or id holds this text.
    #[arg(long, value_name = "TEXT")]
    pub source: Option<String>,
    /// Only letters whose reason holds this text.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// Arguments of `gridtrail dead-letters list`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gridtrail dead-letters list --lake data/lake
  gridtrail dead-letters list --lake data/lake --source gridtrail.service-events.v1/3 \\
      --reason content-type --format json")]
pub struct ListLettersArgs {
    /// The lake.
    #[command(flatten)]
    pub of: LettersArgs,
    /// Which of them.
    #[command(flatten)]
    pub which: WhichLetters,
    /// Also those that were replayed or dismissed.
    #[arg(long)]
    pub all: bool,
    /// At most so many, the oldest first.
    #[arg(long, default_value_t = 100)]
    pub limit: usize,
}

/// Arguments of `gridtrail dead-letters show`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gridtrail dead-letters show gridtrail.service-events.v1/3@1204 --lake data/lake
  gridtrail dead-letters show gridtrail.service-events.v1/3@1204 --lake data/lake --raw > record")]
pub struct ShowLetterArgs {
    /// The letter, as `list` names it: NAME@POSITION or SOURCE@POSITION.
    pub letter: String,
    /// The lake.
    #[command(flatten)]
    pub of: LettersArgs,
    /// Write the record's bytes and nothing else.
    #[arg(long)]
    pub raw: bool,
}

/// Arguments of `gridtrail dead-letters replay`.
#[derive(Debug, Args)]
#[command(after_help = "\
A letter that still cannot be read stays open, and its reason is printed; the exit code is 1 then. Replaying a letter twice \
changes nothing.

Examples:
  gridtrail dead-letters replay --all --lake data/lake
  gridtrail dead-letters replay --all --reason command_variant --dry-run --lake data/lake
  gridtrail dead-letters replay gridtrail.service-events.v1/3@1204 --with mended.json \\
      --lake data/lake")]
pub struct ReplayLettersArgs {
    /// Letters, as `list` names them: NAME@POSITION or SOURCE@POSITION.
    #[arg(required_unless_present = "all", value_name = "LETTER")]
    pub letters: Vec<String>,
    /// Every open letter that the filters let through.
    #[arg(long, conflicts_with = "letters")]
    pub all: bool,
    /// The lake.
    #[command(flatten)]
    pub of: LettersArgs,
    /// Which of them.
    #[command(flatten)]
    pub which: WhichLetters,
    /// A file whose bytes stand in for those of the one letter. The evidence says so.
    #[arg(long, value_name = "FILE", conflicts_with = "all")]
    pub with: Option<PathBuf>,
    /// The receipt time of DUIS messages that have no file of their own that says it, UTC.
    #[arg(long, value_name = "TIME")]
    pub recorded_at: Option<Timestamp>,
    /// Say what would be read, and change nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// Arguments of `gridtrail dead-letters dismiss`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  gridtrail dead-letters dismiss gridtrail.service-events.v1/3@1204 \\
      --because \"load test of 2026-03-01\" --lake data/lake")]
pub struct DismissLettersArgs {
    /// Letters, as `list` names them: NAME@POSITION or SOURCE@POSITION.
    #[arg(required_unless_present = "all", value_name = "LETTER")]
    pub letters: Vec<String>,
    /// Every open letter that the filters let through.
    #[arg(long, conflicts_with = "letters")]
    pub all: bool,
    /// The lake.
    #[command(flatten)]
    pub of: LettersArgs,
    /// Which of them.
    #[command(flatten)]
    pub which: WhichLetters,
    /// Why. It stays in the evidence.
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub because: String,
}
