//! The server: what is served, on which terms, and how it ends.

use crate::callers::Limits;
use crate::flight::{FlightDesk, SqlParts};
use crate::front::{Console, Front};
use crate::hub::{DeviceLink, Hubs};
use crate::inventory::Inventory;
use crate::limits::{
    CERTIFICATES_EVERY, CONNECTION_IDLE, CONNECTION_LIFE, CONNECTION_STREAMS_MAX, DRAIN_LIFE,
    FRESHNESS_HEALTH_EVERY, HEADER_BYTES_MAX, REQUEST_BYTES_MAX,
};
use crate::log_in::{LoginParts, Sessions};
use crate::operate::{OperatorParts, Operators};
use crate::own_calls::{CallRecord, Calls};
use crate::reports::{ReportParts, Reports};
use crate::service::{AuditTrails, Desk, FreshnessDesk, MeterReads};
use crate::switch::{GrpcService, Switch};
use arrow_flight::flight_service_server::FlightServiceServer;
use gridtrail_access::Admission;
use gridtrail_access_log::AccessLog;
use gridtrail_freshness::{Freshness, Level, Outward};
use gridtrail_port::{Messages, Port, Terms};
use gridtrail_proto::operate::v1::operator_service_server::OperatorServiceServer;
use gridtrail_proto::query::v1::access_log_service_server::AccessLogServiceServer;
use gridtrail_proto::query::v1::audit_trail_service_server::AuditTrailServiceServer;
use gridtrail_proto::query::v1::freshness_service_server::FreshnessServiceServer;
use gridtrail_proto::query::v1::hub_service_server::HubServiceServer;
use gridtrail_proto::query::v1::inventory_service_server::InventoryServiceServer;
use gridtrail_proto::query::v1::meter_read_service_server::MeterReadServiceServer;
use gridtrail_proto::query::v1::report_service_server::ReportServiceServer;
use gridtrail_proto::query::v1::session_service_server::SessionServiceServer;
use gridtrail_runtime::Clock;
use gridtrail_search::{HubSearch, InventorySearch, Search};
use gridtrail_tls::Tls;
use hyper::body::Incoming;
use hyper::service::service_fn;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::oneshot;
use tonic::codegen::http::Request;
use tonic::server::NamedService;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};
use tonic_web::GrpcWebLayer;
use tower_layer::Layer as _;

/// The name under which health checks ask whether the data are fresh. NOT_SERVING means that they are not, or that
/// nothing shows it; the server itself serves on, and says how old its answers are.
pub const FRESHNESS_HEALTH: &str = "gridtrail.freshness";

/// What a server is made of.
#[derive(Debug)]
pub struct Parts {
    /// Where calls come in, on [`terms`].
    pub port: Port,
    /// Answers the calls.
    pub search: Search,
    /// Answers for Communications Hubs.
    pub hubs: HubSearch,
    /// Answers those about the inventory.
    pub inventory: InventorySearch,
    /// Answers statements of SQL; `None`: none are answered.
    pub sql: Option<SqlParts>,
    /// Makes reports; `None`: none are made.
    pub reports: Option<ReportParts>,
    /// Says how fresh the answers are.
    pub freshness: Arc<dyn Freshness>,
    /// What of that is told: one for the whole process, for some of it is told by the hour.
    pub outward: Arc<Outward>,
    /// Admits the callers, by who shares with whom at each call.
    pub admission: Admission,
    /// Logs people in; `None`: callers bring a token of an issuer that is trusted.
    pub login: Option<LoginParts>,
    /// The pages for browsers at the same address; `None`: there are none.
    pub console: Option<Console>,
    /// Where every call is noted.
    pub log: AccessLog,
    /// Where people read what is noted of their own calls; `None`: nowhere.
    pub calls: Option<CallRecord>,
    /// Answers operators; `None`: there is no service for them.
    pub operators: Option<OperatorParts>,
    /// Where a person asks for a communication with a Device; `None`: nowhere that is known here.
    pub communicate_with: Option<DeviceLink>,
    /// Tells when tokens end.
    pub clock: Clock,
    /// What each caller may ask for.
    pub limits: Limits,
    /// Whether answers say what they cost, in the header `gridtrail-cost`. For measuring only: whoever may search at all can
    /// tell by it whether a Device has rows, be they of others.
    pub tells_cost: bool,
}

