//! Notifications whose officer cannot be read: the officer is left out, as far as that goes, and the rest is read.
//!
//! Whether the officer's data are in order is for the DCC to verify before it confirms a notification (Appendix AH, 1.5.4): here they decide
//! nothing, whatever stands in their place.

use super::fields::{Field, fields};
use gridtrail_proto::events::v1 as wire;
use prost::Message;
use serde_json::{Map, Value};

/// `AccessEvent.notified` and `PartyNotified.authorised_by`.
const NOTIFIED: u64 = 11;
const AUTHORISED_BY: u64 = 8;

/// The event, with as much of its officer as can be read. `None`: something else is wrong with it.
pub(super) fn left_out_of_json(text: &[u8]) -> Option<wire::AccessEvent> {
    let mut event: Value = serde_json::from_slice(text).ok()?;
    let notified = event.get_mut("notified")?.as_object_mut()?;
    let officers = ["authorisedBy", "authorised_by"].map(|name| notified.remove(name));
    let officer = officers.into_iter().flatten().next()?;
    let mut event: wire::AccessEvent = serde_json::from_value(event).ok()?;
    let wire::access_event::Body::Notified(notified) = event.body.as_mut()? else { return None };
    notified.authorised_by = officer.as_object().map(texts_of);
    Some(event)
}

fn texts_of(officer: &Map<String, Value>) -> wire::SeniorResponsibleOfficer {
    let text = |name| officer.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    wire::SeniorResponsibleOfficer {
        name: text("name"),
        telephone: text("telephone"),
        email: text("email"),
        signature: text("signature"),
    }
}

/// The event, with as much of its officer as can be read. `None`: something else is wrong with it.
pub(super) fn left_out_of_protobuf(bytes: &[u8]) -> Option<wire::AccessEvent> {
    let mut officer = None;
    let rest = without(bytes, NOTIFIED, |notified| {
        without(notified, AUTHORISED_BY, |bytes| {
            officer = Some(texts_in(bytes));
            None
        })
    })?;
    let officer = officer?;
    let mut event = wire::AccessEvent::decode(rest.as_slice()).ok()?;
    let wire::access_event::Body::Notified(notified) = event.body.as_mut()? else { return None };
    notified.authorised_by = Some(officer);
    Some(event)
}

/// A message with another value for one of its fields, or without it. `None`: it cannot be read.
fn without(message: &[u8], number: u64, mut other: impl FnMut(&[u8]) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    let mut kept = Vec::with_capacity(message.len());
    let mut read = fields(message);
    for Field { number: of, whole, bytes } in read.by_ref() {
        match bytes {
            Some(bytes) if of == number => {
                if let Some(other) = other(bytes) {
                    prost::encoding::encode_varint(number << 3 | 2, &mut kept);
                    prost::encoding::encode_varint(other.len() as u64, &mut kept);
                    kept.extend_from_slice(&other);
                }
            }
            _ => kept.extend_from_slice(whole),
        }
    }
    read.is_at_the_end().then_some(kept)
}

fn texts_in(officer: &[u8]) -> wire::SeniorResponsibleOfficer {
    let mut texts: [String; 4] = Default::default();
    for Field { number, bytes, .. } in fields(officer) {
        let place = usize::try_from(number).ok().and_then(|number| texts.get_mut(number.checked_sub(1)?));
        if let (Some(text), Some(bytes)) = (place, bytes) {
            *text = String::from_utf8_lossy(bytes).into_owned();
        }
    }
    let [name, telephone, email, signature] = texts;
    wire::SeniorResponsibleOfficer { name, telephone, email, signature }
}
