//! What a person enters about themselves when they first log in: UC_Login_001, SSI-FR-1.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Longest name, in characters: no form that a request is raised by takes more.
const NAME_CHARS_MAX: usize = 100;
/// Longest e-mail address, in bytes: RFC 5321 gives a path 256 with its brackets.
const EMAIL_BYTES_MAX: usize = 254;
/// Longest part of one before the `@`, in bytes: RFC 5321, 4.5.3.1.1.
const EMAIL_LOCAL_BYTES_MAX: usize = 64;
/// Digits of a telephone number: ITU-T E.164 allows 15, and none that can be called from elsewhere has fewer than 7.
const TELEPHONE_DIGITS: std::ops::RangeInclusive<usize> = 7..=15;
/// Longest telephone number as it is written, in bytes.
const TELEPHONE_BYTES_MAX: usize = 40;

/// First name, last name, e-mail address and telephone number of a person: personal data, so that no form of it but the fields themselves shows
/// any of them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Details {
    first_name: String,
    last_name: String,
    email_address: String,
    telephone_number: String,
}

// A hand-written form, so that nothing of it ever reaches a log.
impl fmt::Debug for Details {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Details")
    }
}

/// What is wrong with one of the fields. It repeats nothing of what was entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {rule}")]
pub struct DetailsFault {
    /// The field, as calls name it.
    pub field: &'static str,
    /// What it must be.
    pub rule: &'static str,
}

impl Details {
    /// From what was entered; spaces before and behind do not count.
    ///
    /// Errors: each field that is not as it must be.
    pub fn new(
        (first_name, last_name): (&str, &str),
        email_address: &str,
        telephone_number: &str,
    ) -> Result<Self, Vec<DetailsFault>> {
        let of = |text: &str| text.trim().to_owned();
        let entered = Self {
            first_name: of(first_name),
            last_name: of(last_name),
            email_address: of(email_address),
            telephone_number: of(telephone_number),
        };
        const NAME: &str = "needed: at most 100 characters, without line ends";
        let judged = [
            (is_name(&entered.first_name), "details.first_name", NAME),
            (is_name(&entered.last_name), "details.last_name", NAME),
            (
                is_email_address(&entered.email_address),
                "details.email_address",
                "needed: an address such as name@example.com",
            ),
            (
                is_telephone_number(&entered.telephone_number),
                "details.telephone_number",
                "needed: 7 to 15 digits, such as 020 7946 0000 or +44 20 7946 0000",
            ),
        ];
        let faults: Vec<_> = judged
            .into_iter()
            .filter(|(is_right, ..)| !is_right)
            .map(|(_, field, rule)| DetailsFault { field, rule })
            .collect();
        if faults.is_empty() { Ok(entered) } else { Err(faults) }
    }

    /// The first name: 1 to 100 characters.
    pub fn first_name(&self) -> &str {
        &self.first_name
    }

    /// The last name: 1 to 100 characters.
    pub fn last_name(&self) -> &str {
        &self.last_name
    }

    /// The e-mail address.
    pub fn email_address(&self) -> &str {
        &self.email_address
    }

    /// The telephone number, as it was written: with 7 to 15 digits.
    pub fn telephone_number(&self) -> &str {
        &self.telephone_number
    }
}

fn is_name(text: &str) -> bool {
    (1..=NAME_CHARS_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

/// Whether mail could be sent there, as far as a text tells: who has the address is not asked.
fn is_email_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    text.len() <= EMAIL_BYTES_MAX
        && (1..=EMAIL_LOCAL_BYTES_MAX).contains(&local.len())
        && !local.chars().any(|c| c.is_whitespace() || c.is_control() || matches!(c, '@' | '<' | '>' | ','))
        && domain.contains('.')
        && domain.split('.').all(is_label)
}

fn is_telephone_number(text: &str) -> bool {
    let number = text.strip_prefix('+').unwrap_or(text);
    let digits = number.bytes().filter(u8::is_ascii_digit).count();
    text.len() <= TELEPHONE_BYTES_MAX
        && TELEPHONE_DIGITS.contains(&digits)
        && number
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b' ' | b'-' | b'.' | b'(' | b')'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(names: (&str, &str), email: &str, telephone: &str) -> Vec<&'static str> {
        match Details::new(names, email, telephone) {
            Ok(_) => Vec::new(),
            Err(faults) => faults.into_iter().map(|fault| fault.field).collect(),
        }
    }

    #[test]
    fn what_people_are_called_and_where_they_are_reached_is_taken() {
        let details = Details::new(
            (" Zoë ", "O’Brien-Müller"),
            " zoe.obrien@supply.example.com ",
            "+44 (0)20 7946-0000",
        );
        let details = details.unwrap();
        assert_eq!((details.first_name(), details.last_name()), ("Zoë", "O’Brien-Müller"));
        assert_eq!(details.email_address(), "zoe.obrien@supply.example.com");
        assert_eq!(details.telephone_number(), "+44 (0)20 7946-0000");
        assert!(faults(("J", &"é".repeat(100)), "a+b'c@x.co", "0207946").is_empty());
    }

    #[test]
    fn what_is_none_is_named_field_by_field() {
        let all =
            ["details.first_name", "details.last_name", "details.email_address", "details.telephone_number"];
        assert_eq!(faults(("", "  "), "", ""), all);
        assert_eq!(faults(("a\nb", &"é".repeat(101)), "a@b@", "12345678901234567"), all);
        let email = |text: &str| !faults(("J", "S"), text, "020 7946 0000").is_empty();
        let long = format!("{}@x.example", "a".repeat(65));
        for text in
            ["a", "a@", "@x.example", "a@localhost", "a b@x.example", "a@x..example", "a@-x.example", &long]
        {
            assert!(email(text), "{text}");
        }
        let telephone = |text: &str| !faults(("J", "S"), "j@x.example", text).is_empty();
        let spaced = format!("0207946{}", " ".repeat(40)) + "0";
        for text in ["123456", "1234567890123456", "020 7946 OOOO", "++442079460000", "0207946+0000", &spaced]
        {
            assert!(telephone(text), "{text}");
        }
    }

    #[test]
    fn no_form_but_the_fields_themselves_shows_any_of_it() {
        let details = Details::new(("Zoë", "Quill"), "zoe@x.example", "020 7946 0000").unwrap();
        assert_eq!(format!("{details:?}"), "Details");
        let faults = Details::new(("Zoë", "Quill"), "zoe-at-x", "call-me").unwrap_err();
        let shown: String = faults.iter().map(|fault| format!("{fault} {fault:?}")).collect();
        assert!(!shown.contains("zoe-at") && !shown.contains("call-me"), "{shown}");
    }
}
