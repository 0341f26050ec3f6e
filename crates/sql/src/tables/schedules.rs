//! `schedules`: the DSP schedules of the session's User IDs, own and granted, a row each: those that are at their end among them, for as long as
//! they are kept. They are asked of by those who may ask of audit trails, for they say what requests of those asked for.

use crate::error::ScanError;
use crate::limits::BATCH_ROWS;
use crate::listed::{
    ColumnOf, Columns, OpenHolding, count, counts, day, days, number, numbers, text, texts, time, times,
    words, words_of,
};
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryReservation;
use futures::stream::{self, StreamExt as _};
use gridtrail_access::Access;
use gridtrail_lake::{SCHEDULE_ROWS_READ, Snapshot};
use gridtrail_model::{Timestamp, UserId};
use gridtrail_schedules::{ReadWindow, Schedule, SchedulePart};
use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::Arc;

/// What is known of schedules takes so much for each row that tells of one, at most.
const ROW_BYTES: usize = 640;
/// What is known of the schedules that are held at the same time, at most: each part of a User's takes two readings of all its rows.
const PART_BYTES_MAX: usize = 256 << 20;
/// Into how many parts a User's schedules fall, at most.
const PARTS_MAX: u32 = 256;

pub(crate) const COMMENT: &str =
    "DSP schedules of the caller's User IDs (5.1, 5.2, 5.3): a row each, removed ones among them";

/// A schedule, whose it is, and when it is due next.
pub(crate) struct Listed {
    user: UserId,
    schedule: Schedule,
    next_due: Option<Timestamp>,
}

impl Listed {
    const fn window(&self) -> Option<ReadWindow> {
        self.schedule.details.window
    }
}

pub(crate) static COLUMNS: Columns<Listed> = &[
    ColumnOf {
        name: "user_id",
        comment: "The User ID whose schedule it is",
        kind: words,
        fill: |rows| words_of(rows, |row| Some(row.user)),
    },
    ColumnOf {
        name: "dsp_schedule_id",
        comment: "`DSPScheduleID`",
        kind: count,
        fill: |rows| counts(rows, |row| Some(row.schedule.id.number())),
    },
    ColumnOf {
        name: "device_id",
        comment: "\"Device ID\" of what it reads",
        kind: text,
        fill: |rows| texts(rows, |row| row.schedule.details.device),
    },
    ColumnOf {
        name: "service_reference_variant",
        comment: "\"Service Reference Variant\" of its runs",
        kind: words,
        fill: |rows| words_of(rows, |row| row.schedule.details.variant),
    },
    ColumnOf {
        name: "frequency",
        comment: "`ScheduleFrequency`: Daily, Weekly, Monthly, Quarterly, Half-Yearly or Yearly",
        kind: words,
        fill: |rows| words_of(rows, |row| row.schedule.details.frequency),
    },
    ColumnOf {
        name: "start_date",
        comment: "`ScheduleStartDate`: its first day",
        kind: day,
        fill: |rows| days(rows, |row| row.schedule.details.start.map(|day| day.since_epoch())),
    },
    ColumnOf {
        name: "end_date",
        comment: "`ScheduleEndDate`: its last day, where it has one",
        kind: day,
        fill: |rows| days(rows, |row| row.schedule.details.end.map(|day| day.since_epoch())),
    },
    ColumnOf {
        name: "execution_start_time",
        comment: "`ScheduleExecutionStartTime`: in UTC where it ends with Z, otherwise by UK time; none where the DCC places the run in its day",
        kind: words,
        fill: |rows| words_of(rows, |row| row.schedule.details.execution_start),
    },
    ColumnOf {
        name: "start_date_offset",
        comment: "`StartDateOffset`: the first readings are of so many days before the run, as a number below zero",
        kind: number,
        fill: |rows| numbers(rows, |row| row.window().map(|window| window.start_offset.offset())),
    },
    ColumnOf {
        name: "start_time",
        comment: "`StartTime` on that day",
        kind: words,
        fill: |rows| words_of(rows, |row| row.window().map(|window| window.start_time)),
    },
    ColumnOf {
        name: "end_date_offset",
        comment: "`EndDateOffset`: the last readings are of so many days before the run",
        kind: number,
        fill: |rows| numbers(rows, |row| row.window().map(|window| window.end_offset.offset())),
    },
    ColumnOf {
        name: "end_time",
        comment: "`EndTime` on that day",
        kind: words,
        fill: |rows| words_of(rows, |row| row.window().map(|window| window.end_time)),
    },
    ColumnOf {
        name: "created_request_id",
        comment: "The Create Schedule (5.1) that it came of; none where it was created before what is on record",
        kind: text,
        fill: |rows| texts(rows, |row| row.schedule.created.map(|created| created.request_id)),
    },
    ColumnOf {
        name: "created_at",
        comment: "When that was answered",
        kind: time,
        fill: |rows| times(rows, |row| row.schedule.created.map(|created| created.at)),
    },
    ColumnOf {
        name: "removed_at",
        comment: "When it was removed",
        kind: time,
        fill: |rows| times(rows, |row| row.schedule.removed.map(|removed| removed.at)),
    },
    ColumnOf {
        name: "removal_reason",
        comment: "Why: `Delete Schedule (5.3)`, or `DSPScheduleRemoval` with the code of the DCC Alert",
        kind: words,
        fill: |rows| words_of(rows, |row| row.schedule.removed.map(|removed| removed.reason)),
    },
    ColumnOf {
        name: "next_due_at",
        comment: "When it is due first after now; none once it is removed or over, or where its frequency is not known",
        kind: time,
        fill: |rows| times(rows, |row| row.next_due),
    },
    ColumnOf {
        name: "last_recorded_at",
        comment: "When the DCC had the last message that tells of it",
        kind: time,
        fill: |rows| times(rows, |row| Some(row.schedule.recorded_at)),
    },
];

