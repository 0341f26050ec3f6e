//! Reading a stretch of a partition again, outside of any group.

use crate::brokers::Logged;
use crate::cluster::TopicPartition;
use crate::error::KafkaError;
use crate::settings::KafkaSettings;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError as Client;
use rdkafka::message::{Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::time::{Duration, Instant};

/// How long a poll waits for a record.
const POLL: Duration = Duration::from_millis(100);
/// How long nothing may come before the broker is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Shows every record of a partition from one offset to before another, in order, as a [`crate::Reader`] sees them. Blocks.
///
/// Errors: `Setting`; `Broker` when nothing comes for a minute, or the offset to start from is gone meanwhile.
pub fn reread(
    settings: &KafkaSettings,
    partition: &TopicPartition,
    from: i64,
    to: i64,
    mut show: impl FnMut(i64, Option<&[u8]>),
) -> Result<(), KafkaError> {
    reread_messages(settings, partition, from, to, |offset, value, _| show(offset, value))
}

/// Gives the headers of a record. One whose value is null says as much as one that is empty.
pub type HeadersOf<'a> = &'a dyn Fn() -> Vec<(&'a str, &'a [u8])>;

/// As [`reread`], with the headers of each record.
pub fn reread_messages(
    settings: &KafkaSettings,
    partition: &TopicPartition,
    from: i64,
    to: i64,
    mut show: impl FnMut(i64, Option<&[u8]>, HeadersOf<'_>),
) -> Result<(), KafkaError> {
    if from >= to {
        return Ok(());
    }
    let consumer: BaseConsumer<Logged> = settings
        .member()?
        .create_with_context(Logged::default())
        .map_err(|e| KafkaError::Setting { name: "of the client".into(), why: e.to_string() })?;
    let failed = || KafkaError::broker(format!("read {}/{} again", partition.0, partition.1));
    let mut list = TopicPartitionList::with_capacity(1);
    list.add_partition_offset(&partition.0, partition.1, Offset::Offset(from)).map_err(failed())?;
    consumer.assign(&list).map_err(failed())?;
    let mut heard = Instant::now();
    loop {
        match consumer.poll(POLL) {
            Some(Ok(message)) if message.offset() >= to => return Ok(()),
            Some(Ok(message)) => {
                heard = Instant::now();
                if message.offset() >= from {
                    let headers = || {
                        let all = message.headers().into_iter().flat_map(Headers::iter);
                        all.map(|header| (header.key, header.value.unwrap_or_default())).collect()
                    };
                    show(message.offset(), message.payload(), &headers);
                }
                if message.offset() + 1 == to {
                    return Ok(());
                }
            }
            // What is left holds no record, such as a transaction's marker.
            Some(Err(Client::PartitionEOF(_))) => return Ok(()),
            Some(Err(error)) if heard.elapsed() > PATIENCE || is_final(&error) => {
                return Err(failed()(error));
            }
            // The client tries again by itself.
            Some(Err(error)) => tracing::warn!(%error, "kafka"),
            None if heard.elapsed() > PATIENCE => return Err(failed()(Client::NoMessageReceived)),
            None => {}
        }
    }
}

fn is_final(error: &Client) -> bool {
    use rdkafka::error::RDKafkaErrorCode as Code;
    let gone = Some(Code::AutoOffsetReset) == error.rdkafka_error_code()
        || Some(Code::OffsetOutOfRange) == error.rdkafka_error_code();
    gone || matches!(error, Client::MessageConsumptionFatal(_))
}
