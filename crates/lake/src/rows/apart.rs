//! What a run keeps of which of its rows are not whole, for more of them may lie elsewhere (`edges`).

use deltalake_core::Path;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Other runs of which a run keeps what is alike in both. They come and go.
const NEIGHBOURS: usize = 64;

/// What a run keeps of which of its rows are not whole: by what they lie under, ascending.
#[derive(Debug, Default)]
pub(crate) struct Apart {
    /// By themselves. `None`: nobody looked yet.
    within: Mutex<Option<Arc<[u64]>>>,
    /// With those of another run of the bucket, or of one of the next month at both sides of the month's end.
    with: Mutex<HashMap<Path, Arc<[u64]>>>,
}

impl Apart {
    pub(crate) fn within(&self) -> Option<Arc<[u64]>> {
        self.within.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn keep_within(&self, keys: &[u64]) {
        *self.within.lock().unwrap_or_else(PoisonError::into_inner) = Some(keys.into());
    }

    pub(crate) fn with(&self, other: &Path) -> Option<Arc<[u64]>> {
        self.with.lock().unwrap_or_else(PoisonError::into_inner).get(other).cloned()
    }

    pub(crate) fn keep_with(&self, other: &Path, keys: Arc<[u64]>) {
        let mut kept = self.with.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= NEIGHBOURS {
            kept.clear();
        }
        kept.insert(other.clone(), keys);
    }
}
