//! The end result of a pass as requests: at most one for each endpoint.

use super::turn::Deletion;
use super::world::World;
use super::{Acted, Operation, Wanted, Write, answered, state_annotation};
use crate::object::difference::json_patch;
use crate::object::{ObjectKey, Record};
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
    let (before, mut after) = (world.subject.record.to_value(), after.to_value());
    let mut scale = None;
    if let Some(path) = authors.replicas.take() {
        let scaled = with_value_of(&before, &after, &path);
        if scaled != before {
            after = with_value_of(&after, &before, &path);
            let rules = std::mem::take(&mut authors.scale);
            scale = value_at(&scaled, &path).cloned().map(|replicas| {
                let operation = Operation::Scale { replicas, path };
                write(of(world), operation, rules, Some(scaled))
            });
        }
    }
    let mut writes = patches_of(world, &before, after, authors);
    writes.extend(scale);
    // What is remembered of them is written to the main endpoint, which comes first.
    if let Some(first) = writes.first_mut() {
        first.acts = acts;
    }
    answered::share_out(wanted, &mut writes);
    writes
}

/// The value at a path of names.
pub(super) fn value_at<'v>(object: &'v Value, path: &[String]) -> Option<&'v Value> {
    path.iter().try_fold(object, |value, name| value.get(name))
}

/// One object with the value that another has at a path of names. Where the other has nothing, what leads there goes too.
pub(super) fn with_value_of(object: &Value, other: &Value, path: &[String]) -> Value {
    let mut object = object.clone();
    let mut standing = other;
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
    object
}

/// One object without what a rule has come to remember on it since another state of it.
pub(super) fn without_state_since(object: &mut Value, before: &Value, rule: &str) {
    let former = &before["metadata"]["annotations"];
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else {
        return;
    };
    let Some(annotations) = metadata
        .get_mut("annotations")
        .and_then(Value::as_object_mut)
    else {
        return;
    };
    for name in state_annotation::names(rule) {
        match former.get(&name) {
            Some(former) => {
                annotations.insert(name, former.clone());
            }
            None => {
                annotations.shift_remove(&name);
            }
        }
    }
    if annotations.is_empty() && !former.is_object() {
        metadata.shift_remove("annotations");
    }
}

fn patches_of(world: &World<'_>, before: &Value, after: Value, authors: Authors) -> Vec<Write> {
    let own_endpoint = match &world.schema {
        Some(schema) => schema.status,
        None => !authors.status.is_empty(),
    };
    let mut writes = vec![];
    if !own_endpoint {
        let mut rules = authors.main;
        rules.extend(authors.status);
        rules.dedup();
        writes.extend(patch(world, before, after, false, rules));
        return writes;
    }
    if before.get("status") == after.get("status") {
        writes.extend(patch(world, before, after, false, authors.main));
        return writes;
    }
    let main = with_status_of(&after, before);
    let status = with_status_of(before, &after);
    writes.extend(patch(world, before, main, false, authors.main));
    writes.extend(patch(world, before, status, true, authors.status));
    writes
}

/// One object with another's status.
fn with_status_of(object: &Value, other: &Value) -> Value {
    let mut object = object.clone();
    if let Some(map) = object.as_object_mut() {
        match other.get("status") {
            Some(status) => {
                map.insert("status".into(), status.clone());
            }
            None => {
                map.shift_remove("status");
            }
        }
    }
    object
}

fn patch(
    world: &World<'_>,
    before: &Value,
    after: Value,
    status: bool,
    rules: Vec<Arc<str>>,
) -> Option<Write> {
    let operations = operations(world.subject.record, before, &after)?;
    let operation = Operation::Patch { status, operations };
    Some(write(of(world), operation, rules, Some(after)))
}

/// What leads from one state to another, bound to the version of the record; `None` if nothing does.
pub(super) fn operations(
    record: &Record,
    before: &Value,
    after: &Value,
) -> Option<Vec<PatchOperation>> {
    let changes = json_patch(before, after);
    if changes.is_empty() {
        return None;
    }
    let mut operations = Vec::with_capacity(changes.len() + 1);
    let version = record.meta().resource_version();
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
    expected: Option<Value>,
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
            assert_eq!(with_value_of(&object, &other, &path), expected);
        }
    }
}
