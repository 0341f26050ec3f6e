//! Identity Providers that are enrolled, and the accounts of the DCC's own.
//!
//! An entry is a row of versions, `providers/<digest of the entity id>/<number>`: a change creates the next number, so of two
//! changes at once one fails and says so. What is removed leaves a last version that says so.

mod account;
mod provider;

pub use account::Account;
pub(crate) use account::subject_of;
pub use provider::{Provider, ProviderSettings};

use crate::digest;
use crate::limits::SEEN_AFTER_MS_MAX;
use crate::objects::{Created, Objects, StoreError};
use gridtrail_access::Party;
use gridtrail_model::Timestamp;
use gridtrail_runtime::Clock;
use gridtrail_saml::{IdentityProvider, MetadataFault, TrustAnchors};
use provider::{Enrolment, ProviderChange};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::Mutex;

/// Whom signing certificates must descend from, as known now: revocation lists are replaced while a server runs.
#[derive(Debug)]
pub struct Anchors(RwLock<Arc<TrustAnchors>>);

impl Anchors {
    /// These, until they are replaced.
    pub fn new(anchors: TrustAnchors) -> Self {
        Self(RwLock::new(Arc::new(anchors)))
    }

    /// Those of now.
    pub fn current(&self) -> Arc<TrustAnchors> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts from the next login on.
    pub fn replace(&self, anchors: TrustAnchors) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(anchors);
    }
}

/// Why the register was not changed or read.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The metadata do not enrol an Identity Provider.
    #[error("the metadata are refused: {0}")]
    Metadata(#[from] MetadataFault),
    /// The Identity Provider is enrolled already.
    #[error(
        "an Identity Provider of this entity id is enrolled already: replace its metadata, or remove it first"
    )]
    Enrolled,
    /// Nothing of that name.
    #[error("no Identity Provider of this entity id is enrolled")]
    NotEnrolled,
    /// The new metadata are those of another one.
    #[error("the metadata are those of another Identity Provider")]
    OtherEntity,
    /// Its Party is that of its enrolment.
    #[error("only the DCC's own Identity Provider has accounts: this one was enrolled by a Party")]
    NoAccounts,
    /// There is an account.
    #[error("this person has an account already: remove it first")]
    HasAccount,
    /// There is no account.
    #[error("this person has no account")]
    NoAccount,
    /// Somebody else changed it at the same time.
    #[error("somebody else changed this entry at the same time: look, and try again")]
    ChangedMeanwhile,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The Identity Providers that are enrolled, and the accounts of the DCC's own. Each server has one; all see the same within a
/// second.
#[derive(Debug)]
pub struct Register {
    objects: Objects,
    clock: Clock,
    view: Mutex<Option<Arc<View>>>,
}

/// The register as it was read.
#[derive(Debug)]
struct View {
    read_at: Timestamp,
    entries: BTreeMap<String, Entry>,
}

/// The last version of an entry.
#[derive(Debug, Clone)]
struct Entry {
    number: u64,
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    Enrolled(Arc<Provider>),
    Removed,
    /// Says what is wrong; others are none the worse for it.
    Corrupt {
        object: String,
        reason: String,
    },
}

impl State {
    fn provider(&self) -> Result<Option<Arc<Provider>>, StoreError> {
        match self {
            Self::Enrolled(provider) => Ok(Some(Arc::clone(provider))),
            Self::Removed => Ok(None),
            Self::Corrupt { object, reason } => {
                Err(StoreError::Corrupt { object: object.clone(), reason: reason.clone() })
            }
        }
    }
}

const FOLDER: &str = "providers";

fn key_of(entity_id: &str) -> String {
    digest::of("provider", &[entity_id.as_bytes()])
}

/// The versions of an entry by name; they sort by number.
fn version_name(folder: &str, key: &str, number: u64) -> String {
    format!("{folder}/{key}/{number:010}")
}

/// The last version of each entry, from a sorted listing.
fn last_versions(folder: &str, names: &[String]) -> BTreeMap<String, u64> {
    let version = |name: &String| {
        let (key, number) = name.strip_prefix(folder)?.strip_prefix('/')?.split_once('/')?;
        Some((key.to_owned(), number.parse().ok()?))
    };
    names.iter().filter_map(version).collect()
}

