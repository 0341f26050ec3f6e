//! The walls between the crates: who may depend on whom.
//!
//! Dependencies point one way, so that each crate can be read, tested and replaced on its own. This table and the
//! one in `ARCHITECTURE.md` say the same. Only normal dependencies count: tests and build scripts may reach
//! further, except in the model, whose tests know no more than the model does.

use cargo_metadata::{DependencyKind, MetadataCommand};
use gridtrail_tests::repository_root;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// The crates of this workspace that a crate may depend on, without their common prefix.
const MAY_USE: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("packed", &["model"]),
    ("inventory", &["model", "packed"]),
    ("anomaly", &["model", "packed"]),
    ("schedules", &["model", "packed"]),
    ("proto", &[]),
    ("xml", &[]),
    ("runtime", &["model"]),
    ("access", &["model", "runtime"]),
    ("access-log", &["model", "runtime"]),
    ("saml", &["model", "xml"]),
    ("codec", &["model", "anomaly", "inventory", "schedules", "proto", "access", "xml"]),
    ("tls", &["runtime"]),
    ("port", &["tls"]),
    ("session", &["model", "runtime", "access", "saml", "port"]),
    ("console", &[]),
    ("faults", &[]),
    ("runs", &[]),
    ("kafka", &["runtime"]),
    ("lake", &["model", "anomaly", "inventory", "schedules", "runtime", "access", "access-log", "runs"]),
    ("freshness", &["model", "runtime", "lake"]),
    ("reconcile", &["model", "runtime", "kafka", "lake"]),
    (
        "ingest",
        &["model", "anomaly", "inventory", "schedules", "runtime", "access", "codec", "kafka", "lake"],
    ),
    ("search", &["model", "inventory", "runtime", "access", "lake"]),
    (
        "sql",
        &["model", "anomaly", "schedules", "runtime", "access", "access-log", "lake", "freshness", "search"],
    ),
    ("flight", &["model", "runtime", "access", "lake", "search", "sql"]),
    ("export", &["model", "access", "runs", "lake", "search", "sql"]),
    ("reports", &["model", "runtime", "access", "lake", "sql"]),
    ("report-jobs", &["model", "runtime", "access", "access-log", "runs", "lake", "sql", "reports"]),
    (
        "server",
        &[
            "model",
            "proto",
            "runtime",
            "access",
            "access-log",
            "lake",
            "freshness",
            "flight",
            "reconcile",
            "reports",
            "search",
            "session",
            "sql",
            "tls",
            "port",
            "console",
        ],
    ),
    ("synth", &["model", "anomaly", "inventory", "schedules", "access", "codec"]),
];

/// Families of foreign crates, and the only crates that may depend on one directly.
const WALLS: &[(&str, &[&str])] = &[
    ("deltalake", &["gridtrail-runs", "gridtrail-lake"]),
    // What a statement gives may be written to a file of the caller's.
    (
        "parquet",
        &[
            "gridtrail-runs",
            "gridtrail-lake",
            "gridtrail-sql",
            "gridtrail-export",
            "gridtrail-reports",
            "gridtrail-benches",
        ],
    ),
    (
        "arrow",
        &[
            "gridtrail-runs",
            "gridtrail-lake",
            "gridtrail-sql",
            "gridtrail-flight",
            "gridtrail-export",
            "gridtrail-reports",
        ],
    ),
    ("arrow-flight", &["gridtrail-flight", "gridtrail-server", "gridtrail"]),
    ("datafusion", &["gridtrail-sql"]),
    ("rdkafka", &["gridtrail-kafka"]),
    ("tonic", &["gridtrail-server", "gridtrail-proto", "gridtrail"]),
    ("clap", &["gridtrail"]),
    ("bergshamra", &["gridtrail-saml"]),
    ("rustls", &["gridtrail-saml", "gridtrail-tls"]),
];

/// The crates that know no I/O and no async: the model, and what is known of the inventory, of anomaly detection and of schedules.
const PURE: &[&str] = &["model", "packed", "inventory", "anomaly", "schedules"];

