//! A checksum over all that a table's log comes to at a version: its files, its numbers and its properties.
//!
//! Every commit carries the sum of the state that it leads to. So an entry or a checkpoint of which a character changed, or of
//! which lines are missing at the end, leads to another state than it says, and is not believed. The sum does not depend on order: it
//! is added up from the sums of the parts, and a commit costs what it changes.
//!
//! A state is cloned with every handle of its table: for each commit, each new version in a server, each compaction. So its lists are
//! persistent: a clone shares all of them, and a change copies the few nodes on the way to what it touches (decision 0103).

use super::TableFile;
use super::entry::Entry;
use crate::delta::checksum::{self, Checksum};
use rpds::{HashTrieMapSync, RedBlackTreeMapSync};
use std::collections::HashMap;
use std::sync::Arc;

/// The sum of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct StateSum(u64);

/// What a log comes to.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    pub(crate) files: HashTrieMapSync<String, Arc<TableFile>>,
    pub(crate) numbers: RedBlackTreeMapSync<String, i64>,
    pub(crate) properties: HashMap<String, String>,
    /// What the table needs of whoever reads it. No part of the sum: no commit of ours changes it.
    pub(crate) needs: Vec<String>,
    sum: StateSum,
}

impl State {
    /// The sum of the state as it is.
    pub(crate) fn sum(&self) -> StateSum {
        self.sum
    }

    /// The sum of what an entry would lead to.
    pub(crate) fn sum_after(&self, entry: &Entry) -> StateSum {
        let mut sum = self.sum;
        for (name, number) in &entry.numbers {
            if let Some(before) = self.numbers.get(name) {
                sum.take(of_number(name, *before));
            }
            sum.add(of_number(name, *number));
        }
        if let Some(properties) = &entry.properties {
            self.properties.iter().for_each(|(name, value)| sum.take(of_property(name, value)));
            properties.iter().for_each(|(name, value)| sum.add(of_property(name, value)));
        }
        for file in entry.removed.iter().filter_map(|(path, _)| self.files.get(path)) {
            sum.take(of_file(file));
        }
        for file in &entry.added {
            let is_removed = || entry.removed.iter().any(|(path, _)| *path == file.path);
            if let Some(before) = self.files.get(&file.path).filter(|_| !is_removed()) {
                sum.take(of_file(before));
            }
            sum.add(of_file(file));
        }
        sum
    }

    /// Takes in a number.
    pub(crate) fn set_number(&mut self, name: String, number: i64) {
        self.sum.add(of_number(&name, number));
        let sum = self.numbers.get(&name).map(|before| of_number(&name, *before));
        sum.into_iter().for_each(|sum| self.sum.take(sum));
        self.numbers.insert_mut(name, number);
    }

    /// Sets all properties.
    pub(crate) fn set_properties(&mut self, properties: HashMap<String, String>) {
        self.properties.iter().for_each(|(name, value)| self.sum.take(of_property(name, value)));
        properties.iter().for_each(|(name, value)| self.sum.add(of_property(name, value)));
        self.properties = properties;
    }

    /// Takes in a file.
    pub(crate) fn add(&mut self, file: Arc<TableFile>) {
        self.sum.add(of_file(&file));
        let before = self.files.get(&file.path).map(|before| of_file(before));
        before.into_iter().for_each(|sum| self.sum.take(sum));
        self.files.insert_mut(file.path.clone(), file);
    }

    /// Takes a file away.
    pub(crate) fn remove(&mut self, path: &str) -> Option<Arc<TableFile>> {
        let file = Arc::clone(self.files.get(path)?);
        self.files.remove_mut(path);
        self.sum.take(of_file(&file));
        Some(file)
    }
}

impl StateSum {
    fn add(&mut self, part: u64) {
        self.0 = self.0.wrapping_add(part);
    }

    fn take(&mut self, part: u64) {
        self.0 = self.0.wrapping_sub(part);
    }

    /// What the commit that leads to a state says of it.
    pub(crate) fn seal(self, version: u64, commit_id: &str, committed_ms: i64) -> String {
        let mut parts = Parts::of("commit");
        parts.number(version);
        parts.text(commit_id);
        parts.number(committed_ms.cast_unsigned());
        parts.number(self.0);
        checksum::to_text(parts.sum())
    }
}

/// The parts of something that is summed, told from each other by their lengths.
struct Parts(Checksum);

impl Parts {
    fn of(kind: &str) -> Self {
        let mut parts = Self(Checksum::new());
        parts.text(kind);
        parts
    }

