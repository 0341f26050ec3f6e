//! Records of a `.binpb` file: each a varint length, then so many bytes.

use crate::limits;
use prost::encoding::decode_varint;

/// The longest varint: seven bits a byte, and one bit in the tenth.
const VARINT_BYTES_MAX: usize = 10;

/// What stands at the front of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A whole record.
    Complete {
        /// Its bytes, without the length.
        record: &'a [u8],
        /// How many bytes of the buffer it takes with its length.
        consumed: usize,
    },
    /// The buffer ends before the record does: read on, or, at the end of the file, the record is cut off.
    Incomplete,
    /// The record is longer than [`limits::MESSAGE_BYTES_MAX`]. It can be skipped by its length.
    TooLarge {
        /// The length that it claims, in bytes.
        length: u64,
        /// How many bytes of the buffer the length itself takes.
        header: usize,
    },
    /// What stands here is no length. Nothing after it can be found again.
    Bad,
}

/// The record at the front of the buffer.
pub fn next_frame(buffer: &[u8]) -> Frame<'_> {
    let mut rest = buffer;
    let Ok(length) = decode_varint(&mut rest) else {
        // A number ends within its bytes, so that one which more bytes may end is cut off, and any other is none.
        return if buffer.len() < VARINT_BYTES_MAX { Frame::Incomplete } else { Frame::Bad };
    };
    let header = buffer.len() - rest.len();
    if length > limits::MESSAGE_BYTES_MAX as u64 {
        return Frame::TooLarge { length, header };
    }
    let consumed = usize::try_from(length).unwrap_or(usize::MAX).saturating_add(header);
    match buffer.get(header..consumed) {
        Some(record) => Frame::Complete { record, consumed },
        None => Frame::Incomplete,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_at_the_limit_and_beyond() {
        let mut buffer = Vec::new();
        prost::encoding::encode_varint(limits::MESSAGE_BYTES_MAX as u64, &mut buffer);
        assert_eq!(next_frame(&buffer), Frame::Incomplete);
        buffer.resize(buffer.len() + limits::MESSAGE_BYTES_MAX, 0);
        assert!(matches!(next_frame(&buffer), Frame::Complete { record, consumed }
            if record.len() == limits::MESSAGE_BYTES_MAX && consumed == buffer.len()));
        let mut buffer = Vec::new();
        prost::encoding::encode_varint(limits::MESSAGE_BYTES_MAX as u64 + 1, &mut buffer);
        assert!(matches!(next_frame(&buffer), Frame::TooLarge { length, header: 4 }
            if length == limits::MESSAGE_BYTES_MAX as u64 + 1));
    }

    #[test]
    fn what_is_no_length_is_bad_and_what_is_cut_is_incomplete() {
        assert_eq!(next_frame(&[]), Frame::Incomplete);
        assert_eq!(next_frame(&[0x80; 9]), Frame::Incomplete);
        assert_eq!(next_frame(&[0x80; 10]), Frame::Bad);
        let mut most = [0xff; 10];
        most[9] = 1;
        assert_eq!(next_frame(&most), Frame::TooLarge { length: u64::MAX, header: 10 });
        most[9] = 2;
        assert_eq!(next_frame(&most), Frame::Bad);
    }

    proptest! {
        #[test]
        fn records_come_back_in_order(records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8)) {
            let mut buffer = Vec::new();
            for record in &records {
                prost::encoding::encode_varint(record.len() as u64, &mut buffer);
                buffer.extend_from_slice(record);
            }
            let mut rest = &buffer[..];
            for expected in &records {
                let Frame::Complete { record, consumed } = next_frame(rest) else {
                    return Err(TestCaseError::fail("a whole record was not found"));
                };
                prop_assert_eq!(record, &expected[..]);
                for cut in 0..consumed {
                    prop_assert_eq!(next_frame(&rest[..cut]), Frame::Incomplete);
                }
                rest = &rest[consumed..];
            }
            prop_assert_eq!(next_frame(rest), Frame::Incomplete);
        }
    }
}
