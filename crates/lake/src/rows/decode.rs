//! Columns back to fragments.
//!
//! A run is read as if it could be damaged: a value that no writer of ours writes is an error that names the run,
//! never a panic and never a guess.

use crate::rows::anchor;
use crate::rows::packed::{Print, StandsFor, Unpacked};
use crate::rows::schema::column;
use arrow::array::{Array, AsArray, BinaryArray, RecordBatch, StringArray};
use arrow::datatypes::TimestampMillisecondType;
use gridtrail_model::{Anchor, DeviceId, Fragment, Resolved, Subject, Timestamp, TrailKey};
use gridtrail_runs::{RunsError, Sheet};
use std::ops::Range;
use std::str::FromStr;

/// When the youngest event of each row of a batch that has all columns was recorded, milliseconds since the epoch.
pub(crate) fn recorded_ms(batch: &RecordBatch, path: &str) -> Result<Vec<i64>, RunsError> {
    let recorded = |row| {
        let row = Stored::of(batch, row, path)?;
        let placement = row.placement()?;
        let recorded = row.unpacked(placement, row.device_bytes()?)?.recorded_at_max(placement);
        recorded.map(Timestamp::millis).ok_or_else(|| row.corrupt("a row cannot be read"))
    };
    (0..batch.num_rows()).map(recorded).collect()
}

/// The columns that a row is read from.
pub(crate) const ROW_COLUMNS: &[usize] = &[
    column::DEVICE,
    column::RECEIVED,
    column::USER,
    column::VARIANT,
    column::MPXN,
    column::REGION,
    column::SHAPE,
    column::TAIL,
];

/// The columns that tell a row's key, place and Device, in the order of [`ROW_COLUMNS`].
pub(crate) const KEY_COLUMNS: &[usize] =
    &[column::DEVICE, column::RECEIVED, column::USER, column::SHAPE, column::TAIL];

/// One row, out of its pages.
#[derive(Debug, Default)]
pub(crate) struct Row<'a> {
    received_ms: i64,
    texts: [Option<&'a [u8]>; column::COUNT],
}

/// Some rows of a sheet of a run of fragments, with all columns of the sheet.
pub(crate) fn rows_of<'a>(sheet: &'a Sheet, rows: &Range<usize>) -> Result<Vec<Row<'a>>, RunsError> {
    let mut all: Vec<Row<'_>> = Vec::new();
    all.resize_with(rows.len(), Row::default);
    for number in sheet.columns() {
        if number == column::RECEIVED {
            for (row, time) in all.iter_mut().zip(sheet.numbers(number, rows)?) {
                row.received_ms = time.ok_or_else(|| corrupt(sheet.path(), "a row has no time"))?;
            }
            continue;
        }
        for (row, text) in all.iter_mut().zip(sheet.texts(number, rows)?) {
            if let Some(place) = row.texts.get_mut(number) {
                *place = text;
            }
        }
    }
    Ok(all)
}

fn corrupt(path: &str, why: &str) -> RunsError {
    RunsError::Corrupt { path: path.to_owned(), why: why.to_owned() }
}

impl<'a> Row<'a> {
    /// The row as it is stored; `path` names its run in errors.
    pub(crate) fn stored(&self, path: &'a str) -> Result<Stored<'a>, RunsError> {
        let text = |number: usize| self.texts.get(number).copied().flatten();
        Ok(Stored {
            device: text(column::DEVICE),
            received_ms: self.received_ms,
            user: text(column::USER).ok_or_else(|| corrupt(path, "a row has no User"))?,
            variant: text(column::VARIANT),
            mpxn: text(column::MPXN),
            region: text(column::REGION),
            shape: text(column::SHAPE).ok_or_else(|| corrupt(path, "a row has no shape"))?,
            tail: text(column::TAIL).ok_or_else(|| corrupt(path, "a row has no tail"))?,
            path,
        })
    }
}

/// One row of a run, as it is stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stored<'a> {
    pub(crate) device: Option<&'a [u8]>,
    pub(crate) received_ms: i64,
    pub(crate) user: &'a [u8],
    pub(crate) variant: Option<&'a [u8]>,
    pub(crate) mpxn: Option<&'a [u8]>,
    pub(crate) region: Option<&'a [u8]>,
    pub(crate) shape: &'a [u8],
    pub(crate) tail: &'a [u8],
    /// Names the run in errors.
    pub(crate) path: &'a str,
}

