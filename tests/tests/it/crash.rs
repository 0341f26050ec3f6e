//! An ingest that is killed at any moment, any number of times, loses, doubles and changes nothing.
//!
//! The moments come from a seed, counted in files that the ingest has written and not in time: so they fall into every
//! step of a commit alike, on fast machines and slow ones. `GRIDTRAIL_KILLS` raises their number,
//! `GRIDTRAIL_CRASH_SEED` repeats a run.

use crate::support::{gridtrail, run, setting, succeed, text, until, verdict};
use gridtrail_codec::encode_frame;
use gridtrail_synth::{Settings, World};
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Command, Stdio};

pub(crate) const EVENTS: u64 = 40_000;
const DAYS: u32 = 10;
/// Small batches, so that there are many commits to fall into.
const BATCH_ROWS: &str = "700";
/// A kill comes after at most so many more files: those of about three batches.
const FILES_BETWEEN_KILLS: u64 = 24;
/// And then after at most so many more looks at the folder, so that it falls between two files too.
const LOOKS_AFTER: u64 = 30;

/// Numbers from a seed (SplitMix64).
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// A region with everything that may go wrong in delivery, and its events in a folder.
pub(crate) fn region(seed: u64, folder: &Path) -> World {
    let (seed_text, events, days) = (seed.to_string(), EVENTS.to_string(), DAYS.to_string());
    let out = folder.to_str().unwrap();
    succeed(&[
        "generate",
        "--out",
        out,
        "--events",
        &events,
        "--days",
        &days,
        "--seed",
        &seed_text,
        "--disorder",
    ]);
    // Who shares with whom has tests of its own, and a topic of its own where events go to one.
    std::fs::remove_file(folder.join("parties.access.jsonl")).unwrap();
    World::seeded(seed, Settings::for_events(EVENTS, DAYS).with_disorder()).unwrap()
}

/// As [`region`], but every event says of which leg it is. An answer that does not, and comes between the legs of its
/// request, goes to the one that is on record when its batch ends; and batches of a topic end anywhere.
pub(crate) fn region_of_legs(seed: u64, folder: &Path) -> World {
    let settings = Settings { bare_responses_ppm: 0, ..Settings::for_events(EVENTS, DAYS).with_disorder() };
    let world = World::seeded(seed, settings).unwrap();
    let mut frames = Vec::new();
    world.events().for_each(|event| encode_frame(&event, &mut frames));
    std::fs::create_dir(folder).unwrap();
    std::fs::write(folder.join("events.binpb"), frames).unwrap();
    world
}

fn ingest_args<'a>(events: &'a str, lake: &'a str) -> [&'a str; 8] {
    ["ingest", events, "--lake", lake, "--batch-rows", BATCH_ROWS, "--format", "json"]
}

/// Every file below a folder, those that are still being written included.
fn files_below(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => files_below(&entry.path()),
            _ => 1,
        })
        .sum()
}

/// Kills an ingest at a moment of chance. Whether it was alive by then.
pub(crate) fn kill(ingest: Child, lake: &Path, chance: &mut Chance) -> bool {
    kill_within(FILES_BETWEEN_KILLS, ingest, lake, chance)
}

