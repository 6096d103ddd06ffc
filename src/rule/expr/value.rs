//! The values an expression works on. Objects stay records: a map or list of one is a [`Node`], read only where the expression touches it.

use super::eval::{Fault, Frame};
use crate::object::image::Image;
use crate::object::quantity::{Format, Quantity};
use crate::object::{Node, NodeKind};
use crate::rule::path::Path;
use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;

/// Largest result of an evaluation, and largest text made on the way, in bytes.
pub(super) const LARGEST: usize = 1 << 20;

/// Text, borrowed from a record or shared.
#[derive(Clone)]
pub(super) enum Text<'a> {
    Borrowed(&'a str),
    Shared(Arc<str>),
}

impl Deref for Text<'_> {
    type Target = str;
    #[inline]
    fn deref(&self) -> &str {
        match self {
            Text::Borrowed(text) => text,
            Text::Shared(text) => text,
        }
    }
}

/// A quantity and how it was written.
pub(super) struct QuantityVal {
    pub amount: Quantity,
    pub format: Format,
    /// As it was read; a computed one has none.
    pub text: Option<Box<str>>,
}

impl QuantityVal {
    pub fn text(&self) -> String {
        match &self.text {
            Some(text) => text.to_string(),
            None => self.amount.text(self.format),
        }
    }
}

/// A URL, taken apart as Go's `net/url` does.
pub(super) struct UrlVal {
    pub text: Box<str>,
    pub scheme: Box<str>,
    /// With the port.
    pub host: Box<str>,
    pub escaped_path: Box<str>,
    pub query: Box<str>,
}

/// A map made by the expression, in the order of its making.
pub(super) type Members<'a> = Vec<(Val<'a>, Val<'a>)>;

