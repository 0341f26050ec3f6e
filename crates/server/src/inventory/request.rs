//! From request messages to plain queries of the inventory.

use crate::request::{Violations, optional};
use crate::status::CallError;
use gridtrail_model::{ParseError, Postcode};
use gridtrail_proto::query::v1::get_device_request::Key;
use gridtrail_proto::query::v1::{GetDeviceRequest, InventorySearchRequest};
use gridtrail_search::{InventoryKeys, InventoryQuery, PostcodeKey};

/// The query of a search. Errors: `Invalid` with every field that cannot be read.
pub(super) fn search_query_of(request: &InventorySearchRequest) -> Result<InventoryQuery, CallError> {
    let mut violations = Violations::default();
    let keys = InventoryKeys {
        mpxn: optional(&request.mpxn).and_then(|text| violations.read("mpxn", text.parse())),
        device: optional(&request.device_id).and_then(|text| violations.read("device_id", text.parse())),
        uprn: optional(&request.uprn).and_then(|text| violations.read("uprn", text.parse())),
        postcode: postcode_of(optional(&request.postcode), &request.property_filter, &mut violations),
    };
    let as_of = violations.as_of(&request.as_of);
    violations.none()?;
    Ok(InventoryQuery {
        keys,
        include_not_commissioned: request.include_not_commissioned,
        as_of,
        page_size: (request.page_size != 0).then_some(request.page_size),
        page_token: optional(&request.page_token).map(str::to_owned),
    })
}

/// The query of a call for Devices. Errors: `Invalid` with every field that cannot be read.
pub(super) fn device_query_of(request: &GetDeviceRequest) -> Result<InventoryQuery, CallError> {
    let mut violations = Violations::default();
    let mut keys = InventoryKeys::default();
    let mut postcode = None;
    match &request.key {
        Some(Key::Mpxn(text)) => keys.mpxn = violations.read("mpxn", text.parse()),
        Some(Key::DeviceId(text)) => keys.device = violations.read("device_id", text.parse()),
        Some(Key::Uprn(text)) => keys.uprn = violations.read("uprn", text.parse()),
        Some(Key::Postcode(text)) => postcode = Some(text.as_str()),
        None => violations.add("key", "exactly one of mpxn, device_id, uprn and postcode".to_owned()),
    }
    keys.postcode = postcode_of(postcode, &request.property_filter, &mut violations);
    let as_of = violations.as_of(&request.as_of);
    violations.none()?;
    Ok(InventoryQuery {
        keys,
        include_not_commissioned: request.include_not_commissioned,
        as_of,
        page_size: (request.page_size != 0).then_some(request.page_size),
        page_token: optional(&request.page_token).map(str::to_owned),
    })
}

/// A postcode with its property filter.
fn postcode_of(text: Option<&str>, property: &str, violations: &mut Violations) -> Option<PostcodeKey> {
    let property = optional(property);
    let Some(text) = text else {
        if property.is_some() {
            violations.add("property_filter", "it narrows a postcode, which must be given too".to_owned());
        }
        return None;
    };
    let postcode = text.parse().map_err(|error| violations.add("postcode", no_postcode(text, &error))).ok();
    let property = match property {
        None => None,
        Some(text) => Some(violations.read("property_filter", text.parse())?),
    };
    Some(PostcodeKey { postcode: postcode?, property })
}

/// What is wrong with a postcode, and what may have been meant by it.
fn no_postcode(text: &str, error: &ParseError) -> String {
    let meant: Vec<String> = Postcode::suggestions(text).iter().map(Postcode::to_string).collect();
    if meant.is_empty() { error.to_string() } else { format!("{error}; {} may be meant", meant.join(" or ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gridtrail_search::{SearchError, Violation};

    fn broken(request: &InventorySearchRequest) -> Vec<Violation> {
        match search_query_of(request) {
            Err(CallError::Search(SearchError::Invalid(violations))) => violations,
            other => panic!("expected violations, got {other:?}"),
        }
    }

    fn by_postcode(postcode: &str, property_filter: &str) -> InventorySearchRequest {
        InventorySearchRequest {
            postcode: postcode.into(),
            property_filter: property_filter.into(),
            ..InventorySearchRequest::default()
        }
    }

    #[test]
    fn every_field_that_cannot_be_read_is_named_at_once() {
        let request = InventorySearchRequest {
            mpxn: "12345".into(),
            device_id: "88-73".into(),
            uprn: "x".into(),
            as_of: "yesterday".into(),
            ..by_postcode("M1", "!")
        };
        let fields: Vec<_> = broken(&request).iter().map(|violation| violation.field).collect();
        assert_eq!(fields, ["mpxn", "device_id", "uprn", "postcode", "property_filter", "as_of"]);
        assert_eq!(broken(&by_postcode("", "12"))[0].field, "property_filter");
    }

    #[test]
    fn a_slip_in_a_postcode_is_told_and_never_mended() {
        let told = &broken(&by_postcode("s01 1aa", ""))[0];
        assert!(told.field == "postcode" && told.rule.ends_with("; SO1 1AA may be meant"), "{told:?}");
        assert!(!broken(&by_postcode("QQQ QQQ", ""))[0].rule.contains("may be meant"));
    }

    #[test]
    fn a_postcode_is_read_however_it_is_written() {
        let query = search_query_of(&by_postcode("sw1a1aa", " Rose  cottage")).unwrap();
        assert_eq!(query.keys.given(), [("postcode", "SW1A 1AA COTTAGE ROSE".to_owned())]);
        let request =
            GetDeviceRequest { key: Some(Key::Postcode("sw1a 1AA".into())), ..GetDeviceRequest::default() };
        assert_eq!(device_query_of(&request).unwrap().keys.given(), [("postcode", "SW1A 1AA".to_owned())]);
        assert!(device_query_of(&GetDeviceRequest::default()).is_err());
    }
}
