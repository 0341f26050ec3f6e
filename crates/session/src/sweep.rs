//! Deletes what has expired.
//!
//! Any number of servers may sweep at once, and be stopped at any moment. Objects are kept ten minutes longer than they count, in
//! case the clock of the server that sweeps is ahead: an assertion must never be forgotten while another server still takes it.

use crate::objects::{Objects, StoreError};
use crate::people::{self, Day};
use gridtrail_model::Timestamp;
use gridtrail_runtime::Clock;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Objects that it deleted.
    pub deleted: u64,
    /// Objects that stay.
    pub kept: u64,
    /// Objects that cannot be read: they stay, and each is named in the log.
    pub corrupt: u64,
}

/// Deletes requests, assertion ids and sessions that have expired, versions of the register that others follow, and the details of people
/// who have not logged in for 13 months.
#[derive(Debug, Clone)]
pub struct Sweep {
    objects: Objects,
    clock: Clock,
}

impl Sweep {
    /// Over these objects.
    pub fn new(objects: Objects, clock: Clock) -> Self {
        Self { objects, clock }
    }

    /// Sweeps once: two requests to the store for each object that may have expired.
    ///
    /// Errors: as [`Objects`]; the next sweep goes on.
    pub async fn run(&self) -> Result<Swept, StoreError> {
        let now = self.clock.now();
        let mut swept = Swept::default();
        // Requests before the marks that they were answered: a request without its mark could be answered again.
        for folder in ["requests", "answered", "assertions", "sessions"] {
            for name in self.objects.list(folder, None).await? {
                self.sweep_one(&name, now, &mut swept).await?;
            }
        }
        for folder in ["providers", "accounts"] {
            self.sweep_versions(folder, &mut swept).await?;
        }
        self.sweep_people(now, &mut swept).await?;
        Ok(swept)
    }

    async fn sweep_one(&self, name: &str, now: Timestamp, swept: &mut Swept) -> Result<(), StoreError> {
        match self.objects.read::<IgnoredAny>(name).await {
            Ok(Some(stored)) if stored.expires_at.is_some_and(|at| at <= now) => {
                self.objects.delete(name).await?;
                swept.deleted += 1;
            }
            Ok(Some(_)) => swept.kept += 1,
            Ok(None) => {}
            Err(StoreError::Corrupt { object, reason }) => {
                tracing::error!(object, reason, "an object of the sessions cannot be read");
                swept.corrupt += 1;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// All versions but the last: its number must stay, so that no later change takes an earlier one.
    async fn sweep_versions(&self, folder: &str, swept: &mut Swept) -> Result<(), StoreError> {
        let mut last: BTreeMap<String, String> = BTreeMap::new();
        for name in self.objects.list(folder, None).await? {
            let entry = name.rsplit_once('/').map_or(name.as_str(), |(entry, _)| entry).to_owned();
            let Some(earlier) = last.insert(entry, name) else { continue };
            match self.objects.delete(&earlier).await {
                Ok(()) => swept.deleted += 1,
                // A server need not have the right to change the register. What it leaves there is little, and does no harm.
                Err(error) => {
                    tracing::debug!(%error, "an earlier version of an entry of the register stays");
                    swept.kept += 1;
                }
            }
        }
        swept.kept += last.len() as u64;
        Ok(())
    }

    /// The details of people whose last login is too long ago, and the marks of logins that others follow. Names say all that it takes:
    /// nothing of what people entered is read.
    async fn sweep_people(&self, now: Timestamp, swept: &mut Swept) -> Result<(), StoreError> {
        let mut folders: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for name in self.objects.list(people::FOLDER, None).await? {
            let person = name.split('/').nth(1).unwrap_or_default().to_owned();
            folders.entry(person).or_default().push(name);
        }
        let earliest = Day::keeps_details_at(now);
        for names in folders.into_values() {
            let last = names.iter().filter_map(|name| Day::named(name)).max().filter(|day| *day >= earliest);
            // In order: the details go before the marks that kept them, and a mark once a later one is there.
            for name in names {
                let stays = last.is_some_and(|last| Day::named(&name).is_none_or(|day| day == last));
                if stays {
                    swept.kept += 1;
                } else {
                    self.objects.delete(&name).await?;
                    swept.deleted += 1;
                }
            }
        }
        Ok(())
    }
}
