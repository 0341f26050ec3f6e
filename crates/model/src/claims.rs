//! What events claim about one field of a trail.

/// The set of values that events claimed for one field; nearly always empty or of one value.
///
/// **The one conflict rule**: merging is the union of the claims, the value shown is the smallest, and every
/// other claim stays readable. A union is commutative, associative and idempotent, whatever the values are,
/// and no claim is ever lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims<T> {
    // `first` is the smallest; `others` holds the rest, ascending. Boxed because it is nearly always absent.
    first: Option<T>,
    #[expect(
        clippy::box_collection,
        reason = "a Vec would make every field of every fragment 16 bytes larger"
    )]
    others: Option<Box<Vec<T>>>,
}

impl<T> Default for Claims<T> {
    fn default() -> Self {
        Self::none()
    }
}

impl<T> Claims<T> {
    /// Nothing claimed.
    pub const fn none() -> Self {
        Self { first: None, others: None }
    }
}

impl<T: Ord> Claims<T> {
    /// The value shown: the smallest claim.
    pub fn value(&self) -> Option<&T> {
        self.first.as_ref()
    }

    /// Every claim, ascending.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(self.others.iter().flat_map(|others| others.iter()))
    }

    /// The claims that are not shown, ascending.
    pub fn others(&self) -> &[T] {
        self.others.as_ref().map_or(&[], |others| others.as_slice())
    }

    /// Adds one claim; a repeat changes nothing. Returns whether it was new.
    pub fn add(&mut self, claim: T) -> bool {
        let Some(first) = &mut self.first else {
            self.first = Some(claim);
            return true;
        };
        if *first == claim {
            return false;
        }
        let other = if claim < *first { std::mem::replace(first, claim) } else { claim };
        let others = self.others.get_or_insert_default();
        let place = others.binary_search(&other);
        if let Err(at) = place {
            others.insert(at, other);
        }
        place.is_err()
    }

    /// Adds a claim where the event makes one. Returns whether it was new.
    pub fn add_some(&mut self, claim: Option<T>) -> bool {
        claim.is_some_and(|claim| self.add(claim))
    }

    /// Adds all claims of another set.
    pub fn merge(&mut self, other: Self) {
        if other.others.is_none() {
            self.add_some(other.first);
        } else {
            self.extend(other.into_iter());
        }
    }

    /// Adds many claims, in the time that sorting takes. Returns whether any was new.
    pub fn extend(&mut self, claims: impl Iterator<Item = T>) -> bool {
        let before = std::mem::take(self);
        let count = before.len();
        let mut all: Vec<T> = before.into_iter().chain(claims).collect();
        all.sort_unstable();
        all.dedup();
        let is_new = all.len() > count;
        let mut rest = all.into_iter();
        self.first = rest.next();
        self.others = (rest.len() > 0).then(|| Box::new(rest.collect()));
        is_new
    }

    /// How many claims there are.
    pub fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.others().len()
    }

    /// Whether nothing was claimed.
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Whether this is one of the claims.
    pub fn contains(&self, claim: &T) -> bool {
        self.first.as_ref() == Some(claim) || self.others().binary_search(claim).is_ok()
    }

    fn into_iter(self) -> impl Iterator<Item = T> {
        self.first.into_iter().chain(self.others.into_iter().flat_map(|others| *others))
    }
}

impl<T: Ord> FromIterator<T> for Claims<T> {
    fn from_iter<I: IntoIterator<Item = T>>(claims: I) -> Self {
        let mut set = Self::default();
        set.extend(claims.into_iter());
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn claims_are_the_set_of_what_was_claimed(all: Vec<u8>, cut: proptest::sample::Index) {
            let (left, right) = all.split_at(cut.index(all.len() + 1));
            let mut merged: Claims<u8> = right.iter().copied().collect();
            merged.merge(left.iter().copied().collect());
            let expected: BTreeSet<u8> = all.iter().copied().collect();
            let mut seen = (Claims::default(), BTreeSet::new());
            for claim in &all {
                prop_assert_eq!(seen.0.add(*claim), seen.1.insert(*claim));
            }
            prop_assert!(merged.iter().eq(expected.iter()));
            prop_assert_eq!(merged.len(), expected.len());
            prop_assert!((0..=u8::MAX).all(|claim| merged.contains(&claim) == expected.contains(&claim)));
            let (mut extended, news) = (left.iter().copied().collect::<Claims<u8>>(), right.iter().any(|c| !left.contains(c)));
            prop_assert_eq!(extended.extend(right.iter().copied()), news);
            prop_assert_eq!(&extended, &merged);
            prop_assert_eq!(merged.value(), expected.first());
        }
    }
}
