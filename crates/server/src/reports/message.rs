//! Reports as messages.

use crate::limits::{REPORT_PIECE_BYTES, RESPONSE_BYTES_MAX};
use crate::row::{field_bytes, wire_time};
use crate::status::CallError;
use gridtrail_access::Access;
use gridtrail_model::Timestamp;
use gridtrail_proto::query::v1;
use gridtrail_proto::query::v1::report_cell::Value;
use gridtrail_reports::{
    About, AnswerFile, Cell, Chart, ChartKind, Column, ColumnKind, OutputFormat, Parameter, ParameterKind,
    RecordBatch, Report, cells_of,
};
use gridtrail_search::SearchError;
use std::time::Duration;

/// Bytes that a message with one row may have: what clients take, less what stands around the row.
const ROW_BYTES_MAX: usize = RESPONSE_BYTES_MAX - 1024;

/// A report in the list.
pub(super) fn listed(report: &Report) -> v1::ListedReport {
    v1::ListedReport {
        name: report.name.clone(),
        title: report.title.clone(),
        version: report.version,
        purpose: report.purpose.clone(),
    }
}

/// All that is told of a report.
pub(super) fn described(report: &Report, now: Timestamp) -> v1::Report {
    let period = report.period.as_ref().map(|period| v1::ReportPeriod {
        from: period.from.clone(),
        until: period.until.clone(),
        days_max: period.days_max,
    });
    let sort = report.sort.iter();
    let changes = report.changes.iter().map(|change| v1::ReportChange {
        version: change.version,
        since: change.since.clone(),
        what: change.what.clone(),
    });
    v1::Report {
        name: report.name.clone(),
        title: report.title.clone(),
        version: report.version,
        purpose: report.purpose.clone(),
        pertains: report.pertains.clone(),
        freshness_hours: report.freshness_hours,
        tables: report.tables.clone(),
        limits: report.limits.clone(),
        parameters: report.parameters.iter().map(|one| parameter(one, now)).collect(),
        needs_one_of: report.needs_one_of.clone(),
        period,
        columns: report.columns.iter().map(column).collect(),
        sort: sort
            .map(|key| v1::ReportSortKey { column: key.column.clone(), descending: key.descending })
            .collect(),
        chart: report.chart.as_ref().map(chart),
        changes: changes.collect(),
        answer_file: report.appendix_aa.as_ref().map(answer_file),
    }
}

fn parameter(parameter: &Parameter, now: Timestamp) -> v1::ReportParameter {
    let mut message = v1::ReportParameter {
        name: parameter.name.clone(),
        takes: parameter.kind.rule(),
        description: parameter.description.clone(),
        required: parameter.required,
        default: parameter.default.clone().unwrap_or_default(),
        default_now: parameter.default_at(now).unwrap_or_default(),
        ..v1::ReportParameter::default()
    };
    let kind = match &parameter.kind {
        ParameterKind::Text { characters_max } => {
            message.characters_max = *characters_max;
            v1::ReportParameterType::Text
        }
        ParameterKind::Number { min, max } => {
            (message.number_min, message.number_max) = (*min, *max);
            v1::ReportParameterType::Number
        }
        ParameterKind::Choice { values } => {
            message.values.clone_from(values);
            v1::ReportParameterType::Choice
        }
        ParameterKind::Date => v1::ReportParameterType::Date,
        ParameterKind::Month => v1::ReportParameterType::Month,
        ParameterKind::DeviceId => v1::ReportParameterType::DeviceId,
        ParameterKind::Mpxn => v1::ReportParameterType::Mpxn,
        ParameterKind::ServiceReferenceVariant => v1::ReportParameterType::ServiceReferenceVariant,
    };
    message.set_type(kind);
    message
}

fn column(column: &Column) -> v1::ReportColumn {
    let kind = match column.kind {
        ColumnKind::Text => v1::ReportColumnType::Text,
        ColumnKind::Number => v1::ReportColumnType::Number,
        ColumnKind::Decimal => v1::ReportColumnType::Decimal,
        ColumnKind::Time => v1::ReportColumnType::Time,
        ColumnKind::UkTime => v1::ReportColumnType::UkTime,
        ColumnKind::Date => v1::ReportColumnType::Date,
        ColumnKind::Flag => v1::ReportColumnType::Flag,
    };
    v1::ReportColumn {
        name: column.name.clone(),
        r#type: kind.into(),
        unit: column.unit.clone().unwrap_or_default(),
        description: column.description.clone(),
    }
}

