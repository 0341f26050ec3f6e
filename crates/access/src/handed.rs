//! Rights that one process of a service hands to another: sealed, bound to what they are for, and over soon.
//!
//! A statement that several processes carry out is admitted by one of them. The others get what its caller may see, and nothing that they could
//! log in with. What is handed over is `nonce (12) ‖ AES-256-GCM(rights) ‖ tag (16)`; what it is for is authenticated with it, so that rights
//! which were sealed for one piece of work open for no other.

use crate::session::Session;
use crate::{Access, AccessError, Bearer, Components, OrgId, UserIds};
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::rand;
use gridtrail_model::{Timestamp, UserId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// The key of the processes that carry out statements together. Whoever has it can make any rights: it is kept as the keys of tokens are.
///
/// Its nonces are random, so one key should seal at most 2^32 times (NIST SP 800-38D).
#[derive(Clone)]
pub struct RightsKey(Arc<RandomizedNonceKey>);

// A hand-written form, so that the key never reaches a log.
impl fmt::Debug for RightsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RightsKey").finish_non_exhaustive()
    }
}

/// What an [`Access`] is when it is handed over.
#[derive(Serialize, Deserialize)]
struct Handed {
    /// The first instant at which they are over, in milliseconds.
    until_ms: i64,
    /// `None`: an operator's, who is no User.
    caller: Option<Caller>,
}

#[derive(Serialize, Deserialize)]
struct Caller {
    subject: String,
    party: String,
    session: Option<String>,
    roles: Vec<String>,
    components: u32,
    /// `None`: every User ID, whichever there are.
    user_ids: Option<Vec<String>>,
    own_user_ids: Option<Vec<String>>,
}

impl RightsKey {
    /// A key from 32 secret bytes, shared by processes that carry out statements together.
    ///
    /// Errors: `Key`, when the bytes are refused.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, AccessError> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, bytes);
        Ok(Self(Arc::new(
            key.map_err(|_| AccessError::Key("32 bytes that no key of AES-256-GCM can be of"))?,
        )))
    }

    /// A key of this process alone.
    ///
    /// Errors: `Key`, when the machine has no randomness to give.
    pub fn random() -> Result<Self, AccessError> {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes).map_err(|_| AccessError::Key("this machine has no randomness to give"))?;
        Self::from_bytes(&bytes)
    }

    /// Seals the rights of a caller, or with `None` those of an operator, for one piece of work, until a time or until the access is over.
    ///
    /// Errors: `Handed`.
    pub fn seal(&self, who: Option<&Access>, work: &[u8], until: Timestamp) -> Result<Vec<u8>, AccessError> {
        let until = who.map_or(until, |who| who.expires_at().min(until));
        let handed = Handed { until_ms: until.millis(), caller: who.map(Caller::of) };
        let mut contents = serde_json::to_vec(&handed).map_err(|_| AccessError::Handed)?;
        let nonce = self.0.seal_in_place_append_tag(Aad::from(work), &mut contents);
        Ok([&nonce.map_err(|_| AccessError::Handed)?.as_ref()[..], &contents].concat())
    }

    /// Opens what was sealed for this piece of work. The access is what it was when it was sealed, whatever was granted or rescinded since: it
    /// lasts no longer than it was sealed for, and whoever sealed it ends the work when rights are lost.
    ///
    /// Errors: `Handed` for what was altered, is for other work or by another key; `Expired`.
    pub fn open(&self, sealed: &[u8], work: &[u8], now: Timestamp) -> Result<Option<Access>, AccessError> {
        let opened = || -> Option<Handed> {
            let mut sealed = sealed.to_vec();
            let (nonce, contents) = sealed.split_first_chunk_mut::<NONCE_LEN>()?;
            let nonce = Nonce::assume_unique_for_key(*nonce);
            let contents = self.0.open_in_place(nonce, Aad::from(work), contents).ok()?;
            serde_json::from_slice(contents).ok()
        };
        let Handed { until_ms, caller } = opened().ok_or(AccessError::Handed)?;
        let until = Timestamp::from_millis(until_ms).ok_or(AccessError::Handed)?;
        if now >= until {
            return Err(AccessError::Expired { expired_at: until });
        }
        caller.map(|caller| caller.access(until).ok_or(AccessError::Handed)).transpose()
    }
}

