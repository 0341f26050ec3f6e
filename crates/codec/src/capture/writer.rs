//! Writing captures.

use super::NAMESPACE;
use crate::Receipt;
use std::io::{self, Write};

/// Writes a capture, message by message. Buffer the sink: every message is several small writes.
#[derive(Debug)]
pub struct Writer<W: Write> {
    sink: W,
}

impl<W: Write> Writer<W> {
    /// Begins a capture.
    pub fn new(mut sink: W) -> io::Result<Self> {
        writeln!(sink, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Capture xmlns=\"{NAMESPACE}\">")?;
        Ok(Self { sink })
    }

    /// Adds a DUIS document, without its XML declaration.
    ///
    /// Errors: those of the sink; `InvalidInput` for a document that holds the text of a `Message` tag, by which
    /// messages are told apart.
    pub fn message(&mut self, receipt: &Receipt, xml: &str) -> io::Result<()> {
        if xml.contains("<Message") || xml.contains("</Message") {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the document holds a Message tag"));
        }
        write!(self.sink, "<Message recordedAt=\"{}\"", receipt.recorded_at)?;
        if let Some(id) = &receipt.event_id {
            write!(self.sink, " eventId=\"{}\"", quick_xml::escape::escape(id.as_str()))?;
        }
        self.sink.write_all(b">")?;
        self.sink.write_all(without_declaration(xml).trim_ascii().as_bytes())?;
        self.sink.write_all(b"</Message>\n")
    }

    /// Ends the capture and gives the sink back, flushed.
    pub fn finish(mut self) -> io::Result<W> {
        self.sink.write_all(b"</Capture>\n")?;
        self.sink.flush()?;
        Ok(self.sink)
    }
}

fn without_declaration(xml: &str) -> &str {
    let xml = xml.trim_start_matches('\u{feff}').trim_ascii_start();
    match xml.strip_prefix("<?xml").and_then(|rest| rest.split_once("?>")) {
        Some((_, document)) => document,
        None => xml,
    }
}
