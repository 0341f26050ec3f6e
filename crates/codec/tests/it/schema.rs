//! Our own messages are valid: DUIS against schema 5.4, where it lies beside the repository and `xmllint` is
//! there; captures against our own schema.

use crate::it::support::{repository, samples};
use gridtrail_codec::capture::{Messages, is_capture};
use gridtrail_codec::synthetic;
use std::path::Path;
use std::process::Command;

fn xmllint(schema: &Path, files: &[std::path::PathBuf]) -> Option<String> {
    let mut command = Command::new("xmllint");
    command.args(["--noout", "--nonet", "--schema"]).arg(schema).args(files);
    let Ok(output) = command.output() else {
        crate::it::skipped("xmllint is not installed");
        return None;
    };
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}");
    Some(text)
}

/// Copies the schemas under names without spaces, and makes the signature schema do without its DTD.
fn duis_schema(from: &Path, to: &Path) -> std::path::PathBuf {
    let read = |name: &str| std::fs::read_to_string(from.join(name)).unwrap();
    let duis = read("DUIS Schema V5.4.xsd").replace("MMC Schema V5.4.xsd", "mmc.xsd");
    let mmc = read("MMC Schema V5.4.xsd").replace("DUIS Schema V5.4.xsd", "duis.xsd");
    let signature = read("xmldsig-core-schema.xsd");
    let begin = signature.find("<!DOCTYPE").unwrap();
    let end = begin + signature[begin..].find("]>").unwrap() + 2;
    let signature = signature[..begin].to_owned() + &signature[end..];
    let signature = signature.replace("&dsig;", "http://www.w3.org/2000/09/xmldsig#");
    for (name, text) in [("duis.xsd", &duis), ("mmc.xsd", &mmc), ("xmldsig-core-schema.xsd", &signature)] {
        std::fs::write(to.join(name), text).unwrap();
    }
    to.join("duis.xsd")
}

#[test]
fn every_synthetic_message_is_valid_duis() {
    let schemas = samples().map(|samples| samples.join("schema")).filter(|folder| folder.is_dir());
    let Some(schemas) = schemas else {
        return crate::it::skipped(&format!(
            "no DUIS schema to check {} files against",
            synthetic::files().len()
        ));
    };
    let work = tempfile::tempdir().unwrap();
    let schema = duis_schema(&schemas, work.path());
    let mut files = Vec::new();
    for (name, bytes) in synthetic::files() {
        if is_capture(&bytes) {
            for (i, message) in Messages::new(&bytes).unwrap().enumerate() {
                files.push(work.path().join(format!("{i}-{name}")));
                std::fs::write(&files[files.len() - 1], message.unwrap().xml).unwrap();
            }
        } else if name.ends_with(".xml") {
            files.push(work.path().join(name));
            std::fs::write(&files[files.len() - 1], bytes).unwrap();
        }
    }
    if let Some(text) = xmllint(&schema, &files) {
        assert_eq!(text.matches(" validates").count(), files.len(), "{text}");
        println!("{} messages are valid DUIS 5.4", files.len());
    }
}

#[test]
fn every_synthetic_capture_is_valid() {
    let work = tempfile::tempdir().unwrap();
    let schema = repository().join("schemas/capture/v1/capture.xsd");
    let mut files = Vec::new();
    for (name, bytes) in synthetic::files().into_iter().filter(|(_, bytes)| is_capture(bytes)) {
        files.push(work.path().join(name));
        std::fs::write(&files[files.len() - 1], bytes).unwrap();
    }
    assert_eq!(files.len(), 3);
    xmllint(&schema, &files);
}
