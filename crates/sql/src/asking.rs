//! Who asks in a session, and on what terms: what each statement of it begins with.

use crate::answer::Terms;
use crate::error::SqlError;
use crate::record::{Record, Recording};
use crate::rights::Rights;
use crate::stop::Stop;
use gridtrail_access::Access;
use gridtrail_lake::SnapshotVersion;
use gridtrail_runtime::Clock;
use std::time::Duration;
use tokio::time::Instant;

/// Who asks, and on what terms.
pub(crate) struct Asking {
    /// `None`: an operator.
    pub(crate) who: Option<Access>,
    pub(crate) version: SnapshotVersion,
    pub(crate) rights: Option<Rights>,
    pub(crate) recording: Option<Recording>,
    pub(crate) clock: Clock,
    /// How long a statement may take.
    pub(crate) time: Duration,
    /// How long it may take until it gives rows, where that is less.
    pub(crate) begin_within: Duration,
}

impl Asking {
    /// The record of a statement that begins.
    pub(crate) fn record(&self, terms: &Terms) -> Result<Option<Record>, SqlError> {
        let begin = |recording| {
            Record::begin(recording, (self.who.as_ref(), &self.version), (&self.clock, terms.begun_by))
        };
        self.recording.as_ref().map(begin).transpose()
    }

    /// Until when a statement that begins now may go on.
    pub(crate) fn terms(&self) -> Terms {
        let began = Instant::now();
        let until = began + self.time;
        Terms {
            who: self.who.clone(),
            rights: self.rights.clone(),
            clock: self.clock.clone(),
            began,
            begun_by: until.min(began + self.begin_within),
            until,
            stop: Stop::at(until),
        }
    }
}
