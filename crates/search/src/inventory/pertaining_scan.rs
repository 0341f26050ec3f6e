//! All Devices that pertain to a caller, and all hubs without Devices that do: found from the meter points that the caller answers for, so that what
//! pertains to others is not looked at.
//!
//! 1. The meter points that the caller answers for ([`Answers`]).
//! 2. Of some of them at a time, ascending: the Devices that were ever installed there, those that were ever Associated with these, and those that were with
//!    these again, each looked up once, sorted as rows lie ([`Briefs`]).
//! 3. Of each of those, where it is, as a search tells it. Whatever it takes for that and is still missing is looked up.
//! 4. A Device is given with the first meter point for which the caller answers, and with no other. So each is given once.
//!
//! That nothing is left out follows from where rows lie: what is told of two lies under both, so a Device that is at a meter point, or Associated with
//! another, is named by what lies there, too.

use super::answers::Answers;
use super::brief::{Brief, Briefs, is_a};
use super::device::held;
use super::pass::Pass;
use super::pertaining::{PertainingDevice, UnattachedHub, unattached};
use super::reach::Reach;
use super::scan::InventoryRules;
use crate::error::SearchError;
use crate::limits::{LISTED_BESIDE_MAX, METER_POINTS_AT_ONCE};
use crate::room::Room;
use gridtrail_access::Access;
use gridtrail_lake::Snapshot;
use gridtrail_model::{DeviceId, DeviceType, Mpxn};
use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;

/// Devices that are given at a time.
const DEVICES_AT_ONCE: usize = 4_096;

/// Hubs that are looked at at a time, with what is around them.
const HUBS_AT_ONCE: usize = 64;

/// How a scan reads.
#[derive(Clone)]
pub struct Reading {
    /// How much is read at the same time.
    pub at_once: NonZeroU32,
    /// What lends it memory.
    pub room: Arc<dyn Room>,
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reading").field("at_once", &self.at_once).finish_non_exhaustive()
    }
}

/// The meter points of a caller, some at a time.
struct Turns {
    pass: Pass,
    answers: Option<Answers>,
    /// The number of the first meter point whose turn is still to come.
    next: usize,
    at_most: usize,
}

impl Turns {
    fn new(snapshot: Arc<Snapshot>, who: Access, rules: InventoryRules, reading: Reading) -> Self {
        let Reading { at_once, room } = reading;
        let pass = Pass { snapshot, who, rules, at_once, room };
        Self { pass, answers: None, next: 0, at_most: METER_POINTS_AT_ONCE }
    }

    /// The meter points whose turn it is, with the Devices that were ever installed at them; `None` at the end.
    async fn next(&mut self) -> Result<Option<(Range<usize>, Briefs)>, SearchError> {
        if self.answers.is_none() {
            self.answers = Some(Answers::read(&self.pass).await?);
        }
        let Some((answers, some)) =
            self.answers.as_ref().and_then(|answers| Some((answers, answers.next(self.next, self.at_most)?)))
        else {
            return Ok(None);
        };
        self.next = some.end;
        let mut briefs = Briefs::default();
        self.pass.look_at(&mut briefs, answers.devices(&some), answers.bytes()).await?;
        Ok(Some((some, briefs)))
    }
}

/// All Devices that pertain to a caller, in no order.
pub struct PertainingScan {
    turns: Turns,
    turn: Option<Turn>,
}

/// The Devices of some meter points.
struct Turn {
    some: Range<usize>,
    briefs: Briefs,
    /// Those that may be theirs, and are still to be given.
    left: Vec<DeviceId>,
}

impl std::fmt::Debug for PertainingScan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PertainingScan").field("rules", &self.turns.pass.rules).finish_non_exhaustive()
    }
}

impl PertainingScan {
    /// Begins. Nothing is read before the first call of [`PertainingScan::next`].
    pub fn new(snapshot: Arc<Snapshot>, who: Access, rules: InventoryRules, reading: Reading) -> Self {
        Self { turns: Turns::new(snapshot, who, rules, reading), turn: None }
    }

    /// The next Devices that pertain to the caller, once for each of their User IDs that one pertains to; `None` at the end. A batch may be empty.
    ///
    /// Memory: some hundred bytes of each meter point that the caller answers for, and of each Device of some of those at a time; what is held, the room
    /// is told. Errors: `Lake`, also of a caller whose roles do not allow searches of the inventory; `NoRoom`.
    pub async fn next(&mut self) -> Result<Option<Vec<PertainingDevice>>, SearchError> {
        if self.turn.as_ref().is_none_or(|turn| turn.left.is_empty()) {
            // What it holds is let go first.
            self.turn = None;
            let Some((some, briefs)) = self.turns.next().await? else { return Ok(None) };
            self.turn = Some(self.around(some, briefs).await?);
        }
        let (Some(turn), Some(answers)) = (&mut self.turn, &self.turns.answers) else { return Ok(None) };
        let from = turn.left.len().saturating_sub(DEVICES_AT_ONCE);
        let mut found = Vec::new();
        for device in turn.left.split_off(from) {
            self.turns.pass.rows_of(answers, (&turn.some, &turn.briefs), device, &mut found);
        }
        Ok(Some(found))
    }

