//! The elements of a small message, as a tree.

use crate::xml::{Node, Space, XmlReader};
use crate::{DecodeError, limits};
use std::str::FromStr;

/// An element of DUIS.
#[derive(Debug, Default)]
pub(super) struct Element {
    name: String,
    /// Its own text, without white space around it; the beginning of a long one.
    text: String,
    children: Vec<Element>,
}

impl Element {
    /// The root element. `None`: there are more elements than any message has that is read so. Elements of other namespaces are left
    /// out, with all that stands in them.
    pub(super) fn read(text: &str) -> Result<Option<Self>, DecodeError> {
        let mut reader = XmlReader::new(text);
        // The innermost open element stands last; `None` for one that is left out.
        let mut open: Vec<Option<Self>> = vec![Some(Self::default())];
        let mut elements = 0;
        loop {
            match reader.next()? {
                Node::Open(space, start) => {
                    elements += 1;
                    let within = matches!(open.last(), Some(Some(_))) && space == Space::Duis;
                    let name = start.local_name();
                    open.push(within.then(|| Self { name: name.as_ref().to_owned(), ..Self::default() }));
                }
                Node::Text(text) => {
                    if let Some(Some(element)) = open.last_mut() {
                        element.keep(&text);
                    }
                }
                Node::Close => {
                    if let (Some(Some(mut closed)), Some(Some(parent))) = (open.pop(), open.last_mut()) {
                        closed.text.truncate(closed.text.trim_end().len());
                        parent.children.push(closed);
                    }
                }
                Node::End => {
                    let root = open.pop().flatten().and_then(|mut document| document.children.pop());
                    return Ok(root.filter(|_| elements <= limits::XML_INVENTORY_ELEMENTS_MAX));
                }
            }
            if elements > limits::XML_INVENTORY_ELEMENTS_MAX {
                return Ok(None);
            }
        }
    }

    fn keep(&mut self, text: &str) {
        let text = if self.text.is_empty() { text.trim_start() } else { text };
        let room = limits::XML_TEXT_KEPT_MAX.saturating_sub(self.text.len());
        self.text.push_str(&text[..text.floor_char_boundary(room.min(text.len()))]);
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The children of this name.
    pub(super) fn all<'e>(&'e self, name: &'e str) -> impl Iterator<Item = &'e Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The children, in order.
    pub(super) fn children(&self) -> impl Iterator<Item = &Self> {
        self.children.iter()
    }

    /// The first child of this name.
    pub(super) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The only child.
    pub(super) fn only(&self) -> Option<&Self> {
        match &*self.children {
            [only] => Some(only),
            _ => None,
        }
    }

    /// The value of a child, where there is one that can be read.
    pub(super) fn value<T: FromStr>(&self, name: &str) -> Option<T> {
        self.child(name)?.text.parse().ok()
    }
}
