//! Which elements of a body name Devices and meter points, and what they name.
//!
//! Schema 5.4 has one meaning for each of these names wherever it stands, so the walk asks no message by which other elements it
//! came to one. `tests/tests/it/duis_names.rs` holds the table against the schema, element by element.
//!
//! Left out on purpose: what a Device says of itself in a GBCS payload, or in the answer of a SMETS1 Device, is opaque
//! (C3); `UpdateFirmwareRequestID` names a request to the DCC, which has no Device for its target, and `AlertID` an alert.

use super::message::Tag;
use crate::{DecodeError, limits};
use gridtrail_model::{DeviceId, Mpxn, RequestId};
use std::collections::HashSet;

/// What an element names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// A Device.
    Device,
    /// Devices, with commas between them.
    Devices,
    /// A meter point.
    MeterPoint,
    /// A request, whose target is a Device unless it is the DCC itself.
    Request,
}

/// What an element names, if anything.
pub(super) const fn named_by(tag: Tag) -> Option<Names> {
    use Tag::*;
    match tag {
        DeviceID
        | OtherDeviceID
        | HCALCS
        | OldCHFID
        | OldGPFID
        | AssociatedGPFDeviceID
        | CommsHubDeviceID
        | ESMEDeviceID
        | OldCHFDeviceID
        | NewCHFDeviceID
        | OldGPFDeviceID
        | NewGPFDeviceID
        | CHFDeviceID
        | PPMIDDeviceID
        | DeviceIDToSuspend
        | TargetDeviceID => Some(Names::Device),
        DeviceIDList
        | InvalidDeviceIDList
        | NotCommissionedDeviceIDList
        | NotApplicableFirmwareDeviceIDList
        | OtherRequestInProgressList
        | InvalidGBCSVersionList
        | MeterIDs
        | DeviceList => Some(Names::Devices),
        MPxN | ImportMPxN | ImportMPAN | ImportMPRN | SecondaryImportMPAN | ExportMPAN => {
            Some(Names::MeterPoint)
        }
        RequestID
        | CommandRequestID
        | OriginalRequestID
        | UpdateHANDeviceLogServiceRequestID
        | ChangeOfSupplierServiceRequestID => Some(Names::Request),
        _ => None,
    }
}

/// How much of an element's text is kept, in bytes.
pub(super) const fn kept_of(tag: Tag) -> usize {
    match named_by(tag) {
        Some(Names::Devices) => limits::XML_LIST_KEPT_MAX,
        _ => limits::XML_TEXT_KEPT_MAX,
    }
}

/// The Devices and meter points that a body names, in its order.
#[derive(Debug, Default)]
pub(super) struct NamedInBody {
    devices: Vec<DeviceId>,
    /// Targets of requests: the DCC's own may be among them.
    targets: Vec<DeviceId>,
    mpxns: Vec<Mpxn>,
}

impl NamedInBody {
    /// Takes in an element of the body.
    pub(super) fn take(&mut self, names: Names, tag: Tag, text: &str) -> Result<(), DecodeError> {
        match names {
            Names::Device => self.devices.push(device(tag, text)?),
            Names::Devices => {
                if text.len() >= limits::XML_LIST_KEPT_MAX {
                    let rule = "a list has 50,000 Devices at most";
                    let start = text.get(..23).unwrap_or_default();
                    return Err(DecodeError::invalid(tag.name(), "list of Devices", rule, start));
                }
                for id in text.split(',') {
                    self.devices.push(device(tag, id.trim())?);
                }
            }
            // A meter point counts when its form is right; schema 5.4 allows forms that are none.
            Names::MeterPoint => self.mpxns.extend(text.parse::<Mpxn>()),
            // It serves to find the row; where it must be right, it is read for itself.
            Names::Request => self.targets.extend(text.parse::<RequestId>().map(|id| id.target)),
        }
        Ok(())
    }

    /// The Devices, each once: those named as such first, then the targets of requests but for the DCC itself.
    pub(super) fn devices(&self, dcc: DeviceId) -> Vec<DeviceId> {
        let targets = self.targets.iter().filter(|target| **target != dcc);
        each_once(self.devices.iter().chain(targets).copied())
    }

    /// The meter points, each once.
    pub(super) fn mpxns(&self) -> Vec<Mpxn> {
        each_once(self.mpxns.iter().copied())
    }
}

fn device(tag: Tag, text: &str) -> Result<DeviceId, DecodeError> {
    text.parse().map_err(|source| DecodeError::Invalid { field: tag.name(), source })
}

fn each_once<T: Copy + Eq + std::hash::Hash>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = HashSet::new();
    all.filter(|one| seen.insert(*one)).collect()
}
