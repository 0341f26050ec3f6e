//! A port: from a listener to requests, and the end of each connection.

use crate::limits::{
    ACCEPT_PAUSE, FIRST_REQUEST_LIFE, GREETING_LIFE, HEAD_LIFE, KEEPALIVE, TOLD_A_SECOND, WINDOWS,
};
use crate::peer::{Client, OpenRequest, Peer, network_of};
use crate::places::{Hold, Place, Places, Sizes};
use crate::whence::{Whence, proxy_header};
use bytes::Bytes;
use governor::{DefaultDirectRateLimiter, Quota};
use gridtrail_tls::Tls;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use std::fmt::Display;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// On which terms connections are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Connections in all. Of more, the one that can best be spared makes room: see [`Places`].
    pub connections: u32,
    /// Connections from one address.
    pub by_address: u32,
    /// Requests at the same time on one connection by HTTP/2.
    pub streams: u32,
    /// Bytes of the head of a request.
    pub head_bytes: u32,
    /// How long a connection without a request is kept.
    pub idle: Duration,
    /// How long a connection is kept at all: then no more requests are taken on it, and the client makes another.
    pub age: Duration,
    /// How long requests that are under way have when no more are taken.
    pub drain: Duration,
}

/// Where connections come in.
#[derive(Debug)]
pub struct Port {
    /// Bound by the caller, who knows and tells its address.
    pub listener: TcpListener,
    /// How connections are encrypted; `None`: not at all, which is for the loopback interface only.
    pub tls: Option<Arc<Tls>>,
    /// On which terms they are kept.
    pub terms: Terms,
    /// Whose they are.
    pub whence: Whence,
}

impl Port {
    /// Has a service answer the requests of all connections, by HTTP/1.1 and HTTP/2, until `shutdown`: then no new connection is taken,
    /// and those that there are end in good order, or are cut when it takes too long. Whether all ended in good order.
    ///
    /// A request has its [`Client`] among its extensions. An error of one connection is nothing to the others. Dropped, it ends them.
    pub async fn serve<C, B>(self, service: C, shutdown: impl Future<Output = ()>) -> bool
    where
        C: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + Sync + 'static,
        C::Future: Send,
        C::Error: Into<BoxError>,
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        let Self { listener, tls, terms, whence } = self;
        let (tasks, stop, cut) = (TaskTracker::new(), CancellationToken::new(), CancellationToken::new());
        let _cut_when_dropped = cut.clone().drop_guard();
        let (places, told) =
            (Places::new(terms.sizes()), DefaultDirectRateLimiter::direct(Quota::per_second(TOLD_A_SECOND)));
        let door = Arc::new(Door { tls, terms, whence, places, told });
        let mut shutdown = pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                () = &mut shutdown => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, from)) => {
                    let (door, stop, closed) = (Arc::clone(&door), stop.clone(), cut.child_token());
                    // Large, and of many.
                    tasks.spawn(Box::pin(door.answer_all((stream, from), service.clone(), stop, closed)));
                }
                // It was gone before it was taken.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    tracing::warn!(%error, "the system gives no connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        stop.cancel();
        tasks.close();
        if tokio::time::timeout(terms.drain, tasks.wait()).await.is_ok() {
            return true;
        }
        tracing::warn!(drain_s = terms.drain.as_secs(), "requests still open after the drain are cut");
        false
    }
}

impl Terms {
    /// The greatest age of a connection: a little less for some, so that not all that were made together end together.
    fn age_of(&self, from: Option<SocketAddr>) -> Duration {
        let sixteenths = from.map_or(0, |from| u32::from(from.port() % 16));
        self.age - self.age / 160 * sixteenths
    }

    const fn sizes(&self) -> Sizes {
        Sizes { all: self.connections, each: self.by_address, patience: Duration::ZERO }
    }
}

/// What every connection comes through.
#[derive(Debug)]
struct Door {
    tls: Option<Arc<Tls>>,
    terms: Terms,
    whence: Whence,
    places: Places<IpAddr>,
    /// Bounds what is told of connections that are refused: whoever makes those makes many.
    told: DefaultDirectRateLimiter,
}

impl Door {
    /// A place for a connection of an address, unless all are in use and none can be spared.
    fn place(&self, from: Option<SocketAddr>, closed: &CancellationToken) -> Option<Place<IpAddr>> {
        let network = network_of(from);
        // Behind a proxy there are many.
        let is_proxy = from.is_some_and(|from| self.whence.is_proxy(from.ip()));
        let each = if is_proxy { self.terms.connections } else { self.terms.by_address };
        let place = self.places.enter_within(network, (1, Hold::Loose), each, closed.clone());
        place.inspect_err(|reason| self.tell(from, reason)).ok()
    }

    /// Tells why a connection was refused, as far as that is not told all the time.
    fn tell(&self, from: Option<SocketAddr>, reason: &dyn Display) {
        if self.told.check().is_ok() {
            tracing::info!(peer = from.map(tracing::field::display), %reason, "a connection was refused");
        }
    }

