//! Reports that are being made: how they are bounded, ended and given up.

use super::*;
use prost::Message as _;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Callers who may have one row a minute: a report of two is made for as long as a test likes.
fn slowly() -> Limits {
    let limits = CallerLimits {
        at_once: NonZeroU32::new(8).unwrap(),
        calls_a_minute: None,
        rows_a_minute: NonZeroU32::new(1),
    };
    Limits { person: limits, program: limits }
}

async fn slow_world() -> World<Lake> {
    World::serve_reports(SqlLimits::default(), slowly()).await
}

/// A report of which the first message has come. It waits for its place, which one that was given up a moment ago may still hold.
async fn begun(
    client: &mut ReportServiceClient<Channel>,
    token: &str,
    form: i32,
) -> Streaming<RunReportResponse> {
    let mut messages = loop {
        match client.run(by(token, of_meter(form))).await {
            Ok(messages) => break messages.into_inner(),
            Err(status) => assert_eq!(told(&status), (Code::ResourceExhausted, "LIMIT_REACHED".into())),
        }
    };
    let first = messages.message().await.unwrap().unwrap();
    assert!(matches!(first.part, Some(Part::About(_))), "{first:?}");
    messages
}

/// How a report ends of which nothing more comes but progress.
async fn ended(mut messages: Streaming<RunReportResponse>) -> (Code, String) {
    loop {
        match messages.message().await {
            Ok(Some(RunReportResponse { part: Some(Part::Progress(_)) })) => {}
            Ok(other) => panic!("{other:?}"),
            Err(status) => return told(&status),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_told_how_far_a_report_is() {
    let world = slow_world().await;
    let mut client = client(&world).await;
    for form in [ROWS, ReportForm::Csv.into()] {
        let mut messages = begun(&mut client, &world.token(ANN, 1), form).await;
        let mut last = Duration::ZERO;
        for _ in 0..2 {
            let Some(Part::Progress(progress)) = messages.message().await.unwrap().unwrap().part else {
                panic!("two rows are more than a minute has room for")
            };
            let elapsed = progress.elapsed.unwrap();
            let elapsed = Duration::new(elapsed.seconds.unsigned_abs(), elapsed.nanos.unsigned_abs());
            assert!(elapsed > last && progress.bytes == 0, "{progress:?}");
            last = elapsed;
        }
    }
}

/// The places of reports are bounded in all and of each caller, and free again when nobody waits for a report any more.
#[tokio::test(flavor = "multi_thread")]
async fn reports_at_once_are_bounded_and_one_that_is_cancelled_ends() {
    let world = slow_world().await;
    let mut client = client(&world).await;
    world.admission.replace(world_of("granted"));
    let (ann, bob) = (world.token(ANN, 1), world.token_of(BOB, &[BOB, ANN], 1));
    let running =
        [begun(&mut client, &ann, ROWS).await, begun(&mut client, &bob, ReportForm::Xlsx.into()).await];
    let refused = client.run(by(&ann, of_meter(ROWS))).await.unwrap_err();
    assert_eq!(told(&refused), (Code::ResourceExhausted, "LIMIT_REACHED".into()));
    let third = world.mint(&bearer_of("third", &["88-73-84-57-00-2F-96-1F"], &[1]));
    let refused = client.run(by(&third, of_meter(ROWS))).await.unwrap_err();
    assert_eq!(told(&refused), (Code::Unavailable, "BUSY".into()));
    // What reports are is told all the same.
    client.list(by(&ann, v1::ListReportsRequest {})).await.unwrap();
    drop(running);
    while client.run(by(&third, of_meter(ROWS))).await.is_err() {
        tokio::task::yield_now().await;
    }
    drop(client);
    let entries = world.recorded().await;
    let cancelled = entries.iter().filter(|entry| entry.outcome == "CANCELLED");
    let rows: Vec<_> = cancelled.map(|entry| entry.rows).collect();
    // Nothing of them had left.
    assert!(rows.len() >= 2 && rows.iter().all(|rows| *rows == Some(0)), "{entries:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_ends_at_its_time_also_while_nobody_reads() {
    let limits = SqlLimits { time: Duration::from_millis(300), ..SqlLimits::default() };
    let world = World::serve_reports(limits, slowly()).await;
    let (mut client, token) = (client(&world).await, world.token(ANN, 1));
    for form in [ROWS, ReportForm::Parquet.into()] {
        let unread = begun(&mut client, &token, form).await;
        // Its place is free again, though nobody has read it to its end.
        let other = begun(&mut client, &token, ROWS).await;
        assert_eq!(ended(unread).await, (Code::DeadlineExceeded, "TOO_SLOW".into()));
        drop(other);
    }
}

/// What was granted is rescinded while a report is made, or a token ends: so does the report, by itself.
#[tokio::test(flavor = "multi_thread")]
async fn rights_that_are_lost_end_a_report() {
    let world = slow_world().await;
    let mut client = client(&world).await;
    world.admission.replace(world_of("granted"));
    let both = world.token_of(BOB, &[BOB, ANN], 1);
    let messages = begun(&mut client, &both, ReportForm::Json.into()).await;
    world.admission.replace(world_of("rescinded"));
    assert_eq!(ended(messages).await, (Code::Aborted, "RIGHTS_CHANGED".into()));
    let messages = begun(&mut client, &world.token(ANN, 1), ROWS).await;
    world.clock.advance(12 * 3_600_000);
    assert_eq!(ended(messages).await, (Code::Unauthenticated, "NO_IDENTITY".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_needs_more_memory_than_it_may_take_says_so() {
    let limits = SqlLimits { memory_bytes: 1, ..SqlLimits::default() };
    let world = World::serve_reports(limits, Limits::default()).await;
    let (mut client, token) = (client(&world).await, world.token(ANN, 1));
    let status = made(&mut client, &token, of_meter(ROWS)).await.map(|made| made.end).unwrap_err();
    assert_eq!(told(&status), (Code::ResourceExhausted, "STATEMENT_TOO_LARGE".into()));
    drop(client);
    let entries = world.recorded().await;
    let ends: Vec<_> = entries.iter().map(|entry| (&*entry.outcome, entry.reason.as_deref())).collect();
    assert_eq!(ends, [("RESOURCE_EXHAUSTED", Some("STATEMENT_TOO_LARGE"))]);
}

/// A call counts among those of its caller until its last message was taken.
#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_one_of_the_calls_of_its_caller() {
    let mut limits = slowly();
    limits.program.at_once = NonZeroU32::MIN;
    let world = World::serve_reports(SqlLimits::default(), limits).await;
    let (mut client, token) = (client(&world).await, world.token(ANN, 1));
    let running = begun(&mut client, &token, ROWS).await;
    let refused = client.list(by(&token, v1::ListReportsRequest {})).await.unwrap_err();
    assert_eq!(told(&refused), (Code::ResourceExhausted, "LIMIT_REACHED".into()));
    drop(running);
    while client.list(by(&token, v1::ListReportsRequest {})).await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_has_a_report_by_grpc_web() {
    let world = world().await;
    let message = of_meter(ReportForm::Csv.into()).encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let body = [&[0][..], &length, &message].concat();
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let head = format!(
        "POST /gridtrail.query.v1.ReportService/Run HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {}\r\n\
         content-type: application/grpc-web+proto\r\norigin: https://ssi.example\r\nauthorization: Bearer {}\r\n\r\n",
        world.address,
        body.len(),
        world.token(ANN, 1)
    );
    stream.write_all(&[head.as_bytes(), &body].concat()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let text = String::from_utf8_lossy(&answer).into_owned();
    assert!(text.to_lowercase().starts_with("http/1.1 200"), "{text}");
    let mut client = client(&world).await;
    let made = made(&mut client, &world.token(ANN, 1), of_meter(ReportForm::Csv.into())).await.unwrap();
    let places: Vec<_> = [
        "Smart Metering Device Transaction Report",
        &String::from_utf8(made.bytes).unwrap(),
        &made.end.sha256,
        "grpc-status:0",
    ]
    .into_iter()
    .map(|part| text.find(part).unwrap_or_else(|| panic!("{part} in {text}")))
    .collect();
    assert!(places.is_sorted(), "{places:?}");
    // No page of another origin is let in.
    assert!(!text.to_lowercase().contains("access-control-allow-origin"), "{text}");
}

/// A server that makes no reports has no such service, for health checks either.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_may_make_no_reports() {
    let world = World::serve_lake().await;
    let mut client = client(&world).await;
    let status = client.list(by(&world.token(ANN, 1), v1::ListReportsRequest {})).await.unwrap_err();
    assert_eq!(told(&status), (Code::Unimplemented, "NO_SUCH_SERVICE".into()));
}