/// What these may not use, the model not even in its tests.
const NOT_IN_THE_MODEL: &[&str] = &["async-trait", "futures", "object_store", "tokio"];

/// Modules of the standard library that the sources of the model may not name.
const NO_IO: &[&str] = &["fs", "io", "net"];

/// One dependency as a manifest declares it.
struct Edge {
    from: String,
    to: String,
    kind: DependencyKind,
}

fn edge(from: &str, to: &str, kind: DependencyKind) -> Edge {
    Edge { from: from.into(), to: to.into(), kind }
}

/// Every breach of the rules, one sentence each.
fn breaches(edges: &[Edge]) -> Vec<String> {
    edges
        .iter()
        .filter_map(breach)
        .map(|(edge, why)| format!("{} -> {}: {why}", edge.from, edge.to))
        .collect()
}

fn breach(edge: &Edge) -> Option<(&Edge, String)> {
    let model = edge.from == "gridtrail-model";
    if edge.kind != DependencyKind::Normal && !model {
        return None;
    }
    let found = if let Some(to) = edge.to.strip_prefix("gridtrail-") {
        inner_breach(&edge.from, to)
    } else if edge.to == "gridtrail" {
        Some("nothing depends on the command line".into())
    } else {
        wall_breach(&edge.from, &edge.to)
    };
    found.map(|why| (edge, why))
}

fn inner_breach(from: &str, to: &str) -> Option<String> {
    // The command line, the benches and the tests of the whole system put the parts together, so they may use any of them.
    if matches!(from, "gridtrail" | "gridtrail-benches" | "gridtrail-tests") {
        return None;
    }
    let name = from.strip_prefix("gridtrail-").unwrap_or(from);
    match MAY_USE.iter().find(|(crate_name, _)| *crate_name == name) {
        None => Some(format!("{from} has no line in the table of layers")),
        Some((_, allowed)) if allowed.contains(&to) => None,
        Some((_, [])) => Some(format!("{from} may use no crate of this workspace")),
        Some((_, allowed)) => Some(format!("{from} may use only {}", allowed.join(", "))),
    }
}

fn wall_breach(from: &str, to: &str) -> Option<String> {
    let is_pure = from.strip_prefix("gridtrail-").is_some_and(|name| PURE.contains(&name));
    if is_pure && NOT_IN_THE_MODEL.contains(&to) {
        return Some("the model knows no I/O and no async".into());
    }
    let in_family = |family: &str| {
        to.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
    };
    // The closest family counts: the protocol of Arrow Flight is another thing than the columns.
    let families = WALLS.iter().filter(|(family, _)| in_family(family));
    let (_, allowed) = families.max_by_key(|(family, _)| family.len())?;
    (!allowed.contains(&from)).then(|| format!("only {} may use it", allowed.join(", ")))
}

/// Every use of a forbidden module of the standard library in a source text, by line.
fn io_uses(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in (1..).zip(source.lines()) {
        let code = line.split("//").next().unwrap_or_default();
        // `use std::{fmt, io}` names modules without a path of their own.
        let grouped = code.split_once("std::{").map_or("", |(_, group)| group);
        let words = || grouped.split(|c: char| !c.is_alphanumeric() && c != '_');
        for module in NO_IO {
            if code.contains(&format!("std::{module}")) || words().any(|word| word == *module) {
                found.push(format!("line {number} uses std::{module}"));
            }
        }
    }
    found
}

