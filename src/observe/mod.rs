//! What people and machines see of the daemon: metrics, log, HTTP, printed changes.
//!
//! I/O. Never the data of a Secret: object contents leave only through [`difference::text`](crate::object::difference::text).

pub mod http;
pub mod log;
pub mod metrics;
pub mod status;

pub use metrics::Metrics;
pub use status::{Shared, Status};
