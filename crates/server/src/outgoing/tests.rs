use super::*;
use futures::FutureExt as _;
use gridtrail_access_log::fake::MemoryLog;
use gridtrail_access_log::{AccessLog, RowKind};
use gridtrail_model::Timestamp;
use gridtrail_runtime::Clock;
use std::collections::VecDeque;
use std::future::poll_fn;
use tonic::Code;
use tonic::codegen::http::HeaderMap;
use tonic_types::StatusExt as _;

/// A body whose frames a test gives; without any left it waits for ever.
struct Frames(VecDeque<Frame<Bytes>>);

impl HttpBody for Frames {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.0.pop_front().map_or(Poll::Pending, |frame| Poll::Ready(Some(Ok(frame))))
    }
}

fn trailers(status: &Status) -> Frame<Bytes> {
    let mut headers = HeaderMap::new();
    status.add_header(&mut headers).unwrap();
    Frame::trailers(headers)
}

/// Hands on so many parts of an answer, at most to its end, and drops it. Gives what was handed on, and what is on record of it.
async fn sent(frames: Vec<Frame<Bytes>>, parts: usize) -> (Vec<Frame<Bytes>>, (String, Option<String>)) {
    let clock = Clock::manual("2026-03-01T00:00:00Z".parse::<Timestamp>().unwrap());
    let store = MemoryLog::default();
    let (log, committing) = AccessLog::open(store.clone(), clock.clone(), "test").await.unwrap();
    let record = Some(Record::begin(&log, &clock, "call", None));
    let mut body =
        Outgoing { inner: Frames(frames.into()), waiting: Bytes::new(), left: 0, held: None, record };
    let mut handed = Vec::new();
    for _ in 0..parts {
        let frame = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).now_or_never();
        handed.extend(frame.flatten().transpose().unwrap());
    }
    drop(body);
    committing.close().await.unwrap();
    let mut calls = store.rows().into_iter().filter(|row| row.kind == RowKind::Call).map(|row| row.entry);
    let (entry, none) = (calls.next().unwrap(), calls.next());
    assert_eq!(none, None, "one row");
    (handed, (entry.outcome.into_owned(), entry.reason.map(|reason| reason.into_owned())))
}

#[tokio::test]
async fn an_answer_goes_in_parts_and_is_on_record_when_its_end_has_gone() {
    let data = Bytes::from(vec![7; PART_BYTES * 2 + 1]);
    let frames = || vec![Frame::data(data.clone()), trailers(&Status::ok(""))];
    let (handed, record) = sent(frames(), 9).await;
    let sizes: Vec<usize> = handed.iter().filter_map(Frame::data_ref).map(Bytes::len).collect();
    assert_eq!(sizes, [PART_BYTES, PART_BYTES, 1]);
    assert!(handed.last().unwrap().is_trailers());
    assert_eq!(record, ("OK".into(), None));
    for parts in 0..4 {
        assert_eq!(sent(frames(), parts).await.1, ("CANCELLED".into(), None), "{parts} parts");
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_written_is_an_error_with_details_and_on_record_as_that() {
    let failed = Status::out_of_range("encoded message length too large");
    let (handed, record) = sent(vec![trailers(&failed)], 1).await;
    assert_eq!(record, ("OUT_OF_RANGE".into(), Some("INTERNAL".into())));
    let told = Status::from_header_map(handed[0].trailers_ref().unwrap()).unwrap();
    let info = told.get_details_error_info().unwrap();
    assert_eq!((told.code(), info.reason.as_str()), (Code::OutOfRange, "INTERNAL"));
    assert!(told.message().contains(&info.metadata["error_id"]), "{told}");
}
