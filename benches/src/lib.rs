//! What the benches share: a small region's events, and a lake of them.

#![allow(clippy::expect_used, reason = "a bench that cannot go on stops")]

use gridtrail_access::{Access, Admission, Bearer, DevKey, JobTypeRole, OrgId, Party, Sharing};
use gridtrail_codec::encode_frame;
use gridtrail_ingest::{FileSettings, Progress, ingest_files};
use gridtrail_lake::{Lake, LakeSettings};
use gridtrail_model::{Event, Timestamp, UserId};
use gridtrail_runtime::Clock;
use gridtrail_synth::{Settings, World};
use std::collections::BTreeSet;
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
    caller_of(world.users().iter().map(|user| user.id).take(64).collect())
}

/// A caller of some User IDs.
pub fn caller_of(user_ids: BTreeSet<UserId>) -> Access {
    let from = Timestamp::from_millis(1_790_000_000_000).expect("a time of this century");
    let claims = Bearer {
        subject: "bench".to_owned(),
        party: "region".parse().expect("the name of a Party"),
        org_id: OrgId::All,
        user_ids,
        roles: JobTypeRole::new(1).into_iter().collect(),
        valid_from: from,
        expires_at: from.plus_millis(3_600_000),
    };
    let key = DevKey::generate().expect("a key can be made");
    key.access(&claims).expect("the claims are sound")
}

/// A caller whose Party has so many User IDs, of which this is one: who admits them, their token, and a time at which it holds.
pub fn caller(first: UserId, count: u16) -> (Admission, String, Timestamp) {
    let now = Timestamp::from_millis(1_790_000_000_000).expect("a time of this century");
    let party: Party = "region".parse().expect("the name of a Party");
    let others =
        (1..count).map(|n| UserId::from_bytes([1, 2, 3, 4, 5, 6, n.to_be_bytes()[0], n.to_be_bytes()[1]]));
    let sharing = Sharing::of_one(&party, &others.chain([first]).collect());
    let key = DevKey::generate().expect("a key can be made");
    let claims = Bearer {
        subject: "bench".to_owned(),
        party,
        org_id: OrgId::GrantedOnly,
        user_ids: BTreeSet::new(),
        roles: JobTypeRole::new(1).into_iter().collect(),
        valid_from: now,
        expires_at: now.plus_millis(3_600_000),
    };
    let token = key.mint(&claims).expect("the claims are sound");
    (Admission::new(key.gatekeeper().expect("the key is sound"), Arc::new(sharing)), token, now)
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
