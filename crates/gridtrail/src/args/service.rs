//! Arguments of the subcommands around the query service: `serve`, `search`, `token`, `bench`.

use super::asking::{Credential, LoadArgs, PageArgs};
use super::callers::CallerArgs;
use super::freshness::{LevelArgs, MetricsArgs};
use super::identity::LoginArgs;
use super::inventory::{BenchInventoryArgs, InventoryArgs, InventoryDeviceArgs};
use super::lake::CompactionArgs;
use super::operator::ServeOperatorArgs;
use super::port::PortArgs;
use super::report::ServeReportArgs;
use super::sql::ServeSqlArgs;
use super::tls::{ServerArgs, ServerTlsArgs};
use super::value::{Bound, LapseTime, LifeTime};
use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use gridtrail_access::{OrgId, Party};
use gridtrail_lake::AsOf;
use gridtrail_model::{DeviceId, Mpxn, ServiceReferenceVariant, Uprn, UserId};
use gridtrail_search::HubTables;
use gridtrail_server::DeviceLink;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The issuer and audience of tokens that `gridtrail token` mints.
const DEV_ISSUER: &str = "gridtrail-dev";
const AUDIENCE: &str = "gridtrail";

/// Arguments of `gridtrail serve`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("identity").args(["public_key", "saml_entity_id"]).required(true).multiple(true))]
#[command(after_help = "\
Searches over gRPC, SQL over Arrow Flight SQL and the pages of --console are at one address. `gridtrail search` and `gridtrail sql --server URL` \
ask there.

Examples:
  gridtrail serve --lake data/lake --public-key dev-key.pub.pem --plain-text
  gridtrail serve --lake data/lake --public-key dev-key.pub.pem --plain-text --console
  gridtrail serve --lake data/lake --public-key dev-key.pub.pem --listen 0.0.0.0:8471 \\
      --tls-certificate tls.pem --tls-key tls.key
  gridtrail serve --lake /mnt/copy/lake --read-only --access-log-lake data/calls \\
      --public-key dev-key.pub.pem --plain-text
  gridtrail serve --lake data/lake --listen 0.0.0.0:8471 --saml-listen 0.0.0.0:8443 \\
      --tls-certificate tls.pem --tls-key tls.key --session-key session.pem \\
      --saml-entity-id https://ssi.example/saml --saml-acs-url https://ssi.example/saml/acs \\
      --saml-anchors dccki.pem --saml-revoked dccki.crl.pem")]
