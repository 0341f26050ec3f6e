//! The functions that statements may call: those that say nothing but what follows from their arguments, and whose results are hardly larger.
//!
//! Left out on purpose: what differs from call to call (`random`, `uuid`), what tells of the process (`version`, `input_file_name`), what
//! makes much of little (`repeat`, `lpad`, `range`, `generate_series`, `array_repeat`, `array_resize`), and all table functions.

use crate::growth::{self, CONCATENATION, Holding};
use crate::lengths;
use datafusion::execution::SessionStateDefaults as Defaults;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::functions_aggregate::all_default_aggregate_functions;
use datafusion::functions_window::all_default_window_functions;
use datafusion::logical_expr::planner::ExprPlanner;
use std::sync::Arc;

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

/// The scalar functions that statements may call.
pub const fn scalar_functions() -> &'static [&'static str] {
    SCALAR
}

/// The aggregates that they may call.
pub const fn aggregate_functions() -> &'static [&'static str] {
    AGGREGATE
}

/// The window functions that they may call; every aggregate may be one, too.
pub const fn window_functions() -> &'static [&'static str] {
    WINDOW
}

pub(crate) fn is_scalar(name: &str) -> bool {
    SCALAR.contains(&name) || name == CONCATENATION
}

pub(crate) fn is_aggregate(name: &str) -> bool {
    AGGREGATE.contains(&name)
}

pub(crate) fn is_window(name: &str) -> bool {
    WINDOW.contains(&name)
}

/// A state with these functions, and with nothing that reads or writes files. Results of one expression over one batch take so many bytes
/// at most.
pub(crate) fn register(builder: SessionStateBuilder, bytes_max: usize) -> SessionStateBuilder {
    let scalar = Defaults::default_scalar_functions().into_iter();
    let scalar = scalar.filter(|function| is_scalar(function.name()));
    let scalar = scalar.map(|one| growth::held(lengths::by_offsets(one), bytes_max));
    let aggregate =
        all_default_aggregate_functions().into_iter().filter(|function| is_aggregate(function.name()));
    let window = all_default_window_functions().into_iter().filter(|function| is_window(function.name()));
    let mut planners: Vec<Arc<dyn ExprPlanner>> = vec![Arc::new(Holding::new(bytes_max))];
    planners.extend(Defaults::default_expr_planners());
    builder
        .with_expr_planners(planners)
        .with_scalar_functions(scalar.collect())
        .with_aggregate_functions(aggregate.collect())
        .with_window_functions(window.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
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
