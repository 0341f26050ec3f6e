//! A streaming XML reader for hostile input.
//!
//! It goes through the document once, holds no tree, resolves namespaces, and refuses what could reach outside of
//! the document or make a small one large: document type declarations, entities other than the five that
//! XML predefines, nesting beyond `XML_DEPTH_MAX`, namespaces beyond `XML_NAMESPACES_MAX`. Which characters the bytes are
//! is settled before (`charset`). Comments and processing instructions are passed over.

use crate::charset::Charset;
use crate::{DecodeError, limits};
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::{Namespace, ResolveResult};
use quick_xml::reader::NsReader;
use std::borrow::Cow;

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
pub(crate) struct XmlReader<'i> {
    reader: NsReader<&'i [u8]>,
    depth: usize,
    root_seen: bool,
}

impl<'i> XmlReader<'i> {
    pub(crate) fn new(text: &'i str) -> Self {
        let mut reader = NsReader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        reader.resolver_mut().set_max_namespace_bindings(limits::XML_NAMESPACES_MAX);
        Self { reader, depth: 0, root_seen: false }
    }

    /// Where the reader stands, in bytes from the start.
    pub(crate) fn position(&self) -> u64 {
        self.reader.buffer_position()
    }

    /// The next step. After an error there is no going on.
    pub(crate) fn next(&mut self) -> Result<Node<'i>, DecodeError> {
        loop {
            let (space, event) = match self.reader.read_resolved_event() {
                Ok((resolved, event)) => (space_of(&resolved), event),
                Err(error) => return Err(DecodeError::xml(self.reader.error_position(), error)),
            };
            match event {
                Event::Start(start) => return self.open(space, start),
                // Empty elements come as a start and an end, as configured above.
                Event::Empty(_) => return Err(self.wrong("an empty element came unexpanded")),
                Event::End(_) => {
                    self.depth = self.depth.saturating_sub(1);
                    return Ok(Node::Close);
                }
                Event::Text(text) if self.depth > 0 => return Ok(Node::Text(text.into_inner())),
                Event::CData(text) if self.depth > 0 => return Ok(Node::Text(text.into_inner())),
                Event::Text(text) if text.trim().is_empty() => {}
                Event::GeneralRef(reference) if self.depth > 0 => {
                    return Ok(Node::Text(self.character(&reference)?.to_string().into()));
                }
                Event::Text(_) | Event::CData(_) | Event::GeneralRef(_) => {
                    return Err(self.wrong("text outside of the root element"));
                }
                // What a declaration says of the encoding was heeded when the bytes became text.
                Event::Comment(_) | Event::PI(_) | Event::Decl(_) => {}
                Event::DocType(_) => return Err(self.forbidden("a document type declaration")),
                Event::Eof if self.depth > 0 => {
                    return Err(self.wrong("the document ends within an element"));
                }
                Event::Eof if !self.root_seen => return Err(self.wrong("there is no element")),
                Event::Eof => return Ok(Node::End),
            }
        }
    }

    fn open(&mut self, space: Option<Space>, start: BytesStart<'i>) -> Result<Node<'i>, DecodeError> {
        let space = space.ok_or_else(|| self.wrong("a namespace prefix is not declared"))?;
        if self.depth == 0 && self.root_seen {
            return Err(self.wrong("a second root element"));
        }
        if self.depth == limits::XML_DEPTH_MAX {
            return Err(self.wrong("elements are nested deeper than 64"));
        }
        self.root_seen = true;
        self.depth += 1;
        self.check_attributes(&start)?;
        Ok(Node::Open(space, start))
    }

    /// Attribute values may refer to entities too. Repeated attributes are not looked for: that takes a time that
    /// grows with the square of their number, and the few that are read are taken once.
    fn check_attributes(&self, start: &BytesStart<'_>) -> Result<(), DecodeError> {
        if !start.attributes_raw().contains('&') {
            return Ok(());
        }
        for attribute in start.attributes().with_checks(false) {
            let attribute = attribute.map_err(|error| self.wrong(error))?;
            if attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0).is_err() {
                return Err(self.forbidden("an entity that XML does not predefine"));
            }
        }
        Ok(())
    }

    fn character(&self, reference: &BytesRef<'_>) -> Result<char, DecodeError> {
        if let Some(character) = reference.resolve_char_ref().map_err(|error| self.wrong(error))? {
            return Ok(character);
        }
        let predefined = resolve_xml_entity(reference).and_then(|text| text.chars().next());
        predefined.ok_or_else(|| self.forbidden("an entity that XML does not predefine"))
    }

    fn wrong(&self, reason: impl ToString) -> DecodeError {
        DecodeError::xml(self.position(), reason)
    }

    fn forbidden(&self, what: &'static str) -> DecodeError {
        DecodeError::Forbidden { position: self.position(), what }
    }
}

/// `None` for a prefix that nothing declares.
fn space_of(resolved: &ResolveResult<'_>) -> Option<Space> {
    match resolved {
        ResolveResult::Bound(Namespace(DUIS)) => Some(Space::Duis),
        ResolveResult::Bound(Namespace(RESPONSE_AND_ALERT)) => Some(Space::ResponseAndAlert),
        ResolveResult::Bound(Namespace(crate::capture::NAMESPACE)) => Some(Space::Capture),
        ResolveResult::Bound(_) | ResolveResult::Unbound => Some(Space::Other),
        ResolveResult::Unknown(_) => None,
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
    fn what_is_not_well_formed_is_refused() {
        for text in [
            "",
            " ",
            "x",
            "<a>",
            "<a></b>",
            "<a/><b/>",
            "<a/>x",
            "x<a/>",
            "<p:a/>",
            "<a>&#xD800;</a>",
            "<a>&#0;</a>",
            "</a>",
            "<a",
        ] {
            assert!(walk(text).is_err(), "{text}");
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
