//! Over connections.

use crate::it::world::{Server, pair};
use gridtrail_port::{Peer, Whence, attend};
use gridtrail_session::{pages, terms};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// One connection to a server, and the means to stop it.
fn connect(server: &Server) -> (DuplexStream, CancellationToken, JoinHandle<()>) {
    let (client, theirs) = tokio::io::duplex(64 * 1024);
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let service = pages(Arc::clone(&server.endpoint));
    let serving = async move {
        let on = (&terms(8, 8), &Whence::Connection);
        attend(theirs, Peer::unknown(), service, on, stopped).await;
    };
    (client, stop, tokio::spawn(serving))
}

#[tokio::test]
async fn browsers_are_answered_until_the_server_stops() {
    let (server, _, _) = pair().await;
    let (mut client, stop, serving) = connect(&server);
    client.write_all(b"GET /saml/metadata HTTP/1.1\r\nHost: ssi.example\r\n\r\n").await.unwrap();
    let mut first = [0; 15];
    client.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    // The connection is kept open, and still the server stops.
    stop.cancel();
    serving.await.unwrap();
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.unwrap();
    assert!(String::from_utf8(rest).unwrap().ends_with("</md:EntityDescriptor>"));
}

#[tokio::test]
async fn a_head_that_never_ends_is_cut_off() {
    let (server, _, _) = pair().await;
    let (mut client, _stop, _serving) = connect(&server);
    client.write_all(b"GET /saml/metadata HTTP/1.1\r\nCookie: ").await.unwrap();
    // The server may have hung up already.
    let _ = client.write_all(&vec![b'a'; 63 * 1024]).await;
    let mut answer = Vec::new();
    let _ = client.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_is_hung_up_on() {
    let (server, _, _) = pair().await;
    let (mut client, _stop, _serving) = connect(&server);
    client.write_all(b"GET /saml/metadata HTTP/1.1\r\n").await.unwrap();
    let mut answer = Vec::new();
    // Time runs as fast as nobody does anything.
    client.read_to_end(&mut answer).await.unwrap();
    assert!(!String::from_utf8(answer).unwrap().contains("200 OK"));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_is_given_up() {
    let (server, _, _) = pair().await;
    let (mut client, _stop, _serving) = connect(&server);
    let head = "POST /saml/acs HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nSAML";
    client.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    assert!(String::from_utf8(answer).unwrap().starts_with("HTTP/1.1 408"));
}
