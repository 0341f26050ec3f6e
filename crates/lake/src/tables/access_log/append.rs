//! Adding rows for a server.

use super::{counted, heads_of, upload};
use crate::month::Month;
use crate::site::Site;
use async_trait::async_trait;
use gridtrail_access_log::{Head, LogStore, Row, StoreFailed};
use gridtrail_runs::{Changes, Move, RunsError, Table};
use std::collections::BTreeMap;

/// Adds rows to the access log of a lake.
#[derive(Debug)]
pub struct Appender {
    site: Site,
    table: Table,
}

impl Appender {
    pub(crate) const fn new(site: Site, table: Table) -> Self {
        Self { site, table }
    }

    async fn add(&mut self, rows: &[Row]) -> Result<(), RunsError> {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(()) };
        self.table.refresh().await?;
        let app_id = counted(last.chain);
        let to = last.seq.cast_signed();
        // Rows that the table has counted are there: an answer was lost.
        if self.table.position(&app_id).is_some_and(|at| at >= to) {
            return Ok(());
        }
        let mut months: BTreeMap<Month, Vec<Row>> = BTreeMap::new();
        for row in rows {
            months.entry(Month::of(row.entry.at)).or_default().push(row.clone());
        }
        let mut add = Vec::new();
        for (month, rows) in months {
            add.push(upload(&self.table, month, rows).await?);
        }
        let from = first.seq.checked_sub(1).map(u64::cast_signed);
        let now_ms = self.site.now().millis();
        let moves = vec![Move { app_id, from, to }];
        match self.table.commit(&Changes { add, moves, now_ms, ..Changes::default() }).await {
            Err(RunsError::PositionMoved { found, .. }) if found >= to => Ok(()),
            done => done.map(drop),
        }
    }
}

#[async_trait]
impl LogStore for Appender {
    async fn heads(&mut self) -> Result<Vec<Head>, StoreFailed> {
        self.table.refresh().await.map_err(StoreFailed::new)?;
        Ok(heads_of(self.table.files().iter()))
    }

    async fn append(&mut self, rows: &[Row]) -> Result<(), StoreFailed> {
        self.add(rows).await.map_err(StoreFailed::new)
    }
}
