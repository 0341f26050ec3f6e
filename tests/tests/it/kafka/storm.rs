//! A storm of rebalances: ingesters of one group join, leave, are killed and are paused, while records come.

use super::broker::{Ingester, Known, Topic, futures_now, topic};
use super::proof::assert_proven;
use crate::crash::{Chance, EVENTS, region_of_legs};
use crate::support::{gridtrail, setting, until, verdict};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Ingesters beside the one that stays.
const GUESTS: usize = 3;
/// By how many records the lake moves on before the next thing happens.
const MOVES: i64 = EVENTS as i64 / 20;

/// What happens to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Happens {
    Join,
    Leave,
    Kill,
    Pause,
    /// Past its session, until others have read all that it held.
    PauseLong,
}

/// One of each, and first somebody to do it to.
const DECK: [Happens; 6] =
    [Happens::Join, Happens::PauseLong, Happens::Join, Happens::Leave, Happens::Pause, Happens::Kill];

/// Writes a region to a topic again and again until it is told to stop; then gives the number of records.
struct Publishing {
    stop: Arc<AtomicBool>,
    writing: Option<JoinHandle<u64>>,
}

impl Publishing {
    fn start(topic: &Topic, events: &Path, each: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut publish = gridtrail();
        publish.args(topic.publish_args(events)).args(["--rate", "8000"]).stdout(Stdio::null());
        let asked = Arc::clone(&stop);
        let writing = std::thread::spawn(move || {
            let mut records = 0;
            while records == 0 || !asked.load(Ordering::Acquire) {
                assert!(publish.status().unwrap().success());
                records += each;
            }
            records
        });
        Self { stop, writing: Some(writing) }
    }

    fn stop(mut self) -> u64 {
        self.stop.store(true, Ordering::Release);
        self.writing.take().unwrap().join().unwrap()
    }
}

impl Drop for Publishing {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

/// A group that follows a topic.
struct Group<'a> {
    topic: &'a Topic,
    folder: &'a Path,
    strategy: String,
    known: Known,
    /// Each by its number in the group: one that comes back under its name takes over what that held.
    guests: Vec<(usize, Ingester)>,
    joined: usize,
}

impl<'a> Group<'a> {
    /// The group with the one ingester that stays.
    async fn start(topic: &'a Topic, folder: &'a Path, strategy: &str) -> (Self, Ingester) {
        let lake = folder.join("lake");
        let known = Known::of(&lake).await;
        let strategy = format!("partition.assignment.strategy={strategy}");
        let mut group = Self { topic, folder, strategy, known, guests: Vec::new(), joined: 0 };
        let steady = group.start_one("steady");
        (group, steady)
    }

    fn lake(&self) -> PathBuf {
        self.folder.join("lake")
    }

    /// Starts an ingester, and waits until it has partitions to read.
    fn start_one(&mut self, name: &str) -> Ingester {
        let log = self.folder.join(name);
        let given = || {
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            log.lines().filter(|line| line.contains("partitions given") && !line.ends_with("[]")).count()
        };
        let before = given();
        let set = [&self.strategy, "max.poll.interval.ms=6000", "heartbeat.interval.ms=200"];
        let set = set.into_iter().flat_map(|setting| ["--kafka-set", setting]);
        let more: Vec<&str> =
            ["--batch-rows", "700", "--commit-every", "200"].into_iter().chain(set).collect();
        let started = Ingester::start(self.topic.ingest(&self.lake(), name, &more), &log);
        until("it has partitions to read", || given() > before);
        self.joined += 1;
        started
    }

    fn moves_on(&self) {
        let position = || futures_now(self.known.position(self.topic));
        let before = position();
        until("the lake moves on", || position() >= before + MOVES);
    }

