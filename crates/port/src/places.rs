//! Places that are bounded in number, and shared fairly: when none is free, whoever holds the most gives the oldest of theirs up.
//!
//! A limit alone keeps out whoever comes last, which is who calls honestly when somebody else has taken all there is. So what
//! waits, and is nothing to anybody yet, makes room for what comes: a connection that never said who it is, a message that was begun
//! and not ended, an answer that is not read. What works is never given up.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How firmly a place is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hold {
    /// It is given up first.
    Loose,
    /// It is given up where nobody holds one loosely.
    Light,
    /// It is never given up.
    Firm,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoPlace {
    /// Who asks has all that one may have.
    #[error("one holder has all that one may have")]
    OfHolder,
    /// All are in use.
    #[error("all places are in use")]
    OfAll,
}

/// How many places there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// In all.
    pub all: u32,
    /// Of one holder.
    pub each: u32,
    /// How long a place is held before it can be given up.
    pub patience: Duration,
}

/// A number of places, for holders of a kind. Clones share them.
pub struct Places<K> {
    sizes: Sizes,
    held: Arc<Mutex<Held<K>>>,
}

impl<K> Clone for Places<K> {
    fn clone(&self) -> Self {
        Self { sizes: self.sizes, held: Arc::clone(&self.held) }
    }
}

impl<K> fmt::Debug for Places<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Places").field("sizes", &self.sizes).finish_non_exhaustive()
    }
}

/// What is held.
struct Held<K> {
    /// Numbers the places, and what befalls them, in order.
    next: u64,
    weight: u64,
    slots: HashMap<u64, Slot<K>>,
    holders: HashMap<K, Holder>,
}

/// One place that is held.
struct Slot<K> {
    who: K,
    hold: Hold,
    /// Since when it is held so: the order, and the time.
    order: u64,
    since: Instant,
    weight: u32,
    gives_up: CancellationToken,
}

/// What one holder has.
#[derive(Default)]
struct Holder {
    weight: u64,
    /// How firmly each place is held, since when, and its number: the first is the first to be given up.
    order: BTreeSet<(Hold, u64, u64)>,
}

impl<K: Hash + Eq + Clone> Held<K> {
    fn remove(&mut self, number: u64) -> Option<Slot<K>> {
        let slot = self.slots.remove(&number)?;
        self.weight -= u64::from(slot.weight);
        if let Some(holder) = self.holders.get_mut(&slot.who) {
            holder.weight -= u64::from(slot.weight);
            holder.order.remove(&(slot.hold, slot.order, number));
            if holder.order.is_empty() {
                self.holders.remove(&slot.who);
            }
        }
        Some(slot)
    }

    fn count(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// The first place of a holder to be given up, and how firmly it is held, unless none can be yet.
    fn loosest(&self, holder: &Holder, but: Option<u64>, patience: Duration) -> Option<(Hold, u64)> {
        let of_hold = |hold: Hold| {
            let mut held = holder.order.range((hold, 0, 0)..=(hold, u64::MAX, u64::MAX));
            held.find(|(.., number)| Some(*number) != but)
        };
        [Hold::Loose, Hold::Light].into_iter().find_map(|hold| {
            let (_, _, number) = of_hold(hold)?;
            let since = self.slots.get(number)?.since;
            (since.elapsed() >= patience).then_some((hold, *number))
        })
    }

    /// Makes one place free that `who` or, where that does not matter, whoever holds the most can spare.
    fn displace(&mut self, who: Option<&K>, but: Option<u64>, patience: Duration) -> bool {
        let number = match who {
            Some(who) => self.holders.get(who).and_then(|holder| self.loosest(holder, but, patience)),
            None => {
                let loosest = self.holders.values().filter_map(|holder| {
                    self.loosest(holder, but, patience).map(|(hold, number)| (hold, holder.weight, number))
                });
                let first = loosest.min_by_key(|(hold, weight, _)| (*hold, std::cmp::Reverse(*weight)));
                first.map(|(hold, _, number)| (hold, number))
            }
        };
        let Some(slot) = number.and_then(|(_, number)| self.remove(number)) else { return false };
        slot.gives_up.cancel();
        true
    }

    /// Makes sure that so much more fits. `but` is the place that asks.
    fn make_room(
        &mut self,
        who: &K,
        more: u32,
        but: Option<u64>,
        (sizes, each): (Sizes, u32),
    ) -> Result<(), NoPlace> {
        let of = |held: &Self| held.holders.get(who).map_or(0, |holder| holder.weight);
        while of(self) + u64::from(more) > u64::from(each) {
            if !self.displace(Some(who), but, sizes.patience) {
                return Err(NoPlace::OfHolder);
            }
        }
        while self.weight + u64::from(more) > u64::from(sizes.all) {
            if !self.displace(None, but, sizes.patience) {
                return Err(NoPlace::OfAll);
            }
        }
        Ok(())
    }
}

impl<K: Hash + Eq + Clone> Places<K> {
    /// So many places.
    pub fn new(sizes: Sizes) -> Self {
        let held = Held { next: 0, weight: 0, slots: HashMap::new(), holders: HashMap::new() };
        Self { sizes, held: Arc::new(Mutex::new(held)) }
    }

