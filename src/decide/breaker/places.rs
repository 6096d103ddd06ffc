//! What a change writes, and where: places that are recognised when they are written again, and found in what a server says of its fields.

use crate::decide::{Operation, RuleChange, Write};
use crate::object::difference::record_patch;
use crate::object::{Node, NodeKind, Record};
use json_patch::PatchOperation;
use serde_json::Value;
use std::fmt;

/// Most places of one change that are looked at, and most that are remembered of an object.
pub const MOST: usize = 16;

/// Fields that tell the elements of a list apart.
const IDENTITIES: [&str; 6] = ["name", "key", "type", "containerPort", "port", "mountPath"];

/// Stable within one process; a collision among the few places of one object is all that could be forced.
const SEEDS: ahash::RandomState = ahash::RandomState::with_seeds(0x6f72, 0x6461, 0x696e, 0x0002);

/// One place that a change writes. Values are kept as hashes: they may be secret.
#[derive(Clone, Debug)]
pub struct Place {
    /// Of the trail.
    pub id: u64,
    /// The way to it.
    pub trail: Trail,
    /// Of the value that stood there.
    pub before: u64,
    /// Of the value that is written; absent is a value too.
    pub after: u64,
}

/// The way from an object's root to a place in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Trail(pub Vec<Step>);

/// One step of a trail.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A member of a map.
    Field(Box<str>),
    /// An element of a list, as it was when the change was decided on.
    Element(Value),
}

impl fmt::Display for Trail {
    /// As a path of the rule language.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        for step in &self.0 {
            match step {
                Step::Field(name) if is_plain(name) => write!(f, ".{name}")?,
                Step::Field(name) => write!(f, "['{name}']")?,
                Step::Element(value) => match identity(value) {
                    Some((field, Value::String(id))) => write!(f, "[?@.{field} == '{id}']")?,
                    Some((field, id)) => write!(f, "[?@.{field} == {id}]")?,
                    None => f.write_str("[*]")?,
                },
            }
        }
        Ok(())
    }
}

