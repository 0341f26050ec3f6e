//! Two encodings of whole numbers in Parquet pages: runs of equal or bit-packed values, and differences.

use prost::encoding::decode_varint;
use std::ops::Range;

/// Runs of values of so many bits each, at most 32: levels, and places in a dictionary.
#[derive(Debug)]
pub(crate) struct Runs<'a> {
    rest: &'a [u8],
    width: usize,
    run: Run<'a>,
}

#[derive(Debug)]
enum Run<'a> {
    Equal { value: u64, left: usize },
    Packed { bytes: &'a [u8], at: usize, left: usize },
}

impl<'a> Runs<'a> {
    pub(crate) fn new(bytes: &'a [u8], width: usize) -> Self {
        Self { rest: bytes, width, run: Run::Equal { value: 0, left: 0 } }
    }

    fn left(&self) -> usize {
        match &self.run {
            Run::Equal { left, .. } | Run::Packed { left, .. } => *left,
        }
    }

    /// Goes on to the next run that holds a value.
    fn load(&mut self) -> Option<()> {
        while self.left() == 0 {
            let header = varint(&mut self.rest)?;
            let count = usize::try_from(header >> 1).ok()?;
            let (size, packed) = if header & 1 == 1 {
                (count.checked_mul(self.width)?, true)
            } else {
                (self.width.div_ceil(8), false)
            };
            // The last run of packed values may be cut short.
            let (bytes, rest) = self.rest.split_at_checked(size.min(self.rest.len()))?;
            self.rest = rest;
            self.run = if packed {
                Run::Packed { bytes, at: 0, left: count.checked_mul(8)? }
            } else {
                Run::Equal { value: word(bytes, 0, self.width)?, left: count }
            };
        }
        Some(())
    }

    pub(crate) fn next_value(&mut self) -> Option<u64> {
        self.load()?;
        match &mut self.run {
            Run::Equal { value, left } => {
                *left -= 1;
                Some(*value)
            }
            Run::Packed { bytes, at, left } => {
                let value = word(bytes, *at * self.width, self.width)?;
                (*at, *left) = (*at + 1, *left - 1);
                Some(value)
            }
        }
    }

    /// The next values, as many as there is room for: those of a run at a time. At most 32 bits of each count.
    pub(crate) fn fill(&mut self, mut values: &mut [u32]) -> Option<()> {
        let narrow = |value: u64| u32::try_from(value & u64::from(u32::MAX)).unwrap_or(0);
        while !values.is_empty() {
            self.load()?;
            let count = values.len().min(self.left());
            let (part, rest) = values.split_at_mut(count);
            values = rest;
            match &mut self.run {
                Run::Equal { value, left } => {
                    part.fill(narrow(*value));
                    *left -= count;
                }
                Run::Packed { bytes, at, left } => {
                    let mut part = part.iter_mut();
                    words(bytes, self.width, *at..*at + count, |word| {
                        if let Some(value) = part.next() {
                            *value = narrow(word);
                        }
                    })?;
                    (*at, *left) = (*at + count, *left - count);
                }
            }
        }
        Some(())
    }

    pub(crate) fn skip(&mut self, mut count: usize) -> Option<()> {
        while count > 0 {
            self.load()?;
            let part = count.min(self.left());
            match &mut self.run {
                Run::Equal { left, .. } => *left -= part,
                Run::Packed { at, left, .. } => (*at, *left) = (*at + part, *left - part),
            }
            count -= part;
        }
        Some(())
    }
}

/// Calls `take` with some of the values that lie one behind the other, of so many bits each, at most 64. `None`: one of them ends behind
/// the end of the bytes, whatever was taken before.
#[inline]
fn words(bytes: &[u8], width: usize, mut places: Range<usize>, mut take: impl FnMut(u64)) -> Option<()> {
    if let 1..=56 = width {
        let mask = u64::MAX >> (64 - width);
        // Those that lie in eight bytes which are all there.
        let whole = (bytes.len().saturating_sub(7).checked_mul(8)?).div_ceil(width);
        let whole = places.start..places.end.min(whole).max(places.start);
        for place in whole.clone() {
            let at = place * width;
            let eight = bytes.get(at / 8..).and_then(<[u8]>::first_chunk)?;
            take(u64::from_le_bytes(*eight) >> (at % 8) & mask);
        }
        places.start = whole.end;
    }
    for place in places {
        take(word(bytes, place.checked_mul(width)?, width)?);
    }
    Some(())
}

