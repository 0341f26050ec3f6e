//! Files of text that are named on the command line: settings, tokens, keys, lists.
//!
//! They are UTF-8. A byte order mark, as editors on Windows write it, is passed over.

use crate::exit::Failure;
use gridtrail_codec::{is_utf16, without_mark};
use gridtrail_runtime::{KeyFileError, check_key_file, read_key_file};
use std::io::{self, Read};
use std::path::Path;

/// The text of a file; of standard input where the path is `-`.
pub(crate) fn read(path: &Path) -> Result<String, Failure> {
    let no_text = |_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8");
    String::from_utf8(bytes(path)?).map_err(no_text).map_err(Failure::file("read", path))
}

/// The text of a file of a private key or another secret, which others can neither read nor change.
pub(crate) fn key(path: &Path) -> Result<String, Failure> {
    let no_text = |_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8");
    String::from_utf8(key_bytes(path)?).map_err(no_text).map_err(Failure::file("read", path))
}

/// The bytes of such a file.
pub(crate) fn key_bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    unmarked(&read_key_file(path).map_err(refused)?).map_err(Failure::file("read", path))
}

/// Judges such a file, which something else will read.
pub(crate) fn check_key(path: &Path) -> Result<(), Failure> {
    check_key_file(path).map_err(refused)
}

fn refused(error: KeyFileError) -> Failure {
    match error {
        KeyFileError::Read { path, source } => Failure::file("read", &path)(source),
        refused => Failure::KeyFile(refused),
    }
}

/// The bytes of a file of text, such as PEM: what looks for a line finds the first, too.
pub(crate) fn bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut found = Vec::new();
    let read = if path.as_os_str() == "-" {
        io::stdin().read_to_end(&mut found).map(drop)
    } else {
        std::fs::read(path).map(|bytes| found = bytes)
    };
    read.and_then(|()| unmarked(&found)).map_err(Failure::file("read", path))
}

fn unmarked(bytes: &[u8]) -> io::Result<Vec<u8>> {
    if is_utf16(bytes) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is UTF-16; save it as UTF-8"));
    }
    Ok(without_mark(bytes).to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_passed_over_and_utf16_is_named() {
        assert_eq!(unmarked(b"\xef\xbb\xbf-----BEGIN").unwrap(), b"-----BEGIN");
        assert_eq!(unmarked(b"a").unwrap(), b"a");
        assert_eq!(unmarked(b"").unwrap(), b"");
        for bytes in [&b"\xff\xfea\0"[..], b"a\0b\0"] {
            assert!(unmarked(bytes).unwrap_err().to_string().contains("UTF-16"));
        }
    }
}
