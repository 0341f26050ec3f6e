//! What is written is what was to be written: read back by others' readers.

use crate::it::world::access_of;
use crate::it::world::{lake_of, now, region, reports, rows_of};
use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use bytes::Bytes;
use gridtrail_model::Event;
use gridtrail_reports::{About, FileError, Output, OutputError, OutputFile, OutputFormat, Report};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;
use quick_xml::events::Event as Xml;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A report with a column of each kind that matters here.
fn sample() -> Report {
    let sql = "SELECT 1";
    let column = |name: &str, kind: &str| {
        format!("[[columns]]\nname = \"{name}\"\ntype = \"{kind}\"\ndescription = \"Says <{name}>\"\n")
    };
    let columns =
        [("name", "text"), ("count", "number"), ("share", "decimal"), ("at", "time"), ("seen", "flag")];
    let columns: String = columns.map(|(name, kind)| column(name, kind)).concat();
    let manifest = |digest: &str| {
        format!(
            "title = \"Sample & Report\"\nversion = 1\npurpose = \"A <sample>.\"\npertains = \"None.\"\nfreshness_hours = 1\n\
             tables = [\"none\"]\nlimits = []\nsort = []\nparameters = []\n{columns}\
             [appendix_aa]\ncolumns = [\"name\", \"at\"]\n\
             [chart]\nkind = \"bars\"\ntitle = \"Counts\"\nacross = \"name\"\nsums = [\"count\"]\n\
             [[changes]]\nversion = 1\nsince = \"2026-11-30\"\nwhat = \"First.\"\ndigest = \"{digest}\"\n"
        )
    };
    let wrong = Report::read("sample", &manifest(""), sql).unwrap_err().to_string();
    let digest = wrong.rsplit('"').nth(1).unwrap_or_else(|| panic!("{wrong}")).to_owned();
    Report::read("sample", &manifest(&digest), sql).unwrap()
}

fn about() -> About {
    About {
        report: "sample".to_owned(),
        title: "Sample & Report".to_owned(),
        version: 1,
        users: vec!["(90-B3-D5-1F-30-01-00-00)avon/IS".to_owned()],
        party: "avon".to_owned(),
        asked_by: "a \"person\"".to_owned(),
        parameters: BTreeMap::from([("month".to_owned(), "2026-03".to_owned())]),
        complete_up_to: Some(now()),
        fresh_enough: true,
        needed_up_to: None,
        lake_version: "7".to_owned(),
        made_at: now(),
    }
}

type Row = (Option<String>, Option<i64>, Option<f64>, Option<i64>, Option<bool>);

fn batch(rows: &[Row]) -> RecordBatch {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("name", Arc::new(rows.iter().map(|row| row.0.clone()).collect::<StringArray>())),
        ("count", Arc::new(rows.iter().map(|row| row.1).collect::<Int64Array>())),
        ("share", Arc::new(rows.iter().map(|row| row.2).collect::<Float64Array>())),
        (
            "at",
            Arc::new(
                rows.iter().map(|row| row.3).collect::<TimestampMillisecondArray>().with_timezone("+00:00"),
            ),
        ),
        ("seen", Arc::new(rows.iter().map(|row| row.4).collect::<BooleanArray>())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)))
        .unwrap()
}

fn written(format: OutputFormat, batches: &[RecordBatch]) -> Vec<u8> {
    let mut output = Output::new(format, &sample(), &about(), Vec::new()).unwrap();
    for batch in batches {
        output.write(batch).unwrap();
    }
    let (bytes, rows) = output.finish().unwrap();
    assert_eq!(rows, batches.iter().map(|batch| batch.num_rows() as u64).sum::<u64>());
    bytes
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let name =
        prop_oneof![proptest::option::of("\\PC{0,12}"), proptest::option::of("[=+@\\-\t\r\n'\",;a ]{0,6}"),];
    let row = (
        name,
        proptest::option::of(any::<i64>()),
        proptest::option::of(-1e9f64..1e9),
        proptest::option::of(-2_000_000_000_000i64..4_000_000_000_000),
        any::<Option<bool>>(),
    );
    proptest::collection::vec(row, 0..20)
}

fn begins_a_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'])
}