fn chart(chart: &Chart) -> v1::ReportChart {
    let kind = match chart.kind {
        ChartKind::Bars => v1::ReportChartKind::Bars,
        ChartKind::Columns => v1::ReportChartKind::Columns,
    };
    v1::ReportChart {
        kind: kind.into(),
        title: chart.title.clone(),
        across: chart.across.clone(),
        sums: chart.sums.clone(),
        by: chart.by.clone().unwrap_or_default(),
    }
}

fn answer_file(file: &AnswerFile) -> v1::ReportAnswerFile {
    v1::ReportAnswerFile {
        columns: file.columns.clone(),
        parameters: file.parameters.clone().into_iter().collect(),
    }
}

/// The form that is asked for; `None`: rows.
pub(super) fn form_of(form: i32) -> Result<Option<OutputFormat>, CallError> {
    let none = || SearchError::invalid("form", format!("one of the forms of ReportForm; found {form}"));
    Ok(match v1::ReportForm::try_from(form).map_err(|_| none())? {
        v1::ReportForm::Unspecified | v1::ReportForm::Rows => None,
        v1::ReportForm::Csv => Some(OutputFormat::Csv),
        v1::ReportForm::Json => Some(OutputFormat::Json),
        v1::ReportForm::Parquet => Some(OutputFormat::Parquet),
        v1::ReportForm::Xlsx => Some(OutputFormat::Xlsx),
        v1::ReportForm::Html => Some(OutputFormat::Html),
        v1::ReportForm::AppendixAa => Some(OutputFormat::AppendixAa),
    })
}

/// What a report says of itself, and how long it may take.
pub(super) fn about_message(
    about: &About,
    (report, who): (&Report, &Access),
    time: Duration,
) -> v1::ReportAbout {
    v1::ReportAbout {
        report: about.report.clone(),
        title: about.title.clone(),
        version: about.version,
        users: about.users.clone(),
        user_ids: who.user_ids().to_set().iter().map(ToString::to_string).collect(),
        party: about.party.clone(),
        asked_by: about.asked_by.clone(),
        parameters: about.parameters.clone().into_iter().collect(),
        complete_up_to: about.complete_up_to.map(wire_time),
        fresh_enough: about.fresh_enough,
        snapshot_version: about.lake_version.clone(),
        made_at: Some(wire_time(about.made_at)),
        columns: report.columns.iter().map(column).collect(),
        time_limit: Some(span(time)),
    }
}

/// A time that something takes.
pub(super) fn span(time: Duration) -> pbjson_types::Duration {
    pbjson_types::Duration {
        seconds: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        // Less than 10^9.
        nanos: i32::try_from(time.subsec_nanos()).unwrap_or_default(),
    }
}

/// The rows of a batch from one on, as many as a message has room for, one at least.
///
/// Errors: a row that no message has room for.
pub(super) fn rows_message(
    batch: &RecordBatch,
    kinds: &[ColumnKind],
    from: usize,
) -> Result<v1::ReportRows, CallError> {
    let (mut rows, mut room) = (Vec::new(), REPORT_PIECE_BYTES);
    for number in from..batch.num_rows() {
        let row = v1::ReportRow { cells: cells_of(batch, kinds, number).map(cell).collect() };
        let bytes = field_bytes(&row);
        if bytes > room && !rows.is_empty() {
            break;
        }
        if bytes > ROW_BYTES_MAX {
            return Err(CallError::ReportRowTooLarge { bytes });
        }
        room = room.saturating_sub(bytes);
        rows.push(row);
    }
    Ok(v1::ReportRows { rows })
}

fn cell(cell: Cell<'_>) -> v1::ReportCell {
    let value = match cell {
        Cell::Empty => None,
        Cell::Text(text) => Some(Value::Text(text.to_owned())),
        Cell::Number(number) => Some(Value::Number(number)),
        Cell::Decimal(number) => Some(Value::Decimal(number)),
        Cell::Time(millis) => Timestamp::from_millis(millis).map(|at| Value::Time(wire_time(at))),
        Cell::UkTime(_) => Some(Value::UkTime(cell.to_string())),
        Cell::Date(_) => Some(Value::Date(cell.to_string())),
        Cell::Flag(flag) => Some(Value::Flag(flag)),
    };
    v1::ReportCell { value }
}
