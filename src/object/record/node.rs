//! Reading the encoded form, in place.

use super::{
    FALSE, FLOAT, LARGE, LIST, LONG_LIST, LONG_MAP, MAP, NATURAL, NEGATIVE, NULL, STRING, TRUE,
    WORD,
};
use crate::object::symbol::{self, Key};
use crate::object::word;
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::{Map, Number, Value};
use std::fmt;

/// What a [`Node`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// null
    Null,
    /// true or false
    Bool,
    /// An integer that fits an i64.
    Int,
    /// Any other number.
    Float,
    /// Text.
    String,
    /// A list.
    List,
    /// A map.
    Map,
}

/// A value inside a record. `Copy`, borrowed, never allocates to be read.
#[derive(Clone, Copy)]
pub struct Node<'a>(
    /// Starts at the value's tag; may go on past its end.
    &'a [u8],
);

#[inline]
fn varint(bytes: &[u8], at: &mut usize) -> u64 {
    let mut n = 0u64;
    let mut shift = 0;
    loop {
        let byte = bytes[*at];
        *at += 1;
        n |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return n;
        }
        shift += 7;
    }
}

#[inline]
fn eight(bytes: &[u8], at: usize) -> [u8; 8] {
    let mut raw = [0; 8];
    raw.copy_from_slice(&bytes[at..at + 8]);
    raw
}

/// Of a map or list; `at` is behind its tag.
#[inline]
fn body_length(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
}

/// Of a long one.
#[inline]
fn long_body_length(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]) as usize
}

/// Moves `at` from a value's tag to just past the value.
#[inline]
fn skip(bytes: &[u8], at: &mut usize) {
    let tag = bytes[*at];
    *at += 1;
    match tag {
        NULL | FALSE | TRUE => {}
        NEGATIVE | FLOAT | LARGE => *at += 8,
        STRING => {
            let length = varint(bytes, at) as usize;
            *at += length;
        }
        MAP | LIST => *at += 2 + body_length(bytes, *at),
        LONG_MAP | LONG_LIST => *at += 4 + long_body_length(bytes, *at),
        _ => {
            varint(bytes, at);
        }
    }
}

#[inline]
fn text(bytes: &[u8]) -> &str {
    // SAFETY: strings and inline keys are written only by `put_text`, from a `&str`, and read at the place where it wrote them.
    unsafe { std::str::from_utf8_unchecked(bytes) }
}

/// A key as stored.
#[derive(Clone, Copy)]
enum StoredKey<'a> {
    Symbol(u32),
    Inline(&'a str),
}

#[inline]
fn stored_key<'a>(bytes: &'a [u8], at: &mut usize) -> StoredKey<'a> {
    match varint(bytes, at) {
        0 => {
            let length = varint(bytes, at) as usize;
            let name = text(&bytes[*at..*at + length]);
            *at += length;
            StoredKey::Inline(name)
        }
        symbol => StoredKey::Symbol((symbol - 1) as u32),
    }
}

/// As [`stored_key`], without reading it.
#[inline]
fn skip_key(bytes: &[u8], at: &mut usize) {
    if varint(bytes, at) == 0 {
        let length = varint(bytes, at) as usize;
        *at += length;
    }
}

impl<'a> StoredKey<'a> {
    fn as_str(self) -> &'a str {
        match self {
            StoredKey::Symbol(symbol) => symbol::name_of(symbol).unwrap_or(""),
            StoredKey::Inline(name) => name,
        }
    }
}

impl<'a> Node<'a> {
    /// The value that `form` begins with.
    pub(super) fn at_start_of(form: &'a [u8]) -> Self {
        Self(form)
    }

    /// What it is.
    pub fn kind(self) -> NodeKind {
        match self.0[0] {
            NULL => NodeKind::Null,
            FALSE | TRUE => NodeKind::Bool,
            NEGATIVE | NATURAL => NodeKind::Int,
            FLOAT | LARGE => NodeKind::Float,
            STRING | WORD => NodeKind::String,
            LIST | LONG_LIST => NodeKind::List,
            _ => NodeKind::Map,
        }
    }

    /// Whether it is null, which counts as absent everywhere in the language.
    pub fn is_null(self) -> bool {
        self.0[0] == NULL
    }

    /// A boolean.
    pub fn as_bool(self) -> Option<bool> {
        match self.0[0] {
            FALSE => Some(false),
            TRUE => Some(true),
            _ => None,
        }
    }

    /// An integer that fits an i64. A larger unsigned one is a float.
    pub fn as_i64(self) -> Option<i64> {
        match self.0[0] {
            NATURAL => Some(varint(self.0, &mut 1) as i64),
            NEGATIVE => Some(i64::from_le_bytes(eight(self.0, 1))),
            _ => None,
        }
    }

    /// Any number.
    pub fn as_f64(self) -> Option<f64> {
        match self.0[0] {
            FLOAT => Some(f64::from_le_bytes(eight(self.0, 1))),
            LARGE => Some(u64::from_le_bytes(eight(self.0, 1)) as f64),
            _ => self.as_i64().map(|n| n as f64),
        }
    }

