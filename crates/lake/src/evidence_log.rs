//! All evidence of a lake: what was copied out of the log, and the rest from the log itself.

use crate::error::LakeError;
use crate::evidence::SourceEvidence;
use crate::evidence_table::{self, CommitEvidence};
use crate::lake::Lake;
use crate::maintenance::{COPIED, evidence_of};
use crate::tables::Tables;
use gridtrail_runs::{RunsError, Table};
use std::collections::BTreeMap;
use std::ops::Range;

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

/// Where the evidence of a lake ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvidenceEnd {
    /// The version of the main table up to which it was shown.
    pub version: u64,
    /// Where each source is read next, as that version has it.
    pub positions: BTreeMap<String, i64>,
}

/// What stands for the kind of commits whose evidence was in a file that was changed.
const UNREADABLE: &str = "unreadable";

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

    fn unreadable(version: u64, path: &str, why: &str) -> Self {
        let broken = Evidence::Broken(format!("{path}: {why}"));
        Self { version, kind: UNREADABLE.to_owned(), sources: vec![broken] }
    }
}

impl Lake {
    /// Shows every commit that carries evidence, oldest first, as far as the newest that is there now.
    ///
    /// A file of evidence that was changed since it was written counts as one commit, of the version before it, with
    /// one broken piece of evidence: what it held is missing, and what the others hold still counts.
    ///
    /// Cost: every file of the `commits` table, and the log entries that were not copied yet. Memory: one file.
    /// Errors: `Unavailable`; `VersionGone` when the log was cleaned up past what was copied.
    pub async fn evidence(&self, mut show: impl FnMut(Commit)) -> Result<EvidenceEnd, LakeError> {
        let mut tables = self.tables().await;
        tables.trails.refresh().await?;
        tables.commits.refresh().await?;
        [&tables.trails, &tables.commits].into_iter().try_for_each(Table::check_whole)?;
        let version = tables.trails.version();
        read(self, &mut tables, None, version, &mut show).await?;
        let positions = tables.trails.positions();
        let sources = ["file:", "kafka:"].into_iter().flat_map(|kind| positions.numbers_starting_with(kind));
        let positions = sources.map(|(source, at)| (source.to_owned(), at)).collect();
        Ok(EvidenceEnd { version, positions })
    }

    /// Shows the evidence that still stands in the log beside its copy, newest first, from a version down. What the log and
    /// the copy say is the same, unless one of them was changed. Returns the versions whose entries were read.
    ///
    /// Cost: the log entries that were copied and not cleaned up yet. Errors: `Unavailable`.
    pub async fn copied_evidence(
        &self,
        version: u64,
        mut show: impl FnMut(Commit),
    ) -> Result<Range<u64>, LakeError> {
        let mut tables = self.tables().await;
        tables.commits.refresh().await?;
        let copied = tables.commits.position(COPIED).and_then(|copied| u64::try_from(copied).ok());
        let end = copied.map_or(0, |copied| copied.min(version) + 1);
        let mut first = end;
        while first > 0
            && let Some(entry) = tables.trails.log_entry(first - 1).await?
        {
            first -= 1;
            evidence_of(first, &entry).map(Commit::read).into_iter().for_each(&mut show);
        }
        Ok(first..end)
    }

    /// Shows every commit with evidence that came after the version `after` and that this process's newest snapshot
    /// has, oldest first. Returns the version of that snapshot: what to give as `after` the next time.
    ///
    /// Cost: the log entries in between; what was cleaned up there is read as [`Lake::evidence`] does. Errors as there,
    /// and then some commits may have been shown already.
    pub async fn evidence_since(
        &self,
        after: Option<u64>,
        mut show: impl FnMut(Commit),
    ) -> Result<u64, LakeError> {
        let newest = self.snapshot().version().trails();
        if after.is_some_and(|after| after >= newest) {
            return Ok(newest);
        }
        let mut tables = self.tables().await;
        if let Some(after) = after {
            let mut next = after + 1;
            while next <= newest
                && let Some(entry) = tables.trails.log_entry(next).await?
            {
                evidence_of(next, &entry).map(Commit::read).into_iter().for_each(&mut show);
                next += 1;
            }
            if next <= newest {
                read(self, &mut tables, Some(next - 1), newest, &mut show).await?;
            }
        } else {
            read(self, &mut tables, None, newest, &mut show).await?;
        }
        Ok(newest)
    }
}

/// What was copied, and the log after that, within `after` and `newest`.
async fn read(
    lake: &Lake,
    tables: &mut Tables,
    after: Option<u64>,
    newest: u64,
    show: &mut impl FnMut(Commit),
) -> Result<(), RunsError> {
    let wanted = |version: u64| version <= newest && after.is_none_or(|after| version > after);
    tables.commits.refresh().await?;
    let mut files = tables.commits.files();
    // Names are ordered by time, and so are the versions that files hold.
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let mut last = 0;
    for file in files {
        let path = tables.commits.full_path(&file.path)?;
        let bytes = lake.fetch(&path).await?;
        tables.commits.definition().check_file(&path, &bytes)?;
        match evidence_table::read(bytes, file.tag.as_deref()) {
            Ok(commits) => {
                last = commits.last().map_or(last, |commit| commit.version);
                commits
                    .into_iter()
                    .filter(|c| wanted(c.version))
                    .for_each(|commit| show(Commit::read(commit)));
            }
            Err(why) => show(Commit::unreadable(last, path.as_ref(), &why)),
        }
    }
    let copied = tables.commits.position(COPIED);
    let first = copied.map_or(0, |copied| u64::try_from(copied).unwrap_or(0) + 1);
    for version in (first..=newest).filter(|version| wanted(*version)) {
        let entry = tables.trails.log_entry(version).await?;
        let entry = entry.ok_or_else(|| RunsError::VersionGone { version: version.to_string() })?;
        if let Some(commit) = evidence_of(version, &entry) {
            show(Commit::read(commit));
        }
    }
    Ok(())
}
