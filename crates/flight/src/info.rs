//! What the service says of itself. Lists are never NULL: drivers take them for granted.

use crate::error::FlightError;
use arrow_flight::sql::metadata::{SqlInfoData, SqlInfoDataBuilder};
use arrow_flight::sql::{
    SqlInfo, SqlNullOrdering, SqlOuterJoinsSupportLevel, SqlSupportedCaseSensitivity, SqlSupportedGroupBy,
    SqlSupportedResultSetConcurrency, SqlSupportedResultSetType, SqlSupportedSubqueries,
    SqlSupportedTransaction, SqlSupportedUnions, SqlTransactionIsolationLevel, SupportedSqlGrammar,
};
use gridtrail_sql::STATEMENT_BYTES_MAX;
use std::collections::BTreeMap;

const NUMERIC: &[&str] =
    &["abs", "ceil", "floor", "ln", "log", "log10", "log2", "power", "round", "signum", "sqrt", "trunc"];

const TEXT: &[&str] = &[
    "ascii",
    "btrim",
    "character_length",
    "concat",
    "concat_ws",
    "contains",
    "ends_with",
    "initcap",
    "left",
    "lower",
    "ltrim",
    "octet_length",
    "regexp_like",
    "regexp_match",
    "regexp_replace",
    "replace",
    "reverse",
    "right",
    "rtrim",
    "split_part",
    "starts_with",
    "strpos",
    "substr",
    "translate",
    "upper",
];

const TIME: &[&str] = &[
    "current_date",
    "date_bin",
    "date_part",
    "date_trunc",
    "from_unixtime",
    "make_date",
    "now",
    "to_char",
    "to_date",
    "to_timestamp",
    "to_unixtime",
];

const SYSTEM: &[&str] = &["arrow_typeof", "coalesce", "nullif", "nvl", "nvl2"];

/// Words of the language beyond those of SQL:2003.
const KEYWORDS: &[&str] = &["EXPLAIN", "ILIKE", "LIMIT", "OFFSET", "SHOW", "UNNEST"];

/// The bits of a mask that stand for some ordinals.
fn mask(ordinals: &[i32]) -> i32 {
    ordinals.iter().fold(0, |mask, ordinal| mask | (1 << ordinal))
}

pub(crate) fn service_info() -> Result<SqlInfoData, FlightError> {
    let mut info = SqlInfoDataBuilder::new();
    about_the_server(&mut info);
    about_names(&mut info);
    about_statements(&mut info);
    // What has no limit of its own.
    for limit in [
        SqlInfo::SqlMaxBinaryLiteralLength,
        SqlInfo::SqlMaxCharLiteralLength,
        SqlInfo::SqlMaxColumnNameLength,
        SqlInfo::SqlMaxColumnsInGroupBy,
        SqlInfo::SqlMaxColumnsInIndex,
        SqlInfo::SqlMaxColumnsInOrderBy,
        SqlInfo::SqlMaxColumnsInSelect,
        SqlInfo::SqlMaxColumnsInTable,
        SqlInfo::SqlMaxConnections,
        SqlInfo::SqlMaxCursorNameLength,
        SqlInfo::SqlMaxIndexLength,
        SqlInfo::SqlDbSchemaNameLength,
        SqlInfo::SqlMaxProcedureNameLength,
        SqlInfo::SqlMaxCatalogNameLength,
        SqlInfo::SqlMaxRowSize,
        SqlInfo::SqlMaxStatements,
        SqlInfo::SqlMaxTableNameLength,
        SqlInfo::SqlMaxTablesInSelect,
        SqlInfo::SqlMaxUsernameLength,
    ] {
        info.append(limit, 0_i64);
    }
    Ok(info.build()?)
}

