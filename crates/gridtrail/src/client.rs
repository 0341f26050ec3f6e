//! The gRPC client: calls with a token, and answers as rows to print.

use crate::args::{Bound, Credential, SearchKey, ServerArgs};
use crate::exit::Failure;
use crate::text;
use arrow_flight::FlightDescriptor;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::{CommandStatementQuery, ProstMessageExt as _};
use futures::TryStreamExt as _;
use gridtrail_lake::Cost;
use gridtrail_model::{DeviceId, Timestamp};
use gridtrail_proto::query::v1::audit_trail_service_client::AuditTrailServiceClient;
use gridtrail_proto::query::v1::freshness_service_client::FreshnessServiceClient;
use gridtrail_proto::query::v1::hub_service_client::HubServiceClient;
use gridtrail_proto::query::v1::inventory_service_client::InventoryServiceClient;
use gridtrail_proto::query::v1::meter_read_service_client::MeterReadServiceClient;
use gridtrail_proto::query::v1::report_service_client::ReportServiceClient;
use gridtrail_proto::query::v1::search_request::Key;
use gridtrail_proto::query::v1::session_service_client::SessionServiceClient;
use gridtrail_proto::query::v1::{
    DescribeReportRequest, DescribeReportResponse, GetDeviceRequest, GetDeviceResponse, GetFreshnessRequest,
    GetFreshnessResponse, GetHubRequest, GetHubResponse, GetRequest, GetResponse, InventorySearchRequest,
    InventorySearchResponse, ListReportsRequest, ListReportsResponse, ProfileRequest, ProfileResponse,
    RunReportRequest, RunReportResponse, SearchRequest, SearchResponse, TrailRow,
};
use gridtrail_server::{COST_HEADER, RESPONSE_BYTES_MAX};
use gridtrail_sql::SchemaRef;
use gridtrail_tls::{Disagreement, disagreement, encrypts};
use prost::Message as _;
use std::error::Error as _;
use std::path::Path;
use std::time::Duration;
use tonic::Streaming;
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic_types::StatusExt as _;

const CONNECT_LIFE: Duration = Duration::from_secs(5);
const CALL_LIFE: Duration = Duration::from_secs(60);

/// Which service answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    /// `AuditTrailService`.
    Audit,
    /// `MeterReadService`.
    MeterReads,
}

/// Whom a client trusts, and what it shows; `None`: the URL asks for no encryption.
fn tls_of(args: &ServerArgs) -> Result<Option<ClientTlsConfig>, Failure> {
    let Some(anchors) = args.server_anchors.as_deref() else {
        if !args.server.starts_with("https:") {
            return Ok(None);
        }
        let reason = "an https URL needs the trust anchors of the server's certificate".to_owned();
        return Err(Failure::Argument { argument: "--server-anchors", reason });
    };
    if !args.server.starts_with("https:") {
        let reason = format!("{} is not encrypted; the URL should begin with https", args.server);
        return Err(Failure::Argument { argument: "--server", reason });
    }
    let mut config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(text::bytes(anchors)?));
    if let (Some(certificate), Some(key)) = (&args.client_certificate, &args.client_key) {
        config = config.identity(Identity::from_pem(text::bytes(certificate)?, text::key_bytes(key)?));
    }
    Ok(Some(config))
}

/// One connection, and the token that goes with every call.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The server's URL.
    server: String,
    channel: Channel,
    authorization: MetadataValue<Ascii>,
}

impl Caller {
    /// Connects to a server, in the way that its URL says: `https` with the trust anchors that are named.
    pub(crate) async fn connect(args: &ServerArgs, token: &str) -> Result<Self, Failure> {
        let server = &args.server;
        let wrong = |argument, reason: &str| Failure::Argument { argument, reason: reason.to_owned() };
        let authorization = MetadataValue::try_from(format!("Bearer {token}"))
            .map_err(|_| wrong("--token", "a token has no line ends and no letters beyond ASCII"))?;
        let no_url = || Failure::Argument {
            argument: "--server",
            reason: format!(
                "{server} is no URL such as http://127.0.0.1:8471 or https://gridtrail.example:8471"
            ),
        };
        let endpoint = Endpoint::from_shared(server.to_owned()).map_err(|_| no_url())?;
        if !matches!(endpoint.uri().scheme_str(), Some("http" | "https")) || endpoint.uri().host().is_none() {
            return Err(no_url());
        }
        let endpoint = endpoint.connect_timeout(CONNECT_LIFE).timeout(CALL_LIFE).tcp_nodelay(true);
        let endpoint = match tls_of(args)? {
            Some(tls) => endpoint.tls_config(tls).map_err(|error| Failure::Argument {
                argument: "--server-anchors",
                reason: error.to_string(),
            })?,
            None => endpoint,
        };
        let connected = endpoint.connect().await;
        match connected {
            Ok(channel) => Ok(Self { server: server.clone(), channel, authorization }),
            Err(error) => Err(match disagreement_with(server, disagreement(&error)).await {
                Some(disagreement) => Failure::Encryption { server: server.clone(), disagreement },
                None => Failure::Connect { server: server.clone(), source: error },
            }),
        }
    }

