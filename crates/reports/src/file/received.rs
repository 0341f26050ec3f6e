//! Files of reports that somebody else wrote down.

use super::{Counted, FileError, OutputFile, failed};
use crate::about::About;
use sha2::Digest as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// A file of a report that comes as bytes, as a server sends it. It is whole or not there, with the same beside it, as an
/// [`OutputFile`](super::OutputFile).
#[derive(Debug)]
pub struct ReceivedFile {
    path: PathBuf,
    folder: PathBuf,
    about: About,
    counted: Counted,
}

impl ReceivedFile {
    /// Begins a file.
    ///
    /// Errors: `Exists`, `Io`.
    pub fn create(path: &Path, about: &About) -> Result<Self, FileError> {
        let (folder, counted) = OutputFile::begin(path)?;
        Ok(Self { path: path.to_owned(), folder, about: about.clone(), counted })
    }

    /// Writes the next bytes.
    ///
    /// Errors: `Io`.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.counted.write_all(bytes).map_err(failed("write", &self.path))
    }

    /// Gives the file its name, where it has so many rows and its checksum is that of what was sent.
    ///
    /// Errors: `Damaged`, `Exists`, `Io`, `Output`.
    pub fn publish(self, rows: u64, sha256: &str) -> Result<u64, FileError> {
        if hex::encode(self.counted.hash.clone().finalize()) != sha256 {
            return Err(FileError::Damaged);
        }
        OutputFile::name((self.path, self.folder), &self.about, self.counted, rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::Sha256;
    use std::collections::BTreeMap;

    fn about() -> About {
        About {
            report: "test".to_owned(),
            title: "Test Report".to_owned(),
            version: 1,
            users: Vec::new(),
            party: "region".to_owned(),
            asked_by: "somebody".to_owned(),
            parameters: BTreeMap::new(),
            complete_up_to: None,
            needed_up_to: None,
            fresh_enough: false,
            lake_version: "1".to_owned(),
            made_at: "2026-04-02T12:00:00Z".parse().unwrap(),
        }
    }

    /// What came otherwise than it was sent, or not to its end, is no file.
    #[test]
    fn a_file_that_comes_is_what_was_sent_or_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("march.csv");
        let names = || std::fs::read_dir(folder.path()).unwrap().count();
        let sum = hex::encode(Sha256::digest(b"a,b\r\n1,2\r\n"));
        let received = |bytes: &[u8]| {
            let mut file = ReceivedFile::create(&path, &about()).unwrap();
            file.write(&bytes[..3]).unwrap();
            file.write(&bytes[3..]).unwrap();
            file
        };
        drop(received(b"a,b\r\n1,2\r\n"));
        let damaged = received(b"a,b\r\n1,3\r\n").publish(1, &sum).unwrap_err();
        assert!(matches!(damaged, FileError::Damaged), "{damaged}");
        assert_eq!(names(), 0);
        assert_eq!(received(b"a,b\r\n1,2\r\n").publish(1, &sum).unwrap(), 1);
        assert_eq!(std::fs::read(&path).unwrap(), b"a,b\r\n1,2\r\n");
        let sums = std::fs::read_to_string(folder.path().join("march.csv.sha256")).unwrap();
        assert!(sums.starts_with(&format!("{sum}  march.csv\n")), "{sums}");
        let said = std::fs::read_to_string(folder.path().join("march.csv.about.json")).unwrap();
        assert!(said.contains("\"row_count\": 1") && said.contains("Test Report"), "{said}");
        assert_eq!(names(), 3);
        assert!(matches!(ReceivedFile::create(&path, &about()), Err(FileError::Exists(_))));
    }
}
