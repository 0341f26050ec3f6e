//! Answers that last: a watch of health, a conversation of reflection.

use crate::status::{CallError, status_of};
use bytes::Bytes;
use gridtrail_port::Place;
use http_body::{Body as HttpBody, Frame};
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::HeaderMap;

/// The body of an answer that holds a place, and ends when others need it.
pub(crate) struct Lasting {
    call: &'static str,
    inner: Body,
    gives_up: Pin<Box<WaitForCancellationFutureOwned>>,
    is_over: bool,
    _place: Place<IpAddr>,
}

impl Lasting {
    pub(crate) fn new(
        call: &'static str,
        inner: Body,
        place: Place<IpAddr>,
        gives_up: CancellationToken,
    ) -> Self {
        let gives_up = Box::pin(gives_up.cancelled_owned());
        Self { call, inner, gives_up, is_over: false, _place: place }
    }
}

impl HttpBody for Lasting {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        if this.is_over {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(context) {
            return Poll::Ready(frame);
        }
        std::task::ready!(this.gives_up.as_mut().poll(context));
        this.is_over = true;
        let mut trailers = HeaderMap::new();
        let status = status_of(this.call, &CallError::Busy);
        Poll::Ready(Some(status.add_header(&mut trailers).map(|()| Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.is_over || self.inner.is_end_stream()
    }
}