fn workspace_edges() -> (Vec<String>, Vec<Edge>) {
    let metadata = MetadataCommand::new()
        .manifest_path(repository_root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo metadata reads this workspace");
    let names = metadata.packages.iter().map(|package| package.name.to_string()).collect();
    let edges = metadata.packages.iter().flat_map(|package| {
        let from = package.name.to_string();
        package.dependencies.iter().map(move |d| edge(&from, &d.name, d.kind))
    });
    (names, edges.collect())
}

/// Shows every source of a kind below a folder.
pub(crate) fn sources(folder: &Path, kind: &str, visit: &mut dyn FnMut(&Path, &str)) {
    for entry in std::fs::read_dir(folder).expect("the sources are readable") {
        let path = entry.expect("the sources are readable").path();
        if path.is_dir() {
            sources(&path, kind, visit);
        } else if path.extension().is_some_and(|extension| extension == kind) {
            visit(&path, &std::fs::read_to_string(&path).expect("a source is UTF-8"));
        }
    }
}

#[test]
fn no_crate_depends_on_one_that_it_must_not() {
    let (names, edges) = workspace_edges();
    assert!(names.iter().any(|name| name == "gridtrail-model"), "this is not the workspace: {names:?}");
    let breaches = breaches(&edges);
    assert!(breaches.is_empty(), "forbidden dependencies:\n  {}", breaches.join("\n  "));
}

/// An access that sees every row is for operators over a lake's files: nothing that a User reaches may make one.
#[test]
fn only_the_open_copy_sees_every_row() {
    let mut made = BTreeSet::new();
    sources(&repository_root().join("crates"), "rs", &mut |path, source| {
        // From the root on: the root itself may be named as a folder above tests.
        let path = path.strip_prefix(repository_root()).expect("it lies there");
        let is_test = path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs");
        if !is_test && source.contains("Access::of_operator(") {
            made.insert(path.display().to_string());
        }
    });
    assert_eq!(made, BTreeSet::from(["crates/gridtrail/src/lake/export.rs".to_owned()]));
}

#[test]
fn every_crate_has_its_line_in_the_table() {
    let (names, _) = workspace_edges();
    let known = |name: &str| {
        matches!(name, "gridtrail" | "gridtrail-benches" | "gridtrail-tests")
            || MAY_USE.iter().any(|(known, _)| name.strip_prefix("gridtrail-") == Some(known))
    };
    let strangers: Vec<_> = names.iter().filter(|name| !known(name)).collect();
    assert!(strangers.is_empty(), "crates without a line in the table of layers: {strangers:?}");
}

#[test]
fn the_table_has_no_cycle() {
    // A crate may use only crates that stand above it.
    for (at, (name, allowed)) in MAY_USE.iter().enumerate() {
        for used in *allowed {
            let above = MAY_USE[..at].iter().any(|(earlier, _)| earlier == used);
            assert!(above, "{name} uses {used}, which does not stand above it");
        }
    }
}

#[test]
fn the_model_does_no_input_or_output() {
    let mut found = Vec::new();
    let mut files = 0;
    for name in PURE {
        sources(&repository_root().join(format!("crates/{name}/src")), "rs", &mut |path, source| {
            files += 1;
            found.extend(io_uses(source).into_iter().map(|use_| format!("{}: {use_}", path.display())));
        });
    }
    assert!(files > 15, "only {files} sources of the model found");
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// The features of every crate that cargo builds, by these kinds of dependencies.
fn features(edges: &str) -> BTreeSet<String> {
    let cargo = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--workspace",
            "--locked",
            "--prefix",
            "none",
            "--format",
            "{p} {f}",
            "--edges",
            edges,
        ])
        .current_dir(repository_root())
        .output()
        .unwrap();
    assert!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
    // A crate that was printed before is marked with an asterisk.
    let lines = String::from_utf8(cargo.stdout).unwrap();
    lines.lines().map(|line| line.trim_end_matches(" (*)").to_owned()).collect()
}

/// A crate with more features is another crate: all that use it are compiled twice, once for `make demo` and once for
/// `make test`. What only tests want of a crate stands among the normal dependencies of `gridtrail-tests`.
#[test]
fn tests_ask_of_no_crate_more_than_a_plain_build_gives() {
    let (plain, with_tests) = (features("normal,build"), features("normal,build,dev"));
    assert!(plain.iter().any(|line| line.starts_with("tokio ") && line.contains("test-util")), "{plain:?}");
    let only_tests: Vec<_> = with_tests.difference(&plain).collect();
    assert!(only_tests.is_empty(), "compiled again for the tests: {only_tests:#?}");
}

