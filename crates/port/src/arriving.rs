//! Messages on their way in: how many, and how long.
//!
//! Whoever begins a message and does not end it takes memory and does no work. So the number of those is bounded, too, the oldest of
//! the address that has most gives way, and each has a time.

use crate::limits::{LARGE_MAX, MESSAGE_LIFE, SMALL_MAX, STATEMENTS_MAX, STREAMS_MAX};
use crate::places::{Hold, Place, Places, Sizes};
use http_body::{Body, Frame, SizeHint};
use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What a message may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageSize {
    /// 64 KiB at most.
    Small,
    /// A response of an Identity Provider.
    Large,
    /// A statement of SQL, or a ticket that holds one: 256 KiB at most.
    Statement,
}

/// Why a message is not read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Cut {
    /// It took too long.
    #[error("the message did not arrive in time")]
    TooSlow,
    /// Others needed the place.
    #[error("too many messages were begun and not ended")]
    GaveWay,
}

/// The messages of one port. Clones share the limits.
#[derive(Debug, Clone)]
pub struct Messages {
    small: Places<IpAddr>,
    large: Places<IpAddr>,
    statements: Places<IpAddr>,
    streams: Places<IpAddr>,
}

impl Default for Messages {
    fn default() -> Self {
        let sizes = |(all, each)| Sizes { all, each, patience: Duration::ZERO };
        Self {
            small: Places::new(sizes((SMALL_MAX, SMALL_MAX))),
            large: Places::new(sizes(LARGE_MAX)),
            statements: Places::new(sizes(STATEMENTS_MAX)),
            streams: Places::new(sizes(STREAMS_MAX)),
        }
    }
}

impl Messages {
    /// The body of a message, which is given up when it takes too long or others need its place; and the place, which is held until
    /// both are dropped: firmly once all has arrived. `None`: so many are worked on that there is none.
    pub fn arriving<B: Body>(
        &self,
        size: MessageSize,
        from: IpAddr,
        body: B,
    ) -> Option<(Arriving<B>, Arc<Place<IpAddr>>)> {
        let places = match size {
            MessageSize::Small => &self.small,
            MessageSize::Large => &self.large,
            MessageSize::Statement => &self.statements,
        };
        let gives_up = CancellationToken::new();
        let place = Arc::new(places.enter(from, (1, Hold::Loose), gives_up.clone()).ok()?);
        let mut arriving =
            Arriving { place: Arc::clone(&place), gives_up, cut: None, is_whole: false, inner: body };
        arriving.look();
        Some((arriving, place))
    }

    /// A place for what lasts until somebody ends it. `gives_up` is cancelled when others need it.
    pub fn stream(&self, from: IpAddr, gives_up: CancellationToken) -> Option<Place<IpAddr>> {
        self.streams.enter(from, (1, Hold::Loose), gives_up).ok()
    }
}

/// The body of a message on its way in.
pub struct Arriving<B> {
    place: Arc<Place<IpAddr>>,
    gives_up: CancellationToken,
    /// The end that it comes to before its own; there once there was something to wait for, which with most messages there is not.
    cut: Option<Pin<Box<dyn Future<Output = Cut> + Send>>>,
    is_whole: bool,
    inner: B,
}

impl<B> fmt::Debug for Arriving<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arriving").field("is_whole", &self.is_whole).finish_non_exhaustive()
    }
}

impl<B: Body> Arriving<B> {
    /// Notes whether all has arrived: from then on it is work, and stays.
    fn look(&mut self) {
        if !self.is_whole && self.inner.is_end_stream() {
            self.is_whole = true;
            self.place.hold(Hold::Firm);
        }
    }
}

impl<B> Body for Arriving<B>
where
    B: Body + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = B::Data;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, Self::Error>>> {
        let this = self.get_mut();
        match Pin::new(&mut this.inner).poll_frame(context) {
            Poll::Ready(Some(frame)) => {
                this.look();
                Poll::Ready(Some(frame.map_err(Into::into)))
            }
            Poll::Ready(None) => {
                if !std::mem::replace(&mut this.is_whole, true) {
                    this.place.hold(Hold::Firm);
                }
                Poll::Ready(None)
            }
            Poll::Pending => this.poll_cut(context).map(|cut| Some(Err(cut.into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B> Arriving<B> {
    fn poll_cut(&mut self, context: &mut Context<'_>) -> Poll<Cut> {
        let cut = self.cut.get_or_insert_with(|| {
            let gives_up = self.gives_up.clone();
            Box::pin(async move {
                tokio::select! {
                    () = gives_up.cancelled() => Cut::GaveWay,
                    () = tokio::time::sleep(MESSAGE_LIFE) => Cut::TooSlow,
                }
            })
        });
        cut.as_mut().poll(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http_body_util::{BodyExt as _, Full};
    use std::convert::Infallible;
    use tokio::time::Instant;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    /// A body of which nothing comes.
    struct Never;

    impl Body for Never {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Pending
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_never_ends_is_given_up_in_time() {
        let (body, _place) = Messages::default().arriving(MessageSize::Small, HERE, Never).unwrap();
        let began = Instant::now();
        let error = body.collect().await.unwrap_err();
        assert_eq!((error.downcast_ref(), began.elapsed()), (Some(&Cut::TooSlow), MESSAGE_LIFE));
    }

    #[tokio::test]
    async fn the_oldest_message_that_was_begun_makes_room_for_a_new_one() {
        let messages = Messages::default();
        let begun = || messages.arriving(MessageSize::Large, HERE, Never).unwrap().0;
        let first = begun();
        let rest: Vec<_> = (1..LARGE_MAX.1).map(|_| begun()).collect();
        let whole = messages.arriving(MessageSize::Large, HERE, Full::new(Bytes::from_static(b"all")));
        let (whole, place) = whole.unwrap();
        let error = first.collect().await.unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&Cut::GaveWay));
        assert_eq!(whole.collect().await.unwrap().to_bytes(), "all");
        drop((place, rest));
    }

    #[tokio::test]
    async fn a_message_that_has_arrived_is_worked_on_and_gives_way_to_none() {
        let messages = Messages::default();
        let mut worked_on = Vec::new();
        for _ in 0..LARGE_MAX.1 {
            let body = Full::new(Bytes::from_static(b"all"));
            let (body, place) = messages.arriving(MessageSize::Large, HERE, body).unwrap();
            body.collect().await.unwrap();
            worked_on.push(place);
        }
        assert!(messages.arriving(MessageSize::Large, HERE, Never).is_none());
        worked_on.pop();
        assert!(messages.arriving(MessageSize::Large, HERE, Never).is_some());
    }
}