/// Why a server stopped before it was asked to, or never started.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The descriptors for reflection cannot be read.
    #[error("read the descriptors of the services")]
    Descriptors(#[source] tonic_reflection::server::Error),
}

/// On which terms callers connect: so many in all, and so many of one address.
pub const fn terms(connections: u32, by_address: u32) -> Terms {
    Terms {
        connections,
        by_address,
        streams: CONNECTION_STREAMS_MAX,
        head_bytes: HEADER_BYTES_MAX,
        idle: CONNECTION_IDLE,
        age: CONNECTION_LIFE,
        drain: DRAIN_LIFE,
    }
}

/// Serves gRPC and gRPC-Web until `shutdown` completes; then health turns to NOT_SERVING, no new connection or call
/// is taken, and open calls get [`DRAIN_LIFE`] to finish.
///
/// Dropped, it ends all connections.
pub async fn serve(parts: Parts, shutdown: impl Future<Output = ()> + Send) -> Result<(), ServeError> {
    let Parts { port, search, hubs, inventory, sql, reports, freshness, outward, admission, .. } = parts;
    let Parts { login, console, log, calls, operators, communicate_with, clock, limits, tells_cost, .. } =
        parts;
    let desk = Desk::new((search, inventory), admission, log, clock, limits, tells_cost);
    let reporter = HealthReporter::new();
    let optional = Optional { sql, reports, calls, operators };
    let names = names_of(&optional);
    set_health(&reporter, &names, ServingStatus::Serving).await;
    let key = login.as_ref().map(|login| Arc::clone(&login.key));
    let sessions = Sessions::servers(desk.clone(), login);
    let others = ((Arc::clone(&freshness), outward), (hubs, communicate_with), optional);
    let web = GrpcWebLayer::new().layer(switch(&desk, others, sessions, &reporter)?);
    let front = Front::new(web, console, key);
    let service = service_fn(move |request: Request<Incoming>| front.answer(request));
    let (stop, stopped) = oneshot::channel::<()>();
    let tls = port.tls.clone();
    let mut serving = pin!(port.serve(service, async {
        // The sender is dropped or sends: either way it is time to stop.
        let _ = stopped.await;
    }));
    tokio::select! {
        // It goes on until it is told to stop.
        _ = &mut serving => return Ok(()),
        () = shutdown => {}
        never = keep_freshness_health(&reporter, freshness.as_ref()) => match never {},
        never = keep_certificates(tls) => match never {},
    }
    reporter.set_service_status(FRESHNESS_HEALTH, ServingStatus::NotServing).await;
    set_health(&reporter, &names, ServingStatus::NotServing).await;
    drop(stop);
    serving.await;
    Ok(())
}

/// Takes new certificates in, where there are any.
async fn keep_certificates(tls: Option<Arc<Tls>>) -> Infallible {
    match tls {
        Some(tls) => tls.keep_current(CERTIFICATES_EVERY).await,
        None => std::future::pending().await,
    }
}

/// How fresh the answers are, and what is told of it.
type Told = (Arc<dyn Freshness>, Arc<Outward>);

/// What not every server answers.
struct Optional {
    sql: Option<SqlParts>,
    reports: Option<ReportParts>,
    calls: Option<CallRecord>,
    operators: Option<OperatorParts>,
}

