//! Who is at the other end of a connection, and who asks by it.

use crate::places::{Hold, Place};
use http::Request;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

/// The other end of a connection. Clones are of one connection.
#[derive(Debug, Clone)]
pub struct Peer {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    address: Option<SocketAddr>,
    closed: CancellationToken,
    place: Option<Place<IpAddr>>,
    use_of: Mutex<Use>,
}

/// How a connection is used.
#[derive(Debug)]
struct Use {
    open: u32,
    has_asked: bool,
    is_vouched: bool,
    since: Instant,
}

impl Peer {
    /// Somebody at an address. The connection is closed when `closed` is cancelled.
    pub fn new(address: Option<SocketAddr>, closed: CancellationToken, place: Option<Place<IpAddr>>) -> Self {
        let use_of = Use { open: 0, has_asked: false, is_vouched: false, since: Instant::now() };
        Self { inner: Arc::new(Inner { address, closed, place, use_of: Mutex::new(use_of) }) }
    }

    /// Somebody of whom nothing is known.
    pub fn unknown() -> Self {
        Self::new(None, CancellationToken::new(), None)
    }

    /// Where the connection comes from.
    pub fn address(&self) -> Option<SocketAddr> {
        self.inner.address
    }

    /// Cancelled when the connection must end at once; cancelling it ends the connection.
    pub fn end(&self) -> &CancellationToken {
        &self.inner.closed
    }

    /// Completes when the connection must end at once.
    pub(crate) fn ended(&self) -> WaitForCancellationFuture<'_> {
        self.inner.closed.cancelled()
    }

    /// Somebody who is known asks by this connection: it is not given up for others while they do.
    pub fn vouch(&self) {
        self.change(|use_of| use_of.is_vouched = true);
    }

    /// A request begins; it ends when what is given is dropped.
    pub(crate) fn begin(&self) -> OpenRequest {
        self.change(|use_of| (use_of.open, use_of.has_asked) = (use_of.open + 1, true));
        OpenRequest(self.clone())
    }

    fn change(&self, how: impl FnOnce(&mut Use)) {
        let mut use_of = self.inner.use_of.lock().unwrap_or_else(PoisonError::into_inner);
        let firmness = |use_of: &Use| match (use_of.is_vouched, use_of.open) {
            (false, _) => Hold::Loose,
            (true, 0) => Hold::Light,
            (true, _) => Hold::Firm,
        };
        let before = firmness(&use_of);
        how(&mut use_of);
        use_of.since = Instant::now();
        let after = firmness(&use_of);
        if let (true, Some(place)) = (before != after, &self.inner.place) {
            place.hold(after);
        }
    }

    /// How much longer a connection without a request is kept; `None`: there is a request on it.
    fn left(&self, first: Duration, idle: Duration) -> Option<Duration> {
        let use_of = self.inner.use_of.lock().unwrap_or_else(PoisonError::into_inner);
        let most = if use_of.has_asked { idle } else { first };
        (use_of.open == 0).then(|| most.saturating_sub(use_of.since.elapsed()))
    }

    /// Completes when nothing was asked for so long: at first, or since.
    pub(crate) async fn idle(&self, first: Duration, idle: Duration) {
        loop {
            match self.left(first, idle) {
                Some(Duration::ZERO) => return,
                Some(left) => tokio::time::sleep(left).await,
                None => tokio::time::sleep(idle).await,
            }
        }
    }
}

/// A request that is not answered in full yet.
#[derive(Debug)]
pub(crate) struct OpenRequest(Peer);

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.change(|use_of| use_of.open -= 1);
    }
}

/// Who asks: the peer of the connection, or whom that names who is trusted to say.
#[derive(Debug, Clone)]
pub struct Client {
    /// Their address. Its port is 0 where a header names them.
    pub address: Option<SocketAddr>,
    /// By which connection.
    pub peer: Peer,
}

impl Client {
    /// Somebody of whom nothing is known.
    pub fn unknown() -> Self {
        Self { address: None, peer: Peer::unknown() }
    }

    /// Who sent a request that came by a port.
    pub fn of<B>(request: &Request<B>) -> Self {
        request.extensions().get().cloned().unwrap_or_else(Self::unknown)
    }

    /// Whom limits by address are of.
    pub fn network(&self) -> IpAddr {
        network_of(self.address)
    }
}

/// Whom limits by address are of: an IPv4 address, or the 64 bits of an IPv6 address that a site has to itself.
pub fn network_of(address: Option<SocketAddr>) -> IpAddr {
    match address.map(|address| address.ip().to_canonical()) {
        None => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        Some(IpAddr::V6(address)) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
        Some(address) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_counts_as_one() {
        let network = |text: &str| network_of(Some(text.parse().unwrap())).to_string();
        assert_eq!(network("192.0.2.7:1"), "192.0.2.7");
        assert_eq!(network("[::ffff:192.0.2.7]:1"), "192.0.2.7");
        assert_eq!(network("[2001:db8:1:2:3:4:5:6]:1"), "2001:db8:1:2::");
        assert_eq!(network_of(None).to_string(), "::");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_between_requests_only() {
        let peer = Peer::unknown();
        let (first, idle) = (Duration::from_secs(2), Duration::from_secs(9));
        let began = Instant::now();
        peer.idle(first, idle).await;
        assert_eq!(began.elapsed(), first);
        let request = peer.begin();
        assert!(tokio::time::timeout(Duration::from_secs(60), peer.idle(first, idle)).await.is_err());
        drop(request);
        let began = Instant::now();
        peer.idle(first, idle).await;
        assert_eq!(began.elapsed(), idle);
    }
}
