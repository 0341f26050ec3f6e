//! The DCC's own messages, real and derived. They are not ours to ship: read where they lie, else skipped.

use crate::it::support::{duis, samples};
use gridtrail_model::{Body, Event, Mode, ResponseContent};
use std::path::Path;

/// How many files each folder holds.
const FOLDERS: [(&str, usize); 4] = [
    ("duis-requests", 298),
    ("duis-responses", 6),
    ("duis-responses-derived", 565),
    ("duis-alerts-derived", 48),
];

fn is_xml(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("xml"))
}

#[test]
fn every_sample_decodes() {
    let Some(folder) = samples() else {
        let cases: usize = FOLDERS.iter().map(|(_, files)| files).sum();
        return crate::it::skipped(&format!(
            "{cases} DUIS samples are not here; DUIS_SAMPLES names their folder"
        ));
    };
    let mut failures = Vec::new();
    for (name, expected) in FOLDERS {
        let mut decoded = 0;
        for entry in std::fs::read_dir(folder.join(name)).unwrap() {
            let path = entry.unwrap().path();
            if is_xml(&path) {
                match duis(&std::fs::read(&path).unwrap()) {
                    Ok(_) => decoded += 1,
                    Err(error) => failures.push(format!("{}: {error}", path.display())),
                }
            }
        }
        println!("{name}: {decoded} decoded");
        assert!(decoded >= expected || !failures.is_empty(), "{name}: {decoded} of {expected}");
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

fn sample(path: &str) -> Option<Event> {
    let Some(folder) = samples() else {
        crate::it::skipped(path);
        return None;
    };
    Some(duis(&std::fs::read(folder.join(path)).unwrap()).unwrap())
}

#[test]
fn a_profile_read_request() {
    let Some(event) = sample("duis-requests/ECS22b_4.8.1_SINGLE_SUCCESS_REQUEST_DUIS.XML") else { return };
    let about = event.correlation;
    assert_eq!(about.variant.unwrap().to_string(), "4.8.1");
    assert_eq!(about.command_variant.unwrap().number(), 1);
    assert_eq!(about.request_id.unwrap().counter, 1002);
    assert_eq!(about.user_id.to_string(), "90-B3-D5-1F-30-01-00-00");
    assert_eq!(about.device_id.unwrap().to_string(), "00-DB-12-34-56-78-90-A0");
    assert_eq!(about.mode, Some(Mode::OnDemand));
    assert_eq!(about.request_received_at, Some(event.recorded_at));
    assert_eq!(about.gbcs_originator_counter, None);
}

#[test]
fn a_non_device_request_takes_its_device_from_the_body() {
    let Some(event) = sample("duis-requests/8.3_DECOMMISSION_DEVICE_REQUEST_DUIS.XML") else { return };
    assert_eq!(event.correlation.device_id.unwrap().to_string(), "00-DB-12-34-56-78-90-A0");
    assert_eq!(event.correlation.mode, Some(Mode::DccOnly));
    let Some(event) = sample("duis-requests/ECS21a_5.1._DCC_SCHEDULED_REQUEST_DUIS.XML") else { return };
    assert_eq!(event.correlation.device_id.unwrap().to_string(), "00-DB-12-34-56-78-90-A0");
    let path = "duis-requests/8.14.1_COMMUNICATIONS_HUB_STATUS_UPDATE_INSTALL_SUCCESS_REQUEST_DUIS.XML";
    let Some(event) = sample(path) else { return };
    assert_eq!(event.correlation.mpxn.unwrap().to_string(), "1000999888");
    assert_eq!(event.correlation.device_id.unwrap().to_string(), "00-DB-12-34-56-78-90-A2");
}

#[test]
fn the_acknowledgement_with_an_error_code() {
    let Some(event) = sample("duis-responses/acknowledgement-error.xml") else { return };
    let Body::ResponseSent(response) = event.body else { panic!("another body") };
    assert_eq!((response.code.as_str(), response.response_id), ("E65", None));
    assert_eq!(response.content, ResponseContent::Acknowledgement);
    assert_eq!(response.at.to_string(), "2022-07-22T09:37:56.134Z");
    assert_eq!(event.correlation.command_variant, None);
}

#[test]
fn a_real_answer_shows_that_the_two_counters_differ_in_kind() {
    let Some(event) = sample("duis-responses/readfw-response.xml") else { return };
    let about = event.correlation;
    assert_eq!(about.request_id.unwrap().counter, 1_660_751_141_087);
    assert_eq!(about.gbcs_originator_counter, Some(0x0182_ac7b_5a07));
    assert_eq!(about.device_id.unwrap().to_string(), "88-73-84-57-00-2F-96-1E");
    assert_eq!((about.command_variant, about.request_received_at), (None, None));
}

#[test]
fn an_inventory_names_no_device_of_its_own() {
    for path in
        ["duis-responses/read-inventory-response-4g.xml", "duis-responses/read-inventory-response-5.4.xml"]
    {
        let Some(event) = sample(path) else { return };
        assert_eq!((event.correlation.device_id, event.correlation.mpxn), (None, None));
        assert_eq!(event.correlation.variant.unwrap().to_string(), "8.2");
    }
}

#[test]
fn a_scheduled_read_is_known_by_its_response() {
    let Some(event) = sample("duis-responses-derived/4.8.1_DSP_SCHEDULED_MESSAGE_RESPONSE.xml") else {
        return;
    };
    let about = event.correlation;
    assert_eq!((about.request_id, about.mode), (None, Some(Mode::DspScheduled)));
    assert_eq!(about.user_id.to_string(), "90-B3-D5-1F-30-01-00-00");
    assert_eq!(about.device_id.unwrap().to_string(), "00-DB-12-34-56-78-90-A0");
    assert_eq!(about.scheduled_run.unwrap().counter, 1002);
    assert!(matches!(event.body, Body::ResponseSent(response)
        if response.content == ResponseContent::ScheduledRead { schedule_id: 34 }));
}

#[test]
fn dcc_alerts_say_what_has_become_of_a_request() {
    for (file, state, cause) in [
        ("DCCALERT_N13_CommandFailure_no_response.xml", "NO_RESPONSE", None),
        ("DCCALERT_N12_CommandFailure_not_delivered.xml", "FAILED_DELIVERY", None),
        (
            "DCCALERT_N11_CommandFailure_schedule.xml",
            "SCHEDULED_INSTANCE",
            Some("a run of schedule 34 failed: N11"),
        ),
        (
            "DCCALERT_N36_Quarantined_ADUserThresholdBreach.xml",
            "QUARANTINED",
            Some("quarantine event 20251201001"),
        ),
    ] {
        let Some(event) = sample(&format!("duis-alerts-derived/{file}")) else { return };
        let Body::DccAlert(alert) = event.body else { panic!("another body") };
        let affected = alert.affects.unwrap();
        assert_eq!(affected.request_id.to_string(), "90-B3-D5-1F-30-01-00-00:00-DB-12-34-56-78-90-A0:1002");
        assert_eq!(
            (affected.state.as_str(), affected.cause.as_ref().map(|c| c.as_str())),
            (state, cause),
            "{file}"
        );
    }
    let Some(event) = sample("duis-alerts-derived/DCCALERT_N18_FirmwareDistributionFailure.xml") else {
        return;
    };
    assert_eq!(event.correlation.device_id.unwrap().to_string(), "00-DB-12-34-56-78-90-A0");
    let Body::DccAlert(alert) = event.body else { panic!("another body") };
    let affected = alert.affects.unwrap();
    assert_eq!(affected.request_id.to_string(), "90-B3-D5-1F-30-01-00-00:90-B3-D5-1F-30-00-00-02:1000");
    assert_eq!(
        (affected.state.as_str(), affected.cause.as_ref().unwrap().as_str()),
        ("ALERT_RECEIVED", "firmware was not distributed to 1 of its Devices: N18")
    );
    let Some(event) = sample("duis-alerts-derived/DCCALERT_AD1_PowerOutageEvent.xml") else { return };
    assert_eq!(event.correlation.user_id.to_string(), "90-B3-D5-1F-30-01-00-00");
    assert_eq!(event.correlation.device_id.unwrap().to_string(), "00-DB-12-34-56-78-90-A2");
    assert_eq!(event.correlation.mpxn.unwrap().to_string(), "1312345678111");
}
