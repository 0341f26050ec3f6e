//! Texts within pages and pictures.

use std::borrow::Cow;

/// A text as a page has it. Control characters, which no page may hold, are shown as what cannot be shown.
pub(super) fn escaped(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| !matches!(c, '&' | '<' | '>' | '"' | '\'') && !c.is_control();
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut page = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => page.push_str("&amp;"),
            '<' => page.push_str("&lt;"),
            '>' => page.push_str("&gt;"),
            '"' => page.push_str("&quot;"),
            '\'' => page.push_str("&#39;"),
            '\n' | '\t' => page.push(c),
            c if c.is_control() => page.push(char::REPLACEMENT_CHARACTER),
            c => page.push(c),
        }
    }
    Cow::Owned(page)
}
