//! What else a key seals than the page tokens of searches: the tickets and handles of statements, and where the list of somebody's calls goes on. Whoever shows one must be its caller, in time, and with the
//! rights that it was given under. It carries no right.

use crate::error::SearchError;
use crate::token::{BoundTo, PageKey, contents_for};
use crate::wire::Reader;
use aws_lc_rs::digest::{Context, SHA256, SHA256_OUTPUT_LEN};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gridtrail_access::Access;
use gridtrail_model::Timestamp;

/// What a seal was put on. What is one kind never opens as another, nor as a page token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Sealed {
    /// A statement that is about to be carried out.
    Ticket = 32,
    /// A statement that was prepared.
    Handle = 33,
}

/// Why something sealed does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotOpened {
    /// It was altered, or is another caller's: which of both is not told.
    #[error("not given to this caller by this service")]
    Foreign,
    /// Its time is over.
    #[error("no longer valid")]
    Expired,
    /// What its caller may see has changed since.
    #[error("given under other rights")]
    OtherRights,
}

/// What the page token of a list of calls begins with, beside those of [`Sealed`].
const CALLS_FORM: u8 = 34;

impl PageKey {
    /// Seals something for a caller, with the rights that they have, until a time.
    ///
    /// Errors: `Seal`.
    pub fn seal_for(
        &self,
        kind: Sealed,
        whose: (&Access, Timestamp),
        contents: &[u8],
    ) -> Result<Vec<u8>, SearchError> {
        self.seal_as(kind as u8, whose, contents)
    }

    /// Opens what was sealed, for this caller and time.
    pub fn open_for(
        &self,
        kind: Sealed,
        sealed: &[u8],
        whose: (&Access, Timestamp),
    ) -> Result<Vec<u8>, NotOpened> {
        self.open_as(kind as u8, sealed, whose)
    }

    /// Seals where the list of a caller's own calls goes on, as the text of a page token.
    ///
    /// Errors: `Seal`.
    pub fn seal_calls(&self, whose: (&Access, Timestamp), contents: &[u8]) -> Result<String, SearchError> {
        Ok(URL_SAFE_NO_PAD.encode(self.seal_as(CALLS_FORM, whose, contents)?))
    }

    /// Opens the page token of such a list, for this caller and time.
    pub fn open_calls(&self, token: &str, whose: (&Access, Timestamp)) -> Result<Vec<u8>, NotOpened> {
        let sealed = URL_SAFE_NO_PAD.decode(token).map_err(|_| NotOpened::Foreign)?;
        self.open_as(CALLS_FORM, &sealed, whose)
    }

    fn seal_as(
        &self,
        form: u8,
        (who, expires_at): (&Access, Timestamp),
        contents: &[u8],
    ) -> Result<Vec<u8>, SearchError> {
        let mut sealed = contents_for(who, expires_at, &rights_of(who));
        sealed.extend_from_slice(contents);
        self.seal_bytes(form, sealed)
    }

    fn open_as(
        &self,
        form: u8,
        sealed: &[u8],
        (who, now): (&Access, Timestamp),
    ) -> Result<Vec<u8>, NotOpened> {
        let contents = self.unseal_bytes(form, sealed.to_vec()).ok_or(NotOpened::Foreign)?;
        let mut reader = Reader(&contents);
        let given = BoundTo::read(&mut reader).filter(|given| given.is_of(who)).ok_or(NotOpened::Foreign)?;
        if now >= given.expires_at() {
            return Err(NotOpened::Expired);
        }
        if *given.fingerprint() != rights_of(who) {
            return Err(NotOpened::OtherRights);
        }
        Ok(reader.0.to_vec())
    }
}

/// What tells the rights of a caller from others: whose rows they see, which of those are their own Party's, and their roles.
fn rights_of(who: &Access) -> [u8; SHA256_OUTPUT_LEN] {
    let mut context = Context::new(&SHA256);
    context.update(who.user_ids().digest());
    context.update(who.own_user_ids().digest());
    for role in who.roles() {
        context.update(&(role.len() as u64).to_be_bytes());
        context.update(role.as_bytes());
    }
    let mut rights = [0; SHA256_OUTPUT_LEN];
    rights.copy_from_slice(context.finish().as_ref());
    rights
}

#[cfg(test)]
mod tests {
    use super::*;
    use gridtrail_access::{Bearer, DevKey, JobTypeRole, OrgId};

    fn at() -> Timestamp {
        "2026-03-01T00:00:00Z".parse().unwrap()
    }

    fn access(subject: &str, party: &str, users: &[&str], roles: &[u8]) -> Access {
        let bearer = Bearer {
            subject: subject.into(),
            party: party.parse().unwrap(),
            org_id: OrgId::All,
            user_ids: users.iter().map(|user| user.parse().unwrap()).collect(),
            roles: roles.iter().map(|role| JobTypeRole::new(*role).unwrap()).collect(),
            valid_from: at(),
            expires_at: at().plus_millis(3_600_000),
        };
        DevKey::generate().unwrap().access(&bearer).unwrap()
    }

    const USER: &str = "90-B3-D5-1F-30-01-00-00";
    const OTHER: &str = "90-B3-D5-1F-30-02-00-00";

    #[test]
    fn what_is_sealed_opens_for_its_caller_in_time_under_the_same_rights_and_as_its_kind_alone() {
        let key = PageKey::random().unwrap();
        let ann = access("ann", "Avon", &[USER], &[1]);
        let end = at().plus_millis(1_000);
        let sealed = key.seal_for(Sealed::Ticket, (&ann, end), b"SELECT 1").unwrap();
        let open = |who: &Access, at| key.open_for(Sealed::Ticket, &sealed, (who, at));
        assert_eq!(open(&ann, at()).unwrap(), b"SELECT 1");
        assert_eq!(open(&ann, end), Err(NotOpened::Expired));
        for other in [access("bob", "Avon", &[USER], &[1]), access("ann", "Severn", &[USER], &[1])] {
            assert_eq!(open(&other, at()), Err(NotOpened::Foreign));
            assert_eq!(open(&other, end), Err(NotOpened::Foreign), "of another's not even the time is told");
        }
        for other in [access("ann", "Avon", &[OTHER], &[1]), access("ann", "Avon", &[USER], &[1, 2])] {
            assert_eq!(open(&other, at()), Err(NotOpened::OtherRights));
        }
        assert_eq!(key.open_for(Sealed::Handle, &sealed, (&ann, at())), Err(NotOpened::Foreign));
        assert_eq!(
            PageKey::random().unwrap().open_for(Sealed::Ticket, &sealed, (&ann, at())),
            Err(NotOpened::Foreign)
        );
        for place in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[place] ^= 1;
            let opened = key.open_for(Sealed::Ticket, &altered, (&ann, at()));
            assert_eq!(opened, Err(NotOpened::Foreign), "at {place}");
        }
        for short in 0..sealed.len() {
            assert_eq!(key.open_for(Sealed::Ticket, &sealed[..short], (&ann, at())), Err(NotOpened::Foreign));
        }
    }
}
