//! Page tokens: where a search, or the history of a row, goes on, sealed.
//!
//! A token is base64url of `form (1 byte) ‖ nonce (12) ‖ AES-256-GCM(contents) ‖ tag (16)`; the form is
//! authenticated too. It tells its bearer nothing, cannot be altered, and holds only for the caller, the query or row, and
//! the hour that it was given for. Rights never come from it: it can only narrow those of the caller.
//!
//! That of a search names the User IDs whose rows the first page could show, or, of more than a few, their digest: then rights that have changed
//! since end it, and it costs the same however many they are.

use crate::error::SearchError;
use crate::limits::{PAGE_TOKEN_BYTES_MAX, PAGE_TOKEN_LIFE_MS, TOKEN_USER_IDS_MAX};
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

/// The version of the form of a search's token.
const FORM: u8 = 2;

/// The form of a token of a row's history.
const HISTORY_FORM: u8 = 3;

const EVERYBODY: u8 = 0;
const THESE: u8 = 1;
const DIGEST: u8 = 2;

/// The field of a search's token.
pub(crate) const PAGE: &str = "page_token";

/// The field of the token of a row's history.
pub(crate) const HISTORY: &str = "history_page_token";

/// The key that seals page tokens, and the tickets and handles of statements ([`Sealed`](crate::Sealed)). Servers that answer for one
/// another need the same one.
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

    /// Seals where a search goes on, for the caller and the query of this fingerprint. A token given for a later page holds no
    /// longer than the first one did: `expires_at` is handed on.
    pub(crate) fn seal(
        &self,
        token: &PageToken,
        who: &Access,
        fingerprint: &[u8; 32],
    ) -> Result<String, SearchError> {
        let mut contents = contents_for(who, token.expires_at, fingerprint);
        token.shown.put(&mut contents);
        put_text(&mut contents, &token.version.to_string());
        put_position(&mut contents, &token.last);
        self.seal_contents(FORM, contents)
    }

    /// Seals where the history of a row goes on, for the caller and the row of this fingerprint.
    pub(crate) fn seal_history(
        &self,
        token: &HistoryToken,
        who: &Access,
        fingerprint: &[u8; 32],
    ) -> Result<String, SearchError> {
        let mut contents = contents_for(who, token.expires_at, fingerprint);
        put_text(&mut contents, &token.version.to_string());
        contents.extend(token.next.to_be_bytes());
        self.seal_contents(HISTORY_FORM, contents)
    }

    pub(crate) fn seal_contents(&self, form: u8, contents: Vec<u8>) -> Result<String, SearchError> {
        Ok(URL_SAFE_NO_PAD.encode(self.seal_bytes(form, contents)?))
    }

    pub(crate) fn seal_bytes(&self, form: u8, mut contents: Vec<u8>) -> Result<Vec<u8>, SearchError> {
        let nonce = self
            .0
            .seal_in_place_append_tag(Aad::from([form]), &mut contents)
            .map_err(|_| SearchError::Seal)?;
        Ok([&[form][..], nonce.as_ref(), &contents].concat())
    }

    /// Opens a token for this caller, query and time.
    ///
    /// Errors: `Invalid` on the field `page_token`.
    pub(crate) fn open(
        &self,
        text: &str,
        who: &Access,
        fingerprint: &[u8; 32],
        now: Timestamp,
    ) -> Result<PageToken, SearchError> {
        let contents = self.unseal(FORM, text).ok_or_else(|| foreign(PAGE))?;
        let mut reader = Reader(&contents);
        let given = BoundTo::read(&mut reader).ok_or_else(|| foreign(PAGE))?;
        let rest = |mut reader: Reader<'_>| {
            let shown = RowsShown::read(&mut reader)?;
            let version = reader.text()?.parse().ok()?;
            let (last, expires_at) = (reader.position()?, given.expires_at);
            reader.is_done().then_some(PageToken { version, last, shown, expires_at })
        };
        let token = rest(reader).ok_or_else(|| foreign(PAGE))?;
        given.check(who, now, PAGE)?;
        given.check_search(fingerprint)?;
        Ok(token)
    }

    /// Opens the token of a row's history for this caller, row and time.
    ///
    /// Errors: `Invalid` on the field `history_page_token`.
    pub(crate) fn open_history(
        &self,
        text: &str,
        who: &Access,
        fingerprint: &[u8; 32],
        now: Timestamp,
    ) -> Result<HistoryToken, SearchError> {
        let contents = self.unseal(HISTORY_FORM, text).ok_or_else(|| foreign(HISTORY))?;
        let mut reader = Reader(&contents);
        let given = BoundTo::read(&mut reader).ok_or_else(|| foreign(HISTORY))?;
        let rest = |mut reader: Reader<'_>| {
            let version = reader.text()?.parse().ok()?;
            let (next, expires_at) = (reader.number()?, given.expires_at);
            reader.is_done().then_some(HistoryToken { version, next, expires_at })
        };
        let token = rest(reader).ok_or_else(|| foreign(HISTORY))?;
        given.check(who, now, HISTORY)?;
        if given.fingerprint != *fingerprint {
            return Err(SearchError::invalid(
                HISTORY,
                "given for another row; repeat its reference, or leave the token out",
            ));
        }
        Ok(token)
    }

    pub(crate) fn unseal(&self, form: u8, text: &str) -> Option<Vec<u8>> {
        if text.len() > PAGE_TOKEN_BYTES_MAX {
            return None;
        }
        self.unseal_bytes(form, URL_SAFE_NO_PAD.decode(text).ok()?)
    }

    pub(crate) fn unseal_bytes(&self, form: u8, mut sealed: Vec<u8>) -> Option<Vec<u8>> {
        let (found, rest) = sealed.split_first_mut()?;
        if *found != form {
            return None;
        }
        let (nonce, contents) = rest.split_first_chunk_mut::<NONCE_LEN>()?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let contents = self.0.open_in_place(nonce, Aad::from([form]), contents).ok()?;
        Some(contents.to_vec())
    }
}

