//! Checksums: what the bytes of a file were when it was written.
//!
//! Every file that a commit names carries the XXH64 (seed 0) of its bytes in a tag of its own, so that a byte that changes
//! afterwards, anywhere in the file, is found by reading the file and nothing else. A run carries the sum of its tail in
//! another tag, and those of its pages in its footer ([`crate::pages::sums`]): of those only parts are read.

use crate::error::RunsError;
use deltalake_core::{ObjectStore, Path};
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use xxhash_rust::xxh64::{Xxh64, xxh64};

/// What is wrong with bytes whose sum is another one.
pub const ALTERED: &str = "its bytes are not those that were written: their XXH64 is another one";
/// The seed of every checksum.
const SEED: u64 = 0;

/// What was written into a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// How many bytes.
    pub size: u64,
    /// XXH64 of its bytes.
    pub xxh64: u64,
    /// Its tail, where the footer has the sums of its pages.
    pub tail: Option<Tail>,
}

/// What follows the pages of a run: bloom filters, page indexes and footer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tail {
    /// How many bytes.
    pub bytes: u64,
    /// XXH64 of them.
    pub xxh64: u64,
}

impl Written {
    /// Of a file that holds these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self { size: bytes.len() as u64, xxh64: sum(bytes), tail: None }
    }
}

impl Tail {
    /// As a tag has it.
    pub fn to_text(self) -> String {
        format!("{}:{}", self.bytes, to_text(self.xxh64))
    }

    /// Reads a tag. `None`: it is none.
    pub fn from_text(text: &str) -> Option<Self> {
        let (bytes, xxh64) = text.split_once(':')?;
        Some(Self { bytes: bytes.parse().ok()?, xxh64: from_text(xxh64)? })
    }
}

/// The checksum of some bytes.
pub fn sum(bytes: &[u8]) -> u64 {
    xxh64(bytes, SEED)
}

/// A checksum as a tag has it.
pub fn to_text(xxh64: u64) -> String {
    format!("{xxh64:016x}")
}

/// Reads a tag. `None`: it is no checksum.
pub fn from_text(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

/// The checksum of a file, read from front to back.
pub async fn checksum_of(store: &dyn ObjectStore, path: &Path) -> Result<Written, RunsError> {
    let failed = || RunsError::store(format!("read {path}"));
    let mut bytes = store.get(path).await.map_err(failed())?.into_stream();
    let mut checksum = Checksum::new();
    while let Some(part) = bytes.try_next().await.map_err(failed())? {
        checksum.add(&part);
    }
    Ok(checksum.written())
}

/// Takes in bytes one after the other.
pub struct Checksum {
    hash: Xxh64,
    size: u64,
}

impl std::fmt::Debug for Checksum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checksum").field("size", &self.size).finish_non_exhaustive()
    }
}

impl Default for Checksum {
    fn default() -> Self {
        Self::new()
    }
}

impl Checksum {
    /// Of no bytes yet.
    pub fn new() -> Self {
        Self { hash: Xxh64::new(SEED), size: 0 }
    }

    /// Takes in the next bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
    }

    /// What was taken in so far.
    pub fn written(&self) -> Written {
        Written { size: self.size, xxh64: self.hash.digest(), tail: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The checksum is part of the format, so it is held against numbers from elsewhere, and does not depend on how bytes come.
    #[test]
    fn a_checksum_is_what_it_has_always_been() {
        assert_eq!(to_text(Written::of(b"").xxh64), "ef46db3751d8e999");
        assert_eq!(to_text(Written::of(b"abc").xxh64), "44bc2cf5ad770999");
        let mut parts = Checksum::new();
        [&b"a"[..], b"", b"bc"].into_iter().for_each(|part| parts.add(part));
        assert_eq!(parts.written(), Written::of(b"abc"));
        assert_eq!(from_text("44bc2cf5ad770999"), Some(Written::of(b"abc").xxh64));
        assert_eq!(from_text("no"), None);
        let tail = Tail { bytes: 12, xxh64: sum(b"abc") };
        assert_eq!(tail.to_text(), "12:44bc2cf5ad770999");
        assert_eq!(Tail::from_text("12:44bc2cf5ad770999"), Some(tail));
        assert_eq!(Tail::from_text("44bc2cf5ad770999"), None);
    }
}
