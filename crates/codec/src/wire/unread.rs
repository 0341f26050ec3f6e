//! What can be told of an event of access that cannot be read.
//!
//! It may be a rescission that the DCC confirmed, so whatever in it names User IDs, a Party or a notification is looked for: by the names of
//! fields in what looks like JSON, by their numbers in what looks like protobuf, and by their look in anything.

use super::fields::{Field, fields_of_cut};
use crate::{is_utf16, without_mark};
use gridtrail_access::{NoticeId, Party, Unread, UnreadKind};
use gridtrail_model::UserId;
use serde_json::Value;
use std::collections::BTreeSet;

/// The digits of a User ID.
const DIGITS: usize = 16;

/// How many fields of one name are tried at most: an event has one, and a hostile text as many as it has room for.
const TRIES: usize = 8;

/// What can be read of a record that is no event of access, or of its beginning. `None`: of a grant, which ends nothing.
///
/// `place` names the record to a person. Nothing of an officer is in it.
pub fn unread_access(bytes: &[u8], place: String) -> Option<Unread> {
    let text = text_of(bytes);
    let found = found_in_protobuf(bytes).unwrap_or_else(|| found_in_text(&text));
    if found.body == UnreadKind::Notification && found.is_grant {
        return None;
    }
    // What does not say where it stands counts, too.
    let user_ids: BTreeSet<UserId> = found.user_ids.iter().copied().chain(ids_in(&text)).collect();
    let says_whom = match found.body {
        UnreadKind::Notification => found.names_all_own,
        UnreadKind::Assignment => !user_ids.is_empty(),
        UnreadKind::Confirmation | UnreadKind::Rejection => true,
        UnreadKind::Unknown => false,
    };
    let Found { by, with, .. } = found;
    let (by, with) = if says_whom { (None, None) } else { (by, with) };
    Some(Unread { kind: found.body, place, notice: found.notice, by, with, user_ids })
}

/// What was found of an event.
struct Found {
    body: UnreadKind,
    is_grant: bool,
    notice: Option<NoticeId>,
    by: Option<Party>,
    with: Option<Party>,
    user_ids: Vec<UserId>,
    /// Whether all User IDs of the sender were read.
    names_all_own: bool,
}

impl Default for Found {
    fn default() -> Self {
        Self {
            body: UnreadKind::Unknown,
            is_grant: false,
            notice: None,
            by: None,
            with: None,
            user_ids: Vec::new(),
            names_all_own: false,
        }
    }
}