    /// A string.
    pub fn as_str(self) -> Option<&'a str> {
        let mut at = 1;
        match self.0[0] {
            STRING => {
                let length = varint(self.0, &mut at) as usize;
                Some(text(&self.0[at..at + length]))
            }
            WORD => Some(word::text_of(varint(self.0, &mut at) as u16)),
            _ => None,
        }
    }

    /// The bytes between a map's or list's length and its end.
    #[inline]
    fn body(self, tag: u8, long: u8) -> &'a [u8] {
        match self.0[0] {
            is if is == tag => &self.0[3..3 + body_length(self.0, 1)],
            is if is == long => &self.0[5..5 + long_body_length(self.0, 1)],
            _ => &[],
        }
    }

    #[inline]
    fn map_body(self) -> &'a [u8] {
        self.body(MAP, LONG_MAP)
    }

    #[inline]
    fn list_body(self) -> &'a [u8] {
        self.body(LIST, LONG_LIST)
    }

    /// The member of a map; `None` for anything else. A null member is `Some` null node.
    pub fn get(self, key: &Key) -> Option<Node<'a>> {
        let body = self.map_body();
        let mut at = 0;
        while at < body.len() {
            let found = match (stored_key(body, &mut at), key.symbol) {
                (StoredKey::Symbol(stored), Some(symbol)) => stored == symbol,
                // A name can be inline in an old record and interned since; and a key can have been made before its name was.
                (stored, _) => stored.as_str() == key.as_str(),
            };
            if found {
                return Some(Node(&body[at..]));
            }
            skip(body, &mut at);
        }
        None
    }

    /// As [`Node::get`], by text.
    pub fn get_str(self, name: &str) -> Option<Node<'a>> {
        let symbol = symbol::find(name);
        let body = self.map_body();
        let mut at = 0;
        while at < body.len() {
            let found = match (stored_key(body, &mut at), symbol) {
                (StoredKey::Symbol(stored), Some(symbol)) => stored == symbol,
                (StoredKey::Symbol(_), None) => false,
                (StoredKey::Inline(stored), _) => stored == name,
            };
            if found {
                return Some(Node(&body[at..]));
            }
            skip(body, &mut at);
        }
        None
    }

    /// Follows names from map to map.
    pub fn path(self, names: &[&str]) -> Option<Node<'a>> {
        names.iter().try_fold(self, |node, name| node.get_str(name))
    }

    /// Element of a list.
    pub fn at(self, index: usize) -> Option<Node<'a>> {
        self.items().nth(index)
    }

    /// Elements of a list, in order; none for anything else.
    pub fn items(self) -> Items<'a> {
        Items(self.list_body())
    }

    /// Members of a map, in order; none for anything else.
    pub fn entries(self) -> Entries<'a> {
        Entries(self.map_body())
    }

    /// Number of elements or members; characters (Unicode scalar values) of a string; `None` for scalars.
    pub fn len(self) -> Option<usize> {
        match self.kind() {
            NodeKind::List => Some(self.items().count()),
            NodeKind::Map => Some(self.entries().count()),
            NodeKind::String => self.as_str().map(|s| s.chars().count()),
            _ => None,
        }
    }

    /// Whether it is `""`, `[]` or `{}`.
    pub fn is_empty(self) -> bool {
        match self.kind() {
            NodeKind::List => self.list_body().is_empty(),
            NodeKind::Map => self.map_body().is_empty(),
            NodeKind::String => self.as_str() == Some(""),
            _ => false,
        }
    }

    /// As a JSON tree.
    pub fn to_value(self) -> Value {
        match self.kind() {
            NodeKind::Null => Value::Null,
            NodeKind::Bool => Value::Bool(self.as_bool().unwrap_or_default()),
            NodeKind::Int => Value::from(self.as_i64().unwrap_or_default()),
            NodeKind::Float if self.0[0] == LARGE => {
                Value::from(u64::from_le_bytes(eight(self.0, 1)))
            }
            NodeKind::Float => Number::from_f64(self.as_f64().unwrap_or_default())
                .map_or(Value::Null, Value::Number),
            NodeKind::String => Value::from(self.as_str().unwrap_or_default()),
            NodeKind::List => Value::Array(self.items().map(Node::to_value).collect()),
            NodeKind::Map => {
                let mut map = Map::new();
                for (key, value) in self.entries() {
                    // Of a key that stands twice the first one counts, as in `get`.
                    map.entry(key).or_insert_with(|| value.to_value());
                }
                Value::Object(map)
            }
        }
    }

    /// Deep equality with a JSON tree; maps in any order; 1 equals 1.0.
    pub fn equals(self, value: &Value) -> bool {
        match value {
            Value::Null => self.is_null(),
            Value::Bool(b) => self.as_bool() == Some(*b),
            Value::Number(n) => match (self.as_i64(), n.as_i64()) {
                (Some(a), Some(b)) => a == b,
                _ => self.as_f64().is_some_and(|a| Some(a) == n.as_f64()),
            },
            Value::String(s) => self.as_str() == Some(s),
            Value::Array(list) => {
                self.kind() == NodeKind::List && {
                    let mut items = self.items();
                    list.iter()
                        .all(|v| items.next().is_some_and(|n| n.equals(v)))
                        && items.next().is_none()
                }
            }
            Value::Object(map) => {
                self.kind() == NodeKind::Map
                    && self.entries().count() == map.len()
                    && self
                        .entries()
                        .all(|(k, n)| map.get(k).is_some_and(|v| n.equals(v)))
            }
        }
    }

    /// Size in bytes of its encoded form.
    pub fn size(self) -> usize {
        self.extent().len()
    }

    /// The bytes of exactly this value.
    fn extent(self) -> &'a [u8] {
        let mut end = 0;
        skip(self.0, &mut end);
        &self.0[..end]
    }

    /// Deep equality with another node; maps in any order.
    pub fn same(self, other: Node<'_>) -> bool {
        if self.extent() == other.extent() {
            return true;
        }
        match (self.kind(), other.kind()) {
            (NodeKind::String, NodeKind::String) => self.as_str() == other.as_str(),
            (NodeKind::Int, NodeKind::Int) => self.as_i64() == other.as_i64(),
            (NodeKind::Int | NodeKind::Float, NodeKind::Int | NodeKind::Float) => {
                self.as_f64() == other.as_f64()
            }
            (NodeKind::List, NodeKind::List) => {
                let mut others = other.items();
                self.items()
                    .all(|a| others.next().is_some_and(|b| a.same(b)))
                    && others.next().is_none()
            }
            (NodeKind::Map, NodeKind::Map) => same_map(self, other),
            _ => false,
        }
    }
}

