//! Hashes by which states and changes are recognised. Stable within one process only.

use crate::decide::Operation;
use crate::object::difference::record_patch;
use crate::object::{Node, NodeKind, Record};
use crate::rule::apply::ownership;
use ahash::RandomState;
use json_patch::PatchOperation;
use serde_json::Value;
use std::hash::{BuildHasher, Hash, Hasher};

/// Seeds need not be secret: a collision among the few hashes of one object is all that could be forced.
const SEEDS: RandomState = RandomState::with_seeds(0x6f72, 0x6461, 0x696e, 0x0001);

/// The hash of anything.
pub fn hash_of(value: &impl Hash) -> u64 {
    SEEDS.hash_one(value)
}

/// An object's state, without its resourceVersion. Members in any order.
pub fn state(object: Node<'_>) -> u64 {
    node(object, 0)
}

fn node(value: Node<'_>, depth: usize) -> u64 {
    match value.kind() {
        NodeKind::Map => {
            let mut sum = 0_u64;
            for (key, member) in value.entries() {
                if depth == 1 && key == "resourceVersion" {
                    continue;
                }
                sum = sum.wrapping_add(hash_of(&(key, node(member, depth + 1))));
            }
            hash_of(&('m', sum))
        }
        NodeKind::List => {
            let mut hasher = SEEDS.build_hasher();
            for item in value.items() {
                // Below a list nothing is `metadata` any more.
                hasher.write_u64(node(item, depth + 2));
            }
            hasher.finish()
        }
        NodeKind::String => hash_of(&value.as_str()),
        NodeKind::Bool => hash_of(&value.as_bool()),
        NodeKind::Null => hash_of(&()),
        NodeKind::Int => hash_of(&value.as_i64()),
        NodeKind::Float => hash_of(&value.as_f64().map(f64::to_bits)),
    }
}

/// What a request asks for, without the version that it was decided on.
pub fn operation(operation: &Operation) -> u64 {
    let mut hasher = SEEDS.build_hasher();
    match operation {
        Operation::Patch { status, operations } => {
            status.hash(&mut hasher);
            for step in operations {
                if step.path().as_str() != "/metadata/resourceVersion" {
                    let text = serde_json::to_string(step).unwrap_or_default();
                    timeless(&text).hash(&mut hasher);
                }
            }
        }
        Operation::Apply {
            manifest,
            manager,
            force,
            ..
        } => (timeless(&manifest.to_string()), manager, force).hash(&mut hasher),
        Operation::Archive { file, content, .. } => (file, content).hash(&mut hasher),
        Operation::Event { event, .. } => event.to_string().hash(&mut hasher),
        Operation::Scale { replicas, .. } => ("scale", replicas.to_string()).hash(&mut hasher),
        Operation::Evict => "evict".hash(&mut hasher),
        Operation::Delete {
            propagation,
            grace_period_seconds,
        } => {
            let propagation = propagation.map(|p| format!("{p:?}"));
            (propagation, grace_period_seconds).hash(&mut hasher);
        }
    }
    hasher.finish()
}

/// What a request says without the times of a restart and of what is written down as done `once`: asked for a second later it is the same
/// request. Else one that the server refuses would be made again at once, and for ever.
fn timeless(text: &str) -> String {
    let mut text = without_moments(text);
    if let Some(at) = text.find("restartedAt") {
        let after = text.split_off(at);
        text.extend(after.chars().filter(|c| !c.is_ascii_digit()));
    }
    text
}

/// Leaves out when something was done, in the text of a rule's annotation, which is text in a text.
fn without_moments(text: &str) -> String {
    const BEGINS: &str = r#"\"at\":\""#;
    const ENDS: &str = r#"\""#;
    if !text.contains(ownership::DOMAIN.trim_end_matches('/')) {
        return text.to_owned();
    }
    let mut parts = text.split(BEGINS);
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.split_once(ENDS).map_or("", |(_, rest)| rest);
        kept.push_str(rest);
    }
    kept
}

/// What differs between two states: paths and new values.
pub fn difference(before: Option<&Record>, after: Option<&Record>) -> u64 {
    let Some(after) = after else {
        return hash_of(&"gone");
    };
    let Some(before) = before else {
        return hash_of(&("new", node(after.root(), 0)));
    };
    let operations = record_patch(before.root(), after.root());
    let written = operations.iter().map(|operation| {
        let value = match operation {
            PatchOperation::Add(add) => Some(&add.value),
            PatchOperation::Replace(replace) => Some(&replace.value),
            _ => None,
        };
        let value = value.map(Value::to_string);
        hash_of(&(operation.path().as_str(), value))
    });
    written.fold(0, u64::wrapping_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_state_is_known_whatever_its_version_and_order() {
        let of = |value: Value| state(Record::from_value(&value).root());
        let a = of(
            json!({"metadata": {"name": "a", "resourceVersion": "1"}, "data": {"x": 1, "y": [1, 2]}}),
        );
        assert_eq!(
            a,
            of(
                json!({"data": {"y": [1, 2], "x": 1}, "metadata": {"resourceVersion": "2", "name": "a"}})
            )
        );
        assert_ne!(
            a,
            of(json!({"metadata": {"name": "a"}, "data": {"x": 1, "y": [2, 1]}}))
        );
        assert_ne!(
            a,
            of(json!({"metadata": {"name": "a"}, "data": {"x": 1, "y": [1, 2]}, "z": {}}))
        );
    }

    #[test]
    fn a_request_is_the_same_whenever_it_is_made_and_another_for_another_key() {
        let apply = |at: &str, key: &str| {
            let said = json!({"once": {"apply@u": {"nth": 0, "at": at, "key": key}}}).to_string();
            operation(&Operation::Apply {
                manifest: json!({"metadata": {"annotations": {"state.ordain.dev/r": said}}}),
                manager: "m".into(),
                force: false,
                counts: true,
            })
        };
        let first = apply("2026-11-30T15:59:00.918256Z", "1");
        assert_eq!(first, apply("2026-12-01T00:00:00Z", "1"));
        assert_ne!(first, apply("2026-11-30T15:59:00.918256Z", "2"));
    }

    #[test]
    fn a_difference_is_known_whatever_else_the_object_holds() {
        let difference = |before: &Value, after: Option<&Value>| {
            let after = after.map(Record::from_value);
            difference(Some(&Record::from_value(before)), after.as_ref())
        };
        let a = difference(
            &json!({"l": {"a": 1}, "s": 1}),
            Some(&json!({"l": {"a": 2}, "s": 1})),
        );
        assert_eq!(
            a,
            difference(
                &json!({"l": {"a": 9}, "s": 7}),
                Some(&json!({"l": {"a": 2}, "s": 7}))
            )
        );
        assert_ne!(
            a,
            difference(&json!({"l": {"a": 1}}), Some(&json!({"l": {"a": 3}})))
        );
        assert_ne!(
            difference(&json!({"a": 1}), Some(&json!({}))),
            difference(&json!({"a": 1}), None)
        );
    }
}
