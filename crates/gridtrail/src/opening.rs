//! Opening lakes: who makes one, who only finds one, and where none is made.
//!
//! Only `lake create`, `ingest` and `generate --lake` make a lake: any other command that did would leave one behind for every typing
//! error. None is made within another lake or within a table (the lake itself sees to that), nor among event files.

use crate::exit::Failure;
use gridtrail_ingest::holds_events;
use gridtrail_lake::{Lake, LakeError, LakeSettings};
use gridtrail_runtime::Clock;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Opens a lake, made where there is none; settings of an object store come from the environment, as its own tools have
/// it.
pub(crate) async fn open_lake(address: &str) -> Result<Lake, Failure> {
    match open_existing(address).await {
        Err(Failure::Lake(LakeError::NoLake { .. })) => {}
        found => return found,
    }
    check_folder(address)?;
    open_with(LakeSettings::at(address)).await
}

/// Opens a lake that event files are read into, made where there is none.
pub(crate) async fn open_to_ingest(address: &str, files: Option<&Path>) -> Result<Lake, Failure> {
    if let (Some(files), Some(lake)) = (files, folder_of(address)) {
        // What lies there would be taken for event files, run after run.
        let (files, lake) = (real(files), real(&lake));
        if files.is_dir() && lake.starts_with(&files) {
            return Err(among_events(address, &files));
        }
    }
    open_lake(address).await
}

/// Opens a lake to search in, with so much of its runs kept in memory.
pub(crate) async fn open_to_serve(address: &str, cache_mib: u64, read_only: bool) -> Result<Lake, Failure> {
    let settings = LakeSettings::at(address);
    open_with(LakeSettings { cache_bytes: cache_mib << 20, create: false, read_only, ..settings }).await
}

/// Opens a lake that must be there: a wrong address must not leave a lake behind.
pub(crate) async fn open_existing(address: &str) -> Result<Lake, Failure> {
    open_with(LakeSettings { create: false, ..LakeSettings::at(address) }).await
}

async fn open_with(mut settings: LakeSettings) -> Result<Lake, Failure> {
    settings.store_options = store_options();
    Ok(Lake::open(settings, Clock::system()).await?)
}

/// The settings of an object store that the environment has.
pub(crate) fn store_options() -> HashMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with("AWS_"))
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .collect()
}

/// Refuses a folder for a new lake that holds event files, or lies in one that does.
fn check_folder(address: &str) -> Result<(), Failure> {
    let Some(folder) = folder_of(address) else { return Ok(()) };
    let folder = real(&folder);
    match [Some(folder.as_path()), folder.parent()].into_iter().flatten().find(|folder| holds_events(folder))
    {
        Some(folder) => Err(among_events(address, folder)),
        None => Ok(()),
    }
}

fn among_events(address: &str, folder: &Path) -> Failure {
    let reason = format!(
        "no lake can be made at {address}: {} holds event files; choose a folder outside of it",
        folder.display()
    );
    Failure::Argument { argument: "--lake", reason }
}

/// The folder of a lake; `None` where it lies elsewhere.
fn folder_of(address: &str) -> Option<PathBuf> {
    match address.split_once("://") {
        Some(("file", path)) => Some(path.into()),
        Some(_) => None,
        None => Some(address.into()),
    }
}

/// A path without links and dots, as far as it is there.
fn real(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut missing = Vec::new();
    let mut there = path.as_path();
    loop {
        match (there.canonicalize(), there.parent(), there.file_name()) {
            (Ok(real), ..) => return missing.iter().rev().fold(real, |path, name| path.join(name)),
            (Err(_), Some(parent), Some(name)) => {
                missing.push(name.to_owned());
                there = parent;
            }
            _ => return path,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const EVENT: &str = r#"{"eventId": "e-1", "recordedAt": "2026-03-01T00:00:00Z"}"#;

    /// Neither among event files nor right below them; what only looks like them by its name is none.
    #[tokio::test(flavor = "multi_thread")]
    async fn no_lake_is_made_among_event_files() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        fs::create_dir_all(at("events/more")).unwrap();
        fs::write(at("events/a.jsonl"), EVENT).unwrap();
        fs::write(at("truth.jsonl"), "{\"deviceId\": \"x\"}\n").unwrap();
        for wrong in ["events", "events/lake", "events/more/../lake"] {
            let refused = open_lake(&at(wrong)).await.unwrap_err();
            assert!(refused.report().contains("holds event files"), "{wrong}: {}", refused.report());
        }
        let deep = at("events/more/lake");
        let refused = open_to_ingest(&deep, Some(&folder.path().join("events"))).await.unwrap_err();
        assert!(refused.report().contains("holds event files"), "{}", refused.report());
        assert_eq!(fs::read_dir(at("events")).unwrap().count(), 2, "nothing is left behind");
        open_to_ingest(&at("lake"), Some(&folder.path().join("events"))).await.unwrap();
    }

    /// A reader that finds no lake says so and leaves nothing behind; within a lake it says what is there.
    #[tokio::test(flavor = "multi_thread")]
    async fn only_who_may_make_a_lake_does_and_never_within_another() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        for opened in [open_existing(&at("typo")).await, open_to_serve(&at("typo"), 16, false).await] {
            let refused = opened.unwrap_err().report();
            assert!(
                refused.contains("holds no lake") && refused.contains("gridtrail lake create"),
                "{refused}"
            );
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        open_lake(&at("lake")).await.unwrap();
        let before = names(folder.path());
        for (within, what) in [
            ("lake/trails", "is a table"),
            ("lake/trails/x/y", "is a table"),
            ("lake/x", "is another lake"),
            ("lake/x/y", "is another lake"),
            ("lake/_sessions", "is another lake"),
        ] {
            let refused = open_lake(&at(within)).await.unwrap_err().report();
            assert!(refused.contains("no lake can be made") && refused.contains(what), "{within}: {refused}");
            let absent = open_existing(&at(within)).await.unwrap_err().report();
            assert!(absent.contains("holds no lake") && absent.contains(what), "{within}: {absent}");
        }
        assert_eq!(names(folder.path()), before, "nothing is left behind");
    }

    fn names(folder: &Path) -> Vec<PathBuf> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                names.extend(self::names(&path));
            }
            names.push(path);
        }
        names.sort();
        names
    }
}
