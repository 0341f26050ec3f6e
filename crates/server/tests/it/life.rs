//! Health, reflection, browsers, and the end.

use crate::it::fixture::{ANN, METER, World, of_meter};
use gridtrail_search::fake::Fault;
use prost::Message as _;
use std::num::NonZeroU32;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

const SERVICES: [&str; 4] = [
    "gridtrail.query.v1.AuditTrailService",
    "gridtrail.query.v1.MeterReadService",
    "gridtrail.query.v1.FreshnessService",
    "gridtrail.query.v1.HubService",
];

#[tokio::test]
async fn health_is_told_without_a_token() {
    let world = World::serve().await;
    let mut health = HealthClient::new(world.channel().await);
    for service in SERVICES.into_iter().chain([""]) {
        let answer = health.check(HealthCheckRequest { service: service.into() }).await.unwrap();
        assert_eq!(answer.into_inner().status(), ServingStatus::Serving, "{service}");
    }
    let unknown = health.check(HealthCheckRequest { service: "gridtrail.Other".into() }).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
}

#[tokio::test]
async fn reflection_lists_the_services_and_gives_their_files() {
    let world = World::serve().await;
    let mut client = ServerReflectionClient::new(world.channel().await);
    let ask = |message| ServerReflectionRequest { host: String::new(), message_request: Some(message) };
    let asked = [
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol(SERVICES[0].into())),
        // What the details of errors are made of.
        ask(MessageRequest::FileContainingSymbol("google.rpc.ErrorInfo".into())),
        ask(MessageRequest::FileContainingSymbol("google.rpc.BadRequest.FieldViolation".into())),
        ask(MessageRequest::FileContainingSymbol("google.rpc.Status".into())),
        // Where a client goes on: what those files import.
        ask(MessageRequest::FileByFilename("google/protobuf/any.proto".into())),
        ask(MessageRequest::FileByFilename("google/protobuf/duration.proto".into())),
    ];
    let mut answers = client.server_reflection_info(futures::stream::iter(asked)).await.unwrap().into_inner();
    let listed = answers.message().await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::ListServicesResponse(list) = listed else { panic!("a list, not {listed:?}") };
    let names: Vec<_> = list.service.iter().map(|service| service.name.as_str()).collect();
    for service in SERVICES.into_iter().chain(["grpc.health.v1.Health"]) {
        assert!(names.contains(&service), "{service} in {names:?}");
    }
    for _ in 0..6 {
        let file = answers.message().await.unwrap().unwrap().message_response.unwrap();
        assert!(matches!(file, MessageResponse::FileDescriptorResponse(_)), "{file:?}");
    }
}

/// Sends one HTTP/1.1 request, with more header lines, and gives the whole answer.
async fn http1(world: &World, head: &str, more: &str, body: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let head = format!(
        "{head} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {}\r\n{more}",
        world.address,
        body.len()
    );
    let headers = format!(
        "content-type: application/grpc-web+proto\r\norigin: https://ssi.example\r\nauthorization: Bearer {}\r\n\r\n",
        world.token(ANN, 1)
    );
    stream.write_all(&[head.as_bytes(), headers.as_bytes(), body].concat()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    answer
}

/// Sends Ann's search for the meter, with these headers beside the usual ones, and gives the whole answer.
async fn search_by_http1(world: &World, more: &str) -> Vec<u8> {
    let message = of_meter().encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let body = [&[0][..], &length, &message].concat();
    http1(world, &format!("POST /{}/Search", SERVICES[0]), more, &body).await
}

#[tokio::test]
async fn a_browser_can_call_by_grpc_web_over_http_1_and_no_other_origin_is_let_in() {
    let world = World::serve().await;
    let answer = search_by_http1(&world, "").await;
    let text = String::from_utf8_lossy(&answer).to_lowercase();
    assert!(text.starts_with("http/1.1 200"), "{text}");
    assert!(text.contains("grpc-status:0"), "trailers travel in the body: {text}");
    assert!(text.contains(&ANN.to_lowercase()));
    assert!(!text.contains("access-control-allow-origin"), "{text}");
}

#[tokio::test]
async fn an_unknown_service_is_told_so() {
    let world = World::serve().await;
    let body = [0, 0, 0, 0, 0];
    let answer = http1(&world, "POST /gridtrail.query.v1.Other/Search", "", &body).await;
    let text = String::from_utf8_lossy(&answer);
    assert!(text.contains(&format!("grpc-status: {}", i32::from(Code::Unimplemented))), "{text}");
}

#[tokio::test]
async fn shutdown_turns_health_first_lets_a_call_finish_and_closes_the_port() {
    let world = World::serve().await;
    let address = world.address;
    let mut health = HealthClient::new(world.channel().await);
    let mut watch =
        health.watch(HealthCheckRequest { service: SERVICES[0].into() }).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    let stopping = tokio::spawn(world.stop());
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    // The watch is a call that never ends by itself; with it gone, the server is done.
    drop((watch, health));
    stopping.await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_caller_who_goes_away_gives_their_place_back_and_is_on_record() {
    let world = World::serve_at_once(NonZeroU32::MIN).await;
    let mut client = world.audit_trails().await;
    let mut hanging = world.lake.hanging();
    world.lake.set_fault(Some(Fault::Hang));
    let (mut other, request) = (client.clone(), world.by(ANN, of_meter()));
    let call = tokio::spawn(async move { other.search(request).await });
    hanging.wait_for(|count| *count == 1).await.unwrap();
    let refused = client.search(world.by(ANN, of_meter())).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "the one place is taken");
    call.abort();
    hanging.wait_for(|count| *count == 0).await.unwrap();
    world.lake.set_fault(None);
    client.search(world.by(ANN, of_meter())).await.expect("the place was given back");
    drop(client);
    let entries = world.recorded().await;
    let calls: Vec<_> =
        entries.iter().map(|entry| (&*entry.outcome, entry.key.as_deref(), entry.rows)).collect();
    let meter = Some(METER);
    // Of a call that is refused at the door it is not known what it asks for.
    assert_eq!(
        calls,
        [("RESOURCE_EXHAUSTED", None, None), ("CANCELLED", meter, None), ("OK", meter, Some(2))]
    );
    assert!(entries.iter().all(|entry| entry.subject.as_deref() == Some(&format!("someone at {ANN}"))));
}

/// The caller's own deadline goes with the call, which ends by it though the store hangs.
#[tokio::test]
async fn a_call_ends_at_the_callers_deadline_and_gives_their_place_back() {
    let world = World::serve_at_once(NonZeroU32::MIN).await;
    let mut hanging = world.lake.hanging();
    world.lake.set_fault(Some(Fault::Hang));
    // Past the client, which would end the call itself at the same time.
    let answer = String::from_utf8(search_by_http1(&world, "grpc-timeout: 100m\r\n").await).unwrap();
    assert!(answer.contains(&format!("grpc-status: {}\r\n", i32::from(Code::DeadlineExceeded))), "{answer}");
    hanging.wait_for(|count| *count == 0).await.unwrap();
    world.lake.set_fault(None);
    let mut client = world.audit_trails().await;
    client.search(world.by(ANN, of_meter())).await.expect("the place was given back");
    drop(client);
    let entries = world.recorded().await;
    let calls: Vec<_> = entries.iter().map(|entry| (&*entry.outcome, entry.reason.as_deref())).collect();
    assert_eq!(calls, [("DEADLINE_EXCEEDED", Some("TOO_SLOW")), ("OK", None)]);
}
