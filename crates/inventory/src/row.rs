//! Rows: what one event says under one key, as a table holds it.
//!
//! A table of them is sorted by [`InventoryRow`]'s own order, which begins with the key and the kind of fact. **The merge rule**: rows that
//! are equal become one ([`merge_rows`]), and nothing else ever changes; a fold of a key's rows is its
//! [`InventoryFragment`](crate::InventoryFragment). So
//! files may be merged in any order and as often as one likes, and what was corrected or withdrawn stays readable as of then.
//!
//! A fact about two (an installation, an association) has a row under each, so that a look-up by either reads one place. A UPRN or
//! postcode leads to meter points: such a row says that a registration named it at a time, and the meter point's own rows say whether
//! it still does.

use crate::event::{
    DeviceDetails, Effective, FactOrigin, FieldChange, HubFields, InventoryEvent, InventoryFact,
    InventoryStatement, Registration, StatedFact, Withdrawal,
};
use crate::pending::{AskedChange, RequestOutcome};
use gridtrail_model::{
    CspRegion, DeviceId, DeviceType, EventId, Mpxn, Named, Postcode, SmiStatus, Timestamp, Uprn, UserId,
};
use gridtrail_packed::{self as pack, Packed, Packer};
use std::cmp::Ordering;

/// What a row lies under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InventoryKey {
    /// A Device.
    Device(DeviceId),
    /// A meter point.
    Mpxn(Mpxn),
    /// A property: its rows lead to meter points.
    Uprn(Uprn),
    /// A postcode: its rows lead to meter points.
    Postcode(Postcode),
    /// Service Requests whose RequestIDs have this print ([`InventoryKey::of_request`]): hardly ever more than one.
    Request(u64),
}

impl InventoryKey {
    /// How many bytes a key has.
    pub const BYTES: usize = 9;

    /// The keys of meter points, in the order of their bytes: from the first of these on until before the second.
    pub const MPXNS: [&[u8]; 2] = [&[2], &[3]];

    /// The key as bytes, for storage: which kind it is, then its value. Rows are sorted by them.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let (kind, value) = match self {
            Self::Device(device) => (1, device.to_bytes()),
            Self::Mpxn(mpxn) => (2, mpxn.to_code().to_be_bytes()),
            Self::Uprn(uprn) => (3, uprn.number().to_be_bytes()),
            Self::Postcode(postcode) => {
                let mut text = [0; 8];
                let written = postcode.as_str().as_bytes();
                text[..written.len()].copy_from_slice(written);
                (4, text)
            }
            Self::Request(print) => (5, print.to_be_bytes()),
        };
        let mut bytes = [0; Self::BYTES];
        bytes[0] = kind;
        bytes[1..].copy_from_slice(&value);
        bytes
    }

    /// The inverse of [`InventoryKey::to_bytes`]; `None` for bytes that it never gives.
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Option<Self> {
        let [kind, value @ ..] = bytes;
        match kind {
            1 => Some(Self::Device(DeviceId::from_bytes(value))),
            2 => Mpxn::from_code(i64::from_be_bytes(value)).map(Self::Mpxn),
            3 => Uprn::from_number(u64::from_be_bytes(value)).map(Self::Uprn),
            4 => {
                let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
                let postcode: Postcode = pack::parsed(&value[..end])?;
                Some(Self::Postcode(postcode)).filter(|key| key.to_bytes() == bytes)
            }
            5 => Some(Self::Request(u64::from_be_bytes(value))),
            _ => None,
        }
    }
}

impl From<Named> for InventoryKey {
    fn from(named: Named) -> Self {
        match named {
            Named::Device(device) => Self::Device(device),
            Named::Mpxn(mpxn) => Self::Mpxn(mpxn),
        }
    }
}

impl Ord for InventoryKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.to_bytes().cmp(&other.to_bytes())
    }
}

impl PartialOrd for InventoryKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $number:literal,)+) => {
        /// What a row tells.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum InventoryRowKind { $($(#[$doc])* $kind = $number,)+ }

