//! One entry of a log, read as a whole: it is ours and all there, or nothing of it is believed.
//!
//! Entries are told from those of other engines by the id that every commit of ours carries; only the first entry of a table,
//! which makes it, has none. Whatever other engines do to a table, such as OPTIMIZE, RESTORE or a change of its schema, leaves
//! files or columns that searches cannot rely on, and takes away what they do rely on.

use super::state::StateSum;
use super::{CHECKSUM_TAG, Stop, TAG, TAIL_TAG, TableFile};
use crate::delta::checksum::{self, Tail};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// What an entry does to a table.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    pub(crate) numbers: BTreeMap<String, i64>,
    /// What the table needs of whoever reads it from now on, where that changes.
    pub(crate) needs: Option<Vec<String>>,
    /// The properties that the table has from now on, where they change.
    pub(crate) properties: Option<HashMap<String, String>>,
    pub(crate) added: Vec<Arc<TableFile>>,
    /// Paths of files that are taken away, with the time of it, milliseconds since the epoch.
    pub(crate) removed: Vec<(String, i64)>,
    pub(crate) commit: Commit,
}

/// What an entry says of itself.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Commit {
    /// The id of a commit of ours.
    #[serde(default, rename = "gridtrailCommitId")]
    pub(crate) id: Option<String>,
    #[serde(default, rename = "gridtrailCommittedMs")]
    pub(crate) committed_ms: i64,
    /// The sum of the state that the table comes to with it. Entries of the first format have none.
    #[serde(default, rename = "gridtrailState")]
    pub(crate) state: Option<String>,
    #[serde(default)]
    pub(crate) operation: Option<String>,
    #[serde(default, rename = "engineInfo")]
    pub(crate) engine: Option<String>,
}

/// A line of an entry.
#[derive(Deserialize)]
enum Line {
    #[serde(rename = "commitInfo")]
    Commit(Commit),
    #[serde(rename = "protocol")]
    Protocol(Protocol),
    #[serde(rename = "txn")]
    Number(Number),
    #[serde(rename = "add")]
    Add(Added),
    #[serde(rename = "remove")]
    Remove(Removed),
    #[serde(rename = "metaData")]
    Metadata(Metadata),
}

/// What a table needs of its readers and writers, of which we read what it needs of readers.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Protocol {
    #[serde(default)]
    pub(super) min_reader_version: i64,
    #[serde(default)]
    pub(super) reader_features: Option<Vec<String>>,
}