    /// How many there are.
    pub const fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// A place that counts as so many, held so; `gives_up` is cancelled when it must be given up.
    ///
    /// Errors: there is none, and nobody can spare one.
    pub fn enter(
        &self,
        who: K,
        (weight, hold): (u32, Hold),
        gives_up: CancellationToken,
    ) -> Result<Place<K>, NoPlace> {
        self.enter_within(who, (weight, hold), self.sizes.each, gives_up)
    }

    /// The same, of a holder who may have so many.
    pub fn enter_within(
        &self,
        who: K,
        (weight, hold): (u32, Hold),
        each: u32,
        gives_up: CancellationToken,
    ) -> Result<Place<K>, NoPlace> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.make_room(&who, weight, None, (self.sizes, each))?;
        let (number, since) = (held.count(), Instant::now());
        let slot = Slot { who: who.clone(), hold, order: number, since, weight, gives_up };
        held.weight += u64::from(weight);
        let holder = held.holders.entry(who).or_default();
        holder.weight += u64::from(weight);
        holder.order.insert((hold, number, number));
        held.slots.insert(number, slot);
        drop(held);
        Ok(Place { places: self.clone(), number })
    }

    /// How much is held, by all together.
    pub fn weight(&self) -> u64 {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).weight
    }
}

/// A place that is held until this is dropped.
pub struct Place<K: Hash + Eq + Clone> {
    places: Places<K>,
    number: u64,
}

impl<K: Hash + Eq + Clone> fmt::Debug for Place<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("number", &self.number).finish_non_exhaustive()
    }
}

impl<K: Hash + Eq + Clone> Place<K> {
    /// Holds it so from now on.
    pub fn hold(&self, hold: Hold) {
        let mut held = self.places.held.lock().unwrap_or_else(PoisonError::into_inner);
        let order = held.count();
        let Some(slot) = held.slots.get_mut(&self.number) else { return };
        let before = (slot.hold, slot.order, self.number);
        (slot.hold, slot.order, slot.since) = (hold, order, Instant::now());
        let who = slot.who.clone();
        if let Some(holder) = held.holders.get_mut(&who) {
            holder.order.remove(&before);
            holder.order.insert((hold, order, self.number));
        }
    }

    /// Has it count as so many from now on. Less always fits, and one that was given up counts for nothing.
    ///
    /// Errors: there are not so many; it counts as before.
    pub fn weigh(&self, weight: u32) -> Result<(), NoPlace> {
        let mut held = self.places.held.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(slot) = held.slots.get(&self.number) else { return Ok(()) };
        let (who, before) = (slot.who.clone(), slot.weight);
        let sizes = self.places.sizes;
        if weight > before {
            held.make_room(&who, weight - before, Some(self.number), (sizes, sizes.each))?;
        }
        held.weight = held.weight - u64::from(before) + u64::from(weight);
        if let Some(holder) = held.holders.get_mut(&who) {
            holder.weight = holder.weight - u64::from(before) + u64::from(weight);
        }
        if let Some(slot) = held.slots.get_mut(&self.number) {
            slot.weight = weight;
        }
        Ok(())
    }
}

