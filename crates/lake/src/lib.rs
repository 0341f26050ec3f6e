//! A stand-in with the read interface of the lake, holding no rows; the storage engine replaces it whole.

use gridtrail_access::Access;
use gridtrail_model::{DeviceId, Fragment, Mpxn, ServiceReferenceVariant, Timestamp, TrailKey};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The table of trails and what belongs to it.
#[derive(Debug, Clone)]
pub struct Lake(Arc<Snapshot>);

impl Lake {
    /// A lake without rows.
    pub fn empty() -> Self {
        Self(Arc::new(Snapshot { version: SnapshotVersion("0".into()) }))
    }

    /// The newest snapshot seen.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.0)
    }

    /// The snapshot of this version. Errors: `VersionGone`.
    pub async fn snapshot_at(&self, version: &SnapshotVersion) -> Result<Arc<Snapshot>, LakeError> {
        if *version == self.0.version { Ok(self.snapshot()) } else { Err(LakeError::VersionGone) }
    }
}

/// A fixed vector of table versions, such as `12.3.4`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SnapshotVersion(String);

impl fmt::Display for SnapshotVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for SnapshotVersion {
    type Err = LakeError;
    fn from_str(text: &str) -> Result<Self, LakeError> {
        if text.split('.').all(|part| part.parse::<u64>().is_ok()) {
            Ok(Self(text.into()))
        } else {
            Err(LakeError::VersionGone)
        }
    }
}

/// The rows at one version.
#[derive(Debug)]
pub struct Snapshot {
    version: SnapshotVersion,
}

impl Snapshot {
    /// The version.
    pub fn version(&self) -> &SnapshotVersion {
        &self.version
    }

    /// Everything recorded before this time is in the snapshot.
    pub fn complete_up_to(&self) -> Option<Timestamp> {
        None
    }

    /// The rows that the query asks for and the caller may see, newest first.
    pub async fn lookup(&self, _who: &Access, _query: &KeyQuery) -> Result<Vec<Found>, LakeError> {
        Ok(Vec::new())
    }

    /// The Devices seen with a meter point, ascending.
    pub async fn devices_of(&self, _mpxn: Mpxn) -> Result<Vec<DeviceId>, LakeError> {
        Ok(Vec::new())
    }
}

/// What to look up.
#[derive(Debug, Clone)]
pub struct KeyQuery {
    /// The Device.
    pub device: DeviceId,
    /// Whose rows.
    pub view: View,
    /// The variants; none means all.
    pub variants: Vec<ServiceReferenceVariant>,
    /// The earliest placement time, inclusive.
    pub from: Option<Timestamp>,
    /// The latest placement time, inclusive.
    pub to: Option<Timestamp>,
    /// Only rows strictly older than this one.
    pub before: Option<RowPosition>,
    /// The most rows to return.
    pub limit: usize,
    /// Only the row of this key.
    pub key: Option<TrailKey>,
}

/// Whose rows a look-up may return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// The rows of the caller's own User IDs.
    Audit,
    /// Meter reads of every User.
    MeterReads,
}

/// A row's place in the order of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowPosition {
    /// Placement time.
    pub placement: Timestamp,
    /// Key.
    pub key: TrailKey,
}

/// One row found.
#[derive(Debug, Clone)]
pub struct Found {
    /// Placement time.
    pub placement: Timestamp,
    /// The row.
    pub fragment: Fragment,
}

/// Why the lake cannot answer.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// The version is no longer kept.
    #[error("the version is no longer kept")]
    VersionGone,
}

/// What the caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LakeErrorKind {
    /// Try again later.
    Unavailable,
    /// Stored data is damaged.
    Corrupt,
    /// Start again from the newest version.
    VersionGone,
    /// A fault in the program.
    Internal,
}

impl LakeError {
    /// What the caller can do about it.
    pub fn kind(&self) -> LakeErrorKind {
        LakeErrorKind::VersionGone
    }
}
