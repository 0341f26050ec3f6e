//! How fresh the server says that it is, to whom, and to health checks.

use crate::it::errors::assert_error;
use crate::it::fixture::{ANN, World, bearer_of, now, of_meter, with_header};
use gridtrail_proto::query::v1::{FreshnessLevel, GetFreshnessRequest, GetFreshnessResponse};
use gridtrail_server::FRESHNESS_HEALTH;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt as _;

const HOUR: i64 = 3_600_000;

async fn get(world: &World, days: u32) -> GetFreshnessResponse {
    let request = world.by(ANN, GetFreshnessRequest { days, ..GetFreshnessRequest::default() });
    world.freshness().await.get(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn a_report_arrives_whole() {
    let world = World::serve().await;
    world.freshness.set(Some(now().plus_millis(-13 * HOUR - 250)));
    let said = get(&world, 0).await;
    assert_eq!(said.level(), FreshnessLevel::Warn);
    assert_eq!(said.complete_up_to.unwrap().nanos, 750_000_000);
    assert_eq!(said.levels.unwrap().breach.unwrap().seconds, 24 * 3_600);
    let [source] = said.sources.as_slice() else { panic!("one source: {said:?}") };
    assert_eq!((source.name.as_str(), source.cluster.as_str()), ("events", "c"));
    let lag = source.lag.unwrap();
    assert_eq!((lag.seconds, lag.nanos), (13 * 3_600, 250_000_000));
    assert_eq!(
        (source.partitions[0].level(), source.partitions[0].position),
        (FreshnessLevel::Warn, Some(7))
    );
    let waiting = said.waiting.unwrap();
    // The fake says with the oldest how many days it was asked for: 31 where the caller names none. What waits is told by the hour.
    let hour = now().millis().div_euclid(HOUR) - 31;
    assert_eq!((waiting.rows, waiting.oldest.unwrap().seconds), (2, hour * 3_600));
    assert_eq!(said.waiting.unwrap().oldest.unwrap().nanos, 0);
}

/// Every role may know, also the one that may search nothing; nobody may without a role, or without a token.
#[tokio::test]
async fn any_role_may_ask_and_nobody_without_a_token() {
    let world = World::serve().await;
    let mut client = world.freshness().await;
    for role in 1..=11 {
        let bearer = format!("Bearer {}", world.token(ANN, role));
        let answer = client.get(with_header(GetFreshnessRequest::default(), &bearer)).await;
        assert!(answer.is_ok(), "role {role}: {answer:?}");
    }
    let none = format!("Bearer {}", world.mint(&bearer_of(ANN, &[ANN], &[])));
    let denied = client.get(with_header(GetFreshnessRequest::default(), &none)).await.unwrap_err();
    assert_error(&denied, Code::PermissionDenied, "ROLE_MISSING", "403");
    assert!(denied.message().contains("no Job Type Role"), "{}", denied.message());
    let bare = client.get(GetFreshnessRequest::default()).await.unwrap_err();
    assert_error(&bare, Code::Unauthenticated, "NO_IDENTITY", "401");
    world.clock.advance(12 * HOUR);
    let ended = client.get(world.by(ANN, GetFreshnessRequest::default())).await.unwrap_err();
    assert_error(&ended, Code::Unauthenticated, "NO_IDENTITY", "401");
}

#[tokio::test]
async fn what_cannot_be_answered_says_why() {
    let world = World::serve().await;
    let mut client = world.freshness().await;
    let many = client
        .get(world.by(ANN, GetFreshnessRequest { days: 401, ..GetFreshnessRequest::default() }))
        .await
        .unwrap_err();
    assert_error(&many, Code::InvalidArgument, "INVALID_REQUEST", "400");
    assert!(many.message().contains("days"), "{}", many.message());
    world.freshness.set(None);
    let early = client.get(world.by(ANN, GetFreshnessRequest::default())).await.unwrap_err();
    assert_error(&early, Code::Unavailable, "STORE_UNAVAILABLE", "503");
    assert!(early.get_details_retry_info().unwrap().retry_delay.is_some());
}

/// A breach is told under a name of its own: the server serves on, and nobody restarts it for what a topic lacks.
#[tokio::test]
async fn health_turns_at_a_breach_and_the_server_serves_on() {
    let world = World::serve().await;
    let mut health = HealthClient::new(world.channel().await);
    let of = |service: &str| HealthCheckRequest { service: service.to_owned() };
    let mut watched = health.watch(of(FRESHNESS_HEALTH)).await.unwrap().into_inner();
    let mut until = async |wanted: ServingStatus| {
        while watched.message().await.unwrap().unwrap().status() != wanted {}
    };
    until(ServingStatus::Serving).await;
    world.freshness.set(Some(now().plus_millis(-24 * HOUR)));
    until(ServingStatus::NotServing).await;
    let whole = health.check(of("")).await.unwrap().into_inner();
    assert_eq!(whole.status(), ServingStatus::Serving);
    assert!(world.audit_trails().await.search(world.by(ANN, of_meter())).await.is_ok());
    world.freshness.set(Some(now()));
    until(ServingStatus::Serving).await;
}
