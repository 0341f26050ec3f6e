//! The first message of clients that offer too little, byte by byte: no library of today sends it.

use crate::it::connections::Served;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const TLS_1_1: u16 = 0x0302;
const TLS_1_2: u16 = 0x0303;
const HANDSHAKE_FAILURE: u8 = 40;
const PROTOCOL_VERSION: u8 = 70;
const ECDHE_RSA_AES_128_GCM_SHA256: u16 = 0xC02F;
const ECDHE_RSA_AES_128_CBC_SHA256: u16 = 0xC027;
const ECDHE_RSA_AES_256_CBC_SHA384: u16 = 0xC028;
const RSA_AES_128_GCM_SHA256: u16 = 0x009C;
const ECDHE_RSA_CHACHA20_POLY1305: u16 = 0xCCA8;

/// A number of bytes before what they are, the number in so many bytes.
fn sized(width: usize, contents: &[u8]) -> Vec<u8> {
    let length = (contents.len() as u64).to_be_bytes();
    [&length[8 - width..], contents].concat()
}

fn extension(kind: u16, contents: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &sized(2, contents)].concat()
}

/// A ClientHello (RFC 5246, 7.4.1.2).
fn client_hello(version: u16, suites: &[u16]) -> Vec<u8> {
    let suites: Vec<u8> = suites.iter().flat_map(|suite| suite.to_be_bytes()).collect();
    let extensions = [
        extension(10, &sized(2, &[0, 29, 0, 23])), // groups: X25519, P-256
        extension(11, &sized(1, &[0])),            // points: uncompressed
        extension(13, &sized(2, &[4, 1, 8, 4, 5, 1])), // signatures: RSA with SHA-256 (both kinds), SHA-384
        extension(23, &[]),                        // extended master secret
    ];
    let body = [
        &version.to_be_bytes()[..],
        &[7; 32],
        &sized(1, &[]),
        &sized(2, &suites),
        &sized(1, &[0]),
        &sized(2, &extensions.concat()),
    ];
    let handshake = [&[1][..], &sized(3, &body.concat())].concat();
    [&[22, 3, 1][..], &sized(2, &handshake)].concat()
}

/// The type of the first record of the answer, and its last byte: of an alert that is what it says.
async fn answer(served: &Served, version: u16, suites: &[u16]) -> (u8, u8) {
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(&client_hello(version, suites)).await.unwrap();
    let mut header = [0; 5];
    stream.read_exact(&mut header).await.unwrap();
    let mut body = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
    stream.read_exact(&mut body).await.unwrap();
    (header[0], *body.last().unwrap())
}

#[tokio::test]
async fn old_versions_and_weak_suites_are_refused() {
    const ALERT: u8 = 21;
    const HANDSHAKE: u8 = 22;
    let served = Served::plainly().await;
    // The same bytes with a suite that is used are answered: what follows is refused for the suite alone.
    assert_eq!(answer(&served, TLS_1_2, &[ECDHE_RSA_AES_128_GCM_SHA256]).await.0, HANDSHAKE);
    let old = answer(&served, TLS_1_1, &[ECDHE_RSA_AES_128_GCM_SHA256]).await;
    assert_eq!(old, (ALERT, PROTOCOL_VERSION), "TLS 1.1");
    for suite in [
        ECDHE_RSA_AES_128_CBC_SHA256,
        ECDHE_RSA_AES_256_CBC_SHA384,
        RSA_AES_128_GCM_SHA256,
        ECDHE_RSA_CHACHA20_POLY1305,
    ] {
        assert_eq!(answer(&served, TLS_1_2, &[suite]).await, (ALERT, HANDSHAKE_FAILURE), "{suite:04X}");
    }
}
