//! A strict reader of small XML documents.
//!
//! It makes a tree, resolves namespaces, and refuses what two readers could understand in two ways or what could
//! reach outside of the document: document type declarations, processing instructions, CDATA sections, comments
//! (unless asked to pass over them), entities other than the five that XML predefines, prefixes that nothing
//! declares, namespace names that are relative or written with references, attributes that stand twice, and any
//! encoding but UTF-8. Depth, elements and attributes have limits.

use crate::limits::{XML_ATTRIBUTES_MAX, XML_DEPTH_MAX, XML_ELEMENTS_MAX};
use crate::names;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::attributes::Attribute as RawAttribute;
use quick_xml::events::{BytesDecl, BytesRef, BytesStart, Event};
use quick_xml::name::{Namespace, PrefixDeclaration, ResolveResult};
use quick_xml::reader::NsReader;

/// Why a document is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum XmlFault {
    /// It is not well-formed XML.
    #[error("it is not well-formed XML")]
    NotWellFormed,
    /// It holds a construct that is not read.
    #[error("it has {0}, which is not read")]
    Forbidden(&'static str),
    /// It is larger than a limit allows.
    #[error("it has too many {0}")]
    TooMany(&'static str),
    /// A namespace is declared or used in a way that readers understand differently.
    #[error("{0}")]
    Namespace(&'static str),
    /// An element has two attributes of one name.
    #[error("an element has two attributes of one name")]
    DuplicateAttribute,
    /// It declares another encoding than UTF-8, or another version than 1.0.
    #[error("it is not XML 1.0 in UTF-8")]
    Encoding,
    /// There is text between elements, or there are elements within text.
    #[error("text and elements are mixed")]
    Mixed,
}

/// What becomes of comments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comments {
    /// They refuse the document: one within a text has split names into what was signed and what was read.
    Refused,
    /// They are passed over.
    Skipped,
}

/// An attribute; declarations of namespaces are none.
#[derive(Debug)]
pub(crate) struct Attribute {
    /// The namespace's name; empty for attributes without a prefix.
    pub(crate) space: String,
    pub(crate) name: String,
    pub(crate) value: String,
}

/// An element with all that is in it.
#[derive(Debug)]
pub(crate) struct Element {
    /// The namespace's name; empty for none.
    pub(crate) space: String,
    pub(crate) name: String,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) children: Vec<Element>,
    /// All text directly within, in one piece.
    text: String,
}

impl Element {
    pub(crate) fn is(&self, space: &str, name: &str) -> bool {
        self.space == space && self.name == name
    }

    /// The value of an attribute without a prefix.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        let found =
            self.attributes.iter().find(|attribute| attribute.space.is_empty() && attribute.name == name);
        found.map(|attribute| attribute.value.as_str())
    }

    pub(crate) fn children_named(&self, space: &str, name: &str) -> impl Iterator<Item = &Element> {
        self.children.iter().filter(move |child| child.is(space, name))
    }

    /// The child of that name if there is exactly one.
    pub(crate) fn only_child(&self, space: &str, name: &str) -> Option<&Element> {
        let mut found = self.children_named(space, name);
        found.next().filter(|_| found.next().is_none())
    }

    /// The text of an element that holds nothing else.
    pub(crate) fn text(&self) -> Result<&str, XmlFault> {
        if self.children.is_empty() { Ok(&self.text) } else { Err(XmlFault::Mixed) }
    }

    /// Demands that there is no text but white space.
    pub(crate) fn without_text(&self) -> Result<&Self, XmlFault> {
        if self.text.chars().all(is_space) { Ok(self) } else { Err(XmlFault::Mixed) }
    }

    /// Calls `visit` for this element and for every one within, in document order. The depth was limited on reading.
    pub(crate) fn walk<'a, E>(
        &'a self,
        visit: &mut impl FnMut(&'a Element) -> Result<(), E>,
    ) -> Result<(), E> {
        visit(self)?;
        self.children.iter().try_for_each(|child| child.walk(visit))
    }
}

/// White space as XML means it.
pub(crate) const fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r')
}

