//! Digests that name objects.

use aws_lc_rs::digest::{Context, SHA256};

/// The SHA-256 digest of some texts, in hexadecimal. `purpose` keeps digests of different things apart, and the length before
/// each text keeps `a`, `bc` from `ab`, `c`.
pub(crate) fn of(purpose: &str, parts: &[&[u8]]) -> String {
    let mut context = Context::new(&SHA256);
    for part in [purpose.as_bytes()].iter().chain(parts) {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    hex::encode(context.finish())
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn texts_that_only_join_to_the_same_have_other_digests() {
        let digests = [
            of("a", &[b"b", b"c"]),
            of("a", &[b"bc"]),
            of("a", &[b"bc", b""]),
            of("a", &[b"", b"bc"]),
            of("ab", &[b"c"]),
        ];
        for (at, one) in digests.iter().enumerate() {
            assert!(!digests[..at].contains(one), "{at}");
            assert_eq!(one.len(), 64);
        }
    }
}
