//! Planned changes into a tree.

use super::{Action, Change};
use crate::rule::path::Hop;
use serde_json::{Map, Value};

/// Writes one change. What the plan took for granted and is not so in this tree is left alone.
pub(super) fn write(copy: &mut Value, change: &Change) {
    match &change.action {
        Action::Put(value) => {
            if let Some(place) = create(copy, &change.location) {
                *place = value.clone();
            }
        }
        Action::Remove { with_parent } => {
            let Some((last, parents)) = change.location.split_last() else {
                return;
            };
            let Some(parent) = find(copy, parents) else {
                return;
            };
            take(parent, last);
            if *with_parent
                && is_empty(parent)
                && let Some((name, above)) = parents.split_last()
                && let Some(above) = find(copy, above)
            {
                take(above, name);
            }
        }
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

fn take(parent: &mut Value, hop: &Hop) {
    match (parent, hop) {
        (Value::Object(map), Hop::Name(name)) => {
            map.shift_remove(&**name);
        }
        (Value::Array(list), Hop::Index(index)) if *index < list.len() => {
            list.remove(*index);
        }
        _ => {}
    }
}

fn find<'v>(copy: &'v mut Value, hops: &[Hop]) -> Option<&'v mut Value> {
    hops.iter().try_fold(copy, |value, hop| match hop {
        Hop::Name(name) => value.get_mut(&**name),
        Hop::Index(index) => value.get_mut(*index),
    })
}

/// The place, with maps for the parents that are not there.
fn create<'v>(copy: &'v mut Value, hops: &[Hop]) -> Option<&'v mut Value> {
    hops.iter().try_fold(copy, |value, hop| match hop {
        Hop::Name(name) => {
            if value.is_null() {
                *value = Value::Object(Map::new());
            }
            Some(value.as_object_mut()?.entry(&**name).or_insert(Value::Null))
        }
        Hop::Index(index) => value.get_mut(*index),
    })
}
