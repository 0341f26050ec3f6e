//! Limits, each with its reason.

use std::num::NonZeroU32;
use std::time::Duration;

/// How long a client has to say its first byte and to shake hands: one that says nothing is nobody's.
pub(crate) const GREETING_LIFE: Duration = Duration::from_secs(10);

/// How long a connection without a first request is kept: clients connect when they have something to ask, or soon after.
pub(crate) const FIRST_REQUEST_LIFE: Duration = Duration::from_secs(30);

/// How long the head of a request may take to arrive by HTTP/1.1.
pub(crate) const HEAD_LIFE: Duration = Duration::from_secs(10);

/// How long a message may take to arrive: the largest, 768 KiB, needs 0.6 Mbit/s.
pub(crate) const MESSAGE_LIFE: Duration = Duration::from_secs(10);

/// How often an idle connection is asked whether it still lives, so that half-open ones do not pile up, and how long it has to say so.
pub(crate) const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(20));

/// How long to wait where the system gives no connection, for instance since all files that it allows are open.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Bytes of a connection, and of one request on it, that are taken in before they are asked for: a small message, and two. A client
/// that sends more waits.
pub(crate) const WINDOWS: (u32, u32) = (128 * 1024, 64 * 1024);

/// Small messages that are on their way in at the same time, of 64 KiB at most each: four for each call that is worked on.
pub(crate) const SMALL_MAX: u32 = 1024;

/// Large messages that are on their way in or worked on at the same time, of 1 MiB at most each; and those of one address.
pub(crate) const LARGE_MAX: (u32, u32) = (32, 16);

/// Messages with statements that are on their way in or worked on at the same time, of 256 KiB at most each; and those of one address.
pub(crate) const STATEMENTS_MAX: (u32, u32) = (256, 64);

/// Streams that never end by themselves, such as of health: one for each client that watches, and a few.
pub(crate) const STREAMS_MAX: (u32, u32) = (512, 128);

/// Connections that are refused and told in the log, a second.
pub(crate) const TOLD_A_SECOND: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);