    /// One page.
    pub(crate) async fn search(
        &self,
        view: View,
        request: &SearchRequest,
    ) -> Result<SearchResponse, Failure> {
        Ok(self.search_with_cost(view, request).await?.0)
    }

    /// One page, and what it cost, where the server says so.
    pub(crate) async fn search_with_cost(
        &self,
        view: View,
        request: &SearchRequest,
    ) -> Result<(SearchResponse, Option<Cost>), Failure> {
        let call = self.call_of(request.clone());
        let channel = self.channel.clone();
        let answer = match view {
            View::Audit => AuditTrailServiceClient::new(channel).search(call).await,
            View::MeterReads => MeterReadServiceClient::new(channel).search(call).await,
        };
        let cost = answer.as_ref().ok().and_then(|answer| cost_of(answer.metadata()));
        self.taken(answer).await.map(|page| (page, cost))
    }

    /// One row, by its reference, with one page of its history.
    pub(crate) async fn get(&self, view: View, request: GetRequest) -> Result<GetResponse, Failure> {
        let call = self.call_of(request);
        let channel = self.channel.clone();
        let answer = match view {
            View::Audit => AuditTrailServiceClient::new(channel).get(call).await,
            View::MeterReads => MeterReadServiceClient::new(channel).get(call).await,
        };
        self.taken(answer).await
    }

    /// One Communications Hub.
    pub(crate) async fn hub(&self, device: DeviceId) -> Result<GetHubResponse, Failure> {
        let call = self.call_of(GetHubRequest { device_id: device.to_string() });
        self.taken(HubServiceClient::new(self.channel.clone()).get(call).await).await
    }

    /// One page of a search of the inventory.
    pub(crate) async fn search_inventory(
        &self,
        request: &InventorySearchRequest,
    ) -> Result<InventorySearchResponse, Failure> {
        let call = self.call_of(request.clone());
        self.taken(InventoryServiceClient::new(self.channel.clone()).search(call).await).await
    }

    /// One page of Devices of the inventory, with those around each.
    pub(crate) async fn get_device(&self, request: &GetDeviceRequest) -> Result<GetDeviceResponse, Failure> {
        let call = self.call_of(request.clone());
        self.taken(InventoryServiceClient::new(self.channel.clone()).get_device(call).await).await
    }

    /// Who the caller is to the server.
    pub(crate) async fn profile(&self) -> Result<ProfileResponse, Failure> {
        let call = self.call_of(ProfileRequest {});
        self.taken(SessionServiceClient::new(self.channel.clone()).profile(call).await).await
    }

    /// Gets what a row lacks of its history, page by page.
    pub(crate) async fn complete(&self, view: View, row: &mut TrailRow) -> Result<(), Failure> {
        let Some(details) = &mut row.details else { return Ok(()) };
        while !details.next_history_page_token.is_empty() {
            let history_page_token = std::mem::take(&mut details.next_history_page_token);
            let reference = row.reference.clone();
            let request = GetRequest { reference, history_page_token, ..GetRequest::default() };
            let Some(rest) = self.get(view, request).await?.row.and_then(|row| row.details) else { break };
            details.status_change_history.extend(rest.status_change_history);
            details.next_history_page_token = rest.next_history_page_token;
        }
        Ok(())
    }

    /// How fresh the server is: every page of it.
    pub(crate) async fn freshness(&self, days: u32) -> Result<GetFreshnessResponse, Failure> {
        let mut service = FreshnessServiceClient::new(self.channel.clone());
        let mut request = GetFreshnessRequest { days, ..GetFreshnessRequest::default() };
        let mut whole = self.taken(service.get(self.call_of(request.clone())).await).await?;
        while !whole.next_page_token.is_empty() {
            request.page_token = std::mem::take(&mut whole.next_page_token);
            let page = self.taken(service.get(self.call_of(request.clone())).await).await?;
            for source in page.sources {
                match whole.sources.last_mut() {
                    // A topic that goes on.
                    Some(last) if (&last.cluster, &last.name) == (&source.cluster, &source.name) => {
                        last.partitions.extend(source.partitions);
                    }
                    _ => whole.sources.push(source),
                }
            }
            whole.days.extend(page.days);
            whole.next_page_token = page.next_page_token;
        }
        Ok(whole)
    }