/// A value. Cloning never copies what it holds.
#[derive(Clone)]
pub(super) enum Val<'a> {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Double(f64),
    Text(Text<'a>),
    Bytes(Arc<[u8]>),
    List(Arc<Vec<Val<'a>>>),
    Map(Arc<Members<'a>>),
    /// A list of a record.
    NodeList(Node<'a>),
    /// A map of a record.
    NodeMap(Node<'a>),
    Timestamp(Timestamp),
    Duration(SignedDuration),
    Quantity(Arc<QuantityVal>),
    Semver(Arc<semver::Version>),
    Ip(IpAddr),
    Cidr(IpNet),
    Url(Arc<UrlVal>),
    Image(Arc<Image>),
    Optional(Option<Arc<Val<'a>>>),
    Type(&'static str),
    /// A regular expression compiled at load; no expression can hold one.
    Pattern(Arc<regex::Regex>),
    /// A path parsed at load; no expression can hold one.
    Path(Arc<Path>),
}

/// A set of kinds of values, one bit each.
pub(super) type Kinds = u32;

pub(super) const NULL: Kinds = 1;
pub(super) const BOOL: Kinds = 1 << 1;
pub(super) const INT: Kinds = 1 << 2;
pub(super) const UINT: Kinds = 1 << 3;
pub(super) const DOUBLE: Kinds = 1 << 4;
pub(super) const STRING: Kinds = 1 << 5;
pub(super) const BYTES: Kinds = 1 << 6;
pub(super) const LIST: Kinds = 1 << 7;
pub(super) const MAP: Kinds = 1 << 8;
pub(super) const TIMESTAMP: Kinds = 1 << 9;
pub(super) const DURATION: Kinds = 1 << 10;
pub(super) const QUANTITY: Kinds = 1 << 11;
pub(super) const SEMVER: Kinds = 1 << 12;
pub(super) const IP: Kinds = 1 << 13;
pub(super) const CIDR: Kinds = 1 << 14;
pub(super) const URL: Kinds = 1 << 15;
pub(super) const IMAGE: Kinds = 1 << 16;
pub(super) const OPTIONAL: Kinds = 1 << 17;
pub(super) const TYPE: Kinds = 1 << 18;
/// A text parameter that is compiled at load when it is a literal.
pub(super) const PATTERN: Kinds = 1 << 19;
pub(super) const PATH: Kinds = 1 << 20;
pub(super) const NUMBER: Kinds = INT | UINT | DOUBLE;
pub(super) const ANY: Kinds = (1 << 19) - 1;

/// Names of kinds, in the order of their bits; the words of CEL.
const KIND_NAMES: [&str; 21] = [
    "null",
    "bool",
    "int",
    "uint",
    "double",
    "string",
    "bytes",
    "list",
    "map",
    "timestamp",
    "duration",
    "quantity",
    "semver",
    "IP",
    "CIDR",
    "URL",
    "image",
    "optional",
    "type",
    "string",
    "string",
];

/// A set of kinds in words: `string or bytes`.
pub(super) fn kinds_in_words(kinds: Kinds) -> String {
    if kinds & ANY == ANY {
        return "any value".into();
    }
    let mut names: Vec<&str> = Vec::new();
    for (bit, name) in KIND_NAMES.iter().enumerate() {
        if kinds & (1 << bit) != 0 && !names.contains(name) {
            names.push(name);
        }
    }
    names.join(" or ")
}

impl<'a> Val<'a> {
    /// The value of a node.
    #[inline]
    pub fn of(node: Node<'a>) -> Self {
        match node.kind() {
            NodeKind::Null => Val::Null,
            NodeKind::Bool => Val::Bool(node.as_bool().unwrap_or_default()),
            NodeKind::Int => Val::Int(node.as_i64().unwrap_or_default()),
            NodeKind::Float => Val::Double(node.as_f64().unwrap_or_default()),
            NodeKind::String => Val::Text(Text::Borrowed(node.as_str().unwrap_or_default())),
            NodeKind::List => Val::NodeList(node),
            NodeKind::Map => Val::NodeMap(node),
        }
    }

    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Val::Text(Text::Shared(text.into()))
    }

    pub fn list(items: Vec<Val<'a>>) -> Self {
        Val::List(Arc::new(items))
    }

    pub fn some(value: Val<'a>) -> Self {
        Val::Optional(Some(Arc::new(value)))
    }

    /// A value owned by itself, from a JSON tree.
    pub fn from_json(value: Value) -> Val<'static> {
        match value {
            Value::Null => Val::Null,
            Value::Bool(b) => Val::Bool(b),
            Value::Number(n) => match n.as_i64() {
                Some(n) => Val::Int(n),
                None => Val::Double(n.as_f64().unwrap_or_default()),
            },
            Value::String(s) => Val::text(s),
            Value::Array(list) => Val::list(list.into_iter().map(Val::from_json).collect()),
            Value::Object(map) => Val::Map(Arc::new(
                map.into_iter()
                    .map(|(key, value)| (Val::text(key), Val::from_json(value)))
                    .collect(),
            )),
        }
    }

    /// The same value without a borrow: what it shows of a record is copied, at most [`LARGEST`] bytes of it.
    ///
    /// # Errors
    /// It is larger, or the evaluation has no steps left.
    pub fn detached(self, frame: &mut Frame<'_, 'a>) -> Result<Val<'static>, Fault> {
        Ok(match self {
            Val::Null => Val::Null,
            Val::Bool(b) => Val::Bool(b),
            Val::Int(n) => Val::Int(n),
            Val::UInt(n) => Val::UInt(n),
            Val::Double(d) => Val::Double(d),
            Val::Text(text) => {
                frame.charge_text(text.len())?;
                match text {
                    Text::Borrowed(text) => Val::text(text),
                    Text::Shared(text) => Val::Text(Text::Shared(text)),
                }
            }
            Val::Bytes(bytes) => Val::Bytes(bytes),
            Val::List(items) => {
                let mut out = Vec::with_capacity(items.len());
                for item in items.iter() {
                    frame.charge(1)?;
                    out.push(item.clone().detached(frame)?);
                }
                Val::list(out)
            }
            Val::Map(members) => {
                let mut out = Vec::with_capacity(members.len());
                for (key, value) in members.iter() {
                    frame.charge(1)?;
                    out.push((key.clone().detached(frame)?, value.clone().detached(frame)?));
                }
                Val::Map(Arc::new(out))
            }
            Val::NodeList(node) | Val::NodeMap(node) => {
                frame.room(node.size())?;
                Val::from_json(node.to_value())
            }
            Val::Timestamp(moment) => Val::Timestamp(moment),
            Val::Duration(duration) => Val::Duration(duration),
            Val::Quantity(quantity) => Val::Quantity(quantity),
            Val::Semver(version) => Val::Semver(version),
            Val::Ip(ip) => Val::Ip(ip),
            Val::Cidr(cidr) => Val::Cidr(cidr),
            Val::Url(url) => Val::Url(url),
            Val::Image(image) => Val::Image(image),
            Val::Optional(None) => Val::Optional(None),
            Val::Optional(Some(inner)) => Val::some(Arc::unwrap_or_clone(inner).detached(frame)?),
            Val::Type(name) => Val::Type(name),
            Val::Pattern(pattern) => Val::Pattern(pattern),
            Val::Path(path) => Val::Path(path),
        })
    }

    #[inline]
    pub fn kind(&self) -> Kinds {
        match self {
            Val::Null => NULL,
            Val::Bool(_) => BOOL,
            Val::Int(_) => INT,
            Val::UInt(_) => UINT,
            Val::Double(_) => DOUBLE,
            Val::Text(_) => STRING,
            Val::Bytes(_) => BYTES,
            Val::List(_) | Val::NodeList(_) => LIST,
            Val::Map(_) | Val::NodeMap(_) => MAP,
            Val::Timestamp(_) => TIMESTAMP,
            Val::Duration(_) => DURATION,
            Val::Quantity(_) => QUANTITY,
            Val::Semver(_) => SEMVER,
            Val::Ip(_) => IP,
            Val::Cidr(_) => CIDR,
            Val::Url(_) => URL,
            Val::Image(_) => IMAGE,
            Val::Optional(_) => OPTIONAL,
            Val::Type(_) => TYPE,
            Val::Pattern(_) => PATTERN,
            Val::Path(_) => PATH,
        }
    }

    /// The word for its kind, never its contents.
    pub fn kind_name(&self) -> &'static str {
        KIND_NAMES[self.kind().trailing_zeros() as usize]
    }

    /// What `type()` answers.
    pub fn type_name(&self) -> &'static str {
        match self {
            Val::Null => "null_type",
            Val::Timestamp(_) => "google.protobuf.Timestamp",
            Val::Duration(_) => "google.protobuf.Duration",
            Val::Quantity(_) => "kubernetes.Quantity",
            Val::Semver(_) => "kubernetes.Semver",
            Val::Ip(_) => "net.IP",
            Val::Cidr(_) => "net.CIDR",
            Val::Url(_) => "kubernetes.URL",
            Val::Optional(_) => "optional_type",
            _ => self.kind_name(),
        }
    }

    /// Number of elements or members; `None` for what has none.
    pub fn count(&self) -> Option<usize> {
        match self {
            Val::List(list) => Some(list.len()),
            Val::Map(map) => Some(map.len()),
            Val::NodeList(node) | Val::NodeMap(node) => node.len(),
            _ => None,
        }
    }

    /// Elements of a list; none for anything else.
    pub fn items(&self) -> Items<'_, 'a> {
        match self {
            Val::List(list) => Items::Made(list.iter()),
            Val::NodeList(node) => Items::Node(node.items()),
            _ => Items::Made([].iter()),
        }
    }

    /// Members of a map; none for anything else.
    pub fn members(&self) -> MembersOf<'_, 'a> {
        match self {
            Val::Map(map) => MembersOf::Made(map.iter()),
            Val::NodeMap(node) => MembersOf::Node(node.entries()),
            _ => MembersOf::Made([].iter()),
        }
    }

    /// A member of a map by its name.
    pub fn member(&self, name: &str) -> Option<Val<'a>> {
        match self {
            Val::NodeMap(node) => node.get_str(name).map(Val::of),
            Val::Map(map) => map
                .iter()
                .find(|(key, _)| matches!(key, Val::Text(text) if &**text == name))
                .map(|(_, value)| value.clone()),
            _ => None,
        }
    }

    /// A member of a map by a key of any kind.
    pub fn member_at(&self, key: &Val<'_>) -> Option<Val<'a>> {
        match (self, key) {
            (_, Val::Text(name)) => self.member(name),
            (Val::Map(map), _) => map
                .iter()
                .find(|(stored, _)| super::compare::same_scalar(stored, key))
                .map(|(_, value)| value.clone()),
            _ => None,
        }
    }

    /// Whether it is `false`, 0, `""`, `[]`, `{}`, null or an optional without a value.
    pub fn is_zero(&self) -> bool {
        match self {
            Val::Null | Val::Bool(false) | Val::Int(0) | Val::UInt(0) | Val::Optional(None) => true,
            Val::Double(d) => *d == 0.0,
            Val::Text(text) => text.is_empty(),
            Val::Bytes(bytes) => bytes.is_empty(),
            Val::NodeList(node) | Val::NodeMap(node) => node.is_empty(),
            Val::List(list) => list.is_empty(),
            Val::Map(map) => map.is_empty(),
            Val::Duration(duration) => duration.is_zero(),
            // Go's zero time: the start of year 1.
            Val::Timestamp(moment) => moment.as_second() == -62_135_596_800,
            _ => false,
        }
    }
}

/// Elements of a list.
pub(super) enum Items<'v, 'a> {
    Made(std::slice::Iter<'v, Val<'a>>),
    Node(crate::object::record::Items<'a>),
}

impl<'a> Iterator for Items<'_, 'a> {
    type Item = Val<'a>;
    fn next(&mut self) -> Option<Val<'a>> {
        match self {
            Items::Made(items) => items.next().cloned(),
            Items::Node(items) => items.next().map(Val::of),
        }
    }
}

/// Members of a map.
pub(super) enum MembersOf<'v, 'a> {
    Made(std::slice::Iter<'v, (Val<'a>, Val<'a>)>),
    Node(crate::object::record::Entries<'a>),
}

impl<'a> Iterator for MembersOf<'_, 'a> {
    type Item = (Val<'a>, Val<'a>);
    fn next(&mut self) -> Option<(Val<'a>, Val<'a>)> {
        match self {
            MembersOf::Made(members) => members.next().cloned(),
            MembersOf::Node(entries) => entries
                .next()
                .map(|(key, node)| (Val::Text(Text::Borrowed(key)), Val::of(node))),
        }
    }
}

/// A text value for functions that answer with a part of what they were given.
pub(super) fn part<'a>(whole: &Text<'a>, part: &str) -> Val<'a> {
    if let Text::Borrowed(text) = whole {
        // Stays a borrow of the record where the part lies in it.
        let start = (part.as_ptr() as usize).wrapping_sub(text.as_ptr() as usize);
        if let Some(found) = text.get(start..start.saturating_add(part.len()))
            && std::ptr::eq(found, part)
        {
            return Val::Text(Text::Borrowed(found));
        }
    }
    Val::text(part)
}
