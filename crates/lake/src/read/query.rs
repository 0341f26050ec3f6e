//! What a look-up asks, and what it answers.

use crate::limits::APART_MS;
use gridtrail_inventory::Intervals;
use gridtrail_model::{Anchor, DeviceId, Fragment, Named, ServiceReferenceVariant, Timestamp, TrailKey};
use gridtrail_runs::Requests;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Which rows a look-up is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// The service audit trail: rows of the caller's User IDs (UC_ServiceAudit_001).
    Audit,
    /// Meter-read transactions of all Users: variants 4.8.1, 4.8.2, 4.8.3 and 4.17 (UC_MeterRead_001).
    MeterReads,
}

/// A place in the order of results: newest first, the trail key breaking ties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowPosition {
    /// The row's placement time.
    pub placement: Timestamp,
    /// The row.
    pub key: TrailKey,
}

/// Why a row counts that lies where it is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    /// Its placement time is one of these,
    pub within: Intervals,
    /// and its messages name this.
    pub naming: Option<Named>,
}

impl Counts {
    fn is_true_of(&self, placement: Timestamp, row: &Fragment) -> bool {
        self.within.contains(placement) && self.naming.is_none_or(|named| row.names(named))
    }
}

/// What to look up.
#[derive(Debug, Clone)]
pub struct KeyQuery {
    /// What the rows lie under.
    pub anchor: Anchor,
    /// Only rows whose messages name this.
    pub naming: Option<Named>,
    /// Which rows.
    pub view: View,
    /// Service Reference Variants; empty means all.
    pub variants: Vec<ServiceReferenceVariant>,
    /// Placement time at or after.
    pub from: Option<Timestamp>,
    /// Placement time at or before.
    pub to: Option<Timestamp>,
    /// Only rows after this one in the order of results.
    pub before: Option<RowPosition>,
    /// The most rows to return.
    pub limit: usize,
    /// Just this row.
    pub key: Option<TrailKey>,
    /// Only rows of which a fragment lies at one of these times, given ascending, or which wait there for their request.
    pub at: Option<Arc<[Timestamp]>>,
    /// Only rows that count for one of these reasons; none at all means that every row counts.
    pub counts: Arc<[Counts]>,
    /// Whether it is looked up in vain: as if all that lies there were of others, whoever's it is. Nothing is found.
    pub in_vain: bool,
}

impl KeyQuery {
    /// Every row of a Device in a view, the newest `limit` of them. Struct update syntax narrows it.
    pub fn all(device: DeviceId, view: View, limit: usize) -> Self {
        Self::under(Anchor::Device(device), view, limit)
    }

    /// Every row under an anchor in a view, the newest `limit` of them.
    pub fn under(anchor: Anchor, view: View, limit: usize) -> Self {
        Self {
            anchor,
            naming: None,
            view,
            variants: Vec::new(),
            from: None,
            to: None,
            before: None,
            limit,
            key: None,
            at: None,
            counts: Arc::default(),
            in_vain: false,
        }
    }

    /// Whether a row of a placement time counts.
    pub fn counts(&self, placement: Timestamp, row: &Fragment) -> bool {
        self.counts.is_empty() || self.counts.iter().any(|why| why.is_true_of(placement, row))
    }
}

/// A row that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where it lies.
    pub placement: Timestamp,
    /// The row, all its fragments merged. `Trail::from` makes it readable.
    pub fragment: Fragment,
}

/// What a look-up cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// Runs of which pages were read: what the file list, the filters and the page index left.
    pub runs: u64,
    /// Data pages that were read, of all columns.
    pub pages: u64,
    /// Requests to the store.
    pub requests: u64,
    /// Bytes that they returned.
    pub bytes: u64,
}

impl Cost {
    /// What the requests of a look-up cost.
    pub(crate) fn of_requests(requests: &Requests) -> Self {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Self { requests: count(&requests.gets), bytes: count(&requests.bytes), ..Self::default() }
    }
}

impl std::iter::Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        costs.fold(Self::default(), |sum, cost| Self {
            runs: sum.runs + cost.runs,
            pages: sum.pages + cost.pages,
            requests: sum.requests + cost.requests,
            bytes: sum.bytes + cost.bytes,
        })
    }
}

/// The times at which a look-up looks for fragments: those at which rows of the query may have one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reach {
    pub(crate) from: Option<Timestamp>,
    pub(crate) to: Option<Timestamp>,
}

impl Reach {
    /// So far above the latest row that the query asks for, and a day below the earliest.
    pub(crate) fn of(query: &KeyQuery, above_ms: i64) -> Self {
        Self {
            from: query.from.map(|from| from.plus_millis(-APART_MS)),
            to: latest(query).map(|to| to.plus_millis(above_ms)),
        }
    }
}

/// No row of the query lies later.
pub(crate) fn latest(query: &KeyQuery) -> Option<Timestamp> {
    query.to.into_iter().chain(query.before.map(|before| before.placement)).min()
}
