//! The caller's own deadline: how long a call has, as the gRPC protocol writes it over HTTP/2 (`grpc-timeout`).

use std::time::Duration;
use tonic::metadata::MetadataMap;

/// How much earlier than the caller's deadline a call is given up, at most: the transport would cut it at the deadline itself, and
/// then neither the caller nor the access log is told why.
const AHEAD_MAX: Duration = Duration::from_millis(10);

/// How long a call has: less than the caller's deadline where it has one that can be read, and never more than `most`.
pub(crate) fn time_left(metadata: &MetadataMap, most: Duration) -> Duration {
    let header = metadata.get("grpc-timeout").and_then(|value| value.to_str().ok());
    let asked = header.and_then(timeout_of).map(|asked| asked - AHEAD_MAX.min(asked / 4));
    asked.map_or(most, |asked| asked.min(most))
}

/// One to eight digits and a unit.
fn timeout_of(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if !(1..=8).contains(&digits.len()) || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3_600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_read_as_the_protocol_writes_it() {
        for (text, expected) in [
            ("2H", Some(Duration::from_secs(7_200))),
            ("3M", Some(Duration::from_secs(180))),
            ("99999999S", Some(Duration::from_secs(99_999_999))),
            ("250m", Some(Duration::from_millis(250))),
            ("7u", Some(Duration::from_micros(7))),
            ("0n", Some(Duration::ZERO)),
            ("", None),
            ("m", None),
            ("12", None),
            ("123456789m", None),
            ("+1S", None),
            ("-1S", None),
            ("1.5S", None),
            ("1s", None),
            ("1é", None),
        ] {
            assert_eq!(timeout_of(text), expected, "{text}");
        }
    }

    #[test]
    fn a_call_is_given_up_just_before_the_deadline_and_never_after_our_own() {
        let most = Duration::from_secs(20);
        let of = |text: Option<&str>| {
            let mut metadata = MetadataMap::new();
            if let Some(text) = text {
                metadata.insert("grpc-timeout", text.parse().unwrap());
            }
            time_left(&metadata, most)
        };
        assert_eq!(of(Some("1S")), Duration::from_millis(990));
        assert_eq!(of(Some("8m")), Duration::from_millis(6));
        assert_eq!(of(Some("0m")), Duration::ZERO);
        for text in [Some("1H"), Some("soon"), None] {
            assert_eq!(of(text), most, "{text:?}");
        }
    }
}
