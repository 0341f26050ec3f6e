//! Page tokens: where a search goes on, sealed.
//!
//! A token is base64url of `form (1 byte) ‖ nonce (12) ‖ AES-256-GCM(contents) ‖ tag (16)`; the form is
//! authenticated too. It tells its bearer nothing, cannot be altered, and holds only for the caller, the query and
//! the hour that it was given for. Rights never come from it: it can only narrow those of the caller.
//!
//! It names the User IDs whose rows the first page could show, or, of more than a few, their digest: then rights that have changed
//! since end it, and it costs the same however many they are.

use crate::error::SearchError;
use crate::limits::{PAGE_TOKEN_BYTES_MAX, PAGE_TOKEN_LIFE_MS, TOKEN_USER_IDS_MAX};
use crate::query::Checked;
use crate::wire::{Reader, put_position, put_text};
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gridtrail_access::Access;
use gridtrail_lake::{RowPosition, SnapshotVersion, View};
use gridtrail_model::{Timestamp, UserId};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// The version of the form of a token.
const FORM: u8 = 2;

const EVERYBODY: u8 = 0;
const THESE: u8 = 1;
const DIGEST: u8 = 2;

const FIELD: &str = "page_token";

/// The key that seals page tokens. Servers that answer for one another need the same one.
///
/// Its nonces are random, so one key should seal at most 2^32 tokens (NIST SP 800-38D).
#[derive(Clone)]
pub struct PageKey(Arc<RandomizedNonceKey>);

// A hand-written form, so that the key never reaches a log.
impl fmt::Debug for PageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageKey").finish_non_exhaustive()
    }
}

impl PageKey {
    /// A key from 32 secret bytes, shared by servers that answer for one another.
    ///
    /// Errors: `Seal`, when the bytes are refused.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, SearchError> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, bytes).map_err(|_| SearchError::Seal)?;
        Ok(Self(Arc::new(key)))
    }

    /// A key of this process alone: its tokens end with it.
    ///
    /// Errors: `Seal`, when the machine has no randomness to give.
    pub fn random() -> Result<Self, SearchError> {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes).map_err(|_| SearchError::Seal)?;
        Self::from_bytes(&bytes)
    }

    /// Seals where the search goes on after `last`. A token given for a later page holds no longer than the first
    /// one did: `expires_at` is handed on.
    pub(crate) fn seal(
        &self,
        token: &PageToken,
        who: &Access,
        query: &Checked,
    ) -> Result<String, SearchError> {
        let mut contents = token.expires_at.millis().to_be_bytes().to_vec();
        contents.extend(query.fingerprint);
        put_text(&mut contents, who.subject());
        put_text(&mut contents, who.party().as_str());
        token.shown.put(&mut contents);
        put_text(&mut contents, &token.version.to_string());
        put_position(&mut contents, &token.last);
        let nonce = self
            .0
            .seal_in_place_append_tag(Aad::from([FORM]), &mut contents)
            .map_err(|_| SearchError::Seal)?;
        let sealed = [&[FORM][..], nonce.as_ref(), &contents].concat();
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// Opens a token for this caller, query and time.
    ///
    /// Errors: `Invalid` on the field `page_token`.
    pub(crate) fn open(
        &self,
        text: &str,
        who: &Access,
        query: &Checked,
        now: Timestamp,
    ) -> Result<PageToken, SearchError> {
        // One message for a token that was altered and for one of another caller: neither learns more.
        let foreign = || SearchError::invalid(FIELD, "not a page token that this service gave you");
        let (token, opened_for) = self.unseal(text).ok_or_else(foreign)?;
        if opened_for.subject != who.subject() || opened_for.party != who.party().as_str() {
            return Err(foreign());
        }
        if now >= token.expires_at {
            return Err(gone());
        }
        if opened_for.fingerprint != query.fingerprint {
            return Err(SearchError::invalid(
                FIELD,
                "given for another search; repeat every other field unchanged, or leave the token out",
            ));
        }
        Ok(token)
    }

    fn unseal(&self, text: &str) -> Option<(PageToken, OpenedFor)> {
        if text.len() > PAGE_TOKEN_BYTES_MAX {
            return None;
        }
        let mut sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (form, rest) = sealed.split_first_mut()?;
        if *form != FORM {
            return None;
        }
        let (nonce, contents) = rest.split_first_chunk_mut::<NONCE_LEN>()?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let contents = self.0.open_in_place(nonce, Aad::from([FORM]), contents).ok()?;
        read(contents)
    }
}

