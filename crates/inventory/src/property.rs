//! The property filter: the name or number of a property, as somebody types it beside a postcode.

use crate::{Registration, limits};
use gridtrail_model::ParseError;
use std::fmt;
use std::str::FromStr;

/// The name or number of a property, or more of its address (UC_Inventory_001: "property filter, inclusive of property name /
/// number"). Case, punctuation and the order of words say nothing: `flat 2, rose cottage` and `Rose Cottage (Flat 2)` are one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PropertyFilter {
    /// Sorted.
    words: Vec<String>,
}

/// How well premises fit a filter, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PropertyFit {
    /// The filter is the whole property name or number, or the whole first line of the address.
    Whole,
    /// Every word of the filter is one of them.
    Part,
}

/// The words of a text, in capitals, sorted. An apostrophe joins what it stands between, any other mark parts it.
fn words(text: &str) -> Vec<String> {
    let joined: String = text.chars().filter(|char| !matches!(char, '\'' | '\u{2019}' | '`')).collect();
    let parts = joined.split(|char: char| !char.is_alphanumeric()).filter(|word| !word.is_empty());
    let mut words: Vec<String> = parts.map(str::to_uppercase).collect();
    words.sort_unstable();
    words
}

/// Whether each of the sorted words is among the others, as often as it stands.
fn all_among(words: &[String], others: &[String]) -> bool {
    let mut others = others.iter();
    words.iter().all(|word| others.any(|other| other == word))
}

impl PropertyFilter {
    /// How the premises of a meter point fit; `None`: they do not.
    pub fn fit(&self, premises: &Registration) -> Option<PropertyFit> {
        let words_of = |text: Option<&str>| text.map(words).unwrap_or_default();
        let property = words_of(premises.property.value().map(|text| text.as_str()));
        let first_line = words_of(premises.first_line.value().map(|text| text.as_str()));
        if self.words == property || self.words == first_line {
            return Some(PropertyFit::Whole);
        }
        let mut all = property;
        all.extend(first_line);
        all.sort_unstable();
        all_among(&self.words, &all).then_some(PropertyFit::Part)
    }
}

impl FromStr for PropertyFilter {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let words = words(text);
        if (1..=limits::FILTER_WORDS_MAX).contains(&words.len()) {
            return Ok(Self { words });
        }
        let rule = "a property filter has 1 to 32 words of letters and digits, such as 12 or Rose Cottage";
        Err(ParseError { what: "property filter", rule, found: text.chars().take(64).collect() })
    }
}

impl fmt::Display for PropertyFilter {
    /// Its words in capitals, in the order of the alphabet.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.words.join(" "))
    }
}

impl fmt::Debug for PropertyFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FieldChange;
    use proptest::prelude::*;

    fn premises(property: &str, first_line: &str) -> Registration {
        Registration {
            property: property.parse().map_or(FieldChange::Unsaid, FieldChange::Value),
            first_line: first_line.parse().map_or(FieldChange::Unsaid, FieldChange::Value),
            ..Registration::default()
        }
    }

    fn fit(filter: &str, property: &str, first_line: &str) -> Option<PropertyFit> {
        filter.parse::<PropertyFilter>().unwrap().fit(&premises(property, first_line))
    }

    #[test]
    fn case_punctuation_and_word_order_are_forgiven() {
        for filter in
            ["Flat 2, St. John's House", "st johns house flat 2", "HOUSE (St John\u{2019}s) / 2-flat"]
        {
            assert_eq!(
                fit(filter, "Flat 2 St John's House", "High Street"),
                Some(PropertyFit::Whole),
                "{filter}"
            );
        }
        assert_eq!(fit("2", "Flat 2", "1 High Street"), Some(PropertyFit::Part));
        assert_eq!(fit("high street 1", "Flat 2", "1 High Street"), Some(PropertyFit::Whole));
        assert_eq!(fit("2 high", "Flat 2", "1 High Street"), Some(PropertyFit::Part));
        assert_eq!(fit("ÉCOLE", "école", ""), Some(PropertyFit::Whole));
    }

    #[test]
    fn a_number_is_a_word_and_no_part_of_one() {
        for filter in ["1", "12A", "2 2", "street road"] {
            assert_eq!(fit(filter, "12", "12 High Street"), None, "{filter}");
        }
        assert_eq!(fit("12 12", "12", "12 High Street"), Some(PropertyFit::Part));
        assert_eq!(fit("12", "", ""), None);
        for text in ["", " , ", "'"] {
            assert!(text.parse::<PropertyFilter>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_property_fits_itself_in_any_order(mut words in prop::collection::vec("[a-z0-9]{1,6}", 1..6), upper: bool) {
            let property = words.join(" ");
            words.reverse();
            let filter = words.join(", ");
            let filter = if upper { filter.to_uppercase() } else { filter };
            prop_assert_eq!(fit(&filter, &property, "High Street"), Some(PropertyFit::Whole));
        }
        #[test]
        fn no_text_panics(text in ".{0,40}", property in ".{0,40}") {
            if let Ok(filter) = text.parse::<PropertyFilter>() {
                let _ = filter.fit(&premises(&property, &text));
            }
        }
    }
}
