//! Connections over real sockets: what is let in, what is refused, and how certificates change meanwhile.

mod authority;
mod connections;
mod hello;
