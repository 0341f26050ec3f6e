//! A streaming reader of XML for hostile input: what every reader of XML from others refuses, in one place.
//!
//! It goes through a document once, holds no tree and resolves namespaces. It refuses what is not well-formed, what could reach
//! outside of the document and what could make a small one large: document type declarations, entities other than the five that
//! XML predefines, characters that XML 1.0 does not allow, however they are written, prefixes that nothing declares, more than
//! one root element, and nesting and namespaces beyond the limits of [`Rules`].
//!
//! Left to those who use it: which characters the bytes are, how long a document may be, and attributes of one name, for looking
//! for those takes a time that grows with the square of their number.
//!
//! **Invariant:** nothing is read from anywhere but the text that was handed in.

mod character;
mod fault;
mod reader;

pub use character::is_space;
pub use fault::{Fault, Why};
pub use reader::{Node, Reader, Rules, attribute_value};
