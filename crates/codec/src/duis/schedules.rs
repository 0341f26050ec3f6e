//! What a DUIS message says of DSP schedules, beside its own event (decision 0149): what a 5.1 asks for and that it was created, which schedules an
//! answer to 5.2 lists, that a 5.3 asks for a deletion and that it was done, and that the DCC removed a schedule.
//!
//! A value that cannot be read is left out; without the identifier of a schedule, or of its request, nothing is said. A DCC Alert is told by its
//! element, never by its code.

use super::element::Element;
use crate::charset::Charset;
use crate::{DecodeError, xml};
use gridtrail_model::{Body, Event, ServiceReferenceVariant};
use gridtrail_schedules::{ReadWindow, ScheduleDetails, ScheduleEvent, ScheduleFact, ScheduleId};

/// The element of a DCC Alert that tells of a removal.
const REMOVAL: &str = "DSPScheduleRemoval";

/// What a message is that may say something of schedules.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Create,
    Read,
    Delete,
}

fn kind_of(variant: ServiceReferenceVariant) -> Option<Kind> {
    // The first byte of a code is zero; then come group, number and part.
    match variant.to_code().to_be_bytes() {
        [0, 5, 1, 0] => Some(Kind::Create),
        [0, 5, 2, 0] => Some(Kind::Read),
        [0, 5, 3, 0] => Some(Kind::Delete),
        _ => None,
    }
}

/// Whether the message that this event was read from may say anything of schedules: a message of 5.1, 5.2 or 5.3, or a DCC Alert that tells of no
/// request. Of all others [`schedules`] finds nothing.
pub fn is_of_schedules(event: &Event) -> bool {
    match &event.body {
        Body::DccAlert(alert) => alert.affects.is_none(),
        Body::RequestReceived(_) => {
            event.correlation.variant.is_some_and(|variant| kind_of(variant).is_some())
        }
        Body::ResponseSent(sent) => {
            !sent.code.is_failure()
                && event.correlation.variant.is_some_and(|variant| kind_of(variant).is_some())
        }
        Body::StatusChanged(_) | Body::DeviceAlert(_) => false,
    }
}

/// Reads what the message of an event says of schedules: of those of its User.
///
/// Errors: those of [`crate::decode`] that are of XML; of a message that `decode` reads there are none.
pub fn schedules(event: &Event, bytes: &[u8]) -> Result<Vec<ScheduleEvent>, DecodeError> {
    schedules_in(event, bytes, None)
}

/// `charset` is that of the capture around it; `None`: the message says it.
pub(crate) fn schedules_in(
    event: &Event,
    bytes: &[u8],
    charset: Option<Charset>,
) -> Result<Vec<ScheduleEvent>, DecodeError> {
    if !is_of_schedules(event) {
        return Ok(Vec::new());
    }
    let text = xml::document("a DUIS message", bytes, charset)?;
    // There are many DCC Alerts, and few are of schedules: the others are not read once more.
    if matches!(event.body, Body::DccAlert(_)) && !text.contains(REMOVAL) {
        return Ok(Vec::new());
    }
    let Some(root) = Element::read(&text)? else { return Ok(Vec::new()) };
    let choice = root.child("Body").and_then(Element::only);
    Ok(choice.and_then(|choice| said(event, choice)).unwrap_or_default())
}

fn said(event: &Event, choice: &Element) -> Option<Vec<ScheduleEvent>> {
    let correlation = &event.correlation;
    let tells = |at, fact| ScheduleEvent {
        user: correlation.user_id,
        recorded_at: event.recorded_at,
        at,
        id: event.id.clone(),
        fact,
    };
    let kind = correlation.variant.and_then(kind_of);
    let schedule = |of: &Element| of.value::<ScheduleId>("DSPScheduleID");
    match &event.body {
        Body::RequestReceived(_) => {
            let request_id = correlation.request_id?;
            let fact = match kind? {
                Kind::Create if choice.name() == "CreateSchedule" => {
                    ScheduleFact::Asked { request_id, details: details(choice) }
                }
                Kind::Delete if choice.name() == "DeleteSchedule" => {
                    ScheduleFact::DeletionAsked { request_id, schedule: schedule(choice)? }
                }
                _ => return None,
            };
            Some(vec![tells(event.recorded_at, fact)])
        }
        Body::ResponseSent(sent) if choice.name() == "ResponseMessage" => {
            let request_id = correlation.request_id?;
            let fact = match kind? {
                Kind::Create => ScheduleFact::Created { request_id, schedule: schedule(choice)? },
                Kind::Delete => ScheduleFact::Deleted { request_id },
                Kind::Read => {
                    let all = choice.child("DSPSchedulesRead")?.all("DSPSchedules");
                    let listed = all.filter_map(|of| {
                        let details = of.child("DSPScheduleDetails").map(details).unwrap_or_default();
                        Some(ScheduleFact::Listed { schedule: schedule(of)?, details })
                    });
                    return Some(listed.map(|fact| tells(sent.at, fact)).collect());
                }
            };
            Some(vec![tells(sent.at, fact)])
        }
        Body::DccAlert(alert) => {
            let removal = choice.child("DCCAlert")?.child(REMOVAL)?;
            let (schedule, device) = (schedule(removal)?, removal.value("DeviceID"));
            Some(vec![tells(alert.at, ScheduleFact::Removed { schedule, device, code: alert.code })])
        }
        _ => None,
    }
}

/// `DSPSchedule`: its last element is the read, with the readings that are asked for, where it asks for some.
fn details(of: &Element) -> ScheduleDetails {
    let window = of.children().find_map(|read| {
        Some(ReadWindow {
            start_offset: read.value("StartDateOffset")?,
            start_time: read.value("StartTime")?,
            end_offset: read.value("EndDateOffset")?,
            end_time: read.value("EndTime")?,
        })
    });
    ScheduleDetails {
        variant: of.value("DSPScheduledServiceReferenceVariant"),
        device: of.value("DeviceID"),
        frequency: of.value("ScheduleFrequency"),
        start: of.value("ScheduleStartDate"),
        end: of.value("ScheduleEndDate"),
        execution_start: of.value("ScheduleExecutionStartTime"),
        window,
    }
}