/// So many bits from a place on, at most 64; bits behind the end of the bytes are missing.
#[inline]
fn word(bytes: &[u8], at: usize, width: usize) -> Option<u64> {
    if width == 0 {
        return Some(0);
    }
    if at.checked_add(width)?.div_ceil(8) > bytes.len() {
        return None;
    }
    let (first, shift) = (at / 8, at % 8);
    // Nearly always: what lies in eight bytes that are all there.
    if let (0..=56, Some(eight)) = (width, bytes.get(first..).and_then(<[u8]>::first_chunk)) {
        return Some(u64::from_le_bytes(*eight) >> shift & (u64::MAX >> (64 - width)));
    }
    let mut window = [0; 16];
    let there = &bytes[first..bytes.len().min(first + 9)];
    window[..there.len()].copy_from_slice(there);
    let value = u128::from_le_bytes(window) >> shift;
    let mask = u64::MAX >> (64 - width);
    // The mask leaves at most 64 bits.
    Some(u64::try_from(value & u128::from(mask)).unwrap_or(0))
}

/// A number in as many bytes as it needs, seven bits a byte. Protocol Buffers and Parquet write it alike.
pub fn varint(rest: &mut &[u8]) -> Option<u64> {
    decode_varint(rest).ok()
}

/// The number with a sign that was written without one.
pub(crate) const fn zigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

/// The first `count` numbers of a block of differences (DELTA_BINARY_PACKED), or as many as there are, and, where all were
/// read, where the block ends. `None`: damaged.
pub(crate) fn deltas(bytes: &[u8], count: usize) -> Option<(Vec<i64>, usize)> {
    let mut rest = bytes;
    let block = usize::try_from(varint(&mut rest)?).ok()?;
    let parts = usize::try_from(varint(&mut rest)?).ok()?;
    let total = usize::try_from(varint(&mut rest)?).ok()?;
    let first = zigzag(varint(&mut rest)?);
    if parts == 0 || parts > 512 || block == 0 || block > 1 << 20 || block % parts != 0 {
        return None;
    }
    let each = block / parts;
    let wanted = count.min(total);
    // Each number beyond the first takes no bit at the least, so the claim is bounded by what is asked for.
    let mut numbers = Vec::with_capacity(wanted.min(1 << 20));
    let mut value = first;
    if wanted > 0 {
        numbers.push(value);
    }
    let mut seen = 1;
    while seen < total && (numbers.len() < wanted || wanted == total) {
        let least = zigzag(varint(&mut rest)?);
        let (widths, after) = rest.split_at_checked(parts)?;
        rest = after;
        for width in widths.iter().map(|width| usize::from(*width)) {
            if seen >= total {
                break;
            }
            if width > 64 {
                return None;
            }
            let size = each.checked_mul(width)?.div_ceil(8);
            let (packed, after) = rest.split_at_checked(size)?;
            rest = after;
            let here = each.min(total - seen);
            words(packed, width, 0..here.min(wanted.saturating_sub(numbers.len())), |word| {
                value = value.wrapping_add(least).wrapping_add(word.cast_signed());
                numbers.push(value);
            })?;
            seen += here;
        }
    }
    Some((numbers, bytes.len() - rest.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_number_reads_as_it_is_written_and_no_further(value: u64, after in any::<[u8; 3]>()) {
            let mut bytes = Vec::new();
            prost::encoding::encode_varint(value, &mut bytes);
            for cut in 0..bytes.len() {
                prop_assert_eq!(varint(&mut &bytes[..cut]), None);
            }
            bytes.extend(after);
            let mut rest = &bytes[..];
            prop_assert_eq!(varint(&mut rest), Some(value));
            prop_assert_eq!(rest, after);
        }
    }

    #[test]
    fn a_number_of_more_than_64_bits_is_none() {
        assert_eq!(varint(&mut &[[0xFF; 9].as_slice(), &[0x01]].concat()[..]), Some(u64::MAX));
        assert_eq!(varint(&mut &[[0xFF; 9].as_slice(), &[0x02]].concat()[..]), None);
        assert_eq!(varint(&mut &[0x80; 11][..]), None);
    }
}
