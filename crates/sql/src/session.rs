//! The secured session: the only way to a statement's answer.

use crate::admission::{Admitted, admit, admit_plan};
use crate::answer::{SqlAnswer, Terms};
use crate::asking::Asking;
use crate::catalogue::Catalogue;
use crate::error::SqlError;
use crate::limits::{BATCH_ROWS_OF_LONG_STATEMENTS, LONG_STATEMENT_BYTES, SqlLimits};
use crate::parameters;
use crate::past::{PastTable, name_tables};
use crate::prepared::Prepared;
use crate::record::{Record, Recording};
use crate::rights::Rights;
use crate::state::state;
use crate::statement::Words;
use crate::table::{Source, TableInfo};
use crate::tables::freshness::Freshened;
use crate::weight::weigh;
use arrow::array::RecordBatch;
use datafusion::execution::session_state::SessionState;
use gridtrail_access::{Access, Component};
use gridtrail_lake::{AsOf, Lake, Snapshot};
use gridtrail_model::{DeviceId, Timestamp};
use gridtrail_runtime::Clock;
use gridtrail_search::InventoryRules;
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// A session of one caller over one snapshot.
///
/// It is made for the rights that its caller has then. Whoever asks again later, or with other rights, gets another session: no plan and no
/// memory is shared between two.
pub struct SecuredSession {
    state: SessionState,
    /// Of the source, once a statement asks for it.
    catalogue: OnceLock<Catalogue>,
    source: Source,
    asking: Asking,
}

impl std::fmt::Debug for SecuredSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecuredSession").finish_non_exhaustive()
    }
}

impl SecuredSession {
    /// A session over a snapshot, with the tables that the caller's Job Type Roles allow.
    ///
    /// Errors: `Access` where the access is over or the caller has no role.
    pub fn new(
        snapshot: &Arc<Snapshot>,
        who: &Access,
        clock: Clock,
        limits: SqlLimits,
    ) -> Result<Self, SqlError> {
        who.require_any_role(clock.now())?;
        Self::of(snapshot, Some(who.clone()), clock, limits)
    }

    /// A session of an operator: the tables of what became of records that came in. Nothing in them is filtered, so whoever makes one must
    /// have made sure that it is for somebody who may read the lake's files; no Job Type Role leads here.
    ///
    /// Errors: `Internal`.
    pub fn of_operator(lake: &Lake, clock: Clock, limits: SqlLimits) -> Result<Self, SqlError> {
        Ok(Self::of(&lake.snapshot(), None, clock, limits)?.with_past_of(lake))
    }

    fn of(
        snapshot: &Arc<Snapshot>,
        who: Option<Access>,
        clock: Clock,
        limits: SqlLimits,
    ) -> Result<Self, SqlError> {
        let (snapshot, parts) = ((Arc::clone(snapshot), clock.now()), limits.parts);
        Self::over_source(Source::new(snapshot, who, parts), clock, limits)
    }

    /// A session of the standard reports (UC_Reports_001): the tables that they read, of what pertains to the caller, whether or not their roles
    /// may search for it. Statements of callers have no place in it: whoever makes one asks what a report asks.
    ///
    /// Errors: `Access` where the access is over or the caller's roles have no reports.
    pub fn of_reports(
        snapshot: &Arc<Snapshot>,
        who: &Access,
        clock: Clock,
        limits: SqlLimits,
    ) -> Result<Self, SqlError> {
        let now = clock.now();
        who.require(Component::Reporting, now)?;
        let source = Source::new((Arc::clone(snapshot), now), Some(who.clone()), limits.parts);
        let inventory = Some(InventoryRules { at: now, every_type_two: false });
        Self::over_source(Source { inventory, is_of_reports: true, ..source }, clock, limits)
    }

    fn over_source(source: Source, clock: Clock, limits: SqlLimits) -> Result<Self, SqlError> {
        let (who, version) = (source.who.clone(), source.snapshot.version().clone());
        let (time, begin_within) = (limits.time, limits.time);
        let asking = Asking { who, version, rights: None, recording: None, clock, time, begin_within };
        Ok(Self { state: state(&limits)?, catalogue: OnceLock::new(), source, asking })
    }

    /// Lets statements look back, `audit_trails_at('2026-03-01T09:30:00Z')` and the like, within the window that the lake keeps.
    #[must_use]
    pub fn with_past_of(self, lake: &Lake) -> Self {
        self.over(|source| Source { lake: Some(lake.clone()), ..source })
    }

    /// Lets statements ask of the caller's own calls, where the access log of this lake has them.
    #[must_use]
    pub fn with_calls_of(self, lake: &Lake) -> Self {
        self.over(|source| Source { calls: Some(lake.clone()), ..source })
    }

    /// Lets statements ask how fresh the tables are.
    #[must_use]
    pub fn with_freshness(self, freshness: Freshened) -> Self {
        self.over(|source| Source { freshness: Some(freshness), ..source })
    }

    /// Lets statements ask of the inventory, as it is at this instant. `every_type_two`: Type 2 Devices other than In-Home Displays are shown, too,
    /// which the Code does not ask for (H8.16(a)).
    #[must_use]
    pub fn with_inventory(self, every_type_two: bool) -> Self {
        let rules = InventoryRules { at: self.asking.clock.now(), every_type_two };
        self.over(|source| Source { inventory: Some(rules), ..source })
    }

    /// Has schedules shown to be due after another time than that at which the session was made: after the end of a period that is past.
    #[must_use]
    pub fn with_due_after(self, due_after: Timestamp) -> Self {
        self.over(|source| Source { due_after, ..source })
    }

