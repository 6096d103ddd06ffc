//! JSON patches as strategic merge patches, where both mean the same.
//!
//! A server that applies a JSON patch writes the whole object out as text, patches the text and reads it again; a strategic merge patch it
//! applies to what it has in memory. For a ConfigMap of 1 KB that is a twentieth of the whole request, and more where the object is larger.
//! But it knows strategic merge patches of its own kinds only, and means something else by lists, by null and by maps that are there already.

use crate::object::{GroupKind, Node, NodeKind, Record};
use http::{Request, header};
use json_patch::PatchOperation;
use json_patch::jsonptr::Pointer;
use serde_json::{Map, Value};
use std::sync::atomic::{AtomicBool, Ordering};

/// The content type of such a patch.
pub(super) const MEDIA: &str = "application/strategic-merge-patch+json";

/// API groups whose kinds the API server has built in; for those of others it answers 415.
const GROUPS: [&str; 10] = [
    "",
    "apps",
    "autoscaling",
    "batch",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
];

/// Its `data` is any object, of which the server knows no types.
const UNTYPED: &str = "ControllerRevision";

/// Whether a server takes such patches: one that serves kinds of these groups as custom resources does not.
#[derive(Default)]
pub(super) struct Support {
    refused: AtomicBool,
}

impl Support {
    pub fn is_given(&self) -> bool {
        !self.refused.load(Ordering::Relaxed)
    }

    /// It has answered 415.
    pub fn refused(&self) {
        if !self.refused.swap(true, Ordering::Relaxed) {
            tracing::info!("the server takes no strategic merge patches; JSON patches are sent");
        }
    }
}

/// Whether a request is such a patch.
pub(super) fn is_one(request: &Request<Vec<u8>>) -> bool {
    let media = request.headers().get(header::CONTENT_TYPE);
    media.is_some_and(|media| media == MEDIA)
}

/// The strategic merge patch that does the same to an object as these operations, which lead to `after`; `None` where it would not, or
/// nobody can tell.
///
/// They have to be those of [`record_patch`](crate::object::difference::record_patch): of a field that is there already they say
/// `replace`.
pub(super) fn patch(
    kind: &GroupKind,
    operations: &[PatchOperation],
    after: &Record,
) -> Option<Map<String, Value>> {
    if !GROUPS.contains(&&*kind.group) || &*kind.kind == UNTYPED {
        return None;
    }
    let mut patch = Map::new();
    for operation in operations {
        let (path, value) = match operation {
            PatchOperation::Add(add) if is_taken_as_it_is(&add.value) => {
                (&add.path, add.value.clone())
            }
            // A map would be merged into the one that is there.
            PatchOperation::Replace(replace) if is_scalar(&replace.value) => {
                (&replace.path, replace.value.clone())
            }
            PatchOperation::Remove(remove) => (&remove.path, Value::Null),
            _ => return None,
        };
        put(&mut patch, path, value, after.root())?;
    }
    Some(patch)
}

fn is_scalar(value: &Value) -> bool {
    matches!(value, Value::Bool(_) | Value::Number(_) | Value::String(_))
}

/// A name that begins so is an instruction.
fn is_instruction(name: &str) -> bool {
    name.starts_with('$')
}

/// Whether a server puts a value where nothing was as it is.
fn is_taken_as_it_is(value: &Value) -> bool {
    match value {
        Value::Object(map) => map
            .iter()
            .all(|(name, value)| !is_instruction(name) && is_taken_as_it_is(value)),
        value => is_scalar(value),
    }
}

/// Puts a value into the patch; `None`: what leads there is not maps alone, or the patch says something of it already.
fn put(
    patch: &mut Map<String, Value>,
    path: &Pointer,
    value: Value,
    after: Node<'_>,
) -> Option<()> {
    let (mut map, mut there) = (patch, after);
    let mut tokens = path.tokens().peekable();
    while let Some(token) = tokens.next() {
        let name = token.decoded();
        if there.kind() != NodeKind::Map || is_instruction(&name) {
            return None;
        }
        if tokens.peek().is_none() {
            return map.insert(name.into_owned(), value).is_none().then_some(());
        }
        there = there.get_str(&name)?;
        let next = map.entry(name).or_insert_with(|| Value::Object(Map::new()));
        map = next.as_object_mut()?;
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::object::difference::json_patch;
    use serde_json::json;

    fn between(kind: &GroupKind, before: &Value, after: &Value) -> Option<Value> {
        let operations = json_patch(before, after);
        patch(kind, &operations, &Record::from_value(after)).map(Value::Object)
    }

    fn pods() -> GroupKind {
        GroupKind::new("", "Pod")
    }

    #[test]
    fn what_changes_in_maps_is_told_as_it_is_to_be() {
        let before =
            json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"n": 1, "on": true}});
        let after = json!({"metadata": {"labels": {"a": "3", "c/d": "4"}, "annotations": {"x": "y"}}, "spec": {"n": 2}});
        let expected = json!({"metadata": {"labels": {"a": "3", "b": null, "c/d": "4"}, "annotations": {"x": "y"}}, "spec": {"n": 2, "on": null}});
        assert_eq!(between(&pods(), &before, &after), Some(expected));
    }

    #[test]
    fn what_the_server_would_take_otherwise_stays_a_json_patch() {
        for (before, after) in [
            // An element of a list, a list, and a list in a map that is new.
            (json!({"a": [{"n": 1}]}), json!({"a": [{"n": 2}]})),
            (json!({}), json!({"a": [1]})),
            (json!({"a": {}}), json!({"a": {"b": {"c": []}}})),
            // Null takes away, and a map is merged.
            (json!({}), json!({"a": {"b": null}})),
            (json!({"a": 1}), json!({"a": null})),
            (json!({"a": "x"}), json!({"a": {"b": 1}})),
            (json!({}), json!({"$patch": "delete"})),
            (json!({"a": {}}), json!({"a": {"$retainKeys": "x"}})),
            (json!({"a": {}}), json!({"a": {"b": {"$patch": "delete"}}})),
            (json!({"a": {"$x": 1}}), json!({"a": {}})),
        ] {
            assert_eq!(between(&pods(), &before, &after), None, "{after}");
        }
        let labels = json!({"metadata": {"labels": {"a": "b"}}});
        let of = |group: &str, kind: &str| {
            between(
                &GroupKind::new(group, kind),
                &json!({"metadata": {}}),
                &labels,
            )
        };
        assert!(of("apps", "Deployment").is_some());
        assert!(of("apps", "ControllerRevision").is_none());
        assert!(of("example.com", "Widget").is_none());
        assert!(of("gateway.networking.k8s.io", "Gateway").is_none());
    }
}
