//! One row group of a run, read straight: which of its rows count, and the columns that are wanted of those.
//!
//! 1. Users first: rows of others are passed over before any other column is decoded, and a group whose dictionary of Users has none of the
//!    caller's is left at once.
//! 2. Then what conditions are about, by dictionaries; a group whose dictionary has nothing that may count is left.
//! 3. Then all else, of pages only that have a row which counts.

use crate::read::columns::readings::{Readings, is_reported};
use crate::read::condition::{Condition, Is};
use crate::read::fields::TrailField;
use crate::rows::schema::column;
use crate::rows::shape::Under;
use gridtrail_access::UserIds;
use gridtrail_model::{RequestId, ServiceReferenceVariant, UserId, cancels_request};
use gridtrail_runs::lookup::page_rows;
use gridtrail_runs::{Chunk, Coded, NO_VALUE, OpenRun, RunCache, RunsError, Texts, is_among};
use std::collections::BTreeSet;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

/// What is read of every group.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) fields: Arc<[TrailField]>,
    /// Whose rows count.
    pub(crate) users: UserIds,
    pub(crate) conditions: Vec<Condition>,
    /// Receipt times, in milliseconds.
    pub(crate) within: (Option<i64>, Option<i64>),
}

/// The rows of a row group that count, with what was read of them.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) run: Arc<OpenRun>,
    pub(crate) number: usize,
    /// Those that count, ascending.
    pub(crate) rows: Vec<u32>,
    pub(crate) user: Coded,
    pub(crate) variant: Coded,
    pub(crate) mpxn: Coded,
    pub(crate) region: Coded,
    shape: Coded,
    /// The number of each shape of the dictionary, or [`NO_VALUE`].
    shapes: Vec<u32>,
    pub(crate) keys: Vec<u64>,
    pub(crate) received: Vec<i64>,
    pub(crate) tail: Option<Texts>,
    /// How each row that counts is read, where fields need it.
    pub(crate) readings: Vec<u32>,
    /// The columns that were read.
    read: Vec<usize>,
}

impl Asked {
    fn has(&self, is: impl Fn(TrailField) -> bool) -> bool {
        self.fields.iter().any(|field| is(*field))
    }

    /// Whether rows of a User may count.
    fn counts(&self, user: &[u8]) -> bool {
        let Ok(user) = user.try_into().map(UserId::from_bytes) else { return false };
        let mut of_users = self.conditions.iter().filter(|condition| condition.field == TrailField::UserId);
        self.users.contains(&user) && of_users.all(|condition| condition.admits(Some(&user.to_string())))
    }

    /// The rows of a group that may be those of requests which are asked for. `None`: any.
    fn ranges_of(&self, run: &OpenRun, group: usize) -> Option<Vec<Range<usize>>> {
        self.conditions.iter().find_map(|condition| match (condition.field, &condition.is) {
            (TrailField::RequestId, Is::OneOf(texts)) => rows_of_requests(run, group, texts),
            _ => None,
        })
    }

    /// Whether fields need the shape of each row.
    fn needs_shapes(&self) -> bool {
        use TrailField as F;
        self.needs_tails()
            || self.has(|field| {
                Condition::is_of_shape(field)
                    || matches!(
                        field,
                        F::ServiceReference
                            | F::Variant
                            | F::VariantName
                            | F::CommandVariant
                            | F::AnomalyDetectionFlag
                            | F::AwaitingRequest
                            | F::ConcernedDevices
                            | F::ConcernedMpxns
                            | F::Disputes
                    )
            })
    }

    /// Whether fields need how a row is read: its states depend on its variant in some.
    fn needs_readings(&self) -> bool {
        use TrailField as F;
        self.has(|field| {
            Condition::is_of_shape(field)
                || matches!(
                    field,
                    F::SentAt | F::History | F::CommandVariant | F::AnomalyDetectionFlag | F::AwaitingRequest
                )
        })
    }

    fn needs_tails(&self) -> bool {
        use TrailField as F;
        self.has(|field| {
            matches!(
                field,
                F::GbcsTransactionSequenceNumber
                    | F::SentAt
                    | F::RequestId
                    | F::ResponseId
                    | F::PrecedingRequestId
                    | F::History
                    | F::ScheduleId
                    | F::ExecutionAt
                    | F::LastRecordedAt
            )
        })
    }

