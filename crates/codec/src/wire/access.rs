//! Events of access: `gridtrail.events.v1.AccessEvent` as protobuf, frames and proto3 JSON.
//!
//! **Invariant:** no error repeats what stands where a Senior Responsible Officer's data may stand, and nothing of those decides whether an
//! event is read.

use super::from_wire::{enumeration, mandatory, optional, required, time};
use super::to_wire::time as wire_time;
use super::{json_text, officer, put_frame, put_protobuf, within_limit};
use crate::error::InField;
use crate::{DecodeError, Encoding, limits};
use gridtrail_access::{AccessEvent, AccessRecord, Assignment, Notice, NoticeKind, Party, Sro};
use gridtrail_model::{Timestamp, UserId, UserRole};
use gridtrail_proto::events::v1 as wire;
use prost::Message;
use std::collections::BTreeSet;
use std::str::FromStr;
use wire::access_event::Body;

/// Reads one event of access.
///
/// Errors name the field, its rule and a short piece of what was found, never of a person's data; DUIS has no such events.
pub fn decode_access(encoding: Encoding, bytes: &[u8]) -> Result<AccessRecord, DecodeError> {
    const WHAT: &str = "an AccessEvent";
    within_limit("a record of access", bytes)?;
    let wire = match encoding {
        Encoding::Protobuf => wire::AccessEvent::decode(bytes)
            .or_else(|error| officer::left_out_of_protobuf(bytes).ok_or(error))
            .map_err(DecodeError::ProtobufAccess)?,
        Encoding::Json => {
            let text = json_text(WHAT, bytes)?;
            serde_json::from_slice(text)
                .or_else(|error| officer::left_out_of_json(text).ok_or(error))
                .map_err(|error| DecodeError::json_unquoted(WHAT, &error))?
        }
        Encoding::DuisXml => return Err(DecodeError::NoAccessInDuis),
    };
    record(wire)
}

fn record(from: wire::AccessEvent) -> Result<AccessRecord, DecodeError> {
    let recorded_at = mandatory(time(from.recorded_at, "recorded_at")?, "recorded_at")?;
    let at = |at, field| Ok::<_, DecodeError>(time(at, field)?.unwrap_or(recorded_at));
    let event = match mandatory(from.body, "body")? {
        Body::Assigned(assigned) => AccessEvent::Assigned {
            user_id: required(&assigned.user_id, "assigned.user_id")?,
            from: at(assigned.from, "assigned.from")?,
            to: assignment(&assigned)?,
        },
        Body::Notified(notified) => AccessEvent::Notified {
            id: required(&notified.notification_id, "notified.notification_id")?,
            notice: notice(notified, recorded_at)?,
        },
        Body::Confirmed(confirmed) => AccessEvent::Confirmed {
            id: required(&confirmed.notification_id, "confirmed.notification_id")?,
            at: at(confirmed.at, "confirmed.at")?,
        },
        Body::Rejected(rejected) => AccessEvent::Rejected {
            id: required(&rejected.notification_id, "rejected.notification_id")?,
            at: at(rejected.at, "rejected.at")?,
            reason: required(&rejected.reason, "rejected.reason")?,
        },
    };
    Ok(AccessRecord { id: required(&from.event_id, "event_id")?, recorded_at, event })
}

fn assignment(from: &wire::UserIdAssigned) -> Result<Option<Assignment>, DecodeError> {
    const ROLE: &str = "assigned.role";
    let role = enumeration(from.role, role_of, ROLE)?;
    let descriptor = optional(&from.descriptor, "assigned.descriptor")?;
    let Some(party) = optional::<Party>(&from.party, "assigned.party")? else {
        let rule = "a User ID that is withdrawn has neither role nor descriptor";
        return match (role, descriptor) {
            (None, None) => Ok(None),
            _ => Err(DecodeError::Missing { field: "assigned.party", rule }),
        };
    };
    let missing =
        DecodeError::Missing { field: ROLE, rule: "a Party acts in a role under each of its User IDs" };
    Ok(Some(Assignment { party, role: role.ok_or(missing)?, descriptor }))
}

fn notice(from: wire::PartyNotified, recorded_at: Timestamp) -> Result<Notice, DecodeError> {
    let kind = enumeration(from.kind, kind_of, "notified.kind")?;
    Ok(Notice {
        kind: mandatory(kind, "notified.kind")?,
        by: required(&from.party, "notified.party")?,
        with: required(&from.other_party, "notified.other_party")?,
        own: user_ids(&from.user_ids, "notified.user_ids")?,
        other: user_ids(&from.other_user_ids, "notified.other_user_ids")?,
        at: time(from.at, "notified.at")?.unwrap_or(recorded_at),
        sro: from.authorised_by.map(sro),
    })
}