fn about_the_server(info: &mut SqlInfoDataBuilder) {
    info.append(SqlInfo::FlightSqlServerName, "gridtrail");
    info.append(SqlInfo::FlightSqlServerVersion, env!("CARGO_PKG_VERSION"));
    // The version of the format of Arrow's messages.
    info.append(SqlInfo::FlightSqlServerArrowVersion, "1.5");
    info.append(SqlInfo::FlightSqlServerReadOnly, true);
    info.append(SqlInfo::FlightSqlServerSql, true);
    info.append(SqlInfo::FlightSqlServerSubstrait, false);
    info.append(SqlInfo::FlightSqlServerTransaction, SqlSupportedTransaction::None as i32);
    info.append(SqlInfo::FlightSqlServerCancel, true);
    info.append(SqlInfo::FlightSqlServerBulkIngestion, false);
    info.append(SqlInfo::FlightSqlServerIngestTransactionsSupported, false);
    // Clients cannot set it.
    info.append(SqlInfo::FlightSqlServerStatementTimeout, 0);
    info.append(SqlInfo::FlightSqlServerTransactionTimeout, 0);
}

fn about_names(info: &mut SqlInfoDataBuilder) {
    info.append(SqlInfo::SqlDdlCatalog, false);
    info.append(SqlInfo::SqlDdlSchema, false);
    info.append(SqlInfo::SqlDdlTable, false);
    let (folded, kept) = (
        SqlSupportedCaseSensitivity::SqlCaseSensitivityLowercase as i32,
        SqlSupportedCaseSensitivity::SqlCaseSensitivityUnknown as i32,
    );
    info.append(SqlInfo::SqlIdentifierCase, folded);
    info.append(SqlInfo::SqlIdentifierQuoteChar, "\"");
    info.append(SqlInfo::SqlQuotedIdentifierCase, kept);
    info.append(SqlInfo::SqlAllTablesAreSelectable, true);
    info.append(SqlInfo::SqlSearchStringEscape, "\\");
    info.append(SqlInfo::SqlExtraNameCharacters, "");
    info.append(SqlInfo::SqlSchemaTerm, "schema");
    info.append(SqlInfo::SqlProcedureTerm, "procedure");
    info.append(SqlInfo::SqlCatalogTerm, "catalogue");
    info.append(SqlInfo::SqlCatalogAtStart, true);
    info.append(SqlInfo::SqlSchemasSupportedActions, 0);
    info.append(SqlInfo::SqlCatalogsSupportedActions, 0);
}