/// Kills a process at a moment of chance, before it has written so many files more. Whether it was alive by then.
pub(crate) fn kill_within(files: u64, mut process: Child, lake: &Path, chance: &mut Chance) -> bool {
    let enough = files_below(lake) + chance.below(files);
    let mut looks = chance.below(LOOKS_AFTER);
    loop {
        if process.try_wait().unwrap().is_some() {
            let output = process.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", text(&output.stderr));
            return false;
        }
        if files_below(lake) >= enough {
            if looks == 0 {
                // SIGKILL: nothing of the process runs after it.
                process.kill().unwrap();
                process.wait().unwrap();
                return true;
            }
            looks -= 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ingest_may_be_killed_at_any_moment() {
    let kills = setting("GRIDTRAIL_KILLS", 5);
    let seed = setting("GRIDTRAIL_CRASH_SEED", 20_260_301);
    println!("GRIDTRAIL_CRASH_SEED={seed} GRIDTRAIL_KILLS={kills}");
    let mut chance = Chance(seed);
    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("events");
    let world = region(seed, &events);
    let (mut killed, mut rounds, mut right) = (0, 0, 0);
    while killed < kills {
        rounds += 1;
        let lake = folder.path().join(format!("lake-{rounds}"));
        let args = ingest_args(events.to_str().unwrap(), lake.to_str().unwrap());
        while killed < kills {
            let ingest = gridtrail().args(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
            if !kill(ingest, &lake, &mut chance) {
                break;
            }
            killed += 1;
        }
        let last = run(&args);
        assert!(last.status.success(), "round {rounds}: {}", text(&last.stderr));
        let verdict = verdict(&world, lake.to_str().unwrap()).await;
        verdict.assert_clean();
        right += verdict.right;
        std::fs::remove_dir_all(&lake).unwrap();
    }
    println!("{killed} kills in {rounds} lakes: {right} trails as they must be, 0 lost, 0 doubled, 0 wrong");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_uninterrupted_ingest_is_whole_and_a_second_one_reads_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (events, lake) = (folder.path().join("events"), folder.path().join("lake"));
    let world = region(7, &events);
    let args = ingest_args(events.to_str().unwrap(), lake.to_str().unwrap());
    let report = |out: String| -> serde_json::Value { serde_json::from_str(&out).unwrap() };
    let first = report(succeed(&args));
    assert!(first["commits"].as_u64().unwrap() > 5, "{first:#}");
    assert_eq!((&first["dead_lettered"], &first["waiting"]), (&0.into(), &0.into()), "{first:#}");
    assert_eq!(first["records"].as_u64().unwrap(), world.events().count() as u64);
    verdict(&world, lake.to_str().unwrap()).await.assert_clean();
    // The comparison can fail: held against another region, everything is lost.
    let other = World::seeded(8, Settings::for_events(2_000, 1)).unwrap();
    let other = verdict(&other, lake.to_str().unwrap()).await;
    assert!(other.right == 0 && other.lost.len() > 100, "{other:?}");
    let second = report(succeed(&args));
    for field in ["files", "bytes", "records", "commits"] {
        assert_eq!(second[field], 0, "{field}: {second:#}");
    }
    assert_eq!(second["lake"], first["lake"]);
}

/// A signal ends an ingest in good order: it says what it committed, and the next one goes on from there.
#[tokio::test(flavor = "multi_thread")]
async fn an_ingest_that_is_interrupted_says_what_it_committed() {
    let folder = tempfile::tempdir().unwrap();
    let (events, lake) = (folder.path().join("events"), folder.path().join("lake"));
    let world = region_of_legs(23, &events);
    // Many files: what is begun is read to its end.
    std::fs::remove_file(events.join("events.binpb")).unwrap();
    let all: Vec<_> = world.events().collect();
    for (number, events_of_file) in all.chunks(1_000).enumerate() {
        let mut frames = Vec::new();
        events_of_file.iter().for_each(|event| encode_frame(event, &mut frames));
        std::fs::write(events.join(format!("{number:03}.binpb")), frames).unwrap();
    }
    let (events, lake) = (events.to_str().unwrap(), lake.to_str().unwrap());
    let mut command = gridtrail();
    command.args(ingest_args(events, lake)).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ingest = command.spawn().unwrap();
    // From its first commit on it has an ear for signals, and most is still to come.
    until("it has committed", || {
        Path::new(lake).join("trails/_delta_log/00000000000000000002.json").exists()
    });
    let id = ingest.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let output = ingest.wait_with_output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("what was read until then is in the lake"), "{said}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let read = report["records"].as_u64().unwrap();
    assert!(read > 0 && read < all.len() as u64, "{report:#}");
    let rest: Value = serde_json::from_str(&succeed(&ingest_args(events, lake))).unwrap();
    assert_eq!(read + rest["records"].as_u64().unwrap(), all.len() as u64, "{rest:#}");
    verdict(&world, lake).await.assert_clean();
}
