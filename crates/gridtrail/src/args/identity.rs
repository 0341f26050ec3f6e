//! Arguments of logins: `serve`, `sp`, `idp` and `session`.

use super::value::LifeTime;
use clap::{ArgGroup, Args, Subcommand};
use gridtrail_access::{OrgId, Party};
use std::net::SocketAddr;
use std::path::PathBuf;

/// The heading of these arguments in the help of a server.
const HEADING: &str = "Logins";

/// How people log in at a server. All of it or nothing.
#[derive(Debug, Clone, Args)]
#[command(group = ArgGroup::new("logins").args(["saml_entity_id"]).requires_all(
    ["saml_acs_url", "saml_anchors", "saml_revoked", "session_key"]))]
pub struct LoginArgs {
    /// The unique ID of this service provider. With it, people log in by their Identity Providers.
    #[arg(long, value_name = "URI", help_heading = HEADING)]
    pub saml_entity_id: Option<String>,
    /// The URL that Identity Providers post their responses to, as browsers reach it; its path is /saml/acs.
    #[arg(long, value_name = "URL", requires = "saml_entity_id", help_heading = HEADING)]
    pub saml_acs_url: Option<String>,
    /// Trust anchors of the Identity Providers' signing certificates, and what is revoked.
    #[command(flatten)]
    pub trust: TrustArgs,
    /// The private key, Ed25519 in PEM, that signs the tokens of sessions; all servers of a lake share it.
    /// `openssl genpkey -algorithm ed25519` makes one.
    #[arg(long, value_name = "FILE", requires = "saml_entity_id", help_heading = HEADING)]
    pub session_key: Option<PathBuf>,
    /// Where browsers log in: the pages under /saml/, encrypted as the service itself is. Left out: people log in over gRPC, and
    /// with --console at the address of --listen as well. The address is the second line on standard output.
    #[arg(long, value_name = "ADDRESS", requires = "saml_entity_id", help_heading = HEADING)]
    pub saml_listen: Option<SocketAddr>,
    /// Where people go once they are logged in: a URL, or a path on the same host.
    #[arg(long, value_name = "URL|PATH", default_value = "/", requires = "saml_listen", help_heading = HEADING)]
    pub saml_landing: String,
    /// How far the clock of an Identity Provider may be from this one's, up to 180s.
    #[arg(long, value_name = "DURATION", default_value = "60s", requires = "saml_entity_id", help_heading = HEADING)]
    pub saml_skew: LifeTime,
    /// How long a session may lie unused before it ends, from 1m to 8h.
    #[arg(long, value_name = "DURATION", default_value = "15m", requires = "saml_entity_id", help_heading = HEADING)]
    pub session_idle: LifeTime,
}

/// Whom the signing certificates of Identity Providers must descend from.
#[derive(Debug, Clone, Args)]
pub struct TrustArgs {
    /// DCCKI trust anchors of the Identity Providers' signing certificates, in PEM. Read anew each minute by a server.
    #[arg(long, env = "GRIDTRAIL_SAML_ANCHORS", value_name = "FILE", help_heading = HEADING)]
    pub saml_anchors: Option<PathBuf>,
    /// Authorities between the anchors and the signing certificates, in PEM.
    #[arg(long, env = "GRIDTRAIL_SAML_INTERMEDIATES", value_name = "FILE", help_heading = HEADING)]
    pub saml_intermediates: Option<PathBuf>,
    /// The revocation lists (CRL) of all these authorities, in PEM: a certificate that no current list covers is refused. Read anew each minute.
    #[arg(long, env = "GRIDTRAIL_SAML_REVOKED", value_name = "FILE", help_heading = HEADING)]
    pub saml_revoked: Option<PathBuf>,
}

/// The subcommands of `gridtrail sp`.
#[derive(Debug, Subcommand)]
pub enum SpCommand {
    /// Print what an Identity Provider is configured with: the unique ID and the URL of this service provider, as SAML 2.0 metadata.
    #[command(after_help = "\
Example:
  gridtrail sp metadata --saml-entity-id https://ssi.example/saml \\
      --saml-acs-url https://ssi.example/saml/acs > sp.xml")]
    Metadata(SpArgs),
}

/// Arguments of `gridtrail sp metadata`.
#[derive(Debug, Args)]
pub struct SpArgs {
    /// The unique ID of this service provider.
    #[arg(long, value_name = "URI")]
    pub saml_entity_id: String,
    /// The URL that Identity Providers post their responses to; its path is /saml/acs.
    #[arg(long, value_name = "URL")]
    pub saml_acs_url: String,
}

/// The subcommands of `gridtrail idp`.
#[derive(Debug, Subcommand)]
pub enum IdpCommand {
    /// Enrol an Identity Provider by its metadata.
    #[command(after_help = "\
Examples:
  gridtrail idp add supplier-1.xml --party supplier-1 --saml-anchors dccki.pem --saml-revoked dccki.crl.pem \\
      --authn-context urn:oasis:names:tc:SAML:2.0:ac:classes:SmartcardPKI
  gridtrail idp add dcc.xml --dcc-own --org-id all --authn-context URI \\
      --saml-anchors dccki.pem --saml-revoked dccki.crl.pem")]
    Add(AddIdpArgs),
    /// Take in new metadata of one that is enrolled, for instance with other keys. Its sessions stay.
    Replace(ReplaceIdpArgs),
    /// List those that are enrolled.
    List(WhichSessions),
    /// End an enrolment, and with it all of its sessions.
    Remove(RemoveIdpArgs),
    /// Say whose Party a person of the DCC's own Identity Provider is of.
    AddAccount(AddAccountArgs),
    /// List the accounts: people by a digest, and their Parties.
    ListAccounts(WhichSessions),
    /// Remove an account, and with it its sessions.
    RemoveAccount(RemoveAccountArgs),
}

