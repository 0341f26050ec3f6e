//! The headers of a record, whatever their names are made of.
//!
//! Kafka means names to be UTF-8 and checks none. The safe client panics at one that is not; a record must not be lost for it,
//! nor those behind it.

#![expect(unsafe_code, reason = "the safe client has no call that gives a header whose name is not UTF-8")]

use rdkafka::bindings as native;
use rdkafka::message::BorrowedMessage;
use rdkafka::types::RDKafkaRespErr;
use std::borrow::Cow;
use std::ffi::CStr;
use std::marker::PhantomData;
use std::ptr;

/// The headers of a message, in order: name and value. What is no UTF-8 in a name is replaced by U+FFFD, and no value is an
/// empty one.
#[derive(Debug, Clone)]
pub(crate) struct Headers<'m> {
    /// Null for none.
    native: *const native::rd_kafka_headers_t,
    next: usize,
    of: PhantomData<&'m ()>,
}

impl<'m> Headers<'m> {
    pub(crate) fn of(message: &'m BorrowedMessage<'_>) -> Self {
        let mut found = ptr::null_mut();
        // SAFETY: the message is whole for as long as it is borrowed, and so are its headers, which it owns.
        let answer = unsafe { native::rd_kafka_message_headers(message.ptr(), &raw mut found) };
        let none = answer != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR;
        Self { native: if none { ptr::null() } else { found }, next: 0, of: PhantomData }
    }
}

impl<'m> Iterator for Headers<'m> {
    type Item = (Cow<'m, str>, &'m [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if self.native.is_null() {
            return None;
        }
        let (mut name, mut value, mut length) = (ptr::null(), ptr::null(), 0);
        // SAFETY: the headers are those of a message that is borrowed; there is no header behind the last, and it says so.
        let answer = unsafe {
            native::rd_kafka_header_get_all(
                self.native,
                self.next,
                &raw mut name,
                &raw mut value,
                &raw mut length,
            )
        };
        if answer != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR || name.is_null() {
            return None;
        }
        self.next += 1;
        // SAFETY: a name ends with a zero byte, and lives as long as the message.
        let name = unsafe { CStr::from_ptr(name) }.to_string_lossy();
        let value = if value.is_null() {
            &[][..]
        } else {
            // SAFETY: the value has this length, and lives as long as the message.
            unsafe { std::slice::from_raw_parts(value.cast::<u8>(), length) }
        };
        Some((name, value))
    }
}
