//! `gridtrail lake export`: an open copy of a lake, for engines that cannot read packed rows. For operators.

use crate::args::{ExportArgs, Format};
use crate::exit::Failure;
use crate::opening::{open_to_serve, store_options};
use crate::output::{self, count, table_with};
use crate::rights::Feed;
use crate::running::{asked_to_stop, wait_for_detached};
use gridtrail_access::{Access, Admission, Doors};
use gridtrail_export::{Copied, Copy, ExportErrorKind, Gathered, Location, Purpose};
use gridtrail_lake::{Lake, SharingReader};
use serde::Serialize;
use std::io;
use std::pin::pin;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};

/// Memory for parts of runs that are kept.
const CACHE_MIB: u64 = 256;
/// How often new versions of the lake are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often what no version of the copy needs is deleted.
const VACUUM_EVERY: Duration = Duration::from_secs(60 * 60);

pub(crate) async fn run(args: &ExportArgs, format: Format) -> Result<(), Failure> {
    let asked = asked_to_stop()?;
    let mut asked = pin!(asked);
    let lake = open_to_serve(&args.of.lake, CACHE_MIB, true).await?;
    let location =
        Location::parse(&args.to, &store_options()).map_err(gridtrail_export::ExportError::from)?;
    let mut export = Export::open(args, &lake, &location).await?;
    let began = Instant::now();
    let stopped = loop {
        let round = async {
            let tables = export.round().await?;
            if !args.follow {
                export.vacuum().await?;
                return Ok(Some(tables));
            }
            export.told(&tables);
            export.until_newer(Instant::now() + Duration::from_secs(args.every.seconds().into())).await?;
            Ok::<_, Failure>(None)
        };
        tokio::select! {
            () = &mut asked => break None,
            done = round => match done {
                Ok(Some(tables)) => break Some(tables),
                Ok(None) => {}
                Err(failure) if args.follow && is_passing(&failure) => {
                    tracing::warn!(error = failure.report(), "the copy could not be brought up to date; it is tried again");
                    sleep(LOOK_EVERY * 4).await;
                }
                Err(failure) => return Err(failure),
            },
        }
    };
    Copy::wait_for_detached(&location).await;
    wait_for_detached(&lake).await;
    match stopped {
        Some(done) => print(args, &lake, export.rows(&done)?, began.elapsed(), format),
        None if args.follow => Ok(()),
        None => Err(Failure::Stopped {
            told: "the copy is as it was, or as far as its log says; run it again for the rest".to_owned(),
        }),
    }
}

/// Whether the same may go well a little later.
fn is_passing(failure: &Failure) -> bool {
    matches!(failure, Failure::Export(error) if error.kind() == ExportErrorKind::Unavailable)
}

/// Whose rows a copy has.
enum Whose {
    Everybody,
    OneParty(Box<PartyRights>),
}

/// What says what a Party may see, as it changes.
struct PartyRights {
    sharing: SharingReader,
    admission: Admission,
    feed: Feed,
}

/// A copy that is kept.
struct Export {
    lake: Lake,
    purpose: Purpose,
    whose: Whose,
    copies: Vec<Copy>,
    vacuumed: Instant,
}

impl Export {
    async fn open(args: &ExportArgs, lake: &Lake, location: &Location) -> Result<Self, Failure> {
        let purpose = Purpose { party: args.party.clone(), by: args.who.clone() };
        let whose = match &args.party {
            None => Whose::Everybody,
            Some(_) => {
                let sharing = lake.sharing().await?;
                // Nobody is let in by a token: the operator is here.
                let doors = Doors { gatekeeper: None, sessions: None };
                let admission = Admission::new(doors, sharing.current());
                let lapse = Duration::from_secs(args.access_lapse.seconds().into());
                let feed = Feed::new(lake.clone(), lapse);
                Whose::OneParty(Box::new(PartyRights { sharing, admission, feed }))
            }
        };
        let mut copies = Vec::new();
        for table in &args.tables {
            if copies.iter().all(|copy: &Copy| copy.kind() != *table) {
                copies.push(Copy::open(lake, location, *table).await?);
            }
        }
        let mut export = Self { lake: lake.clone(), purpose, whose, copies, vacuumed: Instant::now() };
        export.check_party().await?;
        Ok(export)
    }

    /// Refuses to begin a copy for a Party that has no User ID: its name is most likely mistyped, and the folder would be bound to it. A copy
    /// that there is goes on, so that what the Party may no longer see leaves it.
    async fn check_party(&mut self) -> Result<(), Failure> {
        let is_begun = self.copies.iter().any(|copy| copy.is_of().is_some());
        let Some(party) = self.purpose.party.clone().filter(|_| !is_begun) else { return Ok(()) };
        let who = self.access().await?;
        if who.own_user_ids().is_empty() && who.user_ids().is_empty() {
            return Err(Failure::Argument {
                argument: "--party",
                reason: format!(
                    "{party} has no User ID in this lake, so no copy is begun for it: look at how its name is spelt, or take in the event of \
                     access that assigns it one"
                ),
            });
        }
        Ok(())
    }