impl Caller {
    fn of(who: &Access) -> Self {
        let listed = |ids: &UserIds| {
            (!ids.is_all()).then(|| ids.to_set().iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        Self {
            subject: who.subject().to_owned(),
            party: who.party().as_str().to_owned(),
            session: who.session_id().map(ToOwned::to_owned),
            roles: who.roles().to_vec(),
            components: who.components().bits(),
            user_ids: listed(who.user_ids()),
            own_user_ids: listed(who.own_user_ids()),
        }
    }

    fn access(self, until: Timestamp) -> Option<Access> {
        let listed = |ids: Option<Vec<String>>| {
            let Some(ids) = ids else { return Some(UserIds::all()) };
            let ids = ids.iter().map(|id| id.parse().ok()).collect::<Option<BTreeSet<UserId>>>()?;
            Some(UserIds::of(&ids))
        };
        let bearer = Bearer {
            subject: self.subject,
            party: self.party.parse().ok()?,
            // What the User IDs came to is handed over, not what they came from.
            org_id: OrgId::GrantedOnly,
            user_ids: BTreeSet::new(),
            roles: BTreeSet::new(),
            valid_from: Timestamp::MIN,
            expires_at: until,
        };
        let id = self.session.map(String::into_boxed_str);
        let session = Session::handed(id, bearer, self.roles, Components::from_bits(self.components));
        Some(Access::handed(session, listed(self.user_ids)?, listed(self.own_user_ids)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DevKey, JobTypeRole};

    fn at(millis: i64) -> Timestamp {
        "2026-03-01T00:00:00Z".parse::<Timestamp>().unwrap().plus_millis(millis)
    }

    fn access() -> Access {
        let bearer = Bearer {
            subject: "ann".into(),
            party: "Avon".parse().unwrap(),
            org_id: OrgId::All,
            user_ids: BTreeSet::from(["90-B3-D5-1F-30-01-00-00".parse().unwrap()]),
            roles: BTreeSet::from([JobTypeRole::new(1).unwrap()]),
            valid_from: at(0),
            expires_at: at(3_600_000),
        };
        DevKey::generate().unwrap().access(&bearer).unwrap()
    }

    #[test]
    fn rights_open_as_what_they_were_for_their_work_in_time_and_by_their_key_alone() {
        let (key, who) = (RightsKey::random().unwrap(), access());
        let sealed = key.seal(Some(&who), b"a scan", at(1_000)).unwrap();
        let opened = key.open(&sealed, b"a scan", at(0)).unwrap().unwrap();
        assert_eq!((opened.subject(), opened.party()), (who.subject(), who.party()));
        assert_eq!((opened.user_ids(), opened.own_user_ids()), (who.user_ids(), who.own_user_ids()));
        assert_eq!((opened.roles(), opened.components()), (who.roles(), who.components()));
        assert_eq!(opened.expires_at(), at(1_000));
        assert!(matches!(key.open(&sealed, b"a scan", at(1_000)), Err(AccessError::Expired { .. })));
        assert!(matches!(key.open(&sealed, b"another", at(0)), Err(AccessError::Handed)));
        let other = RightsKey::random().unwrap();
        assert!(matches!(other.open(&sealed, b"a scan", at(0)), Err(AccessError::Handed)));
        for place in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[place] ^= 1;
            assert!(matches!(key.open(&altered, b"a scan", at(0)), Err(AccessError::Handed)), "at {place}");
            assert!(matches!(key.open(&sealed[..place], b"a scan", at(0)), Err(AccessError::Handed)));
        }
        let text = String::from_utf8_lossy(&sealed);
        assert!(!text.contains("ann") && !text.contains("90-B3"), "it tells nothing to whoever carries it");
    }

    #[test]
    fn rights_last_no_longer_than_the_access_that_they_are_of() {
        let (key, who) = (RightsKey::random().unwrap(), access());
        let sealed = key.seal(Some(&who), b"", at(9_000_000)).unwrap();
        assert_eq!(key.open(&sealed, b"", at(0)).unwrap().unwrap().expires_at(), who.expires_at());
    }

    #[test]
    fn an_operator_is_nobody_and_one_who_sees_every_row_still_does() {
        let key = RightsKey::random().unwrap();
        let nobody = key.seal(None, b"", at(1)).unwrap();
        assert!(key.open(&nobody, b"", at(0)).unwrap().is_none());
        let who = access();
        let everything =
            Caller { user_ids: None, own_user_ids: None, ..Caller::of(&who) }.access(at(1)).unwrap();
        let sealed = key.seal(Some(&everything), b"", at(1)).unwrap();
        let opened = key.open(&sealed, b"", at(0)).unwrap().unwrap();
        assert!(opened.user_ids().is_all() && opened.own_user_ids().is_all());
    }
}
