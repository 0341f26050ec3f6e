//! Connections: how many there are, of whom, how long they last, and how their requests arrive.
//!
//! A [`Port`] takes connections from a listener and has a service answer their requests, on [`Terms`]. Nobody can take it from others:
//! all that a caller can hold is bounded, and where it is used up, [`Places`] says who makes room. [`Whence`] says whose address a
//! connection or a request counts for, behind proxies. [`Messages`] bounds what has begun to arrive. [`FileLimit`] keeps files back
//! for the rest of the process.
//!
//! **Invariant:** a connection that asks nothing, and a message that does not end, is never why another is refused.
//!
//! Left out on purpose: who callers are and what each may ask for, which the services know.

mod arriving;
mod files;
mod limits;
mod peer;
mod places;
mod serve;
mod whence;

pub use arriving::{Arriving, Cut, MessageSize, Messages};
pub use files::FileLimit;
pub use peer::{Client, Peer, network_of};
pub use places::{Hold, NoPlace, Place, Places, Sizes};
pub use serve::{Port, Terms, attend};
pub use whence::{NotAddresses, Proxies, Whence};
