//! Snapshots that can be asked for again: by page tokens, and as of earlier.
//!
//! Those that this process saw as they came share nearly all of what they hold, and cost little each. One that is asked for as of
//! earlier is read from the logs and shares nothing, and whoever asks chooses which. So the two are kept apart, each within a number of
//! bytes, and few are read at the same time.

use crate::limits::{EARLIER_BYTES, EARLIER_READ_AT_ONCE, RECENT_BYTES};
use crate::read::snapshot::{Snapshot, SnapshotVersion};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// A snapshot, and how many bytes it has to itself.
type WeighedSnapshot = (Arc<Snapshot>, u32);

/// Snapshots of a lake.
#[derive(Debug)]
pub(crate) struct KeptSnapshots {
    recent: Cache<SnapshotVersion, WeighedSnapshot>,
    earlier: Cache<SnapshotVersion, WeighedSnapshot>,
    reading: Semaphore,
}

impl KeptSnapshots {
    /// Each for so long after it was last asked for, as far as there is room.
    pub(crate) fn new(life: Duration) -> Self {
        let cache = |bytes, policy| {
            let builder = Cache::builder().time_to_idle(life).max_capacity(bytes).eviction_policy(policy);
            builder.weigher(|_: &SnapshotVersion, (_, bytes): &WeighedSnapshot| *bytes).build()
        };
        Self {
            recent: cache(RECENT_BYTES, EvictionPolicy::lru()),
            // What is asked for once puts nothing out that is asked for again and again.
            earlier: cache(EARLIER_BYTES, EvictionPolicy::tiny_lfu()),
            reading: Semaphore::new(EARLIER_READ_AT_ONCE),
        }
    }

    /// Keeps the newest snapshot. `before` is the one that it follows.
    pub(crate) fn keep_newest(&self, snapshot: &Arc<Snapshot>, before: Option<&Snapshot>) {
        let bytes = within(snapshot.bytes_beside(before), RECENT_BYTES);
        self.recent.insert(snapshot.version.clone(), (Arc::clone(snapshot), bytes));
    }

    /// Keeps one that was read from the logs.
    pub(crate) fn keep_earlier(&self, snapshot: &Arc<Snapshot>) {
        let bytes = within(snapshot.bytes_beside(None), EARLIER_BYTES);
        self.earlier.insert(snapshot.version.clone(), (Arc::clone(snapshot), bytes));
    }

    /// The snapshot of a version, where it is kept.
    pub(crate) fn get(&self, version: &SnapshotVersion) -> Option<Arc<Snapshot>> {
        let kept = self.recent.get(version).or_else(|| self.earlier.get(version));
        kept.map(|(snapshot, _)| snapshot)
    }

    /// Waits until one more may be read from the logs. `None`: the lake is no more.
    pub(crate) async fn may_read(&self) -> Option<SemaphorePermit<'_>> {
        self.reading.acquire().await.ok()
    }

    /// How many snapshots from the logs are kept, and how many bytes those come to.
    #[cfg(test)]
    pub(crate) fn earlier(&self) -> (u64, u64) {
        self.earlier.run_pending_tasks();
        (self.earlier.entry_count(), self.earlier.weighted_size())
    }
}

/// What a snapshot counts for: one is kept however large it is.
fn within(bytes: usize, most: u64) -> u32 {
    u32::try_from((bytes as u64).min(most)).unwrap_or(u32::MAX)
}
