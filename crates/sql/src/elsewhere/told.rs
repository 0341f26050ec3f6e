//! What is told of a scan: enough for another process to read the same, and no right to.

use crate::error::SqlError;
use crate::table::{Source, TableOf};
use gridtrail_lake::{Condition, Is, ScanQuery, TrailField, View};
use gridtrail_model::{DeviceId, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What a table reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Told {
    pub(super) table: String,
    /// The address of the lake.
    pub(super) lake: String,
    /// The versions of its tables.
    pub(super) version: String,
    /// How many parts a scan may have.
    pub(super) parts: u32,
    /// The address of the lake whose access log has the caller's calls.
    pub(super) calls: Option<String>,
    /// By what rules the inventory is shown: as of when, in milliseconds, and whether every Type 2 Device is.
    pub(super) inventory: Option<(i64, bool)>,
    /// After when schedules are shown to be due, in milliseconds.
    pub(super) due_after_ms: i64,
    pub(super) is_of_reports: bool,
    /// Rows that are known in one process alone: an Arrow stream, in base64.
    pub(super) rows: Option<Vec<u8>>,
    /// Of a scan, what of the table.
    pub(super) scan: Option<ToldScan>,
}

/// What a scan reads of its table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ToldScan {
    pub(super) wanted: Vec<usize>,
    pub(super) limit: Option<usize>,
    /// In how many parts it comes.
    pub(super) parts: usize,
    /// Which rows of trails.
    query: Option<ToldQuery>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ToldQuery {
    from_ms: Option<i64>,
    to_ms: Option<i64>,
    devices: Option<Vec<String>>,
    conditions: Vec<ToldCondition>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ToldCondition {
    field: String,
    is: ToldIs,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum ToldIs {
    OneOf(BTreeSet<String>),
    Present,
    Absent,
}

impl Told {
    /// What is told of a table, or why nothing can be.
    pub(super) fn of(table: &TableOf, source: &Source) -> Result<Self, SqlError> {
        let lake = source.lake.as_ref().ok_or_else(|| SqlError::Refused {
            what: "carrying out a statement elsewhere of a session that knows no lake".to_owned(),
        })?;
        Ok(Self {
            table: table.name.to_owned(),
            lake: lake.address().to_owned(),
            version: source.snapshot.version().to_string(),
            parts: source.parts.get(),
            calls: source.calls.as_ref().map(|lake| lake.address().to_owned()),
            inventory: source.inventory.map(|rules| (rules.at.millis(), rules.every_type_two)),
            due_after_ms: source.due_after.millis(),
            is_of_reports: source.is_of_reports,
            rows: None,
            scan: None,
        })
    }
}

impl ToldScan {
    pub(super) fn of(
        wanted: &[usize],
        limit: Option<usize>,
        parts: usize,
        query: Option<&ScanQuery>,
    ) -> Self {
        Self { wanted: wanted.to_vec(), limit, parts, query: query.map(ToldQuery::of) }
    }

    /// Which rows of a view. `None`: it says what no scan can be asked.
    pub(super) fn query(&self, view: View) -> Option<ScanQuery> {
        // A scan without parts has no rows, whichever were asked for.
        self.query.as_ref().map_or(Some(ScanQuery::all(view)), |query| query.read(view))
    }
}

impl ToldQuery {
    fn of(query: &ScanQuery) -> Self {
        let condition = |one: &Condition| ToldCondition {
            field: one.field.name().to_owned(),
            is: match &one.is {
                Is::OneOf(texts) => ToldIs::OneOf(texts.clone()),
                Is::Present => ToldIs::Present,
                Is::Absent => ToldIs::Absent,
            },
        };
        let devices = query.devices.as_ref();
        Self {
            from_ms: query.from.map(Timestamp::millis),
            to_ms: query.to.map(Timestamp::millis),
            devices: devices.map(|devices| devices.iter().map(ToString::to_string).collect()),
            conditions: query.conditions.iter().map(condition).collect(),
        }
    }

    fn read(&self, view: View) -> Option<ScanQuery> {
        let time = |millis: Option<i64>| match millis {
            Some(millis) => Some(Some(Timestamp::from_millis(millis)?)),
            None => Some(None),
        };
        let condition = |one: &ToldCondition| {
            Some(Condition {
                field: TrailField::of_view(view).find(|field| field.name() == one.field)?,
                is: match &one.is {
                    ToldIs::OneOf(texts) => Is::OneOf(texts.clone()),
                    ToldIs::Present => Is::Present,
                    ToldIs::Absent => Is::Absent,
                },
            })
        };
        let devices = match &self.devices {
            Some(devices) => {
                let read = devices.iter().map(|device| device.parse().ok());
                Some(read.collect::<Option<BTreeSet<DeviceId>>>()?)
            }
            None => None,
        };
        let conditions = self.conditions.iter().map(condition).collect::<Option<_>>()?;
        Some(ScanQuery { view, from: time(self.from_ms)?, to: time(self.to_ms)?, devices, conditions })
    }
}
