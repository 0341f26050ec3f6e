//! The reports that there are.

use crate::manifest::ManifestError;
use crate::report::Report;

/// A report's folder, as it was when this was built.
struct Embedded {
    name: &'static str,
    manifest: &'static str,
    statement: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// The reports that there are, by name.
#[derive(Debug, Clone)]
pub struct Catalogue(Vec<Report>);

impl Catalogue {
    /// Those of `schemas/reports`.
    ///
    /// Errors: what is wrong with a manifest; a test sees to it that none is.
    pub fn built_in() -> Result<Self, ManifestError> {
        let report = |one: &Embedded| Report::read(one.name, one.manifest, one.statement);
        EMBEDDED.iter().map(report).collect::<Result<_, _>>().map(Self)
    }

    /// Each of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Report> {
        self.0.iter()
    }

    /// The report of a name.
    pub fn named(&self, name: &str) -> Option<&Report> {
        self.0.iter().find(|report| report.name == name)
    }
}
