//! What commands have in common that run until they are told to stop: where they listen, and how they end.

use crate::exit::Failure;
use gridtrail_lake::Lake;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::task::AbortOnDropHandle;

/// Connections that the system keeps waiting until they are taken. One more is not refused but tried again after a second, which is long
/// for whoever calls while somebody else makes thousands.
const WAITING_MAX: u32 = 4096;

/// How long the end of a process waits for the commits and the runs that it had begun. Nothing is lost without the
/// wait (an unfinished run is an orphan, an unfinished commit is looked up again); it only ends in good order.
const DETACHED_LIFE: Duration = Duration::from_secs(10);

/// Listens on an address.
pub(crate) async fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    let bound = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // As soon as a server has ended another may take its place.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(WAITING_MAX)
    };
    bound().map_err(|source| Failure::Listen { address, source })
}

/// Ends a task and waits until it is gone. One that still ran when the runtime goes down would find its store refuse it,
/// and warn of that.
pub(crate) async fn end(task: AbortOnDropHandle<()>) {
    task.abort();
    // Cut short, as it was asked to be, or panicked, which the panic hook has told.
    let _ = task.await;
}

/// Waits for what was begun in a lake and goes on, but not for a store that answers no more: a kill does no harm either.
pub(crate) async fn wait_for_detached(lake: &Lake) {
    if tokio::time::timeout(DETACHED_LIFE, lake.wait_for_detached()).await.is_err() {
        tracing::warn!("the lake's store takes too long to end what was begun; it is left there");
    }
}

/// Completes at SIGINT or SIGTERM.
pub(crate) fn asked_to_stop() -> Result<impl Future<Output = ()> + Send, Failure> {
    let failed = |_| Failure::Process("the system gives no signals");
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
