//! What a call holds until its answer was taken: a place among the caller's own, and memory.
//!
//! Handing an answer to a connection is not the end of it: a client that reads nothing has the connection keep it. So each part
//! of an answer carries what the call holds, and gives it back when it was written to the socket or is gone with the connection.

use crate::callers::CallerName;
use crate::limits::CALL_BYTES_MIN;
use crate::status::CallError;
use bytes::Bytes;
use gridtrail_port::{Hold, NoPlace, Place};
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::Response;

/// What a call holds.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// One of the calls that the caller may make at once.
    _at_once: Option<OwnedSemaphorePermit>,
    /// What the call takes of the memory for answers.
    place: Option<Place<CallerName>>,
}

/// How much of the memory for answers so many bytes are.
pub(crate) fn weight_of(bytes: usize) -> u32 {
    u32::try_from(bytes.max(CALL_BYTES_MIN) / 1024).unwrap_or(u32::MAX)
}

/// Why there is no memory for an answer.
pub(crate) fn no_memory(reason: NoPlace) -> CallError {
    match reason {
        NoPlace::OfHolder => {
            CallError::TooMuch { what: "answers that are made or not read yet", wait: Duration::from_secs(1) }
        }
        NoPlace::OfAll => CallError::Busy,
    }
}

impl Held {
    pub(crate) fn new(at_once: OwnedSemaphorePermit, place: Place<CallerName>) -> Self {
        Self { _at_once: Some(at_once), place: Some(place) }
    }

    /// The call takes so many bytes from now on.
    ///
    /// Errors: `TooMuch`, `Busy`.
    pub(crate) fn weigh(&self, bytes: usize) -> Result<(), CallError> {
        match &self.place {
            Some(place) => place.weigh(weight_of(bytes)).map_err(no_memory),
            None => Ok(()),
        }
    }

    /// The answer waits to be taken: when it has for long, it can be given up for others.
    pub(crate) fn wait(&self) {
        if let Some(place) = &self.place {
            place.hold(Hold::Loose);
        }
    }

    /// The answer was written, and takes so many bytes, which is less than before.
    pub(crate) fn written(&self, bytes: usize) {
        // Less always fits. Where it is more after all, it counts as before.
        let _ = self.weigh(bytes);
    }
}

/// An answer as the connection gets it: each part holds what the call does.
pub(crate) fn held_by_its_parts(mut response: Response<Body>) -> Response<Parts> {
    let held = response.extensions_mut().remove::<Arc<Held>>();
    response.map(|inner| Parts { inner, held })
}

/// The body of an answer.
pub(crate) struct Parts {
    inner: Body,
    held: Option<Arc<Held>>,
}

/// One part, as long as the connection keeps it.
struct Part {
    data: Bytes,
    _held: Arc<Held>,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl HttpBody for Parts {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.inner).poll_frame(context);
        let Some(held) = &this.held else { return frame };
        let part = |data| Bytes::from_owner(Part { data, _held: Arc::clone(held) });
        frame.map(|frame| frame.map(|frame| frame.map(|frame| frame.map_data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gridtrail_port::{Places, Sizes};
    use http_body_util::{BodyExt as _, Full};
    use tokio_util::sync::CancellationToken;

    /// The connection may keep a part for as long as it likes: so long it counts.
    #[tokio::test]
    async fn what_a_call_holds_counts_until_the_last_part_is_gone() {
        let one = weight_of(CALL_BYTES_MIN);
        let places = Places::new(Sizes { all: one, each: one, patience: Duration::MAX });
        let who: CallerName = Arc::new(("Avon".into(), "ann".into()));
        let enter = || places.enter(Arc::clone(&who), (one, Hold::Firm), CancellationToken::new()).ok();
        let calls = Arc::new(tokio::sync::Semaphore::new(1));
        let held = Held::new(Arc::clone(&calls).try_acquire_owned().unwrap(), enter().unwrap());
        let mut response = Response::new(Body::new(Full::new(Bytes::from_static(b"an answer"))));
        response.extensions_mut().insert(Arc::new(held));
        let mut body = held_by_its_parts(response).into_body();
        let mut part = body.frame().await.unwrap().unwrap().into_data().unwrap();
        let beginning = part.split_to(2);
        drop((body, part));
        assert!(enter().is_none() && calls.available_permits() == 0);
        assert_eq!(beginning, "an");
        drop(beginning);
        assert!(enter().is_some() && calls.available_permits() == 1);
    }
}
