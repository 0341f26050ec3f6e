use super::*;
use gridtrail_access::{DevKey, JobTypeRole, OrgId, Sharing, TokenClaims};
use gridtrail_model::Timestamp;
use gridtrail_search::PageKey;
use gridtrail_search::fake::FakeLake;
use std::collections::BTreeSet;
use tonic::Code;
use tonic_types::StatusExt as _;

fn now() -> Timestamp {
    "2026-03-01T09:30:00Z".parse().unwrap()
}

/// A desk, and the headers of a caller whom it admits.
fn desk() -> (Desk, MetadataMap) {
    let key = DevKey::generate().unwrap();
    let claims = TokenClaims {
        subject: "ann".into(),
        party: "Avon".parse().unwrap(),
        org_id: OrgId::All,
        user_ids: BTreeSet::from(["90-B3-D5-1F-30-01-00-00".parse().unwrap()]),
        roles: JobTypeRole::all().collect(),
        valid_from: now(),
        expires_at: now().plus_millis(60_000),
    };
    let clock = Clock::manual(now());
    let search = Search::new(FakeLake::default(), clock.clone(), PageKey::random().unwrap());
    let sharing = Sharing::of_one(&claims.party, &claims.user_ids);
    let admission = Admission::new(key.gatekeeper().unwrap(), Arc::new(sharing));
    let desk = Desk::new(search, admission, clock, false);
    (desk, headers(&[&format!("Bearer {}", key.mint(&claims).unwrap())]))
}

fn headers(values: &[&str]) -> MetadataMap {
    let mut metadata = MetadataMap::new();
    for value in values {
        metadata.append("authorization", value.parse().unwrap());
    }
    metadata
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().unwrap().reason
}

#[tokio::test]
async fn a_call_above_the_limit_is_told_to_come_back() {
    let (desk, metadata) = desk();
    let desk = Desk { permits: Arc::new(Semaphore::new(1)), ..desk };
    let within = async |_| {
        let status = desk.answer("second", &metadata, async |_| Ok(())).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "BUSY"));
        assert!(status.get_details_retry_info().unwrap().retry_delay.is_some());
        Ok(())
    };
    desk.answer("first", &metadata, within).await.unwrap();
    assert!(desk.answer("third", &metadata, async |_| Ok(())).await.is_ok(), "the permit came back");
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_ended_and_gives_its_permit_back() {
    let (desk, metadata) = desk();
    let desk = Desk { permits: Arc::new(Semaphore::new(1)), request_life: Duration::ZERO, ..desk };
    for _ in 0..2 {
        let hang = async |_| std::future::pending().await;
        let status = desk.answer::<()>("slow", &metadata, hang).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::DeadlineExceeded, "TOO_SLOW"));
    }
}

#[tokio::test]
async fn a_panic_answers_internal_and_gives_its_permit_back() {
    let (desk, metadata) = desk();
    let desk = Desk { permits: Arc::new(Semaphore::new(1)), ..desk };
    for _ in 0..2 {
        let status = desk.answer::<()>("bad", &metadata, async |_| panic!("secret")).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::Internal, "INTERNAL"));
        assert!(!status.message().contains("secret"));
    }
}

#[test]
fn just_one_well_formed_header_carries_a_token() {
    for (values, token) in [
        (vec!["Bearer a.b.c"], Some("a.b.c")),
        (vec!["bearer a.b.c"], Some("a.b.c")),
        (vec![], None),
        (vec!["a.b.c"], None),
        (vec!["Basic a.b.c"], None),
        (vec!["Bearer"], None),
        (vec!["Bearer a.b.c", "Bearer d.e.f"], None),
    ] {
        assert_eq!(bearer_token(&headers(&values)).ok(), token, "{values:?}");
    }
}
