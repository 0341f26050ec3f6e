//! What the engine of a session knows: tables, the functions of the lists, memory of its own, and no file or address.

use crate::catalogue::{CATALOGUE, Catalogue, SCHEMA};
use crate::columns::UTC;
use crate::error::SqlError;
use crate::functions;
use crate::groups::GroupByWords;
use crate::growth::bytes_max;
use crate::limits::{BATCH_ROWS, MERGE_BYTES, SqlLimits};
use crate::pool::SpillingPool;
use crate::sorted_groups::SortGroups;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, MemoryPool};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::SessionConfig;
use std::sync::Arc;

/// The state of a session. It has no tables: each statement is given those that it may name.
pub(crate) fn state(limits: &SqlLimits) -> Result<SessionState, SqlError> {
    let mut config = SessionConfig::new()
        .with_create_default_catalog_and_schema(false)
        .with_default_catalog_and_schema(CATALOGUE, SCHEMA)
        .with_information_schema(true)
        .with_collect_statistics(false)
        .with_batch_size(BATCH_ROWS)
        .with_target_partitions(parts(limits));
    let execution = &mut config.options_mut().execution;
    execution.enable_recursive_ctes = false;
    // What a sort sets aside to read again what it wrote: by a pool of its own there is always as much.
    execution.sort_spill_reservation_bytes = MERGE_BYTES.min(limits.memory_bytes / 64);
    // Times of statements are of the zone that columns are of.
    execution.time_zone = Some(UTC.to_owned());
    let mut rules = PhysicalOptimizer::new().rules;
    if limits.spill.is_some() {
        rules.push(Arc::new(SortGroups));
    }
    rules.push(Arc::new(GroupByWords));
    let builder = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime(limits)?)
        .with_catalog_list(Arc::new(Catalogue::default()))
        .with_physical_optimizer_rules(rules);
    Ok(functions::register(builder, bytes_max(limits)).build())
}

fn parts(limits: &SqlLimits) -> usize {
    usize::try_from(limits.parts.get()).unwrap_or(1)
}

fn runtime(limits: &SqlLimits) -> Result<Arc<RuntimeEnv>, SqlError> {
    let disk = match &limits.spill {
        Some(spill) => DiskManagerBuilder::default().with_temp_file_factory(spill.of_session()),
        None => DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled),
    };
    let pool: Arc<dyn MemoryPool> = match &limits.spill {
        Some(_) => Arc::new(SpillingPool::new(limits.memory_bytes, parts(limits))),
        None => Arc::new(FairSpillPool::new(limits.memory_bytes)),
    };
    let runtime =
        RuntimeEnvBuilder::new().with_memory_pool(pool).with_disk_manager_builder(disk).build_arc()?;
    // The engine's own: nothing reads files of a name here, and nothing is to begin to.
    let files = ObjectStoreUrl::local_filesystem();
    runtime.deregister_object_store(files.as_ref())?;
    Ok(runtime)
}
