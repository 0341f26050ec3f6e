//! What a picture shows, counted while rows go by.

use crate::cell::{Cell, cells_of};
use crate::report::{Chart, ChartKind, ColumnKind, Report};
use arrow::array::RecordBatch;
use std::collections::BTreeMap;

/// Values along an axis that are counted. With more there is no picture: nothing could be told from it.
const VALUES_MAX: usize = 5_000;
/// Bars that are drawn, the longest; the others are one.
const BARS_MAX: usize = 40;
/// Columns that are drawn.
const COLUMNS_MAX: usize = 1_500;
/// Parts of a bar, one above the other; what comes after these is one.
const PARTS_MAX: usize = 10;

/// Counts what a report's picture shows.
pub(super) struct Tally {
    chart: Chart,
    across: usize,
    sums: Vec<usize>,
    by: Option<usize>,
    parts: Vec<String>,
    /// By value along the axis, in their order.
    totals: BTreeMap<(i64, String), Vec<f64>>,
    is_too_wide: bool,
}

/// A picture.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Picture {
    pub(super) kind: ChartKind,
    pub(super) title: String,
    /// What stands along the axis.
    pub(super) across: String,
    pub(super) parts: Vec<String>,
    /// In the order in which they are drawn, each with a number for each part.
    pub(super) values: Vec<(String, Vec<f64>)>,
}

impl Picture {
    pub(super) fn longest(&self) -> f64 {
        self.values.iter().map(|(_, numbers)| numbers.iter().sum()).fold(0.0, f64::max)
    }
}

impl Tally {
    /// The counts of a report's picture, where it has one.
    pub(super) fn of(report: &Report) -> Option<Self> {
        let chart = report.chart.clone()?;
        let number = |name: &str| report.columns.iter().position(|column| column.name == name);
        // A manifest whose picture names a column that is not there is none.
        let (across, sums) = (number(&chart.across)?, chart.sums.iter().filter_map(|name| number(name)));
        let (sums, by) = (sums.collect(), chart.by.as_deref().and_then(number));
        let parts = match (chart.sums.is_empty(), by) {
            (false, _) => chart.sums.clone(),
            (true, None) => vec!["rows".to_owned()],
            (true, Some(_)) => Vec::new(),
        };
        Some(Self { chart, across, sums, by, parts, totals: BTreeMap::new(), is_too_wide: false })
    }

    pub(super) fn count(&mut self, rows: &RecordBatch, kinds: &[ColumnKind]) {
        for row in 0..rows.num_rows() {
            if self.is_too_wide {
                return;
            }
            let cells: Vec<Cell<'_>> = cells_of(rows, kinds, row).collect();
            let cell = |number: usize| cells.get(number).copied().unwrap_or(Cell::Empty);
            let numbers: Vec<(usize, f64)> = match self.by {
                Some(by) => vec![(self.part_of(&label_of(cell(by))), 1.0)],
                None if self.sums.is_empty() => vec![(0, 1.0)],
                None => self.sums.iter().map(|number| number_of(cell(*number))).enumerate().collect(),
            };
            let across = cell(self.across);
            let totals =
                self.totals.entry((across.wall_millis().unwrap_or(0), label_of(across))).or_default();
            for (part, number) in numbers {
                totals.resize(totals.len().max(part + 1), 0.0);
                totals[part] += number;
            }
            if self.totals.len() > VALUES_MAX {
                self.is_too_wide = true;
                self.totals.clear();
            }
        }
    }

    /// The number of a part; what comes after the last that is drawn is one.
    fn part_of(&mut self, label: &str) -> usize {
        if let Some(known) = self.parts.iter().position(|part| part == label) {
            return known;
        }
        if self.parts.len() == PARTS_MAX {
            self.parts.push("others".to_owned());
        }
        if self.parts.len() > PARTS_MAX {
            return PARTS_MAX;
        }
        self.parts.push(label.to_owned());
        self.parts.len() - 1
    }

    /// The picture; why there is none, where there are too many values for one.
    pub(super) fn picture(self) -> Result<Picture, &'static str> {
        const TOO_WIDE: &str = "there are too many values for a picture: ask for a shorter time, or for less";
        let Self { chart, parts, totals, is_too_wide, .. } = self;
        let full = |mut numbers: Vec<f64>| {
            numbers.resize(parts.len(), 0.0);
            numbers
        };
        let mut values: Vec<(String, Vec<f64>)> =
            totals.into_iter().map(|((_, label), numbers)| (label, full(numbers))).collect();
        if is_too_wide || chart.kind == ChartKind::Columns && values.len() > COLUMNS_MAX {
            return Err(TOO_WIDE);
        }
        if chart.kind == ChartKind::Bars {
            let length = |(_, numbers): &(String, Vec<f64>)| numbers.iter().sum::<f64>();
            values.sort_by(|one, other| length(other).total_cmp(&length(one)));
            if values.len() > BARS_MAX {
                let others = values.split_off(BARS_MAX - 1);
                let mut sums = vec![0.0; parts.len()];
                for (sum, number) in others.iter().flat_map(|(_, numbers)| numbers.iter().enumerate()) {
                    sums[sum] += number;
                }
                values.push((format!("{} others", others.len()), sums));
            }
        }
        Ok(Picture { kind: chart.kind, title: chart.title, across: chart.across, parts, values })
    }
}

fn label_of(cell: Cell<'_>) -> String {
    match cell {
        Cell::Empty => "none".to_owned(),
        other => other.to_string(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a picture is not exact to that digit")]
const fn number_of(cell: Cell<'_>) -> f64 {
    match cell {
        Cell::Number(number) => number as f64,
        Cell::Decimal(number) => number,
        _ => 0.0,
    }
}
