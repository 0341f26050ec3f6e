//! Thresholds: the files by which Users set them, and which are in force.

use crate::event::{AnomalyFact, Exceeded, FileName, Scope, Threshold, ThresholdKind, ThresholdsFile};
use crate::fragment::{AnomalyView, Known};
use crate::limits::{FAST_TRACK_MS, PROCESSING_MS};
use crate::reference::{Reason, Reference};
use gridtrail_model::{Timestamp, UserRole};
use std::collections::{BTreeMap, BTreeSet};

/// What became of a Thresholds File.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileState {
    /// The DCC has not decided yet. It is overdue from [`FileStatus::due_at`] on.
    Received,
    /// Its thresholds are in force since then, until a later file of the User and role is applied.
    Applied(Timestamp),
    /// It was rejected then, for this reason.
    Rejected(Timestamp, Reason),
}

/// A Thresholds File, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileStatus {
    /// The file.
    pub file: ThresholdsFile,
    /// When the DCC received it.
    pub received_at: Timestamp,
    /// By when the DCC has to apply or reject it: 72 hours later, or 24 for a Fast-Track Notification.
    pub due_at: Timestamp,
    /// What became of it.
    pub state: FileState,
}

impl FileStatus {
    /// Whether the DCC took longer than it may, or has by now.
    pub fn is_late(&self, now: Timestamp) -> bool {
        match self.state {
            FileState::Received => now > self.due_at,
            FileState::Applied(at) | FileState::Rejected(at, _) => at > self.due_at,
        }
    }
}

/// A threshold in force.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct InForce {
    /// The threshold.
    pub threshold: Threshold,
    /// Since when.
    pub since: Timestamp,
    /// The User Role for which the User set it. `None`: the DCC set it.
    pub role: Option<UserRole>,
    /// The SMSR of the file that set it.
    pub smsr: Option<Reference>,
}

/// A stretch of time within which no threshold changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// From this time on.
    pub from: Timestamp,
    /// Before this time.
    pub to: Timestamp,
    /// The thresholds that were in force throughout, ascending.
    pub in_force: Vec<InForce>,
}

impl<'f> AnomalyView<'f> {
    /// The Thresholds Files that were received by a time, the oldest first, and what had become of each by then.
    pub fn files(&self, at: Timestamp) -> Vec<FileStatus> {
        self.received(at)
            .into_iter()
            .map(|(received_at, file, state)| status(file, received_at, state))
            .collect()
    }

