//! The engine's two codecs: of physical plans and of logical ones.
//!
//! A node of ours is `form (1 byte) ‖ length of what is told (4, big-endian) ‖ what is told (JSON) ‖ sealed rights`; one that groups by words is
//! `form ‖ the engine's own node`, whose input follows by itself.

use crate::apart::Apart;
use crate::elsewhere::PlanCodec;
use crate::elsewhere::node::{Received, ReceivedScan, ReceivedTable, unreadable};
use crate::elsewhere::told::{Told, ToldScan};
use crate::error::{PartError, SqlError};
use crate::groups::WordGroups;
use crate::listed::{ListedScan, ListedTable};
use crate::scan::TrailScan;
use crate::scanned::{Origin, Scanned};
use crate::table::{Source, TableOrigin, TrailTable};
use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::StreamWriter;
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, UnboundedMemoryPool};
use datafusion::logical_expr::{Extension, LogicalPlan};
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::{ChildrenPropertiesMode, ExecutionPlan, ReplaceChildrenOptions};
use datafusion_proto::logical_plan::LogicalExtensionCodec;
use datafusion_proto::physical_plan::{
    PhysicalExtensionCodec, PhysicalPlanDecodeContext, PhysicalProtoConverterExtension,
};
use datafusion_proto::protobuf::PhysicalPlanNode;
use futures::{FutureExt as _, TryStreamExt as _};
use prost::Message as _;
use std::any::Any;
use std::sync::Arc;

/// What bytes are of.
const SCAN: u8 = 1;
const GROUPS: u8 = 2;
const TABLE: u8 = 3;
const APART: u8 = 4;

impl PlanCodec {
    /// What is told of a table or scan, and the rights to it.
    fn put(&self, form: u8, told: &Told, source: &Source, out: &mut Vec<u8>) -> Result<(), SqlError> {
        let bytes = serde_json::to_vec(told).map_err(|error| SqlError::Internal(error.to_string()))?;
        let until = self.clock.now().plus_millis(i64::try_from(self.life.as_millis()).unwrap_or(i64::MAX));
        let rights = self.key.seal(source.who.as_ref(), &bytes, until)?;
        out.push(form);
        out.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend(bytes);
        out.extend(rights);
        Ok(())
    }

    fn put_scan(
        &self,
        of: &Scanned,
        scan: ToldScan,
        rows: Option<Vec<u8>>,
        out: &mut Vec<u8>,
    ) -> Result<(), SqlError> {
        let TableOrigin { table, source } = origin_of(&of.origin)?;
        let told = Told { scan: Some(scan), rows, ..Told::of(table, source)? };
        self.put(SCAN, &told, source, out)
    }

    fn read(&self, bytes: &[u8]) -> Result<Received> {
        let read = || {
            let (length, rest) = bytes.split_first_chunk::<4>()?;
            let (told, rights) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
            Some((serde_json::from_slice(told).ok()?, told.to_vec(), rights.to_vec()))
        };
        let (told, bytes, rights) =
            read().ok_or_else(|| unreadable("it ends early, or says nothing known"))?;
        Ok(Received { codec: self.clone(), told, bytes, rights })
    }
}

fn recompute() -> ReplaceChildrenOptions {
    ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute)
}

fn origin_of(origin: &Origin) -> Result<&TableOrigin, SqlError> {
    let origin = origin.downcast_ref::<TableOrigin>();
    origin.ok_or_else(|| SqlError::Internal("a scan is of no table".to_owned()))
}

