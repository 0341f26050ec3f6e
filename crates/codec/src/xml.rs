//! The XML of DUIS and of captures, read step by step.
//!
//! What every reader refuses stands in `gridtrail-xml`; here are the limits, the namespaces that mean something, and the text of
//! a document. Which characters the bytes are is settled before (`charset`).

use crate::charset::Charset;
use crate::{DecodeError, limits};
use gridtrail_xml::{Fault, Reader, Rules, Why};
use quick_xml::events::BytesStart;
use std::borrow::Cow;

const RULES: Rules =
    Rules { depth_max: limits::XML_DEPTH_MAX, namespaces_max: limits::XML_NAMESPACES_MAX, plain: false };

/// The namespaces that mean something here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Space {
    /// DUIS, `sr:` by custom.
    Duis,
    /// The message mapping catalogue, `ra:` by custom: contents of SMETS1 responses.
    ResponseAndAlert,
    /// The capture envelope.
    Capture,
    /// Any other, or none.
    Other,
}

/// The namespace of DUIS.
pub(crate) const DUIS: &str = "http://www.dccinterface.co.uk/ServiceUserGateway";
const RESPONSE_AND_ALERT: &str = "http://www.dccinterface.co.uk/ResponseAndAlert";

impl Space {
    fn of(namespace: &str) -> Self {
        match namespace {
            DUIS => Self::Duis,
            RESPONSE_AND_ALERT => Self::ResponseAndAlert,
            crate::capture::NAMESPACE => Self::Capture,
            _ => Self::Other,
        }
    }
}

/// One step through a document.
#[derive(Debug)]
pub(crate) enum Node<'i> {
    /// An element begins.
    Open(Space, BytesStart<'i>),
    /// Text within the innermost open element.
    Text(Cow<'i, str>),
    /// The innermost open element ends.
    Close,
    /// The document ends.
    End,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct XmlReader<'i>(Reader<'i>);

impl<'i> XmlReader<'i> {
    pub(crate) fn new(text: &'i str) -> Self {
        Self(Reader::new(text, RULES))
    }

    /// Where the reader stands, in bytes from the start.
    pub(crate) fn position(&self) -> u64 {
        self.0.position()
    }

    /// The next step. After an error there is no going on.
    pub(crate) fn next(&mut self) -> Result<Node<'i>, DecodeError> {
        loop {
            return Ok(match self.0.next_node()? {
                // What a declaration says of the encoding was heeded when the bytes became text.
                gridtrail_xml::Node::Declaration(_) => continue,
                gridtrail_xml::Node::Open(space, start) => Node::Open(Space::of(space), start),
                gridtrail_xml::Node::Text(text) => Node::Text(text.into_inner()),
                gridtrail_xml::Node::Character(character) => Node::Text(character.to_string().into()),
                gridtrail_xml::Node::Close => Node::Close,
                gridtrail_xml::Node::End => Node::End,
            });
        }
    }
}

impl From<Fault> for DecodeError {
    fn from(Fault { position, why }: Fault) -> Self {
        match why {
            Why::Forbidden(what) => Self::Forbidden { position, what },
            Why::Malformed(_) | Why::UndeclaredPrefix | Why::TooDeep(_) => Self::xml(position, why),
        }
    }
}

/// The text of a document: within the limit, of an encoding that is read, without a byte order mark. `charset` is that of the
/// document around it; `None`: it says itself.
pub(crate) fn document<'i>(
    what: &'static str,
    bytes: &'i [u8],
    charset: Option<Charset>,
) -> Result<Cow<'i, str>, DecodeError> {
    if bytes.len() > limits::MESSAGE_BYTES_MAX {
        let limit = limits::MESSAGE_BYTES_MAX;
        return Err(DecodeError::TooLarge { what, bytes: bytes.len() as u64, limit });
    }
    charset.map_or_else(|| Charset::of(bytes), Ok)?.text(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(text: &str) -> Result<String, DecodeError> {
        let mut reader = XmlReader::new(text);
        let mut kept = String::new();
        loop {
            match reader.next()? {
                Node::Text(text) => kept.push_str(&text),
                Node::End => return Ok(kept),
                Node::Open(..) | Node::Close => {}
            }
        }
    }

    #[test]
    fn the_five_entities_and_character_references_are_read() {
        assert_eq!(walk("<a>&lt;&gt;&amp;&apos;&quot;&#65;&#x42;</a>").unwrap(), "<>&'\"AB");
        assert_eq!(
            walk("<?xml version='1.0' encoding='utf-8'?>\n<a b='&amp;'><![CDATA[<x>]]></a>\n").unwrap(),
            "<x>"
        );
    }

    #[test]
    fn what_reaches_outside_or_blows_up_is_refused() {
        for text in [
            "<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>",
            "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>",
            "<!DOCTYPE a [<!ENTITY x '&y;&y;'><!ENTITY y 'yyyy'>]><a>&x;</a>",
            "<a>&x;</a>",
            "<a b='&x;'/>",
        ] {
            assert!(matches!(walk(text), Err(DecodeError::Forbidden { .. })), "{text}: {:?}", walk(text));
        }
    }

    #[test]
    fn depth_and_namespaces_have_limits() {
        let nested = |depth: usize| "<a>".repeat(depth) + &"</a>".repeat(depth);
        assert!(walk(&nested(limits::XML_DEPTH_MAX)).is_ok());
        assert!(walk(&nested(limits::XML_DEPTH_MAX + 1)).is_err());
        let spaces = |count: usize| {
            let declared: String = (0..count).map(|i| format!(" xmlns:p{i}='u'")).collect();
            format!("<a{declared}/>")
        };
        assert!(walk(&spaces(limits::XML_NAMESPACES_MAX)).is_ok());
        assert!(walk(&spaces(limits::XML_NAMESPACES_MAX + 1)).is_err());
    }

    #[test]
    fn size_and_encoding_have_limits() {
        assert!(document("x", &vec![b' '; limits::MESSAGE_BYTES_MAX], None).is_ok());
        let long = vec![b' '; limits::MESSAGE_BYTES_MAX + 1];
        assert!(matches!(document("x", &long, None), Err(DecodeError::TooLarge { .. })));
        assert!(document("x", &[b'<', 0xff], None).is_err());
        assert_eq!(document("x", "\u{feff}<a/>".as_bytes(), None).unwrap(), "<a/>");
    }
}
