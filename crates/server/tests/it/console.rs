//! The console at the address of the services: its pages, and calls of theirs with the session's cookie.

use crate::it::fixture::World;
use crate::it::log_in::Stage;
use gridtrail_saml::fake::{ACS_URL, ISSUER};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Where the pages of the tests come from: the origin of [`ACS_URL`].
const ORIGIN: &str = "https://ssi.example";
const PROFILE: &str = "/gridtrail.query.v1.SessionService/Profile";

/// Sends one request by hand, as no client that knows gRPC would, and gives the answer as text, headers in lower case.
async fn send(world: &World, head: &str, headers: &[(&str, &str)], body: &[u8]) -> String {
    let mut socket = TcpStream::connect(world.address).await.unwrap();
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let head = format!(
        "{head} HTTP/1.1\r\nhost: ssi.example\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
    );
    socket.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).to_lowercase()
}

/// Calls for the profile over gRPC-Web, with an empty message.
async fn profile(world: &World, headers: &[(&str, &str)]) -> String {
    send(world, &format!("POST {PROFILE}"), headers, &[0; 5]).await
}

fn is_answered(answer: &str) -> bool {
    answer.contains("grpc-status:0") || answer.contains("grpc-status: 0")
}

fn is_told_to_log_in(answer: &str) -> bool {
    answer.contains("grpc-status: 16") || answer.contains("grpc-status:16")
}

const WEB: (&str, &str) = ("content-type", "application/grpc-web+proto");

#[tokio::test]
async fn calls_with_a_cookie_count_from_our_own_pages_alone() {
    let stage = Stage::set().await;
    let cookie = format!("__Host-gridtrail={}", stage.log_in().await.handle);
    let (cookie, origin) = (("cookie", cookie.as_str()), ("origin", ORIGIN));
    let same = ("sec-fetch-site", "same-origin");
    for ours in [&[WEB, cookie, origin, same][..], &[WEB, cookie, origin], &[WEB, cookie, same]] {
        let answer = profile(&stage.one, ours).await;
        assert!(is_answered(&answer), "{ours:?}: {answer}");
    }
    let elsewhere = [
        // Whoever does not say where they are may be anywhere.
        vec![WEB, cookie],
        vec![WEB, cookie, ("origin", "https://evil.example"), same],
        vec![WEB, cookie, ("origin", "https://evil.example")],
        vec![WEB, cookie, origin, ("sec-fetch-site", "same-site")],
        vec![WEB, cookie, ("origin", "null"), same],
        vec![WEB, cookie, cookie, origin, same],
        vec![WEB, origin, same],
        vec![WEB, ("cookie", "__Host-gridtrail=none"), origin, same],
        // A token that is none is not passed over for a cookie.
        vec![WEB, cookie, origin, same, ("authorization", "Bearer none")],
    ];
    for headers in elsewhere {
        let answer = profile(&stage.one, &headers).await;
        assert!(is_told_to_log_in(&answer), "{headers:?}: {answer}");
    }
    let native = [("content-type", "application/grpc"), cookie, origin, same, ("te", "trailers")];
    assert!(!is_answered(&profile(&stage.one, &native).await), "the cookie is for browsers");
}

#[tokio::test]
async fn a_page_is_told_when_its_session_has_ended() {
    let stage = Stage::set().await;
    let cookie = format!("__Host-gridtrail={}", stage.log_in().await.handle);
    let headers = [("cookie", cookie.as_str()), ("origin", ORIGIN), ("sec-fetch-site", "same-origin")];
    let call: Vec<_> = std::iter::once(WEB).chain(headers).collect();
    assert!(is_answered(&profile(&stage.one, &call).await));
    let left = send(&stage.one, "POST /saml/logout", &headers, b"").await;
    assert!(
        left.contains("set-cookie: __host-gridtrail=; path=/; max-age=0; secure; httponly; samesite=strict"),
        "{left}"
    );
    assert!(is_told_to_log_in(&profile(&stage.one, &call).await));
}

#[tokio::test]
async fn pages_and_the_list_of_identity_providers_are_at_the_address_of_the_services() {
    let stage = Stage::set().await;
    let listed = send(&stage.one, "GET /saml/providers", &[], b"").await;
    assert!(listed.contains(ISSUER) && listed.contains("\"sessionidleseconds\":900"), "{listed}");
    assert!(listed.contains("cache-control: no-store"), "{listed}");
    let metadata = send(&stage.one, "GET /saml/metadata", &[], b"").await;
    assert!(metadata.contains(ACS_URL), "{metadata}");
    for path in ["/", "/audit?device=00-DB-12-34-56-78-90-A0"] {
        let page = send(&stage.one, &format!("GET {path}"), &[], b"").await;
        assert!(page.starts_with("http/1.1 200") && page.contains("content-type: text/html"), "{page}");
        assert!(page.contains("require-trusted-types-for 'script'"), "{page}");
    }
}

#[tokio::test]
async fn a_server_without_the_console_has_no_pages_and_no_list() {
    let world = World::serve().await;
    for path in ["/", "/saml/providers"] {
        let answer = send(&world, &format!("GET {path}"), &[], b"").await;
        assert!(!answer.starts_with("http/1.1 200"), "{path}: {answer}");
    }
    world.stop().await.unwrap();
}
