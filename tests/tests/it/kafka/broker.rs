//! A topic, an ingester that follows it, and what the lake knows of it.

use crate::support::{PATIENCE, gridtrail, text, until};
use gridtrail_kafka::{Admin, Cluster, KafkaSettings, Publisher, Transactions};
use gridtrail_lake::{Commit, Evidence, Lake, LakeSettings, Partition, SourceEvidence};
use gridtrail_runtime::Clock;
use gridtrail_tests::{repository_root, skipped};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// A topic of a test's own.
pub(crate) struct Topic {
    pub(crate) bootstrap: String,
    pub(crate) name: String,
}

/// A topic at the broker of this test run; `None`, and said so, where there is no broker.
pub(crate) fn topic(test: &str, partitions: i32) -> Option<Topic> {
    topic_with(test, partitions, &[])
}

/// The broker of this test run; `None`, and said so, where there is none.
fn bootstrap(test: &str) -> Option<String> {
    let bootstrap = std::env::var_os("GRIDTRAIL_KAFKA").and_then(|bootstrap| bootstrap.into_string().ok());
    if bootstrap.is_none() {
        skipped(&format!("{test}, for there is no Kafka (scripts/test starts one)"));
    }
    bootstrap
}

/// As [`topic`], with settings of its own.
pub(crate) fn topic_with(test: &str, partitions: i32, settings: &[(&str, &str)]) -> Option<Topic> {
    let topic = Topic::named(bootstrap(test)?, test);
    topic.make_with(partitions, settings);
    Some(topic)
}

impl Topic {
    pub(crate) fn create(bootstrap: String, test: &str, partitions: i32) -> Self {
        let topic = Self::named(bootstrap, test);
        topic.make(partitions);
        topic
    }

