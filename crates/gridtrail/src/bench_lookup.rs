//! `gridtrail bench lookup`: look-ups in this process, without a server: warm, with nothing in memory, and with a store that
//! answers late.

use crate::args::BenchLookupArgs;
use crate::bench::Tally;
use crate::exit::Failure;
use crate::output;
use gridtrail_access::{Access, Bearer, DevKey, JobTypeRole, OrgId};
use gridtrail_lake::{KeyQuery, Lake, LakeSettings, View};
use gridtrail_model::DeviceId;
use gridtrail_runtime::Clock;
use object_store::chunked::ChunkedStore;
use object_store::local::LocalFileSystem;
use object_store::throttle::{ThrottleConfig, ThrottledStore};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The pieces in which a late store gives its files.
const PIECE_BYTES: usize = 1 << 20;
/// How long the access lasts that the look-ups are made with.
const ACCESS_MS: i64 = 24 * 60 * 60 * 1000;

pub(crate) async fn run(args: &BenchLookupArgs) -> Result<(), Failure> {
    let text = crate::text::read(&args.devices)?;
    let devices = text.split_whitespace().map(str::parse).collect::<Result<Vec<DeviceId>, _>>();
    let devices =
        devices.map_err(|error| Failure::Argument { argument: "--devices", reason: error.to_string() })?;
    let who = access(args)?;
    let mut tally = Tally::new()?;
    let began = Instant::now();
    let mut lake = open(args).await?;
    if !args.cold {
        for device in &devices {
            lake.snapshot().lookup(&who, &query(args, *device)).await?;
        }
    }
    for device in &devices {
        if args.cold {
            lake = open(args).await?;
        }
        let start = Instant::now();
        let (rows, cost) = lake.snapshot().lookup_with_cost(&who, &query(args, *device)).await?;
        tally.count_cost(&cost);
        tally.count(start.elapsed(), Ok(rows.len() as u64));
    }
    output::write_json(&mut io::stdout().lock(), &tally.report(began.elapsed()))
}

fn query(args: &BenchLookupArgs, device: DeviceId) -> KeyQuery {
    KeyQuery {
        from: args.from.map(crate::args::Bound::first),
        to: args.to.map(crate::args::Bound::last),
        ..KeyQuery::all(device, View::Audit, args.rows)
    }
}

/// The lake, with nothing of it in memory.
async fn open(args: &BenchLookupArgs) -> Result<Lake, Failure> {
    let mut settings = LakeSettings { create: false, ..LakeSettings::at(args.lake.clone()) };
    if args.delay_ms > 0 {
        let wait_get_per_call = Duration::from_millis(args.delay_ms);
        let config = ThrottleConfig { wait_get_per_call, ..ThrottleConfig::default() };
        // The one that waits takes no files as they are, so they come to it in pieces.
        let pieces = ChunkedStore::new(Arc::new(LocalFileSystem::new()), PIECE_BYTES);
        settings.store = Some(Arc::new(ThrottledStore::new(pieces, config)));
    }
    Ok(Lake::open(settings, Clock::system()).await?)
}

/// The Party that owns what the bench looks up.
const BENCH_PARTY: &str = "bench";

/// The access of a caller with the Users that the arguments name, by a token that nobody else can use.
fn access(args: &BenchLookupArgs) -> Result<Access, Failure> {
    let now = Clock::system().now();
    let key = DevKey::generate()?;
    let claims = Bearer {
        subject: "bench".to_owned(),
        party: BENCH_PARTY.parse().map_err(|_| Failure::Process("the bench has no Party"))?,
        org_id: OrgId::All,
        user_ids: args.user_id.iter().copied().collect(),
        roles: JobTypeRole::new(1).into_iter().collect(),
        valid_from: now,
        expires_at: now.plus_millis(ACCESS_MS),
    };
    Ok(key.access(&claims)?)
}
