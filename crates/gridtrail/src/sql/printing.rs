//! Answers as they are printed, or written to a file.

use super::answer::Answer;
use super::progress::Progress;
use crate::args::RowFormat;
use crate::exit::Failure;
use crate::output::{self, Grid, csv_cell, printable};
use gridtrail_sql::{ParquetFile, cells_of, json_of, names_of};
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;

/// Prints an answer; gives how many rows it had.
pub(super) async fn print(answer: Answer, format: RowFormat, progress: &Progress) -> Result<usize, Failure> {
    match format {
        RowFormat::Table => as_table(answer, progress).await,
        RowFormat::Csv => as_csv(answer, progress).await,
        RowFormat::Json => as_json(answer, progress).await,
        RowFormat::JsonLines => as_json_lines(answer, progress).await,
    }
}

async fn as_table(mut answer: Answer, progress: &Progress) -> Result<usize, Failure> {
    let mut grid = Grid::new(&names_of(&answer.schema()));
    let mut rows = 0;
    while let Some(batch) = answer.next().await? {
        let cells = cells_of(&batch)?;
        rows += cells.len();
        progress.saw(cells.len());
        cells.iter().for_each(|row| grid.add_row(row.iter().map(|cell| printable(cell))));
    }
    let footer = output::count_of(rows, "row");
    write(progress, format!("{grid}\n{footer}\n").as_bytes())?;
    Ok(rows)
}

/// A batch at a time, so that an answer may be larger than memory.
async fn as_csv(mut answer: Answer, progress: &Progress) -> Result<usize, Failure> {
    let mut rows = 0;
    write(progress, &csv_of(&[names_of(&answer.schema())])?)?;
    while let Some(batch) = answer.next().await? {
        let cells = cells_of(&batch)?;
        rows += cells.len();
        progress.saw(cells.len());
        write(progress, &csv_of(&cells)?)?;
    }
    Ok(rows)
}

fn csv_of(rows: &[Vec<String>]) -> Result<Vec<u8>, Failure> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    for row in rows {
        csv.write_record(row.iter().map(|cell| csv_cell(cell)))
            .map_err(|error| Failure::Output(error.into()))?;
    }
    csv.into_inner().map_err(|error| Failure::Output(error.into_error()))
}

/// One array, an object a line.
async fn as_json(mut answer: Answer, progress: &Progress) -> Result<usize, Failure> {
    let (mut before, mut rows) = (&b"[\n"[..], 0);
    while let Some(batch) = answer.next().await? {
        rows += batch.num_rows();
        progress.saw(batch.num_rows());
        let lines = json_of(&batch)?;
        let mut bytes = Vec::with_capacity(lines.len());
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            bytes.extend_from_slice(before);
            bytes.extend_from_slice(line);
            before = b",\n";
        }
        write(progress, &bytes)?;
    }
    let end = if before == b"[\n" { &b"[]\n"[..] } else { b"\n]\n" };
    write(progress, end)?;
    Ok(rows)
}

/// A batch at a time, and nothing around the rows: each line is whole.
async fn as_json_lines(mut answer: Answer, progress: &Progress) -> Result<usize, Failure> {
    let mut rows = 0;
    while let Some(batch) = answer.next().await? {
        rows += batch.num_rows();
        progress.saw(batch.num_rows());
        write(progress, &json_of(&batch)?)?;
    }
    Ok(rows)
}

/// Prints some of an answer, where its progress stood.
fn write(progress: &Progress, bytes: &[u8]) -> Result<(), Failure> {
    progress.give_way();
    output::write(&mut io::stdout().lock(), bytes)
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
