//! How many files a process may have open, connections among them.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Files that are kept back for the lake, its store and all else, where there are twice as many: a look-up of a lake in a file system
/// opens a file for each thread that reads, of which there are 512 at most.
const KEPT_BACK: u64 = 1024;

/// How many files this process may have open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileLimit(u64);

impl FileLimit {
    /// The limit of this process, raised as far as the system lets it.
    pub fn raised() -> Self {
        let limit = getrlimit(Resource::Nofile);
        let most = limit.maximum.unwrap_or(u64::MAX);
        let now = limit.current.unwrap_or(u64::MAX);
        let raised = rustix::process::Rlimit { current: limit.maximum, ..limit };
        match setrlimit(Resource::Nofile, raised) {
            Ok(()) => Self(most),
            // Some systems give less than they say. What there is has to do.
            Err(error) => {
                tracing::debug!(%error, most, "the limit of open files is not raised");
                Self(now)
            }
        }
    }

    /// How many connections there can be in all: what is kept back for the rest is a half at most.
    pub fn connections(self) -> u32 {
        let left = self.0 - KEPT_BACK.min(self.0 / 2);
        u32::try_from(left).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_kept_back_for_all_else() {
        assert_eq!(FileLimit(256).connections(), 128);
        assert_eq!(FileLimit(1024).connections(), 512);
        assert_eq!(FileLimit(65_536).connections(), 64_512);
        assert_eq!(FileLimit(u64::MAX).connections(), u32::MAX);
        assert!(FileLimit::raised().connections() > 0);
    }
}
