//! The tables of a session, over one snapshot, for one [`Access`].

use crate::columns::schema_of;
use crate::error::ScanError;
use crate::listed::{self, Columns, ListedTable, Open, OpenHolding, Read};
use crate::passed::Passed;
use crate::pushdown;
use crate::scan::TrailScan;
use crate::scanned::Scanned;
use crate::tables::freshness::Freshened;
use crate::{comments, tables};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use gridtrail_access::{Access, Component};
use gridtrail_lake::{Lake, ScanQuery, Snapshot, View};
use gridtrail_model::{DeviceId, Timestamp};
use gridtrail_search::InventoryRules;
use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;

/// What the rows of tables come from.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) snapshot: Arc<Snapshot>,
    /// Who asks. `None`: an operator, who is no User and has no Job Type Role.
    pub(crate) who: Option<Access>,
    pub(crate) parts: NonZeroU32,
    /// The lake, where more of it is to be asked than its snapshot.
    pub(crate) lake: Option<Lake>,
    /// The lake whose access log has the calls.
    pub(crate) calls: Option<Lake>,
    pub(crate) freshness: Option<Freshened>,
    /// By what rules the inventory is shown.
    pub(crate) inventory: Option<InventoryRules>,
    /// The Devices of which its history is read; `None`: of all. It spares look-ups, and what is read elsewhere may be more.
    pub(crate) history_of: Option<Arc<BTreeSet<DeviceId>>>,
    /// After when schedules are shown to be due.
    pub(crate) due_after: Timestamp,
    /// Whether it is for reports, which have tables of their own.
    pub(crate) is_of_reports: bool,
}

/// What a table of a session is of: its scans carry it, for whoever tells other processes of them.
pub(crate) struct TableOrigin {
    pub(crate) table: &'static TableOf,
    pub(crate) source: Source,
}

/// A table that there is.
#[derive(Debug)]
pub(crate) struct TableOf {
    pub(crate) name: &'static str,
    comment: &'static str,
    open_to: OpenTo,
    kind: Kind,
}

/// Who may have a table.
#[derive(Debug, Clone, Copy)]
enum OpenTo {
    /// Users one of whose roles may use a functional component.
    Component(Component),
    /// Users of any role.
    AnyRole,
    /// Operators, and no User.
    Operators,
    /// Reports, and no statement of anybody's.
    Reports,
}

/// Where the rows of a table come from.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Trails(View),
    AccessLog,
    Freshness,
    InventoryDevices,
    InventoryHistory,
    PertainingDevices,
    QuarantinedCommunications,
    Schedules,
    UnattachedHubs,
    DeadLetters,
    Commits,
}

/// All tables, by name.
static ALL: &[TableOf] = &[
    TableOf {
        name: "access_log",
        comment: tables::access_log::COMMENT,
        open_to: OpenTo::AnyRole,
        kind: Kind::AccessLog,
    },
    TableOf {
        name: "audit_trails",
        comment: "Service audit trails (UC_ServiceAudit_001 and _002): one row a Service Request, response or alert of the caller's User IDs",
        open_to: OpenTo::Component(Component::ServiceAudit),
        kind: Kind::Trails(View::Audit),
    },
    TableOf {
        name: "commits",
        comment: tables::commits::COMMENT,
        open_to: OpenTo::Operators,
        kind: Kind::Commits,
    },
    TableOf {
        name: "dead_letters",
        comment: tables::dead_letters::COMMENT,
        open_to: OpenTo::Operators,
        kind: Kind::DeadLetters,
    },
    TableOf {
        name: "freshness",
        comment: tables::freshness::COMMENT,
        open_to: OpenTo::AnyRole,
        kind: Kind::Freshness,
    },
    TableOf {
        name: "inventory_devices",
        comment: tables::inventory::DEVICES,
        open_to: OpenTo::Component(Component::Inventory),
        kind: Kind::InventoryDevices,
    },
    TableOf {
        name: "inventory_history",
        comment: tables::inventory::HISTORY,
        open_to: OpenTo::Component(Component::Inventory),
        kind: Kind::InventoryHistory,
    },
    TableOf {
        name: "meter_reads",
        comment: "Meter read transactions (UC_MeterRead_001) of all Users",
        open_to: OpenTo::Component(Component::MeterReads),
        kind: Kind::Trails(View::MeterReads),
    },
    TableOf {
        name: "pertaining_devices",
        comment: tables::pertaining::COMMENT,
        open_to: OpenTo::Reports,
        kind: Kind::PertainingDevices,
    },
    TableOf {
        name: "quarantined_communications",
        comment: tables::quarantined::COMMENT,
        open_to: OpenTo::Reports,
        kind: Kind::QuarantinedCommunications,
    },
    TableOf {
        name: "schedules",
        comment: tables::schedules::COMMENT,
        open_to: OpenTo::Component(Component::ServiceAudit),
        kind: Kind::Schedules,
    },
    TableOf {
        name: "unattached_hubs",
        comment: tables::pertaining::HUBS,
        open_to: OpenTo::Reports,
        kind: Kind::UnattachedHubs,
    },
];

