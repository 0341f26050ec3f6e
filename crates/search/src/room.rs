//! Room for what a question holds in memory that no page bounds.

/// That there is no room for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("hold more than there is room for")]
pub struct NoRoom;

/// What lends memory to a question that goes through the inventory. Whoever asks says what it holds, before it holds much more.
pub trait Room: Send + Sync {
    /// Has so many bytes held, in all, in place of what was held before. Errors: there is no room for so many, and what was held still is.
    fn hold(&self, bytes: usize) -> Result<(), NoRoom>;
}
