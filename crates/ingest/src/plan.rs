//! Which files are read, from where.
//!
//! A file is known by its content: a source is `file:<SHA-256>`, so a file that was moved, copied or compressed is not read
//! twice, and one that changed is a new source. What the content alone does not say is part of the hash: the receipt time of
//! a plain DUIS file, and that a file holds events of access. When that is mended, the file is read again.

use crate::error::IngestError;
use crate::kinds::RecordKind;
use crate::name::{Content, FileName, Packing, is_sidecar, message_of, unpacked};
use crate::sidecar::{SidecarFault, receipt_of};
use crate::unpack::{self, is_broken};
use gridtrail_codec::capture::Envelope;
use gridtrail_codec::{Receipt, is_utf16};
use gridtrail_lake::Writer;
use gridtrail_model::Timestamp;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Bytes of a file that tell what it is: where a capture says so.
const HEAD_BYTES: usize = 64 << 10;

/// How the records of a file are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Form {
    /// Length-delimited protobuf.
    Frames,
    /// One JSON object a line.
    Lines,
    /// A capture of DUIS messages.
    Capture(Envelope),
    /// One DUIS message.
    Single(Receipted),
    /// Nothing in it can be found, for this reason: the file is one dead letter.
    Unreadable(String),
}

/// What is known of a plain message's receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Receipted {
    /// Its receipt, where it has one.
    Known(Option<Receipt>),
    /// The file's sidecar cannot be read, for this reason.
    Unreadable(String),
}

/// One file to read.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) id: String,
    pub(crate) kind: &'static RecordKind,
    pub(crate) form: Form,
    pub(crate) packing: Option<Packing>,
    /// Where reading goes on, in bytes of the content.
    pub(crate) from: u64,
    /// Bytes of the content, unpacked.
    pub(crate) size: u64,
    /// Sources of the same message without the receipt that it has now: each is one dead letter, which this one settles.
    pub(crate) settles: Vec<String>,
}

/// What there is to do.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) sources: Vec<Source>,
    /// Files that are in the lake already, or twice in the folder.
    pub(crate) known: u64,
    /// Files whose names tell of nothing that is read, and sidecars of no message.
    pub(crate) passed_over: Vec<PathBuf>,
}

/// What lies under a path.
#[derive(Debug, Default)]
struct FilesFound {
    files: Vec<(PathBuf, FileName)>,
    sidecars: Vec<PathBuf>,
    others: Vec<PathBuf>,
}

impl FilesFound {
    /// Errors: `File`; `Ending` when the path is a file whose name tells of nothing that is read.
    fn under(path: &Path) -> Result<Self, IngestError> {
        let mut found = Self::default();
        if path.is_dir() {
            found.walk(path)?;
            found.files.sort_by(|a, b| a.0.cmp(&b.0));
            found.settle_sidecars();
        } else {
            std::fs::metadata(path).map_err(|source| IngestError::File { path: path.to_owned(), source })?;
            let name = FileName::of(path).ok_or_else(|| IngestError::Ending(path.to_owned()))?;
            found.files.push((path.to_owned(), name));
        }
        Ok(found)
    }

    fn walk(&mut self, folder: &Path) -> Result<(), IngestError> {
        let failed = |source| IngestError::File { path: folder.to_owned(), source };
        for entry in std::fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            match FileName::of(&path) {
                _ if path.is_dir() && !is_sidecar(&path) => self.walk(&path)?,
                Some(name) => self.files.push((path, name)),
                None if is_sidecar(&path) => self.sidecars.push(path),
                None => self.others.push(path),
            }
        }
        Ok(())
    }

    /// A sidecar of no message is passed over like any other file, and told of: it may have been meant for one.
    fn settle_sidecars(&mut self) {
        let messages = self.files.iter().filter(|(_, name)| name.content == Content::Xml);
        let messages: HashSet<PathBuf> =
            messages.flat_map(|(path, _)| [path.clone(), unpacked(path).0]).collect();
        let strays = std::mem::take(&mut self.sidecars).into_iter();
        self.others.extend(strays.filter(|path| message_of(path).is_none_or(|of| !messages.contains(&of))));
        self.others.sort();
    }
}

