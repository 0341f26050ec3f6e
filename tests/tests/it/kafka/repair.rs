//! Damaged runs get their rows back from the topic that they came from. What cannot be read again is told.

use super::broker::topic;
use super::proof::{assert_proven, last_event};
use crate::crash::region_of_legs;
use crate::support::{run, succeed, text, verdict, verified};
use std::path::{Path, PathBuf};

/// The runs of trails, those included that compaction took out and nobody deleted yet.
fn runs(lake: &Path) -> Vec<PathBuf> {
    let months = std::fs::read_dir(lake.join("trails")).unwrap().map(|entry| entry.unwrap().path());
    let folders = months.filter(|path| path.is_dir() && !path.ends_with("_delta_log"));
    let files =
        folders.flat_map(|folder| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    files.filter(|path| path.extension().is_some_and(|extension| extension == "parquet")).collect()
}

/// Changes one bit of the first page of a run.
fn flip(run: &Path) {
    let mut bytes = std::fs::read(run).unwrap();
    bytes[60] ^= 4;
    std::fs::write(run, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_runs_get_their_rows_back_from_the_topic() {
    let Some(topic) = topic("repair", 2) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (events, lake) = (folder.path().join("events"), folder.path().join("lake"));
    let lake_text = lake.to_str().unwrap();
    let world = region_of_legs(54, &events);
    // One event comes as poison first. A replay that mends it does not keep the bytes that it read; the event comes once more.
    let (_, json) = last_event(&world);
    let publisher = topic.publisher();
    let poison = json.replacen("recordedAt", "recorded", 1);
    publisher.send(&topic.name, Some(b"key"), Some("application/json"), poison.as_bytes()).unwrap();
    assert_eq!(publisher.finish().unwrap(), 1);
    topic.publish(&events);
    topic.ingest(&lake, "one", &["--once", "--batch-rows", "5000"]).output().unwrap();
    let mended = folder.path().join("mended.json");
    std::fs::write(&mended, &json).unwrap();
    let letters = succeed(&["dead-letters", "list", "--lake", lake_text, "--format", "json"]);
    let letters: serde_json::Value = serde_json::from_str(&letters).unwrap();
    let letter = &letters["letters"][0];
    let letter = format!("{}@{}", letter["source"].as_str().unwrap(), letter["position"]);
    succeed(&["dead-letters", "replay", &letter, "--with", mended.to_str().unwrap(), "--lake", lake_text]);
    succeed(&["lake", "compact", "--full", "--lake", lake_text]);
    verdict(&world, lake_text).await.assert_clean();

    let files = runs(&lake);
    assert!(files.len() > 3);
    files.iter().rev().take(3).for_each(|file| flip(file));
    let repair = |more: &[&str]| {
        let fixed = ["lake", "repair", "--lake", lake_text, "--kafka", &topic.bootstrap, "--format", "json"];
        let output = run(&[&fixed, more].concat());
        let said = serde_json::from_slice::<serde_json::Value>(&output.stdout);
        (output.status.code(), said.unwrap_or_else(|_| text(&output.stderr).into()))
    };
    let lost = |said: &serde_json::Value| -> Vec<(String, u64)> {
        let lost = said.as_array().unwrap().iter().flat_map(|run| run["lost"].as_array().unwrap());
        lost.map(|lost| (lost["source"].as_str().unwrap().into(), lost["records"].as_u64().unwrap()))
            .collect()
    };
    let (code, said) = repair(&[]);
    assert_eq!(code, Some(8), "{said:#}");
    let all_of_letters =
        |lost: &[(String, u64)]| lost.iter().all(|it| it.0.starts_with("letters:") && it.1 == 1);
    assert!(!lost(&said).is_empty() && all_of_letters(&lost(&said)), "{said:#}");
    let (code, said) = repair(&["--accept-loss"]);
    assert_eq!(code, Some(0), "{said:#}");
    assert!(all_of_letters(&lost(&said)), "{said:#}");
    let replaced = said.as_array().unwrap();
    assert!(!replaced.is_empty() && replaced.iter().all(|run| run["rows"].is_u64()), "{said:#}");
    verdict(&world, lake_text).await.assert_clean();
    verified(lake_text);
    assert_proven(&lake, &topic);

    // The runs that took their places.
    let repaired: Vec<PathBuf> =
        runs(&lake).into_iter().filter(|file| !files.contains(file)).take(1).collect();

    // What the topic let go is told, too, and the run stays damaged.
    topic.admin().delete_records(&topic.name, 0, 1_000).unwrap();
    repaired.iter().for_each(|file| flip(file));
    let (code, said) = repair(&[]);
    assert_eq!(code, Some(8), "{said:#}");
    let gone =
        lost(&said).into_iter().any(|(source, records)| source.starts_with("kafka:") && records >= 1_000);
    assert!(gone, "{said:#}");
    assert_eq!(run(&["lake", "verify", "--lake", lake_text]).status.code(), Some(8));
}
