//! What a row lies under, and what its messages name.

use crate::{DeviceId, Mpxn, UserId};

/// What a row lies under in storage and is looked up by: the Device that it is about, or what stands in for one where
/// its messages name none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Anchor {
    /// The Device that the row is about.
    Device(DeviceId),
    /// The first meter point that it names, as of a search of the inventory by meter point (8.2).
    Mpxn(Mpxn),
    /// Its User: the row names neither a Device nor a meter point, as the deletion of a schedule (5.3) or a question about coverage (12.1).
    User(UserId),
    /// Nothing that it could be looked up by: a row without a Device, as earlier versions stored it.
    Nothing,
}

impl Anchor {
    /// The Device, where the row is about one.
    pub const fn device(self) -> Option<DeviceId> {
        match self {
            Self::Device(device) => Some(device),
            Self::Mpxn(_) | Self::User(_) | Self::Nothing => None,
        }
    }
}

/// A Device or a meter point that a message names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Named {
    /// A Device.
    Device(DeviceId),
    /// A meter point.
    Mpxn(Mpxn),
}
