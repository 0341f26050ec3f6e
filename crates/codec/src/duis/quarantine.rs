//! Which communication a DCC Alert says was quarantined, and why (DUIS `QuarantinedRequest`).
//!
//! That it was, is in the event of the alert; which of the three limits it broke, only its element says. The event goes by the element, never by the
//! alert code.

use super::element::Element;
use crate::charset::Charset;
use crate::{DecodeError, xml};
use gridtrail_anomaly::{AnomalyEvent, AnomalyFact, AnomalyStatement, Breach, Origin, Quarantined};
use gridtrail_model::{Affected, Alert, Body, Event, State};

/// The alert, and the request that it says was quarantined.
fn affected(event: &Event) -> Option<(&Alert, &Affected)> {
    let Body::DccAlert(alert) = &event.body else { return None };
    let affected = alert.affects.as_ref()?;
    (affected.state == State::Quarantined).then_some((alert, affected))
}

/// Whether the message that this event was read from says that a communication was quarantined. Of all others [`quarantined`] finds nothing.
pub fn is_of_quarantine(event: &Event) -> bool {
    affected(event).is_some()
}

/// Reads what the message of an event says of a communication that was quarantined. It is told of the User that sent the request, whoever the alert
/// went to. `None`: nothing, or what no such element of schema 5.4 says.
///
/// Errors: those of [`crate::decode`] that are of XML; of a message that `decode` reads there are none.
pub fn quarantined(event: &Event, bytes: &[u8]) -> Result<Option<AnomalyEvent>, DecodeError> {
    quarantined_in(event, bytes, None)
}

/// `charset` is that of the capture around it; `None`: the message says it.
pub(crate) fn quarantined_in(
    event: &Event,
    bytes: &[u8],
    charset: Option<Charset>,
) -> Result<Option<AnomalyEvent>, DecodeError> {
    let Some((alert, affected)) = affected(event) else { return Ok(None) };
    let text = xml::document("a DUIS message", bytes, charset)?;
    let Some(root) = Element::read(&text)? else { return Ok(None) };
    let path = ["Body", "DCCAlertMessage", "DCCAlert", "QuarantinedRequest"];
    let request = path.iter().try_fold(&root, |element, name| element.child(name));
    let Some(breached) = request.and_then(Element::only) else { return Ok(None) };
    let breach = match breached.name() {
        "ADUserThresholdBreach" => Breach::UserThreshold,
        "ADDCCThresholdBreach" => Breach::DccThreshold,
        "ADAttributeLimitsBreach" => Breach::AttributeLimits,
        _ => return Ok(None),
    };
    let Some(event_ref) = breached.value("QuarantineEventRef") else { return Ok(None) };
    let fact = AnomalyFact::Quarantined(Quarantined {
        request_id: affected.request_id,
        command_variant: None,
        variant: None,
        device: None,
        mpxn: None,
        received_at: None,
        breach,
        event_ref,
        incident: None,
        dcc_alert: Some(alert.response_id),
    });
    Ok(Some(AnomalyEvent {
        recorded_at: event.recorded_at,
        id: event.id.clone(),
        origin: Origin::Duis,
        about: Some(affected.request_id.originator),
        told: AnomalyStatement::Fact { at: alert.at, corrects: None, fact },
    }))
}
