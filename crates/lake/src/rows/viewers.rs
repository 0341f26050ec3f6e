//! Who may see rows of a run: a filter in its footer, by which a look-up passes over what its caller may not see.
//!
//! A look-up that went by the Device alone would read the pages of every Device that has rows, whoever's they are, and the time that it
//! takes would tell of them. So a run keeps a *print* for each thing that its rows lie under and each viewer of them: the User whose rows
//! they are, and everybody, where one of them may be a meter read. Prints go into a split-block bloom filter. It lets through what is not
//! there as often for a Device of others as for one that no row names: a print says nothing of the Device without its viewer.
//!
//! A print is XXH64 over the eight bytes of what rows lie under, and then the eight of the User (seed 0), or nothing more where everybody
//! is meant (seed 1).

use crate::limits::VIEWER_BITS;
use crate::rows::decode::Stored;
use crate::rows::schema::column;
use arrow::array::{Array, AsArray, RecordBatch};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use gridtrail_model::{DeviceId, ServiceReferenceVariant, Subject, UserId};
use gridtrail_runs::{GatherNote, Note, NoteKind, RunsError};
use parquet::bloom_filter::Sbbf;
use parquet::file::metadata::{KeyValue, ParquetMetaData};
use xxhash_rust::xxh64::xxh64;

/// Bytes of a block of the filter.
const BLOCK_BYTES: usize = 32;
/// The footer's name for the filter.
const KEY: &str = "gridtrail.viewers";

/// The note in the footer of a run of fragments.
pub(crate) const NOTE: NoteKind = NoteKind {
    gather: || Box::new(Gathered::default()),
    read: |metadata| match Viewers::of(metadata) {
        Ok(viewers) => Ok(viewers.map(|viewers| {
            let size = viewers.size();
            Note::new(viewers, size)
        })),
        Err(()) => Err("the filter of its viewers cannot be read"),
    },
};

/// Somebody whom a row may be shown to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Viewer {
    /// Whoever sees the rows of this User.
    User(UserId),
    /// All Users: of meter reads.
    Everybody,
}

impl Viewer {
    /// The print of this viewer and of what rows lie under, or of a Device that they name.
    pub(crate) fn print(self, under: DeviceId) -> i64 {
        let under = under.to_bytes();
        let print = match self {
            Self::User(user) => xxh64([under, user.to_bytes()].as_flattened(), 0),
            Self::Everybody => xxh64(&under, 1),
        };
        print.cast_signed()
    }
}

/// The viewers of a run.
#[derive(Debug)]
pub(crate) struct Viewers(Sbbf);

impl Viewers {
    /// The viewers that a footer names. `Ok(None)`: none, as in runs of earlier builds. `Err`: nothing that can be read.
    fn of(metadata: &ParquetMetaData) -> Result<Option<Self>, ()> {
        let pairs = metadata.file_metadata().key_value_metadata();
        let Some(pair) = pairs.and_then(|pairs| pairs.iter().find(|pair| pair.key == KEY)) else {
            return Ok(None);
        };
        let bytes = pair.value.as_deref().and_then(|text| STANDARD_NO_PAD.decode(text).ok()).ok_or(())?;
        let filter = Sbbf::from_bytes(&bytes).map_err(drop)?;
        // The library would panic at the first question to a filter without a block.
        if filter.num_blocks() == 0 { Err(()) } else { Ok(Some(Self(filter))) }
    }

    /// Whether the run may have what one of these prints stands for.
    pub(crate) fn include(&self, prints: &[i64]) -> bool {
        prints.iter().any(|print| self.0.check(print))
    }

    /// Whether it lets through all rows of a batch of its run.
    pub(crate) fn let_through(&self, batch: &RecordBatch) -> Result<bool, RunsError> {
        let mut gathered = Gathered::default();
        gathered.add(batch)?;
        Ok(gathered.prints.iter().all(|print| self.0.check(print)))
    }

