//! The groups of an aggregate, found by the places of words.

use super::is_word;
use arrow::array::{
    Array, ArrayRef, AsArray as _, DictionaryArray, Int32Array, Int64Array, StringArray, UInt32Array,
};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Int32Type, Int64Type, SchemaRef};
use datafusion::common::hash_utils::RandomState;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::GroupsAccumulator;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use std::collections::HashMap;
use std::sync::Arc;

/// The groups that were met.
pub(super) struct Groups {
    columns: Vec<Column>,
    /// By all columns up to the second, the third and so on.
    pairs: Vec<Pairs>,
    pub(super) count: usize,
    pub(super) accumulators: Vec<Box<dyn GroupsAccumulator>>,
    /// The group of each row of a batch.
    pub(super) of_rows: Vec<usize>,
}

impl Groups {
    pub(super) fn of(keys: usize, aggregates: &[Arc<AggregateFunctionExpr>]) -> Result<Self> {
        let accumulators =
            aggregates.iter().map(|one| one.create_groups_accumulator()).collect::<Result<_>>()?;
        Ok(Self {
            columns: (0..keys).map(|_| Column::default()).collect(),
            pairs: (1..keys).map(|_| Pairs::default()).collect(),
            count: 0,
            accumulators,
            of_rows: Vec::new(),
        })
    }

    pub(super) fn bytes(&self) -> usize {
        let of_columns: usize = self.columns.iter().map(Column::bytes).sum();
        let of_pairs: usize = self.pairs.iter().map(Pairs::bytes).sum();
        let of_accumulators: usize = self.accumulators.iter().map(|one| one.size()).sum();
        of_columns + of_pairs + of_accumulators + self.of_rows.capacity() * size_of::<usize>()
    }

    /// Finds the group of each row.
    pub(super) fn find(&mut self, keys: &[ArrayRef], rows: usize) -> Result<()> {
        self.of_rows.clear();
        self.of_rows.resize(rows, 0);
        for (number, (column, key)) in self.columns.iter_mut().zip(keys).enumerate() {
            let places = column.places(key)?;
            match number.checked_sub(1).and_then(|number| self.pairs.get_mut(number)) {
                None => self.of_rows.iter_mut().zip(places).for_each(|(of, place)| *of = *place as usize),
                Some(pairs) => {
                    for (of, place) in self.of_rows.iter_mut().zip(places) {
                        *of = pairs.place(*of, *place);
                    }
                }
            }
        }
        self.count = self
            .pairs
            .last()
            .map_or_else(|| self.columns.first().map_or(0, Column::len), |pairs| pairs.all.len());
        Ok(())
    }

    /// The keys of all groups, as columns of a schema that begins with them.
    pub(super) fn keys(&self, schema: &SchemaRef) -> Result<Vec<ArrayRef>> {
        let mut places: Vec<Vec<u32>> = vec![Vec::with_capacity(self.count); self.columns.len()];
        for group in 0..self.count {
            let mut of = group;
            for (number, pairs) in self.pairs.iter().enumerate().rev() {
                let (before, place) = pairs.all[of];
                places[number + 1].push(place);
                of = before;
            }
            places[0].push(u32::try_from(of).unwrap_or(u32::MAX));
        }
        let columns = self.columns.iter().zip(places).zip(schema.fields());
        columns.map(|((column, places), field)| column.take(places, field.data_type())).collect()
    }
}

/// The different values of one key.
#[derive(Default)]
struct Column {
    words: HashMap<Arc<str>, u32, RandomState>,
    /// The place of those that have no value.
    without: Option<u32>,
    texts: Vec<Option<Arc<str>>>,
    numbers: HashMap<Option<i64>, u32, RandomState>,
    values: Vec<Option<i64>>,
    /// The places of the rows of a batch.
    of_rows: Vec<u32>,
    text_bytes: usize,
}

/// Not looked up yet.
const UNKNOWN: u32 = u32::MAX;

impl Column {
    fn len(&self) -> usize {
        // One of them is empty.
        self.texts.len() + self.values.len()
    }

    fn bytes(&self) -> usize {
        self.text_bytes + self.len() * 4 * size_of::<Option<Arc<str>>>()
    }

    fn word(&mut self, text: Option<&str>) -> u32 {
        let known = match text {
            Some(text) => self.words.get(text).copied(),
            None => self.without,
        };
        if let Some(place) = known {
            return place;
        }
        let place = u32::try_from(self.texts.len()).unwrap_or(UNKNOWN);
        let text: Option<Arc<str>> = text.map(Arc::from);
        self.texts.push(text.clone());
        match text {
            Some(text) => {
                // With what counts its owners.
                self.text_bytes += text.len() + 2 * size_of::<usize>();
                self.words.insert(text, place);
            }
            None => self.without = Some(place),
        }
        place
    }

