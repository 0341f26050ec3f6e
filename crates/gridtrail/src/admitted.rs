//! Whoever asks a lake in this process, by a token of a local development key: who is let in, and where what they ask is recorded. Whoever can read
//! the files of a lake can read all of it, but what these commands give is what the token's bearer may see.

use crate::args::LapseTime;
use crate::exit::{Exit, Failure};
use crate::opening::open_existing;
use crate::rights::{Feed, keep_rights};
use crate::running::wait_for_detached;
use crate::serve::{other_than, role_matrix};
use gridtrail_access::{Access, Admission, DevKey};
use gridtrail_access_log::{AccessLog, Entry, Slot};
use gridtrail_lake::Lake;
use gridtrail_runtime::Clock;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio_util::task::AbortOnDropHandle;

/// Who is let in, and what follows their rights until what they ask is done: those that are lost meanwhile end it.
pub(crate) async fn admission(
    lake: &Lake,
    (key, roles, lapse): (&Path, Option<&Path>, LapseTime),
) -> Result<(Admission, AbortOnDropHandle<()>), Failure> {
    let roles = role_matrix(roles)?;
    let key = DevKey::from_pem(&crate::text::key(key)?);
    let key = key.map_err(|error| Failure::Argument { argument: "--key", reason: error.to_string() })?;
    let sharing = lake.sharing().await?;
    let admission = Admission::new(key.with_roles(roles).gatekeeper()?, sharing.current());
    let feed = Feed::new(lake.clone(), Duration::from_secs(lapse.seconds().into()));
    feed.judge(&admission);
    let following = tokio::spawn(keep_rights(feed, sharing, admission.clone()));
    Ok((admission, AbortOnDropHandle::new(following)))
}

/// The access log that takes the record of what is asked, and the lake that it is of.
pub(crate) type Log = (AccessLog, Lake);

/// Does what is asked of a lake, with the access log that takes its record: that of another lake that is named, or of the lake itself unless nothing
/// may be written to it. `by`: the command.
pub(crate) async fn recorded<T>(
    lake: &Lake,
    (calls, read_only): (Option<&str>, bool),
    by: &'static str,
    work: impl AsyncFnOnce(Option<Log>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let calls = match calls {
        Some(address) => Some(other_than(lake, open_existing(address).await?)?),
        None => (!read_only).then(|| lake.clone()),
    };
    let Some(calls) = calls else { return work(None).await };
    let (log, recording) = AccessLog::open(calls.access_log().await, Clock::system(), by).await?;
    let done = work(Some((log, calls.clone()))).await;
    // Whoever asked has the answer: a record that was noted and not written down is told, and no failure of what was asked.
    if let Err(error) = recording.close().await {
        tracing::warn!(%error, "the record of {by} could not be ended: its chain stays open");
    }
    wait_for_detached(lake).await;
    wait_for_detached(&calls).await;
    done
}

/// The record of one call. Given up before its end, it says so.
pub(crate) struct Call {
    began: Instant,
    clock: Clock,
    /// What is noted of it.
    pub(crate) entry: Entry,
    /// Room in the log, until it is noted. `None`: nothing is recorded.
    slot: Option<Slot>,
}

impl Call {
    /// A call of an admitted caller begins, over what a lake holds now.
    ///
    /// Errors: it cannot be recorded; then it is not to be worked on.
    pub(crate) fn begin(
        log: Option<&Log>,
        name: &'static str,
        (lake, who): (&Lake, &Access),
    ) -> Result<Self, Failure> {
        let slot = log.map(|(log, _)| log.slot()).transpose()?;
        let clock = lake.clock().clone();
        let mut entry = Entry::of(name, clock.now());
        entry.version = Some(lake.snapshot().version().to_string());
        entry.subject = Some(who.subject().to_owned());
        entry.party = Some(who.party().to_string());
        entry.session = who.session_id().map(str::to_owned);
        entry.roles = Some(who.roles().join(","));
        Ok(Self { began: Instant::now(), clock, entry, slot })
    }

    /// The end.
    pub(crate) fn end<T>(mut self, done: &Result<T, Failure>) {
        self.note(done.as_ref().map_or_else(|failure| outcome_of(failure.exit()), |_| "OK"));
    }

    fn note(&mut self, outcome: &'static str) {
        let Some(slot) = self.slot.take() else { return };
        (self.entry.at, self.entry.outcome) = (self.clock.now(), outcome.into());
        self.entry.took_us = u64::try_from(self.began.elapsed().as_micros()).ok();
        slot.note(self.entry.clone());
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.note("CANCELLED");
    }
}

/// The name of the gRPC status that a server would have given.
const fn outcome_of(exit: Exit) -> &'static str {
    match exit {
        Exit::Usage => "INVALID_ARGUMENT",
        Exit::NotFound => "NOT_FOUND",
        Exit::Denied => "PERMISSION_DENIED",
        Exit::Precondition | Exit::Unproven | Exit::Stale => "FAILED_PRECONDITION",
        Exit::Unavailable => "UNAVAILABLE",
        Exit::Stopped => "CANCELLED",
        Exit::Failed | Exit::NothingRead => "INTERNAL",
    }
}