    async fn answer_all<C, B>(
        self: Arc<Self>,
        (stream, from): (TcpStream, SocketAddr),
        service: C,
        stop: CancellationToken,
        closed: CancellationToken,
    ) where
        C: Service<Request<Incoming>, Response = Response<B>> + Send + Sync + 'static,
        C::Future: Send,
        C::Error: Into<BoxError>,
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        let Some(place) = self.place(Some(from), &closed) else { return };
        let greeting = tokio::time::timeout(GREETING_LIFE, self.greet(stream, from));
        let greeted = tokio::select! {
            () = closed.cancelled() => return,
            () = stop.cancelled() => return,
            greeted = greeting => greeted,
        };
        let (stream, named) = match greeted {
            Ok(Ok(Some(greeted))) => greeted,
            Ok(Ok(None)) => return,
            Ok(Err(error)) => return self.tell(Some(from), &error),
            Err(_elapsed) => return self.tell(Some(from), &"it said nothing in time"),
        };
        let (address, place) = match named {
            None => (from, place),
            Some(named) => {
                drop(place);
                let Some(place) = self.place(Some(named), &closed) else { return };
                (named, place)
            }
        };
        let peer = Peer::new(Some(address), closed, Some(place));
        match stream {
            Greeted::Plain(stream) => attend(stream, peer, service, (&self.terms, &self.whence), stop).await,
            Greeted::Encrypted(stream) => {
                attend(*stream, peer, service, (&self.terms, &self.whence), stop).await
            }
        }
    }

    /// Hears who it is, and shakes hands. `None`: it does not encrypt, or went away.
    async fn greet(
        &self,
        mut stream: TcpStream,
        from: SocketAddr,
    ) -> io::Result<Option<(Greeted, Option<SocketAddr>)>> {
        // An answer is small and wanted at once. A socket that refuses this is broken, and fails below.
        let _ = stream.set_nodelay(true);
        let named = match &self.whence {
            Whence::ProxyProtocol(_) if !self.whence.is_proxy(from.ip()) => {
                let reason = "only the proxies may connect that are trusted to say whom they ask for";
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
            }
            Whence::ProxyProtocol(_) => proxy_header(&mut stream).await?,
            Whence::Connection | Whence::ForwardedFor(_) => None,
        };
        // The first byte.
        if stream.peek(&mut [0]).await? == 0 {
            return Ok(None);
        }
        let Some(tls) = &self.tls else { return Ok(Some((Greeted::Plain(stream), named))) };
        match tls.shake_hands(stream).await? {
            Some(stream) => Ok(Some((Greeted::Encrypted(Box::new(stream)), named))),
            None => {
                self.tell(Some(from), &"it is not encrypted");
                Ok(None)
            }
        }
    }
}

/// A connection that is ready for requests.
enum Greeted {
    Plain(TcpStream),
    Encrypted(Box<gridtrail_tls::TlsStream<TcpStream>>),
}

/// Answers the requests of one connection, on these terms.
pub async fn attend<S, C, B>(
    stream: S,
    peer: Peer,
    service: C,
    (terms, whence): (&Terms, &Whence),
    stop: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    C: Service<Request<Incoming>, Response = Response<B>> + Send + Sync + 'static,
    C::Future: Send,
    C::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    let (whence, of_peer) = (whence.clone(), peer.clone());
    let service = service_fn(move |mut request: Request<Incoming>| {
        let open = of_peer.begin();
        let address = whence.client(of_peer.address(), request.headers());
        request.extensions_mut().insert(Client { address, peer: of_peer.clone() });
        let answer = service.call(request);
        async move { answer.await.map(|answer| answer.map(|body| Answered { body, _open: open })) }
    });
    let builder = builder(terms);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = peer.ended() => return,
        () = stop.cancelled() => None,
        () = tokio::time::sleep(terms.age_of(peer.address())) => None,
        () = peer.idle(FIRST_REQUEST_LIFE.min(terms.idle), terms.idle) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                () = peer.ended() => return,
                ended = tokio::time::timeout(terms.drain, connection) => ended.unwrap_or(Ok(())),
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error, "a connection broke");
    }
}

fn builder(terms: &Terms) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    let (of_connection, of_request) = WINDOWS;
    let (every, within) = KEEPALIVE;
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIFE)
        // Never below what the library needs, 8 KiB.
        .max_buf_size((terms.head_bytes as usize).max(8 * 1024))
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(every)
        .keep_alive_timeout(within)
        .initial_connection_window_size(of_connection)
        .initial_stream_window_size(of_request)
        .max_concurrent_streams(terms.streams)
        .max_header_list_size(terms.head_bytes);
    builder
}

/// The body of an answer, until whose end its request counts as open.
struct Answered<B> {
    body: B,
    _open: OpenRequest,
}

impl<B: Body + Unpin> Body for Answered<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests;
