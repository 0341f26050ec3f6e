//! Keeping dead letters in order: few files, and none that is settled and too old.

use super::{DeadLetter, Extent, FILE_BYTES, read, tag_of, write};
use crate::error::LakeError;
use crate::evidence::{CommitKind, SourceEvidence};
use crate::kept_for::{DROPS, Went, months_of};
use crate::month::Month;
use crate::spans::Spans;
use crate::tables::fates::Fate;
use crate::tables::side_files::{by_name, upload_after};
use crate::tables::table::{Expiry, Gathering};
use gridtrail_model::Timestamp;
use gridtrail_runs::gather::{fence, moved};
use gridtrail_runs::{Changes, NewFile, RunsError, TableFile};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What makes files of dead letters fewer, up to the commit. Files of earlier versions stay as they are: they do not say how much they hold,
/// nor always whether a letter is whole.
pub(super) async fn gather(of: &Gathering<'_>) -> Result<Option<Changes>, RunsError> {
    let weight = |file: &TableFile| tag_of(file).map_or(u64::MAX, |tag| tag.bytes);
    let Some(files) = of.consecutive(by_name(of.table), weight, FILE_BYTES as u64).await? else {
        return Ok(None);
    };
    let mut letters = Vec::new();
    for (file, bytes) in &files {
        letters.extend(read(bytes.clone(), of.table.full_path(&file.path)?.as_ref())?);
    }
    let files = files.into_iter().map(|(file, _)| file).collect();
    of.replace(files, write(&letters.iter().collect::<Vec<_>>())?).await.map(Some)
}

/// What goes of dead letters.
#[derive(Default)]
struct Going {
    letters: u64,
    remove: Vec<Arc<TableFile>>,
    /// Files of what stays of those.
    add: Vec<NewFile>,
    /// By source: its name, and where the letters stand that evidence names.
    named: BTreeMap<String, (String, Spans)>,
}

/// Lets go dead letters that are settled and were put aside in a month that is due.
///
/// The evidence says so first; where that is all that is done, they go the next time. Memory: a file.
pub(super) async fn expire(of: &mut Expiry<'_>) -> Result<Went, LakeError> {
    let first_kept = Month::of(of.site.now()).minus(months_of(of.main));
    of.table.refresh().await?;
    let (going, mut went) = letters_to_go(of, first_kept).await?;
    went.rows = going.letters;
    if going.remove.is_empty() || of.dry {
        return Ok(went);
    }
    let now_ms = of.site.now().millis();
    let evidence = |(source, (name, spans)): (String, (String, Spans))| {
        let mut evidence = SourceEvidence::of_letters(&source, &name);
        (evidence.expired_at, evidence.committed_at_ms) = (spans, now_ms);
        evidence.seal = evidence.sealed_by();
        evidence
    };
    let sources: Vec<SourceEvidence> = going.named.into_iter().map(evidence).collect();
    let evidence = Some(json!({ "kind": CommitKind::Retention.name(), "sources": sources }));
    of.main.commit(&Changes { now_ms, evidence, ..Changes::default() }).await?;
    let table = &mut *of.table;
    let moves = [DROPS.to_owned(), fence(None)].map(|app_id| moved(table, app_id)).to_vec();
    let (add, remove) = (going.add, going.remove);
    let changes = Changes { add, remove, moves, now_ms, drops: true, ..Changes::default() };
    let committed = table.commit_unless_moved(&changes).await?;
    Ok(went.unless_overtaken(committed))
}

async fn letters_to_go(of: &Expiry<'_>, first_kept: Month) -> Result<(Going, Went), LakeError> {
    let (mut going, mut went) = (Going::default(), Went::default());
    let before = |ms: i64| Timestamp::from_millis(ms).map(Month::of).is_some_and(|month| month < first_kept);
    let table = &*of.table;
    let mut files = by_name(table);
    // Files of earlier versions hold what was put aside just before they were written.
    files.retain(|file| before(tag_of(file).map_or(file.written_ms, |tag| tag.oldest_ms)));
    if files.is_empty() {
        return Ok((going, went));
    }
    let fates = (of.fates)().await?;
    for file in files {
        let bytes = of.site.read_file(table, &file).await;
        let held = match bytes.and_then(|(path, bytes)| read(bytes, path.as_ref())) {
            Ok(held) => held,
            Err(error) => {
                of.site.leave_alone(error, &[&table.full_path(&file.path)?])?;
                went.refused += 1;
                continue;
            }
        };
        let stays = |letter: &DeadLetter| {
            fates.of(&letter.source, letter.position) == Some(Fate::Open) || !before(letter.read_at.millis())
        };
        let (stay, go): (Vec<_>, Vec<_>) = held.into_iter().partition(stays);
        // Written anew, a letter of which nothing says whether it is whole would say that it is.
        if go.is_empty() || stay.iter().any(|letter| letter.extent == Extent::Unsaid) {
            continue;
        }
        if !stay.is_empty() && !of.dry {
            let made = write(&stay.iter().collect::<Vec<_>>())?;
            going.add.push(upload_after(table, std::slice::from_ref(&file), made).await?);
        }
        going.letters += go.len() as u64;
        for letter in go {
            let named = fates.of(&letter.source, letter.position).is_some();
            let name = letter.source_name;
            let of = going.named.entry(letter.source).or_insert_with(|| (name, Spans::default()));
            if named {
                of.1.insert(letter.position);
            }
        }
        going.remove.push(file);
    }
    Ok((going, went))
}
