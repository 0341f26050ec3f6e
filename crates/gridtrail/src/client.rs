//! The gRPC client: calls with a token, and answers as rows to print.

use crate::args::{Bound, Credential, SearchKey, ServerArgs};
use crate::exit::Failure;
use crate::output::{DisputeRow, HistoryRow, SearchAnswer, TrailRow};
use gridtrail_lake::Cost;
use gridtrail_model::Timestamp;
use gridtrail_proto::query::v1::audit_trail_service_client::AuditTrailServiceClient;
use gridtrail_proto::query::v1::freshness_service_client::FreshnessServiceClient;
use gridtrail_proto::query::v1::meter_read_service_client::MeterReadServiceClient;
use gridtrail_proto::query::v1::search_request::Key;
use gridtrail_proto::query::v1::{
    self as wire, DeviceResolution, GetFreshnessRequest, GetFreshnessResponse, GetRequest, GetResponse,
    SearchRequest, SearchResponse,
};
use gridtrail_server::COST_HEADER;
use std::error::Error as _;
use std::path::Path;
use std::time::Duration;
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

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
    let read = |path: &Path| std::fs::read(path).map_err(Failure::file("read", path));
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
    let mut config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(anchors)?));
    if let (Some(certificate), Some(key)) = (&args.client_certificate, &args.client_key) {
        config = config.identity(Identity::from_pem(read(certificate)?, read(key)?));
    }
    Ok(Some(config))
}

