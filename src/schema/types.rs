//! The types of fields, as a flat table that many kinds share.
//!
//! A type is an index, so recursive types (`JSONSchemaProps`) need no pointers, a table is written and read without recursion, and following a path copies
//! nothing. Every index is looked up defensively: one that leads nowhere is [`Shape::Any`].

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// What a type is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Named fields.
    Object,
    /// Free keys, all of one type (labels, annotations, data).
    Map,
    /// Elements in order.
    List,
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A whole number or text: `targetPort`, `maxSurge`.
    IntOrString,
    /// A resource quantity.
    Quantity,
    /// An RFC 3339 time.
    Time,
    /// Anything at all: JSON, preserved unknown fields.
    Any,
}

/// One entry of a [`Table`]. Types are indices into `nodes`, names indices into `strings`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Node {
    Any,
    String,
    Integer,
    Number,
    Boolean,
    IntOrString,
    Quantity,
    Time,
    /// `fields` sorted by name; `rest` is the type of fields that are not named, if there may be such.
    Object {
        fields: Vec<Field>,
        rest: Option<u32>,
    },
    Map(u32),
    List {
        element: u32,
        keys: Vec<u32>,
        set: bool,
    },
}

/// A field of an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Field {
    pub name: u32,
    pub of: u32,
    pub required: bool,
    /// JSON text.
    pub default: Option<u32>,
}

/// The types of one source, shared by its kinds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Table {
    pub strings: Vec<Box<str>>,
    pub nodes: Vec<Node>,
}

impl Table {
    pub fn text(&self, at: u32) -> &str {
        self.strings.get(at as usize).map_or("", |text| text)
    }

    pub fn node(&self, at: u32) -> &Node {
        self.nodes.get(at as usize).unwrap_or(&Node::Any)
    }
}

/// The type of a field.
#[derive(Clone, Copy)]
pub struct Type<'s> {
    table: &'s Table,
    at: u32,
    node: &'s Node,
}

impl<'s> Type<'s> {
    pub(super) fn new(table: &'s Table, at: u32) -> Self {
        Self {
            table,
            at,
            node: table.node(at),
        }
    }

    fn named(self, name: &str) -> Option<&'s Field> {
        match self.node {
            Node::Object { fields, .. } => fields
                .binary_search_by(|field| self.table.text(field.name).cmp(name))
                .ok()
                .and_then(|at| fields.get(at)),
            _ => None,
        }
    }

    /// A number that is the same for the same type within one kind; for sets of types.
    pub fn id(self) -> usize {
        self.at as usize
    }

    /// What it is.
    pub fn shape(self) -> Shape {
        match self.node {
            Node::Any => Shape::Any,
            Node::String => Shape::String,
            Node::Integer => Shape::Integer,
            Node::Number => Shape::Number,
            Node::Boolean => Shape::Boolean,
            Node::IntOrString => Shape::IntOrString,
            Node::Quantity => Shape::Quantity,
            Node::Time => Shape::Time,
            Node::Object { .. } => Shape::Object,
            Node::Map(_) => Shape::Map,
            Node::List { .. } => Shape::List,
        }
    }

    /// The field of an `Object` (any name, where it preserves unknown fields), the value type of a `Map` (for any name), `Any` of an `Any`.
    pub fn field(self, name: &str) -> Option<Type<'s>> {
        match self.node {
            Node::Object { rest, .. } => self
                .named(name)
                .map(|field| field.of)
                .or(*rest)
                .map(|of| Type::new(self.table, of)),
            Node::Map(value) => Some(Type::new(self.table, *value)),
            Node::Any => Some(self),
            _ => None,
        }
    }

    /// The names of an `Object`'s fields, sorted.
    pub fn field_names(self) -> Vec<&'s str> {
        match self.node {
            Node::Object { fields, .. } => fields
                .iter()
                .map(|field| self.table.text(field.name))
                .collect(),
            _ => Vec::new(),
        }
    }

    /// The element type of a `List`, `Any` of an `Any`.
    pub fn element(self) -> Option<Type<'s>> {
        match self.node {
            Node::List { element, .. } => Some(Type::new(self.table, *element)),
            Node::Any => Some(self),
            _ => None,
        }
    }

    /// The fields that identify an element of a `List` (`x-kubernetes-list-map-keys`, else the patch merge key); empty if there are none.
    pub fn list_keys(self) -> Vec<&'s str> {
        match self.node {
            Node::List { keys, .. } => keys.iter().map(|key| self.table.text(*key)).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether elements of this `List` form a set (`x-kubernetes-list-type: set`).
    pub fn is_set(self) -> bool {
        matches!(self.node, Node::List { set: true, .. })
    }

    /// Whether an `Object` requires this field.
    pub fn requires(self, name: &str) -> bool {
        self.named(name).is_some_and(|field| field.required)
    }

    /// The default the server fills in (`protocol: TCP`), if the schema says.
    pub fn default_of(self, field: &str) -> Option<Value> {
        let text = self.table.text(self.named(field)?.default?);
        serde_json::from_str(text).ok()
    }

    /// The type at a path below this one: names, and `None` for the elements of a list.
    pub fn at(self, path: &[Option<&str>]) -> Option<Type<'s>> {
        path.iter().try_fold(self, |of, step| match step {
            Some(name) => of.field(name),
            None => of.element(),
        })
    }
}

impl fmt::Debug for Type<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.shape())
    }
}
