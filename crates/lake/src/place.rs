//! Whether a lake is at a place, or may be made there.

use crate::error::LakeError;
use crate::tables::registry;
use futures::StreamExt;
use gridtrail_runs::{Location, RunsError, Table};
use object_store::path::Path;

/// Says why there is no lake here; or, where one is to be made, that it can be: it must lie outside of every table and every other
/// lake, whose maintenance would take it for files that nobody names, and delete it.
///
/// Errors: `NoLake`, `Occupied`; `Location` when the address is no path.
pub(crate) async fn check_absent(location: &Location, address: &str, make: bool) -> Result<(), LakeError> {
    let refuse = |why: object_store::path::Error| {
        LakeError::Runs(RunsError::Location { address: address.to_owned(), why: why.to_string() })
    };
    let root = Path::from_url_path(location.url.path()).map_err(refuse)?;
    let parts: Vec<_> = root.parts().collect();
    let around = (0..=parts.len()).rev().map(|depth| Path::from_iter(parts[..depth].iter().cloned()));
    for folder in around {
        let holds = if holds_log(location, &folder, "_delta_log").await {
            "is a table"
        } else if folder != root && holds_log(location, &folder, registry::main()).await {
            "is another lake"
        } else {
            continue;
        };
        let named = named(location, &folder);
        return Err(if make {
            LakeError::Occupied { address: address.to_owned(), folder: named, holds }
        } else {
            LakeError::NoLake { address: address.to_owned(), hint: format!("; {named} {holds}") }
        });
    }
    if make {
        return Ok(());
    }
    let hint = "; look for a typing error, or make one with `gridtrail lake create` or `gridtrail ingest`"
        .to_owned();
    Err(LakeError::NoLake { address: address.to_owned(), hint })
}

/// Whether a folder holds the log of a table: of its own, or of a table in it. What cannot be looked into is no obstacle: nobody
/// who may not read it keeps it.
async fn holds_log(location: &Location, folder: &Path, name: &str) -> bool {
    let log = match name {
        "_delta_log" => folder.clone().join(name),
        table => folder.clone().join(table).join("_delta_log"),
    };
    let mut entries = location.store.list(Some(&log));
    matches!(entries.next().await, Some(Ok(_)))
}

/// A path in the store as people write it.
fn named(location: &Location, path: &Path) -> String {
    if location.is_files { format!("/{path}") } else { format!("{}:{path}", location.url.scheme()) }
}

/// Refuses a place where tables of a lake are, of which the main one has lost its log: it is no place for a new lake.
pub(crate) async fn check_nothing_left(location: &Location) -> Result<(), LakeError> {
    let main = registry::main();
    for name in registry::names() {
        let left = Table::has_rows(location, name).await? || Table::exists(location, name).await?;
        // Another process may be making a lake just now, and makes the main table first.
        if left && !Table::exists(location, main).await? {
            return Err(Table::lost(location, main)?.into());
        }
    }
    Ok(())
}
