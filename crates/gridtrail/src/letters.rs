//! `gridtrail dead-letters`: records that could not be read, for the operator who settles them.
//!
//! A letter is shown with the control characters in it written out: what nobody could read is not to speak to a terminal.

use crate::args::{
    DismissLettersArgs, Format, LetterCommand, ListFormat, ListLettersArgs, ReplayLettersArgs,
    ShowLetterArgs, WhichLetters,
};
use crate::exit::Failure;
use crate::opening::open_existing;
use crate::output::{self, count_of, printable, table_with};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gridtrail_ingest::{Mended, Outcome, Replayed, Unreadable, dismiss_letters, replay_letters};
use gridtrail_lake::{DeadLetter, Extent, Fate, Lake, LakeError, LetterFilter, Letters};
use serde::Serialize;
use std::io;

/// Letters that are read again in one go, and their bytes: both bound the memory.
const AT_ONCE: usize = 10_000;
const BYTES_AT_ONCE: usize = 64 << 20;

pub(crate) async fn run(command: &LetterCommand, format: ListFormat) -> Result<(), Failure> {
    match command {
        LetterCommand::List(args) => list(args, format).await,
        LetterCommand::Show(args) => show(args, format.of_report()?).await,
        LetterCommand::Replay(args) => replay(args, format.of_report()?).await,
        LetterCommand::Dismiss(args) => dismiss(args, format.of_report()?).await,
    }
}

/// Which letters a command is about.
#[derive(Default)]
struct Wanted {
    /// `None`: whatever the filter lets through.
    named: Option<Vec<Named>>,
    filter: LetterFilter,
}

/// A letter as a person names it.
struct Named {
    /// The source's id or name.
    source: String,
    position: i64,
}

impl Named {
    fn is(&self, letter: &DeadLetter) -> bool {
        letter.position == self.position
            && (letter.source == self.source || letter.source_name == self.source)
    }
}

fn named(text: &str) -> Result<Named, Failure> {
    let parsed = text.rsplit_once('@').and_then(|(source, position)| {
        Some(Named { source: source.to_owned(), position: position.parse().ok()? })
    });
    parsed.ok_or_else(|| Failure::Argument {
        argument: "LETTER",
        reason: format!("{} is not NAME@POSITION, as in `gridtrail dead-letters list`", printable(text)),
    })
}

impl Wanted {
    fn of(which: &WhichLetters, letters: &[String], all: bool) -> Result<Self, Failure> {
        let named: Vec<Named> = letters.iter().map(|text| named(text)).collect::<Result<_, _>>()?;
        let filter =
            LetterFilter { source: which.source.clone(), reason: which.reason.clone(), settled: false };
        Ok(Self { named: (!all).then_some(named), filter })
    }

    /// With those that were settled.
    fn settled(self, settled: bool) -> Self {
        Self { filter: LetterFilter { settled, ..self.filter }, ..self }
    }

    fn takes(&self, fate: Fate, letter: &DeadLetter) -> bool {
        self.filter.takes(fate, letter)
            && self.named.as_ref().is_none_or(|named| named.iter().any(|one| one.is(letter)))
    }

    /// The letters of the next file that are wanted. `None` after the last file.
    async fn next_of(&self, letters: &mut Letters) -> Result<Option<Vec<(Fate, DeadLetter)>>, LakeError> {
        letters.next(|fate, letter| self.takes(fate, letter)).await
    }

    /// What was named must have been found, and mean one letter each.
    fn check(&self, found: &[(String, String, i64)]) -> Result<(), Failure> {
        for one in self.named.iter().flatten() {
            let means = |(source, name, position): &&(String, String, i64)| {
                *position == one.position && (*source == one.source || *name == one.source)
            };
            let ids: Vec<_> = found.iter().filter(means).map(|(source, ..)| source.as_str()).collect();
            let letter = format!("{}@{}", printable(&one.source), one.position);
            match ids.as_slice() {
                [] => return Err(Failure::NoLetter { letter }),
                [_] => {}
                several => {
                    let reason =
                        format!("{letter} means several letters; name the source: {}", several.join(", "));
                    return Err(Failure::Argument { argument: "LETTER", reason });
                }
            }
        }
        Ok(())
    }
}

