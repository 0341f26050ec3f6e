//! Sends each call to its service, by the first part of its path. With thirteen services this is a `match`; the router
//! that the transport offers would bring a web framework with it.

use crate::flight::FlightDesk;
use crate::hub::Hubs;
use crate::inventory::Inventory;
use crate::lasting::Lasting;
use crate::log_in::Sessions;
use crate::operate::Operators;
use crate::outgoing::outgoing;
use crate::own_calls::Calls;
use crate::reports::Reports;
use crate::service::{AuditTrails, FreshnessDesk, MeterReads};
use crate::status::{CallError, no_such_service, status_of, status_of_cut};
use arrow_flight::flight_service_server::FlightServiceServer;
use gridtrail_port::{Client, MessageSize, Messages};
use gridtrail_proto::operate::v1::operator_service_server::OperatorServiceServer;
use gridtrail_proto::query::v1::access_log_service_server::AccessLogServiceServer;
use gridtrail_proto::query::v1::audit_trail_service_server::AuditTrailServiceServer;
use gridtrail_proto::query::v1::freshness_service_server::FreshnessServiceServer;
use gridtrail_proto::query::v1::hub_service_server::HubServiceServer;
use gridtrail_proto::query::v1::inventory_service_server::InventoryServiceServer;
use gridtrail_proto::query::v1::meter_read_service_server::MeterReadServiceServer;
use gridtrail_proto::query::v1::report_service_server::ReportServiceServer;
use gridtrail_proto::query::v1::session_service_server::SessionServiceServer;
use http_body_util::BodyExt as _;
use std::convert::Infallible;
use std::task::{Context, Poll};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::codegen::{BoxFuture, Service};
use tonic::server::NamedService;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::HealthService;

/// All services. `R` and `A` are reflection in its two versions, whose types their crate does not name.
#[derive(Clone)]
pub(crate) struct Switch<R, A> {
    pub(crate) messages: Messages,
    pub(crate) audit_trails: AuditTrailServiceServer<AuditTrails>,
    pub(crate) meter_reads: MeterReadServiceServer<MeterReads>,
    pub(crate) freshness: FreshnessServiceServer<FreshnessDesk>,
    pub(crate) hubs: HubServiceServer<Hubs>,
    pub(crate) inventory: InventoryServiceServer<Inventory>,
    /// The record of calls, where it can be read.
    pub(crate) calls: Option<AccessLogServiceServer<Calls>>,
    /// Takes logins, whose messages are large.
    pub(crate) logins: SessionServiceServer<Sessions>,
    /// All other calls of the same service.
    pub(crate) sessions: SessionServiceServer<Sessions>,
    /// Arrow Flight SQL, where statements are answered.
    pub(crate) flight: Option<FlightServiceServer<FlightDesk>>,
    /// Reports, where they are made.
    pub(crate) reports: Option<ReportServiceServer<Reports>>,
    /// For operators, where there are any.
    pub(crate) operators: Option<OperatorServiceServer<Operators>>,
    pub(crate) health: HealthServer<HealthService>,
    pub(crate) reflection: R,
    pub(crate) reflection_alpha: A,
}

/// What every generated service is.
pub(crate) trait GrpcService:
    Service<
        Request<Body>,
        Response = Response<Body>,
        Error = Infallible,
        Future = BoxFuture<Response<Body>, Infallible>,
    > + NamedService
{
}

impl<S> GrpcService for S where
    S: Service<
            Request<Body>,
            Response = Response<Body>,
            Error = Infallible,
            Future = BoxFuture<Response<Body>, Infallible>,
        > + NamedService
{
}

