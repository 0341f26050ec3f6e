//! What a caller may ask, and the rules for it.

use crate::error::{SearchError, Violation};
use crate::limits::{PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, VARIANTS_MAX};
use crate::reference::{TrailRef, put_anchor};
use crate::wire::put_key;
use aws_lc_rs::digest;
use gridtrail_lake::{AsOf, View};
use gridtrail_model::{DeviceId, Mpxn, ParseError, ServiceReferenceVariant, Timestamp, Uprn, UserId};
use std::num::NonZeroU32;

/// What to search for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchKey {
    /// The Smart Meter of this meter point and every Device Associated with it.
    Mpxn(Mpxn),
    /// One Device.
    Device(DeviceId),
    /// The Smart Meters of all meter points that are registered with it, and every Device Associated with those.
    Uprn(Uprn),
    /// The rows of a User that lie under no Device and no meter point, since they name neither.
    User(UserId),
}

/// A search. Source: UC_ServiceAudit_001 and UC_MeterRead_001, "Inputs".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// What to search for.
    pub key: SearchKey,
    /// The variants wanted; none means all.
    pub variants: Vec<ServiceReferenceVariant>,
    /// The earliest receipt of a request, inclusive, UTC.
    pub from: Option<Timestamp>,
    /// The latest receipt of a request, inclusive, UTC.
    pub to: Option<Timestamp>,
    /// The moment whose record is searched; `None`: now.
    pub as_of: Option<AsOf>,
    /// Most rows on the page, 1 to 1000; `None` means 50.
    pub page_size: Option<u32>,
    /// The token of the page before; `None` for the first page.
    pub page_token: Option<String>,
}

impl Query {
    /// The first page of everything on record for this key.
    pub const fn of(key: SearchKey) -> Self {
        Self {
            key,
            variants: Vec::new(),
            from: None,
            to: None,
            as_of: None,
            page_size: None,
            page_token: None,
        }
    }
}

/// One row, and which part of its Status Change History. Source: UC_ServiceAudit_001 and UC_MeterRead_001, "Full Details".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowQuery {
    /// The row.
    pub reference: TrailRef,
    /// Most entries of its history; `None`: all that follow.
    pub history_page_size: Option<NonZeroU32>,
    /// Where the history goes on; `None`: from its oldest entry.
    pub history_page_token: Option<String>,
}

impl From<TrailRef> for RowQuery {
    /// The row with its whole history.
    fn from(reference: TrailRef) -> Self {
        Self { reference, history_page_size: None, history_page_token: None }
    }
}

/// Reads the start of a period: an RFC 3339 instant, or a date, meaning its first millisecond in UTC.
pub fn parse_from(text: &str) -> Result<Timestamp, ParseError> {
    text.parse()
}

/// Reads the end of a period, which belongs to it: an RFC 3339 instant, or a date, meaning its last millisecond in
/// UTC.
pub fn parse_to(text: &str) -> Result<Timestamp, ParseError> {
    const LAST_OF_DAY_MS: i64 = 24 * 60 * 60 * 1000 - 1;
    let time: Timestamp = text.parse()?;
    // A date is the only form of a time that has ten characters.
    Ok(if text.len() == 10 { time.plus_millis(LAST_OF_DAY_MS) } else { time })
}

/// What a search looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executed {
    /// The key.
    pub key: SearchKey,
    /// The variants, each once, ascending; none means all.
    pub variants: Vec<ServiceReferenceVariant>,
    /// The earliest receipt of a request, inclusive, UTC.
    pub from: Option<Timestamp>,
    /// The latest.
    pub to: Option<Timestamp>,
    /// Most rows on the page.
    pub page_size: usize,
}

/// A query that keeps every rule, and what identifies it.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) view: View,
    pub(crate) key: SearchKey,
    /// Ascending, each once.
    pub(crate) variants: Vec<ServiceReferenceVariant>,
    pub(crate) from: Option<Timestamp>,
    pub(crate) to: Option<Timestamp>,
    pub(crate) page_size: usize,
    /// Differs between queries that may give different rows: all but page size and token.
    pub(crate) fingerprint: [u8; 32],
}

