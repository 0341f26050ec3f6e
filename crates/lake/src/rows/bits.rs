//! Numbers in as few bits as they need: the lowest bit first, padded to whole bytes at the end.
//!
//! A number is five bits that say how many bits it has, and those bits less the highest, which is always set. From 31 bits
//! on the five are all ones, and six more say how many. So a number under a second in milliseconds takes 14 bits, and zero 5.
//! Reading is bounds-checked and never trusts a length.

/// Bits of the prefix, and what it says of numbers that are too long for it.
const PREFIX: u32 = 5;
const LONG: u32 = 31;
const LONG_PREFIX: u32 = 6;

/// Writes bits behind the bytes of a buffer.
pub(crate) struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    pending: u64,
    filled: u32,
}

impl<'a> BitWriter<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, pending: 0, filled: 0 }
    }

    /// The lowest `count` bits of a value, at most 32.
    fn few(&mut self, value: u64, count: u32) {
        debug_assert!(count <= 32, "pending has room for 32 bits and seven more");
        self.pending |= (value & ((1 << count) - 1)) << self.filled;
        self.filled += count;
        while self.filled >= 8 {
            let [byte, ..] = self.pending.to_le_bytes();
            self.out.push(byte);
            self.pending >>= 8;
            self.filled -= 8;
        }
    }

    /// The lowest `count` bits of a value, at most 64.
    pub(crate) fn bits(&mut self, value: u64, count: u32) {
        self.few(value, count.min(32));
        if count > 32 {
            self.few(value >> 32, count - 32);
        }
    }

    pub(crate) fn flag(&mut self, value: bool) {
        self.few(value.into(), 1);
    }

    pub(crate) fn number(&mut self, value: u64) {
        let length = 64 - value.leading_zeros();
        if length < LONG {
            self.few(length.into(), PREFIX);
        } else {
            self.few(LONG.into(), PREFIX);
            self.few((length - LONG).into(), LONG_PREFIX);
        }
        self.bits(value, length.saturating_sub(1));
    }

    /// A number that may be negative.
    pub(crate) fn signed(&mut self, value: i64) {
        self.number(((value << 1) ^ (value >> 63)).cast_unsigned());
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.few((*byte).into(), 8));
    }

    /// Pads to a whole byte.
    pub(crate) fn finish(mut self) {
        self.few(0, (8 - self.filled) % 8);
    }
}

/// Reads bits back. Every read gives `None` where the bytes end too early.
#[derive(Debug, Clone)]
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// How many bits there are.
    end: usize,
}

impl<'a> BitReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, end: bytes.len().saturating_mul(8) }
    }

    /// The next bits, the lowest first: 57 at the least, those behind the end being zeros.
    #[inline]
    fn window(&self) -> u64 {
        let (first, shift) = (self.at / 8, self.at % 8);
        if let Some(eight) = self.bytes.get(first..).and_then(<[u8]>::first_chunk) {
            return u64::from_le_bytes(*eight) >> shift;
        }
        if let Some(eight) = self.bytes.last_chunk() {
            // At most seven bytes lie between the start of those eight and the first that is wanted, or none is left.
            let passed = (first + 8 - self.bytes.len()) * 8 + shift;
            return if passed < 64 { u64::from_le_bytes(*eight) >> passed } else { 0 };
        }
        let rest = self.bytes.get(first..).unwrap_or_default().iter().rev();
        rest.fold(0, |window, byte| window << 8 | u64::from(*byte)) >> shift
    }

    /// Moves on by so many bits.
    #[inline]
    fn pass(&mut self, count: u32) -> Option<()> {
        let at = self.at + count as usize;
        (at <= self.end).then(|| self.at = at)
    }

    /// At most 32 bits.
    #[inline]
    fn few(&mut self, count: u32) -> Option<u64> {
        let window = self.window();
        self.pass(count)?;
        Some(window & ((1 << count) - 1))
    }

    pub(crate) fn bits(&mut self, count: u32) -> Option<u64> {
        let low = self.few(count.min(32))?;
        let high = if count > 32 { self.few(count - 32)? } else { 0 };
        Some(low | high << 32)
    }

    pub(crate) fn flag(&mut self) -> Option<bool> {
        self.few(1).map(|bit| bit == 1)
    }

    #[inline]
    pub(crate) fn number(&mut self) -> Option<u64> {
        let window = self.window();
        let [low, ..] = window.to_le_bytes();
        let length = u32::from(low) & LONG;
        if length == LONG {
            return self.long_number();
        }
        // The prefix and the bits behind it are 34 at the most.
        let bits = length.saturating_sub(1);
        self.pass(PREFIX + bits)?;
        let highest = u64::from(length > 0) << bits;
        Some(window >> PREFIX & ((1 << bits) - 1) | highest)
    }

    /// A number of 31 bits or more.
    fn long_number(&mut self) -> Option<u64> {
        self.pass(PREFIX)?;
        let length = LONG + u32::try_from(self.few(LONG_PREFIX)?).ok()?;
        match length {
            ..=64 => Some(self.bits(length - 1)? | 1 << (length - 1)),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn signed(&mut self) -> Option<i64> {
        let value = self.number()?;
        Some((value >> 1).cast_signed() ^ -((value & 1).cast_signed()))
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Option<Vec<u8>> {
        // What is longer than the rest cannot be there: no memory is taken for it.
        if count > self.bytes.len() {
            return None;
        }
        (0..count).map(|_| self.few(8).and_then(|byte| u8::try_from(byte).ok())).collect()
    }

    /// Whether nothing but padding is left.
    pub(crate) fn is_at_end(&self) -> bool {
        self.end - self.at < 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_read_back(all in prop::collection::vec((any::<u64>(), 0u32..64, any::<i64>()), 0..40)) {
            let mut out = Vec::new();
            let mut writer = BitWriter::new(&mut out);
            for (value, shift, signed) in &all {
                writer.number(value >> shift);
                writer.signed(signed >> shift);
                writer.flag(value % 2 == 1);
                writer.bits(*value, 64);
                writer.bytes(&value.to_be_bytes());
            }
            writer.finish();
            let mut reader = BitReader::new(&out);
            for (value, shift, signed) in &all {
                prop_assert_eq!(reader.number(), Some(value >> shift));
                prop_assert_eq!(reader.signed(), Some(signed >> shift));
                prop_assert_eq!(reader.flag(), Some(value % 2 == 1));
                prop_assert_eq!(reader.bits(64), Some(*value));
                prop_assert_eq!(reader.bytes(8), Some(value.to_be_bytes().to_vec()));
            }
            prop_assert!(reader.is_at_end());
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, count in 0usize..100) {
            let mut reader = BitReader::new(&bytes);
            while reader.number().is_some() && reader.signed().is_some() && reader.bytes(count % 3).is_some() {}
            let _ = BitReader::new(&bytes).bytes(count);
        }
    }

    /// The code is part of the format.
    #[test]
    fn a_number_takes_as_many_bits_as_it_always_did() {
        let bits = |value: u64| {
            let mut out = Vec::new();
            BitWriter::new(&mut out).number(value);
            let mut writer = BitWriter::new(&mut out);
            writer.number(value);
            writer.finish();
            out
        };
        assert_eq!(bits(0), [0]);
        assert_eq!(bits(1), [1]);
        assert_eq!(bits(2), [2]);
        assert_eq!(bits(3), [0b10_0010]);
    }
}
