//! What of an object nobody may read in output: the data of Secrets.

use crate::object::GroupKind;
use base64::Engine as _;
use serde_json::{Map, Value};

/// kubectl keeps the whole applied manifest here, Secret data included.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The object with everything that may hold secret data replaced by `(sensitive, N bytes)`; other kinds unchanged.
pub fn redact(kind: &GroupKind, value: &Value) -> Value {
    let mut shown = value.clone();
    if is_secret(kind) {
        hide(&mut shown, None);
    }
    shown
}

/// Whether objects of a kind hold secret data.
pub fn is_secret(kind: &GroupKind) -> bool {
    kind.group.is_empty() && &*kind.kind == "Secret"
}

/// Whether what stands at a place of a Secret may be secret, so that it is never kept in an annotation.
pub fn is_secret_place(pointer: &str) -> bool {
    let below = |top: &str| {
        pointer
            .strip_prefix(top)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    // kubectl keeps all of what it applied in an annotation.
    below("/data")
        || below("/stringData")
        || pointer == "/metadata"
        || pointer == "/metadata/annotations"
        || below("/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration")
}

/// Replaces secret values in `shown`. What differs from the same place in `before` says so: two values of one length must not look unchanged.
pub(super) fn hide(shown: &mut Value, before: Option<&Value>) {
    let Some(object) = shown.as_object_mut() else {
        return;
    };
    let former = |name: &str| before.and_then(|b| b.get(name));
    for name in ["data", "stringData"] {
        if let Some(values) = object.get_mut(name) {
            hide_values(values, former(name), name == "data");
        }
    }
    let annotations = object
        .get_mut("metadata")
        .and_then(|m| m.get_mut("annotations"));
    if let Some(value) = annotations.and_then(|a| a.get_mut(LAST_APPLIED)) {
        let old = former("metadata")
            .and_then(|m| m.get("annotations"))
            .and_then(|a| a.get(LAST_APPLIED));
        hide_value(value, old, before.is_some(), false);
    }
}

fn hide_values(values: &mut Value, former: Option<&Value>, encoded: bool) {
    match values {
        Value::Null => {}
        Value::Object(map) => {
            let former_map = former.and_then(Value::as_object);
            for (name, value) in map.iter_mut() {
                let old = former_map.and_then(|m: &Map<String, Value>| m.get(name));
                hide_value(value, old, former.is_some(), encoded);
            }
        }
        // Not what a Secret may look like; whatever it is, it is not shown.
        other => hide_value(other, former, former.is_some(), encoded),
    }
}

fn hide_value(value: &mut Value, old: Option<&Value>, compared: bool, encoded: bool) {
    let bytes = match &*value {
        Value::String(text) if encoded => base64::engine::general_purpose::STANDARD
            .decode(text)
            .map_or(text.len(), |decoded| decoded.len()),
        Value::String(text) => text.len(),
        other => other.to_string().len(),
    };
    let changed = if compared && old.is_some_and(|old| old != value) {
        ", changed"
    } else {
        ""
    };
    *value = Value::String(format!("(sensitive, {bytes} bytes{changed})"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_secrets_are_known() {
        for (pointer, secret) in [
            ("/data", true),
            ("/data/password", true),
            ("/database", false),
            ("/stringData/a", true),
            ("/metadata/annotations", true),
            (
                "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration",
                true,
            ),
            ("/metadata/labels/a", false),
            ("/metadata/annotations/a", false),
        ] {
            assert_eq!(is_secret_place(pointer), secret, "{pointer}");
        }
    }
}
