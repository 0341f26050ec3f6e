//! A file that came cut short, and then whole: its dead letters are settled, and no other file's are.

use super::{Silent, counters, ingest, lake, received};
use gridtrail_codec::{encode_frame, encode_json};
use gridtrail_ingest::{FileSettings, Progress, ingest_files};
use gridtrail_lake::{Fate, Lake};
use std::path::Path;
use std::sync::{Arc, Mutex};

fn lines(count: u64) -> Vec<u8> {
    (1..=count).flat_map(|n| format!("{}\n", encode_json(&received(n))).into_bytes()).collect()
}

fn frames(count: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    (1..=count).for_each(|n| encode_frame(&received(n), &mut bytes));
    bytes
}

/// How many letters are open.
async fn open(lake: &Lake) -> usize {
    let fates = lake.letter_fates().await.unwrap();
    let letters = lake.dead_letters().await.unwrap().rest().await.unwrap();
    letters.iter().filter(|one| fates.of(&one.source, one.position) == Some(Fate::Open)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_file_settles_what_its_cut_delivery_left() {
    for (name, whole) in [("a.jsonl", lines(20)), ("a.binpb", frames(20))] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        let lake = lake().await;
        let settings = FileSettings::default();
        std::fs::write(&path, &whole[..whole.len() - 10]).unwrap();
        ingest(&lake, &path, &settings).await.unwrap();
        assert_eq!((open(&lake).await, counters(&lake).await.len()), (1, 19), "{name}");
        // Another file that begins otherwise settles nothing, be it as long as one likes.
        let other = folder.path().join(format!("b{}", &name[1..]));
        std::fs::write(&other, [&whole[whole.len() / 2..], &whole[..]].concat()).unwrap();
        ingest(&lake, &other, &settings).await.unwrap();
        let left = open(&lake).await;
        assert!(left >= 1, "{name}");
        // Under another name: what it is, its content says.
        let again = folder.path().join(format!("c{}", &name[1..]));
        std::fs::write(&again, &whole).unwrap();
        ingest(&lake, &again, &settings).await.unwrap();
        assert_eq!((open(&lake).await, counters(&lake).await.len()), (left - 1, 20), "{name}");
    }
}

/// What was read of each file.
#[derive(Default)]
struct FilesRead(Mutex<Vec<(String, u64, u64)>>);

impl Progress for FilesRead {
    fn start(&self, _: u64) {}
    fn advance(&self, _: u64, _: u64) {}
    fn file_read(&self, path: &Path, read: u64, unread: u64) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        self.0.lock().unwrap().push((name, read, unread));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn how_much_of_each_file_could_be_read_is_told() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.jsonl"), lines(3)).unwrap();
    std::fs::write(folder.path().join("b.jsonl"), "no event\nnor this\n").unwrap();
    std::fs::write(folder.path().join("c.jsonl"), [lines(1), b"no event\n".to_vec()].concat()).unwrap();
    let told = Arc::new(FilesRead::default());
    let progress: Arc<dyn Progress> = told.clone();
    ingest_files(&lake().await, folder.path(), &FileSettings::default(), progress).await.unwrap();
    let told = told.0.lock().unwrap();
    let expected = [("a.jsonl", 3, 0), ("b.jsonl", 0, 2), ("c.jsonl", 1, 1)];
    assert_eq!(*told, expected.map(|(name, read, unread)| (name.to_owned(), read, unread)));
}

/// Ends after so many pieces were asked for.
struct Until(Mutex<u32>);

impl Progress for Until {
    fn start(&self, _: u64) {}
    fn advance(&self, _: u64, _: u64) {}
    fn go_on(&self) -> bool {
        let mut left = self.0.lock().unwrap();
        *left = left.saturating_sub(1);
        *left > 0
    }
}

/// What is told to stop commits what it read, and the next run goes on from there.
#[tokio::test(flavor = "multi_thread")]
async fn an_ingest_that_is_stopped_commits_what_it_read() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("1.jsonl"), folder.path().join("2.jsonl"));
    std::fs::write(one, lines(5)).unwrap();
    std::fs::write(two, format!("{}\n", encode_json(&received(6)))).unwrap();
    let lake = lake().await;
    // The first file is one piece, and then its end is asked for.
    let until: Arc<dyn Progress> = Arc::new(Until(Mutex::new(3)));
    let stopped = ingest_files(&lake, folder.path(), &FileSettings::default(), until).await.unwrap();
    assert_eq!((stopped.files, stopped.outcome.stored, stopped.commits), (1, 5, 1));
    lake.refresh().await.unwrap();
    assert_eq!(counters(&lake).await, [1, 2, 3, 4, 5]);
    let rest = ingest_files(&lake, folder.path(), &FileSettings::default(), Arc::new(Silent)).await.unwrap();
    assert_eq!((rest.files, rest.outcome.stored), (1, 1));
}
