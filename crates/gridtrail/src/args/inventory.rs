//! Arguments of the searches of the Smart Metering Inventory.

use super::asking::{Credential, LoadArgs, PageArgs};
use super::tls::ServerArgs;
use clap::{ArgGroup, Args, ValueEnum};
use gridtrail_lake::AsOf;
use gridtrail_model::{DeviceId, Mpxn, Uprn};
use std::path::PathBuf;

/// What to look for in the inventory.
#[derive(Debug, Args)]
pub struct InventoryKeyArgs {
    /// Device ID, hyphenated or bare: 88-73-84-57-00-2F-96-1E.
    #[arg(long, value_name = "EUI-64")]
    pub device: Option<DeviceId>,
    /// MPAN of 13 digits, or MPRN of 6 to 10 digits.
    #[arg(long)]
    pub mpxn: Option<Mpxn>,
    /// Unique Property Reference Number.
    #[arg(long)]
    pub uprn: Option<Uprn>,
    /// A full postcode, such as "SW1A 1AA".
    // The server reads it, for it says what may have been meant by one that is none.
    #[arg(long)]
    pub postcode: Option<String>,
    /// With --postcode, the name or number of the property, or more of its address, in any case and order of words.
    #[arg(long, value_name = "WORDS", requires = "postcode")]
    pub property: Option<String>,
}

/// How and of when to ask.
#[derive(Debug, Args)]
pub struct InventoryCallArgs {
    /// Also Devices whose SMI Status is not Commissioned.
    #[arg(long)]
    pub include_not_commissioned: bool,
    /// Search the inventory as it was at a version of the lake, or at an instant, within the last 48 hours.
    #[arg(long, value_name = "VERSION|INSTANT")]
    pub as_of: Option<AsOf>,
    /// Who is asking.
    #[command(flatten)]
    pub credential: Credential,
    /// The server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Arguments of `gridtrail search inventory`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("keys").args(["device", "mpxn", "uprn", "postcode"]).required(true).multiple(true))]
pub struct InventoryArgs {
    /// What to look for.
    #[command(flatten)]
    pub key: InventoryKeyArgs,
    /// How to ask.
    #[command(flatten)]
    pub call: InventoryCallArgs,
    /// How much of the answer to fetch.
    #[command(flatten)]
    pub page: PageArgs,
}

/// Arguments of `gridtrail search device`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("one_key").args(["device", "mpxn", "uprn", "postcode"]).required(true).multiple(false))]
pub struct InventoryDeviceArgs {
    /// What to look for.
    #[command(flatten)]
    pub key: InventoryKeyArgs,
    /// How to ask.
    #[command(flatten)]
    pub call: InventoryCallArgs,
    /// Devices a page, not counting those around each.
    #[arg(long, value_name = "DEVICES", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=50))]
    pub page_size: u32,
    /// Go on where the page that named this token ended.
    #[arg(long, value_name = "TOKEN", conflicts_with = "all")]
    pub page_token: Option<String>,
    /// Fetch every page.
    #[arg(long)]
    pub all: bool,
}

/// A call of the bench of the inventory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum InventoryCall {
    /// The Devices that match.
    Search,
    /// All of each Device that matches, and of those around it.
    Device,
    /// What is known of the Communications Hub, and the last Commands through it; `--by` says nothing then.
    Hub,
}

/// By what the bench of the inventory asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum InventoryBy {
    /// A meter's Device ID.
    Device,
    /// Its meter point.
    Mpxn,
    /// The UPRN.
    Uprn,
    /// The postcode.
    Postcode,
}

/// Arguments of `gridtrail bench inventory`.
#[derive(Debug, Args)]
pub struct BenchInventoryArgs {
    /// Who is asking.
    #[command(flatten)]
    pub credential: Credential,
    /// The server.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Keys of premises, which `gridtrail generate --keys` writes.
    #[arg(long, value_name = "FILE")]
    pub keys: PathBuf,
    /// By which of a premises' keys.
    #[arg(long, value_enum, default_value = "device")]
    pub by: InventoryBy,
    /// What to ask.
    #[arg(long, value_enum, default_value = "search")]
    pub ask: InventoryCall,
    /// How it asks.
    #[command(flatten)]
    pub load: LoadArgs,
}