fn user_ids(texts: &[String], field: &'static str) -> Result<BTreeSet<UserId>, DecodeError> {
    if !(1..=limits::NOTICE_USER_IDS_MAX).contains(&texts.len()) {
        let rule = "a notification names 1 to 5,000 User IDs of each Party";
        return Err(DecodeError::invalid(field, "list of User IDs", rule, texts.len()));
    }
    texts.iter().map(|text| UserId::from_str(text).in_field(field)).collect()
}

fn sro(from: wire::SeniorResponsibleOfficer) -> Sro {
    let wire::SeniorResponsibleOfficer { name, telephone, email, signature } = from;
    Sro { name, telephone, email, signature }.cut()
}

/// Appends the event as a protobuf `AccessEvent`. It reads back equal.
pub fn encode_access_protobuf(record: &AccessRecord, out: &mut Vec<u8>) {
    put_protobuf(&to_wire(record), out);
}

/// Appends the event as one record of an `.access.binpb` file: its length as a varint, then as [`encode_access_protobuf`].
pub fn encode_access_frame(record: &AccessRecord, out: &mut Vec<u8>) {
    put_frame(&to_wire(record), out);
}

/// The event as one line of proto3 JSON, without the line break. It reads back equal.
pub fn encode_access_json(record: &AccessRecord) -> String {
    // As with service events: the contract has no map, and no time is out of range.
    serde_json::to_string(&to_wire(record)).unwrap_or_default()
}

fn to_wire(record: &AccessRecord) -> wire::AccessEvent {
    let texts = |ids: &BTreeSet<UserId>| ids.iter().map(ToString::to_string).collect();
    let body = match &record.event {
        AccessEvent::Assigned { user_id, to, from } => {
            let (to, from) = (to.as_ref(), Some(wire_time(*from)));
            Body::Assigned(wire::UserIdAssigned {
                user_id: user_id.to_string(),
                party: to.map(|to| to.party.to_string()).unwrap_or_default(),
                role: to.map_or(0, |to| role_number(to.role)),
                descriptor: to.and_then(|to| Some(to.descriptor.as_ref()?.to_string())).unwrap_or_default(),
                from,
            })
        }
        AccessEvent::Notified { id, notice } => Body::Notified(wire::PartyNotified {
            notification_id: id.to_string(),
            kind: kind_number(notice.kind),
            party: notice.by.to_string(),
            other_party: notice.with.to_string(),
            user_ids: texts(&notice.own),
            other_user_ids: texts(&notice.other),
            at: Some(wire_time(notice.at)),
            authorised_by: notice.sro.clone().map(|Sro { name, telephone, email, signature }| {
                wire::SeniorResponsibleOfficer { name, telephone, email, signature }
            }),
        }),
        AccessEvent::Confirmed { id, at } => Body::Confirmed(wire::NotificationConfirmed {
            notification_id: id.to_string(),
            at: Some(wire_time(*at)),
        }),
        AccessEvent::Rejected { id, at, reason } => Body::Rejected(wire::NotificationRejected {
            notification_id: id.to_string(),
            at: Some(wire_time(*at)),
            reason: reason.to_string(),
        }),
        // What this side made of what it could not read is nobody's event: the contract has no words for it.
        AccessEvent::Unread { .. } | AccessEvent::Settled { .. } => return wire::AccessEvent::default(),
    };
    wire::AccessEvent {
        event_id: record.id.as_str().to_owned(),
        recorded_at: Some(wire_time(record.recorded_at)),
        body: Some(body),
    }
}

fn role_of(number: u8) -> Option<UserRole> {
    UserRole::ALL.get(usize::from(number).checked_sub(1)?).copied()
}

/// The roles of the contract stand in the order of the model's.
fn role_number(role: UserRole) -> i32 {
    let at = UserRole::ALL.iter().position(|other| *other == role);
    at.and_then(|at| i32::try_from(at + 1).ok()).unwrap_or_default()
}

const fn kind_of(number: u8) -> Option<NoticeKind> {
    match number {
        1 => Some(NoticeKind::Grant),
        2 => Some(NoticeKind::Rescind),
        _ => None,
    }
}

const fn kind_number(kind: NoticeKind) -> i32 {
    match kind {
        NoticeKind::Grant => 1,
        NoticeKind::Rescind => 2,
    }
}
