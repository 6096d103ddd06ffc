//! The process-wide table of interned field names.
//!
//! It only grows and is bounded; a name that no longer fits, or is longer than is worth keeping, is stored inline in the record.

/// A field name prepared for look-ups: interned once, compared as a number afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub(crate) symbol: Option<u32>,
    pub(crate) text: Box<str>,
}

impl Key {
    /// Interns `name` if the table has room.
    pub fn new(_name: &str) -> Self {
        todo!()
    }

    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}