    fn named(bootstrap: String, test: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{test}.{}.{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self { bootstrap, name }
    }

    pub(crate) fn make(&self, partitions: i32) {
        self.make_with(partitions, &[]);
    }

    fn make_with(&self, partitions: i32, settings: &[(&str, &str)]) {
        // Deleting takes the broker a moment after it has said so.
        until("the topic is made", || {
            matches!(self.admin().create_topic(&self.name, partitions, settings), Ok(true))
        });
    }

    pub(crate) fn settings(&self) -> KafkaSettings {
        KafkaSettings {
            bootstrap: self.bootstrap.clone(),
            group: self.name.clone(),
            topics: vec![self.name.clone()],
            properties: Vec::new(),
        }
    }

    pub(crate) fn admin(&self) -> Admin {
        Admin::new(&self.settings()).unwrap()
    }

    pub(crate) fn publisher(&self) -> Publisher {
        Publisher::new(&self.settings()).unwrap()
    }

    pub(crate) fn transactions(&self, name: &str) -> Transactions {
        Transactions::new(&self.settings(), &format!("{}.{name}", self.name)).unwrap()
    }

    pub(crate) fn cluster(&self) -> Cluster {
        Cluster::connect(&self.settings(), PATIENCE).unwrap()
    }

    /// Writes event files to it, as `gridtrail publish` does.
    pub(crate) fn publish(&self, events: &Path) {
        let output = gridtrail().args(self.publish_args(events)).output().unwrap();
        // A broker that has just started may have to be asked twice, which the client logs.
        assert!(output.status.success(), "{}", text(&output.stderr));
    }

    pub(crate) fn publish_args<'a>(&'a self, events: &'a Path) -> Vec<&'a str> {
        vec!["publish", events.to_str().unwrap(), "--kafka", &self.bootstrap, "--topic", &self.name]
    }

    pub(crate) fn id(&self) -> String {
        self.cluster().topics(std::slice::from_ref(&self.name)).unwrap().remove(0).id
    }

    /// The offsets behind the last records, of all partitions together.
    pub(crate) fn records(&self) -> i64 {
        self.ends().iter().sum()
    }

    /// The offsets behind the last records of the partitions, in turn.
    pub(crate) fn ends(&self) -> Vec<i64> {
        let cluster = self.cluster();
        let ask = || {
            let partitions = cluster.topics(std::slice::from_ref(&self.name)).ok()?.first()?.partitions;
            let all: Vec<_> = (0..partitions).map(|p| (self.name.clone(), p)).collect();
            let ends = cluster.ends(&all).ok()?;
            Some(all.iter().map(|partition| ends[partition].readable).collect())
        };
        // A broker that has just started may not lead its partitions yet.
        let mut ends = None;
        until("the broker says where partitions end", || {
            ends = ask();
            ends.is_some()
        });
        ends.unwrap()
    }

    /// An ingest that follows it. `instance` is its name in the group: started again under the same name, it takes
    /// over at once from one that was killed.
    pub(crate) fn ingest(&self, lake: &Path, instance: &str, more: &[&str]) -> Command {
        let mut command = gridtrail();
        let lake = lake.to_str().unwrap();
        command.args(["ingest", "--kafka", &self.bootstrap, "--topic", &self.name, "--group", &self.name]);
        command.args([
            "--lake",
            lake,
            "--kafka-set",
            &format!("group.instance.id={instance}"),
            "--format",
            "json",
        ]);
        command.args(["--kafka-set", "session.timeout.ms=6000"]).args(more);
        if !more.contains(&"--commit-every") {
            command.args(["--commit-every", "50"]);
        }
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    /// Follows it to its end, and gives the report.
    pub(crate) fn ingest_once(&self, lake: &Path, instance: &str) -> serde_json::Value {
        let child = self.ingest(lake, instance, &["--once"]).stdout(Stdio::piped()).spawn().unwrap();
        let id = child.id().to_string();
        let (done, ended) = channel();
        std::thread::spawn(move || done.send(child.wait_with_output()));
        let output = ended.recv_timeout(PATIENCE).unwrap_or_else(|_| {
            let _ = Command::new("kill").args(["-KILL", &id]).status();
            panic!("it does not come to the end of the topic")
        });
        let output = output.unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

/// An ingest in the background, killed when the test ends.
pub(crate) struct Ingester(pub(crate) Child, PathBuf, usize);

impl Ingester {
    pub(crate) fn start(mut command: Command, log: &Path) -> Self {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        // Several write to one log, one after the other.
        let before = std::fs::metadata(log).map_or(0, |log| usize::try_from(log.len()).unwrap());
        Self(command.stderr(file).spawn().unwrap(), log.to_owned(), before)
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.0.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    /// Asks it to stop, and waits for a good end.
    pub(crate) fn stop(mut self) {
        // Before that it has no ear for the request, and dies of it like any process.
        until("it has begun to follow", || {
            let log = std::fs::read(&self.1).unwrap_or_default();
            text(log.get(self.2..).unwrap_or_default()).contains("following")
        });
        self.signal("-TERM");
        let status = self.0.wait().unwrap();
        assert!(status.success(), "an ingest that is asked to stop ends well: {status}");
    }
}

impl Drop for Ingester {
    #[expect(clippy::print_stdout, reason = "a test that fails shows the log")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", std::fs::read_to_string(&self.1).unwrap_or_default());
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A broker of a test's own.
pub(crate) struct Broker {
    folder: PathBuf,
    pub(crate) bootstrap: String,
}

impl Broker {
    /// Starts one; `None`, and said so, where this test run has no brokers.
    pub(crate) fn start(test: &str, folder: &Path) -> Option<Self> {
        bootstrap(test)?;
        let folder = folder.to_owned();
        let id = std::process::id().to_string();
        let out = kafka(&["start", "--dir", folder.to_str().unwrap(), "--with-pid", &id]);
        Some(Self { folder, bootstrap: out.trim().to_owned() })
    }

    pub(crate) fn kill(&self) {
        kafka(&["kill", self.folder.to_str().unwrap()]);
    }

    pub(crate) fn restart(&self) {
        kafka(&["restart", self.folder.to_str().unwrap()]);
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let script = repository_root().join("scripts/kafka");
        let _ = Command::new(script).arg("kill").arg(&self.folder).output();
    }
}

/// Runs `scripts/kafka`, and gives what it prints.
pub(crate) fn kafka(args: &[&str]) -> String {
    let output = Command::new(repository_root().join("scripts/kafka")).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// Waits for a future in the middle of a condition.
pub(crate) fn futures_now<T>(future: impl Future<Output = T>) -> T {
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(future))
}

/// What a lake knows of the topics that it follows.
pub(crate) struct Known(pub(crate) Lake);

impl Known {
    pub(crate) async fn of(lake: &Path) -> Self {
        Self(Lake::open(LakeSettings::at(lake.to_str().unwrap()), Clock::system()).await.unwrap())
    }

    /// The offsets that are read next, of all partitions of a topic together.
    pub(crate) async fn position(&self, topic: &Topic) -> i64 {
        self.partitions(&topic.id()).await.iter().filter_map(|p| p.position).sum()
    }

    /// The partitions of the topic of an id, in turn, as the lake knows them now.
    pub(crate) async fn partitions(&self, id: &str) -> Vec<Partition> {
        self.0.refresh().await.unwrap();
        self.0.snapshot().partitions().iter().filter(|p| p.stream.id == id).cloned().collect()
    }

    /// Waits until the lake has all that a topic holds.
    pub(crate) async fn has_all_of(&self, topic: &Topic) {
        let (wanted, began) = (topic.records(), Instant::now());
        loop {
            let position = self.position(topic).await;
            if position >= wanted {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "the lake is at {position} of {wanted}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// All evidence of topics, in order. It must be whole.
    pub(crate) async fn evidence(&self) -> Vec<SourceEvidence> {
        let mut all = Vec::new();
        let mut take = |commit: Commit| {
            for source in commit.sources {
                match source {
                    Evidence::Whole(evidence) => all.push(*evidence),
                    Evidence::Broken(text) => panic!("version {}: {text}", commit.version),
                }
            }
        };
        self.0.evidence(&mut take).await.unwrap();
        all
    }

    /// Checks that the evidence covers every offset of every partition exactly once. Returns how many records.
    pub(crate) async fn covers_every_offset_once(&self) -> u64 {
        let mut at = std::collections::HashMap::new();
        let mut records = 0;
        for evidence in self.evidence().await.into_iter().filter(|e| e.source.starts_with("kafka:")) {
            let next = at.entry(evidence.source.clone()).or_insert(0);
            assert_eq!(
                (evidence.from, evidence.first),
                (*next, *next == 0 && evidence.first),
                "{evidence:#?}"
            );
            assert_eq!((evidence.to - evidence.from) as u64, evidence.records + evidence.skipped_count());
            assert_eq!(evidence.records, evidence.stored + evidence.parked + evidence.dead_lettered);
            *next = evidence.to;
            records += evidence.records;
        }
        records
    }
}
