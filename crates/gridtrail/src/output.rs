//! Results on standard output: a table for people, JSON for programs.
//!
//! The structs are what a program reads, so their fields are an interface: names are the specification's, in snake
//! case; times are RFC 3339 in UTC; counters are strings, because JSON numbers above 2^53 lose digits in most readers.
//! Fields without a value are left out.

use crate::args::Format;
use crate::exit::Failure;
use comfy_table::{Cell, Table, presets};
use gridtrail_model::{HistoryEntry, Trail};
use serde::Serialize;
use std::io::{self, Write};

/// The answer to one search.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SearchAnswer {
    /// The rows, newest first.
    pub rows: Vec<TrailRow>,
    /// Everything the DCC recorded up to this time is in the answer. Absent: not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub complete_up_to: Option<String>,
    /// The version of each table that was searched. The first, of the main table, is what `--as-of` takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_version: Option<String>,
    /// Where the next page begins. Absent: this is the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
    /// What the server wants said about the answer, such as a limit of what it knows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// One row of the audit trail, as UC_ServiceAudit_001 and UC_MeterRead_001 list its fields.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TrailRow {
    /// What names the row, as `gridtrail access explain --row` takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// "DCC Service User Organisation ID", as it is displayed: whose the User ID was.
    pub dcc_service_user_organisation_id: String,
    /// The User ID by itself.
    pub user_id: String,
    /// "Device ID".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    /// "GBCS Transaction Sequence Number", a full unsigned 64-bit number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gbcs_transaction_sequence_number: Option<String>,
    /// "MPxN".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mpxn: Option<String>,
    /// "Service Request Received Date/Time".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_received_at: Option<String>,
    /// "Service Response Sent Date/Time".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_sent_at: Option<String>,
    /// "Service Reference".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_reference: Option<String>,
    /// "Service Reference Variant".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_reference_variant: Option<String>,
    /// The simplified status: "Success", "Failure" or "In Progress".
    pub status: String,
    /// "Request ID".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// "Response ID".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_id: Option<String>,
    /// "CSP Region", one of the SSI's four.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub csp_region: Option<String>,
    /// The region as DUIS wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub csp_region_raw: Option<String>,
    /// "Mode of operation".
    pub mode_of_operation: String,
    /// "Preceding Request ID".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preceding_request_id: Option<String>,
    /// "Command Variant".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command_variant: Option<String>,
    /// "Response Code".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_code: Option<String>,
    /// "Current Status".
    pub current_status: String,
    /// "Anomaly Detection Flag".
    pub anomaly_detection_flag: bool,
    /// The alert code, for an alert.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert_code: Option<String>,
    /// `DSPScheduleID`, for a scheduled run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule_id: Option<String>,
    /// `ExecutionDateTime`, for a future-dated request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution_at: Option<String>,
    /// Whether the request itself is not on record yet.
    pub awaiting_request: bool,
    /// "Status Change History", ascending.
    pub status_change_history: Vec<HistoryRow>,
    /// Fields for which the sources disagree.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub disputes: Vec<DisputeRow>,
}

/// One entry of the Status Change History.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HistoryRow {
    /// When the state was entered.
    pub at: String,
    /// The state.
    pub state: String,
    /// The response code that came with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The instruction of a future-dated command, as "2 of 3".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instruction: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

/// A field for which the sources disagree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DisputeRow {
    /// The field, under the specification's name.
    pub field: String,
    /// What else was claimed.
    pub others: Vec<String>,
}

impl From<&Trail> for TrailRow {
    fn from(trail: &Trail) -> Self {
        Self {
            reference: None,
            // Whose it was is not told here.
            dcc_service_user_organisation_id: format!("({})", trail.user_id),
            user_id: trail.user_id.to_string(),
            device_id: text(&trail.device_id),
            gbcs_transaction_sequence_number: text(&trail.gbcs_transaction_sequence_number),
            mpxn: text(&trail.mpxn),
            request_received_at: text(&trail.received_at),
            response_sent_at: text(&trail.sent_at),
            service_reference: text(&trail.service_reference()),
            service_reference_variant: text(&trail.variant),
            status: trail.simplified.to_string(),
            request_id: text(&trail.request_id),
            response_id: text(&trail.response_id),
            csp_region: trail.csp_region.map(|region| region.to_ssi().to_string()),
            csp_region_raw: text(&trail.csp_region),
            mode_of_operation: trail.mode.to_string(),
            preceding_request_id: text(&trail.preceding_request_id),
            command_variant: text(&trail.command_variant),
            response_code: text(&trail.response_code),
            current_status: trail.current_status.to_string(),
            anomaly_detection_flag: trail.anomaly_detection_flag,
            alert_code: text(&trail.alert_code),
            schedule_id: text(&trail.schedule_id),
            execution_at: text(&trail.execution_at),
            awaiting_request: trail.awaiting_request,
            status_change_history: trail.history.iter().map(HistoryRow::from).collect(),
            disputes: trail
                .disputes
                .iter()
                .map(|dispute| DisputeRow { field: dispute.field.into(), others: dispute.others.clone() })
                .collect(),
        }
    }
}

impl From<&HistoryEntry> for HistoryRow {
    fn from(entry: &HistoryEntry) -> Self {
        Self {
            at: entry.at.to_string(),
            state: entry.state.to_string(),
            code: text(&entry.code),
            instruction: entry.instruction.map(|i| format!("{} of {}", i.number, i.total)),
            cause: text(&entry.cause),
        }
    }
}

fn text<T: ToString>(value: &Option<T>) -> Option<String> {
    value.as_ref().map(T::to_string)
}

