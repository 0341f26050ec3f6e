//! What goes by the kind of a record goes over the list of kinds.

use super::*;
use crate::batch::{Filling, MadeRecords, Portion};
use crate::chunk::Decoded;
use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn names_tell_what_a_source_holds() {
    for name in
        ["parties.access.jsonl", "a/b.access.binpb", "A.ACCESS.JSONL", "a.access.jsonl.gz", "a.access.json"]
    {
        assert_eq!(RecordKind::of_file(Path::new(name)), &ACCESS_EVENTS, "{name}");
    }
    for name in ["access.jsonl", "a.access.xml", "access/a.jsonl", "a.access", "accessjsonl"] {
        assert_eq!(RecordKind::of_file(Path::new(name)), &SERVICE_EVENTS, "{name}");
    }
    for name in ["gridtrail.access-events.v1", "access-events", "test-7.access-events"] {
        assert_eq!(RecordKind::of_topic(name), &ACCESS_EVENTS, "{name}");
    }
    for name in ["gridtrail.service-events.v1", "gridtrail.access-events-v1", "access"] {
        assert_eq!(RecordKind::of_topic(name), &SERVICE_EVENTS, "{name}");
    }
}

/// Files, topics, sources and identities of every kind are told apart by its definition and by nothing else.
#[test]
fn every_kind_is_found_by_all_of_its_names() {
    let (first, marked) = KINDS.split_first().unwrap();
    assert_eq!((first.file_mark, first.topic_mark, first.identity), (None, None, None), "{first:?}");
    let mut words = BTreeSet::from([first.name, first.topic]);
    for kind in marked {
        let (file, topic) = (kind.file_mark.unwrap(), kind.topic_mark.unwrap());
        for (name, of) in [
            (format!("d/a.{file}.jsonl"), kind),
            (format!("d/a.{}.BINPB.zst", file.to_uppercase()), kind),
            (format!("d/a.{file}.xml"), first),
            (format!("d/{file}.jsonl"), first),
        ] {
            assert_eq!(&RecordKind::of_file(Path::new(&name)), of, "{name}");
            assert_eq!(&RecordKind::of_source("file:1", &name), of, "{name}");
            assert_eq!(&RecordKind::of_source("letters:file:1", &name), of, "{name}");
        }
        assert_eq!(&RecordKind::of_source(&format!("made:7:2026:{file}"), "a region"), kind);
        assert_eq!(&RecordKind::of_source("made:7:2026", "a region"), first);
        for name in [kind.topic.to_owned(), topic.to_owned(), format!("x.{topic}.y")] {
            assert_eq!(&RecordKind::of_topic(&name), kind, "{name}");
            assert_eq!(&RecordKind::of_source("kafka:c:1:0", &format!("{name}/0")), kind, "{name}");
        }
        assert!(kind.identity.is_some_and(|identity| words.insert(identity)), "{kind:?}");
        assert!(words.insert(kind.topic) && words.insert(file) && words.insert(topic), "{kind:?}");
    }
    assert!(RecordKind::topics().iter().map(String::as_str).eq(KINDS.iter().map(|kind| kind.topic)));
}

/// A kind that exists in this test alone. Its records go into the table of dead letters, since a batch has room for no others.
static PROBES: RecordKind = RecordKind {
    name: "probes",
    file_mark: Some("probe"),
    topic_mark: Some("probes"),
    topic: "gridtrail.probes.v1",
    identity: Some("probes"),
    reads: Reads::Plain(|_, bytes| match bytes.first() {
        Some(b'p') => Ok(Box::new(Probe(bytes.len()))),
        _ => Err("it is no probe".to_owned()),
    }),
    put_aside: nothing_aside,
    settle: nothing_settled,
};

#[derive(Debug)]
struct Probe(usize);

impl PlainRecord for Probe {
    fn recorded_at(&self) -> Timestamp {
        at(self.0)
    }

    fn put_into(self: Box<Self>, batch: &mut Batch) {
        batch.sources[0].name.push_str(&format!(", probe of {}", self.0));
    }
}

fn at(ms: usize) -> Timestamp {
    Timestamp::from_millis(i64::try_from(ms).unwrap()).unwrap()
}

/// A definition is all that a kind needs to be read, counted, put aside and brought into the batch.
#[test]
fn a_kind_is_read_counted_and_put_into_the_batch_by_its_definition() {
    let mut decoded = Decoded::default();
    for (position, bytes) in [(0, &b"p1"[..]), (2, b"no"), (4, b"p22")] {
        decoded.record(position, (&PROBES, Encoding::Json), bytes, bytes);
    }
    assert_eq!((decoded.read(), decoded.letters.len()), (2, 1));
    assert_eq!((decoded.letters[0].position, decoded.letters[0].reason.as_str()), (2, "it is no probe"));
    let mut filling = Filling::default();
    let portion = Portion {
        source: "file:x",
        name: "a.probe.jsonl",
        first: true,
        from: 0,
        to: 6,
        hashed: b"",
        skipped: Vec::new(),
        finished: true,
        now: at(1_000),
    };
    filling.take(portion, decoded, &MadeRecords).unwrap();
    assert_eq!(filling.rows(), 2);
    let (batch, outcome) = filling.into_batch(Vec::new(), Vec::new());
    assert_eq!((outcome.stored, outcome.parked, outcome.dead_lettered), (2, 0, 1));
    let evidence = &batch.sources[0];
    assert_eq!((evidence.records, evidence.stored, evidence.dead_lettered), (3, 2, 1));
    assert_eq!((evidence.recorded_min_ms, evidence.recorded_max_ms), (Some(2), Some(3)));
    assert_eq!(evidence.name, "a.probe.jsonl, probe of 2, probe of 3");
    assert_eq!(batch.dead_letters.len(), 1);
}
