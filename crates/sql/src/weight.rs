//! How large a statement is once all that it names stands where its names stand.
//!
//! The engine plans what a name of a WITH stands for anew at each place that names it, and puts an expression wherever the column that it makes
//! is asked for. Twenty levels that each name the one below twice are a million of the lowest, planned in one go that nothing ends. So a
//! statement is weighed before it is planned, by what it says, and its plan is weighed again before anything is rewritten.

mod of_plan;
mod repeated;

pub(crate) use of_plan::weigh_plan;

use crate::error::SqlError;
use crate::limits::{EXPRESSIONS_MAX, NODES_MAX};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Ident, ObjectName, Query, Select, Visit as _, Visitor,
};
use repeated::{BETWEEN, COMPARED, Repeated, alternatives, cases, of_function, subsets_of};
use std::collections::VecDeque;
use std::ops::ControlFlow;

/// How much there is to plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Weight {
    /// Queries, selects and tables; of a plan, its nodes.
    nodes: u64,
    /// Expressions, each within another counted as well.
    expressions: u64,
}

impl Weight {
    const NODE: Self = Self { nodes: 1, expressions: 0 };

    const fn add(&mut self, other: Self) {
        self.nodes = self.nodes.saturating_add(other.nodes);
        self.expressions = self.expressions.saturating_add(other.expressions);
    }

    const fn times(self, times: u64) -> Self {
        Self { nodes: self.nodes.saturating_mul(times), expressions: self.expressions.saturating_mul(times) }
    }

    const fn check(self) -> Result<(), SqlError> {
        let (what, max) = if self.nodes > NODES_MAX {
            ("selects and tables", NODES_MAX)
        } else if self.expressions > EXPRESSIONS_MAX {
            ("expressions", EXPRESSIONS_MAX)
        } else {
            return Ok(());
        };
        Err(SqlError::TooManyParts { what, max })
    }
}

