//! The searches themselves.

use crate::error::SearchError;
use crate::limits::{DEVICES_MAX, LOOKUPS_AT_ONCE};
use crate::query::{Checked, Executed, Query, Target};
use crate::reference::TrailRef;
use crate::store::{Pinned, Store, StoreError};
use crate::token::{PageKey, PageToken, Shown, gone};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use gridtrail_access::{Access, Component};
use gridtrail_lake::{Cost, Found, KeyQuery, LakeErrorKind, RowPosition, SnapshotVersion, View};
use gridtrail_model::{Anchor, DeviceId, Merge as _, Named, Timestamp, Trail};
use gridtrail_runtime::Clock;
use std::fmt;
use std::sync::Arc;

/// Answers searches over one store. Clones share it.
#[derive(Clone)]
pub struct Search {
    store: Arc<dyn Store>,
    clock: Clock,
    page_key: PageKey,
}

impl fmt::Debug for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Search").finish_non_exhaustive()
    }
}

/// How the Devices of a search were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceResolution {
    /// The query named the Device.
    Direct,
    /// By the pairs of MPxN and Device seen in events. A Device never seen with the MPxN is missing.
    BySeenPairs,
}

/// One row of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Names the row for [`Search::audit_trail`] or [`Search::meter_read`].
    pub reference: TrailRef,
    /// The Device by which the row was found; `None` for one that was found by its meter point or User alone.
    pub matched_device: Option<DeviceId>,
    /// The row.
    pub trail: Trail,
}

/// One page of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The rows, newest first: by placement time, then by trail key, both descending.
    pub rows: Vec<Row>,
    /// Where the next page starts; `None` on the last.
    pub next_page_token: Option<String>,
    /// Freshness: everything recorded before this time, UTC, is in the answer.
    pub complete_up_to: Option<Timestamp>,
    /// The version that every page of this search is answered at.
    pub version: SnapshotVersion,
    /// How the Devices were found.
    pub resolution: DeviceResolution,
    /// What was looked up: what is recorded of the search.
    pub executed: Executed,
    /// What finding the rows cost.
    pub cost: Cost,
}

/// One row, by its reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The row.
    pub row: Row,
    /// Freshness, as in [`Page`].
    pub complete_up_to: Option<Timestamp>,
    /// The version that this was answered at.
    pub version: SnapshotVersion,
}

impl Search {
    /// A search over `store`, which tells the time by `clock` and seals page tokens with `page_key`.
    pub fn new(store: impl Store, clock: Clock, page_key: PageKey) -> Self {
        Self { store: Arc::new(store), clock, page_key }
    }

    /// One page of the service audit trail of the caller's own User IDs.
    ///
    /// Errors: every kind but `NotFound`. Cancel-safe. Source: UC_ServiceAudit_001, UC_ServiceAudit_002.
    pub async fn audit_trails(&self, who: &Access, query: &Query) -> Result<Page, SearchError> {
        self.page(View::Audit, who, query).await
    }

    /// One page of the meter-read transactions of all Users.
    ///
    /// Errors: every kind but `NotFound`; `Invalid` for a variant that is no meter read. Cancel-safe. Source:
    /// UC_MeterRead_001.
    pub async fn meter_reads(&self, who: &Access, query: &Query) -> Result<Page, SearchError> {
        self.page(View::MeterReads, who, query).await
    }

    /// One row of the caller's own audit trail.
    ///
    /// Errors: `NotFound`, in the same words for a row of another User and for none at all. Cancel-safe.
    pub async fn audit_trail(&self, who: &Access, reference: &TrailRef) -> Result<Answer, SearchError> {
        self.row(View::Audit, who, reference).await
    }

    /// One meter-read transaction of any User.
    ///
    /// Errors: `NotFound`, in the same words for a row of another variant and for none at all. Cancel-safe.
    pub async fn meter_read(&self, who: &Access, reference: &TrailRef) -> Result<Answer, SearchError> {
        self.row(View::MeterReads, who, reference).await
    }

