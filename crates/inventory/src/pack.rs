//! The bytes of a row's body: values, each with a tag and a length. What is added later gets a tag that was never used.

use gridtrail_model::Timestamp;

/// Writes the values of a body, in the order of their tags.
#[derive(Debug, Default)]
pub(crate) struct Packer(Vec<u8>);

/// The shortest way to write a number of up to 64 bits: seven bits a byte.
fn push_varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    // Below 128 by now.
    bytes.push((number & 0x7f) as u8);
}

impl Packer {
    pub(crate) fn bytes(mut self, tag: u8, value: Option<&[u8]>) -> Self {
        if let Some(value) = value {
            self.0.push(tag);
            push_varint(&mut self.0, value.len() as u64);
            self.0.extend_from_slice(value);
        }
        self
    }

    pub(crate) fn text(self, tag: u8, value: Option<&str>) -> Self {
        self.bytes(tag, value.map(str::as_bytes))
    }

    pub(crate) fn byte(self, tag: u8, value: Option<u8>) -> Self {
        self.bytes(tag, value.as_ref().map(std::slice::from_ref))
    }

    /// A number, without the zeros in front.
    pub(crate) fn number(self, tag: u8, value: Option<u64>) -> Self {
        let bytes = value.map(u64::to_be_bytes);
        let kept = bytes.as_ref().map(|bytes| {
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            &bytes[zeros..]
        });
        self.bytes(tag, kept)
    }

    pub(crate) fn time(self, tag: u8, value: Option<Timestamp>) -> Self {
        self.number(tag, value.map(|time| time.millis().cast_unsigned()))
    }

    pub(crate) fn finish(self) -> Box<[u8]> {
        self.0.into_boxed_slice()
    }
}

/// The values of a body, by their tags. Every way to read one gives `None` for what no [`Packer`] writes.
#[derive(Debug)]
pub(crate) struct Packed<'b>(Vec<(u8, &'b [u8])>);

impl<'b> Packed<'b> {
    /// `None`: the bytes are no values, or a tag stands twice.
    pub(crate) fn read(mut bytes: &'b [u8]) -> Option<Self> {
        let mut values: Vec<(u8, &[u8])> = Vec::new();
        while let Some((tag, rest)) = bytes.split_first() {
            let (length, rest) = take_varint(rest)?;
            let (value, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
            if values.last().is_some_and(|(last, _)| last >= tag) {
                return None;
            }
            values.push((*tag, value));
            bytes = rest;
        }
        Some(Self(values))
    }

    /// Takes a value out.
    fn take(&mut self, tag: u8) -> Option<&'b [u8]> {
        let at = self.0.iter().position(|(one, _)| *one == tag)?;
        Some(self.0.remove(at).1)
    }

    /// A value that may be absent. `None`: it is there, and none that `read` reads.
    pub(crate) fn optional<T>(&mut self, tag: u8, read: impl Fn(&'b [u8]) -> Option<T>) -> Option<Option<T>> {
        self.take(tag).map_or(Some(None), |value| read(value).map(Some))
    }

    /// A value that every such body has.
    pub(crate) fn required<T>(&mut self, tag: u8, read: impl Fn(&'b [u8]) -> Option<T>) -> Option<T> {
        read(self.take(tag)?)
    }

    /// Whether every value was taken out: what is left is of a later build.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn take_varint(mut bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        bytes = rest;
        if byte & 0x80 == 0 {
            return Some((number, bytes));
        }
    }
    None
}

pub(crate) fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok()
}

pub(crate) fn parsed<T: std::str::FromStr>(value: &[u8]) -> Option<T> {
    text(value)?.parse().ok()
}

pub(crate) fn byte(value: &[u8]) -> Option<u8> {
    match value {
        [byte] => Some(*byte),
        _ => None,
    }
}

pub(crate) fn number(value: &[u8]) -> Option<u64> {
    let mut bytes = [0; 8];
    bytes.get_mut(8_usize.checked_sub(value.len())?..)?.copy_from_slice(value);
    (value.first() != Some(&0)).then(|| u64::from_be_bytes(bytes))
}

pub(crate) fn time(value: &[u8]) -> Option<Timestamp> {
    Timestamp::from_millis(number(value)?.cast_signed())
}

pub(crate) fn eui(value: &[u8]) -> Option<[u8; 8]> {
    value.try_into().ok()
}
