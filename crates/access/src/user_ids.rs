//! A set of User IDs that is cheap to hand on, and as quick to ask when it is large.

use aws_lc_rs::digest;
use gridtrail_model::UserId;
use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::sync::Arc;

/// A set of User IDs. Clones share it; asking whether it holds one costs the same whatever its size.
#[derive(Clone)]
pub struct UserIds(Arc<Inner>);

struct Inner {
    ids: HashSet<UserId>,
    digest: [u8; 32],
    /// Whether it holds every User ID, whichever there are; `ids` is empty then.
    all: bool,
}

impl UserIds {
    /// The set of these.
    pub fn of(ids: &BTreeSet<UserId>) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        ids.iter().for_each(|id| context.update(&id.to_bytes()));
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        Self(Arc::new(Inner { ids: ids.iter().copied().collect(), digest, all: false }))
    }

    /// The set of every User ID, whichever there are. Nobody can count or list it.
    pub(crate) fn all() -> Self {
        // No SHA-256 of any set is known to be this.
        Self(Arc::new(Inner { ids: HashSet::new(), digest: [0xFF; 32], all: true }))
    }

    /// Whether it is the set of every User ID.
    pub fn is_all(&self) -> bool {
        self.0.all
    }

    /// Whether a User ID is one of them.
    pub fn contains(&self, id: &UserId) -> bool {
        self.0.all || self.0.ids.contains(id)
    }

    /// How many are listed.
    pub fn len(&self) -> usize {
        self.0.ids.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        !self.0.all && self.0.ids.is_empty()
    }

    /// SHA-256 over them in order: of two sets that differ, the digests do.
    pub fn digest(&self) -> &[u8; 32] {
        &self.0.digest
    }

    /// All of them, in no order; of every User ID, none.
    pub fn iter(&self) -> impl Iterator<Item = UserId> {
        self.0.ids.iter().copied()
    }

    /// All of them, in order.
    pub fn to_set(&self) -> BTreeSet<UserId> {
        self.0.ids.iter().copied().collect()
    }

    /// Whether all of them are in another set.
    pub fn are_within(&self, others: &Self) -> bool {
        self == others || others.0.all || !self.0.all && self.0.ids.is_subset(&others.0.ids)
    }

    /// The User IDs that are in another set too.
    #[must_use]
    pub fn and(&self, others: &BTreeSet<UserId>) -> Self {
        if !self.0.all && self.len() <= others.len() && self.0.ids.iter().all(|id| others.contains(id)) {
            return self.clone();
        }
        Self::of(&others.iter().copied().filter(|id| self.contains(id)).collect())
    }
}

impl PartialEq for UserIds {
    fn eq(&self, other: &Self) -> bool {
        self.0.digest == other.0.digest
    }
}

impl Eq for UserIds {}

impl fmt::Debug for UserIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.all {
            return f.write_str("{every User ID}");
        }
        f.debug_set().entries(self.to_set()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set() -> impl Strategy<Value = BTreeSet<UserId>> {
        let id = (0u8..9).prop_map(|n| UserId::from_bytes([n; 8]));
        prop::collection::btree_set(id, 0..9)
    }

    #[test]
    fn the_set_of_every_user_id_holds_each_and_lies_within_no_other() {
        let (all, some) = (UserIds::all(), UserIds::of(&BTreeSet::from([UserId::from_bytes([1; 8])])));
        assert!(all.contains(&UserId::from_bytes([7; 8])) && all.is_all() && !all.is_empty());
        assert!(some.are_within(&all) && !all.are_within(&some) && !some.is_all());
        assert_eq!((all.to_set(), all == UserIds::of(&BTreeSet::new())), (BTreeSet::new(), false));
        assert_eq!(all.and(&some.to_set()), some);
    }

    proptest! {
        #[test]
        fn a_set_is_what_it_was_made_of(ids in set(), others in set()) {
            let made = UserIds::of(&ids);
            prop_assert_eq!(made.to_set(), ids.clone());
            prop_assert_eq!((made.len(), made.is_empty()), (ids.len(), ids.is_empty()));
            prop_assert!(others.iter().all(|id| made.contains(id) == ids.contains(id)));
            prop_assert_eq!(made == UserIds::of(&others), ids == others);
            prop_assert_eq!(made.are_within(&UserIds::of(&others)), ids.is_subset(&others));
            let both: BTreeSet<UserId> = ids.intersection(&others).copied().collect();
            prop_assert_eq!(made.and(&others), UserIds::of(&both));
        }
    }
}
