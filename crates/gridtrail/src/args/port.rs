//! Arguments of who may connect to a server.

use clap::builder::ArgPredicate;
use clap::{Args, ValueEnum};
use gridtrail_port::{FileLimit, Proxies, Terms, Whence};

/// The heading of these arguments in the help of a server.
const HEADING: &str = "Connections";

/// Who may connect, how many, and whose address counts.
#[derive(Debug, Clone, Args)]
pub struct PortArgs {
    /// Connections at the same time, of each port; fewer where the system lets the process open few files, of which some are kept back
    /// for the lake. Of more, one that asks nothing makes room.
    #[arg(long, value_name = "CONNECTIONS", default_value_t = 2048, value_parser = clap::value_parser!(u32).range(8..), help_heading = HEADING)]
    pub connections: u32,
    /// Those of one address, or of one network of 64 bits of IPv6.
    #[arg(long, value_name = "CONNECTIONS", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..), help_heading = HEADING)]
    pub connections_by_address: u32,
    /// Where the address of a caller is taken from, for limits by address and for the access log: behind a load balancer all
    /// connections have one.
    #[arg(long, value_enum, default_value_t = ClientAddress::Connection, requires_ifs = [
        (ArgPredicate::Equals("proxy-protocol".into()), "trusted_proxies"),
        (ArgPredicate::Equals("x-forwarded-for".into()), "trusted_proxies"),
    ], help_heading = HEADING)]
    pub client_address: ClientAddress,
    /// The addresses of the load balancers that say whom they ask for, such as 10.0.0.7,10.1.0.0/16. With proxy-protocol nobody else
    /// may connect; with x-forwarded-for nobody else's header counts.
    #[arg(long, value_name = "ADDRESSES", requires = "client_address", help_heading = HEADING)]
    pub trusted_proxies: Option<Proxies>,
}

/// Where the address of a caller is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ClientAddress {
    /// The connection.
    Connection,
    /// The header of the PROXY protocol, version 1 or 2, with which each connection begins.
    ProxyProtocol,
    /// The header x-forwarded-for of each request: the last address in it that is no trusted proxy.
    XForwardedFor,
}

impl PortArgs {
    /// Whose address counts.
    pub(crate) fn whence(&self) -> Whence {
        let proxies = self.trusted_proxies.clone().unwrap_or_default();
        match self.client_address {
            ClientAddress::Connection => Whence::Connection,
            ClientAddress::ProxyProtocol => Whence::ProxyProtocol(proxies),
            ClientAddress::XForwardedFor => Whence::ForwardedFor(proxies),
        }
    }

    /// The terms of one of so many ports, of which each gets its part of the files that may be open.
    pub(crate) fn terms(&self, files: FileLimit, ports: u32, terms: fn(u32, u32) -> Terms) -> Terms {
        let connections = self.connections.min(files.connections() / ports);
        if connections < self.connections {
            tracing::warn!(connections, "the system lets this process open few files: raise `ulimit -n`");
        }
        terms(connections, self.connections_by_address.min(connections))
    }
}