/// A table, for whoever shows which there are.
#[derive(Debug, Clone)]
pub struct TableInfo {
    /// Its name.
    pub name: &'static str,
    /// What its rows are.
    pub comment: &'static str,
    /// Its columns.
    pub schema: SchemaRef,
    /// What each column is, in their order: the specification's name in quotation marks, where it has one.
    pub comments: Vec<&'static str>,
}

impl Source {
    /// A snapshot, and nothing beside it. Schedules are shown to be due after a time.
    pub(crate) fn new(
        (snapshot, due_after): (Arc<Snapshot>, Timestamp),
        who: Option<Access>,
        parts: NonZeroU32,
    ) -> Self {
        let (lake, calls, freshness) = (None, None, None);
        let (inventory, history_of, is_of_reports) = (None, None, false);
        Self { snapshot, who, parts, lake, calls, freshness, inventory, history_of, due_after, is_of_reports }
    }

    /// The tables that the caller may have, each over what is read here.
    pub(crate) fn tables(&self) -> Vec<(&'static TableOf, Arc<dyn TableProvider>)> {
        let permitted = ALL.iter().filter(|table| table.is_open_to(self));
        permitted.filter_map(|table| Some((table, table.over(self)?))).collect()
    }

    /// A table that the caller may have as it was. `None`: there is none of that name.
    pub(crate) fn with_past(&self, name: &str) -> Option<&'static TableOf> {
        ALL.iter().find(|table| table.name == name && table.has_past() && table.is_open_to(self))
    }
}

impl TableOf {
    fn is_open_to(&self, source: &Source) -> bool {
        if source.is_of_reports {
            let is_shared =
                matches!(self.kind, Kind::Trails(View::Audit) | Kind::InventoryHistory | Kind::Schedules);
            return is_shared || matches!(self.open_to, OpenTo::Reports);
        }
        match (self.open_to, &source.who) {
            (OpenTo::Component(component), Some(who)) => who.permits(component),
            (OpenTo::AnyRole, Some(_)) | (OpenTo::Operators, None) => true,
            (OpenTo::Component(_) | OpenTo::AnyRole, None)
            | (OpenTo::Operators, Some(_))
            | (OpenTo::Reports, _) => false,
        }
    }

    /// Whether it can be asked as it was.
    const fn has_past(&self) -> bool {
        matches!(self.kind, Kind::Trails(_))
    }

    pub(crate) fn info(&self) -> TableInfo {
        let (schema, comments) = match self.kind {
            Kind::Trails(view) => {
                let schema = schema_of(view);
                let comments = schema.fields().iter().map(|field| comments::of(field.name())).collect();
                (schema, comments)
            }
            Kind::AccessLog => told(tables::access_log::COLUMNS),
            Kind::Freshness => told(tables::freshness::COLUMNS),
            Kind::InventoryDevices => told(tables::inventory::DEVICE_COLUMNS),
            Kind::InventoryHistory => told(tables::inventory::HISTORY_COLUMNS),
            Kind::PertainingDevices => told(tables::pertaining::COLUMNS),
            Kind::QuarantinedCommunications => told(tables::quarantined::COLUMNS),
            Kind::Schedules => told(tables::schedules::COLUMNS),
            Kind::UnattachedHubs => told(tables::pertaining::HUB_COLUMNS),
            Kind::DeadLetters => told(tables::dead_letters::COLUMNS),
            Kind::Commits => told(tables::commits::COLUMNS),
        };
        TableInfo { name: self.name, comment: self.comment, schema, comments }
    }

    /// Whether its rows are known in this process alone.
    pub(crate) const fn is_of_process(&self) -> bool {
        matches!(self.kind, Kind::Freshness)
    }

    /// Which conditions its scans take in.
    pub(crate) fn supported(&self, conditions: &[&Expr]) -> Vec<TableProviderFilterPushDown> {
        let support = |condition: &&Expr| match self.view().is_some() && pushdown::takes(condition) {
            true => TableProviderFilterPushDown::Inexact,
            false => TableProviderFilterPushDown::Unsupported,
        };
        conditions.iter().map(support).collect()
    }

    /// The view of trails that it shows, if it shows any.
    pub(crate) const fn view(&self) -> Option<View> {
        match self.kind {
            Kind::Trails(view) => Some(view),
            _ => None,
        }
    }

