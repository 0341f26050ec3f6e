//! Going through a document.

use crate::character::{self, ENTITY, is_space};
use crate::{Fault, Why};
use quick_xml::XmlVersion;
use quick_xml::events::attributes::Attribute;
use quick_xml::events::{BytesDecl, BytesStart, BytesText, Event};
use quick_xml::name::{LocalName, Namespace, QName, ResolveResult};
use quick_xml::reader::NsReader;

/// How strict a reader is beyond what all of them refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// The deepest nesting of elements.
    pub depth_max: usize,
    /// The most namespace prefixes in force at one place. Looking one up costs a walk over all of them.
    pub namespaces_max: usize,
    /// Whether CDATA sections and processing instructions refuse the document: where what is signed and what is read are compared,
    /// one thing is to be written in one way.
    pub plain: bool,
}

/// One step through a document. Comments are passed over, and so are processing instructions where the rules allow them.
#[derive(Debug)]
pub enum Node<'r, 'i> {
    /// The XML declaration.
    Declaration(BytesDecl<'i>),
    /// An element begins, of this namespace; empty for none.
    Open(&'r str, BytesStart<'i>),
    /// Text within the innermost open element, as it is written: its line ends are not normalised.
    Text(BytesText<'i>),
    /// A character within the innermost open element, which was written as a reference.
    Character(char),
    /// The innermost open element ends.
    Close,
    /// The document ends.
    End,
}

/// See the crate.
#[derive(Debug)]
pub struct Reader<'i> {
    reader: NsReader<&'i [u8]>,
    rules: Rules,
    depth: usize,
    root_seen: bool,
}

/// What to do with an event of the parser.
enum Step<'i> {
    Open(BytesStart<'i>),
    Text(BytesText<'i>),
    Character(char),
    Declaration(BytesDecl<'i>),
    Close,
    End,
    Pass,
}

impl<'i> Reader<'i> {
    /// At the start of a document.
    pub fn new(text: &'i str, rules: Rules) -> Self {
        let mut reader = NsReader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        reader.resolver_mut().set_max_namespace_bindings(rules.namespaces_max);
        Self { reader, rules, depth: 0, root_seen: false }
    }

    /// Where the reader stands, in bytes from the start.
    pub fn position(&self) -> u64 {
        self.reader.buffer_position()
    }

    /// The next step. After an error there is no going on.
    pub fn next_node(&mut self) -> Result<Node<'_, 'i>, Fault> {
        loop {
            let event = match self.reader.read_event() {
                Ok(event) => event,
                Err(error) => {
                    let why = Why::Malformed(error.to_string());
                    return Err(Fault { position: self.reader.error_position(), why });
                }
            };
            return Ok(match self.step(event).map_err(|why| self.fault(why))? {
                Step::Pass => continue,
                Step::Open(start) => Node::Open(self.namespace_of(&start)?, start),
                Step::Text(text) => Node::Text(text),
                Step::Character(character) => Node::Character(character),
                Step::Declaration(declaration) => Node::Declaration(declaration),
                Step::Close => Node::Close,
                Step::End => Node::End,
            });
        }
    }

    fn step(&mut self, event: Event<'i>) -> Result<Step<'i>, Why> {
        Ok(match event {
            Event::Start(start) => {
                self.open(&start)?;
                Step::Open(start)
            }
            Event::End(_) => {
                self.depth = self.depth.saturating_sub(1);
                Step::Close
            }
            Event::Text(text) if self.depth > 0 => {
                character::check(&text)?;
                Step::Text(text)
            }
            Event::Text(text) if text.chars().all(is_space) => Step::Pass,
            Event::CData(_) if self.rules.plain => return Err(Why::Forbidden("a CDATA section")),
            Event::CData(text) if self.depth > 0 => {
                character::check(&text)?;
                Step::Text(BytesText::from_escaped(text.into_inner()))
            }
            Event::GeneralRef(reference) if self.depth > 0 => {
                Step::Character(character::referred(&reference)?)
            }
            Event::Text(_) | Event::CData(_) | Event::GeneralRef(_) => {
                return Err(malformed("text outside of the root element"));
            }
            Event::PI(_) if self.rules.plain => return Err(Why::Forbidden("a processing instruction")),
            Event::Comment(_) | Event::PI(_) => Step::Pass,
            Event::Decl(declaration) => Step::Declaration(declaration),
            Event::DocType(_) => return Err(Why::Forbidden("a document type declaration")),
            Event::Eof if self.depth > 0 => return Err(malformed("the document ends within an element")),
            Event::Eof if !self.root_seen => return Err(malformed("there is no element")),
            Event::Eof => Step::End,
            // Empty elements come as a start and an end, as configured above.
            Event::Empty(_) => return Err(malformed("an empty element came unexpanded")),
        })
    }

    fn open(&mut self, start: &BytesStart<'_>) -> Result<(), Why> {
        if self.depth == 0 && self.root_seen {
            return Err(malformed("a second root element"));
        }
        if self.depth == self.rules.depth_max {
            return Err(Why::TooDeep(self.rules.depth_max));
        }
        self.root_seen = true;
        self.depth += 1;
        character::check(start)?;
        let attributes = start.attributes_raw();
        if attributes.contains('<') {
            return Err(malformed("`<` within a tag"));
        }
        // Their values may refer to entities, too.
        if attributes.contains('&') {
            for attribute in start.attributes().with_checks(false) {
                attribute_value(&attribute.map_err(|error| malformed(error.to_string()))?)?;
            }
        }
        Ok(())
    }

    fn namespace_of(&self, start: &BytesStart<'_>) -> Result<&str, Fault> {
        let (namespace, _) = self.reader.resolver().resolve_element(start.name());
        named(namespace).map_err(|why| self.fault(why))
    }

    /// The namespace of an attribute of the element that began last, empty for none, and its name without a prefix.
    pub fn resolve_attribute<'n>(&self, name: QName<'n>) -> Result<(&str, LocalName<'n>), Fault> {
        let (namespace, name) = self.reader.resolver().resolve_attribute(name);
        Ok((named(namespace).map_err(|why| self.fault(why))?, name))
    }

    fn fault(&self, why: Why) -> Fault {
        Fault { position: self.position(), why }
    }
}

/// The value of an attribute, its references and white space read as XML 1.0 has it.
pub fn attribute_value(attribute: &Attribute<'_>) -> Result<String, Why> {
    let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|_| Why::Forbidden(ENTITY))?;
    character::check(&value)?;
    Ok(value.into_owned())
}

fn named(namespace: ResolveResult<'_>) -> Result<&str, Why> {
    match namespace {
        ResolveResult::Bound(Namespace(name)) => Ok(name),
        ResolveResult::Unbound => Ok(""),
        ResolveResult::Unknown(_) => Err(Why::UndeclaredPrefix),
    }
}

fn malformed(how: impl Into<String>) -> Why {
    Why::Malformed(how.into())
}

#[cfg(test)]
mod tests;