        impl InventoryRowKind {
            /// The number that stands for this kind in storage.
            pub const fn number(self) -> u8 {
                self as u8
            }
            /// The kind of a storage number.
            pub const fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$kind),)+ _ => None }
            }
        }
    };
}

kinds! {
    /// [`InventoryFact::Device`].
    Device = 1,
    /// [`InventoryFact::DeviceRemoved`].
    DeviceRemoved = 2,
    /// [`InventoryFact::SmiStatus`].
    SmiStatus = 3,
    /// [`InventoryFact::Installation`].
    Installation = 4,
    /// [`InventoryFact::Association`].
    Association = 5,
    /// [`InventoryFact::Region`].
    Region = 6,
    /// [`InventoryFact::Registration`].
    Registration = 7,
    /// [`InventoryFact::Hub`].
    Hub = 8,
    /// [`Withdrawal`].
    Withdrawal = 9,
    /// A registration that names this UPRN or postcode: the row leads to its meter point.
    LeadsTo = 10,
    /// [`AskedFact`](crate::AskedFact): what a request asks for, under each Device and meter point that it is about.
    Asked = 11,
    /// [`RequestOutcome`]: what became of a request, under the request.
    Outcome = 12,
}

/// What one event says under one key. Every field is a column; rows are sorted by them in this order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct InventoryRow {
    /// What it lies under.
    pub key: InventoryKey,
    /// What it tells.
    pub kind: InventoryRowKind,
    /// Since when it is so; a withdrawal has no such time.
    pub effective_from: Option<Timestamp>,
    /// When the DCC had it.
    pub recorded_at: Timestamp,
    /// Until when it is so, where that is known.
    pub effective_until: Option<Timestamp>,
    /// Who told it.
    pub origin: FactOrigin,
    /// The event that told it.
    pub event_id: EventId,
    /// The event that it corrects or withdraws.
    pub target: Option<EventId>,
    /// The values, packed.
    pub body: Box<[u8]>,
}

impl InventoryRow {
    /// Bytes that it takes in memory, about.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.body.len()
    }
}

/// What a row is when it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InventoryRowContent {
    /// An event about the key.
    Event(Box<InventoryEvent>),
    /// The key leads to this meter point.
    LeadsTo(Mpxn),
    /// A request asks for something about the key.
    Asked(Box<AskedChange>),
    /// What became of the request that the key stands for.
    Outcome(Box<RequestOutcome>),
}

/// A row that no writer of ours writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a row of kind {kind:?} holds what no such row can")]
pub struct InventoryRowError {
    /// The kind that the row says it is of.
    pub kind: InventoryRowKind,
}

/// The rows of an event: one under each Device and meter point that it is about, and one under each UPRN and postcode that it gives
/// a meter point.
pub fn rows_of(event: &InventoryEvent) -> Vec<InventoryRow> {
    let mut rows: Vec<InventoryRow> = event.about().into_iter().map(|named| row(event, named)).collect();
    if let InventoryStatement::Fact(StatedFact { fact: InventoryFact::Registration { mpxn, data }, .. }) =
        &event.told
    {
        let uprn = data.uprn.value().copied().map(InventoryKey::Uprn);
        let postcode = data.postcode.value().copied().map(InventoryKey::Postcode);
        let body = Packer::default().number(1, Some(code(*mpxn))).finish();
        let leading = uprn.into_iter().chain(postcode);
        let leading: Vec<InventoryRow> = leading
            .map(|key| InventoryRow {
                key,
                kind: InventoryRowKind::LeadsTo,
                body: body.clone(),
                ..rows[0].clone()
            })
            .collect();
        rows.extend(leading);
    }
    rows
}

