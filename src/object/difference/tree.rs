//! What the comparisons ask of a tree, be it a JSON tree or the compact form of a record, which is compared where it lies.

use crate::object::{Node, NodeKind};
use serde_json::Value;

/// A member of two maps, by what it is in each.
pub(super) type Member<'a, T> = (&'a str, Option<T>, Option<T>);

/// A tree that can be compared with another one of its kind.
pub(super) trait Tree<'a>: Copy {
    fn is_map(self) -> bool;
    fn is_list(self) -> bool;
    fn is_null(self) -> bool;
    /// Deep equality.
    fn same(self, other: Self) -> bool;
    /// The members in which two maps differ: those of this one in their order, then those that only the other one has in theirs.
    fn changed(self, other: Self) -> Vec<Member<'a, Self>>;
    /// The member of a map.
    fn member(self, name: &str) -> Option<Self>;
    /// The elements of a list.
    fn elements(self) -> Vec<Self>;
    fn text(self) -> Option<&'a str>;
    fn value(self) -> Value;
}

impl<'a> Tree<'a> for &'a Value {
    fn is_map(self) -> bool {
        self.is_object()
    }

    fn is_list(self) -> bool {
        self.is_array()
    }

    fn is_null(self) -> bool {
        Value::is_null(self)
    }

    fn same(self, other: Self) -> bool {
        self == other
    }

    fn changed(self, other: Self) -> Vec<Member<'a, Self>> {
        let (Some(old), Some(new)) = (self.as_object(), other.as_object()) else {
            return vec![];
        };
        let of_old = old.iter().filter_map(|(name, value)| {
            let now = new.get(name);
            (now != Some(value)).then_some((name.as_str(), Some(value), now))
        });
        let added = new.iter().filter(|(name, _)| !old.contains_key(*name));
        of_old
            .chain(added.map(|(name, value)| (name.as_str(), None, Some(value))))
            .collect()
    }

    fn member(self, name: &str) -> Option<Self> {
        self.get(name)
    }

    fn elements(self) -> Vec<Self> {
        self.as_array().into_iter().flatten().collect()
    }

    fn text(self) -> Option<&'a str> {
        self.as_str()
    }

    fn value(self) -> Value {
        self.clone()
    }
}

/// Maps with more members than this are searched by an index where their orders differ.
const SEARCHED: usize = 16;

impl<'a> Tree<'a> for Node<'a> {
    fn is_map(self) -> bool {
        self.kind() == NodeKind::Map
    }

    fn is_list(self) -> bool {
        self.kind() == NodeKind::List
    }

    fn is_null(self) -> bool {
        Node::is_null(self)
    }

    fn same(self, other: Self) -> bool {
        Node::same(self, other)
    }

    fn changed(self, other: Self) -> Vec<Member<'a, Self>> {
        let (mut old, mut new) = (self.entries(), other.entries());
        let mut changed = vec![];
        // As long as both have the same members in the same order nothing needs to be searched.
        loop {
            old.pass_what_begins(&mut new);
            let (rest_of_old, rest_of_new) = (old.clone(), new.clone());
            match (old.next(), new.next()) {
                (None, None) => return changed,
                (Some((name, before)), Some((same, after))) if name == same => {
                    if !before.same(after) {
                        changed.push((name, Some(before), Some(after)));
                    }
                }
                (None, Some(_)) => {
                    let added = rest_of_new.map(|(name, after)| (name, None, Some(after)));
                    changed.extend(added);
                    return changed;
                }
                _ => {
                    apart(rest_of_old.collect(), rest_of_new.collect(), &mut changed);
                    return changed;
                }
            }
        }
    }

    fn member(self, name: &str) -> Option<Self> {
        self.get_str(name)
    }

    fn elements(self) -> Vec<Self> {
        self.items().collect()
    }

    fn text(self) -> Option<&'a str> {
        self.as_str()
    }

    fn value(self) -> Value {
        self.to_value()
    }
}

/// The members in which two maps differ whose members do not stand in the same order.
fn apart<'a>(
    old: Vec<(&'a str, Node<'a>)>,
    new: Vec<(&'a str, Node<'a>)>,
    changed: &mut Vec<Member<'a, Node<'a>>>,
) {
    let (of_old, of_new) = (Named::new(&old), Named::new(&new));
    for (name, before) in &old {
        let after = of_new.get(name);
        if after.is_none_or(|after| !before.same(after)) {
            changed.push((name, Some(*before), after));
        }
    }
    let added = new.iter().filter(|(name, _)| of_old.get(name).is_none());
    changed.extend(added.map(|(name, after)| (*name, None, Some(*after))));
}

/// Members by their names.
enum Named<'m, 'a> {
    Few(&'m [(&'a str, Node<'a>)]),
    Many(ahash::AHashMap<&'a str, Node<'a>>),
}

impl<'m, 'a> Named<'m, 'a> {
    fn new(members: &'m [(&'a str, Node<'a>)]) -> Self {
        match members.len() {
            0..=SEARCHED => Named::Few(members),
            // Of a name that stands twice the first one counts.
            _ => Named::Many(members.iter().rev().copied().collect()),
        }
    }

    fn get(&self, name: &str) -> Option<Node<'a>> {
        match self {
            Named::Few(members) => members.iter().find(|(n, _)| *n == name).map(|(_, v)| *v),
            Named::Many(index) => index.get(name).copied(),
        }
    }
}
