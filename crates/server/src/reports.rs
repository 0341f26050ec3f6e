//! The service of reports: from requests to orders, and from what is made of these to streams of messages.

mod making;
mod message;
mod outflow;

use crate::callers::CallerName;
use crate::deadline::time_left;
use crate::limits::{REPORT_ANSWER_BYTES, REPORT_USERS_MAX, REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX};
use crate::record::{Caller, Leaving, Record};
use crate::service::Desk;
use crate::status::CallError;
use futures::stream::{BoxStream, StreamExt as _};
use gridtrail_access::{Access, Component};
use gridtrail_lake::Lake;
use gridtrail_model::UserId;
use gridtrail_port::{Places, Sizes};
use gridtrail_proto::query::v1;
use gridtrail_proto::query::v1::report_service_server::{ReportService, ReportServiceServer};
use gridtrail_proto::query::v1::run_report_response::Part;
use gridtrail_reports::{Catalogue, OutputFormat, ReportError};
use gridtrail_search::SearchError;
use gridtrail_sql::SqlLimits;
use making::Work;
use message::{about_message, described, form_of, listed};
use outflow::Outflow;
use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tonic::{Request, Response, Status, async_trait};

/// How reports are made.
#[derive(Debug, Clone)]
pub struct ReportParts {
    /// Those that there are.
    pub reports: &'static Catalogue,
    /// What they are made from.
    pub lake: Lake,
    /// How much each may take. Its time counts until its last message was taken.
    pub limits: SqlLimits,
    /// Reports that are made at the same time.
    pub at_once: NonZeroU32,
    /// Those of one caller.
    pub at_once_each: NonZeroU32,
    /// Where they are made: threads of their own keep them from holding up other calls.
    pub threads: Handle,
}

/// The service.
#[derive(Debug, Clone)]
pub(crate) struct Reports {
    desk: Desk,
    reports: &'static Catalogue,
    lake: Lake,
    limits: SqlLimits,
    places: Places<CallerName>,
    threads: Handle,
}

impl Reports {
    pub(crate) fn server(desk: &Desk, parts: ReportParts) -> ReportServiceServer<Self> {
        let ReportParts { reports, lake, limits, at_once, at_once_each, threads } = parts;
        // No report that is made gives its place up.
        let sizes = Sizes { all: at_once.get(), each: at_once_each.get(), patience: Duration::MAX };
        let this = Self { desk: desk.clone(), reports, lake, limits, places: Places::new(sizes), threads };
        ReportServiceServer::new(this)
            .max_decoding_message_size(REQUEST_BYTES_MAX)
            .max_encoding_message_size(RESPONSE_BYTES_MAX)
    }

    /// Demands that the caller's roles have reports.
    fn require(&self, who: &Access) -> Result<(), CallError> {
        Ok(who.require(Component::Reporting, self.desk.clock().now())?)
    }

    /// Checks what is asked, and says what the report will say of itself.
    fn begin(
        &self,
        (caller, message): (&Caller, &v1::RunReportRequest),
        (who, record): (Access, &mut Record),
    ) -> Result<(v1::RunReportResponse, Work), CallError> {
        self.require(&who)?;
        let (began, now) = (Instant::now(), self.desk.clock().now());
        let report = self.reports.require(&message.name)?;
        let form = form_of(message.form)?;
        let user_ids = user_ids_of(&message.user_ids)?;
        let given = message.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let given = given.chain(report.set_by(form));
        let arguments = report.arguments(given, now).map_err(ReportError::from)?;
        record.asked_report(report.asked(form, &arguments, &user_ids));
        if message.version != 0 && message.version != report.version {
            let (name, found, asked) = (report.name.clone(), report.version, message.version);
            return Err(CallError::OtherReport { name, found, asked });
        }
        let order = report.order(arguments, (&who, &user_ids), now)?;
        if form == Some(OutputFormat::AppendixAa) {
            let users = order.who().user_ids().to_set().len();
            report.answer_file(users).map_err(|error| {
                let field = if report.appendix_aa.is_none() { "form" } else { "user_ids" };
                SearchError::invalid(field, error.to_string())
            })?;
        }
        let left = self.desk.allowance(&who);
        let place = Arc::new(left.place_in(&self.places, "reports at once")?);
        record.weigh(REPORT_ANSWER_BYTES)?;
        let snapshot = self.lake.snapshot();
        let about = order.about((&snapshot, &*self.desk.sharing()?), now);
        record.read_at(snapshot.version());
        let time = time_left(&caller.metadata, self.limits.time);
        let head = about_message(&about, (report, order.who()), time);
        let rights = self.desk.rights_of(caller)?;
        let (clock, limits) = (self.desk.clock().clone(), self.limits.clone());
        let until = began + time;
        let work =
            Work { order, report, form, about, snapshot, clock, limits, rights, left, began, until, place };
        Ok((v1::RunReportResponse { part: Some(Part::About(head)) }, work))
    }
}

/// The User IDs that are named.
fn user_ids_of(texts: &[String]) -> Result<BTreeSet<UserId>, CallError> {
    if texts.len() > REPORT_USERS_MAX {
        let rule = format!("at most {REPORT_USERS_MAX}; found {}", texts.len());
        return Err(SearchError::invalid("user_ids", rule).into());
    }
    let read = |text: &String| text.parse::<UserId>();
    let read: Result<_, _> = texts.iter().map(read).collect();
    Ok(read.map_err(|error| SearchError::invalid("user_ids", error.to_string()))?)
}

#[async_trait]
impl ReportService for Reports {
    type RunStream = BoxStream<'static, Result<v1::RunReportResponse, Status>>;

    async fn list(
        &self,
        request: Request<v1::ListReportsRequest>,
    ) -> Result<Response<v1::ListReportsResponse>, Status> {
        let (caller, _) = Caller::of(request);
        let work = async |who: Access, _: &mut Record| {
            self.require(&who)?;
            Ok(v1::ListReportsResponse { reports: self.reports.iter().map(listed).collect() })
        };
        self.desk.answer("ReportService.List", &caller, work).await
    }

    async fn describe(
        &self,
        request: Request<v1::DescribeReportRequest>,
    ) -> Result<Response<v1::DescribeReportResponse>, Status> {
        let (caller, message) = Caller::of(request);
        let work = async |who: Access, record: &mut Record| {
            self.require(&who)?;
            let report = self.reports.require(&message.name)?;
            record.described_report(&report.name);
            let described = described(report, self.desk.clock().now());
            Ok(v1::DescribeReportResponse { report: Some(described), page: report.page() })
        };
        self.desk.answer("ReportService.Describe", &caller, work).await
    }

    async fn run(&self, request: Request<v1::RunReportRequest>) -> Result<Response<Self::RunStream>, Status> {
        const CALL: &str = "ReportService.Run";
        let (caller, message) = Caller::of(request);
        let begin = async |who: Access, record: &mut Record| self.begin((&caller, &message), (who, record));
        let answer = self.desk.answer(CALL, &caller, begin).await?;
        let (metadata, (head, work), mut extensions) = answer.into_parts();
        let record = extensions.remove::<Leaving>().and_then(|leaving| leaving.take());
        let (outflow, held) = Outflow::begin(&self.threads, (head, work), record);
        extensions.insert(held);
        Ok(Response::from_parts(metadata, outflow.boxed(), extensions))
    }
}