/// Whether a folder itself holds event files, told by what is in them: other files have such names, too.
pub fn holds_events(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries.filter_map(Result::ok).any(|entry| {
        let path = entry.path();
        FileName::of(&path).is_some_and(|name| path.is_file() && begins_with_an_event(&path, &name))
    })
}

fn begins_with_an_event(path: &Path, name: &FileName) -> bool {
    let mut head = Vec::new();
    let read = unpack::open(path, name.packing, 0)
        .and_then(|input| input.take(HEAD_BYTES as u64).read_to_end(&mut head));
    if read.is_err() {
        return false;
    }
    let text = String::from_utf8_lossy(&head);
    match name.content {
        Content::Frames => !head.is_empty(),
        Content::Xml => Envelope::of(&head).is_ok() || text.contains("dccinterface.co.uk"),
        // Both spellings of proto3 JSON.
        Content::Lines => text.contains("\"eventId\"") || text.contains("\"event_id\""),
    }
}

/// Plans the files under a path against what the lake holds.
pub(crate) async fn plan(
    path: &Path,
    recorded_at: Option<Timestamp>,
    writer: &Writer,
) -> Result<Plan, IngestError> {
    let FilesFound { files, others, .. } = FilesFound::under(path)?;
    if files.is_empty() {
        return Err(IngestError::Nothing { path: path.to_owned(), others: others.len() });
    }
    let mut plan = Plan { passed_over: others, ..Plan::default() };
    let mut seen = HashSet::new();
    for (file, name) in files {
        let identify = move || identify(file, name, recorded_at);
        let mut source = tokio::task::spawn_blocking(identify)
            .await
            .map_err(|_| IngestError::Internal("reading a file's identity panicked"))??;
        let position = writer.position(&source.id);
        source.from = position.and_then(|p| u64::try_from(p).ok()).unwrap_or(0);
        source.settles.retain(|id| writer.position(id).is_some());
        if source.from >= source.size || !seen.insert(source.id.clone()) {
            plan.known += 1;
        } else {
            plan.sources.push(source);
        }
    }
    Ok(plan)
}

/// What going through the content of a file once tells.
struct Identity {
    hash: Sha256,
    head: Vec<u8>,
    size: u64,
}

impl Identity {
    fn of(path: &Path, packing: Option<Packing>) -> io::Result<Self> {
        let mut found = Self { hash: Sha256::new(), head: Vec::new(), size: 0 };
        let mut input = unpack::open(path, packing, 0)?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            let read = input.read(&mut buffer)?;
            if read == 0 {
                return Ok(found);
            }
            let room = HEAD_BYTES - found.head.len();
            found.head.extend_from_slice(&buffer[..read.min(room)]);
            found.size += read as u64;
            found.hash.update(&buffer[..read]);
        }
    }
}

/// The event files under a path, each with the source that it is now.
pub(crate) fn sources_under(path: &Path, recorded_at: Option<Timestamp>) -> Result<Vec<Source>, IngestError> {
    let files = FilesFound::under(path)?.files.into_iter();
    files.map(|(file, name)| identify(file, name, recorded_at)).collect()
}

