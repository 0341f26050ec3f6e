//! What is known of the thresholds, or of the quarantined communications, of one User: a set of events.

use crate::event::{AnomalyEvent, AnomalyFact, AnomalyStatement, Origin};
use gridtrail_model::{EventId, Merge, Timestamp, UserId};
use std::collections::HashSet;

/// What some of the events about a User say: the unit that is merged when it is read.
///
/// It is a set, and merging is the union; so **I1: `merge` is commutative, associative and idempotent**, whatever the order, repetition or
/// batching of the events. What follows from the set is settled when it is asked, for the times that are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnomalyFragment {
    about: Option<UserId>,
    /// Ascending, each once.
    events: Vec<AnomalyEvent>,
}

impl AnomalyFragment {
    /// Of a User of which nothing is known; `None`: of all Users together.
    pub const fn new(about: Option<UserId>) -> Self {
        Self { about, events: Vec::new() }
    }

    /// The User. `None`: all of them together.
    pub const fn about(&self) -> Option<UserId> {
        self.about
    }

    /// The events, by the time when they were recorded.
    pub fn events(&self) -> &[AnomalyEvent] {
        &self.events
    }

    /// Adds an event; a repeat changes nothing. Returns whether it was new. An event about another User is none of this fragment's, and left
    /// out.
    pub fn add(&mut self, event: AnomalyEvent) -> bool {
        if event.about != self.about {
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
    pub fn known_at(&self, recorded: Timestamp) -> AnomalyView<'_> {
        let known = || self.events.iter().filter(|event| event.recorded_at <= recorded);
        let overtaken: HashSet<&EventId> = known().filter_map(AnomalyEvent::target).collect();
        // A message has no identifier that an event could name.
        let counts = |event: &AnomalyEvent| event.origin == Origin::Duis || !overtaken.contains(&event.id);
        let facts = known().filter(|event| counts(event)).filter_map(|event| match &event.told {
            AnomalyStatement::Fact { at, fact, .. } => {
                Some(Known { at: *at, recorded_at: event.recorded_at, origin: event.origin, fact })
            }
            AnomalyStatement::Withdrawal { .. } => None,
        });
        AnomalyView { about: self.about, facts: facts.collect() }
    }

    /// What is known by all events.
    pub fn known(&self) -> AnomalyView<'_> {
        self.known_at(Timestamp::MAX)
    }
}

impl Merge for AnomalyFragment {
    fn merge(&mut self, other: Self) {
        debug_assert_eq!(self.about, other.about, "only fragments of one User merge");
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

/// A fact that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Known<'f> {
    pub(crate) at: Timestamp,
    pub(crate) recorded_at: Timestamp,
    pub(crate) origin: Origin,
    pub(crate) fact: &'f AnomalyFact,
}

/// What was known of a User at a time. It answers what was so at any other.
#[derive(Debug, Clone)]
pub struct AnomalyView<'f> {
    about: Option<UserId>,
    facts: Vec<Known<'f>>,
}

impl<'f> AnomalyView<'f> {
    /// The User. `None`: all of them together.
    pub const fn about(&self) -> Option<UserId> {
        self.about
    }

    /// The facts that were so by a time.
    pub(crate) fn by(&self, at: Timestamp) -> impl Iterator<Item = Known<'f>> {
        self.facts.iter().copied().filter(move |known| known.at <= at)
    }

    /// All facts, whenever they are so.
    pub(crate) fn facts(&self) -> &[Known<'f>] {
        &self.facts
    }
}