    /// Bytes that it takes in memory, with the text that it was read from.
    fn size(&self) -> usize {
        self.0.num_blocks() * BLOCK_BYTES * 7 / 3
    }
}

/// Gathers the viewers of a run while it is written.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    prints: Vec<i64>,
    /// What the last row lies under, and who of its viewers is known.
    under: Option<DeviceId>,
    users: Vec<UserId>,
    is_open: bool,
}

impl GatherNote for Gathered {
    fn add(&mut self, batch: &RecordBatch) -> Result<(), RunsError> {
        let wrong = || RunsError::Internal("a batch of fragments lacks its key columns");
        let binary = |number: usize| {
            let column = batch.columns().get(number).and_then(|column| column.as_binary_opt::<i32>());
            column.ok_or_else(wrong)
        };
        let (devices, users) = (binary(column::DEVICE)?, binary(column::USER)?);
        let variants = batch.columns().get(column::VARIANT).and_then(|column| column.as_string_opt::<i32>());
        let variants = variants.ok_or_else(wrong)?;
        for row in (0..batch.num_rows()).filter(|row| devices.is_valid(*row)) {
            let device = devices.value(row).try_into().map_err(|_| wrong())?;
            let user = users.value(row).try_into().map_err(|_| wrong())?;
            self.see(DeviceId::from_bytes(device), UserId::from_bytes(user));
            if !self.is_open && variants.is_valid(row) && may_be_open(batch, row, variants.value(row))? {
                self.is_open = true;
                self.prints.push(Viewer::Everybody.print(DeviceId::from_bytes(device)));
            }
        }
        Ok(())
    }

    fn end(&self) -> Result<KeyValue, RunsError> {
        self.filter()
    }
}

impl Gathered {
    fn see(&mut self, under: DeviceId, user: UserId) {
        if self.under != Some(under) {
            self.under = Some(under);
            self.users.clear();
            self.is_open = false;
        }
        if !self.users.contains(&user) {
            self.users.push(user);
            self.prints.push(Viewer::User(user).print(under));
        }
    }

    /// The filter, as a footer has it.
    fn filter(&self) -> Result<KeyValue, RunsError> {
        let failed = |_| RunsError::Internal("the filter of a run's viewers could not be made");
        // The library's own sizes are powers of two, of which half is mostly not needed.
        let blocks = (self.prints.len() * VIEWER_BITS).div_ceil(BLOCK_BYTES * 8).max(1);
        let mut filter = Sbbf::new(&vec![0; blocks * BLOCK_BYTES]);
        self.prints.iter().for_each(|print| filter.insert(print));
        let mut bytes = Vec::new();
        filter.write(&mut bytes).map_err(failed)?;
        Ok(KeyValue::new(KEY.to_owned(), STANDARD_NO_PAD.encode(bytes)))
    }
}

