//! Results on standard output: a table for people, JSON for programs, CSV for spreadsheets.
//!
//! What the API answers is printed as the API's own messages (`proto3`): one vocabulary for whoever calls the service and whoever
//! runs the command. What only the command says has structs of its own, whose fields are an interface.

mod grid;
pub(crate) mod hubs;
pub(crate) mod inventory;
pub(crate) mod proto3;
pub(crate) mod trails;

pub(crate) use crate::wording::{count, count_of};
pub(crate) use grid::{Grid, csv_cell};

use crate::exit::Failure;
use serde::Serialize;
use std::io::{self, Write};

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
pub(crate) fn table_with(header: &[&str]) -> Grid {
    Grid::new(header)
}

/// A text with the control characters in it written out: text of strangers is not to speak to a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

#[cfg(test)]
mod tests;
