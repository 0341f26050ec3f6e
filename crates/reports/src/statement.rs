//! The statement of a report: its parameters by name, as its author writes them, and by number, as sessions take them.

/// A statement whose parameters have numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    text: String,
    names: Vec<String>,
}

impl Statement {
    /// Reads a statement in which `$name` stands for a value. Texts in quotation marks and comments are left as they are.
    pub(crate) fn parse(sql: &str) -> Self {
        let (mut text, mut names) = (String::with_capacity(sql.len()), Vec::<String>::new());
        let mut rest = sql;
        while let Some(first) = rest.chars().next() {
            let end = match first {
                '\'' | '"' => rest[1..].find(first).map_or(rest.len(), |at| at + 2),
                '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
                '$' => {
                    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
                    let end = rest[1..].find(|c| !is_name(c)).map_or(rest.len(), |at| at + 1);
                    let name = &rest[1..end];
                    let known = names.iter().position(|known| known == name);
                    let number = known.unwrap_or_else(|| {
                        names.push(name.to_owned());
                        names.len() - 1
                    });
                    text.push_str(&format!("${}", number + 1));
                    rest = &rest[end..];
                    continue;
                }
                other => other.len_utf8(),
            };
            text.push_str(&rest[..end]);
            rest = &rest[end..];
        }
        Self { text, names }
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
            Statement::parse("a = $from AND b < $until -- not $this\nAND c = '$nor this' AND \"$d\" = $from");
        assert_eq!(read.text(), "a = $1 AND b < $2 -- not $this\nAND c = '$nor this' AND \"$d\" = $1");
        assert_eq!(read.names(), ["from", "until"]);
    }

    #[test]
    fn every_end_is_an_end() {
        for (sql, text) in [
            ("", ""),
            ("$a", "$1"),
            ("'", "'"),
            ("--", "--"),
            ("ä$b ä", "ä$1 ä"),
            ("'it''s $x'", "'it''s $x'"),
        ] {
            assert_eq!(Statement::parse(sql).text(), text);
        }
    }
}
