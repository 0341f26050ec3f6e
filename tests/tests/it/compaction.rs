//! A compaction that is killed at any moment, any number of times, loses, doubles and changes nothing.
//!
//! The moments come from a seed, as in [`crate::crash`]. `GRIDTRAIL_COMPACTION_KILLS` raises their number.

use crate::crash::{Chance, kill_within, region};
use crate::support::{assert_inventory, gridtrail, setting, succeed, verdict, verified};
use gridtrail_codec::encode_inventory_frame;
use serde_json::Value;
use std::path::Path;
use std::process::Stdio;

/// A kill comes before so many more files: as many as a compaction of this lake writes.
const FILES: u64 = 8;

/// A copy of a folder.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compaction_may_be_killed_at_any_moment() {
    let kills = setting("GRIDTRAIL_COMPACTION_KILLS", 6);
    let seed = setting("GRIDTRAIL_CRASH_SEED", 20_260_301);
    println!("GRIDTRAIL_CRASH_SEED={seed} GRIDTRAIL_COMPACTION_KILLS={kills}");
    let mut chance = Chance(seed);
    let folder = tempfile::tempdir().unwrap();
    let (events, before) = (folder.path().join("events"), folder.path().join("before"));
    let world = region(seed, &events);
    let mut frames = Vec::new();
    world.inventory_events().for_each(|event| encode_inventory_frame(&event, &mut frames));
    std::fs::write(events.join("a.inventory.binpb"), frames).unwrap();
    succeed(&["ingest", events.to_str().unwrap(), "--lake", before.to_str().unwrap(), "--batch-rows", "700"]);
    let (mut killed, mut rounds) = (0, 0);
    while killed < kills {
        rounds += 1;
        let at = folder.path().join(format!("lake-{rounds}"));
        copy(&before, &at);
        let lake = at.to_str().unwrap();
        // In small steps, by turns of what is due and of all that there is; the memory makes several passes of a flush.
        let full = rounds % 2 == 0;
        let mut args = vec!["compact", "--lake", lake, "--compaction-memory", "64", "--format", "json"];
        args.extend(full.then_some("--full"));
        while killed < kills {
            let compaction =
                gridtrail().args(&args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
            if !kill_within(FILES, compaction, &at, &mut chance) {
                break;
            }
            killed += 1;
            verified(lake);
        }
        succeed(&["compact", "--full", "--lake", lake]);
        verdict(&world, lake).await.assert_clean();
        assert_inventory(&world, lake).await;
        verified(lake);
        let proof = succeed(&["reconcile", "--lake", lake, "--format", "json"]);
        assert_eq!(serde_json::from_str::<Value>(&proof).unwrap()["clean"], true, "{proof}");
        std::fs::remove_dir_all(&at).unwrap();
    }
    println!(
        "{killed} kills of compaction in {rounds} lakes: every lake verified after each, 0 trails lost, doubled or wrong"
    );
}
