//! Arguments of what each caller may ask of a server.

use clap::Args;
use gridtrail_server::{CallerLimits, Limits};
use std::num::NonZeroU32;

/// The heading of these arguments in the help of a server.
const HEADING: &str = "Limits of one caller";

/// What each caller may ask of a server: a person who logged in, or a program with a token of its own.
#[derive(Debug, Clone, Args)]
pub struct CallerArgs {
    /// Calls of one person at the same time.
    #[arg(long, value_name = "CALLS", default_value = "8", help_heading = HEADING)]
    pub person_at_once: NonZeroU32,
    /// Calls of one person a minute.
    #[arg(long, value_name = "CALLS", default_value = "600", help_heading = HEADING)]
    pub person_calls: NonZeroU32,
    /// Rows of one person a minute, by the sizes of the pages that they ask for.
    #[arg(long, value_name = "ROWS", default_value = "100000", help_heading = HEADING)]
    pub person_rows: NonZeroU32,
    /// Calls of one program at the same time.
    #[arg(long, value_name = "CALLS", default_value = "128", help_heading = HEADING)]
    pub program_at_once: NonZeroU32,
    /// Calls of one program a minute.
    #[arg(long, value_name = "CALLS", default_value = "60000", help_heading = HEADING)]
    pub program_calls: NonZeroU32,
    /// Rows of one program a minute, by the sizes of the pages that it asks for.
    #[arg(long, value_name = "ROWS", default_value = "6000000", help_heading = HEADING)]
    pub program_rows: NonZeroU32,
}

impl CallerArgs {
    pub(crate) const fn limits(&self) -> Limits {
        Limits {
            person: CallerLimits {
                at_once: self.person_at_once,
                calls_a_minute: Some(self.person_calls),
                rows_a_minute: Some(self.person_rows),
            },
            program: CallerLimits {
                at_once: self.program_at_once,
                calls_a_minute: Some(self.program_calls),
                rows_a_minute: Some(self.program_rows),
            },
        }
    }
}