/// Writes an answer in the wanted format; `details` adds every field to the table.
///
/// Errors: the writer's.
pub fn write_answer(
    out: &mut impl Write,
    answer: &SearchAnswer,
    format: Format,
    details: bool,
) -> Result<(), Failure> {
    let printed = match format {
        Format::Json => return write_json(out, answer),
        Format::Table if details => details_of(&answer.rows),
        Format::Table => format!("{}\n", table_of(&answer.rows)),
    };
    write(out, (printed + &footer_of(answer)).as_bytes())
}

/// Writes a value as indented JSON, with a line end.
///
/// Errors: the writer's, or a value that JSON cannot hold.
pub fn write_json(out: &mut impl Write, value: &impl Serialize) -> Result<(), Failure> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(Failure::Json)?;
    bytes.push(b'\n');
    write(out, &bytes)
}

/// Writes bytes. A reader that went away, such as `head`, is no failure: it has what it wanted.
///
/// Errors: the writer's.
pub fn write(out: &mut impl Write, bytes: &[u8]) -> Result<(), Failure> {
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::Output(error)),
        _ => Ok(()),
    }
}

/// An empty table with a header.
pub(crate) fn table_with(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(header);
    table
}

/// A text with the control characters in it written out: text of strangers is not to speak to a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

/// The table view of UC_ServiceAudit_001, one line a row.
fn table_of(rows: &[TrailRow]) -> Table {
    let mut table = table_with(&[
        "Received (UTC)",
        "Sent (UTC)",
        "User",
        "Device",
        "GBCS sequence",
        "MPxN",
        "SRV or alert",
        "Mode",
        "Status",
    ]);
    for row in rows {
        let reference = row.service_reference_variant.as_ref().or(row.alert_code.as_ref());
        table.add_row([
            cell(row.request_received_at.as_ref()),
            cell(row.response_sent_at.as_ref()),
            cell(Some(&row.dcc_service_user_organisation_id)),
            cell(row.device_id.as_ref()),
            cell(row.gbcs_transaction_sequence_number.as_ref()),
            cell(row.mpxn.as_ref()),
            cell(reference),
            cell(Some(&row.mode_of_operation)),
            cell(Some(&row.status)),
        ]);
    }
    table
}

fn cell(value: Option<&String>) -> Cell {
    Cell::new(value.map_or("", |text| text.as_str()))
}

/// Every field of each row, one a line, under the specification's names.
fn details_of(rows: &[TrailRow]) -> String {
    let mut printed = String::new();
    for (number, row) in (1..).zip(rows) {
        printed.push_str(&format!("Row {number} of {}\n", rows.len()));
        for (name, value) in fields_of(row) {
            if let Some(value) = value {
                printed.push_str(&format!("  {name:<35} {value}\n"));
            }
        }
        printed.push_str("  Status Change History\n");
        for entry in &row.status_change_history {
            let extras = [&entry.code, &entry.instruction, &entry.cause];
            let extras: Vec<&str> = extras.into_iter().flatten().map(String::as_str).collect();
            let line = format!("    {}  {}  {}", entry.at, entry.state, extras.join("  "));
            printed.push_str(line.trim_end());
            printed.push('\n');
        }
        for dispute in &row.disputes {
            printed.push_str(&format!(
                "  Also claimed for {}: {}\n",
                dispute.field,
                dispute.others.join(", ")
            ));
        }
        printed.push('\n');
    }
    printed
}

fn fields_of(row: &TrailRow) -> Vec<(&'static str, Option<&str>)> {
    let flag = if row.anomaly_detection_flag { "Yes" } else { "No" };
    vec![
        ("DCC Service User Organisation ID", Some(&row.dcc_service_user_organisation_id)),
        ("User ID", Some(&row.user_id)),
        ("Device ID", row.device_id.as_deref()),
        ("GBCS Transaction Sequence Number", row.gbcs_transaction_sequence_number.as_deref()),
        ("MPxN", row.mpxn.as_deref()),
        ("Service Request Received Date/Time", row.request_received_at.as_deref()),
        ("Service Response Sent Date/Time", row.response_sent_at.as_deref()),
        ("Service Reference", row.service_reference.as_deref()),
        ("Service Reference Variant", row.service_reference_variant.as_deref()),
        ("Alert Code", row.alert_code.as_deref()),
        ("Status", Some(&row.status)),
        ("Current Status", Some(&row.current_status)),
        ("Response Code", row.response_code.as_deref()),
        ("Mode of operation", Some(&row.mode_of_operation)),
        ("Command Variant", row.command_variant.as_deref()),
        ("Request ID", row.request_id.as_deref()),
        ("Response ID", row.response_id.as_deref()),
        ("Preceding Request ID", row.preceding_request_id.as_deref()),
        ("CSP Region", row.csp_region.as_deref()),
        ("CSP Region (DUIS)", row.csp_region_raw.as_deref()),
        ("Anomaly Detection Flag", Some(flag)),
        ("DSP Schedule ID", row.schedule_id.as_deref()),
        ("Execution date and time", row.execution_at.as_deref()),
        ("Awaiting the request's own record", row.awaiting_request.then_some("Yes")),
    ]
}

/// What there is to say about the answer as a whole.
fn footer_of(answer: &SearchAnswer) -> String {
    let rows = answer.rows.len();
    let mut lines = vec![match &answer.complete_up_to {
        Some(time) => format!("{rows} rows, complete up to {time}"),
        None => format!("{rows} rows; up to when they are complete is not known"),
    }];
    lines.extend(answer.notes.iter().map(|note| format!("Note: {note}")));
    if let Some(token) = &answer.next_page_token {
        lines.push(format!("There is more: --page-token {token}"));
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests;
