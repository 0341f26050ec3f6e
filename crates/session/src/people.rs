//! Where the details of people lie, and for how long.
//!
//! A person is a folder, `people/<digest of Party and subject>`: `details` has what they entered, `logins/<day>` says that they logged in on a
//! day. Nothing is decided by what lies here, and the person alone writes it: so `details` is replaced as a whole, as no other object is,
//! and nothing of what it said before stays.

use crate::details::Details;
use crate::digest;
use crate::limits::KEPT_LONGER_MS;
use crate::objects::{Mark, Objects, SealedObjects, StoreError};
use gridtrail_access::Party;
use gridtrail_model::Timestamp;
use gridtrail_runtime::Clock;
use std::fmt;

pub(crate) const FOLDER: &str = "people";

/// How long details are kept after the person last logged in, in calendar months.
pub const DETAILS_KEPT_MONTHS: u32 = 13;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A person who logs in for a Party: a digest of both, the same at every login. Who logs in for another Party is another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonId(String);

impl PersonId {
    /// The person of this subject, as sessions and the access log have it.
    pub fn of(party: &Party, subject: &str) -> Self {
        Self(digest::of("person", &[party.as_str().as_bytes(), subject.as_bytes()]))
    }

    fn details(&self) -> String {
        format!("{FOLDER}/{}/details", self.0)
    }

    fn login(&self, day: Day) -> String {
        format!("{FOLDER}/{}/logins/{day}", self.0)
    }
}

/// A day in UTC: its number since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Day(i64);

impl Day {
    fn of(time: Timestamp) -> Self {
        Self(time.millis().div_euclid(DAY_MS))
    }

    /// Of the name of a mark.
    pub(crate) fn named(name: &str) -> Option<Self> {
        name.rsplit_once("/logins/")?.1.parse().ok().map(Self)
    }

    /// The earliest day of a login that keeps details at a time. A clock that is ahead must not take them early.
    pub(crate) fn keeps_details_at(now: Timestamp) -> Self {
        Self::of(now.plus_millis(-KEPT_LONGER_MS).months_ago(DETAILS_KEPT_MONTHS))
    }
}

// With zeros before it, so that names sort as days do.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08}", self.0)
    }
}

/// The details of people. Each server has one; all see the same at once.
#[derive(Debug)]
pub struct People {
    objects: SealedObjects,
    clock: Clock,
}

impl People {
    pub(crate) const fn new(objects: SealedObjects, clock: Clock) -> Self {
        Self { objects, clock }
    }

    /// What a person entered about themselves, if they did. What cannot be read counts as nothing, and the log names the object: the
    /// person enters it anew.
    ///
    /// Errors: `Unavailable`.
    pub async fn details(&self, person: &PersonId) -> Result<Option<Details>, StoreError> {
        match self.objects.read::<Details>(&person.details()).await {
            Ok(stored) => Ok(stored.map(|stored| stored.content)),
            Err(StoreError::Corrupt { object, reason }) => {
                tracing::error!(object, reason, "the details of a person cannot be read");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Writes down what a person who is logged in enters about themselves, in place of what was there.
    ///
    /// Errors: `Unavailable`: it may be there, now or later; `NoRandomness`.
    pub async fn enter(&self, person: &PersonId, details: &Details) -> Result<(), StoreError> {
        // First what keeps it: a sweep takes what nothing keeps.
        self.note_login(person).await?;
        self.objects.replace(&person.details(), None, details).await
    }

    /// Notes that a person logged in, so that their details stay, where there are any. Where that fails, the log is told: no login waits
    /// for it.
    pub(crate) async fn logged_in(&self, person: &PersonId) {
        let noted = async {
            match self.objects.plain().exists(&person.details()).await? {
                true => self.note_login(person).await,
                false => Ok(()),
            }
        };
        if let Err(error) = noted.await {
            tracing::warn!(%error, "that a person logged in could not be written down beside their details");
        }
    }

    async fn note_login(&self, person: &PersonId) -> Result<(), StoreError> {
        let mark = person.login(Day::of(self.clock.now()));
        self.objects.plain().create(&mark, None, &Mark {}).await.map(|_| ())
    }
}

/// Deletes what is on record of a person, who is asked anew when they next log in. Whether there was anything.
///
/// Errors: `Unavailable`: some of it may be there still.
pub async fn forget(objects: &Objects, person: &PersonId) -> Result<bool, StoreError> {
    let names = objects.list(&format!("{FOLDER}/{}", person.0), None).await?;
    // In order: the details before the marks that keep them.
    for name in &names {
        objects.delete(name).await?;
    }
    if !names.is_empty() {
        tracing::info!(person = person.0, "the details of a person were deleted");
    }
    Ok(!names.is_empty())
}
