//! Files that come whole after they came cut short: what could not be read of the cut one is settled.
//!
//! A source is known by its content, so a whole file is another source than the part of it that came before. That it is that part is
//! proved, not guessed: its first bytes hash to the identity of the cut one. What stands there was read with the whole file, or is a
//! dead letter of that, so the letters of the cut one stand for nothing any more.

use crate::batch::dismissal;
use crate::error::IngestError;
use crate::plan::{Source, identities_of_parts};
use gridtrail_lake::{Lake, SourceEvidence, Writer};
use gridtrail_model::Timestamp;
use std::collections::BTreeSet;

/// A file whose letters are to be settled: how long it was, and its source.
struct Cut {
    size: u64,
    source: String,
}

/// Settles the open letters of files that these files are the whole of. How many.
///
/// Cost: nothing where no file ever left a letter; else all evidence is read, and so is each file up to the length of the longest that
/// left one. Errors: `Lake`, `File`.
pub(crate) async fn settle(lake: &Lake, files: Vec<Source>) -> Result<u64, IngestError> {
    if files.is_empty() || lake.dead_letters().await?.is_empty() {
        return Ok(0);
    }
    let fates = lake.letter_fates().await?;
    let mut writer = lake.writer().await?;
    let mut cut = Vec::new();
    for (source, _, open) in fates.sources().filter(|(source, ..)| source.starts_with("file:")) {
        let size = writer.position(source).and_then(|size| u64::try_from(size).ok());
        if let Some(size) = size.filter(|_| !open.is_empty()) {
            cut.push(Cut { size, source: source.to_owned() });
        }
    }
    let mut settled = 0;
    for whole in files {
        let read = writer.position(&whole.id).and_then(|at| u64::try_from(at).ok());
        if read != Some(whole.size) {
            continue;
        }
        for source in begins_with(&whole, &cut).await? {
            let Some((.., open)) = fates.sources().find(|(one, ..)| *one == source) else { continue };
            let about = SourceEvidence::of_letters(&source, &whole.path.display().to_string());
            let event = Some(format!("the whole file came since, and was read, as {}", whole.id));
            let evidence = SourceEvidence { event, dismissed_at: open, ..about };
            settled += commit(&mut writer, evidence, lake.clock().now()).await?;
            cut.retain(|cut| cut.source != source);
        }
    }
    Ok(settled)
}

/// Which of the cut files a whole one begins with.
async fn begins_with(whole: &Source, cut: &[Cut]) -> Result<Vec<String>, IngestError> {
    let sizes: BTreeSet<u64> = cut.iter().map(|cut| cut.size).collect();
    if sizes.is_empty() {
        return Ok(Vec::new());
    }
    let (of, sizes) = (whole.clone(), sizes.into_iter().collect::<Vec<_>>());
    let hashing = tokio::task::spawn_blocking(move || identities_of_parts(&of, &sizes)).await;
    let identities = hashing.map_err(|_| IngestError::Internal("reading a file's identity panicked"))??;
    let is_part = |source: &String| *source != whole.id && identities.contains(source);
    Ok(cut.iter().map(|cut| cut.source.clone()).filter(is_part).collect())
}

async fn commit(writer: &mut Writer, evidence: SourceEvidence, now: Timestamp) -> Result<u64, IngestError> {
    let letters = evidence.dismissed_at.len();
    tracing::info!(letters, file = evidence.name, "settled what a file had left that came cut short before");
    writer.commit(dismissal(vec![evidence], now)).await?;
    Ok(letters)
}
