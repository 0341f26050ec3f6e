//! The caller's own calls over the wire: newest first, page by page, and nobody else's.

use crate::it::errors::assert_error;
use crate::it::fixture::{ANN, BOB, World, bearer_of, now, party_of, with_header};
use gridtrail_access_log::{AccessLog, Entry};
use gridtrail_lake::Lake;
use gridtrail_model::Timestamp;
use gridtrail_proto::query::v1::access_log_service_client::AccessLogServiceClient;
use gridtrail_proto::query::v1::{ListCallsRequest, ListCallsResponse};
use tonic::{Code, Request, Status};

fn noted(user: &str, n: u64) -> Entry {
    let mut entry = Entry::of("AuditTrailService.Search", Timestamp::MIN);
    entry.outcome = "OK".into();
    (entry.subject, entry.party) = (Some(format!("someone at {user}")), Some(party_of(user).to_string()));
    (entry.session, entry.roles) = (Some("digest".into()), Some("role-01,role-03".into()));
    (entry.key_kind, entry.key) = (Some("mpxn,postcode".into()), Some("1217290354420,SW1A 1AA".into()));
    (entry.rows, entry.rows_of_others, entry.took_us) = (Some(n), Some(0), Some(2_500));
    entry
}

/// A server whose lake has so many calls of each of two, in turn, a second after the other.
async fn world_of(calls: u64) -> World<Lake> {
    let world = World::serve_lake().await;
    let log = world.lake.access_log().await;
    let (log, committing) = AccessLog::open(log, world.clock.clone(), "test").await.unwrap();
    for n in 0..calls {
        for user in [ANN, BOB] {
            let at = now().plus_millis(i64::try_from(n).unwrap() * 1_000);
            log.note(Entry { at, ..noted(user, n) }).unwrap();
        }
    }
    committing.close().await.unwrap();
    world
}

async fn list(world: &World<Lake>, request: Request<ListCallsRequest>) -> Result<ListCallsResponse, Status> {
    let mut client = AccessLogServiceClient::new(world.channel().await);
    client.list(request).await.map(tonic::Response::into_inner)
}

fn page(page_size: u32, page_token: &str) -> ListCallsRequest {
    ListCallsRequest { page_size, page_token: page_token.into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn own_calls_come_newest_first_page_by_page_and_are_calls_themselves() {
    let world = world_of(7).await;
    let (mut rows, mut sizes, mut token) = (Vec::new(), Vec::new(), String::new());
    loop {
        let answer = list(&world, world.by(ANN, page(3, &token))).await.unwrap();
        sizes.push(answer.calls.len());
        rows.extend(answer.calls);
        token = answer.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(sizes, [3, 3, 1]);
    let counts: Vec<u64> = rows.iter().map(|call| call.rows.unwrap()).collect();
    assert_eq!(counts, [6, 5, 4, 3, 2, 1, 0]);
    let call = &rows[0];
    assert_eq!((call.call.as_str(), call.outcome.as_str()), ("AuditTrailService.Search", "OK"));
    assert_eq!(call.roles, ["role-01", "role-03"]);
    assert_eq!(
        (call.key_kinds.join("+"), call.key.as_str()),
        ("mpxn+postcode".into(), "1217290354420,SW1A 1AA")
    );
    assert_eq!(call.at.unwrap().seconds, now().plus_millis(6_000).millis() / 1_000);
    assert_eq!((call.took.unwrap().nanos, call.later_page, call.page_size), (2_000_000, None, None));
    // Somebody of no calls, with a role and nothing else.
    let claims = gridtrail_access::Bearer { subject: "another".into(), ..bearer_of(ANN, &[ANN], &[11]) };
    let none =
        list(&world, with_header(page(0, ""), &format!("Bearer {}", world.mint(&claims)))).await.unwrap();
    assert_eq!(none, ListCallsResponse::default());
    let entries = world.recorded().await;
    let of: Vec<_> =
        entries.iter().map(|entry| (entry.call.as_ref(), entry.rows, entry.later_page)).collect();
    let call = "AccessLogService.List";
    let own = [(3, false), (3, true), (1, true), (0, false)];
    assert_eq!(of, own.map(|(rows, later)| (call, Some(rows), Some(later))));
    assert!(entries.iter().all(|entry| entry.rows_of_others == Some(0)), "{entries:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_token_of_calls_is_its_callers_for_an_hour() {
    let world = world_of(3).await;
    let first = list(&world, world.by(ANN, page(1, ""))).await.unwrap();
    let next = || page(1, &first.next_page_token);
    let in_another_role = with_header(next(), &format!("Bearer {}", world.token_of(ANN, &[ANN], 2)));
    let altered = first.next_page_token.replace(|at: char| at.is_ascii_digit(), "_");
    for (request, why) in [
        (world.by(BOB, next()), "not a page token"),
        (world.by(ANN, page(1, "none")), "not a page token"),
        (world.by(ANN, page(1, &altered)), "not a page token"),
        (in_another_role, "other rights"),
    ] {
        let refused = list(&world, request).await.unwrap_err();
        assert_error(&refused, Code::InvalidArgument, "INVALID_REQUEST", "400");
        assert!(refused.message().contains("page_token") && refused.message().contains(why), "{refused:?}");
    }
    let too_many = list(&world, world.by(ANN, page(1_001, ""))).await.unwrap_err();
    assert_error(&too_many, Code::InvalidArgument, "INVALID_REQUEST", "400");
    let bare = list(&world, Request::new(page(1, ""))).await.unwrap_err();
    assert_error(&bare, Code::Unauthenticated, "NO_IDENTITY", "401");
    world.clock.advance(60 * 60 * 1_000 - 1);
    assert_eq!(list(&world, world.by(ANN, next())).await.unwrap().calls[0].rows, Some(1));
    world.clock.advance(1);
    let late = list(&world, world.by(ANN, next())).await.unwrap_err();
    assert!(late.message().contains("no longer valid"), "{late:?}");
}

/// Statements have texts of 64 KiB: a page ends where the message is full, and the next goes on there.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_long_statements_ends_where_the_message_is_full() {
    let world = World::serve_lake().await;
    let log = world.lake.access_log().await;
    let (log, committing) = AccessLog::open(log, world.clock.clone(), "test").await.unwrap();
    for n in 0..60 {
        log.note(Entry { at: now(), detail: Some("x".repeat(64 * 1024)), ..noted(ANN, n) }).unwrap();
    }
    committing.close().await.unwrap();
    let first = list(&world, world.by(ANN, page(0, ""))).await.unwrap();
    assert!((40..50).contains(&first.calls.len()), "{}", first.calls.len());
    let rest = list(&world, world.by(ANN, page(0, &first.next_page_token))).await.unwrap();
    assert_eq!(first.calls.len() + rest.calls.len(), 60);
    assert_eq!((rest.calls.last().unwrap().rows, rest.next_page_token.as_str()), (Some(0), ""));
}
