//! What a dead letter keeps of a record: all of it, or its beginning with the length and hash of the whole.

use crate::chunk::{Unread, Until, to_position};
use crate::limits::{LETTER_BYTES_MAX, LETTER_HEAD_BYTES};
use bytes::Bytes;
use gridtrail_lake::Extent;
use sha2::{Digest, Sha256};

/// What is kept of a record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct LetterContent {
    pub(crate) bytes: Bytes,
    pub(crate) extent: Extent,
}

/// What is kept of these bytes: a copy, so that a letter never holds on to what was read with it.
pub(crate) fn letter_content(raw: &[u8]) -> LetterContent {
    if raw.len() <= LETTER_BYTES_MAX {
        return LetterContent { bytes: Bytes::copy_from_slice(raw), extent: Extent::Whole };
    }
    let sha256 = hex::encode(Sha256::digest(raw));
    let bytes = Bytes::copy_from_slice(&raw[..LETTER_HEAD_BYTES]);
    LetterContent { bytes, extent: Extent::Cut { bytes: raw.len() as u64, sha256 } }
}

/// A record that is passed over part by part.
#[derive(Debug)]
pub(crate) struct Long {
    pub(crate) until: Until,
    start: u64,
    reason: String,
    head: Vec<u8>,
    hash: Sha256,
    bytes: u64,
}

impl Long {
    pub(crate) fn new(start: u64, until: Until, reason: String) -> Self {
        Self { until, start, reason, head: Vec::new(), hash: Sha256::new(), bytes: 0 }
    }

    /// Whether no part of it was taken in yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    pub(crate) fn take(&mut self, part: &[u8]) {
        let room = LETTER_HEAD_BYTES - self.head.len();
        self.head.extend_from_slice(&part[..room.min(part.len())]);
        self.hash.update(part);
        self.bytes += part.len() as u64;
    }

    /// The letter, once all parts were taken in.
    pub(crate) fn unread(self) -> Unread {
        let whole = self.bytes == self.head.len() as u64;
        let sha256 = hex::encode(self.hash.finalize());
        let extent = if whole { Extent::Whole } else { Extent::Cut { bytes: self.bytes, sha256 } };
        let raw = LetterContent { bytes: self.head.into(), extent };
        Unread { position: to_position(self.start), reason: self.reason, raw }
    }
}
