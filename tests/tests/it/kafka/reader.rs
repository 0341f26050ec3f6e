//! The reader alone, with an owner whose hand a test guides.

use super::broker::{Topic, kafka, topic};
use crate::support::until;
use gridtrail_kafka::{Control, Delivery, KafkaError, KafkaSettings, Offsets, Piece, Reader, Sink, Source};
use std::error::Error;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Records before the group changes, and after: the client holds all of them at once.
const RECORDS: i64 = 1_000;
/// In which time the client fetches what was written, takes part in the group, and tells up to where it has fetched.
/// Nothing shows from outside that it did (what it logs and counts is told by the poll that the owner holds up); where it did not, there is
/// nothing to get wrong.
const HALT: Duration = Duration::from_millis(2_500);

/// A lake that holds nothing.
struct Nothing;

impl Offsets for Nothing {
    fn next_of(&mut self, sources: &[Arc<Source>]) -> Result<Vec<Option<i64>>, Box<dyn Error + Send + Sync>> {
        Ok(vec![None; sources.len()])
    }
}

/// A member of the topic's group, on a thread of its own.
struct Member {
    control: Arc<Control>,
    reading: JoinHandle<Result<(), KafkaError>>,
}

impl Member {
    /// One whose owner settles at once what it is asked to.
    fn start(topic: &Topic, mut take: impl FnMut(Piece) + Send + 'static) -> Self {
        Self::owned(topic, move |delivery| match delivery {
            Delivery::Piece(piece) => take(piece),
            Delivery::Drain(answer) => answer.send(()).unwrap(),
        })
    }

    fn owned(topic: &Topic, mut take: impl FnMut(Delivery) + Send + 'static) -> Self {
        let control = Arc::new(Control::default());
        let sink: Sink = Box::new(move |delivery| {
            take(delivery);
            Ok(())
        });
        // It hears at once that the group changes.
        let properties = vec![("heartbeat.interval.ms".to_owned(), "100".to_owned())];
        let settings = KafkaSettings { properties, ..topic.settings() };
        let (cluster, of) = (Arc::new(topic.cluster()), Arc::clone(&control));
        let reader = Reader::new(&settings, cluster, of, Box::new(Nothing), sink).unwrap();
        Self { control, reading: std::thread::spawn(|| reader.run()) }
    }

    fn stop(self) {
        self.control.stop();
        self.reading.join().unwrap().unwrap();
    }
}

fn write(topic: &Topic) {
    let publisher = topic.publisher();
    (0..RECORDS).for_each(|_| publisher.send(&topic.name, None, None, b"a record").unwrap());
    publisher.finish().unwrap();
}

/// Records that the client has fetched and not handed on yet are no gap. The client tells up to where it has fetched
/// ahead of them, and news of the group between them.
#[test]
fn records_on_their_way_are_not_passed_over() {
    let Some(topic) = topic("halts", 1).map(Arc::new) else { return };
    let (pieces, others) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
    let (of, to, by) = (Arc::clone(&topic), Arc::clone(&pieces), Arc::clone(&others));
    let one = Member::start(&topic, move |piece| {
        // The first is empty.
        if to.lock().unwrap().is_empty() {
            write(&of);
            std::thread::sleep(HALT);
            by.lock().unwrap().push(Member::start(&of, drop));
            std::thread::sleep(HALT);
            write(&of);
            std::thread::sleep(HALT);
        }
        to.lock().unwrap().push(piece);
    });
    until("all is read", || pieces.lock().unwrap().last().is_some_and(|piece| piece.to == 2 * RECORDS));
    others.lock().unwrap().drain(..).for_each(Member::stop);
    one.stop();
    let pieces = pieces.lock().unwrap();
    let gaps: Vec<_> = pieces.iter().flat_map(|piece| piece.gaps.clone()).collect();
    let records: usize = pieces.iter().map(|piece| piece.records.len()).sum();
    assert_eq!((records as i64, gaps), (2 * RECORDS, Vec::new()));
}

/// Partitions are given up when what was read of them is settled, and not before: nothing that was read is thrown away.
#[test]
fn what_was_read_is_settled_before_partitions_are_given_up() {
    let Some(topic) = topic("drains", 2) else { return };
    write(&topic);
    let (read, asked, others) = (Arc::new(AtomicI64::new(0)), Arc::new(Mutex::new(None)), Arc::default());
    let (to, answers) = (Arc::clone(&read), Arc::clone(&asked));
    let one = Member::owned(&topic, move |delivery| match delivery {
        Delivery::Piece(piece) => _ = to.fetch_add(piece.records.len() as i64, Ordering::AcqRel),
        Delivery::Drain(answer) => drop(answers.lock().unwrap().replace(answer)),
    });
    until("all is read", || read.load(Ordering::Acquire) == RECORDS);
    let of: Arc<Mutex<Vec<Piece>>> = Arc::clone(&others);
    let two = Member::start(&topic, move |piece| of.lock().unwrap().push(piece));
    until("the owner is asked to settle what it has", || asked.lock().unwrap().is_some());
    // The other goes by what the lake has. Were it given the partition by now, it would read it all again.
    assert!(others.lock().unwrap().is_empty());
    let answer: SyncSender<()> = asked.lock().unwrap().take().unwrap();
    answer.send(()).unwrap();
    until("the other has a partition", || !others.lock().unwrap().is_empty());
    two.stop();
    // It is asked again, and there is nobody to answer that matters.
    one.control.stop();
    until("it is asked at its end, too", || asked.lock().unwrap().is_some());
    asked.lock().unwrap().take().unwrap().send(()).unwrap();
    one.reading.join().unwrap().unwrap();
}

/// The group is told how far the lake is, for Kafka's own tools to show, and what it says counts for nothing.
#[test]
fn offsets_of_the_group_are_told_and_never_read() {
    let Some(topic) = topic("telemetry", 1) else { return };
    write(&topic);
    let read = Arc::new(AtomicI64::new(0));
    let count = |read: &Arc<AtomicI64>| {
        let read = Arc::clone(read);
        move |piece: Piece| {
            read.fetch_add(piece.records.len() as i64, Ordering::AcqRel);
        }
    };
    let one = Member::start(&topic, count(&read));
    until("all is read", || read.load(Ordering::Acquire) == RECORDS);
    one.control.committed((topic.name.clone(), 0), RECORDS / 2);
    one.stop();
    let told = described(&topic);
    assert!(told.lines().any(|line| line.contains(&topic.name) && line.contains(" 500 ")), "{told}");
    // The lake still holds nothing.
    let again = Arc::new(AtomicI64::new(0));
    let two = Member::start(&topic, count(&again));
    until("all is read again", || again.load(Ordering::Acquire) == RECORDS);
    two.stop();
}

/// The topic's group as Kafka's own tool describes it.
fn described(topic: &Topic) -> String {
    let tool = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
    kafka(&["run", tool, "--bootstrap-server", &topic.bootstrap, "--describe", "--group", &topic.name])
}