    async fn page(&self, view: View, who: &Access, query: &Query) -> Result<Page, SearchError> {
        let now = self.clock.now();
        who.require(component_of(view), now)?;
        let checked = Checked::of(view, query)?;
        let Some(text) = &query.page_token else {
            let expires_at = PageToken::expiry_from(now);
            let snapshot = match query.as_of {
                None => self.store.newest(),
                Some(as_of) => self.store.as_of(as_of).await.map_err(out_of_reach)?,
            };
            return self.page_of(snapshot, who, &checked, None, expires_at).await;
        };
        let token = self.page_key.open(text, who, &checked, now)?;
        let snapshot = self.store.at(&token.version).await.map_err(|error| match error.kind() {
            LakeErrorKind::VersionGone => gone(),
            _ => error.into(),
        })?;
        // Rights on a page are those of the first page and of now, both.
        let narrowed = token.shown.narrow(who)?;
        self.page_of(snapshot, &narrowed, &checked, Some(token.last), token.expires_at).await
    }

    async fn page_of(
        &self,
        snapshot: Arc<dyn Pinned>,
        who: &Access,
        query: &Checked,
        before: Option<RowPosition>,
        expires_at: Timestamp,
    ) -> Result<Page, SearchError> {
        let (sought, resolution) = sought(&*snapshot, who, query).await?;
        let (mut rows, cost) = newest_rows(&*snapshot, who, query, before, &sought).await?;
        let is_last = rows.len() <= query.page_size;
        rows.truncate(query.page_size);
        let next_page_token = match rows.last() {
            Some(row) if !is_last => {
                let version = snapshot.version().clone();
                let (last, shown) = (row.reference.position, Shown::of(query.view, who));
                let token = PageToken { version, last, shown, expires_at };
                Some(self.page_key.seal(&token, who, query)?)
            }
            _ => None,
        };
        Ok(Page {
            rows,
            next_page_token,
            complete_up_to: snapshot.complete_up_to(),
            version: snapshot.version().clone(),
            resolution,
            executed: query.executed(),
            cost,
        })
    }

    async fn row(&self, view: View, who: &Access, reference: &TrailRef) -> Result<Answer, SearchError> {
        who.require(component_of(view), self.clock.now())?;
        let snapshot = self.store.newest();
        let TrailRef { anchor, matched, position } = *reference;
        let sought = Sought::under(anchor, matched);
        // The row may have moved to an earlier place since the reference was given, so a miss looks everywhere.
        // A row that the caller may not see misses in the same way as one that does not exist.
        for place in [Some(position.placement), None] {
            let key = Some(position.key);
            let query = KeyQuery { from: place, to: place, key, ..sought.query(view, 1) };
            if let Some(found) = snapshot.lookup(who, &query).await?.0.into_iter().next() {
                return Ok(Answer {
                    row: row_of(sought, &found),
                    complete_up_to: snapshot.complete_up_to(),
                    version: snapshot.version().clone(),
                });
            }
        }
        Err(SearchError::NotFound)
    }
}

const fn component_of(view: View) -> Component {
    match view {
        View::Audit => Component::ServiceAudit,
        View::MeterReads => Component::MeterReads,
    }
}

/// One look-up of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sought {
    anchor: Anchor,
    /// Only the rows that name this, of all that lie there.
    naming: Option<Named>,
    /// The Device that its rows are found by.
    matched: Option<DeviceId>,
}

impl Sought {
    /// What lies under an anchor and is found by a Device: all of it where it is the Device's own, else what names it.
    fn under(anchor: Anchor, matched: Option<DeviceId>) -> Self {
        let naming = matched.filter(|device| anchor != Anchor::Device(*device)).map(Named::Device);
        Self { anchor, naming, matched }
    }

    fn query(self, view: View, limit: usize) -> KeyQuery {
        KeyQuery { naming: self.naming, ..KeyQuery::under(self.anchor, view, limit) }
    }
}

