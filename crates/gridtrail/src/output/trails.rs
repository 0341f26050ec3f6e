//! Rows of the audit trail, as UC_ServiceAudit_001 and UC_MeterRead_001 list their fields.

use super::{Grid, count_of, printable, proto3, table_with, write};
use crate::args::ListFormat;
use crate::client::{View, time};
use crate::exit::Failure;
use gridtrail_proto::query::v1::{DeviceResolution, SearchResponse, StatusChange, TrailDetails, TrailRow};
use std::io::Write;

/// How an answer is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Whose answer it is: each service has a table of its own.
    pub(crate) view: View,
    pub(crate) format: ListFormat,
    /// In place of the table, every field of each row.
    pub(crate) details: bool,
}

/// Writes an answer; `if_empty` says what it may mean that there is no row.
///
/// Errors: the writer's.
pub(crate) fn write_answer(
    out: &mut impl Write,
    answer: &SearchResponse,
    layout: Layout,
    if_empty: Option<&str>,
) -> Result<(), Failure> {
    let printed = match (layout.format, layout.view) {
        (ListFormat::Json, _) => return proto3::write_json(out, answer),
        (ListFormat::Csv, _) => return proto3::write_csv(out, &answer.rows),
        (ListFormat::Table, _) if answer.rows.is_empty() => String::new(),
        (ListFormat::Table, _) if layout.details => details_of(&answer.rows),
        (ListFormat::Table, view) => format!("{}\n", table_of(&answer.rows, view)),
    };
    write(out, (printed + &footer_of(answer, if_empty)).as_bytes())
}

/// The table view of a service, one line a row: UC_ServiceAudit_001 and UC_MeterRead_001 differ in two columns.
fn table_of(rows: &[TrailRow], view: View) -> Grid {
    let (variant, last) = match view {
        View::Audit => ("SRV or alert", "Mode"),
        View::MeterReads => ("Service Reference Variant", "Service Reference"),
    };
    let header = ["Received (UTC)", "Sent (UTC)", "User", "Device", "GBCS sequence", "MPxN"];
    let mut table = table_with(&[&header[..], &[variant, last, "Status", "Reference"]].concat());
    for row in rows {
        let details = row.details.clone().unwrap_or_default();
        let (variant, last) = match view {
            View::Audit if row.service_reference_variant.is_empty() => {
                (details.alert_code, details.mode_of_operation)
            }
            View::Audit => (row.service_reference_variant.clone(), details.mode_of_operation),
            View::MeterReads => (row.service_reference_variant.clone(), row.service_reference.clone()),
        };
        table.add_row([
            time(row.service_request_received_at).unwrap_or_default(),
            time(row.service_response_sent_at).unwrap_or_default(),
            printable(&row.dcc_service_user_organisation_id),
            row.device_id.clone(),
            number(row.gbcs_transaction_sequence_number),
            row.mpxn.clone(),
            variant,
            last,
            row.simplified_transaction_status.clone(),
            row.reference.clone(),
        ]);
    }
    table
}

