//! One look-up at work: of rows that were located in runs, those of an answer.
//!
//! **One row a trail key.** Batches may claim different receipt times for one key; its fragments lie at each of them then. They are one
//! row, at the smallest time, as far as each lies within a day ([`APART_MS`]) of the next: a *chain*. So
//!
//! 1. fragments are looked for a day past both edges of a query, and further up while a chain goes on there;
//! 2. a chain is settled once all is known that lies within a day below its lowest fragment;
//! 3. rows come out newest first by that lowest fragment, which is what [`RowPosition`] and so a page token name.
//!
//! What agrees pays little for it: of rows that lie past an edge, or cannot be asked for, only a *print* is read
//! ([`packed::print_of`]), and only those that look like a fragment of a row on the page are read in full.

use crate::limits::APART_MS;
use crate::read::command::is_command;
use crate::read::nearby::Nearby;
use crate::read::query::{Cost, Found, KeyQuery, Reach, RowPosition, View, latest};
use crate::rows::lookup::{self, Candidate};
use crate::rows::packed;
use gridtrail_access::Access;
use gridtrail_model::{DeviceId, Fragment, Merge, ServiceReferenceVariant, Timestamp};
use gridtrail_runs::{RunsError, Sheet};
use std::cmp::Reverse;

/// A fragment's place in a run, or in memory for those that were parked.
struct Located {
    candidate: Candidate,
    source: Source,
    /// Whether a row of the query may lie here: for what this fragment says, and not only for what others of the row say.
    sought: bool,
    print: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    /// The number of a sheet.
    Sheet(usize),
    /// The number of a parked fragment.
    Parked(usize),
}

impl Located {
    fn at_ms(&self) -> i64 {
        self.candidate.received.millis()
    }
}

/// Fragments of one row, merged, and the times of the lowest and the highest of them.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    pub(crate) lowest: Timestamp,
    pub(crate) highest: Timestamp,
    print: u64,
    pub(crate) fragment: Fragment,
}

impl Chain {
    pub(crate) fn of(at: Timestamp, fragment: Fragment) -> Self {
        Self { lowest: at, highest: at, print: packed::print_of(&fragment.key), fragment }
    }

    /// What tells its key from nearly all others.
    pub(crate) fn key_print(&self) -> u64 {
        packed::key_print_of(self.print, &self.fragment.key)
    }
}

/// Whose rows a look-up is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sight<'a> {
    /// Those that a caller sees in the view of the query.
    Of(&'a Access),
    /// Those of Commands, whoever sent them: for what leaves without their sender.
    Commands,
}

/// One look-up at work.
pub(crate) struct Scan<'a> {
    sight: Sight<'a>,
    query: &'a KeyQuery,
    /// The bytes of what the query looks under.
    under: DeviceId,
    reach: Reach,
    /// Where the times are known at which its rows lie: what is read around those.
    nearby: Option<Nearby>,
    /// No row of the query lies later.
    latest: Option<Timestamp>,
    /// Sheets read so far; a row's source is a number in this list.
    sheets: Vec<Sheet>,
    parked: Vec<Fragment>,
    /// What was located and not read, newest first.
    open: Vec<Located>,
    /// What was read of rows that are not settled.
    chains: Vec<Chain>,
    /// How many different times the last step took in.
    stride: usize,
    cost: Cost,
}

