//! Keeping a server's rights in step with the events of access in its lake.

use crate::exit::Failure;
use gridtrail_access::{Admission, NoticeId, Sharing};
use gridtrail_lake::{Lake, SharingReader};
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

/// Has an admission go by the newest events of access, for ever. Should what follows them break down, nobody is let in until they
/// are read anew: what was granted may have been rescinded.
pub(crate) async fn keep_rights(lake: Lake, reader: SharingReader, admission: Admission) {
    until_it_ends(follow_rights(reader, admission.clone()), &admission).await;
    loop {
        until_it_ends(follow_anew(lake.clone(), admission.clone()), &admission).await;
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
async fn follow_anew(lake: Lake, admission: Admission) {
    let reader = loop {
        tokio::time::sleep(ANEW_AFTER).await;
        match lake.sharing().await {
            Ok(reader) => break reader,
            Err(error) => {
                tracing::warn!(error = Failure::from(error).report(), "events of access could not be read");
            }
        }
    };
    admission.replace(reader.current());
    tracing::info!("it is known anew who shares with whom");
    follow_rights(reader, admission).await;
}

/// Has an admission go by the newest events of access, for ever.
async fn follow_rights(mut reader: SharingReader, admission: Admission) {
    let mut refused = HashSet::new();
    tell_refused(&reader, &mut refused);
    let mut age = Age::unknown(admission);
    loop {
        // What was committed before a refresh begins is seen by it; of what comes later that is not known.
        let began = Instant::now();
        match age.during(reader.refresh()).await {
            Ok(changed) => {
                let anew = changed || age.trust == Trust::Suspended;
                age.renew(began, anew.then(|| reader.current()));
                if anew {
                    tracing::info!("it is known anew who shares with whom");
                    tell_refused(&reader, &mut refused);
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

/// Tells, once each, of notifications that the DCC confirmed and that count for nothing, or for less than they name.
fn tell_refused(reader: &SharingReader, told: &mut HashSet<(NoticeId, String)>) {
    for refused in reader.current().refused() {
        let refused = (refused.id, refused.why.to_string());
        if !told.contains(&refused) {
            let (notification, why) = (refused.0.as_str(), refused.1.as_str());
            tracing::warn!(notification, why, "a confirmed notification is refused, or a part of it");
            told.insert(refused);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gridtrail_access::{AccessErrorKind, Bearer, DevKey, OrgId};
    use gridtrail_lake::LakeSettings;
    use gridtrail_model::Timestamp;
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
        let _following = AbortOnDropHandle::new(tokio::spawn(follow_anew(lake, admission.clone())));
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
}
