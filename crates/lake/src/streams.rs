//! Streams: topics whose partitions are sources that never end, and how far each is complete.
//!
//! The marks of the main table say it all: `stream/<cluster>/<topic>/<topic id>` how many partitions a topic has, and
//! `complete/<source>` up to when one of them is complete. Marks only grow, so any number of ingesters may write them.

use gridtrail_model::Timestamp;
use gridtrail_runs::Log;

/// The mark that says how far file sources are complete.
pub(crate) const MARK_FILES: &str = "mark/files";

/// What a stream's mark says once another topic has taken its name: larger than any number of partitions.
const RETIRED: i64 = i64::MAX;

/// A topic, as a cluster knows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stream {
    /// The cluster's id.
    pub cluster: String,
    /// The topic's name.
    pub topic: String,
    /// The topic's id: a topic that was deleted and created again has another one.
    pub id: String,
    /// How many partitions it has.
    pub partitions: i32,
}

impl Stream {
    /// The source that one partition is.
    pub fn source(&self, partition: i32) -> String {
        format!("kafka:{}:{}:{partition}", self.cluster, self.id)
    }

    fn prefix(&self) -> String {
        format!("stream/{}/{}/", self.cluster, self.topic)
    }

    fn mark(&self) -> String {
        format!("{}{}", self.prefix(), self.id)
    }
}

/// One partition of a stream, as the lake knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// The topic.
    pub stream: Stream,
    /// The partition's number.
    pub partition: i32,
    /// The offset that is read next; `None` when nothing was read.
    pub position: Option<i64>,
    /// Everything that the partition held at this time is in the lake. `None` when that was never so.
    pub complete_up_to: Option<Timestamp>,
}

/// The mark that says up to when a source is complete.
pub(crate) fn complete_mark(source: &str) -> String {
    format!("complete/{source}")
}

/// What to write so that the lake knows of these streams: nothing where it does. A stream of a name that had another
/// id retires that other one.
pub(crate) fn marks(known: &Log, streams: &[Stream]) -> Vec<(String, i64)> {
    let mut marks = Vec::new();
    for stream in streams {
        let own = stream.mark();
        let at = known.number(&own);
        if at.is_none() {
            let prefix = stream.prefix();
            let before =
                known.numbers_starting_with(&prefix).filter(|(_, partitions)| *partitions != RETIRED);
            marks.extend(before.map(|(mark, _)| (mark.to_owned(), RETIRED)));
        }
        if at.is_none_or(|partitions| partitions < i64::from(stream.partitions)) {
            marks.push((own, stream.partitions.into()));
        }
    }
    marks
}

/// The ids that a topic's name had before, as far as the lake knows, without the one it has now.
pub(crate) fn other_ids(known: &Log, stream: &Stream) -> Vec<String> {
    let prefix = stream.prefix();
    let ids = known.numbers_starting_with(&prefix).map(|(mark, _)| mark[prefix.len()..].to_owned());
    ids.filter(|id| *id != stream.id).collect()
}

/// Every partition of every stream that is read, in order of topic.
pub(crate) fn partitions(known: &Log) -> Vec<Partition> {
    let mut all = Vec::new();
    for (mark, count) in known.numbers_starting_with("stream/").filter(|(_, count)| *count != RETIRED) {
        let mut parts = mark.splitn(4, '/').skip(1).map(str::to_owned);
        let (Some(cluster), Some(topic), Some(id)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let count = i32::try_from(count).unwrap_or(0);
        let stream = Stream { cluster, topic, id, partitions: count };
        for partition in 0..count {
            let source = stream.source(partition);
            all.push(Partition {
                position: known.number(&source),
                complete_up_to: known.number(&complete_mark(&source)).and_then(Timestamp::from_millis),
                stream: stream.clone(),
                partition,
            });
        }
    }
    all
}

/// Up to when all of them are complete: the least of the partitions. The inner `None` when one of them never was.
pub(crate) fn complete_up_to(partitions: &[Partition]) -> Option<Option<Timestamp>> {
    let mut least = None;
    for partition in partitions {
        match (partition.complete_up_to, least) {
            (None, _) => return Some(None),
            (Some(at), Some(before)) if before <= at => {}
            (Some(at), _) => least = Some(at),
        }
    }
    least.map(Some)
}
