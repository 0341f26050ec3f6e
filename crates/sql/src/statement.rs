//! Statements as texts: read, and as the access log has them.

use crate::error::SqlError;
use crate::limits::{RECORDED_BYTES_MAX, STATEMENT_BYTES_MAX};
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

/// How deep a statement may be nested.
const DEPTH_MAX: usize = 50;

/// The words of a statement.
pub(crate) struct Words(Vec<TokenWithSpan>);

impl Words {
    /// Reads a text; its parameters are called `$1`, `$2` and so on, also where it says `?`.
    pub(crate) fn of(text: &str) -> Result<Self, SqlError> {
        if text.len() > STATEMENT_BYTES_MAX {
            let why =
                format!("a statement may have {STATEMENT_BYTES_MAX} bytes; this one has {}", text.len());
            return Err(SqlError::Statement(why));
        }
        let words = Tokenizer::new(&PostgreSqlDialect {}, text).tokenize_with_location();
        let mut words = words.map_err(|error| SqlError::Statement(error.to_string()))?;
        let is_named = words.iter().any(|word| matches!(word.token, Token::Placeholder(_)));
        let mut number = 0;
        for word in &mut words {
            if word.token == Token::Question {
                number += 1;
                word.token = Token::Placeholder(format!("${number}"));
            }
        }
        if is_named && number > 0 {
            let why =
                "a statement names its parameters either $1, $2 and so on, or ? each; this one does both";
            return Err(SqlError::Statement(why.to_owned()));
        }
        Ok(Self(words))
    }

    /// The one statement that the words are.
    pub(crate) fn statement(&self) -> Result<Statement, SqlError> {
        let parser = DFParserBuilder::new(self.0.clone())
            .with_dialect(&PostgreSqlDialect {})
            .with_recursion_limit(DEPTH_MAX)
            .build();
        let mut statements = parser?.parse_statements()?;
        match (statements.pop_front(), statements.pop_front()) {
            (Some(statement), None) => Ok(statement),
            (None, _) => Err(SqlError::Statement("there is no statement".to_owned())),
            (Some(_), Some(_)) => Err(SqlError::Statement("one statement at a time".to_owned())),
        }
    }

    /// The text as the access log has it: the same for statements that differ in literals, spaces and comments alone. No literal is in it.
    pub(crate) fn recorded(&self) -> String {
        let mut text = String::new();
        let mut is_apart = false;
        for word in self.0.iter().map(|word| &word.token) {
            let Some(shown) = shown(word) else {
                is_apart = !text.is_empty();
                continue;
            };
            if std::mem::take(&mut is_apart) {
                text.push(' ');
            }
            text.push_str(&shown);
            if text.len() > RECORDED_BYTES_MAX {
                let end = (0..=RECORDED_BYTES_MAX).rev().find(|end| text.is_char_boundary(*end));
                text.truncate(end.unwrap_or(0));
                text.push('…');
                break;
            }
        }
        text
    }
}

/// How a word is recorded; `None`: as a space.
fn shown(word: &Token) -> Option<String> {
    match word {
        Token::Whitespace(_) | Token::EOF => None,
        Token::Word(word) if word.quote_style.is_some() => Some(word.to_string()),
        Token::Word(word) if word.keyword == Keyword::NoKeyword => Some(word.value.to_lowercase()),
        Token::Word(word) => Some(word.value.to_uppercase()),
        Token::Placeholder(name) => Some(name.clone()),
        other => {
            // Signs are shown; whatever has a letter or a digit in it is a literal of some kind.
            let text = other.to_string();
            let is_sign = !text.is_empty() && text.chars().all(|c| c.is_ascii_punctuation());
            Some(if is_sign && !text.contains(['\'', '"']) { text } else { "?".to_owned() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(text: &str) -> String {
        Words::of(text).unwrap().recorded()
    }

    #[test]
    fn what_is_recorded_has_no_literal() {
        for (text, expected) in [
            ("select  Count(*)\n from Audit_Trails -- mine\n;", "SELECT COUNT(*) FROM audit_trails ;"),
            ("SELECT 'secret', \"Column\", 12.5", "SELECT ?, \"Column\", ?"),
            (
                "SELECT E'secret', $$secret$$, $t$secret$t$, X'5ec2e7', N'secret', B'01'",
                "SELECT ?, ?, ?, ?, ?, ?",
            ),
            ("SELECT '', ';', '--', ''''", "SELECT ?, ?, ?, ?"),
            (
                "SELECT * FROM t WHERE a = ? AND b->>'secret' <= ?",
                "SELECT * FROM t WHERE a = $1 AND b->>? <= $2",
            ),
            ("SELECT /* secret */ $2", "SELECT $2"),
        ] {
            assert_eq!(recorded(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_recorded_is_bounded() {
        let long = recorded(&format!("SELECT {}", "ä, ".repeat(10_000)));
        assert!(long.len() <= RECORDED_BYTES_MAX + '…'.len_utf8(), "{}", long.len());
        assert!(long.ends_with('…'));
    }

    #[test]
    fn parameters_are_named_in_one_way() {
        assert!(Words::of("SELECT ?, $1").is_err());
        assert!(Words::of("SELECT $2, $1").unwrap().statement().is_ok());
        assert!(Words::of("SELECT 'a?', ?").unwrap().recorded().ends_with("?, $1"));
    }
}