impl<K: Hash + Eq + Clone> Drop for Place<K> {
    fn drop(&mut self) {
        self.places.held.lock().unwrap_or_else(PoisonError::into_inner).remove(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn places(all: u32, each: u32) -> Places<u8> {
        Places::new(Sizes { all, each, patience: Duration::ZERO })
    }

    fn enter(places: &Places<u8>, who: u8) -> Option<(Place<u8>, CancellationToken)> {
        let token = CancellationToken::new();
        Some((places.enter(who, (1, Hold::Loose), token.clone()).ok()?, token))
    }

    #[test]
    fn whoever_holds_the_most_gives_the_oldest_up() {
        let places = places(4, 3);
        let first = enter(&places, 1).unwrap();
        let second = enter(&places, 1).unwrap();
        let third = enter(&places, 1).unwrap();
        // More than one may have: the oldest of their own goes.
        let fourth = enter(&places, 1).unwrap();
        assert!(first.1.is_cancelled() && !second.1.is_cancelled());
        let other = enter(&places, 2).unwrap();
        let last = enter(&places, 3).unwrap();
        assert!(second.1.is_cancelled(), "of who has most");
        assert!(![&third, &fourth, &other, &last].iter().any(|(_, token)| token.is_cancelled()));
        // That the first was given up and is dropped later takes nothing from others.
        drop((first, second));
        assert_eq!(places.weight(), 4);
    }

    #[test]
    fn what_is_held_firmly_stays_and_what_is_held_lightly_goes_last() {
        let places = places(2, 2);
        let (firm, light) = (enter(&places, 1).unwrap(), enter(&places, 1).unwrap());
        firm.0.hold(Hold::Firm);
        light.0.hold(Hold::Light);
        let loose = enter(&places, 2).unwrap();
        assert!(light.1.is_cancelled() && !firm.1.is_cancelled());
        let next = enter(&places, 3).unwrap();
        assert!(loose.1.is_cancelled());
        next.0.hold(Hold::Firm);
        assert!(enter(&places, 4).is_none());
        drop(firm);
        assert!(enter(&places, 4).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_given_up_before_its_time() {
        let places = Places::new(Sizes { all: 1, each: 1, patience: Duration::from_secs(5) });
        let first = enter(&places, 1).unwrap();
        tokio::time::advance(Duration::from_secs(4)).await;
        assert!(enter(&places, 2).is_none());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(enter(&places, 2).is_some() && first.1.is_cancelled());
    }

    #[test]
    fn a_place_can_come_to_count_for_more() {
        let places = places(10, 8);
        let (first, second) = (enter(&places, 1).unwrap(), enter(&places, 2).unwrap());
        first.0.hold(Hold::Firm);
        second.0.hold(Hold::Firm);
        assert_eq!(first.0.weigh(9), Err(NoPlace::OfHolder));
        assert_eq!((first.0.weigh(8), second.0.weigh(3)), (Ok(()), Err(NoPlace::OfAll)));
        assert_eq!((second.0.weigh(2), first.0.weigh(1), second.0.weigh(8)), (Ok(()), Ok(()), Ok(())));
        assert_eq!(places.weight(), 9);
    }

    proptest! {
        /// Whatever is done, no more is held than there is, by nobody more than one may have, and in the end nothing.
        #[test]
        fn no_more_is_held_than_there_is(steps in prop::collection::vec((0u8..5, 0u8..4, 1u32..4), 1..200)) {
            let places = places(12, 7);
            let mut held: Vec<Place<u8>> = Vec::new();
            for (what, who, count) in steps {
                let some = usize::from(who) % held.len().max(1);
                match (what, held.get(some)) {
                    (0, Some(place)) => place.hold([Hold::Loose, Hold::Light, Hold::Firm][count as usize - 1]),
                    (1, Some(place)) => _ = place.weigh(count),
                    (2, Some(_)) => drop(held.swap_remove(some)),
                    _ => held.extend(places.enter(who, (count, Hold::Loose), CancellationToken::new())),
                }
                let inside = places.held.lock().unwrap();
                prop_assert!(inside.weight <= 12 && inside.holders.values().all(|holder| holder.weight <= 7));
                let of_slots: u64 = inside.slots.values().map(|slot| u64::from(slot.weight)).sum();
                let of_holders: u64 = inside.holders.values().map(|holder| holder.weight).sum();
                prop_assert!(inside.weight == of_slots && of_slots == of_holders);
            }
            held.clear();
            let inside = places.held.lock().unwrap();
            prop_assert!(inside.weight == 0 && inside.slots.is_empty() && inside.holders.is_empty());
        }
    }
}
