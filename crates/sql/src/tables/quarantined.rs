//! `quarantined_communications`: what became of the communications of a session of reports that anomaly detection quarantined, a row each.
//!
//! What reports may not show is there as well, with `is_reported` saying so: a report that also asks of audit trails must know which
//! communications it leaves out. No statement of a caller reaches this table.

use crate::error::ScanError;
use crate::listed::{
    ColumnOf, Columns, Open, flag, flags, number, numbers, text, texts, time, times, words, words_of,
};
use futures::stream::{self, StreamExt as _};
use gridtrail_access::Access;
use gridtrail_anomaly::{QuarantineState, QuarantinedCommunication};
use gridtrail_lake::Snapshot;
use gridtrail_model::Timestamp;
use std::sync::Arc;

pub(crate) const COMMENT: &str = "Communications of the caller's User IDs that anomaly detection quarantined: a row each, as it stands now";

pub(crate) static COLUMNS: Columns<QuarantinedCommunication> = &[
    ColumnOf {
        name: "user_id",
        comment: "The User ID that sent it",
        kind: words,
        fill: |rows| words_of(rows, |row| Some(row.request_id().originator)),
    },
    ColumnOf {
        name: "request_id",
        comment: "\"Request ID\"",
        kind: text,
        fill: |rows| texts(rows, |row| Some(row.request_id())),
    },
    ColumnOf {
        name: "command_variant",
        comment: "\"Command Variant\", 1 to 9",
        kind: number,
        fill: |rows| {
            numbers(rows, |row| row.quarantined.command_variant.map(|variant| variant.number().into()))
        },
    },
    ColumnOf {
        name: "service_reference_variant",
        comment: "\"Service Reference Variant\"",
        kind: words,
        fill: |rows| words_of(rows, |row| row.quarantined.variant),
    },
    ColumnOf {
        name: "device_id",
        comment: "\"Device ID\"",
        kind: text,
        fill: |rows| texts(rows, |row| row.quarantined.device),
    },
    ColumnOf {
        name: "mpxn",
        comment: "\"MPxN\"",
        kind: text,
        fill: |rows| texts(rows, |row| row.quarantined.mpxn),
    },
    ColumnOf {
        name: "service_request_received_at",
        comment: "When the DCC received it",
        kind: time,
        fill: |rows| times(rows, |row| row.quarantined.received_at),
    },
    ColumnOf {
        name: "quarantined_at",
        comment: "When it was quarantined",
        kind: time,
        fill: |rows| times(rows, |row| Some(row.quarantined_at)),
    },
    ColumnOf {
        name: "available_until",
        comment: "The first instant at which it is archived: 120 hours later, or sooner where that was told",
        kind: time,
        fill: |rows| times(rows, |row| Some(row.available_until)),
    },
    ColumnOf {
        name: "state",
        comment: "Quarantined, Released, Deleted or Archived",
        kind: words,
        fill: |rows| words_of(rows, |row| Some(state_of(row).0)),
    },
    ColumnOf {
        name: "settled_at",
        comment: "When it was released or deleted",
        kind: time,
        fill: |rows| times(rows, |row| state_of(row).1),
    },
    ColumnOf {
        name: "breach",
        comment: "Which limits it broke: user threshold, DCC threshold or attribute limits",
        kind: words,
        fill: |rows| words_of(rows, |row| Some(row.quarantined.breach.as_str())),
    },
    ColumnOf {
        name: "quarantine_event_reference",
        comment: "The event in which it was quarantined",
        kind: words,
        fill: |rows| words_of(rows, |row| Some(row.quarantined.event_ref.as_str())),
    },
    ColumnOf {
        name: "incident_reference",
        comment: "The Incident that the DCC raised",
        kind: words,
        fill: |rows| words_of(rows, |row| row.quarantined.incident.as_ref().map(|of| of.as_str())),
    },
    ColumnOf {
        name: "dcc_alert_id",
        comment: "The DCC Alert that told of it; of several the first",
        kind: text,
        fill: |rows| texts(rows, |row| row.dcc_alerts.first()),
    },
    ColumnOf {
        name: "advice",
        comment: "What the DCC advises: must delete, user decides or no action",
        kind: words,
        fill: |rows| words_of(rows, |row| row.advice.map(|(advice, _)| advice.as_str())),
    },
    ColumnOf {
        name: "advised_at",
        comment: "When it advised so",
        kind: time,
        fill: |rows| times(rows, |row| row.advice.map(|(_, at)| at)),
    },
    ColumnOf {
        name: "answer",
        comment: "What the User's last accepted action file says: Release or Delete",
        kind: words,
        fill: |rows| words_of(rows, |row| row.answer.map(|answer| answer.action.as_str())),
    },
    ColumnOf {
        name: "answered_at",
        comment: "When the DCC received that file",
        kind: time,
        fill: |rows| times(rows, |row| row.answer.map(|answer| answer.received_at)),
    },
    ColumnOf {
        name: "is_reported",
        comment: "Whether a report may show it now",
        kind: flag,
        fill: |rows| flags(rows, |row| Some(row.is_reported)),
    },
];

/// Where a communication stands, and since when that is done.
const fn state_of(of: &QuarantinedCommunication) -> (&'static str, Option<Timestamp>) {
    match of.state {
        QuarantineState::Quarantined => ("Quarantined", None),
        QuarantineState::Released(at) => ("Released", Some(at)),
        QuarantineState::Deleted(at) => ("Deleted", Some(at)),
        QuarantineState::Archived | QuarantineState::Gone => ("Archived", None),
    }
}

/// All of the caller's communications, as they stand at a time.
pub(crate) fn open(
    (snapshot, who): (Arc<Snapshot>, Access),
    at: Timestamp,
) -> Open<QuarantinedCommunication> {
    Arc::new(move || {
        let (snapshot, who) = (Arc::clone(&snapshot), who.clone());
        let rows = async move {
            let (rows, _) = snapshot.quarantined_or_archived(&who, at).await.map_err(ScanError::from)?;
            Ok(rows)
        };
        stream::once(rows).boxed()
    })
}
