//! `gridtrail access log`: who asked for what, row by row.

use crate::args::{ListFormat, LogArgs};
use crate::exit::Failure;
use crate::opening::open_existing;
use crate::output::{self, Grid, count, printable, table_with};
use gridtrail_access_log::{Entry, Row, RowKind};
use gridtrail_model::Timestamp;
use serde::Serialize;
use serde_json::Value;
use std::io::{self, Write};

/// Rows of one table: a long log comes as several, so that none is held in memory.
const TABLE_ROWS: usize = 500;

pub(crate) async fn run(args: &LogArgs, format: ListFormat) -> Result<(), Failure> {
    let lake = open_existing(&args.lake).await?;
    let mut reader = lake.read_access_log(args.from, args.to).await?;
    let mut printer = Printer::new(io::stdout().lock(), format);
    let mut left = args.limit.unwrap_or(usize::MAX);
    while let Some(mut rows) = reader.next().await? {
        rows.retain(|row| is_wanted(row, args));
        let more = rows.len() > left;
        rows.truncate(left);
        left -= rows.len();
        for rows in rows.chunks(TABLE_ROWS) {
            printer.print(rows)?;
        }
        if more {
            printer.cut = true;
            break;
        }
    }
    printer.end()
}

fn is_wanted(row: &Row, args: &LogArgs) -> bool {
    let is = |wanted: &Option<String>, found: &Option<String>| wanted.is_none() || wanted == found;
    let Entry { party, subject, key, .. } = &row.entry;
    is(&args.party, party) && is(&args.subject, subject) && is(&args.key, key)
}

/// Prints rows as they come.
struct Printer<W> {
    out: W,
    format: ListFormat,
    rows: u64,
    /// Whether there are more rows than were asked for.
    cut: bool,
}

impl<W: Write> Printer<W> {
    fn new(out: W, format: ListFormat) -> Self {
        Self { out, format, rows: 0, cut: false }
    }

    fn print(&mut self, rows: &[Row]) -> Result<(), Failure> {
        let mut text = String::new();
        match self.format {
            ListFormat::Table => text = format!("{}\n", table_of(rows)),
            ListFormat::Csv => text = csv_of(rows, self.rows == 0)?,
            // One list, written as it comes.
            ListFormat::Json => {
                for (number, row) in (self.rows..).zip(rows) {
                    text.push_str(if number == 0 { "[\n" } else { ",\n" });
                    text.push_str(&serde_json::to_string(&RowText::of(row)).map_err(Failure::Json)?);
                }
            }
        }
        self.rows += rows.len() as u64;
        output::write(&mut self.out, text.as_bytes())
    }

    fn end(mut self) -> Result<(), Failure> {
        let text = match (self.format, self.rows) {
            (ListFormat::Table, rows) => {
                let more = if self.cut { "; there are more: --limit shows more, --from goes on" } else { "" };
                format!("{}{more}\n", count(rows, "row"))
            }
            (ListFormat::Csv, 0) => csv_of(&[], true)?,
            (ListFormat::Csv, _) => String::new(),
            (ListFormat::Json, 0) => "[]\n".to_owned(),
            (ListFormat::Json, _) => "\n]\n".to_owned(),
        };
        output::write(&mut self.out, text.as_bytes())
    }
}

/// The columns of CSV: those of the table `access_log` in the lake.
const COLUMNS: [&str; 26] = [
    "at",
    "chain",
    "seq",
    "kind",
    "call",
    "outcome",
    "reason",
    "times",
    "subject",
    "party",
    "session",
    "roles",
    "key_kind",
    "key",
    "variants",
    "period_from",
    "period_to",
    "rows",
    "rows_of_others",
    "version",
    "page_size",
    "later_page",
    "peer",
    "took_us",
    "detail",
    "hash",
];

/// A row, as programs read it. The fields are an interface: their names are those of the table's columns.
#[derive(Debug, Serialize)]
struct RowText<'a> {
    at: String,
    chain: String,
    seq: u64,
    kind: &'static str,
    call: &'a str,
    outcome: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    times: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    party: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variants: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    period_from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    period_to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows_of_others: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    page_size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    later_page: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    took_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    /// In hexadecimal digits.
    hash: String,
}