/// Demands that a statement is no larger than what is planned: a walk over what it says, however often that names itself.
pub(crate) fn weigh(statement: &Statement) -> Result<(), SqlError> {
    let Statement::Statement(inner) = statement else { return Ok(()) };
    let mut weighing = Weighing { levels: vec![Level::default()], repeated: Repeated::default() };
    match inner.visit(&mut weighing) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// The levels of queries within queries, from the statement to the one that is walked over.
struct Weighing {
    levels: Vec<Level>,
    repeated: Repeated,
}

/// A query, as far as it was walked over.
#[derive(Default)]
struct Level {
    /// The names of its WITH whose queries are still to come. They come first of all its queries, in their order.
    to_come: VecDeque<String>,
    /// The names of its WITH that may be used, each with what it stands for.
    known: Vec<(String, Weight)>,
    weight: Weight,
}

impl Weighing {
    fn add(&mut self, weight: Weight) {
        if let Some(level) = self.levels.last_mut() {
            level.weight.add(weight);
        }
    }

    /// What a name of a WITH stands for; nothing where it is of a table.
    fn weight_of(&self, name: &str) -> Weight {
        let known = self.levels.iter().rev().flat_map(|level| level.known.iter().rev());
        known.into_iter().find(|(known, _)| known == name).map(|(_, weight)| *weight).unwrap_or_default()
    }
}

impl Visitor for Weighing {
    type Break = SqlError;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<SqlError> {
        let named = query.with.iter().flat_map(|with| &with.cte_tables);
        let to_come = named.map(|named| normalized(&named.alias.name)).collect();
        self.levels.push(Level { to_come, known: Vec::new(), weight: Weight::NODE });
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<SqlError> {
        let Some(Level { weight, .. }) = self.levels.pop() else { return ControlFlow::Continue(()) };
        if let Err(error) = weight.check() {
            return ControlFlow::Break(error);
        }
        // A query within an expression stands there as often as that.
        let times = self.repeated.here();
        if let Some(outer) = self.levels.last_mut() {
            match outer.to_come.pop_front() {
                Some(name) => outer.known.push((name, weight)),
                None => outer.weight.add(weight.times(times)),
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, _: &Select) -> ControlFlow<SqlError> {
        self.add(Weight::NODE);
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, name: &ObjectName) -> ControlFlow<SqlError> {
        let parts = name.0.iter().map(|part| part.as_ident().map_or_else(|| part.to_string(), normalized));
        // As the engine finds a name of a WITH: also `"a.b"` by a.b.
        let named = self.weight_of(&parts.collect::<Vec<_>>().join("."));
        self.add(Weight::NODE);
        self.add(named);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<SqlError> {
        let times = self.repeated.within(times_of(expression));
        let size = match expression {
            Expr::Cube(groups) => subsets_of(groups.len()),
            _ => 1,
        };
        self.add(Weight { nodes: 0, expressions: size.saturating_mul(times) });
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<SqlError> {
        self.repeated.behind();
        ControlFlow::Continue(())
    }
}

fn times_of(expression: &Expr) -> u64 {
    use BinaryOperator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    match expression {
        Expr::Between { .. } => BETWEEN,
        Expr::InList { list, .. } => alternatives(list.len()),
        Expr::Case { conditions, .. } => cases(conditions.len()),
        Expr::Function(function) => of_function(&function.name.to_string().to_lowercase()),
        Expr::BinaryOp { op: Eq | NotEq | Lt | LtEq | Gt | GtEq, .. } => COMPARED,
        _ => 1,
    }
}

/// A name as the engine reads it.
fn normalized(name: &Ident) -> String {
    match name.quote_style {
        Some(_) => name.value.clone(),
        None => name.value.to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::Words;

    fn weighed(text: &str) -> Result<(), SqlError> {
        weigh(&Words::of(text).unwrap().statement().unwrap())
    }

    /// Levels that each name the one below twice.
    fn doubled(levels: usize, name: impl Fn(usize) -> String) -> String {
        let mut text = format!("WITH {} AS (SELECT 1 AS x)", name(0));
        for level in 1..=levels {
            let (this, below) = (name(level), name(level - 1));
            text +=
                &format!(", {this} AS (SELECT x FROM {below} UNION ALL SELECT b.x + 1 FROM {below} AS b)");
        }
        format!("{text} SELECT count(*) FROM {}", name(levels))
    }

    #[test]
    fn a_name_weighs_what_it_stands_for_at_each_place() {
        for name in [|level| format!("a{level}"), |level| format!("\"A.{level}\"")] {
            assert!(weighed(&doubled(8, name)).is_ok());
            for levels in [12, 30, 400] {
                assert!(matches!(weighed(&doubled(levels, name)), Err(SqlError::TooManyParts { .. })));
            }
        }
        assert!(weighed(&doubled(30, |level| format!("A{level}")).replace("FROM A", "FROM a")).is_err());
    }

    /// A name with a point in it is found by the two names that it looks like.
    #[test]
    fn a_name_may_be_used_as_a_qualified_one() {
        let mut text = doubled(30, |level| format!("\"a.b{level}\""));
        for level in 0..=30 {
            text = text.replace(&format!("FROM \"a.b{level}\""), &format!("FROM a.b{level}"));
        }
        assert!(text.contains("\"a.b3\" AS (SELECT x FROM a.b2 UNION"), "{text}");
        assert!(weighed(&text).is_err());
    }

    /// Also where names lie within other queries than the one that uses them, or are hidden by others.
    #[test]
    fn names_are_those_of_the_query_that_is_nearest() {
        let inner = doubled(30, |level| format!("a{level}"));
        for text in [
            format!("SELECT * FROM ({inner}) t"),
            format!("SELECT 1 WHERE EXISTS ({inner})"),
            format!("WITH z AS ({inner}) SELECT 1"),
            inner.replace("FROM a3 ", "FROM (WITH b AS (SELECT x FROM a3) SELECT x FROM b) "),
        ] {
            assert!(weighed(&text).is_err(), "{text}");
        }
        // Each is of its own query alone.
        let apart = doubled(6, |level| format!("a{level}"));
        assert!(weighed(&vec![format!("SELECT * FROM ({apart}) t"); 8].join(" UNION ALL ")).is_ok());
    }

    /// What the engine repeats counts as often, however it is nested, and where no parentheses are.
    #[test]
    fn what_is_repeated_when_it_is_written_otherwise_counts_as_often() {
        let chained = |with: fn(String) -> String, times: usize| {
            let condition = (0..times).fold("a > 1".to_owned(), |inner, _| with(inner));
            weighed(&format!("SELECT 1 FROM t WHERE {condition}"))
        };
        let kinds: [fn(String) -> String; 5] = [
            |inner| format!("{inner} BETWEEN b AND c"),
            |inner| format!("({inner}) IN (b, c, d)"),
            |inner| format!("COALESCE({inner}, b)"),
            |inner| format!("CASE WHEN {inner} THEN b ELSE c END"),
            |inner| format!("({inner}) = b"),
        ];
        for with in kinds {
            assert!(chained(with, 4).is_ok(), "{}", with("a".to_owned()));
            assert!(chained(with, 20).is_err(), "{}", with("a".to_owned()));
        }
        let cube = |groups: usize| {
            let groups = (0..groups).map(|n| format!("a{n}")).collect::<Vec<_>>().join(", ");
            weighed(&format!("SELECT 1 FROM t GROUP BY CUBE ({groups})"))
        };
        assert!(cube(6).is_ok() && cube(24).is_err() && cube(80).is_err());
    }

    #[test]
    fn long_statements_that_repeat_nothing_are_light() {
        let list = (0..9_000).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
        assert!(weighed(&format!("SELECT * FROM t WHERE a IN ({list})")).is_ok());
        assert!(weighed(&format!("SELECT * FROM t WHERE {}", vec!["a = 1"; 7_000].join(" OR "))).is_ok());
        let chain: String =
            (1..200).map(|n| format!(", a{n} AS (SELECT x + 1 AS x FROM a{})", n - 1)).collect();
        assert!(weighed(&format!("WITH a0 AS (SELECT 1 AS x){chain} SELECT x FROM a199")).is_ok());
    }
}
