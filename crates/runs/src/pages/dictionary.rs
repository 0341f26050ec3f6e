//! Dictionaries of column chunks: the different values of a column, by their places.

use super::header::{DICTIONARY, Header, decompressed, take_plain};
use bytes::Bytes;
use hashbrown::HashTable;
use parquet::basic::Compression;
use std::hash::BuildHasher as _;

/// How long the length before each value is.
const LENGTH_BYTES: usize = 4;

/// The values of a column chunk's dictionary.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Dictionary {
    /// As they are stored (PLAIN): one behind the other, each behind its length. None is copied to be read.
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<u32>,
}

impl Dictionary {
    /// Reads a dictionary page from its bytes. `None`: damaged.
    pub fn read(page: &Bytes, compression: Compression) -> Option<Self> {
        let (header, at) = Header::read(page)?;
        if header.kind != DICTIONARY || header.encoding != 0 && header.encoding != 2 {
            return None;
        }
        let body = page.get(at..at.checked_add(header.compressed)?).map(|body| page.slice_ref(body))?;
        let bytes = Vec::from(decompressed(&body, header.uncompressed, compression)?);
        let mut rest = bytes.as_slice();
        let mut ends = Vec::with_capacity(header.values.min(bytes.len() / LENGTH_BYTES));
        for _ in 0..header.values {
            take_plain(&mut rest)?;
            ends.push(u32::try_from(bytes.len() - rest.len()).ok()?);
        }
        Some(Self { bytes, ends })
    }

    /// How many values it has.
    pub const fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether it has none.
    pub const fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The value at a place.
    #[inline]
    pub fn get(&self, place: usize) -> Option<&[u8]> {
        let before = place.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())?;
        self.bytes.get(before as usize + LENGTH_BYTES..*self.ends.get(place)? as usize)
    }

    /// All values, by their places.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).filter_map(|place| self.get(place))
    }

    /// Bytes that it takes in memory, about.
    pub const fn size(&self) -> usize {
        size_of::<Self>() + self.bytes.len() + size_of::<u32>() * self.ends.len()
    }

    /// Adds a value, and tells its place. `None`: there is no room.
    fn push(&mut self, value: &[u8]) -> Option<u32> {
        let place = u32::try_from(self.len()).ok()?;
        let end = u32::try_from(self.bytes.len() + LENGTH_BYTES + value.len()).ok()?;
        self.bytes.extend_from_slice(&u32::try_from(value.len()).ok()?.to_le_bytes());
        self.bytes.extend_from_slice(value);
        self.ends.push(end);
        Some(place)
    }
}

/// The places of the values of a dictionary that is added to.
#[derive(Debug)]
pub(super) struct Places {
    places: HashTable<u32>,
    hasher: foldhash::fast::RandomState,
}

impl Places {
    pub(super) fn of(dictionary: &Dictionary) -> Self {
        let hasher = foldhash::fast::RandomState::default();
        let mut places = HashTable::with_capacity(dictionary.len());
        let hash = |place: &u32| hasher.hash_one(dictionary.get(*place as usize));
        for (place, value) in (0..).zip(dictionary.iter()) {
            places.insert_unique(hasher.hash_one(Some(value)), place, hash);
        }
        Self { places, hasher }
    }

    /// The place of a value, which is added where it has none. `None`: there is no room.
    pub(super) fn place(&mut self, dictionary: &mut Dictionary, value: &[u8]) -> Option<u32> {
        let of_value = self.hasher.hash_one(Some(value));
        let is_it = |place: &u32| dictionary.get(*place as usize) == Some(value);
        if let Some(place) = self.places.find(of_value, is_it) {
            return Some(*place);
        }
        let place = dictionary.push(value)?;
        let hash = |place: &u32| self.hasher.hash_one(dictionary.get(*place as usize));
        self.places.insert_unique(of_value, place, hash);
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// What is added has one place, which gives it back; what was there before keeps its own.
        #[test]
        fn values_keep_their_places(values in prop::collection::vec(prop::collection::vec(0_u8..3, 0..4), 0..40), known in 0_usize..40) {
            let mut dictionary = Dictionary::default();
            let known = &values[..known.min(values.len())];
            for value in known {
                dictionary.push(value).unwrap();
            }
            let mut places = Places::of(&dictionary);
            for value in &values {
                let place = places.place(&mut dictionary, value).unwrap();
                prop_assert_eq!(dictionary.get(place as usize), Some(value.as_slice()));
                prop_assert_eq!(places.place(&mut dictionary, value), Some(place));
            }
            let distinct = values.iter().skip(known.len()).filter(|value| !known.contains(value));
            let distinct: std::collections::BTreeSet<_> = distinct.collect();
            prop_assert_eq!(dictionary.len(), known.len() + distinct.len());
            prop_assert!(dictionary.iter().zip(known).all(|(found, value)| found == value.as_slice()));
        }
    }
}