fn row(event: &InventoryEvent, under: Named) -> InventoryRow {
    let (kind, body) = match &event.told {
        InventoryStatement::Fact(stated) => pack_fact(&stated.fact, under),
        InventoryStatement::Withdrawal(withdrawal) => {
            (InventoryRowKind::Withdrawal, pack_withdrawal(withdrawal, under))
        }
    };
    let effective = match &event.told {
        InventoryStatement::Fact(stated) => Some(stated.effective),
        InventoryStatement::Withdrawal(_) => None,
    };
    InventoryRow {
        key: under.into(),
        kind,
        effective_from: effective.map(Effective::from),
        recorded_at: event.recorded_at,
        effective_until: effective.and_then(Effective::until),
        origin: event.origin,
        event_id: event.id.clone(),
        target: event.target(),
        body,
    }
}

/// Rows that are equal become one: the union of two sorted runs of rows.
pub fn merge_rows(one: Vec<InventoryRow>, other: Vec<InventoryRow>) -> Vec<InventoryRow> {
    let mut all = one;
    all.extend(other);
    all.sort();
    all.dedup();
    all
}

fn code(mpxn: Mpxn) -> u64 {
    mpxn.to_code().cast_unsigned()
}

pub(crate) fn mpxn(value: &[u8]) -> Option<Mpxn> {
    Mpxn::from_code(pack::number(value)?.cast_signed())
}

fn device(value: &[u8]) -> Option<DeviceId> {
    pack::eui(value).map(DeviceId::from_bytes)
}

fn user(value: &[u8]) -> Option<UserId> {
    pack::eui(value).map(UserId::from_bytes)
}

/// The kind and the values of a fact, less what the key says.
pub(crate) fn pack_fact(fact: &InventoryFact, under: Named) -> (InventoryRowKind, Box<[u8]>) {
    let pack = Packer::default();
    match fact {
        InventoryFact::Device { details, .. } => (InventoryRowKind::Device, pack_details(details)),
        InventoryFact::DeviceRemoved { .. } => (InventoryRowKind::DeviceRemoved, pack.finish()),
        InventoryFact::SmiStatus { status, .. } => {
            (InventoryRowKind::SmiStatus, pack.byte(1, status.map(SmiStatus::number)).finish())
        }
        InventoryFact::Installation { device, mpxn, installed } => {
            let pack = match under {
                Named::Device(_) => pack.number(1, Some(code(*mpxn))),
                Named::Mpxn(_) => pack.bytes(1, Some(&device.to_bytes())),
            };
            (InventoryRowKind::Installation, pack.byte(2, Some(u8::from(*installed))).finish())
        }
        InventoryFact::Association { device, with, associated } => {
            let is_with = Named::Device(*with) == under && device != with;
            let other = if is_with { device } else { with };
            let pack = pack.bytes(1, Some(&other.to_bytes())).byte(2, Some(u8::from(*associated)));
            (InventoryRowKind::Association, pack.byte(3, Some(u8::from(is_with))).finish())
        }
        InventoryFact::Region { region, .. } => {
            (InventoryRowKind::Region, pack.byte(1, Some(region.number())).finish())
        }
        InventoryFact::Registration { data, .. } => (InventoryRowKind::Registration, pack_registration(data)),
        InventoryFact::Hub { fields, .. } => (InventoryRowKind::Hub, pack_hub(fields)),
    }
}

