//! Which files are read, from where.
//!
//! A file is known by its content: a source is `file:<SHA-256>`, so a file that was moved or copied is not read
//! twice, and one that changed is a new source. What the content alone does not say is part of the hash: the receipt time of
//! a plain DUIS file, and that a file holds events of access. When that is mended, the file is read again.

use crate::error::IngestError;
use crate::kind::Kind;
use crate::limits::XML_FILE_BYTES;
use gridtrail_codec::{Receipt, capture};
use gridtrail_lake::Writer;
use gridtrail_model::Timestamp;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// How the records of a file are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Form {
    /// Length-delimited protobuf.
    Frames,
    /// One JSON object a line.
    Lines,
    /// A capture envelope of DUIS messages.
    Capture,
    /// One DUIS message, with its receipt where there is one.
    Single(Option<Receipt>),
}

/// One file to read.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) id: String,
    pub(crate) kind: Kind,
    pub(crate) form: Form,
    pub(crate) from: u64,
    pub(crate) size: u64,
}

/// What there is to do.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) sources: Vec<Source>,
    /// Files that are in the lake already, or twice in the folder.
    pub(crate) known: u64,
}

/// Every event file under a path, in order of name; the path may be a file itself.
pub(crate) fn event_files(path: &Path) -> Result<Vec<PathBuf>, IngestError> {
    let failed = |source| IngestError::File { path: path.to_owned(), source };
    let mut files = Vec::new();
    if path.is_dir() {
        for entry in std::fs::read_dir(path).map_err(failed)? {
            let entry = entry.map_err(failed)?.path();
            if entry.is_dir() {
                files.extend(event_files(&entry)?);
            } else if extension(&entry).is_some() {
                files.push(entry);
            }
        }
        files.sort();
    } else {
        std::fs::metadata(path).map_err(failed)?;
        files.push(path.to_owned());
    }
    Ok(files)
}

fn extension(path: &Path) -> Option<&'static str> {
    let found = path.extension()?.to_str()?;
    ["binpb", "jsonl", "xml"].into_iter().find(|known| found.eq_ignore_ascii_case(known))
}

/// Plans the files under a path against what the lake holds.
pub(crate) async fn plan(
    path: &Path,
    recorded_at: Option<Timestamp>,
    writer: &Writer,
) -> Result<Plan, IngestError> {
    let files = event_files(path)?;
    if files.is_empty() {
        return Err(IngestError::Nothing(path.to_owned()));
    }
    let mut plan = Plan::default();
    let mut seen = HashSet::new();
    for file in files {
        let identify = move || identify(file, recorded_at);
        let mut source = tokio::task::spawn_blocking(identify)
            .await
            .map_err(|_| IngestError::Internal("reading a file's identity panicked"))??;
        let position = writer.position(&source.id);
        source.from = position.and_then(|p| u64::try_from(p).ok()).unwrap_or(0);
        if source.from >= source.size || !seen.insert(source.id.clone()) {
            plan.known += 1;
        } else {
            plan.sources.push(source);
        }
    }
    Ok(plan)
}

pub(crate) fn identify(path: PathBuf, recorded_at: Option<Timestamp>) -> Result<Source, IngestError> {
    let failed = |source| IngestError::File { path: path.clone(), source };
    let mut hash = Sha256::new();
    let mut file = File::open(&path).map_err(failed)?;
    let mut buffer = vec![0; 1 << 20];
    let mut head = Vec::new();
    let mut size = 0u64;
    loop {
        let read = file.read(&mut buffer).map_err(failed)?;
        if read == 0 {
            break;
        }
        if head.is_empty() {
            head.extend_from_slice(&buffer[..read]);
        }
        size += read as u64;
        hash.update(&buffer[..read]);
    }
    let form = match extension(&path) {
        Some("binpb") => Form::Frames,
        Some("jsonl") => Form::Lines,
        _ if capture::is_capture(&head) => Form::Capture,
        _ => {
            let receipt = receipt(&path, recorded_at);
            hash.update(format!("{receipt:?}"));
            Form::Single(receipt)
        }
    };
    let kind = Kind::of_file(&path);
    if kind == Kind::Access {
        // Read under another name, the same bytes are another thing.
        hash.update("events of access");
    }
    if matches!(form, Form::Capture | Form::Single(_)) && size > XML_FILE_BYTES {
        let source = std::io::Error::other("it is larger than 256 MiB; split it into several captures");
        return Err(IngestError::File { path, source });
    }
    Ok(Source { id: format!("file:{}", hex(&hash.finalize())), path, kind, form, from: 0, size })
}

/// The receipt of a plain DUIS file: its sidecar's, or the time given for all files that have none.
fn receipt(path: &Path, recorded_at: Option<Timestamp>) -> Option<Receipt> {
    let mut sidecar = path.as_os_str().to_owned();
    sidecar.push(".receipt.json");
    let beside =
        std::fs::read(PathBuf::from(sidecar)).ok().and_then(|bytes| Receipt::from_sidecar(&bytes).ok());
    beside.or_else(|| recorded_at.map(|recorded_at| Receipt { recorded_at, event_id: None }))
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
