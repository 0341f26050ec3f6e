//! The pages of incidents and of security name the tests that hold gridtrail to what they say. The tests must be there.

use crate::layers::sources;
use gridtrail_tests::repository_root;
use std::collections::BTreeSet;

/// The rows of the page's table, without its head.
fn rows(page: &str) -> Vec<&str> {
    page.lines().filter(|line| line.starts_with("| [")).collect()
}

/// The names of tests in a text: what stands in backticks and reads like a function.
fn named(text: &str) -> BTreeSet<&str> {
    let quoted = text.split('`').skip(1).step_by(2);
    let reads_like_one = |name: &&str| {
        name.matches('_').count() > 1
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    quoted.filter(reads_like_one).collect()
}

/// The tests that a source defines.
fn defined(source: &str) -> Vec<&str> {
    let lines: Vec<&str> = source.lines().map(str::trim_start).collect();
    let is_test = |line: &&str| line.starts_with("#[test]") || line.starts_with("#[tokio::test");
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let mut above =
            lines[..at].iter().rev().take_while(|line| line.starts_with("#[") || line.starts_with("//"));
        let name = match line.split_once("fn ") {
            Some((_, name)) if above.any(is_test) => name,
            _ => line.strip_prefix("def ").filter(|name| name.starts_with("test_")).unwrap_or_default(),
        };
        found.extend(name.split('(').next().filter(|name| !name.is_empty()));
    }
    found
}

/// What is wrong with a page, given the tests that there are.
fn faults(page: &str, tests: &BTreeSet<String>) -> Vec<String> {
    let without_test = rows(page).into_iter().filter(|row| {
        let held_by = row.rsplit('|').nth(1).unwrap_or_default();
        named(held_by).is_empty() || !row.contains("](https://")
    });
    let mut faults: Vec<String> = without_test.map(|row| format!("no test or no address: {row}")).collect();
    faults.extend(missing(page, tests));
    faults
}

/// The tests that a page names and that are not there.
fn missing(page: &str, tests: &BTreeSet<String>) -> Vec<String> {
    let missing = named(page).into_iter().filter(|name| !tests.contains(*name));
    missing.map(|name| format!("no such test: {name}")).collect()
}

#[test]
fn every_test_that_the_pages_name_exists() {
    let root = repository_root();
    let mut tests = BTreeSet::new();
    for (folder, extension) in [("crates", "rs"), ("tests", "rs"), ("tests", "py")] {
        sources(&root.join(folder), extension, &mut |_, source| {
            tests.extend(defined(source).into_iter().map(str::to_owned));
        });
    }
    assert!(tests.len() > 100, "only {} tests found", tests.len());
    let page = std::fs::read_to_string(root.join("docs/incidents.md")).unwrap();
    assert!(rows(&page).len() > 10, "the page has no table: {page}");
    let faults = faults(&page, &tests);
    assert!(faults.is_empty(), "docs/incidents.md:\n  {}", faults.join("\n  "));
    let page = std::fs::read_to_string(root.join("docs/security.md")).unwrap();
    let faults = missing(&page, &tests);
    assert!(faults.is_empty(), "docs/security.md:\n  {}", faults.join("\n  "));
}

/// Proves that the check can fail.
#[test]
fn a_page_that_names_what_is_not_there_is_refused() {
    let source = "#[test]\nfn one_that_is_there() {}\nfn one_that_is_no_test() {}\n";
    let tests: BTreeSet<String> = defined(source).into_iter().map(str::to_owned).collect();
    let row = |held_by: &str| format!("| [it](https://x) | what is done | {held_by} |\n");
    assert!(faults(&row("`one_that_is_there`"), &tests).is_empty());
    for wrong in ["`one_that_is_gone`", "`one_that_is_no_test`", "", "words"] {
        assert_eq!(faults(&row(wrong), &tests).len(), 1, "{wrong}");
    }
    assert_eq!(faults("| [it](nowhere) | | `one_that_is_there` |", &tests).len(), 1);
}
