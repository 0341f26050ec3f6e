//! What a run keeps of which of its rows are not whole, for more of them may lie elsewhere (`edges`).

use deltalake_core::Path;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Neighbours of which a run keeps what lies at both sides of the month's end. Runs of the next month come and go.
const NEIGHBOURS: usize = 64;

/// What a run keeps of which of its rows are not whole: by what they lie under, ascending.
#[derive(Debug, Default)]
pub(crate) struct Apart {
    /// By themselves. `None`: nobody looked yet.
    within: Mutex<Option<Arc<[u64]>>>,
    /// With those of a run of the next month.
    across: Mutex<HashMap<Path, Arc<[u64]>>>,
}

impl Apart {
    pub(crate) fn within(&self) -> Option<Arc<[u64]>> {
        self.within.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn keep_within(&self, keys: &[u64]) {
        *self.within.lock().unwrap_or_else(PoisonError::into_inner) = Some(keys.into());
    }

    pub(crate) fn across(&self, next: &Path) -> Option<Arc<[u64]>> {
        self.across.lock().unwrap_or_else(PoisonError::into_inner).get(next).cloned()
    }

    pub(crate) fn keep_across(&self, next: &Path, keys: Arc<[u64]>) {
        let mut across = self.across.lock().unwrap_or_else(PoisonError::into_inner);
        if across.len() >= NEIGHBOURS {
            across.clear();
        }
        across.insert(next.clone(), keys);
    }
}
