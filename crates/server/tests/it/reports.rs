//! Reports over a connection: what is told of them, what comes, and everything that is refused.

mod running;

use crate::it::fixture::{ANN, BOB, METER, MPAN, World, bearer_of, now, with_header};
use crate::it::rights::world_of;
use gridtrail_access::Access;
use gridtrail_access_log::Entry;
use gridtrail_lake::Lake;
use gridtrail_proto::query::v1;
use gridtrail_proto::query::v1::report_cell::Value;
use gridtrail_proto::query::v1::report_service_client::ReportServiceClient;
use gridtrail_proto::query::v1::run_report_response::Part;
use gridtrail_proto::query::v1::{ReportForm, RunReportRequest, RunReportResponse};
use gridtrail_reports::{Catalogue, Output, OutputFormat, Report, ReportRows};
use gridtrail_runtime::Clock;
use gridtrail_server::{CallerLimits, Limits};
use gridtrail_sql::SqlLimits;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read as _};
use std::num::NonZeroU32;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt as _;

const ROWS: i32 = ReportForm::Rows as i32;
const ANSWER: i32 = ReportForm::AppendixAa as i32;

const FORMS: [(ReportForm, OutputFormat); 5] = [
    (ReportForm::Csv, OutputFormat::Csv),
    (ReportForm::Json, OutputFormat::Json),
    (ReportForm::Parquet, OutputFormat::Parquet),
    (ReportForm::Xlsx, OutputFormat::Xlsx),
    (ReportForm::Html, OutputFormat::Html),
];

async fn world() -> World<Lake> {
    World::serve_reports(SqlLimits::default(), Limits::default()).await
}

async fn client(world: &World<Lake>) -> ReportServiceClient<Channel> {
    ReportServiceClient::new(world.channel().await)
}

fn by<T>(token: &str, message: T) -> tonic::Request<T> {
    with_header(message, &format!("Bearer {token}"))
}

/// What is asked of a report of this world.
fn request(name: &str, given: &[(&str, &str)], form: i32) -> RunReportRequest {
    let parameters = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    RunReportRequest { name: name.to_owned(), parameters, form, ..RunReportRequest::default() }
}

/// Parameters by which a report has rows of this world, where it can have any.
fn given(report: &Report) -> Vec<(&'static str, &'static str)> {
    match report.name.as_str() {
        "device-transactions" => vec![("device_id", METER), ("from", "2026-02-20")],
        "monthly-transactions" => vec![("month", "2026-03")],
        "load-balance" => vec![("from", "2026-03-01"), ("until", "2026-03-01")],
        _ => Vec::new(),
    }
}

/// Ann's requests to the meter: two rows.
fn of_meter(form: i32) -> RunReportRequest {
    request("device-transactions", &[("device_id", METER)], form)
}

/// A report that has come to its end.
struct Made {
    about: v1::ReportAbout,
    rows: Vec<v1::ReportRow>,
    bytes: Vec<u8>,
    end: v1::ReportEnd,
}

/// All of a stream, which must begin and end as the contract says.
async fn taken(mut messages: Streaming<RunReportResponse>) -> Result<Made, Status> {
    let first = messages.message().await?.unwrap();
    let Some(Part::About(about)) = first.part else { panic!("the first message is {first:?}") };
    let (mut rows, mut bytes) = (Vec::new(), Vec::new());
    let end = loop {
        match messages.message().await?.expect("no end without the last message").part.unwrap() {
            Part::About(again) => panic!("{again:?}"),
            Part::Progress(progress) => assert!(progress.bytes <= bytes.len() as u64),
            Part::Rows(some) => rows.extend(some.rows),
            Part::Data(some) => bytes.extend(some),
            Part::End(end) => break end,
        }
    };
    assert_eq!(messages.message().await?, None);
    Ok(Made { about, rows, bytes, end })
}

async fn made(
    client: &mut ReportServiceClient<Channel>,
    token: &str,
    request: RunReportRequest,
) -> Result<Made, Status> {
    taken(client.run(by(token, request)).await?.into_inner()).await
}