    fn number(&mut self, number: Option<i64>) -> u32 {
        let values = &mut self.values;
        *self.numbers.entry(number).or_insert_with(|| {
            values.push(number);
            u32::try_from(values.len() - 1).unwrap_or(UNKNOWN)
        })
    }

    /// The place of each row's value.
    fn places(&mut self, key: &ArrayRef) -> Result<&[u32]> {
        let mut of_rows = std::mem::take(&mut self.of_rows);
        of_rows.clear();
        let wrong = || DataFusionError::Internal("a key is of another type than planned".to_owned());
        match key.data_type() {
            kind if is_word(kind) => {
                let words = key.as_dictionary_opt::<Int32Type>().ok_or_else(wrong)?;
                let texts = words.values().as_string_opt::<i32>().ok_or_else(wrong)?;
                let mut known = vec![UNKNOWN; texts.len()];
                let mut without = UNKNOWN;
                for row in 0..words.len() {
                    let at = if words.is_valid(row) {
                        usize::try_from(words.keys().value(row)).ok()
                    } else {
                        None
                    };
                    let at = at.filter(|at| texts.is_valid(*at));
                    let place = at.map_or(&mut without, |at| &mut known[at]);
                    if *place == UNKNOWN {
                        *place = self.word(at.map(|at| texts.value(at)));
                    }
                    of_rows.push(*place);
                }
            }
            DataType::Utf8 => {
                let texts = key.as_string_opt::<i32>().ok_or_else(wrong)?;
                let mut last: Option<(Option<&str>, u32)> = None;
                for text in texts {
                    let place = match last {
                        Some((before, place)) if before == text => place,
                        _ => self.word(text),
                    };
                    last = Some((text, place));
                    of_rows.push(place);
                }
            }
            _ => {
                let numbers = cast(key, &DataType::Int64)?;
                let numbers: &Int64Array = numbers.as_primitive_opt::<Int64Type>().ok_or_else(wrong)?;
                let mut last: Option<(Option<i64>, u32)> = None;
                for number in numbers {
                    let place = match last {
                        Some((before, place)) if before == number => place,
                        _ => self.number(number),
                    };
                    last = Some((number, place));
                    of_rows.push(place);
                }
            }
        }
        self.of_rows = of_rows;
        Ok(&self.of_rows)
    }

    /// Some of the values, by their places.
    fn take(&self, places: Vec<u32>, kind: &DataType) -> Result<ArrayRef> {
        let values: ArrayRef = match kind {
            kind if is_word(kind) => {
                let texts: StringArray = self.texts.iter().map(Option::as_deref).collect();
                let keys: Int32Array = places
                    .iter()
                    .map(|place| {
                        i32::try_from(*place)
                            .ok()
                            .filter(|at| texts.is_valid(usize::try_from(*at).unwrap_or(0)))
                    })
                    .collect();
                let words = DictionaryArray::<Int32Type>::try_new(keys, Arc::new(texts))?;
                return Ok(Arc::new(words));
            }
            DataType::Utf8 => Arc::new(self.texts.iter().map(Option::as_deref).collect::<StringArray>()),
            kind => cast(&self.values.iter().copied().collect::<Int64Array>(), kind)?,
        };
        Ok(take(&values, &UInt32Array::from(places), None)?)
    }
}

/// The most places of a second key that are found by a table, and of a first.
const TABLE_COLUMNS: usize = 1_024;
const TABLE_ROWS: usize = 1_024;

/// Pairs of the place of what was found so far, and of the next key.
#[derive(Default)]
struct Pairs {
    /// By row and column: where few places are, as a rule.
    table: Vec<u32>,
    others: HashMap<(usize, u32), u32, RandomState>,
    all: Vec<(usize, u32)>,
}

impl Pairs {
    fn bytes(&self) -> usize {
        self.table.capacity() * size_of::<u32>()
            + (self.all.capacity() + 2 * self.others.len()) * size_of::<(usize, u32)>()
    }

    #[inline]
    fn place(&mut self, first: usize, second: u32) -> usize {
        let column = second as usize;
        if column < TABLE_COLUMNS && first < TABLE_ROWS {
            let at = first * TABLE_COLUMNS + column;
            if self.table.len() <= at {
                self.table.resize((first + 1) * TABLE_COLUMNS, UNKNOWN);
            }
            if self.table[at] == UNKNOWN {
                self.table[at] = u32::try_from(self.all.len()).unwrap_or(UNKNOWN);
                self.all.push((first, second));
            }
            return self.table[at] as usize;
        }
        let all = &mut self.all;
        *self.others.entry((first, second)).or_insert_with(|| {
            all.push((first, second));
            u32::try_from(all.len() - 1).unwrap_or(UNKNOWN)
        }) as usize
    }
}
