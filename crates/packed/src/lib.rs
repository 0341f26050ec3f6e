//! The bytes of a packed row: values, each with a tag and a length, in the order of their tags. What is added later gets a tag that was
//! never used.
//!
//! A [`Packer`] writes them, a [`Packed`] reads them back. Reading trusts nothing: what no [`Packer`] writes is `None`, never a panic.

use gridtrail_model::Timestamp;
use std::str::FromStr;

/// Writes the values of a body, in the order of their tags.
#[derive(Debug, Default)]
pub struct Packer(Vec<u8>);

/// The shortest way to write a number of up to 64 bits: seven bits a byte.
fn push_varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    // Below 128 by now.
    bytes.push((number & 0x7f) as u8);
}

fn push_value(bytes: &mut Vec<u8>, value: &[u8]) {
    push_varint(bytes, value.len() as u64);
    bytes.extend_from_slice(value);
}

impl Packer {
    /// Bytes.
    #[must_use]
    pub fn bytes(mut self, tag: u8, value: Option<&[u8]>) -> Self {
        if let Some(value) = value {
            self.0.push(tag);
            push_value(&mut self.0, value);
        }
        self
    }

    /// A text.
    #[must_use]
    pub fn text(self, tag: u8, value: Option<&str>) -> Self {
        self.bytes(tag, value.map(str::as_bytes))
    }

    /// One byte.
    #[must_use]
    pub fn byte(self, tag: u8, value: Option<u8>) -> Self {
        self.bytes(tag, value.as_ref().map(std::slice::from_ref))
    }

    /// A number, without the zeros in front.
    #[must_use]
    pub fn number(self, tag: u8, value: Option<u64>) -> Self {
        let bytes = value.map(u64::to_be_bytes);
        let kept = bytes.as_ref().map(|bytes| {
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            &bytes[zeros..]
        });
        self.bytes(tag, kept)
    }

    /// A time.
    #[must_use]
    pub fn time(self, tag: u8, value: Option<Timestamp>) -> Self {
        self.number(tag, value.map(|time| time.millis().cast_unsigned()))
    }

    /// A list of bodies; an empty one is not written.
    #[must_use]
    pub fn list(self, tag: u8, items: impl IntoIterator<Item = Box<[u8]>>) -> Self {
        let mut all = Vec::new();
        items.into_iter().for_each(|item| push_value(&mut all, &item));
        self.bytes(tag, Some(all.as_slice()).filter(|all| !all.is_empty()))
    }

    /// The body.
    pub fn finish(self) -> Box<[u8]> {
        self.0.into_boxed_slice()
    }
}

/// The values of a body, by their tags.
#[derive(Debug)]
pub struct Packed<'b>(Vec<(u8, &'b [u8])>);

impl<'b> Packed<'b> {
    /// `None`: the bytes are no values, or a tag stands twice.
    pub fn read(mut bytes: &'b [u8]) -> Option<Self> {
        let mut values: Vec<(u8, &[u8])> = Vec::new();
        while let Some((tag, rest)) = bytes.split_first() {
            let (value, rest) = take_value(rest)?;
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
    pub fn optional<T>(&mut self, tag: u8, read: impl Fn(&'b [u8]) -> Option<T>) -> Option<Option<T>> {
        self.take(tag).map_or(Some(None), |value| read(value).map(Some))
    }

    /// A value that every such body has.
    pub fn required<T>(&mut self, tag: u8, read: impl Fn(&'b [u8]) -> Option<T>) -> Option<T> {
        read(self.take(tag)?)
    }

    /// The items of a list. `None`: one is none that `read` reads.
    pub fn list<T>(&mut self, tag: u8, read: impl Fn(&'b [u8]) -> Option<T>) -> Option<Vec<T>> {
        let (mut items, mut bytes) = (Vec::new(), self.take(tag).unwrap_or_default());
        while !bytes.is_empty() {
            let (item, rest) = take_value(bytes)?;
            items.push(read(item)?);
            bytes = rest;
        }
        Some(items)
    }

    /// Whether every value was taken out: what is left is of a later build.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A length, and so many bytes.
fn take_value(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = take_varint(bytes)?;
    rest.split_at_checked(usize::try_from(length).ok()?)
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

/// A text.
pub fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok()
}

/// A value of which the text is stored.
pub fn parsed<T: FromStr>(value: &[u8]) -> Option<T> {
    text(value)?.parse().ok()
}

/// One byte.
pub fn byte(value: &[u8]) -> Option<u8> {
    match value {
        [byte] => Some(*byte),
        _ => None,
    }
}

/// Yes or no.
pub fn flag(value: &[u8]) -> Option<bool> {
    match value {
        [0] => Some(false),
        [1] => Some(true),
        _ => None,
    }
}

/// A number, without zeros in front.
pub fn number(value: &[u8]) -> Option<u64> {
    let mut bytes = [0; 8];
    bytes.get_mut(8_usize.checked_sub(value.len())?..)?.copy_from_slice(value);
    (value.first() != Some(&0)).then(|| u64::from_be_bytes(bytes))
}

/// A time.
pub fn time(value: &[u8]) -> Option<Timestamp> {
    Timestamp::from_millis(number(value)?.cast_signed())
}

/// The eight bytes of an EUI-64.
pub fn eui(value: &[u8]) -> Option<[u8; 8]> {
    value.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_reads_back_and_nothing_else_does() {
        let items = [Packer::default().byte(1, Some(7)).finish(), Packer::default().finish()];
        let bytes = Packer::default()
            .text(1, Some("one"))
            .number(2, Some(0))
            .number(3, None)
            .list(4, items.clone())
            .list(5, [])
            .byte(6, Some(1))
            .finish();
        let mut packed = Packed::read(&bytes).unwrap();
        assert_eq!(packed.required(1, text), Some("one"));
        assert_eq!(packed.optional(2, number), Some(Some(0)));
        assert_eq!(packed.optional(3, number), Some(None));
        assert_eq!(packed.list(4, |item| Some(item.to_vec())).unwrap(), items.map(Vec::from));
        assert_eq!(packed.list(5, |item| Some(item.to_vec())).unwrap(), Vec::<Vec<u8>>::new());
        assert!(!packed.is_empty());
        assert_eq!((packed.required(6, flag), packed.is_empty()), (Some(true), true));
        for end in 1..bytes.len() {
            // Cut within a value it is none; between two it has fewer values.
            if let Some(cut) = Packed::read(&bytes[..end]) {
                assert!(cut.0.len() < 5, "{end}");
            }
        }
        for bad in [&[1, 2, 0][..], &[2, 0, 1, 0], &[1, 0, 1, 0], &[1, 0xff, 0xff]] {
            assert!(Packed::read(bad).is_none(), "{bad:?}");
        }
        let mut list = Packed::read(&[4, 2, 5, 0]).unwrap();
        assert!(list.list(4, |item| Some(item.len())).is_none());
        assert!(number(&[0, 1]).is_none() && number(&[1; 9]).is_none() && flag(&[2]).is_none());
    }
}
