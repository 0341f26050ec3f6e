//! Conditions that a scan may take in: of a field whose texts repeat, which of them count.
//!
//! They only leave out: whoever asks holds what comes against them once more. So where a condition cannot be told cheaply, rows stay.

use crate::read::fields::TrailField;
use std::collections::BTreeSet;

/// What a field of a row is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The field.
    pub field: TrailField,
    /// What it is to be.
    pub is: Is,
}

/// What a field is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Is {
    /// One of these texts.
    OneOf(BTreeSet<String>),
    /// Any text at all.
    Present,
    /// None.
    Absent,
}

impl Condition {
    /// Whether scans make use of conditions on a field.
    pub const fn is_of_use(field: TrailField) -> bool {
        Self::is_of_shape(field)
            || matches!(
                field,
                TrailField::UserId
                    | TrailField::ServiceReference
                    | TrailField::Variant
                    | TrailField::VariantName
                    | TrailField::CspRegion
                    | TrailField::CspRegionRaw
                    | TrailField::Mpxn
                    | TrailField::RequestId
            )
    }

    /// Whether a field is one that a shape settles.
    pub(crate) const fn is_of_shape(field: TrailField) -> bool {
        matches!(
            field,
            TrailField::Simplified
                | TrailField::CurrentStatus
                | TrailField::Mode
                | TrailField::ResponseCode
                | TrailField::AlertCode
        )
    }

    /// Whether a row may count that has this text in the field.
    pub(crate) fn admits(&self, text: Option<&str>) -> bool {
        match (&self.is, text) {
            (Is::OneOf(texts), Some(text)) => texts.contains(text),
            (Is::Present, Some(_)) | (Is::Absent, None) => true,
            (Is::OneOf(_) | Is::Present, None) | (Is::Absent, Some(_)) => false,
        }
    }
}