/// One message for a token that was altered and for one of another caller: neither learns more.
pub(crate) fn foreign(field: &'static str) -> SearchError {
    SearchError::invalid(field, "not a page token that this service gave you")
}

/// The error of a token whose hour, or whose snapshot, is over.
pub(crate) fn gone(field: &'static str) -> SearchError {
    SearchError::invalid(field, "no longer valid; search again from the first page")
}

/// What every token begins with: until when it holds, for what, and whose it is.
pub(crate) fn contents_for(who: &Access, expires_at: Timestamp, fingerprint: &[u8; 32]) -> Vec<u8> {
    let mut contents = expires_at.millis().to_be_bytes().to_vec();
    contents.extend(fingerprint);
    put_text(&mut contents, who.subject());
    put_text(&mut contents, who.party().as_str());
    contents
}

/// To whom a token was given, for what, and until when it holds.
pub(crate) struct BoundTo {
    expires_at: Timestamp,
    fingerprint: [u8; 32],
    subject: String,
    party: String,
}

impl BoundTo {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let (expires_at, fingerprint) = (reader.time()?, reader.take()?);
        let (subject, party) = (reader.text()?.to_owned(), reader.text()?.to_owned());
        Some(Self { expires_at, fingerprint, subject, party })
    }

    pub(crate) const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// Whether it was given to this caller.
    pub(crate) fn is_of(&self, who: &Access) -> bool {
        self.subject == who.subject() && self.party == who.party().as_str()
    }

    /// What it was given for.
    pub(crate) const fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    /// Errors: `Invalid`, where it was given for another search than that of this fingerprint.
    pub(crate) fn check_search(&self, fingerprint: &[u8; 32]) -> Result<(), SearchError> {
        let other = "given for another search; repeat every other field unchanged, or leave the token out";
        if self.fingerprint == *fingerprint { Ok(()) } else { Err(SearchError::invalid(PAGE, other)) }
    }

    pub(crate) fn check(&self, who: &Access, now: Timestamp, field: &'static str) -> Result<(), SearchError> {
        if !self.is_of(who) {
            return Err(foreign(field));
        }
        if now >= self.expires_at { Err(gone(field)) } else { Ok(()) }
    }
}

/// Where a search goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PageToken {
    pub(crate) version: SnapshotVersion,
    pub(crate) last: RowPosition,
    /// Whose rows the first page could show; a later page shows none beyond these.
    pub(crate) shown: RowsShown,
    pub(crate) expires_at: Timestamp,
}

/// Where the history of a row goes on. It carries no right: whoever shows it must be allowed to see the row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HistoryToken {
    pub(crate) version: SnapshotVersion,
    /// The place of the next entry in the history, as it is at that version.
    pub(crate) next: u64,
    pub(crate) expires_at: Timestamp,
}

/// The end of a token first given at `now`.
pub(crate) fn expiry_from(now: Timestamp) -> Timestamp {
    now.plus_millis(PAGE_TOKEN_LIFE_MS)
}

/// Whose rows a page could show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RowsShown {
    /// The rows of all Users, whoever asks.
    Everybody,
    /// The rows of these few User IDs.
    These(BTreeSet<UserId>),
    /// The rows of many User IDs, of which this is the digest.
    Digest([u8; 32]),
}

impl RowsShown {
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
            Self::Digest(_) => Err(SearchError::invalid(PAGE, changed)),
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
