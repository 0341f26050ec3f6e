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
        self.add_some(other.first);
        for claim in other.others.into_iter().flat_map(|others| *others) {
            self.add(claim);
        }
    }
}

impl<T: Ord> FromIterator<T> for Claims<T> {
    fn from_iter<I: IntoIterator<Item = T>>(claims: I) -> Self {
        let mut set = Self::default();
        for claim in claims {
            set.add(claim);
        }
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
            prop_assert_eq!(merged.value(), expected.first());
        }
    }
}
