//! Attacks on a server, each beside an honest call that is answered.

use crate::it::fixture::{ANN, BOB, World, of_meter, tried_again};
use crate::it::log_in::Stage;
use bytes::Bytes;
use gridtrail_proto::query::v1::{SearchRequest, StartLoginRequest};
use http_body::{Body as HttpBody, Frame};
use http_body_util::Full;
use prost::Message as _;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::net::TcpStream;
use tonic::body::Body;
use tonic::codegen::Service as _;
use tonic::codegen::http::{Request, Response};
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt as _;

/// Connections of a server under test.
const CONNECTIONS: usize = 64;

async fn search(world: &World) -> Result<usize, Status> {
    let found = world.audit_trails().await.search(world.by(ANN, of_meter())).await?;
    Ok(found.into_inner().rows.len())
}

#[tokio::test]
async fn a_thousand_silent_sockets_do_not_stop_a_search() {
    let world = World::serve().await;
    let idle = search(&world).await.unwrap();
    let mut silent = Vec::new();
    for _ in 0..4 * CONNECTIONS {
        silent.push(TcpStream::connect(world.address).await.unwrap());
    }
    assert_eq!(search(&world).await.unwrap(), idle);
}

/// A body that begins and does not end: the head of a message of so many bytes, and one of them.
struct HalfSent(Option<Bytes>);

impl HalfSent {
    fn of(bytes: usize) -> Self {
        let length = u32::try_from(bytes).unwrap().to_be_bytes();
        Self(Some(Bytes::from([&[0][..], &length, &[10]].concat())))
    }
}

impl HttpBody for HalfSent {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.0.take().map_or(Poll::Pending, |head| Poll::Ready(Some(Ok(Frame::data(head)))))
    }
}

/// Asks, and leaves the answer where it is.
async fn ask(
    (address, mut channel): (SocketAddr, Channel),
    path: &str,
    token: Option<&str>,
    body: Body,
) -> Result<Response<Body>, tonic::transport::Error> {
    let mut request = Request::post(format!("http://{address}{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    poll_fn(|context| channel.poll_ready(context)).await?;
    channel.call(request.body(body).unwrap()).await
}

/// Begins a call and does not end its message. What it is told.
async fn half_sent(at: (SocketAddr, Channel), path: &str, bytes: usize) -> Status {
    let answer = ask(at, path, None, Body::new(HalfSent::of(bytes))).await.unwrap();
    Status::from_header_map(answer.headers()).unwrap()
}

/// Begins so many calls, on several connections, and waits until all but some have ended.
async fn begin_many(world: &World, (path, bytes): (&'static str, usize), (calls, stay): (usize, usize)) {
    let mut begun = tokio::task::JoinSet::new();
    for _ in 0..calls.div_ceil(100) {
        let channel = world.channel().await;
        for _ in 0..100 {
            begun.spawn(half_sent((world.address, channel.clone()), path, bytes));
        }
    }
    for _ in stay..calls {
        let status = begun.join_next().await.unwrap().unwrap();
        let reason = status.get_details_error_info().unwrap().reason;
        // On a machine with much else to do some take longer than they may.
        assert!(matches!(reason.as_str(), "BUSY" | "TOO_SLOW"), "{status}");
    }
    // Those that are left wait on.
    begun.detach_all();
}

#[tokio::test]
async fn half_sent_logins_make_room_for_others_and_for_honest_ones() {
    const LOGIN: &str = "/gridtrail.query.v1.SessionService/Login";
    let stage = Stage::set().await;
    // Of one address no more than 16 stay, of which each takes as much memory as it announced.
    begin_many(&stage.other, (LOGIN, 768 * 1024), (100, 16)).await;
    let logged_in = stage.log_in().await;
    assert!(stage.search(&logged_in.token).await.unwrap() > 0);
}

#[tokio::test]
async fn half_sent_searches_without_a_token_make_room_for_honest_ones() {
    let world = World::serve().await;
    let path = "/gridtrail.query.v1.AuditTrailService/Search";
    begin_many(&world, (path, 64 * 1024), (1_100, 1_024)).await;
    search(&world).await.unwrap();
}

#[tokio::test]
async fn other_messages_of_logins_are_small() {
    let stage = Stage::set().await;
    let path = "/gridtrail.query.v1.SessionService/StartLogin";
    let channel = stage.one.channel().await;
    // Its length is enough to refuse it: nothing more is read.
    let status = half_sent((stage.one.address, channel), path, 5 * 1024).await;
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
    let long = StartLoginRequest { identity_provider: "x".repeat(2_000) };
    let status = stage.one.sessions().await.start_login(long).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
}

#[tokio::test]
async fn watches_without_end_make_room_for_others() {
    let world = World::serve().await;
    let mut watches = Vec::new();
    for _ in 0..3 {
        let mut health = HealthClient::new(world.channel().await);
        for _ in 0..60 {
            let watch = health.watch(HealthCheckRequest::default()).await.unwrap();
            watches.push(watch.into_inner());
        }
    }
    // Of one address 128 stay, the youngest.
    assert!(watches[0].message().await.unwrap().is_some());
    let status = watches[0].message().await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert!(watches.last_mut().unwrap().message().await.unwrap().is_some());
    search(&world).await.unwrap();
}

/// A client that asks for pages and reads none of them gets no more than its bound, and others theirs.
#[tokio::test]
async fn pages_that_nobody_reads_stop_their_caller_alone() {
    // Larger than what a client takes unread, and quickly made.
    const ROWS: usize = 10;
    let world = World::serve().await;
    world.lake.commit((100..).take(ROWS).map(|counter| tried_again(counter, 100)), None);
    let message = SearchRequest { page_size: 1_000, ..of_meter() }.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let message = Bytes::from([&[0][..], &length, &message].concat());
    let (token, path) = (world.token(ANN, 1), "/gridtrail.query.v1.AuditTrailService/Search");
    let mut unread = Vec::new();
    'asking: loop {
        let endpoint = Channel::from_shared(format!("http://{}", world.address)).unwrap();
        let endpoint = endpoint.initial_stream_window_size(65_535).initial_connection_window_size(65_535);
        let channel = endpoint.connect().await.unwrap();
        for _ in 0..100 {
            assert!(unread.len() < 300, "there is no end");
            let body = Body::new(Full::new(message.clone()));
            match ask((world.address, channel.clone()), path, Some(&token), body).await {
                Ok(answer) => match Status::from_header_map(answer.headers()) {
                    None => unread.push(answer),
                    Some(told) => {
                        let reason = told.get_details_error_info().unwrap().reason;
                        assert_eq!(reason, "LIMIT_REACHED", "{told}");
                        assert!(told.message().contains("not read") && unread.len() > 100, "{told}");
                        break 'asking;
                    }
                },
                // On a machine with much else to do the first has waited so long by now that it makes room, with its connection.
                Err(_closed) => break 'asking,
            }
        }
    }
    let found = world.audit_trails().await.search(world.by(BOB, of_meter())).await.unwrap();
    assert!(!found.into_inner().rows.is_empty(), "another caller has theirs");
    // Read or gone, it is theirs again.
    drop(unread);
    while let Err(status) = search(&world).await {
        assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    }
}