/// Reads a document into its root element.
pub(crate) fn read(text: &str, comments: Comments) -> Result<Element, XmlFault> {
    refuse_forbidden(text, comments)?;
    let mut reader = NsReader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    reader.resolver_mut().set_max_namespace_bindings(XML_ATTRIBUTES_MAX * XML_DEPTH_MAX);
    Tree { open: Vec::new(), root: None, elements: 0 }.read(&mut reader)
}

/// Looks at the bare text, so that no opinion of a parser about where markup begins is asked for: within well-formed XML
/// `<!` and `<?` stand nowhere but at the start of these constructs.
fn refuse_forbidden(text: &str, comments: Comments) -> Result<(), XmlFault> {
    if !text.starts_with('<') {
        return Err(XmlFault::NotWellFormed);
    }
    for (at, _) in text.match_indices("<!") {
        let markup = &text[at..];
        if markup.starts_with("<!--") {
            if comments == Comments::Refused {
                return Err(XmlFault::Forbidden("a comment"));
            }
        } else if markup.starts_with("<![") {
            return Err(XmlFault::Forbidden("a CDATA section"));
        } else {
            return Err(XmlFault::Forbidden("a document type declaration"));
        }
    }
    let instructions = text.match_indices("<?").any(|(at, _)| at > 0 || !text.starts_with("<?xml "));
    if instructions {
        return Err(XmlFault::Forbidden("a processing instruction"));
    }
    if text.chars().all(is_xml_character) { Ok(()) } else { Err(XmlFault::NotWellFormed) }
}

const fn is_xml_character(character: char) -> bool {
    is_space(character) || (character >= ' ' && character != '\u{fffe}' && character != '\u{ffff}')
}

/// The elements that are open, the outermost first, and the root once it is closed.
struct Tree {
    open: Vec<Element>,
    root: Option<Element>,
    elements: usize,
}

impl Tree {
    fn read(mut self, reader: &mut NsReader<&[u8]>) -> Result<Element, XmlFault> {
        loop {
            let event = reader.read_event().map_err(|_| XmlFault::NotWellFormed)?;
            match event {
                Event::Start(start) => self.start(&start, reader)?,
                Event::End(_) => self.end()?,
                Event::Text(text) => self.text(&text.xml10_content())?,
                Event::GeneralRef(reference) => self.text(character(&reference)?.encode_utf8(&mut [0; 4]))?,
                Event::Decl(declaration) => check_declaration(&declaration)?,
                Event::Comment(_) => {}
                Event::Eof => break,
                // All of these were looked for in the text, but the parser may see what that missed.
                Event::DocType(_) | Event::PI(_) | Event::CData(_) | Event::Empty(_) => {
                    return Err(XmlFault::NotWellFormed);
                }
            }
        }
        if self.open.is_empty() {
            self.root.ok_or(XmlFault::NotWellFormed)
        } else {
            Err(XmlFault::NotWellFormed)
        }
    }

    fn start(&mut self, start: &BytesStart<'_>, reader: &NsReader<&[u8]>) -> Result<(), XmlFault> {
        self.elements += 1;
        if self.open.len() == XML_DEPTH_MAX {
            return Err(XmlFault::TooMany("levels"));
        }
        if self.elements > XML_ELEMENTS_MAX {
            return Err(XmlFault::TooMany("elements"));
        }
        if self.root.is_some() {
            return Err(XmlFault::NotWellFormed);
        }
        let (space, name) = reader.resolver().resolve_element(start.name());
        let element = Element {
            space: space_of(space)?,
            name: name.as_ref().to_owned(),
            attributes: attributes_of(start, reader)?,
            children: Vec::new(),
            text: String::new(),
        };
        self.open.push(element);
        Ok(())
    }

