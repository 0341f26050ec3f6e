//! Keeping a server's rights in step with the events of access in its lake.

use crate::exit::Failure;
use crate::metrics;
use gridtrail_access::{
    Admission, Cause, Moment, NoticeId, Refused, Scope, Sharing, Suspension, holds_access_events,
};
use gridtrail_lake::{Lake, SharingReader};
use gridtrail_model::Timestamp;
use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

/// How often new events of access are looked for: a rescission holds within a second of its ingest, with time to read it.
const EVERY: Duration = Duration::from_millis(250);
/// How old what is known may be: a rescission holds within a second of its ingest. When the lake does not answer in that time,
/// callers wait until it does.
const AGE_MAX: Duration = Duration::from_secs(1);
/// How long callers wait for that. Then they are told, and nobody is let in: what was granted may have been rescinded.
const DOUBT_MAX: Duration = Duration::from_secs(10);

/// How long to wait before the events of access are read anew from their beginning.
const ANEW_AFTER: Duration = Duration::from_secs(1);

/// The topics that events of access come by, and how long they may stand still.
///
/// A topic is complete up to a time that goes on with the ingest's looks at the brokers, whether or not anything is told: what stands still is
/// an ingest that is gone, or cannot go on. Files say nothing of the kind: one that was read says nothing of the next, so events of access
/// that come by files alone are not judged (decision 0093).
#[derive(Clone)]
pub(crate) struct Feed {
    lake: Lake,
    lapse_ms: i64,
}

impl Feed {
    pub(crate) fn new(lake: Lake, lapse: Duration) -> Self {
        Self { lake, lapse_ms: i64::try_from(lapse.as_millis()).unwrap_or(i64::MAX) }
    }

    /// Up to when the topics of events of access are complete: `None` where that is not known of one. The outer `None`: there is no
    /// such topic.
    fn complete_up_to(&self) -> Option<Option<Timestamp>> {
        let snapshot = self.lake.snapshot();
        let of_access = snapshot.partitions().iter().filter(|p| holds_access_events(&p.stream.topic));
        // The least: one that nobody knows is less than any.
        of_access.map(|partition| partition.complete_up_to).min()
    }

    /// Has what was granted lapse while the topics stand still for too long, and count again when they do not.
    pub(crate) fn judge(&self, admission: &Admission) {
        let now = self.lake.clock().now();
        let told = self.complete_up_to();
        let is_current = |at: Timestamp| now.millis() - at.millis() <= self.lapse_ms;
        let lapsed = told.is_some_and(|at| !at.is_some_and(is_current));
        metrics::rights_lapsed(lapsed);
        if !admission.lapse(lapsed) {
            return;
        }
        let complete_up_to = told.flatten().map_or("never".to_owned(), |at| at.to_string());
        if lapsed {
            tracing::error!(
                complete_up_to,
                hours = self.lapse_ms / 3_600_000,
                "the topics of events of access stand still: what Parties granted each other counts no longer, own User IDs do"
            );
        } else {
            tracing::info!(
                complete_up_to,
                "events of access come again: what Parties granted each other counts"
            );
        }
    }
}

/// Has an admission go by the newest events of access, for ever. Should what follows them break down, nobody is let in until they
/// are read anew: what was granted may have been rescinded.
pub(crate) async fn keep_rights(feed: Feed, reader: SharingReader, admission: Admission) {
    until_it_ends(follow_rights(feed.clone(), reader, admission.clone()), &admission).await;
    loop {
        until_it_ends(follow_anew(feed.clone(), admission.clone()), &admission).await;
    }
}

/// Waits until what follows the events of access ends, which only a panic can do, and has the admission let nobody in from then on.
async fn until_it_ends(following: impl Future<Output = ()> + Send + 'static, admission: &Admission) {
    // What a panic says may quote data, so it is left to the panic hook.
    let _ = AbortOnDropHandle::new(tokio::spawn(following)).await;
    admission.suspend();
    tracing::error!("events of access are no longer followed; nobody is let in until they are read anew");
}

/// Reads the events of access from their beginning, as soon as they can be, and follows them.
async fn follow_anew(feed: Feed, admission: Admission) {
    let reader = loop {
        tokio::time::sleep(ANEW_AFTER).await;
        match feed.lake.sharing().await {
            Ok(reader) => break reader,
            Err(error) => {
                tracing::warn!(error = Failure::from(error).report(), "events of access could not be read");
            }
        }
    };
    admission.replace(reader.current());
    tracing::info!("it is known anew who shares with whom");
    follow_rights(feed, reader, admission).await;
}