    /// Has the history of the inventory read of these Devices alone.
    #[must_use]
    pub fn with_history_of(self, devices: BTreeSet<DeviceId>) -> Self {
        self.over(|source| Source { history_of: Some(Arc::new(devices)), ..source })
    }

    fn over(self, change: impl FnOnce(Source) -> Source) -> Self {
        Self { catalogue: OnceLock::new(), source: change(self.source), ..self }
    }

    fn catalogue(&self) -> &Catalogue {
        self.catalogue.get_or_init(|| {
            let tables = self.source.tables().into_iter();
            Catalogue::of(tables.map(|(table, provider)| (table.name.to_owned(), provider)))
        })
    }

    /// Ends statements within a second once their caller may no longer see what they were begun with.
    #[must_use]
    pub fn with_rights(self, rights: Rights) -> Self {
        Self { asking: Asking { rights: Some(rights), ..self.asking }, ..self }
    }

    /// Ends statements that have not begun to give rows by a time, where that is less than they may take.
    #[must_use]
    pub fn begun_within(self, begin_within: Duration) -> Self {
        Self { asking: Asking { begin_within, ..self.asking }, ..self }
    }

    /// Records each statement in an access log: who asked what, how it ended, and how many rows it showed and read of others. What cannot be
    /// recorded is not answered.
    #[must_use]
    pub fn recorded(self, recording: Recording) -> Self {
        Self { asking: Asking { recording: Some(recording), ..self.asking }, ..self }
    }

    /// The tables of the session, by name: those that its caller's roles allow.
    pub fn tables(&self) -> Vec<TableInfo> {
        self.source.tables().into_iter().map(|(table, _)| table.info()).collect()
    }

    /// Answers one statement.
    ///
    /// Errors: every kind. Cancel-safe: nothing goes on when the answer is dropped.
    pub async fn query(&self, statement: &str) -> Result<SqlAnswer, SqlError> {
        self.answer(statement, None).await
    }

    /// Answers one statement that has parameters: one row of values, in the order of their numbers, each cast to its parameter's type.
    ///
    /// Errors: every kind. Cancel-safe.
    pub async fn execute(&self, statement: &str, values: &RecordBatch) -> Result<SqlAnswer, SqlError> {
        self.answer(statement, Some(values)).await
    }

    /// The time of a statement begins here, and its planning is of it.
    async fn answer(&self, statement: &str, values: Option<&RecordBatch>) -> Result<SqlAnswer, SqlError> {
        let terms = self.asking.terms();
        let prepared = self.prepare_within(&terms, statement).await?;
        prepared.execute_within(terms, values).await
    }

    /// Reads and plans a statement, whose parameters are called `$1`, `$2` and so on, or `?` each. Nothing is read of any row.
    ///
    /// Errors: every kind but `Expression`. Cancel-safe.
    pub async fn prepare(&self, statement: &str) -> Result<Prepared<'_>, SqlError> {
        self.prepare_within(&self.asking.terms(), statement).await
    }

    async fn prepare_within(&self, terms: &Terms, statement: &str) -> Result<Prepared<'_>, SqlError> {
        let mut record = self.asking.record(terms)?;
        let planning = async {
            terms.require()?;
            self.plan(statement, &mut record).await
        };
        let prepared = terms.begun(Box::pin(planning)).await;
        match prepared {
            Ok(prepared) => Ok(prepared.recorded(record)),
            Err(error) => {
                if let Some(record) = record {
                    record.end(Err(&error));
                }
                Err(error)
            }
        }
    }

    async fn plan(&self, text: &str, record: &mut Option<Record>) -> Result<Prepared<'_>, SqlError> {
        let words = Words::of(text)?;
        let (is_explained, mut statement) = match admit(words.statement()?)? {
            Admitted::Query(statement) => (false, statement),
            Admitted::Explain(statement) => (true, statement),
        };
        let recorded = words.recorded();
        if let Some(record) = record {
            record.asked(recorded.clone());
        }
        weigh(&statement)?;
        let catalogue = self.catalogue_for(&mut statement).await?;
        let mut state = self.state.clone();
        state.register_catalog_list(Arc::new(catalogue.clone()));
        // What `now()` gives: one time for the whole statement.
        state.mark_start_execution();
        if text.len() > LONG_STATEMENT_BYTES {
            let config = state.config().clone().with_batch_size(BATCH_ROWS_OF_LONG_STATEMENTS);
            *state.config_mut() = config;
        }
        let plan = state.statement_to_plan(statement).await?;
        admit_plan(&plan, &catalogue)?;
        let (plan, parameters) = parameters::typed(plan)?;
        Ok(Prepared::new(&self.asking, (state, plan), parameters, (is_explained, recorded)))
    }

    /// The tables of the session, and those of the past that a statement asks for.
    async fn catalogue_for(
        &self,
        statement: &mut datafusion::sql::parser::Statement,
    ) -> Result<Catalogue, SqlError> {
        let past = name_tables(statement, |name: &str| self.source.with_past(name).is_some())?;
        let mut then: HashMap<AsOf, Source> = HashMap::new();
        let mut named = Vec::new();
        for (name, PastTable { table, as_of }) in past {
            let source = match then.entry(as_of) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => {
                    let Some(lake) = &self.source.lake else {
                        return Err(SqlError::Statement("this session does not look back".to_owned()));
                    };
                    let snapshot = lake.snapshot_as_of(as_of).await.map_err(SqlError::of_moment)?;
                    unknown.insert(Source { snapshot, ..self.source.clone() })
                }
            };
            let found = source.with_past(&table).and_then(|table| table.over(source));
            named.extend(found.map(|table| (name, table)));
        }
        Ok(if named.is_empty() { self.catalogue().clone() } else { self.catalogue().with_unlisted(named) })
    }
}
