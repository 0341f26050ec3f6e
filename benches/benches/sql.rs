//! Eight questions that go through all rows of a lake, as an analyst asks them. Their texts lie in `benches/sql`.
//!
//! The lake is the one that `GRIDTRAIL_BENCH_LAKE` names, or one of 100,000 trails in memory, which is compacted first. `GRIDTRAIL_BENCH_PARTS`
//! says how many parts are read at the same time, `GRIDTRAIL_BENCH_USERS` that the caller is one of so many Users, and sees every row otherwise.
//! References in the same process: counting all rows, which reads no column but that of Users; and all rows merged and decoded whole, of which
//! two columns are made, without any engine.
//!
//! `GRIDTRAIL_BENCH_COPY` names a Parquet file to which the caller's rows are written in plain columns, for other engines to be asked the same
//! (`benches/sql/beside.py`).

#![allow(
    missing_docs,
    clippy::expect_used,
    reason = "a bench's entry points are macros; it stops when it cannot go on"
)]

use criterion::{Criterion, criterion_group, criterion_main};
use gridtrail_access::Access;
use gridtrail_benches::{caller_of, frames, ingest};
use gridtrail_lake::{CompactionSettings, Lake, LakeSettings, ScanQuery, TrailField, View};
use gridtrail_model::{Trail, UserId};
use gridtrail_runtime::Clock;
use gridtrail_sql::{SecuredSession, SqlLimits};
use gridtrail_synth::{Settings, World};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use std::fs::File;
use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::Duration;
use tokio::runtime::Runtime;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The questions, by the names of their files.
const QUESTIONS: &[(&str, &str)] = &[
    ("reference/count", "SELECT count(*) FROM audit_trails"),
    ("status_by_month", include_str!("../sql/status_by_month.sql")),
    ("response_codes_by_variant", include_str!("../sql/response_codes_by_variant.sql")),
    ("hourly_volume", include_str!("../sql/hourly_volume.sql")),
    ("latency_by_variant", include_str!("../sql/latency_by_variant.sql")),
    ("devices_by_user", include_str!("../sql/devices_by_user.sql")),
    ("failures_by_region", include_str!("../sql/failures_by_region.sql")),
    ("week_of_one_variant", include_str!("../sql/week_of_one_variant.sql")),
    ("history_by_status", include_str!("../sql/history_by_status.sql")),
];

/// A lake, and the Users of the region that it is of: the generator's are always the same.
async fn lake() -> Lake {
    if let Some(address) = text_in("GRIDTRAIL_BENCH_LAKE") {
        return Lake::open(LakeSettings::at(&address), Clock::system()).await.expect("the lake opens");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::seeded(7, Settings::for_trails(100_000, 40)).expect("the settings are sound");
    std::fs::write(folder.path().join("events.binpb"), frames(&world.events().collect::<Vec<_>>()))
        .expect("written");
    let lake = ingest(folder.path(), "memory:///b").await;
    let full = CompactionSettings { full: true, ..CompactionSettings::default() };
    lake.maintenance().await.expect("opens").compact(&full).await.expect("compacted");
    lake
}

fn text_in(name: &str) -> Option<String> {
    std::env::var_os(name).and_then(|value| value.into_string().ok())
}

fn number_in(name: &str) -> Option<NonZeroU32> {
    text_in(name).and_then(|number| number.parse().ok())
}

/// Users of the generator's regions: where not all, rows of the others are in the lake, and passed over.
fn users() -> Access {
    let world = World::seeded(7, Settings::for_trails(1_000, 1)).expect("the settings are sound");
    let ids: Vec<UserId> = world.users().iter().map(|user| user.id).collect();
    let one_of = number_in("GRIDTRAIL_BENCH_USERS").map_or(1, NonZeroU32::get);
    caller_of(ids.into_iter().step_by(usize::try_from(one_of).unwrap_or(1)).collect())
}

/// Writes all rows that a session shows in plain columns.
async fn copy(session: &SecuredSession, to: &str) {
    let mut rows = Box::pin(session.query("SELECT * FROM audit_trails")).await.expect("a statement");
    let layout = WriterProperties::builder().set_compression(Compression::LZ4_RAW).build();
    let file = File::create(to).expect("a file");
    let mut writer = ArrowWriter::try_new(file, rows.schema(), Some(layout)).expect("a schema");
    while let Some(batch) = rows.next().await.expect("rows") {
        writer.write(&batch).expect("written");
    }
    writer.close().expect("written");
}

/// How many rows there are, each of which is decoded whole. Parts are read side by side, as a statement reads them.
async fn by_rows(lake: &Lake, who: &Access, parts: NonZeroU32) -> usize {
    let all = ScanQuery::all(View::Audit);
    let parts = lake.snapshot().scan(who, all, parts).await.expect("parts");
    let reading = parts.into_iter().map(|part| {
        tokio::spawn(async move {
            let (mut rows, mut count) = (part.rows(), 0);
            while let Some(found) = rows.next().await.expect("rows") {
                let trails: Vec<Trail> = found.iter().map(|row| Trail::from(&row.fragment)).collect();
                for field in [TrailField::Simplified, TrailField::ReceivedAt] {
                    black_box(field.of_trails(&trails).expect("a column"));
                }
                count += trails.len();
            }
            count
        })
    });
    let reading: Vec<_> = reading.collect();
    let mut count = 0;
    for part in reading {
        count += part.await.expect("read");
    }
    count
}

fn asking(c: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime starts");
    let lake = runtime.block_on(lake());
    let who = users();
    let parts = number_in("GRIDTRAIL_BENCH_PARTS").unwrap_or(NonZeroU32::MIN);
    let limits = SqlLimits { parts, ..SqlLimits::default() };
    let now = who.expires_at().plus_millis(-1_000);
    let session = SecuredSession::new(&lake.snapshot(), &who, Clock::manual(now), limits).expect("admitted");
    if let Some(to) = text_in("GRIDTRAIL_BENCH_COPY") {
        runtime.block_on(copy(&session, &to));
    }
    let mut group = c.benchmark_group("sql");
    group.sample_size(10).measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_secs(1));
    group.bench_function("reference/by_rows", |b| {
        b.iter(|| runtime.block_on(Box::pin(by_rows(&lake, &who, parts))));
    });
    for (name, statement) in QUESTIONS {
        group.bench_function(*name, |b| {
            b.iter(|| {
                runtime.block_on(async {
                    Box::pin(session.query(statement))
                        .await
                        .expect("a statement")
                        .all()
                        .await
                        .expect("an answer")
                })
            });
        });
    }
    group.finish();
}

criterion_group!(benches, asking);
criterion_main!(benches);
