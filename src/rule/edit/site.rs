//! Where a place is: in the record, in the schema, and as a pointer.

use crate::object::{Node, NodeKind};
use crate::rule::path::Hop;
use crate::schema::{KindSchema, Shape, Type};
use serde_json::Value;
use std::borrow::Cow;

/// A place, looked up.
pub(super) struct Site<'a, 's> {
    /// What stands there; null counts as absent.
    pub node: Option<Node<'a>>,
    /// Its type, where a schema says.
    pub ty: Option<Type<'s>>,
    /// As in [`Claim`](super::Claim).
    pub pointer: String,
    /// What it is in, from the outside in: the node, its type.
    parents: Vec<(Option<Node<'a>>, Option<Type<'s>>)>,
}

/// Why there is no such place.
pub(super) enum NoSite {
    /// The kind's schema does not know the path: the edit skips it.
    NotInSchema,
    /// Something above is neither absent nor what the path needs: pointer and what is needed.
    WrongType(String, &'static str),
}

impl<'a, 's> Site<'a, 's> {
    /// Follows `location` from the object's root.
    pub fn find(
        root: Node<'a>,
        location: &[Hop],
        schema: Option<&'s KindSchema>,
    ) -> Result<Self, NoSite> {
        let mut site = Site {
            node: Some(root),
            ty: schema.and_then(KindSchema::root),
            pointer: String::new(),
            parents: Vec::with_capacity(location.len()),
        };
        for hop in location {
            site.step(hop)?;
        }
        Ok(site)
    }

    fn step(&mut self, hop: &Hop) -> Result<(), NoSite> {
        self.parents.push((self.node, self.ty));
        let ty = match (self.ty, hop) {
            (None, _) => None,
            (Some(ty), Hop::Name(name)) => Some(ty.field(name).ok_or(NoSite::NotInSchema)?),
            // An index into what may be anything is one into anything.
            (Some(ty), Hop::Index(_)) if ty.shape() == Shape::Any => Some(ty),
            (Some(ty), Hop::Index(_)) => Some(ty.element().ok_or(NoSite::NotInSchema)?),
        };
        match hop {
            Hop::Name(name) => {
                if self.node.is_some_and(|n| n.kind() != NodeKind::Map) {
                    return Err(NoSite::WrongType(self.pointer.clone(), "a map"));
                }
                self.node = self
                    .node
                    .and_then(|n| n.get_str(name))
                    .filter(|n| !n.is_null());
                push_token(&mut self.pointer, name);
            }
            Hop::Index(index) => {
                if self.node.is_some_and(|n| n.kind() != NodeKind::List) {
                    return Err(NoSite::WrongType(self.pointer.clone(), "a list"));
                }
                let list = self.ty;
                self.node = self.node.and_then(|n| n.at(*index));
                let named = self.node.and_then(|element| name_element(element, list));
                push_token(
                    &mut self.pointer,
                    &named.unwrap_or_else(|| index.to_string()),
                );
            }
        }
        self.ty = ty;
        Ok(())
    }

    /// Whether the list or map with free keys that the place is in may go when it is left empty: it is the member of a map that does not require it.
    pub fn parent_may_go(&self, location: &[Hop]) -> bool {
        let [.., above, (_, parent)] = self.parents.as_slice() else {
            return false;
        };
        let [.., Hop::Name(name), last] = location else {
            return false;
        };
        let container = match (last, parent.map(Type::shape)) {
            (Hop::Index(_), _) | (_, Some(Shape::Map)) => true,
            (_, None | Some(Shape::Any)) => FREE_MAPS.contains(&&**name),
            _ => false,
        };
        container && !above.1.is_some_and(|ty| ty.requires(name))
    }
}

/// Maps with free keys under these names, for kinds without a schema.
const FREE_MAPS: [&str; 7] = [
    "labels",
    "annotations",
    "matchLabels",
    "nodeSelector",
    "data",
    "stringData",
    "binaryData",
];

/// Appends one token to an RFC 6901 pointer.
pub(crate) fn push_token(pointer: &mut String, token: &str) {
    pointer.push('/');
    for c in token.chars() {
        match c {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            c => pointer.push(c),
        }
    }
}

/// What stands at the pointer of a [`Claim`](super::Claim), and its type; null counts as absent.
pub(super) fn at<'a, 's>(
    root: Node<'a>,
    pointer: &str,
    schema: Option<&'s KindSchema>,
) -> (Option<Node<'a>>, Option<Type<'s>>) {
    let mut ty = schema.and_then(KindSchema::root);
    let mut node = root;
    for token in pointer.split('/').skip(1) {
        let token = match token.contains('~') {
            true => Cow::Owned(token.replace("~1", "/").replace("~0", "~")),
            false => Cow::Borrowed(token),
        };
        let below = match node.kind() {
            NodeKind::List => element(node, &token, ty),
            _ => node.get_str(&token),
        };
        ty = match node.kind() {
            NodeKind::List => ty.and_then(Type::element),
            _ => ty.and_then(|ty| ty.field(&token)),
        };
        match below.filter(|node| !node.is_null()) {
            Some(below) => node = below,
            None => return (None, None),
        }
    }
    (Some(node), ty)
}

/// The element that a token of a pointer names.
fn element<'a>(list: Node<'a>, token: &str, ty: Option<Type<'_>>) -> Option<Node<'a>> {
    if let Some(scalar) = token.strip_prefix('=') {
        return list
            .items()
            .find(|item| scalar_text(&item.to_value()) == scalar);
    }
    let named = |item: &Node<'a>| name_element(*item, ty).as_deref() == Some(token);
    // By a key of the edit's own.
    let keyed = |item: &Node<'a>| {
        token.split(',').all(|pair| {
            let Some((key, wanted)) = pair.split_once('=') else {
                return false;
            };
            let value = key_of(*item, key, ty.and_then(Type::element));
            value.is_some_and(|value| scalar_text(&value) == wanted)
        })
    };
    match token.parse() {
        Ok(index) => list.at(index),
        Err(_) => list
            .items()
            .find(named)
            .or_else(|| list.items().find(keyed)),
    }
}

/// How a claim names an element: by the keys of its list, without a schema by its name.
fn name_element(element: Node<'_>, list: Option<Type<'_>>) -> Option<String> {
    let keys: Vec<&str> = match list {
        Some(ty) if ty.shape() == Shape::List => ty.list_keys(),
        _ => vec!["name"],
    };
    if keys.is_empty() {
        return None;
    }
    let ty = list.and_then(Type::element);
    let values: Option<Vec<Value>> = keys.iter().map(|key| key_of(element, key, ty)).collect();
    Some(element_token(&keys, &values?))
}

/// `name=app`, `containerPort=80,protocol=TCP`.
pub(crate) fn element_token(keys: &[impl AsRef<str>], values: &[Value]) -> String {
    let mut token = String::new();
    for (key, value) in keys.iter().zip(values) {
        if !token.is_empty() {
            token.push(',');
        }
        token.push_str(key.as_ref());
        token.push('=');
        token.push_str(&scalar_text(value));
    }
    token
}

/// A scalar in a pointer.
pub(crate) fn scalar_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The value of a key field; the schema's default where it is absent.
pub(crate) fn key_of(element: Node<'_>, key: &str, ty: Option<Type<'_>>) -> Option<Value> {
    element
        .get_str(key)
        .filter(|n| !n.is_null())
        .map(Node::to_value)
        .or_else(|| ty?.default_of(key))
}
