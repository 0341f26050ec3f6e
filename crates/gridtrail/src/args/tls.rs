//! Arguments of encrypted connections, of servers and of clients.

use clap::{ArgGroup, Args};
use std::path::PathBuf;

/// The heading of a server's arguments in its help.
const HEADING: &str = "Encryption";

/// How a server's connections are encrypted: one of the two ways must be named.
#[derive(Debug, Clone, Args)]
#[command(group = ArgGroup::new("encryption").args(["tls_certificate", "plain_text"]).required(true))]
pub struct ServerTlsArgs {
    /// The server's certificate, in PEM, and those between it and its anchor. It may be replaced while the server runs.
    #[arg(long, value_name = "FILE", requires = "tls_key", help_heading = HEADING)]
    pub tls_certificate: Option<PathBuf>,
    /// The private key of the certificate, in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_certificate", help_heading = HEADING)]
    pub tls_key: Option<PathBuf>,
    /// Trust anchors, in PEM: only clients with a certificate that chains to one of them may connect.
    #[arg(long, value_name = "FILE", requires = "tls_certificate", help_heading = HEADING)]
    pub client_anchors: Option<PathBuf>,
    /// Lists of revoked client certificates (CRL), in PEM.
    #[arg(long, value_name = "FILE", requires = "client_anchors", help_heading = HEADING)]
    pub client_revoked: Option<PathBuf>,
    /// Do not encrypt. Only for a loopback address.
    #[arg(long, help_heading = HEADING)]
    pub plain_text: bool,
}

/// Which server to ask, and whom to trust.
#[derive(Debug, Args)]
pub struct ServerArgs {
    /// The server.
    #[arg(long, env = "GRIDTRAIL_SERVER", value_name = "URL", default_value = "http://127.0.0.1:8471")]
    pub server: String,
    /// Trust anchors of the server's certificate, in PEM. An https URL needs them.
    #[arg(long, env = "GRIDTRAIL_SERVER_ANCHORS", value_name = "FILE")]
    pub server_anchors: Option<PathBuf>,
    /// A certificate to show, in PEM, where the server wants one.
    #[arg(long, value_name = "FILE", requires_all = ["client_key", "server_anchors"])]
    pub client_certificate: Option<PathBuf>,
    /// The private key of that certificate, in PEM.
    #[arg(long, value_name = "FILE", requires = "client_certificate")]
    pub client_key: Option<PathBuf>,
}

impl ServerArgs {
    /// A server of this machine that does not encrypt.
    pub(crate) fn plain(url: &str) -> Self {
        Self { server: url.to_owned(), server_anchors: None, client_certificate: None, client_key: None }
    }
}

/// Arguments of `gridtrail dev-certificate`.
#[derive(Debug, Args)]
#[command(after_help = "\
For local development: in production certificates come from DCCKI.

Example:
  gridtrail dev-certificate --certificate dev-tls.pem --key dev-tls.key --name localhost \\
      --name 127.0.0.1")]
pub struct DevCertificateArgs {
    /// Where the certificate is written; it is its own trust anchor. Replaced where it exists.
    #[arg(long, value_name = "FILE")]
    pub certificate: PathBuf,
    /// Where its private key is written, readable by its owner only. Replaced where it exists.
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// A host name or address of the server; may be repeated.
    #[arg(long, value_name = "NAME", default_values = ["localhost", "127.0.0.1", "::1"])]
    pub name: Vec<String>,
}
