//! Housekeeping: what it works with. What it does stands beside this, a file each.

use crate::error::LakeError;
use crate::lake::Lake;
use crate::tables::registry::Tables;
use gridtrail_model::Timestamp;

/// The lake's housekeeping. Any number may run at once: one wins, the others change nothing.
#[derive(Debug)]
pub struct Maintenance {
    pub(crate) lake: Lake,
    pub(crate) tables: Box<Tables>,
}

impl Maintenance {
    pub(crate) fn now(&self) -> Timestamp {
        self.lake.site().now()
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.now().millis()
    }
}

impl Lake {
    /// The lake's housekeeping. Errors: `Corrupt` when an entry of a log is not ours, or damaged; `Unavailable`.
    pub async fn maintenance(&self) -> Result<Maintenance, LakeError> {
        self.refresh().await?;
        let maintenance = self.inspection().await?;
        maintenance.tables.check_whole()?;
        Ok(maintenance)
    }

    /// The lake's housekeeping, for looking at a lake: also one of which the newest entry of a log is not ours.
    pub async fn inspection(&self) -> Result<Maintenance, LakeError> {
        Ok(Maintenance { lake: self.clone(), tables: self.tables_refreshed().await? })
    }
}
