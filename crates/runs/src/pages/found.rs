//! What readers made of the rows of keys, kept in memory within a bound.
//!
//! Most readers come back: to a Device of a list, to its audit trail. Rows take a hundredth of the pages that they lie in, and need not be decoded again.
//! Runs never change once written, so nothing is ever invalidated.

use foldhash::fast::RandomState;
use moka::sync::Cache;
use std::any::Any;
use std::sync::Arc;

/// What a key takes beside what was made of its rows.
const KEY_BYTES: usize = 128;

/// What was made of the rows of a key, and how many bytes that takes, about.
#[derive(Debug, Clone)]
struct Found(Arc<dyn Any + Send + Sync>, u32);

/// What readers made of the rows of keys, by the number of the run and the key. Clones are of one memory.
#[derive(Debug, Clone)]
pub struct FoundRows(Cache<(u64, Box<[u8]>), Found, RandomState>);

impl FoundRows {
    pub(super) fn new(bytes_max: u64) -> Self {
        let cache = Cache::builder().max_capacity(bytes_max);
        let cache = cache.weigher(|_: &(u64, Box<[u8]>), found: &Found| found.1);
        Self(cache.build_with_hasher(RandomState::default()))
    }

    /// What was made of the rows of a key in a run, if that is in memory.
    pub fn get<T: Any + Send + Sync>(&self, run: u64, key: &[u8]) -> Option<Arc<T>> {
        self.0.get(&(run, Box::from(key)))?.0.downcast().ok()
    }

    /// Keeps what was made of the rows of a key in a run, of so many bytes.
    pub fn keep<T: Any + Send + Sync>(&self, run: u64, key: &[u8], rows: Arc<T>, bytes: usize) {
        let bytes = u32::try_from(bytes.saturating_add(KEY_BYTES)).unwrap_or(u32::MAX);
        self.0.insert((run, Box::from(key)), Found(rows, bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_that_of_its_run_and_key_and_no_more_than_there_is_room_for() {
        let found = FoundRows::new(4_096);
        found.keep(1, b"key", Arc::new(vec![1_u8]), 1);
        assert_eq!(found.get::<Vec<u8>>(1, b"key").as_deref(), Some(&vec![1]));
        assert_eq!(found.clone().get::<Vec<u8>>(1, b"key").as_deref(), Some(&vec![1]));
        assert!(found.get::<Vec<u8>>(2, b"key").is_none() && found.get::<Vec<u8>>(1, b"other").is_none());
        assert!(found.get::<Vec<u16>>(1, b"key").is_none(), "it is of another reader");
        (0..100).for_each(|run| found.keep(run, b"many", Arc::new(run), 1_000));
        found.0.run_pending_tasks();
        assert!(found.0.weighted_size() <= 4_096);
    }
}
