//! What a browser posts.

use super::{Answer, page};
use crate::limits::FORM_BYTES_MAX;
use bytes::Bytes;
use gridtrail_port::Cut;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body;
use std::borrow::Cow;
use url::form_urlencoded;

/// The form with a response.
pub(super) struct Form {
    pub(super) response: String,
    pub(super) relay_state: Option<String>,
}

impl Form {
    /// Reads a form of bounded length, or says what is wrong with it.
    pub(super) async fn read<B>(headers: &HeaderMap, body: B) -> Result<Self, Answer>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(page::page(StatusCode::UNSUPPORTED_MEDIA_TYPE, "A posted form is expected."));
        }
        let too_long = || page::page(StatusCode::PAYLOAD_TOO_LARGE, "The form is too long.");
        let announced =
            headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if announced.is_some_and(|length| length > FORM_BYTES_MAX) {
            return Err(too_long());
        }
        let body = match Box::pin(Limited::new(body, FORM_BYTES_MAX)).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => return Err(too_long()),
            Err(error) if error.is::<Cut>() => {
                return Err(page::page(
                    StatusCode::REQUEST_TIMEOUT,
                    "The form did not arrive in time. Please try again.",
                ));
            }
            Err(_) => return Err(page::page(StatusCode::BAD_REQUEST, "The form broke off.")),
        };
        Self::of(&body)
            .ok_or_else(|| page::page(StatusCode::BAD_REQUEST, "The form holds no single SAMLResponse."))
    }

    /// Each field once at most: of two, one reader might take the first and another the second.
    fn of(body: &[u8]) -> Option<Self> {
        let (mut response, mut relay_state) = (None, None);
        for (name, value) in form_urlencoded::parse(body) {
            let field = match name.as_ref() {
                "SAMLResponse" => &mut response,
                "RelayState" => &mut relay_state,
                _ => continue,
            };
            if field.replace(value).is_some() {
                return None;
            }
        }
        Some(Self { response: response?.into_owned(), relay_state: relay_state.map(Cow::into_owned) })
    }
}
