//! From the key of a search to what it looks up: which Devices and meter points lead to rows, when, and how each was found.
//!
//! Two ways lead from a meter point to Devices, and both are gone at once. **The inventory** knows which Devices were installed at it and which
//! were Associated with those, and when. **Seen pairs** are of whatever events named together. Where they disagree (decision 0112):
//!
//! 1. A row of a Device counts when it is placed at a time at which the inventory has the Device lead to the key.
//! 2. A row that names a meter point of the key counts wherever it lies, at the times at which that is one of the key's.
//! 3. A Device that was only seen with the meter point leads to all of its rows where the inventory does not know where it is; else to none
//!    but those of 2.
//!
//! Which rows a caller may see is none of its matters: the lake leaves out those of others.

use crate::error::SearchError;
use crate::limits::{DEVICES_MAX, LOOKUPS_AT_ONCE, METER_POINTS_OF_UPRN_MAX};
use crate::query::{Checked, SearchKey};
use crate::store::Pinned;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use futures::try_join;
use gridtrail_access::Access;
use gridtrail_inventory::{Intervals, InventoryFragment, InventoryKey};
use gridtrail_lake::{Anchors, Cost, Counts, Elsewhere, KeyQuery, View};
use gridtrail_model::{Anchor, DeviceId, Mpxn, Named, Timestamp, Uprn};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How the Devices of a search were found, or that of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceResolution {
    /// The query named the Device, or whatever else the rows lie under.
    Direct,
    /// By what events named together, and by nothing else: the inventory leads to no Device.
    BySeenPairs,
    /// Of a row: by the inventory; no event named the Device together with the meter point.
    ByInventory,
    /// Of a row: by both. Of a search: it went both ways.
    ByInventoryAndSeenPairs,
    /// Of a search: no registration gives the UPRN to a meter point at the dates of the search, so there is nothing to look under.
    NoMeterPoint,
}

/// One look-up of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sought {
    pub(super) anchor: Anchor,
    /// Only the rows that name this, of all that lie there.
    naming: Option<Named>,
    /// The Device that its rows are found by.
    pub(super) matched: Option<DeviceId>,
    /// Only the rows of which a fragment lies at one of these times.
    pub(super) at: Option<Arc<[Timestamp]>>,
    /// Why its rows count; none at all: they do.
    counts: Arc<[Counts]>,
    /// How what it is matched by was found.
    way: Way,
    /// Whether it is looked for in vain: so that to find nothing of a meter point takes as long whoever has rows of it.
    in_vain: bool,
}

/// How a Device was found.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Way {
    /// The query named it.
    Direct,
    /// From a meter point.
    Led {
        /// When the inventory led to it.
        inventory: Intervals,
        /// Whether events named the two together.
        seen: bool,
    },
}

impl Way {
    const fn seen() -> Self {
        Self::Led { inventory: Intervals::never(), seen: true }
    }
}

impl Sought {
    /// What lies under an anchor and is found by a Device: all of it where it is the Device's own, else what names it.
    pub(super) fn under(anchor: Anchor, matched: Option<DeviceId>) -> Self {
        let naming = matched.filter(|device| anchor != Anchor::Device(*device)).map(Named::Device);
        let counts = Arc::default();
        Self { anchor, naming, matched, at: None, counts, way: Way::Direct, in_vain: false }
    }

    /// What lies elsewhere and names something.
    fn elsewhere(place: Elsewhere, named: Named) -> Self {
        let matched = if let Named::Device(device) = named { Some(device) } else { None };
        Self { naming: Some(named), at: place.at, ..Self::under(place.anchor, matched) }
    }

    /// What it asks of the lake, beside the dates of the search.
    pub(super) fn query(&self, view: View, limit: usize) -> KeyQuery {
        let Self { naming, in_vain, .. } = *self;
        let (at, counts) = (self.at.clone(), Arc::clone(&self.counts));
        let mut query = KeyQuery { naming, at, counts, in_vain, ..KeyQuery::under(self.anchor, view, limit) };
        if let Some((from, to)) = bounds_of(&self.counts) {
            (query.from, query.to) = (Some(from).filter(|from| *from > Timestamp::MIN), to);
        }
        query
    }

    /// How a row of it was found that is placed at a time.
    pub(super) fn resolution_at(&self, placement: Timestamp) -> DeviceResolution {
        match &self.way {
            Way::Direct => DeviceResolution::Direct,
            Way::Led { inventory, seen } => match (inventory.contains(placement), seen) {
                (true, true) => DeviceResolution::ByInventoryAndSeenPairs,
                (true, false) => DeviceResolution::ByInventory,
                (false, _) => DeviceResolution::BySeenPairs,
            },
        }
    }
}

