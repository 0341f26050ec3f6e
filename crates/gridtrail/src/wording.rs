//! Numbers of things, in words that reports and messages share.

/// A number of things: "1 row", "2 rows", "no rows" being "0 rows". `one` is the singular of a noun, or of a noun with what follows it.
pub(crate) fn count(number: impl Into<u64>, one: &str) -> String {
    let number = number.into();
    if number == 1 { format!("1 {one}") } else { format!("{number} {}", plural(one)) }
}

/// The same, of what is counted in memory.
pub(crate) fn count_of(number: usize, one: &str) -> String {
    count(number as u64, one)
}

/// The plural of the noun that a text begins or, where "of" follows, begins with: "row of others" gives "rows of others".
fn plural(one: &str) -> String {
    let (noun, rest) = match one.find(" of ") {
        Some(at) => one.split_at(at),
        None => (one, ""),
    };
    let sibilant = ["s", "x", "ch", "sh"].iter().any(|end| noun.ends_with(end));
    let noun = match noun.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'o', 'u'])) {
        Some(stem) => format!("{stem}ies"),
        None if sibilant => format!("{noun}es"),
        None => format!("{noun}s"),
    };
    noun + rest
}