pub struct ServeArgs {
    /// The lake: a folder, or a URL such as s3://bucket/path.
    #[arg(long, env = "GRIDTRAIL_LAKE", value_name = "URL|PATH", default_value = "data/lake")]
    pub lake: String,
    /// The address to listen on. Port 0 takes a free one. The address is the one line on standard output, once calls are answered there.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8471")]
    pub listen: SocketAddr,
    /// How connections are encrypted.
    #[command(flatten)]
    pub tls: ServerTlsArgs,
    /// The public key, in PEM, of an issuer whose tokens are accepted. There is no service without it or logins.
    #[arg(long, value_name = "FILE")]
    pub public_key: Option<PathBuf>,
    /// The issuer that a token must name.
    #[arg(long, default_value = DEV_ISSUER)]
    pub issuer: String,
    /// The audience that a token must name.
    #[arg(long, default_value = AUDIENCE)]
    pub audience: String,
    /// A TOML file whose table `[names]` calls Job Type Roles as the Identity Provider does: `role-01 = "its-name"`.
    #[arg(long, env = "GRIDTRAIL_JOB_TYPE_ROLES", value_name = "FILE")]
    pub job_type_roles: Option<PathBuf>,
    /// A file of 32 bytes in base64, the secret that seals page tokens and the tickets of SQL: `(umask 077; openssl rand -base64 32 > FILE)` makes one. Servers that
    /// answer for one another share it; without it, the tokens of a server end with the server.
    #[arg(long, env = "GRIDTRAIL_PAGE_KEY", value_name = "FILE")]
    pub page_key: Option<PathBuf>,
    /// Serve the console as well: pages for browsers at the address of --listen. Where people log in by Identity Providers, --saml-acs-url
    /// is at this address, too, as browsers reach it; else the pages ask for a token.
    #[arg(long)]
    pub console: bool,
    /// Write nothing to the lake: for one that this process may only read. Maintenance is left to others, nobody logs in, and calls
    /// are recorded in the lake of --access-log-lake, for none is answered that is not recorded.
    #[arg(long, requires = "access_log_lake", conflicts_with_all = ["maintain_every", "saml_entity_id"])]
    pub read_only: bool,
    /// With --read-only, the lake in whose access log calls are recorded: another one, made by `gridtrail lake create`.
    #[arg(long, value_name = "URL|PATH", requires = "read_only")]
    pub access_log_lake: Option<String>,
    /// How often what waits for its request is joined, and evidence is copied out of the log.
    #[arg(long, value_name = "DURATION", default_value = "60s")]
    pub maintain_every: LifeTime,
    /// Leave the maintenance of the lake to other processes. The server then writes nothing but the record of calls, sessions, and
    /// tables that earlier versions did not make.
    #[arg(long, conflicts_with = "maintain_every")]
    pub no_maintenance: bool,
    /// Memory for what searches read of runs, in MiB, about. Where it holds what is asked for, a search waits for no store.
    #[arg(long, value_name = "MIB", default_value_t = 512, value_parser = clap::value_parser!(u64).range(16..=1_048_576))]
    pub cache_memory: u64,
    /// What compaction may use.
    #[command(flatten)]
    pub compaction: CompactionArgs,
    /// How people log in.
    #[command(flatten)]
    pub login: LoginArgs,
    /// Whether operators are let in.
    #[command(flatten)]
    pub operators: ServeOperatorArgs,
    /// Who may connect.
    #[command(flatten)]
    pub port: PortArgs,
    /// What each caller may ask for.
    #[command(flatten)]
    pub callers: CallerArgs,
    /// How SQL is answered.
    #[command(flatten)]
    pub sql: ServeSqlArgs,
    /// How reports are made.
    #[command(flatten)]
    pub reports: ServeReportArgs,
    /// Show Type 2 Devices other than In-Home Displays in the inventory, too: Consumer Access Devices. The Code does not ask for them.
    #[arg(long)]
    pub show_type_2: bool,
    /// Say in each answer what it cost, for `gridtrail bench search`. Not for production: whoever may search at all can tell by
    /// it whether a Device has rows, be they of others.
    #[arg(long)]
    pub tell_cost: bool,
    /// Where people ask for a communication with a hub that they may communicate with: an address of another system, where `{device}`
    /// stands for the Device ID. The console has a link there, and `HubService.Get` names it. This server sends nothing.
    #[arg(long, env = "GRIDTRAIL_COMMUNICATE_WITH", value_name = "URL")]
    pub communicate_with: Option<DeviceLink>,
    /// To whom both tables of a Communications Hub are open: those who may communicate with it (SEC Appendix AH, clause 1.5.1), or all
    /// whose roles allow the form (clause 1.10.6).
    #[arg(long, value_enum, default_value_t)]
    pub hub_tables: HubTablesArg,
    /// How long the topics of events of access may stand still. Beyond that, what Parties granted each other counts no longer, since it
    /// may have been rescinded; their own User IDs do. Events of access that come by files alone are not judged.
    #[arg(long, value_name = "DURATION", default_value = "24h")]
    pub access_lapse: LapseTime,
    /// Also make the reports of this schedule, beside any number of other servers and of `gridtrail report worker`.
    #[arg(long, value_name = "FILE")]
    pub report_schedule: Option<PathBuf>,
    /// Where the levels of freshness begin.
    #[command(flatten)]
    pub levels: LevelArgs,
    /// Whether and where metrics are shown.
    #[command(flatten)]
    pub metrics: MetricsArgs,
}

