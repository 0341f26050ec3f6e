//! Columns of fields, of rows of a group that are read straight.

use crate::read::columns::group::{Group, word_of_column};
use crate::read::columns::readings::{Reading, Readings};
use crate::read::fields::{TrailField, history_fields, list, millis, numbers};
use crate::rows::bits::BitReader;
use crate::rows::decode::ROW_COLUMNS;
use crate::rows::lookup;
use crate::rows::shape::{Shape, TailFields, Under};
use arrow::array::{
    ArrayRef, AsArray as _, BooleanArray, DictionaryArray, Int32Array, StringArray, StringBuilder,
    StructArray, TimestampMillisecondArray, TimestampMillisecondBuilder, UInt64Array, new_null_array,
};
use arrow::datatypes::{DataType, Int32Type};
use arrow::error::ArrowError;
use gridtrail_model::{DeviceId, SsiRegion, Trail};
use gridtrail_runs::{Coded, NO_VALUE, RunCache, RunsError, Sheet};
use std::fmt::{Display, Write as _};
use std::ops::Range;
use std::sync::Arc;

/// A row, with its shape and tail.
type Tailed<'a> = (&'a Shape, TailFields, BitReader<'a>, i64);

/// Columns of some of the rows of a group that count.
pub(crate) async fn of_group(
    cache: &RunCache,
    (group, range): (&Group, Range<usize>),
    fields: &[TrailField],
    readings: &mut Readings,
) -> Result<Vec<ArrayRef>, RunsError> {
    let mut arrays = Vec::with_capacity(fields.len());
    for field in fields {
        let of = Piece { group, range: range.clone() };
        let array = match field {
            TrailField::ConcernedDevices | TrailField::ConcernedMpxns | TrailField::Disputes => {
                of.of_whole_trails(cache, *field, readings).await?
            }
            field => of.column(*field, readings)?,
        };
        arrays.push(array);
    }
    Ok(arrays)
}

/// Some of the rows of a group that count.
struct Piece<'a> {
    group: &'a Group,
    range: Range<usize>,
}

fn failed(_: ArrowError) -> RunsError {
    RunsError::Internal("a column could not be made of rows")
}

