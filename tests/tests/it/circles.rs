//! Modules of a crate use each other in one direction: what is in a circle can only be read, tested and changed as a whole.
//!
//! A module uses another where it names it by a path from `crate` or `super`. A module and what lies below it count as one; so does the root of a crate,
//! which lists the others. Tests may look anywhere.

use crate::layers::sources;
use gridtrail_tests::repository_root;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The modules that still are in a circle, by crate. The list only shrinks: a crate that it does not name has none.
const IN_A_CIRCLE: &[(&str, &[&str])] = &[
    ("access-log", &["committer", "log"]),
    ("codec", &["duis::message", "duis::names"]),
    ("ingest", &["chunk", "committer", "letter_content", "topics"]),
    ("model", &["fold", "sender"]),
    ("reconcile", &["audit", "proof"]),
    ("runs", &["delta::commit", "delta::log::entry", "delta::log::state", "delta::table", "delta::windows"]),
    ("saml", &["assertion", "refusal", "response", "signed_info"]),
    ("session", &["login", "witness"]),
    ("synth", &["feed", "world"]),
];

/// The rooms of a crate: each uses itself and those before it. A module that is in none of them uses none.
const ROOMS: &[(&str, &[&str])] = &[("lake", &["rows", "tables", "place", "read", "lake", "write", "keep"])];

/// A module, by the names on its path from the root of its crate.
type Module = Vec<String>;

/// The module that a source is. `None`: it is one of tests.
fn module_of(path: &Path) -> Option<Module> {
    let mut parts: Module =
        path.with_extension("").iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    if parts.iter().any(|part| part == "tests") {
        return None;
    }
    if matches!(parts.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        parts.pop();
    }
    Some(parts)
}

/// A source without its comments and without the tests at its end.
fn code_of(source: &str) -> String {
    let lines = source.lines().map(|line| line.split("//").next().unwrap_or_default());
    let code: Vec<&str> = lines.collect();
    let tests = (1..code.len()).find(|at| {
        code[at - 1].starts_with("#[cfg(test)]") && code[*at].contains("mod ") && code[*at].ends_with('{')
    });
    code[..tests.unwrap_or(code.len())].join("\n")
}

/// The paths that a text begins with, as far as they are names: `a::{b, c::d}` is `a::b` and `a::c::d`. Returns what follows.
fn paths_in(text: &str) -> (Vec<Module>, &str) {
    let (mut before, mut rest) = (Module::new(), text.trim_start());
    loop {
        if let Some(within) = rest.strip_prefix('{') {
            let (mut all, mut inner) = (Vec::new(), within);
            loop {
                inner = inner.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
                if let Some(after) = inner.strip_prefix('}') {
                    return (all, after);
                }
                let (paths, after) = paths_in(inner);
                if after.len() == inner.len() {
                    return (all, after);
                }
                all.extend(paths.into_iter().map(|path| [before.clone(), path].concat()));
                inner = after;
            }
        }
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        if end == 0 {
            return (vec![before], rest.strip_prefix('*').unwrap_or(rest));
        }
        before.push(rest[..end].to_owned());
        rest = &rest[end..];
        match rest.strip_prefix("::") {
            Some(more) => rest = more,
            None => {
                let renamed = rest.trim_start().strip_prefix("as ");
                let rest = renamed
                    .map_or(rest, |name| name.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_'));
                return (vec![before], rest);
            }
        }
    }
}

/// The modules, of those that there are, that a module uses.
fn uses(module: &Module, source: &str, all: &BTreeSet<Module>) -> BTreeSet<Module> {
    let code = code_of(source);
    let mut found = BTreeSet::new();
    for (word, base) in
        [("crate::", Module::new()), ("super::", module[..module.len().saturating_sub(1)].to_vec())]
    {
        for (at, _) in code.match_indices(word) {
            if code[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '$')) {
                continue;
            }
            for path in paths_in(&code[at + word.len()..]).0 {
                let mut target = base.clone();
                for name in path {
                    if name == "super" { drop(target.pop()) } else { target.push(name) }
                }
                while !target.is_empty() && !all.contains(&target) {
                    target.pop();
                }
                let is_kin = target.starts_with(module) || module.starts_with(&target);
                if !target.is_empty() && !is_kin {
                    found.insert(target);
                }
            }
        }
    }
    found
}

/// The modules of some sources, each with its path from the root, that are in a circle.
fn in_a_circle(sources: &BTreeMap<Module, String>) -> BTreeSet<String> {
    let all: BTreeSet<Module> = sources.keys().cloned().collect();
    let uses: BTreeMap<&Module, BTreeSet<Module>> =
        sources.iter().map(|(module, source)| (module, uses(module, source, &all))).collect();
    let reaches_itself = |module: &&Module| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![*module]);
        while let Some(at) = next.pop() {
            next.extend(uses[at].iter().filter(|used| seen.insert((*used).clone())));
        }
        seen.contains(*module)
    };
    sources.keys().filter(reaches_itself).map(|module| module.join("::")).collect()
}

