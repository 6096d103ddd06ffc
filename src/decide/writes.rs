//! The end result of a pass as requests: at most one for each endpoint.

use super::turn::Deletion;
use super::world::World;
use super::{Acted, Operation, Wanted, Write, answered, state_annotation};
use crate::object::difference::record_patch;
use crate::object::{Node, NodeKind, ObjectKey, Record};
use json_patch::jsonptr::PointerBuf;
use json_patch::{PatchOperation, ReplaceOperation};
use serde_json::Value;
use std::sync::Arc;

/// The rules that a write is made of.
#[derive(Default)]
pub(super) struct Authors {
    pub main: Vec<Arc<str>>,
    pub status: Vec<Arc<str>>,
    pub scale: Vec<Arc<str>>,
    /// Where the replicas are that were scaled.
    pub replicas: Option<Vec<String>>,
    /// The steps that act once.
    pub acts: Vec<Acted>,
    /// What they want where they changed something.
    pub wanted: Vec<Wanted>,
}

pub(super) fn delete(world: &World<'_>, rule: Arc<str>, deletion: Deletion) -> Write {
    let operation = match deletion.evicts {
        true => Operation::Evict,
        false => Operation::Delete {
            propagation: deletion.propagation,
            grace_period_seconds: deletion.grace_period_seconds,
        },
    };
    write(of(world), operation, vec![rule], None)
}

/// What leads from the stored object to `after`; the main endpoint first, scaling last. Empty if nothing does.
pub(super) fn patches(world: &World<'_>, after: &Record, mut authors: Authors) -> Vec<Write> {
    let acts = std::mem::take(&mut authors.acts);
    let wanted = std::mem::take(&mut authors.wanted).into_iter();
    let states = (world.subject.record, after);
    let wanted = answered::written(wanted, states, world.schema.as_deref());
    let before = world.subject.record;
    let mut after = after.clone();
    let mut scale = None;
    if let Some(path) = authors.replicas.take() {
        let scaled = with_value_of(before, &after, &path);
        if scaled != *before {
            after = with_value_of(&after, before, &path);
            let rules = std::mem::take(&mut authors.scale);
            let replicas = value_at(&scaled, &path).map(Node::to_value);
            scale = replicas.map(|replicas| {
                let operation = Operation::Scale { replicas, path };
                write(of(world), operation, rules, Some(scaled))
            });
        }
    }
    let mut writes = patches_of(world, after, authors);
    writes.extend(scale);
    // What is remembered of them is written to the main endpoint, which comes first.
    if let Some(first) = writes.first_mut() {
        first.acts = acts;
    }
    answered::share_out(wanted, &mut writes);
    writes
}

/// The value at a path of names.
pub(super) fn value_at<'r>(object: &'r Record, path: &[String]) -> Option<Node<'r>> {
    path.iter()
        .try_fold(object.root(), |value, name| value.get_str(name))
}

/// One object with the value that another has at a path of names. Where the other has nothing, what leads there goes too.
pub(super) fn with_value_of(object: &Record, other: &Record, path: &[String]) -> Record {
    let (mut object, other) = (object.to_value(), other.to_value());
    let mut standing = &other;
    let mut at = &mut object;
    for (depth, name) in path.iter().enumerate() {
        let Some(map) = at.as_object_mut() else { break };
        let Some(there) = standing.get(name) else {
            map.shift_remove(name);
            break;
        };
        if depth + 1 == path.len() || !map.contains_key(name) {
            map.insert(name.clone(), there.clone());
            break;
        }
        standing = there;
        at = &mut at[name];
    }
    Record::from_value(&object)
}

/// One object without what a rule has come to remember on it since another state of it.
pub(super) fn without_state_since(object: Record, before: &Record, rule: &str) -> Record {
    let former = before.root().path(&["metadata", "annotations"]);
    let mut tree = object.to_value();
    let metadata = tree.get_mut("metadata").and_then(Value::as_object_mut);
    let Some(metadata) = metadata else {
        return object;
    };
    // Where there are none, it may be that the rule has taken back the last one.
    let annotations = metadata
        .entry("annotations")
        .or_insert_with(|| Value::Object(serde_json::Map::new()));
    let Some(annotations) = annotations.as_object_mut() else {
        return object;
    };
    for name in state_annotation::names(rule) {
        match former.and_then(|former| former.get_str(&name)) {
            Some(former) => {
                annotations.insert(name, former.to_value());
            }
            None => {
                annotations.shift_remove(&name);
            }
        }
    }
    let had_some = former.is_some_and(|former| former.kind() == NodeKind::Map);
    if annotations.is_empty() && !had_some {
        metadata.shift_remove("annotations");
    }
    Record::from_value(&tree)
}

