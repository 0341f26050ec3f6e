//! Code generated from `proto/`: the event contract and the query services. Wire types only; their meaning lives
//! in `gridtrail-model`, and translating them in `gridtrail-codec` (events) and `gridtrail-server` (queries).

/// The descriptors of every service and message here, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The descriptors of the service for operators; it uses some of the others.
pub const OPERATE_DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/operate_descriptors.bin"));

/// `gridtrail.events.v1`: the event contract.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]
pub mod events {
    /// Version 1.
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/gridtrail.events.v1.rs"));
        include!(concat!(env!("OUT_DIR"), "/gridtrail.events.v1.serde.rs"));
    }
}

/// `gridtrail.operate.v1`: the service for operators.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]
pub mod operate {
    /// Version 1.
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/gridtrail.operate.v1.rs"));
    }
}

/// `gridtrail.query.v1`: the query services.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]
pub mod query {
    /// Version 1.
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/gridtrail.query.v1.rs"));
    }
}