fn text_of(bytes: &[u8]) -> String {
    if is_utf16(bytes) {
        let is_big = bytes.starts_with(b"\xfe\xff") || bytes.first() == Some(&0);
        let unit = if is_big { u16::from_be_bytes } else { u16::from_le_bytes };
        let (pairs, _) = bytes.as_chunks::<2>();
        return char::decode_utf16(pairs.iter().map(|pair| unit(*pair)))
            .map(|char| char.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect();
    }
    String::from_utf8_lossy(without_mark(bytes)).into_owned()
}

/// A User ID, however its digits are joined.
fn id_of(text: &str) -> Option<UserId> {
    let digits: String = text.chars().filter(char::is_ascii_alphanumeric).collect();
    (digits.len() == DIGITS).then(|| digits.parse().ok()).flatten()
}

/// Everything that looks like a User ID: eight pairs of hexadecimal digits, alone or joined by hyphens or colons.
fn ids_in(text: &str) -> impl Iterator<Item = UserId> {
    let words = text.split(|c: char| !c.is_ascii_hexdigit() && c != '-' && c != ':');
    // A word may begin or end with what joins it to another.
    words.filter_map(|word| id_of(word.trim_matches(['-', ':'])))
}

fn found_in_text(text: &str) -> Found {
    let bodies = [
        ("notified", UnreadKind::Notification),
        ("confirmed", UnreadKind::Confirmation),
        ("rejected", UnreadKind::Rejection),
        ("assigned", UnreadKind::Assignment),
    ];
    let body = bodies.into_iter().find(|(name, _)| values(text, &[name]).0);
    let body = body.map_or(UnreadKind::Unknown, |(_, kind)| kind);
    let word = |names: &[&str]| values(text, names).1.and_then(|value| value.as_str().map(str::to_owned));
    let kind = values(text, &["kind"]).1;
    let own = ids_of(values(text, &["userIds", "user_ids"]).1);
    let other = ids_of(values(text, &["otherUserIds", "other_user_ids"]).1);
    let names_all_own = own.iter().all(Option::is_some) && !own.is_empty();
    Found {
        body,
        is_grant: kind.is_some_and(|kind| kind == "NOTIFICATION_KIND_GRANT" || kind == 1),
        notice: word(&["notificationId", "notification_id"]).and_then(|id| id.parse().ok()),
        by: word(&["party"]).and_then(|party| party.parse().ok()),
        with: word(&["otherParty", "other_party"]).and_then(|party| party.parse().ok()),
        user_ids: own.into_iter().chain(other).flatten().collect(),
        names_all_own,
    }
}

/// The User IDs of a list; `None` for each that is none.
fn ids_of(list: Option<Value>) -> Vec<Option<UserId>> {
    let list = list.as_ref().and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().map(|id| id.as_str().and_then(id_of)).collect()
}

/// Whether a field of one of these names begins somewhere, and the first value of one that can be read to its end.
fn values(text: &str, names: &[&str]) -> (bool, Option<Value>) {
    let mut begins = false;
    for name in names {
        let quoted = format!("\"{name}\"");
        for (at, _) in text.match_indices(&quoted).take(TRIES) {
            let Some(value) = text[at + quoted.len()..].trim_start().strip_prefix(':') else { continue };
            begins = true;
            if let Some(Ok(value)) = serde_json::Deserializer::from_str(value).into_iter().next() {
                return (true, Some(value));
            }
        }
    }
    (begins, None)
}

/// `None`: it does not look like protobuf.
fn found_in_protobuf(bytes: &[u8]) -> Option<Found> {
    // A serialiser of a schema registry puts five bytes in front, and often which message of the schema it is.
    let starts = [0, 5, 6].into_iter().take(if bytes.first() == Some(&0) { 3 } else { 1 });
    starts.filter_map(|start| found_in_fields(bytes.get(start..)?)).next()
}

fn found_in_fields(message: &[u8]) -> Option<Found> {
    let mut top = fields_of_cut(message);
    let mut body = None;
    for Field { number, bytes, .. } in top.by_ref() {
        let kind = match number {
            10 => UnreadKind::Assignment,
            11 => UnreadKind::Notification,
            12 => UnreadKind::Confirmation,
            13 => UnreadKind::Rejection,
            1..10 => continue,
            _ => return None,
        };
        body = Some((kind, bytes?));
    }
    let (kind, bytes) = body?;
    let mut found = Found { body: kind, ..Found::default() };
    let mut within = fields_of_cut(bytes);
    let (mut own, mut other) = (Vec::new(), Vec::new());
    for Field { number, whole, bytes } in within.by_ref() {
        let text = bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default();
        match (kind, number) {
            (UnreadKind::Assignment, 1) => own.push(id_of(&text)),
            (UnreadKind::Assignment, 2) | (UnreadKind::Notification, 3) => found.by = text.parse().ok(),
            (UnreadKind::Assignment, _) => {}
            (_, 1) => found.notice = text.parse().ok(),
            (UnreadKind::Notification, 2) => found.is_grant = whole == [2 << 3, 1],
            (UnreadKind::Notification, 4) => found.with = text.parse().ok(),
            (UnreadKind::Notification, 5) => own.push(id_of(&text)),
            (UnreadKind::Notification, 6) => other.push(id_of(&text)),
            _ => {}
        }
    }
    let is_whole = within.is_at_the_end() && top.is_at_the_end();
    found.names_all_own = is_whole && !own.is_empty() && own.iter().all(Option::is_some);
    found.user_ids = own.into_iter().chain(other).flatten().collect();
    Some(found)
}
