//! A legal hold: what it keeps, who placed it and who released it.

use crate::error::LakeError;
use crate::month::Month;
use gridtrail_model::{DeviceId, Fragment, Mpxn, Named, Timestamp, UserId};
use std::collections::HashSet;

/// The position that counts changes to holds, in the tables that retention takes rows from.
pub(crate) const HOLDS: &str = "holds";

/// What a hold keeps: the rows that are of all that it names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HoldScope {
    /// Rows of this Device.
    pub device: Option<DeviceId>,
    /// Rows that name this meter point, and those of every Device that was seen with it: what a search by it shows.
    pub mpxn: Option<Mpxn>,
    /// Rows of this User.
    pub user: Option<UserId>,
    /// Rows that lie in this month or later.
    pub from: Option<Month>,
    /// Rows that lie in this month or earlier.
    pub to: Option<Month>,
}

impl HoldScope {
    /// Refuses what holds nothing, or everything.
    pub(crate) fn check(&self) -> Result<(), LakeError> {
        let refuse = |why| Err(LakeError::Hold { why });
        if *self == Self::default() {
            return refuse(
                "name a Device, an MPxN, a User or months: a hold on everything is a longer retention",
            );
        }
        match (self.from, self.to) {
            (Some(from), Some(to)) if to < from => refuse("its last month is before its first"),
            _ => Ok(()),
        }
    }

    /// Whether it can keep rows of a month.
    pub(crate) fn covers(&self, month: Month) -> bool {
        self.from.is_none_or(|from| from <= month) && self.to.is_none_or(|to| month <= to)
    }
}

/// Who changed a hold, when and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldChange {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub who: String,
    /// Why.
    pub reason: String,
}

/// A hold and its history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Its id.
    pub id: String,
    /// What it keeps.
    pub scope: HoldScope,
    /// Who placed it.
    pub placed: HoldChange,
    /// Who released it; `None` while it is in force.
    pub released: Option<HoldChange>,
}

/// A hold that is in force, with the Devices of its meter point.
#[derive(Debug, Clone)]
pub(crate) struct ActiveHold {
    pub(crate) scope: HoldScope,
    pub(crate) devices: HashSet<DeviceId>,
}

impl ActiveHold {
    pub(crate) fn holds(&self, fragment: &Fragment) -> bool {
        let HoldScope { device, mpxn, user, .. } = &self.scope;
        device.is_none_or(|device| fragment.names(Named::Device(device)))
            && user.is_none_or(|user| fragment.key.user == user)
            && mpxn.is_none_or(|mpxn| {
                fragment.names(Named::Mpxn(mpxn))
                    || fragment.device.iter().any(|device| self.devices.contains(device))
            })
    }
}
