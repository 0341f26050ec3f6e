//! Embeds the reports of `schemas/reports`: a folder there is a report, and nothing here names any.

#![expect(clippy::disallowed_methods, reason = "Cargo tells a build script its folders by the environment")]

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../schemas/reports");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut reports = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            reports.push(entry.path());
        }
    }
    reports.sort();
    let mut code = String::from("static EMBEDDED: &[Embedded] = &[\n");
    for report in reports {
        let (manifest, statement) = (report.join("report.toml"), report.join("report.sql"));
        let name = report.file_name().unwrap_or_default().to_string_lossy();
        writeln!(
            code,
            "    Embedded {{ name: {name:?}, manifest: include_str!({manifest:?}), statement: include_str!({statement:?}) }},"
        )?;
    }
    code.push_str("];\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("embedded.rs"), code)?;
    Ok(())
}
