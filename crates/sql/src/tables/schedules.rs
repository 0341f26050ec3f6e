//! `schedules`: the DSP schedules of the session's User IDs, own and granted, a row each: those that are at their end among them, for as long as
//! they are kept. They are asked of by those who may ask of audit trails, for they say what requests of those asked for.

use crate::error::ScanError;
use crate::limits::BATCH_ROWS;
use crate::listed::{
    ColumnOf, Columns, Open, count, counts, day, days, number, numbers, text, texts, time, times, words,
    words_of,
};
use datafusion::error::DataFusionError;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use gridtrail_access::Access;
use gridtrail_lake::Snapshot;
use gridtrail_model::{Timestamp, UserId};
use gridtrail_schedules::{ReadWindow, Schedule};
use std::sync::Arc;

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

/// All schedules of the caller's User IDs, User by User; each is due first after a time.
pub(crate) fn open((snapshot, who): (Arc<Snapshot>, Access), after: Timestamp) -> Open<Listed> {
    Arc::new(move || {
        let (snapshot, who) = (Arc::clone(&snapshot), who.clone());
        let users: Vec<UserId> = who.user_ids().to_set().into_iter().collect();
        let of_user = move |user| {
            let (snapshot, who) = (Arc::clone(&snapshot), who.clone());
            async move {
                let (known, _) = snapshot.schedules(&who, user).await.map_err(ScanError::from)?;
                let listed =
                    move |schedule: Schedule| Listed { user, next_due: schedule.next_due(after), schedule };
                let all = known.into_all().map(listed);
                Ok::<_, DataFusionError>(stream::iter(all).chunks(BATCH_ROWS).map(Ok))
            }
        };
        stream::iter(users).then(of_user).try_flatten().boxed()
    })
}