/// Between which times anything counts; `None`: everything does.
fn bounds_of(counts: &[Counts]) -> Option<(Timestamp, Option<Timestamp>)> {
    let all = counts.iter().filter_map(|why| why.within.bounds());
    all.reduce(|(first, last), (from, to)| (first.min(from), last.zip(to).map(|(last, to)| last.max(to))))
}

/// The look-ups of a search. The same at every page, since they come from the pinned snapshot.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) sought: Vec<Sought>,
    pub(super) resolution: DeviceResolution,
    /// What asking the inventory cost.
    pub(super) cost: Cost,
}

/// The look-ups of a search.
pub(super) async fn resolve(
    snapshot: &dyn Pinned,
    who: &Access,
    query: &Checked,
) -> Result<Resolved, SearchError> {
    let direct = |sought| Resolved { sought, resolution: DeviceResolution::Direct, cost: Cost::default() };
    match query.key {
        SearchKey::Device(device) => {
            let named = Named::Device(device);
            let elsewhere = snapshot.elsewhere((who, query.view), &[named], false).await?;
            let elsewhere = elsewhere.into_iter().flatten().map(|place| Sought::elsewhere(place, named));
            let own = Sought::under(Anchor::Device(device), Some(device));
            Ok(direct(std::iter::once(own).chain(elsewhere).collect()))
        }
        SearchKey::User(user) => Ok(direct(vec![Sought::under(Anchor::User(user), None)])),
        SearchKey::Mpxn(mpxn) => resolve_through(snapshot, (who, query), &[mpxn], None).await,
        SearchKey::Uprn(uprn) => {
            let (mpxns, cost) = snapshot.meter_points(who, InventoryKey::Uprn(uprn)).await?;
            if mpxns.len() > METER_POINTS_OF_UPRN_MAX {
                let (what, most) = ("meter points of a UPRN", METER_POINTS_OF_UPRN_MAX);
                return Err(SearchError::TooWide { what, most });
            }
            let mut resolved = resolve_through(snapshot, (who, query), &mpxns, Some(uprn)).await?;
            resolved.cost = [cost, resolved.cost].into_iter().sum();
            Ok(resolved)
        }
    }
}

/// The look-ups of a search through some meter points, which are the key or, for as long as they are registered with it, of a UPRN.
///
/// It goes two rounds: what is known of the meter points, and of the Devices to which they lead. What is Associated with those is found by links
/// whose files are open by then.
async fn resolve_through(
    snapshot: &dyn Pinned,
    (who, query): (&Access, &Checked),
    mpxns: &[Mpxn],
    uprn: Option<Uprn>,
) -> Result<Resolved, SearchError> {
    let dates = Intervals::between(query.from, query.to);
    let named: Vec<Named> = mpxns.iter().copied().map(Named::Mpxn).collect();
    let ((known, of_points), anchors, elsewhere) = try_join!(
        known_of(snapshot, who, &named),
        anchors_of(snapshot, who, mpxns),
        elsewhere(snapshot, (who, query.view), &named, false),
    )?;
    let mut leads = Leads::new(dates);
    for ((mpxn, known), anchors) in mpxns.iter().zip(&known).zip(anchors) {
        leads.add_meter_point(*mpxn, (known, uprn), anchors);
    }
    if leads.points.is_empty() {
        let (sought, resolution) = (Vec::new(), DeviceResolution::NoMeterPoint);
        return Ok(Resolved { sought, resolution, cost: of_points });
    }
    leads.within_limits()?;
    let places = named.into_iter().zip(elsewhere).filter(|(named, _)| leads.has_point(*named)).collect();
    let (real, vain) = (leads.devices(), leads.devices_in_vain());
    let all: Vec<Named> = real.iter().chain(&vain).copied().collect();
    let ((known, of_devices), of_real, of_vain) = try_join!(
        known_of(snapshot, who, &all),
        elsewhere_of(snapshot, (who, query.view), &real, false),
        elsewhere_of(snapshot, (who, query.view), &vain, true),
    )?;
    known.iter().for_each(|known| leads.add_device(known));
    leads.within_limits()?;
    let associates: Vec<Named> = leads.devices().into_iter().filter(|named| !real.contains(named)).collect();
    let of_associates = elsewhere_of(snapshot, (who, query.view), &associates, false).await?;
    let places = [places, of_real, of_vain, of_associates].concat();
    let resolution = leads.resolution();
    let cost = [of_points, of_devices].into_iter().sum();
    Ok(Resolved { sought: leads.into_sought(places), resolution, cost })
}

/// Where rows lie that name something which they do not lie under.
type Places = Vec<(Named, Vec<Elsewhere>)>;

async fn known_of(
    snapshot: &dyn Pinned,
    who: &Access,
    about: &[Named],
) -> Result<(Vec<InventoryFragment>, Cost), SearchError> {
    Ok(snapshot.known(who, about).await?)
}

