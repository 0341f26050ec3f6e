//! Carrying a report out.

use crate::about::About;
use crate::argument::Arguments;
use crate::cell::data_type;
use crate::error::ReportError;
use crate::report::{ColumnKind, Report};
use crate::statement::Statement;
use arrow::array::{ArrayRef, AsArray as _, RecordBatch, RecordBatchOptions};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use gridtrail_access::{Access, Component, Sharing};
use gridtrail_lake::Snapshot;
use gridtrail_model::{DeviceId, Timestamp, UserId};
use gridtrail_runtime::Clock;
use gridtrail_sql::{SecuredSession, SqlAnswer, SqlLimits};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A report that somebody asked for and may have: what they asked, and the rights that it is made under.
#[derive(Debug)]
pub struct Order<'a> {
    report: &'a Report,
    arguments: Arguments,
    who: Access,
}

impl Report {
    /// An order of this report for a caller: of all User IDs whose rows they see, or of some of these.
    ///
    /// Errors: `Access`, `NotYours`; `Internal` where the arguments are another report's.
    pub fn order(
        &self,
        arguments: Arguments,
        (who, user_ids): (&Access, &BTreeSet<UserId>),
        now: Timestamp,
    ) -> Result<Order<'_>, ReportError> {
        who.require(Component::Reporting, now)?;
        if !arguments.are_of(self) {
            return Err(ReportError::Internal("it was asked of another report".to_owned()));
        }
        if let Some(other) = user_ids.iter().find(|id| !who.user_ids().contains(id)) {
            return Err(ReportError::NotYours(*other));
        }
        let who = if user_ids.is_empty() { who.clone() } else { who.narrowed_to(user_ids) };
        Ok(Order { report: self, arguments, who })
    }
}

impl Order<'_> {
    /// The rights that it is made under.
    pub const fn who(&self) -> &Access {
        &self.who
    }

    /// Carries the report out over a snapshot. `dress` may give the session what it is to look after beside: a log, the rights of its caller.
    ///
    /// Errors: `Access`, `Sql`, `Column`. Cancel-safe: nothing goes on when what it gives is dropped.
    pub async fn run(
        &self,
        (snapshot, sharing): (&Arc<Snapshot>, &Sharing),
        (clock, limits): (Clock, SqlLimits),
        dress: impl FnOnce(SecuredSession) -> SecuredSession,
    ) -> Result<ReportRows, ReportError> {
        let about = self.about((snapshot, sharing), clock.now());
        self.carry_out(about, snapshot, (clock, limits), dress).await
    }

    /// The same for whoever has told what the report says of itself before there is a row of it. The snapshot is that which it was told of.
    ///
    /// Errors: as those of [`Order::run`]. Cancel-safe.
    pub async fn carry_out(
        &self,
        about: About,
        snapshot: &Arc<Snapshot>,
        (clock, limits): (Clock, SqlLimits),
        dress: impl FnOnce(SecuredSession) -> SecuredSession,
    ) -> Result<ReportRows, ReportError> {
        // Of a period that is past, what was due after it.
        let due_after = self.arguments.until().map_or(about.made_at, |until| until.min(about.made_at));
        let session = SecuredSession::of_reports(snapshot, &self.who, clock, limits)?;
        let mut session = dress(session.with_due_after(due_after));
        if let Some(statement) = &self.report.history_of {
            let devices = self.devices(&session, statement, about.made_at).await?;
            session = session.with_history_of(devices);
        }
        let answer = self.answer(&session, &self.report.statement, about.made_at).await?;
        ReportRows::new(self.report, about, answer)
    }

    async fn answer(
        &self,
        session: &SecuredSession,
        statement: &Statement,
        made_at: Timestamp,
    ) -> Result<SqlAnswer, ReportError> {
        let values = self.report.bound(statement, &self.arguments, (self.who.user_ids(), made_at));
        let values = values.map_err(|error| ReportError::Internal(error.to_string()))?;
        Ok(match values.num_columns() {
            0 => Box::pin(session.query(statement.text())).await?,
            _ => Box::pin(session.execute(statement.text(), &values)).await?,
        })
    }

    /// The Devices that a statement gives in its first column.
    async fn devices(
        &self,
        session: &SecuredSession,
        statement: &Statement,
        made_at: Timestamp,
    ) -> Result<BTreeSet<DeviceId>, ReportError> {
        let mut answer = self.answer(session, statement, made_at).await?;
        let mut devices = BTreeSet::new();
        while let Some(batch) = answer.next().await? {
            let ids = cast_with_options(batch.column(0), &DataType::Utf8, &CastOptions::default());
            let ids = ids.map_err(|error| ReportError::Internal(format!("Devices are no texts: {error}")))?;
            let ids = ids.as_string::<i32>().iter().flatten();
            devices.extend(ids.filter_map(|id| id.parse::<DeviceId>().ok()));
        }
        Ok(devices)
    }

    /// What the report says of itself, made of a snapshot at a time.
    pub fn about(&self, (snapshot, sharing): (&Snapshot, &Sharing), made_at: Timestamp) -> About {
        let freshness = self.report.freshness(snapshot.complete_up_to());
        let user_ids = self.who.user_ids().to_set();
        About {
            report: self.report.name.clone(),
            title: self.report.title.clone(),
            version: self.report.version,
            users: user_ids.iter().map(|id| sharing.organisation_id(*id, made_at).to_string()).collect(),
            party: self.who.party().to_string(),
            asked_by: self.who.subject().to_owned(),
            parameters: self.arguments.shown().map(|(name, value)| (name.to_owned(), value)).collect(),
            complete_up_to: freshness.complete_up_to,
            fresh_enough: freshness.is_met(made_at),
            needed_up_to: None,
            lake_version: snapshot.version().to_string(),
            made_at,
        }
    }
}

