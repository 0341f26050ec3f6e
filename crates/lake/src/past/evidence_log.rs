//! All evidence of a lake: what was copied out of the log, and the rest from the log itself.

use crate::commit_evidence::{Commit, evidence_of};
use crate::error::LakeError;
use crate::lake::Lake;
use crate::limits::READ_AT_ONCE_BYTES;
use crate::tables::commits::{self, COPIED, EvidenceFile};
use crate::tables::evidence_summary::EvidenceSummary;
use crate::tables::fates::Fates;
use crate::tables::registry::Tables;
use bytes::Bytes;
use futures::{StreamExt, stream};
use gridtrail_runs::{LOG_READS_AT_ONCE, RunCache, RunsError, Table};
use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};

/// A part of the evidence of a lake.
#[derive(Debug, Clone, PartialEq)]
pub enum EvidencePart {
    /// One commit.
    Commit(Commit),
    /// What those of a whole file come to.
    Summary(Box<EvidenceSummary>),
}

/// Where the evidence of a lake ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvidenceEnd {
    /// The version of the main table up to which it was shown.
    pub version: u64,
    /// Where each source is read next, as that version has it.
    pub positions: BTreeMap<String, i64>,
}

/// Bytes of footers that are kept while evidence is read: each is read once.
const CACHE_BYTES: u64 = 1 << 20;

impl Lake {
    /// Shows every commit that carries evidence, oldest first, as far as the newest that is there now.
    ///
    /// A file of evidence that was changed since it was written counts as one commit, of the version before it, with
    /// one broken piece of evidence: what it held is missing, and what the others hold still counts.
    ///
    /// Cost: every file of the `commits` table, and the log entries that were not copied yet. Memory: one file, or several small ones.
    /// Errors: `Unavailable`; `VersionGone` when the log was cleaned up past what was copied.
    pub async fn evidence(&self, mut show: impl FnMut(Commit)) -> Result<EvidenceEnd, LakeError> {
        let mut tables = self.tables().await;
        tables.trails.refresh().await?;
        tables.commits.refresh().await?;
        [&tables.trails, &tables.commits].into_iter().try_for_each(Table::check_whole)?;
        let version = tables.trails.version();
        let mut show = |part| {
            if let EvidencePart::Commit(commit) = part {
                show(commit);
            }
        };
        Reading { lake: self, tables: &mut tables, after: None, newest: version, summaries: None }
            .show(&mut show)
            .await?;
        let positions = tables.trails.positions();
        let sources = ["file:", "kafka:"].into_iter().flat_map(|kind| positions.numbers_starting_with(kind));
        let positions = sources.map(|(source, at)| (source.to_owned(), at)).collect();
        Ok(EvidenceEnd { version, positions })
    }

    /// What became of all dead letters so far. Cost and errors: those of [`Lake::evidence_since`] from the start.
    pub async fn letter_fates(&self) -> Result<Fates, LakeError> {
        let mut tables = self.tables().await;
        tables.trails.refresh().await?;
        tables.commits.refresh().await?;
        [&tables.trails, &tables.commits].into_iter().try_for_each(Table::check_whole)?;
        let (mut fates, newest) = (Fates::default(), tables.trails.version());
        let mut show = |part| match part {
            EvidencePart::Commit(commit) => fates.take(&commit),
            EvidencePart::Summary(summary) => fates.absorb(summary.fates),
        };
        Reading::summarised(self, &mut tables, None, newest).show(&mut show).await?;
        Ok(fates)
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
        let (mut first, trails) = (end, &tables.trails);
        let read = |version| async move { (version, trails.log_entry(version).await) };
        let mut read = stream::iter((0..end).rev()).map(read).buffered(LOG_READS_AT_ONCE);
        while let Some((version, entry)) = read.next().await {
            let Some(entry) = entry? else { break };
            first = version;
            evidence_of(version, &entry).map(Commit::read).into_iter().for_each(&mut show);
        }
        Ok(first..end)
    }

    /// Shows what the evidence comes to of all commits that came after the version `after` and that this process's newest snapshot has,
    /// oldest first: the commits themselves, or where all of a file's are wanted, what those come to. Returns the version of that
    /// snapshot: what to give as `after` the next time.
    ///
    /// Cost: the log entries in between; from the start, or where those were cleaned up, the tails of the files of the `commits` table and
    /// what was not copied yet. Files that earlier versions wrote, and maintenance has not gathered since, are read whole. Errors as
    /// those of [`Lake::evidence`], and then some commits may have been shown already.
    pub async fn evidence_since(
        &self,
        after: Option<u64>,
        mut show: impl FnMut(EvidencePart),
    ) -> Result<u64, LakeError> {
        let newest = self.snapshot().version().trails();
        if after.is_some_and(|after| after >= newest) {
            return Ok(newest);
        }
        let mut tables = self.tables().await;
        let mut after = after;
        if let Some(first) = after.map(|after| after + 1) {
            let next = show_entries(&tables.trails, first..=newest, &mut show).await?;
            if next > newest {
                return Ok(newest);
            }
            after = Some(next - 1);
        }
        Reading::summarised(self, &mut tables, after, newest).show(&mut show).await?;
        Ok(newest)
    }
}