/// All schedules of the caller's User IDs, User by User, as many at a time as there is memory for; each is due first after a time.
pub(crate) fn open((snapshot, who): (Arc<Snapshot>, Access), after: Timestamp) -> OpenHolding<Listed> {
    Arc::new(move |held| {
        let users = who.user_ids().to_set().into_iter().collect();
        let (snapshot, who) = (Arc::clone(&snapshot), who.clone());
        let reading = Reading { snapshot, who, after, held, users, parts: VecDeque::new(), ready: None };
        let rows = stream::try_unfold(reading, |mut reading| async move {
            Ok(reading.next().await?.map(|rows| (rows, reading)))
        });
        rows.boxed()
    })
}

/// Schedules of a User, being given.
type Ready = Box<dyn Iterator<Item = Listed> + Send>;

struct Reading {
    snapshot: Arc<Snapshot>,
    who: Access,
    after: Timestamp,
    held: MemoryReservation,
    users: VecDeque<UserId>,
    /// Parts of a User that are still to be read.
    parts: VecDeque<(UserId, SchedulePart)>,
    ready: Option<Ready>,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Vec<Listed>>> {
        loop {
            if let Some(ready) = &mut self.ready {
                let rows: Vec<Listed> = ready.take(BATCH_ROWS).collect();
                if !rows.is_empty() {
                    return Ok(Some(rows));
                }
                self.ready = None;
                self.held.free();
            }
            if let Some((user, part)) = self.parts.pop_front() {
                self.read(user, part).await?;
            } else if let Some(user) = self.users.pop_front() {
                let rows = self.snapshot.schedule_rows(&self.who, user).await.map_err(ScanError::from)?;
                let of = self.parts_of(rows)?;
                self.parts = SchedulePart::all(of).map(|part| (user, part)).collect();
            } else {
                return Ok(None);
            }
        }
    }

    /// Into how many parts so many rows fall, of each of which there is memory for twice as much: who works on what is read holds it, too.
    fn parts_of(&self, rows: usize) -> Result<NonZeroU32> {
        let (whole, (rows_read, row_bytes)) = (rows.saturating_mul(ROW_BYTES), SCHEDULE_ROWS_READ);
        let reading = rows.min(rows_read) * row_bytes;
        let mut of = NonZeroU32::MIN;
        loop {
            let part = whole / usize::try_from(of.get()).unwrap_or(usize::MAX);
            if part <= PART_BYTES_MAX {
                match self.held.try_resize(2 * part + reading) {
                    Ok(()) => return Ok(of),
                    Err(error) if of.get() >= PARTS_MAX => return Err(error),
                    Err(_) => {}
                }
            }
            of = of.saturating_mul(NonZeroU32::MIN.saturating_add(1));
        }
    }

    async fn read(&mut self, user: UserId, part: SchedulePart) -> Result<()> {
        let (snapshot, who, after) = (&self.snapshot, &self.who, self.after);
        let known = if part.is_whole() {
            snapshot.schedules(who, user).await.map(|(known, _)| known)
        } else {
            snapshot.schedules_of_part(who, user, part).await
        };
        let known = known.map_err(ScanError::from)?;
        self.held.try_resize(known.bytes())?;
        let listed = move |schedule: Schedule| Listed { user, next_due: schedule.next_due(after), schedule };
        self.ready = Some(Box::new(known.into_all().map(listed)));
        Ok(())
    }
}