/// To whom both tables of a Communications Hub are open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum HubTablesArg {
    /// To those who may communicate with the hub.
    #[default]
    Related,
    /// To all whose roles allow the form.
    All,
}

impl From<HubTablesArg> for HubTables {
    fn from(arg: HubTablesArg) -> Self {
        match arg {
            HubTablesArg::Related => Self::Related,
            HubTablesArg::All => Self::All,
        }
    }
}

/// Which search, of `gridtrail search`.
#[derive(Debug, Subcommand)]
pub enum SearchCommand {
    /// The service audit trail: rows of your own User IDs.
    #[command(after_help = "\
Examples:
  gridtrail search audit --token-file me.jwt --device 88-73-84-57-00-2F-96-1E
  gridtrail search audit --token-file me.jwt --mpxn 1217290354420 --srv 4.8.1,11.2 \\
      --from 2026-03-01 --to 2026-03-31")]
    Audit(SearchArgs),
    /// Meter-read transactions (4.8.1, 4.8.2, 4.8.3, 4.17) of all Users.
    #[command(after_help = "\
Example:
  gridtrail search meter-reads --token-file me.jwt --mpxn 1217290354420 --all --format json")]
    MeterReads(SearchArgs),
    /// A Communications Hub: its last five Commands, anonymised, and what its Communications Service Provider knows of it.
    #[command(after_help = "\
Example:
  gridtrail search hub 02-1D-30-83-F3-E7-83-C0 --token-file me.jwt")]
    Hub(HubArgs),
    /// The Smart Metering Inventory: which Devices there are. Several keys narrow each other.
    #[command(after_help = "\
Examples:
  gridtrail search inventory --token-file me.jwt --mpxn 1217290354420
  gridtrail search inventory --token-file me.jwt --postcode 'SW1A 1AA' --property 'Rose Cottage' \\
      --include-not-commissioned")]
    Inventory(InventoryArgs),
    /// All that the inventory holds of a Device, and of the Devices around it.
    #[command(after_help = "\
Examples:
  gridtrail search device --token-file me.jwt --device 88-73-84-57-00-2F-96-1E
  gridtrail search device --token-file me.jwt --uprn 100012345678 --all --format json")]
    Device(InventoryDeviceArgs),
}

/// Arguments of `gridtrail search hub`.
#[derive(Debug, Args)]
pub struct HubArgs {
    /// Device ID of the Communications Hub Function, hyphenated or bare.
    #[arg(value_name = "DEVICE")]
    pub device: DeviceId,
    /// Who is asking.
    #[command(flatten)]
    pub credential: Credential,
    /// The server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// What to search by: exactly one.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct SearchKey {
    /// Device ID, hyphenated or bare: 88-73-84-57-00-2F-96-1E.
    #[arg(long, value_name = "EUI-64")]
    pub device: Option<DeviceId>,
    /// MPAN of 13 digits, or MPRN of 6 to 10 digits.
    #[arg(long)]
    pub mpxn: Option<Mpxn>,
    /// Unique Property Reference Number.
    #[arg(long)]
    pub uprn: Option<Uprn>,
    /// User ID: its rows that name neither a Device nor a meter point, such as a deleted schedule (5.3).
    #[arg(long, value_name = "EUI-64")]
    pub user: Option<UserId>,
}

/// Arguments of both searches.
#[derive(Debug, Args)]
pub struct SearchArgs {
    /// What to search by.
    #[command(flatten)]
    pub key: SearchKey,
    /// Who is asking.
    #[command(flatten)]
    pub credential: Credential,
    /// The server.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Only these Service Reference Variants, separated by commas; left out: all.
    #[arg(long, value_name = "SRV", value_delimiter = ',')]
    pub srv: Vec<ServiceReferenceVariant>,
    /// Only requests received at or after this date or instant, UTC.
    #[arg(long, value_name = "TIME")]
    pub from: Option<Bound>,
    /// Only requests received at or before this instant, or on or before this date, UTC.
    #[arg(long, value_name = "TIME")]
    pub to: Option<Bound>,
    /// Search the record as it was at a version of the lake, or at an instant, within the last 48 hours.
    #[arg(long, value_name = "VERSION|INSTANT")]
    pub as_of: Option<AsOf>,
    /// How much of the answer to fetch.
    #[command(flatten)]
    pub page: PageArgs,
    /// Print every field of each row, with its Status Change History. JSON always does.
    #[arg(long)]
    pub details: bool,
}