/// Compares maps member by member while their order is the same, and by an index of the rest once it is not, so that two large maps in
/// different order do not cost the square of their size.
fn same_map(a: Node<'_>, b: Node<'_>) -> bool {
    let mut left = a.entries();
    let mut right = b.entries();
    loop {
        left.pass_what_begins(&mut right);
        let (before_left, before_right) = (left.clone(), right.clone());
        match (left.next(), right.next()) {
            (None, None) => return true,
            (Some((ka, va)), Some((kb, vb))) if ka == kb => {
                if !va.same(vb) {
                    return false;
                }
            }
            (Some(_), Some(_)) => {
                let index: ahash::AHashMap<&str, Node<'_>> = before_right.collect();
                let mut count = 0;
                let all = before_left
                    .inspect(|_| count += 1)
                    .all(|(k, v)| index.get(k).is_some_and(|w| v.same(*w)));
                return all && count == index.len();
            }
            _ => return false,
        }
    }
}

impl fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_value().fmt(f)
    }
}

impl Serialize for Node<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.kind() {
            NodeKind::List => {
                let mut list = serializer.serialize_seq(None)?;
                for item in self.items() {
                    list.serialize_element(&item)?;
                }
                list.end()
            }
            NodeKind::Map => {
                let mut map = serializer.serialize_map(None)?;
                for (key, value) in self.entries() {
                    map.serialize_entry(key, &value)?;
                }
                map.end()
            }
            _ => self.to_value().serialize(serializer),
        }
    }
}

/// Iterator over the elements of a list.
#[derive(Clone)]
pub struct Items<'a>(&'a [u8]);

impl<'a> Iterator for Items<'a> {
    type Item = Node<'a>;
    fn next(&mut self) -> Option<Node<'a>> {
        if self.0.is_empty() {
            return None;
        }
        let mut end = 0;
        skip(self.0, &mut end);
        let node = Node(&self.0[..end]);
        self.0 = &self.0[end..];
        Some(node)
    }
}

/// Iterator over the members of a map.
#[derive(Clone)]
pub struct Entries<'a>(&'a [u8]);

/// The members of a map, each as it is encoded, its name and its value; `None` if it is no map.
pub(super) fn members<'a>(
    map: Node<'a>,
) -> Option<impl Iterator<Item = (&'a [u8], &'a str, Node<'a>)>> {
    let mut entries = (map.kind() == NodeKind::Map).then(|| map.entries())?;
    Some(std::iter::from_fn(move || {
        let before = entries.0;
        let (name, node) = entries.next()?;
        Some((&before[..before.len() - entries.0.len()], name, node))
    }))
}

impl Entries<'_> {
    /// Passes over the members that both begin with in the same bytes: most of those of two states of one object.
    pub(crate) fn pass_what_begins(&mut self, other: &mut Entries<'_>) {
        while !self.0.is_empty() {
            let mut end = 0;
            skip_key(self.0, &mut end);
            skip(self.0, &mut end);
            if other.0.get(..end) != self.0.get(..end) {
                return;
            }
            (self.0, other.0) = (&self.0[end..], &other.0[end..]);
        }
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a str, Node<'a>);
    fn next(&mut self) -> Option<(&'a str, Node<'a>)> {
        if self.0.is_empty() {
            return None;
        }
        let mut at = 0;
        let key = stored_key(self.0, &mut at).as_str();
        let start = at;
        skip(self.0, &mut at);
        let node = Node(&self.0[start..at]);
        self.0 = &self.0[at..];
        Some((key, node))
    }
}
