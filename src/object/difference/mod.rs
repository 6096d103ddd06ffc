//! The difference between two states of an object: as a JSON patch for the server, as a diff for people.

mod fields;
mod patch;
mod sensitive;
mod text;
mod tree;

pub use fields::{Field, fields, short};
pub use patch::{json_patch, record_patch};
pub use sensitive::{Held, is_secret, is_secret_place, redact};
pub use text::{record_text, text, yaml};