    fn needs_variants(&self) -> bool {
        use TrailField as F;
        self.has(|field| matches!(field, F::ServiceReference | F::Variant | F::VariantName))
    }

    fn column_of(field: TrailField) -> Option<usize> {
        use TrailField as F;
        match field {
            F::ServiceReference | F::Variant | F::VariantName => Some(column::VARIANT),
            F::CspRegion | F::CspRegionRaw => Some(column::REGION),
            F::Mpxn => Some(column::MPXN),
            field if Condition::is_of_shape(field) => Some(column::SHAPE),
            _ => None,
        }
    }
}

/// What a run's column says where its text is what a field shows, or what that is made of.
pub(crate) fn word_of_column(field: TrailField, text: &[u8]) -> Option<String> {
    use TrailField as F;
    fn read<T: FromStr>(text: &[u8]) -> Option<T> {
        std::str::from_utf8(text).ok()?.parse().ok()
    }
    let variant = || read::<ServiceReferenceVariant>(text);
    match field {
        F::ServiceReference => variant().map(|variant| variant.service_reference().to_string()),
        F::Variant => variant().map(|variant| variant.to_string()),
        F::VariantName => variant().and_then(|variant| variant.entry()).map(|entry| entry.name.to_owned()),
        F::CspRegion => read::<gridtrail_model::CspRegion>(text).map(|region| region.to_ssi().to_string()),
        F::CspRegionRaw => read::<gridtrail_model::CspRegion>(text).map(|region| region.to_string()),
        F::Mpxn => read::<gridtrail_model::Mpxn>(text).map(|mpxn| mpxn.to_string()),
        F::UserId => Some(UserId::from_bytes(text.try_into().ok()?).to_string()),
        _ => None,
    }
}

/// The rows of a group in which a request of one of these ids may be: `None` where that cannot be told.
fn rows_of_requests(run: &OpenRun, group: usize, texts: &BTreeSet<String>) -> Option<Vec<Range<usize>>> {
    let ids = texts.iter().filter_map(|text| text.parse::<RequestId>().ok());
    let mut ranges = Vec::new();
    for id in ids {
        // Under the Device that the id names, or under another.
        let counter = id.counter.cast_signed();
        if run.bloom(column::FOREIGN_COUNTER, group).is_none_or(|bloom| bloom.check(&counter)) {
            return None;
        }
        let target = id.target.to_bytes();
        if run.bloom(column::DEVICE, group).is_none_or(|bloom| bloom.check(target.as_slice())) {
            ranges.extend(page_rows(run, group, &target));
        }
    }
    Some(ranges)
}

impl Group {
    /// Reads a group. `skips`: what rows lie under that are not wanted. `None`: no row of it counts.
    pub(crate) async fn read(
        (cache, run, number): (&RunCache, &Arc<OpenRun>, usize),
        asked: &Asked,
        (skips, has): (&BTreeSet<u64>, Option<&(dyn Fn(u64) -> bool + Sync)>),
        readings: &mut Readings,
    ) -> Result<Option<Self>, RunsError> {
        readings.keep_within_bounds();
        let Some(mut group) = Self::of_users((cache, run, number), asked).await? else { return Ok(None) };
        let meta = run.metadata.metadata().row_group(number);
        let may_lack_key =
            meta.column(column::DEVICE).statistics().and_then(|s| s.null_count_opt()) != Some(0);
        let names_device = asked.has(|field| {
            use TrailField as F;
            matches!(field, F::DeviceId | F::RequestId | F::ResponseId | F::PrecedingRequestId)
        });
        if names_device || may_lack_key || !skips.is_empty() || has.is_some() {
            group.read_keys(cache, (skips, has)).await?;
        }
        if asked.within != (None, None) || asked.needs_tails() || asked.has(|f| f == TrailField::ReceivedAt) {
            group.read_received(cache, asked.within).await?;
        }
        if group.rows.is_empty() || !group.meet_conditions(cache, asked, readings).await? {
            return Ok(None);
        }
        group.read_rest(cache, asked, readings).await?;
        Ok(Some(group))
    }

