//! Keeping a server's rights in step with the events of access in its lake.

use crate::exit::Failure;
use gridtrail_access::{Admission, NoticeId};
use gridtrail_lake::SharingReader;
use std::collections::HashSet;
use std::pin::pin;
use std::time::Duration;
use tokio::time::Instant;

/// How often new events of access are looked for: a rescission holds within a second of its ingest, with time to read it.
const EVERY: Duration = Duration::from_millis(250);
/// How long a server goes on by what it knows when the lake does not answer. After that it lets nobody in: what was granted may
/// have been rescinded.
const AGE_MAX: Duration = Duration::from_secs(60);

/// Has an admission go by the newest events of access, for ever.
pub(crate) async fn follow_rights(mut reader: SharingReader, admission: Admission) {
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
