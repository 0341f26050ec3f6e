//! The values of a report's rows, and how each is written as a text.

use crate::report::{ColumnKind, Report};
use crate::uk::ZONE;
use arrow::array::{
    Array as _, ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, TimeUnit};
use chrono::{DateTime, NaiveDate, SecondsFormat, TimeZone as _};
use chrono_tz::Europe::London;
use std::fmt;

/// A value of a row. As a text it is what tables, CSV and pages have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    /// None.
    Empty,
    /// A text.
    Text(&'a str),
    /// A whole number.
    Number(i64),
    /// A number with decimals.
    Decimal(f64),
    /// Milliseconds since the epoch, shown in UTC.
    Time(i64),
    /// Milliseconds since the epoch, shown as clocks in the United Kingdom show them.
    UkTime(i64),
    /// Days since the epoch.
    Date(i32),
    /// Yes or no.
    Flag(bool),
}

/// The zone that instants of columns have: one that needs no table of zones.
const UTC: &str = "+00:00";

/// How the values of a column lie in a batch.
pub(crate) fn data_type(kind: ColumnKind) -> DataType {
    let time = |zone: &str| DataType::Timestamp(TimeUnit::Millisecond, Some(zone.into()));
    match kind {
        ColumnKind::Text => DataType::Utf8,
        ColumnKind::Number => DataType::Int64,
        ColumnKind::Decimal => DataType::Float64,
        ColumnKind::Time => time(UTC),
        ColumnKind::UkTime => time(ZONE),
        ColumnKind::Date => DataType::Date32,
        ColumnKind::Flag => DataType::Boolean,
    }
}

/// The cells of one row of a batch of a report, whose columns are of these kinds.
pub fn cells_of<'a>(
    batch: &'a RecordBatch,
    kinds: &'a [ColumnKind],
    row: usize,
) -> impl Iterator<Item = Cell<'a>> + 'a {
    batch.columns().iter().zip(kinds).map(move |(column, kind)| cell_of(column, *kind, row))
}

fn cell_of(column: &ArrayRef, kind: ColumnKind, row: usize) -> Cell<'_> {
    if column.is_null(row) {
        return Cell::Empty;
    }
    let any = column.as_any();
    let cell = match kind {
        ColumnKind::Text => any.downcast_ref::<StringArray>().map(|all| Cell::Text(all.value(row))),
        ColumnKind::Number => any.downcast_ref::<Int64Array>().map(|all| Cell::Number(all.value(row))),
        ColumnKind::Decimal => any.downcast_ref::<Float64Array>().map(|all| Cell::Decimal(all.value(row))),
        ColumnKind::Time => {
            any.downcast_ref::<TimestampMillisecondArray>().map(|all| Cell::Time(all.value(row)))
        }
        ColumnKind::UkTime => {
            any.downcast_ref::<TimestampMillisecondArray>().map(|all| Cell::UkTime(all.value(row)))
        }
        ColumnKind::Date => any.downcast_ref::<Date32Array>().map(|all| Cell::Date(all.value(row))),
        ColumnKind::Flag => any.downcast_ref::<BooleanArray>().map(|all| Cell::Flag(all.value(row))),
    };
    // The columns of a batch of a report have the types of `data_type`.
    cell.unwrap_or(Cell::Empty)
}

impl Report {
    /// What the values of each column are, in order.
    pub fn kinds(&self) -> Vec<ColumnKind> {
        self.columns.iter().map(|column| column.kind).collect()
    }

    /// The cells of a batch of this report, each as a text.
    pub fn texts_of(&self, batch: &RecordBatch) -> Vec<Vec<String>> {
        let kinds = self.kinds();
        let row = |row| cells_of(batch, &kinds, row).map(|cell| cell.to_string()).collect();
        (0..batch.num_rows()).map(row).collect()
    }
}

impl Cell<'_> {
    /// Milliseconds since the epoch that a clock on the wall would seem to show.
    pub(crate) fn wall_millis(&self) -> Option<i64> {
        match self {
            Self::Time(millis) => Some(*millis),
            Self::UkTime(millis) => {
                let local = London.timestamp_millis_opt(*millis).earliest()?;
                Some(local.naive_local().and_utc().timestamp_millis())
            }
            Self::Date(days) => Some(i64::from(*days) * 86_400_000),
            _ => None,
        }
    }
}

impl fmt::Display for Cell<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => Ok(()),
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => number.fmt(f),
            Self::Decimal(number) => number.fmt(f),
            Self::Time(millis) => match DateTime::from_timestamp_millis(*millis) {
                Some(at) => f.write_str(&at.to_rfc3339_opts(SecondsFormat::Millis, true)),
                None => write!(f, "{millis} ms"),
            },
            Self::UkTime(millis) => match London.timestamp_millis_opt(*millis).earliest() {
                Some(at) => f.write_str(&at.to_rfc3339_opts(SecondsFormat::Secs, false)),
                None => write!(f, "{millis} ms"),
            },
            Self::Date(days) => match NaiveDate::from_epoch_days(*days) {
                Some(date) => date.fmt(f),
                None => write!(f, "{days} days"),
            },
            Self::Flag(true) => f.write_str("yes"),
            Self::Flag(false) => f.write_str("no"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_in_their_zone() {
        // 2026-03-29T01:00:00Z: clocks go from one to two.
        let change = 1_774_746_000_000;
        assert_eq!(Cell::Time(change).to_string(), "2026-03-29T01:00:00.000Z");
        assert_eq!(Cell::UkTime(change).to_string(), "2026-03-29T02:00:00+01:00");
        assert_eq!(Cell::UkTime(change - 1_000).to_string(), "2026-03-29T00:59:59+00:00");
        assert_eq!(Cell::UkTime(change).wall_millis(), Some(change + 3_600_000));
        assert_eq!(Cell::Date(20_541).to_string(), "2026-03-29");
    }
}
