//! Answers that are larger than a client takes: they come in pages, and their record is of what left.

use crate::it::errors::{assert_error, raw};
use crate::it::fixture::{ANN, METER, World, of_meter, tried_again};
use gridtrail_proto::query::v1::audit_trail_service_client::AuditTrailServiceClient;
use gridtrail_proto::query::v1::{
    GetRequest, RowView, SearchRequest, SearchResponse, StatusChange, TrailRow,
};
use gridtrail_server::PAGE_BYTES_MAX;
use http_body_util::BodyExt as _;
use proptest::prelude::*;
use prost::Message as _;
use tonic::Code;
use tonic::transport::Channel;

/// What stands in a message beside its rows: a page token, a version, times.
const BESIDE_ROWS: usize = 8 * 1024;

/// Asks for a page, as a client that takes what clients take.
async fn page(
    world: &World,
    client: &mut AuditTrailServiceClient<Channel>,
    request: &SearchRequest,
) -> SearchResponse {
    let page = client.search(world.by(ANN, request.clone())).await.unwrap().into_inner();
    let bytes = page.encoded_len();
    assert!(bytes <= PAGE_BYTES_MAX + BESIDE_ROWS, "a page of {bytes} bytes");
    page
}

/// The rest of a row's history, by pages of so many entries.
async fn rest_of_history(
    world: &World,
    client: &mut AuditTrailServiceClient<Channel>,
    (reference, mut token): (&str, String),
    history_page_size: u32,
) -> Vec<StatusChange> {
    let mut found = Vec::new();
    loop {
        let request =
            GetRequest { reference: reference.to_owned(), history_page_size, history_page_token: token };
        let answer = client.get(world.by(ANN, request)).await.unwrap().into_inner();
        assert!(answer.encoded_len() <= PAGE_BYTES_MAX + BESIDE_ROWS);
        let details = answer.row.unwrap().details.unwrap();
        assert!(!details.status_change_history.is_empty());
        assert!(history_page_size == 0 || details.status_change_history.len() <= history_page_size as usize);
        found.extend(details.status_change_history);
        token = details.next_history_page_token;
        if token.is_empty() {
            return found;
        }
    }
}

/// Walks a search to its end, and each history to its own. Gives the rows, and how many pages there were.
async fn walk(world: &World, page_size: u32) -> (Vec<TrailRow>, usize) {
    let mut client = world.audit_trails().await;
    let mut request = SearchRequest { page_size, ..of_meter() };
    let (mut rows, mut pages) = (Vec::new(), 0);
    loop {
        let mut page = page(world, &mut client, &request).await;
        pages += 1;
        for row in &mut page.rows {
            let reference = row.reference.clone();
            let details = row.details.as_mut().unwrap();
            let token = std::mem::take(&mut details.next_history_page_token);
            if !token.is_empty() {
                let rest = rest_of_history(world, &mut client, (&reference, token), 0).await;
                details.status_change_history.extend(rest);
            }
            assert_eq!(details.status_change_history.len() as u64, details.status_change_history_count);
        }
        rows.append(&mut page.rows);
        if page.next_page_token.is_empty() {
            return (rows, pages);
        }
        assert!(!rows.is_empty());
        request.page_token = page.next_page_token;
    }
}

/// The reasons of a row's entries, which tell them apart.
fn causes(row: &TrailRow) -> Vec<&str> {
    let history = &row.details.as_ref().unwrap().status_change_history;
    history.iter().map(|change| change.cause.as_str()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// Pages of rows of any size: none skipped, none repeated, each whole in the end, and no message above what clients take.
    #[test]
    fn every_row_is_read_by_a_client_that_takes_what_clients_take(
        sizes in prop::collection::vec(prop_oneof![4 => 0usize..300, 2 => 300usize..9_000, 1 => 9_000usize..30_000], 1..14),
        page_size in prop_oneof![Just(1u32), Just(3), Just(50), Just(1_000)],
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::serve().await;
            let small = page(&world, &mut world.audit_trails().await, &of_meter()).await.rows.len();
            let rows = sizes.iter().zip(100..).map(|(times, counter)| tried_again(counter, *times));
            world.lake.commit(rows, None);
            let (rows, _) = walk(&world, page_size).await;
            // All stand at one time, and so by their keys, the largest first; the rows of the fixture are older.
            assert_eq!(rows.len(), sizes.len() + small);
            for (row, times) in rows.iter().zip(sizes.iter().rev()) {
                let expected: Vec<String> = (0..*times)
                    .map(|number| format!("no answer from the Communications Hub {number:0>82}"))
                    .collect();
                let found = causes(row);
                assert!(found.len() == times + 1 && found[1..].iter().eq(expected.iter()), "{times} times");
            }
        });
    }
}

