//! A statement, as tickets and handles hold it.

use crate::error::FlightError;
use crate::parameters;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use gridtrail_lake::SnapshotVersion;
use prost::Message;
use uuid::Uuid;

/// A statement of a caller.
#[derive(Clone, PartialEq, Message)]
pub struct Statement {
    /// Tells it from all others.
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
    /// What it says.
    #[prost(string, tag = "2")]
    text: String,
    /// The values of its parameters, as a stream of Arrow.
    #[prost(bytes = "vec", optional, tag = "3")]
    bound: Option<Vec<u8>>,
    /// The version of the lake that it is about; none: the newest, when it is carried out.
    #[prost(string, optional, tag = "4")]
    about: Option<String>,
}

impl Statement {
    pub(crate) fn new(text: String) -> Self {
        Self { id: Uuid::new_v4().as_bytes().to_vec(), text, bound: None, about: None }
    }

    /// What it says.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn id(&self) -> &[u8] {
        &self.id
    }

    pub(crate) const fn has_values(&self) -> bool {
        self.bound.is_some()
    }

    /// The same with these values for its parameters.
    pub(crate) fn with_values(self, values: Vec<u8>) -> Self {
        Self { bound: Some(values), ..self }
    }

    /// The same about a version.
    pub(crate) fn pinned_to(self, version: &SnapshotVersion) -> Self {
        Self { about: Some(version.to_string()), ..self }
    }

    pub(crate) fn values(&self) -> Result<Option<RecordBatch>, FlightError> {
        self.bound.as_deref().map(parameters::read).transpose()
    }

    pub(crate) fn version(&self) -> Result<Option<SnapshotVersion>, FlightError> {
        let version = |text: &String| text.parse().map_err(|_| FlightError::Unknown);
        self.about.as_ref().map(version).transpose()
    }
}

/// What is known of a prepared statement.
#[derive(Debug, PartialEq)]
pub struct Described {
    /// The columns of its answers, as they go out.
    pub(crate) columns: SchemaRef,
    /// Its text as the access log has it.
    pub(crate) text: String,
}

impl Described {
    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.columns.fields().size() + self.text.len() + 512
    }
}