/// A dead letter as programs read it. The fields are an interface.
#[derive(Debug, Serialize)]
struct LetterRow {
    source: String,
    name: String,
    position: i64,
    /// "open", "replayed" or "dismissed".
    state: &'static str,
    read_at: String,
    reason: String,
    /// Bytes of the record that the letter holds.
    bytes: usize,
    /// Whether that is all of it; absent where an earlier version did not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    whole: Option<bool>,
    /// Where it is not all: the length of the record, and its SHA-256.
    #[serde(skip_serializing_if = "Option::is_none")]
    record_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    record_sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    headers: Vec<(String, String)>,
}

/// Letters, and how many there are.
#[derive(Debug, Serialize)]
struct LetterList {
    found: usize,
    letters: Vec<LetterRow>,
}

/// A letter with its record.
#[derive(Debug, Serialize)]
struct WholeLetter {
    #[serde(flatten)]
    letter: LetterRow,
    /// The record's bytes.
    base64: String,
}

impl LetterRow {
    fn of(fate: Fate, letter: &DeadLetter) -> Self {
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        let (whole, cut) = match &letter.extent {
            Extent::Whole => (Some(true), None),
            Extent::Cut { bytes, sha256 } => (Some(false), Some((*bytes, sha256.clone()))),
            Extent::Unsaid => (None, None),
        };
        let (record_bytes, record_sha256) = cut.unzip();
        Self {
            source: letter.source.clone(),
            name: letter.source_name.clone(),
            position: letter.position,
            state: match fate {
                Fate::Open => "open",
                Fate::Replayed => "replayed",
                Fate::Dismissed => "dismissed",
            },
            read_at: letter.read_at.to_string(),
            reason: letter.reason.clone(),
            bytes: letter.raw.len(),
            whole,
            record_bytes,
            record_sha256,
            key: letter.key.as_ref().map(text),
            headers: letter.headers.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
        }
    }

    /// How many bytes of how many it holds.
    fn size(&self) -> String {
        match (self.whole, self.record_bytes) {
            (_, Some(of)) => format!("{} of {of}", self.bytes),
            (None, None) => format!("{} (perhaps cut)", self.bytes),
            (Some(_), None) => self.bytes.to_string(),
        }
    }

    /// How a person names it.
    fn id(&self) -> String {
        format!("{}@{}", printable(&self.name), self.position)
    }
}

async fn list(args: &ListLettersArgs, format: ListFormat) -> Result<(), Failure> {
    let lake = open_existing(&args.of.lake).await?;
    let mut letters = lake.letters().await?;
    let wanted = Wanted::of(&args.which, &[], true)?.settled(args.all);
    let (mut rows, mut count) = (Vec::new(), 0);
    while let Some(found) = wanted.next_of(&mut letters).await? {
        count += found.len();
        let room = args.limit - rows.len();
        rows.extend(found.iter().take(room).map(|(fate, letter)| LetterRow::of(*fate, letter)));
    }
    let mut out = io::stdout().lock();
    if format == ListFormat::Json {
        return output::write_json(&mut out, &LetterList { found: count, letters: rows });
    }
    let mut table = table_with(&["Letter", "Put aside (UTC)", "Bytes", "State", "Reason"]);
    for row in &rows {
        table.add_row([&row.id(), &row.read_at, &row.size(), row.state, &printable(&row.reason)]);
    }
    if format == ListFormat::Csv {
        return output::write(&mut out, &table.csv()?);
    }
    let more = if count > rows.len() {
        format!(", of which the first {} are shown; --limit shows more", rows.len())
    } else {
        String::new()
    };
    let printed = match count {
        0 => "no dead letters\n".to_owned(),
        _ => format!("{table}\n{}{more}\n", count_of(count, "dead letter")),
    };
    output::write(&mut out, printed.as_bytes())
}

