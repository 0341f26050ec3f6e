//! From a listener to a stream of encrypted connections.

use crate::Tls;
use futures::{Stream, TryStreamExt as _};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;

/// How long a client has to shake hands: one that says nothing holds a place no longer.
const HANDSHAKE_LIFE: Duration = Duration::from_secs(10);
/// Handshakes at the same time. More wait in the system's queue.
const HANDSHAKES_MAX: usize = 128;
/// Connections that were made and not yet taken.
const READY_MAX: usize = 16;
/// How long to wait where the system gives no connection, for instance since all files that it allows are open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What a client is told that speaks HTTP without encryption.
const NOT_ENCRYPTED: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n\
    This server encrypts its connections: use a URL that begins with https.\n";
/// Bytes that are read of what such a client has to say.
const UNREAD_MAX: u64 = 1 << 16;

/// Connections whose handshake succeeded. A handshake that fails is told in the log, and is nothing to the others.
///
/// Dropped, it takes no more connections.
#[derive(Debug)]
pub struct Connections {
    ready: ReceiverStream<TlsStream<TcpStream>>,
    _accepting: JoinSet<()>,
}

impl Stream for Connections {
    type Item = io::Result<TlsStream<TcpStream>>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.ready).poll_next(context).map(|next| next.map(Ok))
    }
}

impl Connections {
    /// Each connection beside the address of who made it, where it is known.
    pub fn with_peers(
        self,
    ) -> impl Stream<Item = io::Result<(TlsStream<TcpStream>, Option<SocketAddr>)>> + Send + 'static {
        self.map_ok(|stream| {
            let peer = stream.get_ref().0.peer_addr().ok();
            (stream, peer)
        })
    }
}

impl Tls {
    /// Takes the connections of a listener. Must be called within a runtime.
    pub fn accept(self: &Arc<Self>, listener: TcpListener) -> Connections {
        let (made, ready) = mpsc::channel(READY_MAX);
        let mut accepting = JoinSet::new();
        accepting.spawn(take(Arc::clone(self), listener, made));
        Connections { ready: ReceiverStream::new(ready), _accepting: accepting }
    }
}

/// Takes connections until nobody wants them any more.
async fn take(tls: Arc<Tls>, listener: TcpListener, made: mpsc::Sender<TlsStream<TcpStream>>) {
    let places = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    // They end with this task.
    let mut handshakes = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let (stream, peer) = tokio::select! {
            () = made.closed() => return,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "the system gives no connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        while handshakes.try_join_next().is_some() {}
        let (acceptor, made) = (TlsAcceptor::from(tls.current()), made.clone());
        handshakes.spawn(async move {
            let _place = place;
            // An answer is small and wanted at once. A socket that refuses this is broken, and fails below.
            let _ = stream.set_nodelay(true);
            match tokio::time::timeout(HANDSHAKE_LIFE, shake_hands(&acceptor, stream)).await {
                // Nobody takes connections any more: this one ends.
                Ok(Ok(Some(stream))) => _ = made.send(stream).await,
                Ok(Ok(None)) => tracing::info!(%peer, "a connection was refused: it is not encrypted"),
                Ok(Err(error)) => tracing::info!(%peer, %error, "a connection was refused"),
                Err(_elapsed) => tracing::info!(%peer, "a connection was refused: no handshake in time"),
            }
        });
    }
}

/// Encrypts a connection; `None`: the client does not, and was told.
async fn shake_hands(
    acceptor: &TlsAcceptor,
    mut stream: TcpStream,
) -> io::Result<Option<TlsStream<TcpStream>>> {
    let mut first = [0];
    // HTTP begins with the letters of a method, and a handshake does not.
    if stream.peek(&mut first).await? == 1 && first[0].is_ascii_uppercase() {
        stream.write_all(NOT_ENCRYPTED).await?;
        stream.shutdown().await?;
        // What is not read when a connection closes takes the answer with it.
        let _ = tokio::io::copy(&mut (&mut stream).take(UNREAD_MAX), &mut tokio::io::sink()).await;
        return Ok(None);
    }
    acceptor.accept(stream).await.map(Some)
}