pub(crate) fn unpack_fact(
    kind: InventoryRowKind,
    under: Named,
    body: &mut Packed<'_>,
) -> Option<InventoryFact> {
    if let Named::Mpxn(own) = under {
        return match kind {
            InventoryRowKind::Installation => {
                let device = body.required(1, device)?;
                Some(InventoryFact::Installation {
                    device,
                    mpxn: own,
                    installed: body.required(2, pack::flag)?,
                })
            }
            InventoryRowKind::Registration => {
                Some(InventoryFact::Registration { mpxn: own, data: unpack_registration(body)? })
            }
            _ => None,
        };
    }
    let Named::Device(own) = under else { return None };
    Some(match kind {
        InventoryRowKind::Device => InventoryFact::Device { device: own, details: unpack_details(body)? },
        InventoryRowKind::DeviceRemoved => InventoryFact::DeviceRemoved { device: own },
        InventoryRowKind::SmiStatus => {
            let status = body.optional(1, |value| SmiStatus::from_number(pack::byte(value)?))?;
            InventoryFact::SmiStatus { device: own, status }
        }
        InventoryRowKind::Installation => {
            let mpxn = body.required(1, mpxn)?;
            InventoryFact::Installation { device: own, mpxn, installed: body.required(2, pack::flag)? }
        }
        InventoryRowKind::Association => {
            let other = body.required(1, device)?;
            let associated = body.required(2, pack::flag)?;
            let (device, with) = if body.required(3, pack::flag)? { (other, own) } else { (own, other) };
            InventoryFact::Association { device, with, associated }
        }
        InventoryRowKind::Region => {
            let region = body.required(1, |value| CspRegion::from_number(pack::byte(value)?))?;
            InventoryFact::Region { hub: own, region }
        }
        InventoryRowKind::Hub => InventoryFact::Hub { hub: own, fields: unpack_hub(body)? },
        InventoryRowKind::Registration
        | InventoryRowKind::Withdrawal
        | InventoryRowKind::LeadsTo
        | InventoryRowKind::Asked
        | InventoryRowKind::Outcome => return None,
    })
}

/// What an event that is withdrawn was about, beside the key.
fn pack_withdrawal(withdrawal: &Withdrawal, under: Named) -> Box<[u8]> {
    let other = withdrawal.about().iter().find(|named| **named != under);
    match other {
        Some(Named::Device(device)) => Packer::default().bytes(1, Some(&device.to_bytes())).finish(),
        Some(Named::Mpxn(mpxn)) => Packer::default().number(2, Some(code(*mpxn))).finish(),
        None => Packer::default().finish(),
    }
}

pub(crate) fn unpack_about(body: &mut Packed<'_>, under: Named) -> Option<Vec<Named>> {
    let other_device = body.optional(1, device)?.map(Named::Device);
    let other_mpxn = body.optional(2, mpxn)?.map(Named::Mpxn);
    Some(std::iter::once(under).chain(other_device).chain(other_mpxn).collect())
}

fn pack_details(details: &DeviceDetails) -> Box<[u8]> {
    Packer::default()
        .byte(1, details.device_type.map(DeviceType::number))
        .text(2, details.manufacturer.as_ref().map(|text| text.as_str()))
        .text(3, details.model.as_ref().map(|text| text.as_str()))
        .text(4, details.esme_variant.as_ref().map(|variant| variant.as_str()))
        .text(5, details.smets_chts_version.as_ref().map(|text| text.as_str()))
        .text(6, details.wan_technology_type.as_ref().map(|text| text.as_str()))
        .text(7, details.firmware_version.as_ref().map(|text| text.as_str()))
        .text(8, details.han_variant.as_ref().map(|text| text.as_str()))
        .finish()
}

fn unpack_details(body: &mut Packed<'_>) -> Option<DeviceDetails> {
    Some(DeviceDetails {
        device_type: body.optional(1, |value| DeviceType::from_number(pack::byte(value)?))?,
        manufacturer: body.optional(2, pack::parsed)?,
        model: body.optional(3, pack::parsed)?,
        esme_variant: body.optional(4, pack::parsed)?,
        smets_chts_version: body.optional(5, pack::parsed)?,
        wan_technology_type: body.optional(6, pack::parsed)?,
        firmware_version: body.optional(7, pack::parsed)?,
        han_variant: body.optional(8, pack::parsed)?,
    })
}

/// The User IDs in the body of a registration: Responsible Supplier, Network Party, Registered Supplier Agent. Nothing else of it is read.
pub(crate) fn users_in(registration: &[u8]) -> Option<[Option<UserId>; 3]> {
    let mut body = Packed::read(registration)?;
    Some([body.optional(5, user)?, body.optional(6, user)?, body.optional(7, user)?])
}

