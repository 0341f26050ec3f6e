//! What a commit of the main table says of itself in its log entry, and the copy of that.

use crate::evidence::SourceEvidence;
use gridtrail_runs::{EVIDENCE, commit_info};
use serde_json::Value;

/// The evidence of one commit of the main table.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    /// The version that it made.
    pub version: u64,
    /// What it was made for, as the evidence has it: see [`crate::CommitKind`].
    pub kind: String,
    /// What it read of each source.
    pub sources: Vec<Evidence>,
}

/// What a commit says of one source.
#[derive(Debug, Clone, PartialEq)]
pub enum Evidence {
    /// As its writer wrote it: its seal fits.
    Whole(Box<SourceEvidence>),
    /// Changed since: the text as it stands, or of a whole file of evidence, which it is and what is wrong with it.
    Broken(String),
}

/// The evidence of one commit.
#[derive(Debug, Clone)]
pub(crate) struct CommitEvidence {
    pub(crate) version: u64,
    pub(crate) kind: String,
    /// As they stand in the log, changed or not: whoever proves with them must see what is there.
    pub(crate) sources: Vec<Value>,
}

/// What stands for the kind of commits whose evidence was in a file that was changed.
const UNREADABLE: &str = "unreadable";

impl Commit {
    pub(crate) fn read(CommitEvidence { version, kind, sources }: CommitEvidence) -> Self {
        let evidence = |value: Value| {
            let text = value.to_string();
            match serde_json::from_value::<SourceEvidence>(value) {
                Ok(evidence) if evidence.seal == evidence.sealed_by() => Evidence::Whole(Box::new(evidence)),
                _ => Evidence::Broken(text),
            }
        };
        Self { version, kind, sources: sources.into_iter().map(evidence).collect() }
    }

    /// What stands for a file that was changed: of a version, with one broken piece of evidence.
    pub(crate) fn unreadable(version: u64, path: &str, why: &str) -> Self {
        let broken = Evidence::Broken(format!("{path}: {why}"));
        Self { version, kind: UNREADABLE.to_owned(), sources: vec![broken] }
    }
}

/// What the log entry of a version says. `None`: it carries no evidence.
pub(crate) fn evidence_of(version: u64, entry: &[u8]) -> Option<CommitEvidence> {
    let mut info = commit_info(entry)?;
    let evidence = info.get_mut(EVIDENCE)?.take();
    let kind = evidence.get("kind")?.as_str()?.to_owned();
    let sources = evidence.get("sources").and_then(|s| s.as_array().cloned()).unwrap_or_default();
    Some(CommitEvidence { version, kind, sources })
}