/// What was received goes on as it came: whoever sealed its rights is who may.
fn put_again(form: u8, of: &Received, out: &mut Vec<u8>) {
    out.push(form);
    out.extend(u32::try_from(of.bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend(&of.bytes);
    out.extend(&of.rights);
}

/// The rows of a table that is known in this process alone.
fn rows_of(scan: &ListedScan) -> Result<Option<Vec<u8>>> {
    let of = scan.told();
    if !origin_of(&of.origin).map_err(PartError::from)?.table.is_of_process() {
        return Ok(None);
    }
    let held = MemoryConsumer::new("rows for another process")
        .register(&(Arc::new(UnboundedMemoryPool::default()) as _));
    let batches: Option<Result<Vec<_>>> = scan.batches(held)?.try_collect().now_or_never();
    let batches = batches
        .ok_or_else(|| DataFusionError::Internal("rows of this process were waited for".to_owned()))??;
    let mut writer = StreamWriter::try_new(Vec::new(), &of.schema)?;
    for batch in &batches {
        writer.write(batch)?;
    }
    Ok(Some(writer.into_inner()?))
}

impl PhysicalExtensionCodec for PlanCodec {
    fn try_decode(
        &self,
        bytes: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        context: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match (bytes.split_first(), inputs) {
            (Some((&SCAN, bytes)), []) => Ok(Arc::new(ReceivedScan::new(self.read(bytes)?)?)),
            (Some((&GROUPS, bytes)), [input]) => {
                let node = PhysicalPlanNode::decode(bytes).map_err(|_| unreadable("its groups are none"))?;
                let context = PhysicalPlanDecodeContext::new(context, self);
                let aggregate = converter.proto_to_execution_plan(&node, &context)?;
                let aggregate = aggregate.replace_children(vec![Arc::clone(input)], recompute())?;
                WordGroups::over(aggregate).map(|groups| Arc::new(groups) as _)
            }
            (Some((&APART, [])), [input]) => Ok(Arc::new(Apart::new(Arc::clone(input)))),
            _ => Err(unreadable("it is of no node that is known")),
        }
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        out: &mut Vec<u8>,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        if let Some(scan) = node.downcast_ref::<TrailScan>() {
            let (of, parts, query) = scan.told();
            let told = ToldScan::of(&of.wanted, of.limit, parts, query);
            Ok(self.put_scan(of, told, None, out).map_err(PartError::from)?)
        } else if let Some(scan) = node.downcast_ref::<ListedScan>() {
            let of = scan.told();
            let told = ToldScan::of(&of.wanted, of.limit, 1, None);
            Ok(self.put_scan(of, told, rows_of(scan)?, out).map_err(PartError::from)?)
        } else if let Some(scan) = node.downcast_ref::<ReceivedScan>() {
            put_again(SCAN, scan.received(), out);
            Ok(())
        } else if node.is::<Apart>() {
            out.push(APART);
            Ok(())
        } else if let Some(groups) = node.downcast_ref::<WordGroups>() {
            // The input follows by itself.
            let aggregate = groups.aggregate();
            let inputs =
                aggregate.children().into_iter().map(|input| Arc::new(EmptyExec::new(input.schema())) as _);
            let aggregate = Arc::clone(aggregate).replace_children(inputs.collect(), recompute())?;
            out.push(GROUPS);
            out.extend(converter.execution_plan_to_proto(&aggregate, self)?.encode_to_vec());
            Ok(())
        } else {
            Err(DataFusionError::Internal(format!("{} is for no other process", node.name())))
        }
    }
}

impl LogicalExtensionCodec for PlanCodec {
    fn try_decode(&self, _: &[u8], _: &[LogicalPlan], _: &TaskContext) -> Result<Extension> {
        Err(unreadable("logical plans have no nodes of ours"))
    }

    fn try_encode(&self, _: &Extension, _: &mut Vec<u8>) -> Result<()> {
        Err(DataFusionError::Internal("logical plans have no nodes of ours".to_owned()))
    }

    fn try_decode_table_provider(
        &self,
        bytes: &[u8],
        _: &TableReference,
        _: SchemaRef,
        _: &TaskContext,
    ) -> Result<Arc<dyn TableProvider>> {
        match bytes.split_first() {
            Some((&TABLE, bytes)) => Ok(Arc::new(ReceivedTable::new(self.read(bytes)?)?)),
            _ => Err(unreadable("it is of no table")),
        }
    }

    fn try_encode_table_provider(
        &self,
        _: &TableReference,
        table: Arc<dyn TableProvider>,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let any: &dyn Any = table.as_ref();
        let (origin, rows) = if let Some(table) = any.downcast_ref::<TrailTable>() {
            (table.origin().as_ref(), None)
        } else if let Some(table) = any.downcast_ref::<ListedTable>() {
            let all = (0..table.schema().fields().len()).collect();
            let rows = rows_of(&table.scan_of(all, None)?)?;
            (origin_of(table.origin()).map_err(PartError::from)?, rows)
        } else if let Some(table) = any.downcast_ref::<ReceivedTable>() {
            put_again(TABLE, table.received(), out);
            return Ok(());
        } else {
            return Err(DataFusionError::Internal("a table is for no other process".to_owned()));
        };
        let TableOrigin { table, source } = origin;
        let told = Told { rows, ..Told::of(table, source).map_err(PartError::from)? };
        Ok(self.put(TABLE, &told, source, out).map_err(PartError::from)?)
    }
}
