//! Keeping a server's rights in step with the events of access in its lake.

use crate::exit::Failure;
use gridtrail_access::{Admission, NoticeId};
use gridtrail_lake::{Lake, SharingReader};
use std::collections::HashSet;
use std::pin::pin;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

/// How often new events of access are looked for: a rescission holds within a second of its ingest, with time to read it.
const EVERY: Duration = Duration::from_millis(250);
/// How long a server goes on by what it knows when the lake does not answer. After that it lets nobody in: what was granted may
/// have been rescinded.
const AGE_MAX: Duration = Duration::from_secs(60);

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
    let (mut confirmed, mut suspended) = (Instant::now(), false);
    loop {
        tokio::time::sleep(EVERY).await;
        let done = {
            let mut refreshing = pin!(reader.refresh());
            tokio::select! {
                done = &mut refreshing => done,
                () = tokio::time::sleep_until(confirmed + AGE_MAX), if !suspended => {
                    suspend(&admission, &mut suspended);
                    // A refresh is not to be dropped half-way.
                    refreshing.await
                }
            }
        };
        match done {
            Ok(changed) => {
                confirmed = Instant::now();
                if changed || suspended {
                    admission.replace(reader.current());
                    suspended = false;
                    tracing::info!("it is known anew who shares with whom");
                    tell_refused(&reader, &mut refused);
                }
            }
            Err(error) => {
                tracing::warn!(error = Failure::from(error).report(), "events of access could not be read");
                if confirmed.elapsed() >= AGE_MAX {
                    suspend(&admission, &mut suspended);
                }
            }
        }
    }
}

fn suspend(admission: &Admission, suspended: &mut bool) {
    if !*suspended {
        tracing::error!(
            seconds = AGE_MAX.as_secs(),
            "events of access cannot be read; nobody is let in until they can"
        );
        admission.suspend();
        *suspended = true;
    }
}

/// Tells, once each, of notifications that the DCC confirmed and that count for nothing.
fn tell_refused(reader: &SharingReader, told: &mut HashSet<NoticeId>) {
    for refused in reader.current().refused() {
        if told.insert(refused.id.clone()) {
            let (notification, why) = (refused.id.as_str(), refused.why.to_string());
            tracing::warn!(notification, why, "a confirmed notification counts for nothing");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gridtrail_access::{AccessErrorKind, Bearer, DevKey, OrgId, Sharing};
    use gridtrail_lake::LakeSettings;
    use gridtrail_model::Timestamp;
    use gridtrail_runtime::Clock;
    use std::collections::BTreeSet;
    use std::sync::Arc;

    #[tokio::test]
    async fn nobody_is_let_in_from_when_rights_are_no_longer_followed_until_they_are_read_anew() {
        let key = DevKey::generate().unwrap();
        let at: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
        let bearer = Bearer {
            subject: "ann".into(),
            party: "Avon".parse().unwrap(),
            org_id: OrgId::GrantedOnly,
            user_ids: BTreeSet::new(),
            roles: BTreeSet::new(),
            valid_from: at,
            expires_at: at.plus_millis(60_000),
        };
        let token = key.mint(&bearer).unwrap();
        let admission = Admission::new(key.gatekeeper().unwrap(), Arc::new(Sharing::default()));
        admission.admit(&token, at).await.unwrap();
        until_it_ends(async { panic!("damaged") }, &admission).await;
        let refused = admission.admit(&token, at).await.unwrap_err();
        assert_eq!(refused.kind(), AccessErrorKind::Unavailable);

        let lake = Lake::open(LakeSettings::at("memory:///rights"), Clock::system()).await.unwrap();
        let _following = AbortOnDropHandle::new(tokio::spawn(follow_anew(lake, admission.clone())));
        while admission.admit(&token, at).await.is_err() {
            tokio::time::sleep(EVERY).await;
        }
    }
}