    /// Whose rows the copy is to have now.
    async fn access(&mut self) -> Result<Access, Failure> {
        let now = self.lake.clock().now();
        let (Whose::OneParty(rights), Some(party)) = (&mut self.whose, &self.purpose.party) else {
            return Ok(Access::of_operator(&self.purpose.by, now)?);
        };
        let PartyRights { sharing, admission, feed } = rights.as_mut();
        if sharing.refresh().await? {
            admission.replace(sharing.current());
        }
        feed.judge(admission);
        Ok(admission.access_of_party(&self.purpose.by, party, now).await?)
    }

    /// Brings all tables up to the newest version of the lake, and makes their small files fewer.
    async fn round(&mut self) -> Result<Vec<(Copied, Gathered)>, Failure> {
        self.lake.refresh().await?;
        let who = self.access().await?;
        let snapshot = self.lake.snapshot();
        let mut done = Vec::new();
        for copy in &mut self.copies {
            let copied = copy.bring_up_to(&self.lake, (&who, &self.purpose), &snapshot).await?;
            done.push((copied, copy.gather(&self.lake).await?));
        }
        Ok(done)
    }

    async fn vacuum(&mut self) -> Result<(), Failure> {
        self.vacuumed = Instant::now();
        for copy in &mut self.copies {
            copy.vacuum(&self.lake).await?;
        }
        Ok(())
    }

    /// What was done, as it is told.
    fn rows(&self, done: &[(Copied, Gathered)]) -> Result<Vec<TableRow>, Failure> {
        let row = |(copy, (copied, gathered)): (&Copy, &(Copied, Gathered))| {
            Ok(TableRow {
                table: copy.kind().name(),
                version: copy.version(),
                total_rows: copy.rows()?,
                total_bytes: copy.bytes(),
                rows: copied.rows,
                rows_written: copied.rows_written + gathered.rows_written,
                bytes_written: copied.bytes_written + gathered.bytes_written,
                whole: copied.whole,
            })
        };
        self.copies.iter().zip(done).map(row).collect()
    }

    fn told(&self, done: &[(Copied, Gathered)]) {
        for (copy, (copied, _)) in self.copies.iter().zip(done).filter(|(_, (copied, _))| copied.changed) {
            let Copied { version, rows, rows_written, whole, .. } = *copied;
            let table = copy.kind().name();
            tracing::info!(table, version, rows, rows_written, whole, "brought the copy up to date");
        }
    }

    /// Waits until a time, and then for a version of the lake that some table is not of yet, or for what takes effect in the inventory; or, for a
    /// Party, for other rights.
    async fn until_newer(&mut self, earliest: Instant) -> Result<(), Failure> {
        if self.vacuumed.elapsed() >= VACUUM_EVERY {
            self.vacuum().await?;
        }
        sleep_until(earliest).await;
        loop {
            self.lake.refresh().await?;
            let snapshot = self.lake.snapshot();
            let now = self.lake.clock().now();
            let is_newer =
                |copy: &Copy| copy.is_of().as_ref() != Some(snapshot.version()) || copy.is_due(now);
            let is_newer = self.copies.iter().any(is_newer);
            // Rights change by events, and by time alone.
            if is_newer || matches!(self.whose, Whose::OneParty(_)) {
                return Ok(());
            }
            sleep(LOOK_EVERY).await;
        }
    }
}

/// What was copied of a table. The fields are an interface: programs read them as JSON.
#[derive(Debug, Serialize)]
struct TableRow {
    table: &'static str,
    /// The version of the copy's own log.
    version: u64,
    /// Rows that the copy has now, and bytes of its files.
    total_rows: u64,
    total_bytes: u64,
    /// Rows that came, or came to say something else.
    rows: u64,
    /// Rows and bytes in the files that were written, gathering included.
    rows_written: u64,
    bytes_written: u64,
    /// Whether everything was read, and not only what changed.
    whole: bool,
}

#[derive(Debug, Serialize)]
struct Answer {
    /// The version of the lake that the copy is of.
    lake_version: String,
    tables: Vec<TableRow>,
    seconds: f64,
}

fn print(
    args: &ExportArgs,
    lake: &Lake,
    tables: Vec<TableRow>,
    took: Duration,
    format: Format,
) -> Result<(), Failure> {
    let answer =
        Answer { lake_version: lake.snapshot().version().to_string(), tables, seconds: took.as_secs_f64() };
    let mut out = io::stdout().lock();
    if format == Format::Json {
        return output::write_json(&mut out, &answer);
    }
    let mut table = table_with(&["Table", "Version", "Rows", "Changed", "Written", "Bytes"]);
    for row in &answer.tables {
        let counts = [row.version, row.total_rows, row.rows, row.rows_written, row.total_bytes];
        table.add_row(std::iter::once(row.table.to_owned()).chain(counts.map(|count| count.to_string())));
    }
    let tables = count(answer.tables.len() as u64, "table");
    output::write(&mut out, format!("{table}\n{}: {tables} up to date\n", args.to).as_bytes())
}
