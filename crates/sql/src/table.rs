//! A table of rows: one view of a pinned snapshot, for one caller.

use crate::columns::schema_of;
use crate::error::ScanError;
use crate::pushdown;
use crate::scan::TrailScan;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use gridtrail_access::{Access, Component};
use gridtrail_lake::{ScanQuery, Snapshot, View};
use std::num::NonZeroU32;
use std::sync::Arc;

/// A table of rows. Nothing but a scan leads to any of them.
pub(crate) struct TrailTable {
    snapshot: Arc<Snapshot>,
    who: Access,
    view: View,
    parts: NonZeroU32,
}

/// Its rows, and the rights of its caller, are nobody's to print.
impl std::fmt::Debug for TrailTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrailTable").field("view", &self.view).finish_non_exhaustive()
    }
}

impl TrailTable {
    /// The tables of rows that there are, each with the functional component that it belongs to.
    pub(crate) const ALL: [(&'static str, View, Component); 2] = [
        ("audit_trails", View::Audit, Component::ServiceAudit),
        ("meter_reads", View::MeterReads, Component::MeterReads),
    ];

    pub(crate) fn new(snapshot: &Arc<Snapshot>, who: &Access, view: View, parts: NonZeroU32) -> Self {
        Self { snapshot: Arc::clone(snapshot), who: who.clone(), view, parts }
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
        let support = |condition: &&Expr| match pushdown::takes(condition) {
            true => TableProviderFilterPushDown::Inexact,
            false => TableProviderFilterPushDown::Unsupported,
        };
        Ok(conditions.iter().map(support).collect())
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        conditions: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut query = ScanQuery::all(self.view);
        pushdown::narrow(&mut query, conditions);
        let parts = self.snapshot.scan(&self.who, query, self.parts).await.map_err(ScanError::from)?;
        let schema = self.schema();
        let wanted = projection.cloned().unwrap_or_else(|| (0..schema.fields().len()).collect());
        let schema = Arc::new(schema.project(&wanted)?);
        Ok(Arc::new(TrailScan::new((self.who.clone(), self.view), parts, (schema, wanted), limit)))
    }
}
