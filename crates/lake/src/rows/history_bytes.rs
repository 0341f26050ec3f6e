//! The Status Change History, in two parts.
//!
//! The **shape** (states, codes, instructions, causes) repeats from row to row, so it goes into a dictionary; the
//! **times** hardly repeat, so they are kept short: milliseconds since the entry before, the first since the
//! placement time, as [`crate::rows::bits`] writes numbers. A time that is that of the entry before is a flag in the shape.
//!
//! Shape: for each entry one byte of state and one of flags, then what the flags name. All lengths are bytes or
//! varints; reading is bounds-checked and never trusts a length.

use crate::rows::bits::{BitReader, BitWriter};
use gridtrail_model::{Cause, HistoryEntry, Instruction, ResponseCode, State, Timestamp};
use gridtrail_runs::varint;
use prost::encoding::encode_varint;

const HAS_CODE: u8 = 1;
const HAS_INSTRUCTION: u8 = 2;
const HAS_CAUSE: u8 = 4;
const SAME_TIME: u8 = 8;

/// A text of at most 255 bytes, behind its length.
pub(crate) fn take_text<'a>(input: &mut &'a [u8]) -> Option<&'a str> {
    let (length, rest) = input.split_first()?;
    let (text, rest) = rest.split_at_checked(usize::from(*length))?;
    *input = rest;
    std::str::from_utf8(text).ok()
}

/// Appends a text behind its length.
pub(crate) fn put_text(text: &str, out: &mut Vec<u8>) {
    // Codes have at most 8 bytes and causes at most 120: the length fits one byte.
    out.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(text.as_bytes());
}

/// Appends the shape of a history to a buffer, and writes its times.
pub(crate) fn encode(
    history: &[HistoryEntry],
    placement: Timestamp,
    shape: &mut Vec<u8>,
    times: &mut BitWriter<'_>,
) {
    let mut before = placement.millis();
    for (number, entry) in history.iter().enumerate() {
        let since = entry.at.millis() - before;
        before = entry.at.millis();
        shape.push(entry.state.number());
        let flag = |present: bool, flag: u8| if present { flag } else { 0 };
        shape.push(
            flag(entry.code.is_some(), HAS_CODE)
                | flag(entry.instruction.is_some(), HAS_INSTRUCTION)
                | flag(entry.cause.is_some(), HAS_CAUSE)
                | flag(since == 0, SAME_TIME),
        );
        if let Some(code) = &entry.code {
            put_text(code.as_str(), shape);
        }
        if let Some(Instruction { number, total }) = entry.instruction {
            encode_varint(u64::from(number), shape);
            encode_varint(u64::from(total), shape);
        }
        if let Some(cause) = &entry.cause {
            put_text(cause.as_str(), shape);
        }
        match (since, number) {
            (0, _) => {}
            // Entries ascend by time; only the first can lie before what its time is counted from.
            (since, 0) => times.signed(since),
            (since, _) => times.number(since.cast_unsigned()),
        }
    }
}

/// An entry, less its time.
#[derive(Debug, Clone)]
pub(crate) struct EntryShape {
    pub(crate) state: State,
    pub(crate) code: Option<ResponseCode>,
    pub(crate) instruction: Option<Instruction>,
    pub(crate) cause: Option<Cause>,
    /// Whether its time is that of the entry before.
    pub(crate) same_time: bool,
}

/// The entries of a history, less their times; `None` when the bytes are not what [`encode`] writes.
pub(crate) fn shapes(mut shape: &[u8]) -> Option<Vec<EntryShape>> {
    let mut entries = Vec::with_capacity(shape.len() / 3);
    while !shape.is_empty() {
        let same_time = shape.get(1)? & SAME_TIME != 0;
        // Of the times that are left out, each number reads as no distance.
        let written = take_entry(&mut shape, &mut BitReader::new(&[0]), 0, false)?;
        entries.push(EntryShape {
            state: State::from_number(written.state)?,
            code: written.code.map(str::parse).transpose().ok()?,
            instruction: written.instruction,
            cause: written.cause.map(str::parse).transpose().ok()?,
            same_time,
        });
    }
    Some(entries)
}

/// An entry, with its texts where they stand.
struct StoredEntry<'a> {
    at_ms: i64,
    state: u8,
    code: Option<&'a str>,
    instruction: Option<Instruction>,
    cause: Option<&'a str>,
}