async fn anchors_of(
    snapshot: &dyn Pinned,
    who: &Access,
    mpxns: &[Mpxn],
) -> Result<Vec<Anchors>, SearchError> {
    // The common case, without the machinery of the general one.
    if let [mpxn] = mpxns {
        return Ok(vec![snapshot.anchors_of(who, *mpxn).await?]);
    }
    let all: Vec<_> = mpxns.iter().map(|mpxn| snapshot.anchors_of(who, *mpxn)).collect();
    Ok(stream::iter(all).buffered(LOOKUPS_AT_ONCE).try_collect().await?)
}

async fn elsewhere(
    snapshot: &dyn Pinned,
    who: (&Access, View),
    named: &[Named],
    in_vain: bool,
) -> Result<Vec<Vec<Elsewhere>>, SearchError> {
    if named.is_empty() {
        return Ok(Vec::new());
    }
    Ok(snapshot.elsewhere(who, named, in_vain).await?)
}

async fn elsewhere_of(
    snapshot: &dyn Pinned,
    who: (&Access, View),
    named: &[Named],
    in_vain: bool,
) -> Result<Places, SearchError> {
    let places = elsewhere(snapshot, who, named, in_vain).await?;
    Ok(named.iter().copied().zip(places).collect())
}

/// What leads to rows.
struct Leads {
    dates: Intervals,
    /// The meter points of the key, and when within the dates they are.
    points: BTreeMap<Mpxn, Intervals>,
    /// Devices that the inventory has at those, and when.
    installed: BTreeMap<DeviceId, Intervals>,
    /// All Devices to which the inventory leads, and when.
    by_inventory: BTreeMap<DeviceId, Intervals>,
    /// Devices that were seen with meter points of the key, and when those are.
    seen: BTreeMap<DeviceId, Intervals>,
    /// Devices of which the inventory knows where they are.
    placed: BTreeSet<DeviceId>,
    /// What else rows lie under that name a meter point of the key.
    others: BTreeSet<(Anchor, Mpxn)>,
    /// What is looked for in vain.
    in_vain: BTreeSet<(Anchor, Mpxn)>,
}

impl Leads {
    const fn new(dates: Intervals) -> Self {
        Self {
            dates,
            points: BTreeMap::new(),
            installed: BTreeMap::new(),
            by_inventory: BTreeMap::new(),
            seen: BTreeMap::new(),
            placed: BTreeSet::new(),
            others: BTreeSet::new(),
            in_vain: BTreeSet::new(),
        }
    }

    /// Adds a meter point, with what the inventory and pairs say of it: of a UPRN, for as long as it is registered with that.
    fn add_meter_point(
        &mut self,
        mpxn: Mpxn,
        (known, uprn): (&InventoryFragment, Option<Uprn>),
        seen: Anchors,
    ) {
        let view = known.known();
        let within = match uprn {
            Some(uprn) => view.uprn_within(uprn, &self.dates),
            None => self.dates.clone(),
        };
        if within.is_never() {
            return;
        }
        let installed = view.devices_within(&within);
        // Where the inventory leads on, what is looked up is the same whether or not events of others name the meter point.
        if installed.is_empty() {
            self.in_vain.extend(seen.in_vain.into_iter().take(DEVICES_MAX).map(|anchor| (anchor, mpxn)));
        }
        for (device, when) in installed {
            add(&mut self.installed, device, &when);
            add(&mut self.by_inventory, device, &when);
        }
        for anchor in seen.found {
            match anchor.device() {
                Some(device) => add(&mut self.seen, device, &within),
                None => {
                    self.others.insert((anchor, mpxn));
                }
            }
        }
        self.points.insert(mpxn, within);
    }

    /// Adds what the inventory says of a Device: what is Associated with one that is installed leads there too, while it is, and no further.
    fn add_device(&mut self, known: &InventoryFragment) {
        let Named::Device(device) = known.about() else { return };
        let view = known.known();
        if view.has_place() {
            self.placed.insert(device);
        }
        if let Some(when) = self.installed.get(&device) {
            for (associate, when) in view.associates_within(when) {
                add(&mut self.by_inventory, associate, &when);
            }
        }
    }

    fn has_point(&self, named: Named) -> bool {
        matches!(named, Named::Mpxn(mpxn) if self.points.contains_key(&mpxn))
    }

    /// Errors: `TooWide`.
    fn within_limits(&self) -> Result<(), SearchError> {
        let found = self.device_ids().count() + self.others.len();
        match found > DEVICES_MAX {
            true => Err(SearchError::TooWide { what: "Devices", most: DEVICES_MAX }),
            false => Ok(()),
        }
    }

