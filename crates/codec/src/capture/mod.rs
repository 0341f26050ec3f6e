//! The capture envelope: many DUIS messages in one XML document, each with the receipt time that it does not
//! carry itself.
//!
//! ```xml
//! <Capture xmlns="urn:gridtrail:capture:v1">
//!   <Message recordedAt="2026-03-01T09:30:00.000Z" eventId="optional"><sr:Request xmlns:sr="...">...</sr:Request></Message>
//! </Capture>
//! ```
//!
//! Messages are told apart by the text of their tags, as in a multipart mail, not by parsing: a broken message
//! costs only itself, and its neighbours are found. So a message may not hold the text of a `Message` tag, even in
//! a comment, which no DUIS message does; and it declares its own namespaces, as on the wire. The schema is
//! `schemas/capture/v1/capture.xsd`. A capture is UTF-8, or what its declaration says of ISO-8859-1 and Windows-1252.

mod scan;
mod writer;

pub use scan::{BadMessage, Envelope, Message, Messages};
pub(crate) use scan::{UTF16, begins};
pub use writer::Writer;

/// The namespace of the envelope.
pub const NAMESPACE: &str = "urn:gridtrail:capture:v1";

/// Whether these bytes begin a capture envelope: its root element stands within the first 64 KiB.
pub fn is_capture(bytes: &[u8]) -> bool {
    Envelope::of(bytes).is_ok()
}

#[cfg(test)]
mod tests;