    /// The table of a name, where the caller may have it.
    pub(crate) fn named(name: &str, source: &Source) -> Option<&'static Self> {
        ALL.iter().find(|table| table.name == name && table.is_open_to(source))
    }

    /// The table of a name, whoever may have it: what its columns are is nobody's secret.
    pub(crate) fn known(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|table| table.name == name)
    }

    /// The table over what a session reads. `None`: that has nothing of it.
    pub(crate) fn over(&'static self, source: &Source) -> Option<Arc<dyn TableProvider>> {
        match self.trails_over(source) {
            Some(trails) => Some(Arc::new(trails)),
            None => Some(Arc::new(self.listed_over(source)?)),
        }
    }

    /// A table of trails over what a session reads. `None`: it is none, or nobody reads.
    pub(crate) fn trails_over(&'static self, source: &Source) -> Option<TrailTable> {
        let (view, who) = (self.view()?, source.who.clone()?);
        Some(TrailTable { origin: Arc::new(TableOrigin { table: self, source: source.clone() }), who, view })
    }

    /// A table that is read from its first row to its last, over what a session reads. `None`: it is none, or that has nothing of it.
    pub(crate) fn listed_over(&'static self, source: &Source) -> Option<ListedTable> {
        use tables::{inventory, pertaining};
        let Source { snapshot, who, lake, calls, freshness, inventory: rules, .. } = source;
        let inventory_source = || {
            let (snapshot, who) = (Arc::clone(snapshot), who.clone()?);
            Some(inventory::InventorySource { snapshot, who, rules: (*rules)?, parts: source.parts })
        };
        let (schema, read) = match self.kind {
            Kind::Trails(_) => return None,
            Kind::AccessLog => {
                listed(tables::access_log::COLUMNS, tables::access_log::open(calls.clone()?, who.clone()?))
            }
            Kind::Freshness => {
                listed(tables::freshness::COLUMNS, tables::freshness::open(freshness.clone()?))
            }
            Kind::InventoryDevices => {
                listed(inventory::DEVICE_COLUMNS, inventory::open_devices(inventory_source()?))
            }
            Kind::InventoryHistory => {
                let open = inventory::open_history(inventory_source()?, source.history_of.clone());
                listed(inventory::HISTORY_COLUMNS, open)
            }
            Kind::QuarantinedCommunications => {
                let of_whom = (Arc::clone(snapshot), who.clone()?);
                let open = tables::quarantined::open(of_whom, (*rules)?.at);
                listed(tables::quarantined::COLUMNS, open)
            }
            Kind::Schedules => {
                let of_whom = (Arc::clone(snapshot), who.clone()?);
                holding(tables::schedules::COLUMNS, tables::schedules::open(of_whom, source.due_after))
            }
            Kind::UnattachedHubs => {
                holding(pertaining::HUB_COLUMNS, pertaining::open_hubs(inventory_source()?))
            }
            Kind::PertainingDevices => holding(pertaining::COLUMNS, pertaining::open(inventory_source()?)),
            Kind::DeadLetters => {
                listed(tables::dead_letters::COLUMNS, tables::dead_letters::open(lake.clone()?))
            }
            Kind::Commits => listed(tables::commits::COLUMNS, tables::commits::open(lake.clone()?)),
        };
        let origin = TableOrigin { table: self, source: source.clone() };
        Some(ListedTable::new(Arc::new(origin), schema, read))
    }
}

fn told<T: 'static>(columns: Columns<T>) -> (SchemaRef, Vec<&'static str>) {
    (listed::schema_of(columns), columns.iter().map(|column| column.comment).collect())
}

fn listed<T: Send + Sync + 'static>(columns: Columns<T>, open: Open<T>) -> (SchemaRef, Read) {
    (listed::schema_of(columns), listed::read(columns, open))
}

fn holding<T: Send + Sync + 'static>(columns: Columns<T>, open: OpenHolding<T>) -> (SchemaRef, Read) {
    (listed::schema_of(columns), listed::read_holding(columns, open))
}

/// A table of rows. Nothing but a scan leads to any of them.
pub(crate) struct TrailTable {
    origin: Arc<TableOrigin>,
    who: Access,
    view: View,
}

impl TrailTable {
    /// What it is of.
    pub(crate) const fn origin(&self) -> &Arc<TableOrigin> {
        &self.origin
    }

    /// Reads rows of it that are asked for.
    pub(crate) async fn scan_of(
        &self,
        query: ScanQuery,
        (wanted, limit): (Arc<[usize]>, Option<usize>),
        passed: Arc<Passed>,
    ) -> Result<TrailScan> {
        let Source { snapshot, parts, .. } = &self.origin.source;
        let parts = snapshot.scan(&self.who, query, *parts).await.map_err(ScanError::from)?;
        let schema = Arc::new(self.schema().project(&wanted)?);
        let of = Scanned { origin: Arc::clone(&self.origin) as _, schema, wanted, limit };
        Ok(TrailScan::new(of, (self.view, passed), parts))
    }
}

/// Its rows, and the rights of its caller, are nobody's to print.
impl std::fmt::Debug for TrailTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrailTable").field("view", &self.view).finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for TrailTable {
    fn schema(&self) -> SchemaRef {
        schema_of(self.view)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, conditions: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(self.origin.table.supported(conditions))
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        conditions: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut query = ScanQuery::all(self.view);
        pushdown::narrow(&mut query, conditions);
        let columns = self.schema().fields().len();
        let wanted: Vec<usize> = projection.cloned().unwrap_or_else(|| (0..columns).collect());
        // Of the statement that is planned: what it reads is counted for it.
        let passed = state.config().get_extension::<Passed>().unwrap_or_default();
        Ok(Arc::new(self.scan_of(query, (wanted.into(), limit), passed).await?))
    }
}
