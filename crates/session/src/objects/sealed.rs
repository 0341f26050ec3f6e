//! Objects that only servers with the session key write.
//!
//! Whoever can write to the store could otherwise log anybody in by one object. A seal is a MAC over an object's name and all that stands in
//! it, by a key that is derived of the session key. It cannot bring back what somebody deletes: a revocation, or that an assertion was used.

use super::{Created, Objects, StoreError, Stored, VERSION as PLAIN, reason_of};
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use gridtrail_access::{AccessError, SessionKey};
use gridtrail_model::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What the key of seals is derived for.
const PURPOSE: &str = "gridtrail session objects 1";

/// The version of the form of objects that carry a seal.
pub(super) const VERSION: u32 = 2;

/// Seals objects, and tells whether one was sealed by servers with the same session key.
#[derive(Clone)]
pub struct Seal(Arc<hmac::Key>);

// A hand-written form, so that no key ever reaches a log.
impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal")
    }
}

/// A sealed object.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Envelope {
    version: u32,
    /// In hexadecimal digits.
    seal: String,
    /// What an object without a seal is written as, as text: what is sealed is these bytes, whatever a reader makes of them.
    pub(super) document: String,
}

impl Seal {
    /// The seal of all servers with this key.
    ///
    /// Errors: `Key`.
    pub fn of(key: &SessionKey) -> Result<Self, AccessError> {
        Ok(Self(Arc::new(hmac::Key::new(HMAC_SHA256, &key.secret_for(PURPOSE)?))))
    }

    /// The name is part of it, so that one object cannot stand for another. Its length keeps it apart from the document.
    fn sealed(name: &str, document: &str) -> Vec<u8> {
        [&(name.len() as u64).to_be_bytes(), name.as_bytes(), document.as_bytes()].concat()
    }

    fn close(&self, name: &str, document: String) -> Envelope {
        let tag = hmac::sign(&self.0, &Self::sealed(name, &document));
        Envelope { version: VERSION, seal: hex::encode(tag.as_ref()), document }
    }

    fn is_on(&self, name: &str, envelope: &Envelope) -> bool {
        hex::decode(&envelope.seal)
            .is_ok_and(|tag| hmac::verify(&self.0, &Self::sealed(name, &envelope.document), &tag).is_ok())
    }
}

impl Objects {
    pub(super) fn envelope(&self, name: &str, bytes: &[u8]) -> Result<Envelope, StoreError> {
        serde_json::from_slice(bytes).map_err(|error| self.corrupt(name, reason_of(&error)))
    }
}

/// The objects of one lake, of which some carry a seal.
#[derive(Debug, Clone)]
pub struct SealedObjects {
    plain: Objects,
    seal: Seal,
}

impl SealedObjects {
    /// These objects, as servers with this seal write and read them.
    pub fn new(plain: Objects, seal: Seal) -> Self {
        Self { plain, seal }
    }

    /// The objects, whoever wrote them.
    pub fn plain(&self) -> &Objects {
        &self.plain
    }

    /// Creates an object that carries the seal, as [`Objects::create`] does one without.
    ///
    /// Errors: as there.
    pub(crate) async fn create<T: Serialize>(
        &self,
        name: &str,
        expires_at: Option<Timestamp>,
        content: &T,
    ) -> Result<Created, StoreError> {
        let bytes = self.sealed(name, expires_at, content)?;
        self.plain.put(name, bytes).await
    }

    /// Writes an object that carries the seal, in place of what is there: of two writers the last one is heard. For what decides nothing.
    ///
    /// Errors: `Unavailable`: it may be there, now or later; `NoRandomness`.
    pub(crate) async fn replace<T: Serialize>(
        &self,
        name: &str,
        expires_at: Option<Timestamp>,
        content: &T,
    ) -> Result<(), StoreError> {
        let bytes = self.sealed(name, expires_at, content)?;
        self.plain.overwrite(name, bytes).await
    }

    fn sealed<T: Serialize>(
        &self,
        name: &str,
        expires_at: Option<Timestamp>,
        content: &T,
    ) -> Result<Vec<u8>, StoreError> {
        let envelope = self.seal.close(name, self.plain.document(name, expires_at, content)?);
        serde_json::to_vec(&envelope).map_err(|error| self.plain.corrupt(name, reason_of(&error)))
    }

    /// Reads an object that carries the seal. Any other counts as not there, and the log names it.
    ///
    /// Errors: `Unavailable`; `Corrupt`, also for one that was sealed and cannot be read.
    pub(crate) async fn read<T: DeserializeOwned>(
        &self,
        name: &str,
    ) -> Result<Option<Stored<T>>, StoreError> {
        let Some(bytes) = self.plain.bytes(name).await? else { return Ok(None) };
        let envelope = match self.plain.version_of(name, &bytes)? {
            VERSION => Some(self.plain.envelope(name, &bytes)?),
            PLAIN => None,
            version => {
                return Err(self.plain.corrupt(name, format!("it has version {version}, which is not read")));
            }
        };
        match envelope.filter(|envelope| self.seal.is_on(name, envelope)) {
            Some(envelope) => self.plain.open(name, envelope.document.as_bytes()).map(Some),
            None => {
                tracing::error!(
                    object = %self.plain.path(name),
                    "an object does not carry the seal of this session key, and counts as not there: somebody else wrote it, or \
                     a server did before the key was changed"
                );
                Ok(None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gridtrail_access::DevKey;

    fn key() -> String {
        DevKey::generate().unwrap().to_pem()
    }

    fn seal(pem: &str) -> Seal {
        Seal::of(&SessionKey::from_pem(pem).unwrap()).unwrap()
    }

    #[test]
    fn a_seal_is_that_of_its_key_its_name_and_every_byte() {
        let (pem, other) = (key(), key());
        let document = r#"{"version":1}"#.to_owned();
        let closed = seal(&pem).close("sessions/a/session", document.clone());
        let is_on = |seal: &Seal, name: &str, tag: &str, document: &str| {
            let (seal_of, document) = (tag.to_owned(), document.to_owned());
            seal.is_on(name, &Envelope { version: VERSION, seal: seal_of, document })
        };
        let (same, tag) = (seal(&pem), closed.seal);
        assert!(is_on(&same, "sessions/a/session", &tag, &document), "servers with one key have one seal");
        assert!(!is_on(&seal(&other), "sessions/a/session", &tag, &document));
        assert!(!is_on(&same, "sessions/b/session", &tag, &document));
        assert!(!is_on(&same, "sessions/a/sessio", &tag, &format!("n{document}")));
        for at in 0..document.len() {
            let mut changed = document.clone().into_bytes();
            changed[at] ^= 1;
            assert!(!is_on(&same, "sessions/a/session", &tag, &String::from_utf8(changed).unwrap()), "{at}");
        }
        for wrong in ["", "00", &tag[2..], &format!("{tag}00"), &tag.replace(|_| true, "ä"), "é"] {
            assert!(!is_on(&same, "sessions/a/session", wrong, &document), "{wrong}");
        }
    }
}
