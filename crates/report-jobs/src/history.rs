//! What became of deliveries, for whoever asks.

use crate::error::JobError;
use crate::journal::{DECIDED, Decision, ENDED, End, Failure, FileSum, Journal, Seen, failed};
use crate::key::DeliveryKey;
use crate::limits::READS_AT_ONCE;
use futures::{StreamExt as _, TryStreamExt as _};
use gridtrail_model::{Timestamp, UserId};
use serde::{Serialize, Serializer};

/// What became of a delivery. The fields are an interface: programs read them as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Past {
    /// The job.
    pub job: String,
    /// When it was due.
    #[serde(serialize_with = "as_text")]
    pub due: Timestamp,
    /// For whom.
    #[serde(serialize_with = "as_text")]
    pub user_id: UserId,
    /// What became of it.
    pub state: PastState,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made_at: Option<String>,
    /// Up to when the lake was complete then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub complete_up_to: Option<String>,
    /// Whether that was before the end of the period.
    pub may_miss_rows: bool,
    /// How many rows it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Why it was skipped or withdrawn, or why the last attempt that is known to have failed did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Its files.
    pub files: Vec<FileSum>,
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PastState {
    /// It is being made, or will be tried again.
    Open,
    /// Its files are made, and get their names.
    Decided,
    /// Its files are there, or were.
    Published,
    /// It was not made.
    Skipped,
    /// It was made, and is not there.
    Withdrawn,
}

impl PastState {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Decided => "decided",
            Self::Published => "published",
            Self::Skipped => "skipped",
            Self::Withdrawn => "withdrawn",
        }
    }
}

fn as_text<S: Serializer>(value: &impl ToString, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&value.to_string())
}

impl Journal {
    /// What became of the deliveries of a job, or of all, by job, period and User. What nobody has begun yet is not among them.
    ///
    /// Errors: `Store`, `Corrupt`.
    pub async fn history(&self, job: Option<&str>) -> Result<Vec<Past>, JobError> {
        let seen = self.look_at_all(job).await?;
        let past = seen.into_iter().map(|(key, seen)| self.past(key, seen));
        futures::stream::iter(past).buffered(READS_AT_ONCE).try_collect().await
    }

    async fn past(&self, key: DeliveryKey, seen: Seen) -> Result<Past, JobError> {
        let decision: Option<Decision> = match seen.is_decided {
            true => self.read(&key, DECIDED).await?,
            false => None,
        };
        let end: Option<End> = match seen.is_ended {
            true => self.read(&key, ENDED).await?,
            false => None,
        };
        let failure: Option<Failure> = match (seen.is_ended, seen.failed) {
            (false, number) if number > 0 => self.read(&key, &failed(number)).await?,
            _ => None,
        };
        let state = match (&decision, &end) {
            (_, Some(End::Published { .. })) => PastState::Published,
            (_, Some(End::Skipped { .. })) => PastState::Skipped,
            (_, Some(End::Withdrawn { .. })) => PastState::Withdrawn,
            (Some(_), None) => PastState::Decided,
            (None, None) => PastState::Open,
        };
        let DeliveryKey { job, due, user_id } = key;
        let mut past = Past {
            job,
            due,
            user_id,
            state,
            attempts: seen.attempts,
            made_at: None,
            complete_up_to: None,
            may_miss_rows: false,
            rows: None,
            why: failure.map(|failure| failure.why),
            files: Vec::new(),
        };
        match decision {
            Some(Decision::Publish(made)) => {
                past.may_miss_rows = made.may_miss_rows();
                past.made_at = Some(made.made_at.to_string());
                past.complete_up_to = made.complete_up_to;
                past.rows = Some(made.rows);
                past.files = made.files;
            }
            Some(Decision::Skip { why, .. }) => past.why = Some(why),
            None => {}
        }
        if let Some(End::Withdrawn { why, .. }) = end {
            past.why = Some(why);
        }
        Ok(past)
    }
}
