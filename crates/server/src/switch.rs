//! Sends each call to its service, by the first part of its path. With seven services this is a `match`; the router
//! that the transport offers would bring a web framework with it.

use crate::log_in::Sessions;
use crate::outgoing::outgoing;
use crate::service::{AuditTrails, FreshnessDesk, MeterReads};
use crate::status::no_such_service;
use futures::TryFutureExt as _;
use gridtrail_proto::query::v1::audit_trail_service_server::AuditTrailServiceServer;
use gridtrail_proto::query::v1::freshness_service_server::FreshnessServiceServer;
use gridtrail_proto::query::v1::meter_read_service_server::MeterReadServiceServer;
use gridtrail_proto::query::v1::session_service_server::SessionServiceServer;
use std::convert::Infallible;
use std::task::{Context, Poll};
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::codegen::{BoxFuture, Service};
use tonic::server::NamedService;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::HealthService;

/// All services. `R` and `A` are reflection in its two versions, whose types their crate does not name.
#[derive(Clone)]
pub(crate) struct Switch<R, A> {
    pub(crate) audit_trails: AuditTrailServiceServer<AuditTrails>,
    pub(crate) meter_reads: MeterReadServiceServer<MeterReads>,
    pub(crate) freshness: FreshnessServiceServer<FreshnessDesk>,
    pub(crate) sessions: SessionServiceServer<Sessions>,
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
        let name = request.uri().path().split('/').nth(1).unwrap_or_default();
        let answer: Self::Future = if name == name_of(&self.audit_trails) {
            self.audit_trails.call(request)
        } else if name == name_of(&self.meter_reads) {
            self.meter_reads.call(request)
        } else if name == name_of(&self.freshness) {
            self.freshness.call(request)
        } else if name == name_of(&self.sessions) {
            self.sessions.call(request)
        } else if name == name_of(&self.health) {
            self.health.call(request)
        } else if name == name_of(&self.reflection) {
            self.reflection.call(request)
        } else if name == name_of(&self.reflection_alpha) {
            self.reflection_alpha.call(request)
        } else {
            Box::pin(std::future::ready(Ok(no_such_service().into_http())))
        };
        Box::pin(answer.map_ok(outgoing))
    }
}

/// The full name of a service, such as `gridtrail.query.v1.AuditTrailService`.
pub(crate) const fn name_of<S: NamedService>(_: &S) -> &'static str {
    S::NAME
}
