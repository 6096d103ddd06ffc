//! The difference between two states of an object: as a JSON patch for the server, as a diff for people.

use super::GroupKind;
use serde_json::Value;

/// The smallest RFC 6902 patch that turns `before` into `after`.
pub fn json_patch(_before: &Value, _after: &Value) -> Vec<json_patch::PatchOperation> {
    todo!()
}

/// A unified diff of the two as YAML, three lines of context, without a header. Values of `data` and `stringData` of a Secret,
/// and `last-applied-configuration` annotations of one, show as `(sensitive, 24 bytes, changed)`. Empty if nothing differs.
pub fn text(_kind: &GroupKind, _before: Option<&Value>, _after: Option<&Value>) -> String {
    todo!()
}

/// The object with everything that may hold secret data replaced by `(sensitive, N bytes)`; other kinds unchanged.
pub fn redact(_kind: &GroupKind, _value: &Value) -> Value {
    todo!()
}
