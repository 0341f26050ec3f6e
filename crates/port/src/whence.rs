//! Whose address a connection or a request counts for, where proxies stand in between.

use http::{HeaderMap, HeaderName};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The header in which proxies name whom they ask for.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What a header of version 2 of the PROXY protocol begins with.
const VERSION_2: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Longest header of version 1, its line end included.
const VERSION_1_MAX: usize = 107;

/// Longest header of version 2 behind its first 16 bytes. Addresses take 36; what else a proxy says is passed over.
const VERSION_2_MAX: u16 = 2048;

/// From where the address of a caller is taken.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Whence {
    /// From the connection.
    #[default]
    Connection,
    /// From the header of the PROXY protocol, version 1 or 2, with which every connection begins. Only these may connect.
    ProxyProtocol(Proxies),
    /// From the header `x-forwarded-for`, where one of these asks.
    ForwardedFor(Proxies),
}

impl Whence {
    /// Whether connections from an address are those of many callers.
    pub(crate) fn is_proxy(&self, address: IpAddr) -> bool {
        match self {
            Self::Connection => false,
            Self::ProxyProtocol(proxies) | Self::ForwardedFor(proxies) => proxies.hold(address),
        }
    }

    /// The address that a request counts for.
    pub(crate) fn client(&self, connection: Option<SocketAddr>, headers: &HeaderMap) -> Option<SocketAddr> {
        match (self, connection) {
            (Self::ForwardedFor(proxies), Some(from)) if proxies.hold(from.ip()) => {
                proxies.client(headers).map(|client| SocketAddr::new(client, 0)).or(connection)
            }
            _ => connection,
        }
    }
}

/// The addresses of proxies that are trusted to say whom they ask for: such as `10.0.0.7,10.1.0.0/16`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Proxies(Vec<(IpAddr, u32)>);

/// The text names no addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("addresses, or addresses with a number of bits such as 10.1.0.0/16, separated by commas")]
pub struct NotAddresses;

impl FromStr for Proxies {
    type Err = NotAddresses;
    fn from_str(text: &str) -> Result<Self, NotAddresses> {
        let one = |text: &str| {
            let (address, bits) = text.trim().split_once('/').unzip();
            let address: IpAddr = address.unwrap_or(text.trim()).parse().map_err(|_| NotAddresses)?;
            let width = if address.is_ipv4() { 32 } else { 128 };
            let bits = bits.map_or(Ok(width), str::parse).map_err(|_| NotAddresses)?;
            if bits <= width { Ok((address, bits)) } else { Err(NotAddresses) }
        };
        text.split(',').map(one).collect::<Result<_, _>>().map(Self)
    }
}

impl Proxies {
    fn hold(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|(network, bits)| match (network, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let beside = 32 - bits;
                (network.to_bits() ^ address.to_bits()).checked_shr(beside).unwrap_or(0) == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let beside = 128 - bits;
                (network.to_bits() ^ address.to_bits()).checked_shr(beside).unwrap_or(0) == 0
            }
            _ => false,
        })
    }

    /// Whom a proxy asks for: the last address that none of ours added for another of ours. Each adds whom it was asked by at the end,
    /// so what stands before that anybody can have made up.
    fn client(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let lines: Vec<&str> =
            headers.get_all(FORWARDED_FOR).iter().map(|line| line.to_str().ok()).collect::<Option<_>>()?;
        let mut last = None;
        for text in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
            let text = text.trim();
            let address: IpAddr =
                text.parse().or_else(|_| text.parse::<SocketAddr>().map(|with_port| with_port.ip())).ok()?;
            last = Some(address.to_canonical());
            if !self.hold(address) {
                break;
            }
        }
        last
    }
}

/// Reads the header of the PROXY protocol, and not a byte more. `None`: the proxy asks for itself, or does not say for whom.
///
/// Errors: `InvalidData` where it is no such header.
pub(crate) async fn proxy_header(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<SocketAddr>> {
    let wrong = || io::Error::new(io::ErrorKind::InvalidData, "no header of the PROXY protocol");
    let mut start = [0; VERSION_2.len()];
    stream.read_exact(&mut start).await?;
    if start == *VERSION_2 {
        return version_2(stream).await?.ok_or_else(wrong);
    }
    let mut line = start.to_vec();
    while !line.ends_with(b"\r\n") {
        if line.len() == VERSION_1_MAX || !line.starts_with(b"PROXY ") {
            return Err(wrong());
        }
        line.push(stream.read_u8().await?);
    }
    version_1(&line).ok_or_else(wrong)
}

/// `PROXY TCP4 192.0.2.7 198.51.100.1 51000 443`, and a line end.
fn version_1(line: &[u8]) -> Option<Option<SocketAddr>> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix("\r\n")?;
    let mut words = line.split(' ').skip(1);
    let family = words.next()?;
    if family == "UNKNOWN" {
        return Some(None);
    }
    let (source, _destination): (IpAddr, IpAddr) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let (port, _port): (u16, u16) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let fits = matches!((family, source), ("TCP4", IpAddr::V4(_)) | ("TCP6", IpAddr::V6(_)));
    (fits && words.next().is_none()).then(|| Some(SocketAddr::new(source, port)))
}

