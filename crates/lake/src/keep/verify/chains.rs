//! The chains of the access log: every row against its hash and the one before it, against what other chains saw, and what was let
//! go against the table's counts, the retention setting and the clock.
//!
//! What rows say of others was gathered while each file was read. Here all rows are read once more, in order of time, month by month.

use super::Verification;
use crate::tables::access_log;
use gridtrail_access_log::{Audit, Findings, Grounds, Witnesses};
use gridtrail_runs::{RunsError, Table};
use std::collections::BTreeMap;

/// Audits a table, at the version that was looked at. Errors: `Unavailable`; `Corrupt` where a file changed meanwhile.
pub(super) async fn check(
    verification: Verification,
    table: Table,
    witnesses: Witnesses,
) -> Result<Findings, RunsError> {
    let runtime = tokio::runtime::Handle::current();
    let work = move || runtime.block_on(audit(&verification, &table, witnesses));
    let audited = tokio::task::spawn_blocking(work).await;
    audited.map_err(|_| RunsError::Internal("auditing the access log panicked"))?
}

async fn audit(
    verification: &Verification,
    table: &Table,
    witnesses: Witnesses,
) -> Result<Findings, RunsError> {
    let now = verification.lake.clock().now();
    let grounds = Grounds {
        now,
        kept_from: access_log::kept_from(table, now),
        counted: access_log::all_counted(table),
        gone: access_log::all_gone(table),
    };
    let mut audit = Audit::new(witnesses, grounds);
    let mut months: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for file in table.files() {
        months.entry(file.month.clone()).or_default().push(file);
    }
    for files in months.into_values() {
        let mut merge = access_log::merged(&verification.cache, table, &files).await?;
        while let Some(batch) = merge.next().await? {
            access_log::rows(&batch, access_log::NAME)?.iter().for_each(|row| audit.take(row));
        }
    }
    Ok(audit.end())
}
