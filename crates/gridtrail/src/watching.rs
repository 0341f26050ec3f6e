//! Watching the lake: keeps the newest version in sight, shows metrics, and logs when a source changes its level.

use crate::exit::Failure;
use crate::metrics::Metrics;
use gridtrail_freshness::{Freshness as _, Level, Report, SourceKey, SourceReport, Watch};
use gridtrail_lake::{Lake, LakeError, StoppedAt};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// Keeps a lake's newest version in sight, for ever. Metrics, where there are any, are brought up to date each time.
pub(crate) async fn keep_fresh(lake: Lake, watch: Arc<Watch>, every: Duration, metrics: Option<Metrics>) {
    let (told, failing) = (LastLogged::default(), Failing::default());
    let mut watching = Watching { lake: lake.clone(), watch, metrics, told, failing };
    let mut failing = Failing::default();
    // The first time all evidence is read, which must not hold up what searches see.
    let (ready, mut waits) = oneshot::channel::<()>();
    tokio::join!(
        async {
            while !watching.look().await {
                tokio::time::sleep(every).await;
            }
            drop(ready);
        },
        async {
            // Only waiting is cut short: a refresh is not to be dropped half-way.
            while tokio::time::timeout(every, &mut waits).await.is_err() {
                failing.tell(lake.refresh().await.err());
            }
        }
    );
    loop {
        tokio::time::sleep(every).await;
        watching.look().await;
    }
}

struct Watching {
    lake: Lake,
    watch: Arc<Watch>,
    metrics: Option<Metrics>,
    told: LastLogged,
    failing: Failing,
}

/// Why a lake cannot be refreshed. Logged when that begins, when it is another reason, and when it is over: not each time.
#[derive(Default)]
struct Failing(Option<String>);

impl Failing {
    /// Whether the lake cannot be refreshed.
    fn tell(&mut self, error: Option<LakeError>) -> bool {
        let now = error.map(|error| Failure::from(error).report());
        if now != self.0 {
            match &now {
                // Answers go on at the version before, and say how fresh they are.
                Some(error) => {
                    tracing::warn!(error, "the lake cannot be refreshed; answers stay at the version before")
                }
                None => tracing::info!("the lake is refreshed again"),
            }
        }
        self.0 = now;
        self.0.is_some()
    }
}

impl Watching {
    /// Takes in what was committed since, and tells of it. Whether all that is there was taken in.
    async fn look(&mut self) -> bool {
        let refreshed = self.watch.refresh().await;
        if let (Ok(delays), Some(metrics)) = (&refreshed, &mut self.metrics) {
            metrics.delays(delays);
        }
        // Also when the lake does not answer: what is not refreshed grows old.
        self.told.tell_stopped(self.lake.stopped());
        if let Some(report) = self.watch.report(0) {
            self.told.tell(&report);
            if let Some(metrics) = &mut self.metrics {
                metrics.publish(&report);
                metrics.store_use(&self.lake.store_use());
                metrics.runs(self.lake.most_runs());
            }
        }
        !self.failing.tell(refreshed.err())
    }
}

/// The levels that were told last.
#[derive(Default)]
struct LastLogged {
    sources: BTreeMap<SourceKey, Level>,
    waiting: Option<Level>,
    stopped: Option<StoppedAt>,
}

impl LastLogged {
    fn tell_stopped(&mut self, stopped: Option<StoppedAt>) {
        if stopped == self.stopped {
            return;
        }
        match &stopped {
            Some(at) => {
                let (entry, why, remedy) = (&at.entry, &at.why, at.remedy());
                tracing::error!(
                    table = at.table,
                    version = at.version,
                    entry,
                    why,
                    remedy,
                    "{}",
                    at.summary()
                );
            }
            None => tracing::info!("the logs are read on"),
        }
        self.stopped = stopped;
    }

    fn tell(&mut self, report: &Report) {
        for source in &report.sources {
            let SourceReport { source: key, level, lag_ms, open_letters: letters, .. } = source;
            let before = self.sources.insert(key.clone(), *level);
            // At first sight, what was never complete has only just begun, and files never say that more will come.
            let known = lag_ms.is_some() && *key != SourceKey::Files;
            let (source, lag_s) = (key.name(), lag_ms.map(|ms| ms / 1000));
            match change(before, *level, known) {
                LevelChange::None => {}
                LevelChange::Better => tracing::info!(source, %level, lag_s, letters, "freshness is better"),
                LevelChange::Worse => tracing::warn!(source, %level, lag_s, letters, "freshness is worse"),
                LevelChange::First => tracing::info!(source, %level, lag_s, letters, "freshness is judged"),
            }
        }
        let waiting = report.waiting;
        // At first sight, a sweep may be due that joins them.
        let (level, rows, late) = (waiting.level, waiting.rows, waiting.late);
        match change(self.waiting.replace(level), level, false) {
            LevelChange::Better => tracing::info!(%level, rows, late, "fewer answers wait for their request"),
            LevelChange::Worse => {
                tracing::warn!(%level, rows, late, "answers have waited too long for their request")
            }
            LevelChange::None | LevelChange::First => {}
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum LevelChange {
    None,
    First,
    Better,
    Worse,
}

fn change(before: Option<Level>, level: Level, known: bool) -> LevelChange {
    match before {
        None if level > Level::Fresh && known => LevelChange::Worse,
        None => LevelChange::First,
        Some(before) if level > before => LevelChange::Worse,
        Some(before) if level < before => LevelChange::Better,
        Some(_) => LevelChange::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_told_once_and_as_a_warning_when_it_is_worse() {
        let cases = [
            (None, Level::Fresh, true, LevelChange::First),
            (None, Level::Warn, true, LevelChange::Worse),
            (None, Level::Breach, false, LevelChange::First),
            (Some(Level::Fresh), Level::Fresh, true, LevelChange::None),
            (Some(Level::Warn), Level::Critical, false, LevelChange::Worse),
            (Some(Level::Breach), Level::Warn, true, LevelChange::Better),
        ];
        for (before, level, known, expected) in cases {
            assert_eq!(change(before, level, known), expected, "{before:?} {level}");
        }
    }
}
