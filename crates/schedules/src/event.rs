//! Events: what messages tell of schedules.

use crate::details::{ScheduleDetails, ScheduleId};
use gridtrail_model::{AlertCode, DeviceId, EventId, RequestId, Timestamp, UserId};

/// One fact about the schedules of a User.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScheduleEvent {
    /// The User whose schedules they are: who sent the request, or whom the alert was addressed to.
    pub user: UserId,
    /// When the DCC had the message.
    pub recorded_at: Timestamp,
    /// When it was so: the message's own time, and of a request when the DCC had it.
    pub at: Timestamp,
    /// The message.
    pub id: EventId,
    /// What it tells.
    pub fact: ScheduleFact,
}

/// What a message tells. Only what succeeded is told: a refusal makes no schedule and removes none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScheduleFact {
    /// A 5.1 asks for a schedule. Alone it is none.
    Asked {
        /// The request.
        request_id: RequestId,
        /// What it asks for.
        details: ScheduleDetails,
    },
    /// The answer to a 5.1: the schedule is there.
    Created {
        /// The request.
        request_id: RequestId,
        /// What it is called.
        schedule: ScheduleId,
    },
    /// The answer to a 5.2 lists the schedule.
    Listed {
        /// What it is called.
        schedule: ScheduleId,
        /// What it is.
        details: ScheduleDetails,
    },
    /// A 5.3 asks that a schedule be deleted. Alone it changes nothing.
    DeletionAsked {
        /// The request.
        request_id: RequestId,
        /// Which schedule.
        schedule: ScheduleId,
    },
    /// The answer to a 5.3: it is deleted.
    Deleted {
        /// The request, which says what is.
        request_id: RequestId,
    },
    /// A DCC Alert with `DSPScheduleRemoval`: the DCC removed the schedule.
    Removed {
        /// Which schedule.
        schedule: ScheduleId,
        /// Of which Device it was.
        device: Option<DeviceId>,
        /// The code of the alert, which tells why.
        code: AlertCode,
    },
}
