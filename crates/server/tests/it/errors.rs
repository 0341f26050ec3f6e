//! What each error says, and what none does.

use crate::it::fixture::{ANN, BOB, METER, World, of_meter, with_header};
use bytes::Bytes;
use gridtrail_lake::LakeErrorKind;
use gridtrail_proto::query::v1::{GetRequest, SearchRequest, search_request::Key};
use gridtrail_search::fake::Fault;
use gridtrail_server::COST_HEADER;
use http_body_util::Full;
use std::future::poll_fn;
use tonic::codegen::Service as _;
use tonic::codegen::http::{Request, Response};
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_types::StatusExt as _;

/// Checks the code, the reason and the HTTP code of a status, and that it keeps its secrets.
pub(crate) fn assert_error(status: &Status, code: Code, reason: &str, http_code: &str) {
    assert_eq!(status.code(), code, "{status:?}");
    let info = status.get_details_error_info().unwrap();
    assert_eq!((info.reason.as_str(), info.domain.as_str()), (reason, "gridtrail"));
    assert_eq!(info.metadata["http_code"], http_code);
    let all = format!("{status:?}");
    assert!(!all.contains("secret"), "{all}");
    assert!(!all.contains(".rs:"), "no place in the source: {all}");
}

fn fields(status: &Status) -> Vec<String> {
    let bad = status.get_details_bad_request().unwrap();
    bad.field_violations.into_iter().map(|violation| violation.field).collect()
}

async fn search(world: &World, message: SearchRequest) -> Status {
    world.audit_trails().await.search(world.by(ANN, message)).await.unwrap_err()
}

#[tokio::test]
async fn a_bad_request_names_its_fields() {
    let world = World::serve().await;
    let unreadable = SearchRequest {
        key: Some(Key::DeviceId("90-B3".into())),
        from: "yesterday".into(),
        ..SearchRequest::default()
    };
    let turned = SearchRequest { from: "2026-03-02".into(), to: "2026-03-01".into(), ..of_meter() };
    for (request, expected) in [
        (SearchRequest::default(), vec!["key"]),
        (unreadable, vec!["device_id", "from"]),
        (turned, vec!["from"]),
        (SearchRequest { page_size: 1001, ..of_meter() }, vec!["page_size"]),
        (SearchRequest { page_token: "made up".into(), ..of_meter() }, vec!["page_token"]),
    ] {
        let status = search(&world, request).await;
        assert_error(&status, Code::InvalidArgument, "INVALID_REQUEST", "400");
        assert_eq!(fields(&status), expected);
        assert!(status.message().contains(expected[0]), "{}", status.message());
    }
    let reads = SearchRequest { service_reference_variants: vec!["6.8".into()], ..of_meter() };
    let status = world.meter_reads().await.search(world.by(ANN, reads)).await.unwrap_err();
    assert_eq!(fields(&status), ["service_reference_variants"]);
    assert!(status.message().contains("4.8.1, 4.8.2, 4.8.3 and 4.17"));
    let get = world.by(ANN, GetRequest { reference: "made up".into(), ..GetRequest::default() });
    let status = world.audit_trails().await.get(get).await.unwrap_err();
    assert_eq!(fields(&status), ["reference"]);
}

#[tokio::test]
async fn nobody_is_let_in_without_a_good_token() {
    let world = World::serve().await;
    let mut audit = world.audit_trails().await;
    let mut reads = world.meter_reads().await;
    let token = world.token(ANN, 1);
    let get = GetRequest { reference: String::new(), ..GetRequest::default() };
    let calls = [
        audit.search(of_meter()).await.unwrap_err(),
        audit.get(get.clone()).await.unwrap_err(),
        reads.search(of_meter()).await.unwrap_err(),
        reads.get(get).await.unwrap_err(),
        audit.search(with_header(of_meter(), &token)).await.unwrap_err(),
        audit.search(with_header(of_meter(), &format!("Basic {token}"))).await.unwrap_err(),
        audit.search(with_header(of_meter(), &format!("Bearer {token}A"))).await.unwrap_err(),
    ];
    world.clock.advance(12 * 3_600_000);
    let ended = audit.search(world.by(ANN, of_meter())).await.unwrap_err();
    assert!(ended.message().contains("expired"), "{}", ended.message());
    for status in calls.iter().chain([&ended]) {
        assert_error(status, Code::Unauthenticated, "NO_IDENTITY", "401");
        assert!(!format!("{status:?}").contains(token.split('.').nth(1).unwrap()), "no token in an answer");
    }
}

#[tokio::test]
async fn the_eleventh_role_is_denied_before_anything_else_is_looked_at() {
    let world = World::serve().await;
    let bearer = format!("Bearer {}", world.token(ANN, 11));
    let mut audit = world.audit_trails().await;
    let status = audit.search(with_header(of_meter(), &bearer)).await.unwrap_err();
    assert_error(&status, Code::PermissionDenied, "ROLE_MISSING", "403");
    assert_eq!(status.message(), "none of your Job Type Roles may use Service audit trails");
    let mut reads = world.meter_reads().await;
    let status = reads.search(with_header(of_meter(), &bearer)).await.unwrap_err();
    assert_eq!(status.message(), "none of your Job Type Roles may use Meter read transactions");
}

