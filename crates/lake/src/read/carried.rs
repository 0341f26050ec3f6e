//! Rows that a scan holds until it has read where more of them may lie, by what they lie under; and how many they are.

use crate::read::scan::Chain;
use gridtrail_model::DeviceId;
use std::collections::BTreeMap;

/// About how many bytes a fragment takes beside its own size: its claims, and places in lists.
const CLAIMS_BYTES: usize = 1_024;

/// Rows that are not whole yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Carried {
    by_key: BTreeMap<DeviceId, Vec<Chain>>,
    rows: usize,
}

impl Carried {
    pub(crate) fn add(&mut self, under: DeviceId, chain: Chain) {
        self.by_key.entry(under).or_default().push(chain);
        self.rows += 1;
    }

    /// What lies under something, which is not held any longer.
    pub(crate) fn remove(&mut self, under: &DeviceId) -> Vec<Chain> {
        let chains = self.by_key.remove(under).unwrap_or_default();
        self.rows -= chains.len();
        chains
    }

    /// What lies under the first.
    pub(crate) fn pop_first(&mut self) -> Option<(DeviceId, Vec<Chain>)> {
        let (under, chains) = self.by_key.pop_first()?;
        self.rows -= chains.len();
        Some((under, chains))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&DeviceId, &Vec<Chain>)> {
        self.by_key.iter()
    }

    /// About how many bytes they take.
    pub(crate) fn bytes(&self) -> u64 {
        (self.rows * (size_of::<Chain>() + CLAIMS_BYTES)) as u64
    }
}
