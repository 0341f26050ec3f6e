//! The proof holds where everything adds up, and names what does not.

mod audit;
mod bytes;
