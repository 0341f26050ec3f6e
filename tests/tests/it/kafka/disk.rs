//! A lake on a disk that fills up.

use super::broker::{Ingester, Known, topic};
use super::proof::assert_proven;
use crate::crash::region_of_legs;
use crate::support::{until, verdict};
use gridtrail_tests::skipped;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Holds some commits of the lake, and not all of them.
const SMALL: &str = "size=400k";
const LARGE: &str = "size=512m";

/// A file system in memory.
struct Disk {
    at: PathBuf,
    /// Unmounts it when its standard input ends, which it does however this process ends.
    unmounts: Child,
}

impl Disk {
    /// Mounts one; `None`, and said so, where that is not permitted.
    fn mount(at: &Path, size: &str) -> Option<Self> {
        std::fs::create_dir(at).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", size, "tmpfs"]).arg(at).output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            skipped("a_full_disk_loses_nothing, for mounting a file system is not permitted here");
            return None;
        }
        let unmount = Command::new("sh")
            .args(["-c", "cat >/dev/null; exec umount -l \"$0\""])
            .arg(at)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        Some(Self { at: at.to_owned(), unmounts: unmount })
    }

    fn resize(&self, size: &str) {
        let options = format!("remount,{size}");
        assert!(Command::new("mount").args(["-o", &options]).arg(&self.at).status().unwrap().success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(self.unmounts.stdin.take());
        let _ = self.unmounts.wait();
    }
}

/// A disk that is full is told of and waited for: nothing is lost, and what is there can be read; with room again, all is
/// taken in.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_loses_nothing() {
    let Some(topic) = topic("full", 2) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (events, log) = (folder.path().join("events"), folder.path().join("log"));
    let Some(disk) = Disk::mount(&folder.path().join("disk"), SMALL) else { return };
    let lake = disk.at.join("lake");
    let world = region_of_legs(41, &events);
    let mut ingest = Ingester::start(topic.ingest(&lake, "one", &["--batch-rows", "700"]), &log);
    topic.publish(&events);
    let failures = || std::fs::read_to_string(&log).unwrap().matches("No space left on device").count();
    // One that is tried again and again.
    until("the log says that the disk is full", || failures() >= 4);
    let known = Known::of(&lake).await;
    let position = known.position(&topic).await;
    assert!(0 < position && position < topic.records(), "{position} of {}", topic.records());
    assert!(known.covers_every_offset_once().await > 0);
    let told = std::fs::read_to_string(&log).unwrap();
    assert!(told.contains("a batch was not committed; it is read again"), "{told}");
    assert!(!told.contains("panicked"), "{told}");
    assert!(ingest.0.try_wait().unwrap().is_none(), "it goes on trying: {told}");
    disk.resize(LARGE);
    known.has_all_of(&topic).await;
    ingest.stop();
    super::topics::swept(&lake);
    verdict(&world, lake.to_str().unwrap()).await.assert_clean();
    assert_eq!(known.covers_every_offset_once().await, world.events().count() as u64);
    assert_eq!(assert_proven(&lake, &topic), world.events().count() as u64);
}
