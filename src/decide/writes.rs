//! The end result of a pass as requests: at most one for each endpoint.

use super::look::look;
use super::turn::Deletion;
use super::working::Working;
use super::world::World;
use super::{Acted, Operation, RuleChange, Standing, Wanted, Write, answered, state_annotation};
use crate::object::difference::record_patch;
use crate::object::{Node, NodeKind, ObjectKey, Record};
use json_patch::jsonptr::PointerBuf;
use json_patch::{PatchOperation, ReplaceOperation};
use serde_json::Value;
use std::sync::{Arc, LazyLock};

/// Where what has the status endpoint stands.
static STATUS: LazyLock<[String; 1]> = LazyLock::new(|| ["status".to_owned()]);

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
    put_the_end_last(world, &mut writes);
    writes
}

/// Lets the main request come last where it would end the match that the others come from: whoever is killed in between begins again, and loses
/// none of them. Not where it is the one that writes down what the others must be undone by.
fn put_the_end_last(world: &World<'_>, writes: &mut [Write]) {
    let [main, others @ ..] = &*writes else {
        return;
    };
    let Some(after) = main.expected.as_ref().filter(|_| !others.is_empty()) else {
        return;
    };
    let before = world.subject.record;
    // What is there when only the main request is left.
    let mut without = before.clone();
    for (write, path) in others.iter().filter_map(|w| Some((w, part(w)?))) {
        if let Some(expected) = &write.expected {
            without = with_value_of(&without, expected, path);
        }
    }
    let (with, without) = (Working::new(after), Working::new(&without));
    let rules = world.context.rules;
    let is_better_last = others.iter().flat_map(|write| &write.rules).all(|name| {
        let keeps = state_annotation::names(name).iter().any(|annotation| {
            before.meta().annotation(annotation) != after.meta().annotation(annotation)
        });
        let matches = |working: &Working<'_>| {
            let index = rules.index_of(name);
            let standing = index.map(|index| look(world, &rules.rules()[index], working).standing);
            matches!(standing, Some(Standing::Matched { .. }))
        };
        !keeps && !matches(&with) && matches(&without)
    });
    if is_better_last {
        writes.rotate_left(1);
    }
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
    let main = with_value_of(&after, before, &*STATUS);
    let status = with_value_of(before, &after, &*STATUS);
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

/// What a request makes of a change that it makes a part of: of one that is about an object and its status, which have an endpoint each.
pub fn part_of(change: RuleChange, write: &Write, all: &[Write]) -> RuleChange {
    let Operation::Patch { status, .. } = &write.operation else {
        return change;
    };
    let is_other = |other: &Write| match &other.operation {
        Operation::Patch { status: other, .. } => other != status,
        _ => false,
    };
    let in_parts = all
        .iter()
        .any(|other| is_other(other) && other.makes(&change));
    let (true, Some(before), Some(after)) = (in_parts, &change.before, &change.after) else {
        return change;
    };
    let after = match status {
        true => with_value_of(before, after, &*STATUS),
        false => with_value_of(after, before, &*STATUS),
    };
    RuleChange {
        after: Some(after),
        ..change
    }
}

/// What a request writes of its object, where that is a part with an endpoint of its own.
fn part(write: &Write) -> Option<&[String]> {
    match &write.operation {
        Operation::Patch { status: true, .. } => Some(&*STATUS),
        Operation::Scale { path, .. } => Some(path),
        _ => None,
    }
}

/// A request on an object's status or replicas, decided on one state of it, for another state of the same object: `None` if what it writes was
/// changed in between, or nothing is left to do.
pub fn rebased(write: &Write, before: &Record, now: &Record) -> Option<Write> {
    let path = part(write)?;
    if write.uid != now.meta().uid() || now.meta().is_deleting() {
        return None;
    }
    let untouched = match [before, now].map(|object| value_at(object, path)) {
        [Some(before), Some(now)] => before.same(now),
        [before, now] => before.is_none() && now.is_none(),
    };
    let expected = write.expected.as_ref().filter(|_| untouched)?;
    let after = with_value_of(now, expected, path);
    let operation = match &write.operation {
        Operation::Patch { status, .. } => Operation::Patch {
            status: *status,
            operations: operations(now, &after)?,
        },
        scale => scale.clone(),
    };
    Some(Write {
        operation,
        expected: Some(after),
        resource_version: now.meta().resource_version().to_owned(),
        ..write.clone()
    })
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
