//! Helpers for the tests of the whole system, which stand in `tests/it`.

use std::io::Write;
use std::path::{Path, PathBuf};

/// The root of the repository.
pub fn repository_root() -> PathBuf {
    // This crate lies directly below the root.
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Says what a test did not do, and why: past the test runner, which shows no output of a test that passes. `make test` gathers
/// these lines at its end.
pub fn skipped(what: &str) {
    // Where nobody listens, there is nobody to tell.
    let _ = std::io::stderr().write_all(format!("skipped: {what}\n").as_bytes());
}
