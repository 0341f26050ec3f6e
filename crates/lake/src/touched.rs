//! The runs that a look-up goes through, from the newest down, and what it has to wait for.
//!
//! What is in memory is taken one run after the other, since the first may do. What is not is waited for together: first all
//! footers, then the pages of the newest runs that can hold what is sought, then, where those were not enough, of all that are left.
//! So a look-up waits three times at most, however many runs there are.

use crate::limits::{READ_AHEAD_RUNS, RUNS_AT_ONCE};
use crate::lookup::Seek;
use crate::sheet::Sheet;
use crate::snapshot::RunFile;
use futures::stream::{self, StreamExt, TryStreamExt};
use gridtrail_runs::{RunCache, RunsError};
use std::sync::Arc;

/// The runs that a look-up goes through, the newest last.
pub(crate) struct Touching<'a> {
    cache: &'a RunCache,
    seek: &'a Seek,
    files: Vec<&'a Arc<RunFile>>,
    /// What was fetched ahead, for the last of the files, in their order.
    ahead: Vec<Vec<Sheet>>,
    waited: bool,
}

impl<'a> Touching<'a> {
    pub(crate) fn new(cache: &'a RunCache, seek: &'a Seek, mut files: Vec<&'a Arc<RunFile>>) -> Self {
        files.sort_by_key(|file| file.summary.max_received_ms);
        Self { cache, seek, files, ahead: Vec::new(), waited: false }
    }

    /// The latest time that a row of the runs that are left can lie at.
    pub(crate) fn horizon_ms(&self) -> Option<i64> {
        self.files.last().map(|file| file.summary.max_received_ms)
    }

    /// Takes the newest run that is left: its sheets that can hold what is sought. `None`: none is left.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Sheet>>, RunsError> {
        let Some(file) = self.files.last() else { return Ok(None) };
        let kept = match self.ahead.is_empty() {
            true => self.kept(file)?,
            false => None,
        };
        if kept.is_none() && self.ahead.is_empty() {
            self.fetch().await?;
        }
        self.files.pop();
        Ok(kept.or_else(|| self.ahead.pop()))
    }

    fn kept(&self, file: &RunFile) -> Result<Option<Vec<Sheet>>, RunsError> {
        let Some(run) = self.cache.opened(&file.path) else { return Ok(None) };
        self.seek.kept(self.cache, &run)
    }

    /// Fetches what the newest of the runs that are left need, or what all of them do.
    async fn fetch(&mut self) -> Result<(), RunsError> {
        let opening: Vec<_> = self.files.iter().map(|file| file.open(self.cache)).collect();
        let runs: Vec<_> = stream::iter(opening).buffered(RUNS_AT_ONCE).try_collect().await?;
        let mut from = runs.len();
        let mut holding = 0;
        while from > 0 && (self.waited || holding < READ_AHEAD_RUNS) {
            from -= 1;
            holding += usize::from(self.seek.is_met_by(&runs[from]));
        }
        self.waited = true;
        let fetching: Vec<_> = runs[from..].iter().map(|run| self.seek.sheets(self.cache, run)).collect();
        self.ahead = stream::iter(fetching).buffered(RUNS_AT_ONCE).try_collect().await?;
        Ok(())
    }
}
