//! An Identity Provider that is enrolled.

use crate::objects::StoreError;
use crate::wire;
use aws_lc_rs::rand;
use gridtrail_access::{OrgId, Party};
use gridtrail_model::Timestamp;
use gridtrail_saml::IdentityProvider;
use serde::{Deserialize, Serialize};

/// How an Identity Provider is dealt with.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProviderSettings {
    /// What its `OrgID` names.
    pub org_id: OrgId,
    /// Whether it may send assertions that nobody asked for. Then anybody whom it vouches for can log another person's browser in
    /// as themselves.
    pub allow_unsolicited: bool,
    /// The authentication contexts that are strong enough: UK Government Authentication Framework Level 2, clause 1.4.1. With none
    /// listed nobody is logged in.
    pub authn_contexts: Vec<String>,
}

/// What an enrolment is written as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Enrolment {
    /// Random: what is removed and enrolled again is another enrolment.
    pub(crate) id: String,
    pub(crate) metadata: String,
    pub(crate) party: Option<Party>,
    pub(crate) settings: ProviderSettings,
    #[serde(with = "wire::timestamp")]
    pub(crate) enrolled_at: Timestamp,
}

impl Enrolment {
    pub(crate) fn new(
        metadata: &str,
        party: Option<&Party>,
        settings: ProviderSettings,
        enrolled_at: Timestamp,
    ) -> Result<Self, StoreError> {
        let mut id = [0; 16];
        rand::fill(&mut id).map_err(|_| StoreError::NoRandomness)?;
        let id = hex::encode(id);
        Ok(Self { id, metadata: metadata.to_owned(), party: party.cloned(), settings, enrolled_at })
    }
}

/// What a version of an entry says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ProviderChange {
    Enrolled(Enrolment),
    Removed,
}

/// An Identity Provider that is enrolled.
#[derive(Debug)]
pub struct Provider {
    pub(crate) identity_provider: IdentityProvider,
    pub(crate) enrolment: Enrolment,
}

impl Provider {
    pub(crate) fn new(identity_provider: IdentityProvider, enrolment: Enrolment) -> Self {
        Self { identity_provider, enrolment }
    }

    /// What its metadata say.
    pub fn identity_provider(&self) -> &IdentityProvider {
        &self.identity_provider
    }

    /// The User that enrolled it; `None` for the DCC's own.
    pub fn party(&self) -> Option<&Party> {
        self.enrolment.party.as_ref()
    }

    /// How it is dealt with.
    pub fn settings(&self) -> &ProviderSettings {
        &self.enrolment.settings
    }

    /// Since when it is enrolled.
    pub fn enrolled_at(&self) -> Timestamp {
        self.enrolment.enrolled_at
    }
}
