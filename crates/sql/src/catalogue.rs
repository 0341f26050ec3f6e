//! The tables of a session: fixed when it is made, and never more than its caller's roles allow.

use datafusion::catalog::information_schema::INFORMATION_SCHEMA;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::common::TableReference;
use datafusion::error::Result;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The catalogue that a session has.
pub const CATALOGUE: &str = "gridtrail";
/// The schema that its tables lie in.
pub const SCHEMA: &str = "public";

/// Of what the engine tells of itself, the tables that tell of tables alone.
const ABOUT_TABLES: &[&str] = &["tables", "columns", "schemata"];

/// Tables by name.
type Tables = Arc<BTreeMap<String, Arc<dyn TableProvider>>>;

/// The tables of a session, by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Catalogue {
    listed: Tables,
    /// Those that one statement alone may name: of the past.
    unlisted: Tables,
}

impl Catalogue {
    pub(crate) fn of(tables: impl IntoIterator<Item = (String, Arc<dyn TableProvider>)>) -> Self {
        Self { listed: Arc::new(tables.into_iter().collect()), unlisted: Tables::default() }
    }

    /// The same tables, and some that nothing tells of.
    pub(crate) fn with_unlisted(
        &self,
        tables: impl IntoIterator<Item = (String, Arc<dyn TableProvider>)>,
    ) -> Self {
        Self { listed: Arc::clone(&self.listed), unlisted: Arc::new(tables.into_iter().collect()) }
    }

    fn named(&self, name: &str) -> Option<&Arc<dyn TableProvider>> {
        self.listed.get(name).or_else(|| self.unlisted.get(name))
    }

    /// Whether a scan of a table may be carried out.
    pub(crate) fn may_be_scanned(&self, name: &TableReference) -> bool {
        let name = name.clone().resolve(CATALOGUE, SCHEMA);
        let known = match &*name.schema {
            SCHEMA => self.named(&name.table).is_some(),
            INFORMATION_SCHEMA => ABOUT_TABLES.contains(&&*name.table),
            // What a statement makes of values and unnested lists has a name of the engine's.
            _ => false,
        };
        &*name.catalog == CATALOGUE && known
    }
}

impl CatalogProviderList for Catalogue {
    fn register_catalog(
        &self,
        _name: String,
        _catalogue: Arc<dyn CatalogProvider>,
    ) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        vec![CATALOGUE.to_owned()]
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        (name == CATALOGUE).then(|| Arc::new(self.clone()) as _)
    }
}

impl CatalogProvider for Catalogue {
    fn schema_names(&self) -> Vec<String> {
        vec![SCHEMA.to_owned()]
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        (name == SCHEMA).then(|| Arc::new(self.clone()) as _)
    }
}

#[async_trait::async_trait]
impl SchemaProvider for Catalogue {
    fn table_names(&self) -> Vec<String> {
        self.listed.keys().cloned().collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        Ok(self.named(name).cloned())
    }

    fn table_exist(&self, name: &str) -> bool {
        self.named(name).is_some()
    }
}
