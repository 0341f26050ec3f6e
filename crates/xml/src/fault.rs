//! Why a document is not read.

/// Why a document is not read, and where that was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at byte {position}: {why}")]
pub struct Fault {
    /// Where, counted in bytes from the start of the text.
    pub position: u64,
    /// Why.
    pub why: Why,
}

/// Why a document is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// It is not well-formed XML; in which way.
    #[error("{0}")]
    Malformed(String),
    /// It has a construct that is never read, since it could reach outside of the document, blow it up, or be understood in two ways.
    #[error("{0} is refused")]
    Forbidden(&'static str),
    /// A prefix that nothing declares.
    #[error("a namespace prefix is not declared")]
    UndeclaredPrefix,
    /// Elements are nested deeper than this limit.
    #[error("elements are nested deeper than {0}")]
    TooDeep(usize),
}
