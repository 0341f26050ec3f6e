//! What a row of a copy is known by, from one version to the next.

use gridtrail_model::{Anchor, CommandVariant, Leg, Subject, TrailKey};
use xxhash_rust::xxh64::xxh64;

/// A row's identity as text: what it lies under, whose it is, and what it is about. Part of the format: copies hold hashes of it.
pub(crate) fn identity(anchor: Anchor, key: &TrailKey) -> String {
    let under = match anchor {
        Anchor::Device(device) => format!("D{device}"),
        Anchor::Mpxn(mpxn) => format!("M{mpxn}"),
        Anchor::User(user) => format!("U{user}"),
        Anchor::Nothing => String::new(),
    };
    let about = match key.subject {
        Subject::Leg(Leg { request_id, command_variant }) => {
            format!("L{request_id}|{}", command_variant.number())
        }
        Subject::ScheduledRun(response_id) => format!("R{response_id}|"),
        Subject::Alert { response_id, code, throttle_sequence } => {
            let sequence = throttle_sequence.map(|number| number.to_string()).unwrap_or_default();
            format!("A{response_id}|{}|{sequence}", code.as_str())
        }
        Subject::Unjoined(request_id) => format!("N{request_id}|"),
    };
    format!("{under}|{}|{about}", key.user)
}

/// A number that rows of one identity share, and hardly any others.
pub(crate) fn print(identity: &str) -> i64 {
    xxh64(identity.as_bytes(), 0).cast_signed()
}

/// Reads the identity of a row that may be joined to what waits: a leg, or a run of a schedule. `None`: it is of none.
pub(crate) fn read(identity: &str) -> Option<(Anchor, TrailKey)> {
    let mut parts = identity.split('|');
    let (under, user, about) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?);
    let anchor = match under.split_at_checked(1)? {
        ("D", device) => Anchor::Device(device.parse().ok()?),
        ("M", mpxn) => Anchor::Mpxn(mpxn.parse().ok()?),
        ("U", user) => Anchor::User(user.parse().ok()?),
        _ => return None,
    };
    let subject = match about.split_at_checked(1)? {
        ("L", request_id) => Subject::Leg(Leg {
            request_id: request_id.parse().ok()?,
            command_variant: CommandVariant::new(parts.next()?.parse().ok()?)?,
        }),
        ("R", response_id) => Subject::ScheduledRun(response_id.parse().ok()?),
        _ => return None,
    };
    Some((anchor, TrailKey { user, subject }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gridtrail_model::{DeviceId, RequestId, ResponseId, UserId};
    use proptest::prelude::*;

    /// The numbers are part of the format: with others a copy would have its rows twice.
    #[test]
    fn a_row_is_known_by_what_it_was_always_known_by() {
        let (user, device) =
            (UserId::from_bytes([0x90, 0xB3, 0xD5, 0x1F, 0x30, 1, 0, 0]), [0, 1, 2, 3, 4, 5, 6, 7]);
        let request_id = RequestId { originator: user, target: DeviceId::from_bytes(device), counter: 7 };
        let subject = Subject::Leg(Leg { request_id, command_variant: CommandVariant::TRANSFORM });
        let identity = identity(Anchor::Device(DeviceId::from_bytes(device)), &TrailKey { user, subject });
        assert_eq!(
            identity,
            "D00-01-02-03-04-05-06-07|90-B3-D5-1F-30-01-00-00|L90-B3-D5-1F-30-01-00-00:00-01-02-03-04-05-06-07:7|4"
        );
        assert_eq!(print(&identity), xxh64(identity.as_bytes(), 0).cast_signed());
    }

    proptest! {
        #[test]
        fn what_may_be_joined_reads_back(user: [u8; 8], a: [u8; 8], b: [u8; 8], counter: u64, leg in 1u8..=9, under in 0..3, run: bool) {
            let (user, a, b) = (UserId::from_bytes(user), DeviceId::from_bytes(a), DeviceId::from_bytes(b));
            let subject = match run {
                true => Subject::ScheduledRun(ResponseId { first: a, second: b, counter }),
                false => Subject::Leg(Leg {
                    request_id: RequestId { originator: user, target: b, counter },
                    command_variant: CommandVariant::new(leg).unwrap(),
                }),
            };
            let anchor = match under {
                0 => Anchor::Device(a),
                1 => Anchor::Mpxn("1217290354420".parse().unwrap()),
                _ => Anchor::User(user),
            };
            let key = TrailKey { user, subject };
            prop_assert_eq!(read(&identity(anchor, &key)), Some((anchor, key)));
        }

        #[test]
        fn no_text_panics(text: String) {
            read(&text);
        }
    }
}
