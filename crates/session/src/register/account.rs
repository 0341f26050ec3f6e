//! Accounts of the DCC's own Identity Provider: whose Party a person is of.

use super::{Register, RegisterError, last_versions, version_name};
use crate::digest;
use crate::objects::{Created, StoreError};
use gridtrail_access::Party;
use serde::{Deserialize, Serialize};

/// A person whom the DCC's own Identity Provider vouches for, and their Party.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The person: a digest of Identity Provider and `NameID`. The name itself is stored nowhere.
    pub subject: String,
    /// The Party that the person belongs to.
    pub party: Party,
    /// Which version of the account this is: another one ends the sessions that began with it.
    pub(crate) number: u64,
}

/// What a version of an account says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum AccountChange {
    Added { party: Party },
    Removed,
}

const FOLDER: &str = "accounts";

/// What stands for a person in sessions, logs and the register.
pub(crate) fn subject_of(entity_id: &str, name_id: &str) -> String {
    digest::of("subject", &[entity_id.as_bytes(), name_id.as_bytes()])
}

impl Register {
    /// Says whose Party a person of the DCC's own Identity Provider is of.
    ///
    /// Errors: `NotEnrolled`, `NoAccounts`, `HasAccount`, `ChangedMeanwhile`, `Store`.
    pub async fn add_account(
        &self,
        entity_id: &str,
        name_id: &str,
        party: &Party,
    ) -> Result<Account, RegisterError> {
        let (_, provider) = self.enrolled(entity_id).await?;
        if provider.party().is_some() {
            return Err(RegisterError::NoAccounts);
        }
        let subject = subject_of(entity_id, name_id);
        let (number, account) = self.last_of(&subject).await?;
        if account.is_some() {
            return Err(RegisterError::HasAccount);
        }
        self.write_account(&subject, number + 1, &AccountChange::Added { party: party.clone() }).await?;
        Ok(Account { subject, party: party.clone(), number: number + 1 })
    }

    /// Removes an account, and so ends its sessions. `subject` is as [`Register::accounts`] lists it.
    ///
    /// Errors: `NoAccount`, `ChangedMeanwhile`, `Store`.
    pub async fn remove_account(&self, subject: &str) -> Result<(), RegisterError> {
        let known = subject.parse::<crate::SessionId>().is_ok();
        let (number, account) = if known { self.last_of(subject).await? } else { (0, None) };
        account.ok_or(RegisterError::NoAccount)?;
        self.write_account(subject, number + 1, &AccountChange::Removed).await
    }

    /// Every account.
    ///
    /// Errors: `Store`.
    pub async fn accounts(&self) -> Result<Vec<Account>, RegisterError> {
        let names = self.objects.list(FOLDER, None).await?;
        let mut accounts = Vec::new();
        for (subject, number) in last_versions(FOLDER, &names) {
            accounts.extend(self.account_at(&subject, number).await?);
        }
        Ok(accounts)
    }

    /// The account of a person, as it is.
    pub(crate) async fn account(&self, subject: &str) -> Result<Option<Account>, StoreError> {
        Ok(self.last_of(subject).await?.1)
    }

    /// The number of the last version of an account, 0 if there is none.
    pub(crate) async fn account_number(&self, subject: &str) -> Result<u64, StoreError> {
        let names = self.objects.list(&format!("{FOLDER}/{subject}"), None).await?;
        Ok(last_versions(FOLDER, &names).get(subject).copied().unwrap_or(0))
    }

    async fn last_of(&self, subject: &str) -> Result<(u64, Option<Account>), StoreError> {
        match self.account_number(subject).await? {
            0 => Ok((0, None)),
            number => Ok((number, self.account_at(subject, number).await?)),
        }
    }

    async fn account_at(&self, subject: &str, number: u64) -> Result<Option<Account>, StoreError> {
        let name = version_name(FOLDER, subject, number);
        // It may have been swept since it was listed, because there is a later one.
        Ok(match self.objects.read::<AccountChange>(&name).await?.map(|stored| stored.content) {
            Some(AccountChange::Added { party }) => {
                Some(Account { subject: subject.to_owned(), party, number })
            }
            Some(AccountChange::Removed) | None => None,
        })
    }

    async fn write_account(
        &self,
        subject: &str,
        number: u64,
        change: &AccountChange,
    ) -> Result<(), RegisterError> {
        match self.objects.create(&version_name(FOLDER, subject, number), None, change).await? {
            Created::Ours => Ok(()),
            Created::Others => Err(RegisterError::ChangedMeanwhile),
        }
    }
}
