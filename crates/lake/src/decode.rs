//! Columns back to fragments.
//!
//! A run is read as if it could be damaged: a value that no writer of ours writes is an error that names the run,
//! never a panic and never a guess.

use crate::encode::implied_response;
use crate::error::LakeError;
use crate::history_bytes;
use crate::schema::column;
use arrow::array::{
    Array, BinaryArray, BooleanArray, Int8Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use gridtrail_model::{
    Claims, CommandVariant, DeviceId, Fragment, Leg, RequestId, Resolved, ResponseId, Subject, Timestamp,
    TrailKey, UserId,
};
use std::str::FromStr;

/// The columns that [`Rows::resolved`] reads, ascending.
pub(crate) const RESOLVING_COLUMNS: &[usize] = &[
    column::DEVICE,
    column::RECEIVED,
    column::USER,
    column::SUBJECT,
    column::COMMAND_VARIANT,
    column::ID_COUNTER,
    column::ID_USER,
    column::ID_TARGET,
];

/// When the youngest event of each row of a whole batch was recorded, milliseconds since the epoch: as
/// [`Rows::fragment`] would say, without decoding the rows. `None`: a column is missing, or holds what no writer writes.
pub(crate) fn recorded_ms(batch: &RecordBatch) -> Option<Vec<i64>> {
    let column = |at: usize| batch.columns().get(at).map(|column| column.as_any());
    let received: &TimestampMicrosecondArray = column(column::RECEIVED)?.downcast_ref()?;
    let times: &BinaryArray = column(column::HISTORY_TIMES)?.downcast_ref()?;
    let lags: &Int64Array = column(column::RECORDED_LAG)?.downcast_ref()?;
    let recorded = |row: usize| {
        let placement = received.value(row).div_euclid(1_000);
        placement.checked_add(history_bytes::span_ms(times.value(row))?)?.checked_add(lags.value(row))
    };
    (0..batch.num_rows()).map(recorded).collect()
}

/// The number that stands for an alert in the column of subjects.
const ALERT: i8 = 3;

/// A batch of rows of a run, with the columns that were read of it.
pub(crate) struct Rows<'a> {
    batch: &'a RecordBatch,
    /// Where each column of the schema stands in the batch. One that is absent holds nothing but nulls.
    places: [Option<usize>; column::COUNT],
    path: &'a str,
}

impl<'a> Rows<'a> {
    /// Rows of a run, of which these columns of the schema were read, ascending; `path` names the run in errors.
    pub(crate) fn new(batch: &'a RecordBatch, columns: &[usize], path: &'a str) -> Self {
        let mut places = [None; column::COUNT];
        for (place, column) in columns.iter().enumerate() {
            if let Some(slot) = places.get_mut(*column) {
                *slot = Some(place);
            }
        }
        Self { batch, places, path }
    }

    fn corrupt(&self, why: &str) -> LakeError {
        LakeError::Corrupt { path: self.path.to_owned(), why: why.to_owned() }
    }

    /// A column that no row may lack.
    fn column<T: Array + 'static>(&self, at: usize) -> Result<&'a T, LakeError> {
        self.nullable(at)?.ok_or_else(|| self.corrupt(&format!("column {at} is missing")))
    }

    /// A column, `None` where every row lacks it.
    fn nullable<T: Array + 'static>(&self, at: usize) -> Result<Option<&'a T>, LakeError> {
        let Some(place) = self.places.get(at).copied().flatten() else { return Ok(None) };
        let column = self.batch.columns().get(place).and_then(|c| c.as_any().downcast_ref());
        column.map(Some).ok_or_else(|| self.corrupt(&format!("column {at} is of another type")))
    }

    /// A column's value in one row, `None` where the row lacks it.
    fn present<T: Array + 'static>(&self, at: usize, row: usize) -> Result<Option<&'a T>, LakeError> {
        Ok(self.nullable::<T>(at)?.filter(|column| column.is_valid(row)))
    }

    fn bytes(&self, at: usize, row: usize) -> Result<Option<[u8; 8]>, LakeError> {
        let bytes = self.present::<BinaryArray>(at, row)?.map(|column| column.value(row).try_into());
        bytes.transpose().map_err(|_| self.corrupt("an identifier is not 8 bytes long"))
    }