    fn number(&mut self, number: u64) {
        self.0.add(&number.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.add(text.as_bytes());
    }

    fn maybe(&mut self, text: Option<&str>) {
        self.number(text.is_some().into());
        text.into_iter().for_each(|text| self.text(text));
    }

    fn sum(&self) -> u64 {
        self.0.written().xxh64
    }
}

fn of_number(name: &str, number: i64) -> u64 {
    let mut parts = Parts::of("number");
    parts.text(name);
    parts.number(number.cast_unsigned());
    parts.sum()
}

fn of_property(name: &str, value: &str) -> u64 {
    let mut parts = Parts::of("property");
    parts.text(name);
    parts.text(value);
    parts.sum()
}

fn of_file(file: &TableFile) -> u64 {
    let TableFile { path, size, month, written_ms, tag, xxh64, tail } = file;
    let mut parts = Parts::of("file");
    parts.text(path);
    parts.number(*size);
    parts.maybe(month.as_deref());
    parts.number(written_ms.cast_unsigned());
    parts.maybe(tag.as_deref());
    parts.maybe(xxh64.map(checksum::to_text).as_deref());
    parts.maybe(tail.map(checksum::Tail::to_text).as_deref());
    parts.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(path: u8, size: u64) -> Arc<TableFile> {
        Arc::new(TableFile {
            path: path.to_string(),
            size,
            month: None,
            written_ms: 0,
            tag: None,
            xxh64: None,
            tail: None,
        })
    }

    fn entry() -> impl Strategy<Value = Entry> {
        let numbers = prop::collection::btree_map("[ab]", 0_i64..3, 0..3);
        let properties = prop::option::of(prop::collection::hash_map("[ab]", "[xy]", 0..3));
        let files = || prop::collection::btree_map(0_u8..4, 0_u64..3, 0..3);
        (numbers, properties, files(), files()).prop_map(|(numbers, properties, added, removed)| Entry {
            numbers,
            properties,
            added: added.into_iter().map(|(path, size)| file(path, size)).collect(),
            removed: removed.into_keys().map(|path| (path.to_string(), 0)).collect(),
            ..Entry::default()
        })
    }

    fn take(state: &mut State, entry: &Entry) {
        entry.removed.iter().for_each(|(path, _)| drop(state.remove(path)));
        entry.added.iter().for_each(|file| state.add(Arc::clone(file)));
        entry.numbers.iter().for_each(|(name, number)| state.set_number(name.clone(), *number));
        entry.properties.iter().for_each(|properties| state.set_properties(properties.clone()));
    }

    proptest! {
        /// However a state came about, its sum is that of what it holds, and was foretold.
        #[test]
        fn a_sum_is_that_of_the_state(entries in prop::collection::vec(entry(), 0..6)) {
            let mut state = State::default();
            for entry in &entries {
                let foretold = state.sum_after(entry);
                take(&mut state, entry);
                prop_assert_eq!(state.sum(), foretold);
            }
            let mut anew = State::default();
            anew.set_properties(state.properties.clone());
            state.numbers.iter().for_each(|(name, number)| anew.set_number(name.clone(), *number));
            state.files.values().for_each(|file| anew.add(Arc::clone(file)));
            prop_assert_eq!(anew.sum(), state.sum());
        }
    }

    /// A clone that a change is made to shares every other entry with what it was cloned from: an entry that were copied would count
    /// its file once more.
    #[test]
    fn a_change_copies_no_list() {
        let mut state = State::default();
        let files: Vec<Arc<TableFile>> = (0..10_000_u64)
            .map(|number| {
                Arc::new(TableFile { path: number.to_string(), ..TableFile::clone(&file(0, number)) })
            })
            .collect();
        files.iter().for_each(|file| state.add(Arc::clone(file)));
        let kept: Vec<State> = (0..100_u64)
            .map(|number| {
                let mut next = state.clone();
                next.remove(&number.to_string());
                next.add(Arc::new(TableFile {
                    path: format!("new-{number}"),
                    ..TableFile::clone(&file(0, number))
                }));
                next.set_number("position".to_owned(), 1);
                next
            })
            .collect();
        assert!(kept.iter().all(|state| state.files.size() == files.len()));
        assert!(
            files.iter().all(|file| Arc::strong_count(file) == 2),
            "this list's, and the one that all share"
        );
    }

    #[test]
    fn whatever_is_said_of_a_file_counts() {
        let whole = TableFile {
            path: "p".to_owned(),
            size: 1,
            month: Some("2026-03".to_owned()),
            written_ms: 2,
            tag: Some("{}".to_owned()),
            xxh64: Some(3),
            tail: Some(checksum::Tail { bytes: 4, xxh64: 5 }),
        };
        let others = [
            TableFile { path: "q".to_owned(), ..whole.clone() },
            TableFile { size: 0, ..whole.clone() },
            TableFile { month: None, ..whole.clone() },
            TableFile { written_ms: 3, ..whole.clone() },
            TableFile { tag: Some("{ }".to_owned()), ..whole.clone() },
            TableFile { xxh64: None, ..whole.clone() },
            TableFile { tail: None, ..whole.clone() },
        ];
        assert!(others.iter().all(|other| of_file(other) != of_file(&whole)));
    }
}
