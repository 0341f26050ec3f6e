//! What attackers do.

use super::stage::{Caller, METER};
use bytes::Bytes;
use gridtrail_proto::query::v1::audit_trail_service_client::AuditTrailServiceClient;
use gridtrail_proto::query::v1::search_request::Key;
use gridtrail_proto::query::v1::session_service_client::SessionServiceClient;
use gridtrail_proto::query::v1::{SearchRequest, StartLoginRequest};
use http_body::{Body as HttpBody, Frame};
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::Code;
use tonic::body::Body;
use tonic::codegen::Service as _;
use tonic::codegen::http::{Request, Response};
use tonic::transport::Channel;

/// Connections that say nothing.
pub(super) async fn silent(address: SocketAddr, many: usize) -> Vec<TcpStream> {
    let mut sockets = Vec::new();
    for _ in 0..many {
        sockets.push(TcpStream::connect(address).await.unwrap());
    }
    sockets
}

/// A connection that takes in no more than it must.
async fn channel(address: SocketAddr) -> Channel {
    let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
    let endpoint = endpoint.initial_stream_window_size(65_535).initial_connection_window_size(65_535);
    endpoint.connect().await.unwrap()
}

/// Bytes that a half-sent login announces.
const ANNOUNCED: usize = 768 * 1024;

/// A message of which all but the end is sent: so many bytes are left to send.
struct HalfSent(usize);

impl HttpBody for HalfSent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        static PART: [u8; 16 * 1024] = [b'x'; 16 * 1024];
        let part = match self.0 {
            0 => return Poll::Pending,
            ANNOUNCED => Bytes::from([&[0][..], &u32::try_from(ANNOUNCED).unwrap().to_be_bytes()].concat()),
            left => Bytes::from_static(&PART[..left.min(PART.len())]),
        };
        self.0 -= part.len();
        Poll::Ready(Some(Ok(Frame::data(part))))
    }
}

/// Asks, and leaves the answer where it is. `None`: the connection is gone.
async fn ask(
    (address, mut channel): (SocketAddr, Channel),
    path: &str,
    token: Option<&str>,
    body: impl HttpBody<Data = Bytes, Error = Infallible> + Send + 'static,
) -> Option<Response<Body>> {
    let mut request = Request::post(format!("http://{address}{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    poll_fn(|context| channel.poll_ready(context)).await.ok()?;
    channel.call(request.body(Body::new(body)).unwrap()).await.ok()
}

/// Logins of 768 KiB of which a few bytes are missing.
pub(super) async fn half_sent(address: SocketAddr, many: usize) -> JoinSet<Option<Response<Body>>> {
    let mut begun = JoinSet::new();
    for _ in 0..many.div_ceil(100) {
        let channel = channel(address).await;
        for _ in 0..100 {
            let at = (address, channel.clone());
            begun.spawn(async move {
                ask(at, "/gridtrail.query.v1.SessionService/Login", None, HalfSent(ANNOUNCED)).await
            });
        }
    }
    // Those that give way are answered. Once one was, all had been taken in.
    if many > 100 {
        begun.join_next().await;
    }
    begun
}

/// Watches of health that are never read.
pub(super) async fn watches(address: SocketAddr, many: usize) -> Vec<Response<Body>> {
    let mut watches = Vec::new();
    for _ in 0..many.div_ceil(100) {
        let channel = channel(address).await;
        for _ in 0..100 {
            let whole = http_body_util::Full::new(Bytes::from_static(&[0; 5]));
            watches
                .extend(ask((address, channel.clone()), "/grpc.health.v1.Health/Watch", None, whole).await);
        }
    }
    watches
}

/// Asks for the largest pages and reads none of them. Gives how many it got.
pub(super) async fn unread_pages(address: SocketAddr, caller: Caller, end: Instant) -> usize {
    let message = prost::Message::encode_to_vec(&of_meter(METER, ""));
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let whole = Bytes::from([&[0][..], &length, &message].concat());
    let mut unread = Vec::new();
    while Instant::now() < end {
        let at = (address, channel(address).await);
        for _ in 0..20 {
            let path = "/gridtrail.query.v1.AuditTrailService/Search";
            let body = http_body_util::Full::new(whole.clone());
            match ask((at.0, at.1.clone()), path, Some(&caller.token), body).await {
                Some(answer) if !answer.headers().contains_key("grpc-status") => unread.push(answer),
                // All that it may have; others come in turn.
                _ => tokio::task::yield_now().await,
            }
        }
    }
    unread.len()
}

/// Asks as of one version after the other. Gives how many answers it got.
pub(super) async fn search_as_of(
    address: SocketAddr,
    caller: Caller,
    (versions, end): (u64, Instant),
) -> usize {
    let mut client = AuditTrailServiceClient::new(channel(address).await);
    let mut answers = 0;
    for version in (1..=versions).cycle() {
        if Instant::now() >= end {
            break;
        }
        let request = caller.by(SearchRequest { page_size: 1, ..of_meter(METER, &version.to_string()) });
        match client.search(request).await {
            Ok(_) => answers += 1,
            Err(status) if status.code() == Code::ResourceExhausted => {}
            // Its connection was closed for another's sake, or the version is one before any row.
            Err(_) => client = AuditTrailServiceClient::new(channel(address).await),
        }
    }
    answers
}

/// Begins logins. Gives how many were refused.
pub(super) async fn start_logins(address: SocketAddr, end: Instant) -> usize {
    let mut client = SessionServiceClient::new(channel(address).await);
    let mut refused = 0;
    while Instant::now() < end {
        let request = StartLoginRequest { identity_provider: "https://idp.example".to_owned() };
        match client.start_login(request).await.map_err(|status| status.code()) {
            Err(Code::NotFound | Code::Unavailable | Code::FailedPrecondition) => refused += 1,
            _ => client = SessionServiceClient::new(channel(address).await),
        }
    }
    refused
}

pub(super) fn of_meter(meter: &str, as_of: &str) -> SearchRequest {
    SearchRequest {
        key: Some(Key::DeviceId(meter.to_owned())),
        page_size: 1_000,
        as_of: as_of.to_owned(),
        ..SearchRequest::default()
    }
}