/// The uses of some sources from one room to a later one.
fn against_the_order(sources: &BTreeMap<Module, String>, rooms: &[&str]) -> Vec<String> {
    let all: BTreeSet<Module> = sources.keys().cloned().collect();
    let place =
        |module: &Module| rooms.iter().position(|room| module.first().is_some_and(|name| name == room));
    let against = sources.iter().flat_map(|(module, source)| {
        let later = uses(module, source, &all).into_iter().filter(move |used| place(used) > place(module));
        later.map(|used| format!("{} uses {}", module.join("::"), used.join("::")))
    });
    against.collect()
}

/// The sources of a crate, each with its path from the root.
fn modules(root: &Path) -> BTreeMap<Module, String> {
    let mut all = BTreeMap::new();
    sources(root, "rs", &mut |path, source| {
        let module = module_of(path.strip_prefix(root).unwrap());
        all.extend(module.map(|module| (module, source.to_owned())));
    });
    all
}

#[test]
fn rooms_of_a_crate_use_each_other_in_one_direction() {
    for (name, rooms) in ROOMS {
        let all = modules(&repository_root().join("crates").join(name).join("src"));
        for room in *rooms {
            assert!(all.keys().any(|module| module.first().is_some_and(|name| name == room)), "no {room}");
        }
        // The root lists all.
        let inner = all.into_iter().filter(|(module, _)| !module.is_empty()).collect();
        let against = against_the_order(&inner, rooms);
        assert!(against.is_empty(), "crates/{name}: {against:?}");
    }
}

/// Proves that the check can fail.
#[test]
fn a_use_of_a_later_room_is_seen() {
    let of = |path: &str, source: &str| (module_of(Path::new(path)).unwrap(), source.to_owned());
    let sources = BTreeMap::from([
        of("first/a.rs", "use crate::second::b::B;\nuse crate::plain::P;"),
        of("second/b.rs", "use crate::first::a::A;"),
        of("plain.rs", "use crate::first::a::A;"),
    ]);
    let found = against_the_order(&sources, &["first", "second"]);
    assert_eq!(found, ["first::a uses second::b", "plain uses first::a"]);
}

#[test]
fn modules_of_a_crate_are_in_no_circle_but_those_that_are_listed() {
    let mut crates = 0;
    for entry in std::fs::read_dir(repository_root().join("crates")).unwrap() {
        let folder = entry.unwrap().path();
        let (name, root) = (folder.file_name().unwrap().to_str().unwrap().to_owned(), folder.join("src"));
        crates += 1;
        let found = in_a_circle(&modules(&root));
        let listed = IN_A_CIRCLE.iter().find(|(of, _)| *of == name).map_or(&[][..], |(_, modules)| modules);
        let listed: BTreeSet<String> = listed.iter().map(|module| (*module).to_owned()).collect();
        let (new, gone): (Vec<_>, Vec<_>) =
            (found.difference(&listed).collect(), listed.difference(&found).collect());
        assert!(new.is_empty(), "crates/{name}: {new:?} use each other in a circle");
        assert!(gone.is_empty(), "crates/{name}: {gone:?} are in no circle any more: take them off the list");
    }
    assert!(crates > 10, "only {crates} crates found");
}

/// Proves that the check can fail, in every spelling of a use.
#[test]
fn a_circle_is_seen_however_it_is_written() {
    let circle = |a: &str, b: &str| {
        let of = |path: &str, source: &str| (module_of(Path::new(path)).unwrap(), source.to_owned());
        in_a_circle(&BTreeMap::from([
            of("lib.rs", "mod a;\nmod b;\nuse crate::a::A;"),
            of("a.rs", a),
            of("b/mod.rs", b),
            of("b/c.rs", "pub struct C;"),
        ]))
    };
    for a in [
        "use crate::b::C;",
        "use crate::{x::Y, b::{C as D}};",
        "use crate::{\n    b::*,\n    x,\n};",
        "fn f() -> crate::b::C {}",
        "use super::b;",
    ] {
        let found = circle(a, "use crate::a::A;");
        assert_eq!(found, BTreeSet::from(["a".to_owned(), "b".to_owned()]), "{a}");
    }
    for a in [
        "// use crate::b::C;",
        "use other_crate::b::C;",
        "#[cfg(test)]\nmod tests {\nuse crate::b::C;\n}",
        "use crate::bb;",
    ] {
        assert!(circle(a, "use crate::a::A;").is_empty(), "{a}");
    }
    // What lies below a module is part of it.
    assert!(circle("", "use crate::b::c::C;").is_empty());
    assert!(module_of(Path::new("a/tests.rs")).is_none());
}