/// What follows the first bytes of version 2.
async fn version_2(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Option<SocketAddr>>> {
    let [command, family, high, low] = read(stream).await?;
    let length = u16::from_be_bytes([high, low]);
    if length > VERSION_2_MAX {
        return Ok(None);
    }
    let mut rest = vec![0; usize::from(length)];
    stream.read_exact(&mut rest).await?;
    Ok(match (command, family) {
        // The proxy itself, as when it looks whether we are there.
        (0x20, _) => Some(None),
        (0x21, 0x11) => {
            source::<4>(&rest).map(|(ip, port)| Some(SocketAddr::new(Ipv4Addr::from(ip).into(), port)))
        }
        (0x21, 0x21) => {
            source::<16>(&rest).map(|(ip, port)| Some(SocketAddr::new(Ipv6Addr::from(ip).into(), port)))
        }
        (0x21, _) => Some(None),
        _ => None,
    })
}

async fn read<const N: usize>(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// The source of two addresses of so many bytes and two ports.
fn source<const N: usize>(bytes: &[u8]) -> Option<([u8; N], u16)> {
    let address = bytes.first_chunk::<N>()?;
    let port = bytes.get(2 * N..2 * N + 2)?.first_chunk::<2>()?;
    Some((*address, u16::from_be_bytes(*port)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&VERSION_2[..], &[command, family], &length, rest].concat()
    }

    #[tokio::test]
    async fn headers_of_both_versions_are_read_and_what_follows_is_left() {
        let v4 = [192, 0, 2, 7, 198, 51, 100, 1, 199, 56, 1, 187];
        let mut v6 = [0; 36];
        (v6[15], v6[32], v6[33]) = (1, 0, 80);
        for (header, expected) in [
            (b"PROXY TCP4 192.0.2.7 198.51.100.1 51000 443\r\n".to_vec(), Some("192.0.2.7:51000")),
            (b"PROXY TCP6 2001:db8::1 2001:db8::2 51000 443\r\n".to_vec(), Some("[2001:db8::1]:51000")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(), None),
            (v2(0x21, 0x11, &v4), Some("192.0.2.7:51000")),
            (v2(0x21, 0x11, &[&v4[..], &[4, 0, 1, 9]].concat()), Some("192.0.2.7:51000")),
            (v2(0x21, 0x21, &v6), Some("[::1]:80")),
            (v2(0x20, 0x00, &[]), None),
            (v2(0x21, 0x00, &[]), None),
        ] {
            let bytes = [&header[..], b"rest"].concat();
            let mut stream = &bytes[..];
            let expected = expected.map(|text| text.parse().unwrap());
            assert_eq!(proxy_header(&mut stream).await.unwrap(), expected, "{header:?}");
            assert_eq!(stream, b"rest");
        }
    }

    #[tokio::test]
    async fn what_is_no_header_is_refused() {
        let long = [&b"PROXY UNKNOWN "[..], &[b'a'; 200], b"\r\n"].concat();
        for wrong in [
            b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 198.51.100.1 51000\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 198.51.100.1 51000 443 9\r\n".to_vec(),
            b"PROXY TCP4 2001:db8::1 2001:db8::2 51000 443\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 198.51.100.1 99999 443\r\n".to_vec(),
            long,
            v2(0x31, 0x11, &[0; 12]),
            v2(0x22, 0x11, &[0; 12]),
            v2(0x21, 0x11, &[0; 5]),
            [&VERSION_2[..], &[0x21, 0x11, 0xFF, 0xFF]].concat(),
            b"PROXY TCP4 1".to_vec(),
            Vec::new(),
        ] {
            assert!(proxy_header(&mut &wrong[..]).await.is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_header_is_believed_as_far_as_our_own_proxies_wrote_it() {
        let whence = Whence::ForwardedFor("10.0.0.0/8, 2001:db8::7".parse().unwrap());
        let client = |from: &str, lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(FORWARDED_FOR, line.parse().unwrap());
            }
            whence.client(Some(from.parse().unwrap()), &headers).map(|address| address.to_string())
        };
        for (from, lines, expected) in [
            ("10.0.0.1:9", vec!["192.0.2.7"], "192.0.2.7:0"),
            // Somebody made up all but the last.
            ("10.0.0.1:9", vec!["203.0.113.9, 192.0.2.7"], "192.0.2.7:0"),
            ("10.0.0.1:9", vec!["203.0.113.9", "192.0.2.7, 10.9.9.9"], "192.0.2.7:0"),
            ("[2001:db8::7]:9", vec!["192.0.2.7:4711"], "192.0.2.7:0"),
            ("10.0.0.1:9", vec!["[2001:db8::1]:4711"], "[2001:db8::1]:0"),
            // Our own, asking for themselves.
            ("10.0.0.1:9", vec!["10.2.2.2, 10.3.3.3"], "10.2.2.2:0"),
            ("10.0.0.1:9", vec!["unknown"], "10.0.0.1:9"),
            ("10.0.0.1:9", vec![], "10.0.0.1:9"),
            // Who is no proxy of ours says nothing.
            ("192.0.2.1:9", vec!["192.0.2.7"], "192.0.2.1:9"),
        ] {
            assert_eq!(client(from, &lines).as_deref(), Some(expected), "{from} {lines:?}");
        }
        for wrong in ["", "10.0.0.0/33", "ten", "10.0.0.1,", "10.0.0.0/x"] {
            assert_eq!(wrong.parse::<Proxies>(), Err(NotAddresses), "{wrong}");
        }
        let all: Proxies = "0.0.0.0/0,::/0".parse().unwrap();
        assert!(all.hold("192.0.2.1".parse().unwrap()) && all.hold("2001:db8::1".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, is_v2: bool) {
            let start: &[u8] = if is_v2 { VERSION_2 } else { b"PROXY TCP4 1" };
            let bytes = [start, &bytes].concat();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let _ = runtime.block_on(proxy_header(&mut &bytes[..]));
        }
    }
}
