//! Tables as they were: `audit_trails_at('2026-03-01T09:30:00Z')`, and so for every table of rows.
//!
//! What looks like a function is a name: its one argument is a literal, a version or an instant, which is read before anything is planned. The
//! statement then names a table that nobody else has. So no table function is ever registered, and no expression leads to a table.

use crate::error::SqlError;
use crate::limits::MOMENTS_MAX;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, ObjectNamePart, TableAlias, TableFactor, Value,
    VisitMut as _, VisitorMut,
};
use gridtrail_lake::AsOf;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// What the names of tables as they were end in.
const AT: &str = "_at";

/// A table of the past: of which table, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PastTable {
    pub(crate) table: String,
    pub(crate) as_of: AsOf,
}

/// Has a statement name the tables of the past that it asks for; each by its name in the statement from now on. Subqueries in FROM that have no name get
/// one: of `SELECT a || a AS a FROM (SELECT a || a AS a FROM …)` without, the engine (55.2) takes one for the other and leaves it out.
pub(crate) fn name_tables(
    statement: &mut Statement,
    is_table: impl Fn(&str) -> bool,
) -> Result<BTreeMap<String, PastTable>, SqlError> {
    let Statement::Statement(inner) = statement else { return Ok(BTreeMap::new()) };
    let mut naming = Naming { is_table, unnamed: 0, found: BTreeMap::new() };
    match inner.visit(&mut naming) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(naming.found),
    }
}

struct Naming<F> {
    is_table: F,
    /// How many tables of subqueries have no name.
    unnamed: usize,
    found: BTreeMap<String, PastTable>,
}

impl<F: Fn(&str) -> bool> VisitorMut for Naming<F> {
    type Break = SqlError;

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<SqlError> {
        if let TableFactor::Derived { alias: alias @ None, .. } = factor {
            self.unnamed += 1;
            let name = Ident::with_quote('"', format!("subquery_{}", self.unnamed));
            *alias = Some(TableAlias { explicit: true, name, columns: Vec::new(), at: None });
        }
        let TableFactor::Table { name, alias, args, .. } = factor else { return ControlFlow::Continue(()) };
        let Some(called) = args else { return ControlFlow::Continue(()) };
        let [ObjectNamePart::Identifier(function)] = name.0.as_slice() else {
            return ControlFlow::Continue(());
        };
        let function = match function.quote_style {
            Some(_) => function.value.clone(),
            None => function.value.to_ascii_lowercase(),
        };
        // Anything else is as unknown as any function of tables is.
        let Some(table) = function.strip_suffix(AT).filter(|table| (self.is_table)(table)) else {
            return ControlFlow::Continue(());
        };
        let as_of = match moment_of(&called.args) {
            Ok(as_of) if called.settings.is_none() => as_of,
            Ok(_) => return ControlFlow::Break(SqlError::refused("SETTINGS")),
            Err(why) => return ControlFlow::Break(SqlError::Statement(format!("{function}: {why}"))),
        };
        let named = format!("{function}('{as_of}')");
        if alias.is_none() {
            let name = Ident::with_quote('"', function.clone());
            *alias = Some(TableAlias { explicit: true, name, columns: Vec::new(), at: None });
        }
        *args = None;
        *name = ObjectName::from(vec![Ident::with_quote('"', named.clone())]);
        self.found.insert(named, PastTable { table: table.to_owned(), as_of });
        let moments: std::collections::HashSet<AsOf> = self.found.values().map(|past| past.as_of).collect();
        if moments.len() > MOMENTS_MAX {
            let why =
                format!("a statement may look back to {MOMENTS_MAX} different moments; this one names more");
            return ControlFlow::Break(SqlError::Statement(why));
        }
        ControlFlow::Continue(())
    }
}

fn moment_of(arguments: &[FunctionArg]) -> Result<AsOf, String> {
    let rule = "takes one literal: ";
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(literal)))] = arguments else {
        return Err(format!("{rule}{}", gridtrail_lake::BadAsOf));
    };
    let text = match &literal.value {
        Value::SingleQuotedString(text) | Value::Number(text, false) => text,
        _ => return Err(format!("{rule}{}", gridtrail_lake::BadAsOf)),
    };
    text.parse().map_err(|error| format!("{rule}{error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::Words;

    fn named(text: &str) -> Result<(String, Vec<PastTable>), SqlError> {
        let mut statement = Words::of(text)?.statement()?;
        let found = name_tables(&mut statement, |table| table == "meter_reads")?;
        Ok((statement.to_string(), found.into_values().collect()))
    }

    #[test]
    fn literals_name_tables_of_the_past() {
        let (text, found) = named(
            "SELECT * FROM meter_reads_at('7') a JOIN Meter_Reads_At(7) ON true \
             WHERE EXISTS (SELECT 1 FROM meter_reads_at('2026-03-01T00:00:00Z') AS b)",
        )
        .unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[1], PastTable { table: "meter_reads".to_owned(), as_of: AsOf::Version(7) });
        assert!(text.contains("\"meter_reads_at('7')\" a"), "{text}");
        assert!(text.contains("\"meter_reads_at('7')\" AS \"meter_reads_at\""), "{text}");
    }

    #[test]
    fn nothing_but_one_literal_is_taken() {
        for wrong in ["", "'x'", "1 + 1", "now()", "$1", "'1', '2'", "NULL", "(SELECT 1)", "at => '1'", "-1"]
        {
            assert!(named(&format!("SELECT * FROM meter_reads_at({wrong})")).is_err(), "{wrong}");
        }
        let many: Vec<_> = (0..5).map(|n| format!("meter_reads_at({n}) t{n}")).collect();
        assert!(named(&format!("SELECT 1 FROM {}", many.join(", "))).is_err());
    }

    #[test]
    fn subqueries_without_a_name_get_one() {
        let (text, _) = named("SELECT a FROM (SELECT b AS a FROM (SELECT 1 AS b) t)").unwrap();
        assert_eq!(text, "SELECT a FROM (SELECT b AS a FROM (SELECT 1 AS b) t) AS \"subquery_1\"");
    }

    /// Other functions, and tables that are not there, are left as they are, for the engine to say that it knows none of them.
    #[test]
    fn other_functions_are_none_of_these() {
        for other in
            ["other_at('1')", "meter_reads('1')", "public.meter_reads_at('1')", "\"METER_READS_AT\"('1')"]
        {
            assert!(named(&format!("SELECT * FROM {other}")).unwrap().1.is_empty(), "{other}");
        }
    }
}
