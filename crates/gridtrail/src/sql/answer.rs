//! Who answers statements, and their answers: this process, over a lake's files, or a server.

use super::local::Local;
use crate::client::Caller;
use crate::exit::Failure;
use arrow_flight::decode::FlightRecordBatchStream;
use futures::StreamExt as _;
use gridtrail_sql::{RecordBatch, SchemaRef, SqlAnswer};

/// Who answers statements.
pub(super) enum Asking<'a> {
    /// Sessions in this process.
    Local(&'a Local<'a>),
    /// A server.
    Remote(&'a Caller),
}

/// The answer to a statement.
pub(super) enum Answer {
    Local(Box<SqlAnswer>),
    Remote { caller: Caller, columns: SchemaRef, rows: Box<FlightRecordBatchStream> },
}

impl Asking<'_> {
    /// Asks one statement.
    pub(super) async fn ask(&self, statement: &str) -> Result<Answer, Failure> {
        match self {
            Self::Local(local) => {
                Ok(Answer::Local(Box::new(local.session(statement).await?.query(statement).await?)))
            }
            Self::Remote(caller) => {
                let (columns, rows) = caller.sql(statement).await?;
                Ok(Answer::Remote { caller: (*caller).clone(), columns, rows: Box::new(rows) })
            }
        }
    }
}

impl Answer {
    /// The columns.
    pub(super) fn schema(&self) -> SchemaRef {
        match self {
            Self::Local(answer) => answer.schema(),
            Self::Remote { columns, .. } => SchemaRef::clone(columns),
        }
    }

    /// The next rows; `None` at the end. Dropped before, the statement is given up.
    pub(super) async fn next(&mut self) -> Result<Option<RecordBatch>, Failure> {
        match self {
            Self::Local(answer) => Ok(answer.next().await?),
            Self::Remote { caller, rows, .. } => match rows.next().await {
                None => Ok(None),
                Some(Ok(batch)) => Ok(Some(batch)),
                Some(Err(error)) => Err(caller.broken(error).await),
            },
        }
    }
}