impl Checked {
    /// Errors: `Invalid` with every rule that is broken.
    pub(crate) fn of(view: View, query: &Query) -> Result<Self, SearchError> {
        let violations = violations(view, query);
        if !violations.is_empty() {
            return Err(SearchError::Invalid(violations));
        }
        let mut variants = query.variants.clone();
        variants.sort_unstable();
        variants.dedup();
        let fingerprint = fingerprint(view, &variants, query);
        let page_size = query.page_size.unwrap_or(PAGE_SIZE_DEFAULT);
        Ok(Self {
            view,
            key: query.key,
            variants,
            from: query.from,
            to: query.to,
            // At most 1000 by the check above.
            page_size: usize::try_from(page_size).unwrap_or(usize::MAX),
            fingerprint,
        })
    }

    /// What it has a search look up.
    pub(crate) fn executed(&self) -> Executed {
        let Self { key, variants, from, to, page_size, .. } = self;
        Executed { key: *key, variants: variants.clone(), from: *from, to: *to, page_size: *page_size }
    }
}

fn violations(view: View, query: &Query) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut add = |field, rule: String| found.push(Violation { field, rule });
    if query.variants.len() > VARIANTS_MAX {
        add("service_reference_variants", format!("at most {VARIANTS_MAX} variants in one search"));
    }
    if view == View::MeterReads
        && let Some(other) = query.variants.iter().find(|variant| !variant.is_meter_read())
    {
        add(
            "service_reference_variants",
            format!("meter reads have the variants 4.8.1, 4.8.2, 4.8.3 and 4.17; {other} is none of them"),
        );
    }
    if let (Some(from), Some(to)) = (query.from, query.to)
        && from > to
    {
        add("from", format!("from must not be later than to; found {from} and {to}"));
    }
    if query.page_size.is_some_and(|size| !(1..=PAGE_SIZE_MAX).contains(&size)) {
        add("page_size", format!("1 to {PAGE_SIZE_MAX} rows; leave it out for {PAGE_SIZE_DEFAULT}"));
    }
    found
}

/// What tells one row of a view from all others, wherever it lies.
pub(crate) fn row_fingerprint(view: View, reference: &TrailRef) -> [u8; 32] {
    let mut text = vec![view_byte(view)];
    put_anchor(&mut text, reference.anchor);
    put_key(&mut text, &reference.position.key);
    sha256(&text)
}

const fn view_byte(view: View) -> u8 {
    match view {
        View::Audit => 1,
        View::MeterReads => 2,
    }
}

pub(crate) fn sha256(text: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, text).as_ref());
    hash
}

fn fingerprint(view: View, variants: &[ServiceReferenceVariant], query: &Query) -> [u8; 32] {
    // Each part has a fixed length or follows its count, so that no two queries share one text.
    let mut text = vec![view_byte(view)];
    match query.key {
        SearchKey::Mpxn(mpxn) => {
            text.push(1);
            text.extend(mpxn.to_code().to_be_bytes());
        }
        SearchKey::Device(device) => {
            text.push(2);
            text.extend(device.to_bytes());
        }
        SearchKey::User(user) => {
            text.push(3);
            text.extend(user.to_bytes());
        }
        SearchKey::Uprn(uprn) => {
            text.push(4);
            text.extend(uprn.number().to_be_bytes());
        }
    }
    for bound in [query.from, query.to] {
        text.push(u8::from(bound.is_some()));
        text.extend(bound.map_or(0, Timestamp::millis).to_be_bytes());
    }
    put_as_of(&mut text, query.as_of);
    text.extend(variants.iter().flat_map(|variant| variant.to_code().to_be_bytes()));
    sha256(&text)
}

