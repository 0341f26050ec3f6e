//! Which fields of a row a caller is shown: the table of docs/access.md, field by field of the messages, against what the server answers.

use crate::it::fixture::{ANN, BOB, METER, MPAN, World, bearer_of, done_row, now, of_meter, with_header};
use crate::it::rights::world_of;
use gridtrail_model::{DeviceId, Fragment, HistoryEntry, Instruction, Mode, State, Subject, TrailKey};
use gridtrail_proto::query::v1::{GetRequest, RowView, SearchRequest, TrailRow, search_request::Key};
use prost::Name as _;
use prost_reflect::{DescriptorPool, DynamicMessage, Kind, MessageDescriptor, ReflectMessage as _, Value};
use std::collections::{BTreeMap, BTreeSet};

const ACCESS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/access.md");
/// The heads of the columns of the table.
const RELATIONS: [&str; 3] = ["Own row", "Granted row", "Another User's meter read"];

/// By field, what the table says for each relation.
fn table() -> BTreeMap<String, [bool; 3]> {
    let text = std::fs::read_to_string(ACCESS).unwrap();
    let head = format!("| Field | {} |", RELATIONS.join(" | "));
    let lines = text.lines().skip_while(|line| *line != head).skip(2);
    let cells = lines.take_while(|line| line.starts_with('|')).map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let shown = |cell: &str| match cell {
            "yes" => true,
            "no" => false,
            other => panic!("{other} is neither yes nor no: {line}"),
        };
        assert_eq!(cells.len(), 4, "{line}");
        (cells[0].trim_matches('`').to_owned(), [shown(cells[1]), shown(cells[2]), shown(cells[3])])
    });
    cells.collect()
}

/// Every field of a message by its path, those of messages within it included.
fn fields_of(message: &MessageDescriptor, path: &str, found: &mut BTreeSet<String>) {
    for field in message.fields() {
        let path = format!("{path}{}", field.name());
        match field.kind() {
            Kind::Message(within) if within.package_name() != "google.protobuf" => {
                fields_of(&within, &format!("{path}."), found);
            }
            _ => drop(found.insert(path)),
        }
    }
}

/// Those that have a value.
fn told_in(message: &DynamicMessage, path: &str, found: &mut BTreeSet<String>) {
    for (field, value) in message.fields() {
        let path = format!("{path}{}", field.name());
        let all = match value {
            Value::List(all) => all.clone(),
            one => vec![one.clone()],
        };
        for value in all {
            match value {
                Value::Message(within) if within.descriptor().package_name() != "google.protobuf" => {
                    told_in(&within, &format!("{path}."), found);
                }
                _ => drop(found.insert(path.clone())),
            }
        }
    }
}

fn descriptor() -> MessageDescriptor {
    let pool = DescriptorPool::decode(gridtrail_proto::DESCRIPTORS).unwrap();
    pool.get_message_by_name(&TrailRow::full_name()).unwrap()
}

fn told(rows: &[TrailRow]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for row in rows {
        let mut message = DynamicMessage::new(descriptor());
        message.transcode_from(row).unwrap();
        told_in(&message, "", &mut found);
    }
    found
}

/// A meter read of Ann's of which everything is known that can be of one, an alert to her, and an answer that awaits its request.
fn rows_of_every_field() -> Vec<Fragment> {
    let mut read = done_row();
    let instruction = Some(Instruction { number: 1, total: 2 });
    read.record(HistoryEntry { instruction, ..HistoryEntry::new(State::InstructionDone, now()) });
    read.execution_at.add(now());
    read.schedule_id.add(12);
    read.mode.extend([Mode::OnDemand, Mode::DspScheduled].into_iter());
    let other: DeviceId = "00-DB-12-34-56-78-90-FF".parse().unwrap();
    read.add_besides([other].into_iter(), ["2000000000007".parse().unwrap()].into_iter());
    let alert = crate::it::fixture::alert_that_claims("4.8.1", 9, false);
    let request_id = format!("{ANN}:{METER}:10").parse().unwrap();
    let awaiting = TrailKey { user: read.key.user, subject: Subject::Unjoined(request_id) };
    let mut awaiting = Fragment::new(awaiting, now());
    awaiting.received.add(now());
    awaiting.device.add(METER.parse().unwrap());
    awaiting.variant.add("4.8.1".parse().unwrap());
    vec![read, alert, awaiting]
}