    /// All Devices that may be at some meter points, and all that it takes to tell.
    async fn around(&self, some: Range<usize>, mut briefs: Briefs) -> Result<Turn, SearchError> {
        let Some(answers) = &self.turns.answers else {
            return Ok(Turn { some, briefs, left: Vec::new() });
        };
        let (pass, beside) = (&self.turns.pass, answers.bytes());
        let is_here = |brief: &Brief| brief.installed_at.iter().any(|mpxn| answers.is_among(&some, *mpxn));
        let meters = briefs.iter().filter(|(_, brief)| is_here(brief)).map(|(device, _)| device);
        let mut left: BTreeSet<DeviceId> = meters.collect();
        let mut outermost = left.clone();
        for _ in 0..super::device::HOPS_TO_PREMISES {
            let next = outermost.iter().filter_map(|device| briefs.get(*device)).flat_map(Brief::ever_around);
            let next: BTreeSet<DeviceId> = next.filter(|device| !left.contains(device)).collect();
            pass.look_at(&mut briefs, next.iter().copied(), beside).await?;
            left.extend(&next);
            outermost = next;
        }
        loop {
            let mut missing = Vec::new();
            for device in &left {
                let Some(brief) = briefs.shown(*device, pass.rules.type_two()) else { continue };
                missing.extend(briefs.unknown(brief.related()));
                briefs.meters_of(*device, &mut missing);
            }
            if missing.is_empty() {
                return Ok(Turn { some, briefs, left: left.into_iter().collect() });
            }
            pass.look_at(&mut briefs, missing, beside).await?;
        }
    }
}

impl Pass {
    /// Adds a Device for each of the caller's User IDs that it pertains to, where the first meter point for which one answers is among some.
    fn rows_of(
        &self,
        answers: &Answers,
        (some, briefs): (&Range<usize>, &Briefs),
        device: DeviceId,
        found: &mut Vec<PertainingDevice>,
    ) {
        let type_two = self.rules.type_two();
        let Some(brief) = briefs.shown(device, type_two) else { return };
        let meters = briefs.meters_of(device, &mut Vec::new()).unwrap_or_default();
        let places =
            meters.iter().filter_map(|meter| briefs.get(*meter)).flat_map(|meter| &meter.installed_at);
        let places: BTreeSet<Mpxn> = places.copied().collect();
        // As a search lists them.
        let places: BTreeSet<Mpxn> = places.into_iter().take(LISTED_BESIDE_MAX).collect();
        let Some((first, users)) = answers.answering(&places) else { return };
        if !answers.is_among(some, first) {
            return;
        }
        let hub = briefs.hub_of(brief, type_two);
        let mpxns: Vec<Mpxn> = places.into_iter().collect();
        found.extend(users.into_iter().map(|(user, capacities)| PertainingDevice {
            user,
            capacities,
            device,
            details: Arc::clone(&brief.details),
            smi_status: brief.smi_status,
            smi_status_since: brief.smi_status_since,
            commissioned_at: brief.commissioned_at,
            region: brief.region,
            mpxns: mpxns.clone(),
            hub,
        }));
    }
}

/// All Communications Hubs without Devices that pertain to a caller, in no order.
pub struct UnattachedHubScan {
    turns: Turns,
    some: Range<usize>,
    /// Hubs that may be without Devices, and are still to be looked at.
    left: Vec<DeviceId>,
}

impl std::fmt::Debug for UnattachedHubScan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UnattachedHubScan").field("rules", &self.turns.pass.rules).finish_non_exhaustive()
    }
}

impl UnattachedHubScan {
    /// Begins. Nothing is read before the first call of [`UnattachedHubScan::next`].
    pub fn new(snapshot: Arc<Snapshot>, who: Access, rules: InventoryRules, reading: Reading) -> Self {
        Self { turns: Turns::new(snapshot, who, rules, reading), some: 0..0, left: Vec::new() }
    }

    /// The next hubs, as [`PertainingScan::next`] gives Devices. Memory and errors: as there; `TooWide` where hubs have too many around them.
    pub async fn next(&mut self) -> Result<Option<Vec<UnattachedHub>>, SearchError> {
        if self.left.is_empty() {
            let Some((some, briefs)) = self.turns.next().await? else { return Ok(None) };
            (self.left, self.some) = (self.hubs_around(briefs).await?, some);
        }
        let Some(answers) = &self.turns.answers else { return Ok(None) };
        let Pass { snapshot, who, rules, .. } = &self.turns.pass;
        let hubs = self.left.split_off(self.left.len().saturating_sub(HUBS_AT_ONCE));
        let mut reach = Reach::new(&**snapshot, who, rules.at);
        let mut found = Vec::new();
        for device in held(&mut reach, rules.type_two().filter(true), &hubs).await? {
            if let Some((first, of_users)) = unattached(&mut reach, who, &device).await?
                && answers.is_among(&self.some, first)
            {
                found.extend(of_users);
            }
        }
        Ok(Some(found))
    }

    /// The hubs that were ever Associated with some Devices, but those that surely have one now.
    async fn hubs_around(&self, mut briefs: Briefs) -> Result<Vec<DeviceId>, SearchError> {
        let (pass, type_two) = (&self.turns.pass, self.turns.pass.rules.type_two());
        let beside = self.turns.answers.as_ref().map_or(0, Answers::bytes);
        let around: BTreeSet<DeviceId> =
            briefs.iter().flat_map(|(_, brief)| brief.ever_around().collect::<Vec<_>>()).collect();
        pass.look_at(&mut briefs, around, beside).await?;
        let is_bare = |(device, brief): &(DeviceId, &Brief)| {
            is_a(brief, DeviceType::Chf)
                && briefs.shown(*device, type_two).is_some()
                && !briefs.is_attached(brief, type_two)
        };
        Ok(briefs.iter().filter(is_bare).map(|(device, _)| device).collect())
    }
}