/// Adds the moment of a search to the text of its fingerprint.
pub(crate) fn put_as_of(text: &mut Vec<u8>, as_of: Option<AsOf>) {
    // Nothing is added for now, so that tokens of servers that knew nothing else hold.
    match as_of {
        None => {}
        Some(AsOf::Version(version)) => {
            text.push(1);
            text.extend(version.to_be_bytes());
        }
        Some(AsOf::Instant(instant)) => {
            text.push(2);
            text.extend(instant.millis().to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device() -> SearchKey {
        SearchKey::Device("90-B3-D5-1F-30-01-00-0A".parse().unwrap())
    }

    fn fields(view: View, query: &Query) -> Vec<&'static str> {
        match Checked::of(view, query) {
            Err(SearchError::Invalid(violations)) => violations.iter().map(|v| v.field).collect(),
            other => panic!("expected violations, got {other:?}"),
        }
    }

    #[test]
    fn a_date_means_its_whole_day() {
        assert_eq!(parse_from("2026-03-01").unwrap().to_string(), "2026-03-01T00:00:00.000Z");
        assert_eq!(parse_to("2026-03-01").unwrap().to_string(), "2026-03-01T23:59:59.999Z");
        assert_eq!(parse_to("2026-03-01T00:00:00Z").unwrap(), parse_from("2026-03-01").unwrap());
        assert!(parse_to("2026-02-30").is_err());
        assert!(parse_to("9999-12-31").is_ok());
    }

    #[test]
    fn every_broken_rule_is_named_at_once() {
        let query = Query {
            variants: vec!["4.8.1".parse().unwrap(), "4.2".parse().unwrap()],
            from: Some("2026-03-02".parse().unwrap()),
            to: Some("2026-03-01".parse().unwrap()),
            page_size: Some(1001),
            ..Query::of(device())
        };
        assert_eq!(fields(View::MeterReads, &query), ["service_reference_variants", "from", "page_size"]);
        assert_eq!(fields(View::Audit, &query), ["from", "page_size"]);
        let zero = Query { page_size: Some(0), ..Query::of(device()) };
        assert_eq!(fields(View::Audit, &zero), ["page_size"]);
        let many = Query { variants: vec!["4.8.1".parse().unwrap(); 201], ..Query::of(device()) };
        assert_eq!(fields(View::Audit, &many), ["service_reference_variants"]);
    }

    #[test]
    fn the_bounds_themselves_are_fine() {
        let instant = Some("2026-03-01".parse().unwrap());
        for page_size in [Some(1), Some(1000), None] {
            let query = Query { from: instant, to: instant, page_size, ..Query::of(device()) };
            assert!(Checked::of(View::Audit, &query).is_ok());
        }
    }

    #[test]
    fn a_fingerprint_tells_queries_apart_and_not_the_order_of_variants() {
        let print = |view, query: &Query| Checked::of(view, query).unwrap().fingerprint;
        let plain = Query::of(device());
        let time = Some("2026-03-01".parse().unwrap());
        let (a, b) = ("4.8.1".parse().unwrap(), "4.8.2".parse().unwrap());
        let different = [
            print(View::Audit, &plain),
            print(View::MeterReads, &plain),
            print(View::Audit, &Query { from: time, ..plain.clone() }),
            print(View::Audit, &Query { to: time, ..plain.clone() }),
            print(View::Audit, &Query { as_of: Some(AsOf::Version(7)), ..plain.clone() }),
            print(View::Audit, &Query { as_of: time.map(AsOf::Instant), ..plain.clone() }),
            print(View::Audit, &Query { variants: vec![a], ..plain.clone() }),
            print(View::Audit, &Query { variants: vec![a, b], ..plain.clone() }),
            print(View::Audit, &Query::of(SearchKey::Device("90-B3-D5-1F-30-01-00-0B".parse().unwrap()))),
            print(View::Audit, &Query::of(SearchKey::Mpxn("0000123".parse().unwrap()))),
            print(View::Audit, &Query::of(SearchKey::Mpxn("000123".parse().unwrap()))),
            print(View::Audit, &Query::of(SearchKey::User("90-B3-D5-1F-30-01-00-0A".parse().unwrap()))),
            print(View::Audit, &Query::of(SearchKey::Uprn("123".parse().unwrap()))),
        ];
        let distinct: std::collections::BTreeSet<_> = different.iter().collect();
        assert_eq!(distinct.len(), different.len());
        assert_eq!(
            print(View::Audit, &Query { variants: vec![b, a, b], page_size: Some(7), ..plain }),
            different[7]
        );
    }
}
