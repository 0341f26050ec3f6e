//! Connections: how many, how long, and their end.

use super::Endpoint;
use crate::limits::{
    ACCEPT_PAUSE, CONNECTION_LIFE, CONNECTIONS_MAX, DRAIN_LIFE, HEAD_BYTES_MAX, HEAD_LIFE, STREAMS_MAX,
};
use futures::{Stream, StreamExt};
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Answers connections by HTTP/1.1 and HTTP/2 until `shutdown`, and then ends them in good order.
///
/// Each comes with the address of who made it, where it is known. They come encrypted from `gridtrail_tls`, or plain from a loopback address. An error of one is nothing to the others.
pub async fn serve<C, S>(connections: C, endpoint: Arc<Endpoint>, shutdown: impl Future<Output = ()>)
where
    C: Stream<Item = io::Result<(S, Option<SocketAddr>)>>,
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let mut connections = pin!(connections);
    let take_all = async {
        // The semaphore is never closed.
        while let Ok(place) = Arc::clone(&places).acquire_owned().await {
            match connections.next().await {
                None => return,
                Some(Err(error)) => {
                    tracing::debug!(%error, "a connection of a browser was not made");
                    // Perhaps since all files that the system allows are open: to ask at once again only makes it worse.
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
                Some(Ok((stream, from))) => {
                    let (endpoint, stop) = (Arc::clone(&endpoint), stop.clone());
                    tasks.spawn(async move {
                        let _place = place;
                        answer_all((stream, from), endpoint, stop).await;
                    });
                }
            }
        }
    };
    tokio::select! {
        () = take_all => {}
        () = shutdown => stop.cancel(),
    }
    tasks.close();
    tasks.wait().await;
}

/// Answers the requests of one connection, for a bounded time.
async fn answer_all<S>(
    (stream, from): (S, Option<SocketAddr>),
    endpoint: Arc<Endpoint>,
    stop: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIFE)
        .max_buf_size(HEAD_BYTES_MAX)
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        // Well below 2^32.
        .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX));
    let service = service_fn(move |mut request: Request<Incoming>| {
        let endpoint = Arc::clone(&endpoint);
        if let Some(from) = from {
            request.extensions_mut().insert(from);
        }
        async move { Ok::<_, Infallible>(endpoint.answer(request).await) }
    });
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = stop.cancelled() => None,
        () = tokio::time::sleep(CONNECTION_LIFE) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(DRAIN_LIFE, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error, "a connection of a browser broke");
    }
}
