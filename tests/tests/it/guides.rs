//! What `ARCHITECTURE.md` and `CONTRIBUTING.md` quote exists: files, names of the code, settings of test runs.

use gridtrail_tests::repository_root;
use std::collections::BTreeSet;
use std::path::Path;

const PAGES: [&str; 2] = ["ARCHITECTURE.md", "CONTRIBUTING.md"];
/// What holds the names that a page may quote.
const SOURCES: [&str; 7] = ["benches", "crates", "proto", "schemas", "scripts", "tests", "docs/decisions"];
const ENDINGS: [&str; 8] = ["md", "proto", "py", "rs", "sh", "toml", "txt", "xsd"];

/// All paths below a folder, from the root, and all words of their texts.
fn read(root: &Path, folder: &Path, paths: &mut BTreeSet<String>, words: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        paths.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
        if path.is_dir() {
            read(root, &path, paths, words);
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            let letters = |c: char| !c.is_ascii_alphanumeric() && c != '_';
            words.extend(text.split(letters).filter(|word| !word.is_empty()).map(str::to_owned));
        }
    }
}

fn is_file(quoted: &str) -> bool {
    quoted.rsplit_once('.').is_some_and(|(_, ending)| ENDINGS.contains(&ending)) || quoted.contains('/')
}

/// Whether a name is there, or names that it begins: a filter of tests.
fn is_known(name: &str, words: &BTreeSet<String>) -> bool {
    let mut from = words.range(name.to_owned()..).take_while(|word| word.starts_with(name));
    from.any(|word| word.len() == name.len() || word[name.len()..].starts_with('_'))
}

/// What of a page is not there.
fn missing(page: &str, paths: &BTreeSet<String>, words: &BTreeSet<String>) -> Vec<String> {
    // Blocks of text are commands; what is quoted stands between single backticks.
    let quoted = page.split('`').skip(1).step_by(2);
    let quoted = quoted.flat_map(|text| text.split(|c: char| c.is_whitespace() || c == '='));
    let mut missing = Vec::new();
    for quoted in quoted {
        let quoted =
            quoted.trim_matches(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '_' | '/'));
        let bare = quoted.trim_start_matches("./").trim_end_matches('/');
        let is_name = bare
            .split("::")
            .all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
        let known = if bare.starts_with(['.', '/']) {
            // An ending, or what lies outside of the repository.
            true
        } else if is_file(bare) {
            paths.contains(bare) || paths.iter().any(|path| path.ends_with(&format!("/{bare}")))
        } else if is_name && bare.chars().any(|c| c.is_ascii_uppercase() || c == '_') {
            bare.split("::").all(|part| is_known(part, words))
        } else {
            true
        };
        if !known {
            missing.push(quoted.to_owned());
        }
    }
    missing
}

#[test]
fn what_the_guides_quote_exists() {
    let root = repository_root().canonicalize().unwrap();
    let (mut paths, mut words) = (BTreeSet::new(), BTreeSet::new());
    for folder in SOURCES {
        paths.insert(folder.to_owned());
        read(&root, &root.join(folder), &mut paths, &mut words);
    }
    paths.extend(std::fs::read_dir(&root).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()));
    paths.extend(
        std::fs::read_dir(root.join("docs"))
            .unwrap()
            .map(|e| format!("docs/{}", e.unwrap().file_name().into_string().unwrap())),
    );
    for page in PAGES {
        let text = std::fs::read_to_string(root.join(page)).unwrap();
        let missing = missing(&text, &paths, &words);
        assert!(missing.is_empty(), "{page} quotes what is not there:\n  {}", missing.join("\n  "));
    }
}

/// What programs are told of an error stands on the page that tells them what to do.
#[test]
fn every_reason_of_an_error_is_on_the_page_of_the_services() {
    let read = |path: &str| std::fs::read_to_string(repository_root().join(path)).unwrap();
    let (source, page) = (read("crates/server/src/status.rs"), read("docs/api.md"));
    let reasons: Vec<_> =
        source.split("reason: \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(reasons.len() > 15, "{reasons:?}");
    let missing: Vec<_> = reasons.iter().filter(|reason| !page.contains(&format!("`{reason}`"))).collect();
    assert!(missing.is_empty(), "docs/api.md lacks {missing:?}");
}

/// Proves that the check can fail.
#[test]
fn a_guide_that_quotes_what_is_gone_is_refused() {
    let paths = BTreeSet::from(["crates/lake/src/run.rs".to_owned()]);
    let words = BTreeSet::from(["Lake", "open", "GRIDTRAIL_KILLS"].map(str::to_owned));
    for right in
        ["`crates/lake/src/run.rs`", "`run.rs`", "`Lake::open`", "`GRIDTRAIL_KILLS=9 cargo test`", "gone.rs"]
    {
        assert_eq!(missing(right, &paths, &words), [""; 0], "{right}");
    }
    for wrong in [
        "`crates/lake/src/gone.rs`",
        "`gone.rs`",
        "`Lake::shut`",
        "`Gone`",
        "`GRIDTRAIL_GONE=9`",
        "`crates/gone`",
    ] {
        assert_eq!(missing(wrong, &paths, &words).len(), 1, "{wrong}");
    }
}