    fn number(&self, at: usize, row: usize) -> Result<Option<i64>, LakeError> {
        Ok(self.present::<Int64Array>(at, row)?.map(|column| column.value(row)))
    }

    fn small(&self, at: usize, row: usize) -> Result<Option<i8>, LakeError> {
        Ok(self.present::<Int8Array>(at, row)?.map(|column| column.value(row)))
    }

    fn flag(&self, at: usize, row: usize) -> Result<bool, LakeError> {
        let column: &BooleanArray = self.column(at)?;
        Ok(column.value(row))
    }

    fn time(&self, at: usize, row: usize) -> Result<Option<Timestamp>, LakeError> {
        let Some(column) = self.present::<TimestampMicrosecondArray>(at, row)? else { return Ok(None) };
        let time = Timestamp::from_millis(column.value(row).div_euclid(1_000));
        time.map(Some).ok_or_else(|| self.corrupt("a time is out of range"))
    }

    fn text(&self, at: usize, row: usize) -> Result<Option<&'a str>, LakeError> {
        Ok(self.present::<StringArray>(at, row)?.map(|column| column.value(row)))
    }

    fn parsed<T: FromStr>(&self, at: usize, row: usize) -> Result<Option<T>, LakeError> {
        let Some(text) = self.text(at, row)? else { return Ok(None) };
        text.parse()
            .map(Some)
            .map_err(|_| self.corrupt("a text column holds a value that is none of its kind"))
    }

    /// The Device of one row.
    pub(crate) fn device(&self, row: usize) -> Result<Option<[u8; 8]>, LakeError> {
        self.bytes(column::DEVICE, row)
    }

    /// What a fragment without a place is to know of one row, and the row's key. `None` for an alert: nothing that has
    /// no place of its own belongs to one.
    pub(crate) fn resolved(&self, row: usize) -> Result<Option<(TrailKey, Resolved)>, LakeError> {
        if self.small(column::SUBJECT, row)? == Some(ALERT) {
            return Ok(None);
        }
        let received = self.time(column::RECEIVED, row)?.ok_or_else(|| self.corrupt("a row has no time"))?;
        let device = self.device(row)?;
        let key = self.key(row, device)?;
        let device = device.map(DeviceId::from_bytes);
        Ok(Some((key, Resolved { subject: key.subject, received, device })))
    }

    /// The fragment of one row.
    pub(crate) fn fragment(&self, row: usize) -> Result<Fragment, LakeError> {
        let placement = self.time(column::RECEIVED, row)?.ok_or_else(|| self.corrupt("a row has no time"))?;
        let device = self.bytes(column::DEVICE, row)?;
        let key = self.key(row, device)?;
        let shape: &BinaryArray = self.column(column::HISTORY_SHAPE)?;
        let times: &BinaryArray = self.column(column::HISTORY_TIMES)?;
        let history = history_bytes::decode(shape.value(row), times.value(row), placement)
            .ok_or_else(|| self.corrupt("a status change history cannot be read"))?;
        let last = history.last().map_or(placement, |entry| entry.at);
        let lag = self.number(column::RECORDED_LAG, row)?.unwrap_or(0);
        let mut fragment = Fragment::new(key, last.plus_millis(lag));
        for entry in history {
            fragment.record(entry);
        }
        fragment.received.add(placement);
        fragment.device.add_some(device.map(DeviceId::from_bytes));
        fragment.mpxn.add_some(self.parsed(column::MPXN, row)?);
        fragment.region.add_some(self.parsed(column::REGION, row)?);
        fragment.variant.add_some(self.parsed(column::VARIANT, row)?);
        fragment.mode.add_some(self.parsed(column::MODE, row)?);
        fragment.preceding.add_some(self.parsed(column::PRECEDING, row)?);
        fragment.execution_at.add_some(self.time(column::EXECUTION_AT, row)?);
        fragment.schedule_id.add_some(self.number(column::SCHEDULE_ID, row)?.map(i64::cast_unsigned));
        self.add_counter(&mut fragment, row)?;
        self.add_responses(&mut fragment, row)?;
        if let Some(others) = self.text(column::OTHER_CLAIMS, row)? {
            self.add_others(&mut fragment, others)?;
        }
        Ok(fragment)
    }

    /// The trail key of one row.
    fn key(&self, row: usize, device: Option<[u8; 8]>) -> Result<TrailKey, LakeError> {
        let user = self.bytes(column::USER, row)?.ok_or_else(|| self.corrupt("a row has no User"))?;
        let user_side = self.bytes(column::ID_USER, row)?.unwrap_or(user);
        let target_side = self
            .bytes(column::ID_TARGET, row)?
            .or(device)
            .ok_or_else(|| self.corrupt("a row's id has no target"))?;
        let counter = self.number(column::ID_COUNTER, row)?.unwrap_or(0).cast_unsigned();
        let request_id = RequestId {
            originator: UserId::from_bytes(user_side),
            target: DeviceId::from_bytes(target_side),
            counter,
        };
        let response_id = ResponseId {
            first: DeviceId::from_bytes(target_side),
            second: DeviceId::from_bytes(user_side),
            counter,
        };
        let subject = match self.small(column::SUBJECT, row)? {
            Some(1) => {
                let number = self.small(column::COMMAND_VARIANT, row)?.and_then(|n| u8::try_from(n).ok());
                let command_variant = number
                    .and_then(CommandVariant::new)
                    .ok_or_else(|| self.corrupt("a leg has no Command Variant"))?;
                Subject::Leg(Leg { request_id, command_variant })
            }
            Some(2) => Subject::ScheduledRun(response_id),
            Some(ALERT) => Subject::Alert {
                response_id,
                code: self
                    .parsed(column::ALERT_CODE, row)?
                    .ok_or_else(|| self.corrupt("an alert has no code"))?,
                throttle_sequence: self
                    .number(column::THROTTLE_SEQUENCE, row)?
                    .map(u32::try_from)
                    .transpose()
                    .map_err(|_| self.corrupt("a throttle sequence is out of range"))?,
            },
            Some(4) => Subject::Unjoined(request_id),
            _ => return Err(self.corrupt("a row is of an unknown kind")),
        };
        Ok(TrailKey { user: UserId::from_bytes(user), subject })
    }

    fn add_counter(&self, fragment: &mut Fragment, row: usize) -> Result<(), LakeError> {
        let stored = self.number(column::GBCS_COUNTER, row)?;
        let counter =
            if self.flag(column::GBCS_IS_ID, row)? { self.number(column::ID_COUNTER, row)? } else { stored };
        fragment.originator_counter.add_some(counter.map(i64::cast_unsigned));
        Ok(())
    }

    fn add_responses(&self, fragment: &mut Fragment, row: usize) -> Result<(), LakeError> {
        if self.flag(column::RESPONSE_IS_MIRROR, row)? {
            fragment.response_ids.add(implied_response(&fragment.key));
        }
        for id in self.text(column::RESPONSE_IDS, row)?.unwrap_or_default().split_whitespace() {
            fragment.response_ids.add(id.parse().map_err(|_| self.corrupt("a ResponseID cannot be read"))?);
        }
        Ok(())
    }

    fn add_others(&self, fragment: &mut Fragment, others: &str) -> Result<(), LakeError> {
        fn add<T: Ord + FromStr>(set: &mut Claims<T>, claims: &[String]) -> Option<()> {
            for claim in claims {
                set.add(claim.parse().ok()?);
            }
            Some(())
        }
        let fields: std::collections::BTreeMap<String, Vec<String>> =
            serde_json::from_str(others).map_err(|_| self.corrupt("other claims are not JSON"))?;
        for (field, claims) in &fields {
            let added = match field.as_str() {
                "device" => add(&mut fragment.device, claims),
                "received" => add(&mut fragment.received, claims),
                "mpxn" => add(&mut fragment.mpxn, claims),
                "region" => add(&mut fragment.region, claims),
                "variant" => add(&mut fragment.variant, claims),
                "mode" => add(&mut fragment.mode, claims),
                "preceding" => add(&mut fragment.preceding, claims),
                "gbcs_counter" => add(&mut fragment.originator_counter, claims),
                "execution_at" => add(&mut fragment.execution_at, claims),
                "schedule_id" => add(&mut fragment.schedule_id, claims),
                _ => None,
            };
            added.ok_or_else(|| self.corrupt("other claims cannot be read"))?;
        }
        Ok(())
    }
}
