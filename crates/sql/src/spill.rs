//! What a statement holds beyond its memory: sorts, aggregates and joins put it into files of a folder that the operator names, and read it again.
//!
//! A file has no name from when it is made, as far as the system can make such: nobody else opens it, and it goes with the statement, however that
//! or the process ends. The rows in it are those that the statement's caller may see, for it is written above the row filter.

use crate::error::{SpillError, TooLarge};
use bytes::Bytes;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SpillFile, SpillWriter, TempFileFactory};
use futures::{Stream, stream};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::task::spawn_blocking;

/// Bytes that are read of a file in one go.
const CHUNK_BYTES: usize = 128 * 1024;

/// Where statements put what does not fit into their memory, and how much one of them may put there. Clones are of one folder, and count together.
#[derive(Debug, Clone)]
pub struct Spill {
    folder: Arc<Path>,
    bytes_max: u64,
    all: Arc<Counts>,
}

/// Of all statements.
#[derive(Debug, Default)]
struct Counts {
    written: AtomicU64,
    held: AtomicU64,
}

impl Spill {
    /// Into a folder that is there, up to so many bytes of one statement at a time.
    ///
    /// Errors: those of making a file there.
    pub fn into_folder(folder: PathBuf, bytes_max: u64) -> io::Result<Self> {
        tempfile::tempfile_in(&folder)?;
        Ok(Self { folder: folder.into(), bytes_max, all: Arc::default() })
    }

    /// Bytes that were written by now.
    pub fn written(&self) -> u64 {
        self.all.written.load(Ordering::Relaxed)
    }

    /// Bytes that are held just now.
    pub fn held(&self) -> u64 {
        self.all.held.load(Ordering::Relaxed)
    }

    /// The files of one session.
    pub(crate) fn of_session(&self) -> Arc<dyn TempFileFactory> {
        Arc::new(Files { spill: self.clone(), held: Arc::default() })
    }
}

/// The files of one session.
#[derive(Clone)]
struct Files {
    spill: Spill,
    held: Arc<AtomicU64>,
}

impl Files {
    /// Takes room for some more bytes.
    fn take(&self, bytes: u64) -> std::result::Result<(), TooLarge> {
        let max = self.spill.bytes_max;
        let taken = self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
            held.checked_add(bytes).filter(|held| *held <= max)
        });
        if taken.is_err() {
            let mib = max >> 20;
            return Err(TooLarge(format!(
                "what it holds beyond its memory comes to more than {mib} MiB of temporary files"
            )));
        }
        self.spill.all.written.fetch_add(bytes, Ordering::Relaxed);
        self.spill.all.held.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    fn give_back(&self, bytes: u64) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
        self.spill.all.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl TempFileFactory for Files {
    fn create_temp_file(&self, _: &str) -> Result<Arc<dyn SpillFile>> {
        let file = tempfile::tempfile_in(&self.spill.folder).map_err(SpillError::from)?;
        Ok(Arc::new(Spilled(Arc::new(Shared { file, bytes: AtomicU64::new(0), files: self.clone() }))))
    }
}

/// One file.
struct Spilled(Arc<Shared>);

/// What the writer of a file and its readers share. With the last of them, the file is gone.
struct Shared {
    file: File,
    bytes: AtomicU64,
    files: Files,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.files.give_back(self.bytes.load(Ordering::Relaxed));
    }
}

impl Shared {
    /// Bytes from a place on; none at the end.
    fn read(&self, from: u64) -> io::Result<Bytes> {
        let mut bytes = vec![0; CHUNK_BYTES];
        let read = read_at(&self.file, &mut bytes, from)?;
        bytes.truncate(read);
        Ok(bytes.into())
    }
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], from: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, bytes, from)
}

#[cfg(windows)]
fn read_at(file: &File, bytes: &mut [u8], from: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, bytes, from)
}

