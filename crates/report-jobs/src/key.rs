//! What a delivery is called: which job, which period, which User.

use gridtrail_model::{Timestamp, UserId};
use std::fmt;

/// What tells a delivery from all others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeliveryKey {
    /// The name of the job.
    pub job: String,
    /// When it is due.
    pub due: Timestamp,
    /// The User ID whose Access it is made under.
    pub user_id: UserId,
}

impl fmt::Display for DeliveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} for {}", self.job, self.due, self.user_id)
    }
}

/// A time as names of files and objects have it: `2026-04-01T0500Z`. What is due is so at a whole minute.
pub(crate) fn minute_of(at: Timestamp) -> String {
    let text = at.to_string();
    format!("{}{}Z", &text[..13], &text[14..16])
}

/// Reads what [`minute_of`] wrote.
pub(crate) fn read_minute(text: &str) -> Option<Timestamp> {
    let (hour, minute) = text.strip_suffix('Z')?.split_at_checked(13)?;
    let at: Timestamp = format!("{hour}:{minute}:00Z").parse().ok()?;
    (minute_of(at) == text).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_is_read_as_it_was_written() {
        let at: Timestamp = "2026-04-01T05:30:00Z".parse().unwrap();
        assert_eq!(minute_of(at), "2026-04-01T0530Z");
        assert_eq!(read_minute("2026-04-01T0530Z"), Some(at));
        for wrong in [
            "",
            "Z",
            "2026-04-01T0530",
            "2026-04-01T5:30Z",
            "2026-04-01T053Z",
            "2026-04-01T05300Z",
            "ä026-04-01T0530Z",
        ] {
            assert_eq!(read_minute(wrong), None, "{wrong}");
        }
    }
}
