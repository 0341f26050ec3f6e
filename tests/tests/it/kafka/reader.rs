//! The reader alone, with an owner whose hand a test guides.

use super::broker::{Topic, topic, until};
use gridtrail_kafka::{Control, Delivery, KafkaError, KafkaSettings, Offsets, Piece, Reader, Sink, Source};
use std::error::Error;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Records before the group changes, and after: the client holds all of them at once.
const RECORDS: i64 = 1_000;
/// In which time the client fetches what was written, takes part in the group, and tells up to where it has fetched.
/// Nothing shows from outside that it did; where it did not, there is nothing to get wrong.
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
    fn start(topic: &Topic, mut take: impl FnMut(Piece) + Send + 'static) -> Self {
        let control = Arc::new(Control::default());
        let sink: Sink = Box::new(move |delivery| {
            match delivery {
                Delivery::Piece(piece) => take(piece),
                Delivery::Drain(answer) => answer.send(()).unwrap(),
            }
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