    /// Waits until the lake has what each partition holds now.
    fn catches_up(&self) {
        let (id, ends) = (self.topic.id(), self.topic.ends());
        until("others have read what the paused one held", || {
            let partitions = futures_now(self.known.partitions(&id));
            partitions.iter().zip(&ends).all(|(partition, end)| partition.position >= Some(*end))
        });
    }

    fn join(&mut self) {
        let free = |n: &usize| self.guests.iter().all(|(taken, _)| taken != n);
        let n = (0..).find(free).unwrap();
        let guest = self.start_one(&format!("guest-{n}"));
        self.guests.push((n, guest));
    }

    fn happens(&mut self, what: Happens, chance: &mut Chance) {
        let full = self.guests.len() == GUESTS;
        if self.guests.is_empty() || (what == Happens::Join && !full) {
            self.join();
        }
        let at = usize::try_from(chance.below(self.guests.len() as u64)).unwrap();
        match what {
            Happens::Join if full => self.guests.remove(at).1.stop(),
            Happens::Join => {}
            Happens::Leave => self.guests.remove(at).1.stop(),
            Happens::Kill => {
                let mut killed = self.guests.remove(at).1;
                killed.0.kill().unwrap();
                killed.0.wait().unwrap();
            }
            Happens::Pause => {
                self.guests[at].1.signal("-STOP");
                self.moves_on();
                self.guests[at].1.signal("-CONT");
            }
            Happens::PauseLong => {
                self.guests[at].1.signal("-STOP");
                self.catches_up();
                self.guests[at].1.signal("-CONT");
            }
        }
        self.moves_on();
    }

    /// Waits until all is read, and ends everybody in good order.
    async fn end(self, steady: Ingester) -> Known {
        self.known.has_all_of(self.topic).await;
        self.guests.into_iter().for_each(|(_, guest)| guest.stop());
        steady.stop();
        super::topics::swept(&self.folder.join("lake"));
        self.known
    }
}

/// Shuffles, and deals anew when all are dealt.
fn deal(chance: &mut Chance, rounds: usize) -> Vec<Happens> {
    let mut dealt = DECK.to_vec();
    while dealt.len() < rounds {
        let mut deck = DECK.to_vec();
        for n in (1..deck.len()).rev() {
            deck.swap(n, usize::try_from(chance.below(n as u64 + 1)).unwrap());
        }
        dealt.extend(deck);
    }
    dealt.truncate(rounds);
    dealt
}

#[expect(clippy::print_stdout, reason = "what a proof prints is its figure")]
async fn storm(strategy: &str) {
    let Some(topic) = topic("storm", 6) else { return };
    let seed = setting("GRIDTRAIL_CRASH_SEED", 20_260_303);
    let rounds = setting("GRIDTRAIL_STORM_ROUNDS", 6);
    println!("GRIDTRAIL_CRASH_SEED={seed} GRIDTRAIL_STORM_ROUNDS={rounds}");
    let mut chance = Chance(seed);
    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("events");
    let world = region_of_legs(seed, &events);
    let publishing = Publishing::start(&topic, &events, world.events().count() as u64);
    let (mut group, steady) = Group::start(&topic, folder.path(), strategy).await;
    for what in deal(&mut chance, usize::try_from(rounds).unwrap()) {
        group.happens(what, &mut chance);
    }
    let (records, joined) = (publishing.stop(), group.joined);
    let lake = group.lake();
    let known = group.end(steady).await;
    let verdict = verdict(&world, lake.to_str().unwrap()).await;
    verdict.assert_clean();
    assert_eq!(known.covers_every_offset_once().await, records);
    assert_eq!(assert_proven(&lake, &topic), records);
    println!(
        "{strategy}: {rounds} rounds, {joined} joined, {records} records, {} trails as they must be: 0 lost, 0 doubled, 0 wrong",
        verdict.right
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_cooperative_rebalances_loses_and_doubles_nothing() {
    storm("cooperative-sticky").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_eager_rebalances_loses_and_doubles_nothing() {
    storm("range").await;
}
