//! What is made once: the report of one job, of one period, for one User.

use crate::key::{DeliveryKey, minute_of};
use crate::schedule::Job;
use gridtrail_access::Declared;
use gridtrail_model::Timestamp;
use gridtrail_reports::Arguments;
use std::sync::Arc;

/// A report of one job, of the period that is over at one time, for one User.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) job: Arc<Job>,
    pub(crate) due: Timestamp,
    /// Which of the job's Users.
    pub(crate) user: usize,
}

impl Delivery {
    pub(crate) fn declared(&self) -> &Declared {
        &self.job.users[self.user]
    }

    pub(crate) fn key(&self) -> DeliveryKey {
        DeliveryKey { job: self.job.name.clone(), due: self.due, user_id: self.declared().user_id() }
    }

    /// The names of its files within the folder of its User and job, without what each ends in: when it was due, and the days and months that it is
    /// about.
    pub(crate) fn file_stem(&self, arguments: &Arguments) -> String {
        let about = arguments.days_and_months().iter().map(|period| format!("_{period}")).collect::<String>();
        format!("{}{about}", minute_of(self.due))
    }
}
