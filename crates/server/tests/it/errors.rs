//! What each error says, and what none does.

use crate::it::fixture::{ANN, BOB, METER, World, of_meter, with_header};
use gridtrail_lake::LakeErrorKind;
use gridtrail_proto::query::v1::{GetRequest, SearchRequest, search_request::Key};
use gridtrail_search::fake::Fault;
use gridtrail_server::COST_HEADER;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// Checks the code, the reason and the HTTP code of a status, and that it keeps its secrets.
pub(crate) fn assert_face(status: &Status, code: Code, reason: &str, http_code: &str) {
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
        assert_face(&status, Code::InvalidArgument, "INVALID_REQUEST", "400");
        assert_eq!(fields(&status), expected);
        assert!(status.message().contains(expected[0]), "{}", status.message());
    }
    let reads = SearchRequest { service_reference_variants: vec!["6.8".into()], ..of_meter() };
    let status = world.meter_reads().await.search(world.by(ANN, reads)).await.unwrap_err();
    assert_eq!(fields(&status), ["service_reference_variants"]);
    assert!(status.message().contains("4.8.1, 4.8.2, 4.8.3 and 4.17"));
    let get = world.by(ANN, GetRequest { reference: "made up".into() });
    let status = world.audit_trails().await.get(get).await.unwrap_err();
    assert_eq!(fields(&status), ["reference"]);
}

#[tokio::test]
async fn nobody_is_let_in_without_a_good_token() {
    let world = World::serve().await;
    let mut audit = world.audit_trails().await;
    let mut reads = world.meter_reads().await;
    let token = world.token(ANN, 1);
    let get = GetRequest { reference: String::new() };
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
        assert_face(status, Code::Unauthenticated, "NO_IDENTITY", "401");
        assert!(!format!("{status:?}").contains(token.split('.').nth(1).unwrap()), "no token in an answer");
    }
}

#[tokio::test]
async fn the_eleventh_role_is_denied_before_anything_else_is_looked_at() {
    let world = World::serve().await;
    let bearer = format!("Bearer {}", world.token(ANN, 11));
    let mut audit = world.audit_trails().await;
    let status = audit.search(with_header(of_meter(), &bearer)).await.unwrap_err();
    assert_face(&status, Code::PermissionDenied, "ROLE_MISSING", "403");
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
        errors.push(client.get(world.by(ANN, GetRequest { reference })).await.unwrap_err());
    }
    // A search of another's Device, and of none: an answer that told its cost would tell them apart.
    for device in [METER, "00-00-00-00-00-00-00-01"] {
        let key = Some(Key::DeviceId(device.into()));
        let request = SearchRequest { key, ..SearchRequest::default() };
        let answer = client.search(world.by(ANN, request)).await.unwrap();
        assert!(!answer.metadata().contains_key(COST_HEADER), "{:?}", answer.metadata());
    }
    assert_face(&errors[0], Code::NotFound, "ROW_NOT_FOUND", "404");
    assert_eq!(errors[0].message(), errors[1].message());
    assert_eq!(errors[0].details(), errors[1].details());
}

#[tokio::test]
async fn a_uprn_must_wait_for_the_inventory() {
    let world = World::serve().await;
    let uprn = SearchRequest { key: Some(Key::Uprn("100012345".into())), ..SearchRequest::default() };
    let status = search(&world, uprn).await;
    assert_face(&status, Code::FailedPrecondition, "INVENTORY_NOT_LOADED", "400");
    assert!(status.message().contains("search by MPxN or Device ID"));
}

#[tokio::test]
async fn faults_beneath_are_told_without_their_causes_and_the_server_lives_on() {
    let world = World::serve().await;
    world.lake.set_fault(Some(Fault::Kind(LakeErrorKind::Unavailable)));
    let status = search(&world, of_meter()).await;
    assert_face(&status, Code::Unavailable, "STORE_UNAVAILABLE", "503");
    assert!(status.get_details_retry_info().unwrap().retry_delay.is_some());

    for (fault, code, reason) in [
        (Fault::Kind(LakeErrorKind::Corrupt), Code::DataLoss, "DATA_DAMAGED"),
        (Fault::Kind(LakeErrorKind::Internal), Code::Internal, "INTERNAL"),
        (Fault::Panic, Code::Internal, "INTERNAL"),
    ] {
        world.lake.set_fault(Some(fault));
        let status = search(&world, of_meter()).await;
        assert_face(&status, code, reason, "500");
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
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
    assert!(!status.message().contains(METER));
}
