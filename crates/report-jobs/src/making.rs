//! Making a report: its files, on this machine, not yet where they are to go.

use crate::delivery::Delivery;
use crate::destination::name_of;
use crate::error::JobError;
use crate::journal::FileSum;
use gridtrail_access::{Access, Sharing};
use gridtrail_access_log::AccessLog;
use gridtrail_lake::Snapshot;
use gridtrail_reports::{About, Output, ReportRows};
use gridtrail_runtime::Clock;
use gridtrail_sql::{Recording, SecuredSession, SqlLimits};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::num::NonZeroU32;
use std::sync::Arc;

/// What the making of a report may take, and where it is recorded.
#[derive(Debug, Clone)]
pub struct MakingLimits {
    /// Bytes that its statement may hold.
    pub memory_bytes: usize,
    /// Parts of a table that are read at the same time.
    pub parts: NonZeroU32,
    /// The access log that says that it was made; `None`: nothing may be written.
    pub log: Option<AccessLog>,
}

/// A report that was made.
pub(crate) struct Made {
    pub(crate) about: About,
    pub(crate) rows: u64,
    /// In the order in which they are to get their names: what belongs to a file comes before it.
    pub(crate) files: Vec<(FileSum, File)>,
}

/// Makes a report under an access, as of a snapshot.
///
/// Errors: `Report`, `Output`, `Io`.
pub(crate) async fn make(
    delivery: &Delivery,
    who: &Access,
    (snapshot, sharing): (&Arc<Snapshot>, &Sharing),
    clock: &Clock,
    limits: &MakingLimits,
) -> Result<Made, JobError> {
    let job = &delivery.job;
    let arguments = job.arguments(delivery.due).map_err(gridtrail_reports::ReportError::from)?;
    let stem = delivery.file_stem(&arguments);
    let order = job.report.order(arguments, (who, &BTreeSet::new()), clock.now())?;
    let (memory_bytes, parts, time) = (limits.memory_bytes, limits.parts, job.time_max);
    let sql = SqlLimits { memory_bytes, parts, time, spill: None };
    let dress = |session: SecuredSession| match &limits.log {
        Some(log) => session.recorded(Recording { log: log.clone(), call: "report job", peer: None }),
        None => session,
    };
    let rows = Box::pin(order.run((snapshot, sharing), (clock.clone(), sql), dress)).await?;
    written(delivery, rows.needed_up_to(job.needs_complete_up_to(delivery.due)), &stem).await
}

/// The rows as files, all of them in one reading.
async fn written(delivery: &Delivery, mut rows: ReportRows, stem: &str) -> Result<Made, JobError> {
    let about = rows.about().clone();
    let (job, key) = (&delivery.job, delivery.key());
    let mut outputs = Vec::new();
    for format in &job.formats {
        outputs.push((*format, Output::new(*format, &job.report, &about, Counted::new()?)?));
    }
    while let Some(batch) = rows.next().await? {
        for (_, output) in &mut outputs {
            output.write(&batch)?;
        }
    }
    let (mut files, mut count) = (Vec::new(), 0);
    for (format, output) in outputs {
        let (counted, rows) = output.finish()?;
        count = rows;
        let data = counted.done(name_of(&key, stem, format.name()))?;
        let mut said =
            serde_json::to_vec_pretty(&about.json(rows).map_err(gridtrail_reports::OutputError::Json)?)
                .map_err(gridtrail_reports::OutputError::Json)?;
        said.push(b'\n');
        let said = Counted::of(&said)?.done(format!("{}.about.json", data.0.name))?;
        let line = |(sum, _): &(FileSum, File)| {
            format!("{}  {}\n", sum.sha256, sum.name.rsplit('/').next().unwrap_or_default())
        };
        let sums =
            Counted::of((line(&data) + &line(&said)).as_bytes())?.done(format!("{}.sha256", data.0.name))?;
        files.extend([said, sums, data]);
    }
    Ok(Made { about, rows: count, files })
}

/// A file without a name, which is gone with the process, whose bytes are counted and hashed as they are written.
struct Counted {
    file: BufWriter<File>,
    hash: Sha256,
    bytes: u64,
}

impl Counted {
    fn new() -> io::Result<Self> {
        Ok(Self { file: BufWriter::new(tempfile::tempfile()?), hash: Sha256::new(), bytes: 0 })
    }

    fn of(bytes: &[u8]) -> io::Result<Self> {
        let mut counted = Self::new()?;
        counted.write_all(bytes)?;
        Ok(counted)
    }

    fn done(self, name: String) -> io::Result<(FileSum, File)> {
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok((FileSum { name, bytes: self.bytes, sha256: hex::encode(self.hash.finalize()) }, file))
    }
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
