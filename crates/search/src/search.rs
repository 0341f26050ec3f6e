//! The searches themselves.

mod resolution;

use crate::error::SearchError;
use crate::limits::{LOOKUPS_AT_ONCE, PAGE_WEIGHT_MAX, ROWS_AT_FIRST};
use crate::query::{Checked, Executed, Query, RowQuery, row_fingerprint};
use crate::reference::TrailRef;
use crate::store::{Pinned, Store, StoreError};
use crate::token::{HISTORY, HistoryToken, PAGE, PageKey, PageToken, RowsShown, expiry_from, gone};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use gridtrail_access::{Access, Component, Disclosure};
use gridtrail_lake::{Cost, Found, KeyQuery, LakeErrorKind, RowPosition, SnapshotVersion, View};
use gridtrail_model::{DeviceId, Merge as _, Timestamp, Trail};
use gridtrail_runtime::Clock;
use resolution::{Resolved, Sought};
use std::fmt;
use std::sync::Arc;

pub use resolution::DeviceResolution;

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

/// One row of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Names the row for [`Search::audit_trail`] or [`Search::meter_read`].
    pub reference: TrailRef,
    /// The Device by which the row was found; `None` for one that was found by its meter point or User alone.
    pub matched_device: Option<DeviceId>,
    /// How that was found to be one of the key's, at the time of the row.
    pub resolution: DeviceResolution,
    /// How much of the row this is.
    pub disclosure: Disclosure,
    /// The row, as far as the caller may see it. Its history is a page of it, the first or a later one: nearly always the whole.
    pub trail: Trail,
    /// How many entries the history has in all.
    pub history_count: usize,
    /// Where the history goes on behind this page of it: a token for [`RowQuery`]. `None`: nothing follows.
    pub next_history_page_token: Option<String>,
}

/// One page of a search.
#[derive(Debug, Clone)]
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
    /// The query that it answers.
    fingerprint: [u8; 32],
    seal: Seal,
}

impl Page {
    /// Ends the page behind its first rows, of which there is at least one: its token goes on from there. For whoever has no room
    /// for more.
    ///
    /// Errors: `Seal`.
    pub fn end_after(&mut self, rows: usize) -> Result<(), SearchError> {
        if rows >= self.rows.len() {
            return Ok(());
        }
        self.rows.truncate(rows.max(1));
        self.next_page_token = self.token_behind_the_last()?;
        Ok(())
    }

    /// Ends the history of a row behind its first entries, of which there is at least one: its token goes on from there.
    ///
    /// Errors: `Seal`.
    pub fn end_history_after(&mut self, row: usize, entries: usize) -> Result<(), SearchError> {
        match self.rows.get_mut(row) {
            Some(row) => self.seal.end_history_after(row, 0, entries),
            None => Ok(()),
        }
    }

    fn token_behind_the_last(&self) -> Result<Option<String>, SearchError> {
        let token = |row: &Row| self.seal.page_token(row.reference.position, &self.fingerprint);
        self.rows.last().map(token).transpose()
    }
}

/// What the tokens of an answer are made with.
#[derive(Debug, Clone)]
struct Seal {
    page_key: PageKey,
    view: View,
    /// The caller, with no more rights than those of the first page.
    who: Access,
    version: SnapshotVersion,
    expires_at: Timestamp,
}

impl Seal {
    fn page_token(&self, last: RowPosition, fingerprint: &[u8; 32]) -> Result<String, SearchError> {
        let shown = RowsShown::of(self.view, &self.who);
        let token = PageToken { version: self.version.clone(), last, shown, expires_at: self.expires_at };
        self.page_key.seal(&token, &self.who, fingerprint)
    }

    /// Ends a page of a row's history behind its first entries. The page begins at `first` in the history.
    fn end_history_after(&self, row: &mut Row, first: usize, entries: usize) -> Result<(), SearchError> {
        if entries >= row.trail.history.len() {
            return Ok(());
        }
        row.trail.history.truncate(entries.max(1));
        let next = (first + row.trail.history.len()) as u64;
        let token = HistoryToken { version: self.version.clone(), next, expires_at: self.expires_at };
        let fingerprint = row_fingerprint(self.view, &row.reference);
        row.next_history_page_token = Some(self.page_key.seal_history(&token, &self.who, &fingerprint)?);
        Ok(())
    }
}

