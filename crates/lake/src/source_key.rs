//! Sources, as a person knows them: a topic of a cluster, or all files.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A source, as a person knows it: all partitions of a topic, or all files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SourceKey {
    /// A topic. Whatever had its name before is part of it.
    Topic {
        /// The cluster's id.
        cluster: String,
        /// The topic's name.
        topic: String,
    },
    /// All files.
    Files,
}

impl SourceKey {
    /// The name: the topic's, or `files`.
    pub fn name(&self) -> &str {
        match self {
            Self::Topic { topic, .. } => topic,
            Self::Files => "files",
        }
    }

    /// The cluster's id; empty for files.
    pub fn cluster(&self) -> &str {
        match self {
            Self::Topic { cluster, .. } => cluster,
            Self::Files => "",
        }
    }
}

impl fmt::Display for SourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The source that evidence is of, by its id and its name. What is no partition of a topic counts as a file: everything has a row.
pub(crate) fn key_of(source: &str, name: &str) -> SourceKey {
    // `kafka:<cluster id>:<topic id>:<partition>`, and a name `<topic>/<partition>`.
    let parts = source.strip_prefix("kafka:").map(|rest| rest.rsplitn(3, ':'));
    let cluster = parts.and_then(|mut parts| parts.nth(2));
    match (cluster, name.rsplit_once('/')) {
        (Some(cluster), Some((topic, _))) => {
            SourceKey::Topic { cluster: cluster.to_owned(), topic: topic.to_owned() }
        }
        _ => SourceKey::Files,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_belongs_to_its_topic_and_all_else_to_the_files() {
        let key = key_of("kafka:a:b:MkU3:7", "audit.v1/7");
        assert_eq!(key, SourceKey::Topic { cluster: "a:b".into(), topic: "audit.v1".into() });
        for (source, name) in [("file:3fa9", "data/day/a.jsonl"), ("kafka:a", "t/0"), ("kafka:a:b:0", "t")] {
            assert_eq!(key_of(source, name), SourceKey::Files, "{source}");
        }
    }
}
