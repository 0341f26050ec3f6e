//! The standard reports over Devices, each as one User gets it.
//!
//! The lake is the one that `GRIDTRAIL_BENCH_LAKE` names, or one of the inventory of 2,000 premises in memory, which is compacted first.
//! `GRIDTRAIL_BENCH_PARTS` says how much is read at the same time. The reference in the same process: counting all Devices as searches show them, which
//! looks each up by itself, with what is around it; the reports did that before decision 0155.

#![allow(
    missing_docs,
    clippy::expect_used,
    reason = "a bench's entry points are macros; it stops when it cannot go on"
)]

use criterion::{Criterion, criterion_group, criterion_main};
use gridtrail_access::{Access, Sharing};
use gridtrail_benches::caller_of;
use gridtrail_lake::{Batch, CompactionSettings, Lake, LakeSettings};
use gridtrail_reports::Catalogue;
use gridtrail_runtime::Clock;
use gridtrail_sql::{SecuredSession, SqlLimits};
use gridtrail_synth::{Settings, World};
use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;
use tokio::runtime::Runtime;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const REPORTS: [&str; 4] =
    ["device-firmware", "device-models", "installation-status", "hubs-without-devices"];

/// Events of a batch.
const EVENTS: usize = 50_000;

fn text_in(name: &str) -> Option<String> {
    std::env::var_os(name).and_then(|value| value.into_string().ok())
}

/// A region of the generator: its Users are the same, however many premises it has.
fn world() -> World {
    let settings = Settings { premises: 2_000, ..Settings::for_trails(1_000, 1) };
    World::seeded(7, settings).expect("the settings are sound")
}

async fn lake() -> Lake {
    if let Some(address) = text_in("GRIDTRAIL_BENCH_LAKE") {
        return Lake::open(LakeSettings::at(&address), Clock::system()).await.expect("the lake opens");
    }
    let lake = Lake::open(LakeSettings::at("memory:///b"), Clock::system()).await.expect("the lake opens");
    let mut writer = lake.writer().await.expect("a writer");
    let events: Vec<_> = world().inventory_events().collect();
    for some in events.chunks(EVENTS) {
        let batch = Batch { inventory: some.to_vec(), ..Batch::default() };
        writer.commit(batch).await.expect("committed");
    }
    let full = CompactionSettings { full: true, ..CompactionSettings::default() };
    lake.maintenance().await.expect("opens").compact(&full).await.expect("compacted");
    lake
}

/// How many rows a report has.
async fn rows_of(name: &str, lake: &Lake, who: &Access, limits: &SqlLimits) -> usize {
    let report = Catalogue::shared().expect("the reports are sound").named(name).expect("a report");
    let now = who.expires_at().plus_millis(-1_000);
    let arguments = report.arguments([], now).expect("nothing is required");
    let order = report.order(arguments, (who, &BTreeSet::new()), now).expect("an order");
    let sharing = Sharing::of_one(who.party(), &who.user_ids().to_set());
    let engine = (Clock::manual(now), limits.clone());
    let snapshot = lake.snapshot();
    let run = order.run((&snapshot, &sharing), engine, |session| session);
    let mut rows = Box::pin(run).await.expect("rows");
    let mut count = 0;
    while let Some(batch) = rows.next().await.expect("rows") {
        count += batch.num_rows();
    }
    count
}

/// All Devices, one by one.
async fn device_by_device(lake: &Lake, who: &Access, limits: &SqlLimits) {
    let clock = Clock::manual(who.expires_at().plus_millis(-1_000));
    let session = SecuredSession::new(&lake.snapshot(), who, clock, limits.clone()).expect("admitted");
    let session = session.with_inventory(false);
    let counted = Box::pin(session.query("SELECT count(*) FROM inventory_devices")).await;
    counted.expect("a statement").all().await.expect("an answer");
}

fn asking(c: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime starts");
    let lake = runtime.block_on(lake());
    let who = caller_of(world().users().iter().map(|user| user.id).take(1).collect());
    let parts = text_in("GRIDTRAIL_BENCH_PARTS").and_then(|number| number.parse().ok());
    let parts = parts.unwrap_or(NonZeroU32::MIN.saturating_add(1));
    let limits = SqlLimits { parts, ..SqlLimits::default() };
    let mut group = c.benchmark_group("reports");
    group.sample_size(10).measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_secs(1));
    group.bench_function("reference/device_by_device", |b| {
        b.iter(|| runtime.block_on(Box::pin(device_by_device(&lake, &who, &limits))));
    });
    for name in REPORTS {
        group.bench_function(name, |b| {
            b.iter(|| runtime.block_on(Box::pin(rows_of(name, &lake, &who, &limits))));
        });
    }
    group.finish();
}

criterion_group!(benches, asking);
criterion_main!(benches);