/// One row, by its reference.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The row.
    pub row: Row,
    /// Freshness, as in [`Page`].
    pub complete_up_to: Option<Timestamp>,
    /// The version that every page of its history is answered at.
    pub version: SnapshotVersion,
    /// Where in the history its page begins.
    first: usize,
    seal: Seal,
}

impl Answer {
    /// Ends this page of the history behind its first entries, as [`Page::end_history_after`] does.
    ///
    /// Errors: `Seal`.
    pub fn end_history_after(&mut self, entries: usize) -> Result<(), SearchError> {
        self.seal.end_history_after(&mut self.row, self.first, entries)
    }
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

    /// One row of the caller's own audit trail, with a page of its history.
    ///
    /// Errors: `NotFound`, in the same words for a row of another User and for none at all; `Invalid` for a token that does not
    /// hold. Cancel-safe.
    pub async fn audit_trail(&self, who: &Access, query: &RowQuery) -> Result<Answer, SearchError> {
        self.row(View::Audit, who, query).await
    }

    /// One meter-read transaction of any User, with a page of its history.
    ///
    /// Errors: `NotFound`, in the same words for a row of another variant and for none at all; `Invalid` for a token that does not
    /// hold. Cancel-safe.
    pub async fn meter_read(&self, who: &Access, query: &RowQuery) -> Result<Answer, SearchError> {
        self.row(View::MeterReads, who, query).await
    }

    async fn page(&self, view: View, who: &Access, query: &Query) -> Result<Page, SearchError> {
        let now = self.clock.now();
        who.require(component_of(view), now)?;
        let checked = Checked::of(view, query)?;
        let Some(text) = &query.page_token else {
            let expires_at = expiry_from(now);
            let snapshot = match query.as_of {
                None => self.store.newest(),
                Some(as_of) => self.store.as_of(as_of).await.map_err(out_of_reach)?,
            };
            return self.page_of(snapshot, who, &checked, None, expires_at).await;
        };
        let token = self.page_key.open(text, who, &checked.fingerprint, now)?;
        let snapshot = self.pinned(&token.version, PAGE).await?;
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
        let Resolved { sought, resolution, cost: of_finding } =
            resolution::resolve(&*snapshot, who, query).await?;
        let (rows, is_last, cost) = rows_of_page(&*snapshot, who, query, before, &sought).await?;
        let mut page = Page {
            rows,
            next_page_token: None,
            complete_up_to: snapshot.complete_up_to(),
            version: snapshot.version().clone(),
            resolution,
            executed: query.executed(),
            cost: [of_finding, cost].into_iter().sum(),
            fingerprint: query.fingerprint,
            seal: self.seal(&*snapshot, query.view, who, expires_at),
        };
        if !is_last {
            page.next_page_token = page.token_behind_the_last()?;
        }
        Ok(page)
    }

    fn seal(&self, snapshot: &dyn Pinned, view: View, who: &Access, expires_at: Timestamp) -> Seal {
        let (page_key, who, version) = (self.page_key.clone(), who.clone(), snapshot.version().clone());
        Seal { page_key, view, who, version, expires_at }
    }

    /// The snapshot that the token of a field pins.
    async fn pinned(
        &self,
        version: &SnapshotVersion,
        field: &'static str,
    ) -> Result<Arc<dyn Pinned>, SearchError> {
        self.store.at(version).await.map_err(|error| match error.kind() {
            LakeErrorKind::VersionGone => gone(field),
            _ => error.into(),
        })
    }