    /// The Devices, ascending.
    fn device_ids(&self) -> impl Iterator<Item = DeviceId> {
        let all: BTreeSet<DeviceId> = self.by_inventory.keys().chain(self.seen.keys()).copied().collect();
        all.into_iter()
    }

    fn devices(&self) -> Vec<Named> {
        self.device_ids().map(Named::Device).collect()
    }

    /// The Devices that are looked for in vain and in no other way.
    fn devices_in_vain(&self) -> Vec<Named> {
        let all: BTreeSet<DeviceId> = self
            .in_vain
            .iter()
            .filter_map(|(anchor, _)| anchor.device())
            .filter(|it| !self.leads(*it))
            .collect();
        all.into_iter().map(Named::Device).collect()
    }

    fn leads(&self, device: DeviceId) -> bool {
        self.by_inventory.contains_key(&device) || self.seen.contains_key(&device)
    }

    /// By which ways it went. Whether events named Devices with the meter points is not said: those may be events of others.
    fn resolution(&self) -> DeviceResolution {
        match self.by_inventory.is_empty() {
            true => DeviceResolution::BySeenPairs,
            false => DeviceResolution::ByInventoryAndSeenPairs,
        }
    }

    /// When the rows of a Device count, whatever they name.
    fn all_rows_of(&self, device: DeviceId) -> Intervals {
        let seen = || self.seen.get(&device).filter(|_| !self.placed.contains(&device));
        self.by_inventory.get(&device).or_else(seen).cloned().unwrap_or_default()
    }

    /// Why a row counts at some times, and at others where it names a meter point of the key.
    fn counts(&self, all_rows: Intervals, points: &[Counts]) -> Arc<[Counts]> {
        if all_rows.covers(&self.dates) {
            return Arc::default();
        }
        let whatever = (!all_rows.is_never()).then_some(Counts { within: all_rows, naming: None });
        whatever.into_iter().chain(points.iter().cloned()).collect()
    }

    /// The look-ups: what lies under the Devices and meter points, and what names them and lies elsewhere.
    fn into_sought(self, places: Places) -> Vec<Sought> {
        let point = |(mpxn, within): (&Mpxn, &Intervals)| Counts {
            within: within.clone(),
            naming: Some(Named::Mpxn(*mpxn)),
        };
        let points: Vec<Counts> = self.points.iter().map(point).collect();
        let of_device = |device: DeviceId| {
            let inventory = self.by_inventory.get(&device).cloned().unwrap_or_default();
            let way = Way::Led { inventory, seen: self.seen.contains_key(&device) };
            (self.counts(self.all_rows_of(device), &points), way)
        };
        let of_point = |mpxn: Mpxn| {
            let within = self.points.get(&mpxn).cloned().unwrap_or_default();
            (self.counts(within, &[]), Way::seen())
        };
        let mut all = Vec::new();
        for device in self.device_ids() {
            let (counts, way) = of_device(device);
            all.push(Sought { counts, way, ..Sought::under(Anchor::Device(device), Some(device)) });
        }
        for (anchor, mpxn) in &self.others {
            let ((counts, way), naming) = (of_point(*mpxn), Some(Named::Mpxn(*mpxn)));
            // Such a row lies under no Device, with others that name other meter points.
            all.push(Sought { naming, counts, way, ..Sought::under(*anchor, None) });
        }
        for (anchor, mpxn) in &self.in_vain {
            let matched = anchor.device();
            let naming = matched.is_none().then_some(Named::Mpxn(*mpxn));
            all.push(Sought { naming, way: Way::seen(), in_vain: true, ..Sought::under(*anchor, matched) });
        }
        for (named, places) in places {
            let (counts, way) = match named {
                Named::Device(device) => of_device(device),
                Named::Mpxn(mpxn) => of_point(mpxn),
            };
            let in_vain = matches!(named, Named::Device(device) if !self.leads(device));
            for place in places.into_iter().filter(|place| !self.finds(place.anchor, named)) {
                let (counts, way) = (Arc::clone(&counts), way.clone());
                all.push(Sought { counts, way, in_vain, ..Sought::elsewhere(place, named) });
            }
        }
        all
    }

    /// Whether what lies under an anchor and counts since it names something is found under that anchor anyway.
    fn finds(&self, anchor: Anchor, named: Named) -> bool {
        let Some(device) = anchor.device().filter(|device| self.leads(*device)) else { return false };
        match named {
            Named::Device(other) => self.all_rows_of(device).covers(&self.all_rows_of(other)),
            // Whatever names a meter point of the key counts under each Device.
            Named::Mpxn(_) => true,
        }
    }
}

fn add(all: &mut BTreeMap<DeviceId, Intervals>, device: DeviceId, when: &Intervals) {
    let known = all.entry(device).or_default();
    *known = known.or(when);
}