fn told(status: &Status) -> (Code, String) {
    (status.code(), status.get_details_error_info().map(|info| info.reason).unwrap_or_default())
}

async fn access(world: &World<Lake>, token: &str) -> Access {
    world.admission.admit(token, now()).await.unwrap()
}

/// The same report, made in this process.
async fn local(world: &World<Lake>, who: &Access, report: &Report) -> ReportRows {
    let arguments = report.arguments(given(report), now()).unwrap();
    let order = report.order(arguments, (who, &BTreeSet::new()), now()).unwrap();
    let (sharing, snapshot) = (world.admission.sharing().unwrap(), world.lake.snapshot());
    let engine = (Clock::manual(now()), SqlLimits::default());
    Box::pin(order.run((&snapshot, &sharing), engine, |session| session)).await.unwrap()
}

/// The parts of a workbook but that which says when the file was made.
fn sheets(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut parts = BTreeMap::new();
    for number in 0..archive.len() {
        let mut part = archive.by_index(number).unwrap();
        let mut content = Vec::new();
        part.read_to_end(&mut content).unwrap();
        let name = part.name().unwrap().into_owned();
        parts.insert(name, content);
    }
    assert!(parts.remove("docProps/core.xml").is_some());
    parts
}

/// Over a connection comes what the report is in this process, byte for byte, in every form.
#[tokio::test(flavor = "multi_thread")]
async fn every_report_comes_in_every_form() {
    let world = world().await;
    let (token, mut client) = (world.token(ANN, 1), client(&world).await);
    let who = access(&world, &token).await;
    let mut with_rows = BTreeSet::new();
    for report in Catalogue::shared().unwrap().iter() {
        for (form, format) in FORMS {
            let mut rows = local(&world, &who, report).await;
            let mut output = Output::new(format, report, rows.about(), Vec::new()).unwrap();
            while let Some(batch) = rows.next().await.unwrap() {
                output.write(&batch).unwrap();
            }
            let (expected, count) = output.finish().unwrap();
            let asked = request(&report.name, &given(report), form.into());
            let Made { about, rows: none, bytes, end } = made(&mut client, &token, asked).await.unwrap();
            let what = format!("{} as {}", report.name, format.name());
            assert!(none.is_empty(), "{what}");
            assert_eq!((end.row_count, end.byte_count), (count, bytes.len() as u64), "{what}");
            assert_eq!(end.sha256, hex::encode(Sha256::digest(&bytes)), "{what}");
            match format {
                OutputFormat::Xlsx => assert!(sheets(&bytes) == sheets(&expected), "{what}"),
                _ => assert!(bytes == expected, "{what}"),
            }
            let said = rows.about();
            let parameters: BTreeMap<_, _> = about.parameters.into_iter().collect();
            assert_eq!((&about.report, about.version), (&report.name, report.version));
            assert_eq!((parameters, about.users), (said.parameters.clone(), said.users.clone()));
            assert_eq!(
                (about.user_ids, about.snapshot_version),
                (vec![ANN.to_owned()], said.lake_version.clone())
            );
            assert_eq!(about.made_at.map(|at| at.seconds * 1000), Some(now().millis()));
            assert!(about.complete_up_to.is_some() && about.fresh_enough);
            with_rows.extend((count > 0).then_some(report.name.as_str()));
        }
    }
    let expected = BTreeSet::from(["device-transactions", "load-balance", "monthly-transactions"]);
    assert!(expected.is_subset(&with_rows), "{with_rows:?}");
}

