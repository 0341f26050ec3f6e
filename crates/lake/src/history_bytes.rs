//! The Status Change History, in two parts.
//!
//! The **shape** (states, codes, instructions, causes) repeats from row to row, so it goes into a dictionary; the
//! **times** hardly repeat, so they are kept short: milliseconds since the entry before, the first since the
//! placement time, as [`crate::bits`] writes numbers. A time that is that of the entry before is a flag in the shape.
//!
//! Shape: for each entry one byte of state and one of flags, then what the flags name. All lengths are bytes or
//! varints; reading is bounds-checked and never trusts a length.

use crate::bits::{BitReader, BitWriter};
use gridtrail_model::{HistoryEntry, Instruction, State, Timestamp};

const HAS_CODE: u8 = 1;
const HAS_INSTRUCTION: u8 = 2;
const HAS_CAUSE: u8 = 4;
const SAME_TIME: u8 = 8;

fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            return out.push(low & 0x7F);
        }
        out.push(low | 0x80);
    }
}

fn take_varint(input: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = input.split_first()?;
        *input = rest;
        value |= u64::from(byte & 0x7F).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

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
            put_varint(u64::from(number), shape);
            put_varint(u64::from(total), shape);
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

/// Reads a history back; `None` when the bytes are not what [`encode`] writes.
pub(crate) fn decode(
    mut shape: &[u8],
    times: &mut BitReader<'_>,
    placement: Timestamp,
) -> Option<Vec<HistoryEntry>> {
    let mut history: Vec<HistoryEntry> = Vec::with_capacity(shape.len() / 3);
    let mut before = placement.millis();
    while let Some((state, rest)) = shape.split_first() {
        let (flags, rest) = rest.split_first()?;
        shape = rest;
        let since = match (flags & SAME_TIME != 0, history.is_empty()) {
            (true, _) => 0,
            (false, true) => times.signed()?,
            (false, false) => i64::try_from(times.number()?).ok()?,
        };
        before = before.checked_add(since)?;
        let mut entry = HistoryEntry::new(State::from_number(*state)?, Timestamp::from_millis(before)?);
        if flags & HAS_CODE != 0 {
            entry.code = Some(take_text(&mut shape)?.parse().ok()?);
        }
        if flags & HAS_INSTRUCTION != 0 {
            let number = u16::try_from(take_varint(&mut shape)?).ok()?;
            let total = u16::try_from(take_varint(&mut shape)?).ok()?;
            entry.instruction = Some(Instruction { number, total });
        }
        if flags & HAS_CAUSE != 0 {
            entry.cause = Some(take_text(&mut shape)?.parse().ok()?);
        }
        history.push(entry);
    }
    Some(history)
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
            prop_assert_eq!(decode(&shape, &mut reader, placement), Some(history));
            prop_assert!(reader.is_at_end());
        }

        #[test]
        fn no_bytes_panic(shape: Vec<u8>, times: Vec<u8>) {
            let _ = decode(&shape, &mut BitReader::new(&times), Timestamp::MIN);
        }
    }
}
