//! Page tokens of the inventory: at which version and instant a search goes on, and behind which Device. They are sealed as all page tokens
//! are, and carry no right: whoever shows one must be allowed to search the inventory.

use crate::error::SearchError;
use crate::token::{BoundTo, PAGE, PageKey, contents_for, foreign};
use crate::wire::{Reader, put_text};
use gridtrail_access::Access;
use gridtrail_lake::SnapshotVersion;
use gridtrail_model::{DeviceId, Timestamp};

/// The form of these tokens, beside those of searches and histories.
const FORM: u8 = 16;

/// Where a search of the inventory goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InventoryToken {
    pub(super) version: SnapshotVersion,
    /// The instant of which all pages are.
    pub(super) at: Timestamp,
    /// The last Device of the page before.
    pub(super) last: DeviceId,
    pub(super) expires_at: Timestamp,
}

impl InventoryToken {
    /// Seals it for the caller and the query of this fingerprint. Errors: `Seal`.
    pub(super) fn seal(
        &self,
        key: &PageKey,
        who: &Access,
        fingerprint: &[u8; 32],
    ) -> Result<String, SearchError> {
        let mut contents = contents_for(who, self.expires_at, fingerprint);
        put_text(&mut contents, &self.version.to_string());
        contents.extend(self.at.millis().to_be_bytes());
        contents.extend(self.last.to_bytes());
        key.seal_contents(FORM, contents)
    }

    /// Opens one for this caller, query and time. Errors: `Invalid` on the field `page_token`.
    pub(super) fn open(
        key: &PageKey,
        text: &str,
        (who, fingerprint): (&Access, &[u8; 32]),
        now: Timestamp,
    ) -> Result<Self, SearchError> {
        let contents = key.unseal(FORM, text).ok_or_else(|| foreign(PAGE))?;
        let mut reader = Reader(&contents);
        let given = BoundTo::read(&mut reader).ok_or_else(|| foreign(PAGE))?;
        let rest = |mut reader: Reader<'_>| {
            let version = reader.text()?.parse().ok()?;
            let (at, last, expires_at) = (reader.time()?, reader.device()?, given.expires_at());
            reader.is_done().then_some(Self { version, at, last, expires_at })
        };
        let token = rest(reader).ok_or_else(|| foreign(PAGE))?;
        given.check(who, now, PAGE)?;
        given.check_search(fingerprint)?;
        Ok(token)
    }
}