impl<'a> Stored<'a> {
    /// A row of a batch that has all columns.
    pub(crate) fn of(batch: &'a RecordBatch, row: usize, path: &'a str) -> Result<Self, RunsError> {
        let corrupt = || RunsError::Corrupt {
            path: path.to_owned(),
            why: "a column is missing or of another type".to_owned(),
        };
        let column = |at: usize| batch.columns().get(at).ok_or_else(corrupt);
        let binary = |at: usize| -> Result<&'a BinaryArray, RunsError> {
            column(at)?.as_binary_opt().ok_or_else(corrupt)
        };
        let text = |at: usize| -> Result<Option<&'a [u8]>, RunsError> {
            let texts: &StringArray = column(at)?.as_string_opt().ok_or_else(corrupt)?;
            Ok(texts.is_valid(row).then(|| texts.value(row).as_bytes()))
        };
        let devices = binary(column::DEVICE)?;
        let received = column(column::RECEIVED)?.as_primitive_opt::<TimestampMillisecondType>();
        Ok(Self {
            device: devices.is_valid(row).then(|| devices.value(row)),
            received_ms: received.ok_or_else(corrupt)?.value(row),
            user: binary(column::USER)?.value(row),
            variant: text(column::VARIANT)?,
            mpxn: text(column::MPXN)?,
            region: text(column::REGION)?,
            shape: binary(column::SHAPE)?.value(row),
            tail: binary(column::TAIL)?.value(row),
            path,
        })
    }

    fn corrupt(&self, why: &str) -> RunsError {
        RunsError::Corrupt { path: self.path.to_owned(), why: why.to_owned() }
    }

    pub(crate) fn placement(&self) -> Result<Timestamp, RunsError> {
        Timestamp::from_millis(self.received_ms).ok_or_else(|| self.corrupt("a time is out of range"))
    }

    pub(crate) fn device_bytes(&self) -> Result<Option<[u8; 8]>, RunsError> {
        let bytes = self.device.map(<[u8; 8]>::try_from).transpose();
        bytes.map_err(|_| self.corrupt("a Device is not 8 bytes long"))
    }

    fn unpacked(&self, placement: Timestamp, device: Option<[u8; 8]>) -> Result<Unpacked<'a>, RunsError> {
        let user = self.user.try_into().map_err(|_| self.corrupt("a User is not 8 bytes long"))?;
        Unpacked::read((self.shape, self.tail), user, device, placement)
            .ok_or_else(|| self.corrupt("a row's key cannot be read"))
    }

    fn parsed<T: FromStr>(&self, text: Option<&[u8]>) -> Result<Option<T>, RunsError> {
        let parse = |text: &[u8]| std::str::from_utf8(text).ok()?.parse().ok();
        text.map(|text| {
            parse(text).ok_or_else(|| self.corrupt("a text column holds a value that is none of its kind"))
        })
        .transpose()
    }

    /// What tells the row from nearly all of other keys: cheaper to read than its key.
    pub(crate) fn print(&self) -> Result<Print, RunsError> {
        let user = self.user.try_into().map_err(|_| self.corrupt("a User is not 8 bytes long"))?;
        Print::read((self.shape, self.tail), user, self.placement()?)
            .ok_or_else(|| self.corrupt("a row's key cannot be read"))
    }

    /// The row's key.
    pub(crate) fn key(&self) -> Result<TrailKey, RunsError> {
        Ok(self.unpacked(self.placement()?, self.device_bytes()?)?.key)
    }

    /// What a fragment without a place is to know of the row, and the row's key. `None` for an alert: nothing that has
    /// no place of its own belongs to one.
    pub(crate) fn resolved(&self) -> Result<Option<(TrailKey, Resolved)>, RunsError> {
        let (received, device) = (self.placement()?, self.device_bytes()?);
        let unpacked = self.unpacked(received, device)?;
        let key = unpacked.key;
        if let Subject::Alert { .. } = key.subject {
            return Ok(None);
        }
        let anchor = self.anchor(&unpacked, device)?;
        Ok(Some((key, Resolved { subject: key.subject, received, anchor })))
    }

    /// What the row lies under.
    fn anchor(&self, row: &Unpacked<'_>, device: Option<[u8; 8]>) -> Result<Anchor, RunsError> {
        let Some(key) = device.map(DeviceId::from_bytes) else { return Ok(Anchor::Nothing) };
        match row.stands_for() {
            StandsFor::Device => Ok(Anchor::Device(key)),
            StandsFor::User => Ok(Anchor::User(row.key.user)),
            StandsFor::Mpxn => {
                let mpxn = anchor::mpxn_of(key);
                mpxn.map(Anchor::Mpxn).ok_or_else(|| self.corrupt("a row lies under no meter point"))
            }
        }
    }

    /// The row's fragment.
    pub(crate) fn fragment(&self) -> Result<Fragment, RunsError> {
        let (placement, device) = (self.placement()?, self.device_bytes()?);
        let unpacked = self.unpacked(placement, device)?;
        let anchor = self.anchor(&unpacked, device)?;
        let mut fragment =
            unpacked.fragment(placement).ok_or_else(|| self.corrupt("a row cannot be read"))?;
        fragment.device.add_some(anchor.device());
        fragment.variant.add_some(self.parsed(self.variant)?);
        fragment.mpxn.add_some(self.parsed(self.mpxn)?);
        fragment.region.add_some(self.parsed(self.region)?);
        fragment.lie_under(anchor);
        Ok(fragment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{encode, packed};
    use gridtrail_model::{CommandVariant, HistoryEntry, Leg, RequestId, ResponseId, State, UserId};
    use proptest::prelude::*;

    fn row((kind, leg): (u8, u8), user: u64, sides: [u64; 2], counter: u64, at: i64) -> Fragment {
        let [target, under] = sides.map(|number| DeviceId::from_bytes(number.to_be_bytes()));
        let user = UserId::from_bytes(user.to_be_bytes());
        let request_id = RequestId { originator: user, target, counter };
        let response_id = ResponseId::mirror_of(&request_id);
        let subject = match kind {
            0 => Subject::Leg(Leg { request_id, command_variant: CommandVariant::new(leg).unwrap() }),
            1 => Subject::ScheduledRun(response_id),
            2 => Subject::Alert {
                response_id,
                code: "N13".parse().unwrap(),
                throttle_sequence: Some(leg.into()),
            },
            _ => Subject::Unjoined(request_id),
        };
        let at = Timestamp::from_millis(at).unwrap();
        let mut row = Fragment::new(TrailKey { user, subject }, at);
        row.received.add(at);
        row.device.add(under);
        row.record(HistoryEntry::new(State::SentToDevice, at));
        row
    }

    /// They share a ResponseID, and a scan would look each up as if it were a fragment of the others.
    #[test]
    fn alerts_of_a_throttled_sequence_have_prints_of_their_own() {
        let print = |sequence| {
            let row = row((2, sequence), 1, [1, 2], 0, 1_700_000_000_000);
            packed::key_print_of(packed::print_of(&row.key), &row.key)
        };
        let prints: std::collections::BTreeSet<u64> = (0..200).map(print).collect();
        assert_eq!(prints.len(), 200);
    }

    proptest! {
        /// Rows whose keys are looked for by their prints would not be found by others.
        #[test]
        fn a_print_says_of_a_row_what_its_key_does(
            kind in (0..4u8, 1..9u8),
            (user, sides) in (any::<u64>(), [1..3u64, 1..3u64]),
            counter: u64,
            at in 1_700_000_000_000i64..1_900_000_000_000,
        ) {
            let row = row(kind, user, sides, counter, at);
            let batch = encode::batch(&[&row]).unwrap();
            let stored = Stored::of(&batch, 0, "a run").unwrap();
            let (print, key) = (stored.print().unwrap(), stored.key().unwrap());
            prop_assert_eq!(key, row.key);
            prop_assert_eq!(print.key, packed::key_print_of(packed::print_of(&key), &key));
            let (target, counter) = packed::searched_by(&key);
            prop_assert_eq!((print.is_own, print.counter), (row.device.value() == Some(&target), counter));
        }
    }
}
