//! Receipt sidecars: the time that a plain DUIS file does not say itself.
//!
//! **Invariant:** only what is not there counts as absent. A sidecar that is there and cannot be read says so, and its message
//! takes no other time (decision 0079).

use crate::name::{Packing, sidecars_of};
use crate::unpack;
use gridtrail_codec::{Receipt, limits::SIDECAR_BYTES_MAX};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A sidecar that is there and cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {fault}; mend it and take the message in again, or replay its letter", Self::BEGINNING, .sidecar.display())]
pub(crate) struct SidecarFault {
    sidecar: PathBuf,
    fault: String,
}

impl SidecarFault {
    /// How every such reason of a dead letter begins.
    pub(crate) const BEGINNING: &str = "receipt sidecar ";
}

/// The receipt in the sidecar of a message; `None` when it has none.
pub(crate) fn receipt_of(message: &Path) -> Result<Option<Receipt>, SidecarFault> {
    let mut found: Option<(PathBuf, Receipt)> = None;
    for (sidecar, packing) in sidecars_of(message) {
        let fault = |fault: String| SidecarFault { sidecar: sidecar.clone(), fault };
        let Some(bytes) = bytes_of(&sidecar, packing).map_err(|error| fault(error.to_string()))? else {
            continue;
        };
        let receipt = Receipt::from_sidecar(&bytes).map_err(|error| fault(error.to_string()))?;
        match &found {
            Some((other, said)) if *said != receipt => {
                return Err(fault(format!("it says another receipt than {}", other.display())));
            }
            _ => found = Some((sidecar, receipt)),
        }
    }
    Ok(found.map(|(_, receipt)| receipt))
}

/// The bytes of a sidecar, and no more of them than make it too long; `None` when there is nothing of its name.
fn bytes_of(path: &Path, packing: Option<Packing>) -> io::Result<Option<Vec<u8>>> {
    // A link that leads nowhere is there, too.
    match fs::symlink_metadata(path) {
        Ok(_) => {}
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidFilename) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    }
    // To open a pipe would be to wait for its other end.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut bytes = Vec::new();
    unpack::open(path, packing, 0)?.take(SIDECAR_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}
