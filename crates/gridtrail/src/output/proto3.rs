//! Messages of the API as proto3 JSON and as CSV, by their descriptors: whoever reads the service reads the command, and a field that
//! is added to a message is in both.

use super::{Grid, csv_cell, write};
use crate::exit::Failure;
use prost::{Message, Name};
use prost_reflect::{DescriptorPool, DynamicMessage, Kind, MessageDescriptor};
use serde_json::Value;
use std::io::Write;
use std::sync::LazyLock;

static POOL: LazyLock<Option<DescriptorPool>> =
    LazyLock::new(|| DescriptorPool::decode(gridtrail_proto::DESCRIPTORS).ok());

const NO_DESCRIPTOR: Failure = Failure::Process("a message of the API is not described");

fn descriptor<M: Name>() -> Result<MessageDescriptor, Failure> {
    POOL.as_ref().and_then(|pool| pool.get_message_by_name(&M::full_name())).ok_or(NO_DESCRIPTOR)
}

fn dynamic<M: Message + Name>(message: &M) -> Result<DynamicMessage, Failure> {
    let mut dynamic = DynamicMessage::new(descriptor::<M>()?);
    dynamic.transcode_from(message).map_err(|_| NO_DESCRIPTOR)?;
    Ok(dynamic)
}

/// Writes a message as proto3 JSON.
///
/// Errors: the writer's.
pub(crate) fn write_json<M: Message + Name>(out: &mut impl Write, message: &M) -> Result<(), Failure> {
    super::write_json(out, &dynamic(message)?)
}

/// Writes messages as CSV, one a line: a column for each field, by its name in JSON, those of messages within them included. Lists stand
/// in one cell: of texts, separated by semicolons; of messages, as JSON.
///
/// Errors: the writer's.
pub(crate) fn write_csv<M: Message + Name>(out: &mut impl Write, messages: &[M]) -> Result<(), Failure> {
    let mut columns = Vec::new();
    add_columns(&descriptor::<M>()?, &[], &mut columns);
    let mut grid = Grid::new(&columns.iter().map(|path| path.join(".")).collect::<Vec<_>>());
    for message in messages {
        let json = serde_json::to_value(dynamic(message)?).map_err(Failure::Json)?;
        grid.add_row(columns.iter().map(|path| cell_at(&json, path)));
    }
    write(out, &grid.csv()?)
}

fn add_columns(of: &MessageDescriptor, path: &[String], columns: &mut Vec<Vec<String>>) {
    for field in of.fields() {
        let path = [path, &[field.json_name().to_owned()]].concat();
        match field.kind() {
            // A time or a duration is one value.
            Kind::Message(within) if !field.is_list() && within.package_name() != "google.protobuf" => {
                add_columns(&within, &path, columns);
            }
            _ => columns.push(path),
        }
    }
}

fn cell_at(json: &Value, path: &[String]) -> String {
    let found = path.iter().try_fold(json, |value, name| value.get(name));
    match found {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).map(csv_cell).collect::<Vec<_>>().join("; ")
        }
        Some(other) => other.to_string(),
    }
}