impl Register {
    /// The register among these objects.
    pub fn new(objects: Objects, clock: Clock) -> Self {
        Self { objects, clock, view: Mutex::new(None) }
    }

    /// Enrols an Identity Provider. `party` is the User that enrols it, to whom everybody belongs that it vouches for; `None` for the
    /// DCC's own, where accounts say it. Clause 1.4.2.
    ///
    /// Errors: `Metadata`, `Enrolled`, `ChangedMeanwhile`, `Store`.
    pub async fn add(
        &self,
        metadata: &str,
        party: Option<&Party>,
        settings: ProviderSettings,
        anchors: &TrustAnchors,
    ) -> Result<Arc<Provider>, RegisterError> {
        let now = self.clock.now();
        let read = IdentityProvider::enrol(metadata, anchors, now)?;
        let entry = self.latest(read.entity_id()).await?;
        if entry.as_ref().is_some_and(|entry| !matches!(entry.state, State::Removed)) {
            return Err(RegisterError::Enrolled);
        }
        let number = entry.map_or(1, |entry| entry.number + 1);
        let enrolment = Enrolment::new(metadata, party, settings, now)?;
        self.write(read.entity_id(), number, ProviderChange::Enrolled(enrolment.clone())).await?;
        Ok(Arc::new(Provider::new(read, enrolment)))
    }

    /// Every Identity Provider that is enrolled.
    ///
    /// Errors: `Store`.
    pub async fn list(&self) -> Result<Vec<Arc<Provider>>, RegisterError> {
        let view = self.read().await?;
        let providers = view.entries.values().filter_map(|entry| entry.state.provider().transpose());
        Ok(providers.collect::<Result<_, _>>()?)
    }

    /// The entity IDs of those that can be logged in by, ascending, as they were a second ago or later. One that cannot be read keeps nobody
    /// from the others.
    ///
    /// Errors: the store.
    pub(crate) async fn entity_ids(&self) -> Result<Vec<String>, StoreError> {
        let view = self.seen().await?;
        let provider = |entry: &Entry| entry.state.provider().ok().flatten();
        let mut ids: Vec<String> = (view.entries.values().filter_map(provider))
            .map(|provider| provider.identity_provider.entity_id().to_owned())
            .collect();
        ids.sort();
        Ok(ids)
    }

    /// Ends the enrolment: there are no more logins, and its sessions are over. To enrol it again does not bring them back.
    ///
    /// Errors: `NotEnrolled`, `ChangedMeanwhile`, `Store`.
    pub async fn remove(&self, entity_id: &str) -> Result<(), RegisterError> {
        let (number, _) = self.enrolled(entity_id).await?;
        self.write(entity_id, number + 1, ProviderChange::Removed).await
    }

    /// Takes in new metadata, for instance with other keys. Sessions stay.
    ///
    /// Errors: `Metadata`, `OtherEntity`, `NotEnrolled`, `ChangedMeanwhile`, `Store`.
    pub async fn replace_metadata(
        &self,
        entity_id: &str,
        metadata: &str,
        anchors: &TrustAnchors,
    ) -> Result<(), RegisterError> {
        let read = IdentityProvider::enrol(metadata, anchors, self.clock.now())?;
        if read.entity_id() != entity_id {
            return Err(RegisterError::OtherEntity);
        }
        let (number, provider) = self.enrolled(entity_id).await?;
        let changed = Enrolment { metadata: metadata.to_owned(), ..provider.enrolment.clone() };
        self.write(entity_id, number + 1, ProviderChange::Enrolled(changed)).await
    }

    /// Changes the settings. Sessions keep those that they began with.
    ///
    /// Errors: `NotEnrolled`, `ChangedMeanwhile`, `Store`.
    pub async fn set(&self, entity_id: &str, settings: ProviderSettings) -> Result<(), RegisterError> {
        let (number, provider) = self.enrolled(entity_id).await?;
        let changed = Enrolment { settings, ..provider.enrolment.clone() };
        self.write(entity_id, number + 1, ProviderChange::Enrolled(changed)).await
    }

