//! Metadata: what there is to ask, with the columns that the protocol gives each answer.

use crate::columns::plain_schema;
use crate::command::name_of;
use crate::error::FlightError;
use crate::info::service_info;
use crate::types::type_info;
use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow_flight::sql::{
    Command, CommandGetCatalogs, CommandGetDbSchemas, CommandGetSqlInfo, CommandGetTableTypes,
    CommandGetTables, CommandGetXdbcTypeInfo,
};
use gridtrail_sql::{CATALOGUE, SCHEMA, SecuredSession, TableInfo};
use std::sync::Arc;

/// The type of all tables.
const TABLE: &str = "TABLE";

/// A question about what there is.
#[derive(Debug, Clone, PartialEq)]
pub struct Metadata {
    /// The command as it came, which is its own ticket.
    command: Vec<u8>,
    name: String,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Catalogues(CommandGetCatalogs),
    Schemas(CommandGetDbSchemas),
    Tables(CommandGetTables),
    TableTypes(CommandGetTableTypes),
    Info(CommandGetSqlInfo),
    Types(CommandGetXdbcTypeInfo),
    PrimaryKeys,
    ForeignKeys,
}

impl Metadata {
    /// The question that a command is, with the command as it came.
    ///
    /// Errors: `Unsupported`.
    pub(crate) fn of(command: Command, packed: &[u8]) -> Result<Self, FlightError> {
        let name = name_of(&command);
        let kind = match command {
            Command::CommandGetCatalogs(query) => Kind::Catalogues(query),
            Command::CommandGetDbSchemas(query) => Kind::Schemas(query),
            Command::CommandGetTables(query) => Kind::Tables(query),
            Command::CommandGetTableTypes(query) => Kind::TableTypes(query),
            Command::CommandGetSqlInfo(query) => Kind::Info(query),
            Command::CommandGetXdbcTypeInfo(query) => Kind::Types(query),
            // No table declares keys.
            Command::CommandGetPrimaryKeys(_) => Kind::PrimaryKeys,
            Command::CommandGetExportedKeys(_)
            | Command::CommandGetImportedKeys(_)
            | Command::CommandGetCrossReference(_) => Kind::ForeignKeys,
            _ => return Err(FlightError::Unsupported(name)),
        };
        Ok(Self { command: packed.to_vec(), name, kind })
    }

    /// The protocol's name of the question.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn command(&self) -> &[u8] {
        &self.command
    }

    /// The columns that the protocol gives the answer.
    pub(crate) fn schema(&self) -> SchemaRef {
        match &self.kind {
            Kind::Catalogues(query) => (*query).into_builder().schema(),
            Kind::Schemas(query) => query.clone().into_builder().schema(),
            Kind::Tables(query) => query.clone().into_builder().schema(),
            Kind::TableTypes(query) => (*query).into_builder().schema(),
            Kind::Info(_) => Arc::new(arrow_flight::sql::metadata::SqlInfoDataBuilder::schema().clone()),
            Kind::Types(_) => arrow_flight::sql::metadata::XdbcTypeInfoDataBuilder::new().schema(),
            Kind::PrimaryKeys => primary_keys(),
            Kind::ForeignKeys => foreign_keys(),
        }
    }

    /// The answer for a session: it knows the tables that its caller's roles allow.
    pub(crate) fn rows(self, session: &SecuredSession) -> Result<RecordBatch, FlightError> {
        Ok(match self.kind {
            Kind::Catalogues(query) => {
                let mut rows = query.into_builder();
                rows.append(CATALOGUE);
                rows.build()?
            }
            Kind::Schemas(query) => {
                let mut rows = query.into_builder();
                rows.append(CATALOGUE, SCHEMA);
                rows.build()?
            }
            Kind::Tables(query) => {
                let mut rows = query.into_builder();
                for table in session.tables() {
                    rows.append(CATALOGUE, SCHEMA, table.name, TABLE, &commented(&table))?;
                }
                rows.build()?
            }
            Kind::TableTypes(query) => {
                let mut rows = query.into_builder();
                rows.append(TABLE);
                rows.build()?
            }
            Kind::Info(query) => query.into_builder(&service_info()?).build()?,
            Kind::Types(query) => query.into_builder(&type_info()?).build()?,
            Kind::PrimaryKeys => RecordBatch::new_empty(primary_keys()),
            Kind::ForeignKeys => RecordBatch::new_empty(foreign_keys()),
        })
    }
}

/// The columns of a table as they go out, each with what it is under the protocol's name for remarks.
fn commented(table: &TableInfo) -> Schema {
    let plain = plain_schema(&table.schema);
    let field = |(field, comment): (&FieldRef, &&str)| {
        let remarks = [("ARROW:FLIGHT:SQL:REMARKS".to_owned(), (*comment).to_owned())];
        field.as_ref().clone().with_metadata(remarks.into())
    };
    Schema::new(plain.fields().iter().zip(&table.comments).map(field).collect::<Vec<_>>())
}

fn columns(columns: &[(&str, DataType, bool)]) -> SchemaRef {
    let field = |(name, kind, nullable): &(&str, DataType, bool)| Field::new(*name, kind.clone(), *nullable);
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

fn primary_keys() -> SchemaRef {
    columns(&[
        ("catalog_name", DataType::Utf8, true),
        ("db_schema_name", DataType::Utf8, true),
        ("table_name", DataType::Utf8, false),
        ("column_name", DataType::Utf8, false),
        ("key_name", DataType::Utf8, true),
        ("key_sequence", DataType::Int32, false),
    ])
}

/// Of exported and imported keys, and of those between two tables.
fn foreign_keys() -> SchemaRef {
    columns(&[
        ("pk_catalog_name", DataType::Utf8, true),
        ("pk_db_schema_name", DataType::Utf8, true),
        ("pk_table_name", DataType::Utf8, false),
        ("pk_column_name", DataType::Utf8, false),
        ("fk_catalog_name", DataType::Utf8, true),
        ("fk_db_schema_name", DataType::Utf8, true),
        ("fk_table_name", DataType::Utf8, false),
        ("fk_column_name", DataType::Utf8, false),
        ("key_sequence", DataType::Int32, false),
        ("fk_key_name", DataType::Utf8, true),
        ("pk_key_name", DataType::Utf8, true),
        ("update_rule", DataType::UInt8, false),
        ("delete_rule", DataType::UInt8, false),
    ])
}
