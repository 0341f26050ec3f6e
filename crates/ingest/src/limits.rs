//! The sizes of this crate, each with its reason.

use std::time::Duration;

/// Bytes of a file that are decoded as one piece: large enough to make handing it over cheap, small enough that a
/// few pieces in flight are no memory to speak of.
pub(crate) const CHUNK_BYTES: usize = 1 << 20;

/// Pieces in flight between reading and folding: keeps two cores busy without running ahead.
pub(crate) const CHUNKS_IN_FLIGHT: usize = 4;

/// Rows that close a batch. Two batches are in memory at a time, one folding and one being written, at about half
/// a kilobyte a row; larger batches make fewer and larger runs, and look-ups pay per run.
pub(crate) const BATCH_ROWS: usize = 400_000;

/// Raw bytes of a record that cannot be read or framed that are kept in its dead letter.
pub(crate) const LETTER_BYTES: usize = 64 * 1024;

/// How often a run starts over after another ingester moved a source's position.
pub(crate) const RESTARTS: u32 = 10;

/// The largest XML file that is read: it is scanned as a whole.
pub(crate) const XML_FILE_BYTES: u64 = 256 * 1024 * 1024;

/// The longest stretch without a record border that is read to find one. Past it, the rest of the file is one dead
/// letter.
pub(crate) const UNFRAMED_BYTES: usize = 64 << 20;

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
