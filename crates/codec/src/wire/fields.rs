//! The fields of a protobuf message, as far as they can be told apart: for messages that the generated types do not read.

/// A field of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'a> {
    pub(super) number: u64,
    /// All of its bytes, with what stands in front of its value.
    pub(super) whole: &'a [u8],
    /// Its value, where that is bytes: a text, a list of numbers, a message.
    pub(super) bytes: Option<&'a [u8]>,
}

/// Walks through fields, and ends before what is none.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
    /// Whether a value that the message ends in the middle of is one.
    takes_cut: bool,
    /// Whether there was one.
    is_cut: bool,
}

pub(super) fn fields(message: &[u8]) -> Fields<'_> {
    Fields { rest: message, takes_cut: false, is_cut: false }
}

/// The same, of a message that may end within one of its values.
pub(super) fn fields_of_cut(message: &[u8]) -> Fields<'_> {
    Fields { takes_cut: true, ..fields(message) }
}

impl<'a> Fields<'a> {
    /// Whether all of the message was whole fields.
    pub(super) fn is_at_the_end(&self) -> bool {
        self.rest.is_empty() && !self.is_cut
    }

    fn field(&mut self) -> Option<Field<'a>> {
        let mut rest = self.rest;
        let tag = prost::encoding::decode_varint(&mut rest).ok()?;
        let bytes = match tag & 7 {
            0 => {
                prost::encoding::decode_varint(&mut rest).ok()?;
                None
            }
            1 => {
                rest = rest.get(8..)?;
                None
            }
            2 => {
                let length = prost::encoding::decode_varint(&mut rest).ok()?;
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                self.is_cut |= self.takes_cut && length > rest.len();
                let length = if self.is_cut { length.min(rest.len()) } else { length };
                let (bytes, behind) = rest.split_at_checked(length)?;
                rest = behind;
                Some(bytes)
            }
            5 => {
                rest = rest.get(4..)?;
                None
            }
            _ => return None,
        };
        let whole = &self.rest[..self.rest.len() - rest.len()];
        Some(Field { number: tag >> 3, whole, bytes })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;
    fn next(&mut self) -> Option<Field<'a>> {
        let field = if self.rest.is_empty() { None } else { self.field() }?;
        self.rest = &self.rest[field.whole.len()..];
        Some(field)
    }
}
