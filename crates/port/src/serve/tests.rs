use super::*;
use http_body_util::Full;
use std::convert::Infallible;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const LONG: Duration = Duration::from_secs(600);

fn terms() -> Terms {
    let drain = Duration::from_secs(10);
    Terms { connections: 8, by_address: 8, streams: 4, head_bytes: 16 * 1024, idle: LONG, age: LONG, drain }
}

/// A port whose service tells each caller their address.
struct Served {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<bool>,
}

async fn served(terms: Terms, whence: Whence) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = service_fn(|request: Request<Incoming>| {
        let client = Client::of(&request);
        if request.uri().path() == "/known" {
            client.peer.vouch();
        }
        let text = client.address.unwrap().ip().to_string();
        let hang = request.uri().path() == "/hang";
        async move {
            if hang {
                std::future::pending::<()>().await;
            }
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(text))))
        }
    });
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(Port { listener, tls: None, terms, whence }.serve(service, async {
        let _ = stopped.await;
    }));
    Served { address, stop, serving }
}

impl Served {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// A connection whose first request is answered, and stays open.
    async fn asked(&self, head: &str) -> TcpStream {
        let mut stream = self.connect().await;
        ask(&mut stream, head).await;
        stream
    }
}

/// Asks by a connection, and gives the answer.
async fn ask(stream: &mut TcpStream, head: &str) -> String {
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.windows(4).any(|end| end == b"\r\n\r\n")
        || !String::from_utf8_lossy(&answer).contains("127.")
    {
        let read = stream.read_buf(&mut answer).await.unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&answer));
    }
    String::from_utf8(answer).unwrap()
}

const GET: &str = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
const GET_KNOWN: &str = "GET /known HTTP/1.1\r\nhost: x\r\n\r\n";

/// What is left to read until the connection ends, however it does.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    rest
}

#[tokio::test]
async fn silent_connections_make_room_for_those_that_ask() {
    let served = served(terms(), Whence::Connection).await;
    let mut silent = Vec::new();
    for _ in 0..terms().connections {
        silent.push(served.connect().await);
    }
    let mut known = served.asked(GET_KNOWN).await;
    // All that are silent go before the one that is known, however many come.
    for _ in 0..2 * terms().connections {
        silent.push(served.connect().await);
    }
    ask(&mut known, GET_KNOWN).await;
    served.asked(GET).await;
    assert!(rest(&mut silent[0]).await.is_empty(), "the oldest was closed");
}

#[tokio::test]
async fn a_connection_on_which_somebody_known_asks_is_never_given_up() {
    let served = served(Terms { connections: 2, by_address: 2, ..terms() }, Whence::Connection).await;
    let mut busy = served.asked(GET_KNOWN).await;
    busy.write_all(b"GET /hang HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    for _ in 0..4 {
        served.asked(GET).await;
    }
    let unanswered = tokio::time::timeout(Duration::from_millis(20), busy.read_u8()).await;
    assert!(unanswered.is_err(), "still open, and still waiting");
}

#[tokio::test]
async fn a_connection_ends_in_good_order_at_its_age_and_when_it_is_idle() {
    let short = Duration::from_millis(30);
    let terms = Terms { drain: short, ..terms() };
    for terms in [Terms { age: short, ..terms }, Terms { idle: short, ..terms }] {
        let served = served(terms, Whence::Connection).await;
        let mut stream = served.asked(GET).await;
        assert!(rest(&mut stream).await.is_empty());
        // Over HTTP/2 the client is told: the last frame is a GOAWAY, whose type is 7.
        let mut stream = served.connect().await;
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        let frames = rest(&mut stream).await;
        assert!(frames.windows(2).any(|pair| pair == [8, 7]), "a frame of 8 bytes of type 7: {frames:?}");
    }
}

#[tokio::test]
async fn who_is_behind_a_proxy_is_told_apart_and_nobody_else_may_say_so() {
    let proxies = || "127.0.0.1".parse().unwrap();
    let by_protocol = served(terms(), Whence::ProxyProtocol(proxies())).await;
    let head = format!("PROXY TCP4 127.9.9.9 198.51.100.1 51000 443\r\n{GET}");
    assert!(ask(&mut by_protocol.connect().await, &head).await.ends_with("127.9.9.9"));
    let mut without = by_protocol.connect().await;
    without.write_all(GET.as_bytes()).await.unwrap();
    assert!(rest(&mut without).await.is_empty(), "a proxy that says nothing is none");

    let by_header = served(terms(), Whence::ForwardedFor(proxies())).await;
    let head = "GET / HTTP/1.1\r\nhost: x\r\nx-forwarded-for: 127.9.9.9\r\n\r\n";
    assert!(ask(&mut by_header.connect().await, head).await.ends_with("127.9.9.9"));
    let direct = served(terms(), Whence::ForwardedFor("192.0.2.1".parse().unwrap())).await;
    assert!(ask(&mut direct.connect().await, head).await.ends_with("127.0.0.1"));
}

#[tokio::test]
async fn a_port_that_is_closed_answers_what_is_under_way_and_takes_no_more() {
    let served = served(Terms { drain: Duration::from_millis(50), ..terms() }, Whence::Connection).await;
    let mut idle = served.asked(GET).await;
    let mut hangs = served.asked(GET).await;
    hangs.write_all(b"GET /hang HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let silent = served.connect().await;
    served.stop.send(()).unwrap();
    assert!(rest(&mut idle).await.is_empty());
    assert!(!served.serving.await.unwrap(), "one request hung, and was cut");
    assert!(TcpStream::connect(served.address).await.is_err());
    drop((hangs, silent));
}