proptest! {
    /// Each value stands as it is, in a reader that knows no quotation marks; what would need them, or a guard, is refused by its row and column.
    #[test]
    fn the_file_of_appendix_aa_has_plain_values_alone(rows in rows()) {
        let needs = |text: &String| text.contains(['"', ',', '\r', '\n']) || begins_a_formula(text.trim_start_matches('\''));
        let wrong = rows.iter().position(|row| row.0.as_ref().is_some_and(needs));
        let mut output = Output::new(OutputFormat::AppendixAa, &sample(), &about(), Vec::new()).unwrap();
        match (output.write(&batch(&rows)), wrong) {
            (Err(OutputError::NotPlain { row, column }), Some(wrong)) => {
                prop_assert_eq!((row, column.as_str()), (wrong as u64 + 1, "name"));
            }
            (Ok(()), None) => {
                let text = String::from_utf8(output.finish().unwrap().0).unwrap();
                let lines: Vec<Vec<&str>> = text.split_terminator("\r\n").map(|line| line.split(',').collect()).collect();
                prop_assert_eq!(&lines[0], &["name", "at", "action"]);
                prop_assert_eq!(lines.len(), rows.len() + 1);
                for (line, row) in lines[1..].iter().zip(&rows) {
                    prop_assert_eq!((line[0], line[2]), (row.0.as_deref().unwrap_or_default(), ""));
                    let at = line[1].parse().ok().map(gridtrail_model::Timestamp::millis);
                    prop_assert_eq!(at, row.3);
                }
            }
            (result, wrong) => prop_assert!(false, "{:?} {:?}", result.err(), wrong),
        }
    }

    /// What another reader takes from the CSV is what was written, but for the apostrophe before what looks like a formula; no text that
    /// begins like one is left, and each has one way back.
    #[test]
    fn csv_reads_back(rows in rows()) {
        let bytes = written(OutputFormat::Csv, &[batch(&rows)]);
        prop_assert!(bytes.starts_with(b"name,count,share,at,seen\r\n"));
        let mut reader = csv::Reader::from_reader(bytes.as_slice());
        let records: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(records.len(), rows.len());
        for (record, row) in records.iter().zip(&rows) {
            let name = row.0.clone().unwrap_or_default();
            prop_assert!(!begins_a_formula(&record[0]));
            let back = record[0].strip_prefix('\'').filter(|rest| begins_a_formula(rest.trim_start_matches('\'')));
            prop_assert_eq!(back.unwrap_or(&record[0]), name);
            prop_assert_eq!(record[1].parse::<i64>().ok(), row.1);
            prop_assert_eq!(record[2].parse::<f64>().ok(), row.2);
            let at = (!record[3].is_empty()).then(|| record[3].parse::<gridtrail_model::Timestamp>().unwrap());
            prop_assert_eq!(at.map(gridtrail_model::Timestamp::millis), row.3);
            prop_assert_eq!(&record[4], row.4.map_or("", |seen| if seen { "yes" } else { "no" }));
        }
    }

    #[test]
    fn json_reads_back(rows in rows()) {
        let half = rows.len() / 2;
        let bytes = written(OutputFormat::Json, &[batch(&rows[..half]), batch(&rows[half..])]);
        let document: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        prop_assert_eq!(&document["row_count"], rows.len());
        prop_assert_eq!(&document["about"]["asked_by"], "a \"person\"");
        prop_assert_eq!(&document["about"]["made_at"], &now().to_string());
        let found = document["rows"].as_array().unwrap();
        prop_assert_eq!(found.len(), rows.len());
        for (found, row) in found.iter().zip(&rows) {
            prop_assert_eq!(found["name"].as_str(), row.0.as_deref());
            prop_assert_eq!(found["count"].as_i64(), row.1);
            prop_assert_eq!(found["seen"].as_bool(), row.4);
            prop_assert_eq!(found["at"].is_null(), row.3.is_none());
        }
    }

    /// Whatever stands in a row, the page is well-formed, holds all rows, and has no script.
    #[test]
    fn html_is_well_formed(rows in rows()) {
        let bytes = written(OutputFormat::Html, &[batch(&rows)]);
        let page = String::from_utf8(bytes).unwrap();
        prop_assert!(!page.contains("<script"));
        let (names, texts) = read_page(&page);
        prop_assert_eq!(names.iter().filter(|name| *name == "html").count(), 1);
        prop_assert_eq!(names.iter().filter(|name| *name == "svg").count(), usize::from(!rows.is_empty()));
        let said = format!("{} rows", rows.len());
        prop_assert!(texts.contains(&said));
    }
}

