//! What a reader needs from outside, and what it can be told while it runs.

use crate::cluster::TopicPartition;
use crate::piece::{Piece, Source};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};

/// Where the lake is. Called on the reader's own thread; may block.
pub trait Offsets: Send {
    /// The offset that the lake needs next of each source, in turn; `None` where it knows nothing of a source.
    fn next_of(
        &mut self,
        sources: &[Arc<Source>],
    ) -> Result<Vec<Option<i64>>, Box<dyn std::error::Error + Send + Sync>>;
}

/// What a reader hands on, in order.
#[derive(Debug)]
pub enum Delivery {
    /// Some offsets of a partition.
    Piece(Piece),
    /// Partitions are about to be taken away: commit all that came before, then answer.
    Drain(SyncSender<()>),
}

/// Nobody takes what the reader reads any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

/// Takes deliveries. Blocks while there is no room: that is what bounds the memory.
pub type Sink = Box<dyn FnMut(Delivery) -> Result<(), Closed> + Send>;

/// What the reader's owner can tell it while it runs.
#[derive(Debug, Default)]
pub struct Control {
    stop: AtomicBool,
    /// The newest epoch whose pieces came to nothing.
    failed: AtomicU64,
    committed: Mutex<HashMap<TopicPartition, i64>>,
}

impl Control {
    /// Ends the reader: it hands on what it has, waits for that to be committed, and leaves the group.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// The pieces of this epoch and of those before came to nothing: read again from where the lake is.
    pub fn restart(&self, epoch: u64) {
        self.failed.fetch_max(epoch, Ordering::AcqRel);
    }

    /// Whether the end was asked for.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// The newest epoch whose pieces are to be dropped.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Acquire)
    }

    /// The lake has a partition up to an offset. The group is told, so that Kafka's own tools show how far it is.
    pub fn committed(&self, partition: TopicPartition, offset: i64) {
        self.committed.lock().unwrap_or_else(PoisonError::into_inner).insert(partition, offset);
    }

    /// What the group is to be told since the last time.
    pub(crate) fn take_committed(&self) -> HashMap<TopicPartition, i64> {
        std::mem::take(&mut *self.committed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
