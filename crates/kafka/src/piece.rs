//! Pieces of a partition: records in order of offset, and the offsets between them that hold none.

use crate::limits::PIECE_BYTES;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

/// One partition of a topic, as a source.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Source {
    /// `kafka:<cluster id>:<topic id>:<partition>`.
    pub id: String,
    /// The topic's name.
    pub topic: String,
    /// The topic's id.
    pub topic_id: String,
    /// The partition.
    pub partition: i32,
}

/// Why offsets hold no record to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GapReason {
    /// The broker passed over them: compacted away, a transaction's marker, or a transaction that was aborted.
    NotDelivered,
    /// Deleted by the topic's retention before they were read.
    Lost,
    /// Deleted by the topic's retention before the partition was read for the first time.
    BeforeFirstRead,
}

/// Offsets without a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The first.
    pub from: i64,
    /// The one behind the last.
    pub to: i64,
    /// Why.
    pub why: GapReason,
}

/// One record.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its offset.
    pub offset: i64,
    /// When the broker appended it, milliseconds since the epoch, where the topic keeps that time.
    pub appended_ms: Option<i64>,
    /// The value's place in [`Piece::bytes`]; `None` for a record without a value (a tombstone).
    pub value: Option<Range<usize>>,
    /// The key's place in [`Piece::keys`].
    pub key: Option<Range<usize>>,
    /// The headers, in order. Records that follow each other mostly have the same, and share them.
    pub headers: Arc<[Header]>,
}

/// A header's name and value.
pub type Header = (String, Vec<u8>);

/// Some offsets of a partition, without a hole: each is a record's or in a gap.
#[derive(Debug, Clone)]
pub struct Piece {
    /// The partition.
    pub source: Arc<Source>,
    /// Which reading of the partitions it belongs to: pieces of an earlier one are to be dropped.
    pub epoch: u64,
    /// Whether the lake knew nothing of the partition before it.
    pub first: bool,
    /// Whether the partition held more when the broker last told, which is every second.
    pub behind: bool,
    /// The first offset.
    pub from: i64,
    /// The one behind the last.
    pub to: i64,
    /// The records, in order of offset.
    pub records: Vec<Record>,
    /// The gaps, in order of offset.
    pub gaps: Vec<Gap>,
    /// The records as they are hashed: offset (8 bytes), length (4 bytes, all ones for no value), both big-endian, value.
    pub bytes: Bytes,
    /// The records' keys.
    pub keys: Bytes,
}

impl Piece {
    /// The value of one of its records.
    pub fn value(&self, record: &Record) -> Option<Bytes> {
        record.value.clone().map(|range| self.bytes.slice(range))
    }

    /// The key of one of its records.
    pub fn key(&self, record: &Record) -> Option<Bytes> {
        record.key.clone().map(|range| self.keys.slice(range))
    }
}

/// A piece under construction.
#[derive(Debug)]
pub(crate) struct Builder {
    source: Arc<Source>,
    epoch: u64,
    first: bool,
    from: i64,
    next: i64,
    records: Vec<Record>,
    gaps: Vec<Gap>,
    bytes: Vec<u8>,
    keys: Vec<u8>,
    /// Those of the record before.
    headers: Arc<[Header]>,
}

/// A record as it comes from the client, less its headers.
#[derive(Debug, Default)]
pub(crate) struct Incoming<'a> {
    pub(crate) appended_ms: Option<i64>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) key: Option<&'a [u8]>,
}

impl Builder {
    pub(crate) fn new(source: Arc<Source>, epoch: u64, from: i64, first: bool) -> Self {
        Self {
            source,
            epoch,
            first,
            from,
            next: from,
            records: Vec::new(),
            gaps: Vec::new(),
            bytes: Vec::new(),
            keys: Vec::new(),
            headers: Arc::default(),
        }
    }

    #[cfg(test)]
    pub(crate) fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// The offset that comes next.
    pub(crate) fn next(&self) -> i64 {
        self.next
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.next == self.from
    }

    /// Passes over the offsets up to `to`.
    pub(crate) fn skip(&mut self, to: i64, why: GapReason) {
        if to > self.next {
            self.gaps.push(Gap { from: self.next, to, why });
            self.next = to;
        }
    }

