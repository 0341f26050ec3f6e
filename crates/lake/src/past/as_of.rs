//! Time travel: the lake as it was at a version or an instant, within the window that is kept.

use crate::error::LakeError;
use crate::lake::Lake;
use crate::read::snapshot::{Snapshot, SnapshotVersion};
use crate::tables::parked::SWEPT;
use crate::tables::registry::{self, Tables};
use gridtrail_model::Timestamp;
use gridtrail_runs::{RunsError, Table, Windows};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A moment of the lake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AsOf {
    /// A version of the main table.
    Version(u64),
    /// The newest version that was committed at or before this instant, by the clock of who committed it.
    Instant(Timestamp),
}

/// The text is neither a version nor an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a version such as 1204, an instant with its zone such as 2026-03-01T09:30:00Z, or a date such as 2026-03-01, which means its \
     first instant in UTC"
)]
pub struct BadAsOf;

impl FromStr for AsOf {
    type Err = BadAsOf;
    fn from_str(text: &str) -> Result<Self, BadAsOf> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().map(Self::Version).map_err(|_| BadAsOf);
        }
        text.parse().map(Self::Instant).map_err(|_| BadAsOf)
    }
}

impl fmt::Display for AsOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => version.fmt(f),
            Self::Instant(instant) => instant.fmt(f),
        }
    }
}

impl Lake {
    /// The lake as it was, as [`Lake::snapshot_and_instant_as_of`] has it.
    pub async fn snapshot_as_of(&self, as_of: AsOf) -> Result<Arc<Snapshot>, LakeError> {
        Ok(self.snapshot_and_instant_as_of(as_of).await?.0)
    }

    /// The lake as it was, and the instant that this means: of a version, when it was committed. Side tables are taken as they were with
    /// the main table.
    ///
    /// Cost: some log entries of each table, and a checkpoint where the version was not seen before.
    /// Errors: `VersionGone` says the earliest instant that can be asked for; `Unavailable`.
    pub async fn snapshot_and_instant_as_of(
        &self,
        as_of: AsOf,
    ) -> Result<(Arc<Snapshot>, Timestamp), LakeError> {
        // Each has the tables to itself.
        let turn = self.may_travel().await;
        self.refresh().await?;
        let tables = self.tables().await;
        let now = self.clock().now();
        let window = Windows::of(&tables.trails)?.as_of;
        let earliest = now.plus_millis(-i64::try_from(window.as_millis()).unwrap_or(i64::MAX));
        let too_early = || LakeError::TooEarly { earliest };
        let (trails, at_ms) = match as_of {
            AsOf::Version(version) => {
                if version > tables.trails.version() {
                    return Err(LakeError::Runs(RunsError::VersionGone { version: version.to_string() }));
                }
                (version, tables.trails.committed_ms(version).await?.ok_or_else(too_early)?)
            }
            AsOf::Instant(instant) if instant < earliest => return Err(too_early()),
            AsOf::Instant(instant) => {
                let version = newest_at(&tables.trails, instant.millis()).await?.ok_or_else(too_early)?;
                // A version that was the newest until the window began was the newest within it.
                (version, instant.millis())
            }
        };
        if at_ms < earliest.millis() {
            return Err(too_early());
        }
        let version = beside(&tables, trails).await?.ok_or_else(too_early)?;
        drop((tables, turn));
        let snapshot = self.snapshot_at(&version).await.map_err(|error| match error {
            LakeError::Runs(RunsError::VersionGone { .. }) => too_early(),
            other => other,
        })?;
        // It lies between the earliest that can be asked for and what was committed or asked for: a time that there is.
        Ok((snapshot, Timestamp::from_millis(at_ms).ok_or_else(too_early)?))
    }
}

/// The versions of side tables as they were with one of the main table: a side table's part of a commit is there before it.
async fn beside(tables: &Tables, trails: u64) -> Result<Option<SnapshotVersion>, RunsError> {
    let Some(at_ms) = tables.trails.committed_ms(trails).await? else { return Ok(None) };
    let mut versions = BTreeMap::from([(tables.trails.name(), trails)]);
    for (of, table) in registry::ALL.iter().zip(tables.each()).skip(1) {
        if of.is_looked_up() {
            let version = match newest_at(table, at_ms).await? {
                // Before it was made there was nothing in it.
                None if of.came_later() => 0,
                None => return Ok(None),
                Some(version) => version,
            };
            versions.insert(table.name(), version);
        }
    }
    // Within one millisecond a sweep may have taken out of the parked table what a later version of the main table has.
    if let Some(parked) = versions.get_mut(tables.parked.name()) {
        while tables.parked.at(*parked).await?.position(SWEPT).is_some_and(|on| on > trails.cast_signed()) {
            let Some(before) = parked.checked_sub(1) else { return Ok(None) };
            *parked = before;
        }
    }
    Ok(Some(SnapshotVersion::of_tables(|table| versions.get(table).copied().unwrap_or(0))))
}

/// The newest version of a table that was committed at or before a time. `None`: the log does not reach back so far.
async fn newest_at(table: &Table, at_ms: i64) -> Result<Option<u64>, RunsError> {
    // Entries that were cleaned up are those below some version: they count as earlier.
    let (mut low, mut high) = (0, table.version() + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let later = table.committed_ms(middle).await?.is_some_and(|ms| ms > at_ms);
        if later { high = middle } else { low = middle + 1 }
    }
    let Some(version) = low.checked_sub(1) else { return Ok(None) };
    Ok(table.committed_ms(version).await?.map(|_| version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_version_or_an_instant() {
        assert_eq!("12".parse(), Ok(AsOf::Version(12)));
        let instant = "2026-03-01T09:30:00Z".parse().unwrap();
        assert_eq!("2026-03-01T09:30:00Z".parse(), Ok(AsOf::Instant(instant)));
        for wrong in ["", "yesterday", "-1", "99999999999999999999999", "1.0"] {
            assert_eq!(wrong.parse::<AsOf>(), Err(BadAsOf), "{wrong}");
        }
    }
}
