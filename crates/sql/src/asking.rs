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
}

impl Asking {
    /// The record of a statement that begins.
    pub(crate) fn record(&self) -> Result<Option<Record>, SqlError> {
        let about = (self.who.as_ref(), &self.version);
        self.recording.as_ref().map(|recording| Record::begin(recording, about, &self.clock)).transpose()
    }

    /// Until when a statement that begins now may go on.
    pub(crate) fn terms(&self) -> Terms {
        let until = Instant::now() + self.time;
        Terms {
            who: self.who.clone(),
            rights: self.rights.clone(),
            clock: self.clock.clone(),
            time: self.time,
            until,
            stop: Stop::at(until),
        }
    }
}
