//! What the benches share: a small region's events, and a lake of them.

#![allow(clippy::expect_used, reason = "a bench that cannot go on stops")]

use gridtrail_access::{Access, DevKey, JobTypeRole, TokenClaims};
use gridtrail_codec::encode_frame;
use gridtrail_ingest::{FileSettings, Progress, ingest_files};
use gridtrail_lake::{Lake, LakeSettings};
use gridtrail_model::{Event, Timestamp};
use gridtrail_runtime::Clock;
use gridtrail_synth::{Settings, World};
use std::path::Path;
use std::sync::Arc;

/// A region of about so many events over so many days, always the same.
pub fn world(events: u64, days: u32) -> World {
    World::seeded(7, Settings::for_events(events, days)).expect("the settings are sound")
}

/// Its events.
pub fn events(count: u64, days: u32) -> Vec<Event> {
    world(count, days).events().collect()
}

/// Events as a `.binpb` file has them.
pub fn frames(events: &[Event]) -> Vec<u8> {
    let mut frames = Vec::new();
    events.iter().for_each(|event| encode_frame(event, &mut frames));
    frames
}

/// Every User of a region, in one caller.
pub fn everybody(world: &World) -> Access {
    let from = Timestamp::from_millis(1_790_000_000_000).expect("a time of this century");
    let claims = TokenClaims {
        subject: "bench".to_owned(),
        user_ids: world.users().iter().map(|user| user.id).take(64).collect(),
        roles: JobTypeRole::new(1).into_iter().collect(),
        valid_from: from,
        expires_at: from.plus_millis(3_600_000),
    };
    let key = DevKey::generate().expect("a key can be made");
    let token = key.mint(&claims).expect("the claims are sound");
    key.gatekeeper().and_then(|g| g.admit(&token, from.plus_millis(1_000))).expect("the token is sound")
}

struct Silent;

impl Progress for Silent {
    fn start(&self, _: u64) {}
    fn advance(&self, _: u64, _: u64) {}
}

/// Ingests every file of a folder into a lake at an address.
pub async fn ingest(folder: &Path, address: &str) -> Lake {
    let lake = Lake::open(LakeSettings::at(address), Clock::system()).await.expect("the lake opens");
    ingest_files(&lake, folder, &FileSettings::default(), Arc::new(Silent))
        .await
        .expect("the files are read");
    lake
}
