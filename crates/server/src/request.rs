//! From request messages to plain queries.

use crate::status::CallError;
use gridtrail_model::{ParseError, Timestamp};
use gridtrail_proto::query::v1::{GetRequest, RowView, SearchRequest, search_request::Key};
use gridtrail_search::{
    AsOf, BadAsOf, Query, RowQuery, SearchError, SearchKey, Violation, parse_from, parse_to,
};
use std::num::NonZeroU32;

/// The query of a request, and how much of each row to answer with. Errors: `Invalid` with every field that cannot be read.
pub(crate) fn query_of(request: SearchRequest) -> Result<(Query, RowView), CallError> {
    let mut violations = Violations::default();
    let view = RowView::try_from(request.view).unwrap_or_else(|_| {
        violations.add("view", format!("ROW_VIEW_TABLE (1) or ROW_VIEW_FULL (2); found {}", request.view));
        RowView::Unspecified
    });
    let key = key_of(request.key, &mut violations);
    let variants = request
        .service_reference_variants
        .iter()
        .filter_map(|text| violations.read("service_reference_variants", text.parse()))
        .collect();
    let from = optional(&request.from).and_then(|text| violations.time("from", text, parse_from));
    let to = optional(&request.to).and_then(|text| violations.time("to", text, parse_to));
    let as_of = violations.as_of(&request.as_of);
    let page_size = (request.page_size != 0).then_some(request.page_size);
    let page_token = optional(&request.page_token).map(str::to_owned);
    match key {
        Some(key) if violations.0.is_empty() => {
            Ok((Query { key, variants, from, to, as_of, page_size, page_token }, view))
        }
        _ => Err(SearchError::Invalid(violations.0).into()),
    }
}

/// The row of a request, and which part of its history. Errors: `Invalid`.
pub(crate) fn row_query_of(request: GetRequest) -> Result<RowQuery, CallError> {
    let GetRequest { reference, history_page_size, history_page_token } = request;
    Ok(RowQuery {
        reference: reference.parse()?,
        history_page_size: NonZeroU32::new(history_page_size),
        history_page_token: (!history_page_token.is_empty()).then_some(history_page_token),
    })
}

fn key_of(key: Option<Key>, violations: &mut Violations) -> Option<SearchKey> {
    match key {
        Some(Key::Mpxn(text)) => violations.read("mpxn", text.parse()).map(SearchKey::Mpxn),
        Some(Key::DeviceId(text)) => violations.read("device_id", text.parse()).map(SearchKey::Device),
        Some(Key::Uprn(text)) => violations.read("uprn", text.parse()).map(SearchKey::Uprn),
        Some(Key::UserId(text)) => violations.read("user_id", text.parse()).map(SearchKey::User),
        None => {
            violations.add("key", "exactly one of mpxn, device_id, uprn and user_id".into());
            None
        }
    }
}

pub(crate) fn optional(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

#[derive(Debug, Default)]
pub(crate) struct Violations(Vec<Violation>);

impl Violations {
    /// More than this many help nobody, and would only repeat the request.
    const COUNT_MAX: usize = 20;

    pub(crate) fn add(&mut self, field: &'static str, rule: String) {
        if self.0.len() < Self::COUNT_MAX {
            self.0.push(Violation { field, rule });
        }
    }

    pub(crate) fn read<T>(&mut self, field: &'static str, value: Result<T, ParseError>) -> Option<T> {
        value.map_err(|error| self.add(field, error.to_string())).ok()
    }

    /// Reads a moment of the lake; an empty text is none.
    pub(crate) fn as_of(&mut self, text: &str) -> Option<AsOf> {
        let rule = |error: BadAsOf| error.to_string();
        optional(text)?.parse::<AsOf>().map_err(|error| self.add("as_of", rule(error))).ok()
    }

    /// Errors: `Invalid`, where there is any.
    pub(crate) fn none(self) -> Result<(), SearchError> {
        if self.0.is_empty() { Ok(()) } else { Err(SearchError::Invalid(self.0)) }
    }

    /// Reads a bound of a period, which may be a date too: the rule of a bare time does not say so.
    fn time(
        &mut self,
        field: &'static str,
        text: &str,
        parse: fn(&str) -> Result<Timestamp, ParseError>,
    ) -> Option<Timestamp> {
        let rule = |error: ParseError| {
            format!(
                "a date such as 2026-03-01 or an RFC 3339 instant such as 2026-03-01T09:30:00Z, within the years \
                 1900 to 9999; found \"{}\"",
                error.found
            )
        };
        parse(text).map_err(|error| self.add(field, rule(error))).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(request: SearchRequest) -> Vec<&'static str> {
        match query_of(request) {
            Err(CallError::Search(SearchError::Invalid(violations))) => {
                violations.iter().map(|violation| violation.field).collect()
            }
            other => panic!("expected violations, got {other:?}"),
        }
    }

    #[test]
    fn every_field_that_cannot_be_read_is_named_at_once() {
        let request = SearchRequest {
            key: Some(Key::Mpxn("12345".into())),
            service_reference_variants: vec!["4.8.1".into(), "4".into()],
            from: "yesterday".into(),
            to: "2026-02-30".into(),
            view: 3,
            ..SearchRequest::default()
        };
        assert_eq!(fields(request), ["view", "mpxn", "service_reference_variants", "from", "to"]);
        assert_eq!(fields(SearchRequest::default()), ["key"]);
        let many = SearchRequest {
            key: Some(Key::Uprn("x".into())),
            service_reference_variants: vec!["x".into(); 1000],
            ..SearchRequest::default()
        };
        assert_eq!(fields(many).len(), Violations::COUNT_MAX);
    }

    #[test]
    fn empty_fields_are_absent_and_dates_are_whole_days() {
        let request = |from: &str, to: &str| SearchRequest {
            key: Some(Key::DeviceId("90b3d51f3001000a".into())),
            from: from.into(),
            to: to.into(),
            ..SearchRequest::default()
        };
        let (query, view) = query_of(request("", "")).unwrap();
        assert_eq!(view, RowView::Unspecified);
        assert_eq!(query, Query::of(SearchKey::Device("90-B3-D5-1F-30-01-00-0A".parse().unwrap())));
        let (query, _) = query_of(request("2026-03-01", "2026-03-01")).unwrap();
        let shown = [query.from, query.to].map(|time| time.unwrap().to_string());
        assert_eq!(shown, ["2026-03-01T00:00:00.000Z", "2026-03-01T23:59:59.999Z"]);
    }
}
