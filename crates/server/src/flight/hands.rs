//! Handshakes: a token that comes as a password.

use crate::status::CallError;
use arrow_flight::{BasicAuth, HandshakeRequest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use prost::Message as _;
use tonic::Streaming;
use tonic::metadata::MetadataMap;

/// The token of a handshake, which from now on stands in the headers as that of any other call.
///
/// It comes in the header `authorization`, as the password of `Basic` or as it is, or in the first message.
pub(super) async fn token_of(
    metadata: &mut MetadataMap,
    messages: &mut Streaming<HandshakeRequest>,
) -> Result<String, CallError> {
    let header = metadata.get("authorization").and_then(|header| header.to_str().ok());
    let token = match header.and_then(|header| header.split_once(' ')) {
        Some((scheme, credential)) if scheme.eq_ignore_ascii_case("basic") => password_of(credential),
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Some(token.to_owned()),
        Some(_) => None,
        None => first_message(messages).await,
    };
    let token = token.filter(|token| !token.is_empty()).ok_or(CallError::NoToken)?;
    let header = format!("Bearer {token}").parse().map_err(|_| CallError::NoToken)?;
    metadata.insert("authorization", header);
    Ok(token)
}

/// The password in `name:password`, as base64: clients in Go leave its padding out.
fn password_of(credential: &str) -> Option<String> {
    let credential = credential.trim().trim_end_matches('=');
    let pair = String::from_utf8(STANDARD_NO_PAD.decode(credential).ok()?).ok()?;
    pair.split_once(':').map(|(_, password)| password.to_owned())
}

async fn first_message(messages: &mut Streaming<HandshakeRequest>) -> Option<String> {
    let first = messages.message().await.ok().flatten()?;
    BasicAuth::decode(first.payload).ok().map(|known| known.password)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;

    #[test]
    fn a_password_is_what_stands_behind_the_first_colon() {
        let of = |pair: &str| password_of(&STANDARD.encode(pair));
        assert_eq!(
            (of("a:bc"), password_of(&STANDARD_NO_PAD.encode("a:bc"))),
            (Some("bc".into()), Some("bc".into()))
        );
        assert_eq!(of("token:a.b:c").as_deref(), Some("a.b:c"));
        assert_eq!(of(":abc").as_deref(), Some("abc"));
        assert_eq!(of("abc"), None);
        assert_eq!(password_of("not base64"), None);
    }
}
