//! Following topics of a real Apache Kafka, whatever happens to either side.
//!
//! `scripts/test` starts one broker for all tests; each keeps to a topic and a group of its own. Tests that stop a broker
//! start another. Without a broker (`KAFKA=skip`) they say that they are skipped.

mod away;
mod broker;
mod disk;
mod exactly_once;
mod gaps;
mod hidden;
mod proof;
mod reader;
mod repair;
mod storm;
mod topics;