    async fn row(&self, view: View, who: &Access, query: &RowQuery) -> Result<Answer, SearchError> {
        let now = self.clock.now();
        who.require(component_of(view), now)?;
        let fingerprint = row_fingerprint(view, &query.reference);
        let (snapshot, first, expires_at) = match &query.history_page_token {
            None => (self.store.newest(), 0, expiry_from(now)),
            Some(text) => {
                let token = self.page_key.open_history(text, who, &fingerprint, now)?;
                let first = usize::try_from(token.next).unwrap_or(usize::MAX);
                (self.pinned(&token.version, HISTORY).await?, first, token.expires_at)
            }
        };
        // What the caller may see now decides, whatever the token: it names a place in the history and nothing else.
        let mut row = row_at(&*snapshot, view, who, &query.reference).await?;
        row.trail.history.drain(..first.min(row.history_count));
        let seal = self.seal(&*snapshot, view, who, expires_at);
        let (complete_up_to, version) = (snapshot.complete_up_to(), snapshot.version().clone());
        let mut answer = Answer { row, complete_up_to, version, first, seal };
        if let Some(most) = query.history_page_size {
            answer.end_history_after(usize::try_from(most.get()).unwrap_or(usize::MAX))?;
        }
        Ok(answer)
    }
}

/// The row of a reference, among those that the caller may see.
async fn row_at(
    snapshot: &dyn Pinned,
    view: View,
    who: &Access,
    reference: &TrailRef,
) -> Result<Row, SearchError> {
    let TrailRef { anchor, matched, position } = *reference;
    let sought = Sought::under(anchor, matched);
    // The row may have moved to an earlier place since the reference was given, so a miss looks everywhere.
    // A row that the caller may not see misses in the same way as one that does not exist.
    for place in [Some(position.placement), None] {
        let key = Some(position.key);
        let query = KeyQuery { from: place, to: place, key, ..sought.query(view, 1) };
        if let Some(found) = snapshot.lookup(who, &query).await?.0.into_iter().next() {
            return Ok(row_of(who, &sought, &found));
        }
    }
    Err(SearchError::NotFound)
}

const fn component_of(view: View) -> Component {
    match view {
        View::Audit => Component::ServiceAudit,
        View::MeterReads => Component::MeterReads,
    }
}

/// The rows of a page, and whether it is the last. It ends early where its rows weigh too much.
///
/// An ordinary page is one look-up. Of a large one only so many rows are looked up at first, and then, by what they weigh, as many as
/// there is memory for: what a row weighs is not known before, and a Device that was tried for weeks has rows of megabytes.
async fn rows_of_page(
    snapshot: &dyn Pinned,
    who: &Access,
    query: &Checked,
    mut before: Option<RowPosition>,
    all: &[Sought],
) -> Result<(Vec<Row>, bool, Cost), SearchError> {
    let (mut rows, mut weight, mut cost) = (Vec::<Row>::new(), 0usize, Cost::default());
    loop {
        let left = query.page_size - rows.len();
        let most = match weight.checked_div(rows.len()) {
            None => ROWS_AT_FIRST,
            Some(mean) => (PAGE_WEIGHT_MAX - weight) / mean.max(1),
        };
        // One more tells whether another page follows.
        let limit = left.min(most.max(1)) + 1;
        let (found, of_turn) = newest_rows(snapshot, who, query, before, all, limit).await?;
        cost = [cost, of_turn].into_iter().sum();
        let mut found = found.into_iter().peekable();
        let end = rows.len() + limit - 1;
        while rows.len() < end
            && weight < PAGE_WEIGHT_MAX
            && let Some(row) = found.next()
        {
            weight += weight_of(&row);
            rows.push(row);
        }
        let is_last = found.peek().is_none();
        if is_last || rows.len() >= query.page_size || weight >= PAGE_WEIGHT_MAX {
            return Ok((rows, is_last, cost));
        }
        before = rows.last().map(|row| row.reference.position);
    }
}

/// About how many bytes a row takes in memory.
fn weight_of(row: &Row) -> usize {
    let history = &row.trail.history;
    let causes: usize =
        history.iter().filter_map(|entry| entry.cause.as_ref()).map(|cause| cause.as_str().len()).sum();
    size_of::<Row>() + size_of_val(history.as_slice()) + causes
}

