//! Each thing that may be wrong with a manifest is told with its file and its field.

use super::*;
use crate::Catalogue;

const SQL: &str = "SELECT user_id, count(*) AS rows FROM audit_trails WHERE at >= $day_start GROUP BY 1";

const MANIFEST: &str = r#"
title = "Test Report"
version = 1
purpose = "To be read."
pertains = "Own rows."
freshness_hours = 24
tables = ["audit_trails"]
limits = []
sort = ["rows descending", "user_id"]
needs_one_of = ["day"]

[[parameters]]
name = "day"
type = "date"
description = "The day"
default = "today - 1"

[[columns]]
name = "user_id"
type = "text"
description = "Whose"

[[columns]]
name = "rows"
type = "number"
unit = "rows"
description = "How many"

[chart]
kind = "bars"
title = "Rows"
across = "user_id"
sums = ["rows"]

[[changes]]
version = 1
since = "2026-11-30"
what = "The first version."
digest = "DIGEST"
"#;

fn sound() -> String {
    let fault = Report::read("test", MANIFEST, SQL).unwrap_err().fault;
    let ManifestFault::Changed { digest, .. } = fault else { panic!("{fault}") };
    MANIFEST.replace("DIGEST", &digest)
}

#[test]
fn a_sound_manifest_is_read() {
    let report = Report::read("test", &sound(), SQL).unwrap();
    assert_eq!((report.name.as_str(), report.version, report.columns.len()), ("test", 1, 2));
    assert_eq!(report.sort[0], SortKey { column: "rows".to_owned(), descending: true });
    assert!(report.statement.text().starts_with("SELECT \"user_id\", \"rows\" FROM (\nSELECT"));
    assert!(
        report.statement.text().ends_with("ORDER BY \"rows\" DESC NULLS LAST, \"user_id\" ASC NULLS LAST")
    );
    assert_eq!(report.statement.names(), ["day_start"]);
}

#[test]
fn what_is_wrong_is_told_with_its_field() {
    for (from, to, field, part) in [
        ("title = \"Test Report\"", "", "line 1", "missing field `title`"),
        ("limits = []", "limits = []\nlimit = 1", "line 9", "unknown field `limit`"),
        ("\"Test Report\"", "\" \"", "title", "says nothing"),
        ("tables = [\"audit_trails\"]", "tables = []", "tables", "says nothing"),
        ("rows descending", "row", "sort", "names \"row\", which is no column"),
        ("needs_one_of = [\"day\"]", "needs_one_of = [\"Day\"]", "needs_one_of", "which is no parameter"),
        ("type = \"date\"", "type = \"year\"", "parameters.day", "which is no type of a parameter"),
        ("type = \"date\"", "type = \"number\"", "parameters.day", "a number min and max"),
        ("type = \"date\"", "type = \"date\"\nmin = 1", "parameters.day", "others have none of these"),
        ("default = \"today - 1\"", "default = \"now\"", "parameters.day", "the default is not a day"),
        (
            "default = \"today - 1\"",
            "default = \"today\"\nrequired = true",
            "parameters.day",
            "has no default",
        ),
        ("description = \"The day\"", "description = \"\"", "parameters.day", "says nothing"),
        ("name = \"day\"", "name = \"user_ids\"", "parameters.user_ids", "is no name"),
        ("name = \"rows\"", "name = \"user_id\"", "columns.user_id", "there are two of it"),
        ("name = \"rows\"", "name = \"ro\\\"ws\"", "columns.ro\"ws", "is no name"),
        ("type = \"number\"\nunit", "type = \"text\"\nunit", "chart.sums", "which is no column of numbers"),
        ("across = \"user_id\"", "across = \"user\"", "chart.across", "which is no column"),
        ("sums = [\"rows\"]", "sums = [\"rows\"]\nby = \"user_id\"", "chart.by", "sums, or counts"),
        (
            "title = \"Test Report\"\nversion = 1",
            "title = \"Test Report\"\nversion = 2",
            "changes",
            "end with that of the report",
        ),
        ("unit = \"rows\"", "unit = \"pages\"", "changes.digest", "raise the version"),
    ] {
        let manifest = sound();
        assert!(manifest.contains(from), "{from}");
        let error = Report::read("test", &manifest.replace(from, to), SQL).unwrap_err();
        assert_eq!((error.file.as_str(), error.field.as_str()), ("test/report.toml", field), "{error}");
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
}

#[test]
fn a_statement_has_the_parameters_of_its_manifest() {
    for (sql, file, part) in [
        (SQL.replace("$day_start", "$day"), "test/report.sql", "names \"$day\", which is no parameter"),
        (SQL.replace("$day_start", "$day_start AND $other"), "test/report.sql", "names \"$other\""),
        (SQL.replace("$day_start", "'$day_start"), "test/report.sql", "Unterminated string literal"),
        (SQL.replace("$day_start", "now()"), "test/report.toml", "names \"day\", which is no value"),
        (SQL.replace("count(*)", "sum(1)"), "test/report.toml", "raise the version"),
    ] {
        let error = Report::read("test", &sound(), &sql).unwrap_err();
        assert_eq!(error.file, file, "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
    for (statement, part) in [("SELECT $other", "names \"$other\""), ("SELECT 1", "raise the version")] {
        let line = format!("limits = []\nhistory_of = \"{statement}\"");
        let error = Report::read("test", &sound().replace("limits = []", &line), SQL).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
    // What every statement may use is no parameter.
    let error =
        Report::read("test", &sound(), &SQL.replace("WHERE", "WHERE $user_ids > '' AND $made_at > at AND"));
    assert!(matches!(error.unwrap_err().fault, ManifestFault::Changed { .. }));
}

#[test]
fn a_folder_is_named_as_commands_name_it() {
    for folder in ["", "Test", "test_report", "../test", "1test"] {
        let error = Report::read(folder, &sound(), SQL).unwrap_err();
        assert_eq!(error.field, "the folder", "{folder}");
    }
}

/// Every folder is a report of this build; where one is not, what is to be put right is told of all at once.
#[test]
fn the_reports_of_this_build_are_sound() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/reports");
    let (mut names, mut faults) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = |file: &str| std::fs::read_to_string(path.join(file)).unwrap();
        faults.extend(Report::read(&name, &text("report.toml"), &text("report.sql")).err());
        names.push(name);
    }
    let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert!(faults.is_empty(), "{faults:#?}");
    names.sort();
    let reports = Catalogue::built_in().map_err(|error| error.to_string()).unwrap();
    assert_eq!(
        reports.iter().map(|report| &report.name).collect::<Vec<_>>(),
        names.iter().collect::<Vec<_>>()
    );
}