/// The entry that the bytes go on with. `before_ms` is the time of the entry before it, or the placement time.
fn take_entry<'a>(
    shape: &mut &'a [u8],
    times: &mut BitReader<'_>,
    before_ms: i64,
    is_first: bool,
) -> Option<StoredEntry<'a>> {
    let ([state, flags], rest) = shape.split_first_chunk()?;
    *shape = rest;
    let since = match (flags & SAME_TIME != 0, is_first) {
        (true, _) => 0,
        (false, true) => times.signed()?,
        (false, false) => i64::try_from(times.number()?).ok()?,
    };
    let at_ms = before_ms.checked_add(since)?;
    let code = if flags & HAS_CODE != 0 { Some(take_text(shape)?) } else { None };
    let instruction = if flags & HAS_INSTRUCTION != 0 {
        let number = u16::try_from(varint(shape)?).ok()?;
        let total = u16::try_from(varint(shape)?).ok()?;
        Some(Instruction { number, total })
    } else {
        None
    };
    let cause = if flags & HAS_CAUSE != 0 { Some(take_text(shape)?) } else { None };
    Some(StoredEntry { at_ms, state: *state, code, instruction, cause })
}

/// Reads a history back; `None` when the bytes are not what [`encode`] writes.
pub(crate) fn decode(
    mut shape: &[u8],
    times: &mut BitReader<'_>,
    placement: Timestamp,
) -> Option<Vec<HistoryEntry>> {
    let mut history: Vec<HistoryEntry> = Vec::with_capacity(shape.len() / 3);
    let mut before_ms = placement.millis();
    while !shape.is_empty() {
        let written = take_entry(&mut shape, times, before_ms, history.is_empty())?;
        before_ms = written.at_ms;
        history.push(HistoryEntry {
            at: Timestamp::from_millis(written.at_ms)?,
            state: State::from_number(written.state)?,
            code: written.code.map(str::parse).transpose().ok()?,
            instruction: written.instruction,
            cause: written.cause.map(str::parse).transpose().ok()?,
        });
    }
    Some(history)
}

/// When the last entry of a history stands, or the placement time where there is none: as [`decode`] would say, without the
/// entries.
pub(crate) fn end(mut shape: &[u8], times: &mut BitReader<'_>, placement: Timestamp) -> Option<Timestamp> {
    let (mut before_ms, mut is_first) = (placement.millis(), true);
    while !shape.is_empty() {
        before_ms = take_entry(&mut shape, times, before_ms, is_first)?.at_ms;
        is_first = false;
    }
    Timestamp::from_millis(before_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entries() -> impl Strategy<Value = Vec<HistoryEntry>> {
        let entry = (
            prop::sample::select(State::ALL),
            -1_000_000_000_000_i64..4_000_000_000_000,
            prop::option::of("[IEW][0-9]{1,6}"),
            prop::option::of((1u16.., 1u16..)),
            prop::option::of("[a-z ]{1,120}"),
        )
            .prop_map(|(state, at, code, instruction, cause)| HistoryEntry {
                at: Timestamp::from_millis(at / 1_000_000_000 * 1_000_000_000).unwrap(),
                state,
                code: code.map(|c| c.parse().unwrap()),
                instruction: instruction.map(|(number, total)| Instruction { number, total }),
                cause: cause.map(|c| c.parse().unwrap()),
            });
        prop::collection::vec(entry, 0..12).prop_map(|mut entries| {
            entries.sort();
            entries
        })
    }

    proptest! {
        #[test]
        fn every_history_reads_back(history in entries(), at in 0i64..4_000_000_000_000) {
            let placement = Timestamp::from_millis(at).unwrap();
            let (mut shape, mut times) = (Vec::new(), Vec::new());
            let mut writer = BitWriter::new(&mut times);
            encode(&history, placement, &mut shape, &mut writer);
            writer.finish();
            let mut reader = BitReader::new(&times);
            let last = history.last().map_or(placement, |entry| entry.at);
            prop_assert_eq!(decode(&shape, &mut reader, placement), Some(history));
            prop_assert!(reader.is_at_end());
            prop_assert_eq!(end(&shape, &mut BitReader::new(&times), placement), Some(last));
        }

        #[test]
        fn no_bytes_panic(shape: Vec<u8>, times: Vec<u8>) {
            let _ = decode(&shape, &mut BitReader::new(&times), Timestamp::MIN);
        }
    }
}