/// Arguments of `gridtrail get`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gridtrail get REFERENCE --token-file me.jwt
  gridtrail get REFERENCE --meter-reads --token-file me.jwt --format json")]
pub struct GetArgs {
    /// The reference of a row, as a search of the same service shows it.
    #[arg(value_name = "REFERENCE")]
    pub reference: String,
    /// Ask for a meter-read transaction of any User, not for a row of your own audit trail.
    #[arg(long)]
    pub meter_reads: bool,
    /// Who is asking.
    #[command(flatten)]
    pub credential: Credential,
    /// The server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Arguments of `gridtrail whoami`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  gridtrail whoami --token-file me.jwt")]
pub struct WhoamiArgs {
    /// Who is asking.
    #[command(flatten)]
    pub credential: Credential,
    /// The server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Arguments of `gridtrail token`.
#[derive(Debug, Args)]
#[command(after_help = "\
For local development: in production tokens come from the Identity Provider.

Example:
  gridtrail token --party supplier-1 --user-id 90-B3-D5-1F-30-02-00-00 --role role-01 \\
      --public-key-out dev-key.pub.pem > me.jwt")]
pub struct TokenArgs {
    /// The private key, in PEM: created on first use, readable by its owner only.
    #[arg(long, value_name = "FILE", default_value = "dev-key.pem")]
    pub key: PathBuf,
    /// Also write the public key, for `gridtrail serve --public-key`.
    #[arg(long, value_name = "FILE")]
    pub public_key_out: Option<PathBuf>,
    /// Who bears the token.
    #[arg(long, default_value = "developer")]
    pub subject: String,
    /// The Party that the bearer works for.
    #[arg(long, value_name = "NAME")]
    pub party: Party,
    /// A User ID that the bearer may use; may be repeated.
    #[arg(long, value_name = "EUI-64", value_delimiter = ',')]
    pub user_id: Vec<UserId>,
    /// How the User IDs are to be read: `all` that the bearer may use, or those `granted-only` by other Users, beside all
    /// of the Party's own.
    #[arg(long, value_name = "all|granted-only", default_value = "all")]
    pub org_id: OrgId,
    /// A Job Type Role: its name, such as role-01 or administration-user, or its column in the role matrix, 1 to 11; may be
    /// repeated.
    #[arg(long, value_name = "ROLE", required = true, value_delimiter = ',')]
    pub role: Vec<String>,
    /// The file by which the server calls Job Type Roles otherwise.
    #[arg(long, env = "GRIDTRAIL_JOB_TYPE_ROLES", value_name = "FILE")]
    pub job_type_roles: Option<PathBuf>,
    /// How long the token is valid, up to 24h.
    #[arg(long, value_name = "TIME", default_value = "8h")]
    pub ttl: LifeTime,
}

/// Which bench, of `gridtrail bench`.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Load a running server with searches by Device and report latencies and rate.
    #[command(after_help = "\
Example:
  gridtrail bench search --token-file me.jwt --devices devices.txt --concurrency 16 \\
      --duration 60s --format json")]
    Search(BenchSearchArgs),
    /// Load a running server with calls about the inventory and report latencies and rate.
    #[command(after_help = "\
Example:
  gridtrail bench inventory --token-file me.jwt --keys premises.jsonl --by uprn --ask device")]
    Inventory(BenchInventoryArgs),
    /// Look Devices up in a lake, in this process and without a server.
    #[command(after_help = "\
Example:
  gridtrail bench lookup --lake data/lake --devices devices.txt \\
      --user-id 90-B3-D5-1F-30-02-00-00 --cold --delay-ms 30")]
    Lookup(BenchLookupArgs),
    /// Read a topic into a new lake, beside a consumer that only counts.
    #[command(after_help = "\
Example:
  gridtrail bench topic --kafka 127.0.0.1:9092 --topic gridtrail.service-events.v1 \\
      --lake data/bench")]
    Topic(BenchTopicArgs),
}

/// Arguments of `gridtrail bench lookup`.
#[derive(Debug, Args)]
pub struct BenchLookupArgs {
    /// The lake: a folder.
    #[arg(long, env = "GRIDTRAIL_LAKE", value_name = "PATH", default_value = "data/lake")]
    pub lake: String,
    /// The Devices to look up, one a line, each once, in order.
    #[arg(long, value_name = "FILE")]
    pub devices: PathBuf,
    /// A User ID whose rows are looked up; may be repeated.
    #[arg(long, value_name = "EUI-64", required = true, value_delimiter = ',')]
    pub user_id: Vec<UserId>,
    /// Only requests received at or after this date or instant, UTC.
    #[arg(long, value_name = "TIME")]
    pub from: Option<Bound>,
    /// Only requests received at or before this instant, or on or before this date, UTC.
    #[arg(long, value_name = "TIME")]
    pub to: Option<Bound>,
    /// The most rows of each Device.
    #[arg(long, value_name = "ROWS", default_value_t = 51)]
    pub rows: usize,
    /// Begin each look-up with nothing of the lake's runs in memory. The system may still have their files.
    #[arg(long)]
    pub cold: bool,
    /// How much later each request to the store is answered, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub delay_ms: u64,
}

/// Arguments of `gridtrail bench topic`.
#[derive(Debug, Args)]
pub struct BenchTopicArgs {
    /// Brokers to start from, separated by commas.
    #[arg(long, value_name = "HOST:PORT")]
    pub kafka: String,
    /// The topic, which holds what is to be read.
    #[arg(long, value_name = "TOPIC")]
    pub topic: String,
    /// The lake to read it into: a folder that does not exist yet.
    #[arg(long, value_name = "PATH")]
    pub lake: PathBuf,
    /// A further client setting; may be repeated.
    #[arg(long = "kafka-set", value_name = "NAME=VALUE", value_parser = super::value::setting)]
    pub kafka_settings: Vec<(String, String)>,
}

/// One of the keys by which a premises is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SearchedBy {
    /// A meter's Device ID.
    Device,
    /// Its meter point.
    Mpxn,
    /// The UPRN.
    Uprn,
}