fn pack_registration(data: &Registration) -> Box<[u8]> {
    let none = |bit: u8, is_none: bool| u8::from(is_none) << bit;
    let nones = none(0, data.uprn == FieldChange::Cleared)
        | none(1, data.first_line == FieldChange::Cleared)
        | none(2, data.postcode == FieldChange::Cleared)
        | none(3, data.property == FieldChange::Cleared)
        | none(4, data.responsible_supplier == FieldChange::Cleared)
        | none(5, data.network_party == FieldChange::Cleared)
        | none(6, data.registered_supplier_agent == FieldChange::Cleared);
    let eui = |user: &FieldChange<UserId>| user.value().map(|user| user.to_bytes());
    Packer::default()
        .number(1, data.uprn.value().map(|uprn| uprn.number()))
        .text(2, data.first_line.value().map(|text| text.as_str()))
        .text(3, data.postcode.value().map(Postcode::as_str))
        .text(4, data.property.value().map(|text| text.as_str()))
        .bytes(5, eui(&data.responsible_supplier).as_ref().map(<[u8; 8]>::as_slice))
        .bytes(6, eui(&data.network_party).as_ref().map(<[u8; 8]>::as_slice))
        .bytes(7, eui(&data.registered_supplier_agent).as_ref().map(<[u8; 8]>::as_slice))
        .byte(8, Some(nones).filter(|nones| *nones != 0))
        .finish()
}

fn unpack_registration(body: &mut Packed<'_>) -> Option<Registration> {
    let nones = body.optional(8, pack::byte)?.unwrap_or_default();
    /// `None`: it has a value and none.
    fn said<T>(value: Option<T>, nones: u8, bit: u8) -> Option<FieldChange<T>> {
        match (value, nones >> bit & 1 == 1) {
            (Some(_), true) => None,
            (None, true) => Some(FieldChange::Cleared),
            (value, false) => Some(FieldChange::of(value)),
        }
    }
    let data = Registration {
        uprn: said(body.optional(1, |value| Uprn::from_number(pack::number(value)?))?, nones, 0)?,
        first_line: said(body.optional(2, pack::parsed)?, nones, 1)?,
        postcode: said(body.optional(3, pack::parsed)?, nones, 2)?,
        property: said(body.optional(4, pack::parsed)?, nones, 3)?,
        responsible_supplier: said(body.optional(5, user)?, nones, 4)?,
        network_party: said(body.optional(6, user)?, nones, 5)?,
        registered_supplier_agent: said(body.optional(7, user)?, nones, 6)?,
    };
    (nones < 1 << 7).then_some(data)
}

fn pack_hub(fields: &HubFields) -> Box<[u8]> {
    Packer::default()
        .byte(1, fields.aerial_installed.map(u8::from))
        .text(2, fields.aerial_type.as_ref().map(|text| text.as_str()))
        .time(3, fields.birth_event)
        .text(4, fields.network_status.as_ref().map(|status| status.as_str()))
        .time(5, fields.deactivated_at)
        .text(6, fields.smwan_connectivity_status.as_ref().map(|text| text.as_str()))
        .text(7, fields.han_status.as_ref().map(|text| text.as_str()))
        .time(8, fields.last_connection)
        .time(9, fields.last_tamper)
        .time(10, fields.last_outage)
        .time(11, fields.last_restore)
        .finish()
}

fn unpack_hub(body: &mut Packed<'_>) -> Option<HubFields> {
    Some(HubFields {
        aerial_installed: body.optional(1, pack::flag)?,
        aerial_type: body.optional(2, pack::parsed)?,
        birth_event: body.optional(3, pack::time)?,
        network_status: body.optional(4, pack::parsed)?,
        deactivated_at: body.optional(5, pack::time)?,
        smwan_connectivity_status: body.optional(6, pack::parsed)?,
        han_status: body.optional(7, pack::parsed)?,
        last_connection: body.optional(8, pack::time)?,
        last_tamper: body.optional(9, pack::time)?,
        last_outage: body.optional(10, pack::time)?,
        last_restore: body.optional(11, pack::time)?,
    })
}
