//! A strict reader of small XML documents.
//!
//! It makes a tree. Beside what every reader refuses (`gridtrail-xml`), it refuses what two readers could understand in two ways:
//! processing instructions, CDATA sections, comments (unless asked to pass over them), namespace names that are relative or
//! written with references, attributes that stand twice, and any encoding but UTF-8. Depth, elements and attributes have limits.

use crate::limits::{XML_ATTRIBUTES_MAX, XML_DEPTH_MAX, XML_ELEMENTS_MAX};
use crate::names;
pub(crate) use gridtrail_xml::is_space;
use gridtrail_xml::{Fault, Node, Reader, Rules, Why, attribute_value};
use quick_xml::events::{BytesDecl, BytesStart};
use quick_xml::name::PrefixDeclaration;

const RULES: Rules =
    Rules { depth_max: XML_DEPTH_MAX, namespaces_max: XML_ATTRIBUTES_MAX * XML_DEPTH_MAX, plain: true };

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

/// Reads a document into its root element.
pub(crate) fn read(text: &str, comments: Comments) -> Result<Element, XmlFault> {
    refuse_forbidden(text, comments)?;
    Tree { open: Vec::new(), root: None, elements: 0 }.read(&mut Reader::new(text, RULES))
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
    if instructions { Err(XmlFault::Forbidden("a processing instruction")) } else { Ok(()) }
}

impl From<Why> for XmlFault {
    fn from(why: Why) -> Self {
        match why {
            Why::Malformed(_) => Self::NotWellFormed,
            Why::Forbidden(what) => Self::Forbidden(what),
            Why::UndeclaredPrefix => Self::Namespace("a prefix is not declared"),
            Why::TooDeep(_) => Self::TooMany("levels"),
        }
    }
}

impl From<Fault> for XmlFault {
    fn from(fault: Fault) -> Self {
        fault.why.into()
    }
}

/// The elements that are open, the outermost first, and the root once it is closed.
struct Tree {
    open: Vec<Element>,
    root: Option<Element>,
    elements: usize,
}

impl Tree {
    fn read(mut self, reader: &mut Reader<'_>) -> Result<Element, XmlFault> {
        loop {
            match reader.next_node()? {
                Node::Open(space, start) => {
                    let space = space.to_owned();
                    self.start(space, &start, reader)?;
                }
                Node::Close => self.end()?,
                Node::Text(text) => self.text(&text.xml10_content())?,
                Node::Character(character) => self.text(character.encode_utf8(&mut [0; 4]))?,
                Node::Declaration(declaration) => check_declaration(&declaration)?,
                Node::End => return self.root.ok_or(XmlFault::NotWellFormed),
            }
        }
    }

    fn start(&mut self, space: String, start: &BytesStart<'_>, reader: &Reader<'_>) -> Result<(), XmlFault> {
        self.elements += 1;
        if self.elements > XML_ELEMENTS_MAX {
            return Err(XmlFault::TooMany("elements"));
        }
        let element = Element {
            space,
            name: start.local_name().into_inner().to_owned(),
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
        self.open.last_mut().ok_or(XmlFault::NotWellFormed)?.text.push_str(text);
        Ok(())
    }
}

fn attributes_of(start: &BytesStart<'_>, reader: &Reader<'_>) -> Result<Vec<Attribute>, XmlFault> {
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
                let (space, name) = reader.resolve_attribute(attribute.key)?;
                (space.to_owned(), name.into_inner())
            }
        };
        if attributes.iter().any(|other| other.space == space && other.name == name) {
            return Err(XmlFault::DuplicateAttribute);
        }
        attributes.push(Attribute { space, name: name.to_owned(), value: attribute_value(&attribute)? });
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