/// Arguments of `gridtrail bench search`.
#[derive(Debug, Args)]
pub struct BenchSearchArgs {
    /// Who is asking.
    #[command(flatten)]
    pub credential: Credential,
    /// The server.
    #[command(flatten)]
    pub server: ServerArgs,
    /// The Devices to ask for, one a line; or MPxNs.
    #[arg(long, value_name = "FILE", required_unless_present = "keys")]
    pub devices: Option<PathBuf>,
    /// Keys of premises, which `gridtrail generate --keys` writes; `--by` says which of them to ask for.
    #[arg(long, value_name = "FILE", requires = "by", conflicts_with = "devices")]
    pub keys: Option<PathBuf>,
    /// By which of a premises' keys.
    #[arg(long, value_enum, requires = "keys")]
    pub by: Option<SearchedBy>,
    /// How it asks.
    #[command(flatten)]
    pub load: LoadArgs,
    /// Search only requests received at or after this date or instant, UTC.
    #[arg(long, value_name = "TIME")]
    pub from: Option<Bound>,
    /// Search only requests received at or before this instant, or on or before this date, UTC.
    #[arg(long, value_name = "TIME")]
    pub to: Option<Bound>,
    /// Rows a page.
    #[arg(long, value_name = "ROWS", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub page_size: u32,
    /// Ask for the table of results only, without the full details of each row.
    #[arg(long)]
    pub table: bool,
    /// Search the meter-read transactions of all Users instead of the audit trail of one's own.
    #[arg(long)]
    pub meter_reads: bool,
}