fn is_plain(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn identity(element: &Value) -> Option<(&'static str, &Value)> {
    let map = element.as_object()?;
    IDENTITIES.iter().find_map(|name| {
        let value = map.get(*name)?;
        (value.is_string() || value.is_number()).then_some((*name, value))
    })
}

/// As [`written`], of a change that may be all that a write does to a record: then its operations say the same.
pub fn written_by(change: &RuleChange, write: &Write, record: &Record) -> Vec<Place> {
    let (Some(before), Some(after)) = (&change.before, &change.after) else {
        return written(change);
    };
    let whole = before.is_same(record)
        && write
            .expected
            .as_ref()
            .is_some_and(|expected| expected.is_same(after));
    match &write.operation {
        Operation::Patch { operations, .. } if whole => operations
            .iter()
            .filter(|operation| operation.path().as_str() != "/metadata/resourceVersion")
            .take(MOST)
            .map(|operation| place(before.root(), operation))
            .collect(),
        _ => written(change),
    }
}

/// What a change writes; at most [`MOST`] places, none of a deletion.
pub fn written(change: &RuleChange) -> Vec<Place> {
    let Some(after) = &change.after else {
        return vec![];
    };
    let Some(before) = &change.before else {
        let trail = Trail(vec![]);
        return vec![Place {
            id: SEEDS.hash_one(trail.to_string()),
            trail,
            before: ABSENT,
            after: hash_of(after.root()),
        }];
    };
    let before = before.root();
    let operations = record_patch(before, after.root());
    operations
        .iter()
        .take(MOST)
        .map(|operation| place(before, operation))
        .collect()
}

fn place(object: Node<'_>, operation: &PatchOperation) -> Place {
    let value = match operation {
        PatchOperation::Add(add) => Some(&add.value),
        PatchOperation::Replace(replace) => Some(&replace.value),
        _ => None,
    };
    let adds = matches!(operation, PatchOperation::Add(_));
    let mut at = Some(object);
    let mut trail = vec![];
    let mut tokens = operation.path().tokens().peekable();
    while let Some(token) = tokens.next() {
        let token = token.decoded();
        let adds_here = adds && tokens.peek().is_none();
        match at.filter(|node| node.kind() == NodeKind::List) {
            Some(list) => {
                let there = token.parse::<usize>().ok().and_then(|n| list.at(n));
                // An addition stands before the element that has its number now.
                let meant = match adds_here {
                    true => value.cloned(),
                    false => there.map(Node::to_value),
                };
                trail.push(Step::Element(meant.unwrap_or_default()));
                at = there.filter(|_| !adds_here);
            }
            None => {
                trail.push(Step::Field((&*token).into()));
                at = at.and_then(|node| node.get_str(&token));
            }
        }
    }
    let trail = Trail(trail);
    Place {
        id: SEEDS.hash_one(trail.to_string()),
        trail,
        before: at.map_or(ABSENT, hash_of),
        after: value.map_or(ABSENT, hash),
    }
}

/// The hash of what is not there. Null counts as absent.
const ABSENT: u64 = 0;

fn hash(value: &Value) -> u64 {
    match value {
        Value::Null => ABSENT,
        value => SEEDS.hash_one(value.to_string()),
    }
}

/// As [`hash`], of a value in a record.
fn hash_of(node: Node<'_>) -> u64 {
    match node.is_null() {
        true => ABSENT,
        false => SEEDS.hash_one(serde_json::to_string(&node).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::object::{GroupKind, ObjectKey};
    use crate::rule::{Mode, Verb};
    use serde_json::json;

    fn of(before: Value, after: Value) -> Vec<Place> {
        written(&RuleChange {
            rule: "r".into(),
            mode: Mode::Enforce,
            verb: Verb::Patch,
            object: ObjectKey::new(GroupKind::new("", "Pod"), Some("n"), "a"),
            before: Some(Record::from_value(&before)),
            after: Some(Record::from_value(&after)),
            why: vec![],
        })
    }

    fn texts(places: &[Place]) -> Vec<String> {
        places.iter().map(|p| p.trail.to_string()).collect()
    }

    #[test]
    fn places_are_told_as_paths() {
        let before = json!({"metadata": {"labels": {"app.kubernetes.io/name": "a"}}, "spec": {
            "containers": [{"name": "side", "image": "x"}, {"name": "app", "image": "a"}], "finalizers": ["one"]}});
        let after = json!({"metadata": {"labels": {"app.kubernetes.io/name": "b", "team": "t"}}, "spec": {
            "containers": [{"name": "side", "image": "x"}, {"name": "app", "image": "b"}], "finalizers": []}});
        assert_eq!(
            texts(&of(before, after)),
            [
                "$.metadata.labels['app.kubernetes.io/name']",
                "$.metadata.labels.team",
                "$.spec.containers[?@.name == 'app'].image",
                "$.spec.finalizers[*]",
            ]
        );
    }

    #[test]
    fn an_element_is_the_same_wherever_it_stands() {
        let with = |first: bool, image: &str| {
            let app = json!({"name": "app", "image": image});
            let side = json!({"name": "side"});
            json!({"containers": if first { vec![app, side] } else { vec![side, app] }})
        };
        let one = of(with(true, "a"), with(true, "b"));
        let other = of(with(false, "a"), with(false, "b"));
        assert_eq!(one[0].id, other[0].id);
        assert_eq!(
            (one[0].before, one[0].after),
            (other[0].before, other[0].after)
        );
        assert_ne!(one[0].before, one[0].after);
    }

    #[test]
    fn absent_is_a_value_too() {
        let adds = of(json!({"a": {}}), json!({"a": {"b": 1}}));
        let removes = of(json!({"a": {"b": 1}}), json!({"a": {}}));
        assert_eq!(adds[0].id, removes[0].id);
        assert_eq!(
            (adds[0].before, adds[0].after),
            (removes[0].after, removes[0].before)
        );
    }

    #[test]
    fn a_change_of_everything_has_a_bounded_number_of_places() {
        let many: serde_json::Map<String, Value> =
            (0..1_000).map(|n| (n.to_string(), json!(n))).collect();
        assert_eq!(of(json!({"data": {}}), json!({"data": many})).len(), MOST);
    }
}