    /// The rows of the caller's Users.
    async fn of_users(
        (cache, run, number): (&RunCache, &Arc<OpenRun>, usize),
        asked: &Asked,
    ) -> Result<Option<Self>, RunsError> {
        let ranges = asked.ranges_of(run, number);
        if ranges.as_ref().is_some_and(Vec::is_empty) {
            return Ok(None);
        }
        let is_met = |page: &Range<usize>| {
            ranges
                .as_ref()
                .is_none_or(|ranges| ranges.iter().any(|r| r.start < page.end && page.start < r.end))
        };
        let [chunk] = chunks(cache, run, number, [column::USER]).await?;
        let damaged = || corrupt(run, "its Users cannot be read");
        if chunk.is_by_dictionary()
            && !chunk.dictionary().ok_or_else(damaged)?.iter().any(|user| asked.counts(user))
        {
            return Ok(None);
        }
        let user = chunk.coded(&|page| is_met(&page)).ok_or_else(damaged)?;
        let counts: Vec<bool> = user.values.iter().map(|user| asked.counts(user)).collect();
        let is_own = |code: u32| counts.get(code as usize).copied().unwrap_or(false);
        let rows: Vec<u32> =
            (0..).zip(&user.codes).filter(|(_, code)| is_own(**code)).map(|(row, _)| row).collect();
        if rows.is_empty() {
            return Ok(None);
        }
        let (variant, mpxn, region, shape) = Default::default();
        Ok(Some(Self {
            run: Arc::clone(run),
            number,
            rows,
            user,
            variant,
            mpxn,
            region,
            shape,
            shapes: Vec::new(),
            keys: Vec::new(),
            received: Vec::new(),
            tail: None,
            readings: Vec::new(),
            read: vec![column::USER],
        }))
    }

    pub(crate) fn corrupt(&self, why: &str) -> RunsError {
        corrupt(&self.run, why)
    }

