//! Formats: of which version a table and each of its files are, and what they need of whoever reads them.
//!
//! A table says both in its properties, and a file in its footer, which its reader has in memory anyway: what is said there costs a look-up no
//! request, and goes wherever the file goes. What says nothing is of the first format. A version or a need that this build does not know is refused
//! by name, whoever asks: it is never read as if it were another.

use crate::definition::Definition;
use crate::error::RunsError;
use bytes::Bytes;
use deltalake_core::Path;
use parquet::file::metadata::{KeyValue, ParquetMetaData, ParquetMetaDataReader};

/// The property that says of what format a table is.
pub(crate) const VERSION: &str = "gridtrail.formatVersion";
/// The property that names what a table needs of its readers.
const NEEDS: &str = "gridtrail.readerFeatures";
/// The footer's name for both: a version, and behind it what the file needs, separated by spaces.
const OF_FILE: &str = "gridtrail.format";
/// The format of whatever does not say of which it is.
const FIRST: u32 = 1;

/// What is not known of what a table or a file says of its format.
#[derive(Debug, PartialEq, Eq)]
enum Unknown {
    Version(String),
    Need(String),
}

impl Definition {
    /// What its tables say of their format.
    pub fn format_properties(&self) -> Vec<(&'static str, String)> {
        let needs = (!self.needs.is_empty()).then(|| (NEEDS, self.needs.join(" ")));
        std::iter::once((VERSION, self.format.to_string())).chain(needs).collect()
    }

    /// What its files say of their format.
    pub(crate) fn format_of_file(&self) -> KeyValue {
        let words: Vec<String> = std::iter::once(self.format.to_string())
            .chain(self.needs.iter().map(|need| (*need).to_owned()))
            .collect();
        KeyValue::new(OF_FILE.to_owned(), words.join(" "))
    }

    /// The version that a text names. Errors: what is not known of it.
    fn read_format<'a>(
        &self,
        version: &str,
        mut needs: impl Iterator<Item = &'a str>,
    ) -> Result<u32, Unknown> {
        let known = version.parse::<u32>().ok().filter(|version| (FIRST..=self.format).contains(version));
        let version = known.ok_or_else(|| Unknown::Version(version.to_owned()))?;
        match needs.find(|need| !self.needs.contains(need)) {
            Some(need) => Err(Unknown::Need(need.to_owned())),
            None => Ok(version),
        }
    }

    /// The format of a table with these properties.
    ///
    /// Errors: `Format`, `Feature` where it is none that this build knows.
    pub(crate) fn check_table<'a>(
        &self,
        property: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<u32, RunsError> {
        let first = FIRST.to_string();
        let (version, needs) = (property(VERSION).unwrap_or(&first), property(NEEDS).unwrap_or_default());
        let table = self.name;
        self.read_format(version, needs.split_whitespace()).map_err(|unknown| match unknown {
            Unknown::Version(found) => RunsError::Format { table, found, known: self.format },
            Unknown::Need(feature) => RunsError::Feature { table, feature },
        })
    }

    /// Refuses a file of a format, or with a need, that this build does not know.
    pub(crate) fn check_footer(&self, path: &Path, footer: &ParquetMetaData) -> Result<(), RunsError> {
        let Some(said) = said_of(footer) else { return Ok(()) };
        let mut words = said.value.as_deref().unwrap_or_default().split(' ');
        let version = words.next().unwrap_or_default();
        let Err(unknown) = self.read_format(version, words) else { return Ok(()) };
        let what = match unknown {
            Unknown::Version(found) => format!("is of format \"{found}\""),
            Unknown::Need(need) => format!("needs {need} of whoever reads it"),
        };
        Err(RunsError::FileFormat { path: path.to_string(), what, table: self.name, known: self.format })
    }

    /// The same of a file that is read as a whole. What is no Parquet file is left to whoever reads its rows.
    pub fn check_file(&self, path: &Path, bytes: &Bytes) -> Result<(), RunsError> {
        match ParquetMetaDataReader::new().parse_and_finish(bytes) {
            Ok(footer) => self.check_footer(path, &footer),
            Err(_) => Ok(()),
        }
    }
}

/// What a footer says of the format of its file.
fn said_of(footer: &ParquetMetaData) -> Option<&KeyValue> {
    footer.file_metadata().key_value_metadata()?.iter().find(|pair| pair.key == OF_FILE)
}

/// Whether a footer says of what format its file is.
pub(crate) fn is_said(footer: &ParquetMetaData) -> bool {
    said_of(footer).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Encoded;
    use arrow::array::{ArrayRef, RecordBatch, StringArray};
    use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
    use parquet::file::properties::WriterProperties;
    use std::sync::{Arc, LazyLock};

    static COLUMNS: LazyLock<SchemaRef> =
        LazyLock::new(|| Arc::new(Schema::new(vec![Field::new("id", DataType::Utf8, false)])));

    const fn table(format: u32, needs: &'static [&'static str]) -> Definition {
        Definition {
            name: "t",
            schema: &COLUMNS,
            by_month: false,
            format,
            needs,
            keys: &[],
            layout: || WriterProperties::builder().build(),
            note: None,
            made_with: Vec::new,
        }
    }

    #[test]
    fn a_table_of_an_unknown_format_or_need_is_refused_by_name() {
        let table = table(2, &["packed"]);
        let check = |version: Option<&'static str>, needs: Option<&'static str>| {
            table.check_table(|name| if name == VERSION { version } else { needs })
        };
        for (known, needs, format) in [(None, None, 1), (Some("1"), None, 1), (Some("2"), Some("packed"), 2)]
        {
            assert_eq!(check(known, needs).unwrap(), format);
        }
        for unknown in ["3", "0", "", "two"] {
            let refused = check(Some(unknown), None).unwrap_err().to_string();
            assert!(refused.contains("table t") && refused.contains(&format!("\"{unknown}\"")), "{refused}");
        }
        let refused = check(Some("2"), Some("packed folded")).unwrap_err().to_string();
        assert!(refused.contains("table t needs folded"), "{refused}");
    }

    fn file_of(table: &Definition) -> Bytes {
        let column: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
        let batch = RecordBatch::try_new(Arc::clone(&COLUMNS), vec![column]).unwrap();
        Encoded::of(table, std::iter::once(Ok(batch))).unwrap().bytes
    }

    /// Every file says its format, and older builds refuse what they do not know of it, naming the file.
    #[test]
    fn a_file_of_an_unknown_format_or_need_is_refused_by_name() {
        let path = Path::from("t/a.parquet");
        let (newer, packed, plain) = (table(3, &[]), table(2, &["packed"]), table(2, &[]));
        for reader in [&newer, &packed, &plain] {
            reader.check_file(&path, &file_of(&plain)).unwrap();
        }
        let refused = plain.check_file(&path, &file_of(&newer)).unwrap_err().to_string();
        assert!(
            refused.starts_with("t/a.parquet is of format \"3\"") && refused.contains("up to 2"),
            "{refused}"
        );
        let refused = newer.check_file(&path, &file_of(&packed)).unwrap_err().to_string();
        assert!(refused.starts_with("t/a.parquet needs packed"), "{refused}");
        packed.check_file(&path, &Bytes::from_static(b"no file")).unwrap();
    }
}