impl Protocol {
    /// By name, what the table needs beyond the first version of the protocol, which is all that our tables are made with.
    pub(super) fn needs(self) -> Vec<String> {
        match (self.reader_features, self.min_reader_version) {
            (Some(features), _) if !features.is_empty() => features,
            (_, ..=1) => Vec::new(),
            (_, 2) => vec!["columnMapping".to_owned()],
            (_, version) => vec![format!("version {version} of the protocol")],
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Number {
    app_id: String,
    version: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Added {
    path: String,
    size: i64,
    #[serde(default)]
    modification_time: i64,
    #[serde(default)]
    partition_values: HashMap<String, Option<String>>,
    #[serde(default)]
    tags: Option<HashMap<String, Option<String>>>,
    /// Whether it has rows that no file of the table had, as opposed to rows that lay elsewhere.
    #[serde(default = "changes_data")]
    data_change: bool,
}

/// What does not say counts as new.
const fn changes_data() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Removed {
    path: String,
    #[serde(default)]
    deletion_timestamp: Option<i64>,
    #[serde(default)]
    partition_values: Option<HashMap<String, Option<String>>>,
    /// Whether its rows go, as opposed to lying elsewhere from then on.
    #[serde(default = "changes_data")]
    data_change: bool,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    configuration: HashMap<String, Option<String>>,
}

impl Entry {
    /// Reads the entry of a version. `path` names it.
    pub(crate) fn read(bytes: &[u8], version: u64, path: &str) -> Result<Self, Stop> {
        let damaged = |why: String| Stop::Damaged { path: path.to_owned(), why };
        let mut entry = Self::default();
        let (mut commits, mut makes, mut strange) = (0, (false, false), None);
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice(line) {
                Ok(Line::Commit(commit)) => {
                    commits += 1;
                    entry.commit = commit;
                }
                Ok(Line::Protocol(protocol)) => {
                    makes.0 = true;
                    entry.needs = Some(protocol.needs());
                }
                Ok(Line::Number(Number { app_id, version })) => drop(entry.numbers.insert(app_id, version)),
                Ok(Line::Metadata(Metadata { configuration })) => {
                    makes.1 = true;
                    let set = configuration.into_iter().filter_map(|(name, value)| Some((name, value?)));
                    entry.properties = Some(set.collect());
                }
                Ok(Line::Add(added)) => entry.added.push(Arc::new(added.into())),
                Ok(Line::Remove(Removed { path, deletion_timestamp, .. })) => {
                    entry.removed.push((path, deletion_timestamp.unwrap_or(0)));
                }
                // A line of a kind that is unknown may be one that was changed: passing it over could lose files in silence.
                Err(error) if serde_json::from_slice::<IgnoredAny>(line).is_ok() => {
                    strange.get_or_insert(error.to_string());
                }
                Err(error) => return Err(damaged(format!("it is not whole: {error}"))),
            }
        }
        if version == 0 {
            return match (makes, strange) {
                ((true, true), None) => Ok(entry),
                (_, Some(strange)) => Err(damaged(strange)),
                _ => Err(damaged("it is not whole: it does not make a table".to_owned())),
            };
        }
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(damaged("it is empty".to_owned()));
        }
        // Two processes that made one table at once each wrote the entry that makes it: builds of the first format let the library
        // write the second one after the first.
        let made_again = entry.commit.operation.as_deref() == Some("CREATE TABLE")
            && (makes, &strange) == ((true, true), &None)
            && entry.added.is_empty()
            && entry.removed.is_empty()
            && entry.numbers.is_empty();
        if made_again {
            return Ok(entry);
        }
        if commits != 1 || entry.commit.id.is_none() {
            return Err(Stop::NotOurs { path: path.to_owned(), what: entry.commit.what() });
        }
        match strange {
            Some(strange) => Err(damaged(strange)),
            None if makes.0 => {
                Err(damaged("it changes the protocol, which no commit of ours does".to_owned()))
            }
            None => Ok(entry),
        }
    }

    /// What is said of the state that it leads to.
    pub(crate) fn seal(&self, state: StateSum, version: u64) -> String {
        let Commit { id, committed_ms, .. } = &self.commit;
        state.seal(version, id.as_deref().unwrap_or_default(), *committed_ms)
    }
}

impl Commit {
    /// What was done, and by whom, as another engine says it.
    fn what(&self) -> String {
        let text = |text: &Option<String>| -> Option<String> {
            let text: String = text.as_ref()?.chars().filter(|c| !c.is_control()).take(80).collect();
            (!text.is_empty()).then_some(text)
        };
        match (text(&self.operation), text(&self.engine)) {
            (Some(operation), Some(engine)) => format!("it is {operation} of {engine}"),
            (Some(operation), None) => format!("it is {operation} of another engine"),
            (None, Some(engine)) => format!("it is of {engine}"),
            (None, None) => "it does not say what it is of".to_owned(),
        }
    }
}

impl From<Added> for TableFile {
    fn from(added: Added) -> Self {
        let Added { path, size, modification_time, mut partition_values, tags, .. } = added;
        let mut tags = tags.unwrap_or_default();
        let mut tag = |name| tags.remove(name).flatten();
        Self {
            path,
            size: u64::try_from(size).unwrap_or(0),
            month: partition_values.remove("month").flatten(),
            written_ms: modification_time,
            tag: tag(TAG),
            xxh64: tag(CHECKSUM_TAG).as_deref().and_then(checksum::from_text),
            tail: tag(TAIL_TAG).as_deref().and_then(Tail::from_text),
        }
    }
}

/// The files that an entry adds with rows that may be new to the table. `None`: it cannot be read.
pub fn new_rows(entry: &[u8]) -> Option<Vec<TableFile>> {
    let added = EntryFiles::of(entry)?.added.into_iter();
    Some(added.filter_map(|(file, is_new)| is_new.then_some(file)).collect())
}

/// The files that an entry adds and takes away.
#[derive(Debug, Default)]
pub struct EntryFiles {
    /// Files that come, each with whether its rows may be new to the table.
    pub added: Vec<(TableFile, bool)>,
    /// Of files that go, the months that they lie in, each with whether rows go, as opposed to lying elsewhere.
    pub removed: Vec<(Option<String>, bool)>,
}

impl EntryFiles {
    /// Those of an entry. `None`: it cannot be read.
    pub fn of(entry: &[u8]) -> Option<Self> {
        let mut files = Self::default();
        for line in entry.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice(line).ok()? {
                Line::Add(file) => {
                    let is_new = file.data_change;
                    files.added.push((file.into(), is_new));
                }
                Line::Remove(file) => {
                    let month = file.partition_values.and_then(|mut values| values.remove("month").flatten());
                    files.removed.push((month, file.data_change));
                }
                _ => {}
            }
        }
        Some(files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MADE: &str = r#"{"commitInfo":{"operation":"CREATE TABLE"}}
{"protocol":{"minReaderVersion":1}}
{"metaData":{"configuration":{"a":"1","b":null}}}"#;
    const OURS: &str = r#"{"commitInfo":{"gridtrailCommitId":"x","gridtrailCommittedMs":7,"gridtrailEvidence":{"kind":"ingest"}}}
{"txn":{"appId":"s","version":3}}
{"add":{"path":"p","size":1,"modificationTime":2,"partitionValues":{"month":"2026-03"},"tags":{"gridtrail":"{}"}}}
{"remove":{"path":"q","deletionTimestamp":5}}"#;

    #[test]
    fn an_entry_of_ours_is_read_as_a_whole() {
        let made = Entry::read(MADE.as_bytes(), 0, "e").unwrap();
        assert_eq!(made.properties.unwrap(), HashMap::from([("a".to_owned(), "1".to_owned())]));
        let ours = Entry::read(OURS.as_bytes(), 1, "e").unwrap();
        assert_eq!((ours.commit.id.as_deref(), ours.commit.committed_ms), (Some("x"), 7));
        assert_eq!(ours.numbers, BTreeMap::from([("s".to_owned(), 3)]));
        assert_eq!((ours.added.len(), ours.removed), (1, vec![("q".to_owned(), 5)]));
    }

    #[test]
    fn an_entry_that_is_cut_within_a_line_is_damaged_wherever_it_is_cut() {
        for cut in
            (1..OURS.len()).filter(|cut| OURS.as_bytes()[*cut] != b'\n' && OURS.as_bytes()[cut - 1] != b'\n')
        {
            let read = Entry::read(&OURS.as_bytes()[..cut], 1, "e");
            assert!(matches!(read, Err(Stop::Damaged { .. })), "{cut}: {read:?}");
        }
        assert!(matches!(Entry::read(b"", 1, "e"), Err(Stop::Damaged { .. })));
        assert!(matches!(Entry::read(&MADE.as_bytes()[..50], 0, "e"), Err(Stop::Damaged { .. })));
    }

    #[test]
    fn an_entry_of_another_engine_is_named_by_what_it_did() {
        for (entry, what) in [
            (
                r#"{"commitInfo":{"operation":"OPTIMIZE","engineInfo":"delta-rs:1"}}"#,
                "OPTIMIZE of delta-rs:1",
            ),
            (r#"{"commitInfo":{"operation":"RESTORE"}}"#, "RESTORE of another engine"),
            (r#"{"add":{"path":"p","size":1}}"#, "does not say"),
            (
                r#"{"commitInfo":{"operation":"ADD FEATURE"}}
{"domainMetadata":{"domain":"x"}}"#,
                "ADD FEATURE",
            ),
            (
                r#"{"protocol":{"minReaderVersion":3}}
{"commitInfo":{"operation":"SET TBLPROPERTIES"}}"#,
                "SET TBLPROPERTIES",
            ),
        ] {
            match Entry::read(entry.as_bytes(), 4, "e") {
                Err(Stop::NotOurs { what: found, .. }) => assert!(found.contains(what), "{found}"),
                other => panic!("{entry}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_table_that_was_made_twice_at_once_is_ours() {
        let again = Entry::read(MADE.as_bytes(), 1, "e").unwrap();
        assert_eq!(again.properties.unwrap().len(), 1);
        let with_file = format!("{MADE}\n{}", r#"{"add":{"path":"p","size":1}}"#);
        assert!(matches!(Entry::read(with_file.as_bytes(), 1, "e"), Err(Stop::NotOurs { .. })));
    }

    #[test]
    fn what_a_table_needs_of_its_readers_is_named() {
        let needs = |protocol: &str| {
            let made = MADE.replace(r#"{"minReaderVersion":1}"#, protocol);
            Entry::read(made.as_bytes(), 0, "e").unwrap().needs.unwrap()
        };
        assert_eq!(needs(r#"{"minReaderVersion":1,"minWriterVersion":7}"#), Vec::<String>::new());
        assert_eq!(needs(r#"{"minReaderVersion":2}"#), ["columnMapping"]);
        let features = r#"{"minReaderVersion":3,"readerFeatures":["deletionVectors","x"]}"#;
        assert_eq!(needs(features), ["deletionVectors", "x"]);
        assert_eq!(needs(r#"{"minReaderVersion":4}"#), ["version 4 of the protocol"]);
    }

    #[test]
    fn a_line_that_is_not_known_in_an_entry_of_ours_is_damage() {
        for more in [r#"{"bdd":{"path":"p","size":1}}"#, r#"{"protocol":{}}"#] {
            let entry = format!("{OURS}\n{more}");
            assert!(matches!(Entry::read(entry.as_bytes(), 1, "e"), Err(Stop::Damaged { .. })), "{more}");
        }
    }
}
