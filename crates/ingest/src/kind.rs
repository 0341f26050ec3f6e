//! What the records of a source are. As with files of events, names tell.

use crate::name::FileName;
use gridtrail_access::holds_access_events;
use std::path::Path;

/// What the records of a source are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordKind {
    /// Events of Service Requests, responses and alerts.
    Service,
    /// Events of access: assignments, grants, rescissions.
    Access,
}

impl RecordKind {
    /// Of a file: `….access.jsonl`, `….access.binpb` and the like hold events of access ([`FileName`]).
    pub fn of_file(path: &Path) -> Self {
        FileName::of(path).map_or(Self::Service, |name| name.kind)
    }

    /// Of a topic: `gridtrail.access-events.v1` and others with such a part hold events of access.
    pub fn of_topic(name: &str) -> Self {
        if holds_access_events(name) { Self::Access } else { Self::Service }
    }

    /// Of the source of a dead letter, and its name.
    pub(crate) fn of_letter(source: &str, name: &str) -> Self {
        match name.rsplit_once('/') {
            Some((topic, _)) if source.starts_with("kafka:") => Self::of_topic(topic),
            _ => Self::of_file(Path::new(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_a_source_holds() {
        for name in [
            "parties.access.jsonl",
            "a/b.access.binpb",
            "A.ACCESS.JSONL",
            "a.access.jsonl.gz",
            "a.access.json",
        ] {
            assert_eq!(RecordKind::of_file(Path::new(name)), RecordKind::Access, "{name}");
        }
        for name in ["access.jsonl", "a.access.xml", "access/a.jsonl", "a.access", "accessjsonl"] {
            assert_eq!(RecordKind::of_file(Path::new(name)), RecordKind::Service, "{name}");
        }
        for name in ["gridtrail.access-events.v1", "access-events", "test-7.access-events"] {
            assert_eq!(RecordKind::of_topic(name), RecordKind::Access, "{name}");
        }
        for name in ["gridtrail.service-events.v1", "gridtrail.access-events-v1", "access"] {
            assert_eq!(RecordKind::of_topic(name), RecordKind::Service, "{name}");
        }
    }
}