/// Shows the evidence of log entries, as far as they are there. Returns the version behind the last that was.
async fn show_entries(
    trails: &Table,
    versions: RangeInclusive<u64>,
    show: &mut impl FnMut(EvidencePart),
) -> Result<u64, RunsError> {
    let mut next = *versions.start();
    let read = |version| async move { (version, trails.log_entry(version).await) };
    let mut entries = stream::iter(versions).map(read).buffered(LOG_READS_AT_ONCE);
    while let Some((version, entry)) = entries.next().await {
        let Some(entry) = entry? else { break };
        evidence_of(version, &entry)
            .map(|commit| EvidencePart::Commit(Commit::read(commit)))
            .into_iter()
            .for_each(&mut *show);
        next = version + 1;
    }
    Ok(next)
}

/// Evidence that is to be shown: what was copied, and the log after that.
struct Reading<'a> {
    lake: &'a Lake,
    tables: &'a mut Tables,
    /// Only of later versions.
    after: Option<u64>,
    /// Only up to this version.
    newest: u64,
    /// What files come to will do, where all of their commits are wanted; keeps their footers.
    summaries: Option<RunCache>,
}

/// What was read of a file of evidence.
enum FileRead {
    Summary(Box<EvidenceSummary>),
    Whole(Bytes),
}

impl<'a> Reading<'a> {
    fn summarised(lake: &'a Lake, tables: &'a mut Tables, after: Option<u64>, newest: u64) -> Self {
        let summaries = Some(lake.site().cache_of(CACHE_BYTES));
        Self { lake, tables, after, newest, summaries }
    }

    fn wants(&self, version: u64) -> bool {
        version <= self.newest && self.after.is_none_or(|after| version > after)
    }

    async fn show(self, show: &mut impl FnMut(EvidencePart)) -> Result<(), RunsError> {
        self.tables.commits.refresh().await?;
        let files = commits::in_order(&self.tables.commits);
        // Of the others it is not known what they hold.
        let wanted = |of: &EvidenceFile| {
            of.versions.is_none_or(|(first, last)| {
                first <= self.newest && self.after.is_none_or(|after| last > after)
            })
        };
        let files: Vec<EvidenceFile> = files.filter(wanted).collect();
        let whole = files.iter().filter(|of| !self.may_summarise(of)).map(|of| of.file.size).max();
        let at_once = READ_AT_ONCE_BYTES / whole.unwrap_or(0).max(1);
        let at_once = usize::try_from(at_once).unwrap_or(usize::MAX).clamp(1, LOG_READS_AT_ONCE);
        let mut last = 0;
        {
            let read = |of: EvidenceFile| async { (self.read(&of).await, of) };
            let mut reading = stream::iter(files).map(read).buffered(at_once);
            while let Some((read, of)) = reading.next().await {
                match read? {
                    FileRead::Summary(summary) => show(EvidencePart::Summary(summary)),
                    FileRead::Whole(bytes) => self.show_file(&of, bytes, &mut last, show)?,
                }
                last = of.versions.map_or(last, |(_, end)| end);
            }
        }
        let copied = self.tables.commits.position(COPIED);
        let first = copied.map_or(0, |copied| u64::try_from(copied).unwrap_or(0) + 1);
        let first = self.after.map_or(first, |after| first.max(after + 1));
        if first > self.newest {
            return Ok(());
        }
        let next = show_entries(&self.tables.trails, first..=self.newest, show).await?;
        if next <= self.newest {
            return Err(RunsError::VersionGone { version: next.to_string() });
        }
        Ok(())
    }

    /// Whether a file's summary will do: all of its commits are wanted.
    fn may_summarise(&self, of: &EvidenceFile) -> bool {
        let all = of.versions.is_some_and(|(first, last)| self.wants(first) && self.wants(last));
        all && self.summaries.is_some()
    }

    async fn read(&self, of: &EvidenceFile) -> Result<FileRead, RunsError> {
        let table = &self.tables.commits;
        if let Some(cache) = self.summaries.as_ref().filter(|_| self.may_summarise(of))
            && let Some(summary) = commits::summary(cache, table, &of.file).await?
        {
            return Ok(FileRead::Summary(Box::new(summary)));
        }
        let path = table.full_path(&of.file.path)?;
        let bytes = self.lake.site().fetch(&path).await?;
        table.definition().check_file(&path, &bytes)?;
        Ok(FileRead::Whole(bytes))
    }

    /// Shows the wanted commits of a file. `last` is the last commit that was shown before, and after.
    fn show_file(
        &self,
        of: &EvidenceFile,
        bytes: Bytes,
        last: &mut u64,
        show: &mut impl FnMut(EvidencePart),
    ) -> Result<(), RunsError> {
        let before = *last;
        let read = commits::read(bytes, of.file.tag.as_deref(), |commit| {
            *last = commit.version;
            if self.wants(commit.version) {
                show(EvidencePart::Commit(Commit::read(commit)));
            }
        });
        if let Err(why) = read {
            let path = self.tables.commits.full_path(&of.file.path)?;
            // Of summaries, each is of versions behind the one before.
            let version = of.versions.filter(|_| self.summaries.is_some()).map_or(before, |(_, end)| end);
            show(EvidencePart::Commit(Commit::unreadable(version, path.as_ref(), &why)));
        }
        Ok(())
    }
}
