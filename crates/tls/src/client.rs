//! Why a client and a server do not come together: what of that lies with encryption, and so will be the same the next time.

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long a server may take to show what it speaks.
const PROBE_LIFE: Duration = Duration::from_secs(5);

/// How the words of an alert begin.
const ALERT: &str = "received fatal alert: ";

/// What the two ends of a connection do not agree on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disagreement {
    /// The client does not trust the server's certificate.
    Untrusted(String),
    /// The server refuses the client, for want of a certificate or because of it.
    Refused(String),
    /// The client encrypts, and the server does not.
    ServerIsPlain,
    /// The server encrypts, and the client does not.
    ServerEncrypts,
}

/// What of an error of a transport lies with encryption; `None`: nothing.
pub fn disagreement(error: &(dyn Error + 'static)) -> Option<Disagreement> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(fault) = error.downcast_ref::<rustls::Error>() {
            return of_fault(fault);
        }
        // The cause that an error of the system has of ours is not among its sources.
        let within = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        // HTTP/2 hands on what a server said of our certificate, but only its words.
        if let Some(alert) = within.map(ToString::to_string).filter(|text| text.starts_with(ALERT)) {
            return Some(Disagreement::Refused(alert));
        }
        next = match within {
            Some(within) => Some(within),
            None => error.source(),
        };
    }
    None
}

fn of_fault(fault: &rustls::Error) -> Option<Disagreement> {
    use rustls::Error as Fault;
    match fault {
        Fault::InvalidCertificate(_)
        | Fault::InvalidCertRevocationList(_)
        | Fault::NoCertificatesPresented => Some(Disagreement::Untrusted(fault.to_string())),
        Fault::AlertReceived(_) | Fault::PeerIncompatible(_) => {
            Some(Disagreement::Refused(fault.to_string()))
        }
        Fault::InvalidMessage(_) => Some(Disagreement::ServerIsPlain),
        _ => None,
    }
}

/// Whether a server encrypts: it answers a handshake with one of its own, whatever comes of it.
pub async fn encrypts(host: &str, port: u16) -> bool {
    tokio::time::timeout(PROBE_LIFE, shakes_hands(host, port)).await.unwrap_or(false)
}

async fn shakes_hands(host: &str, port: u16) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let Ok(name) = ServerName::try_from(bare.to_owned()) else { return false };
    let Ok(stream) = TcpStream::connect((bare, port)).await else { return false };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let Ok(config) = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()
    else {
        return false;
    };
    // Nobody is trusted, so that nothing is ever said to whoever answers.
    let config = config.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
    match TlsConnector::from(Arc::new(config)).connect(name, stream).await {
        Ok(_) => true,
        Err(error) => {
            matches!(disagreement(&error), Some(Disagreement::Untrusted(_) | Disagreement::Refused(_)))
        }
    }
}
