//! Writing a run, ingesting files, and looking a Device up.
//!
//! References in the same process: sorting the fragments that a run is written from; reading the files without
//! decoding them; an absent Device, which costs only the filters.

#![allow(
    missing_docs,
    clippy::expect_used,
    reason = "a bench's entry points are macros; it stops when it cannot go on"
)]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use gridtrail_benches::{caller, events, everybody, frames, ingest, world};
use gridtrail_lake::{Batch, KeyQuery, Lake, LakeSettings, SortedFragments, View};
use gridtrail_model::{Body, DeviceId, Fold, Fragment};
use gridtrail_runtime::Clock;
use std::hint::black_box;
use tokio::runtime::Runtime;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime starts")
}

fn fragments(count: u64) -> Vec<Fragment> {
    let mut fold = Fold::default();
    for event in events(count, 1) {
        fold.add(event).expect("the generator's events fold");
    }
    // What has no place of its own is joined or parked by ingest, and is no part of a run.
    fold.take_unplaced();
    fold.into_fragments()
}

fn writing(c: &mut Criterion) {
    let runtime = runtime();
    let fragments = fragments(300_000);
    let mut group = c.benchmark_group("write");
    group.throughput(Throughput::Elements(fragments.len() as u64)).sample_size(10);
    group.bench_function("reference/sort", |b| {
        b.iter_batched(
            || fragments.clone(),
            |all| SortedFragments::sort(&all).expect("placed").as_slice().len(),
            BatchSize::LargeInput,
        );
    });
    group.bench_function("run_and_commit", |b| {
        b.iter_batched(
            || fragments.clone(),
            |fragments| {
                runtime.block_on(async {
                    let lake =
                        Lake::open(LakeSettings::at("memory:///b"), Clock::system()).await.expect("opens");
                    let mut writer = lake.writer().await.expect("writes");
                    writer.commit(Batch { fragments, ..Batch::default() }).await.expect("commits")
                })
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn ingesting(c: &mut Criterion) {
    let runtime = runtime();
    let folder = tempfile::tempdir().expect("a folder");
    let all = events(1_000_000, 7);
    let file = folder.path().join("events.binpb");
    std::fs::write(&file, frames(&all)).expect("written");
    let mut group = c.benchmark_group("ingest");
    group.throughput(Throughput::Elements(all.len() as u64)).sample_size(10);
    drop(all);
    group.bench_function("reference/read", |b| b.iter(|| black_box(std::fs::read(&file).expect("read"))));
    group.bench_function("files/1M", |b| {
        b.iter(|| runtime.block_on(ingest(folder.path(), "memory:///b")).counts());
    });
    group.finish();
}

fn looking_up(c: &mut Criterion) {
    let runtime = runtime();
    let folder = tempfile::tempdir().expect("a folder");
    let world = world(1_000_000, 30);
    std::fs::write(folder.path().join("events.binpb"), frames(&world.events().collect::<Vec<_>>()))
        .expect("written");
    let at = tempfile::tempdir().expect("a folder");
    let lake = runtime.block_on(ingest(folder.path(), at.path().to_str().expect("a path of text")));
    let who = everybody(&world);
    let devices: Vec<DeviceId> =
        world.households().flat_map(|h| h.devices().collect::<Vec<_>>()).take(500).collect();
    let query = |device| KeyQuery::all(device, View::Audit, 50);
    let mut group = c.benchmark_group("lookup");
    let mut bench = |name: &str, devices: &[DeviceId]| {
        let mut next = devices.iter().cycle();
        group.bench_function(name, |b| {
            b.iter(|| {
                let device = *next.next().expect("the cycle never ends");
                runtime.block_on(lake.snapshot().lookup(&who, &query(device))).expect("found")
            });
        });
    };
    bench("reference/absent", &[DeviceId::from_bytes([0x55; 8])]);
    bench("30_days/warm", &devices);
    group.finish();
}

/// Where answers that name no leg belong: all of a batch together, beside one after the other.
fn resolving(c: &mut Criterion) {
    let runtime = runtime();
    let folder = tempfile::tempdir().expect("a folder");
    let all = events(300_000, 7);
    std::fs::write(folder.path().join("events.binpb"), frames(&all)).expect("written");
    let lake = runtime.block_on(ingest(folder.path(), "memory:///b"));
    let writer = runtime.block_on(lake.writer()).expect("writes");
    let mut fold = Fold::default();
    for event in all {
        let is_bare =
            event.correlation.request_received_at.is_none() && event.correlation.request_id.is_some();
        if is_bare && matches!(event.body, Body::ResponseSent(_)) {
            fold.add(event).expect("a sound event");
        }
    }
    let mut answers = fold.take_unplaced();
    answers.truncate(3_000);
    let mut group = c.benchmark_group("resolve");
    group.throughput(Throughput::Elements(answers.len() as u64)).sample_size(10);
    group.bench_function("reference/one_by_one", |b| {
        b.iter(|| {
            for answer in &answers {
                let answer = std::slice::from_ref(answer);
                black_box(runtime.block_on(writer.resolve(answer)).expect("resolved"));
            }
        });
    });
    group.bench_function("together", |b| {
        b.iter(|| runtime.block_on(writer.resolve(&answers)).expect("resolved"));
    });
    group.finish();
}

/// What a call costs whose caller sees one User ID, a hundred or five thousand: admitted by its token, and looked up. Only the first
/// has rows, so that all find the same.
fn filtering(c: &mut Criterion) {
    let runtime = runtime();
    let folder = tempfile::tempdir().expect("a folder");
    let world = world(300_000, 7);
    std::fs::write(folder.path().join("events.binpb"), frames(&world.events().collect::<Vec<_>>()))
        .expect("written");
    let lake = runtime.block_on(ingest(folder.path(), "memory:///b"));
    let devices: Vec<DeviceId> = world.households().map(|h| h.electricity.device_id).take(500).collect();
    let first = world.users().first().expect("a region has Users").id;
    let mut group = c.benchmark_group("rights");
    for count in [1, 100, 5_000] {
        let (admission, token, now) = caller(first, count);
        let admit = || async { admission.admit(&token, now).await.expect("admitted") };
        assert_eq!(runtime.block_on(admit()).user_ids().len(), usize::from(count));
        let mut next = devices.iter().cycle();
        group.bench_function(format!("{count}_user_ids"), |b| {
            b.iter(|| {
                let device = *next.next().expect("the cycle never ends");
                let query = KeyQuery::all(device, View::Audit, 50);
                runtime
                    .block_on(async { lake.snapshot().lookup(&admit().await, &query).await })
                    .expect("found")
            });
        });
    }
    group.finish();
}

criterion_group!(benches, writing, ingesting, looking_up, resolving, filtering);
criterion_main!(benches);