    /// The answer to a statement of SQL: its columns, and its rows.
    pub(crate) async fn sql(&self, statement: &str) -> Result<(SchemaRef, FlightRecordBatchStream), Failure> {
        let mut service = FlightServiceClient::new(self.channel.clone());
        let command = CommandStatementQuery { query: statement.to_owned(), transaction_id: None };
        let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
        let info = self.taken(service.get_flight_info(self.call_of(descriptor)).await).await?;
        let no_answer = || Failure::Process("the server's answer names no columns or no ticket");
        let ticket =
            info.endpoint.first().and_then(|endpoint| endpoint.ticket.clone()).ok_or_else(no_answer)?;
        let columns = info.try_decode_schema().map_err(|_| no_answer())?;
        let messages = self.taken(service.do_get(self.call_of(ticket)).await).await?;
        let rows = FlightRecordBatchStream::new_from_flight_data(messages.map_err(Into::into));
        Ok((columns.into(), rows))
    }

    /// The reports that there are.
    pub(crate) async fn reports(&self) -> Result<ListReportsResponse, Failure> {
        let call = self.call_of(ListReportsRequest {});
        self.taken(ReportServiceClient::new(self.channel.clone()).list(call).await).await
    }

    /// What a report is.
    pub(crate) async fn describe_report(&self, name: &str) -> Result<DescribeReportResponse, Failure> {
        let call = self.call_of(DescribeReportRequest { name: name.to_owned() });
        self.taken(ReportServiceClient::new(self.channel.clone()).describe(call).await).await
    }

    /// The messages of a report.
    pub(crate) async fn run_report(
        &self,
        request: RunReportRequest,
    ) -> Result<Streaming<RunReportResponse>, Failure> {
        let mut service =
            ReportServiceClient::new(self.channel.clone()).max_decoding_message_size(RESPONSE_BYTES_MAX);
        self.taken(service.run(self.call_of(request)).await).await
    }

    /// The next message of a stream; `None` at its end.
    pub(crate) async fn next_of<T>(&self, messages: &mut Streaming<T>) -> Result<Option<T>, Failure> {
        match messages.message().await {
            Ok(message) => Ok(message),
            Err(status) => self.taken(Err(status)).await,
        }
    }

    /// Why rows broke off.
    pub(crate) async fn broken(&self, error: FlightError) -> Failure {
        match error {
            FlightError::Tonic(status) => match self.taken::<()>(Err(*status)).await {
                Err(failure) => failure,
                Ok(()) => Failure::Process("an error is no answer"),
            },
            _ => Failure::Process("the server's rows cannot be read"),
        }
    }

    /// The answer, or why there is none.
    async fn taken<T>(&self, answer: Result<tonic::Response<T>, tonic::Status>) -> Result<T, Failure> {
        let status = match answer {
            Ok(answer) => return Ok(answer.into_inner()),
            Err(status) => status,
        };
        // What no server said: the connection was refused after all, or broke. A client certificate is judged only then.
        let Some(broken) = status.source().filter(|source| source.is::<tonic::transport::Error>()) else {
            let again = status.get_details_retry_info().is_some();
            let (code, message) = (status.code(), status.message().to_owned());
            return Err(Failure::Call { code, message, again });
        };
        let known = disagreement(broken);
        Err(match disagreement_with(&self.server, known).await {
            Some(disagreement) => Failure::Encryption { server: self.server.clone(), disagreement },
            None => Failure::Connection(Box::new(status)),
        })
    }

    fn call_of<T>(&self, message: T) -> tonic::Request<T> {
        let mut call = tonic::Request::new(message);
        call.metadata_mut().insert("authorization", self.authorization.clone());
        call
    }
}

/// What an answer cost, by its header.
fn cost_of(metadata: &MetadataMap) -> Option<Cost> {
    let mut numbers = metadata.get(COST_HEADER)?.to_str().ok()?.split(' ').map(|number| number.parse().ok());
    let mut next = || numbers.next().flatten();
    Some(Cost { runs: next()?, pages: next()?, requests: next()?, bytes: next()? })
}

