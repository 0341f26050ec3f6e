//! The reports that there are.

use crate::error::ReportError;
use crate::manifest::ManifestError;
use crate::report::Report;
use std::sync::OnceLock;

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

    /// The same, read once in a process.
    ///
    /// Errors: as those of [`Catalogue::built_in`].
    pub fn shared() -> Result<&'static Self, ManifestError> {
        static SHARED: OnceLock<Catalogue> = OnceLock::new();
        match SHARED.get() {
            Some(known) => Ok(known),
            None => {
                let read = Self::built_in()?;
                Ok(SHARED.get_or_init(|| read))
            }
        }
    }

    /// Each of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Report> {
        self.0.iter()
    }

    /// The report of a name.
    pub fn named(&self, name: &str) -> Option<&Report> {
        self.0.iter().find(|report| report.name == name)
    }

    /// The report of a name.
    ///
    /// Errors: `NoReport`.
    pub fn require(&self, name: &str) -> Result<&Report, ReportError> {
        self.named(name).ok_or_else(|| ReportError::NoReport {
            name: name.chars().take(64).collect(),
            known: self.iter().map(|report| report.name.as_str()).collect::<Vec<_>>().join(", "),
        })
    }
}
