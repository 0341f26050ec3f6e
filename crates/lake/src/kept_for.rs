//! For how long tables keep their rows, and what went of them.

use crate::evidence::Expired;
use crate::month::Month;
use gridtrail_model::Timestamp;
use gridtrail_runs::Table;

/// Months that every record is kept for, whatever the setting: SEC Section H8.16.
pub const RETENTION_MONTHS_MIN: u32 = 3;
/// Months that a new lake keeps records for: a year, and the month that it takes to close one.
pub const RETENTION_MONTHS_DEFAULT: u32 = 13;
/// The property that holds the setting.
pub(crate) const MONTHS: &str = "gridtrail.retentionMonths";
/// The position that counts drops.
pub(crate) const DROPS: &str = "retention";

/// For how long a table keeps its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeptFor {
    /// For so many months as the table's setting says, or longer where its own rule says so.
    Months,
    /// Until nothing needs them any more: the table's rule says when that is.
    Needed,
    /// For ever.
    Ever,
}

/// What went from one table.
#[derive(Debug, Default)]
pub(crate) struct Went {
    /// Where rows go by month, and what stays is counted, too.
    pub(crate) months: Vec<MonthRetained>,
    /// Any other rows.
    pub(crate) rows: u64,
    pub(crate) overtaken: u64,
    pub(crate) refused: u64,
}

impl Went {
    /// Nothing of it, where the commit found that another process had been faster.
    pub(crate) fn unless_overtaken(self, committed: Option<u64>) -> Self {
        if committed.is_some() { self } else { Self { rows: 0, overtaken: self.overtaken + 1, ..self } }
    }
}

/// What went from a month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonthRetained {
    /// The month.
    pub month: Month,
    /// What went, and what stayed.
    pub expired: Expired,
}

/// What the table's property says, and no less than must be kept.
pub(crate) fn months_of(table: &Table) -> u32 {
    let set = table.property(MONTHS).and_then(|text| text.parse().ok());
    set.unwrap_or(RETENTION_MONTHS_DEFAULT).max(RETENTION_MONTHS_MIN)
}

/// The properties of a new table.
pub(crate) fn made_with() -> Vec<(&'static str, String)> {
    vec![(MONTHS, RETENTION_MONTHS_DEFAULT.to_string())]
}

/// No row goes whose latest message is as young as this.
pub(crate) fn floor(now: Timestamp) -> Timestamp {
    now.day_start().months_ago(RETENTION_MONTHS_MIN)
}
