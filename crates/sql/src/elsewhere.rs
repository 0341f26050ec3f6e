//! Plans that other processes carry out: every node and table of ours as bytes, and back.
//!
//! A scan is told as which columns of which table at which versions of which lake, with the conditions that it took in, and for whom. Rights go
//! with it sealed and bound to that scan ([`RightsKey`]); what opens a lake, its keys and addresses of stores, every process has of its own
//! ([`Lakes`]), and no handle of the process that planned is in it. A scan comes in parts, each of which any process can read that reaches
//! the store; they have no row in common.
//!
//! What is known in one process alone, how fresh the tables are, goes as the rows that it has.
//!
//! Whoever takes a plan in adds what ends it (`yielding`): that is of the statement, not of the plan.

mod codec;
mod node;
mod told;

use crate::answer::{SqlAnswer, Terms};
use crate::error::SqlError;
use crate::growth::{bytes_max, concatenation};
use crate::limits::SqlLimits;
use crate::state::state;
use crate::stop::Stop;
use crate::yielding::begin_part;
use async_trait::async_trait;
use datafusion::common::tree_node::TreeNode as _;
use datafusion::execution::FunctionRegistry as _;
use datafusion::execution::session_state::SessionState;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec, SymmetricHashJoinExec,
};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion_proto::bytes::{
    physical_plan_from_bytes_with_extension_codec, physical_plan_to_bytes_with_extension_codec,
};
use gridtrail_access::RightsKey;
use gridtrail_lake::Lake;
use gridtrail_runtime::Clock;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Where a process finds the lakes that plans of others name.
#[async_trait]
pub trait Lakes: fmt::Debug + Send + Sync {
    /// The lake of an address ([`Lake::address`]), as new as what the plan was made of.
    ///
    /// Errors: `Lake` where it cannot be opened; `Refused` where it is none that this process reads.
    async fn lake(&self, address: &str) -> Result<Lake, SqlError>;
}

/// Plans as bytes, and back: one for all statements of a process. Clones share their key.
#[derive(Debug, Clone)]
pub struct PlanCodec {
    lakes: Arc<dyn Lakes>,
    key: RightsKey,
    clock: Clock,
    /// How long what is sealed can be opened.
    life: Duration,
}

/// A plan for other processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanBytes {
    /// The plan. It tells whoever has it what is asked for, and nothing that they could ask with.
    pub bytes: Vec<u8>,
    /// Its parts: each can be carried out by itself. One, where rows of one part have to do with those of another.
    pub parts: usize,
}

impl PlanCodec {
    /// A codec of processes that share a key, and lakes. What is sealed can be opened for as long as a statement may take.
    pub fn new(lakes: Arc<dyn Lakes>, key: RightsKey, clock: Clock, life: Duration) -> Self {
        Self { lakes, key, clock, life }
    }

    /// A plan as bytes.
    ///
    /// Errors: `Refused` where a table is none that another process can read; `Internal`.
    pub(crate) fn encode(&self, plan: Arc<dyn ExecutionPlan>) -> Result<PlanBytes, SqlError> {
        let is_whole = plan.properties().partitioning.partition_count() <= 1;
        let plan = match is_whole || comes_apart(&plan)? {
            true => plan,
            false => Arc::new(CoalescePartitionsExec::new(plan)) as _,
        };
        let parts = plan.properties().partitioning.partition_count();
        let bytes = physical_plan_to_bytes_with_extension_codec(plan, self)?;
        Ok(PlanBytes { bytes: bytes.to_vec(), parts })
    }

    /// Carries out one part of a plan that another process made, within limits of this one: its memory and its time, not the statement's.
    /// Whoever planned it ends it where rights are lost, by dropping it.
    ///
    /// Errors: every kind. `Access` where what was sealed is too old, was altered, or is by another key.
    pub fn carry_out(&self, plan: &[u8], part: usize, limits: &SqlLimits) -> Result<SqlAnswer, SqlError> {
        let context = receiving(limits)?.task_ctx();
        let plan = physical_plan_from_bytes_with_extension_codec(plan, &context, self)?;
        if part >= plan.properties().partitioning.partition_count() {
            return Err(SqlError::Internal("there is no such part of a plan".to_owned()));
        }
        let began = Instant::now();
        let until = began + limits.time;
        let stop = Stop::at(until);
        let rows = begin_part((plan, part), context, &stop)?;
        let (who, rights, clock) = (None, None, self.clock.clone());
        let terms = Terms { who, rights, clock, began, begun_by: until, until, stop };
        Ok(SqlAnswer::new(rows, terms, None))
    }
}

/// What plans of other processes are carried out in: memory within these limits, the functions of the lists, and what signs of statements stand for.
fn receiving(limits: &SqlLimits) -> Result<SessionState, SqlError> {
    let mut state = state(limits)?;
    state.register_udf(concatenation(bytes_max(limits)))?;
    Ok(state)
}

/// Whether each part of a plan has its rows whatever becomes of the others. Where rows change their part, or a join tells in its last part which rows
/// found no other, somebody has to carry out all of it.
fn comes_apart(plan: &Arc<dyn ExecutionPlan>) -> Result<bool, SqlError> {
    let is_shared = |node: &Arc<dyn ExecutionPlan>| {
        Ok(node.is::<RepartitionExec>()
            || node.is::<CrossJoinExec>()
            || node.is::<HashJoinExec>()
            || node.is::<NestedLoopJoinExec>()
            || node.is::<SortMergeJoinExec>()
            || node.is::<SymmetricHashJoinExec>())
    };
    Ok(!plan.exists(is_shared)?)
}

#[cfg(test)]
mod tests;