#[tokio::test]
async fn anothers_row_and_no_row_get_the_same_bytes() {
    let world = World::serve().await;
    let mut client = world.audit_trails().await;
    let own = client.search(world.by(BOB, of_meter())).await.unwrap().into_inner().rows.remove(0).reference;
    let absent = {
        // The same row of a Device that does not exist: the Device stands in the bytes after the first.
        let mut text = own.clone();
        text.replace_range(4..8, "AAAA");
        text
    };
    assert_ne!(own, absent);
    let mut errors = Vec::new();
    for reference in [own, absent] {
        errors.push(
            client.get(world.by(ANN, GetRequest { reference, ..GetRequest::default() })).await.unwrap_err(),
        );
    }
    // A search of another's Device, and of none: an answer that told its cost would tell them apart.
    for device in [METER, "00-00-00-00-00-00-00-01"] {
        let key = Some(Key::DeviceId(device.into()));
        let request = SearchRequest { key, ..SearchRequest::default() };
        let answer = client.search(world.by(ANN, request)).await.unwrap();
        assert!(!answer.metadata().contains_key(COST_HEADER), "{:?}", answer.metadata());
    }
    assert_error(&errors[0], Code::NotFound, "ROW_NOT_FOUND", "404");
    assert_eq!(errors[0].message(), errors[1].message());
    assert_eq!(errors[0].details(), errors[1].details());
}

#[tokio::test]
async fn faults_beneath_are_told_without_their_causes_and_the_server_lives_on() {
    let world = World::serve().await;
    world.lake.set_fault(Some(Fault::Kind(LakeErrorKind::Unavailable)));
    let status = search(&world, of_meter()).await;
    assert_error(&status, Code::Unavailable, "STORE_UNAVAILABLE", "503");
    assert!(status.get_details_retry_info().unwrap().retry_delay.is_some());

    for (fault, code, reason) in [
        (Fault::Kind(LakeErrorKind::Corrupt), Code::DataLoss, "DATA_DAMAGED"),
        (Fault::Kind(LakeErrorKind::Internal), Code::Internal, "INTERNAL"),
        (Fault::Panic, Code::Internal, "INTERNAL"),
    ] {
        world.lake.set_fault(Some(fault));
        let status = search(&world, of_meter()).await;
        assert_error(&status, code, reason, "500");
        let error_id = &status.get_details_error_info().unwrap().metadata["error_id"];
        assert!(status.message().contains(error_id), "the caller can quote it: {}", status.message());
    }
    world.lake.set_fault(None);
    assert!(world.audit_trails().await.search(world.by(ANN, of_meter())).await.is_ok());
}

#[tokio::test]
async fn a_request_that_is_too_large_is_refused() {
    let world = World::serve().await;
    let huge = SearchRequest { page_token: "A".repeat(gridtrail_server::REQUEST_BYTES_MAX), ..of_meter() };
    let status = search(&world, huge).await;
    assert_error(&status, Code::OutOfRange, "REQUEST_TOO_LARGE", "400");
    assert!(!status.message().contains(METER));
}

/// What no service of ours sees has details all the same.
#[tokio::test]
async fn what_the_transport_refuses_is_told_as_everything_else() {
    let world = World::serve().await;
    let service = "/gridtrail.query.v1.AuditTrailService";
    for (path, message, code, reason, http_code) in [
        (format!("{service}/Search"), vec![0xFF; 9], Code::InvalidArgument, "INVALID_REQUEST", "400"),
        (format!("{service}/Find"), Vec::new(), Code::Unimplemented, "NO_SUCH_METHOD", "501"),
        (
            "/gridtrail.query.v1.Other/Search".into(),
            Vec::new(),
            Code::Unimplemented,
            "NO_SUCH_SERVICE",
            "501",
        ),
    ] {
        let answer = raw(&world, world.channel().await, &path, &message).await;
        let status = Status::from_header_map(answer.headers()).unwrap();
        assert_error(&status, code, reason, http_code);
        assert!(!status.message().is_empty(), "{path}");
    }
    let mut health = HealthClient::new(world.channel().await);
    let unknown = health.check(HealthCheckRequest { service: "gridtrail.Other".into() }).await.unwrap_err();
    assert_error(&unknown, Code::NotFound, "NOT_FOUND", "404");
    // A stream is told in its trailers.
    let mut reflection = ServerReflectionClient::new(world.channel().await);
    let message_request = Some(MessageRequest::FileContainingSymbol("gridtrail.Nothing".into()));
    let asked = ServerReflectionRequest { host: String::new(), message_request };
    let answers = reflection.server_reflection_info(futures::stream::iter([asked])).await;
    let told = answers.unwrap().into_inner().message().await;
    if let Err(status) = told {
        assert_error(&status, Code::NotFound, "NOT_FOUND", "404");
    }
}

/// The bytes of a message to a path, as Ann, over a connection: the answer as it comes in.
pub(crate) async fn raw(
    world: &World,
    mut channel: Channel,
    path: &str,
    message: &[u8],
) -> Response<tonic::body::Body> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let body = Full::new(Bytes::from([&[0][..], &length, message].concat()));
    let request = Request::post(format!("http://{}{path}", world.address))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", format!("Bearer {}", world.token(ANN, 1)))
        .body(tonic::body::Body::new(body))
        .unwrap();
    poll_fn(|context| channel.poll_ready(context)).await.unwrap();
    channel.call(request).await.unwrap()
}
