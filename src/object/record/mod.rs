//! The compact form in which objects are stored and read: one flat allocation, readable without decoding.
//!
//! `text` JSON text to the form, `skim` past JSON text that is not wanted, `write` the form itself, `node` reading it in place, `splice` one value into it.
//!
//! Layout of a value: a tag byte, then its payload.
//!
//! | tag | value | payload |
//! | --- | --- | --- |
//! | 0, 1, 2 | null, false, true | – |
//! | 3 | negative integer | 8 bytes, little endian |
//! | 4 | float | 8 bytes, little endian |
//! | 5 | string | length as varint, UTF-8 |
//! | 6 | map | body length (2 bytes, little endian), then key and value in turn |
//! | 7 | list | body length, then the values |
//! | 8 | integer above `i64::MAX` | 8 bytes, little endian |
//! | 9 | integer from 0 | varint |
//! | 10 | string that is a word | the word ([`super::word`]) as varint |
//! | 11, 12 | map, list of 64 KiB or more | as 6 and 7, body length in 4 bytes |
//!
//! Whether a string is stored as a word depends on what was met before it: equal values can be stored differently. A key is a varint: its symbol plus one, or 0 followed by the name as a string (length, UTF-8) where the name is not interned.
//! The layout is private to the process: it is never written to disk or sent.

mod node;
pub mod skim;
mod splice;
mod text;
mod write;

pub use node::{Entries, Items, Node, NodeKind};

use super::{Gvk, Meta};
use serde_json::Value;
use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use write::Inside;

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const NEGATIVE: u8 = 3;
const FLOAT: u8 = 4;
const STRING: u8 = 5;
const MAP: u8 = 6;
const LIST: u8 = 7;
const LARGE: u8 = 8;
const NATURAL: u8 = 9;
const WORD: u8 = 10;
const LONG_MAP: u8 = 11;
const LONG_LIST: u8 = 12;

/// Why bytes could not become a [`Record`]. Such an item is skipped and counted; it never fails a list.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DecodeError(pub String);

/// One object, encoded. Cloning is cheap. `metadata.managedFields` is never in it.
///
/// Behind the value stands one byte more, for [`Record::may_carry_state`].
#[derive(Clone)]
pub struct Record(Arc<[u8]>);

impl fmt::Debug for Record {
    /// Names the object; contents stay out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let meta = self.meta();
        write!(
            f,
            "Record({}/{}/{})",
            meta.kind(),
            meta.namespace().unwrap_or(""),
            meta.name()
        )
    }
}

impl PartialEq for Record {
    /// The same contents; maps in any order.
    fn eq(&self, other: &Self) -> bool {
        self.is_same(other) || self.root().same(other.root())
    }
}

impl Record {
    /// Encodes JSON text, dropping `metadata.managedFields` while parsing. With a `gvk`, `apiVersion` and `kind` are set to it:
    /// items of a list carry none, and partial metadata carries others.
    ///
    /// No API server sends a key twice in one map, as it has read what it sends into maps and structs itself; manifests are read as YAML,
    /// which refuses that. Of such keys the first one counts, in whichever way the record is read.
    ///
    /// # Errors
    /// Text that is not one JSON object, or is nested deeper than 127 levels.
    pub fn from_json(json: &[u8], gvk: Option<&Gvk>) -> Result<Self, DecodeError> {
        ENCODER.with_borrow_mut(|encoder| encoder.from_json(json, gvk))
    }

    /// Encodes a JSON tree, dropping `metadata.managedFields`.
    pub fn from_value(value: &Value) -> Self {
        let mut out = Vec::with_capacity(1024);
        write::put_value(&mut out, value, 0, Inside::Root);
        seal(&mut out);
        Self(out.into())
    }

    /// Whether the two are one allocation: a quick way to know that nothing has changed.
    pub fn is_same(&self, other: &Record) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The whole object.
    pub fn root(&self) -> Node<'_> {
        Node::at_start_of(&self.0)
    }

    /// The fields of `metadata` that everything asks for.
    pub fn meta(&self) -> Meta<'_> {
        Meta::of(self.root())
    }

    /// Whether it has an annotation in which rules keep state ([`STATE_DOMAINS`]). Most objects have none, and every event asks.
    #[inline]
    pub fn may_carry_state(&self) -> bool {
        self.0.last() == Some(&CARRIES_STATE)
    }

    /// Back to a JSON tree, fields in the order in which they were read.
    pub fn to_value(&self) -> Value {
        self.root().to_value()
    }

    /// Size in bytes of the encoded form.
    pub fn size(&self) -> usize {
        self.0.len()
    }
}

/// What the last byte of a record is if it carries state; 0 if not.
const CARRIES_STATE: u8 = 1;

/// What the names of annotations begin with in which rules keep state on objects.
pub const STATE_DOMAINS: [&str; 2] = ["state.ordain.dev/", "subject.ordain.dev/"];

/// Puts down behind a whole object what is asked of it most often.
fn seal(out: &mut Vec<u8>) {
    let annotations = Meta::of(Node::at_start_of(out)).annotations();
    let mut names = annotations
        .into_iter()
        .flat_map(|all| all.entries().map(|(name, _)| name));
    let carries = names.any(|name| STATE_DOMAINS.iter().any(|d| name.starts_with(d)));
    out.push(if carries { CARRIES_STATE } else { 0 });
}

thread_local! {
    /// For texts that come one at a time, such as answers.
    static ENCODER: RefCell<Encoder> = RefCell::default();
}

/// What is kept of a buffer for the next text, in bytes: most objects fit.
const KEPT: usize = 64 * 1024;

/// Encodes one object after the other, keeping its buffers.
#[derive(Default)]
pub struct Encoder {
    out: Vec<u8>,
    scratch: text::Scratch,
}

impl Encoder {
    /// As [`Record::from_json`].
    ///
    /// # Errors
    /// As [`Record::from_json`].
    pub fn from_json(&mut self, json: &[u8], gvk: Option<&Gvk>) -> Result<Record, DecodeError> {
        self.out.clear();
        self.out.shrink_to(KEPT);
        text::encode(json, gvk, &mut self.out, &mut self.scratch)
            .map_err(|flaw| DecodeError(flaw.to_string()))?;
        seal(&mut self.out);
        Ok(Record(self.out.as_slice().into()))
    }
}

#[cfg(test)]
mod tests;
