//! What is known of one Device or meter point: a set of events.

use crate::event::InventoryEvent;
use crate::view::InventoryView;
use gridtrail_model::{Merge, Named, Timestamp};

/// What some of the events about a Device or meter point say: the unit that is stored, and merged when it is read.
///
/// It is a set, and merging is the union; so **I1: `merge` is commutative, associative and idempotent**, whatever the order,
/// repetition or batching of the events. What follows from the set is settled when it is asked, for the times that are asked for:
/// a correction that came before what it corrects does as well as one that came after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InventoryFragment {
    about: Named,
    /// Ascending, each once.
    events: Vec<InventoryEvent>,
}

impl InventoryFragment {
    /// Of a Device or meter point of which nothing is known.
    pub const fn new(about: Named) -> Self {
        Self { about, events: Vec::new() }
    }

    /// The Device or meter point.
    pub const fn about(&self) -> Named {
        self.about
    }

    /// The events, by the time when they were recorded.
    pub fn events(&self) -> &[InventoryEvent] {
        &self.events
    }

    /// Adds an event; a repeat changes nothing. Returns whether it was new. An event about others is none of this fragment's, and left
    /// out.
    pub fn add(&mut self, event: InventoryEvent) -> bool {
        if !event.about().contains(&self.about) {
            return false;
        }
        // Events mostly come in order, so the end is tried first.
        if self.events.last().is_none_or(|last| *last < event) {
            self.events.push(event);
            return true;
        }
        let place = self.events.binary_search(&event);
        if let Err(at) = place {
            self.events.insert(at, event);
        }
        place.is_err()
    }

    /// What was known at a time: of events recorded later nothing, of those corrected or withdrawn by then nothing either.
    pub fn known_at(&self, recorded: Timestamp) -> InventoryView<'_> {
        InventoryView::new(self.about, self.events.iter().filter(|event| event.recorded_at <= recorded))
    }

    /// What is known by all events.
    pub fn known(&self) -> InventoryView<'_> {
        InventoryView::new(self.about, self.events.iter())
    }
}

impl Merge for InventoryFragment {
    fn merge(&mut self, other: Self) {
        debug_assert_eq!(self.about, other.about, "only fragments of one Device or meter point merge");
        if self.events.is_empty() {
            self.events = other.events;
            return;
        }
        self.events.extend(other.events);
        // Two runs in order: what sorting finds, and joins in the time that going through them takes.
        self.events.sort();
        self.events.dedup();
    }
}