/// The newest rows of all look-ups.
async fn newest_rows(
    snapshot: &dyn Pinned,
    who: &Access,
    query: &Checked,
    before: Option<RowPosition>,
    all: &[Sought],
    limit: usize,
) -> Result<(Vec<Row>, Cost), SearchError> {
    let key_query = |sought: &Sought, from: Option<Timestamp>| {
        let of_sought = sought.query(query.view, limit);
        KeyQuery {
            variants: query.variants.clone(),
            from: from.max(of_sought.from),
            to: query.to.into_iter().chain(of_sought.to).min(),
            before,
            ..of_sought
        }
    };
    // What lies elsewhere lies at known times: what is older than all that the page has room for is left alone.
    let (elsewhere, own): (Vec<&Sought>, Vec<&Sought>) = all.iter().partition(|sought| sought.at.is_some());
    let (mut found, mut cost) = look_up(snapshot, who, &own, |sought| key_query(sought, query.from)).await?;
    if !elsewhere.is_empty() {
        let from = query.from.max(oldest_of_page(&found, limit));
        let (more, of_more) = look_up(snapshot, who, &elsewhere, |sought| key_query(sought, from)).await?;
        found.extend(more);
        cost = [cost, of_more].into_iter().sum();
    }
    // Stable, so that of one row under two Devices the smaller Device comes first.
    found.sort_by_key(|(_, found)| std::cmp::Reverse(position_of(found)));
    let mut rows = join_equal(who, found);
    // Each Device gave so many; the newest of all are theirs together.
    rows.truncate(limit);
    Ok((rows, cost))
}

/// What look-ups find, each with its look-up.
async fn look_up<'a>(
    snapshot: &dyn Pinned,
    who: &Access,
    all: &[&'a Sought],
    query: impl Fn(&Sought) -> KeyQuery,
) -> Result<(Vec<(&'a Sought, Found)>, Cost), SearchError> {
    let look_up = async |sought: &'a Sought, query: KeyQuery| {
        let (rows, cost) = snapshot.lookup(who, &query).await?;
        let rows = rows.into_iter().map(move |found| (sought, found)).collect::<Vec<_>>();
        Ok::<_, SearchError>((rows, cost))
    };
    // The common case, without the machinery of the general one.
    if let [sought] = all {
        return look_up(sought, query(sought)).await;
    }
    let all: Vec<_> = all.iter().map(|sought| look_up(sought, query(sought))).collect();
    let all: Vec<_> = stream::iter(all).buffered(LOOKUPS_AT_ONCE).try_collect().await?;
    let (rows, costs): (Vec<_>, Vec<Cost>) = all.into_iter().unzip();
    Ok((rows.into_iter().flatten().collect(), costs.into_iter().sum()))
}

/// The time of the oldest row for which there is room, where there is room for no more than was found.
fn oldest_of_page(found: &[(&Sought, Found)], limit: usize) -> Option<Timestamp> {
    let mut positions: Vec<RowPosition> = found.iter().map(|(_, found)| position_of(found)).collect();
    positions.sort_unstable_by_key(|position| std::cmp::Reverse(*position));
    positions.dedup();
    positions.get(limit.checked_sub(1)?).map(|position| position.placement)
}

/// One row a trail key: where events disagree on the Device, parts of one row lie under several and are joined.
fn join_equal(who: &Access, mut found: Vec<(&Sought, Found)>) -> Vec<Row> {
    found.dedup_by(|(_, part), (_, row)| {
        let is_same = position_of(part) == position_of(row);
        if is_same {
            row.fragment.merge(part.fragment.clone());
        }
        is_same
    });
    found.into_iter().map(|(sought, found)| row_of(who, sought, &found)).collect()
}

fn position_of(found: &Found) -> RowPosition {
    RowPosition { placement: found.placement, key: found.fragment.key }
}

/// A row as the caller may see it: the one place where that is decided, for every way to it.
fn row_of(who: &Access, sought: &Sought, found: &Found) -> Row {
    let whole = Trail::from(&found.fragment);
    let disclosure = who.disclosure(found.fragment.key.user);
    let trail = match disclosure {
        Disclosure::Whole => whole,
        Disclosure::MeterRead => whole.into_meter_read(),
    };
    Row {
        disclosure,
        reference: TrailRef::new(sought.anchor, sought.matched, position_of(found)),
        matched_device: sought.matched,
        resolution: sought.resolution_at(found.placement),
        history_count: trail.history.len(),
        trail,
        next_history_page_token: None,
    }
}

/// A moment that cannot be asked for any more, or not yet, is a matter of the request.
pub(crate) fn out_of_reach(error: StoreError) -> SearchError {
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
mod one_row;
#[cfg(test)]
mod premises;
#[cfg(test)]
mod rights;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod time;