/// Has an admission go by the newest events of access, for ever.
async fn follow_rights(feed: Feed, mut reader: SharingReader, admission: Admission) {
    let mut told = Told::default();
    told.tell(&reader);
    let mut age = Age::unknown(admission.clone());
    loop {
        // What was committed before a refresh begins is seen by it; of what comes later that is not known.
        let began = Instant::now();
        let refreshed = age.during(reader.refresh()).await;
        // Also when the lake does not answer: what stands still grows old.
        feed.judge(&admission);
        match refreshed {
            Ok(changed) => {
                let anew = changed || age.trust == Trust::Suspended;
                age.renew(began, anew.then(|| reader.current()));
                if anew {
                    tracing::info!("it is known anew who shares with whom");
                    told.tell(&reader);
                }
            }
            Err(error) => {
                tracing::warn!(error = Failure::from(error).report(), "events of access could not be read");
            }
        }
        age.during(tokio::time::sleep(EVERY)).await;
    }
}

/// How far what is known can be gone by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    Known,
    InDoubt,
    Suspended,
}

/// How old that is which an admission goes by.
struct Age {
    admission: Admission,
    trust: Trust,
    since: Instant,
}

impl Age {
    /// Of what was read, but not known when.
    fn unknown(admission: Admission) -> Self {
        admission.doubt();
        Self { admission, trust: Trust::InDoubt, since: Instant::now() }
    }

    /// Does something to its end, for a refresh is not to be dropped half-way, while what is known grows older.
    async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = tokio::time::sleep_until(self.since + AGE_MAX), if self.trust == Trust::Known => {
                    self.admission.doubt();
                    self.trust = Trust::InDoubt;
                }
                () = tokio::time::sleep_until(self.since + DOUBT_MAX), if self.trust == Trust::InDoubt => {
                    self.admission.suspend();
                    self.trust = Trust::Suspended;
                    let seconds = DOUBT_MAX.as_secs();
                    tracing::error!(seconds, "events of access cannot be read; nobody is let in until they can");
                }
            }
        }
    }

    /// What is known is as of this time: the same as before, or another state.
    fn renew(&mut self, since: Instant, another: Option<Arc<Sharing>>) {
        match another {
            Some(sharing) => self.admission.replace(sharing),
            None => self.admission.confirm(),
        }
        (self.trust, self.since) = (Trust::Known, since);
    }
}

/// What was told of what does not fit, or could not be read.
#[derive(Default)]
struct Told {
    refused: HashSet<(NoticeId, String)>,
    suspended: HashSet<Cause>,
}