    /// An Identity Provider, as it was enrolled a second ago or later.
    ///
    /// Errors: as [`Objects`].
    pub(crate) async fn provider(&self, entity_id: &str) -> Result<Option<Arc<Provider>>, StoreError> {
        let view = self.seen().await?;
        view.entries.get(&key_of(entity_id)).map_or(Ok(None), |entry| entry.state.provider())
    }

    async fn latest(&self, entity_id: &str) -> Result<Option<Entry>, StoreError> {
        Ok(self.read().await?.entries.get(&key_of(entity_id)).cloned())
    }

    async fn enrolled(&self, entity_id: &str) -> Result<(u64, Arc<Provider>), RegisterError> {
        let entry = self.latest(entity_id).await?.ok_or(RegisterError::NotEnrolled)?;
        let provider = entry.state.provider()?.ok_or(RegisterError::NotEnrolled)?;
        Ok((entry.number, provider))
    }

    async fn write(&self, entity_id: &str, number: u64, change: ProviderChange) -> Result<(), RegisterError> {
        let name = version_name(FOLDER, &key_of(entity_id), number);
        let created = self.objects.create(&name, None, &change).await;
        *self.view.lock().await = None;
        match created? {
            Created::Ours => Ok(()),
            Created::Others => Err(RegisterError::ChangedMeanwhile),
        }
    }

    /// The register as it was a second ago or later.
    async fn seen(&self) -> Result<Arc<View>, StoreError> {
        let mut view = self.view.lock().await;
        let now = self.clock.now();
        if let Some(known) = view.as_ref() {
            let age = now.millis() - known.read_at.millis();
            if (0..SEEN_AFTER_MS_MAX).contains(&age) {
                return Ok(Arc::clone(known));
            }
        }
        self.refresh(&mut view, now).await
    }

    /// The register as it is.
    async fn read(&self) -> Result<Arc<View>, StoreError> {
        let mut view = self.view.lock().await;
        let now = self.clock.now();
        self.refresh(&mut view, now).await
    }

    /// Lists all entries, and reads those that are new: a version never changes.
    async fn refresh(
        &self,
        view: &mut Option<Arc<View>>,
        read_at: Timestamp,
    ) -> Result<Arc<View>, StoreError> {
        let names = self.objects.list(FOLDER, None).await?;
        let mut entries = BTreeMap::new();
        for (key, number) in last_versions(FOLDER, &names) {
            let known = view.as_ref().and_then(|view| view.entries.get(&key));
            let entry = match known.filter(|entry| entry.number == number) {
                Some(entry) if !matches!(entry.state, State::Corrupt { .. }) => entry.clone(),
                _ => Entry { number, state: self.state(&key, number).await? },
            };
            entries.insert(key, entry);
        }
        let read = Arc::new(View { read_at, entries });
        *view = Some(Arc::clone(&read));
        Ok(read)
    }

    async fn state(&self, key: &str, number: u64) -> Result<State, StoreError> {
        let name = version_name(FOLDER, key, number);
        let corrupt = |reason: String| State::Corrupt { object: name.clone(), reason };
        let change = match self.objects.read::<ProviderChange>(&name).await {
            Ok(Some(stored)) => stored.content,
            Ok(None) => return Ok(corrupt("it was listed and is not there".into())),
            Err(StoreError::Corrupt { object, reason }) => return Ok(State::Corrupt { object, reason }),
            Err(error) => return Err(error),
        };
        let ProviderChange::Enrolled(enrolment) = change else { return Ok(State::Removed) };
        match IdentityProvider::from_metadata(&enrolment.metadata) {
            Ok(read) if key_of(read.entity_id()) == key => {
                Ok(State::Enrolled(Arc::new(Provider::new(read, enrolment))))
            }
            Ok(_) => Ok(corrupt("it holds the metadata of another Identity Provider".into())),
            Err(_) => Ok(corrupt("its metadata are not read".into())),
        }
    }
}