impl<'a> RowText<'a> {
    fn of(row: &'a Row) -> Self {
        let entry = &row.entry;
        let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
        Self {
            at: entry.at.to_string(),
            chain: row.chain.to_string(),
            seq: row.seq,
            kind: row.kind.name(),
            call: &entry.call,
            outcome: &entry.outcome,
            reason: entry.reason.as_deref(),
            times: entry.times,
            subject: entry.subject.as_deref(),
            party: entry.party.as_deref(),
            session: entry.session.as_deref(),
            roles: entry.roles.as_deref(),
            key_kind: entry.key_kind.as_deref(),
            key: entry.key.as_deref(),
            variants: entry.variants.as_deref(),
            period_from: time(entry.from),
            period_to: time(entry.to),
            rows: entry.rows,
            rows_of_others: entry.rows_of_others,
            version: entry.version.as_deref(),
            page_size: entry.page_size,
            later_page: entry.later_page,
            peer: entry.peer.as_deref(),
            took_us: entry.took_us,
            detail: entry.detail.as_deref(),
            hash: row.hash_digits(),
        }
    }
}

/// The columns of the table, as lines of CSV.
fn csv_of(rows: &[Row], with_header: bool) -> Result<String, Failure> {
    let mut grid = Grid::new(&COLUMNS);
    for row in rows {
        let json = serde_json::to_value(RowText::of(row)).map_err(Failure::Json)?;
        grid.add_row(COLUMNS.map(|name| match &json[name] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }));
    }
    let lines = String::from_utf8_lossy(&grid.csv()?).into_owned();
    let after_header = || lines.split_once('\n').map_or("", |(_, rest)| rest).to_owned();
    Ok(if with_header { lines } else { after_header() })
}

fn table_of(rows: &[Row]) -> Grid {
    let header = ["Time (UTC)", "Call", "Outcome", "Party", "Who", "Key", "Rows", "Of others", "From"];
    let mut table = table_with(&header);
    let text = |text: &Option<String>| text.as_deref().map(printable).unwrap_or_default();
    let number = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
    for Row { kind, entry, .. } in rows {
        let call = match kind {
            RowKind::Call => printable(&entry.call),
            RowKind::Start => "(a chain begins)".to_owned(),
            RowKind::Trimmed => "(old rows were let go)".to_owned(),
            RowKind::End => "(a chain ends)".to_owned(),
        };
        let many = if entry.times > 1 { format!(" ({} times)", entry.times) } else { String::new() };
        table.add_row([
            entry.at.to_string(),
            call,
            format!("{}{many}", printable(entry.reason.as_deref().unwrap_or(&entry.outcome))),
            text(&entry.party),
            text(&entry.subject),
            text(&entry.key),
            number(entry.rows),
            number(entry.rows_of_others),
            text(&entry.peer),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use gridtrail_access_log::{Chain, Started};

    fn rows() -> Vec<Row> {
        let started = Started { by: "test".into(), version: "0".into(), heads: Vec::new() };
        let now = "2026-03-01T09:30:00Z".parse().unwrap();
        let (mut chain, first) = Chain::start(now, &started);
        let mut entry = Entry::of("AuditTrailService.Search", now);
        (entry.outcome, entry.party, entry.times) = ("OK".into(), Some("\u{1b}[2J".into()), 3);
        vec![first, chain.add(entry), chain.end(now)]
    }

    fn printed(format: ListFormat, parts: &[&[Row]]) -> String {
        let mut out = Vec::new();
        let mut printer = Printer::new(&mut out, format);
        parts.iter().for_each(|rows| printer.print(rows).unwrap());
        printer.end().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn json_is_one_list_in_however_many_parts_it_comes() {
        let rows = rows();
        for parts in [&[][..], &[&rows[..]], &[&rows[..1], &[], &rows[1..]]] {
            let list: Vec<serde_json::Value> =
                serde_json::from_str(&printed(ListFormat::Json, parts)).unwrap();
            assert_eq!(list.len(), parts.iter().map(|rows| rows.len()).sum::<usize>());
        }
    }

    /// Also in several parts; and no field of a row is left out.
    #[test]
    fn csv_has_one_header_and_every_column() {
        let rows = rows();
        for parts in [&[][..], &[&rows[..1], &rows[1..]]] {
            let text = printed(ListFormat::Csv, parts);
            let mut csv = csv::Reader::from_reader(text.as_bytes());
            assert_eq!(csv.headers().unwrap(), COLUMNS.as_slice());
            assert_eq!(
                csv.records().filter_map(Result::ok).count(),
                parts.iter().map(|rows| rows.len()).sum::<usize>()
            );
        }
        for row in &rows {
            let json = serde_json::to_value(RowText::of(row)).unwrap();
            let fields: Vec<&String> = json.as_object().unwrap().keys().collect();
            assert!(fields.iter().all(|field| COLUMNS.contains(&field.as_str())), "{fields:?}");
        }
    }

    #[test]
    fn a_table_does_not_speak_to_the_terminal() {
        let table = printed(ListFormat::Table, &[&rows()]);
        assert!(table.contains("OK (3 times)") && table.contains("(a chain begins)"), "{table}");
        assert!(!table.contains('\u{1b}') && table.ends_with("3 rows\n"), "{table}");
    }
}
