//! What topics are: their ids and how many partitions they have.
//!
//! A topic that was deleted and created again under its old name has another id (KIP-516), and only by it can be told
//! from the one before. The safe client does not show it; librdkafka does.

#![expect(unsafe_code, reason = "the safe client has no call that describes topics")]

use rdkafka::bindings as native;
use rdkafka::client::{Client, ClientContext};
use rdkafka::types::RDKafkaRespErr;
use std::ffi::{CStr, CString, c_char};
use std::ptr::NonNull;
use std::time::Duration;

/// One topic as the cluster describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Description {
    pub(crate) name: String,
    /// `None`: there is no such topic.
    pub(crate) found: Option<TopicIdentity>,
}

/// What a topic that is there is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicIdentity {
    /// The id, in the base64 that Kafka's own tools print.
    pub(crate) id: String,
    pub(crate) partitions: i32,
}

/// A native object, destroyed when this goes out of scope.
struct Owned<T> {
    pointer: NonNull<T>,
    destroy: unsafe extern "C" fn(*mut T),
}

impl<T> Owned<T> {
    fn new(pointer: *mut T, destroy: unsafe extern "C" fn(*mut T)) -> Result<Self, String> {
        let pointer = NonNull::new(pointer).ok_or("the client gave nothing back")?;
        Ok(Self { pointer, destroy })
    }

    fn get(&self) -> *mut T {
        self.pointer.as_ptr()
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: the pointer came from the constructor that belongs to this destructor, and is destroyed once.
        unsafe { (self.destroy)(self.pointer.as_ptr()) }
    }
}

/// Describes topics. Blocks for at most `timeout` and a second.
pub(crate) fn describe<C: ClientContext>(
    client: &Client<C>,
    topics: &[String],
    timeout: Duration,
) -> Result<Vec<Description>, String> {
    let names = topics.iter().map(|topic| CString::new(topic.as_str()));
    let names: Vec<CString> =
        names.collect::<Result<_, _>>().map_err(|_| "a topic's name holds a zero byte")?;
    let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    let millis = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    let client = client.native_ptr();
    // SAFETY: `client` belongs to a `Client` that is borrowed for the whole call; `pointers` are `names`, which outlive the calls, and the
    // collection copies them; every object that the library gives is owned and destroyed after its last use; results
    // are read only while their event lives.
    unsafe {
        let collection = Owned::new(
            native::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len()),
            native::rd_kafka_TopicCollection_destroy,
        )?;
        let options = Owned::new(
            native::rd_kafka_AdminOptions_new(
                client,
                native::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
            ),
            native::rd_kafka_AdminOptions_destroy,
        )?;
        let mut text = [0 as c_char; 256];
        let set = native::rd_kafka_AdminOptions_set_request_timeout(
            options.get(),
            millis,
            text.as_mut_ptr(),
            text.len(),
        );
        if set != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err(owned_text(text.as_ptr()));
        }
        let queue = Owned::new(native::rd_kafka_queue_new(client), native::rd_kafka_queue_destroy)?;
        native::rd_kafka_DescribeTopics(client, collection.get(), options.get(), queue.get());
        let event = native::rd_kafka_queue_poll(queue.get(), millis.saturating_add(1_000));
        let event = Owned::new(event, native::rd_kafka_event_destroy).map_err(|_| "no answer".to_owned())?;
        if native::rd_kafka_event_error(event.get()) != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err(owned_text(native::rd_kafka_event_error_string(event.get())));
        }
        let result = native::rd_kafka_event_DescribeTopics_result(event.get());
        if result.is_null() {
            return Err("the answer describes no topics".to_owned());
        }
        let mut count = 0;
        let described = native::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        (0..count).map(|n| description(*described.add(n))).collect()
    }
}

/// # Safety
/// `topic` is a topic of a result that lives.
unsafe fn description(topic: *const native::rd_kafka_TopicDescription_t) -> Result<Description, String> {
    // SAFETY: all pointers below belong to the result, which lives.
    unsafe {
        let name = owned_text(native::rd_kafka_TopicDescription_name(topic));
        let error = native::rd_kafka_TopicDescription_error(topic);
        let code = native::rd_kafka_error_code(error);
        match code {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR => {}
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART => {
                return Ok(Description { name, found: None });
            }
            _ => return Err(format!("topic {name}: {}", owned_text(native::rd_kafka_error_string(error)))),
        }
        let id = native::rd_kafka_TopicDescription_topic_id(topic);
        let id = owned_text(native::rd_kafka_Uuid_base64str(id));
        let mut count = 0;
        native::rd_kafka_TopicDescription_partitions(topic, &raw mut count);
        let partitions = i32::try_from(count).map_err(|_| "more partitions than Kafka can number")?;
        Ok(Description { name, found: Some(TopicIdentity { id, partitions }) })
    }
}

/// # Safety
/// `text` is null or a C string that lives.
unsafe fn owned_text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}
