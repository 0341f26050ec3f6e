//! The memory of a statement that may write to disks.
//!
//! What writes to disks holds up to half of it, shared fairly; the rest may have all that is left. The engine's fair pool has no such half: what
//! writes may hold all of it there, and then the merges, by which it reads again what it wrote and which give nothing up, find nothing. Nor may one
//! merge have all: it takes as many files at once as it has memory for, and does with two. What it needs at least is what a sort holds of its share.

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{
    FairSpillPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation, UnboundedMemoryPool,
};
use std::fmt::{self, Display, Formatter};

/// What the engine calls a sort that reads again what it wrote, and the number of its part.
const MERGE: &str = "ExternalSorterMerge[";

/// So many bytes, half of them for what writes to disks.
#[derive(Debug)]
pub(crate) struct SpillingPool {
    bytes: usize,
    /// Of these, what one merge may have.
    merge_bytes: usize,
    spills: FairSpillPool,
    others: UnboundedMemoryPool,
}

impl SpillingPool {
    /// For a statement of so many parts.
    pub(crate) fn new(bytes: usize, parts: usize) -> Self {
        let merge_bytes = bytes / 2 / parts.max(1);
        let (spills, others) = (FairSpillPool::new(bytes / 2), UnboundedMemoryPool::default());
        Self { bytes, merge_bytes, spills, others }
    }

    fn of(&self, consumer: &MemoryConsumer) -> &dyn MemoryPool {
        if consumer.can_spill() { &self.spills } else { &self.others }
    }
}

impl MemoryPool for SpillingPool {
    fn name(&self) -> &str {
        "spilling"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.of(consumer).register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.of(consumer).unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.of(reservation.consumer()).grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.of(reservation.consumer()).shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let name = reservation.consumer().name();
        let held = reservation.size().saturating_add(additional);
        if name.starts_with(MERGE) && held > self.merge_bytes {
            let bytes = self.merge_bytes;
            return Err(DataFusionError::ResourcesExhausted(format!(
                "{name} would hold {held} bytes of {bytes}"
            )));
        }
        self.of(reservation.consumer()).try_grow(reservation, additional)?;
        // Taken first and looked at then: of two that take at once, both see what both took.
        let reserved = self.reserved();
        if reserved <= self.bytes {
            return Ok(());
        }
        self.shrink(reservation, additional);
        let bytes = self.bytes;
        Err(DataFusionError::ResourcesExhausted(format!(
            "{name} wants {additional} bytes more, and {reserved} would be held of {bytes}"
        )))
    }

    fn reserved(&self) -> usize {
        self.spills.reserved() + self.others.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.bytes)
    }
}

impl Display for SpillingPool {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        write!(to, "{}({} bytes)", self.name(), self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn half_of_it_is_for_what_writes_to_disks_and_the_rest_for_whom_it_is_left() {
        let pool: Arc<dyn MemoryPool> = Arc::new(SpillingPool::new(1_000, 2));
        let consumer = |name, spills| MemoryConsumer::new(name).with_can_spill(spills).register(&pool);
        let (one, other, merge) = (consumer("one", true), consumer("other", true), consumer("merge", false));
        one.try_grow(250).unwrap();
        assert!(one.try_grow(1).is_err(), "half of a half");
        other.try_grow(250).unwrap();
        merge.try_grow(500).unwrap();
        let error = merge.try_grow(1).unwrap_err().to_string();
        assert!(error.contains("merge wants 1 bytes more, and 1001 would be held of 1000"), "{error}");
        assert_eq!(pool.reserved(), 1_000);
        // What a refused one would have taken is given back.
        drop((one, other));
        merge.try_grow(500).unwrap();
        let late = consumer("late", true);
        assert!(late.try_grow(1).is_err());
        drop(merge);
        late.try_grow(500).unwrap();
        drop(late);
        let merge = consumer("ExternalSorterMerge[1]", false);
        merge.try_grow(250).unwrap();
        assert!(merge.try_grow(1).is_err(), "half for the merges of all parts");
        drop(merge);
        assert_eq!(pool.reserved(), 0);
    }
}