    /// Takes in the record that comes next.
    pub(crate) fn push<'a>(
        &mut self,
        record: Incoming<'_>,
        headers: impl Iterator<Item = (Cow<'a, str>, &'a [u8])> + Clone,
    ) {
        let Incoming { appended_ms, value, key } = record;
        let offset = self.next;
        let start = write_record(&mut self.bytes, offset, value);
        let value = value.map(|_| start..self.bytes.len());
        let key = key.map(|key| {
            let start = self.keys.len();
            self.keys.extend_from_slice(key);
            start..self.keys.len()
        });
        let mut before = self.headers.iter();
        let mut found = headers.clone();
        let same = found.all(|(name, value)| before.next().is_some_and(|(n, v)| **n == *name && v == value));
        if !same || before.next().is_some() {
            self.headers = headers.map(|(name, value)| (name.into_owned(), value.to_vec())).collect();
        }
        let headers = Arc::clone(&self.headers);
        self.records.push(Record { offset, appended_ms, value, key, headers });
        self.next = offset + 1;
    }

    /// What was taken in so far, of a partition that was told to end at `end`; what comes next goes on behind it.
    pub(crate) fn take(&mut self, end: Option<i64>) -> Piece {
        // What comes next is about as much; one large record is no reason to expect another.
        fn renewed<T>(filled: &mut Vec<T>) -> Vec<T> {
            let room = Vec::with_capacity(filled.len().min(PIECE_BYTES));
            std::mem::replace(filled, room)
        }
        let piece = Piece {
            source: Arc::clone(&self.source),
            epoch: self.epoch,
            first: std::mem::take(&mut self.first),
            behind: end.is_some_and(|end| self.next < end),
            from: self.from,
            to: self.next,
            records: renewed(&mut self.records),
            gaps: std::mem::take(&mut self.gaps),
            bytes: renewed(&mut self.bytes).into(),
            keys: renewed(&mut self.keys).into(),
        };
        self.from = self.next;
        piece
    }
}

/// Appends a record in its hashed form; returns where its value starts.
fn write_record(bytes: &mut Vec<u8>, offset: i64, value: Option<&[u8]>) -> usize {
    // Brokers refuse records of 4 GiB long before.
    let length = value.map_or(u32::MAX, |v| u32::try_from(v.len()).unwrap_or(u32::MAX));
    bytes.extend_from_slice(&offset.to_be_bytes());
    bytes.extend_from_slice(&length.to_be_bytes());
    let start = bytes.len();
    bytes.extend_from_slice(value.unwrap_or_default());
    start
}

/// The hash over the records of a range of offsets, as evidence holds it.
#[derive(Debug, Clone, Default)]
pub struct RangeHash(Sha256);

impl RangeHash {
    /// Takes in one record; in order of offset.
    pub fn record(&mut self, offset: i64, value: Option<&[u8]>) {
        let mut bytes = Vec::with_capacity(12);
        write_record(&mut bytes, offset, None);
        if let Some(value) = value {
            bytes.truncate(8);
            bytes.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
        }
        self.0.update(&bytes);
        self.0.update(value.unwrap_or_default());
    }

    /// Takes in the records of a piece.
    pub fn piece(&mut self, piece: &Piece) {
        self.0.update(&piece.bytes);
    }

    /// The hash, in hexadecimal.
    pub fn finish(self) -> String {
        hex::encode(self.0.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder(from: i64, first: bool) -> Builder {
        let source =
            Source { id: "kafka:c:t:0".into(), topic: "t".into(), topic_id: "t".into(), partition: 0 };
        Builder::new(Arc::new(source), 1, from, first)
    }

    #[test]
    fn pieces_follow_each_other_without_a_hole() {
        let mut builder = builder(0, true);
        builder.skip(5, GapReason::BeforeFirstRead);
        let json = [("content-type".into(), &b"application/json"[..])];
        let one = Incoming { value: Some(b"one"), key: Some(b"k"), ..Incoming::default() };
        builder.push(one, json.clone().into_iter());
        builder.push(Incoming::default(), json.into_iter());
        builder.push(Incoming::default(), [].into_iter());
        builder.skip(8, GapReason::NotDelivered);
        builder.skip(9, GapReason::NotDelivered);
        let piece = builder.take(Some(10));
        assert_eq!((piece.from, piece.to, piece.first, piece.behind), (0, 9, true, true));
        assert_eq!(piece.records.iter().map(|r| r.offset).collect::<Vec<_>>(), [5, 6, 7]);
        let headers: Vec<_> = piece.records.iter().map(|r| r.headers.len()).collect();
        assert_eq!(headers, [1, 1, 0]);
        assert_eq!(piece.records[1].headers[0], ("content-type".to_owned(), b"application/json".to_vec()));
        assert_eq!(piece.gaps.iter().map(|g| (g.from, g.to)).collect::<Vec<_>>(), [(0, 5), (8, 9)]);
        assert_eq!(piece.value(&piece.records[0]).unwrap(), "one");
        assert_eq!(piece.key(&piece.records[0]).unwrap(), "k");
        assert_eq!((piece.value(&piece.records[1]), piece.key(&piece.records[1])), (None, None));
        assert!(builder.is_empty());
        let next = builder.take(Some(9));
        assert_eq!((next.from, next.to, next.first, next.behind), (9, 9, false, false));
    }

    #[test]
    fn a_range_hashes_alike_however_it_was_cut() {
        let mut builder = builder(3, false);
        let mut whole = RangeHash::default();
        let mut pieces = RangeHash::default();
        for (n, value) in [Some(&b"a"[..]), None, Some(b""), Some(b"bcd")].into_iter().enumerate() {
            whole.record(3 + n as i64, value);
            builder.push(Incoming { value, ..Incoming::default() }, [].into_iter());
            if n == 1 {
                pieces.piece(&builder.take(None));
            }
        }
        pieces.piece(&builder.take(None));
        assert_eq!(whole.finish(), pieces.finish());
    }
}