/// Whose sessions.
#[derive(Debug, Args)]
pub struct WhichSessions {
    /// The lake, beside whose tables enrolments, logins and sessions lie: a folder, or a URL such as s3://bucket/path.
    #[arg(long, env = "GRIDTRAIL_LAKE", value_name = "URL|PATH", default_value = "data/lake")]
    pub lake: String,
}

/// Arguments of `gridtrail idp add`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("owner").args(["party", "dcc_own"]).required(true))]
pub struct AddIdpArgs {
    /// The metadata of the Identity Provider: one SAML 2.0 EntityDescriptor.
    #[arg(value_name = "FILE")]
    pub metadata: PathBuf,
    /// The Party that enrols it: everybody whom it vouches for is of that Party.
    #[arg(long, value_name = "NAME")]
    pub party: Option<Party>,
    /// The Identity Provider is the DCC's own: accounts say whose Party a person is of.
    #[arg(long)]
    pub dcc_own: bool,
    /// What OrgID names: `all` User IDs that a person may use, or those `granted-only` by other Users, beside all of the Party's own.
    #[arg(long, value_name = "all|granted-only", default_value = "all")]
    pub org_id: OrgId,
    /// An authentication context that is strong enough (UK Government Authentication Framework Level 2); may be repeated.
    #[arg(long, value_name = "URI", required = true)]
    pub authn_context: Vec<String>,
    /// The Identity Provider may send responses that nobody asked for. Then whomever it vouches for can log another person's browser in as themselves.
    #[arg(long)]
    pub allow_unsolicited: bool,
    /// Whom its certificates must descend from.
    #[command(flatten)]
    pub trust: TrustArgs,
    /// Where it is written down.
    #[command(flatten)]
    pub of: WhichSessions,
}

/// Arguments of `gridtrail idp replace`.
#[derive(Debug, Args)]
pub struct ReplaceIdpArgs {
    /// The new metadata; the entity ID in them says which Identity Provider it is.
    #[arg(value_name = "FILE")]
    pub metadata: PathBuf,
    /// Whom its certificates must descend from.
    #[command(flatten)]
    pub trust: TrustArgs,
    /// Where it is written down.
    #[command(flatten)]
    pub of: WhichSessions,
}

/// Arguments of `gridtrail idp remove`.
#[derive(Debug, Args)]
pub struct RemoveIdpArgs {
    /// Its entity ID.
    #[arg(value_name = "URI")]
    pub entity_id: String,
    /// Where it is written down.
    #[command(flatten)]
    pub of: WhichSessions,
}

/// Arguments of `gridtrail idp add-account`.
#[derive(Debug, Args)]
pub struct AddAccountArgs {
    /// The entity ID of the DCC's own Identity Provider.
    #[arg(value_name = "URI")]
    pub entity_id: String,
    /// A file that holds the person's persistent NameID there, and nothing else; `-` for standard input. It is stored nowhere.
    #[arg(long, value_name = "FILE")]
    pub name_id_file: PathBuf,
    /// The Party that the person is of.
    #[arg(long, value_name = "NAME")]
    pub party: Party,
    /// Where it is written down.
    #[command(flatten)]
    pub of: WhichSessions,
}

/// Arguments of `gridtrail idp remove-account`.
#[derive(Debug, Args)]
pub struct RemoveAccountArgs {
    /// The person, as `gridtrail idp list-accounts` shows them.
    #[arg(value_name = "SUBJECT")]
    pub subject: String,
    /// Where it is written down.
    #[command(flatten)]
    pub of: WhichSessions,
}

/// The subcommands of `gridtrail session`.
#[derive(Debug, Subcommand)]
pub enum SessionCommand {
    /// End a session on every server, within a second.
    #[command(after_help = "\
Example:
  gridtrail session revoke 0b7e3f... --lake data/lake")]
    Revoke(RevokeArgs),
    /// Delete what a person entered about themselves at their first login. They are asked anew when they next log in.
    #[command(after_help = "\
Example:
  gridtrail session forget 5d41f0... --party supplier-1 --lake data/lake")]
    Forget(ForgetArgs),
}

/// Arguments of `gridtrail session forget`.
#[derive(Debug, Args)]
pub struct ForgetArgs {
    /// The person, as the access log names them: the column `subject` of their calls.
    #[arg(value_name = "SUBJECT")]
    pub subject: String,
    /// The Party that they log in for: the column `party` there.
    #[arg(long, value_name = "NAME")]
    pub party: Party,
    /// Where it is written down.
    #[command(flatten)]
    pub of: WhichSessions,
}

/// Arguments of `gridtrail session revoke`.
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// The session, as logs name it.
    #[arg(value_name = "SESSION")]
    pub session: String,
    /// Where it is written down.
    #[command(flatten)]
    pub of: WhichSessions,
}
