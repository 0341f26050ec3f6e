//! Whose an event is: the User that it names must be the one that its identifiers name.
//!
//! | Kind of event | Belongs to | Held against |
//! |---|---|---|
//! | request received, status changed, response, of a request | the request's sender | the originator of its RequestID |
//! | status changed, response, of a run of a schedule | the addressee of the run's result | the second half of the run's ResponseID |
//! | Device Alert, DCC Alert | its addressee | the second half of its ResponseID |
//! | what a DCC Alert says of a request | that request's sender, whoever the alert went to | nothing: the originator of that RequestID is its key |
//!
//! A response to a request is not held against its own ResponseID: those to 6.15.1, 6.21 and 6.23 do not swap the halves of the RequestID.
//! A request that an alert names beside is no part of what the alert is. Decision 0094.

use crate::event::{Body, Correlation, Event, ResponseContent, ResponseSent};
use crate::fold::Rejection;
use crate::{RequestId, ResponseId, UserId};

/// Demands that an event is its User's. Errors: `NotTheSender`, `NotTheAddressee`.
pub(crate) fn check(event: &Event) -> Result<(), Rejection> {
    let Correlation { user_id, request_id, scheduled_run, .. } = &event.correlation;
    let addressed = |id: &ResponseId| addressed(*user_id, *id);
    match &event.body {
        Body::DeviceAlert(alert) | Body::DccAlert(alert) => addressed(&alert.response_id),
        body => {
            request_id.as_ref().map_or(Ok(()), |id| sent(*user_id, *id))?;
            let run = match body {
                Body::ResponseSent(ResponseSent {
                    content: ResponseContent::ScheduledRead { .. },
                    response_id: Some(run),
                    ..
                }) => Some(run),
                _ => scheduled_run.as_ref(),
            };
            run.map_or(Ok(()), addressed)
        }
    }
}

fn sent(user_id: UserId, request_id: RequestId) -> Result<(), Rejection> {
    if request_id.originator == user_id {
        Ok(())
    } else {
        Err(Rejection::NotTheSender { user_id, request_id })
    }
}

fn addressed(user_id: UserId, response_id: ResponseId) -> Result<(), Rejection> {
    if response_id.second.to_bytes() == user_id.to_bytes() {
        Ok(())
    } else {
        Err(Rejection::NotTheAddressee { user_id, response_id })
    }
}
