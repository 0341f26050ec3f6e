//! The statement of a report: its parameters by name, as its author writes them, and by number, as sessions take them.

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::tokenizer::{Token, Tokenizer, TokenizerError};

/// A statement whose parameters have numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Statement {
    text: String,
    names: Vec<String>,
}

impl Statement {
    /// Reads a statement in which `$name` stands for a value, by the dialect of the sessions. Texts in quotation marks and comments are left as they are.
    ///
    /// Errors: a text, name or comment that does not end.
    pub(crate) fn parse(sql: &str) -> Result<Self, TokenizerError> {
        let (mut text, mut names) = (String::with_capacity(sql.len()), Vec::<String>::new());
        // Quotation marks within texts stay doubled, so that each word is written as it was read.
        for word in Tokenizer::new(&PostgreSqlDialect {}, sql).with_unescape(false).tokenize()? {
            let Token::Placeholder(placeholder) = &word else {
                text.push_str(&word.to_string());
                continue;
            };
            let name = placeholder.trim_start_matches('$');
            let known = names.iter().position(|known| known == name);
            let number = known.unwrap_or_else(|| {
                names.push(name.to_owned());
                names.len() - 1
            });
            text.push_str(&format!("${}", number + 1));
        }
        Ok(Self { text, names })
    }

    /// The statement, with numbers.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The names of its parameters, in the order of their numbers.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_get_numbers_in_the_order_in_which_they_come() {
        let read =
            Statement::parse("a = $from AND b < $until -- not $this\nAND c = '$nor this' AND \"$d\" = $from")
                .unwrap();
        assert_eq!(read.text(), "a = $1 AND b < $2 -- not $this\nAND c = '$nor this' AND \"$d\" = $1");
        assert_eq!(read.names(), ["from", "until"]);
    }

    #[test]
    fn all_else_stays_as_it_is() {
        for (sql, text) in [
            ("", ""),
            ("$a", "$1"),
            ("--", "--"),
            ("ä=$b ä", "ä=$1 ä"),
            // A name may have the sign in it.
            ("ä$b", "ä$b"),
            ("'it''s $x'", "'it''s $x'"),
            ("\"a\"\"$x\" <= 1.50", "\"a\"\"$x\" <= 1.50"),
            ("a\t/* $x /* $y */ */\n\n $b, $a, $b", "a\t/* $x /* $y */ */\n\n $1, $2, $1"),
        ] {
            assert_eq!(Statement::parse(sql).unwrap().text(), text);
        }
        for sql in ["'", "\"a", "/* b"] {
            assert!(Statement::parse(sql).is_err(), "{sql}");
        }
    }
}