/// Every use in a source text of what only the crate itself may see, by line.
fn looks_inside(name: &str, private: &[&str], source: &str) -> Vec<String> {
    let breach = |line: &str| {
        let own = line.split("crate::").skip(1).any(|rest| !rest.starts_with("it::"));
        own || private.iter().any(|module| line.contains(&format!("gridtrail_{name}::{module}::")))
    };
    let lines = (1..).zip(source.lines());
    lines
        .filter(|(_, line)| breach(line))
        .map(|(number, line)| format!("{number}: {}", line.trim()))
        .collect()
}

/// `crates/*/tests/it` is compiled with the unit tests, where nothing else would keep it outside.
#[test]
fn tests_from_outside_see_no_more_of_a_crate_than_its_users() {
    let mut folders = 0;
    let mut found = Vec::new();
    for entry in std::fs::read_dir(repository_root().join("crates")).unwrap() {
        let folder = entry.unwrap().path();
        let root = std::fs::read_to_string(folder.join("src/lib.rs")).unwrap();
        if !root.contains("tests/it/main.rs") {
            continue;
        }
        folders += 1;
        let name = folder.file_name().unwrap().to_str().unwrap().replace('-', "_");
        let private: Vec<_> =
            root.lines().filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';')).collect();
        sources(&folder.join("tests/it"), "rs", &mut |path, source| {
            let breaches = looks_inside(&name, &private, source);
            found.extend(breaches.into_iter().map(|breach| format!("{}:{breach}", path.display())));
        });
    }
    assert!(folders > 10, "only {folders} crates have tests from outside");
    assert!(found.is_empty(), "{}", found.join("\n"));

    assert_eq!(looks_inside("lake", &["run"], "use crate::run;\nuse gridtrail_lake::run::Run;").len(), 2);
    assert!(looks_inside("lake", &["run"], "use crate::it::run;\nuse gridtrail_lake::Run;").is_empty());
}

/// Proves that the checker can fail, and names the edge when it does.
#[test]
fn a_forbidden_edge_is_named() {
    use DependencyKind::{Build, Development, Normal};
    let wrong = [
        edge("gridtrail-model", "gridtrail-proto", Normal),
        edge("gridtrail-model", "tokio", Development),
        edge("gridtrail-inventory", "gridtrail-lake", Normal),
        edge("gridtrail-inventory", "tokio", Normal),
        edge("gridtrail-search", "gridtrail-codec", Normal),
        edge("gridtrail-server", "gridtrail-ingest", Normal),
        edge("gridtrail-server", "arrow-schema", Normal),
        edge("gridtrail-search", "tonic", Normal),
        edge("gridtrail-runs", "gridtrail-model", Normal),
        edge("gridtrail-search", "gridtrail-runs", Normal),
        edge("gridtrail-lake", "clap_complete", Normal),
        edge("gridtrail-synth", "gridtrail", Normal),
        edge("gridtrail-attic", "gridtrail-model", Normal),
    ];
    for wrong in &wrong {
        let found = breaches(std::slice::from_ref(wrong));
        let arrow = format!("{} -> {}", wrong.from, wrong.to);
        assert!(found.len() == 1 && found[0].starts_with(&arrow), "{arrow} passed: {found:?}");
    }
    let right = [
        edge("gridtrail-server", "gridtrail-search", Normal),
        edge("gridtrail-lake", "arrow", Normal),
        edge("gridtrail-proto", "tonic-prost-build", Build),
        edge("gridtrail-codec", "gridtrail-synth", Development),
        edge("gridtrail", "tonic", Normal),
        // The name begins like a family's, but is none of it.
        edge("gridtrail-search", "arrowroot", Normal),
    ];
    assert_eq!(breaches(&right), Vec::<String>::new());
}

#[test]
fn a_use_of_io_is_seen_in_every_spelling() {
    for source in ["use std::fs;", "std::io::stdout()", "use std::{fmt, net};", "use std::{io::Write, fmt};"]
    {
        assert_eq!(io_uses(source).len(), 1, "{source}");
    }
    for source in ["// std::fs is not for us", "use std::{fmt, iter};", "use std::collections::HashMap;"] {
        assert!(io_uses(source).is_empty(), "{source}");
    }
}