/// The look-ups of a search. The same at every page, since they come from the pinned snapshot.
async fn sought(
    snapshot: &dyn Pinned,
    who: &Access,
    query: &Checked,
) -> Result<(Vec<Sought>, DeviceResolution), SearchError> {
    match query.key {
        Target::Device(device) => {
            Ok((sought_by_device(snapshot, who, device).await?, DeviceResolution::Direct))
        }
        Target::User(user) => Ok((vec![Sought::under(Anchor::User(user), None)], DeviceResolution::Direct)),
        Target::Mpxn(mpxn) => {
            let named = Named::Mpxn(mpxn);
            let anchors = snapshot.anchors_of(who, named).await?;
            if anchors.len() > DEVICES_MAX {
                return Err(SearchError::TooManyDevices { devices: anchors.len() });
            }
            let mut all = Vec::new();
            for anchor in anchors {
                match anchor {
                    Anchor::Device(device) => {
                        all.extend(sought_by_device(snapshot, who, device).await?);
                    }
                    // It lies under no Device, with others that name other meter points.
                    anchor => all.push(Sought { anchor, naming: Some(named), matched: None }),
                }
            }
            Ok((all, DeviceResolution::BySeenPairs))
        }
    }
}

/// What lies under a Device, and what names it and lies elsewhere: beside another Device that it names first, or a meter point.
async fn sought_by_device(
    snapshot: &dyn Pinned,
    who: &Access,
    device: DeviceId,
) -> Result<Vec<Sought>, SearchError> {
    let elsewhere = snapshot.anchors_of(who, Named::Device(device)).await?;
    let anchors = std::iter::once(Anchor::Device(device)).chain(elsewhere);
    Ok(anchors.map(|anchor| Sought::under(anchor, Some(device))).collect())
}

/// The newest rows of all look-ups, enough for the page and to know whether another follows.
async fn newest_rows(
    snapshot: &dyn Pinned,
    who: &Access,
    query: &Checked,
    before: Option<RowPosition>,
    all: &[Sought],
) -> Result<(Vec<Row>, Cost), SearchError> {
    let lookup = |sought: Sought| async move {
        let key_query = KeyQuery {
            variants: query.variants.clone(),
            from: query.from,
            to: query.to,
            before,
            ..sought.query(query.view, query.page_size + 1)
        };
        let (rows, cost) = snapshot.lookup(who, &key_query).await?;
        let rows = rows.into_iter().map(move |found| (sought, found)).collect::<Vec<_>>();
        Ok::<_, SearchError>((rows, cost))
    };
    let (mut found, cost): (Vec<(Sought, Found)>, Cost) = match all {
        // The common case, without the machinery of the general one.
        [sought] => lookup(*sought).await?,
        _ => {
            let all: Vec<_> =
                stream::iter(all.iter().copied().map(lookup)).buffered(LOOKUPS_AT_ONCE).try_collect().await?;
            let (rows, costs): (Vec<_>, Vec<Cost>) = all.into_iter().unzip();
            (rows.into_iter().flatten().collect(), costs.into_iter().sum())
        }
    };
    // Stable, so that of one row under two Devices the smaller Device comes first.
    found.sort_by_key(|(_, found)| std::cmp::Reverse(position_of(found)));
    Ok((join_equal(found), cost))
}

/// One row a trail key: where events disagree on the Device, parts of one row lie under several and are joined.
fn join_equal(mut found: Vec<(Sought, Found)>) -> Vec<Row> {
    found.dedup_by(|(_, part), (_, row)| {
        let is_same = position_of(part) == position_of(row);
        if is_same {
            row.fragment.merge(part.fragment.clone());
        }
        is_same
    });
    found.into_iter().map(|(sought, found)| row_of(sought, &found)).collect()
}

fn position_of(found: &Found) -> RowPosition {
    RowPosition { placement: found.placement, key: found.fragment.key }
}

fn row_of(sought: Sought, found: &Found) -> Row {
    Row {
        reference: TrailRef::new(sought.anchor, sought.matched, position_of(found)),
        matched_device: sought.matched,
        trail: Trail::from(&found.fragment),
    }
}

/// A moment that cannot be asked for any more, or not yet, is a matter of the request.
fn out_of_reach(error: StoreError) -> SearchError {
    match (error.kind(), error.earliest()) {
        (LakeErrorKind::VersionGone, Some(earliest)) => {
            SearchError::invalid("as_of", format!("{earliest} is the earliest that can be asked for"))
        }
        (LakeErrorKind::VersionGone, None) => {
            SearchError::invalid("as_of", "there is no such version; leave it out for the newest")
        }
        _ => error.into(),
    }
}

#[cfg(test)]
mod rights;
#[cfg(test)]
mod tests;
