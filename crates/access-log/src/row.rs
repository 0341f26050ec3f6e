//! A row: an entry with its place in a chain, and the hash that holds it there.

use crate::{Entry, RowKind};
use gridtrail_model::Timestamp;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// What the hash of every row begins with: the name and version of the form.
const FORM: &[u8] = b"gridtrail access log 1\n";

/// The hash before that of the first row.
pub(crate) const NO_HASH: [u8; 32] = [0; 32];

/// One row of the access log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The chain, by a UUID of version 7: it tells when the chain began.
    pub chain: Uuid,
    /// The place in the chain: from 0, without gaps.
    pub seq: u64,
    /// What it stands for.
    pub kind: RowKind,
    /// What it says.
    pub entry: Entry,
    /// SHA-256 over all of the above and the hash of the row before.
    pub hash: [u8; 32],
}

impl Row {
    /// The hash, in hexadecimal digits.
    pub fn hash_digits(&self) -> String {
        hex::encode(self.hash)
    }

    /// The row that follows on one with the hash `previous`.
    pub(crate) fn after(previous: &[u8; 32], chain: Uuid, seq: u64, kind: RowKind, entry: Entry) -> Self {
        let mut row = Self { chain, seq, kind, entry, hash: NO_HASH };
        row.hash = row.hash_after(previous);
        row
    }

    /// What its hash must be if it follows on one with the hash `previous`. No two rows have the same bytes to be hashed: each part has a
    /// fixed length, or its length before it, and what is left out is told from what is empty.
    pub fn hash_after(&self, previous: &[u8; 32]) -> [u8; 32] {
        let Entry {
            at,
            call,
            outcome,
            reason,
            times,
            subject,
            party,
            session,
            roles,
            key_kind,
            key,
            variants,
            from,
            to,
            rows,
            rows_of_others,
            version,
            page_size,
            later_page,
            peer,
            took_us,
            detail,
        } = &self.entry;
        let mut form = Form(Vec::with_capacity(512));
        form.0.extend_from_slice(FORM);
        form.0.extend_from_slice(previous);
        form.0.extend_from_slice(self.chain.as_bytes());
        form.number(Some(self.seq));
        form.text(Some(self.kind.name()));
        form.time(Some(*at));
        form.text(Some(call));
        form.text(Some(outcome));
        form.text(reason.as_deref());
        form.number(Some(*times));
        for text in [subject, party, session, roles] {
            form.text(text.as_deref());
        }
        form.text(key_kind.as_deref());
        form.text(key.as_deref());
        form.text(variants.as_deref());
        form.time(*from);
        form.time(*to);
        form.number(*rows);
        form.number(*rows_of_others);
        form.text(version.as_deref());
        form.number(*page_size);
        form.number(later_page.map(u64::from));
        form.text(peer.as_deref());
        form.number(*took_us);
        form.text(detail.as_deref());
        Sha256::digest(&form.0).into()
    }
}

/// The bytes that are hashed.
struct Form(Vec<u8>);

impl Form {
    fn text(&mut self, text: Option<&str>) {
        self.number(text.map(|text| text.len() as u64));
        self.0.extend_from_slice(text.unwrap_or_default().as_bytes());
    }

    fn number(&mut self, number: Option<u64>) {
        self.0.push(u8::from(number.is_some()));
        self.0.extend(number.map(u64::to_be_bytes).into_iter().flatten());
    }

    fn time(&mut self, time: Option<Timestamp>) {
        self.number(time.map(|time| time.millis().cast_unsigned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The form is kept for years: whoever changes it can no longer prove what was written before.
    #[test]
    fn the_hash_of_a_row_stays_what_it_is() {
        let mut entry = Entry::of("AuditTrailService.Search", "2026-03-01T09:30:00.250Z".parse().unwrap());
        entry.outcome = "OK".into();
        (entry.subject, entry.party) = (Some("ann".into()), Some("Avon".into()));
        (entry.key_kind, entry.key) = (Some("mpxn".into()), Some("1217290354420".into()));
        (entry.rows, entry.rows_of_others, entry.later_page) = (Some(7), Some(0), Some(false));
        let chain = Uuid::from_u128(0x0195_4f00_0000_7000_8000_0000_0000_0001);
        let row = Row::after(&[7; 32], chain, 3, RowKind::Call, entry);
        assert_eq!(row.hash_digits(), "42c3a603668cec84cd7e23bbcbcab5d20234b5510c58025279b641ad47bd6a17");
    }
}