#[tokio::test]
async fn a_history_longer_than_a_page_says_so_and_is_got_page_by_page() {
    const TIMES: usize = 40_000;
    let world = World::serve().await;
    let row = tried_again(7, TIMES);
    world.lake.commit([row.clone()], None);
    let mut client = world.audit_trails().await;
    let first = page(&world, &mut client, &of_meter()).await;
    let [long] = first.rows.as_slice() else { panic!("{} rows beside it", first.rows.len()) };
    let details = long.details.as_ref().unwrap();
    let shown = details.status_change_history.len();
    assert_eq!(details.status_change_history_count, TIMES as u64 + 1);
    assert!((15_000..TIMES).contains(&shown), "a page holds {shown} entries");
    assert!(!details.next_history_page_token.is_empty() && !first.next_page_token.is_empty());
    // What is beside the history is of the whole.
    assert_eq!(details.current_status, "RETRYING");
    // A table has no history, and all rows.
    let table = SearchRequest { view: RowView::Table.into(), ..of_meter() };
    assert_eq!(page(&world, &mut client, &table).await.rows.len(), 3);

    // The row grows meanwhile, and loses its first page to nobody: all pages are of one version.
    let token = details.next_history_page_token.clone();
    world.lake.commit([tried_again(7, TIMES + 5)], None);
    let rest = rest_of_history(&world, &mut client, (&long.reference, token), 0).await;
    assert_eq!(shown + rest.len(), TIMES + 1);
    for size in [0, 9_000] {
        let whole = rest_of_history(&world, &mut client, (&long.reference, String::new()), size).await;
        assert_eq!(whole.len(), TIMES + 6, "from the beginning, of now");
        assert_eq!(whole[..shown], details.status_change_history);
        assert_eq!(whole[shown..=TIMES], rest);
    }
    // A token that was altered is refused as others are.
    let history_page_token = "made up".to_owned();
    let request = GetRequest { reference: long.reference.clone(), history_page_token, history_page_size: 0 };
    let status = client.get(world.by(ANN, request)).await.unwrap_err();
    assert_error(&status, Code::InvalidArgument, "INVALID_REQUEST", "400");
    assert!(status.message().contains("history_page_token"), "{status}");
    let entries = world.recorded().await;
    let gets: Vec<_> = entries.iter().filter(|entry| entry.call == "AuditTrailService.Get").collect();
    assert_eq!(gets[0].later_page, Some(true));
    assert!(gets.iter().rev().skip(1).all(|entry| entry.rows == Some(1) && entry.outcome == "OK"));
}

/// A caller who reads the beginning of an answer and goes away: on record is what had begun to leave.
#[tokio::test]
async fn a_caller_who_goes_away_in_the_middle_of_an_answer_is_on_record_with_what_left() {
    const ROWS: usize = 100;
    let world = World::serve().await;
    let many = (100..).take(ROWS).map(|counter| tried_again(counter, 150));
    world.lake.commit(many, None);
    // It takes little at a time.
    let endpoint = Channel::from_shared(format!("http://{}", world.address)).unwrap();
    let endpoint = endpoint.initial_stream_window_size(65_535).initial_connection_window_size(65_535);
    let channel = endpoint.connect().await.unwrap();
    let path = "/gridtrail.query.v1.AuditTrailService/Search";
    let request = SearchRequest { page_size: 1_000, ..of_meter() };
    let mut answer = raw(&world, channel.clone(), path, &request.encode_to_vec()).await.into_body();
    let frame = answer.frame().await.unwrap().unwrap();
    assert!(frame.is_data());
    drop((answer, channel));
    // And one who reads all of it.
    let whole = page(&world, &mut world.audit_trails().await, &request).await.rows.len() as u64;
    let entries = world.recorded().await;
    let [gone, read] = entries.as_slice() else { panic!("{entries:#?}") };
    let (gone, read) = if gone.outcome == "OK" { (read, gone) } else { (gone, read) };
    assert_eq!((read.outcome.as_ref(), read.rows), ("OK", Some(whole)));
    assert_eq!((gone.outcome.as_ref(), gone.key.as_deref()), ("CANCELLED", Some(METER)));
    let left = gone.rows.unwrap();
    assert!(left > 0 && left < whole, "{left} of {whole} rows had begun to leave");
}
