//! Answers on their way out of the process: what of them has left, and the details of errors that the transport makes.

use crate::held::Held;
use crate::record::{Leaving, Record};
use crate::status::{explain, explain_failure};
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::Response;

/// Most bytes that are handed on at a time. The connection takes the next only when its buffers have room again: so what was handed
/// on is what has left, give or take those.
const PART_BYTES: usize = 64 * 1024;

/// What stands before the bytes of a message: a flag, and its length.
const FRAME_HEADER_BYTES: usize = 5;

/// An answer as it goes to the transport: its record is ended when it has left, and its error explained.
pub(crate) fn outgoing(response: Response<Body>) -> Response<Body> {
    let (mut parts, inner) = response.into_parts();
    explain(&mut parts.headers);
    let mut record = parts.extensions.remove::<Leaving>().and_then(|leaving| leaving.take());
    let held = record.as_mut().map(|record| Arc::new(record.let_go()));
    if let Some(held) = &held {
        held.wait();
        parts.extensions.insert(Arc::clone(held));
    }
    Response::from_parts(parts, Body::new(Outgoing { inner, waiting: Bytes::new(), left: 0, held, record }))
}

/// The body of an answer.
struct Outgoing<B> {
    inner: B,
    /// What was written and is not handed on yet.
    waiting: Bytes,
    /// How many bytes were handed on.
    left: usize,
    /// What the call holds, until its message is written.
    held: Option<Arc<Held>>,
    record: Option<Record>,
}

impl<B> Outgoing<B> {
    /// How many bytes of the message were handed on.
    const fn message_bytes(&self) -> usize {
        self.left.saturating_sub(FRAME_HEADER_BYTES)
    }

    /// The end of the answer: its trailers, with the details of an error that has none.
    fn end(&mut self, last: Frame<Bytes>) -> Frame<Bytes> {
        let mut trailers = match last.into_trailers() {
            Ok(trailers) => trailers,
            Err(other) => return other,
        };
        let bytes = self.message_bytes();
        match (explain_failure(&mut trailers), self.record.take()) {
            (Some(told), Some(record)) => record.has_failed(told, bytes),
            (None, Some(record)) => record.has_left(),
            (_, None) => {}
        }
        Frame::trailers(trailers)
    }
}

impl<B: HttpBody<Data = Bytes, Error = Status> + Unpin> HttpBody for Outgoing<B> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        if this.waiting.is_empty() {
            match ready!(Pin::new(&mut this.inner).poll_frame(context)) {
                None => return Poll::Ready(None),
                Some(Err(status)) => return Poll::Ready(Some(Err(status))),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        if let Some(held) = &this.held {
                            held.written(data.len());
                        }
                        this.waiting = data;
                    }
                    Err(last) => return Poll::Ready(Some(Ok(this.end(last)))),
                },
            }
        }
        let part = this.waiting.split_to(PART_BYTES.min(this.waiting.len()));
        this.left += part.len();
        Poll::Ready(Some(Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.waiting.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.waiting.is_empty() { self.inner.size_hint() } else { SizeHint::default() }
    }
}

impl<B> Drop for Outgoing<B> {
    fn drop(&mut self) {
        let bytes = self.message_bytes();
        if let Some(record) = self.record.take() {
            record.breaks_off(bytes);
        }
    }
}

#[cfg(test)]
mod tests;
