//! A region straight into a lake, without event files: the same world, the same fold and writer, and memory that does not
//! grow with its size.

use super::firmware;
use crate::args::GenerateArgs;
use crate::exit::Failure;
use crate::housekeeping::keep_house;
use crate::opening::open_lake;
use crate::output::count;
use crate::progress::counting;
use crate::running::asked_to_stop;
use gridtrail_ingest::{
    Maker, ingest_made, ingest_made_access, ingest_made_anomaly, ingest_made_inventory, ingest_made_schedules,
};
use gridtrail_lake::Lake;
use gridtrail_model::Event;
use gridtrail_synth::World;
use serde::Serialize;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use tokio::sync::mpsc;

/// Events handed on at once: few enough that those in the queue are no memory to speak of.
const PIECE_EVENTS: usize = 8_192;
/// Pieces in the queue.
const PIECES: usize = 4;

/// What a lake was filled with.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Filled {
    /// Events that went into trails.
    events: u64,
    /// Inventory events.
    inventory_events: u64,
    /// Anomaly events.
    anomaly_events: u64,
    /// Events of schedules.
    schedule_events: u64,
    /// Commits made.
    commits: u64,
    /// Rows of the `trails` table: at least one a trail.
    rows: u64,
    /// Runs of the `trails` table.
    runs: u64,
    /// Bytes of those runs.
    bytes: u64,
    /// How long it took.
    seconds: f64,
    /// Events by that time.
    events_per_second: f64,
}

impl Filled {
    pub(super) fn line(&self) -> String {
        let Self { events, commits, rows, runs, bytes, seconds, events_per_second, .. } = self;
        let bytes_per_row = *bytes as f64 / *rows as f64;
        let mut line = format!(
            "{} in {seconds:.1} s ({events_per_second:.0} events/s); {}, {} of {bytes_per_row:.1} bytes in {}",
            count(*events, "event"),
            count(*commits, "commit"),
            count(*rows, "row"),
            count(*runs, "run")
        );
        for (number, what) in [
            (self.inventory_events, "inventory event"),
            (self.anomaly_events, "anomaly event"),
            (self.schedule_events, "event of schedules"),
        ] {
            if number > 0 {
                line.push_str(&format!("; {}", count(number, what)));
            }
        }
        line
    }
}

/// Fills a lake with a region's events, which it takes in once.
pub(super) async fn fill(address: &str, world: &World, args: &GenerateArgs) -> Result<Filled, Failure> {
    let began = Instant::now();
    let lake = open_lake(address).await?;
    let settings = world.settings();
    let size = settings.events_target.unwrap_or_default();
    let maker = Maker {
        id: format!(
            "{}:{}:{}:{size}:{}:{}",
            args.seed, settings.start, settings.days, args.disorder, settings.premises
        ),
        name: format!("a region of seed {}", args.seed),
    };
    if lake.writer().await?.position(&maker.source()).is_some() {
        let reason = "the lake holds this region, or a part of it, already".to_owned();
        return Err(Failure::Argument { argument: "--lake", reason });
    }
    let [inventory_events, anomaly_events, schedule_events] =
        fill_beside((&lake, &maker), world, args).await?;
    let (pieces, made) = mpsc::channel(PIECES);
    let world = world.clone();
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    let firmware = args.firmware;
    let making = tokio::task::spawn_blocking(move || make((&world, firmware), &pieces, &told));
    let asked = asked_to_stop()?;
    let mut taking = pin!(ingest_made(&lake, &maker, made));
    let summary = tokio::select! {
        summary = &mut taking => summary?,
        () = asked => {
            stop.store(true, Ordering::Relaxed);
            taking.await?
        }
    };
    let was_cut = making.await.map_err(|_| Failure::Process("making the events panicked"))?;
    if was_cut {
        let events = count(summary.outcome.stored + summary.outcome.parked, "event");
        let told = format!(
            "{events} are in the lake, in {}; a lake that was filled in part is not gone on with: fill another",
            count(summary.commits, "commit")
        );
        return Err(Failure::Stopped { told });
    }
    keep_house(&lake).await?;
    lake.refresh().await?;
    let (counts, seconds) = (lake.counts(), began.elapsed().as_secs_f64());
    let events = summary.outcome.stored + summary.outcome.parked;
    Ok(Filled {
        events,
        inventory_events,
        anomaly_events,
        schedule_events,
        commits: summary.commits,
        rows: counts.fragments,
        runs: counts.runs,
        bytes: counts.bytes,
        seconds,
        events_per_second: events as f64 / seconds,
    })
}

/// Fills it with what is beside the events of Service Requests, as far as that is wanted. Returns how many events of the inventory, of anomaly
/// detection and of schedules.
async fn fill_beside(
    (lake, maker): (&Lake, &Maker),
    world: &World,
    args: &GenerateArgs,
) -> Result<[u64; 3], Failure> {
    ingest_made_access(lake, maker, world.access_events(args.one_party.as_ref())).await?;
    let [mut inventory, mut anomaly, mut schedules] = [0; 3];
    if args.inventory {
        inventory = ingest_made_inventory(lake, maker, firmware::inventory(world, args.firmware))
            .await?
            .outcome
            .stored;
    }
    if args.anomaly {
        anomaly = ingest_made_anomaly(lake, maker, world.anomaly_events()).await?.outcome.stored;
    }
    if args.schedules {
        let events = world.schedules().flat_map(|story| story.events);
        schedules = ingest_made_schedules(lake, maker, events).await?.outcome.stored;
    }
    Ok([inventory, anomaly, schedules])
}

/// Makes all events. Ends early when nobody takes them any more: then their taker failed, and tells why; or when it is to stop. Whether
/// that was so.
fn make((world, firmware): (&World, bool), pieces: &mpsc::Sender<Vec<Event>>, stop: &AtomicBool) -> bool {
    let bar = counting(world.settings().events_target, "events");
    let mut feed = firmware::events(world, firmware);
    loop {
        let piece: Vec<Event> = feed.by_ref().take(PIECE_EVENTS).collect();
        bar.inc(piece.len() as u64);
        let cut = !piece.is_empty() && stop.load(Ordering::Relaxed);
        if cut || piece.is_empty() || pieces.blocking_send(piece).is_err() {
            bar.finish_and_clear();
            return cut;
        }
    }
}
