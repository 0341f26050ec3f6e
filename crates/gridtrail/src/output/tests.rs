//! Tests of what is printed.

use super::trails::{Layout, write_answer};
use super::*;
use crate::args::ListFormat;
use crate::client::View;
use gridtrail_proto::query::v1::{
    DeviceResolution, ProfileResponse, SearchResponse, StatusChange, TrailDetails, TrailRow,
};
use pbjson_types::Timestamp;
use serde_json::{Value, json};

fn at(millis: i32) -> Option<Timestamp> {
    Some(Timestamp { seconds: 1_772_325_000, nanos: millis * 1_000_000 })
}

/// A request that was received and quarantined.
fn row() -> TrailRow {
    TrailRow {
        reference: "AQEC".into(),
        matched_device_id: "88-73-84-57-00-2F-96-1E".into(),
        dcc_service_user_organisation_id: "90-B3-D5-1F-30-01-00-00".into(),
        device_id: "88-73-84-57-00-2F-96-1E".into(),
        gbcs_transaction_sequence_number: Some(u64::MAX),
        service_request_received_at: at(125),
        service_reference: "4.8".into(),
        service_reference_variant: "4.8.1".into(),
        simplified_transaction_status: "In Progress".into(),
        details: Some(TrailDetails {
            csp_region: "North".into(),
            csp_region_raw: "4G North".into(),
            mode_of_operation: "On Demand".into(),
            service_reference_variant_name: "Read Active Import Profile Data".into(),
            request_id: "90-B3-D5-1F-30-01-00-00:88-73-84-57-00-2F-96-1E:1".into(),
            status_change_history: vec![StatusChange {
                at: at(0),
                state: "RECEIVED".into(),
                ..StatusChange::default()
            }],
            ..TrailDetails::default()
        }),
        ..TrailRow::default()
    }
}

fn answer() -> SearchResponse {
    SearchResponse {
        rows: vec![row()],
        complete_up_to: at(0),
        next_page_token: "abc".into(),
        device_resolution: DeviceResolution::BySeenPairs.into(),
        ..SearchResponse::default()
    }
}

fn printed(answer: &SearchResponse, format: ListFormat, details: bool) -> String {
    let mut out = Vec::new();
    let layout = Layout { view: View::Audit, format, details };
    write_answer(&mut out, answer, layout, Some("no such rows")).unwrap();
    String::from_utf8(out).unwrap()
}

/// Names, types, times in UTC and the variant's name are those of proto3 JSON; what is not known is left out, not null.
#[test]
fn json_is_that_of_the_message() {
    let value: Value = serde_json::from_str(&printed(&answer(), ListFormat::Json, false)).unwrap();
    let expected = json!({
        "rows": [{
            "reference": "AQEC",
            "matchedDeviceId": "88-73-84-57-00-2F-96-1E",
            "dccServiceUserOrganisationId": "90-B3-D5-1F-30-01-00-00",
            "deviceId": "88-73-84-57-00-2F-96-1E",
            "gbcsTransactionSequenceNumber": "18446744073709551615",
            "serviceRequestReceivedAt": "2026-03-01T00:30:00.125Z",
            "serviceReference": "4.8",
            "serviceReferenceVariant": "4.8.1",
            "simplifiedTransactionStatus": "In Progress",
            "details": {
                "requestId": "90-B3-D5-1F-30-01-00-00:88-73-84-57-00-2F-96-1E:1",
                "cspRegion": "North",
                "cspRegionRaw": "4G North",
                "modeOfOperation": "On Demand",
                "serviceReferenceVariantName": "Read Active Import Profile Data",
                "statusChangeHistory": [{ "at": "2026-03-01T00:30:00Z", "state": "RECEIVED" }],
            },
        }],
        "nextPageToken": "abc",
        "completeUpTo": "2026-03-01T00:30:00Z",
        "deviceResolution": "DEVICE_RESOLUTION_BY_SEEN_PAIRS",
    });
    assert_eq!(value, expected);
    assert_eq!(printed(&SearchResponse::default(), ListFormat::Json, false), "{}\n");
}

