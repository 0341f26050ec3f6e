//! The runs that a look-up goes through, from the newest down, and what it has to wait for.
//!
//! What is in memory is taken one run after the other, since the first may do. What is not is waited for together: first all
//! footers, then the pages of the newest runs that can hold what is sought, then, where those were not enough, of all that are left.
//! So a look-up waits three times at most, however many runs there are.

use crate::definition::Definition;
use crate::error::RunsError;
use crate::limits::{READ_AHEAD_RUNS, RUNS_AT_ONCE};
use crate::pages::cache::RunCache;
use crate::pages::sheet::Sheet;
use crate::run::index::Run;
use crate::run::lookup::{Seeks, open_runs};
use futures::stream::{self, StreamExt, TryStreamExt};
use std::sync::Arc;

/// The runs that a look-up goes through, the newest last.
#[derive(Debug)]
pub struct Touching<'a, R, S> {
    cache: &'a RunCache,
    table: &'static Definition,
    seek: &'a S,
    files: Vec<&'a Arc<R>>,
    /// What was fetched ahead, for the last of the files, in their order.
    ahead: Vec<Vec<Sheet>>,
    waited: bool,
}

impl<'a, R: Run, S: Seeks> Touching<'a, R, S> {
    /// The runs of some files of a table.
    pub fn new(
        (cache, table): (&'a RunCache, &'static Definition),
        seek: &'a S,
        mut files: Vec<&'a Arc<R>>,
    ) -> Self {
        files.sort_by_key(|file| latest_ms(file));
        Self { cache, table, seek, files, ahead: Vec::new(), waited: false }
    }

    /// The latest time that a row of the runs that are left can lie at.
    pub fn horizon_ms(&self) -> Option<i64> {
        self.files.last().map(|file| latest_ms(file))
    }

    /// Takes the newest run that is left: its sheets that can hold what is sought. `None`: none is left.
    pub async fn next(&mut self) -> Result<Option<Vec<Sheet>>, RunsError> {
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

    fn kept(&self, file: &R) -> Result<Option<Vec<Sheet>>, RunsError> {
        let Some(run) = self.cache.opened(file.path()) else { return Ok(None) };
        self.seek.kept(self.cache, &run)
    }

    /// Fetches what the newest of the runs that are left need, or what all of them do.
    async fn fetch(&mut self) -> Result<(), RunsError> {
        let runs = open_runs(self.cache, self.table, &self.files).await?;
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

/// No row of a run lies later.
fn latest_ms<R: Run>(run: &Arc<R>) -> i64 {
    run.facts().times_ms.1
}