fn number(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// Every field of each row, one a line, under the specification's names.
pub(crate) fn details_of(rows: &[TrailRow]) -> String {
    let mut printed = String::new();
    for (place, row) in (1..).zip(rows) {
        let details = row.details.clone().unwrap_or_default();
        printed.push_str(&format!("Row {place} of {}\n", rows.len()));
        for (name, value) in fields_of(row, &details).into_iter().filter(|(_, value)| !value.is_empty()) {
            printed.push_str(&format!("  {name:<35} {}\n", printable(&value)));
        }
        printed.push_str("  Status Change History\n");
        for entry in &details.status_change_history {
            printed.push_str(&format!("    {}\n", history_of(entry)));
        }
        for dispute in &details.disputes {
            let others = printable(&dispute.other_claims.join(", "));
            printed.push_str(&format!("  Also claimed for {}: {others}\n", dispute.field));
        }
        printed.push('\n');
    }
    printed
}

fn history_of(entry: &StatusChange) -> String {
    let instruction = match (entry.instruction_number, entry.instruction_total) {
        (Some(number), Some(total)) => format!("{number} of {total}"),
        _ => String::new(),
    };
    let at = time(entry.at).unwrap_or_default();
    let parts = [&at, &entry.state, &entry.response_code, &instruction, &printable(&entry.cause)];
    let parts: Vec<&str> = parts.into_iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
    parts.join("  ")
}

fn fields_of(row: &TrailRow, details: &TrailDetails) -> Vec<(&'static str, String)> {
    let yes = |is: bool| if is { "Yes" } else { "" }.to_owned();
    let anomaly = if details.anomaly_detection_flag { "Yes" } else { "No" };
    vec![
        ("DCC Service User Organisation ID", row.dcc_service_user_organisation_id.clone()),
        ("User ID", row.user_id.clone()),
        ("Device ID", row.device_id.clone()),
        ("GBCS Transaction Sequence Number", number(row.gbcs_transaction_sequence_number)),
        ("MPxN", row.mpxn.clone()),
        ("Service Request Received Date/Time", time(row.service_request_received_at).unwrap_or_default()),
        ("Service Response Sent Date/Time", time(row.service_response_sent_at).unwrap_or_default()),
        ("Service Reference", row.service_reference.clone()),
        ("Service Reference Variant", row.service_reference_variant.clone()),
        ("Name of the Variant", details.service_reference_variant_name.clone()),
        ("Alert Code", details.alert_code.clone()),
        ("Status", row.simplified_transaction_status.clone()),
        ("Current Status", details.current_status.clone()),
        ("Response Code", details.response_code.clone()),
        ("Mode of operation", details.mode_of_operation.clone()),
        ("Command Variant", number(details.command_variant)),
        ("Request ID", details.request_id.clone()),
        ("Response ID", details.response_id.clone()),
        ("Preceding Request ID", details.preceding_request_id.clone()),
        ("CSP Region", details.csp_region.clone()),
        ("CSP Region (DUIS)", details.csp_region_raw.clone()),
        ("Anomaly Detection Flag", anomaly.to_owned()),
        ("DSP Schedule ID", number(details.dsp_schedule_id)),
        ("Execution date and time", time(details.execution_at).unwrap_or_default()),
        ("Awaiting the request's own record", yes(details.awaiting_request)),
        ("Reference", row.reference.clone()),
    ]
}

/// What there is to say about the answer as a whole.
fn footer_of(answer: &SearchResponse, if_empty: Option<&str>) -> String {
    let rows = count_of(answer.rows.len(), "row");
    let mut lines = vec![completeness(&rows, answer.complete_up_to)];
    if answer.rows.is_empty() {
        lines.extend(if_empty.map(|text| format!("Note: {text}")));
    }
    lines.extend(note_of(answer.device_resolution()).map(|note| format!("Note: {note}")));
    if !answer.next_page_token.is_empty() {
        lines.push(format!("There is more: --page-token {}", answer.next_page_token));
    }
    lines.join("\n") + "\n"
}

/// What to know of how Devices were found.
const fn note_of(resolution: DeviceResolution) -> Option<&'static str> {
    match resolution {
        DeviceResolution::BySeenPairs => Some(
            "The inventory leads to no Device at these dates, so Devices are those seen together with the meter point in events. Most \
             requests carry no MPxN, so search by Device ID too.",
        ),
        DeviceResolution::NoMeterPoint => {
            Some("No registration gives this UPRN to a meter point at these dates.")
        }
        DeviceResolution::Unspecified
        | DeviceResolution::Direct
        | DeviceResolution::ByInventory
        | DeviceResolution::ByInventoryAndSeenPairs => None,
    }
}

/// What is there, and up to when that is all.
pub(crate) fn completeness(what: &str, up_to: Option<pbjson_types::Timestamp>) -> String {
    match time(up_to) {
        Some(at) => format!("{what}, complete up to {at}"),
        None => format!("{what}; up to when that is complete is not known"),
    }
}
