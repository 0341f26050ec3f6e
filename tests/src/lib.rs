//! Helpers for the tests of the whole system, which stand in `tests/it`.

use std::path::{Path, PathBuf};

/// The root of the repository.
pub fn repository_root() -> PathBuf {
    // This crate lies directly below the root.
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