async fn show(args: &ShowLetterArgs, format: Format) -> Result<(), Failure> {
    let lake = open_existing(&args.of.lake).await?;
    let mut letters = lake.letters().await?;
    let wanted = Wanted { named: Some(vec![named(&args.letter)?]), ..Wanted::default() }.settled(true);
    let mut found = Vec::new();
    while let Some(more) = wanted.next_of(&mut letters).await? {
        found.extend(more);
    }
    wanted.check(&found.iter().map(|(_, letter)| identity(letter)).collect::<Vec<_>>())?;
    let Some((fate, letter)) = found.pop() else {
        return Err(Failure::NoLetter { letter: args.letter.clone() });
    };
    let mut out = io::stdout().lock();
    if args.raw {
        return output::write(&mut out, &letter.raw);
    }
    let row = LetterRow::of(fate, &letter);
    if format == Format::Json {
        let base64 = STANDARD.encode(&letter.raw);
        return output::write_json(&mut out, &WholeLetter { letter: row, base64 });
    }
    let size = row.size();
    let mut lines = vec![
        ("Letter", row.id()),
        ("Source", printable(&row.source)),
        ("State", row.state.to_owned()),
        ("Put aside", row.read_at),
        ("Reason", printable(&row.reason)),
    ];
    lines.extend(row.record_sha256.map(|sha256| ("SHA-256", sha256)));
    lines.extend(row.key.map(|key| ("Key", printable(&key))));
    lines.extend(row.headers.iter().map(|(name, value)| ("Header", printable(&format!("{name}: {value}")))));
    let mut text: String = lines.iter().map(|(name, value)| format!("{name:<10} {value}\n")).collect();
    text.push_str(&format!("\n{size} bytes\n{}", readable(&letter.raw)));
    output::write(&mut out, text.as_bytes())
}

/// Bytes as a person can look at them: text as text, all else as hexadecimal digits.
fn readable(bytes: &[u8]) -> String {
    let is_text = |text: &&str| text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t'));
    if let Some(text) = std::str::from_utf8(bytes).ok().filter(is_text) {
        return format!("{}\n", text.trim_end());
    }
    let line = |(at, part): (usize, &[u8])| {
        let digits: String = part.iter().map(|byte| hex::encode([*byte]) + " ").collect();
        let shown: String =
            part.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' }).collect();
        format!("{:08x}  {digits:<48} {shown}\n", at * 16)
    };
    bytes.chunks(16).enumerate().map(line).collect()
}

fn identity(letter: &DeadLetter) -> (String, String, i64) {
    (letter.source.clone(), letter.source_name.clone(), letter.position)
}

/// What settling letters came to. The fields are an interface.
#[derive(Debug, Default, Serialize)]
struct Settled {
    /// Letters that were asked for.
    letters: usize,
    /// Events that went into trails.
    stored: u64,
    /// Events that wait for their request.
    parked: u64,
    /// Letters that were dismissed.
    dismissed: usize,
    /// Letters that still cannot be read.
    unreadable: Vec<StillUnreadable>,
    /// Whether nothing was changed.
    dry_run: bool,
}

#[derive(Debug, Serialize)]
struct StillUnreadable {
    source: String,
    position: i64,
    reason: String,
}

/// The letters that a command settles, in parts.
struct Parts {
    letters: Letters,
    wanted: Wanted,
}

impl Parts {
    /// Checks first that what is named is there, so that nothing is settled where something is not.
    async fn of(lake: &Lake, wanted: Wanted) -> Result<Self, Failure> {
        if wanted.named.is_some() {
            let mut letters = lake.letters().await?;
            let mut found = Vec::new();
            while let Some(more) = wanted.next_of(&mut letters).await? {
                found.extend(more.iter().map(|(_, letter)| identity(letter)));
            }
            wanted.check(&found)?;
        }
        Ok(Self { letters: lake.letters().await?, wanted })
    }

