//! The availability and diagnostics of a Communications Hub: its last Commands, anonymised, and what its Communications Service Provider knows
//! of it (UC_HubStatus_001, UC_HubStatus_002).
//!
//! A hub is as it is now, at the newest version: nobody diagnoses what was. Who sent the Commands, and to which Devices they went, never leaves
//! the lake ([`gridtrail_lake::HubCommand`]); who is shown the tables, and who may communicate with the hub, is decided here (decision 0115).
//!
//! Cost: bounded rounds of look-ups by key ([`gridtrail_lake::Snapshot::hub`], [`gridtrail_lake::Snapshot::last_commands`]).

use crate::error::SearchError;
use crate::store::StoreError;
use async_trait::async_trait;
use gridtrail_access::{Access, Component};
use gridtrail_inventory::HubFields;
use gridtrail_lake::{Cost, Hub, HubCommand, HubFound, Lake, Snapshot, SnapshotVersion};
use gridtrail_model::{DeviceId, Timestamp};
use gridtrail_runtime::Clock;
use std::fmt;
use std::sync::Arc;

/// To whom both tables of a hub are open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HubTables {
    /// To those who may communicate with the hub: clause 1.5.1, which "shall not provide access other than" to them.
    #[default]
    Related,
    /// To all whose roles allow the form: clause 1.10.6.
    All,
}

/// A field of the CSP's table. Source: UC_HubStatus_001, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HubFieldName {
    /// "Aerial Installed".
    AerialInstalled,
    /// "Aerial Type".
    AerialType,
    /// "Birth Event".
    BirthEvent,
    /// "Network Status".
    NetworkStatus,
    /// "Deactivation Date/Time".
    Deactivation,
    /// "SMWAN Connectivity Status".
    SmwanConnectivityStatus,
    /// "HAN Status".
    HanStatus,
    /// "Last Connection".
    LastConnection,
    /// "Last Tamper".
    LastTamper,
    /// "Last Outage".
    LastOutage,
    /// "Last Restore".
    LastRestore,
}

/// What a field shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HubField {
    /// A text of the CSP, or a yes or no.
    Text(String),
    /// A time that the CSP told, UTC.
    At(Timestamp),
    /// The CSP should have it, and has not told it.
    Unknown,
    /// It is resident on the hub.
    OnDevice,
}

impl HubField {
    /// What is shown of data that are resident on the hub (UC_HubStatus_001).
    pub const ON_DEVICE: &str = "Requires device communication";
}

/// The tables of a hub.
#[derive(Debug, Clone)]
pub struct HubTablesShown {
    /// The last Commands, the latest first.
    pub last_commands: Vec<HubCommand>,
    /// What the CSP provides, in the order of the clause. "Deactivation Date/Time" is there only where the Network Status is deactivated.
    pub csp: Vec<(HubFieldName, HubField)>,
}

/// What is known of a hub.
#[derive(Debug, Clone)]
pub struct HubAnswer {
    /// The hub.
    pub device: DeviceId,
    /// Whether the caller may communicate with it, and have a full diagnostics request carried out.
    pub may_communicate: bool,
    /// Its tables; `None`: they are not open to the caller.
    pub tables: Option<HubTablesShown>,
    /// Freshness: everything recorded before this time, UTC, is in the answer.
    pub complete_up_to: Option<Timestamp>,
    /// The version that it was answered at.
    pub version: SnapshotVersion,
    /// What finding it cost.
    pub cost: Cost,
}

/// A source of snapshots of hubs. The lake is the one in use.
pub trait HubStore: Send + Sync + 'static {
    /// The newest snapshot seen.
    fn newest_hubs(&self) -> Arc<dyn PinnedHubs>;
}

/// The hubs at one version. Every call is cancel-safe.
#[async_trait]
pub trait PinnedHubs: Send + Sync {
    /// The version.
    fn version(&self) -> &SnapshotVersion;
    /// Everything recorded before this time is in the snapshot.
    fn complete_up_to(&self) -> Option<Timestamp>;
    /// The hub of a Device ID, as it is at an instant.
    async fn hub(&self, who: &Access, hub: DeviceId, at: Timestamp) -> Result<HubFound, StoreError>;
    /// The last Commands through it.
    async fn last_commands(&self, who: &Access, hub: &Hub) -> Result<(Vec<HubCommand>, Cost), StoreError>;
}

