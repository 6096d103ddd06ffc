//! Selected values, read as `as` says, and compared with a right side.

use super::super::number::Number;
use super::operand::{self, Operand};
use super::{Operator, ReadAs};
use crate::object::image::Image;
use crate::object::quantity::Quantity;
use crate::object::{Node, NodeKind, duration};
use jiff::Timestamp;
use semver::Version;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::cmp::Ordering;

/// A selected value: in a record, or computed.
#[derive(Clone, Copy)]
pub(super) enum Seen<'a> {
    Node(Node<'a>),
    Value(&'a Value),
}

impl<'a> Seen<'a> {
    pub(super) fn as_str(self) -> Option<&'a str> {
        match self {
            Seen::Node(node) => node.as_str(),
            Seen::Value(value) => value.as_str(),
        }
    }

    pub(super) fn number(self) -> Option<Number> {
        match self {
            Seen::Node(node) => Number::of_node(node),
            Seen::Value(value) => Number::of_value(value),
        }
    }

    /// By type and deeply.
    pub(super) fn equals(self, other: &Value) -> bool {
        match self {
            Seen::Node(node) => match (self.number(), Number::of_value(other)) {
                (Some(a), Some(b)) => a.compare(b) == Some(Ordering::Equal),
                _ => equal(node, other),
            },
            Seen::Value(value) => same(value, other),
        }
    }

    /// Characters, elements or members; a member that is null counts as absent.
    pub(super) fn size(self) -> Option<usize> {
        match self {
            Seen::Node(node) if node.kind() == NodeKind::Map => {
                Some(node.entries().filter(|(_, n)| !n.is_null()).count())
            }
            Seen::Node(node) => node.len(),
            Seen::Value(Value::String(text)) => Some(text.chars().count()),
            Seen::Value(Value::Array(list)) => Some(list.len()),
            Seen::Value(Value::Object(map)) => Some(present(map)),
            Seen::Value(_) => None,
        }
    }

    pub(super) fn is_empty(self) -> bool {
        match self {
            // The first member that is there answers.
            Seen::Node(node) if node.kind() == NodeKind::Map => {
                node.entries().all(|(_, n)| n.is_null())
            }
            Seen::Node(node) => node.is_empty(),
            Seen::Value(_) => self.size() == Some(0),
        }
    }

    /// What it is, for people; never its contents.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Seen::Node(node) => match node.kind() {
                NodeKind::Null => "null",
                NodeKind::Bool => "a boolean",
                NodeKind::Int | NodeKind::Float => "a number",
                NodeKind::String => "text",
                NodeKind::List => "a list",
                NodeKind::Map => "a map",
            },
            Seen::Value(value) => value_kind(value),
        }
    }
}

pub(super) fn value_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

/// How many members are there: a null one is not.
fn present(map: &Map<String, Value>) -> usize {
    map.values().filter(|value| !value.is_null()).count()
}

/// Deep equality of a value in a record; members that are null count as absent on both sides.
fn equal(node: Node<'_>, value: &Value) -> bool {
    match value {
        Value::Object(map) => {
            let mut members = 0;
            node.kind() == NodeKind::Map
                && node
                    .entries()
                    .filter(|(_, member)| !member.is_null())
                    .all(|(key, member)| {
                        members += 1;
                        map.get(key).is_some_and(|value| equal(member, value))
                    })
                && members == present(map)
        }
        Value::Array(list) if node.kind() == NodeKind::List => {
            let mut items = node.items();
            list.iter()
                .all(|value| items.next().is_some_and(|item| equal(item, value)))
                && items.next().is_none()
        }
        _ => node.equals(value),
    }
}

/// Deep equality of computed values, 1 equal to 1.0 as in records.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(_), Value::Number(_)) => match (Number::of_value(a), Number::of_value(b)) {
            (Some(a), Some(b)) => a.compare(b) == Some(Ordering::Equal),
            _ => false,
        },
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            present(a) == present(b)
                && a.iter()
                    .filter(|(_, a)| !a.is_null())
                    .all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

