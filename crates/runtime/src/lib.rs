//! What every long-running part of gridtrail needs and none should make for itself: the clock, errors as a log
//! shows them, and files of private keys.
//!
//! **Invariant:** nothing else reads the time of day, so that a test can set it.
//! **Invariant:** no private key is read from a file that others can read or change.

mod causes;
mod clock;
mod key_file;

pub use causes::with_causes;
pub use clock::Clock;
pub use key_file::{KeyFileError, check_key_file, keep_files_private, read_key_file};