fn about_statements(info: &mut SqlInfoDataBuilder) {
    info.append(SqlInfo::SqlNullOrdering, SqlNullOrdering::SqlNullsSortedHigh as i32);
    info.append(SqlInfo::SqlKeywords, KEYWORDS);
    info.append(SqlInfo::SqlNumericFunctions, NUMERIC);
    info.append(SqlInfo::SqlStringFunctions, TEXT);
    info.append(SqlInfo::SqlSystemFunctions, SYSTEM);
    info.append(SqlInfo::SqlDatetimeFunctions, TIME);
    for yes in [
        SqlInfo::SqlSupportsColumnAliasing,
        SqlInfo::SqlNullPlusNullIsNull,
        SqlInfo::SqlSupportsTableCorrelationNames,
        SqlInfo::SqlSupportsExpressionsInOrderBy,
        SqlInfo::SqlSupportsOrderByUnrelated,
        SqlInfo::SqlSupportsLikeEscapeClause,
        SqlInfo::SqlCorrelatedSubqueriesSupported,
    ] {
        info.append(yes, true);
    }
    for no in [
        SqlInfo::SqlSupportsDifferentTableCorrelationNames,
        SqlInfo::SqlSupportsNonNullableColumns,
        SqlInfo::SqlSupportsIntegrityEnhancementFacility,
        SqlInfo::SqlSelectForUpdateSupported,
        SqlInfo::SqlStoredProceduresSupported,
        SqlInfo::SqlMaxRowSizeIncludesBlobs,
        SqlInfo::SqlTransactionsSupported,
        SqlInfo::SqlDataDefinitionCausesTransactionCommit,
        SqlInfo::SqlDataDefinitionsInTransactionsIgnored,
        SqlInfo::SqlBatchUpdatesSupported,
        SqlInfo::SqlSavepointsSupported,
        SqlInfo::SqlNamedParametersSupported,
        SqlInfo::SqlLocatorsUpdateCopy,
        SqlInfo::SqlStoredFunctionsUsingCallSyntaxSupported,
    ] {
        info.append(no, false);
    }
    let group_by =
        [SqlSupportedGroupBy::SqlGroupByUnrelated as i32, SqlSupportedGroupBy::SqlGroupByBeyondSelect as i32];
    info.append(SqlInfo::SqlSupportedGroupBy, mask(&group_by));
    let grammar = [SupportedSqlGrammar::SqlMinimumGrammar as i32, SupportedSqlGrammar::SqlCoreGrammar as i32];
    info.append(SqlInfo::SqlSupportedGrammar, mask(&grammar));
    // Entry level: the protocol's constants of it are not exported.
    info.append(SqlInfo::SqlAnsi92SupportedLevel, mask(&[0]));
    info.append(
        SqlInfo::SqlOuterJoinsSupportLevel,
        mask(&[
            SqlOuterJoinsSupportLevel::SqlLimitedOuterJoins as i32,
            SqlOuterJoinsSupportLevel::SqlFullOuterJoins as i32,
        ]),
    );
    info.append(SqlInfo::SqlSupportedPositionedCommands, 0);
    let subqueries = [
        SqlSupportedSubqueries::SqlSubqueriesInComparisons as i32,
        SqlSupportedSubqueries::SqlSubqueriesInExists as i32,
        SqlSupportedSubqueries::SqlSubqueriesInIns as i32,
    ];
    info.append(SqlInfo::SqlSupportedSubqueries, mask(&subqueries));
    let unions = [SqlSupportedUnions::SqlUnion as i32, SqlSupportedUnions::SqlUnionAll as i32];
    info.append(SqlInfo::SqlSupportedUnions, mask(&unions));
    info.append(SqlInfo::SqlMaxStatementLength, i64::try_from(STATEMENT_BYTES_MAX).unwrap_or(i64::MAX));
    // Rows come once, forwards, and cannot be changed; casts are written out, and no function converts.
    let forward_only = SqlSupportedResultSetType::SqlResultSetTypeForwardOnly as i32;
    let read_only = SqlSupportedResultSetConcurrency::SqlResultSetConcurrencyReadOnly as i32;
    info.append(SqlInfo::SqlSupportedResultSetTypes, mask(&[forward_only]));
    info.append(SqlInfo::SqlSupportedConcurrenciesForResultSetForwardOnly, mask(&[read_only]));
    for none in [
        SqlInfo::SqlSupportedConcurrenciesForResultSetUnspecified,
        SqlInfo::SqlSupportedConcurrenciesForResultSetScrollSensitive,
        SqlInfo::SqlSupportedConcurrenciesForResultSetScrollInsensitive,
        SqlInfo::SqlSupportedTransactionsIsolationLevels,
    ] {
        info.append(none, 0);
    }
    info.append(SqlInfo::SqlSupportsConvert, BTreeMap::<i32, Vec<i32>>::new());
    let isolation = SqlTransactionIsolationLevel::SqlTransactionNone as i32;
    info.append(SqlInfo::SqlDefaultTransactionIsolation, i64::from(isolation));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_that_is_named_may_be_called() {
        for name in [NUMERIC, TEXT, TIME, SYSTEM].concat() {
            assert!(gridtrail_sql::scalar_functions().contains(&name), "{name}");
        }
    }

    /// All that drivers ask for at once is there, and no list is NULL.
    #[test]
    fn the_service_says_something_of_everything() {
        let all = service_info().unwrap().record_batch([]).unwrap();
        assert!(all.num_rows() > 70, "{} rows", all.num_rows());
        for column in all.columns() {
            assert_eq!(column.logical_null_count(), 0);
        }
        assert_eq!(
            service_info().unwrap().record_batch([SqlInfo::SqlKeywords as u32]).unwrap().num_rows(),
            1
        );
    }
}
