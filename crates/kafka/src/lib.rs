//! Apache Kafka as a source.
//!
//! [`Reader`] reads the partitions that a consumer group gives this process, each from the offset at which the lake
//! is, and hands them on in [`Piece`]s; [`Cluster`] says which topics there are and where their partitions end.
//!
//! **Positions come from outside and go nowhere.** The group settles who reads what, no more: an offset that it holds is
//! told for monitoring and never read. A piece says for every offset whether it is a record or a declared gap; nothing
//! is passed over in silence.

mod admin;
mod brokers;
mod cluster;
mod count;
mod error;
mod headers;
mod limits;
mod piece;
mod publisher;
mod reader;
mod reread;
mod settings;
mod topic_ids;

pub use admin::Admin;
pub use cluster::{Bounds, Cluster, End, RecordTime, Topic, TopicPartition, describe_producers};
pub use count::{Counted, count};
pub use error::KafkaError;
pub use limits::{MESSAGE_BYTES, RECORD_BYTES};
pub use piece::{Gap, GapReason, Header, Piece, RangeHash, Record, Source};
pub use publisher::{Publisher, Transactions};
pub use reader::{Closed, Control, Delivery, Offsets, Reader, Sink};
pub use reread::{HeadersOf, reread, reread_messages};
pub use settings::KafkaSettings;