impl HubStore for Lake {
    fn newest_hubs(&self) -> Arc<dyn PinnedHubs> {
        self.snapshot()
    }
}

#[async_trait]
impl PinnedHubs for Snapshot {
    fn version(&self) -> &SnapshotVersion {
        self.version()
    }

    fn complete_up_to(&self) -> Option<Timestamp> {
        self.complete_up_to()
    }

    async fn hub(&self, who: &Access, hub: DeviceId, at: Timestamp) -> Result<HubFound, StoreError> {
        Ok(self.hub(who, hub, at).await?)
    }

    async fn last_commands(&self, who: &Access, hub: &Hub) -> Result<(Vec<HubCommand>, Cost), StoreError> {
        Ok(self.last_commands(who, hub).await?)
    }
}

/// Answers for hubs over one store. Clones share it.
#[derive(Clone)]
pub struct HubSearch {
    store: Arc<dyn HubStore>,
    clock: Clock,
    tables: HubTables,
}

impl fmt::Debug for HubSearch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubSearch").field("tables", &self.tables).finish_non_exhaustive()
    }
}

impl HubSearch {
    /// Answers over `store`, which tells the time by `clock` and shows the tables to those whom `tables` says.
    pub fn new(store: impl HubStore, clock: Clock, tables: HubTables) -> Self {
        Self { store: Arc::new(store), clock, tables }
    }

    /// The hub of a Communications Hub Function's Device ID, as it is now.
    ///
    /// Errors: `NoHub`; `HubTooWide`; `Access`; `Lake`. Cancel-safe. Source: UC_HubStatus_001, UC_HubStatus_002.
    pub async fn get(&self, who: &Access, device: DeviceId) -> Result<HubAnswer, SearchError> {
        let now = self.clock.now();
        who.require(Component::HubStatus, now)?;
        let snapshot = self.store.newest_hubs();
        let hub = match snapshot.hub(who, device, now).await? {
            HubFound::Hub(hub) => hub,
            HubFound::Unknown => return Err(SearchError::NoHub),
            HubFound::TooMany(found) => return Err(SearchError::HubTooWide { found }),
        };
        let is_open = self.tables == HubTables::All || hub.is_related();
        let (tables, cost) = if is_open {
            let (last_commands, cost) = snapshot.last_commands(who, &hub).await?;
            (Some(HubTablesShown { last_commands, csp: csp_table(hub.fields()) }), cost)
        } else {
            (None, Cost::default())
        };
        Ok(HubAnswer {
            device,
            may_communicate: hub.is_related(),
            tables,
            complete_up_to: snapshot.complete_up_to(),
            version: snapshot.version().clone(),
            cost: [hub.cost(), cost].into_iter().sum(),
        })
    }
}

/// The CSP's table. What is resident on the hub is shown as the CSP told it, if it did.
fn csp_table(fields: &HubFields) -> Vec<(HubFieldName, HubField)> {
    use HubFieldName as Name;
    let text = |text: Option<String>| text.map_or(HubField::Unknown, HubField::Text);
    let at = |at: Option<Timestamp>| at.map_or(HubField::Unknown, HubField::At);
    let resident = |field: HubField| if field == HubField::Unknown { HubField::OnDevice } else { field };
    let yes_or_no = |is: bool| if is { "Yes" } else { "No" }.to_owned();
    let is_deactivated = fields.network_status.as_ref().is_some_and(|status| status.is_deactivated());
    let table = [
        (Name::AerialInstalled, text(fields.aerial_installed.map(yes_or_no))),
        (Name::AerialType, text(fields.aerial_type.as_ref().map(ToString::to_string))),
        (Name::BirthEvent, at(fields.birth_event)),
        (Name::NetworkStatus, text(fields.network_status.as_ref().map(ToString::to_string))),
        (Name::Deactivation, at(fields.deactivated_at)),
        (
            Name::SmwanConnectivityStatus,
            text(fields.smwan_connectivity_status.as_ref().map(ToString::to_string)),
        ),
        (Name::HanStatus, resident(text(fields.han_status.as_ref().map(ToString::to_string)))),
        (Name::LastConnection, at(fields.last_connection)),
        (Name::LastTamper, resident(at(fields.last_tamper))),
        (Name::LastOutage, at(fields.last_outage)),
        (Name::LastRestore, at(fields.last_restore)),
    ];
    table.into_iter().filter(|(name, _)| *name != Name::Deactivation || is_deactivated).collect()
}

#[cfg(test)]
mod tests;