/// The rows of a report, a batch at a time, each column of the type that its manifest says.
#[derive(Debug)]
pub struct ReportRows {
    report: String,
    about: About,
    kinds: Vec<ColumnKind>,
    schema: SchemaRef,
    answer: SqlAnswer,
}

impl ReportRows {
    fn new(report: &Report, about: About, answer: SqlAnswer) -> Result<Self, ReportError> {
        let kinds: Vec<ColumnKind> = report.columns.iter().map(|column| column.kind).collect();
        for (column, field) in report.columns.iter().zip(answer.schema().fields()) {
            if !is_of_kind(field.data_type(), column.kind) {
                return Err(ReportError::Column {
                    report: report.name.clone(),
                    column: column.name.clone(),
                    expected: column.kind.name(),
                    found: field.data_type().to_string(),
                });
            }
        }
        let schema = schema_of(report);
        Ok(Self { report: report.name.clone(), about, kinds, schema, answer })
    }

    /// The same rows, which say of themselves up to when they were to be complete.
    #[must_use]
    pub fn needed_up_to(mut self, at: Timestamp) -> Self {
        self.about.needed_up_to = Some(at);
        self
    }

    /// What the report says of itself.
    pub const fn about(&self) -> &About {
        &self.about
    }

    /// The next rows; `None` at the end.
    ///
    /// Errors: `Sql`, and `Internal` where a value does not fit its column.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, ReportError> {
        let Some(batch) = self.answer.next().await? else { return Ok(None) };
        let options = CastOptions { safe: false, ..CastOptions::default() };
        let columns = batch.columns().iter().zip(&self.kinds);
        let columns = columns.map(|(column, kind)| cast_with_options(column, &data_type(*kind), &options));
        let failed = |error: arrow::error::ArrowError| {
            ReportError::Internal(format!("a value of {} does not fit its column: {error}", self.report))
        };
        let columns: Vec<ArrayRef> = columns.collect::<Result<_, _>>().map_err(failed)?;
        let count = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let rows = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &count);
        rows.map(Some).map_err(failed)
    }
}

/// The columns of a report's batches.
pub(crate) fn schema_of(report: &Report) -> SchemaRef {
    let field = |column: &crate::report::Column| Field::new(&column.name, data_type(column.kind), true);
    Arc::new(Schema::new(report.columns.iter().map(field).collect::<Vec<_>>()))
}

/// Whether values of a type are what a column says, whatever their width.
fn is_of_kind(found: &DataType, kind: ColumnKind) -> bool {
    match kind {
        ColumnKind::Text => match found {
            DataType::Dictionary(_, value) => is_of_kind(value, kind),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
            _ => false,
        },
        ColumnKind::Number => found.is_integer(),
        ColumnKind::Decimal => found.is_floating(),
        // Without a zone nobody knows which instant it is.
        ColumnKind::Time | ColumnKind::UkTime => matches!(found, DataType::Timestamp(_, Some(_))),
        ColumnKind::Date => matches!(found, DataType::Date32),
        ColumnKind::Flag => matches!(found, DataType::Boolean),
    }
}
