//! The tables of a session: fixed when it is made, and never more than its caller's roles allow.

use datafusion::catalog::information_schema::INFORMATION_SCHEMA;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::common::TableReference;
use datafusion::error::Result;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The catalogue that a session has.
pub(crate) const CATALOGUE: &str = "gridtrail";
/// The schema that its tables lie in.
pub(crate) const SCHEMA: &str = "public";

/// Of what the engine tells of itself, the tables that tell of tables alone.
const ABOUT_TABLES: &[&str] = &["tables", "columns", "schemata"];

/// The tables of a session, by name.
#[derive(Debug, Clone)]
pub(crate) struct Catalogue(Arc<BTreeMap<&'static str, Arc<dyn TableProvider>>>);

impl Catalogue {
    pub(crate) fn of(tables: impl IntoIterator<Item = (&'static str, Arc<dyn TableProvider>)>) -> Self {
        Self(Arc::new(tables.into_iter().collect()))
    }

    /// Whether a scan of a table may be carried out.
    pub(crate) fn may_be_scanned(&self, name: &TableReference) -> bool {
        let name = name.clone().resolve(CATALOGUE, SCHEMA);
        let known = match &*name.schema {
            SCHEMA => self.0.contains_key(&*name.table),
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
        self.0.keys().map(|name| (*name).to_owned()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        Ok(self.0.get(name).cloned())
    }

    fn table_exist(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}