    async fn next(&mut self) -> Result<Option<Vec<DeadLetter>>, LakeError> {
        let (mut part, mut bytes) = (Vec::new(), 0);
        while part.len() < AT_ONCE
            && bytes < BYTES_AT_ONCE
            && let Some(found) = self.wanted.next_of(&mut self.letters).await?
        {
            bytes += found.iter().map(|(_, letter)| letter.raw.len()).sum::<usize>();
            part.extend(found.into_iter().map(|(_, letter)| letter));
        }
        Ok((!part.is_empty()).then_some(part))
    }
}

async fn replay(args: &ReplayLettersArgs, format: Format) -> Result<(), Failure> {
    if args.with.is_some() && args.letters.len() != 1 {
        let reason = "it stands in for the bytes of one letter; name just that one".to_owned();
        return Err(Failure::Argument { argument: "--with", reason });
    }
    let value = match &args.with {
        Some(path) => Some(std::fs::read(path).map_err(Failure::file("read", path))?.into()),
        None => None,
    };
    let mended = Mended { value, recorded_at: args.recorded_at, named: !args.all };
    let lake = open_existing(&args.of.lake).await?;
    let mut parts = Parts::of(&lake, Wanted::of(&args.which, &args.letters, args.all)?).await?;
    let mut settled = Settled { dry_run: args.dry_run, ..Settled::default() };
    while let Some(part) = parts.next().await? {
        let Replayed { outcome: Outcome { stored, parked, .. }, unreadable } =
            replay_letters(&lake, &part, &mended, args.dry_run).await?;
        settled.letters += part.len();
        settled.stored += stored;
        settled.parked += parked;
        settled.unreadable.extend(
            unreadable.into_iter().map(|Unreadable { source, position, reason }| StillUnreadable {
                source,
                position,
                reason,
            }),
        );
    }
    report(&settled, format)?;
    if settled.unreadable.is_empty() {
        Ok(())
    } else {
        Err(Failure::Unreadable { letters: settled.unreadable.len() })
    }
}

async fn dismiss(args: &DismissLettersArgs, format: Format) -> Result<(), Failure> {
    let lake = open_existing(&args.of.lake).await?;
    let mut parts = Parts::of(&lake, Wanted::of(&args.which, &args.letters, args.all)?).await?;
    let mut settled = Settled::default();
    while let Some(part) = parts.next().await? {
        dismiss_letters(&lake, &part, &args.because).await?;
        settled.letters += part.len();
        settled.dismissed += part.len();
    }
    report(&settled, format)
}

fn report(settled: &Settled, format: Format) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    if format == Format::Json {
        return output::write_json(&mut out, settled);
    }
    let mut text = String::new();
    for StillUnreadable { source, position, reason } in &settled.unreadable {
        text.push_str(&format!("{}@{position}: {}\n", printable(source), printable(reason)));
    }
    text.push_str(&format!(
        "{}: {} stored, {} parked, {} dismissed, {} still cannot be read{}\n",
        count_of(settled.letters, "dead letter"),
        settled.stored,
        settled.parked,
        settled.dismissed,
        settled.unreadable.len(),
        if settled.dry_run { "; nothing was changed" } else { "" }
    ));
    output::write(&mut out, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_without_speaking_to_the_terminal() {
        assert_eq!(readable(b"{\"a\": 1}\n"), "{\"a\": 1}\n");
        assert_eq!(readable(b"\x1b[2J"), format!("00000000  {:<48} .[2J\n", "1b 5b 32 4a "));
        assert_eq!(readable(b""), "\n");
        assert_eq!(readable(&[0xFF; 17]).lines().count(), 2);
    }

    #[test]
    fn a_letter_is_named_by_its_source_and_place() {
        let one = named("kafka:c:t:0@12").unwrap();
        assert_eq!((one.source.as_str(), one.position), ("kafka:c:t:0", 12));
        for text in ["", "t/0", "t/0@", "t/0@x"] {
            assert!(named(text).is_err(), "{text}");
        }
    }
}
