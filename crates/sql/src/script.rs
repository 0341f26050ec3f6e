//! Texts of several statements.

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

/// The statements of a text, each without its semicolon, and what stands behind the last one. What is none, such as a comment, is left out.
pub fn statements_of(text: &str) -> (Vec<String>, &str) {
    let mut tokens: Vec<TokenWithSpan> = Vec::new();
    // What does not end, such as a text without its last quotation mark, is not among the tokens.
    let is_whole =
        Tokenizer::new(&PostgreSqlDialect {}, text).tokenize_with_location_into_buf(&mut tokens).is_ok();
    let (mut statements, mut begun, mut has_words) = (Vec::new(), 0, false);
    let mut places = Places { text, at: 0, location: Location { line: 1, column: 1 } };
    for token in &tokens {
        match token.token {
            Token::SemiColon => {
                let end = places.of(token.span.start);
                if has_words {
                    statements.push(text[begun..end].trim().to_owned());
                }
                (begun, has_words) = (end + 1, false);
            }
            Token::Whitespace(_) => {}
            _ => has_words = true,
        }
    }
    let rest = &text[begun..];
    (statements, if has_words || !is_whole { rest } else { "" })
}

/// Finds places of a text, one behind the other.
struct Places<'t> {
    text: &'t str,
    at: usize,
    location: Location,
}

impl Places<'_> {
    /// The byte at a line and column.
    fn of(&mut self, location: Location) -> usize {
        for letter in self.text[self.at..].chars() {
            if (self.location.line, self.location.column) == (location.line, location.column) {
                break;
            }
            self.at += letter.len_utf8();
            self.location = if letter == '\n' {
                Location { line: self.location.line + 1, column: 1 }
            } else {
                Location { column: self.location.column + 1, ..self.location }
            };
        }
        self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_with_semicolons_that_are_no_part_of_them() {
        for (text, statements, rest) in [
            ("SELECT 1;", &["SELECT 1"][..], ""),
            ("SELECT ';', \"a;b\"; SELECT 2", &["SELECT ';', \"a;b\""], " SELECT 2"),
            (
                "-- first;\nSELECT 'é;' ;\n\n/* ; */ SELECT\n 2;;  ; -- end",
                &["-- first;\nSELECT 'é;'", "/* ; */ SELECT\n 2"],
                "",
            ),
            ("SELECT $$;$$; SELECT 'a", &["SELECT $$;$$"], " SELECT 'a"),
            ("", &[], ""),
            ("  ; ", &[], ""),
            ("-- nothing", &[], ""),
            ("'never ends;", &[], "'never ends;"),
        ] {
            assert_eq!(
                statements_of(text),
                (statements.iter().map(|s| (*s).to_owned()).collect(), rest),
                "{text}"
            );
        }
    }
}