/// The error of a token whose hour, or whose snapshot, is over.
pub(crate) fn gone() -> SearchError {
    SearchError::invalid(FIELD, "no longer valid; search again from the first page")
}

/// Where a search goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PageToken {
    pub(crate) version: SnapshotVersion,
    pub(crate) last: RowPosition,
    /// Whose rows the first page could show; a later page shows none beyond these.
    pub(crate) shown: Shown,
    pub(crate) expires_at: Timestamp,
}

impl PageToken {
    /// The end of a token first given at `now`.
    pub(crate) fn expiry_from(now: Timestamp) -> Timestamp {
        now.plus_millis(PAGE_TOKEN_LIFE_MS)
    }
}

/// Whose rows a page could show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Those of all Users, whoever asks.
    Everybody,
    /// Those of these few User IDs.
    These(BTreeSet<UserId>),
    /// Those of many User IDs, of which this is the digest.
    Digest([u8; 32]),
}

impl Shown {
    /// Whose rows a caller sees in a view.
    pub(crate) fn of(view: View, who: &Access) -> Self {
        match view {
            View::MeterReads => Self::Everybody,
            View::Audit if who.user_ids().len() <= TOKEN_USER_IDS_MAX => Self::These(who.user_ids().to_set()),
            View::Audit => Self::Digest(*who.user_ids().digest()),
        }
    }

    /// What a caller may see of it now. Errors: `Invalid`, where that cannot be told apart from what was won since.
    pub(crate) fn narrow(&self, who: &Access) -> Result<Access, SearchError> {
        let changed = "your rights have changed since it was given; search again from the first page";
        match self {
            Self::Everybody => Ok(who.clone()),
            Self::These(user_ids) => Ok(who.narrowed_to(user_ids)),
            Self::Digest(digest) if digest == who.user_ids().digest() => Ok(who.clone()),
            Self::Digest(_) => Err(SearchError::invalid(FIELD, changed)),
        }
    }

    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Everybody => out.push(EVERYBODY),
            Self::These(user_ids) => {
                out.push(THESE);
                // A few of them.
                out.extend(u16::try_from(user_ids.len()).unwrap_or(u16::MAX).to_be_bytes());
                out.extend(user_ids.iter().flat_map(|user| user.to_bytes()));
            }
            Self::Digest(digest) => {
                out.push(DIGEST);
                out.extend(digest);
            }
        }
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        match reader.byte()? {
            EVERYBODY => Some(Self::Everybody),
            THESE => {
                let users = reader.count()?;
                (0..users).map(|_| reader.user()).collect::<Option<_>>().map(Self::These)
            }
            DIGEST => reader.take().map(Self::Digest),
            _ => None,
        }
    }
}

struct OpenedFor {
    fingerprint: [u8; 32],
    subject: String,
    party: String,
}

fn read(contents: &[u8]) -> Option<(PageToken, OpenedFor)> {
    let mut reader = Reader(contents);
    let expires_at = reader.time()?;
    let fingerprint = reader.take()?;
    let subject = reader.text()?.to_owned();
    let party = reader.text()?.to_owned();
    let shown = Shown::read(&mut reader)?;
    let version = reader.text()?.parse().ok()?;
    let last = reader.position()?;
    let opened_for = OpenedFor { fingerprint, subject, party };
    reader.is_done().then_some((PageToken { version, last, shown, expires_at }, opened_for))
}