impl<'a> Scan<'a> {
    pub(crate) fn new(
        sight: Sight<'a>,
        (query, under): (&'a KeyQuery, DeviceId),
        (reach, nearby): (Reach, Option<Nearby>),
        parked: Vec<Fragment>,
    ) -> Result<Self, RunsError> {
        let mut located = Vec::new();
        for (number, fragment) in parked.iter().enumerate() {
            located.push((parked_candidate(fragment)?, Source::Parked(number)));
        }
        let (sheets, open, chains) = (Vec::new(), Vec::new(), Vec::new());
        let mut scan = Self {
            sight,
            query,
            under,
            reach,
            nearby,
            latest: latest(query),
            sheets,
            parked,
            open,
            chains,
            stride: 0,
            cost: Cost::default(),
        };
        scan.add(located.into_iter())?;
        Ok(scan)
    }

    /// What was read so far.
    pub(crate) fn cost(&self) -> Cost {
        self.cost
    }

    /// Takes in the rows of the Device in one run.
    pub(crate) fn locate(&mut self, sheets: Vec<Sheet>) -> Result<(), RunsError> {
        self.cost.runs += u64::from(!sheets.is_empty());
        for sheet in sheets {
            self.cost.pages += sheet.pages() as u64;
            let candidates = lookup::candidates(&sheet, self.under)?;
            let source = Source::Sheet(self.sheets.len());
            self.sheets.push(sheet);
            self.add(candidates.into_iter().rev().map(|candidate| (candidate, source)))?;
        }
        Ok(())
    }

    fn add(&mut self, located: impl Iterator<Item = (Candidate, Source)>) -> Result<(), RunsError> {
        let start = self.open.len();
        for (candidate, source) in located {
            if self.may_matter(&candidate) {
                let sought = self.is_sought(&candidate);
                self.open.push(Located { candidate, source, sought, print: None });
            }
        }
        if let Some(key) = self.query.key {
            let mut added = self.open.split_off(start);
            self.read_prints(&mut added)?;
            added.retain(|located| located.print == Some(packed::print_of(&key)));
            self.open.append(&mut added);
        }
        // What is added of a run descends, so this merges what is sorted.
        self.open.sort_by_key(|located| Reverse(located.candidate.received));
        Ok(())
    }

    /// Whether a fragment may be one of a row of the query, by what all fragments of a row share.
    fn may_matter(&self, candidate: &Candidate) -> bool {
        let within = self.reach.from.is_none_or(|from| candidate.received >= from)
            && self.reach.to.is_none_or(|to| candidate.received <= to);
        let in_view = match self.sight {
            Sight::Of(who) => self.query.view == View::MeterReads || who.user_ids().contains(&candidate.user),
            Sight::Commands => true,
        };
        within && in_view && self.query.key.is_none_or(|key| key.user == candidate.user)
    }

    /// Whether a row of the query may lie at a fragment.
    ///
    /// Within a day below the upper edge also where nothing is shown for what the fragment says: what is asked for may stand in one that
    /// lies above the edge.
    fn is_sought(&self, candidate: &Candidate) -> bool {
        let at = candidate.received;
        let is_near = || self.latest.is_some_and(|to| at > to.plus_millis(-APART_MS));
        let is_meant = match &self.nearby {
            // Another fragment of the row may say what is asked for.
            Some(nearby) => nearby.has(at) || nearby.has_above() && is_near(),
            None => asks_for(self.query, candidate) || is_near(),
        };
        self.query.from.is_none_or(|from| from <= at) && self.latest.is_none_or(|to| at <= to) && is_meant
    }

    /// The lowest time, in milliseconds, of which it is known what lies within a day below, where all later than a horizon is known.
    fn settled_from(horizon: Option<i64>) -> i64 {
        horizon.map_or(i64::MIN, |horizon| horizon.saturating_add(APART_MS + 1))
    }

    /// The place of the n-th different time at which rows may lie, from the newest down to a time. `None`: there are fewer.
    fn nth_time(&self, n: usize, from_ms: i64) -> Option<i64> {
        let (mut last, mut seen) = (None, 0);
        for located in &self.open {
            let at = located.at_ms();
            if at < from_ms {
                break;
            }
            if located.sought && last != Some(at) {
                (last, seen) = (Some(at), seen + 1);
                if seen == n {
                    return last;
                }
            }
        }
        None
    }

    /// Whether rows at so many different times can be settled, where all later than a horizon is known.
    pub(crate) fn has_times(&self, times: usize, horizon: i64) -> bool {
        self.query.key.is_none() && self.nth_time(times, Self::settled_from(Some(horizon))).is_some()
    }

    /// Whether nothing is left.
    pub(crate) fn is_done(&self) -> bool {
        self.chains.is_empty() && !self.open.iter().any(|located| located.sought)
    }

    /// The next rows, newest first: those at the next so many different times, or all that can be settled, where all later than a
    /// horizon is known. `None`: a fragment lies so close to the upper edge that another of its row may lie behind it.
    pub(crate) fn settle(
        &mut self,
        horizon: Option<i64>,
        times: usize,
    ) -> Result<Option<Vec<Found>>, RunsError> {
        // More at a time where rows turn out not to be shown, so that many of those cost no more than reading them.
        self.stride = times.max(self.stride * 2);
        let settled_from = Self::settled_from(horizon);
        let cut = match self.query.key {
            // All of one row.
            Some(_) => settled_from,
            None => self.nth_time(self.stride, settled_from).unwrap_or(settled_from),
        };
        self.read_down_to(cut)?;
        // What is of one row that is looked for everywhere is that row, however far apart.
        let everywhere = self.query.key.is_some() && self.query.from.is_none() && self.latest.is_none();
        let apart = if everywhere { i64::MAX } else { APART_MS };
        let chains = joined(std::mem::take(&mut self.chains), apart);
        let is_settled = |chain: &Chain| chain.lowest.millis() >= cut;
        let mut settled = chains;
        // Nearly always all are: they are large, and stay where they are.
        if !settled.iter().all(is_settled) {
            (settled, self.chains) = settled.into_iter().partition(is_settled);
        }
        if settled.iter().any(|chain| self.may_go_on(chain)) {
            return Ok(None);
        }
        // Nearly sorted: the oldest sheets were read first, and each ascends.
        settled.sort_by_key(position_of);
        let shown = settled.into_iter().rev().filter(|chain| self.shows(chain));
        Ok(Some(shown.map(|Chain { lowest, fragment, .. }| Found { placement: lowest, fragment }).collect()))
    }

    /// Reads in full what lies at or above a time and is sought, and what looks like a fragment of the same rows.
    fn read_down_to(&mut self, cut: i64) -> Result<(), RunsError> {
        let near = cut.saturating_sub(APART_MS);
        let end = self.open.partition_point(|located| located.at_ms() >= near);
        let part: Vec<Located> = self.open.drain(..end).collect();
        let (sought, mut others): (Vec<_>, Vec<_>) =
            part.into_iter().partition(|located| located.sought && located.at_ms() >= cut);
        self.read(sought)?;
        if !others.is_empty() && !self.chains.is_empty() {
            self.read_prints(&mut others)?;
            // Few of them, as a rule, and many rows: so those are looked for among these.
            let mut prints: Vec<u64> = others.iter().filter_map(|located| located.print).collect();
            prints.sort_unstable();
            let mut met: Vec<u64> = self.chains.iter().map(|chain| chain.print).collect();
            met.retain(|print| prints.binary_search(print).is_ok());
            let alike = |located: &Located| located.print.is_some_and(|print| met.contains(&print));
            let (alike, unlike): (Vec<_>, Vec<_>) = others.into_iter().partition(alike);
            others = unlike;
            self.read(alike)?;
        }
        self.open.splice(..0, others);
        Ok(())
    }

    fn read(&mut self, mut located: Vec<Located>) -> Result<(), RunsError> {
        located.sort_unstable_by_key(|l| (Reverse(l.source), l.candidate.row));
        let mut rows = Vec::new();
        for part in located.chunk_by(|a, b| a.source == b.source) {
            match part.first().map(|l| l.source) {
                Some(Source::Sheet(number)) => {
                    rows.clear();
                    rows.extend(part.iter().map(|l| l.candidate.row));
                    let fragments = lookup::fragments(&self.sheets[number], &rows)?;
                    for (fragment, l) in fragments.into_iter().zip(part) {
                        self.chains.push(Chain::of(l.candidate.received, fragment));
                    }
                }
                Some(Source::Parked(number)) => {
                    let fragment = self.parked[number].clone();
                    let at = fragment.placement().unwrap_or(Timestamp::MIN);
                    self.chains.push(Chain::of(at, fragment));
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Reads the prints of fragments, where they are not known.
    fn read_prints(&self, located: &mut [Located]) -> Result<(), RunsError> {
        let mut unknown: Vec<&mut Located> = located.iter_mut().filter(|l| l.print.is_none()).collect();
        unknown.sort_unstable_by_key(|l| (l.source, l.candidate.row));
        for part in unknown.chunk_by_mut(|a, b| a.source == b.source) {
            match part.first().map(|l| l.source) {
                Some(Source::Sheet(number)) => {
                    let candidates: Vec<&Candidate> = part.iter().map(|l| &l.candidate).collect();
                    let prints = lookup::prints(&self.sheets[number], &candidates)?;
                    for (located, print) in part.iter_mut().zip(prints) {
                        located.print = Some(print);
                    }
                }
                Some(Source::Parked(number)) => {
                    let print = packed::print_of(&self.parked[number].key);
                    part.iter_mut().for_each(|located| located.print = Some(print));
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Whether a row has a fragment so far up that more of it may lie above what was looked at.
    fn may_go_on(&self, chain: &Chain) -> bool {
        // Where it lies too early to be shown, or nothing that is sought is of it, it does not matter what else is.
        let matters = |nearby: &Nearby| {
            self.query.from.is_none_or(|from| from <= chain.lowest)
                && !nearby.covers(chain.lowest, chain.highest)
        };
        if self.nearby.as_ref().is_some_and(matters)
            && self.latest.is_none_or(|latest| chain.lowest <= latest)
        {
            return true;
        }
        let edge = self.latest.zip(self.reach.to).filter(|(_, to)| *to < Timestamp::MAX);
        edge.is_some_and(|(latest, to)| chain.lowest <= latest && chain.highest.plus_millis(APART_MS) > to)
    }

    /// Whether a merged row is shown: the final word on the row filter.
    fn shows(&self, chain: &Chain) -> bool {
        let query = self.query;
        let position = position_of(chain);
        query.from.is_none_or(|from| from <= position.placement)
            && query.to.is_none_or(|to| position.placement <= to)
            && query.before.is_none_or(|before| position < before)
            && query.key.is_none_or(|key| position.key == key)
            && query.counts(position.placement, &chain.fragment)
            && shows(self.sight, query, &chain.fragment)
    }
}

fn position_of(chain: &Chain) -> RowPosition {
    RowPosition { placement: chain.lowest, key: chain.fragment.key }
}

/// Joins what is of one row and lies no further apart than so many milliseconds. What is joined stands where its lowest part stood.
pub(crate) fn joined(chains: Vec<Chain>, apart_ms: i64) -> Vec<Chain> {
    let order = chains.iter().enumerate();
    let order = order.map(|(at, chain)| (chain.key_print(), chain.lowest.millis(), at));
    let mut order: Vec<(u64, i64, usize)> = order.collect();
    order.sort_unstable();
    // Nearly always every row has one fragment.
    if order.windows(2).all(|pair| pair[0].0 != pair[1].0) {
        return chains;
    }
    let mut chains: Vec<Option<Chain>> = chains.into_iter().map(Some).collect();
    for alike in order.chunk_by(|a, b| a.0 == b.0) {
        for (n, (_, _, at)) in alike.iter().enumerate() {
            let Some(mut chain) = chains[*at].take() else { continue };
            for (_, _, other) in &alike[n + 1..] {
                let follows = |other: &mut Chain| {
                    let distance = other.lowest.millis().saturating_sub(chain.highest.millis());
                    other.fragment.key == chain.fragment.key && distance <= apart_ms
                };
                if let Some(other) = chains[*other].take_if(follows) {
                    chain.highest = chain.highest.max(other.highest);
                    chain.fragment.merge(other.fragment);
                }
            }
            chains[*at] = Some(chain);
        }
    }
    chains.into_iter().flatten().collect()
}

/// Whether a row can be of an asked variant by what one of its fragments says, or leaves out.
///
/// Fragments of one row may name different variants, or none: those that name another have a say in what the row is, and are read with
/// it, but nothing is shown for them alone.
fn asks_for(query: &KeyQuery, candidate: &Candidate) -> bool {
    let open = |v: ServiceReferenceVariant| query.view == View::Audit || v.is_meter_read();
    let asked = |v| open(v) && (query.variants.is_empty() || query.variants.contains(&v));
    candidate.variant.is_none_or(asked)
}

/// Whether a view has a merged row, by the rights of who asks.
pub(crate) fn is_in_view(who: &Access, view: View, fragment: &Fragment) -> bool {
    match view {
        View::Audit => who.user_ids().contains(&fragment.key.user),
        View::MeterReads => fragment.is_meter_read(),
    }
}

/// Whether the rights and the variants of a query let a merged row be shown.
fn shows(sight: Sight<'_>, query: &KeyQuery, fragment: &Fragment) -> bool {
    let in_view = match (sight, query.view) {
        (Sight::Of(who), view) => is_in_view(who, view, fragment),
        (Sight::Commands, _) => is_command(fragment),
    };
    let is_meant =
        fragment.anchor() == query.anchor && query.naming.is_none_or(|named| fragment.names(named));
    let variant = fragment.variant_shown();
    in_view && is_meant && (query.variants.is_empty() || variant.is_some_and(|v| query.variants.contains(&v)))
}

fn parked_candidate(fragment: &Fragment) -> Result<Candidate, RunsError> {
    Ok(Candidate {
        row: 0,
        received: fragment.placement().ok_or(RunsError::Internal("a parked row has no time"))?,
        user: fragment.key.user,
        variant: fragment.variant.value().copied(),
    })
}