/// A selected value, read as `as` says.
pub(super) enum Left<'a> {
    Seen(Seen<'a>),
    Number(Number),
    Span(std::time::Duration),
    /// For ages and `until`: the timestamp, in nanoseconds.
    Moment(i128),
    Quantity(Quantity),
    Semver(Version),
    Text(Cow<'a, str>),
}

/// The value cannot be read as its type.
pub(super) struct Unreadable;

/// `None`: it has no such part (an image without a tag), which counts as absent.
pub(super) fn read<'a>(
    seen: Seen<'a>,
    read_as: Option<ReadAs>,
    operator: Operator,
) -> Result<Option<Left<'a>>, Unreadable> {
    let text = || seen.as_str().ok_or(Unreadable);
    let left = match read_as {
        None if operator.is_ordering() => Left::Number(seen.number().ok_or(Unreadable)?),
        None if operator == Operator::Matches => Left::Text(text()?.into()),
        None => Left::Seen(seen),
        Some(ReadAs::Age | ReadAs::Until) => {
            let moment: Timestamp = text()?.parse().map_err(|_| Unreadable)?;
            Left::Moment(moment.as_nanosecond())
        }
        Some(ReadAs::Duration) => Left::Span(duration::parse(text()?).map_err(|_| Unreadable)?),
        Some(ReadAs::Quantity) => Left::Quantity(match (seen.as_str(), seen.number()) {
            (Some(text), _) => Quantity::parse(text).map_err(|_| Unreadable)?,
            (None, Some(Number::Int(n))) => Quantity::from_i64(n),
            (None, Some(Number::Float(n))) => {
                Quantity::parse(&n.to_string()).map_err(|_| Unreadable)?
            }
            (None, None) => return Err(Unreadable),
        }),
        Some(ReadAs::Semver) => Left::Semver(operand::semver(text()?).ok_or(Unreadable)?),
        Some(ReadAs::Number) => Left::Number(match seen.as_str() {
            Some(text) => Number::parse(text).ok_or(Unreadable)?,
            None => seen.number().ok_or(Unreadable)?,
        }),
        Some(ReadAs::Size) => {
            let size = seen.size().ok_or(Unreadable)?;
            Left::Number(Number::Int(i64::try_from(size).unwrap_or(i64::MAX)))
        }
        // Counted before any value is read.
        Some(ReadAs::Count) => Left::Seen(seen),
        Some(part) => {
            let image = Image::parse(text()?).map_err(|_| Unreadable)?;
            let part = match part {
                ReadAs::ImageRegistry => Some(image.registry()),
                ReadAs::ImageRepository => Some(image.repository()),
                ReadAs::ImageTag => image.tag(),
                _ => image.digest(),
            };
            match part {
                Some(part) => Left::Text(Cow::Owned(part.to_owned())),
                None => return Ok(None),
            }
        }
    };
    Ok(Some(left))
}

/// What an ordering of left and right means for an operator.
pub(super) fn admits(operator: Operator, ordering: Option<Ordering>) -> bool {
    let Some(ordering) = ordering else {
        return false;
    };
    match operator {
        Operator::GreaterThan => ordering.is_gt(),
        Operator::AtLeast => ordering.is_ge(),
        Operator::LessThan => ordering.is_lt(),
        Operator::AtMost => ordering.is_le(),
        _ => ordering.is_eq(),
    }
}

impl Left<'_> {
    pub(super) fn fulfils(&self, operator: Operator, right: &Operand) -> bool {
        match (self, right) {
            (Left::Seen(seen), Operand::Json(value)) => seen.equals(value),
            (Left::Number(a), Operand::Number(b)) => admits(operator, a.compare(*b)),
            (Left::Span(a), Operand::Span(b)) => admits(operator, Some(a.cmp(b))),
            (Left::Quantity(a), Operand::Quantity(b)) => admits(operator, Some(a.cmp(b))),
            (Left::Semver(a), Operand::Semver(b)) => admits(operator, Some(a.cmp_precedence(b))),
            (Left::Text(text), Operand::Text(other)) => **text == **other,
            (Left::Text(text), Operand::Pattern(regex)) => regex.is_match(text),
            _ => false,
        }
    }
}
