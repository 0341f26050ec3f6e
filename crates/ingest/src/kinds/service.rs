//! Events of Service Requests, responses and alerts.

use super::{Reads, RecordKind, nothing_aside, nothing_settled};

/// Events of Service Requests, responses and alerts.
pub static SERVICE_EVENTS: RecordKind = RecordKind {
    name: "service events",
    file_mark: None,
    topic_mark: None,
    // As the DCC's own systems would write it.
    topic: "gridtrail.service-events.v1",
    identity: None,
    reads: Reads::Events,
    put_aside: nothing_aside,
    settle: nothing_settled,
};