    /// Files that were received by a time, by that, with what had become of them.
    ///
    /// A decision is of the file of its SMSR and role that was received last at or before it. Of several decisions on a file, the first
    /// counts; at one instant, a rejection does.
    fn received(&self, at: Timestamp) -> Vec<(Timestamp, &'f ThresholdsFile, FileState)> {
        let mut files: BTreeSet<(Timestamp, &'f ThresholdsFile)> = BTreeSet::new();
        let mut decisions: Vec<(Timestamp, Option<&'f Reason>, &'f FileName)> = Vec::new();
        for known in self.by(at) {
            match known.fact {
                AnomalyFact::FileReceived(file) => drop(files.insert((known.at, file))),
                AnomalyFact::FileApplied(name) => decisions.push((known.at, None, name)),
                AnomalyFact::FileRejected(name, reason) => decisions.push((known.at, Some(reason), name)),
                _ => {}
            }
        }
        // At one instant rejections come first, the least reason before all others.
        decisions.sort_by_key(|(at, reason, name)| (*at, reason.is_none(), *reason, *name));
        let files: Vec<_> = files.into_iter().collect();
        let mut states = vec![FileState::Received; files.len()];
        for (decided_at, reason, name) in decisions {
            let of = files.iter().rposition(|(at, file)| *at <= decided_at && file.name == *name);
            let Some(state) = of.map(|of| &mut states[of]).filter(|state| **state == FileState::Received)
            else {
                continue;
            };
            *state = match reason {
                Some(reason) => FileState::Rejected(decided_at, reason.clone()),
                None => FileState::Applied(decided_at),
            };
        }
        files.into_iter().zip(states).map(|((at, file), state)| (at, file, state)).collect()
    }

    /// The thresholds that were in force at an instant, ascending. Of a scope that a file or the DCC has twice, the smaller number counts.
    ///
    /// What a User set is what its last applied file lists, role by role; what the DCC set, the last that it set of each scope.
    pub fn thresholds_at(&self, at: Timestamp) -> Vec<InForce> {
        let mut applied: BTreeMap<UserRole, (Timestamp, Timestamp, &ThresholdsFile)> = BTreeMap::new();
        for (received_at, file, state) in self.received(at) {
            if let FileState::Applied(applied_at) = state {
                let one = (applied_at, received_at, file);
                applied.entry(file.name.role).and_modify(|last| *last = one.max(*last)).or_insert(one);
            }
        }
        let mut in_force: Vec<InForce> = Vec::new();
        for (role, (since, _, file)) in applied {
            let mut scopes = BTreeSet::new();
            // Ascending, so the smallest number of a scope comes first.
            for threshold in file.thresholds().iter().filter(|of| scopes.insert((of.kind, of.scope))) {
                let smsr = Some(file.name.smsr.clone());
                in_force.push(InForce { threshold: *threshold, since, role: Some(role), smsr });
            }
        }
        in_force.extend(self.dcc_set(at));
        in_force.sort();
        in_force
    }

    fn dcc_set(&self, at: Timestamp) -> impl Iterator<Item = InForce> {
        let mut last: BTreeMap<Scope, (Timestamp, Timestamp, Option<u64>)> = BTreeMap::new();
        for Known { at, recorded_at, fact, .. } in self.by(at) {
            let AnomalyFact::DccThreshold { scope, communications } = fact else { continue };
            let one = (at, recorded_at, *communications);
            let entry = last.entry(*scope).or_insert(one);
            // Of two that the DCC had at once, none is less than any number, so the threshold stands; then the smaller counts.
            let order = |(at, recorded, number): (Timestamp, Timestamp, Option<u64>)| {
                (at, recorded, number.map(std::cmp::Reverse))
            };
            if order(one) > order(*entry) {
                *entry = one;
            }
        }
        last.into_iter().filter_map(|(scope, (since, _, communications))| {
            let threshold = Threshold { kind: ThresholdKind::DccSet, scope, communications: communications? };
            Some(InForce { threshold, since, role: None, smsr: None })
        })
    }

    /// The thresholds that were in force from a time on and before another, stretch by stretch, within each of which none changed.
    pub fn thresholds_between(&self, (from, to): (Timestamp, Timestamp)) -> Vec<Stretch> {
        let changes = |known: &&Known<'_>| {
            matches!(
                known.fact,
                AnomalyFact::FileApplied(_)
                    | AnomalyFact::FileRejected(..)
                    | AnomalyFact::FileReceived(_)
                    | AnomalyFact::DccThreshold { .. }
            )
        };
        let changes = self.facts().iter().filter(changes).map(|known| known.at);
        let cuts: BTreeSet<Timestamp> =
            changes.filter(|at| *at > from && *at < to).chain([from, to]).collect();
        let cuts: Vec<Timestamp> = cuts.into_iter().collect();
        let stretch =
            |cut: &[Timestamp]| Stretch { from: cut[0], to: cut[1], in_force: self.thresholds_at(cut[0]) };
        cuts.windows(2).map(stretch).collect()
    }

    /// The thresholds that were exceeded by a time, the oldest first.
    pub fn exceeded(&self, at: Timestamp) -> Vec<(Timestamp, &'f Exceeded)> {
        let exceeded = self.by(at).filter_map(|known| match known.fact {
            AnomalyFact::Exceeded(exceeded) => Some((known.at, exceeded)),
            _ => None,
        });
        exceeded.collect::<BTreeSet<_>>().into_iter().collect()
    }
}

fn status(file: &ThresholdsFile, received_at: Timestamp, state: FileState) -> FileStatus {
    let within = if file.fast_track { FAST_TRACK_MS } else { PROCESSING_MS };
    FileStatus { file: file.clone(), received_at, due_at: received_at.plus_millis(within), state }
}
