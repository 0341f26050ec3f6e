//! The sizes of this crate, each with its reason.

use gridtrail_codec::limits::MESSAGE_BYTES_MAX;
use gridtrail_kafka::MESSAGE_BYTES;
use std::time::Duration;

/// Bytes of a file that are decoded as one piece: large enough to make handing it over cheap, small enough that a
/// few pieces in flight are no memory to speak of.
pub(crate) const CHUNK_BYTES: usize = 1 << 20;

/// Bytes of a file that are read to find where a record ends, at most: the longest message and what stands around it. A record
/// that goes on behind them is too long, and is passed over piece by piece.
pub(crate) const WINDOW_BYTES: usize = MESSAGE_BYTES_MAX + CHUNK_BYTES;

/// Pieces in flight between reading and folding: keeps two cores busy without running ahead. With the window, they bound what
/// is read and not yet folded: 85 MiB where every message has the greatest length.
pub(crate) const CHUNKS_IN_FLIGHT: usize = 4;

/// Rows that close a batch. Two batches are in memory at a time, one folding and one being written, at about half
/// a kilobyte a row; larger batches make fewer and larger runs, and look-ups pay per run.
pub(crate) const BATCH_ROWS: usize = 400_000;

/// Inventory events of a batch that are made within this process: each is two rows or three. A batch is a run, and the fewer of those, the fewer
/// times compaction writes a row.
pub(crate) const BATCH_INVENTORY_EVENTS: usize = 400_000;

/// Anomaly events of a batch that are made within this process: each is a row or two, of which one may name many communications.
pub(crate) const BATCH_ANOMALY_EVENTS: usize = 10_000;

/// Events of schedules of a batch that are made within this process: each is a row.
pub(crate) const BATCH_SCHEDULE_EVENTS: usize = 200_000;

/// Bytes read that close a batch of files, where its rows do not before: rows grow with what is told of them.
pub(crate) const FILE_BATCH_BYTES: usize = 512 << 20;

/// Bytes of dead letters that close a batch.
pub(crate) const BATCH_LETTER_BYTES: usize = 64 << 20;

/// Raw bytes of a dead letter that is kept whole, at most: the longest message, within the longest tags of a capture.
pub(crate) const LETTER_BYTES_MAX: usize = MESSAGE_BYTES_MAX + (4 << 10);

/// Raw bytes that are kept of a longer one: enough to see what it is.
pub(crate) const LETTER_HEAD_BYTES: usize = 64 << 10;

/// How often a run starts over after another ingester moved a source's position.
pub(crate) const RESTARTS: u32 = 10;

/// Bytes that any compressed file may unpack to: they are gone through, never held.
pub(crate) const UNPACKED_BYTES: u64 = 1 << 30;

/// How many times its size a compressed file may unpack to beyond that. Events of one shape are packed to a fiftieth; what is
/// packed to less than a thousandth is made to keep a machine busy.
pub(crate) const UNPACKED_TIMES: u64 = 1_000;

/// The window of zstd that is read, as a power of two: 128 MiB of memory, what `zstd --ultra -22` writes.
pub(crate) const ZSTD_WINDOW_LOG: u32 = 27;

/// Raw bytes that close a batch of a topic: bounds what a batch of few, large rows holds.
pub(crate) const BATCH_BYTES: usize = 256 << 20;

/// Age that closes a batch of a topic. Shorter makes records queryable sooner, and more runs.
pub(crate) const BATCH_AGE: Duration = Duration::from_secs(1);

/// How many times that age closes a batch while a partition holds more than was read of it: ten million records of backlog
/// make a third of the runs.
pub(crate) const BATCH_AGES_BEHIND: u32 = 5;

/// How long a topic without records goes without a commit that says so.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(10);

/// How long the brokers may take to answer for the first time.
pub(crate) const CONNECT: Duration = Duration::from_secs(30);

/// How long a commit that failed waits before records are read again, at first and at most.
pub(crate) const BACK_OFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));

/// Answers of brokers about the ends of partitions that are kept: with a commit a second, those of ten minutes.
pub(crate) const PROBES: usize = 600;

/// From how long on an open transaction is logged: the time after which Kafka aborts those of producers that are gone, by
/// default.
pub(crate) const TRANSACTION_LASTS: Duration = Duration::from_secs(60);

/// How long until the time of a record that did not come is asked for again.
pub(crate) const TIME_AGAIN: Duration = Duration::from_secs(60);

/// With `once`: how often the lake is looked at.
pub(crate) const ONCE_LOOKS: Duration = Duration::from_millis(50);

/// And how often the brokers and the store are asked.
pub(crate) const ONCE_ASKS: Duration = Duration::from_secs(1);

/// And how long a topic that was just made may take to be known to every broker.
pub(crate) const TOPIC_APPEARS: Duration = Duration::from_secs(5);

// What a topic may hold is what files may: a message that came by the one way replays by the other.
const _: () = assert!(MESSAGE_BYTES == MESSAGE_BYTES_MAX);
