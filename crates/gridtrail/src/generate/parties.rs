//! Events of access as a file.

use crate::exit::Failure;
use crate::generate::write_lines;
use gridtrail_access::AccessRecord;
use gridtrail_codec::encode_access_json;
use std::path::Path;

/// The name of the file: its ending says what it holds.
pub(crate) const FILE: &str = "parties.access.jsonl";

/// Writes events of access, one a line. Returns how many.
pub(crate) fn write(path: &Path, records: &[AccessRecord]) -> Result<u64, Failure> {
    write_lines(path, records.iter().map(encode_access_json))?;
    Ok(records.len() as u64)
}
