//! Tests of what is printed.

use super::*;
use gridtrail_model::{Body, CommandVariant, Correlation, Event, Fold, RequestReceived, Timestamp, UserId};

/// A request that was received and quarantined, seen through the real fold.
fn trail() -> Trail {
    let user: UserId = "90-B3-D5-1F-30-01-00-00".parse().unwrap();
    let at: Timestamp = "2026-03-01T00:30:00.125Z".parse().unwrap();
    let event = Event {
        id: "e-1".parse().unwrap(),
        recorded_at: at,
        correlation: Correlation {
            request_id: Some(
                "90-B3-D5-1F-30-01-00-00:88-73-84-57-00-2F-96-1E:18446744073709551615".parse().unwrap(),
            ),
            request_received_at: Some(at),
            command_variant: CommandVariant::new(1),
            device_id: Some("88-73-84-57-00-2F-96-1E".parse().unwrap()),
            variant: Some("4.8.1".parse().unwrap()),
            gbcs_originator_counter: Some(u64::MAX),
            csp_region: Some("4G North".parse().unwrap()),
            ..Correlation::of_user(user)
        },
        body: Body::RequestReceived(RequestReceived::default()),
    };
    let mut fold = Fold::default();
    fold.add(event).unwrap();
    Trail::from(&fold.into_fragments()[0])
}

fn answer() -> SearchAnswer {
    SearchAnswer {
        rows: vec![TrailRow::from(&trail())],
        complete_up_to: Some("2026-03-01T01:00:00.000Z".into()),
        snapshot_version: None,
        next_page_token: Some("abc".into()),
        notes: vec!["by the pairs seen in events".into()],
    }
}

fn printed(format: Format, details: bool) -> String {
    let mut out = Vec::new();
    write_answer(&mut out, &answer(), format, details).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn the_largest_counter_survives_json() {
    let value: serde_json::Value = serde_json::from_str(&printed(Format::Json, false)).unwrap();
    let row = &value["rows"][0];
    assert_eq!(row["gbcs_transaction_sequence_number"], "18446744073709551615");
    assert_eq!(row["request_received_at"], "2026-03-01T00:30:00.125Z");
    assert_eq!((&row["csp_region"], &row["csp_region_raw"]), (&"North".into(), &"4G North".into()));
    assert_eq!(row["status_change_history"][0]["state"], "RECEIVED");
    // What is not known is left out, not null.
    assert!(row.get("response_sent_at").is_none());
}

#[test]
fn the_table_shows_the_row_the_freshness_and_the_way_on() {
    let table = printed(Format::Table, false);
    for part in ["88-73-84-57-00-2F-96-1E", "4.8.1", "In Progress", "On Demand"] {
        assert!(table.contains(part), "{part} is missing:\n{table}");
    }
    assert!(table.ends_with(
        "1 rows, complete up to 2026-03-01T01:00:00.000Z\nNote: by the pairs seen in events\n\
         There is more: --page-token abc\n"
    ));
}

#[test]
fn details_show_every_known_field_and_the_history() {
    let details = printed(Format::Table, true);
    for part in ["Request ID ", "CSP Region (DUIS)", "4G North", "    2026-03-01T00:30:00.125Z  RECEIVED\n"] {
        assert!(details.contains(part), "{part} is missing:\n{details}");
    }
    assert!(!details.contains("Response Code"), "an unknown field is printed:\n{details}");
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