fn identify(path: PathBuf, name: FileName, recorded_at: Option<Timestamp>) -> Result<Source, IngestError> {
    let FileName { content, packing, kind } = name;
    let failed = |source| IngestError::File { path: path.clone(), source };
    let (read, packing, broken) = match Identity::of(&path, packing) {
        Err(error) if packing.is_some() && is_broken(&error) => {
            // As it lies there: one letter, and another source once the whole of it comes.
            let reason = format!("{UNPACKABLE}: {error}; bring the whole file");
            (Identity::of(&path, None).map_err(failed)?, None, Some(reason))
        }
        read => (read.map_err(failed)?, packing, None),
    };
    let Identity { mut hash, head, size } = read;
    let mut settles = Vec::new();
    let form = match (broken, content) {
        (Some(reason), _) => Form::Unreadable(reason),
        (None, Content::Frames) => Form::Frames,
        (None, Content::Lines) if is_utf16(&head) => {
            Form::Unreadable("the file is UTF-16, and JSON is UTF-8; convert it".to_owned())
        }
        (None, Content::Lines) => Form::Lines,
        (None, Content::Xml) => match Envelope::of(&head) {
            Ok(envelope) => Form::Capture(envelope),
            Err(_) => {
                let receipted = receipted(&path, recorded_at);
                if let Receipted::Known(Some(_)) = receipted {
                    settles = [Receipted::Known(None), Receipted::Unreadable(String::new())]
                        .map(|before| id(hash.clone(), &before))
                        .into();
                }
                hash.update(said(&receipted));
                Form::Single(receipted)
            }
        },
    };
    kind.identity.into_iter().for_each(|identity| hash.update(identity));
    let id = format!("file:{}", hex::encode(hash.finalize()));
    Ok(Source { id, path, kind, form, packing, from: 0, size, settles })
}

/// The identities that the first bytes of a file would have as files, for each of these sizes, which ascend; as far as the file goes.
pub(crate) fn identities_of_parts(source: &Source, sizes: &[u64]) -> Result<Vec<String>, IngestError> {
    let mut identities = parts(source, source.packing, sizes)?;
    if source.packing.is_some() {
        // Of a compressed file that came cut short nothing could be unpacked: it is known as it lay there.
        identities.extend(parts(source, None, sizes)?);
    }
    Ok(identities)
}

fn parts(source: &Source, packing: Option<Packing>, sizes: &[u64]) -> Result<Vec<String>, IngestError> {
    let failed = |error| IngestError::File { path: source.path.clone(), source: error };
    let mut input = unpack::open(&source.path, packing, 0).map_err(failed)?;
    let (mut hash, mut at) = (Sha256::new(), 0);
    let mut identities = Vec::with_capacity(sizes.len());
    for size in sizes {
        let wanted = size - at;
        let read = io::copy(&mut (&mut input).take(wanted), &mut Hashed(&mut hash)).map_err(failed)?;
        if read < wanted {
            break;
        }
        at = *size;
        let mut part = hash.clone();
        if let (Form::Single(receipted), true) = (&source.form, packing == source.packing) {
            part.update(said(receipted));
        }
        source.kind.identity.into_iter().for_each(|identity| part.update(identity));
        identities.push(format!("file:{}", hex::encode(part.finalize())));
    }
    Ok(identities)
}

/// Hashes what is written to it.
struct Hashed<'a>(&'a mut Sha256);

impl io::Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How the reason of a letter that is a compressed file begins.
pub(crate) const UNPACKABLE: &str = "the compressed file cannot be unpacked";

fn id(mut content: Sha256, receipted: &Receipted) -> String {
    content.update(said(receipted));
    format!("file:{}", hex::encode(content.finalize()))
}

/// What stands in the hash for a receipt.
fn said(receipted: &Receipted) -> String {
    match receipted {
        Receipted::Known(receipt) => format!("{receipt:?}"),
        // However it is broken, the letter is the same.
        Receipted::Unreadable(_) => "a sidecar that cannot be read".to_owned(),
    }
}

/// What is known of the receipt of a plain DUIS file: what its sidecar says, or the time given for all files that have none.
fn receipted(path: &Path, recorded_at: Option<Timestamp>) -> Receipted {
    match receipt_of(path) {
        Ok(Some(receipt)) => Receipted::Known(Some(receipt)),
        Ok(None) => Receipted::Known(recorded_at.map(|recorded_at| Receipt { recorded_at, event_id: None })),
        Err(fault) => unreadable(&fault),
    }
}

fn unreadable(fault: &SidecarFault) -> Receipted {
    tracing::warn!(%fault, "a message is put aside");
    Receipted::Unreadable(fault.to_string())
}