impl Told {
    /// Tells, once each, of notifications that the DCC confirmed and that do not fit what is known, and of what suspends pairs.
    fn tell(&mut self, reader: &SharingReader) {
        let sharing = reader.current();
        for Refused { id, why } in sharing.refused() {
            let why = why.to_string();
            let notification = id.to_string();
            if self.refused.insert((id, why.clone())) {
                tracing::warn!(notification, why, "a confirmed notification does not fit what is known");
            }
        }
        let suspensions = sharing.suspensions(Moment::Now(Timestamp::MAX));
        metrics::suspensions(suspensions.len());
        self.suspended.retain(|cause| suspensions.iter().any(|now| now.cause == *cause));
        for Suspension { cause, scope, place, .. } in suspensions {
            if !self.suspended.insert(cause.clone()) {
                continue;
            }
            let by = match (&cause, place) {
                (_, Some(place)) => place,
                (Cause::Letter(id), None) => id.as_str().to_owned(),
                (Cause::Notice(id), None) => id.to_string(),
            };
            if scope == Scope::Nobody {
                tracing::error!(
                    by,
                    "an event of access may have ended what was granted, and names nobody: settle it"
                );
            } else {
                tracing::error!(
                    by,
                    "an event of access suspends pairs until it is settled: `gridtrail access suspensions`"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gridtrail_access::{AccessErrorKind, Bearer, DevKey, OrgId};
    use gridtrail_lake::{Batch, LakeSettings, SourceEvidence, Stream};
    use gridtrail_runtime::Clock;
    use std::collections::BTreeSet;

    fn at() -> Timestamp {
        "2026-03-01T00:00:00Z".parse().unwrap()
    }

    /// An admission, and a token that it lets in.
    fn stage() -> (Admission, String) {
        let key = DevKey::generate().unwrap();
        let bearer = Bearer {
            subject: "ann".into(),
            party: "Avon".parse().unwrap(),
            org_id: OrgId::GrantedOnly,
            user_ids: BTreeSet::new(),
            roles: BTreeSet::new(),
            valid_from: at(),
            expires_at: at().plus_millis(60_000),
        };
        let admission = Admission::new(key.gatekeeper().unwrap(), Arc::new(Sharing::default()));
        (admission, key.mint(&bearer).unwrap())
    }

    #[tokio::test]
    async fn nobody_is_let_in_from_when_rights_are_no_longer_followed_until_they_are_read_anew() {
        let (admission, token) = stage();
        admission.admit(&token, at()).await.unwrap();
        until_it_ends(async { panic!("damaged") }, &admission).await;
        let refused = admission.admit(&token, at()).await.unwrap_err();
        assert_eq!(refused.kind(), AccessErrorKind::Unavailable);

        let lake = Lake::open(LakeSettings::at("memory:///rights"), Clock::system()).await.unwrap();
        let feed = Feed::new(lake, Duration::from_secs(60));
        let _following = AbortOnDropHandle::new(tokio::spawn(follow_anew(feed, admission.clone())));
        while admission.admit(&token, at()).await.is_err() {
            tokio::time::sleep(EVERY).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn callers_wait_for_rights_that_grow_old_and_are_refused_when_they_have() {
        let (admission, token) = stage();
        let admit = || admission.admit(&token, at());
        let began = Instant::now();
        let mut age = Age::unknown(admission.clone());
        let waited = age.during(async {
            // The lake takes its time at the start.
            tokio::time::timeout(Duration::from_secs(9), admit()).await
        });
        assert!(waited.await.is_err(), "what is not known to be new lets nobody in");
        age.renew(Instant::now(), None);
        admit().await.unwrap();
        // Rights are good for a second, then callers wait for the next answer of the lake.
        let renewed = Instant::now();
        let admitted = age.during(async {
            tokio::time::sleep_until(renewed + AGE_MAX - Duration::from_millis(1)).await;
            admit().await.unwrap();
            tokio::time::sleep(Duration::from_millis(2)).await;
            tokio::time::timeout(Duration::from_secs(2), admit()).await
        });
        assert!(admitted.await.is_err());
        age.renew(Instant::now(), Some(Arc::new(Sharing::default())));
        admit().await.unwrap();
        // It answers no more.
        let refused = age.during(async {
            tokio::time::sleep(AGE_MAX * 2).await;
            admit().await.unwrap_err()
        });
        assert_eq!(refused.await.kind(), AccessErrorKind::Unavailable);
        assert_eq!(age.trust, Trust::Suspended);
        assert!(began.elapsed() < Duration::from_secs(60), "the clock is the test's own");
    }
    /// A topic of access is complete up to its last mark; beyond the setting nothing that was granted counts, and files have no say in it.
    #[tokio::test]
    async fn what_was_granted_lapses_while_a_topic_of_access_stands_still() {
        let clock = Clock::manual(Clock::system().now());
        let lake = Lake::open(LakeSettings::at("memory:///feed"), clock.clone()).await.unwrap();
        let (admission, _) = stage();
        let feed = Feed::new(lake.clone(), Duration::from_secs(3_600));
        // `lapse` says whether it was another state before.
        let lapsed = || {
            feed.judge(&admission);
            let was = !admission.lapse(true);
            admission.lapse(was);
            was
        };
        let pass = |seconds: i64| clock.advance(seconds * 1_000);
        let mut writer = lake.writer().await.unwrap();
        let stream = |topic: &str| Stream {
            cluster: "c".into(),
            topic: topic.into(),
            id: topic.into(),
            partitions: 2,
        };
        pass(90_000);
        assert!(!lapsed(), "by files alone nothing stands still");
        writer.declare(&[stream("gridtrail.service-events.v1")]).await.unwrap();
        assert!(!lapsed(), "that is no topic of access");
        let access = stream("gridtrail.access-events.v1");
        writer.declare(std::slice::from_ref(&access)).await.unwrap();
        assert!(lapsed(), "nobody knows up to when it is complete");
        let mut positions = [0, 0];
        let mut commit = async |partitions: &[usize]| {
            let sources = partitions.iter().map(|partition| {
                let from = positions[*partition];
                positions[*partition] += 1;
                SourceEvidence {
                    source: access.source(i32::try_from(*partition).unwrap()),
                    name: format!("{}/{partition}", access.topic),
                    first: from == 0,
                    from,
                    to: from + 1,
                    complete_up_to_ms: Some(clock.now().millis()),
                    ..SourceEvidence::default()
                }
            });
            let batch = Batch { sources: sources.collect(), ..Batch::default() };
            writer.commit(batch).await.unwrap();
        };
        commit(&[0]).await;
        assert!(lapsed(), "of one partition it is not known");
        commit(&[0, 1]).await;
        assert!(!lapsed());
        pass(3_600);
        assert!(!lapsed());
        pass(1);
        assert!(lapsed(), "it stands still");
        commit(&[0, 1]).await;
        assert!(!lapsed(), "it goes on, though nothing was told");
    }
}
