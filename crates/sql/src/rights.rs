//! Whether a caller may still see what a statement was begun with.

use crate::error::SqlError;
use crate::limits::RIGHTS_EVERY;
use gridtrail_access::{Access, Admission};
use gridtrail_runtime::Clock;
use std::sync::Arc;

/// Judges a caller anew, time and again while a statement runs: by their token, the session that it stands for, and who shares with whom.
#[derive(Clone)]
pub struct Rights {
    admission: Admission,
    token: Arc<str>,
}

/// A token is nobody's to print.
impl std::fmt::Debug for Rights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rights").finish_non_exhaustive()
    }
}

impl Rights {
    /// By the token that the caller was admitted with, and who admitted them.
    pub fn new(admission: Admission, token: &str) -> Self {
        Self { admission, token: token.into() }
    }

    /// Whether nothing that is known here has changed since the caller was admitted: then there is nothing to judge anew but whether their
    /// session holds.
    pub(crate) fn are_unchanged(&self, who: &Access, clock: &Clock) -> bool {
        self.admission.is_current(who, clock.now())
    }

    /// Demands that the caller may see all that they could see. Waits while it is in doubt who shares with whom. Cancel-safe.
    ///
    /// Errors: `Access`; `RightsChanged`.
    pub(crate) async fn confirm(&self, who: &Access, clock: &Clock) -> Result<(), SqlError> {
        let again = self.admission.admit(&self.token, clock.now()).await?;
        if Self::are_kept(who, &again) { Ok(()) } else { Err(SqlError::RightsChanged) }
    }

    /// Waits until the caller may no longer see all that they could see, and says why.
    pub async fn lost(self, who: Access, clock: Clock) -> SqlError {
        loop {
            tokio::time::sleep(RIGHTS_EVERY).await;
            if let Err(lost) = self.confirm(&who, &clock).await {
                return lost;
            }
        }
    }

    /// Whether a caller who is admitted again may see all that they could see before: the same Users' rows, by the same components.
    pub fn are_kept(before: &Access, again: &Access) -> bool {
        before.user_ids().are_within(again.user_ids())
            && before.own_user_ids().are_within(again.own_user_ids())
            && before.components().iter().all(|component| again.permits(component))
    }
}