/// The names of all elements, and all texts. Panics where an element does not end.
fn read_page(page: &str) -> (Vec<String>, Vec<String>) {
    let mut reader = quick_xml::Reader::from_str(page);
    let (mut names, mut texts, mut open) = (Vec::new(), Vec::new(), 0);
    let mut text = String::new();
    loop {
        match reader.read_event().unwrap() {
            Xml::Start(start) => {
                names.push(start.name().as_ref().to_owned());
                open += 1;
                text.clear();
            }
            Xml::End(_) => {
                open -= 1;
                texts.push(std::mem::take(&mut text));
            }
            Xml::Empty(empty) => names.push(empty.name().as_ref().to_owned()),
            Xml::Text(part) => text.push_str(&part),
            Xml::Eof => break,
            _ => {}
        }
    }
    assert_eq!(open, 0);
    (names, texts)
}

#[test]
fn a_picture_is_named_and_its_numbers_stand_below_it() {
    let rows: Vec<Row> = vec![
        (Some("4.8.1".to_owned()), Some(3), None, None, None),
        (Some("4.8.1".to_owned()), Some(4), None, None, None),
        (None, Some(2), None, None, None),
    ];
    let page = String::from_utf8(written(OutputFormat::Html, &[batch(&rows)])).unwrap();
    for part in [
        "<svg role=\"img\" aria-labelledby=\"picture-title picture-text\"",
        "<title id=\"picture-title\">Counts</title>",
        "<tr><th scope=\"row\">4.8.1</th><td class=\"n\">7</td></tr>",
        "<tr><th scope=\"row\">none</th><td class=\"n\">2</td></tr>",
        "<h1>Sample &amp; Report</h1>",
        "A &lt;sample&gt;.",
        "<html lang=\"en-GB\">",
        "default-src 'none'",
        "(90-B3-D5-1F-30-01-00-00)avon/IS",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
}

#[test]
fn parquet_has_types_and_says_what_it_is() {
    let rows: Vec<Row> = (0..300_000)
        .map(|n| {
            (Some(format!("row {n}")), Some(n), Some(0.5), Some(1_772_323_200_000 + n), Some(n % 2 == 0))
        })
        .collect();
    let batches: Vec<RecordBatch> = rows.chunks(8_192).map(batch).collect();
    let bytes = Bytes::from(written(OutputFormat::Parquet, &batches));
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
    let metadata = builder.metadata().file_metadata().clone();
    assert!(builder.metadata().num_row_groups() > 1);
    let said =
        metadata.key_value_metadata().unwrap().iter().find(|pair| pair.key == "gridtrail.report").unwrap();
    let said: serde_json::Value = serde_json::from_str(said.value.as_ref().unwrap()).unwrap();
    assert_eq!((&said["row_count"], &said["version"]), (&300_000.into(), &1.into()));
    let read: Vec<RecordBatch> = builder.build().unwrap().collect::<Result<_, _>>().unwrap();
    let whole = arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap();
    let found = arrow::compute::concat_batches(&read[0].schema(), &read).unwrap();
    assert_eq!(found.columns(), whole.columns());
}

#[test]
fn a_workbook_refuses_a_text_that_no_cell_holds() {
    let rows: Vec<Row> = vec![(Some("a".repeat(32_768)), None, None, None, None)];
    let mut output = Output::new(OutputFormat::Xlsx, &sample(), &about(), Vec::new()).unwrap();
    let error = output.write(&batch(&rows)).unwrap_err().to_string();
    assert!(error.contains("row 1, name: a cell of a workbook holds 32767 characters"), "{error}");
}

/// A file is there when it is whole, with its description and checksums; one that is there is not touched; one that is given up leaves nothing.
#[test]
fn a_file_is_whole_or_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let names = || {
        let mut names: Vec<String> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    let rows: Vec<Row> = vec![(Some("a".to_owned()), Some(1), None, None, None)];
    for format in OutputFormat::ALL {
        let path = folder.path().join(format!("march.{}", format.name()));
        let mut file = OutputFile::create(&path, *format, &sample(), &about()).unwrap();
        file.write(&batch(&rows)).unwrap();
        assert!(!path.exists());
        assert_eq!(file.publish().unwrap(), 1);
        let sums = std::fs::read_to_string(path.with_extension(format!("{}.sha256", format.name()))).unwrap();
        assert_eq!(sums.lines().count(), 2);
        for line in sums.lines() {
            let (sum, name) = line.split_once("  ").unwrap();
            let bytes = std::fs::read(folder.path().join(name)).unwrap();
            assert_eq!(sum, hex::encode(Sha256::digest(&bytes)), "{name}");
        }
        let error = OutputFile::create(&path, *format, &sample(), &about()).unwrap_err();
        assert!(matches!(error, FileError::Exists(_)), "{error}");
    }
    let before = names();
    assert_eq!(before.len(), 3 * OutputFormat::ALL.len());
    let path = folder.path().join("april.csv");
    let mut given_up = OutputFile::create(&path, OutputFormat::Csv, &sample(), &about()).unwrap();
    given_up.write(&batch(&rows)).unwrap();
    drop(given_up);
    assert_eq!(names(), before);
}

/// Of two that write one file at the same time, one wins, and what it wrote stays as it is: description and checksums as well.
#[test]
fn who_is_slower_overwrites_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("march.csv");
    let rows = |text: &str| batch(&[(Some(text.to_owned()), Some(1), None, None, None)]);
    let begun = || OutputFile::create(&path, OutputFormat::Csv, &sample(), &about()).unwrap();
    let (mut fast, mut slow) = (begun(), begun());
    fast.write(&rows("theirs")).unwrap();
    slow.write(&rows("ours")).unwrap();
    fast.publish().unwrap();
    let all = || -> BTreeMap<String, Vec<u8>> {
        let entries = std::fs::read_dir(folder.path()).unwrap().map(Result::unwrap);
        entries.map(|of| (of.file_name().into_string().unwrap(), std::fs::read(of.path()).unwrap())).collect()
    };
    // Beside what is still being written.
    let theirs: BTreeMap<String, Vec<u8>> =
        all().into_iter().filter(|(name, _)| !name.starts_with(".tmp")).collect();
    assert_eq!(theirs.keys().collect::<Vec<_>>(), ["march.csv", "march.csv.about.json", "march.csv.sha256"]);
    assert!(matches!(slow.publish().unwrap_err(), FileError::Exists(_)));
    assert_eq!(all(), theirs);
    #[cfg(unix)]
    for name in theirs.keys() {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    // One of the three is enough, before and after, and nothing else is left behind.
    for name in theirs.keys() {
        theirs.keys().for_each(|name| drop(std::fs::remove_file(folder.path().join(name))));
        let slow = begun();
        std::fs::write(folder.path().join(name), "theirs").unwrap();
        let there = |error: FileError| matches!(error, FileError::Exists(path) if path.ends_with(name));
        let again = OutputFile::create(&path, OutputFormat::Csv, &sample(), &about());
        assert!(there(again.unwrap_err()), "{name}");
        assert!(there(slow.publish().unwrap_err()), "{name}");
        assert_eq!(all(), BTreeMap::from([(name.clone(), b"theirs".to_vec())]));
    }
}

/// Every report in every form, from a lake.
#[tokio::test(flavor = "multi_thread")]
async fn every_report_is_written_in_every_form() {
    let world = region(9);
    let events: Vec<Event> = world.events().collect();
    let lake = lake_of(&events, 4_000).await;
    let row = world.truth().find(|row| row.device_id.is_some()).unwrap();
    let (device, who) = (row.device_id.unwrap().to_string(), access_of([row.key.user], 1));
    for report in reports() {
        let name = &report.name;
        let given: &[(&str, &str)] = match name.as_str() {
            "device-transactions" => &[("device_id", &device)],
            _ => &[],
        };
        for format in OutputFormat::ALL {
            let mut rows = rows_of(&report, (&lake, &who), given).await.unwrap();
            let mut output = Output::new(*format, &report, rows.about(), Vec::new()).unwrap();
            while let Some(batch) = rows.next().await.unwrap() {
                output.write(&batch).unwrap();
            }
            let (bytes, count) = output.finish().unwrap();
            match format {
                OutputFormat::Csv => {
                    let read = csv::Reader::from_reader(bytes.as_slice()).into_records().count();
                    assert_eq!(read as u64, count, "{name}");
                }
                OutputFormat::Json => {
                    let read: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
                    assert_eq!(read["rows"].as_array().unwrap().len() as u64, count, "{name}");
                }
                OutputFormat::Html => drop(read_page(std::str::from_utf8(&bytes).unwrap())),
                OutputFormat::Parquet => assert!(bytes.ends_with(b"PAR1")),
                OutputFormat::Xlsx => assert!(bytes.starts_with(b"PK")),
                OutputFormat::AppendixAa => panic!("not every report has it"),
            }
        }
    }
}
