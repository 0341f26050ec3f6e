//! The Status Change History of a trail.

use crate::{ParseError, ResponseCode, State, Timestamp};
use std::fmt;
use std::str::FromStr;

/// Which instruction of a future-dated command an `8F66` or `8F67` alert is about, as DUIS counts them
/// (`InstructionNumber` of `TotalCommandInstructions`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instruction {
    /// This instruction, counted from 1.
    pub number: u16,
    /// How many the command has.
    pub total: u16,
}

/// Why a state was entered, in the source's own words: up to 120 bytes without control characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cause(Box<str>);

impl Cause {
    /// The most bytes that a cause may have.
    pub const BYTES_MAX: usize = 120;
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Cause {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.is_empty() || text.len() > Self::BYTES_MAX || text.chars().any(char::is_control) {
            return Err(ParseError::new("cause", "1 to 120 bytes without control characters", text));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &self.0)
    }
}

/// One entry of the Status Change History, identified by its whole content: a duplicate event makes no second
/// entry, and no event id needs to be kept.
///
/// `state` is the state as the event tells it. What a response code means depends on the Command Variant, which
/// the event may not know; [`crate::Trail`] settles that when it shows the entry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HistoryEntry {
    /// When the state was entered.
    pub at: Timestamp,
    /// The state.
    pub state: State,
    /// The response code that came with it.
    pub code: Option<ResponseCode>,
    /// The instruction that it is about, for a future-dated command.
    pub instruction: Option<Instruction>,
    /// Why, where the source says so.
    pub cause: Option<Cause>,
}

impl HistoryEntry {
    /// An entry with nothing but its state and time.
    pub fn new(state: State, at: Timestamp) -> Self {
        Self { at, state, code: None, instruction: None, cause: None }
    }

    /// Whether it is the report of a Device on an instruction of a future-dated command. Such a report has an
    /// identifier of its own; any other answer to a request mirrors the RequestID.
    pub(crate) fn is_report(&self) -> bool {
        matches!(self.state, State::InstructionDone | State::InstructionFailed)
    }
}
