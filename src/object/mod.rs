//! What a Kubernetes object is here: its key, its compact stored form, and the value types its fields carry.
//!
//! PURE: no I/O, no clock. Everything above reads objects through [`record::Node`]; nothing above keeps a JSON tree per object.

pub mod difference;
pub mod duration;
pub mod image;
pub mod key;
pub mod meta;
pub mod quantity;
pub mod record;
pub mod symbol;
pub mod word;

pub use key::{GroupKind, Gvk, ObjectKey};
pub use meta::Meta;
pub use record::{Node, NodeKind, Record, STATE_DOMAINS};
pub use symbol::Key;
