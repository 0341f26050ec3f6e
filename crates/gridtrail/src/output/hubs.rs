//! A Communications Hub, as UC_HubStatus_001 lists its tables.

use super::{Grid, printable, proto3, table_with, write};
use crate::args::ListFormat;
use crate::client::time;
use crate::exit::Failure;
use gridtrail_proto::query::v1::{GetHubResponse, HubCommand, HubCspData, HubFieldState};
use std::io::Write;

/// Writes an answer.
///
/// Errors: the writer's.
pub(crate) fn write_answer(
    out: &mut impl Write,
    answer: GetHubResponse,
    format: ListFormat,
) -> Result<(), Failure> {
    match format {
        ListFormat::Json => proto3::write_json(out, &answer),
        ListFormat::Csv => proto3::write_csv(out, &[answer]),
        ListFormat::Table => write(out, text_of(&answer).as_bytes()),
    }
}

fn text_of(answer: &GetHubResponse) -> String {
    let tables = match (&answer.csp, answer.tables_open) {
        (Some(csp), true) => format!("{}{}\n", commands_of(&answer.last_commands), fields_of(csp)),
        _ => "The tables of this Communications Hub are open to its Responsible Suppliers, Network Parties and Registered \
              Supplier Agents.\n"
            .to_owned(),
    };
    let may = if answer.may_communicate { "may" } else { "may not" };
    let complete = match time(answer.complete_up_to) {
        Some(at) => format!("complete up to {at}"),
        None => "up to when all is complete is not known".to_owned(),
    };
    format!("{tables}You {may} communicate with {}; {complete}\n", printable(&answer.device_id))
}

fn commands_of(commands: &[HubCommand]) -> String {
    if commands.is_empty() {
        return "No Command is on record.\n".to_owned();
    }
    let mut table = table_with(&["Command issued (UTC)", "Status"]);
    for command in commands {
        table.add_row([time(command.at).unwrap_or_default(), printable(&command.success_status)]);
    }
    format!("{table}\n")
}

fn fields_of(csp: &HubCspData) -> Grid {
    let fields = [
        ("Aerial Installed", &csp.aerial_installed),
        ("Aerial Type", &csp.aerial_type),
        ("Birth Event", &csp.birth_event),
        ("Network Status", &csp.network_status),
        ("Deactivation Date/Time", &csp.deactivation),
        ("SMWAN Connectivity Status", &csp.smwan_connectivity_status),
        ("HAN Status", &csp.han_status),
        ("Last Connection", &csp.last_connection),
        ("Last Tamper", &csp.last_tamper),
        ("Last Outage", &csp.last_outage),
        ("Last Restore", &csp.last_restore),
    ];
    let mut table = table_with(&["Field", "Value"]);
    for (name, field) in fields {
        let Some(field) = field else { continue };
        let is_unknown = field.state() == HubFieldState::Unknown;
        table.add_row([name.to_owned(), if is_unknown { "unknown".into() } else { printable(&field.text) }]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use gridtrail_proto::query::v1::HubField;

    fn field(state: HubFieldState, text: &str) -> Option<HubField> {
        Some(HubField { state: state.into(), text: text.into(), at: None })
    }

    #[test]
    fn the_tables_have_the_fields_of_the_clause() {
        let csp = HubCspData {
            network_status: field(HubFieldState::Provided, "Active\u{7}"),
            han_status: field(HubFieldState::OnDevice, "Requires device communication"),
            last_outage: field(HubFieldState::Unknown, ""),
            ..HubCspData::default()
        };
        let at = Some(pbjson_types::Timestamp { seconds: 1_772_325_000, nanos: 0 });
        let answer = GetHubResponse {
            device_id: "02-1D-30-83-F3-E7-83-C0".into(),
            may_communicate: true,
            tables_open: true,
            last_commands: vec![HubCommand { at, success_status: "In Progress".into() }],
            csp: Some(csp),
            ..GetHubResponse::default()
        };
        let text = text_of(&answer);
        for part in ["2026-03-01T00:30:00.000Z", "In Progress", "Active\\u{7}", "Requires device", "unknown"]
        {
            assert!(text.contains(part), "{part} is missing:\n{text}");
        }
        assert!(!text.contains("Deactivation"), "{text}");
        assert!(text.contains("You may communicate with 02-1D-30-83-F3-E7-83-C0"), "{text}");
    }

    #[test]
    fn who_is_shown_no_tables_is_told_to_whom_they_are_open() {
        let text = text_of(&GetHubResponse::default());
        assert!(text.starts_with("The tables") && text.contains("You may not"), "{text}");
        assert!(!text.contains("No Command"), "{text}");
    }
}
