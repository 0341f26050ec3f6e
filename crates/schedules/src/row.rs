//! Rows: what one event says, as a table holds it.
//!
//! A table of them is sorted by [`ScheduleRow`]'s own order, which begins with the User. **The merge rule**: rows that are equal become one
//! ([`merge_rows`]), and nothing else ever changes; a fold of a User's rows is its [`Schedules`].

use crate::details::{DaysBack, Frequency, ReadWindow, ScheduleDay, ScheduleDetails, ScheduleId, TimeOfDay};
use crate::event::{ScheduleEvent, ScheduleFact};
use crate::fold::Schedules;
use gridtrail_model::{DeviceId, EventId, RequestId, ServiceReferenceVariant, Timestamp, UserId};
use gridtrail_packed::{self as pack, Packed, Packer};

/// What a row tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScheduleRowKind {
    /// What a 5.1 asks for.
    Asked,
    /// That a schedule was created.
    Created,
    /// That an answer to 5.2 lists it.
    Listed,
    /// What a 5.3 asks for.
    DeletionAsked,
    /// That a 5.3 was done.
    Deleted,
    /// That the DCC removed it.
    Removed,
}

impl ScheduleRowKind {
    /// All.
    pub const ALL: &[Self] =
        &[Self::Asked, Self::Created, Self::Listed, Self::DeletionAsked, Self::Deleted, Self::Removed];

    /// The word that stands for it in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Created => "created",
            Self::Listed => "listed",
            Self::DeletionAsked => "deletion asked",
            Self::Deleted => "deleted",
            Self::Removed => "removed",
        }
    }
}

/// What one event says. Every field is a column; rows are sorted by them in this order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScheduleRow {
    /// Whose schedule it is.
    pub user: UserId,
    /// What it tells.
    pub kind: ScheduleRowKind,
    /// When it was so.
    pub at: Timestamp,
    /// When the DCC had it.
    pub recorded_at: Timestamp,
    /// The event that told it.
    pub event_id: EventId,
    /// The values, packed.
    pub body: Box<[u8]>,
}

/// A row that no writer of ours writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a row of kind {kind:?} holds what no such row can")]
pub struct ScheduleRowError {
    /// The kind that the row says it is of.
    pub kind: ScheduleRowKind,
}

/// The row of an event.
pub fn row_of(event: &ScheduleEvent) -> ScheduleRow {
    let request = |id: &RequestId| Packer::default().bytes(1, Some(&id.to_bytes()));
    let named = |packer: Packer, schedule: &ScheduleId| packer.number(2, Some(schedule.number()));
    let (kind, body) = match &event.fact {
        ScheduleFact::Asked { request_id, details } => {
            (ScheduleRowKind::Asked, pack_details(request(request_id), details))
        }
        ScheduleFact::Created { request_id, schedule } => {
            (ScheduleRowKind::Created, named(request(request_id), schedule))
        }
        ScheduleFact::Listed { schedule, details } => {
            (ScheduleRowKind::Listed, pack_details(named(Packer::default(), schedule), details))
        }
        ScheduleFact::DeletionAsked { request_id, schedule } => {
            (ScheduleRowKind::DeletionAsked, named(request(request_id), schedule))
        }
        ScheduleFact::Deleted { request_id } => (ScheduleRowKind::Deleted, request(request_id)),
        ScheduleFact::Removed { schedule, device, code } => {
            let device = device.map(|device| device.to_bytes());
            let body = named(Packer::default(), schedule).bytes(4, device.as_ref().map(|bytes| &bytes[..]));
            (ScheduleRowKind::Removed, body.text(13, Some(code.as_str())))
        }
    };
    ScheduleRow {
        user: event.user,
        kind,
        at: event.at,
        recorded_at: event.recorded_at,
        event_id: event.id.clone(),
        body: body.finish(),
    }
}

