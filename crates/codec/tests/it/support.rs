//! What the tests share.

use std::path::{Path, PathBuf};

/// A setting from the environment of the test run.
pub(crate) fn setting(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// The root of the repository.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The DCC's samples: `DUIS_SAMPLES`, or `../shared/samples` beside the repository; `None` where there are none.
pub(crate) fn samples() -> Option<PathBuf> {
    let folder = setting("DUIS_SAMPLES").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| repository().join("../shared/samples"));
    folder.is_dir().then_some(folder)
}

/// How many cases each fuzzing property runs: `GRIDTRAIL_FUZZ_CASES`, or the everyday number.
pub(crate) fn fuzz_cases(everyday: u32) -> u32 {
    setting("GRIDTRAIL_FUZZ_CASES").and_then(|cases| cases.parse().ok()).unwrap_or(everyday)
}

pub(crate) fn receipt() -> gridtrail_codec::Receipt {
    gridtrail_codec::Receipt {
        recorded_at: "2026-01-05T06:07:08.009Z".parse().unwrap(),
        event_id: Some("test-1".parse().unwrap()),
    }
}

/// Reads a DUIS document with a fixed receipt.
pub(crate) fn duis(xml: &[u8]) -> Result<gridtrail_model::Event, gridtrail_codec::DecodeError> {
    gridtrail_codec::decode(gridtrail_codec::Encoding::DuisXml, xml, Some(&receipt()))
}
