//! The functions that statements may call: those that say nothing but what follows from their arguments, and whose results are hardly larger.
//!
//! Left out on purpose: what differs from call to call (`random`, `uuid`), what tells of the process (`version`, `input_file_name`), what
//! makes much of little (`repeat`, `lpad`, `range`, `generate_series`, `array_repeat`, `array_resize`), and all table functions.

use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::functions_aggregate::all_default_aggregate_functions;
use datafusion::functions_window::all_default_window_functions;

/// Scalar functions, by their own names.
const SCALAR: &[&str] = &[
    "abs",
    "array_element",
    "array_has",
    "array_has_all",
    "array_has_any",
    "array_length",
    "array_max",
    "array_min",
    "array_position",
    "array_slice",
    "array_sort",
    "array_to_string",
    "arrow_typeof",
    "ascii",
    "btrim",
    "cardinality",
    "ceil",
    "character_length",
    "coalesce",
    "concat",
    "concat_ws",
    "contains",
    "current_date",
    "date_bin",
    "date_part",
    "date_trunc",
    "empty",
    "ends_with",
    "floor",
    "from_unixtime",
    "get_field",
    "greatest",
    "initcap",
    "isnan",
    "least",
    "left",
    "ln",
    "log",
    "log10",
    "log2",
    "lower",
    "ltrim",
    "make_array",
    "make_date",
    "named_struct",
    "now",
    "nullif",
    "nvl",
    "nvl2",
    "octet_length",
    "power",
    "regexp_count",
    "regexp_like",
    "regexp_match",
    "regexp_replace",
    "replace",
    "reverse",
    "right",
    "round",
    "rtrim",
    "signum",
    "split_part",
    "sqrt",
    "starts_with",
    "strpos",
    "struct",
    "substr",
    "to_char",
    "to_date",
    "to_hex",
    "to_timestamp",
    "to_timestamp_millis",
    "to_timestamp_seconds",
    "to_unixtime",
    "translate",
    "trunc",
    "upper",
];

/// Aggregates, by their own names.
const AGGREGATE: &[&str] = &[
    "approx_distinct",
    "approx_median",
    "approx_percentile_cont",
    "array_agg",
    "avg",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "first_value",
    "grouping",
    "last_value",
    "max",
    "median",
    "min",
    "nth_value",
    "percentile_cont",
    "stddev",
    "stddev_pop",
    "string_agg",
    "sum",
    "var",
    "var_pop",
];

/// Window functions, by their own names; every aggregate may be one, too.
const WINDOW: &[&str] = &[
    "cume_dist",
    "dense_rank",
    "first_value",
    "lag",
    "last_value",
    "lead",
    "nth_value",
    "ntile",
    "percent_rank",
    "rank",
    "row_number",
];

pub(crate) fn is_scalar(name: &str) -> bool {
    SCALAR.contains(&name)
}

pub(crate) fn is_aggregate(name: &str) -> bool {
    AGGREGATE.contains(&name)
}

pub(crate) fn is_window(name: &str) -> bool {
    WINDOW.contains(&name)
}

/// A state with these functions, and with nothing that reads or writes files.
pub(crate) fn register(builder: SessionStateBuilder) -> SessionStateBuilder {
    use datafusion::execution::SessionStateDefaults as Defaults;
    use datafusion::execution::session_state::SessionStateBuilder as Builder;
    let scalar =
        Defaults::default_scalar_functions().into_iter().filter(|function| is_scalar(function.name()));
    let aggregate =
        all_default_aggregate_functions().into_iter().filter(|function| is_aggregate(function.name()));
    let window = all_default_window_functions().into_iter().filter(|function| is_window(function.name()));
    let builder: Builder = builder;
    builder
        .with_expr_planners(Defaults::default_expr_planners())
        .with_scalar_functions(scalar.collect())
        .with_aggregate_functions(aggregate.collect())
        .with_window_functions(window.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::execution::SessionStateDefaults as Defaults;
    use std::collections::BTreeSet;

    /// A name that the engine does not know would be on a list for nothing.
    #[test]
    fn every_function_on_a_list_exists() {
        let scalar: BTreeSet<_> =
            Defaults::default_scalar_functions().iter().map(|function| function.name().to_owned()).collect();
        let aggregate: BTreeSet<_> =
            all_default_aggregate_functions().iter().map(|function| function.name().to_owned()).collect();
        let window: BTreeSet<_> =
            all_default_window_functions().iter().map(|function| function.name().to_owned()).collect();
        for (list, known) in [(SCALAR, scalar), (AGGREGATE, aggregate), (WINDOW, window)] {
            let unknown: Vec<_> = list.iter().filter(|name| !known.contains(**name)).collect();
            assert!(unknown.is_empty(), "{unknown:?}");
        }
    }
}