    /// Whether any row counts of some.
    fn wants(&self) -> impl Fn(Range<usize>) -> bool + use<'_> {
        is_among(&self.rows)
    }

    async fn read_keys(
        &mut self,
        cache: &RunCache,
        (skips, has): (&BTreeSet<u64>, Option<&(dyn Fn(u64) -> bool + Sync)>),
    ) -> Result<(), RunsError> {
        let [chunk] = chunks(cache, &self.run, self.number, [column::DEVICE]).await?;
        let (keys, without) = chunk
            .keys(&self.wants())
            .ok_or_else(|| self.corrupt("what its rows lie under cannot be read"))?;
        // Rows of one key lie together.
        let mut last = None;
        self.rows.retain(|row| {
            let row = *row as usize;
            let key = keys[row];
            if last.is_none_or(|(of, _)| of != key) {
                last = Some((key, !skips.contains(&key) && has.is_none_or(|has| has(key))));
            }
            row >= without && last.is_some_and(|(_, counts)| counts)
        });
        self.keys = keys;
        self.read.push(column::DEVICE);
        Ok(())
    }

    async fn read_received(
        &mut self,
        cache: &RunCache,
        (from, to): (Option<i64>, Option<i64>),
    ) -> Result<(), RunsError> {
        let [chunk] = chunks(cache, &self.run, self.number, [column::RECEIVED]).await?;
        let received = chunk.numbers(&self.wants());
        let received = received.ok_or_else(|| self.corrupt("its times cannot be read"))?;
        if (from, to) != (None, None) {
            self.rows.retain(|row| {
                let at = received[*row as usize];
                from.is_none_or(|from| from <= at) && to.is_none_or(|to| at <= to)
            });
        }
        self.received = received;
        self.read.push(column::RECEIVED);
        Ok(())
    }

    /// Leaves out what conditions leave out. Returns whether any row is left.
    async fn meet_conditions(
        &mut self,
        cache: &RunCache,
        asked: &Asked,
        readings: &mut Readings,
    ) -> Result<bool, RunsError> {
        for condition in &asked.conditions {
            let Some(number) = Asked::column_of(condition.field) else { continue };
            if number == column::VARIANT && condition.is == Is::Absent {
                // An alert shows no variant, whatever it claims.
                continue;
            }
            self.read_coded(cache, number, readings).await?;
            let mut rows = std::mem::take(&mut self.rows);
            let Coded { values, codes } = self.coded(number);
            let admits = |(code, value): (usize, &[u8])| match number {
                column::SHAPE => {
                    self.shapes.get(code).is_none_or(|shape| readings.may_count(*shape, condition))
                }
                _ => condition.admits(word_of_column(condition.field, value).as_deref()),
            };
            let counts: Vec<bool> = values.iter().enumerate().map(admits).collect();
            // A region that is not known is shown as unknown.
            let without = condition.admits(None)
                || condition.field == TrailField::CspRegion && condition.admits(Some("Unknown"));
            rows.retain(|row| match codes[*row as usize] {
                NO_VALUE => without,
                code => counts.get(code as usize).copied().unwrap_or(false),
            });
            self.rows = rows;
            if self.rows.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn coded(&self, number: usize) -> &Coded {
        match number {
            column::VARIANT => &self.variant,
            column::MPXN => &self.mpxn,
            column::REGION => &self.region,
            _ => &self.shape,
        }
    }

    /// Reads a column of words, unless it is read already.
    async fn read_coded(
        &mut self,
        cache: &RunCache,
        number: usize,
        readings: &mut Readings,
    ) -> Result<(), RunsError> {
        if self.read.contains(&number) {
            return Ok(());
        }
        let [chunk] = chunks(cache, &self.run, self.number, [number]).await?;
        let coded =
            chunk.coded(&self.wants()).ok_or_else(|| self.corrupt("a column of texts cannot be read"))?;
        match number {
            column::VARIANT => self.variant = coded,
            column::MPXN => self.mpxn = coded,
            column::REGION => self.region = coded,
            _ => {
                // Only of rows that count: most shapes of others are none of theirs.
                self.shapes = vec![NO_VALUE; coded.values.len()];
                for row in &self.rows {
                    let code = coded.codes[*row as usize] as usize;
                    if self.shapes.get(code) == Some(&NO_VALUE) {
                        let shape = coded.values.get(code).and_then(|shape| readings.number_of(shape));
                        self.shapes[code] = shape.ok_or_else(|| self.corrupt("a row cannot be read"))?;
                    }
                }
                self.shape = coded;
            }
        }
        self.read.push(number);
        Ok(())
    }

    /// Reads what fields need beside.
    async fn read_rest(
        &mut self,
        cache: &RunCache,
        asked: &Asked,
        readings: &mut Readings,
    ) -> Result<(), RunsError> {
        let stands_for_another = self.rows.last().and_then(|row| self.keys.get(*row as usize));
        // No Device begins so, as a rule; whether it is one, the shape says.
        let stands_for_another = stands_for_another.is_some_and(|key| key >> 52 >= 0xFFE);
        let mut needs_shapes = asked.needs_shapes() || stands_for_another;
        if !needs_shapes && asked.has(|field| field == TrailField::ReceivedAt) {
            needs_shapes = self.may_await(cache).await?;
        }
        if needs_shapes {
            self.read_coded(cache, column::SHAPE, readings).await?;
        }
        let by_variant =
            |shape: &u32| *shape != NO_VALUE && readings.depends_on_variant(*shape, &asked.fields);
        let by_variant: Vec<bool> = match asked.needs_readings() {
            true => self.shapes.iter().map(by_variant).collect(),
            false => Vec::new(),
        };
        let may_report = by_variant.contains(&true);
        if asked.needs_variants() || may_report {
            self.read_coded(cache, column::VARIANT, readings).await?;
        }
        for (number, field) in [(column::MPXN, TrailField::Mpxn), (column::REGION, TrailField::CspRegion)] {
            let is_of = |of: TrailField| Asked::column_of(of) == Asked::column_of(field);
            if asked.has(is_of) {
                self.read_coded(cache, number, readings).await?;
            }
        }
        let reporting = if may_report { self.reporting(&by_variant) } else { Vec::new() };
        // Whether a row cancels a request, its execution time says, where it has one.
        let by_tail = reporting.iter().filter(|(_, shape)| readings.has_execution(*shape));
        let by_tail: Vec<u32> = by_tail.map(|(at, _)| self.rows[*at]).collect();
        if asked.needs_tails() || !by_tail.is_empty() {
            if !self.read.contains(&column::RECEIVED) {
                self.read_received(cache, (None, None)).await?;
            }
            let [chunk] = chunks(cache, &self.run, self.number, [column::TAIL]).await?;
            let tail = match asked.needs_tails() {
                true => chunk.texts(&self.wants()),
                false => chunk.texts(&is_among(&by_tail)),
            };
            self.tail = Some(tail.ok_or_else(|| self.corrupt("its tails cannot be read"))?);
        }
        if asked.needs_readings() {
            let all = self.readings_of_shapes(readings);
            let all = all.and_then(|all| self.with_reporting(all, reporting, readings));
            self.readings = all.ok_or_else(|| self.corrupt("a row cannot be read"))?;
        }
        Ok(())
    }

    /// Whether any row of the group may wait for its request.
    async fn may_await(&self, cache: &RunCache) -> Result<bool, RunsError> {
        let [chunk] = chunks(cache, &self.run, self.number, [column::SHAPE]).await?;
        let dictionary = chunk.dictionary().ok_or_else(|| self.corrupt("its shapes cannot be read"))?;
        let awaits = |shape: &[u8]| shape.first().is_none_or(|flags| flags & 7 == 4);
        Ok(!chunk.is_by_dictionary() || dictionary.iter().any(awaits))
    }

    /// The number of the shape of a row.
    pub(crate) fn shape_of(&self, row: u32) -> Option<u32> {
        let code = self.shape.codes.get(row as usize)?;
        self.shapes.get(*code as usize).copied()
    }

    fn readings_of_shapes(&self, readings: &Readings) -> Option<Vec<u32>> {
        let plain = |shape: &u32| if *shape == NO_VALUE { Some(NO_VALUE) } else { readings.plain(*shape) };
        let of_code: Vec<u32> = self.shapes.iter().map(plain).collect::<Option<_>>()?;
        let reading = |row: &u32| of_code.get(*self.shape.codes.get(*row as usize)? as usize).copied();
        self.rows.iter().map(reading).collect()
    }

    /// Which of the rows that count are of a variant that Devices report on, and of a shape that then shows something else: where they
    /// stand among those, and their shapes. `by_variant`: whether that is so of the shapes.
    fn reporting(&self, by_variant: &[bool]) -> Vec<(usize, u32)> {
        let of_variant = |text: &[u8]| {
            let variant = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
            variant.is_some_and(is_reported)
        };
        let reported: Vec<bool> = self.variant.values.iter().map(of_variant).collect();
        let of_row = |(at, row): (usize, &u32)| {
            let row = *row as usize;
            let (code, variant) = (self.shape.codes[row] as usize, self.variant.codes[row] as usize);
            let reports = by_variant[code] && reported.get(variant).copied().unwrap_or(false);
            reports.then(|| (at, self.shapes[code]))
        };
        self.rows.iter().enumerate().filter_map(of_row).collect()
    }

    /// How all rows that count are read, with those of which a Device may yet report.
    fn with_reporting(
        &self,
        mut all: Vec<u32>,
        reporting: Vec<(usize, u32)>,
        readings: &Readings,
    ) -> Option<Vec<u32>> {
        let (by_tail, others): (Vec<_>, Vec<_>) =
            reporting.into_iter().partition(|(_, shape)| readings.has_execution(*shape));
        for (at, shape) in others {
            *all.get_mut(at)? = readings.reporting(shape)?;
        }
        if by_tail.is_empty() {
            return Some(all);
        }
        let rows = by_tail.iter().map(|(at, _)| self.rows[*at] as usize);
        let mut of_rows = by_tail.iter();
        self.tail.as_ref()?.each(rows, |row, tail| {
            let (at, shape) = of_rows.next()?;
            let under = self.under(u32::try_from(row).ok()?)?;
            let (fields, _) = readings.known(*shape)?.shape.fields(tail, under)?;
            if !cancels_request(fields.execution_at) {
                *all.get_mut(*at)? = readings.reporting(*shape)?;
            }
            Some(())
        })?;
        Some(all)
    }

    /// What the tail of a row leaves out.
    pub(crate) fn under(&self, row: u32) -> Option<Under> {
        let row = row as usize;
        let user = self.user.values.get(*self.user.codes.get(row)? as usize)?;
        Some(Under {
            user: user.try_into().ok()?,
            device: self.keys.get(row).copied().unwrap_or(0).to_be_bytes(),
            placement_ms: *self.received.get(row)?,
        })
    }
}

fn corrupt(run: &OpenRun, why: &str) -> RunsError {
    RunsError::Corrupt { path: run.path.to_string(), why: why.to_owned() }
}

/// Some columns of a group.
async fn chunks<const N: usize>(
    cache: &RunCache,
    run: &OpenRun,
    group: usize,
    columns: [usize; N],
) -> Result<[Chunk; N], RunsError> {
    let chunks = cache.chunks(run, group, &columns).await?;
    chunks.try_into().map_err(|_| RunsError::Internal("a column chunk is missing"))
}