impl<'a> Piece<'a> {
    fn rows(&self) -> &'a [u32] {
        self.group.rows.get(self.range.clone()).unwrap_or_default()
    }

    fn readings(&self) -> &'a [u32] {
        self.group.readings.get(self.range.clone()).unwrap_or_default()
    }

    fn unreadable(&self) -> RunsError {
        self.group.corrupt("a row cannot be read")
    }

    fn column(&self, field: TrailField, readings: &mut Readings) -> Result<ArrayRef, RunsError> {
        use TrailField as F;
        match field {
            F::UserId => self.words_of(field, &self.group.user, readings, false),
            F::ServiceReference | F::Variant | F::VariantName => {
                self.words_of(field, &self.group.variant, readings, true)
            }
            F::CspRegion | F::CspRegionRaw => self.words_of(field, &self.group.region, readings, false),
            F::Simplified | F::Mode | F::ResponseCode | F::CurrentStatus | F::AlertCode => {
                let words = readings.words_of(field, self.readings());
                dictionary(&words, &readings.words(field).texts)
            }
            F::DeviceId => self.devices(readings),
            F::Mpxn => self.mpxns(),
            F::ReceivedAt => self.received(readings),
            F::CommandVariant => self
                .of_readings(readings, |trail| trail.command_variant.map(|v| i32::from(v.number())))
                .map(|numbers| Arc::new(numbers.into_iter().collect::<Int32Array>()) as _),
            F::AnomalyDetectionFlag => self.flags(readings, |trail| trail.anomaly_detection_flag),
            F::AwaitingRequest => self.flags(readings, |trail| trail.awaiting_request),
            F::SentAt => self.sent(readings),
            F::History => self.histories(readings),
            F::GbcsTransactionSequenceNumber => self.counters(readings, |fields| fields.counter),
            F::ScheduleId => self.counters(readings, |fields| fields.schedule_id),
            F::ExecutionAt => self.times(readings, |of| Some(of.1.execution_at.map(|at| at.millis()))),
            F::LastRecordedAt => self.times(readings, |(shape, fields, tail, placement_ms)| {
                Some(Some(shape.recorded_ms((&*fields, tail), *placement_ms)?))
            }),
            F::RequestId => self.ids(readings, |fields| fields.request_id),
            F::ResponseId => self.ids(readings, |fields| fields.response_id),
            F::PrecedingRequestId => self.ids(readings, |fields| fields.preceding),
            F::ConcernedDevices | F::ConcernedMpxns | F::Disputes => {
                Err(RunsError::Internal("a column of whole trails was asked for by itself"))
            }
        }
    }

    /// Words of a column of a run. `but_alerts`: alerts have none.
    fn words_of(
        &self,
        field: TrailField,
        coded: &Coded,
        readings: &mut Readings,
        but_alerts: bool,
    ) -> Result<ArrayRef, RunsError> {
        /// Not looked at yet.
        const UNREAD: u32 = NO_VALUE - 1;
        let mut places = vec![UNREAD; coded.values.len()];
        let mut words = Vec::with_capacity(self.rows().len());
        let unknown = match field {
            TrailField::CspRegion => readings.words(field).place(SsiRegion::Unknown.as_str()),
            _ => NO_VALUE,
        };
        for row in self.rows() {
            let code = coded.codes.get(*row as usize).copied().unwrap_or(NO_VALUE);
            let is_alert = || {
                let shape = self.group.shape_of(*row).and_then(|shape| readings.known(shape));
                shape.is_none_or(|known| known.shape.is_alert())
            };
            if code == NO_VALUE || but_alerts && is_alert() {
                words.push(unknown);
                continue;
            }
            let at = code as usize;
            if places[at] == UNREAD {
                let word = coded.values.get(at).and_then(|text| word_of_column(field, text));
                if word.is_none() && field != TrailField::VariantName {
                    return Err(self.group.corrupt("a text column holds a value that is none of its kind"));
                }
                places[at] = word.map_or(NO_VALUE, |word| readings.words(field).place(&word));
            }
            words.push(places[at]);
        }
        dictionary(&words, &readings.words(field).texts)
    }

    fn devices(&self, readings: &Readings) -> Result<ArrayRef, RunsError> {
        let rows = self.rows();
        let mut texts = StringBuilder::with_capacity(rows.len(), rows.len() * 23);
        let (mut last, mut text) = (None, String::new());
        for row in rows {
            let shape = self.group.shape_of(*row).and_then(|shape| readings.known(shape));
            if shape.is_some_and(|known| known.shape.lies_under_another()) {
                texts.append_null();
                continue;
            }
            let key = self.group.keys.get(*row as usize).copied().ok_or_else(|| self.unreadable())?;
            // Rows of one Device lie together.
            if last != Some(key) {
                last = Some(key);
                write_to(&mut text, DeviceId::from_bytes(key.to_be_bytes()));
            }
            texts.append_value(&text);
        }
        Ok(Arc::new(texts.finish()))
    }

    fn mpxns(&self) -> Result<ArrayRef, RunsError> {
        let coded = &self.group.mpxn;
        let mut texts = StringBuilder::with_capacity(self.rows().len(), self.rows().len() * 13);
        let mut last: (u32, Option<String>) = (NO_VALUE, None);
        for row in self.rows() {
            let code = coded.codes.get(*row as usize).copied().unwrap_or(NO_VALUE);
            if code != NO_VALUE && code != last.0 {
                let text =
                    coded.values.get(code as usize).and_then(|text| word_of_column(TrailField::Mpxn, text));
                let text = text.ok_or_else(|| {
                    self.group.corrupt("a text column holds a value that is none of its kind")
                })?;
                last = (code, Some(text));
            }
            texts.append_option(last.1.as_deref().filter(|_| code != NO_VALUE));
        }
        Ok(Arc::new(texts.finish()))
    }

    fn received(&self, readings: &Readings) -> Result<ArrayRef, RunsError> {
        let at = |row: &u32| self.group.received.get(*row as usize).copied();
        let awaits = |row: &u32| {
            let shape = self.group.shape_of(*row).and_then(|shape| readings.known(shape));
            shape.is_some_and(|known| known.shape.is_awaiting())
        };
        let all: Option<Vec<i64>> = self.rows().iter().map(at).collect();
        let all = all.ok_or_else(|| self.unreadable())?;
        let times = if self.rows().iter().any(awaits) {
            let shown = self.rows().iter().zip(&all).map(|(row, at)| (!awaits(row)).then_some(*at));
            shown.collect()
        } else {
            TimestampMillisecondArray::from(all)
        };
        Ok(millis(times))
    }

    fn reading<'b>(&self, number: u32, readings: &'b Readings) -> Result<&'b Reading, RunsError> {
        readings.reading(number).ok_or_else(|| self.unreadable())
    }

    fn of_readings<T>(&self, readings: &Readings, of: impl Fn(&Trail) -> T) -> Result<Vec<T>, RunsError> {
        self.readings().iter().map(|number| Ok(of(&self.reading(*number, readings)?.trail))).collect()
    }

    fn flags(&self, readings: &Readings, of: impl Fn(&Trail) -> bool) -> Result<ArrayRef, RunsError> {
        Ok(Arc::new(BooleanArray::from(self.of_readings(readings, of)?)))
    }

    /// Calls `take` with each row's shape, what its tail says, and the rest of that.
    fn each_tail(
        &self,
        readings: &Readings,
        mut take: impl FnMut(usize, &mut Tailed<'_>) -> Option<()>,
    ) -> Result<(), RunsError> {
        let tails = self.group.tail.as_ref().ok_or_else(|| self.unreadable())?;
        let mut at = 0;
        let rows = self.rows().iter().map(|row| *row as usize);
        let all = tails.each(rows, |row, tail| {
            let row = u32::try_from(row).ok()?;
            let shape = &readings.known(self.group.shape_of(row)?)?.shape;
            let under: Under = self.group.under(row)?;
            let (fields, tail) = shape.fields(tail, under)?;
            take(at, &mut (shape, fields, tail, under.placement_ms))?;
            at += 1;
            Some(())
        });
        all.ok_or_else(|| self.unreadable())
    }

    fn counters(
        &self,
        readings: &Readings,
        of: impl Fn(&TailFields) -> Option<u64>,
    ) -> Result<ArrayRef, RunsError> {
        let mut counters = Vec::with_capacity(self.rows().len());
        self.each_tail(readings, |_, row| {
            counters.push(of(&row.1));
            Some(())
        })?;
        Ok(Arc::new(UInt64Array::from(counters)))
    }

    fn times(
        &self,
        readings: &Readings,
        of: impl Fn(&mut Tailed<'_>) -> Option<Option<i64>>,
    ) -> Result<ArrayRef, RunsError> {
        let mut times = TimestampMillisecondBuilder::with_capacity(self.rows().len());
        self.each_tail(readings, |_, row| {
            times.append_option(of(row)?);
            Some(())
        })?;
        Ok(millis(times.finish()))
    }

    fn sent(&self, readings: &Readings) -> Result<ArrayRef, RunsError> {
        let mut times = TimestampMillisecondBuilder::with_capacity(self.rows().len());
        let numbers = self.readings();
        self.each_tail(readings, |at, (shape, _, tail, placement_ms)| {
            let Some(sent) = readings.reading(*numbers.get(at)?)?.sent else {
                times.append_null();
                return Some(());
            };
            let (mut entry, mut found) = (0, None);
            shape.times(tail, *placement_ms, |at| {
                if entry == sent {
                    found = Some(at);
                }
                entry += 1;
            })?;
            times.append_value(found?);
            Some(())
        })?;
        Ok(millis(times.finish()))
    }

    fn ids<T: Display>(
        &self,
        readings: &Readings,
        of: impl Fn(&TailFields) -> Option<T>,
    ) -> Result<ArrayRef, RunsError> {
        let mut texts = StringBuilder::with_capacity(self.rows().len(), self.rows().len() * 62);
        let mut text = String::new();
        self.each_tail(readings, |_, row| {
            match of(&row.1) {
                Some(id) => {
                    write_to(&mut text, id);
                    texts.append_value(&text);
                }
                None => texts.append_null(),
            }
            Some(())
        })?;
        Ok(Arc::new(texts.finish()))
    }

    fn histories(&self, readings: &Readings) -> Result<ArrayRef, RunsError> {
        let mut at_ms: Vec<i64> = Vec::new();
        self.each_tail(readings, |_, (shape, _, tail, placement_ms)| {
            shape.times(tail, *placement_ms, |at| at_ms.push(at))
        })?;
        let entries = at_ms.len();
        let (mut states, mut codes) = (Vec::with_capacity(entries), Vec::with_capacity(entries));
        let (mut lengths, mut says_more) = (Vec::with_capacity(self.rows().len()), false);
        for number in self.readings() {
            let reading = self.reading(*number, readings)?;
            states.extend(reading.entries.iter().map(|(state, _)| *state));
            codes.extend(reading.entries.iter().map(|(_, code)| *code));
            lengths.push(reading.entries.len());
            says_more |= reading.says_more;
        }
        if states.len() != entries {
            return Err(self.unreadable());
        }
        let mut columns = vec![
            millis(TimestampMillisecondArray::from(at_ms)),
            dictionary(&states, &readings.states.texts)?,
            dictionary(&codes, &readings.codes.texts)?,
        ];
        match says_more {
            true => columns.extend(self.rest_of_histories(entries, readings)?),
            false => {
                columns.push(new_null_array(&DataType::Utf8, entries));
                columns.extend(std::iter::repeat_n(new_null_array(&DataType::Int32, entries), 2));
            }
        }
        let values = StructArray::try_new_with_length(history_fields(), columns, None, entries);
        list(lengths.into_iter(), Arc::new(values.map_err(failed)?)).map_err(failed)
    }

    /// Causes and instructions, which few histories have.
    fn rest_of_histories(&self, entries: usize, readings: &Readings) -> Result<[ArrayRef; 3], RunsError> {
        let mut causes = StringBuilder::with_capacity(entries, 0);
        let (mut instructions, mut totals) = (Vec::with_capacity(entries), Vec::with_capacity(entries));
        for number in self.readings() {
            for entry in &self.reading(*number, readings)?.trail.history {
                causes.append_option(entry.cause.as_ref().map(|cause| cause.as_str()));
                instructions.push(entry.instruction.map(|instruction| i32::from(instruction.number)));
                totals.push(entry.instruction.map(|instruction| i32::from(instruction.total)));
            }
        }
        let [instructions, totals] = [instructions, totals].map(|all| numbers(all.into_iter()));
        Ok([Arc::new(causes.finish()), instructions.map_err(failed)?, totals.map_err(failed)?])
    }

    /// A column of what few rows say, which are decoded whole.
    async fn of_whole_trails(
        &self,
        cache: &RunCache,
        field: TrailField,
        readings: &Readings,
    ) -> Result<ArrayRef, RunsError> {
        let says_more = |row: &u32| {
            let known = self.group.shape_of(*row).and_then(|shape| readings.known(shape));
            known.is_none_or(|known| known.shape.says_more())
        };
        if !self.rows().iter().any(says_more) {
            let none = field.of_trails(&[]).map_err(failed)?;
            let values = none.as_list_opt::<i32>().ok_or_else(|| self.unreadable())?.values();
            return list(self.rows().iter().map(|_| 0), Arc::clone(values)).map_err(failed);
        }
        let mut trails = Vec::with_capacity(self.rows().len());
        for row in self.rows() {
            let shape = self.group.shape_of(*row).and_then(|shape| readings.known(shape));
            let known = shape.ok_or_else(|| self.unreadable())?;
            trails.push(match known.shape.says_more() {
                true => self.whole(cache, *row as usize).await?,
                false => known.shape.trail(None, false),
            });
        }
        field.of_trails(&trails).map_err(failed)
    }

    async fn whole(&self, cache: &RunCache, row: usize) -> Result<Trail, RunsError> {
        let (run, group) = (&self.group.run, self.group.number);
        let plan = gridtrail_runs::Plan::new(run, group, row..row + 1, ROW_COLUMNS);
        let plan = plan.ok_or_else(|| self.group.corrupt("its page index is damaged"))?;
        let sheet = Sheet::get(cache, run, plan).await?;
        let fragments = lookup::fragments(&sheet, &[row])?;
        fragments.first().map(Trail::from).ok_or_else(|| self.unreadable())
    }
}

fn write_to(text: &mut String, value: impl Display) {
    text.clear();
    // Writing to a String cannot fail.
    let _ = write!(text, "{value}");
}

/// A column of words by their places. It has the words of its rows and no others: what an expression does to a dictionary it does to all of it.
fn dictionary(words: &[u32], texts: &[String]) -> Result<ArrayRef, RunsError> {
    let mut places = vec![-1; texts.len()];
    let mut values: Vec<&str> = Vec::new();
    let mut keys = Vec::with_capacity(words.len());
    let mut is_whole = true;
    for word in words {
        let Some(place) = places.get_mut(*word as usize) else {
            is_whole = false;
            keys.push(-1);
            continue;
        };
        if *place < 0 {
            *place = i32::try_from(values.len())
                .map_err(|_| RunsError::Internal("a column has too many words"))?;
            values.push(&texts[*word as usize]);
        }
        keys.push(*place);
    }
    let keys = match is_whole {
        true => Int32Array::from(keys),
        false => keys.into_iter().map(|key| (key >= 0).then_some(key)).collect(),
    };
    let array = DictionaryArray::<Int32Type>::try_new(keys, Arc::new(StringArray::from(values)));
    Ok(Arc::new(array.map_err(failed)?))
}