impl<R: GrpcService, A: GrpcService> Service<Request<Body>> for Switch<R, A> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Generated services are always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // A path is "/package.Service/Method".
        let mut names = request.uri().path().split('/').skip(1);
        let (service, method) = (names.next().unwrap_or_default(), names.next().unwrap_or_default());
        if service == name_of(&self.audit_trails) {
            with_message(&self.messages, &mut self.audit_trails, MessageSize::Small, request)
        } else if service == name_of(&self.meter_reads) {
            with_message(&self.messages, &mut self.meter_reads, MessageSize::Small, request)
        } else if service == name_of(&self.freshness) {
            with_message(&self.messages, &mut self.freshness, MessageSize::Small, request)
        } else if service == name_of(&self.hubs) {
            with_message(&self.messages, &mut self.hubs, MessageSize::Small, request)
        } else if service == name_of(&self.inventory) {
            with_message(&self.messages, &mut self.inventory, MessageSize::Small, request)
        } else if service == name_of(&self.sessions) && method == "Login" {
            with_message(&self.messages, &mut self.logins, MessageSize::Large, request)
        } else if service == name_of(&self.sessions) {
            with_message(&self.messages, &mut self.sessions, MessageSize::Small, request)
        } else if service == name_of(&self.health) && method != "Watch" {
            with_message(&self.messages, &mut self.health, MessageSize::Small, request)
        } else if service == name_of(&self.health) {
            lasting(&self.messages, &mut self.health, request)
        } else if service == name_of(&self.reflection) {
            lasting(&self.messages, &mut self.reflection, request)
        } else if service == name_of(&self.reflection_alpha) {
            lasting(&self.messages, &mut self.reflection_alpha, request)
        } else if let Some(calls) = self.calls.as_mut().filter(|calls| service == name_of(*calls)) {
            with_message(&self.messages, calls, MessageSize::Small, request)
        } else if let Some(flight) = self.flight.as_mut().filter(|flight| service == name_of(*flight)) {
            with_message(&self.messages, flight, MessageSize::Statement, request)
        } else if let Some(reports) = self.reports.as_mut().filter(|reports| service == name_of(*reports)) {
            with_message(&self.messages, reports, MessageSize::Small, request)
        } else if let Some(operators) = self.operators.as_mut().filter(|of| service == name_of(*of)) {
            with_message(&self.messages, operators, MessageSize::Small, request)
        } else {
            Box::pin(std::future::ready(Ok(outgoing(no_such_service().into_http()))))
        }
    }
}

type Answering = BoxFuture<Response<Body>, Infallible>;

/// Answers a call with one message. It has a place from the first byte of the message until there is an answer.
fn with_message<S: GrpcService>(
    messages: &Messages,
    service: &mut S,
    size: MessageSize,
    request: Request<Body>,
) -> Answering {
    let network = Client::of(&request).network();
    let (head, body) = request.into_parts();
    let Some((body, place)) = messages.arriving(size, network, body) else { return busy(S::NAME) };
    let body = Body::new(body.map_err(|error| status_of_cut(S::NAME, error)));
    let answer = service.call(Request::from_parts(head, body));
    Box::pin(async move {
        let answer = answer.await.map(outgoing);
        drop(place);
        answer
    })
}

/// Answers a call that may last for as long as somebody likes: it gives way to others when there are too many.
fn lasting<S: GrpcService>(messages: &Messages, service: &mut S, request: Request<Body>) -> Answering {
    let gives_up = CancellationToken::new();
    let Some(place) = messages.stream(Client::of(&request).network(), gives_up.clone()) else {
        return busy(S::NAME);
    };
    let answer = service.call(request);
    Box::pin(async move {
        let answer = tokio::select! {
            answer = answer => answer?,
            () = gives_up.cancelled() => status_of(S::NAME, &CallError::Busy).into_http(),
        };
        Ok(outgoing(answer).map(|body| Body::new(Lasting::new(S::NAME, body, place, gives_up))))
    })
}

fn busy(call: &'static str) -> Answering {
    let answer = outgoing(status_of(call, &CallError::Busy).into_http());
    Box::pin(std::future::ready(Ok(answer)))
}

/// The full name of a service, such as `gridtrail.query.v1.AuditTrailService`.
pub(crate) const fn name_of<S: NamedService>(_: &S) -> &'static str {
    S::NAME
}