fn patches_of(world: &World<'_>, after: Record, authors: Authors) -> Vec<Write> {
    let before = world.subject.record;
    let own_endpoint = match &world.schema {
        Some(schema) => schema.status,
        None => !authors.status.is_empty(),
    };
    let mut writes = vec![];
    if !own_endpoint {
        let mut rules = authors.main;
        rules.extend(authors.status);
        rules.dedup();
        writes.extend(patch(world, after, false, rules));
        return writes;
    }
    let status = [before, &after].map(|record| record.root().get_str("status"));
    let stays = match status {
        [Some(before), Some(after)] => before.same(after),
        [before, after] => before.is_none() && after.is_none(),
    };
    if stays {
        writes.extend(patch(world, after, false, authors.main));
        return writes;
    }
    let path = ["status".to_owned()];
    let main = with_value_of(&after, before, &path);
    let status = with_value_of(before, &after, &path);
    writes.extend(patch(world, main, false, authors.main));
    writes.extend(patch(world, status, true, authors.status));
    writes
}

fn patch(world: &World<'_>, after: Record, status: bool, rules: Vec<Arc<str>>) -> Option<Write> {
    let operations = operations(world.subject.record, &after)?;
    let operation = Operation::Patch { status, operations };
    Some(write(of(world), operation, rules, Some(after)))
}

/// What leads from one state to another, bound to the version of the first; `None` if nothing does.
pub(super) fn operations(before: &Record, after: &Record) -> Option<Vec<PatchOperation>> {
    let changes = record_patch(before.root(), after.root());
    if changes.is_empty() {
        return None;
    }
    let mut operations = Vec::with_capacity(changes.len() + 1);
    let version = before.meta().resource_version();
    if !version.is_empty() {
        operations.push(PatchOperation::Replace(ReplaceOperation {
            path: PointerBuf::from_tokens(["metadata", "resourceVersion"]),
            value: Value::from(version),
        }));
    }
    operations.extend(changes);
    Some(operations)
}

fn of<'w>(world: &World<'w>) -> (&'w ObjectKey, &'w Record) {
    (world.subject.key, world.subject.record)
}

/// A request on an object as it was decided on.
pub(super) fn write(
    (object, record): (&ObjectKey, &Record),
    operation: Operation,
    rules: Vec<Arc<str>>,
    expected: Option<Record>,
) -> Write {
    let meta = record.meta();
    Write {
        object: object.clone(),
        api_version: meta.api_version().to_owned(),
        operation,
        rules,
        expected,
        uid: meta.uid().to_owned(),
        resource_version: meta.resource_version().to_owned(),
        acts: vec![],
        wanted: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn one_value_is_taken_from_another_object() {
        let path: Vec<String> = ["spec", "open", "count"].map(str::to_owned).into();
        let full = |n: i64| json!({"spec": {"open": {"count": n, "by": "x"}}, "a": n});
        for (object, other, expected) in [
            (
                full(1),
                full(2),
                json!({"spec": {"open": {"count": 2, "by": "x"}}, "a": 1}),
            ),
            (
                full(1),
                json!({"spec": {"open": {}}}),
                json!({"spec": {"open": {"by": "x"}}, "a": 1}),
            ),
            (full(1), json!({"spec": {}}), json!({"spec": {}, "a": 1})),
            (
                json!({"spec": {}}),
                full(2),
                json!({"spec": {"open": {"count": 2, "by": "x"}}}),
            ),
            (json!({"spec": 3}), full(2), json!({"spec": 3})),
        ] {
            let [object, other, expected] =
                [object, other, expected].map(|value| Record::from_value(&value));
            assert_eq!(with_value_of(&object, &other, &path), expected);
        }
    }
}