/// What of a connection that failed lies with encryption, where its error does not say so.
async fn disagreement_with(server: &str, known: Option<Disagreement>) -> Option<Disagreement> {
    if known.is_some() {
        return known;
    }
    // A server that encrypts does not say so to whoever speaks plainly; most just end the connection.
    let uri: tonic::transport::Uri = server.parse().ok()?;
    let port = uri.port_u16().unwrap_or(80);
    let is_plain = uri.scheme_str() == Some("http");
    (is_plain && encrypts(uri.host()?, port).await).then_some(Disagreement::ServerEncrypts)
}

/// The token of a credential.
pub(crate) fn token_of(credential: &Credential) -> Result<String, Failure> {
    token_from(credential.token.as_deref(), credential.token_file.as_deref())
}

/// The token itself, or what its file holds.
pub(crate) fn token_from(token: Option<&str>, file: Option<&Path>) -> Result<String, Failure> {
    match (token, file) {
        (Some(token), _) => Ok(token.trim().to_owned()),
        (None, Some(path)) => {
            let text = text::read(path)?;
            Ok(text.trim().to_owned())
        }
        (None, None) => {
            Err(Failure::Argument { argument: "--token", reason: "no token is given".to_owned() })
        }
    }
}

/// The key of a request.
pub(crate) fn key_of(key: &SearchKey) -> Option<Key> {
    let device = key.device.map(|device| Key::DeviceId(device.to_string()));
    let mpxn = || key.mpxn.map(|mpxn| Key::Mpxn(mpxn.to_string()));
    let uprn = || key.uprn.map(|uprn| Key::Uprn(uprn.to_string()));
    let user = || key.user.map(|user| Key::UserId(user.to_string()));
    device.or_else(mpxn).or_else(uprn).or_else(user)
}

/// Both ends of a period, as a request has them.
pub(crate) fn period_of(from: Option<Bound>, to: Option<Bound>) -> (String, String) {
    let text = |time: Option<Timestamp>| time.map(|time| time.to_string()).unwrap_or_default();
    (text(from.map(Bound::first)), text(to.map(Bound::last)))
}

/// Adds a page to an answer. What is said of the answer as a whole is that of its newest page.
pub(crate) fn take_page(answer: &mut SearchResponse, page: SearchResponse) {
    let mut rows = std::mem::take(&mut answer.rows);
    rows.extend(page.rows);
    *answer = SearchResponse { rows, ..page };
}

/// A time as it is printed. One outside the years that a row can have is left out.
pub(crate) fn time(time: Option<pbjson_types::Timestamp>) -> Option<String> {
    Some(timestamp_of(time?)?.to_string())
}

/// A time of a message. `None`: one outside those years.
pub(crate) fn timestamp_of(time: pbjson_types::Timestamp) -> Option<Timestamp> {
    let millis = time.seconds.checked_mul(1_000)?.checked_add(i64::from(time.nanos) / 1_000_000)?;
    Timestamp::from_millis(millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_day_is_asked_for_from_its_first_to_its_last_millisecond() {
        let day: Option<Bound> = "2026-03-01".parse().ok();
        let (from, to) = period_of(day, day);
        assert_eq!((from.as_str(), to.as_str()), ("2026-03-01T00:00:00.000Z", "2026-03-01T23:59:59.999Z"));
        assert_eq!(period_of(None, None), (String::new(), String::new()));
    }

    #[test]
    fn pages_add_up() {
        let page = |token: &str, version: &str| SearchResponse {
            rows: vec![TrailRow::default()],
            next_page_token: token.to_owned(),
            snapshot_version: version.to_owned(),
            ..SearchResponse::default()
        };
        let mut answer = SearchResponse::default();
        take_page(&mut answer, page("more", "1"));
        assert_eq!(answer.next_page_token, "more");
        take_page(&mut answer, page("", "1"));
        assert_eq!(
            (answer.rows.len(), answer.next_page_token.as_str(), answer.snapshot_version.as_str()),
            (2, "", "1")
        );
    }

    #[test]
    fn a_time_is_printed_with_its_milliseconds() {
        let at = pbjson_types::Timestamp { seconds: 1_772_323_200, nanos: 5_000_000 };
        assert_eq!(time(Some(at)).as_deref(), Some("2026-03-01T00:00:00.005Z"));
        assert_eq!(time(Some(pbjson_types::Timestamp { seconds: i64::MAX, nanos: 0 })), None);
    }
}
