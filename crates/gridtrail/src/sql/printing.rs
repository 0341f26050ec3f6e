//! Answers as they are printed, or written to a file.

use super::answer::Answer;
use crate::args::ListFormat;
use crate::exit::Failure;
use crate::output::{self, Grid, csv_cell, printable};
use gridtrail_sql::{ParquetFile, cells_of, json_of, names_of};
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;

/// Prints an answer; gives how many rows it had.
pub(super) async fn print(answer: Answer, format: ListFormat) -> Result<usize, Failure> {
    match format {
        ListFormat::Table => as_table(answer).await,
        ListFormat::Csv => as_csv(answer).await,
        ListFormat::Json => as_json(answer).await,
    }
}

async fn as_table(mut answer: Answer) -> Result<usize, Failure> {
    let mut grid = Grid::new(&names_of(&answer.schema()));
    let mut rows = 0;
    while let Some(batch) = answer.next().await? {
        let cells = cells_of(&batch)?;
        rows += cells.len();
        cells.iter().for_each(|row| grid.add_row(row.iter().map(|cell| printable(cell))));
    }
    let footer = output::count_of(rows, "row");
    output::write(&mut io::stdout().lock(), format!("{grid}\n{footer}\n").as_bytes())?;
    Ok(rows)
}

/// A batch at a time, so that an answer may be larger than memory.
async fn as_csv(mut answer: Answer) -> Result<usize, Failure> {
    let mut rows = 0;
    print_csv(&[names_of(&answer.schema())])?;
    while let Some(batch) = answer.next().await? {
        let cells = cells_of(&batch)?;
        rows += cells.len();
        print_csv(&cells)?;
    }
    Ok(rows)
}

fn print_csv(rows: &[Vec<String>]) -> Result<(), Failure> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    for row in rows {
        csv.write_record(row.iter().map(|cell| csv_cell(cell)))
            .map_err(|error| Failure::Output(error.into()))?;
    }
    let bytes = csv.into_inner().map_err(|error| Failure::Output(error.into_error()))?;
    output::write(&mut io::stdout().lock(), &bytes)
}

/// One array, an object a line.
async fn as_json(mut answer: Answer) -> Result<usize, Failure> {
    let (mut before, mut rows) = (&b"[\n"[..], 0);
    while let Some(batch) = answer.next().await? {
        rows += batch.num_rows();
        let lines = json_of(&batch)?;
        let mut bytes = Vec::with_capacity(lines.len());
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            bytes.extend_from_slice(before);
            bytes.extend_from_slice(line);
            before = b",\n";
        }
        output::write(&mut io::stdout().lock(), &bytes)?;
    }
    let end = if before == b"[\n" { &b"[]\n"[..] } else { b"\n]\n" };
    output::write(&mut io::stdout().lock(), end)?;
    Ok(rows)
}

/// Writes an answer to a Parquet file, which is there when all of it is.
pub(super) async fn write_parquet(mut answer: Answer, path: &Path) -> Result<usize, Failure> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = Path::new(&part);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    // Its rows are its user's alone.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(part).map_err(Failure::file("write", part))?;
    let (mut file, mut rows) = (ParquetFile::begin(file, &answer.schema())?, 0);
    while let Some(batch) = answer.next().await? {
        rows += batch.num_rows();
        file.add(&batch)?;
    }
    let mut file = file.end()?;
    file.flush().map_err(Failure::file("write", part))?;
    std::fs::rename(part, path).map_err(Failure::file("write", path))?;
    Ok(rows)
}