/// A line a row, with a column for each field of the message, also those that no row has.
#[test]
fn csv_has_every_field_of_a_row() {
    let text = printed(&answer(), ListFormat::Csv, false);
    let mut csv = csv::Reader::from_reader(text.as_bytes());
    let header = csv.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = csv.records().collect::<Result<_, _>>().unwrap();
    let cell = |name: &str| &rows[0][header.iter().position(|one| one == name).unwrap()];
    assert_eq!(rows.len(), 1);
    assert_eq!(cell("gbcsTransactionSequenceNumber"), "18446744073709551615");
    assert_eq!(cell("details.serviceReferenceVariantName"), "Read Active Import Profile Data");
    assert_eq!(cell("details.statusChangeHistory"), r#"[{"at":"2026-03-01T00:30:00Z","state":"RECEIVED"}]"#);
    assert_eq!((cell("mpxn"), cell("details.awaitingRequest")), ("", ""));
    let mut out = Vec::new();
    let who = ProfileResponse { user_ids: vec!["a".into(), "=b".into()], ..ProfileResponse::default() };
    proto3::write_csv(&mut out, &[who]).unwrap();
    assert!(text_of(&out).contains("a; '=b"), "{}", text_of(&out));
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn the_table_shows_the_row_the_freshness_and_the_way_on() {
    let table = printed(&answer(), ListFormat::Table, false);
    for part in ["88-73-84-57-00-2F-96-1E", "4.8.1", "In Progress", "On Demand", "AQEC"] {
        assert!(table.contains(part), "{part} is missing:\n{table}");
    }
    let note = "\n1 row, complete up to 2026-03-01T00:30:00.000Z\nNote: The inventory leads to no Device";
    assert!(table.contains(note), "{table}");
    assert!(table.ends_with("\nThere is more: --page-token abc\n"), "{table}");
    assert!(!table.contains("no such rows"));
}

/// UC_MeterRead_001 has the Variant and the Service Reference in its table, and the Variant among the details.
#[test]
fn the_table_of_meter_reads_has_the_variant_and_the_service_reference() {
    let printed = |details| {
        let mut out = Vec::new();
        let layout = Layout { view: View::MeterReads, format: ListFormat::Table, details };
        write_answer(&mut out, &answer(), layout, None).unwrap();
        text_of(&out)
    };
    let cells_of = |line: &str| -> Vec<String> {
        line.split(['│', '┆']).map(|cell| cell.trim().to_owned()).filter(|cell| !cell.is_empty()).collect()
    };
    let table = printed(false);
    let header = cells_of(table.lines().nth(1).unwrap());
    assert_eq!(header[6..], ["Service Reference Variant", "Service Reference", "Status", "Reference"]);
    let row = cells_of(table.lines().find(|line| line.contains("AQEC")).unwrap());
    assert!(row.windows(2).any(|cells| cells == ["4.8.1", "4.8"]), "{table}");
    assert!(!header.iter().any(|name| name == "Mode"), "{table}");
    assert!(printed(true).contains("  Service Reference Variant           4.8.1\n"), "{}", printed(true));
}

#[test]
fn an_empty_answer_says_what_it_may_mean() {
    let empty = printed(&SearchResponse::default(), ListFormat::Table, false);
    assert_eq!(empty, "0 rows; up to when that is complete is not known\nNote: no such rows\n");
}

#[test]
fn details_show_every_known_field_and_the_history() {
    let details = printed(&answer(), ListFormat::Table, true);
    for part in [
        "Request ID ",
        "CSP Region (DUIS)",
        "4G North",
        "    2026-03-01T00:30:00.000Z  RECEIVED\n",
        "Reference ",
    ] {
        assert!(details.contains(part), "{part} is missing:\n{details}");
    }
    assert!(!details.contains("Response Code"), "an unknown field is printed:\n{details}");
}

#[test]
fn one_thing_has_no_plural() {
    let counted = ["row", "commit", "dead letter", "entry", "day", "batch", "event of access", "Party"]
        .map(|one| [count(1_u64, one), count(2_u64, one)].join(", "));
    assert_eq!(
        counted,
        [
            "1 row, 2 rows",
            "1 commit, 2 commits",
            "1 dead letter, 2 dead letters",
            "1 entry, 2 entries",
            "1 day, 2 days",
            "1 batch, 2 batches",
            "1 event of access, 2 events of access",
            "1 Party, 2 Parties",
        ]
    );
    assert_eq!((count(0_u64, "row"), count_of(1, "row")), ("0 rows".to_owned(), "1 row".to_owned()));
}

/// Accepts nothing, as a pipe whose reader went away, or a full disk.
struct Closed(io::ErrorKind);

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_left_is_no_failure_but_a_full_disk_is() {
    assert!(write(&mut Closed(io::ErrorKind::BrokenPipe), b"x").is_ok());
    assert!(write(&mut Closed(io::ErrorKind::StorageFull), b"x").is_err());
}
