//! What the name of a file tells: how its records are found, whether they are compressed, and what they are.

use crate::kinds::{KINDS, RecordKind};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The endings of files that hold events, as messages name them.
pub const ENDINGS: &str = ".xml, .jsonl, .ndjson, .json and .binpb, each also with .gz or .zst behind it";

/// What the name of a receipt sidecar has behind that of its message.
const SIDECAR: &str = ".receipt.json";

/// How the records of a file are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Length-delimited protobuf.
    Frames,
    /// One JSON object a line.
    Lines,
    /// DUIS XML: one message, or a capture of many.
    Xml,
}

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// `.gz`.
    Gzip,
    /// `.zst`.
    Zstd,
}

impl Packing {
    const ALL: [(&str, Self); 2] = [("gz", Self::Gzip), ("zst", Self::Zstd)];
}

/// What a file's name tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileName {
    /// How its records are written.
    pub content: Content,
    /// How they are compressed, if they are.
    pub packing: Option<Packing>,
    /// What they are.
    pub kind: &'static RecordKind,
}

impl FileName {
    /// `None`: the name is none of a file of events.
    pub fn of(path: &Path) -> Option<Self> {
        if is_sidecar(path) {
            return None;
        }
        let (bare, packing) = unpacked(path);
        let content = match ending(&bare)?.as_str() {
            "binpb" => Content::Frames,
            "jsonl" | "ndjson" | "json" => Content::Lines,
            "xml" => Content::Xml,
            _ => return None,
        };
        // DUIS is of Service Requests alone.
        let mark = bare.file_stem().map(Path::new).and_then(ending).filter(|_| content != Content::Xml);
        Some(Self { content, packing, kind: RecordKind::of_mark(mark.as_deref()) })
    }
}

impl RecordKind {
    /// Of a file: `….access.jsonl`, `….access.binpb` and the like hold events of access ([`FileName`]).
    pub fn of_file(path: &Path) -> &'static Self {
        FileName::of(path).map_or(KINDS[0], |name| name.kind)
    }

    /// Of a source, also one of dead letters, and its name. What was made within gridtrail says it at the end of its identity.
    pub(crate) fn of_source(source: &str, name: &str) -> &'static Self {
        if let Some((_, mark)) = source.strip_prefix("made:").and_then(|made| made.rsplit_once(':')) {
            return Self::of_mark(Some(mark));
        }
        match name.rsplit_once('/') {
            Some((topic, _)) if source.contains("kafka:") => Self::of_topic(topic),
            _ => Self::of_file(Path::new(name)),
        }
    }
}

/// Whether this is a receipt sidecar, compressed or not.
pub(crate) fn is_sidecar(path: &Path) -> bool {
    let (bare, _) = unpacked(path);
    let name = bare.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase());
    name.is_some_and(|name| name.ends_with(SIDECAR))
}

/// The message that a sidecar belongs to by its name, without what compression adds.
pub(crate) fn message_of(sidecar: &Path) -> Option<PathBuf> {
    let (bare, _) = unpacked(sidecar);
    Some(PathBuf::from(bare.to_str()?.strip_suffix(SIDECAR)?))
}

/// Where the sidecar of a message may lie: compression adds an ending to the message, to the sidecar, or to both.
pub(crate) fn sidecars_of(message: &Path) -> Vec<(PathBuf, Option<Packing>)> {
    let (bare, packing) = unpacked(message);
    let mut bases = vec![message.as_os_str().to_owned()];
    bases.extend(packing.map(|_| bare.into_os_string()));
    let of = |base: OsString| {
        let with = move |ending: &str, packing| {
            let mut name = base.clone();
            name.push(SIDECAR);
            name.push(ending);
            (PathBuf::from(name), packing)
        };
        [with("", None), with(".gz", Some(Packing::Gzip)), with(".zst", Some(Packing::Zstd))]
    };
    bases.into_iter().flat_map(of).collect()
}

/// The name without what compression adds.
pub(crate) fn unpacked(path: &Path) -> (PathBuf, Option<Packing>) {
    let packing = ending(path).and_then(|found| Packing::ALL.iter().find(|(name, _)| *name == found));
    match packing {
        Some((_, packing)) => (path.with_extension(""), Some(*packing)),
        None => (path.to_owned(), None),
    }
}

fn ending(path: &Path) -> Option<String> {
    Some(path.extension()?.to_str()?.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{ACCESS_EVENTS, SERVICE_EVENTS};

    #[test]
    fn names_tell_content_compression_and_kind() {
        use Content::{Frames, Lines, Xml};
        for (name, content, packing, kind) in [
            ("a.xml", Xml, None, &SERVICE_EVENTS),
            ("a.XML.GZ", Xml, Some(Packing::Gzip), &SERVICE_EVENTS),
            ("a/b.ndjson", Lines, None, &SERVICE_EVENTS),
            ("b.json.zst", Lines, Some(Packing::Zstd), &SERVICE_EVENTS),
            ("b.access.jsonl.gz", Lines, Some(Packing::Gzip), &ACCESS_EVENTS),
            ("B.ACCESS.BINPB", Frames, None, &ACCESS_EVENTS),
            ("access.jsonl", Lines, None, &SERVICE_EVENTS),
            ("a.access.xml", Xml, None, &SERVICE_EVENTS),
        ] {
            let found = FileName::of(Path::new(name));
            assert_eq!(found, Some(FileName { content, packing, kind }), "{name}");
        }
        for name in [
            "a.txt",
            "xml",
            "a.gz",
            "a.xml.receipt.json",
            "a.xml.Receipt.JSON.gz",
            "a.xml.bz2",
            "a.jsonl.tmp",
        ] {
            assert_eq!(FileName::of(Path::new(name)), None, "{name}");
        }
    }

    #[test]
    fn a_message_and_its_sidecar_find_each_other_however_they_are_compressed() {
        for (message, sidecar) in [
            ("d/m.xml", "d/m.xml.receipt.json"),
            ("d/m.xml.gz", "d/m.xml.gz.receipt.json"),
            ("d/m.xml.gz", "d/m.xml.receipt.json"),
            ("d/m.xml.gz", "d/m.xml.receipt.json.gz"),
            ("d/m.xml", "d/m.xml.receipt.json.zst"),
        ] {
            let (message, sidecar) = (Path::new(message), Path::new(sidecar));
            assert!(is_sidecar(sidecar));
            assert!(sidecars_of(message).iter().any(|(path, _)| path == sidecar), "{sidecar:?}");
            let of = message_of(sidecar).unwrap();
            assert!(of == message || of == unpacked(message).0, "{of:?}");
        }
    }
}
