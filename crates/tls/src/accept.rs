//! From a connection to an encrypted one.

use crate::Tls;
use std::io;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// What a client is told that speaks HTTP without encryption.
const NOT_ENCRYPTED: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n\
    This server encrypts its connections: use a URL that begins with https.\n";
/// Bytes that are read of what such a client has to say.
const UNREAD_MAX: u64 = 1 << 16;

impl Tls {
    /// Shakes hands on a connection, for as long as the caller waits; `None`: the client does not encrypt, and was told.
    ///
    /// Errors: the two find no way to encrypt it, or it broke.
    pub async fn shake_hands(&self, mut stream: TcpStream) -> io::Result<Option<TlsStream<TcpStream>>> {
        let mut first = [0];
        // HTTP begins with the letters of a method, and a handshake does not.
        if stream.peek(&mut first).await? == 1 && first[0].is_ascii_uppercase() {
            stream.write_all(NOT_ENCRYPTED).await?;
            stream.shutdown().await?;
            // What is not read when a connection closes takes the answer with it.
            let _ = tokio::io::copy(&mut (&mut stream).take(UNREAD_MAX), &mut tokio::io::sink()).await;
            return Ok(None);
        }
        TlsAcceptor::from(self.current()).accept(stream).await.map(Some)
    }
}