fn pack_details(body: Packer, details: &ScheduleDetails) -> Packer {
    let device = details.device.map(|device| device.to_bytes());
    // Its first byte is zero, so it is no negative number.
    let variant = details.variant.map(|variant| variant.to_code().unsigned_abs().into());
    let day = |day: Option<ScheduleDay>| day.map(|day| i64::from(day.since_epoch()).cast_unsigned());
    let (days, time) = (|days: DaysBack| u64::from(days.days()), TimeOfDay::number);
    let window = details.window.as_ref();
    body.number(3, variant)
        .bytes(4, device.as_ref().map(|bytes| &bytes[..]))
        .byte(5, details.frequency.map(Frequency::number))
        .number(6, day(details.start))
        .number(7, day(details.end))
        .number(8, details.execution_start.map(time))
        .number(9, window.map(|window| days(window.start_offset)))
        .number(10, window.map(|window| time(window.start_time)))
        .number(11, window.map(|window| days(window.end_offset)))
        .number(12, window.map(|window| time(window.end_time)))
}

/// Rows that are equal become one: the union of two sorted runs of rows.
pub fn merge_rows(one: Vec<ScheduleRow>, other: Vec<ScheduleRow>) -> Vec<ScheduleRow> {
    let mut all = one;
    all.extend(other);
    all.sort();
    all.dedup();
    all
}

impl ScheduleRow {
    /// Reads the row back. Errors: no writer of ours writes it, or a later build does.
    pub fn event(&self) -> Result<ScheduleEvent, ScheduleRowError> {
        let error = ScheduleRowError { kind: self.kind };
        let mut body = Packed::read(&self.body).ok_or(error)?;
        let fact = unpack(self.kind, &mut body).filter(|_| body.is_empty()).ok_or(error)?;
        let Self { user, at, recorded_at, .. } = *self;
        Ok(ScheduleEvent { user, recorded_at, at, id: self.event_id.clone(), fact })
    }
}

fn unpack(kind: ScheduleRowKind, body: &mut Packed<'_>) -> Option<ScheduleFact> {
    let request =
        |body: &mut Packed<'_>| body.required(1, |value| value.try_into().ok().map(RequestId::from_bytes));
    let named = |body: &mut Packed<'_>| body.required(2, |value| ScheduleId::new(pack::number(value)?));
    Some(match kind {
        ScheduleRowKind::Asked => {
            ScheduleFact::Asked { request_id: request(body)?, details: unpack_details(body)? }
        }
        ScheduleRowKind::Created => {
            ScheduleFact::Created { request_id: request(body)?, schedule: named(body)? }
        }
        ScheduleRowKind::Listed => {
            ScheduleFact::Listed { schedule: named(body)?, details: unpack_details(body)? }
        }
        ScheduleRowKind::DeletionAsked => {
            ScheduleFact::DeletionAsked { request_id: request(body)?, schedule: named(body)? }
        }
        ScheduleRowKind::Deleted => ScheduleFact::Deleted { request_id: request(body)? },
        ScheduleRowKind::Removed => ScheduleFact::Removed {
            schedule: named(body)?,
            device: body.optional(4, device)?,
            code: body.required(13, pack::parsed)?,
        },
    })
}

fn device(value: &[u8]) -> Option<DeviceId> {
    pack::eui(value).map(DeviceId::from_bytes)
}

fn unpack_details(body: &mut Packed<'_>) -> Option<ScheduleDetails> {
    let variant =
        |value: &[u8]| ServiceReferenceVariant::from_code(i32::try_from(pack::number(value)?).ok()?);
    let day = |value: &[u8]| ScheduleDay::from_epoch(i32::try_from(pack::number(value)?.cast_signed()).ok()?);
    let time = |value: &[u8]| TimeOfDay::from_number(pack::number(value)?);
    let days = |value: &[u8]| DaysBack::new(u16::try_from(pack::number(value)?).ok()?);
    let mut details = ScheduleDetails {
        variant: body.optional(3, variant)?,
        device: body.optional(4, device)?,
        frequency: body.optional(5, |value| Frequency::from_number(pack::byte(value)?))?,
        start: body.optional(6, day)?,
        end: body.optional(7, day)?,
        execution_start: body.optional(8, time)?,
        window: None,
    };
    if let Some(start_offset) = body.optional(9, days)? {
        let (start_time, end_offset) = (body.required(10, time)?, body.required(11, days)?);
        let end_time = body.required(12, time)?;
        details.window = Some(ReadWindow { start_offset, start_time, end_offset, end_time });
    }
    Some(details)
}

impl Schedules {
    /// Takes in what a row says. One of another User adds nothing. Errors: as [`ScheduleRow::event`].
    pub fn take(&mut self, row: &ScheduleRow) -> Result<(), ScheduleRowError> {
        self.add(&row.event()?);
        Ok(())
    }
}
