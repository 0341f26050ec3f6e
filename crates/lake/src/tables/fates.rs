//! What became of dead letters, as the evidence has it.

use crate::commit_evidence::{Commit, Evidence};
use crate::spans::Spans;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What became of a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// Nothing yet: no search finds what it says.
    Open,
    /// It was read again, and its event is in the lake.
    Replayed,
    /// A person declared that it is no event.
    Dismissed,
}

/// What became of all dead letters, as the evidence has it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Fates(BTreeMap<String, OfSource>);

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct OfSource {
    put_aside: Spans,
    replayed: Spans,
    dismissed: Spans,
    expired: Spans,
}

impl Fates {
    /// Takes in the evidence of a commit.
    pub fn take(&mut self, commit: &Commit) {
        for evidence in &commit.sources {
            let Evidence::Whole(evidence) = evidence else { continue };
            if let Some(source) = evidence.letters_of() {
                let of = self.0.entry(source.to_owned()).or_default();
                of.replayed.insert_all(&evidence.replayed_at);
                of.dismissed.insert_all(&evidence.dismissed_at);
                of.expired.insert_all(&evidence.expired_at);
            } else if !evidence.dead_lettered_at.is_empty() {
                let of = self.0.entry(evidence.source.clone()).or_default();
                of.put_aside.insert_all(&evidence.dead_lettered_at);
            }
        }
    }

    /// Takes in what became of letters by later commits.
    pub(crate) fn absorb(&mut self, later: Self) {
        for (source, more) in later.0 {
            let of = self.0.entry(source).or_default();
            of.put_aside.insert_all(&more.put_aside);
            of.replayed.insert_all(&more.replayed);
            of.dismissed.insert_all(&more.dismissed);
            of.expired.insert_all(&more.expired);
        }
    }

    /// Every source of which letters were settled, with where those stand.
    pub(crate) fn settled(&self) -> impl Iterator<Item = (&str, Spans)> {
        self.0.iter().map(|(source, of)| {
            let mut settled = of.replayed.clone();
            settled.insert_all(&of.dismissed);
            (source.as_str(), settled)
        })
    }

    /// What became of the letter at a position. `None`: no evidence has one there.
    pub fn of(&self, source: &str, position: i64) -> Option<Fate> {
        let of = self.0.get(source)?;
        if of.replayed.contains(position) {
            Some(Fate::Replayed)
        } else if of.dismissed.contains(position) {
            Some(Fate::Dismissed)
        } else {
            of.put_aside.contains(position).then_some(Fate::Open)
        }
    }

    /// The positions of a source's letters that retention took out of their table.
    pub fn expired(&self, source: &str) -> Spans {
        self.0.get(source).map(|of| of.expired.clone()).unwrap_or_default()
    }

    /// Every source that has or had letters, with the positions of all of them and of those that are open.
    pub fn sources(&self) -> impl Iterator<Item = (&str, &Spans, Spans)> {
        self.0.iter().map(|(source, of)| {
            let open = of.put_aside.without(&of.replayed).without(&of.dismissed);
            (source.as_str(), &of.put_aside, open)
        })
    }
}
