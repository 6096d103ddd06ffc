//! The compact form in which objects are stored and read: one flat allocation, readable without decoding.

use super::{Gvk, Key};
use serde_json::Value;
use std::sync::Arc;

/// Why bytes could not become a [`Record`]. Such an item is skipped and counted; it never fails a list.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DecodeError(pub String);

/// One object, encoded. Cloning is cheap. `metadata.managedFields` is never in it.
#[derive(Clone)]
pub struct Record(pub(crate) Arc<[u8]>);

impl std::fmt::Debug for Record {
    fn fmt(&self, _f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        todo!()
    }
}

impl Record {
    /// Encodes JSON text, dropping `metadata.managedFields` while parsing. Items of a list carry no `apiVersion` and `kind`: they are taken from `gvk` where absent.
    pub fn from_json(_json: &[u8], _gvk: Option<&Gvk>) -> Result<Self, DecodeError> {
        todo!()
    }
    /// Encodes a JSON tree, dropping `metadata.managedFields`.
    pub fn from_value(_value: &Value) -> Self {
        todo!()
    }
    /// The whole object.
    pub fn root(&self) -> Node<'_> {
        todo!()
    }
    /// The fields of `metadata` that everything asks for.
    pub fn meta(&self) -> Meta<'_> {
        Meta(self.root())
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

/// What a [`Node`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind { Null, Bool, Int, Float, String, List, Map }

/// A value inside a record. `Copy`, borrowed, never allocates to be read.
#[derive(Clone, Copy)]
pub struct Node<'a>(pub(crate) &'a [u8]);

impl<'a> Node<'a> {
    pub fn kind(self) -> NodeKind { todo!() }
    pub fn is_null(self) -> bool { self.kind() == NodeKind::Null }
    pub fn as_bool(self) -> Option<bool> { todo!() }
    /// An integer that fits an i64. A larger unsigned one is a `Float`.
    pub fn as_i64(self) -> Option<i64> { todo!() }
    /// Any number.
    pub fn as_f64(self) -> Option<f64> { todo!() }
    pub fn as_str(self) -> Option<&'a str> { todo!() }
    /// The member of a map; `None` for anything else. A null member is `Some` null node.
    pub fn get(self, _key: &Key) -> Option<Node<'a>> { todo!() }
    /// As `get`, by text.
    pub fn get_str(self, _name: &str) -> Option<Node<'a>> { todo!() }
    /// Element of a list.
    pub fn at(self, _index: usize) -> Option<Node<'a>> { todo!() }
    /// Elements of a list, in order; none for anything else.
    pub fn items(self) -> Items<'a> { todo!() }
    /// Members of a map, in order; none for anything else.
    pub fn entries(self) -> Entries<'a> { todo!() }
    /// Number of elements or members; characters (Unicode scalar values) of a string; `None` for scalars.
    pub fn len(self) -> Option<usize> { todo!() }
    pub fn is_empty(self) -> bool { self.len() == Some(0) }
    /// As a JSON tree.
    pub fn to_value(self) -> Value { todo!() }
    /// Deep equality with a JSON tree; maps in any order; 1 equals 1.0.
    pub fn equals(self, _value: &Value) -> bool { todo!() }
    /// Deep equality with another node; maps in any order.
    pub fn same(self, _other: Node<'_>) -> bool { todo!() }
}

/// Iterator over the elements of a list.
pub struct Items<'a>(pub(crate) &'a [u8]);
impl<'a> Iterator for Items<'a> {
    type Item = Node<'a>;
    fn next(&mut self) -> Option<Node<'a>> { todo!() }
}
/// Iterator over the members of a map.
pub struct Entries<'a>(pub(crate) &'a [u8]);
impl<'a> Iterator for Entries<'a> {
    type Item = (&'a str, Node<'a>);
    fn next(&mut self) -> Option<(&'a str, Node<'a>)> { todo!() }
}

/// `metadata` of a record. Absent or wrongly typed fields read as `None` or `""`.
#[derive(Clone, Copy)]
pub struct Meta<'a>(pub(crate) Node<'a>);

impl<'a> Meta<'a> {
    pub fn api_version(self) -> &'a str { todo!() }
    pub fn kind(self) -> &'a str { todo!() }
    pub fn name(self) -> &'a str { todo!() }
    pub fn generate_name(self) -> &'a str { todo!() }
    pub fn namespace(self) -> Option<&'a str> { todo!() }
    pub fn uid(self) -> &'a str { todo!() }
    pub fn resource_version(self) -> &'a str { todo!() }
    pub fn labels(self) -> Option<Node<'a>> { todo!() }
    pub fn label(self, _name: &str) -> Option<&'a str> { todo!() }
    pub fn annotation(self, _name: &str) -> Option<&'a str> { todo!() }
    pub fn creation_timestamp(self) -> Option<jiff::Timestamp> { todo!() }
    pub fn is_deleting(self) -> bool { todo!() }
    /// The owner reference with `controller: true`: (apiVersion, kind, name).
    pub fn controller(self) -> Option<(&'a str, &'a str, &'a str)> { todo!() }
}
