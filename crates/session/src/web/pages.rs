//! The pages over connections.

use super::{Answer, Endpoint};
use crate::limits::{CONNECTION_IDLE, CONNECTION_LIFE, DRAIN_LIFE, HEAD_BYTES_MAX, STREAMS_MAX};
use gridtrail_port::{Port, Terms};
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use std::convert::Infallible;
use std::sync::Arc;

/// On which terms browsers connect: so many in all, and so many of one address.
pub const fn terms(connections: u32, by_address: u32) -> Terms {
    Terms {
        connections,
        by_address,
        streams: STREAMS_MAX,
        head_bytes: HEAD_BYTES_MAX,
        idle: CONNECTION_IDLE,
        age: CONNECTION_LIFE,
        drain: DRAIN_LIFE,
    }
}

/// What answers the requests of browsers.
pub fn pages(
    endpoint: Arc<Endpoint>,
) -> impl Service<
    Request<Incoming>,
    Response = Answer,
    Error = Infallible,
    Future = impl Future<Output = Result<Answer, Infallible>> + Send,
> + Clone
+ Send
+ Sync
+ 'static {
    service_fn(move |request: Request<Incoming>| {
        let endpoint = Arc::clone(&endpoint);
        // What a login holds is large, and would lie in every connection.
        Box::pin(async move { Ok(endpoint.answer(request).await) })
    })
}

/// Answers browsers that come by a port until `shutdown`, and then ends their connections in good order.
pub async fn serve(port: Port, endpoint: Arc<Endpoint>, shutdown: impl Future<Output = ()>) {
    port.serve(pages(endpoint), shutdown).await;
}
