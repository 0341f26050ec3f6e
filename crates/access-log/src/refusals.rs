//! Calls that nobody was admitted for: the first of each second one by one, and the rest counted.

use crate::Entry;
use crate::limits::{REFUSAL_KINDS, REFUSALS_EACH};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Place;

/// What makes two of them alike.
type Alike = (Cow<'static, str>, Cow<'static, str>, Option<Cow<'static, str>>);

/// Refused calls since the last look.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    one_by_one: u32,
    counted: BTreeMap<Alike, Entry>,
}

impl Refusals {
    /// Whether one more may have a row of its own.
    pub(crate) const fn has_room(&self) -> bool {
        self.one_by_one < REFUSALS_EACH
    }

    /// One had a row of its own.
    pub(crate) const fn noted(&mut self) {
        self.one_by_one += 1;
    }

    /// Counts one with those that are alike.
    pub(crate) fn count(&mut self, entry: Entry) {
        let full = self.counted.len() >= REFUSAL_KINDS;
        match self.counted.entry((entry.call.clone(), entry.outcome.clone(), entry.reason.clone())) {
            Place::Occupied(mut known) => {
                let known = known.get_mut();
                known.times = known.times.saturating_add(entry.times);
                known.at = known.at.max(entry.at);
                // Of several addresses none stands for the others.
                known.peer = known.peer.take().filter(|peer| Some(peer) == entry.peer.as_ref());
                (known.took_us, known.detail) = (None, None);
            }
            // Calls and reasons are names in the program, of which there are fewer.
            Place::Vacant(_) if full => {}
            Place::Vacant(free) => drop(free.insert(entry)),
        }
    }

    /// What was counted; from now on the next second counts.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = Entry> + use<> {
        std::mem::take(self).counted.into_values()
    }
}
