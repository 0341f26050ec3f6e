//! Files of reports: whole or not there, each with what it is and a checksum beside it.

mod received;

use crate::about::About;
use crate::output::{Output, OutputError, OutputFormat};
use crate::report::Report;
use arrow::array::RecordBatch;
use sha2::{Digest as _, Sha256};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

pub use received::ReceivedFile;

/// Why a file of a report was not written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// There is one of that name.
    #[error("{} exists: name another file, or remove this one", .0.display())]
    Exists(PathBuf),
    /// The file or its folder could not be used.
    #[error("{doing} {}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's own error.
        #[source]
        source: io::Error,
    },
    /// The rows could not be written down.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// What came is not what was sent.
    #[error("what came of the report is not what was sent: its checksum is another; run it again")]
    Damaged,
}

/// A file of a report that is being written. Until [`OutputFile::publish`] it has another name, `.tmp` and some letters, in the same folder: dropped,
/// it is gone, and a process that is killed leaves that behind and nothing else.
#[derive(Debug)]
pub struct OutputFile {
    path: PathBuf,
    folder: PathBuf,
    about: About,
    output: Output<Counted>,
}

/// A file whose bytes are hashed as they are written.
#[derive(Debug)]
struct Counted {
    file: BufWriter<NamedTempFile>,
    hash: Sha256,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl OutputFile {
    /// Begins a file.
    ///
    /// Errors: `Exists`, `Io`, `Output`.
    pub fn create(
        path: &Path,
        format: OutputFormat,
        report: &Report,
        about: &About,
    ) -> Result<Self, FileError> {
        let (folder, to) = Self::begin(path)?;
        let output = Output::new(format, report, about, to)?;
        Ok(Self { path: path.to_owned(), folder, about: about.clone(), output })
    }

    /// The folder of a file that is not there yet, and where its bytes go until it is.
    fn begin(path: &Path) -> Result<(PathBuf, Counted), FileError> {
        if path.exists() {
            return Err(FileError::Exists(path.to_owned()));
        }
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        let file = NamedTempFile::new_in(&folder).map_err(failed("write to", &folder))?;
        Ok((folder, Counted { file: BufWriter::new(file), hash: Sha256::new() }))
    }

    /// Writes some rows.
    ///
    /// Errors: `Output`.
    pub fn write(&mut self, rows: &RecordBatch) -> Result<(), FileError> {
        Ok(self.output.write(rows)?)
    }

    /// Gives the file its name, with a description (`.about.json`) and the checksums of both (`.sha256`) beside it, and says how many rows it has.
    /// Those come first: whoever sees the file sees what belongs to it.
    ///
    /// Errors: `Exists` where somebody else wrote one meanwhile, `Io`, `Output`.
    pub fn publish(self) -> Result<u64, FileError> {
        let Self { path, folder, about, output } = self;
        let (counted, rows) = output.finish()?;
        Self::name((path, folder), &about, counted, rows)
    }

    /// Gives a file that is written its name.
    fn name(
        (path, folder): (PathBuf, PathBuf),
        about: &About,
        counted: Counted,
        rows: u64,
    ) -> Result<u64, FileError> {
        let file = counted.file.into_inner().map_err(|error| failed("write", &path)(error.into_error()))?;
        file.as_file().sync_all().map_err(failed("write", &path))?;
        let said = about.json(rows).and_then(|said| serde_json::to_vec_pretty(&said));
        let mut said = said.map_err(OutputError::Json)?;
        said.push(b'\n');
        let (about_path, sums_path) = (beside(&path, ".about.json"), beside(&path, ".sha256"));
        let sums = [(&path, counted.hash.finalize()), (&about_path, Sha256::digest(&said))];
        let sums: String =
            sums.map(|(path, hash)| format!("{}  {}\n", hex::encode(hash), name_of(path))).concat();
        if path.exists() {
            return Err(FileError::Exists(path));
        }
        put(&folder, &about_path, &said)?;
        put(&folder, &sums_path, sums.as_bytes())?;
        readable(file.as_file()).map_err(failed("write", &path))?;
        file.persist_noclobber(&path).map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => FileError::Exists(path.clone()),
            _ => failed("write", &path)(error.error),
        })?;
        sync(&folder).map_err(failed("write to", &folder))?;
        Ok(rows)
    }
}

fn failed<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> FileError + use<'a> {
    move |source| FileError::Io { doing, path: path.to_owned(), source }
}

/// A small file, whole or not there.
fn put(folder: &Path, path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let write = || {
        let mut file = NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        readable(file.as_file())?;
        file.as_file().sync_all()?;
        file.persist(path).map(drop).map_err(|error| error.error)
    };
    write().map_err(failed("write", path))
}

/// Temporary files are for their owner alone; a report is for whoever its folder lets in.
#[cfg(unix)]
fn readable(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(std::fs::Permissions::from_mode(0o640))
}

#[cfg(not(unix))]
fn readable(_file: &File) -> io::Result<()> {
    Ok(())
}

/// Makes names last.
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
