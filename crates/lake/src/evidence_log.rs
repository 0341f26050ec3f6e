//! All evidence of a lake: what was copied out of the log, and the rest from the log itself.

use crate::error::LakeError;
use crate::evidence::SourceEvidence;
use crate::evidence_table::{self, CommitEvidence};
use crate::lake::Lake;
use crate::maintenance::{COPIED, evidence_of};

/// The evidence of one commit of the main table.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    /// The version that it made.
    pub version: u64,
    /// What made it: `ingest`, `sweep`, `replay`.
    pub kind: String,
    /// What it read of each source.
    pub sources: Vec<Evidence>,
}

/// What a commit says of one source.
#[derive(Debug, Clone, PartialEq)]
pub enum Evidence {
    /// As its writer wrote it: its seal fits.
    Whole(Box<SourceEvidence>),
    /// Changed since: the text as it stands.
    Broken(String),
}

impl Commit {
    fn read(CommitEvidence { version, kind, sources }: CommitEvidence) -> Self {
        let evidence = |value: serde_json::Value| {
            let text = value.to_string();
            match serde_json::from_value::<SourceEvidence>(value) {
                Ok(evidence) if evidence.seal == evidence.sealed_by() => Evidence::Whole(Box::new(evidence)),
                _ => Evidence::Broken(text),
            }
        };
        Self { version, kind, sources: sources.into_iter().map(evidence).collect() }
    }
}

impl Lake {
    /// Shows every commit that carries evidence, oldest first, as far as the newest that is there now.
    ///
    /// Cost: every file of the `commits` table, and the log entries that were not copied yet. Memory: one file.
    /// Errors: `Unavailable`; `Corrupt` when a file cannot be read; `VersionGone` when the log was cleaned up past what
    /// was copied.
    pub async fn evidence(&self, mut show: impl FnMut(Commit)) -> Result<(), LakeError> {
        let mut tables = self.tables().await;
        tables.trails.refresh().await?;
        tables.commits.refresh().await?;
        let mut files = tables.commits.files()?;
        // Names are ordered by time, and so are the versions that files hold.
        files.sort_by(|a, b| a.path.cmp(&b.path));
        for file in files {
            let path = tables.commits.full_path(&file.path)?;
            let commits = evidence_table::read(self.fetch(&path).await?, path.as_ref())?;
            commits.into_iter().for_each(|commit| show(Commit::read(commit)));
        }
        let copied = tables.commits.position(COPIED)?;
        let first = copied.map_or(0, |copied| u64::try_from(copied).unwrap_or(0) + 1);
        for version in first..=tables.trails.version() {
            let entry = tables.trails.log_entry(version).await?;
            let entry = entry.ok_or_else(|| LakeError::VersionGone { version: version.to_string() })?;
            if let Some(commit) = evidence_of(version, &entry) {
                show(Commit::read(commit));
            }
        }
        Ok(())
    }
}
