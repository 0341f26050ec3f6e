//! What would have been flagged: volumes held against the thresholds in force.

use crate::event::Threshold;
use crate::thresholds::Stretch;
use gridtrail_model::{ServiceReferenceVariant, Timestamp, UserRole};
use std::collections::BTreeMap;

/// Communications of a User, by what they are and when the DCC received them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Volumes {
    arrivals: BTreeMap<Option<ServiceReferenceVariant>, Vec<Timestamp>>,
}

impl Volumes {
    /// Takes in a communication. `variant` is `None` where it is not known: it counts among all of them.
    pub fn add(&mut self, variant: Option<ServiceReferenceVariant>, at: Timestamp) {
        self.arrivals.entry(variant).or_default().push(at);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.arrivals.values().map(Vec::len).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.arrivals.is_empty()
    }

    /// When those of a variant, or all, arrived, ascending.
    fn of(&self, variant: Option<ServiceReferenceVariant>) -> Vec<Timestamp> {
        let of = |one: &Option<ServiceReferenceVariant>| variant.is_none() || *one == variant;
        let mut times: Vec<Timestamp> =
            self.arrivals.iter().filter(|(one, _)| of(one)).flat_map(|(_, times)| times).copied().collect();
        times.sort_unstable();
        times
    }
}

/// A threshold, and the communications that came beyond it while it was in force.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flagged {
    /// The threshold.
    pub threshold: Threshold,
    /// The User Role for which the User set it. `None`: the DCC set it.
    pub role: Option<UserRole>,
    /// When it was exceeded first.
    pub first_at: Timestamp,
    /// When the last communication came that was beyond it.
    pub last_at: Timestamp,
    /// The most that came within its period.
    pub most: u64,
    /// How many communications were beyond it.
    pub communications: u64,
}

/// Which of the thresholds that were in force were exceeded, by the communications of `volumes`, which begin the longest period before the first
/// stretch. Ascending.
///
/// A communication is beyond a threshold where it is in force when the communication comes, and more came within the period that ends with it,
/// itself among them, than may come. It is held against each threshold by itself: what was quarantined by one counts for the others.
pub fn flagged(stretches: &[Stretch], volumes: &Volumes) -> Vec<Flagged> {
    let mut found: BTreeMap<(Threshold, Option<UserRole>), Flagged> = BTreeMap::new();
    let mut sorted: BTreeMap<Option<ServiceReferenceVariant>, Vec<Timestamp>> = BTreeMap::new();
    for Stretch { from, to, in_force } in stretches {
        for in_force in in_force {
            let (threshold, role) = (in_force.threshold, in_force.role);
            let variant = threshold.scope.variant;
            let times = sorted.entry(variant).or_insert_with(|| volumes.of(variant));
            let key = (threshold, role);
            beyond(threshold, times, (*from, *to), |at, within| {
                let one =
                    Flagged { threshold, role, first_at: at, last_at: at, most: within, communications: 0 };
                let flagged = found.entry(key).or_insert(one);
                flagged.last_at = at;
                flagged.most = flagged.most.max(within);
                flagged.communications += 1;
            });
        }
    }
    found.into_values().collect()
}

/// Tells of each communication of a span that is beyond a threshold, and how many came within the period that ends with it.
fn beyond(
    threshold: Threshold,
    times: &[Timestamp],
    (from, to): (Timestamp, Timestamp),
    mut tell: impl FnMut(Timestamp, u64),
) {
    let period = threshold.scope.period.millis();
    let first = times.partition_point(|at| *at < from);
    let end = times.partition_point(|at| *at < to);
    // The first that lies within the period.
    let mut begin = 0;
    for (number, at) in times.iter().enumerate().take(end).skip(first) {
        while times[begin].plus_millis(period) <= *at {
            begin += 1;
        }
        let within = (number - begin + 1) as u64;
        if within > threshold.communications {
            tell(*at, within);
        }
    }
}