/// All rows that somebody gets of the meter, by every way to them, histories page by page.
async fn shown_to(world: &World, caller: &str, user_ids: &[&str], reads: bool) -> Vec<TrailRow> {
    let authorization = format!("Bearer {}", world.mint(&bearer_of(caller, user_ids, &[1])));
    let by_mpan = SearchRequest { key: Some(Key::Mpxn(MPAN.into())), ..SearchRequest::default() };
    let table = SearchRequest { view: RowView::Table.into(), ..of_meter() };
    let paged = SearchRequest { page_size: 1, ..of_meter() };
    let (mut audit, mut meter_reads) = (world.audit_trails().await, world.meter_reads().await);
    let mut rows = Vec::new();
    for mut request in [of_meter(), by_mpan, table, paged] {
        loop {
            let asked = with_header(request.clone(), &authorization);
            let page = if reads { meter_reads.search(asked).await } else { audit.search(asked).await };
            let page = page.unwrap().into_inner();
            rows.extend(page.rows);
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                break;
            }
        }
    }
    for reference in rows.iter().map(|row| row.reference.clone()).collect::<BTreeSet<_>>() {
        let mut request = GetRequest { reference, history_page_size: 1, ..GetRequest::default() };
        loop {
            let asked = with_header(request.clone(), &authorization);
            let got = if reads { meter_reads.get(asked).await } else { audit.get(asked).await };
            let row = got.unwrap().into_inner().row.unwrap();
            request.history_page_token = row.details.as_ref().unwrap().next_history_page_token.clone();
            rows.push(row);
            if request.history_page_token.is_empty() {
                break;
            }
        }
    }
    rows
}

#[tokio::test]
async fn the_table_of_fields_is_what_the_server_answers() {
    let table = table();
    let mut all = BTreeSet::new();
    fields_of(&descriptor(), "", &mut all);
    let listed: BTreeSet<String> = table.keys().cloned().collect();
    assert_eq!(listed, all, "of each field of a row it is decided who is shown it");

    let world = World::serve_rows(rows_of_every_field()).await;
    world.admission.replace(world_of("granted"));
    let own = shown_to(&world, ANN, &[ANN], false).await;
    let own_reads = shown_to(&world, ANN, &[ANN], true).await;
    let granted = shown_to(&world, BOB, &[BOB, ANN], false).await;
    let granted_reads = shown_to(&world, BOB, &[BOB, ANN], true).await;
    let of_another = shown_to(&world, BOB, &[BOB], true).await;
    assert!(shown_to(&world, BOB, &[BOB], false).await.is_empty());
    assert!(!of_another.is_empty() && !own_reads.is_empty());
    for (at, rows) in
        [[own, own_reads].concat(), [granted, granted_reads].concat(), of_another].iter().enumerate()
    {
        let said: BTreeSet<String> =
            table.iter().filter(|(_, shown)| shown[at]).map(|(field, _)| field.clone()).collect();
        assert_eq!(told(rows), said, "{}", RELATIONS[at]);
    }
}

/// The four regions of the Self-Service Interface are shown to all, and not by which radio network that is.
#[tokio::test]
async fn anothers_meter_read_tells_no_cause_schedule_or_raw_region() {
    let world = World::serve_rows(rows_of_every_field()).await;
    let rows = shown_to(&world, BOB, &[BOB], true).await;
    for row in &rows {
        assert_eq!(row.user_id, ANN);
        let text = format!("{row:?}");
        for secret in ["threshold 3", "4G North", "00-DB-12-34-56-78-90-FF", "2000000000007"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        assert!(row.details.as_ref().is_none_or(|details| details.csp_region == "North"));
    }
    let states: BTreeSet<&str> = rows
        .iter()
        .flat_map(|row| &row.details)
        .flat_map(|details| &details.status_change_history)
        .map(|entry| entry.state.as_str())
        .collect();
    assert!(states.contains("QUARANTINED") && states.contains("RECEIVED"), "{states:?}");
}