/// Whether a row may be one that everybody may see, by what is known of this fragment of it.
///
/// Of a row that is shown at least one fragment says so. That others dispute it is found when the row is read.
fn may_be_open(batch: &RecordBatch, row: usize, variant: &str) -> Result<bool, RunsError> {
    if !variant.parse::<ServiceReferenceVariant>().is_ok_and(ServiceReferenceVariant::is_meter_read) {
        return Ok(false);
    }
    let key = Stored::of(batch, row, "a run that is written")?.key()?;
    // What waits may be joined to its request, and be open then.
    Ok(!matches!(key.subject, Subject::Alert { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::encode;
    use crate::rows::run::SortedFragments;
    use gridtrail_model::{
        CommandVariant, Fragment, HistoryEntry, Leg, RequestId, ResponseId, State, Timestamp, TrailKey,
    };
    use proptest::prelude::*;

    fn device(n: u64) -> DeviceId {
        DeviceId::from_bytes((0x00DB_0000_0000_0000 + n).to_be_bytes())
    }

    fn user(n: u64) -> UserId {
        UserId::from_bytes((0x90B3_0000_0000_0000 + n).to_be_bytes())
    }

    fn row(d: u64, u: u64, counter: u64, variant: &str) -> Fragment {
        let request_id = RequestId { originator: user(u), target: device(d), counter };
        let response_id = ResponseId::mirror_of(&request_id);
        let subject = match variant {
            // An alert that claims what opens a request.
            "alert" => Subject::Alert { response_id, code: "8F36".parse().unwrap(), throttle_sequence: None },
            _ => Subject::Leg(Leg { request_id, command_variant: CommandVariant::new(1).unwrap() }),
        };
        let at = Timestamp::from_millis(1_770_000_000_000).unwrap();
        let mut row = Fragment::new(TrailKey { user: user(u), subject }, at);
        row.received.add(at);
        row.device.add(device(d));
        row.variant.add_some(if variant == "alert" { "4.8.1".parse().ok() } else { variant.parse().ok() });
        row.record(HistoryEntry::new(State::SentToDevice, at));
        row
    }

    fn viewers_of(rows: &[Fragment]) -> Viewers {
        let sorted = SortedFragments::sort(rows).unwrap();
        let mut gathered = Gathered::default();
        for part in sorted.as_slice().chunks(3) {
            gathered.add(&encode::batch(part).unwrap()).unwrap();
        }
        let bytes = STANDARD_NO_PAD.decode(gathered.end().unwrap().value.unwrap()).unwrap();
        Viewers(Sbbf::from_bytes(&bytes).unwrap())
    }

    proptest! {
        #[test]
        fn every_row_is_let_through(
            rows in prop::collection::vec((0..9u64, 0..4u64, 0..9u64, "4\\.8\\.1|6\\.15\\.1|alert|"), 1..40),
        ) {
            let rows: Vec<Fragment> = rows.iter().map(|(d, u, n, variant)| row(*d, *u, *n, variant)).collect();
            let viewers = viewers_of(&rows);
            for row in &rows {
                let under = *row.device.value().unwrap();
                prop_assert!(viewers.include(&[1, Viewer::User(row.key.user).print(under), 2]));
                prop_assert!(!row.is_meter_read() || viewers.include(&[Viewer::Everybody.print(under)]));
            }
        }
    }

    /// What is not there is let through as rarely under a Device of others as under one that no row names.
    #[test]
    fn a_filter_says_as_little_of_a_hidden_device_as_of_an_absent_one() {
        const DEVICES: u64 = 20_000;
        let rows: Vec<Fragment> = (0..DEVICES).map(|d| row(2 * d, 1, d, "6.15.1")).collect();
        let viewers = viewers_of(&rows);
        for viewer in [Viewer::User(user(0)), Viewer::Everybody] {
            let let_through = |first| {
                let devices = (0..DEVICES).map(|d| device(2 * d + first));
                devices.filter(|device| viewers.include(&[viewer.print(*device)])).count()
            };
            let (hidden, absent) = (let_through(0), let_through(1));
            assert!(hidden < 60 && absent < 60, "{hidden} and {absent} of {DEVICES}");
        }
    }

    /// Alerts are nobody's but their User's, whatever they claim; and what says no variant opens nothing by itself.
    #[test]
    fn only_what_may_be_a_meter_read_is_for_everybody() {
        let rows = [row(1, 1, 1, "4.8.1"), row(2, 1, 1, "alert"), row(3, 1, 1, ""), row(4, 1, 1, "6.15.1")];
        let viewers = viewers_of(&rows);
        let open: Vec<u64> =
            (1..5).filter(|d| viewers.include(&[Viewer::Everybody.print(device(*d))])).collect();
        assert_eq!(open, [1]);
    }

    /// The numbers are part of the format: other ones would hide rows.
    #[test]
    fn prints_are_what_they_have_always_been() {
        let prints = [Viewer::User(user(1)), Viewer::Everybody].map(|viewer| viewer.print(device(7)));
        assert_eq!(prints, [-1_609_512_180_761_062_967, 4_446_815_925_335_966_229]);
    }
}
