//! The values of one field over effective time.

use crate::event::{Effective, FactOrigin, FieldChange, InventoryEvent};
use crate::intervals::Intervals;
use gridtrail_model::Timestamp;

/// A value, and when it is so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period<T> {
    /// The value.
    pub value: T,
    /// The first instant at which it is so.
    pub from: Timestamp,
    /// The first instant at which it is so no more; `None`: no end is known.
    pub until: Option<Timestamp>,
    /// Who told it.
    pub origin: FactOrigin,
    /// When the DCC had the first event that told it for this period.
    pub recorded_at: Timestamp,
}

/// The values of one field over effective time, ascending, without overlap.
///
/// A fact is so from when it takes effect until its own end, or until the next fact of the field takes effect, whichever is
/// first; what was so before does not come back. Of facts that take effect at one instant the one recorded last counts, of
/// those recorded at one instant the greatest. From when the first inventory event of the field takes effect, DUIS messages say
/// nothing of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline<T> {
    periods: Vec<Period<T>>,
    begins: Option<Timestamp>,
}

/// What one event says of the field.
#[derive(Debug)]
pub(crate) struct Statement<'e, T> {
    pub(crate) event: &'e InventoryEvent,
    pub(crate) effective: Effective,
    pub(crate) said: FieldChange<T>,
}

impl<T: Clone + PartialEq> Timeline<T> {
    pub(crate) fn of(statements: Vec<Statement<'_, T>>) -> Self {
        let told: Vec<_> = statements
            .into_iter()
            .filter(|statement| !matches!(statement.said, FieldChange::Unsaid))
            .collect();
        let begins = told.iter().map(|statement| statement.effective.from()).min();
        let (events, messages): (Vec<_>, Vec<_>) =
            told.into_iter().partition(|statement| statement.event.origin == FactOrigin::Inventory);
        let first_event = events.iter().map(|statement| statement.effective.from()).min();
        let mut periods = steps(messages);
        if let Some(cut) = first_event {
            periods.retain(|period| period.from < cut);
            if let Some(last) = periods.last_mut() {
                last.until = Some(last.until.map_or(cut, |until| until.min(cut)));
            }
        }
        periods.extend(steps(events));
        Self { periods: joined(periods), begins }
    }

    /// The value at an instant.
    pub fn at(&self, effective: Timestamp) -> Option<&Period<T>> {
        let next = self.periods.partition_point(|period| period.from <= effective);
        let period = &self.periods[next.checked_sub(1)?];
        period.until.is_none_or(|until| effective < until).then_some(period)
    }

    /// The value at an instant, by itself.
    pub fn value_at(&self, effective: Timestamp) -> Option<T> {
        self.at(effective).map(|period| period.value.clone())
    }

    /// All values, ascending.
    pub fn periods(&self) -> &[Period<T>] {
        &self.periods
    }

    /// When the field has a value of which something holds.
    pub fn when(&self, holds: impl Fn(&T) -> bool) -> Intervals {
        let those = self.periods.iter().filter(|period| holds(&period.value));
        those.map(|period| (period.from, period.until)).collect()
    }

    /// Whether anything was said of the field that has taken effect by an instant, be it that it has no value.
    pub fn has_begun(&self, effective: Timestamp) -> bool {
        self.begins.is_some_and(|begins| begins <= effective)
    }
}

/// The periods of statements of one rank.
fn steps<T>(mut statements: Vec<Statement<'_, T>>) -> Vec<Period<T>> {
    statements.sort_by(|one, other| {
        let by_time = one.effective.from().cmp(&other.effective.from());
        by_time.then_with(|| one.event.cmp(other.event))
    });
    let mut periods = Vec::with_capacity(statements.len());
    let mut statements = statements.into_iter().peekable();
    while let Some(Statement { event, effective, said }) = statements.next() {
        let next = statements.peek().map(|next| next.effective.from());
        if next == Some(effective.from()) {
            continue;
        }
        let until = effective.until().into_iter().chain(next).min();
        if let FieldChange::Value(value) = said {
            let (origin, recorded_at) = (event.origin, event.recorded_at);
            periods.push(Period { value, from: effective.from(), until, origin, recorded_at });
        }
    }
    periods
}

/// Makes one period of those that follow each other with the same value, told by the same kind of source.
fn joined<T: PartialEq>(periods: Vec<Period<T>>) -> Vec<Period<T>> {
    let mut joined: Vec<Period<T>> = Vec::with_capacity(periods.len());
    for period in periods {
        match joined.last_mut() {
            Some(last)
                if last.until == Some(period.from)
                    && last.value == period.value
                    && last.origin == period.origin =>
            {
                last.until = period.until;
            }
            _ => joined.push(period),
        }
    }
    joined
}
