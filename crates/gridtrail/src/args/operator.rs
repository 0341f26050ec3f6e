//! Arguments of `gridtrail operator`, and those of a server that operators look at.

use super::value::LifeTime;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// The subcommands of `gridtrail operator`.
#[derive(Debug, Subcommand)]
pub enum OperatorCommand {
    /// Mint a token by which an operator is let in at a server of `gridtrail serve --operators`.
    #[command(after_help = "\
The token opens the pages for operators and `gridtrail.operate.v1.OperatorService`, and nothing else; no token of a User opens those.

Example:
  gridtrail operator token --key operators.pem --public-key-out operators.pub.pem --name j.smith")]
    Token(OperatorTokenArgs),
}

/// Arguments of `gridtrail operator token`.
#[derive(Debug, Args)]
pub struct OperatorTokenArgs {
    /// The private key, in PEM: created on first use, readable by its owner only. It is another than that of Users' tokens.
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// Also write the public key, for `gridtrail serve --operators`.
    #[arg(long, value_name = "FILE")]
    pub public_key_out: Option<PathBuf>,
    /// Who the operator is: the access log has it.
    #[arg(long)]
    pub name: String,
    /// How long the token is valid, up to 1h.
    #[arg(long, value_name = "TIME", default_value = "1h")]
    pub ttl: LifeTime,
}

/// Whether operators are let in at a server.
#[derive(Debug, Clone, Default, Args)]
pub struct ServeOperatorArgs {
    /// The public key, in PEM, of operators' tokens, which `gridtrail operator token` mints: dead letters, the state of the lake and
    /// reconciliation are then to be had by `OperatorService`, and on the console's pages at /operators. Without, that service is not there.
    #[arg(long, value_name = "FILE")]
    pub operators: Option<PathBuf>,
}
