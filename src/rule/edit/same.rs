//! When two values are one to the server.

use crate::object::quantity::Quantity;
use crate::object::{Node, NodeKind};
use crate::schema::{Shape, Type};
use jiff::Timestamp;
use serde_json::Value;

/// Whether the server would take `value` for what stands there: null members count as absent, quantities and times compare by value.
pub(crate) fn same(node: Node<'_>, value: &Value, ty: Option<Type<'_>>) -> bool {
    match (node.kind(), value) {
        (NodeKind::Map, Value::Object(map)) => {
            let field = |name: &str| ty.and_then(|t| t.field(name));
            let there =
                node.entries()
                    .filter(|(_, n)| !n.is_null())
                    .try_fold(0, |count, (name, n)| {
                        let wanted = map.get(name)?;
                        same(n, wanted, field(name)).then_some(count + 1)
                    });
            let kept = |(name, v): &(&String, &Value)| {
                !(v.is_null() || is_dropped(ty, name, v) && node.get_str(name).is_none())
            };
            there.is_some_and(|count| count == map.iter().filter(kept).count())
        }
        (NodeKind::List, Value::Array(list)) => {
            let element = ty.and_then(Type::element);
            let mut items = node.items();
            list.iter()
                .all(|v| items.next().is_some_and(|n| same(n, v, element)))
                && items.next().is_none()
        }
        _ if node.equals(value) => true,
        _ => match ty.map(Type::shape) {
            Some(Shape::Quantity) => match (quantity_of(node), quantity(value)) {
                (Some(a), Some(b)) => a == b,
                _ => false,
            },
            Some(Shape::Time) => match (node.as_str(), value.as_str()) {
                (Some(a), Some(b)) => a
                    .parse::<Timestamp>()
                    .is_ok_and(|a| b.parse::<Timestamp>().is_ok_and(|b| a == b)),
                _ => false,
            },
            _ => false,
        },
    }
}

/// Whether what stands there is `value`, or that as the server completes it: a map with fields that are not free may have more of them.
pub(crate) fn completed(node: Node<'_>, value: &Value, ty: Option<Type<'_>>) -> bool {
    match (node.kind(), value) {
        (NodeKind::Map, Value::Object(map)) if ty.is_some_and(|ty| ty.shape() == Shape::Object) => {
            map.iter().filter(|(_, v)| !v.is_null()).all(|(name, v)| {
                let field = ty.and_then(|ty| ty.field(name));
                let there = node.get_str(name).filter(|n| !n.is_null());
                match there {
                    Some(there) => completed(there, v, field),
                    None => is_dropped(ty, name, v),
                }
            })
        }
        (NodeKind::List, Value::Array(list)) => {
            let element = ty.and_then(Type::element);
            let mut items = node.items();
            let each = |v| items.next().is_some_and(|n| completed(n, v, element));
            list.iter().all(each) && items.next().is_none()
        }
        _ => same(node, value, ty),
    }
}

/// Whether the server drops this field of a map of type `ty`: the empty value of a variable of a container, which it stores as no value.
pub(super) fn is_dropped(ty: Option<Type<'_>>, name: &str, value: &Value) -> bool {
    name == "value"
        && value.as_str() == Some("")
        && ty.is_some_and(|ty| ty.field("valueFrom").is_some())
}

fn quantity_of(node: Node<'_>) -> Option<Quantity> {
    match node.as_str() {
        Some(text) => Quantity::parse(text).ok(),
        None => quantity(&node.to_value()),
    }
}

fn quantity(value: &Value) -> Option<Quantity> {
    match value {
        Value::String(text) => Quantity::parse(text).ok(),
        Value::Number(n) => Quantity::parse(&n.to_string()).ok(),
        _ => None,
    }
}

/// Gives every part of `value` that is the same as what stands there the spelling it has there, so that only what differs is written.
pub(super) fn keep_spelling(node: Node<'_>, value: &mut Value, ty: Option<Type<'_>>) {
    if same(node, value, ty) {
        *value = node.to_value();
        return;
    }
    match value {
        Value::Object(map) => {
            for (name, n) in node.entries() {
                if let Some(member) = map.get_mut(name) {
                    keep_spelling(n, member, ty.and_then(|t| t.field(name)));
                }
            }
        }
        Value::Array(list) => {
            for (element, n) in list.iter_mut().zip(node.items()) {
                keep_spelling(n, element, ty.and_then(Type::element));
            }
        }
        _ => {}
    }
}

/// What a value should be, in words, and where below it (as pointer) it is not; `None` if it fits its type.
pub(crate) fn misfit(value: &Value, ty: Type<'_>, below: &mut String) -> Option<&'static str> {
    let (fits, words) = match ty.shape() {
        Shape::Object | Shape::Map => (value.is_object(), "a map"),
        Shape::List => (value.is_array(), "a list"),
        Shape::String => (value.is_string(), "a string"),
        Shape::Time => (value.is_string(), "a time"),
        Shape::Integer => (value.is_i64() || value.is_u64(), "an integer"),
        Shape::Number => (value.is_number(), "a number"),
        Shape::Boolean => (value.is_boolean(), "true or false"),
        Shape::IntOrString => (
            value.is_string() || value.is_i64(),
            "an integer or a string",
        ),
        Shape::Quantity => (value.is_string() || value.is_number(), "a quantity"),
        Shape::Any => return None,
    };
    if value.is_null() {
        return None;
    }
    if !fits {
        return Some(words);
    }
    let length = below.len();
    match value {
        Value::Object(map) => {
            for (name, member) in map {
                let Some(ty) = ty.field(name) else { continue };
                super::site::push_token(below, name);
                if let Some(words) = misfit(member, ty, below) {
                    return Some(words);
                }
                below.truncate(length);
            }
        }
        Value::Array(list) => {
            let ty = ty.element()?;
            for (index, element) in list.iter().enumerate() {
                super::site::push_token(below, &index.to_string());
                if let Some(words) = misfit(element, ty, below) {
                    return Some(words);
                }
                below.truncate(length);
            }
        }
        _ => {}
    }
    None
}