fn text_of(cell: &v1::ReportCell) -> String {
    match &cell.value {
        None => String::new(),
        Some(Value::Text(text) | Value::UkTime(text) | Value::Date(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Decimal(number)) => number.to_string(),
        Some(Value::Time(at)) => {
            let millis = at.seconds * 1000 + i64::from(at.nanos) / 1_000_000;
            gridtrail_model::Timestamp::from_millis(millis).unwrap().to_string()
        }
        Some(Value::Flag(flag)) => if *flag { "yes" } else { "no" }.to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_cells_of_the_types_of_their_columns() {
    let world = world().await;
    let (token, mut client) = (world.token(ANN, 1), client(&world).await);
    let who = access(&world, &token).await;
    for report in Catalogue::shared().unwrap().iter() {
        let (mut rows, mut expected) = (local(&world, &who, report).await, Vec::new());
        while let Some(batch) = rows.next().await.unwrap() {
            expected.extend(report.texts_of(&batch));
        }
        // Rows are what comes where no form is named.
        for form in [ROWS, 0] {
            let Made { about, rows, bytes, end } =
                made(&mut client, &token, request(&report.name, &given(report), form)).await.unwrap();
            let names: Vec<_> = about.columns.iter().map(|column| column.name.as_str()).collect();
            assert_eq!(names, report.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>());
            let texts: Vec<Vec<String>> =
                rows.iter().map(|row| row.cells.iter().map(text_of).collect()).collect();
            assert_eq!(texts, expected, "{}", report.name);
            assert_eq!((end.row_count, end.byte_count), (expected.len() as u64, 0));
            assert!(bytes.is_empty() && end.sha256.is_empty());
            for row in &rows {
                for (cell, column) in row.cells.iter().zip(&about.columns) {
                    use v1::ReportColumnType as Type;
                    let fits = match &cell.value {
                        None => true,
                        Some(Value::Text(_)) => column.r#type() == Type::Text,
                        Some(Value::Number(_)) => column.r#type() == Type::Number,
                        Some(Value::Decimal(_)) => column.r#type() == Type::Decimal,
                        Some(Value::Time(_)) => column.r#type() == Type::Time,
                        Some(Value::UkTime(_)) => column.r#type() == Type::UkTime,
                        Some(Value::Date(_)) => column.r#type() == Type::Date,
                        Some(Value::Flag(_)) => column.r#type() == Type::Flag,
                    };
                    assert!(fits, "{} of {}: {cell:?}", column.name, report.name);
                }
            }
        }
    }
}

/// What is told of a report is all of its manifest.
#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_described_by_its_manifest() {
    let world = world().await;
    let (token, mut client) = (world.token(ANN, 1), client(&world).await);
    let listed = client.list(by(&token, v1::ListReportsRequest {})).await.unwrap().into_inner().reports;
    let reports = Catalogue::shared().unwrap();
    let expected: Vec<_> =
        reports.iter().map(|one| (one.name.as_str(), one.title.as_str(), one.version)).collect();
    let found: Vec<_> =
        listed.iter().map(|one| (one.name.as_str(), one.title.as_str(), one.version)).collect();
    assert_eq!(found, expected);
    for report in reports.iter() {
        let asked = v1::DescribeReportRequest { name: report.name.clone() };
        let described = client.describe(by(&token, asked)).await.unwrap().into_inner();
        assert_eq!(described.page, report.page());
        let told = described.report.unwrap();
        let answered = told.answer_file.as_ref().map(|file| &file.columns);
        assert_eq!(answered, report.appendix_aa.as_ref().map(|file| &file.columns));
        let manifest = serde_json::to_value(report).unwrap();
        let texts = |list: &str, field: &str| -> Vec<String> {
            let all = manifest[list].as_array().unwrap().iter();
            all.map(|one| one[field].as_str().unwrap_or_default().to_owned()).collect()
        };
        assert_eq!(
            (&told.title, &told.purpose, &told.pertains),
            (&report.title, &report.purpose, &report.pertains)
        );
        assert_eq!(
            (told.freshness_hours, &told.tables, &told.limits),
            (report.freshness_hours, &report.tables, &report.limits)
        );
        assert_eq!(told.needs_one_of, report.needs_one_of);
        assert_eq!(told.period.is_some(), report.period.is_some());
        assert_eq!(told.chart.is_some(), report.chart.is_some());
        for field in ["name", "unit", "description"] {
            let of = |column: &v1::ReportColumn| match field {
                "name" => column.name.clone(),
                "unit" => column.unit.clone(),
                _ => column.description.clone(),
            };
            assert_eq!(told.columns.iter().map(of).collect::<Vec<_>>(), texts("columns", field));
        }
        let names =
            |names: &[v1::ReportParameter]| names.iter().map(|one| one.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&told.parameters), texts("parameters", "name"));
        assert!(told.parameters.iter().all(|one| !one.takes.is_empty() && one.r#type != 0));
        assert!(told.columns.iter().all(|one| one.r#type != 0));
        assert_eq!(
            told.sort.iter().map(|key| key.column.clone()).collect::<Vec<_>>(),
            texts("sort", "column")
        );
        assert_eq!(
            told.changes.iter().map(|one| one.what.clone()).collect::<Vec<_>>(),
            texts("changes", "what")
        );
    }
    let asked = v1::DescribeReportRequest { name: "load-balance".into() };
    let told = client.describe(by(&token, asked)).await.unwrap().into_inner().report.unwrap();
    let from = &told.parameters[0];
    assert_eq!((from.default.as_str(), from.default_now.as_str()), ("today - 7", "2026-02-23"));
    assert_eq!(told.period.map(|period| period.days_max), Some(31));
    let slot = &told.parameters[2];
    assert_eq!(
        (slot.r#type(), &slot.values),
        (v1::ReportParameterType::Choice, &vec!["hour".to_owned(), "half hour".to_owned()])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_wrongly_is_told_with_its_field() {
    let world = world().await;
    let (token, mut client) = (world.token(ANN, 1), client(&world).await);
    let monthly = |given: &[(&str, &str)]| request("monthly-transactions", given, ROWS);
    let invalid = (Code::InvalidArgument, "INVALID_REQUEST");
    for (asked, expected, field, part) in [
        (
            request("no-such-report", &[], ROWS),
            (Code::NotFound, "REPORT_NOT_FOUND"),
            "",
            "monthly-transactions",
        ),
        (monthly(&[("year", "2026")]), invalid, "parameters.year", "has no parameter"),
        (monthly(&[("month", "March")]), invalid, "parameters.month", "month is a month"),
        (request("device-transactions", &[], ROWS), invalid, "parameters", "needs device_id or mpxn"),
        (
            request("load-balance", &[("from", "2026-03-02"), ("until", "2026-03-01")], ROWS),
            invalid,
            "parameters.until",
            "is before",
        ),
        (
            request("load-balance", &[("from", "2026-01-01"), ("until", "2026-03-01")], ROWS),
            invalid,
            "parameters.until",
            "60 days",
        ),
        (request("monthly-transactions", &[], 99), invalid, "form", "found 99"),
        (
            request("quarantined-requests", &[("state", "Deleted")], ANSWER),
            invalid,
            "parameters.state",
            "given twice",
        ),
        (request("monthly-transactions", &[], ANSWER), invalid, "form", "no form of Appendix AA"),
        (RunReportRequest { user_ids: vec!["me".into()], ..monthly(&[]) }, invalid, "user_ids", ""),
        (RunReportRequest { user_ids: vec![ANN.into(); 1001], ..monthly(&[]) }, invalid, "user_ids", "1000"),
        (
            RunReportRequest { version: 7, ..monthly(&[]) },
            (Code::FailedPrecondition, "REPORT_CHANGED"),
            "",
            "is of version 1; you asked for version 7",
        ),
    ] {
        let status = client.run(by(&token, asked.clone())).await.unwrap_err();
        assert_eq!(told(&status), (expected.0, expected.1.to_owned()), "{asked:?}: {status}");
        assert!(status.message().contains(part), "{asked:?}: {status}");
        let fields =
            status.get_details_bad_request().map(|request| request.field_violations).unwrap_or_default();
        assert_eq!(fields.first().map(|one| one.field.as_str()).unwrap_or_default(), field, "{asked:?}");
    }
    let known = RunReportRequest { version: 1, ..monthly(&[]) };
    assert_eq!(made(&mut client, &token, known).await.unwrap().about.version, 1);
    let unknown = v1::DescribeReportRequest { name: "x".repeat(500) };
    let status = client.describe(by(&token, unknown)).await.unwrap_err();
    assert_eq!(told(&status), (Code::NotFound, "REPORT_NOT_FOUND".into()));
    assert!(status.message().len() < 400, "{status}");
}

/// The file by which a User answers is of one User ID, and made with what it is always made with.
#[tokio::test(flavor = "multi_thread")]
async fn the_file_of_appendix_aa_is_of_one_user_id() {
    let world = world().await;
    let mut client = client(&world).await;
    let token = world.token_of(BOB, &[BOB, ANN], 1);
    world.admission.replace(world_of("granted"));
    let refused = made(&mut client, &token, request("quarantined-requests", &[], ANSWER)).await;
    let status = refused.err().unwrap();
    assert_eq!(told(&status), (Code::InvalidArgument, "INVALID_REQUEST".to_owned()), "{status}");
    assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, "user_ids");
    let asked =
        RunReportRequest { user_ids: vec![ANN.into()], ..request("quarantined-requests", &[], ANSWER) };
    let found = made(&mut client, &token, asked).await.unwrap();
    assert_eq!(found.about.parameters["state"], "Quarantined");
    let report = Catalogue::shared().unwrap().require("quarantined-requests").unwrap();
    let columns = report.appendix_aa.as_ref().unwrap().columns.join(",");
    let text = String::from_utf8(found.bytes).unwrap();
    let lines: Vec<&str> = text.split("\r\n").collect();
    let [header, row, ""] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!(*header, format!("{columns},action"));
    // Its action is for the User to say.
    assert!(row.starts_with(&format!("{ANN}:{METER}:")) && row.ends_with(','), "{row}");
    assert_eq!((found.end.row_count, found.end.sha256.len()), (1, 64));
}

/// Reports are a component of the role matrix, and so are withheld as a whole: also what they are.
#[tokio::test(flavor = "multi_thread")]
async fn reports_are_for_the_roles_of_the_matrix() {
    let world = world().await;
    let mut client = client(&world).await;
    for role in 1..=11 {
        let token = world.token(ANN, role);
        let describe = v1::DescribeReportRequest { name: "load-balance".into() };
        let outcomes = [
            client.list(by(&token, v1::ListReportsRequest {})).await.map(drop),
            client.describe(by(&token, describe)).await.map(drop),
            made(&mut client, &token, of_meter(ROWS)).await.map(|made| assert_eq!(made.rows.len(), 2)),
        ];
        for outcome in outcomes {
            let told = outcome.map_err(|status| told(&status));
            match role {
                1 | 2 | 4 | 6 | 10 | 11 => assert_eq!(told, Ok(()), "role {role}"),
                _ => assert_eq!(told, Err((Code::PermissionDenied, "ROLE_MISSING".into())), "role {role}"),
            }
        }
    }
    let status = client.list(v1::ListReportsRequest {}).await.unwrap_err();
    assert_eq!(told(&status), (Code::Unauthenticated, "NO_IDENTITY".into()));
}

fn users(rows: &[v1::ReportRow], about: &v1::ReportAbout) -> BTreeSet<String> {
    let place = about.columns.iter().position(|column| column.name == "user_id").unwrap();
    rows.iter().map(|row| text_of(&row.cells[place])).collect()
}

/// A report has rows of the caller's User IDs, granted ones included, or of those of them that are named; never of another's.
#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_of_the_callers_user_ids() {
    let world = world().await;
    let mut client = client(&world).await;
    let of = |user_ids: &[&str]| {
        let user_ids = user_ids.iter().map(|id| (*id).to_owned()).collect();
        RunReportRequest { user_ids, ..of_meter(ROWS) }
    };
    // A token names whatever it likes: what counts is who shares with whom.
    let token = world.token_of(BOB, &[BOB, ANN], 1);
    let all = made(&mut client, &token, of(&[])).await.unwrap();
    assert_eq!(
        (users(&all.rows, &all.about), all.about.user_ids),
        ([BOB.to_owned()].into(), vec![BOB.to_owned()])
    );
    for (named, bearer) in [(vec![ANN], &token), (vec![BOB, ANN], &token), (vec![BOB], &world.token(ANN, 1))]
    {
        let status = client.run(by(bearer, of(&named))).await.unwrap_err();
        assert_eq!(told(&status), (Code::PermissionDenied, "USER_ID_NOT_YOURS".into()), "{named:?}");
    }
    world.admission.replace(world_of("granted"));
    for (named, expected) in [(vec![], [ANN, BOB].as_slice()), (vec![ANN], &[ANN]), (vec![BOB], &[BOB])] {
        let found = made(&mut client, &token, of(&named)).await.unwrap();
        let expected: BTreeSet<String> = expected.iter().map(|id| (*id).to_owned()).collect();
        assert_eq!(users(&found.rows, &found.about), expected, "{named:?}");
        assert_eq!(found.about.user_ids.into_iter().collect::<BTreeSet<_>>(), expected);
    }
}

/// The access log has the report, its version, what was asked as searches have it, and how many rows came; no text that anybody may type.
#[tokio::test(flavor = "multi_thread")]
async fn every_call_is_on_record() {
    let world = world().await;
    let (token, mut client) = (world.token(ANN, 1), client(&world).await);
    client.list(by(&token, v1::ListReportsRequest {})).await.unwrap();
    client.describe(by(&token, v1::DescribeReportRequest { name: "load-balance".into() })).await.unwrap();
    let asked = RunReportRequest { user_ids: vec![ANN.into()], ..of_meter(ReportForm::Html.into()) };
    made(&mut client, &token, asked).await.unwrap();
    let narrow = [("mpxn", MPAN), ("variant", "4.8.1"), ("from", "2026-03-01")];
    made(&mut client, &token, request("device-transactions", &narrow, ROWS)).await.unwrap();
    let typed = [("manufacturer", "Jane Doe, 1 High Street")];
    made(&mut client, &token, request("device-models", &typed, ROWS)).await.unwrap();
    client.run(by(&token, request("Jane Doe", &[], ROWS))).await.unwrap_err();
    let asked = RunReportRequest { user_ids: vec![BOB.into()], ..of_meter(ROWS) };
    client.run(by(&token, asked)).await.unwrap_err();
    drop(client);
    let entries = world.recorded().await;
    let shown: Vec<String> = entries.iter().map(shown).collect();
    assert_eq!(
        shown,
        [
            "ReportService.List OK - - - - -".to_owned(),
            "ReportService.Describe OK - - - - load-balance".to_owned(),
            format!(
                "ReportService.Run OK 2 device_id,user_id {METER},{ANN} - device-transactions version=1 form=html user_ids=1 \
                 from=2026-01-31 until=2026-03-02"
            ),
            format!(
                "ReportService.Run OK 2 mpxn {MPAN} 4.8.1 device-transactions version=1 form=rows user_ids=all \
                 from=2026-03-01 until=2026-03-02"
            ),
            "ReportService.Run OK 0 - - - device-models version=1 form=rows user_ids=all manufacturer=?"
                .to_owned(),
            "ReportService.Run NOT_FOUND - - - - -".to_owned(),
            format!(
                "ReportService.Run PERMISSION_DENIED - device_id,user_id {METER},{BOB} - device-transactions version=1 form=rows \
                 user_ids=1 from=2026-01-31 until=2026-03-02"
            ),
        ]
    );
    assert!(entries.iter().all(|entry| entry.subject.as_deref() == Some(&format!("someone at {ANN}"))));
    assert!(
        entries[2].version.is_some() && entries[2].rows_of_others == Some(0) && entries[2].took_us.is_some()
    );
}

fn shown(entry: &Entry) -> String {
    let or_none = |text: Option<&str>| text.unwrap_or("-").to_owned();
    [
        entry.call.to_string(),
        entry.outcome.to_string(),
        or_none(entry.rows.map(|rows| rows.to_string()).as_deref()),
        or_none(entry.key_kind.as_deref()),
        or_none(entry.key.as_deref()),
        or_none(entry.variants.as_deref()),
        or_none(entry.detail.as_deref()),
    ]
    .join(" ")
}
