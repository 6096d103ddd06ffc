//! What people and machines see of the daemon: metrics, log, HTTP, printed changes.
//!
//! I/O. Never the data of a Secret: object contents leave only through [`difference::text`](crate::object::difference::text).

pub mod change;
pub mod exposition;
pub mod http;
pub mod log;
pub mod metrics;
pub mod process;
pub mod status;

pub use status::{Shared, Status};
