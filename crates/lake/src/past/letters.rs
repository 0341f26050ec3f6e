//! Dead letters with what became of each, for operators: the table has what was put aside, and the evidence what came of it.

use crate::error::LakeError;
use crate::lake::Lake;
use crate::tables::dead_letters::{DeadLetter, LetterReader};
use crate::tables::fates::{Fate, Fates};
use std::collections::HashSet;

/// Which letters are looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LetterFilter {
    /// Only those of sources whose name or id holds this text.
    pub source: Option<String>,
    /// Only those whose reason holds this text.
    pub reason: Option<String>,
    /// Also those that were replayed or dismissed.
    pub settled: bool,
}

impl LetterFilter {
    /// Whether a letter of which this became is looked for.
    pub fn takes(&self, fate: Fate, letter: &DeadLetter) -> bool {
        let holds = |text: &String| letter.source.contains(text) || letter.source_name.contains(text);
        (self.settled || fate == Fate::Open)
            && self.source.as_ref().is_none_or(holds)
            && self.reason.as_ref().is_none_or(|text| letter.reason.contains(text))
    }
}

/// Letters of a lake, one file after the other, each once and with what became of it.
#[derive(Debug)]
pub struct Letters {
    reader: LetterReader,
    fates: Fates,
    seen: HashSet<(String, i64)>,
}

impl Lake {
    /// Every dead letter that evidence names, with what became of it: raw records are nobody's rows, so this is for operators, and no service
    /// that a User reaches calls it.
    ///
    /// Cost: that of [`Lake::letter_fates`]. Errors: `Unavailable`.
    pub async fn letters(&self) -> Result<Letters, LakeError> {
        // The letters first: what the evidence names is among them then, or was dismissed by it.
        let reader = self.dead_letters().await?;
        Ok(Letters { reader, fates: self.letter_fates().await?, seen: HashSet::new() })
    }
}

impl Letters {
    /// The letters of the next file, oldest first, that `wanted` lets through. `None` after the last file.
    ///
    /// Cost: a file, which is in memory as a whole. Errors: `Unavailable`, `Corrupt`.
    pub async fn next(
        &mut self,
        wanted: impl Fn(Fate, &DeadLetter) -> bool,
    ) -> Result<Option<Vec<(Fate, DeadLetter)>>, LakeError> {
        let Some(letters) = self.reader.next().await? else { return Ok(None) };
        let mut found = Vec::new();
        for letter in letters {
            let Some(fate) = self.fates.of(&letter.source, letter.position) else { continue };
            if wanted(fate, &letter) && self.seen.insert((letter.source.clone(), letter.position)) {
                found.push((fate, letter));
            }
        }
        Ok(Some(found))
    }
}
