//! What the engine (55.2) repeats of an expression when it writes it otherwise, before anything is carried out.
//!
//! `a BETWEEN b AND c` becomes two comparisons of `a`, a short `IN` alternatives, a condition of few cases ANDs and ORs, `coalesce` cases, and a
//! comparison of a time that is cut a range. Each of these within another is repeated again: thirty levels are a thousand million expressions.

/// How often a `BETWEEN` repeats what it is about.
pub(super) const BETWEEN: u64 = 2;
/// How often a comparison does.
pub(super) const COMPARED: u64 = 2;
/// The longest list of an `IN` that becomes alternatives, and the most cases that become ANDs and ORs.
const FEW: usize = 3;

/// How often an `IN` of so many repeats what it is about.
pub(super) const fn alternatives(listed: usize) -> u64 {
    if listed <= FEW { FEW as u64 } else { 1 }
}

/// How often a `CASE` of so many cases repeats its conditions.
pub(super) const fn cases(of: usize) -> u64 {
    if of <= FEW { FEW as u64 } else { 1 }
}

/// How often a function repeats what it is given.
pub(super) fn of_function(name: &str) -> u64 {
    if matches!(name, "coalesce" | "ifnull" | "nullif" | "nvl" | "nvl2") { 2 } else { 1 }
}

/// How many expressions all sets have that a CUBE of so many stands for.
pub(super) fn subsets_of(groups: usize) -> u64 {
    let sets = u32::try_from(groups).ok().and_then(|groups| 1_u64.checked_shl(groups));
    sets.unwrap_or(u64::MAX).saturating_mul(groups as u64)
}

/// How often what is walked over will stand there, by all that it lies within.
#[derive(Debug, Default)]
pub(super) struct Repeated {
    times: Vec<u64>,
}

impl Repeated {
    /// How often what is here will stand there.
    pub(super) fn here(&self) -> u64 {
        self.times.last().copied().unwrap_or(1)
    }

    /// Goes into an expression that repeats what is in it so often. How often that expression itself will stand there.
    pub(super) fn within(&mut self, times: u64) -> u64 {
        let here = self.here();
        self.times.push(here.saturating_mul(times));
        here
    }

    /// Goes back out of it.
    pub(super) fn behind(&mut self) {
        self.times.pop();
    }
}