fn switch(
    desk: &Desk,
    ((freshness, outward), hubs, optional): (Told, (HubSearch, Option<DeviceLink>), Optional),
    [logins, sessions]: [SessionServiceServer<Sessions>; 2],
    reporter: &HealthReporter,
) -> Result<
    Switch<
        impl GrpcService + Clone + Send + Sync + 'static,
        impl GrpcService + Clone + Send + Sync + 'static,
    >,
    ServeError,
> {
    let Optional { sql, reports, calls, operators } = optional;
    let health = HealthService::from_health_reporter(reporter.clone());
    let has_operators = operators.is_some();
    let reflection = || {
        let all = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(gridtrail_proto::DESCRIPTORS);
        let all = match has_operators {
            true => all.register_encoded_file_descriptor_set(gridtrail_proto::OPERATE_DESCRIPTORS),
            false => all,
        };
        all.register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // What the details of errors are made of.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    // Both versions: older clients, among them many builds of grpcurl, ask for v1alpha only.
    let v1 = reflection().build_v1().map_err(ServeError::Descriptors)?;
    let v1alpha = reflection().build_v1alpha().map_err(ServeError::Descriptors)?;
    Ok(Switch {
        messages: Messages::default(),
        audit_trails: desk.audit_trails(),
        meter_reads: desk.meter_reads(),
        freshness: desk.freshness(Arc::clone(&freshness), outward),
        hubs: Hubs::server(desk, hubs),
        inventory: desk.inventory(),
        calls: calls.map(|calls| Calls::server(desk, calls)),
        logins,
        sessions,
        flight: sql.map(|sql| FlightDesk::server(desk, sql)),
        reports: reports.map(|reports| Reports::server(desk, reports)),
        operators: operators.map(|parts| Operators::server(desk, parts, freshness)),
        health: HealthServer::new(health).max_decoding_message_size(REQUEST_BYTES_MAX),
        reflection: v1.max_decoding_message_size(REQUEST_BYTES_MAX),
        reflection_alpha: v1alpha.max_decoding_message_size(REQUEST_BYTES_MAX),
    })
}

/// Tells health checks whether the data are fresh.
async fn keep_freshness_health(reporter: &HealthReporter, freshness: &dyn Freshness) -> Infallible {
    loop {
        let status = match freshness.report(0) {
            None => ServingStatus::Unknown,
            Some(report) if report.level == Level::Breach => ServingStatus::NotServing,
            Some(_) => ServingStatus::Serving,
        };
        reporter.set_service_status(FRESHNESS_HEALTH, status).await;
        tokio::time::sleep(FRESHNESS_HEALTH_EVERY).await;
    }
}

/// The names that health checks ask for: the whole server and each service.
fn names_of(optional: &Optional) -> Vec<&'static str> {
    const WHOLE_SERVER: &str = "";
    let mut names = vec![
        WHOLE_SERVER,
        <AuditTrailServiceServer<AuditTrails> as NamedService>::NAME,
        <MeterReadServiceServer<MeterReads> as NamedService>::NAME,
        <FreshnessServiceServer<FreshnessDesk> as NamedService>::NAME,
        <HubServiceServer<Hubs> as NamedService>::NAME,
        <InventoryServiceServer<Inventory> as NamedService>::NAME,
        <SessionServiceServer<Sessions> as NamedService>::NAME,
    ];
    let Optional { sql, reports, calls, operators } = optional;
    let there = [
        (sql.is_some(), <FlightServiceServer<FlightDesk> as NamedService>::NAME),
        (reports.is_some(), <ReportServiceServer<Reports> as NamedService>::NAME),
        (calls.is_some(), <AccessLogServiceServer<Calls> as NamedService>::NAME),
        (operators.is_some(), <OperatorServiceServer<Operators> as NamedService>::NAME),
    ];
    names.extend(there.into_iter().filter_map(|(is_there, name)| is_there.then_some(name)));
    names
}

/// Tells health checks how each of these is.
async fn set_health(reporter: &HealthReporter, names: &[&'static str], status: ServingStatus) {
    for name in names {
        reporter.set_service_status(*name, status).await;
    }
}