impl SpillFile for Spilled {
    fn size(&self) -> Option<u64> {
        Some(self.0.bytes.load(Ordering::Relaxed))
    }

    fn read_stream(&self) -> Result<Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>> {
        let reading = (Arc::clone(&self.0), 0);
        Ok(Box::pin(stream::try_unfold(reading, |(file, from)| async move {
            let read = Arc::clone(&file);
            let bytes = spawn_blocking(move || read.read(from)).await;
            // A read does not panic: then the runtime ends, and nobody waits.
            let bytes = bytes.map_err(|error| DataFusionError::External(Box::new(error)))?;
            let bytes = bytes.map_err(SpillError::from)?;
            let next = from + bytes.len() as u64;
            Ok((!bytes.is_empty()).then_some((bytes, (file, next))))
        })))
    }

    fn open_writer(&self) -> Result<Box<dyn SpillWriter>> {
        Ok(Box::new(Writer(Arc::clone(&self.0))))
    }
}

/// Writes a file, behind what it has.
struct Writer(Arc<Shared>);

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let file = &self.0;
        file.files.take(bytes.len() as u64).map_err(io::Error::other)?;
        file.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        // Nobody else moves its cursor: readers name the place that they read.
        (&file.file).write_all(bytes).map_err(|error| io::Error::other(SpillError::from(error)))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl SpillWriter for Writer {
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::TryStreamExt as _;

    async fn read(file: &Arc<dyn SpillFile>) -> Vec<u8> {
        let chunks: Vec<Bytes> = file.read_stream().unwrap().try_collect().await.unwrap();
        chunks.concat()
    }

    #[tokio::test]
    async fn files_are_read_as_they_were_written_and_leave_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let spill = Spill::into_folder(folder.path().to_owned(), 1 << 20).unwrap();
        let files = spill.of_session();
        let (one, other) = (files.create_temp_file("a").unwrap(), files.create_temp_file("b").unwrap());
        let long: Vec<u8> = (0..CHUNK_BYTES * 2 + 17).map(|n| n.to_le_bytes()[0]).collect();
        let mut writer = one.open_writer().unwrap();
        writer.write_all(&long[..1_000]).unwrap();
        assert_eq!(read(&one).await, long[..1_000], "also while it is written");
        other.open_writer().unwrap().write_all(b"other").unwrap();
        writer.write_all(&long[1_000..]).unwrap();
        writer.finish().unwrap();
        drop(writer);
        assert!(read(&one).await == long && read(&one).await == long);
        assert_eq!((read(&other).await, other.size()), (b"other".to_vec(), Some(5)));
        assert_eq!(spill.held(), long.len() as u64 + 5);
        #[cfg(target_os = "linux")]
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "no file has a name");
        drop(one);
        assert_eq!((spill.held(), spill.written()), (5, long.len() as u64 + 5));
    }

    /// The room is of one session: others have as much, and what is given back can be taken again.
    #[tokio::test]
    async fn a_session_has_so_much_room_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let spill = Spill::into_folder(folder.path().to_owned(), 3 << 20).unwrap();
        let (files, others) = (spill.of_session(), spill.of_session());
        let fill = |files: &Arc<dyn TempFileFactory>| {
            let file = files.create_temp_file("a").unwrap();
            let written = file.open_writer().unwrap().write_all(&vec![1; 2 << 20]);
            (file, written.map_err(|error| error.to_string()))
        };
        let (first, written) = fill(&files);
        assert_eq!(written, Ok(()));
        let (full, refused) = fill(&files);
        assert!(refused.unwrap_err().contains("more than 3 MiB of temporary files"));
        assert_eq!(full.size(), Some(0));
        assert_eq!(fill(&others).1, Ok(()));
        drop(first);
        assert_eq!(fill(&files).1, Ok(()));
    }

    #[test]
    fn a_folder_that_takes_no_files_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Spill::into_folder(folder.path().join("none"), 1).is_err());
    }
}
