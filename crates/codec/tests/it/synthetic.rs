//! Our own messages: what lies in `testdata/duis` is what the code gives, and it means what it should.

use crate::it::support::setting;
use gridtrail_codec::capture::Messages;
use gridtrail_codec::synthetic;
use gridtrail_model::{Body, Event, ResponseContent};
use std::path::Path;

/// `GRIDTRAIL_BLESS=1` writes the files anew.
#[test]
fn the_files_are_what_the_code_gives() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/duis");
    if setting("GRIDTRAIL_BLESS").is_some() {
        std::fs::create_dir_all(&folder).unwrap();
        for (name, bytes) in synthetic::files() {
            std::fs::write(folder.join(name), bytes).unwrap();
        }
    }
    for (name, bytes) in synthetic::files() {
        let found = std::fs::read(folder.join(name)).unwrap_or_default();
        assert!(found == bytes, "{name} differs; GRIDTRAIL_BLESS=1 writes it anew");
    }
    let files = std::fs::read_dir(&folder).unwrap().count();
    assert_eq!(files, synthetic::files().len(), "a file too many");
}

fn events(file: &str) -> Vec<Event> {
    let (_, bytes) = synthetic::files().into_iter().find(|(name, _)| *name == file).unwrap();
    Messages::new(&bytes).unwrap().map(|message| message.unwrap().decode().unwrap()).collect()
}

/// The kinds, in order, as the day was written.
#[test]
fn the_household_day_reads_as_it_was_written() {
    let kinds: Vec<String> = events("household-day.xml").iter().map(kind).collect();
    let expected = [
        "4.8.1 cv1",
        "ack I99",
        "answer 4.8.1",
        "4.6.1 cv1",
        "ack I99",
        "N13 NO_RESPONSE",
        "ack E21",
        "4.17 cv1",
        "ack I99",
        "answer 4.17",
        "2.1 cv4",
        "pre-command",
        "2.1 cv5",
        "ack I99",
        "answer 2.1",
        "8F66 1/2",
        "8F66 2/2",
        "5.1 cv8",
        "ack I0",
        "run of 640021",
        "8.3 cv8",
        "ack I99",
        "8F36",
        "AD1",
    ];
    assert_eq!(kinds, expected);
    let failed: Vec<String> = events("future-dated-failure.xml").iter().map(kind).collect();
    assert_eq!(failed, ["2.1 cv5", "ack I99", "answer 2.1", "8F66 1/2", "8F67 2/2"]);
}

fn kind(event: &Event) -> String {
    let about = &event.correlation;
    match &event.body {
        Body::RequestReceived(_) => {
            format!("{} cv{}", about.variant.unwrap(), about.command_variant.unwrap())
        }
        Body::ResponseSent(response) => match response.content {
            ResponseContent::Acknowledgement => format!("ack {}", response.code),
            ResponseContent::ServiceResponse => format!("answer {}", about.variant.unwrap()),
            ResponseContent::PreCommand => "pre-command".into(),
            ResponseContent::LocalCommand => "local command".into(),
            ResponseContent::ScheduledRead { schedule_id } => format!("run of {schedule_id}"),
            ResponseContent::FutureDatedAlert { carried_out, instruction } => {
                let code = if carried_out { "8F66" } else { "8F67" };
                format!("{code} {}/{}", instruction.number, instruction.total)
            }
        },
        Body::DeviceAlert(alert) => alert.code.to_string(),
        Body::DccAlert(alert) => match &alert.affects {
            Some(affected) => format!("{} {}", alert.code, affected.state),
            None => alert.code.to_string(),
        },
        Body::StatusChanged(change) => change.state.to_string(),
    }
}
