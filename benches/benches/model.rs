//! Decode, fold and merge, in events a second.
//!
//! References in the same process: copying the bytes of the events (what no decoder can beat), and cloning the
//! events (what no fold can beat).

#![allow(
    missing_docs,
    clippy::expect_used,
    reason = "a bench's entry points are macros; it stops when it cannot go on"
)]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use gridtrail_benches::{events, frames};
use gridtrail_codec::{Encoding, Frame, decode, encode_json, next_frame};
use gridtrail_model::{Event, Fold, Fragment, Merge};
use std::hint::black_box;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn fold(events: &[Event]) -> Vec<Fragment> {
    let mut fold = Fold::default();
    for event in events {
        fold.add(event.clone()).expect("the generator's events fold");
    }
    fold.into_fragments()
}

fn decoding(c: &mut Criterion) {
    let events = events(20_000, 1);
    let bytes = frames(&events);
    let lines: Vec<String> = events.iter().map(encode_json).collect();
    let mut group = c.benchmark_group("decode");
    group.throughput(Throughput::Elements(events.len() as u64));
    group.bench_function("reference/copy", |b| b.iter(|| black_box(bytes.clone())));
    group.bench_function("protobuf", |b| {
        b.iter(|| {
            let mut rest = bytes.as_slice();
            while let Frame::Complete { record, consumed } = next_frame(rest) {
                black_box(decode(Encoding::Protobuf, record, None).expect("our own bytes"));
                rest = &rest[consumed..];
            }
        });
    });
    group.bench_function("json", |b| {
        b.iter(|| {
            for line in &lines {
                black_box(decode(Encoding::Json, line.as_bytes(), None).expect("our own text"));
            }
        });
    });
    group.finish();
}

fn folding(c: &mut Criterion) {
    let events = events(50_000, 1);
    let mut group = c.benchmark_group("fold");
    group.throughput(Throughput::Elements(events.len() as u64));
    group.bench_function("reference/clone", |b| b.iter(|| black_box(events.clone())));
    group.bench_function("one_batch", |b| b.iter(|| black_box(fold(&events))));
    group.finish();
}

fn merging(c: &mut Criterion) {
    let events = events(50_000, 1);
    let (even, odd): (Vec<_>, Vec<_>) = events.into_iter().enumerate().partition(|(n, _)| n % 2 == 0);
    let half = |part: Vec<(usize, Event)>| fold(&part.into_iter().map(|(_, e)| e).collect::<Vec<_>>());
    let (mut left, mut right) = (half(even), half(odd));
    left.sort_by_key(|f| f.key);
    right.retain(|f| left.binary_search_by_key(&f.key, |l| l.key).is_ok());
    right.sort_by_key(|f| f.key);
    left.retain(|f| right.binary_search_by_key(&f.key, |r| r.key).is_ok());
    let pairs: Vec<(Fragment, Fragment)> = left.into_iter().zip(right).collect();
    let mut group = c.benchmark_group("merge");
    group.throughput(Throughput::Elements(pairs.len() as u64));
    group.bench_function("reference/clone", |b| b.iter(|| black_box(pairs.clone())));
    group.bench_function("pairs", |b| {
        b.iter_batched(
            || pairs.clone(),
            |pairs| {
                pairs
                    .into_iter()
                    .map(|(mut a, b)| {
                        a.merge(b);
                        a
                    })
                    .collect::<Vec<_>>()
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, decoding, folding, merging);
criterion_main!(benches);