/// One connection, and the token that goes with every call.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
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
        let endpoint = Endpoint::from_shared(server.to_owned())
            .map_err(|_| wrong("--server", "a URL such as http://127.0.0.1:8471"))?
            .connect_timeout(CONNECT_LIFE)
            .timeout(CALL_LIFE)
            .tcp_nodelay(true);
        let endpoint = match tls_of(args)? {
            Some(tls) => endpoint.tls_config(tls).map_err(|error| Failure::Argument {
                argument: "--server-anchors",
                reason: error.to_string(),
            })?,
            None => endpoint,
        };
        let channel =
            endpoint.connect().await.map_err(|source| Failure::Connect { server: server.clone(), source })?;
        Ok(Self { channel, authorization })
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
        taken(answer).map(|page| (page, cost))
    }

    /// One row, with one page of its history.
    pub(crate) async fn get(&self, view: View, request: GetRequest) -> Result<GetResponse, Failure> {
        let (call, channel) = (self.call_of(request), self.channel.clone());
        taken(match view {
            View::Audit => AuditTrailServiceClient::new(channel).get(call).await,
            View::MeterReads => MeterReadServiceClient::new(channel).get(call).await,
        })
    }

    /// Gets what a row lacks of its history, page by page.
    pub(crate) async fn complete(&self, view: View, row: &mut wire::TrailRow) -> Result<(), Failure> {
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
        let mut whole = taken(service.get(self.call_of(request.clone())).await)?;
        while !whole.next_page_token.is_empty() {
            request.page_token = std::mem::take(&mut whole.next_page_token);
            let page = taken(service.get(self.call_of(request.clone())).await)?;
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

fn taken<T>(answer: Result<tonic::Response<T>, tonic::Status>) -> Result<T, Failure> {
    answer.map(tonic::Response::into_inner).map_err(|status| {
        // What no server said: the connection was refused after all, or broke. A client certificate is judged only then.
        if status.source().is_some_and(|source| source.is::<tonic::transport::Error>()) {
            return Failure::Connection(Box::new(status));
        }
        Failure::Call { code: status.code(), message: status.message().to_owned() }
    })
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
            let text = std::fs::read_to_string(path).map_err(Failure::file("read", path))?;
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
    device.or_else(mpxn).or_else(uprn)
}

/// Both ends of a period, as a request has them.
pub(crate) fn period_of(from: Option<Bound>, to: Option<Bound>) -> (String, String) {
    let text = |time: Option<Timestamp>| time.map(|time| time.to_string()).unwrap_or_default();
    (text(from.map(Bound::first)), text(to.map(Bound::last)))
}

/// Adds a page to an answer. What is said of the answer as a whole is the same on every page.
pub(crate) fn take_page(answer: &mut SearchAnswer, page: SearchResponse) {
    let by_pairs = page.device_resolution() == DeviceResolution::BySeenPairs;
    answer.rows.extend(page.rows.into_iter().map(row_of));
    answer.complete_up_to = time(page.complete_up_to);
    answer.snapshot_version = some(page.snapshot_version);
    answer.next_page_token = some(page.next_page_token);
    if by_pairs && answer.notes.is_empty() {
        answer.notes.push(
            "Devices are those seen together with this MPxN in events. Most requests carry no MPxN, so search by \
             Device ID too."
                .to_owned(),
        );
    }
}

fn row_of(row: wire::TrailRow) -> TrailRow {
    let details = row.details.unwrap_or_default();
    TrailRow {
        reference: some(row.reference),
        dcc_service_user_organisation_id: row.dcc_service_user_organisation_id,
        user_id: row.user_id,
        device_id: some(row.device_id),
        gbcs_transaction_sequence_number: row.gbcs_transaction_sequence_number.map(|n| n.to_string()),
        mpxn: some(row.mpxn),
        request_received_at: time(row.service_request_received_at),
        response_sent_at: time(row.service_response_sent_at),
        service_reference: some(row.service_reference),
        service_reference_variant: some(row.service_reference_variant),
        status: row.simplified_transaction_status,
        request_id: some(details.request_id),
        response_id: some(details.response_id),
        csp_region: some(details.csp_region),
        csp_region_raw: some(details.csp_region_raw),
        mode_of_operation: details.mode_of_operation,
        preceding_request_id: some(details.preceding_request_id),
        command_variant: details.command_variant.map(|number| number.to_string()),
        response_code: some(details.response_code),
        current_status: details.current_status,
        anomaly_detection_flag: details.anomaly_detection_flag,
        alert_code: some(details.alert_code),
        schedule_id: details.dsp_schedule_id.map(|id| id.to_string()),
        execution_at: time(details.execution_at),
        awaiting_request: details.awaiting_request,
        status_change_history: details.status_change_history.into_iter().map(history_of).collect(),
        disputes: details
            .disputes
            .into_iter()
            .map(|dispute| DisputeRow { field: dispute.field, others: dispute.other_claims })
            .collect(),
    }
}

fn history_of(change: wire::StatusChange) -> HistoryRow {
    let instruction = change.instruction_number.zip(change.instruction_total);
    HistoryRow {
        at: time(change.at).unwrap_or_default(),
        state: change.state,
        code: some(change.response_code),
        instruction: instruction.map(|(number, total)| format!("{number} of {total}")),
        cause: some(change.cause),
    }
}

pub(crate) fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// A time as it is printed. One outside the years that a row can have is left out.
pub(crate) fn time(time: Option<pbjson_types::Timestamp>) -> Option<String> {
    let time = time?;
    let millis = time.seconds.checked_mul(1_000)?.checked_add(i64::from(time.nanos) / 1_000_000)?;
    Some(Timestamp::from_millis(millis)?.to_string())
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
    fn pages_add_up_and_the_note_is_said_once() {
        let page = |token: &str| SearchResponse {
            rows: vec![wire::TrailRow::default()],
            next_page_token: token.to_owned(),
            complete_up_to: Some(pbjson_types::Timestamp { seconds: 1_772_323_200, nanos: 5_000_000 }),
            device_resolution: DeviceResolution::BySeenPairs.into(),
            ..SearchResponse::default()
        };
        let mut answer = SearchAnswer::default();
        take_page(&mut answer, page("more"));
        assert_eq!(answer.next_page_token.as_deref(), Some("more"));
        take_page(&mut answer, page(""));
        assert_eq!((answer.rows.len(), answer.notes.len(), answer.next_page_token), (2, 1, None));
        assert_eq!(answer.complete_up_to.as_deref(), Some("2026-03-01T00:00:00.005Z"));
    }
}
