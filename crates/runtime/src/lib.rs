//! What every long-running part of gridtrail needs and none should make for itself: the clock, and files of private keys.
//!
//! **Invariant:** nothing else reads the time of day, so that a test can set it.
//! **Invariant:** no private key is read from a file that others can read or change.

mod clock;
mod key_file;

pub use clock::Clock;
pub use key_file::{KeyFileError, check_key_file, keep_files_private, read_key_file};