    fn end(&mut self) -> Result<(), XmlFault> {
        let element = self.open.pop().ok_or(XmlFault::NotWellFormed)?;
        match self.open.last_mut() {
            Some(parent) => parent.children.push(element),
            None => self.root = Some(element),
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), XmlFault> {
        match self.open.last_mut() {
            Some(element) => element.text.push_str(text),
            None if text.chars().all(is_space) => {}
            None => return Err(XmlFault::NotWellFormed),
        }
        Ok(())
    }
}

fn attributes_of(start: &BytesStart<'_>, reader: &NsReader<&[u8]>) -> Result<Vec<Attribute>, XmlFault> {
    let mut attributes: Vec<Attribute> = Vec::new();
    for (count, attribute) in start.attributes().with_checks(false).enumerate() {
        if count == XML_ATTRIBUTES_MAX {
            return Err(XmlFault::TooMany("attributes"));
        }
        let attribute = attribute.map_err(|_| XmlFault::NotWellFormed)?;
        if let Some(prefix) = attribute.key.as_namespace_binding() {
            check_binding(prefix, &attribute.value)?;
        }
        let (space, name) = match attribute.key.as_namespace_binding() {
            // Declarations take part in the search for doubles, in a namespace of their own.
            Some(PrefixDeclaration::Default) => (names::XMLNS.to_owned(), ""),
            Some(PrefixDeclaration::Named(prefix)) => (names::XMLNS.to_owned(), prefix),
            None => {
                let (space, name) = reader.resolver().resolve_attribute(attribute.key);
                (space_of(space)?, name.into_inner())
            }
        };
        if attributes.iter().any(|other| other.space == space && other.name == name) {
            return Err(XmlFault::DuplicateAttribute);
        }
        attributes.push(Attribute { space, name: name.to_owned(), value: value_of(&attribute)? });
    }
    attributes.retain(|attribute| attribute.space != names::XMLNS);
    Ok(attributes)
}

/// A namespace name is compared letter by letter, so it is written plainly. It is absolute: canonicalisers fail on relative
/// ones, and one that failed has signed the empty text ("void canonicalisation").
fn check_binding(prefix: PrefixDeclaration<'_>, name: &str) -> Result<(), XmlFault> {
    if name.contains(['&', '<']) || name.chars().any(|character| character.is_whitespace()) {
        return Err(XmlFault::Namespace("a namespace name is written with references or white space"));
    }
    let reserved = name == names::XML || name == names::XMLNS;
    match prefix {
        PrefixDeclaration::Named("xml" | "xmlns") => {
            Err(XmlFault::Namespace("a reserved prefix is declared"))
        }
        _ if reserved => Err(XmlFault::Namespace("a reserved namespace is declared")),
        PrefixDeclaration::Default if name.is_empty() => Ok(()),
        PrefixDeclaration::Named(_) if name.is_empty() => Err(XmlFault::Namespace("a prefix is undeclared")),
        _ if !name.contains(':') => Err(XmlFault::Namespace("a namespace name is relative")),
        _ => Ok(()),
    }
}

fn value_of(attribute: &RawAttribute<'_>) -> Result<String, XmlFault> {
    if attribute.value.contains('<') {
        return Err(XmlFault::NotWellFormed);
    }
    let value = attribute
        .normalized_value(quick_xml::XmlVersion::Explicit1_0)
        .map_err(|_| XmlFault::Forbidden("an entity that XML does not predefine"))?;
    if value.chars().all(is_xml_character) { Ok(value.into_owned()) } else { Err(XmlFault::NotWellFormed) }
}

fn space_of(resolved: ResolveResult<'_>) -> Result<String, XmlFault> {
    match resolved {
        ResolveResult::Bound(Namespace(name)) => Ok(name.to_owned()),
        ResolveResult::Unbound => Ok(String::new()),
        ResolveResult::Unknown(_) => Err(XmlFault::Namespace("a prefix is not declared")),
    }
}

fn character(reference: &BytesRef<'_>) -> Result<char, XmlFault> {
    match reference.resolve_char_ref() {
        Ok(Some(character)) if is_xml_character(character) => return Ok(character),
        Ok(None) => {}
        Ok(Some(_)) | Err(_) => return Err(XmlFault::NotWellFormed),
    }
    let predefined = resolve_xml_entity(reference).and_then(|text| text.chars().next());
    predefined.ok_or(XmlFault::Forbidden("an entity that XML does not predefine"))
}

fn check_declaration(declaration: &BytesDecl<'_>) -> Result<(), XmlFault> {
    let version_fits = declaration.version().is_ok_and(|version| version == "1.0");
    let encoding_fits = match declaration.encoding() {
        None => true,
        Some(Ok(name)) => name.eq_ignore_ascii_case("utf-8"),
        Some(Err(_)) => false,
    };
    if version_fits && encoding_fits { Ok(()) } else { Err(XmlFault::Encoding) }
}

#[cfg(test)]
mod tests;
